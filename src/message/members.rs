//! The members of an object, to take one out or to put another in its place; every value stays as it was written.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An object's members in their order.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(String, &'a str)>);

impl<'a> Members<'a> {
    /// The members of `object`; `None` when it is none.
    pub fn of(object: &'a str) -> Option<Self> {
        serde_json::from_str(object).ok()
    }

    /// The value called `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Puts a value in the place of the member called `name`, or at the end.
    pub fn set(&mut self, name: &str, value: &'a str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(member) => member.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The object that they make.
    pub fn to_json(&self) -> String {
        let members: Vec<_> =
            self.0.iter().map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name.as_str()))).collect();
        format!("{{{}}}", members.join(","))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_member_goes_or_changes_and_the_others_stay_as_they_were_written() {
        let mut members = Members::of(r#"{ "a" : 1.0, "b\n":[ 1,{}], "c":"\u00e5" }"#).expect("an object");
        assert_eq!(members.remove("a"), Some("1.0"));
        assert_eq!(members.remove("a"), None);
        members.set("b\n", "2");
        members.set("d", "null");
        assert_eq!(members.get("c"), Some(r#""\u00e5""#));
        assert_eq!(members.to_json(), r#"{"b\n":2,"c":"\u00e5","d":null}"#);
        assert!(Members::of("[1]").is_none() && Members::of("{").is_none());
    }
}

//! The members of an object: all of them, to remove or replace one, or a few, picked in one pass. Every value keeps its
//! original text.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A few members of an object.
#[derive(Debug)]
pub(super) struct Picked<'a, const N: usize> {
    /// In the order of the requested names; the first, if a member occurs more than once.
    pub values: [Option<&'a RawValue>; N],
    /// The first name that occurs more than once: two parsers could each choose a different member.
    pub duplicate: Option<&'static str>,
}

impl<'a, const N: usize> Picked<'a, N> {
    /// The members of `object` that have these names.
    ///
    /// # Errors When it is not an object, or not JSON.
    pub(super) fn of(object: &'a str, names: &'static [&'static str; N]) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(object);
        let picked = Pick(names).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(picked)
    }
}

/// Picks the members that have these names.
struct Pick<const N: usize>(&'static [&'static str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Pick<N> {
    type Value = Picked<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Pick<N> {
    type Value = Picked<'de, N>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut picked = Picked { values: [None; N], duplicate: None };
        while let Some(found) = map.next_key_seed(NameIn(self.0))? {
            let Some(at) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value()?;
            if picked.values[at].is_some() {
                picked.duplicate = picked.duplicate.or(Some(self.0[at]));
            } else {
                picked.values[at] = Some(value);
            }
        }
        Ok(picked)
    }
}

/// Finds the index of a member's name among these, without copying it.
#[derive(Clone, Copy)]
struct NameIn<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for NameIn<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameIn<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == name))
    }
}

/// An object's members in their order.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(String, &'a str)>);

impl<'a> Members<'a> {
    /// The members of `object`; `None` when it is not an object.
    pub fn of(object: &'a str) -> Option<Self> {
        serde_json::from_str(object).ok()
    }

    /// The value called `name`.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Removes a member.
    pub fn remove(&mut self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// Replaces the value of the member called `name`, or appends it.
    pub fn set(&mut self, name: &str, value: &'a str) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some(member) => member.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The members as an object.
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

    #[test]
    fn picked_members_stay_as_they_were_written_and_a_duplicate_is_named() {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        for (object, values, duplicate) in [
            (r#" { "b": 1.0 ,"x":{"a":1}, "c":null}"#, [None, Some("1.0"), Some("null")], None),
            (r#"{"\u0061":[1, 2],"x":1,"x":2}"#, [Some("[1, 2]"), None, None], None),
            (r#"{"a":1,"c":2,"c":3,"a":4}"#, [Some("1"), None, Some("2")], Some("c")),
            ("{}", [None; 3], None),
        ] {
            let picked = Picked::of(object, &NAMES).expect("an object");
            assert_eq!(picked.values.map(|value| value.map(RawValue::get)), values, "{object}");
            assert_eq!(picked.duplicate, duplicate, "{object}");
        }
        for text in ["[]", "1", "{", r#"{"a":1}x"#, r#"{"a":1,}"#] {
            assert!(Picked::of(text, &NAMES).is_err(), "{text}");
        }
    }
}

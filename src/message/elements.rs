//! The elements of an array, up to a bound that is kept while parsing: an array of 64 MiB may have millions of elements.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The first elements of an array.
#[derive(Debug)]
pub struct Elements<'a> {
    /// The elements up to the bound, in their original spelling.
    pub kept: Vec<&'a RawValue>,
    /// The number of those after it. They are JSON, and that is all that is known of them.
    pub excess: usize,
}

impl<'a> Elements<'a> {
    /// The first `most` elements of `array`.
    ///
    /// # Errors When it is not an array, or not JSON.
    pub fn of(array: &'a str, most: usize) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(array);
        let elements = First(most).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(elements)
    }
}

/// Keeps so many elements.
struct First(usize);

impl<'de> DeserializeSeed<'de> for First {
    type Value = Elements<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for First {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Elements { kept: Vec::new(), excess: 0 };
        while elements.kept.len() < self.0
            && let Some(element) = seq.next_element()?
        {
            elements.kept.push(element);
        }
        while elements.kept.len() == self.0 && seq.next_element::<IgnoredAny>()?.is_some() {
            elements.excess += 1;
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_counted_and_not_kept() {
        for (array, kept, excess) in [
            ("[]", &[][..], 0),
            ("[1]", &["1"], 0),
            ("[1, {\"a\":[2]} ]", &["1", "{\"a\":[2]}"], 0),
            ("[1,2.50,[3,4],5]", &["1", "2.50"], 2),
        ] {
            let elements = Elements::of(array, 2).expect("an array");
            assert_eq!(elements.kept.iter().map(|element| element.get()).collect::<Vec<_>>(), kept, "{array}");
            assert_eq!(elements.excess, excess, "{array}");
        }
        let many = format!("[{}1]", "1,".repeat(1_000_000));
        let elements = Elements::of(&many, 10).expect("an array");
        assert_eq!((elements.excess, elements.kept.capacity() < 100), (999_991, true));
        for text in ["{}", "[1,2,3", "[1,2,3,]", "[1,2,3]x", "[1,2,nul]"] {
            assert!(Elements::of(text, 2).is_err(), "{text}");
        }
    }
}

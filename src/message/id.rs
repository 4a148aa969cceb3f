//! Request ids, compared by value: `"a"` and `"\u0061"` are one id, `1` and `1.0` too, `1` and `"1"` are not.

use serde_json::value::RawValue;

/// A request id in comparable form. On the wire the id keeps its original spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IdKey {
    /// A number, in its shortest spelling; of any size, so kept as text.
    Number(String),
    /// A string, unescaped.
    Text(String),
    /// A string that is no Unicode text, as JavaScript can have them (half of a surrogate pair): by its spelling.
    Spelling(String),
}

impl IdKey {
    /// The id that `raw` spells, or `None` when it is neither a string nor a number (MCP forbids `null`).
    pub fn parse(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        match text.as_bytes().first()? {
            b'"' => Some(serde_json::from_str(text).map_or_else(|_| IdKey::Spelling(text.to_owned()), IdKey::Text)),
            b'-' | b'0'..=b'9' => Some(IdKey::Number(shortest(text))),
            _ => None,
        }
    }
}

/// `1.0`, `1e0` and `10e-1` become `1`; integers of any length stay as they are. Only whole numbers that a double holds
/// exactly are folded: no correct peer spells any other number in two ways.
fn shortest(text: &str) -> String {
    const EXACT_INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0; // 2^53
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return if text == "-0" { "0".to_owned() } else { text.to_owned() };
    }
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS_BELOW => {
            // Whole and below 2^53, so the cast is exact.
            #[allow(clippy::cast_possible_truncation, reason = "checked just above")]
            let whole = value as i64;
            whole.to_string()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<IdKey> {
        IdKey::parse(serde_json::from_str::<&RawValue>(text).expect("test input is JSON"))
    }

    #[test]
    fn ids_are_compared_by_meaning_not_by_spelling() {
        assert_eq!(key(r#""a""#), key(r#""\u0061""#));
        assert_eq!(key("1"), key("1.0"));
        assert_eq!(key("10"), key("1e1"));
        assert_ne!(key("1"), key(r#""1""#));
        assert_ne!(key("1"), key("1.5"));
    }

    #[test]
    fn integers_beyond_any_machine_word_stay_distinct() {
        assert_ne!(key("123456789012345678901234567890"), key("123456789012345678901234567891"));
        assert_ne!(key("9007199254740993"), key("9007199254740992"));
    }

    #[test]
    fn a_string_that_is_no_unicode_text_is_an_id_like_others() {
        assert!(key(r#""\ude00""#).is_some());
        assert_eq!(key(r#""\ude00""#), key(r#""\ude00""#));
        assert_ne!(key(r#""\ude00""#), key(r#""\ude01""#));
    }

    #[test]
    fn only_strings_and_numbers_are_ids() {
        for text in ["null", "true", "[1]", "{}"] {
            assert_eq!(key(text), None, "{text}");
        }
    }
}

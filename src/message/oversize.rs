//! Finds the id in a message that is too large to keep, so that its sender still gets an answer.

use serde_json::value::RawValue;

use super::IdKey;

use crate::limits::REFUSED_LINE_ID_BYTES;

/// Reads a message piece by piece and remembers only the top-level `id`. Text that is not JSON simply has no id.
#[derive(Debug, Default)]
pub struct IdFinder {
    depth: u64,
    in_string: bool,
    escaped: bool,
    at: Position,
    /// The current key or value at depth one, truncated at [`REFUSED_LINE_ID_BYTES`].
    token: Vec<u8>,
    ids: u32,
    id: Vec<u8>,
    method: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Position {
    #[default]
    Key,
    IdValue,
    OtherValue,
}

impl IdFinder {
    /// Reads the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        for &byte in piece {
            self.step(byte);
        }
    }

    /// The id in its original spelling, if the message has exactly one and is a request (an answer has no `method`).
    pub fn request_id(&self) -> Option<Box<RawValue>> {
        if self.ids != 1 || !self.method {
            return None;
        }
        let id: Box<RawValue> = serde_json::from_slice(&self.id).ok()?;
        IdKey::parse(&id).is_some().then_some(id)
    }

    /// The token as a key, unescaped: two spellings are one key.
    fn key(&self) -> String {
        serde_json::from_slice(&self.token).unwrap_or_default()
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            self.keep(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth == 1 {
                    self.token.clear();
                    self.at = Position::Key;
                }
            }
            b':' if self.depth == 1 => {
                let key = self.key();
                self.method |= key == "method";
                self.at = if key == "id" { Position::IdValue } else { Position::OtherValue };
                self.token.clear();
            }
            b',' if self.depth == 1 => self.end_of_member(),
            b'}' | b']' => {
                if self.depth == 1 {
                    self.end_of_member();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            byte if byte.is_ascii_whitespace() => {}
            byte => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.at != Position::OtherValue && self.token.len() < REFUSED_LINE_ID_BYTES {
            self.token.push(byte);
        }
    }

    fn end_of_member(&mut self) {
        if self.at == Position::IdValue {
            self.ids = self.ids.saturating_add(1);
            self.id = std::mem::take(&mut self.token);
        }
        self.token.clear();
        self.at = Position::Key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, step: usize) -> Option<String> {
        let mut finder = IdFinder::default();
        for piece in text.as_bytes().chunks(step) {
            finder.feed(piece);
        }
        finder.request_id().map(|id| id.get().to_owned())
    }

    #[test]
    fn the_id_is_found_wherever_it_stands_and_however_the_bytes_are_split() {
        let cases = [
            (r#"{"jsonrpc":"2.0","id":12,"method":"x","params":{"id":3,"a":"},\"id\":4"}}"#, Some("12")),
            (r#"{"method":"x","params":{"q":[1,{"id":9}]},"jsonrpc":"2.0","id":"a\"b"}"#, Some(r#""a\"b""#)),
            (r#"{"\u0069d":5,"metho\u0064":"x"}"#, Some("5")),
            (r#"{"id":1,"result":{}}"#, None),
            (r#"{"id":1,"id":2,"method":"x"}"#, None),
            (r#"{"id":null,"method":"x"}"#, None),
            (r#"["id",1,"method"]"#, None),
            (r#"{"method":"x","params":{"id":1}}"#, None),
            ("garbage , : } \"id\":1", None),
        ];
        for (text, id) in cases {
            for step in [1, 2, 7, text.len()] {
                assert_eq!(found(text, step).as_deref(), id, "{text} in steps of {step}");
            }
        }
    }

    #[test]
    fn an_id_beyond_its_bound_is_not_kept() {
        let with = |bytes: usize| format!(r#"{{"id":"{}","method":"x"}}"#, "i".repeat(bytes - 2));
        assert!(found(&with(REFUSED_LINE_ID_BYTES), 7).is_some());
        assert_eq!(found(&with(REFUSED_LINE_ID_BYTES + 1), 7), None);
        let mut finder = IdFinder::default();
        finder.feed(format!(r#"{{"{0}":"{0}"#, "k".repeat(100 * REFUSED_LINE_ID_BYTES)).as_bytes());
        assert!(finder.token.len() <= REFUSED_LINE_ID_BYTES);
    }
}

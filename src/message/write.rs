//! Writes the bridge's own messages, and makes the few edits that others' messages may need.

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::Picked;

/// A result for the request `id`, spelled as in the request.
pub fn result(id: &RawValue, result: &Value) -> Bytes {
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.get()))
}

/// The same, with the server's own result.
pub fn raw_result(id: &RawValue, result: &RawValue) -> Bytes {
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, id.get(), result.get()))
}

/// An error for the request `id`; `null` when its id could not be read.
pub fn error(id: Option<&RawValue>, error: &Value) -> Bytes {
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, id.map_or("null", RawValue::get)))
}

/// A notification without parameters.
pub fn notification(method: &str) -> Bytes {
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))
}

/// The message on one line: trims it, and turns inner line ends into spaces. In valid JSON a raw line end can only be
/// white space between tokens, so the meaning stays the same.
pub fn one_line(message: Bytes) -> Bytes {
    let trimmed = message.trim_ascii();
    if memchr::memchr2(b'\n', b'\r', trimmed).is_none() {
        return message.slice_ref(trimmed);
    }
    let line = message.slice_ref(trimmed);
    drop(message);
    // A large one that nobody else has is changed in its place.
    let mut line = line.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    for byte in line.iter_mut() {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.freeze()
}

/// `object` with `text` in place of `part`, which borrows from it.
pub fn replaced(object: &str, part: &RawValue, text: &str) -> String {
    // A borrowed part is a slice of `object`, so its address gives its position.
    let start = part.get().as_ptr().addr().wrapping_sub(object.as_ptr().addr());
    match (object.get(..start), object.get(start.wrapping_add(part.get().len())..)) {
        (Some(before), Some(after)) => [before, text, after].concat(),
        _ => object.to_owned(),
    }
}

/// Sets the id of a message, a JSON object: of an answer that lacks one, or of a request that is repeated.
pub fn with_id(object: &str, id: &RawValue) -> Bytes {
    let old = Picked::of(object, &["id"]).ok().and_then(|picked| picked.values[0]);
    let text = match old {
        Some(old) => replaced(object, old, id.get()),
        None => match object.split_once('{') {
            Some((head, rest)) => {
                let comma = if rest.trim_ascii_start().starts_with('}') { "" } else { "," };
                format!("{head}{{\"id\":{}{comma}{rest}", id.get())
            }
            None => object.to_owned(),
        },
    };
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).expect("test input is JSON")
    }

    #[test]
    fn a_message_becomes_one_line_and_stays_the_same_otherwise() {
        let pretty = Bytes::from_static(b"{\r\n  \"a\": \"x\\ny\",\n \"b\":1.10 }\n");
        assert_eq!(one_line(pretty), &b"{    \"a\": \"x\\ny\",  \"b\":1.10 }"[..]);
    }

    #[test]
    fn an_answer_without_an_id_gets_the_one_of_its_request() {
        let text = r#"{"jsonrpc":"2.0","id": null ,"error":{"code":1,"message":"\"id\": null"}}"#;
        let given = with_id(text, raw("\"q\""));
        assert_eq!(given, r#"{"jsonrpc":"2.0","id": "q" ,"error":{"code":1,"message":"\"id\": null"}}"#);
        let absent = with_id(r#" {"jsonrpc":"2.0","error":{}}"#, raw("5"));
        assert_eq!(absent, r#" {"id":5,"jsonrpc":"2.0","error":{}}"#);
    }
}

//! Invariants of all bytes of a stream, and of all messages from which headers are derived; fuzz targets look for input
//! that breaks one.

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde_json::Value;

use super::sse::{Decoder, begins_like_json};
use crate::message::peek::Params;
use crate::message::{Kind, Peek, Revision, peek};
use crate::remote::mcp_headers::McpHeaders;

/// The events read from a stream.
#[derive(Debug, Default, PartialEq)]
struct Read {
    events: Vec<Vec<u8>>,
    last_id: Option<String>,
    retry: Option<Duration>,
    too_large: bool,
}

/// However a stream is split, the same events come out: those that the standard's algorithm finds in the whole. The
/// first byte of `data` is the bound.
pub fn sse(data: &[u8]) {
    let Some((max, stream)) = data.split_first() else { return };
    let max = usize::from(*max);
    let whole = decoded(max, stream, stream.len().max(1));
    assert!(whole.events.iter().all(|event| event.len() <= max));
    for step in [1, 2, 3, 7, 64] {
        assert_eq!(decoded(max, stream, step), whole, "in steps of {step}");
    }
    if begins_like_json(stream) {
        assert_eq!(whole, Read { too_large: stream.len() > max, ..Read::default() });
    } else if !whole.too_large {
        assert_eq!(whole, by_the_standard(stream));
    }
}

fn decoded(max: usize, stream: &[u8], step: usize) -> Read {
    let mut decoder = Decoder::new(max);
    let mut read = Read::default();
    for piece in stream.chunks(step) {
        read.too_large = decoder.push(Bytes::copy_from_slice(piece)).is_err();
        while let Some(event) = decoder.next_event() {
            read.events.push(event.to_vec());
        }
        if read.too_large {
            break;
        }
    }
    read.last_id = decoder.last_event_id().map(str::to_owned);
    read.retry = decoder.retry();
    read
}

/// HTML, 9.2.6, line by line over the whole; events of other types than `message` are left out.
fn by_the_standard(stream: &[u8]) -> Read {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut bytes = stream.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => lines.push(std::mem::take(&mut line)),
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                lines.push(std::mem::take(&mut line));
            }
            byte => line.push(byte),
        }
    }
    let mut read = Read::default();
    let (mut data, mut kind, mut id) = (None::<Vec<u8>>, Vec::new(), None);
    for line in lines {
        if line.is_empty() {
            if let Some(id) = id.take() {
                read.last_id = Some(id).filter(|id: &String| !id.is_empty());
            }
            let event = data.take().unwrap_or_default();
            if !event.is_empty() && matches!(&kind[..], b"" | b"message") {
                read.events.push(event);
            }
            kind.clear();
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon.map_or((&line[..], &b""[..]), |at| (&line[..at], &line[at + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            b"event" => kind = value.to_vec(),
            b"id" if value.len() > crate::limits::EVENT_ID_BYTES => id = Some(String::new()),
            b"id" if !value.contains(&0) => id = String::from_utf8(value.to_vec()).ok().or(id),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let millis = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                read.retry = millis.map(Duration::from_millis).or(read.retry);
            }
            _ => {}
        }
    }
    read
}

/// The headers match the body, in a form that a header can carry. The first line is an answer to `tools/list`, the rest
/// a message.
pub fn mcp_headers(data: &[u8]) {
    let (list, message) = data.split_at(memchr::memchr(b'\n', data).unwrap_or(0));
    let mcp_headers = McpHeaders::default();
    if let Some(kept) = mcp_headers.learn(&Bytes::copy_from_slice(list)) {
        assert!(matches!(peek(&kept), Ok(Peek::One(Kind::Response { result: Some(_), .. }))));
        // The remaining list needs no further removal.
        assert_eq!(McpHeaders::default().learn(&kept), None);
    }
    let Ok(Peek::One(Kind::Request { method, params, .. })) = peek(message) else { return };
    let Ok(looked_at) = Params::of(params) else { return };
    let headers = mcp_headers.headers(&method, &looked_at, &Revision::V_2026_07_28);
    let value_of = |name: &str| {
        let value = headers.get(name)?.to_str().expect("printable");
        let text = match value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
            Some(coded) => String::from_utf8(BASE64_STANDARD.decode(coded).expect("base64")).expect("UTF-8"),
            None => value.to_owned(),
        };
        Some(text)
    };
    assert_eq!(value_of("mcp-protocol-version").as_deref(), Some("2026-07-28"));
    assert_eq!(value_of("mcp-method").as_deref(), Some(&*method));
    let params = params.and_then(|params| serde_json::from_str::<Value>(params.get()).ok()).unwrap_or_default();
    let member = match &*method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => "uri",
        _ => return assert_eq!(value_of("mcp-name"), None),
    };
    assert_eq!(value_of("mcp-name").as_deref(), params[member].as_str());
    for name in headers.keys().filter(|name| name.as_str().starts_with("mcp-param-")) {
        let value = value_of(name.as_str()).expect("it is there");
        assert!(holds(&params["arguments"], &value), "{name} says {value:?}, which is no argument");
    }
}

/// A tool whose arguments are marked is withheld, or each mark is a header of its own that says what its argument says. The
/// first line is the schema of a tool, the second its arguments.
pub fn marks(data: &[u8]) {
    let (schema, arguments) = data.split_at(memchr::memchr(b'\n', data).unwrap_or(data.len()));
    let (Ok(schema), Ok(arguments)) = (std::str::from_utf8(schema), std::str::from_utf8(arguments)) else { return };
    let Ok(model) = serde_json::from_str::<Value>(schema) else { return };
    let Ok(Value::Object(given)) = serde_json::from_str::<Value>(arguments) else { return };
    let list = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{{"name":"t","inputSchema":{schema}}},{{"name":"u"}}]}}}}"#
    );
    let mcp_headers = McpHeaders::default();
    let kept = mcp_headers.learn(&Bytes::from(list));
    let call =
        format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"t","arguments":{arguments}}}}}"#);
    let Ok(Peek::One(Kind::Request { method, params, .. })) = peek(call.as_bytes()) else { return };
    let Ok(params) = Params::of(params) else { return };
    let headers = mcp_headers.headers(&method, &params, &Revision::V_2026_07_28);
    let named: HashSet<&str> = headers.keys().filter_map(|name| name.as_str().strip_prefix("mcp-param-")).collect();
    if let Some(kept) = kept {
        let whole: Value = serde_json::from_slice(&kept).expect("an answer is JSON");
        assert_eq!(whole["result"]["tools"], serde_json::json!([{ "name": "u" }]));
        return assert!(named.is_empty(), "a tool that is withheld has headers: {named:?}");
    }
    let mut marked = Vec::new();
    find_marks(&model, &Value::Object(given), &mut marked);
    let names: HashSet<&str> = marked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), marked.len(), "one header for two arguments");
    let present: HashSet<&str> = marked.iter().filter(|(_, given)| *given).map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, present);
}

/// The marks of properties, each with whether its argument is given.
fn find_marks(schema: &Value, given: &Value, marked: &mut Vec<(String, bool)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(mark) = property["x-mcp-header"].as_str() {
            let is_given = given[name].is_string() || given[name].is_number() || given[name].is_boolean();
            marked.push((mark.to_ascii_lowercase(), is_given));
        }
        find_marks(property, &given[name], marked);
    }
}

fn holds(arguments: &Value, value: &str) -> bool {
    match arguments {
        Value::Object(members) => members.values().any(|member| holds(member, value)),
        Value::String(text) => text == value,
        Value::Number(_) | Value::Bool(_) => true, // spelled as in the message, which this model has not kept
        Value::Null | Value::Array(_) => false,
    }
}

//! Headers that repeat parts of the body (revision 2026-07-28, "Streamable HTTP"), so that gateways between client and
//! server can route without reading messages: `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`, and `Mcp-Param-*` for the
//! arguments that a tool's schema marks with `x-mcp-header`.
//!
//! The marks come from answers to `tools/list` as they pass through. A tool with invalid marks must not be called at
//! all, so it is removed from the list.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::{LIST_BYTES, MAX_KNOWN_TOOLS, MAX_LIST_MEMBERS, REPEATED_HEADERS_BYTES};
use crate::message::peek::Params;
use crate::message::{Elements, Kind, Peek, Revision, aside, peek, write};

use crate::remote::request::PROTOCOL_VERSION;

mod marks;

use marks::Marks;

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The JSON-RPC error code for headers that do not match the body.
const HEADER_MISMATCH: i64 = -32020;

/// The marks of the server's tools, as far as its lists have passed through.
#[derive(Debug, Default)]
pub struct McpHeaders {
    tools: Mutex<HashMap<String, Marks>>,
    /// The revision of the client's last request; notifications do not name one.
    revision: Mutex<Option<Revision>>,
}

impl McpHeaders {
    /// The headers for a notification, if the client speaks a stateless revision.
    pub fn headers_without_request(&self, method: &str, params: &Params<'_>) -> Option<HeaderMap> {
        let last = self.revision.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let revision = params.revision().or(last)?;
        Some(self.headers(method, params, &revision))
    }

    /// The headers for a message of the stateless era. What does not fit into [`REPEATED_HEADERS_BYTES`] is left out, so that
    /// the server refuses the request with its own words for it.
    pub fn headers(&self, method: &str, params: &Params<'_>, revision: &Revision) -> HeaderMap {
        *self.revision.lock().unwrap_or_else(PoisonError::into_inner) = Some(revision.clone());
        let mut headers = HeaderMap::new();
        let mut room = REPEATED_HEADERS_BYTES;
        let mut add = |name: HeaderName, value: &str| {
            // Looked at before it is encoded, which makes it longer.
            let is_short = value.len() <= room;
            let value = if is_short { HeaderValue::from_str(&encoded(value)).ok() } else { None };
            match value.filter(|value| name.as_str().len() + value.len() <= room) {
                Some(value) => {
                    room -= name.as_str().len() + value.len();
                    headers.insert(name, value);
                }
                None => tracing::debug!(%name, "a header is left out: it would be too long"),
            }
        };
        add(PROTOCOL_VERSION, revision.as_str());
        add(METHOD, method);
        let name = match method {
            "tools/call" | "prompts/get" => params.name(),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => params.uri(),
            _ => None,
        };
        if let Some(name) = &name {
            add(NAME, name);
        }
        if let ("tools/call", Some(tool), Some(arguments)) = (method, &name, params.arguments) {
            let tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
            for (header, value) in tools.get(tool).map(|marks| marks.values(arguments)).unwrap_or_default() {
                add(header.clone(), &value);
            }
        }
        headers
    }

    /// Reads the marks in an answer to `tools/list`; returns the answer without the tools whose marks are invalid, if it has
    /// any. An answer of more than [`LIST_BYTES`] or [`MAX_LIST_MEMBERS`] is not read.
    pub fn learn(&self, answer: &Bytes) -> Option<Bytes> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            tools: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Tool<'a> {
            name: String,
            #[serde(borrow, rename = "inputSchema")]
            input_schema: &'a RawValue,
        }
        if answer.len() > LIST_BYTES {
            return None;
        }
        let Ok(Peek::One(Kind::Response { result: Some(result), .. })) = peek(answer) else { return None };
        let list: List<'_> = serde_json::from_str(result.get()).ok()?;
        let members = Elements::of(list.tools.get(), MAX_LIST_MEMBERS).ok().filter(|members| members.excess == 0)?.kept;
        let mut kept = Vec::with_capacity(members.len());
        let mut learned = Vec::with_capacity(members.len());
        for member in &members {
            // What we cannot parse as a tool is left to the client.
            if let Ok(tool) = serde_json::from_str::<Tool<'_>>(member.get()) {
                let marks = Marks::of(tool.input_schema);
                let is_valid = marks.is_ok();
                learned.push((tool.name, marks));
                if !is_valid {
                    continue;
                }
            }
            kept.push(member.get());
        }
        self.take_over(learned);
        if kept.len() == members.len() {
            return None;
        }
        let text = std::str::from_utf8(answer).ok()?;
        Some(Bytes::from(write::replaced(text, list.tools, &format!("[{}]", kept.join(",")))))
    }

    /// Remembers these marks. The lists may be read on another thread, and calls wait for this alone.
    fn take_over(&self, learned: Vec<(String, Result<Marks, String>)>) {
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, marks) in learned {
            match marks {
                Ok(marks) => {
                    if tools.len() >= MAX_KNOWN_TOOLS && !tools.contains_key(&name) {
                        // A server may list ever new names. What is forgotten is looked up when a call needs it.
                        tools.clear();
                    }
                    tools.insert(name, marks);
                }
                Err(reason) => {
                    tools.remove(&name);
                    let name = crate::problem::printable(&name);
                    tracing::warn!("the tool {name:?} is withheld: {reason}");
                }
            }
        }
    }
}

/// Whether the server says that the headers do not match the body. Such an answer is short.
pub fn is_mismatch(answer: &[u8]) -> bool {
    if aside::is_long(answer.len()) {
        return false;
    }
    #[derive(Deserialize)]
    struct Answer {
        error: Option<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: i64,
    }
    serde_json::from_slice::<Answer>(answer)
        .ok()
        .and_then(|answer| answer.error)
        .is_some_and(|e| e.code == HEADER_MISMATCH)
}

/// A `tools/list` with this id (as JSON) and the `_meta` of another request, for the page at `cursor` or the first.
pub fn list_request(of: &[u8], id: &str, cursor: Option<&RawValue>) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Meta<'a> {
        #[serde(borrow, rename = "_meta")]
        meta: &'a RawValue,
    }
    let Ok(Peek::One(Kind::Request { params: Some(params), .. })) = peek(of) else { return None };
    let meta = serde_json::from_str::<Meta<'_>>(params.get()).ok()?.meta;
    let cursor = cursor.map(|cursor| format!(r#""cursor":{cursor},"#)).unwrap_or_default();
    Some(Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{cursor}"_meta":{meta}}}}}"#
    )))
}

/// The headers of that `tools/list`, from those of the other request.
pub fn list_headers(of: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(revision) = of.get(PROTOCOL_VERSION) {
        headers.insert(PROTOCOL_VERSION, revision.clone());
    }
    headers.insert(METHOD, HeaderValue::from_static("tools/list"));
    headers
}

/// The cursor of the next page, in its original spelling.
pub fn next_cursor(answer: &[u8]) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Answer {
        result: Page,
    }
    #[derive(Deserialize)]
    struct Page {
        #[serde(rename = "nextCursor")]
        next_cursor: Box<RawValue>,
    }
    let cursor = serde_json::from_slice::<Answer>(answer).ok()?.result.next_cursor;
    cursor.get().starts_with('"').then_some(cursor)
}

/// Whether a page of `tools/list` contains this tool.
pub fn lists(answer: &[u8], tool: &str) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        result: Page,
    }
    #[derive(Deserialize)]
    struct Page {
        tools: Vec<Tool>,
    }
    #[derive(Deserialize)]
    struct Tool {
        name: String,
    }
    serde_json::from_slice::<Answer>(answer)
        .is_ok_and(|answer| answer.result.tools.iter().any(|listed| listed.name == tool))
}

/// `value` as a header value: verbatim if it is printable ASCII without outer white space and does not look encoded,
/// else as `=?base64?...?=`.
fn encoded(value: &str) -> String {
    let printable = value.bytes().all(|b| (0x20..=0x7e).contains(&b));
    let looks_encoded = value.starts_with("=?base64?") && value.ends_with("?=");
    let plain = printable && value.trim() == value && !looks_encoded;
    if plain { value.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(value)) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::remote::mcp_headers::*;

    fn answer(tools: &Value) -> Bytes {
        Bytes::from(json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}).to_string())
    }

    fn headers(mcp_headers: &McpHeaders, method: &str, params: &str) -> Vec<(String, String)> {
        let raw: &RawValue = serde_json::from_str(params).expect("JSON");
        let params = Params::of(Some(raw)).expect("unambiguous");
        let headers = mcp_headers.headers(method, &params, &Revision::V_2026_07_28);
        headers.iter().map(|(n, v)| (n.to_string(), v.to_str().expect("ASCII").to_owned())).collect()
    }

    #[test]
    fn the_marks_of_ever_new_tools_are_forgotten_at_a_bound() {
        let mcp_headers = McpHeaders::default();
        let schema = json!({"type": "object", "properties": {"a": {"type": "string", "x-mcp-header": "A"}}});
        let tools = |name: &str, count| -> Vec<Value> {
            (0..count).map(|n| json!({"name": format!("{name} {n}"), "inputSchema": schema})).collect()
        };
        for name in ["first", "second"] {
            mcp_headers.learn(&answer(&json!(tools(name, MAX_KNOWN_TOOLS / 2 + 1))));
        }
        let known = mcp_headers.tools.lock().expect("nobody panicked");
        assert!(known.len() <= MAX_KNOWN_TOOLS && known.contains_key(&format!("second {}", MAX_KNOWN_TOOLS / 2)));
    }

    #[test]
    fn marked_arguments_become_headers_and_absent_ones_do_not() {
        let mcp_headers = McpHeaders::default();
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "Count"}}},
            "on": {"type": "boolean", "x-mcp-header": "On"},
            "gone": {"type": "string", "x-mcp-header": "Gone"},
            "plain": {"type": "string"}}});
        assert_eq!(mcp_headers.learn(&answer(&json!([{"name": "t", "inputSchema": schema}]))), None);
        let call = r#"{"name":"t","arguments":{"region":"å","deep":{"n":12345678901234567890123},"on":false,"gone":null,"plain":"x"}}"#;
        let mut got = headers(&mcp_headers, "tools/call", call);
        got.sort();
        let expected = [
            ("mcp-method", "tools/call"),
            ("mcp-name", "t"),
            ("mcp-param-count", "12345678901234567890123"),
            ("mcp-param-on", "false"),
            ("mcp-param-region", "=?base64?w6U=?="),
            ("mcp-protocol-version", "2026-07-28"),
        ];
        assert_eq!(got, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn the_name_comes_from_where_the_method_has_it() {
        let mcp_headers = McpHeaders::default();
        let name = |method, params| {
            headers(&mcp_headers, method, params).into_iter().find(|(n, _)| n == "mcp-name").map(|(_, v)| v)
        };
        assert_eq!(name("prompts/get", r#"{"name":"p","uri":"u"}"#).as_deref(), Some("p"));
        assert_eq!(
            name("resources/read", r#"{"name":"p","uri":"file:///ü"}"#).as_deref(),
            Some("=?base64?ZmlsZTovLy/DvA==?=")
        );
        assert_eq!(name("tools/list", r#"{"name":"p"}"#), None);
    }

    #[test]
    fn values_that_a_header_cannot_carry_are_encoded() {
        for plain in ["", "a b", "=?base64?x", "~!"] {
            assert_eq!(encoded(plain), plain);
        }
        for (value, header) in [
            (" a", "=?base64?IGE=?="),
            ("a\r\nb", "=?base64?YQ0KYg==?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(encoded(value), header);
        }
    }

    #[test]
    fn a_tool_whose_marks_are_invalid_is_taken_out_of_the_list_and_nothing_else_is_touched() {
        let bad = [
            json!({"type": "object", "x-mcp-header": "Root"}),
            json!({"properties": {"a": {"type": "string", "x-mcp-header": ""}}}),
            json!({"properties": {"a": {"type": "string", "x-mcp-header": "no token"}}}),
            json!({"properties": {"a": {"type": "string", "x-mcp-header": 1}}}),
            json!({"properties": {"a": {"type": "array", "x-mcp-header": "A"}}}),
            json!({"properties": {"a": {"type": "number", "x-mcp-header": "A"}}}),
            json!({"properties": {"a": {"type": "string", "x-mcp-header": "A"}, "b": {"type": "string", "x-mcp-header": "a"}}}),
            json!({"properties": {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}}),
            json!({"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]}),
            json!({"$defs": {"d": {"type": "string", "x-mcp-header": "A"}}}),
        ];
        for schema in bad {
            let mcp_headers = McpHeaders::default();
            let good = r#"{"name":"good","n":1.0,"inputSchema":{"properties":{"x-mcp-header":{"type":"string"}},"default":{"x-mcp-header":1}}}"#;
            let list = format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":1.0,"tools":[{{"name":"bad","inputSchema":{schema}}}, {good}],"z":2}}}}"#
            );
            let kept = mcp_headers.learn(&Bytes::from(list)).unwrap_or_else(|| panic!("{schema} was let through"));
            assert_eq!(kept, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":1.0,"tools":[{good}],"z":2}}}}"#));
        }
    }

    #[test]
    fn headers_that_repeat_the_body_are_bounded_together() {
        let mcp_headers = McpHeaders::default();
        let property = |n| (format!("a{n}"), json!({"type": "string", "x-mcp-header": format!("A{n}")}));
        let schema = json!({"properties": (0..64).map(property).collect::<serde_json::Map<_, _>>()});
        assert_eq!(mcp_headers.learn(&answer(&json!([{"name": "t", "inputSchema": schema}]))), None);
        let arguments: serde_json::Map<_, _> = (0..64).map(|n| (format!("a{n}"), json!("é".repeat(1_000)))).collect();
        let got = headers(&mcp_headers, "tools/call", &json!({"name": "t", "arguments": arguments}).to_string());
        let bytes: usize = got.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= REPEATED_HEADERS_BYTES && got.len() > 10, "{bytes} bytes in {} headers", got.len());
        let long = json!({"name": "n".repeat(10_000_000), "arguments": {}}).to_string();
        let got = headers(&mcp_headers, "tools/call", &long);
        assert_eq!(got.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["mcp-protocol-version", "mcp-method"]);
    }

    #[test]
    fn a_mismatch_is_told_by_its_code() {
        assert!(is_mismatch(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32020,"message":"x"}}"#));
        assert!(!is_mismatch(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"-32020"}}"#));
    }

    #[test]
    fn the_private_list_request_speaks_as_the_client_does() {
        let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":{"v": 1.0}}}"#;
        let list = list_request(call, "\"own\"", None).expect("it has _meta");
        assert_eq!(list, r#"{"jsonrpc":"2.0","id":"own","method":"tools/list","params":{"_meta":{"v": 1.0}}}"#);
        let page = br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"nextCursor":"p\u0032"}}"#;
        let cursor = next_cursor(page).expect("there is more");
        let list = list_request(call, "\"own\"", Some(&cursor)).expect("it has _meta");
        let expected =
            r#"{"jsonrpc":"2.0","id":"own","method":"tools/list","params":{"cursor":"p\u0032","_meta":{"v": 1.0}}}"#;
        assert_eq!(list, expected);
        assert!(lists(page, "a") && !lists(page, "b"));
        assert!(next_cursor(br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[],"nextCursor":null}}"#).is_none());
    }
}

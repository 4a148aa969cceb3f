//! Answers that a test scripts to the byte, in front of the true MCP server.

use std::collections::HashSet;
use std::sync::Mutex;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::body::{Answer, AnswerBody, answer, broken, set_header, streamed, whole};
use crate::gate::Gate;
use crate::lock;
use crate::peek::Peek;

/// An answer of exactly these bytes; `{id}` in them becomes the request's id as it stood in the request.
///
/// ```
/// use planhat_sandbox::RawReply;
///
/// let one = RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{"n":1e400}}"#);
/// let two = RawReply::sse()
///     .event(r#"{"jsonrpc":"2.0","method":"notifications/odd"}"#)
///     .event(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#);
/// ```
#[derive(Debug, Clone)]
pub struct RawReply {
    status: u16,
    headers: Vec<(String, String)>,
    pieces: Vec<Piece>,
    left: Option<u64>,
}

#[derive(Debug, Clone)]
enum Piece {
    Bytes(Vec<u8>),
    Wait(Gate),
    Cut,
}

impl RawReply {
    /// This status with no body and no headers yet.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), pieces: Vec::new(), left: None }
    }

    /// 200 with this JSON body.
    pub fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).header("content-type", "application/json").bytes(body)
    }

    /// 202 without a body, as for a notification.
    pub fn accepted() -> Self {
        Self::status(202)
    }

    /// 200 with an event stream that is empty so far.
    pub fn sse() -> Self {
        Self::status(200).header("content-type", "text/event-stream")
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds bytes; each piece is flushed by itself.
    pub fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.pieces.push(Piece::Bytes(bytes.into()));
        self
    }

    /// Adds an SSE event with this data and nothing else.
    pub fn event(self, data: &str) -> Self {
        self.bytes(event(data))
    }

    /// Holds what follows until the gate opens.
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.pieces.push(Piece::Wait(gate.clone()));
        self
    }

    /// Breaks the connection off here.
    pub fn cut(mut self) -> Self {
        self.pieces.push(Piece::Cut);
        self
    }

    /// Answers this many requests and then no more; all of them unless said.
    pub fn times(mut self, requests: u64) -> Self {
        self.left = Some(requests);
        self
    }

    /// Answers one request.
    pub fn once(self) -> Self {
        self.times(1)
    }
}

/// An SSE event with this data; line breaks in it become further `data:` lines.
pub(crate) fn event(data: &str) -> String {
    let mut event = String::with_capacity(data.len() + 24);
    event.push_str("event: message\n");
    for line in data.split('\n') {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

#[derive(Debug)]
struct Rule {
    method: String,
    tool: Option<String>,
    reply: RawReply,
}

/// The scripted answers, and the ids of requests that scripts sent to the client.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<HashSet<String>>,
}

impl Script {
    pub(crate) fn add(&self, method: &str, tool: Option<&str>, reply: RawReply) {
        lock(&self.rules).push(Rule { method: method.into(), tool: tool.map(str::to_owned), reply });
    }

    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// Whether a script plays the whole server: then there is no true session behind the streams.
    pub(crate) fn plays_server(&self) -> bool {
        lock(&self.rules).iter().any(|rule| rule.method == "initialize")
    }

    /// The newest rule for this request that is not used up.
    pub(crate) fn take(&self, peek: &Peek) -> Option<RawReply> {
        let method = peek.method.as_deref()?;
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().rev().find(|rule| {
            rule.method == method
                && rule.reply.left != Some(0)
                && rule.tool.as_deref().is_none_or(|tool| Some(tool) == peek.tool.as_deref())
        })?;
        if let Some(left) = &mut rule.reply.left {
            *left -= 1;
        }
        Some(rule.reply.clone())
    }

    /// Remembers the id when the text is a request to the client, whose answer the true server must not see.
    pub(crate) fn note_request(&self, message: &str) {
        let peek = Peek::of(message.as_bytes());
        if let (Some(_), Some(id)) = (peek.method, peek.id) {
            lock(&self.asked).insert(id);
        }
    }

    /// Whether this is the client's answer to a request that a script sent.
    pub(crate) fn is_answer(&self, peek: &Peek) -> bool {
        peek.is_answer() && peek.id.as_ref().is_some_and(|id| lock(&self.asked).remove(id))
    }

    pub(crate) fn answer(&self, reply: RawReply, id: Option<&str>) -> Answer {
        let RawReply { status, headers, mut pieces, .. } = reply;
        for piece in &mut pieces {
            if let Piece::Bytes(bytes) = piece {
                *bytes = with_id(bytes, id.unwrap_or("null").as_bytes());
                self.note_requests(bytes);
            }
        }
        let mut answer = answer(status, "", Bytes::new());
        for (name, value) in &headers {
            set_header(&mut answer, name, value);
        }
        *answer.body_mut() = body(pieces);
        answer
    }

    fn note_requests(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            let line = line.strip_prefix("data:").unwrap_or(line).trim();
            if serde_json::from_str::<&RawValue>(line).is_ok() {
                self.note_request(line);
            }
        }
    }
}

fn body(mut pieces: Vec<Piece>) -> AnswerBody {
    if let [Piece::Bytes(bytes)] = pieces.as_mut_slice() {
        return whole(std::mem::take(bytes));
    }
    if pieces.is_empty() {
        return whole(Bytes::new());
    }
    let (sender, body) = streamed();
    tokio::spawn(async move {
        for piece in pieces {
            let sent = match piece {
                Piece::Bytes(bytes) => sender.send(Ok(bytes.into())).await,
                Piece::Wait(gate) => {
                    tokio::select! {
                        () = gate.pass() => Ok(()),
                        () = sender.closed() => return,
                    }
                }
                Piece::Cut => {
                    let _ = sender.send(Err(broken())).await;
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    });
    body
}

fn with_id(bytes: &[u8], id: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"{id}";
    let mut out = Vec::with_capacity(bytes.len() + id.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(id);
        rest = &rest[at + MARK.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_put_in_as_it_stood() {
        assert_eq!(with_id(br#"{"id":{id},"x":"{id}"}"#, b"1.0e2"), br#"{"id":1.0e2,"x":"1.0e2"}"#);
    }

    #[test]
    fn a_rule_that_is_used_up_gives_way_to_the_one_before() {
        let script = Script::default();
        script.add("a/b", None, RawReply::status(200));
        script.add("a/b", None, RawReply::status(500).once());
        let peek = Peek { method: Some("a/b".into()), ..Peek::default() };
        let statuses: Vec<_> = (0..3).filter_map(|_| script.take(&peek)).map(|reply| reply.status).collect();
        assert_eq!(statuses, [500, 200, 200]);
    }

    #[test]
    fn answers_to_scripted_requests_are_recognised_once() {
        let script = Script::default();
        script.note_requests(b"data: {\"jsonrpc\":\"2.0\",\"id\":\"s-1\",\"method\":\"roots/list\"}\n\n");
        let peek = Peek::of(br#"{"jsonrpc":"2.0","id":"s-1","result":{}}"#);
        assert!(script.is_answer(&peek));
        assert!(!script.is_answer(&peek));
    }
}

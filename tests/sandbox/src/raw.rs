//! Answers that a test scripts to the byte, in front of the true MCP server.

use std::collections::HashSet;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::body::{Answer, AnswerBody, answer, broken, set_header, streamed, whole};
use crate::gate::Gate;
use crate::gzip::Gzip;
use crate::lock;
use crate::peek::Peek;

/// The rule for standing streams: what stands in the place of a method that no message can have.
pub(crate) const STREAM: &str = "GET";
/// The rule for streams that are taken up again with `Last-Event-ID`.
pub(crate) const RESUMED: &str = "GET after an event";
/// How the ids begin of requests that an endless answer sends: there are too many to remember.
const ENDLESS_ID: &str = "\"attack-";

/// An answer of exactly these bytes; in them and in the headers `{id}` becomes the request's id as it stood in the request,
/// and `{n}` a number that no other answer has.
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
    Gzip(Gzip),
    Endless { bytes: Vec<u8>, every: Option<Duration> },
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

    /// Makes this gzip file the body.
    pub fn gzip(mut self, file: Gzip) -> Self {
        self.pieces = vec![Piece::Gzip(file)];
        self.header("content-encoding", "gzip")
    }

    /// Repeats these bytes until nobody reads them any more; `{i}` in them counts. Ids of requests in them must begin with
    /// `attack-`.
    pub fn endless(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.pieces.push(Piece::Endless { bytes: bytes.into(), every: None });
        self
    }

    /// The same with a pause after each time.
    pub fn dripping(mut self, bytes: impl Into<Vec<u8>>, every: Duration) -> Self {
        self.pieces.push(Piece::Endless { bytes: bytes.into(), every: Some(every) });
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
    /// Given in turn.
    replies: Vec<RawReply>,
    next: usize,
    left: Option<u64>,
    /// Whether an attack made it, which can be stopped.
    attack: bool,
}

/// The scripted answers, and the ids of requests that scripts sent to the client.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Mutex<Vec<Rule>>,
    asked: Mutex<HashSet<String>>,
}

impl Script {
    pub(crate) fn add(&self, method: &str, tool: Option<&str>, reply: RawReply) {
        self.add_rule(method, tool, vec![reply], false);
    }

    /// Adds answers of an attack, which are given in turn.
    pub(crate) fn add_attack(&self, method: &str, tool: Option<&str>, replies: Vec<RawReply>) {
        self.add_rule(method, tool, replies, true);
    }

    fn add_rule(&self, method: &str, tool: Option<&str>, replies: Vec<RawReply>, attack: bool) {
        let left = replies.first().and_then(|reply| reply.left);
        let (method, tool) = (method.to_owned(), tool.map(str::to_owned));
        lock(&self.rules).push(Rule { method, tool, replies, next: 0, left, attack });
    }

    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
    }

    pub(crate) fn stop_attacks(&self) {
        lock(&self.rules).retain(|rule| !rule.attack);
    }

    /// Whether a script plays the whole server: then there is no true session behind the streams.
    pub(crate) fn plays_server(&self) -> bool {
        lock(&self.rules).iter().any(|rule| rule.method == "initialize")
    }

    /// The newest rule for this request that is not used up.
    pub(crate) fn take(&self, peek: &Peek) -> Option<RawReply> {
        self.take_for(peek.method.as_deref()?, peek.tool.as_deref())
    }

    /// The same for a stream.
    pub(crate) fn take_stream(&self, resumed: bool) -> Option<RawReply> {
        self.take_for(if resumed { RESUMED } else { STREAM }, None)
    }

    fn take_for(&self, method: &str, tool: Option<&str>) -> Option<RawReply> {
        let mut rules = lock(&self.rules);
        let rule = rules.iter_mut().rev().find(|rule| {
            rule.method == method
                && rule.left != Some(0)
                && rule.tool.as_deref().is_none_or(|wanted| Some(wanted) == tool)
        })?;
        if let Some(left) = &mut rule.left {
            *left -= 1;
        }
        let reply = rule.replies.get(rule.next).cloned();
        rule.next = (rule.next + 1) % rule.replies.len().max(1);
        reply
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
        let asked = |id: &String| id.starts_with(ENDLESS_ID) || lock(&self.asked).remove(id);
        peek.is_answer() && peek.id.as_ref().is_some_and(asked)
    }

    /// The answer to the request with this id; `number` is what no other answer has.
    pub(crate) fn answer(&self, reply: RawReply, id: Option<&str>, number: u64) -> Answer {
        let RawReply { status, headers, mut pieces, .. } = reply;
        let (id, number) = (id.unwrap_or("null"), number.to_string());
        for piece in &mut pieces {
            match piece {
                Piece::Bytes(bytes) => {
                    *bytes = with(&with(bytes, b"{id}", id.as_bytes()), b"{n}", number.as_bytes());
                    self.note_requests(bytes);
                }
                Piece::Gzip(file) => {
                    *piece = Piece::Bytes(file.filled(|text| text.replace("{id}", id).replace("{n}", &number)));
                }
                Piece::Endless { .. } | Piece::Wait(_) | Piece::Cut => {}
            }
        }
        let mut answer = answer(status, "", Bytes::new());
        for (name, value) in &headers {
            set_header(&mut answer, name, &value.replace("{n}", &number));
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
                Piece::Gzip(file) => sender.send(Ok(file.bytes().into())).await,
                Piece::Endless { bytes, every } => return repeat(&sender, bytes, every).await,
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

/// Sends these bytes until nobody reads them any more.
async fn repeat(sender: &mpsc::Sender<io::Result<Bytes>>, bytes: Vec<u8>, every: Option<Duration>) {
    const MARK: &[u8] = b"{i}";
    let counts = bytes.windows(MARK.len()).any(|window| window == MARK);
    let same = Bytes::from(bytes);
    for turn in 0_u64.. {
        let piece = if counts { with(&same, MARK, turn.to_string().as_bytes()).into() } else { same.clone() };
        if sender.send(Ok(piece)).await.is_err() {
            return;
        }
        if let Some(every) = every {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = sender.closed() => return,
            }
        }
    }
}

/// `bytes` with `value` in each place where `mark` stands.
fn with(bytes: &[u8], mark: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + value.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(value);
        rest = &rest[at + mark.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_put_in_as_it_stood() {
        assert_eq!(with(br#"{"id":{id},"x":"{id}"}"#, b"{id}", b"1.0e2"), br#"{"id":1.0e2,"x":"1.0e2"}"#);
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
    fn answers_of_an_attack_are_given_in_turn_until_it_is_stopped() {
        let script = Script::default();
        script.add_attack(STREAM, None, vec![RawReply::status(200), RawReply::status(404)]);
        let statuses: Vec<_> = (0..3).filter_map(|_| script.take_stream(false)).map(|reply| reply.status).collect();
        assert_eq!((statuses, script.take_stream(true).is_none()), (vec![200, 404, 200], true));
        script.stop_attacks();
        assert!(script.take_stream(false).is_none());
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

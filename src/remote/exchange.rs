//! The answer to one POST: nothing, one JSON body, or a stream of events. Each yields whole messages.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};

use crate::config::Settings;
use crate::http::Http;
use crate::message::{aside, peek, utf8};
use crate::secret::Secrets;

use super::body::{Media, PartialBody};
use super::body_room::{BodyRoom, Message};
use super::failure::Failure;
use super::lost_session::LossWatch;
use super::one_stream::AwaitedAnswer;
use super::patience::Patience;
use super::refusal::explain_refusal;
use super::sse::Decoder;
use super::stream::EventStream;

/// An answer, as it is read.
#[derive(Debug)]
pub struct Exchange {
    /// The headers of the answer, for `Mcp-Session-Id`.
    pub headers: HeaderMap,
    /// The interactive grant under which the message was sent.
    pub grant: Option<u64>,
    /// The epoch of the session in which the message was sent.
    pub epoch: u64,
    /// The secrets in the request, to mask where the answer quotes them.
    pub sent: Secrets,
    body: Body,
    /// Checks whether the first message says that the session is lost.
    loss_watch: Option<LossWatch>,
}

#[derive(Debug)]
enum Body {
    Nothing,
    Unread(Box<Unread>),
    Whole(Option<Message>),
    Stream(Box<EventStream>),
    /// The answer comes on the one stream of HTTP+SSE.
    Awaited(Box<AwaitedAnswer>),
    /// The messages of events that came under another name, with the room of them all.
    Events(VecDeque<Bytes>, BodyRoom),
}

/// A body to read once its reader has room for it.
#[derive(Debug)]
pub(super) struct Unread {
    /// Bounds the body, and explains one that is not an answer.
    pub(super) settings: Arc<Settings>,
    /// The response, with only its head read.
    pub(super) response: Response,
    /// Whether an answer is expected in the body.
    pub(super) expects: bool,
    /// Explains connection errors.
    pub(super) http: Http,
    /// How long the body may stall.
    pub(super) patience: Patience,
    /// The part of the body received so far.
    pub(super) body: PartialBody,
}

impl Unread {
    /// The one message in the body; `None` when it is empty.
    async fn read(&mut self) -> Result<Option<Message>, Failure> {
        let max = self.settings.limits.max_message_bytes;
        self.body.read(&self.http, &mut self.response, max, &self.patience).await?;
        Ok(self.body.take())
    }

    /// The failure, if an answer is expected and `body` is of a kind that MCP does not use.
    async fn not_mcp(&self, headers: &HeaderMap, body: &Bytes, sent: &Secrets) -> Option<Failure> {
        let looked_at = body.clone();
        if !self.expects
            || Media::of(headers) != Media::Other
            || aside(body.len(), move || peek(&utf8::mended(looked_at)).is_ok()).await
        {
            return None;
        }
        let (status, url) = (self.response.status(), self.response.url());
        Some(explain_refusal(&self.settings, url, status, headers, body, sent).into())
    }
}

impl Exchange {
    /// An answer without a message: 202.
    pub(super) fn accepted(headers: HeaderMap) -> Self {
        Self::of(headers, Body::Nothing)
    }

    /// An answer that is one message.
    pub(super) fn whole(headers: HeaderMap, message: Option<Message>) -> Self {
        Self::of(headers, Body::Whole(message))
    }

    /// An answer whose body is still to be read.
    pub(super) fn unread(headers: HeaderMap, unread: Unread) -> Self {
        Self::of(headers, Body::Unread(Box::new(unread)))
    }

    /// An answer that is a stream.
    pub(super) fn stream(headers: HeaderMap, stream: EventStream) -> Self {
        Self::of(headers, Body::Stream(Box::new(stream)))
    }

    /// An answer that comes on the one stream.
    pub(super) fn awaited(headers: HeaderMap, answer: Box<AwaitedAnswer>) -> Self {
        Self::of(headers, Body::Awaited(answer))
    }

    /// Whether it is the one stream of HTTP+SSE instead, which no answer comes on. Waits for the first event of a stream.
    pub(super) async fn is_one_stream(&mut self) -> bool {
        match &mut self.body {
            Body::Stream(stream) => stream.endpoint().await.is_some(),
            _ => false,
        }
    }

    fn of(headers: HeaderMap, body: Body) -> Self {
        Self { headers, grant: None, epoch: 0, sent: Secrets::none(), body, loss_watch: None }
    }

    /// Records the grant, session epoch and secrets that the message was sent with.
    pub(super) fn sent_with(self, grant: Option<u64>, epoch: u64, sent: Secrets) -> Self {
        Self { grant, epoch, sent, ..self }
    }

    /// Watches it for the loss of its session.
    pub(super) fn watched(self, loss_watch: Option<LossWatch>) -> Self {
        Self { loss_watch, ..self }
    }

    /// The next whole message; `None` at the end.
    ///
    /// # Errors When the body breaks, stalls for too long, carries a message over the bound, or says that the session
    /// is lost.
    pub async fn next(&mut self) -> Result<Option<Message>, Failure> {
        match &mut self.body {
            Body::Nothing => Ok(None),
            Body::Whole(message) => Ok(message.take()),
            Body::Awaited(answer) => answer.next().await,
            Body::Events(events, room) => Ok(next_of(events, room)),
            Body::Stream(stream) => {
                let message = stream.next().await?;
                if let Some(watch) = self.loss_watch.take() {
                    // Anything after a message is about a request that the server has started to execute.
                    let first = message.as_ref().map(|message| message.body.clone()).or_else(|| stream.take_error());
                    self.check_loss(&watch, first.as_deref())?;
                }
                Ok(message)
            }
            Body::Unread(unread) => {
                let message = unread.read().await?;
                let Body::Unread(unread) = std::mem::replace(&mut self.body, Body::Nothing) else { return Ok(None) };
                if let Some(watch) = self.loss_watch.take() {
                    self.check_loss(&watch, message.as_ref().map(|message| &message.body[..]))?;
                }
                let Some(message) = message else { return Ok(None) };
                if let Some(events) = events_in(&message.body, unread.settings.limits.max_message_bytes) {
                    let (mut events, mut room) = (events, message.room);
                    let first = next_of(&mut events, &mut room);
                    self.body = Body::Events(events, room);
                    return Ok(first);
                }
                match unread.not_mcp(&self.headers, &message.body, &self.sent).await {
                    Some(failure) => Err(failure),
                    None => Ok(Some(message)),
                }
            }
        }
    }

    /// A message that has come and was not taken, without waiting for anything.
    pub fn take_decoded(&mut self) -> Option<Message> {
        let message = match &mut self.body {
            Body::Stream(stream) => stream.take_decoded(),
            Body::Whole(message) => message.take(),
            Body::Awaited(answer) => answer.take_now(),
            Body::Events(events, room) => next_of(events, room),
            Body::Nothing | Body::Unread(_) => None,
        }?;
        // The first one may say that the session is lost, and is no answer then.
        let says_lost = self.loss_watch.take().is_some_and(|watch| watch.says_lost(&message.body));
        if says_lost { None } else { Some(message) }
    }

    /// For tests alone: a stream of these events.
    #[cfg(test)]
    pub(crate) fn of_events(events: String) -> Self {
        use super::body::Reading;
        let patience = Patience { idle: None, owed: Default::default() };
        let response = Response::from(http::Response::new(events));
        let reading = Reading { rooms: Default::default(), max: 1024, idle: Duration::from_secs(300) };
        Self::stream(HeaderMap::new(), EventStream::new(Http::new(Default::default()), response, reading, patience))
    }

    fn check_loss(&self, watch: &LossWatch, body: Option<&[u8]>) -> Result<(), Failure> {
        let Some(body) = body.filter(|body| watch.says_lost(body)) else { return Ok(()) };
        let settings = &watch.settings;
        let problem = explain_refusal(settings, &settings.url, StatusCode::OK, &self.headers, body, &self.sent);
        Err(Failure::SessionLost { epoch: self.epoch, otherwise: Box::new(problem) })
    }

    /// Where to resume the answer, if it is a broken stream with an event id.
    pub fn resume_from(&self) -> Option<(&str, Option<Duration>)> {
        match &self.body {
            Body::Stream(stream) if !stream.is_spent() => stream.last_event_id().map(|id| (id, stream.retry())),
            Body::Stream(_)
            | Body::Nothing
            | Body::Whole(_)
            | Body::Unread(_)
            | Body::Awaited(_)
            | Body::Events(..) => None,
        }
    }

    /// Whether the server has sent anything after the headers.
    pub fn has_data(&self) -> bool {
        match &self.body {
            Body::Stream(stream) => stream.has_data(),
            Body::Nothing | Body::Whole(_) | Body::Unread(_) | Body::Awaited(_) | Body::Events(..) => false,
        }
    }
}

/// The messages in a whole body that is an event stream and was not called one: no JSON text begins with a field.
fn events_in(body: &Bytes, max: usize) -> Option<VecDeque<Bytes>> {
    const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    if !FIELDS.iter().any(|field| body.starts_with(field)) {
        return None;
    }
    let mut decoder = Decoder::new(max);
    decoder.push(body.clone()).ok()?;
    decoder.finish();
    let events: VecDeque<_> = std::iter::from_fn(|| decoder.next_event()).collect();
    events.front().is_some_and(|first| matches!(first.trim_ascii_start().first(), Some(b'{' | b'['))).then_some(events)
}

/// The next message of these, of which the last one takes the room of them all.
fn next_of(events: &mut VecDeque<Bytes>, room: &mut BodyRoom) -> Option<Message> {
    while let Some(event) = events.pop_front() {
        let its = if events.is_empty() { std::mem::take(room) } else { BodyRoom::default() };
        if let Some(message) = Message::new(event, its) {
            return Some(message);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_recognised_under_another_name_and_taken_one_by_one() {
        let taken = |body: &str| {
            let mut events = events_in(&Bytes::copy_from_slice(body.as_bytes()), 1_000)?;
            let mut room = BodyRoom::default();
            let texts = std::iter::from_fn(|| next_of(&mut events, &mut room))
                .map(|message| String::from_utf8(message.body.to_vec()).expect("UTF-8"));
            Some(texts.collect::<Vec<_>>())
        };
        assert_eq!(taken("event: message\ndata: {\"a\":1}\n\n"), Some(vec!["{\"a\":1}".to_owned()]));
        assert_eq!(taken(": hi\n\ndata: {}\n\nid: 2\ndata: [2]\n\n"), Some(vec!["{}".to_owned(), "[2]".to_owned()]));
        assert_eq!(
            taken(r#"data: {"jsonrpc":"2.0","id":1,"result":{}}"#).map(|all| all.len()),
            Some(1),
            "without its end"
        );
        for body in ["{}", "[1]", "", "event: ping\n\n", "Error: no", "data: of a page\n\n", "<html>", "data"] {
            assert_eq!(taken(body), None, "{body}");
        }
    }
}

//! What comes back from a request: nothing, one JSON body, or a stream of events; each yields whole messages.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::config::{Product, Settings};
use crate::http::{Http, NetError, Step, host_of};
use crate::message::peek;
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secrets, ServerWords};

use crate::remote::Failure;
use crate::remote::session::OwedAnswers;
use crate::remote::sse::Decoder;

/// An answer that is being read.
#[derive(Debug)]
pub struct Exchange {
    /// The headers of the answer, for `Mcp-Session-Id`.
    pub headers: HeaderMap,
    /// The interactive grant that it was sent under.
    pub grant: Option<u64>,
    /// The epoch of the session that it was sent in.
    pub epoch: u64,
    /// What was sent and must not be shown when the answer quotes it.
    pub sent: Secrets,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Nothing,
    Unread(Box<Unread>),
    Whole(Option<Bytes>),
    Stream(Box<Stream>),
}

/// A body that is read when somebody has room for it.
#[derive(Debug)]
pub struct Unread {
    /// For its bounds, and to explain what is no answer.
    pub settings: Arc<Settings>,
    /// The answer, of which only the head was read.
    pub response: Response,
    /// Whether an answer is expected in it.
    pub expects: bool,
    /// How connection errors are told.
    pub http: Http,
    /// How long it may stand still.
    pub patience: Patience,
    /// What was sent and must not be shown.
    pub sent: Secrets,
}

impl Unread {
    /// The one message in it; `None` when it is empty.
    async fn read(mut self, headers: &HeaderMap) -> Result<Option<Bytes>, Failure> {
        let limits = &self.settings.limits;
        let url = self.response.url().clone();
        let max = limits.max_message_bytes;
        let body = read_whole(&self.http, &url, &mut self.response, max, &self.patience).await?;
        if body.trim_ascii().is_empty() {
            return Ok(None);
        }
        if self.expects && Media::of(headers) == Media::Other && peek(&body).is_err() {
            let status = self.response.status();
            return Err(explain_refusal(&self.settings, &url, status, headers, &body, &self.sent).into());
        }
        Ok(Some(body))
    }
}

/// A stream of events that is being read.
#[derive(Debug)]
pub struct Stream {
    http: Http,
    url: Url,
    response: Response,
    decoder: Decoder,
    max: usize,
    patience: Patience,
    /// Whether it continues a stream that broke.
    resumed: bool,
    /// Whether it has brought anything at all.
    heard: bool,
    /// Whether the server has closed it.
    ended: bool,
    /// Whether an event was over the bound: nothing after it can be told apart.
    overflowed: bool,
}

/// How long silence is borne.
#[derive(Debug, Clone)]
pub struct Patience {
    /// `None`: for ever.
    pub idle: Option<Duration>,
    /// While the client owes the server an answer, silence does not count.
    pub owed: OwedAnswers,
}

impl Patience {
    /// Waits for `next` as long as silence is borne; `None` when that is over.
    pub async fn wait<T>(&self, next: impl Future<Output = T>) -> Option<T> {
        let Some(mut left) = self.idle else { return Some(next.await) };
        let mut owed = self.owed.subscribe();
        tokio::pin!(next);
        loop {
            let stands_still = *owed.borrow_and_update() > 0;
            let start = Instant::now();
            tokio::select! {
                biased;
                value = &mut next => return Some(value),
                _ = owed.changed() => {}
                () = tokio::time::sleep(left), if !stands_still => return None,
            }
            if !stands_still {
                left = left.saturating_sub(start.elapsed());
            }
        }
    }
}

/// What kind of body an answer declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, or nothing declared.
    Json,
    /// `text/event-stream`.
    Events,
    /// Something that MCP does not use.
    Other,
}

impl Media {
    /// Reads `Content-Type`.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()) else { return Self::Json };
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Events
        } else if essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json") {
            Self::Json
        } else {
            Self::Other
        }
    }
}

impl Exchange {
    /// An answer without a message: 202.
    pub fn accepted(headers: HeaderMap) -> Self {
        Self { headers, grant: None, epoch: 0, sent: Secrets::none(), body: Body::Nothing }
    }

    /// An answer that is one message.
    pub fn whole(headers: HeaderMap, message: Bytes) -> Self {
        Self { headers, grant: None, epoch: 0, sent: Secrets::none(), body: Body::Whole(Some(message)) }
    }

    /// An answer whose body is still to be read.
    pub fn unread(headers: HeaderMap, unread: Unread) -> Self {
        Self { headers, grant: None, epoch: 0, sent: Secrets::none(), body: Body::Unread(Box::new(unread)) }
    }

    /// How long the body is that [`Exchange::next`] will read as a whole, as far as the server says; `None` when nothing
    /// is left to be read in that way.
    pub fn to_read(&self) -> Option<Option<u64>> {
        match &self.body {
            Body::Unread(unread) => Some(unread.response.content_length()),
            _ => None,
        }
    }

    /// An answer that is a stream.
    pub fn stream(headers: HeaderMap, stream: Stream) -> Self {
        Self { headers, grant: None, epoch: 0, sent: Secrets::none(), body: Body::Stream(Box::new(stream)) }
    }

    /// The next whole message; `None` at the end.
    ///
    /// # Errors
    /// When the stream breaks, stands still for too long or carries an event over the bound.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match &mut self.body {
            Body::Nothing => Ok(None),
            Body::Whole(message) => Ok(message.take()),
            Body::Stream(stream) => stream.next().await,
            Body::Unread(_) => match std::mem::replace(&mut self.body, Body::Nothing) {
                Body::Unread(unread) => unread.read(&self.headers).await,
                _ => Ok(None),
            },
        }
    }
}

impl Exchange {
    /// Where the answer would be taken up again, if it is a stream that broke and the server has said so.
    pub fn resume_from(&self) -> Option<(&str, Option<Duration>)> {
        match &self.body {
            Body::Stream(stream) if !stream.is_spent() => stream.last_event_id().map(|id| (id, stream.retry())),
            Body::Stream(_) | Body::Nothing | Body::Whole(_) | Body::Unread(_) => None,
        }
    }

    /// Whether the server has sent anything after the headers.
    pub fn was_heard(&self) -> bool {
        match &self.body {
            Body::Stream(stream) => stream.heard,
            Body::Nothing | Body::Whole(_) | Body::Unread(_) => false,
        }
    }
}

impl Stream {
    /// Reads `response` as events of at most `max` bytes.
    pub fn new(http: Http, url: Url, response: Response, max: usize, patience: Patience) -> Self {
        let decoder = Decoder::new(max);
        Self {
            http,
            url,
            response,
            decoder,
            max,
            patience,
            resumed: false,
            heard: false,
            ended: false,
            overflowed: false,
        }
    }

    /// The next whole message; `None` when the server closed the stream.
    ///
    /// # Errors
    /// As [`Exchange::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(event) = self.decoder.next_event() {
                return Ok(Some(event));
            }
            if self.overflowed {
                return Err(NetError::too_large(&self.url, self.max).into());
            }
            let Some(piece) = self.patience.wait(self.response.chunk()).await else {
                return Err(NetError::timed_out(&self.url, self.patience.idle.unwrap_or_default()).into());
            };
            match piece.map_err(|e| broken(self.http.explain(&self.url, &e)))? {
                None => {
                    self.ended = true;
                    return Ok(None);
                }
                Some(piece) => {
                    self.heard = true;
                    // What was complete before it is still delivered.
                    self.overflowed = self.decoder.push(piece).is_err();
                }
            }
        }
    }

    /// The same stream, known to continue one that ended after the event `id`.
    #[must_use]
    pub fn after(mut self, id: &str, retry: Option<Duration>) -> Self {
        self.decoder.continue_after(id, retry);
        self.resumed = true;
        self
    }

    /// Whether there is nothing to be had after its last event: servers that have forgotten a stream close it at once
    /// and without a word when it is taken up again, while those that make clients poll send an event first.
    fn is_spent(&self) -> bool {
        self.resumed && self.ended && !self.heard
    }

    /// Where the stream would be taken up again.
    pub fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// How long the server asks to wait before that.
    pub fn retry(&self) -> Option<Duration> {
        self.decoder.retry()
    }
}

/// A stream that had begun and was cut.
fn broken(error: NetError) -> Failure {
    match error {
        NetError::Failed { host, step: Step::Sent | Step::Body, detail, .. } => {
            let problem = Problem::new(ProblemId::StreamCut).with("host", host).because(detail);
            Failure::Unclear { problem, wait: None }
        }
        error => error.into(),
    }
}

/// Reads a whole body of at most `max` bytes, however slowly it comes as long as it does.
///
/// # Errors
/// A [`NetError`] when it is cut, larger, or stands still for too long.
pub async fn read_whole(
    http: &Http,
    url: &Url,
    response: &mut Response,
    max: usize,
    patience: &Patience,
) -> Result<Bytes, NetError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > max as u64 {
        return Err(NetError::too_large(url, max));
    }
    let Some(first) = piece(http, url, response, patience).await? else { return Ok(Bytes::new()) };
    if first.len() > max {
        return Err(NetError::too_large(url, max));
    }
    if first.len() as u64 == announced {
        return Ok(first); // the usual case: one piece, no copy
    }
    // What a server announces is believed only as far as it has sent something.
    let mut whole = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0).clamp(first.len(), 1 << 20));
    whole.extend_from_slice(&first);
    while let Some(piece) = piece(http, url, response, patience).await? {
        if whole.len() + piece.len() > max {
            return Err(NetError::too_large(url, max));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

async fn piece(
    http: &Http,
    url: &Url,
    response: &mut Response,
    patience: &Patience,
) -> Result<Option<Bytes>, NetError> {
    match patience.wait(response.chunk()).await {
        Some(piece) => piece.map_err(|e| http.explain(url, &e)),
        None => Err(NetError::timed_out(url, patience.idle.unwrap_or_default())),
    }
}

/// Explains an answer that carries no message: a refusal by status, or a body that MCP does not use.
pub fn explain_refusal(
    settings: &Settings,
    url: &Url,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    sent: &Secrets,
) -> Problem {
    let planhat = settings.product != Product::Other;
    let id = if status.is_success() { ProblemId::NotMcp } else { ProblemId::of_status(status.as_u16(), planhat) };
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    Problem::new(id)
        .with("status", status.as_u16())
        .with("host", host_of(url))
        .with("url", &settings.url)
        .said("content_type", kind.map(|kind| sent.words(kind)))
        .said("server_request_id", server_request_id(headers).map(|id| sent.words(id)))
        .said("server_said", server_said(headers, body, sent))
}

/// The id under which the server's operator finds the request in their logs.
fn server_request_id(headers: &HeaderMap) -> Option<&str> {
    ["x-request-id", "request-id", "x-correlation-id", "x-amzn-requestid", "x-trace-id", "cf-ray"]
        .iter()
        .find_map(|name| headers.get(*name)?.to_str().ok())
}

/// What a refusal says in words: the message in a JSON body, or the first words of a text. HTML is not for reading here.
fn server_said(headers: &HeaderMap, body: &[u8], sent: &Secrets) -> Option<ServerWords> {
    const LONGEST: usize = 300;
    let text = std::str::from_utf8(body).ok()?.trim();
    let html = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("html"));
    if text.is_empty() || html || text.starts_with('<') {
        return None;
    }
    let said = match serde_json::from_str::<Value>(text) {
        Ok(json) => message_in(&json)?,
        Err(_) => text.to_owned(),
    };
    let said = said.trim().trim_end_matches('.');
    // Shortened only then: a part of a secret would no longer be found.
    (!said.is_empty()).then(|| sent.words(said).shortened(LONGEST))
}

/// The words in a JSON refusal, wherever servers put them.
fn message_in(json: &Value) -> Option<String> {
    match json {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => ["error_description", "message", "detail", "title", "error"]
            .iter()
            .find_map(|name| members.get(*name).and_then(message_in)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use crate::remote::response::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn silence_is_borne_for_the_budget_and_no_longer() {
        let patience = Patience { idle: Some(10 * SECOND), owed: OwedAnswers::default() };
        assert_eq!(patience.wait(sleep(9 * SECOND)).await, Some(()));
        let start = Instant::now();
        assert_eq!(patience.wait(sleep(11 * SECOND)).await, None);
        assert_eq!(start.elapsed(), 10 * SECOND);
        assert_eq!(Patience { idle: None, ..patience }.wait(sleep(99 * SECOND)).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_stands_still_while_the_client_owes_an_answer_and_goes_on_from_there() {
        let owed = OwedAnswers::default();
        let patience = Patience { idle: Some(10 * SECOND), owed: Arc::clone(&owed) };
        // Asked after 4 s, answered after 60 s: 6 s are left then, neither none nor 10.
        let person = async move {
            sleep(4 * SECOND).await;
            owed.send_replace(1);
            sleep(56 * SECOND).await;
            owed.send_replace(0);
        };
        let start = Instant::now();
        let (outcome, ()) = tokio::join!(patience.wait(std::future::pending::<()>()), person);
        assert_eq!((outcome, start.elapsed()), (None, 66 * SECOND));
    }

    #[test]
    fn the_servers_own_words_are_found_wherever_it_puts_them() {
        let said = |body: &str| server_said(&HeaderMap::new(), body.as_bytes(), &Secrets::none());
        for body in [
            r#"{"error":"MODEL is unknown"}"#,
            r#"{"statusCode":400,"message":"MODEL is unknown","error":"Bad Request"}"#,
            r#"{"error":{"code":7,"message":"MODEL is unknown."}}"#,
            r#"{"error":"invalid_request","error_description":"MODEL is unknown"}"#,
            "MODEL is unknown.\n",
        ] {
            assert_eq!(said(body).as_ref().map(ServerWords::as_str), Some("MODEL is unknown"), "{body}");
        }
        for body in ["", "<html>no</html>", "{}", r#"{"error":{"code":1}}"#, "[1]"] {
            assert_eq!(said(body), None, "{body}");
        }
    }
}

//! Response bodies: whole ones, streamed ones, and ones that break off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::{Body, Frame};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use tokio::sync::mpsc;

/// The body of every answer; an error in it breaks the connection off.
pub(crate) type AnswerBody = BoxBody<Bytes, io::Error>;
/// Every answer.
pub(crate) type Answer = Response<AnswerBody>;

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Hangup;

impl std::fmt::Display for Hangup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Hangup {}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> AnswerBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

pub(crate) fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    if !content_type.is_empty() {
        set_header(&mut answer, "content-type", content_type);
    }
    answer
}

pub(crate) fn json(status: u16, value: &serde_json::Value) -> Answer {
    answer(status, "application/json; charset=utf-8", value.to_string())
}

/// Sets a header; a name or value that HTTP does not allow is a mistake of the test and is left out.
pub(crate) fn set_header(answer: &mut Answer, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        answer.headers_mut().append(name, value);
    }
}

pub(crate) fn is_event_stream(answer: &Answer) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// A body that is written piece by piece; dropping the sender ends it.
pub(crate) fn streamed() -> (mpsc::Sender<io::Result<Bytes>>, AnswerBody) {
    // One piece at a time, so that what the reader has not taken yet is not counted as sent.
    let (sender, receiver) = mpsc::channel(1);
    (sender, Streamed { pieces: receiver, unsent: None, has_unflushed: false }.boxed())
}

/// The error that breaks a connection off in the middle of a body.
pub(crate) fn broken() -> io::Error {
    io::Error::other("broken off on purpose")
}

struct Streamed {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    /// The break that is kept back.
    unsent: Option<io::Error>,
    /// Whether the last poll brought bytes, which may still be in the server's buffer.
    has_unflushed: bool,
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    /// A break waits for one turn after bytes: the server flushes only when a body has nothing for it, and throws its
    /// buffer away, with the head of the answer, when a body breaks.
    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(error) = self.unsent.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let polled = self.pieces.poll_recv(context);
        let has_unflushed = std::mem::replace(&mut self.has_unflushed, matches!(polled, Poll::Ready(Some(Ok(_)))));
        match polled {
            Poll::Ready(Some(Err(error))) if has_unflushed => {
                self.unsent = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled.map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }
}

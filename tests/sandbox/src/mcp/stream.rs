//! Event streams on their way out: turned into one JSON answer, cut, or joined by pushed events.

use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use tokio::sync::{mpsc, watch};

use crate::body::{Answer, AnswerBody, broken, is_event_stream, streamed, whole};
use crate::lock;
use crate::peek::Peek;
use crate::state::Tenant;

/// A body read event by event; each comes with the blank line that ends it.
pub(crate) struct Events {
    body: AnswerBody,
    buffer: BytesMut,
}

impl Events {
    pub(crate) fn of(body: AnswerBody) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                return Some(self.buffer.split_to(end + 2).freeze());
            }
            let data = self.body.frame().await?.ok()?.into_data().ok()?;
            self.buffer.extend_from_slice(&data);
        }
    }
}

/// The `data:` of an event; empty for comments and priming events.
pub(crate) fn data(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Turns a stream into a JSON answer when its first message is the answer; otherwise it stays a stream.
pub(crate) async fn as_json(answer: Answer) -> Answer {
    if !is_event_stream(&answer) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let mut events = Events::of(body);
    let mut before = Vec::new();
    while let Some(event) = events.next().await {
        let data = data(&event);
        if data.is_empty() {
            before.push(event);
        } else if Peek::of(data.as_bytes()).method.is_none() {
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Answer::from_parts(parts, whole(data));
        } else {
            before.push(event);
            return Answer::from_parts(parts, replay(before, events));
        }
    }
    Answer::from_parts(parts, whole(before.concat()))
}

fn replay(before: Vec<Bytes>, mut events: Events) -> AnswerBody {
    let (sender, body) = streamed();
    tokio::spawn(async move {
        for event in before {
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = sender.closed() => None,
            };
            let Some(event) = event else { return };
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    });
    body
}

/// Lets this many events through and then breaks off, or ends; comments do not count. What would have come is kept for
/// a reader who takes the stream up again.
pub(crate) async fn cut(tenant: &Arc<Tenant>, answer: Answer, count: usize, clean: bool) -> Answer {
    let streams = is_event_stream(&answer);
    let (mut parts, body) = answer.into_parts();
    // Without a length the body is chunked, and breaking off shows.
    parts.headers.remove(CONTENT_LENGTH);
    let (sender, shortened) = streamed();
    if !streams {
        let bytes = body.collect().await.map(|collected| collected.to_bytes()).unwrap_or_default();
        let half = bytes.slice(..bytes.len() / 2);
        tokio::spawn(async move {
            if sender.send(Ok(half)).await.is_ok() && !clean {
                let _ = sender.send(Err(broken())).await;
            }
        });
        return Answer::from_parts(parts, shortened);
    }
    let kept = tenant.kept.keep(Events::of(body));
    tokio::spawn(async move {
        let mut sent = 0;
        let mut next = 0;
        while sent < count {
            let Some(event) = kept.event(next).await else { return };
            next += 1;
            sent += usize::from(!event.starts_with(b":"));
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
        if !clean {
            let _ = sender.send(Err(broken())).await;
        }
    });
    Answer::from_parts(parts, shortened)
}

/// The rest of a stream that was cut, after the event with this id.
pub(crate) fn resume(tenant: &Tenant, last_event_id: &str) -> Option<Answer> {
    let (kept, mut next) = tenant.kept.find(last_event_id)?;
    let (sender, rest) = streamed();
    tokio::spawn(async move {
        while let Some(event) = kept.event(next).await {
            next += 1;
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
    });
    let mut answer = crate::body::answer(200, "text/event-stream", Bytes::new());
    *answer.body_mut() = rest;
    Some(answer)
}

/// The streams that were cut. `rmcp`'s own memory forgets an answer once it was sent, whether it arrived or not.
#[derive(Default)]
pub(crate) struct KeptStreams {
    streams: Mutex<Vec<Arc<Kept>>>,
}

impl KeptStreams {
    /// Reads a stream to its end, for all who want its events.
    fn keep(&self, mut events: Events) -> Arc<Kept> {
        let kept = Arc::new(Kept { events: watch::Sender::default() });
        lock(&self.streams).push(kept.clone());
        let filled = kept.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                filled.events.send_modify(|(events, _)| events.push(event));
            }
            filled.events.send_modify(|(_, done)| *done = true);
        });
        kept
    }

    fn find(&self, id: &str) -> Option<(Arc<Kept>, usize)> {
        lock(&self.streams).iter().rev().find_map(|kept| {
            let position = kept.events.borrow().0.iter().position(|event| event_id(event).as_deref() == Some(id));
            position.map(|position| (kept.clone(), position + 1))
        })
    }

    pub(crate) fn forget(&self) {
        lock(&self.streams).clear();
    }
}

struct Kept {
    /// The events so far, and whether these are all.
    events: watch::Sender<(Vec<Bytes>, bool)>,
}

impl Kept {
    async fn event(&self, index: usize) -> Option<Bytes> {
        let mut events = self.events.subscribe();
        let found = events.wait_for(|(events, done)| events.len() > index || *done).await.ok()?;
        found.0.get(index).cloned()
    }
}

fn event_id(event: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(event);
    text.lines().find_map(|line| line.strip_prefix("id:")).map(|id| id.trim().to_owned())
}

/// Makes an answer the standing stream: what is pushed joins what the server sends.
pub(crate) fn standing(tenant: &Arc<Tenant>, answer: Answer) -> Answer {
    let (parts, mut body) = answer.into_parts();
    let (sender, joined) = streamed();
    let (push, mut pushed) = mpsc::unbounded_channel();
    lock(&tenant.streams).push(push);
    tenant.board.count(|counters| {
        counters.streams_opened += 1;
        counters.streams_open += 1;
    });
    let open = OpenStream(tenant.clone());
    tokio::spawn(async move {
        let _open = open;
        loop {
            let piece = tokio::select! {
                frame = body.frame() => frame.and_then(|frame| frame.ok()?.into_data().ok()),
                piece = pushed.recv() => piece,
                () = sender.closed() => None,
            };
            let Some(piece) = piece else { return };
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
        }
    });
    Answer::from_parts(parts, joined)
}

/// Counts a standing stream as open while it lives.
struct OpenStream(Arc<Tenant>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.board.count(|counters| counters.streams_open -= 1);
    }
}

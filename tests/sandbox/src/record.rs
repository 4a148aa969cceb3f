//! Every request as it came in: headers and the exact bytes, in order.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::http::request::Parts;
use serde_json::Value;

use crate::fault::Place;
use crate::lock;
use crate::peek::Peek;

/// A request that the tenant received.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Where it went.
    pub place: Place,
    /// `POST`, `GET`, `DELETE`.
    pub http_method: String,
    /// Path and query.
    pub target: String,
    /// Header names in lower case and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body's exact bytes.
    pub body: Bytes,
    /// When it came, counted from the tenant's start.
    pub at: Duration,
}

impl Recorded {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The JSON-RPC method.
    pub fn method(&self) -> Option<String> {
        Peek::of(&self.body).method
    }

    /// The bytes of the JSON-RPC id, as they stand in the body.
    pub fn id(&self) -> Option<String> {
        Peek::of(&self.body).id
    }

    /// The form's fields, for the token endpoint, or the query's otherwise.
    pub fn fields(&self) -> BTreeMap<String, String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let source = if self.place == Place::Token { self.body.as_ref() } else { query.as_bytes() };
        url::form_urlencoded::parse(source).into_owned().collect()
    }
}

#[derive(Debug)]
pub(crate) struct Recorder {
    started: Instant,
    requests: Mutex<Vec<Recorded>>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), requests: Mutex::default() }
    }

    pub(crate) fn record(&self, place: Place, parts: &Parts, body: &Bytes) {
        let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let recorded = Recorded {
            place,
            http_method: parts.method.as_str().to_owned(),
            target: parts.uri.path_and_query().map_or_else(String::new, |target| target.as_str().to_owned()),
            headers: parts.headers.iter().map(header).collect(),
            body: body.clone(),
            at: self.started.elapsed(),
        };
        lock(&self.requests).push(recorded);
    }

    pub(crate) fn find<T>(&self, look: impl FnMut(&Recorded) -> Option<T>) -> Option<T> {
        lock(&self.requests).iter().find_map(look)
    }

    pub(crate) fn at(&self, place: Place) -> Vec<Recorded> {
        lock(&self.requests).iter().filter(|request| request.place == place).cloned().collect()
    }
}

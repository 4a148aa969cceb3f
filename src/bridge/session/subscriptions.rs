//! What the client has set up in its session and would miss in the next one: resource subscriptions, and the level of
//! the server's log messages. Both are restored in the session that replaces a lost one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::limits::{MAX_SUBSCRIPTIONS, QUOTED_WORDS_CHARS, SUBSCRIPTIONS_BYTES};
use crate::message::peek::Params;
use crate::message::{Kind, Peek, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Failure, Outgoing};

use super::live::Session;
use crate::bridge::client::session_stage::SessionStage;

const SUBSCRIBE: &str = "resources/subscribe";
const UNSUBSCRIBE: &str = "resources/unsubscribe";
const SET_LEVEL: &str = "logging/setLevel";

/// The client's subscriptions, across all the server sessions behind its one session.
#[derive(Debug)]
pub struct Subscriptions {
    session: Arc<Session>,
    granted: Mutex<GrantedRequests>,
}

/// The requests that the server has granted, in the client's order.
#[derive(Debug, Default)]
struct GrantedRequests(Vec<Granted>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Granted {
    /// Identifies what a later request replaces or ends: a resource, or `None` for the log level.
    uri: Option<String>,
    /// As the client wrote it.
    body: Bytes,
}

impl GrantedRequests {
    fn add(&mut self, method: &str, body: &Bytes) {
        if !matches!(method, SUBSCRIBE | UNSUBSCRIBE | SET_LEVEL) {
            return;
        }
        let Ok(Peek::One(Kind::Request { params, .. })) = peek(body) else { return };
        let uri = match method {
            SET_LEVEL => None,
            _ => match Params::of(params).ok().and_then(|params| params.uri()) {
                Some(uri) => Some(uri),
                None => return,
            },
        };
        self.0.retain(|granted| granted.uri != uri);
        if method != UNSUBSCRIBE {
            self.0.push(Granted { uri, body: Bytes::copy_from_slice(body) });
            self.drop_oldest();
        }
    }

    /// A client may subscribe to ever new resources; what does not fit is not asked for again in a later session.
    fn drop_oldest(&mut self) {
        let bytes = |one: &Granted| one.uri.as_ref().map_or(0, String::len) + one.body.len();
        let mut all: usize = self.0.iter().map(bytes).sum();
        while self.0.len() > MAX_SUBSCRIPTIONS || all > SUBSCRIPTIONS_BYTES {
            let oldest = self.0.remove(0);
            all -= bytes(&oldest);
            tracing::warn!("the client has more subscriptions than a later session is asked for again");
        }
    }

    fn end(&mut self, uri: &str) {
        self.0.retain(|granted| granted.uri.as_deref() != Some(uri));
    }
}

impl Subscriptions {
    /// Starts without granted requests.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session, granted: Mutex::default() }
    }

    /// Records a request that the server has granted.
    pub fn granted(&self, method: &str, body: &Bytes) {
        self.lock().add(method, body);
    }

    /// Records a request of the client. One that ends a subscription counts at once: its session may be lost, and an
    /// ended subscription must not be restored.
    pub fn note_request(&self, method: &str, params: &Params<'_>) {
        if method == UNSUBSCRIBE
            && let Some(uri) = params.uri()
        {
            self.lock().end(&uri);
        }
    }

    /// Forgets everything: the client starts over.
    pub fn clear(&self) {
        self.lock().0.clear();
    }

    /// Restores in a new session what the client had in the previous one. The client silently loses what the new one
    /// does not grant.
    pub async fn restore(&self) {
        let all = self.lock().0.clone();
        for one in all {
            self.session.remote.own_requests().turn().await;
            // Skip it if the client has ended or replaced it since.
            let is_current = self.lock().0.contains(&one);
            if is_current && let Err(failure) = self.restore_one(&one.body).await {
                let problem = failure.into_problem();
                tracing::warn!(%problem, "a subscription of the lost session could not be restored");
            }
        }
    }

    async fn restore_one(&self, body: &Bytes) -> Result<(), Failure> {
        let session = &self.session;
        let id = session.client.own_ids.next();
        let Ok(text) = std::str::from_utf8(body) else { return Ok(()) };
        let body = write::with_id(text, &id.to_raw());
        let epoch = session.epoch_for(SessionStage::Open);
        let _slot = session.request_slot().await;
        let out = Outgoing { expects: Some(id.key()), epoch, ..Outgoing::unanswered(body) };
        let answer = session.ask(&out, None).await?;
        if answer.result().is_some() {
            return Ok(());
        }
        let words =
            answer.incoming.exchange.sent.words(&String::from_utf8_lossy(&answer.line)).shortened(QUOTED_WORDS_CHARS);
        Err(Problem::new(ProblemId::HttpStatus).said("server_said", words).into())
    }

    fn lock(&self) -> MutexGuard<'_, GrantedRequests> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_that_are_kept_for_the_next_session_are_bounded() {
        let mut requests = GrantedRequests::default();
        let mut grant = |uri: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{SUBSCRIBE}","params":{{"uri":"{uri}"}}}}"#);
            requests.add(SUBSCRIBE, &Bytes::from(body));
            (requests.0.len(), requests.0.first().and_then(|first| first.uri.clone()).map(|uri| uri.len()))
        };
        for n in 0..MAX_SUBSCRIPTIONS {
            grant(&format!("file:///{n}"));
        }
        assert_eq!(grant("file:///one-more").0, MAX_SUBSCRIPTIONS);
        let long = SUBSCRIPTIONS_BYTES / 3;
        grant(&"a".repeat(long));
        assert_eq!(grant(&"b".repeat(long)), (1, Some(long)), "which counts twice");
        assert_eq!(grant(&"c".repeat(SUBSCRIPTIONS_BYTES)), (0, None));
    }

    #[test]
    fn a_granted_request_is_kept_until_it_is_ended_or_replaced() {
        let mut requests = GrantedRequests::default();
        let mut grant = |id: u32, method: &str, params: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
            requests.add(method, &Bytes::from(body.clone()));
            body
        };
        let first = grant(1, SUBSCRIBE, r#"{"uri":"file:///a","x":1.0}"#);
        grant(2, SUBSCRIBE, r#"{"uri":"file:///b"}"#);
        grant(3, SET_LEVEL, r#"{"level":"debug"}"#);
        grant(4, UNSUBSCRIBE, r#"{"uri":"file:///b"}"#);
        grant(5, "resources/read", r#"{"uri":"file:///c"}"#);
        let level = grant(6, SET_LEVEL, r#"{"level":"error"}"#);
        let kept =
            |requests: &GrantedRequests| -> Vec<Bytes> { requests.0.iter().map(|one| one.body.clone()).collect() };
        assert_eq!(kept(&requests), [first, level.clone()]);
        requests.end("file:///a");
        assert_eq!(kept(&requests), [level]);
    }
}

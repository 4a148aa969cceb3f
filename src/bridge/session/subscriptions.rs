//! What the client has set up in its session and would miss in the next one: subscriptions to resources, and the level of
//! the server's log messages. When a session is lost, both are asked for again in the session that replaces it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::message::peek::Params;
use crate::message::{IdKey, Kind, Peek, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Failure, Outgoing};

use crate::bridge::Bridge;
use crate::bridge::session::connection::SessionStage;

const SUBSCRIBE: &str = "resources/subscribe";
pub(crate) const UNSUBSCRIBE: &str = "resources/unsubscribe";
const SET_LEVEL: &str = "logging/setLevel";

/// The requests that the server has granted, in the order in which the client made them.
#[derive(Debug, Default)]
pub struct Subscriptions {
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    /// What a later request of the same kind replaces or ends: a resource, or the one log level.
    about: Option<String>,
    /// The whole request, as it came.
    body: Bytes,
}

impl Subscriptions {
    /// The server has granted `request`.
    pub fn granted(&self, method: &str, request: &Bytes) {
        if !matches!(method, SUBSCRIBE | UNSUBSCRIBE | SET_LEVEL) {
            return;
        }
        let Ok(Peek::One(Kind::Request { params, .. })) = peek(request) else { return };
        let about = match method {
            SET_LEVEL => None,
            _ => match Params::of(params).ok().and_then(|params| params.uri()) {
                Some(uri) => Some(uri),
                None => return,
            },
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.about != about);
        if method != UNSUBSCRIBE {
            kept.push(Kept { about, body: request.clone() });
        }
    }

    /// The client wants to hear of this resource no more. It may meet a lost session with that: what it has ended is not
    /// begun again behind its back.
    pub fn ended(&self, uri: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|kept| kept.about.as_deref() != Some(uri));
    }

    /// The client begins anew.
    pub fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn all(&self) -> Vec<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether nothing has ended or replaced it meanwhile.
    fn holds(&self, one: &Kept) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).contains(one)
    }
}

impl Bridge {
    /// Asks a new session for what the client had in the one before. What the new one does not grant is missed, as it
    /// would be by a client that does not know that there was another session.
    pub(crate) async fn restore_subscriptions(self: &Arc<Self>) {
        for kept in self.subscriptions.all() {
            if self.subscriptions.holds(&kept)
                && let Err(failure) = self.ask_again(&kept.body).await
            {
                let problem = failure.into_problem();
                tracing::warn!(%problem, "a subscription of the lost session could not be restored");
            }
        }
    }

    async fn ask_again(self: &Arc<Self>, body: &Bytes) -> Result<(), Failure> {
        let id = self.own_ids.next();
        let key = IdKey::Text(id.trim_matches('"').to_owned());
        let body = match (std::str::from_utf8(body), serde_json::from_str(&id)) {
            (Ok(text), Ok(id)) => write::with_id(text, id),
            _ => return Ok(()),
        };
        let epoch = self.epoch_for(SessionStage::Open);
        let _place = self.places.acquire().await.ok();
        let out = Outgoing { expects: Some(key.clone()), epoch, ..Outgoing::unanswered(body) };
        let mut exchange = self.remote.exchange(&out).await?;
        while let Some(message) = exchange.next().await? {
            if let Some(answer) = self.hear(message, Some(&key), None).await?.answer {
                return match peek(&answer) {
                    Ok(Peek::One(Kind::Response { result: Some(_), .. })) => Ok(()),
                    _ => {
                        let said = exchange.sent.words(&String::from_utf8_lossy(&answer)).shortened(200);
                        Err(Problem::new(ProblemId::HttpStatus).said("server_said", said).into())
                    }
                };
            }
        }
        Err(Problem::new(ProblemId::NoAnswer).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::bridge::session::subscriptions::*;

    fn bodies(subscriptions: &Subscriptions) -> Vec<String> {
        subscriptions.all().iter().map(|kept| String::from_utf8_lossy(&kept.body).into_owned()).collect()
    }

    #[test]
    fn what_was_granted_is_kept_until_it_is_ended_or_replaced() {
        let kept = Subscriptions::default();
        let granted = |id: u32, method: &str, params: &str| -> String {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
            kept.granted(method, &Bytes::from(body.clone()));
            body
        };
        let first = granted(1, SUBSCRIBE, r#"{"uri":"file:///a","x":1.0}"#);
        granted(2, SUBSCRIBE, r#"{"uri":"file:///b"}"#);
        granted(3, SET_LEVEL, r#"{"level":"debug"}"#);
        granted(4, UNSUBSCRIBE, r#"{"uri":"file:///b"}"#);
        granted(5, "resources/read", r#"{"uri":"file:///c"}"#);
        let level = granted(6, SET_LEVEL, r#"{"level":"error"}"#);
        assert_eq!(bodies(&kept), [first, level]);
        kept.clear();
        assert!(bodies(&kept).is_empty());
    }
}

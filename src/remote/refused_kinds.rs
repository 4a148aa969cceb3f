//! The kinds of requests that a server refuses with 401 although it takes the token for others, and how often the token is
//! renewed for them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};

use crate::auth::Bearer;
use crate::limits::{LONGEST_REFUSAL_PAUSE, MAX_REFUSED_KINDS, REFUSED_KIND_LIFE, SHORTEST_REFUSAL_PAUSE};
use crate::pacing::Backoff;

use super::sent_request::SentRequest;

/// How long after a renewal that a refused request caused the next such request causes none.
const RENEWAL_PAUSES: Backoff = Backoff::new(SHORTEST_REFUSAL_PAUSE, LONGEST_REFUSAL_PAUSE);

/// What is known about a kind of request that met a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// The server refuses it to the tokens of this grant, which it takes for other requests.
    Alone(u64),
    /// The same, but found out long ago: the sign-in may have ended since.
    OnceAlone(u64),
    /// It has ended a sign-in before, and no token was good for it since: the next sign-in would end the same way.
    EndedSignIn,
}

/// The kinds of requests that are refused although the sign-in is good.
#[derive(Debug, Default)]
pub(super) struct Exceptions(Mutex<Refusals>);

#[derive(Debug, Default)]
struct Refusals {
    kinds: VecDeque<Kind>,
    renewed: Option<Renewed>,
}

#[derive(Debug)]
struct Kind {
    name: String,
    known: Known,
    since: Instant,
}

impl Kind {
    fn known(&self) -> Known {
        match self.known {
            Known::Alone(grant) if self.since.elapsed() >= REFUSED_KIND_LIFE => Known::OnceAlone(grant),
            known => known,
        }
    }
}

/// The last renewal that a refused request caused.
#[derive(Debug, Clone, Copy)]
struct Renewed {
    at: Instant,
    /// The token before it.
    serial: u64,
    grant: u64,
    /// How many there were in a row; one that comes late is the first again.
    count: u32,
}

impl Renewed {
    fn pause(&self) -> Duration {
        RENEWAL_PAUSES.ceiling(self.count)
    }
}

impl Exceptions {
    fn lock(&self) -> MutexGuard<'_, Refusals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self, kind: &str) -> Option<Known> {
        self.lock().kinds.iter().find(|other| other.name == kind).map(Kind::known)
    }

    pub(super) fn note(&self, kind: &str, known: Known) {
        let kinds = &mut self.lock().kinds;
        kinds.retain(|other| other.name != kind);
        if kinds.len() >= MAX_REFUSED_KINDS {
            kinds.pop_front();
        }
        kinds.push_back(Kind { name: kind.to_owned(), known, since: Instant::now() });
    }

    /// The server has taken a request of this kind after all. A request of another kind would prove nothing for it.
    pub(super) fn forget(&self, asked: SentRequest<'_>) {
        if self.lock().kinds.is_empty() {
            return;
        }
        let kind = asked.kind();
        self.lock().kinds.retain(|other| other.name != kind);
    }

    /// Whether this token came of such a renewal a moment ago. Requests that were refused with the token before share that
    /// renewal.
    pub(super) fn is_paused(&self, bearer: &Bearer) -> bool {
        self.lock().renewed.is_some_and(|last| {
            last.grant == bearer.grant && last.serial < bearer.serial && last.at.elapsed() < last.pause()
        })
    }

    /// The token is renewed because a request was refused with it.
    pub(super) fn renewing(&self, bearer: &Bearer) {
        let mut refusals = self.lock();
        let last = refusals.renewed.filter(|last| last.grant == bearer.grant && last.at.elapsed() < 2 * last.pause());
        let count = match last {
            Some(last) if last.serial == bearer.serial => last.count,
            Some(last) => last.count.saturating_add(1),
            None => 1,
        };
        refusals.renewed = Some(Renewed { at: Instant::now(), serial: bearer.serial, grant: bearer.grant, count });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::outgoing::Outgoing;
    use super::*;

    #[test]
    fn only_what_is_accepted_of_the_same_kind_clears_a_kind_and_their_number_is_bounded() {
        let exceptions = Exceptions::default();
        exceptions.note("GET", Known::Alone(1));
        let list = Outgoing::unanswered(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
        exceptions.forget(SentRequest::Message(&list));
        assert_eq!(exceptions.known("GET"), Some(Known::Alone(1)));
        exceptions.forget(SentRequest::Stream);
        assert_eq!(exceptions.known("GET"), None);
        for n in 0..2 * MAX_REFUSED_KINDS {
            exceptions.note(&format!("tools/call {n}"), Known::Alone(1));
        }
        assert_eq!(exceptions.lock().kinds.len(), MAX_REFUSED_KINDS);
    }

    #[tokio::test(start_paused = true)]
    async fn that_a_kind_is_refused_alone_is_asked_anew_after_a_while() {
        let exceptions = Exceptions::default();
        exceptions.note("tools/call echo", Known::Alone(1));
        exceptions.note("GET", Known::EndedSignIn);
        tokio::time::advance(REFUSED_KIND_LIFE - Duration::from_millis(1)).await;
        assert_eq!(exceptions.known("tools/call echo"), Some(Known::Alone(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(exceptions.known("tools/call echo"), Some(Known::OnceAlone(1)));
        assert_eq!(exceptions.known("GET"), Some(Known::EndedSignIn));
        exceptions.note("tools/call echo", Known::Alone(1));
        assert_eq!(exceptions.known("tools/call echo"), Some(Known::Alone(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_that_a_renewal_does_not_mend_cause_ever_fewer_renewals() {
        let exceptions = Exceptions::default();
        let bearer = |serial, grant| Bearer { token: "t".into(), serial, grant, signed_in_at: 0, tag: 0 };
        let start = Instant::now();
        let mut serial = 1;
        while start.elapsed() < Duration::from_secs(24 * 3600) {
            // A request of a new kind each second, say one of very many tools.
            if !exceptions.is_paused(&bearer(serial, 1)) {
                for _ in 0..3 {
                    exceptions.renewing(&bearer(serial, 1));
                }
                serial += 1;
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!((25..35).contains(&serial), "{serial} renewals in a day");
        assert!(!exceptions.is_paused(&bearer(serial, 2)), "another sign-in is another matter");
        tokio::time::advance(2 * LONGEST_REFUSAL_PAUSE).await;
        exceptions.renewing(&bearer(serial, 1));
        tokio::time::advance(SHORTEST_REFUSAL_PAUSE).await;
        assert!(!exceptions.is_paused(&bearer(serial + 1, 1)), "a token that was good for long is renewed soon");
    }
}

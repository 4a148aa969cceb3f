//! Decides whether a 401 is about the sign-in, or about this request alone.
//!
//! Gateways route by method and path, and some let POST through while they refuse GET; some servers guard a single
//! tool. Such a 401 says nothing about a token that the server accepts for everything else. If it ended the sign-in,
//! each call would open a tab, and the next token would meet the same refusal. So one renewal is tried, and then the
//! request is answered with the reason. Only if the server also refuses a plain `ping` is the token itself at fault.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reqwest::StatusCode;
use tokio::time::{Duration, Instant};

use crate::auth::{AuthError, Authorizer, Bearer, Challenge, Renewable};
use crate::config::Settings;
use crate::http::host_of;
use crate::problem::{Problem, ProblemId};

use super::failure::Failure;
use super::request as build;
use super::sent_request::SentRequest;
use super::session::Session;
use super::transport::Transport;

/// How many new tokens one request may ask for: one for itself, and one more if another request caused the first.
pub(super) const MAX_RENEWALS: u32 = 2;
/// How many kinds of refused requests are remembered; beyond that the oldest are forgotten.
const MAX_REFUSED_KINDS: usize = 64;
/// How long after a renewal for a refused request the next such request causes none: many tools may be refused.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);
/// How long the server may take to answer the ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Tests whether the server accepts the token; its id is not one of the bridge's, and nobody waits for its answer.
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"planhat-mcp/ping","method":"ping"}"#;

/// What earlier 401s say about a kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KnownRefusal {
    /// The server refuses it with this grant's tokens, which it accepts for other requests.
    Alone(u64),
    /// It has ended a sign-in before, and no token has worked for it since: the next sign-in would end the same way.
    EndedSignIn,
}

/// How the server answered the ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PingResult {
    Accepted,
    Refused,
    Inconclusive,
}

/// A 401, with the facts that decide what it means.
#[derive(Debug, Clone, Copy)]
struct Refused {
    /// How many tokens were refused for this very request, including the last.
    tried: u32,
    /// Nobody waits for the request.
    background: bool,
    /// A token of this sign-in was accepted for another request.
    accepted: bool,
    earlier: Option<KnownRefusal>,
    grant: u64,
    /// A newer token exists, or a renewal can bring one now.
    renewable: bool,
    ping: Option<PingResult>,
}

/// What to do after a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Send the request again with another token, which may take a sign-in.
    Renew,
    /// Send it again if another token can be obtained without a person.
    RenewSilently,
    /// Find out whether the server accepts the token at all.
    Ping,
    /// The 401 is about the request.
    Explain,
    /// The 401 is about the token.
    Reject,
}

fn decide(refused: &Refused) -> Step {
    let Refused { tried, background, accepted, earlier, grant, renewable, ping } = *refused;
    if earlier == Some(KnownRefusal::Alone(grant)) {
        return Step::Explain;
    }
    if background {
        return if tried == 1 && renewable { Step::RenewSilently } else { Step::Explain };
    }
    if !accepted {
        return if tried <= MAX_RENEWALS { Step::Renew } else { Step::Reject };
    }
    if tried == 1 && renewable && ping.is_none() {
        return Step::Renew;
    }
    match (earlier, ping) {
        (Some(_), _) | (None, Some(PingResult::Accepted | PingResult::Inconclusive)) => Step::Explain,
        (None, None) => Step::Ping,
        (None, Some(PingResult::Refused)) if tried <= MAX_RENEWALS => Step::Renew,
        (None, Some(PingResult::Refused)) => Step::Reject,
    }
}

/// The kinds of requests that are refused although the sign-in is valid.
#[derive(Debug, Default)]
struct Exceptions(Mutex<Refusals>);

#[derive(Debug, Default)]
struct Refusals {
    kinds: VecDeque<(String, KnownRefusal)>,
    /// When the last renewal for a refused request was, and for which token.
    renewed: Option<(Instant, u64)>,
}

impl Exceptions {
    fn lock(&self) -> MutexGuard<'_, Refusals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal_of(&self, kind: &str) -> Option<KnownRefusal> {
        self.lock().kinds.iter().find(|(other, _)| other == kind).map(|(_, known)| *known)
    }

    fn note(&self, kind: &str, known: KnownRefusal) {
        let kinds = &mut self.lock().kinds;
        kinds.retain(|(other, _)| other != kind);
        if kinds.len() >= MAX_REFUSED_KINDS {
            kinds.pop_front();
        }
        kinds.push_back((kind.to_owned(), known));
    }

    /// The server has accepted a request of this kind. A request of another kind would prove nothing about it.
    fn forget(&self, request: SentRequest<'_>) {
        if self.lock().kinds.is_empty() {
            return;
        }
        let kind = request.kind();
        self.lock().kinds.retain(|(other, _)| *other != kind);
    }

    /// Whether this token came from such a renewal a moment ago. Requests that were refused with the previous token
    /// share that renewal.
    fn is_paused(&self, serial: u64) -> bool {
        self.lock().renewed.is_some_and(|(at, before)| serial > before && at.elapsed() < RENEWAL_PAUSE)
    }

    fn note_renewal(&self, serial: u64) {
        self.lock().renewed = Some((Instant::now(), serial));
    }
}

/// Answers each 401 with another token, or with the reason for having none.
#[derive(Debug)]
pub(super) struct Unauthorized {
    settings: Arc<Settings>,
    auth: Arc<Authorizer>,
    transport: Transport,
    exceptions: Exceptions,
    /// Requests that are refused at the same time share one ping.
    pinging: tokio::sync::Mutex<()>,
}

impl Unauthorized {
    /// Starts without known refusals.
    pub(super) fn new(settings: Arc<Settings>, auth: Arc<Authorizer>, transport: Transport) -> Self {
        Self { settings, auth, transport, exceptions: Exceptions::default(), pinging: tokio::sync::Mutex::default() }
    }

    /// Records that the server has accepted this token for this request.
    pub(super) fn accepted(&self, request: SentRequest<'_>, bearer: &Bearer) {
        self.auth.accepted(bearer);
        self.exceptions.forget(request);
    }

    /// Gets another token after the `tried`-th 401 of this request, which was sent in `session`.
    ///
    /// # Errors Why the request must not be sent again.
    pub(super) async fn renew(
        &self,
        request: SentRequest<'_>,
        tried: u32,
        rejected: Option<&Bearer>,
        challenge: Challenge,
        session: &Session,
    ) -> Result<(), Failure> {
        let Some(bearer) = rejected else {
            if tried > MAX_RENEWALS {
                return Err(self.auth.refused_again(None, challenge).await.into());
            }
            self.auth.unauthorized(None, challenge).await?;
            return Ok(());
        };
        let kind = request.kind();
        let mut refused = Refused {
            tried,
            background: request.is_background(),
            accepted: self.auth.has_accepted(bearer),
            earlier: self.exceptions.refusal_of(&kind),
            grant: bearer.grant,
            renewable: match self.auth.renewable(bearer) {
                Renewable::Already => true,
                Renewable::Now => !self.exceptions.is_paused(bearer.serial),
                Renewable::Never => false,
            },
            ping: None,
        };
        loop {
            let step = decide(&refused);
            tracing::debug!(kind, ?refused, ?step, "refused with 401");
            match step {
                Step::Renew => {
                    if refused.accepted && refused.ping.is_none() {
                        self.exceptions.note_renewal(bearer.serial);
                    }
                    self.auth.unauthorized(rejected, challenge).await?;
                    return Ok(());
                }
                Step::RenewSilently => {
                    self.exceptions.note_renewal(bearer.serial);
                    match self.auth.unauthorized_in_background(bearer, challenge).await {
                        Ok(_) => return Ok(()),
                        Err(AuthError::NotNow(problem)) => return Err(problem.into()),
                        Err(error) => tracing::debug!(%error, "no other token for what nobody waits for"),
                    }
                    self.exceptions.note(&kind, KnownRefusal::Alone(bearer.grant));
                    return Err(self.refused_alone());
                }
                Step::Ping => refused.ping = Some(self.ping(&kind, bearer, session).await),
                Step::Explain => {
                    if refused.ping != Some(PingResult::Inconclusive) && (tried > 1 || !refused.renewable) {
                        self.exceptions.note(&kind, KnownRefusal::Alone(bearer.grant));
                    }
                    return Err(self.refused_alone());
                }
                Step::Reject => {
                    self.exceptions.note(&kind, KnownRefusal::EndedSignIn);
                    return Err(self.auth.refused_again(rejected, challenge).await.into());
                }
            }
        }
    }

    /// Whether the server accepts the token for a request that any server accepts.
    async fn ping(&self, kind: &str, bearer: &Bearer, session: &Session) -> PingResult {
        let _turn = self.pinging.lock().await;
        if self.exceptions.refusal_of(kind) == Some(KnownRefusal::Alone(bearer.grant)) {
            return PingResult::Accepted;
        }
        let message = build::post(&self.settings.url, session, Some(bearer), Bytes::from_static(PING));
        let Ok(answer) = self.transport.execute(message, Some(PING_TIMEOUT)).await else {
            return PingResult::Inconclusive;
        };
        match answer.response.status() {
            StatusCode::UNAUTHORIZED => PingResult::Refused,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => PingResult::Inconclusive,
            // Whatever it dislikes about the ping, it has checked the token first.
            status if status.is_success() || status.is_client_error() => PingResult::Accepted,
            _ => PingResult::Inconclusive,
        }
    }

    fn refused_alone(&self) -> Failure {
        let status = StatusCode::UNAUTHORIZED;
        let problem = Problem::new(ProblemId::TokenRefusedHere)
            .with("status", status.as_u16())
            .with("host", host_of(&self.settings.url))
            .with("command", self.settings.command("login"));
        Failure::Refused { status, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outgoing::Outgoing;
    use super::*;
    use Step::{Explain, Ping, Reject, Renew, RenewSilently};

    const FIRST: Refused =
        Refused { tried: 1, background: false, accepted: true, earlier: None, grant: 7, renewable: true, ping: None };

    #[test]
    fn a_401_ends_the_sign_in_only_when_nothing_else_is_accepted_with_it() {
        let second = Refused { tried: 2, ..FIRST };
        let third = Refused { tried: 3, ..FIRST };
        let fixed = Refused { renewable: false, ..FIRST };
        let alone = Some(KnownRefusal::Alone(7));
        let ended = Some(KnownRefusal::EndedSignIn);
        for (refused, step) in [
            // Other calls are accepted: one renewal, then the ping decides.
            (FIRST, Renew),
            (second, Ping),
            (Refused { ping: Some(PingResult::Accepted), ..second }, Explain),
            (Refused { ping: Some(PingResult::Inconclusive), ..second }, Explain),
            (Refused { ping: Some(PingResult::Refused), ..second }, Renew),
            (Refused { ping: Some(PingResult::Refused), ..third }, Reject),
            // Without a renewal the ping decides at once.
            (fixed, Ping),
            (Refused { ping: Some(PingResult::Accepted), ..fixed }, Explain),
            (Refused { ping: Some(PingResult::Refused), ..fixed }, Renew),
            // A known refusal costs nothing, but only for its grant: a new sign-in may have more rights.
            (Refused { earlier: alone, ..FIRST }, Explain),
            (Refused { earlier: Some(KnownRefusal::Alone(6)), ..FIRST }, Renew),
            // What has ended a sign-in ends no second one.
            (Refused { earlier: ended, ..FIRST }, Renew),
            (Refused { earlier: ended, ..second }, Explain),
            // Nothing was accepted yet: it is about the token.
            (Refused { accepted: false, ..FIRST }, Renew),
            (Refused { accepted: false, ..second }, Renew),
            (Refused { accepted: false, ..third }, Reject),
            // What nobody waits for never ends a sign-in.
            (Refused { background: true, ..FIRST }, RenewSilently),
            (Refused { background: true, accepted: false, ..FIRST }, RenewSilently),
            (Refused { background: true, ..second }, Explain),
            (Refused { background: true, accepted: false, ..third }, Explain),
            (Refused { background: true, ..fixed }, Explain),
            (Refused { background: true, earlier: alone, ..FIRST }, Explain),
        ] {
            assert_eq!(decide(&refused), step, "{refused:?}");
        }
    }

    #[test]
    fn only_what_is_accepted_of_the_same_kind_clears_a_kind_and_their_number_is_bounded() {
        let exceptions = Exceptions::default();
        exceptions.note("GET", KnownRefusal::Alone(1));
        let list = Outgoing::unanswered(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
        exceptions.forget(SentRequest::Message(&list));
        assert_eq!(exceptions.refusal_of("GET"), Some(KnownRefusal::Alone(1)));
        exceptions.forget(SentRequest::Stream);
        assert_eq!(exceptions.refusal_of("GET"), None);
        for n in 0..2 * MAX_REFUSED_KINDS {
            exceptions.note(&format!("tools/call {n}"), KnownRefusal::Alone(1));
        }
        assert_eq!(exceptions.lock().kinds.len(), MAX_REFUSED_KINDS);
    }
}

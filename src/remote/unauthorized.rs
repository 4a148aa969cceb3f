//! A 401: about the sign-in, or about this request alone.
//!
//! Gateways route by method and path, and some let POST through while they refuse GET; some servers guard a single tool.
//! Such a 401 says nothing against a token that the server takes for everything else. If it ended the sign-in, each call
//! would open a tab, and the next token would meet the same refusal. So one renewal is tried, and then the request is
//! answered with the reason. Only a refusal of a plain `ping` as well speaks against the token itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Duration;

use crate::auth::bearer::step_up;
use crate::auth::{AuthError, Authorizer, Bearer, Challenge, Renewable};
use crate::config::Settings;
use crate::http::{host_of, retry_after};
use crate::limits::MAX_RENEWALS_OF_REQUEST;
use crate::pacing::noise;
use crate::problem::{Problem, ProblemId};

use super::failure::Failure;
use super::refused_kinds::{Exceptions, Known};
use super::sent_request::SentRequest;
use super::session::RemoteSession;
use super::throttle::Throttle;
use super::transport::Transport;
use super::{mcp_headers, request};

/// How long the server may take to answer the ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// The id of the request that asks whether the server takes the token, as JSON: none of the bridge's other requests has it,
/// and nobody waits for its answer.
const PING_ID: &str = r#""planhat-mcp/ping""#;

/// How the server answered the ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PingResult {
    Accepted,
    Refused,
    Inconclusive,
}

/// The pings so far.
#[derive(Debug, Default)]
struct Pings {
    count: u64,
    /// What the last one showed, and with which token.
    last: Option<(u64, PingResult)>,
}

impl Pings {
    /// What has been found out for a token with this serial since there were `before` pings. One that was answered earlier
    /// shows nothing: the token may have ended since, or the server may have recovered.
    fn since(&self, before: u64, serial: u64) -> Option<PingResult> {
        let (of, ping_result) = self.last?;
        (self.count > before && of == serial).then_some(ping_result)
    }
}

/// A 401, with all that decides what it means.
#[derive(Debug, Clone, Copy)]
struct Refused {
    /// How many tokens were refused for this very request, the last one included.
    tried: u32,
    /// Nobody waits for the request.
    background: bool,
    /// Another request has had a token of this sign-in accepted.
    taken: bool,
    known: Option<Known>,
    grant: u64,
    /// A newer token exists, or can be had now.
    renewable: bool,
    ping_result: Option<PingResult>,
}

impl Refused {
    /// Whether a 401 that is explained has shown something new about its kind. What was known before stays as old as it is.
    fn is_found_out(&self) -> bool {
        match self.known {
            Some(Known::EndedSignIn) => false,
            Some(Known::Alone(grant)) if grant == self.grant => false,
            _ if self.background => self.tried > 1 || !self.renewable,
            _ => self.ping_result == Some(PingResult::Accepted),
        }
    }
}

/// What follows a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Send the request again with another token; somebody may have to sign in for that.
    Renew,
    /// Send it again if another token can be had without a person.
    RenewSilently,
    /// Find out whether the server takes the token for anything.
    Ping,
    /// The 401 is about the request.
    Explain,
    /// The 401 is about the token.
    Reject,
}

fn decide(refused: &Refused) -> Step {
    let Refused { tried, background, taken, known, grant, renewable, ping_result } = *refused;
    if known == Some(Known::Alone(grant)) {
        return Step::Explain;
    }
    if background {
        return if tried == 1 && renewable { Step::RenewSilently } else { Step::Explain };
    }
    if !taken {
        return if tried <= MAX_RENEWALS_OF_REQUEST { Step::Renew } else { Step::Reject };
    }
    // A kind that a renewal did not help a while ago is asked about first.
    let known = known.filter(|known| *known != Known::OnceAlone(grant));
    let is_new = known == refused.known;
    if tried == 1 && renewable && is_new && ping_result.is_none() {
        return Step::Renew;
    }
    match (known, ping_result) {
        (Some(_), _) | (None, Some(PingResult::Accepted | PingResult::Inconclusive)) => Step::Explain,
        (None, None) => Step::Ping,
        (None, Some(PingResult::Refused)) if tried <= MAX_RENEWALS_OF_REQUEST => Step::Renew,
        (None, Some(PingResult::Refused)) => Step::Reject,
    }
}

/// Answers each 401 with another token, or with the reason why there is none.
#[derive(Debug)]
pub(super) struct Unauthorized {
    settings: Arc<Settings>,
    auth: Arc<Authorizer>,
    transport: Transport,
    exceptions: Exceptions,
    throttle: Arc<Throttle>,
    /// Locked while one goes: requests that are refused at once send one ping, and share what it shows.
    pings: tokio::sync::Mutex<Pings>,
    /// [`Pings::count`], without the lock.
    pings_answered: AtomicU64,
}

impl Unauthorized {
    /// Nothing is refused yet.
    pub(super) fn new(
        settings: Arc<Settings>,
        auth: Arc<Authorizer>,
        transport: Transport,
        throttle: Arc<Throttle>,
    ) -> Self {
        let (exceptions, pings, pings_answered) = <(Exceptions, tokio::sync::Mutex<Pings>, AtomicU64)>::default();
        Self { settings, auth, transport, exceptions, throttle, pings, pings_answered }
    }

    /// The server has taken this token for this request.
    pub(super) fn accepted(&self, asked: SentRequest<'_>, bearer: &Bearer) {
        self.auth.accepted(bearer);
        self.exceptions.forget(asked);
    }

    /// Gets another token after the 401 that is the `tried`-th of this request, which was sent in `session`.
    ///
    /// # Errors
    /// The reason why the request is not to be sent again.
    pub(super) async fn renew(
        &self,
        asked: SentRequest<'_>,
        tried: u32,
        rejected: Option<&Bearer>,
        challenge: Challenge,
        session: &RemoteSession,
    ) -> Result<(), Failure> {
        let Some(bearer) = rejected else {
            if tried > MAX_RENEWALS_OF_REQUEST {
                return Err(self.auth.refused_again(None, challenge).await.into());
            }
            self.auth.unauthorized(None, challenge).await?;
            return Ok(());
        };
        let kind = asked.kind();
        let mut refused = Refused {
            tried,
            background: asked.is_background(),
            taken: self.auth.has_accepted(bearer),
            known: self.exceptions.known(&kind),
            grant: bearer.grant,
            renewable: match self.auth.renewable(bearer) {
                Renewable::Already => true,
                Renewable::Now => !self.exceptions.is_paused(bearer),
                Renewable::Never => false,
            },
            ping_result: None,
        };
        loop {
            let step = decide(&refused);
            tracing::debug!(kind, ?refused, ?step, "refused with 401");
            match step {
                Step::Renew => {
                    if refused.taken && refused.ping_result.is_none() {
                        self.exceptions.renewing(bearer);
                    }
                    self.auth.unauthorized(rejected, challenge).await?;
                    return Ok(());
                }
                Step::RenewSilently => {
                    self.exceptions.renewing(bearer);
                    match self.auth.unauthorized_in_background(bearer, challenge).await {
                        Ok(_) => return Ok(()),
                        Err(AuthError::NotNow(problem)) => return Err(problem.into()),
                        Err(error) => tracing::debug!(%error, "no other token for what nobody waits for"),
                    }
                    self.exceptions.note(&kind, Known::Alone(bearer.grant));
                    return Err(self.refused_alone());
                }
                Step::Ping => refused.ping_result = Some(self.shared_ping(&kind, asked, bearer, session).await),
                Step::Explain => {
                    if refused.is_found_out() {
                        self.exceptions.note(&kind, Known::Alone(bearer.grant));
                    }
                    return Err(self.refused_alone());
                }
                Step::Reject => {
                    self.exceptions.note(&kind, Known::EndedSignIn);
                    return Err(self.auth.refused_again(rejected, challenge).await.into());
                }
            }
        }
    }

    /// Gets a token with a wider scope after the `tried`-th 403 for that reason.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) async fn widen(&self, tried: u32, narrow: Option<&Bearer>, challenge: Challenge) -> Result<(), Failure> {
        if tried > MAX_RENEWALS_OF_REQUEST {
            let problem = step_up::too_narrow(challenge.scope.as_deref());
            return Err(Failure::Explained(problem.with("host", host_of(&self.settings.url))));
        }
        match self.auth.step_up(narrow, challenge).await {
            Ok(_) => Ok(()),
            Err(AuthError::SignInNeeded(problem)) => {
                Err(Failure::Scope { problem, narrow: narrow.map(|bearer| bearer.serial) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the server takes the token for a request that any server takes.
    async fn shared_ping(
        &self,
        kind: &str,
        asked: SentRequest<'_>,
        bearer: &Bearer,
        session: &RemoteSession,
    ) -> PingResult {
        let before = self.pings_answered.load(Ordering::Acquire);
        let mut pings = self.pings.lock().await;
        if self.exceptions.known(kind) == Some(Known::Alone(bearer.grant)) {
            return PingResult::Accepted;
        }
        if let Some(ping_result) = pings.since(before, bearer.serial) {
            return ping_result;
        }
        let ping_result = self.ping(asked, bearer, session).await;
        *pings = Pings { count: pings.count + 1, last: Some((bearer.serial, ping_result)) };
        self.pings_answered.store(pings.count, Ordering::Release);
        ping_result
    }

    /// Asks for what any server takes, one thing after the other until it takes one: a gateway may refuse the ping alone.
    async fn ping(&self, asked: SentRequest<'_>, bearer: &Bearer, session: &RemoteSession) -> PingResult {
        for (body, headers) in pings_beside(asked) {
            let ping_result = self.ping_once(body, headers, bearer, session).await;
            if ping_result != PingResult::Refused {
                return ping_result;
            }
        }
        PingResult::Refused
    }

    async fn ping_once(&self, body: Bytes, headers: HeaderMap, bearer: &Bearer, session: &RemoteSession) -> PingResult {
        // Nothing else holds it back: without it, a token that has ended would never be found out. It goes once at most for a
        // request of the client.
        if self.throttle.closed(Some(bearer)).await.is_some() {
            return PingResult::Inconclusive;
        }
        let url = session.endpoint.as_ref().unwrap_or(&self.settings.url);
        let mut message = request::post(url, session, Some(bearer), body);
        message.headers_mut().extend(headers);
        let Ok(answer) = self.transport.execute(message, Some(PING_TIMEOUT)).await else {
            return PingResult::Inconclusive;
        };
        match answer.response.status() {
            StatusCode::UNAUTHORIZED => PingResult::Refused,
            StatusCode::TOO_MANY_REQUESTS => {
                let asked = retry_after::asked_wait(answer.response.headers(), SystemTime::now());
                let wait = retry_after::wait(asked, 1, noise());
                self.throttle.close(Some(bearer), wait, asked.unwrap_or(wait)).await;
                PingResult::Inconclusive
            }
            StatusCode::FORBIDDEN => PingResult::Inconclusive,
            // Whatever it dislikes about the ping, it has looked at the token before.
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
        Failure::Refused { status, problem, revisions: None }
    }
}

/// The pings for a server that has refused this request: `ping`, and the list of tools. The stateless revision has no `ping`,
/// and a server of it may refuse what lacks its headers before it looks at the token: there the list alone does it.
fn pings_beside(asked: SentRequest<'_>) -> Vec<(Bytes, HeaderMap)> {
    if let SentRequest::Message(out) = asked
        && let Some(headers) = &out.mcp_headers
        && let Some(list) = mcp_headers::list_request(&out.body, PING_ID, None)
    {
        return vec![(list, mcp_headers::list_headers(headers))];
    }
    let body = |method| Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{PING_ID},"method":"{method}"}}"#));
    ["ping", "tools/list"].map(|method| (body(method), HeaderMap::new())).into()
}

#[cfg(test)]
mod tests {
    use super::super::outgoing::Outgoing;
    use super::*;
    use Step::{Explain, Ping, Reject, Renew, RenewSilently};

    const FIRST: Refused =
        Refused { tried: 1, background: false, taken: true, known: None, grant: 7, renewable: true, ping_result: None };

    #[test]
    fn a_401_ends_the_sign_in_only_when_nothing_else_is_accepted_with_it() {
        let second = Refused { tried: 2, ..FIRST };
        let third = Refused { tried: 3, ..FIRST };
        let fixed = Refused { renewable: false, ..FIRST };
        let alone = Some(Known::Alone(7));
        let once = Some(Known::OnceAlone(7));
        let ended = Some(Known::EndedSignIn);
        for (refused, step) in [
            // A call that others are accepted beside: one renewal, then the ping decides.
            (FIRST, Renew),
            (second, Ping),
            (Refused { ping_result: Some(PingResult::Accepted), ..second }, Explain),
            (Refused { ping_result: Some(PingResult::Inconclusive), ..second }, Explain),
            (Refused { ping_result: Some(PingResult::Refused), ..second }, Renew),
            (Refused { ping_result: Some(PingResult::Refused), ..third }, Reject),
            // Without a renewal the ping decides at once.
            (fixed, Ping),
            (Refused { ping_result: Some(PingResult::Accepted), ..fixed }, Explain),
            (Refused { ping_result: Some(PingResult::Refused), ..fixed }, Renew),
            // What is known costs nothing, and nothing for ever: a new sign-in may be worth more.
            (Refused { known: alone, ..FIRST }, Explain),
            (Refused { known: Some(Known::Alone(6)), ..FIRST }, Renew),
            // What was found out long ago is found out anew, before any renewal.
            (Refused { known: once, ..FIRST }, Ping),
            (Refused { known: once, ping_result: Some(PingResult::Accepted), ..FIRST }, Explain),
            (Refused { known: once, ping_result: Some(PingResult::Inconclusive), ..FIRST }, Explain),
            (Refused { known: once, ping_result: Some(PingResult::Refused), ..FIRST }, Renew),
            (Refused { known: once, ping_result: Some(PingResult::Refused), ..third }, Reject),
            (Refused { known: Some(Known::OnceAlone(6)), ..FIRST }, Renew),
            // What has ended a sign-in ends no second one.
            (Refused { known: ended, ..FIRST }, Renew),
            (Refused { known: ended, ..second }, Explain),
            // Nothing was accepted yet: it is about the token.
            (Refused { taken: false, ..FIRST }, Renew),
            (Refused { taken: false, ..second }, Renew),
            (Refused { taken: false, ..third }, Reject),
            // What nobody waits for never ends a sign-in.
            (Refused { background: true, ..FIRST }, RenewSilently),
            (Refused { background: true, taken: false, ..FIRST }, RenewSilently),
            (Refused { background: true, ..second }, Explain),
            (Refused { background: true, taken: false, ..third }, Explain),
            (Refused { background: true, ..fixed }, Explain),
            (Refused { background: true, known: alone, ..FIRST }, Explain),
        ] {
            assert_eq!(decide(&refused), step, "{refused:?}");
        }
    }

    #[test]
    fn a_kind_counts_as_refused_alone_from_when_that_was_found_out() {
        let pinged = |ping_result| Refused { tried: 2, ping_result: Some(ping_result), ..FIRST };
        let background = Refused { background: true, ..FIRST };
        for (refused, is) in [
            (pinged(PingResult::Accepted), true),
            (pinged(PingResult::Inconclusive), false),
            (Refused { known: Some(Known::OnceAlone(7)), ..pinged(PingResult::Accepted) }, true),
            (Refused { known: Some(Known::OnceAlone(7)), ..pinged(PingResult::Inconclusive) }, false),
            (Refused { known: Some(Known::Alone(7)), ..FIRST }, false),
            (Refused { known: Some(Known::Alone(6)), ..pinged(PingResult::Accepted) }, true),
            (Refused { known: Some(Known::EndedSignIn), tried: 2, ..FIRST }, false),
            (background, false),
            (Refused { tried: 2, ..background }, true),
            (Refused { renewable: false, ..background }, true),
        ] {
            assert_eq!(refused.is_found_out(), is, "{refused:?}");
        }
    }

    #[test]
    fn the_ping_is_a_request_that_the_server_looks_at_the_token_for() {
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","_meta":{"a/b":1}}}"#;
        let mut out = Outgoing::unanswered(Bytes::from_static(body.as_bytes()));
        let pings = |out: &Outgoing| {
            let shown = |(body, headers): (Bytes, HeaderMap)| {
                let headers = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().expect("ASCII")));
                (String::from_utf8(body.to_vec()).expect("UTF-8"), headers.collect::<Vec<_>>())
            };
            pings_beside(SentRequest::Message(out)).into_iter().map(shown).collect::<Vec<_>>()
        };
        let handshake = r#"{"jsonrpc":"2.0","id":"planhat-mcp/ping","method":"ping"}"#.to_owned();
        let list = handshake.replace(r#""ping"}"#, r#""tools/list"}"#);
        assert_eq!(pings(&out), [(handshake, Vec::new()), (list, Vec::new())]);
        let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "t")];
        let parsed = |(name, value): (&str, &str)| (name.parse().expect("a name"), value.parse().expect("a value"));
        out.mcp_headers = Some(headers.into_iter().map(parsed).collect());
        let list = r#"{"jsonrpc":"2.0","id":"planhat-mcp/ping","method":"tools/list","params":{"_meta":{"a/b":1}}}"#;
        let sent = ["mcp-protocol-version: 2026-07-28", "mcp-method: tools/list"].map(str::to_owned).to_vec();
        assert_eq!(pings(&out), [(list.to_owned(), sent)]);
    }

    #[test]
    fn what_a_ping_shows_counts_for_its_token_and_for_those_who_waited_for_it() {
        let pings = Pings { count: 3, last: Some((7, PingResult::Inconclusive)) };
        assert_eq!(pings.since(2, 7), Some(PingResult::Inconclusive));
        assert_eq!(pings.since(2, 8), None, "of another token");
        assert_eq!(pings.since(3, 7), None, "refused after it was answered");
        assert_eq!(Pings::default().since(0, 7), None);
    }
}

//! What a 401 is about: the sign-in, or this request alone.
//!
//! Gateways route by method and path, and some let POST through while they refuse GET; some servers guard a single tool.
//! Such a 401 says nothing against a token that the server takes for everything else. If it ended the sign-in, each call
//! would open a tab, and the next token would meet the same refusal. So one renewal is tried, and then the request is
//! answered with the reason. What speaks against the token itself is a refusal of a plain `ping` as well.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::time::{Duration, Instant};

use super::send::MOST_RENEWALS;
use super::{Failure, Outgoing, Remote, Session, request};
use crate::auth::{AuthError, Bearer, Challenge, Renewable};
use crate::http::host_of;
use crate::message::{Kind, Peek, peek};
use crate::problem::{Problem, ProblemId};

/// How many kinds of requests are remembered as refused; beyond that the oldest are forgotten.
const MOST_KINDS: usize = 64;
/// The longest name of a tool that is told from others, in bytes: clients choose these names.
const LONGEST_NAME: usize = 128;
/// How long after a renewal that a refused request caused the next such request causes none: many tools may be refused.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);
/// How long the server may take to answer the ping.
const PING_WITHIN: Duration = Duration::from_secs(10);
/// Asks whether the server takes the token; its id is not one of the bridge's, and nobody waits for its answer.
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":"planhat-mcp/ping","method":"ping"}"#;

/// What was asked when the 401 came.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// A stream, with GET.
    Stream,
    /// What was posted.
    Message(&'a Outgoing),
}

impl Asked<'_> {
    /// Nobody waits for it: never a reason to sign in. What somebody waits for will show whether the token is good.
    fn is_background(self) -> bool {
        match self {
            Self::Stream => true,
            Self::Message(out) => out.expects.is_none(),
        }
    }

    /// What requests of its kind have in common.
    fn kind(self) -> String {
        let Self::Message(out) = self else { return "GET".to_owned() };
        match peek(&out.body) {
            Ok(Peek::One(Kind::Request { method, params, .. })) => {
                let tool = params
                    .filter(|_| method == "tools/call")
                    .and_then(|params| serde_json::from_str::<Named<'_>>(params.get()).ok())
                    .map(|named| named.name);
                match tool {
                    Some(tool) => format!("{method} {}", shortened(&tool)),
                    None => shortened(&method).to_owned(),
                }
            }
            Ok(Peek::One(Kind::Notification { method, .. })) => shortened(&method).to_owned(),
            _ => "an answer".to_owned(),
        }
    }

    fn is_stateless(self) -> bool {
        matches!(self, Self::Message(out) if out.mcp_headers.is_some())
    }
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

fn shortened(text: &str) -> &str {
    let end = (0..=LONGEST_NAME.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// What is known about a kind of request that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// The server refuses it to the tokens of this grant and takes them for others.
    Alone(u64),
    /// It has ended a sign-in before, and no token was good for it since: the next sign-in would end in the same way.
    EndedSignIn,
}

/// What the server answered to the ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    Takes,
    Refuses,
    Silent,
}

/// A 401, with all that decides what it means.
#[derive(Debug, Clone, Copy)]
struct Refused {
    /// How many tokens were refused for this very request, this one included.
    tried: u32,
    /// Nobody waits for the request.
    background: bool,
    /// Another request has had a token of this sign-in accepted.
    taken: bool,
    known: Option<Known>,
    grant: u64,
    /// There is a newer token, or one can be had now.
    renewable: bool,
    witness: Option<Witness>,
}

/// What follows a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Send it again with another token; somebody may have to sign in for that.
    Renew,
    /// Send it again with another token, if there is one to be had without a person.
    RenewGently,
    /// Find out whether the server takes the token for anything.
    AskWitness,
    /// It is about the request.
    Explain,
    /// It is about the token.
    Reject,
}

fn decide(refused: &Refused) -> Step {
    let Refused { tried, background, taken, known, grant, renewable, witness } = *refused;
    if known == Some(Known::Alone(grant)) {
        return Step::Explain;
    }
    if background {
        return if tried == 1 && renewable { Step::RenewGently } else { Step::Explain };
    }
    if !taken {
        return if tried <= MOST_RENEWALS { Step::Renew } else { Step::Reject };
    }
    if tried == 1 && renewable && witness.is_none() {
        return Step::Renew;
    }
    match (known, witness) {
        (Some(_), _) | (None, Some(Witness::Takes | Witness::Silent)) => Step::Explain,
        (None, None) => Step::AskWitness,
        (None, Some(Witness::Refuses)) if tried <= MOST_RENEWALS => Step::Renew,
        (None, Some(Witness::Refuses)) => Step::Reject,
    }
}

/// The kinds of requests that are refused although the sign-in is good.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    shared: Mutex<Shared>,
    /// Many that are refused at once ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Shared {
    kinds: VecDeque<(String, Known)>,
    /// When the last renewal was, and of which token.
    renewed: Option<(Instant, u64)>,
}

impl Exceptions {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, kind: &str) -> Option<Known> {
        self.lock().kinds.iter().find(|(other, _)| other == kind).map(|(_, known)| *known)
    }

    fn note(&self, kind: &str, known: Known) {
        let mut shared = self.lock();
        shared.kinds.retain(|(other, _)| other != kind);
        if shared.kinds.len() >= MOST_KINDS {
            shared.kinds.pop_front();
        }
        shared.kinds.push_back((kind.to_owned(), known));
    }

    /// The server has taken a request of this kind after all. What it takes of another kind proves nothing for this one.
    fn forget(&self, asked: Asked<'_>) {
        if self.lock().kinds.is_empty() {
            return;
        }
        let kind = asked.kind();
        self.lock().kinds.retain(|(other, _)| *other != kind);
    }

    /// Whether this token came of such a renewal a moment ago. Those who meet the one before share that renewal.
    fn is_paused(&self, serial: u64) -> bool {
        self.lock().renewed.is_some_and(|(at, before)| serial > before && at.elapsed() < RENEWAL_PAUSE)
    }

    fn renewing(&self, serial: u64) {
        self.lock().renewed = Some((Instant::now(), serial));
    }
}

impl Remote {
    /// The server has taken this token for this request.
    pub(super) fn took(&self, asked: Asked<'_>, bearer: &Bearer) {
        self.auth.accepted(bearer);
        self.exceptions.forget(asked);
    }

    /// Gets another token after the 401 that is the `tried`-th of this request, or says why there is none.
    pub(super) async fn unauthorized(
        &self,
        asked: Asked<'_>,
        tried: u32,
        rejected: Option<&Bearer>,
        challenge: Challenge,
    ) -> Result<(), Failure> {
        let Some(bearer) = rejected else {
            if tried > MOST_RENEWALS {
                return Err(self.auth.refused_again(None, challenge).into());
            }
            self.auth.unauthorized(None, challenge).await?;
            return Ok(());
        };
        let kind = asked.kind();
        let mut refused = Refused {
            tried,
            background: asked.is_background(),
            taken: self.auth.has_taken(bearer),
            known: self.exceptions.known(&kind),
            grant: bearer.grant,
            renewable: match self.auth.renewable(bearer) {
                Renewable::Already => true,
                Renewable::Now => !self.exceptions.is_paused(bearer.serial),
                Renewable::Never => false,
            },
            witness: None,
        };
        loop {
            let step = decide(&refused);
            tracing::debug!(kind, ?refused, ?step, "refused with 401");
            match step {
                Step::Renew => {
                    if refused.taken && refused.witness.is_none() {
                        self.exceptions.renewing(bearer.serial);
                    }
                    self.auth.unauthorized(rejected, challenge).await?;
                    return Ok(());
                }
                Step::RenewGently => {
                    self.exceptions.renewing(bearer.serial);
                    match self.auth.unauthorized_in_background(bearer, challenge).await {
                        Ok(_) => return Ok(()),
                        Err(AuthError::NotNow(problem)) => return Err(problem.into()),
                        Err(error) => tracing::debug!(%error, "no other token for what nobody waits for"),
                    }
                    self.exceptions.note(&kind, Known::Alone(bearer.grant));
                    return Err(self.refused_here());
                }
                Step::AskWitness => refused.witness = Some(self.ask_witness(&kind, bearer, asked.is_stateless()).await),
                Step::Explain => {
                    if refused.witness != Some(Witness::Silent) && (tried > 1 || !refused.renewable) {
                        self.exceptions.note(&kind, Known::Alone(bearer.grant));
                    }
                    return Err(self.refused_here());
                }
                Step::Reject => {
                    self.exceptions.note(&kind, Known::EndedSignIn);
                    return Err(self.auth.refused_again(rejected, challenge).into());
                }
            }
        }
    }

    /// Whether the server takes the token for a request that any server takes.
    async fn ask_witness(&self, kind: &str, bearer: &Bearer, stateless: bool) -> Witness {
        let _turn = self.exceptions.asking.lock().await;
        if self.exceptions.known(kind) == Some(Known::Alone(bearer.grant)) {
            return Witness::Takes;
        }
        let session = if stateless { std::sync::Arc::new(Session::default()) } else { self.session() };
        let message = request::post(&self.settings.url, &session, Some(bearer), Bytes::from_static(PING));
        let Ok((response, _)) = self.execute(message, Some(PING_WITHIN)).await else { return Witness::Silent };
        match response.status() {
            StatusCode::UNAUTHORIZED => Witness::Refuses,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => Witness::Silent,
            // Whatever it dislikes about the ping, it has looked at the token before.
            status if status.is_success() || status.is_client_error() => Witness::Takes,
            _ => Witness::Silent,
        }
    }

    fn refused_here(&self) -> Failure {
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
    use super::*;
    use Step::{AskWitness, Explain, Reject, Renew, RenewGently};

    const FIRST: Refused =
        Refused { tried: 1, background: false, taken: true, known: None, grant: 7, renewable: true, witness: None };

    #[test]
    fn a_401_ends_the_sign_in_only_when_nothing_else_is_accepted_with_it() {
        let second = Refused { tried: 2, ..FIRST };
        let third = Refused { tried: 3, ..FIRST };
        let fixed = Refused { renewable: false, ..FIRST };
        let alone = Some(Known::Alone(7));
        let ended = Some(Known::EndedSignIn);
        for (refused, step) in [
            // A call that others are accepted beside: one renewal, then the ping decides.
            (FIRST, Renew),
            (second, AskWitness),
            (Refused { witness: Some(Witness::Takes), ..second }, Explain),
            (Refused { witness: Some(Witness::Silent), ..second }, Explain),
            (Refused { witness: Some(Witness::Refuses), ..second }, Renew),
            (Refused { witness: Some(Witness::Refuses), ..third }, Reject),
            // Without a renewal the ping decides at once.
            (fixed, AskWitness),
            (Refused { witness: Some(Witness::Takes), ..fixed }, Explain),
            (Refused { witness: Some(Witness::Refuses), ..fixed }, Renew),
            // What is known costs nothing, and nothing for ever: a new sign-in may be worth more.
            (Refused { known: alone, ..FIRST }, Explain),
            (Refused { known: Some(Known::Alone(6)), ..FIRST }, Renew),
            // What has ended a sign-in ends no second one.
            (Refused { known: ended, ..FIRST }, Renew),
            (Refused { known: ended, ..second }, Explain),
            // Nothing was accepted yet: it is about the token.
            (Refused { taken: false, ..FIRST }, Renew),
            (Refused { taken: false, ..second }, Renew),
            (Refused { taken: false, ..third }, Reject),
            // What nobody waits for never ends a sign-in.
            (Refused { background: true, ..FIRST }, RenewGently),
            (Refused { background: true, taken: false, ..FIRST }, RenewGently),
            (Refused { background: true, ..second }, Explain),
            (Refused { background: true, taken: false, ..third }, Explain),
            (Refused { background: true, ..fixed }, Explain),
            (Refused { background: true, known: alone, ..FIRST }, Explain),
        ] {
            assert_eq!(decide(&refused), step, "{refused:?}");
        }
    }

    #[test]
    fn requests_of_one_kind_are_those_of_one_tool_or_one_method() {
        let kind =
            |body: &'static str| Asked::Message(&Outgoing::unanswered(Bytes::from_static(body.as_bytes()))).kind();
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"x":1},"name":"echo"}}"#;
        assert_eq!(kind(call), "tools/call echo");
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#), "tools/list");
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), "notifications/initialized");
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), "an answer");
        assert_eq!(Asked::Stream.kind(), "GET");
    }

    #[test]
    fn only_what_is_accepted_of_the_same_kind_clears_a_kind_and_their_number_is_bounded() {
        let exceptions = Exceptions::default();
        exceptions.note("GET", Known::Alone(1));
        let list = Outgoing::unanswered(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
        exceptions.forget(Asked::Message(&list));
        assert_eq!(exceptions.known("GET"), Some(Known::Alone(1)));
        exceptions.forget(Asked::Stream);
        assert_eq!(exceptions.known("GET"), None);
        for n in 0..2 * MOST_KINDS {
            exceptions.note(&format!("tools/call {n}"), Known::Alone(1));
        }
        assert_eq!(exceptions.lock().kinds.len(), MOST_KINDS);
    }
}

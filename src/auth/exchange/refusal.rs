//! What a refusal at the token endpoint means (RFC 6749, 5.2; RFC 8628, 3.5), and how it is explained.

use crate::auth::error::unreached;
use crate::auth::exchange::answer::NoToken;
use crate::auth::exchange::refresh_verdict::RefreshVerdict;
use crate::auth::exchange::request::{Endpoint, GrantRequest};
use crate::http::{NetError, Step};
use crate::limits::MAX_TOKEN_RETRIES;
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secrets, ServerWords};

/// Why no token was given.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// What was presented is no longer good (`invalid_grant`): never present it again.
    Spent(Problem),
    /// The server does not know this client or its secret.
    Client(Problem),
    /// A passing reason, and the server surely did not get what was presented: the same may succeed later.
    NotNow(Problem),
    /// A passing reason, but the server may have taken what was presented: a refresh token may have been replaced, and a
    /// code is spent (RFC 6749, 4.1.2).
    Unclear {
        /// Why nothing is known.
        problem: Problem,
        /// Whether it may be over in a moment: a fault of the server, or a connection that broke.
        is_brief: bool,
    },
    /// The person on the other device is not done (RFC 8628, 3.5).
    Pending {
        /// Whether to ask less often from now on.
        slower: bool,
    },
    /// Anything else that does not pass by itself.
    Other(Problem),
}

impl Refusal {
    /// The problem, whichever kind it is.
    pub fn problem(self) -> Problem {
        match self {
            Refusal::Spent(p)
            | Refusal::Client(p)
            | Refusal::NotNow(p)
            | Refusal::Unclear { problem: p, .. }
            | Refusal::Other(p) => p,
            Refusal::Pending { .. } => Problem::new(ProblemId::SignInPending),
        }
    }
}

/// A refusal, and how many further tries are worth it.
pub(crate) struct Setback {
    pub(crate) refusal: Refusal,
    pub(crate) tries: u32,
    /// The error code, where the server gave one.
    pub(crate) code: Option<String>,
}

impl From<Refusal> for Setback {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, tries: 0, code: None }
    }
}

/// The answer of the server, for the explanation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) is_object: bool,
    pub(crate) error: Option<ServerWords>,
    pub(crate) description: Option<ServerWords>,
    /// What was sent and what came, of which nothing is left in the words.
    pub(crate) secrets: Secrets,
    /// How far the clocks are apart, in words, when that matters.
    pub(crate) clock: Option<String>,
}

/// Why there is no token, as it was met.
#[derive(Debug)]
pub(crate) enum ExchangeFailure {
    /// The endpoint could not be asked, or its answer did not come.
    Network(NetError),
    /// An answer came that is neither a refusal nor a token that can be used.
    NoToken(NoToken),
    /// The server refuses, with this code.
    Refused(String),
}

/// What the answer of a token endpoint says, as far as it decides what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facts<'a> {
    presented: Presented,
    status: u16,
    /// The error code; `None` when the answer is neither a token nor a refusal.
    code: Option<&'a str>,
    /// Whether it is a JSON object.
    is_object: bool,
    /// Whether this program registered the client by itself.
    is_registered: bool,
    /// Whether the client may be one with a secret that is not known here.
    lacks_secret: bool,
}

/// What was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presented {
    Code,
    Refresh,
    Client,
    Device,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The server is out of order, or has no time.
    Unavailable,
    /// Something else answered, or the server is broken.
    Unreadable,
    /// What was presented is no longer good.
    Spent,
    /// The client is one with a secret, which was not shown.
    SecretMissing,
    /// The client was not accepted.
    Client,
    /// The person on the other device is not done.
    Pending { slower: bool },
    /// The time of the code for another device is over.
    DeviceCodeExpired,
    /// The person denied access.
    AccessDenied,
    /// The scope is refused.
    InvalidScope,
    /// Anything else that does not pass by itself.
    Other,
}

impl Facts<'_> {
    fn meaning(&self) -> Meaning {
        let is_device = self.presented == Presented::Device;
        if is_passing(self.status) {
            return Meaning::Unavailable;
        }
        if self.presented == Presented::Refresh {
            match RefreshVerdict::of(self.status, self.code, self.is_object, self.is_registered) {
                RefreshVerdict::Ended => return Meaning::Spent,
                RefreshVerdict::Transient if self.code.is_some() => return Meaning::Unavailable,
                RefreshVerdict::Transient | RefreshVerdict::Client => {}
            }
        }
        match self.code {
            None => Meaning::Unreadable,
            Some("invalid_grant") => Meaning::Spent,
            // The code came for this client id, so it is known; what is missing is its secret.
            Some("invalid_client") if self.lacks_secret && self.presented == Presented::Code => Meaning::SecretMissing,
            Some("invalid_client" | "unauthorized_client") => Meaning::Client,
            Some("authorization_pending") if is_device => Meaning::Pending { slower: false },
            Some("slow_down") if is_device => Meaning::Pending { slower: true },
            Some("expired_token") if is_device => Meaning::DeviceCodeExpired,
            Some("access_denied") if is_device => Meaning::AccessDenied,
            Some("temporarily_unavailable" | "server_error" | "slow_down") => Meaning::Unavailable,
            Some("invalid_scope") => Meaning::InvalidScope,
            Some(_) => Meaning::Other,
        }
    }
}

/// Whether a status says by itself that the same may succeed later.
fn is_passing(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
}

impl Presented {
    fn of(request: &GrantRequest<'_>) -> Self {
        match request {
            GrantRequest::Code { .. } => Presented::Code,
            GrantRequest::Refresh(_) => Presented::Refresh,
            GrantRequest::Client { .. } => Presented::Client,
            GrantRequest::Device(_) => Presented::Device,
        }
    }
}

/// How many further tries a failure of the network is worth: some where no connection was made, else none.
fn further_tries(error: &NetError) -> u32 {
    if error.never_sent() { MAX_TOKEN_RETRIES } else { 0 }
}

/// The refusal that a failure comes to, and how many further tries are worth it.
pub(crate) fn setback(
    endpoint: &Endpoint<'_>,
    presented: &GrantRequest<'_>,
    seen: &Seen,
    failure: ExchangeFailure,
) -> Setback {
    let (code, why) = match failure {
        ExchangeFailure::NoToken(NoToken::Inside(member)) => {
            let problem = Problem::new(ProblemId::TokenInsideMember).said("member", seen.secrets.words(&member));
            return of_another_kind(presented, problem).into();
        }
        ExchangeFailure::NoToken(NoToken::Type(token_type)) => {
            let problem = Problem::new(ProblemId::TokenTypeUnusable).said("found", seen.secrets.words(&token_type));
            return of_another_kind(presented, problem).into();
        }
        ExchangeFailure::Network(NetError::Unusable(problem)) => return Refusal::Other(problem).into(),
        ExchangeFailure::Network(error) => {
            if error.never_sent() {
                let tries = further_tries(&error);
                return Setback { refusal: Refusal::NotNow(unreached(error, endpoint.url)), tries, code: None };
            }
            let is_brief = matches!(&error, NetError::Failed { step: Step::Sent | Step::Body, .. });
            return Refusal::Unclear { problem: unreached(error, endpoint.url), is_brief }.into();
        }
        ExchangeFailure::NoToken(NoToken::Unreadable(why)) => (None, why),
        ExchangeFailure::Refused(code) => (Some(code), String::new()),
    };
    let facts = Facts {
        presented: Presented::of(presented),
        status: seen.status,
        code: code.as_deref(),
        is_object: seen.is_object,
        is_registered: endpoint.client.is_registered(),
        lacks_secret: endpoint.client.lacks_secret(),
    };
    Setback { refusal: explained(facts.meaning(), endpoint, presented, seen, &why), tries: 0, code }
}

/// The server has given a token that cannot be used, as it will again. A refresh token may have been replaced by that, so
/// it is not presented again.
fn of_another_kind(presented: &GrantRequest<'_>, problem: Problem) -> Refusal {
    if presented.is_refresh() { Refusal::Spent(problem) } else { Refusal::Other(problem) }
}

fn explained(
    meaning: Meaning,
    endpoint: &Endpoint<'_>,
    presented: &GrantRequest<'_>,
    seen: &Seen,
    why: &str,
) -> Refusal {
    let explained = |id: ProblemId| seen.add_to(Problem::new(id));
    match meaning {
        Meaning::Unavailable => {
            let problem = Problem::new(ProblemId::TokenEndpointUnavailable);
            let problem = seen.add_to(problem.with("status", seen.status).with("endpoint", endpoint.url));
            Refusal::Unclear { problem, is_brief: seen.status >= 500 }
        }
        Meaning::Unreadable => unreadable(endpoint, seen, why),
        Meaning::Spent => Refusal::Spent(seen.add_to(match presented {
            GrantRequest::Code { redirect_url, .. } => {
                Problem::new(ProblemId::CodeRejected).with("redirect_url", redirect_url)
            }
            GrantRequest::Device(_) => Problem::new(ProblemId::DeviceCodeExpired),
            GrantRequest::Refresh(_) | GrantRequest::Client { .. } => Problem::new(ProblemId::GrantExpired),
        })),
        Meaning::SecretMissing => {
            let problem = Problem::new(ProblemId::ClientSecretMissing).with("client_id", &endpoint.client.id);
            Refusal::Client(seen.add_to(problem))
        }
        Meaning::Client => {
            let problem = Problem::new(ProblemId::InvalidClient).with("client_id", &endpoint.client.id);
            Refusal::Client(endpoint.client.explained(seen.add_to(problem)))
        }
        Meaning::Pending { slower } => Refusal::Pending { slower },
        Meaning::DeviceCodeExpired => Refusal::Spent(Problem::new(ProblemId::DeviceCodeExpired)),
        Meaning::AccessDenied => Refusal::Other(explained(ProblemId::AccessDenied)),
        Meaning::InvalidScope => Refusal::Other(explained(ProblemId::InvalidScope)),
        Meaning::Other => Refusal::Other(explained(ProblemId::TokenEndpointError)),
    }
}

impl Seen {
    /// Adds the server's own words, and how far the clocks are apart.
    fn add_to(&self, problem: Problem) -> Problem {
        // Planhat's own words say more than the error code beside them.
        let known = self.description.as_ref().and_then(|words| ProblemId::in_words(words.as_str()));
        let problem = Problem { id: known.unwrap_or(problem.id), ..problem };
        let problem = match &self.clock {
            Some(clock) => problem.with("clock", clock),
            None => problem,
        };
        problem
            .said("error", self.error.clone())
            .said("detail", self.error.clone())
            .said("error_description", self.description.clone())
    }
}

/// Something else answered, or the server is broken. Tokens are kept: nothing says that they are bad.
pub(crate) fn unreadable(endpoint: &Endpoint<'_>, seen: &Seen, why: &str) -> Refusal {
    let problem = Problem::new(ProblemId::TokenAnswerInvalid)
        .with("endpoint", endpoint.url)
        .with("status", seen.status)
        .said("detail", seen.secrets.words(why));
    Refusal::Unclear { problem, is_brief: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::Detail;

    fn meaning(presented: Presented, status: u16, code: Option<&str>) -> Meaning {
        let is_object = code.is_some();
        Facts { presented, status, code, is_object, is_registered: false, lacks_secret: true }.meaning()
    }

    #[test]
    fn a_refusal_means_what_its_code_says_for_what_was_presented() {
        use Presented::{Client, Code, Device, Refresh};
        for (presented, status, code, expected) in [
            (Code, 400, Some("invalid_grant"), Meaning::Spent),
            (Device, 400, Some("invalid_grant"), Meaning::Spent),
            (Refresh, 400, Some("invalid_grant"), Meaning::Spent),
            (Code, 401, Some("invalid_client"), Meaning::SecretMissing),
            (Refresh, 401, Some("invalid_client"), Meaning::Client),
            (Client, 401, Some("invalid_client"), Meaning::Client),
            (Code, 400, Some("unauthorized_client"), Meaning::Client),
            (Code, 400, Some("invalid_scope"), Meaning::InvalidScope),
            (Code, 400, Some("invalid_request"), Meaning::Other),
            // Only a refresh token ends under any name.
            (Refresh, 400, Some("invalid_request"), Meaning::Spent),
            (Device, 400, Some("authorization_pending"), Meaning::Pending { slower: false }),
            (Device, 400, Some("slow_down"), Meaning::Pending { slower: true }),
            (Device, 400, Some("expired_token"), Meaning::DeviceCodeExpired),
            (Device, 400, Some("access_denied"), Meaning::AccessDenied),
            // The words of RFC 8628 mean nothing elsewhere.
            (Code, 400, Some("authorization_pending"), Meaning::Other),
            (Code, 400, Some("slow_down"), Meaning::Unavailable),
            (Code, 400, Some("temporarily_unavailable"), Meaning::Unavailable),
            (Refresh, 200, Some("ratelimited"), Meaning::Unavailable),
            // A status that passes is stronger than any code.
            (Code, 503, Some("invalid_grant"), Meaning::Unavailable),
            (Refresh, 429, Some("invalid_grant"), Meaning::Unavailable),
            (Code, 429, None, Meaning::Unavailable),
            (Code, 200, None, Meaning::Unreadable),
            (Refresh, 403, None, Meaning::Unreadable),
        ] {
            assert_eq!(meaning(presented, status, code), expected, "{presented:?} {status} {code:?}");
        }
        let facts = Facts {
            presented: Code,
            status: 401,
            code: Some("invalid_client"),
            is_object: true,
            is_registered: false,
            lacks_secret: false,
        };
        assert_eq!(facts.meaning(), Meaning::Client, "nothing is missing");
        assert_eq!(Facts { presented: Refresh, status: 400, code: None, ..facts }.meaning(), Meaning::Spent);
    }

    #[test]
    fn a_connection_that_is_never_made_is_tried_a_few_times() {
        let failed = |step| NetError::Failed { host: "a.example".into(), step, detail: Detail::default(), proxy: None };
        assert_eq!(further_tries(&failed(Step::Connect)), MAX_TOKEN_RETRIES);
        assert_eq!(further_tries(&failed(Step::Body)), 0);
    }
}

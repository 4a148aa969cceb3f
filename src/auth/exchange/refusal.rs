//! Decides what a refusal at the token endpoint means (RFC 6749, 5.2; RFC 8628, 3.5), and explains it.

use crate::auth::error::unreached;
use crate::auth::exchange::refresh_verdict::RefreshVerdict;
use crate::auth::exchange::request::{Endpoint, GrantRequest};
use crate::http::{NetError, Step};
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secrets, ServerWords};

/// How many retries follow a server fault, or a connection that was never made.
const MAX_RETRIES: u32 = 2;

/// Why no token was issued.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The code or token is no longer valid (`invalid_grant`): never present it again.
    Spent(Problem),
    /// The server does not know this client or its secret.
    Client(Problem),
    /// A transient reason: the same request may succeed later.
    NotNow(Problem),
    /// The person on the other device has not finished yet (RFC 8628, 3.5).
    Pending {
        /// Whether to poll less often from now on.
        slower: bool,
    },
    /// Any other permanent reason.
    Other(Problem),
}

impl Refusal {
    /// The problem behind the refusal.
    pub fn problem(self) -> Problem {
        match self {
            Refusal::Spent(p) | Refusal::Client(p) | Refusal::NotNow(p) | Refusal::Other(p) => p,
            Refusal::Pending { .. } => Problem::new(ProblemId::SignInPending),
        }
    }
}

/// A refusal, and how many retries are worthwhile.
pub(crate) struct FailedAttempt {
    pub(crate) refusal: Refusal,
    pub(crate) retries: u32,
}

impl From<Refusal> for FailedAttempt {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, retries: 0 }
    }
}

/// The server's answer, to explain a refusal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) is_object: bool,
    pub(crate) error: Option<ServerWords>,
    pub(crate) description: Option<ServerWords>,
    /// The secrets of this exchange, which are masked in the words.
    pub(crate) secrets: Secrets,
    /// The difference between the clocks, in words, if it matters.
    pub(crate) clock: Option<String>,
}

/// Why there is no token, before it is interpreted.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The endpoint could not be reached, or did not answer.
    Network(NetError),
    /// The answer is neither a token nor a refusal; why, in words.
    Unreadable(String),
    /// The server refuses, with this code.
    Refused(String),
}

/// The facts that decide what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RefusalFacts<'a> {
    grant_type: GrantType,
    status: u16,
    /// The error code; `None` if the answer is neither a token nor a refusal.
    code: Option<&'a str>,
    /// Whether it is a JSON object.
    is_object: bool,
    /// Whether the client was registered dynamically.
    is_registered: bool,
    /// Whether the client may have a secret that is not known here.
    lacks_secret: bool,
}

/// The grant type of the request (RFC 6749, 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrantType {
    Code,
    Refresh,
    Client,
    Device,
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The server is faulty or overloaded.
    Unavailable,
    /// Something else answered, or the server is faulty.
    Unreadable,
    /// The code or token is no longer valid.
    Spent,
    /// The client has a secret, which was not sent.
    SecretMissing,
    /// The client was not accepted.
    Client,
    /// The person on the other device has not finished yet.
    Pending { slower: bool },
    /// The code for the other device has expired.
    DeviceCodeExpired,
    /// The person denied access.
    AccessDenied,
    /// The scope is refused.
    InvalidScope,
    /// Any other permanent reason.
    Other,
}

impl RefusalFacts<'_> {
    fn meaning(&self) -> Meaning {
        let is_device = self.grant_type == GrantType::Device;
        if is_transient(self.status) {
            return Meaning::Unavailable;
        }
        if self.grant_type == GrantType::Refresh {
            match RefreshVerdict::of(self.status, self.code, self.is_object, self.is_registered) {
                RefreshVerdict::Ended => return Meaning::Spent,
                RefreshVerdict::Transient if self.code.is_some() => return Meaning::Unavailable,
                RefreshVerdict::Transient | RefreshVerdict::Client => {}
            }
        }
        match self.code {
            None => Meaning::Unreadable,
            Some("invalid_grant") => Meaning::Spent,
            // The code was issued for this client id, so the server knows it; its secret is missing.
            Some("invalid_client") if self.lacks_secret && self.grant_type == GrantType::Code => Meaning::SecretMissing,
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

/// Whether the status alone says that the same request may succeed later.
fn is_transient(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 425 | 429)
}

impl GrantType {
    fn of(request: &GrantRequest<'_>) -> Self {
        match request {
            GrantRequest::Code { .. } => GrantType::Code,
            GrantRequest::Refresh(_) => GrantType::Refresh,
            GrantRequest::Client { .. } => GrantType::Client,
            GrantRequest::Device(_) => GrantType::Device,
        }
    }
}

/// Interprets a failure: the refusal, and how many retries are worthwhile.
pub(crate) fn interpret(
    endpoint: &Endpoint<'_>,
    request: &GrantRequest<'_>,
    seen: &Seen,
    failure: Failure,
) -> FailedAttempt {
    let (code, why) = match failure {
        Failure::Network(NetError::Unusable(problem)) => return Refusal::Other(problem).into(),
        Failure::Network(error) => {
            let retries = match &error {
                error if error.never_sent() => MAX_RETRIES,
                // The server may have processed it. Servers that rotate refresh tokens tolerate the old one for a
                // while; and without this retry the next call would present it anyway.
                NetError::Failed { step: Step::Sent | Step::Body, .. } => 1,
                _ => 0,
            };
            return FailedAttempt { refusal: Refusal::NotNow(unreached(error, endpoint.url)), retries };
        }
        Failure::Unreadable(why) => (None, why),
        Failure::Refused(code) => (Some(code), String::new()),
    };
    let facts = RefusalFacts {
        grant_type: GrantType::of(request),
        status: seen.status,
        code: code.as_deref(),
        is_object: seen.is_object,
        is_registered: endpoint.client.is_registered(),
        lacks_secret: endpoint.client.lacks_secret(),
    };
    let meaning = facts.meaning();
    let retries = if meaning == Meaning::Unavailable && seen.status >= 500 { MAX_RETRIES } else { 0 };
    FailedAttempt { refusal: explained(meaning, endpoint, request, seen, &why), retries }
}

fn explained(meaning: Meaning, endpoint: &Endpoint<'_>, request: &GrantRequest<'_>, seen: &Seen, why: &str) -> Refusal {
    let explained = |id: ProblemId| seen.add_to(Problem::new(id));
    match meaning {
        Meaning::Unavailable => {
            let problem = Problem::new(ProblemId::TokenEndpointUnavailable);
            Refusal::NotNow(seen.add_to(problem.with("status", seen.status).with("endpoint", endpoint.url)))
        }
        Meaning::Unreadable => unreadable(endpoint, seen, why),
        Meaning::Spent => Refusal::Spent(seen.add_to(match request {
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
    /// Adds the server's words, and the difference between the clocks.
    fn add_to(&self, problem: Problem) -> Problem {
        // Planhat's description says more than its error code.
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

/// Something else answered, or the server is faulty. Nothing says that the tokens are invalid, so they are kept.
pub(crate) fn unreadable(endpoint: &Endpoint<'_>, seen: &Seen, why: &str) -> Refusal {
    Refusal::NotNow(
        Problem::new(ProblemId::TokenAnswerInvalid)
            .with("endpoint", endpoint.url)
            .with("status", seen.status)
            .said("detail", seen.secrets.words(why)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(grant_type: GrantType, status: u16, code: Option<&str>) -> Meaning {
        let is_object = code.is_some();
        RefusalFacts { grant_type, status, code, is_object, is_registered: false, lacks_secret: true }.meaning()
    }

    #[test]
    fn a_refusal_means_what_its_code_says_for_what_was_presented() {
        use GrantType::{Client, Code, Device, Refresh};
        for (grant_type, status, code, expected) in [
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
            assert_eq!(meaning(grant_type, status, code), expected, "{grant_type:?} {status} {code:?}");
        }
        let facts = RefusalFacts {
            grant_type: Code,
            status: 401,
            code: Some("invalid_client"),
            is_object: true,
            is_registered: false,
            lacks_secret: false,
        };
        assert_eq!(facts.meaning(), Meaning::Client, "nothing is missing");
        assert_eq!(RefusalFacts { grant_type: Refresh, status: 400, code: None, ..facts }.meaning(), Meaning::Spent);
    }
}

//! What a refusal at the token endpoint means for the refresh token that was presented (RFC 6749, 5.2).
//!
//! Servers refuse an ended refresh token under many names. A token that is kept in spite of that is presented with each
//! request, for ever, and nobody is asked to sign in; one that is given up for a passing fault costs a sign-in. So what
//! the server itself refuses ends the token, and what may come from elsewhere, or passes, does not.

/// What to do with a refresh token after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It has ended: it is never presented again, and a person signs in.
    Ended,
    /// The client was not accepted; the token was not looked at (RFC 6749, 3.2.1).
    Client,
    /// The same may succeed later.
    Passing,
}

/// Faults of the server that have a name; with any status, for some servers answer all with 200.
const PASSING_CODES: [&str; 15] = [
    "temporarily_unavailable",
    "server_error",
    "slow_down",
    "internal_error",
    "internal_server_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "timeout",
    "ratelimited",
    "rate_limited",
    "rate_limit_exceeded",
    "too_many_requests",
    "over_capacity",
    "try_again_later",
];

impl RefreshVerdict {
    /// Decides by the status, the error code, and whether the answer was a JSON object at all; never by words for people.
    /// `registered`: whether this program can register its client anew.
    pub fn of(status: u16, error: Option<&str>, is_object: bool, registered: bool) -> Self {
        match (status, error) {
            (408 | 425 | 429 | 500.., _) => Self::Passing,
            (_, Some("invalid_grant")) => Self::Ended,
            (_, Some("invalid_client")) => Self::Client,
            // RFC 6749 (5.2) keeps this for a client that is known; with 401, and often for a client that was forgotten,
            // servers mean one that is not.
            (401, Some("unauthorized_client")) => Self::Client,
            (_, Some("unauthorized_client")) if registered => Self::Client,
            (_, Some(code)) if PASSING_CODES.contains(&code.to_ascii_lowercase().as_str()) => Self::Passing,
            // Nothing is there at the moment, or something else is: this says nothing of the token.
            (300..=399 | 404 | 405, _) => Self::Passing,
            (200..=299 | 400..=499, Some(_)) => Self::Ended,
            // Without a code only these two are a token endpoint's own (RFC 6749, 5.2); a gateway that blocks says 403.
            (400 | 401, None) if is_object => Self::Ended,
            _ => Self::Passing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RefreshVerdict::{Client, Ended, Passing};
    use super::*;

    #[test]
    fn a_refusal_that_does_not_pass_ends_the_refresh_token_whatever_its_name() {
        for (status, error, expected) in [
            (400, "invalid_grant", Ended),
            (401, "invalid_grant", Ended),
            (404, "invalid_grant", Ended),
            (200, "invalid_grant", Ended),
            (400, "invalid_request", Ended),
            (401, "invalid_request", Ended),
            (400, "invalid_token", Ended),
            (401, "invalid_token", Ended),
            (200, "bad_refresh_token", Ended),
            (200, "invalid_refresh_token", Ended),
            (400, "unsupported_grant_type", Ended),
            (400, "unauthorized_client", Ended),
            (400, "invalid_scope", Ended),
            (400, "invalid_target", Ended),
            (400, "Bad Request", Ended),
            (401, "Unauthorized", Ended),
            (403, "access_denied", Ended),
            (409, "token_reused", Ended),
            (410, "expired_token", Ended),
            (422, "invalid_request", Ended),
            (400, "invalid_client", Client),
            (401, "invalid_client", Client),
            (200, "invalid_client", Client),
            (401, "unauthorized_client", Client),
            (400, "temporarily_unavailable", Passing),
            (403, "slow_down", Passing),
            (400, "server_error", Passing),
            (200, "ratelimited", Passing),
            (200, "internal_error", Passing),
            (429, "invalid_grant", Passing),
            (408, "invalid_request", Passing),
            (425, "invalid_request", Passing),
            (500, "invalid_grant", Passing),
            (503, "invalid_request", Passing),
            (404, "Not Found", Passing),
            (405, "invalid_request", Passing),
            (302, "invalid_request", Passing),
        ] {
            assert_eq!(RefreshVerdict::of(status, Some(error), true, false), expected, "{status} {error}");
        }
        assert_eq!(RefreshVerdict::of(400, Some("unauthorized_client"), true, true), Client);
    }

    #[test]
    fn without_a_code_only_what_a_token_endpoint_says_itself_ends_the_token() {
        for (status, is_object, expected) in [
            (400, true, Ended),
            (401, true, Ended),
            (400, false, Passing),
            (401, false, Passing),
            (403, true, Passing),
            (403, false, Passing),
            (404, true, Passing),
            (200, true, Passing),
            (200, false, Passing),
            (302, false, Passing),
            (502, true, Passing),
            (0, false, Passing),
        ] {
            assert_eq!(RefreshVerdict::of(status, None, is_object, false), expected, "{status} {is_object}");
        }
    }
}

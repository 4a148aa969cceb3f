//! Decides what a refusal at the token endpoint means for the refresh token (RFC 6749, 5.2).
//!
//! Servers refuse an ended refresh token with many different codes. If it is kept anyway, every request presents it,
//! forever, and nobody is asked to sign in; if it is given up for a transient fault, that costs a sign-in. So a refusal
//! by the server itself ends the token; one that may come from elsewhere, or is transient, does not.

/// What to do with a refresh token after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshVerdict {
    /// It has ended: never present it again; a person has to sign in.
    Ended,
    /// The client was not accepted; the server has not looked at the token (RFC 6749, 3.2.1).
    Client,
    /// The same may succeed later.
    Transient,
}

/// Error codes of server faults; with any status, because some servers always answer 200.
const TRANSIENT_CODES: [&str; 15] = [
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
    /// Decides by the status, the error code, and whether the answer is a JSON object; never by words for people.
    /// `registered`: whether this program can register its client again.
    pub fn of(status: u16, error: Option<&str>, is_object: bool, registered: bool) -> Self {
        match (status, error) {
            (408 | 425 | 429 | 500.., _) => Self::Transient,
            (_, Some("invalid_grant")) => Self::Ended,
            (_, Some("invalid_client")) => Self::Client,
            // RFC 6749 (5.2) reserves this for a known client; with 401, and often for a forgotten client, servers mean
            // an unknown one.
            (401, Some("unauthorized_client")) => Self::Client,
            (_, Some("unauthorized_client")) if registered => Self::Client,
            (_, Some(code)) if TRANSIENT_CODES.contains(&code.to_ascii_lowercase().as_str()) => Self::Transient,
            // Nothing is there at the moment, or something else is: this says nothing about the token.
            (300..=399 | 404 | 405, _) => Self::Transient,
            (200..=299 | 400..=499, Some(_)) => Self::Ended,
            // Without a code, only these two statuses are a token endpoint's own (RFC 6749, 5.2); a blocking gateway
            // sends 403.
            (400 | 401, None) if is_object => Self::Ended,
            _ => Self::Transient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RefreshVerdict::{Client, Ended, Transient};
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
            (400, "temporarily_unavailable", Transient),
            (403, "slow_down", Transient),
            (400, "server_error", Transient),
            (200, "ratelimited", Transient),
            (200, "internal_error", Transient),
            (429, "invalid_grant", Transient),
            (408, "invalid_request", Transient),
            (425, "invalid_request", Transient),
            (500, "invalid_grant", Transient),
            (503, "invalid_request", Transient),
            (404, "Not Found", Transient),
            (405, "invalid_request", Transient),
            (302, "invalid_request", Transient),
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
            (400, false, Transient),
            (401, false, Transient),
            (403, true, Transient),
            (403, false, Transient),
            (404, true, Transient),
            (200, true, Transient),
            (200, false, Transient),
            (302, false, Transient),
            (502, true, Transient),
            (0, false, Transient),
        ] {
            assert_eq!(RefreshVerdict::of(status, None, is_object, false), expected, "{status} {is_object}");
        }
    }
}

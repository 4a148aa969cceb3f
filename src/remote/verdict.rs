//! What an answer means for its request. Pure: the rule of `docs/design.md` ("What a refusal means") as a function.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};

use crate::auth::Challenge;
use crate::http::retry_after;
use crate::message::{IdKey, Kind, Peek, peek};
use crate::secret::Secrets;

use super::body::Media;
use super::lost_session::words_of_loss;
use super::sent_request::SentRequest;

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has accepted the request; its answer is in the body, still unread.
    Deliver,
    /// An error status, but its body is the JSON-RPC answer.
    DeliverBody,
    /// The token is missing or refused (401); not executed.
    Unauthorized,
    /// The token lacks a scope (RFC 6750, 3.1); not executed.
    InsufficientScope,
    /// The server no longer knows the session; not executed.
    SessionLost {
        /// The words that say so, if the status does not: they may be about something else.
        words: Option<String>,
    },
    /// Too many requests (429); not executed.
    Throttled {
        /// How long the server asks to wait, uncapped.
        wait: Option<Duration>,
    },
    /// The server failed, perhaps after executing the request.
    Unclear {
        /// How long the server asks to wait, uncapped.
        wait: Option<Duration>,
    },
    /// A page, at another address that the server has redirected to; not executed.
    SignInPage,
    /// The server offers no GET stream (405).
    NotOffered,
    /// Any other refusal.
    Refused,
}

impl Verdict {
    /// Whether the server certainly has not executed the message.
    pub(super) fn is_not_executed(&self) -> bool {
        match self {
            Self::Unauthorized
            | Self::InsufficientScope
            | Self::SessionLost { .. }
            | Self::Throttled { .. }
            | Self::SignInPage => true,
            Self::Deliver | Self::DeliverBody | Self::Unclear { .. } | Self::NotOffered | Self::Refused => false,
        }
    }
}

/// The head of an answer, and its arrival time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    /// For a `Retry-After` that is a date.
    pub(super) now: SystemTime,
    /// Whether it comes from another address, to which the server has redirected just now.
    pub(super) is_followed: bool,
}

impl Head<'_> {
    fn wants_wider_scope(&self) -> bool {
        // Only the error code counts here, and nobody sees it.
        self.status == StatusCode::FORBIDDEN
            && Challenge::from_headers(self.headers, &Secrets::none()).is_insufficient_scope()
    }

    fn is_challenge(&self) -> bool {
        self.headers.contains_key(WWW_AUTHENTICATE)
    }

    fn is_page(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
    }

    /// Whether it is how some servers answer a token that has ended: with a fault of their own, or with a page.
    fn may_mean_old_token(&self, request: SentRequest<'_>) -> bool {
        match self.status.as_u16() {
            200..=299 => request.expects().is_some() && self.is_page(),
            500 => true,
            _ => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        retry_after::asked_wait(self.headers, self.now)
    }
}

/// The request, and the state in which it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) request: SentRequest<'a>,
    /// Whether a session id was sent.
    pub(super) in_session: bool,
    /// Whether words about a lost session count.
    pub(super) believes_words: bool,
    /// Whether the token that was sent may have ended: its end has passed, or the server has never named one.
    pub(super) may_be_old: bool,
}

/// Whether [`classify`] needs the body. A successful answer is read later, once its reader has room for it.
pub(super) fn needs_body(head: &Head<'_>, question: &Question<'_>) -> bool {
    match head.status.as_u16() {
        200..=299 | 429 => false,
        401 => question.in_session && !head.is_challenge(),
        403 if head.wants_wider_scope() => false,
        400 => question.in_session || question.request.expects().is_some(),
        _ => question.request.expects().is_some(),
    }
}

/// What the answer means. `body` may be empty where [`needs_body`] says that it is not needed.
pub(super) fn classify(head: &Head<'_>, body: &[u8], question: &Question<'_>) -> Verdict {
    let Question { request, in_session, believes_words, may_be_old } = *question;
    if in_session
        && believes_words
        && let Some(words) = words_of_refusal(head, body, request.expects())
    {
        return Verdict::SessionLost { words: Some(words) };
    }
    let answer = || request.expects().and_then(|id| answer_in(body, id));
    match (head.status.as_u16(), request) {
        (200, SentRequest::Stream) if Media::of(head.headers) == Media::Events => Verdict::Deliver,
        (405, SentRequest::Stream) => Verdict::NotOffered,
        (200..=299 | 400 | 403 | 405 | 419 | 422, SentRequest::Message(_)) if head.is_followed && head.is_page() => {
            Verdict::SignInPage
        }
        // Unless the server has looked at the message and answers it.
        (_, SentRequest::Message(_))
            if may_be_old && head.may_mean_old_token(request) && answer() != Some(Names::This) =>
        {
            Verdict::Unclear { wait: head.retry_after() }
        }
        (200..=299, SentRequest::Message(_)) => Verdict::Deliver,
        (401, _) => Verdict::Unauthorized,
        (403, SentRequest::Message(_)) if head.wants_wider_scope() => Verdict::InsufficientScope,
        (429, _) => Verdict::Throttled { wait: head.retry_after() },
        // An answer to this very request means that the session lives.
        (404, _) if in_session => match answer() {
            Some(Names::This) => Verdict::DeliverBody,
            Some(Names::Nobody) | None => Verdict::SessionLost { words: None },
        },
        _ if answer().is_some() => Verdict::DeliverBody,
        // RFC 9110, 15.6: the request may or may not have been executed. Some gateways use numbers from 520 for the
        // same.
        (500 | 502..=504 | 520..=530, _) => Verdict::Unclear { wait: head.retry_after() },
        _ => Verdict::Refused,
    }
}

/// The words of a lost session in a refusal; a successful answer is checked when it is read.
fn words_of_refusal(head: &Head<'_>, body: &[u8], expects: Option<&IdKey>) -> Option<String> {
    if head.status.is_success() {
        return None;
    }
    words_of_loss(head.status, head.is_challenge(), body, expects)
}

/// The request that a JSON-RPC answer names.
#[derive(Debug, PartialEq, Eq)]
enum Names {
    /// The request that was posted.
    This,
    /// No request: the id is `null` or absent.
    Nobody,
}

/// Which request `body` answers, if it is a JSON-RPC answer to `id` or to none.
fn answer_in(body: &[u8], id: &IdKey) -> Option<Names> {
    match peek(body) {
        Ok(Peek::One(Kind::Response { id: None, .. })) => Some(Names::Nobody),
        Ok(Peek::One(Kind::Response { id: Some((_, key)), .. })) if key == *id => Some(Names::This),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::outgoing::Outgoing;
    use super::*;

    const MINE: &str = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no"}}"#;
    const MINE_LOST: &str = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"Session not found"}}"#;
    const NAMELESS: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#;
    const OTHER: &str = r#"{"jsonrpc":"2.0","id":8,"error":{"code":-32601,"message":"no"}}"#;
    const LOST: &str = "Session not found";
    const CHALLENGE: (&str, &str) = ("www-authenticate", r#"Bearer error="invalid_token""#);
    const SCOPE: (&str, &str) = ("www-authenticate", r#"Bearer error="insufficient_scope", scope="a b""#);
    const WAIT: (&str, &str) = ("retry-after", "7");
    const EVENTS: (&str, &str) = ("content-type", "text/event-stream");

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    fn request() -> Outgoing {
        Outgoing { expects: Some(IdKey::Number("7".into())), ..Outgoing::unanswered(Bytes::new()) }
    }

    /// The verdict on the same answer with and without the body that [`needs_body`] asks for.
    fn verdict(status: u16, pairs: &[(&'static str, &'static str)], body: &str, question: &Question<'_>) -> Verdict {
        let headers = headers(pairs);
        let status = StatusCode::from_u16(status).expect("a status");
        let head = Head { status, headers: &headers, now: SystemTime::UNIX_EPOCH, is_followed: false };
        let verdict = classify(&head, body.as_bytes(), question);
        if !needs_body(&head, question) {
            assert_eq!(classify(&head, b"", question), verdict, "{status} {body}: decided by a body that is not read");
        }
        verdict
    }

    #[test]
    fn each_answer_to_a_request_means_what_the_design_says() {
        use Verdict::{Deliver, DeliverBody, InsufficientScope, Refused, Unauthorized};
        let out = request();
        let seven = Some(Duration::from_secs(7));
        let throttled = |wait| Verdict::Throttled { wait };
        let unclear = |wait| Verdict::Unclear { wait };
        let gone = || Verdict::SessionLost { words: None };
        let lost = || Verdict::SessionLost { words: Some(LOST.to_lowercase()) };
        for (status, pairs, body, without_session, in_session) in [
            (200, &[][..], MINE, Deliver, Deliver),
            (200, &[EVENTS], "", Deliver, Deliver),
            (200, &[], LOST, Deliver, Deliver), // looked at when it is read
            (202, &[], "", Deliver, Deliver),
            (401, &[], "", Unauthorized, Unauthorized),
            (401, &[CHALLENGE], "", Unauthorized, Unauthorized),
            (401, &[], LOST, Unauthorized, lost()),
            (401, &[CHALLENGE], LOST, Unauthorized, Unauthorized),
            (401, &[], MINE, Unauthorized, Unauthorized),
            (403, &[SCOPE], "", InsufficientScope, InsufficientScope),
            (403, &[CHALLENGE], "", Refused, Refused),
            (403, &[], LOST, Refused, Refused),
            (403, &[], MINE, DeliverBody, DeliverBody),
            (404, &[], "", Refused, gone()),
            (404, &[], MINE, DeliverBody, DeliverBody),
            (404, &[], NAMELESS, DeliverBody, gone()),
            (404, &[], OTHER, Refused, gone()),
            (404, &[], MINE_LOST, DeliverBody, Verdict::SessionLost { words: Some("session not found".to_owned()) }),
            (400, &[], "", Refused, Refused),
            (400, &[], LOST, Refused, lost()),
            (400, &[], MINE, DeliverBody, DeliverBody),
            (400, &[], NAMELESS, DeliverBody, DeliverBody),
            (400, &[], OTHER, Refused, Refused),
            (400, &[], "<html>", Refused, Refused),
            (405, &[], "", Refused, Refused),
            (429, &[WAIT], "", throttled(seven), throttled(seven)),
            (429, &[], "", throttled(None), throttled(None)),
            (429, &[], MINE, throttled(None), throttled(None)),
            (500, &[], "", unclear(None), unclear(None)),
            (500, &[], MINE, DeliverBody, DeliverBody),
            (502, &[], LOST, unclear(None), unclear(None)),
            (503, &[WAIT], "", unclear(seven), unclear(seven)),
            (504, &[], "", unclear(None), unclear(None)),
            (520, &[], "", unclear(None), unclear(None)),
            (530, &[], "", unclear(None), unclear(None)),
            (501, &[], "", Refused, Refused),
            (505, &[], "", Refused, Refused),
            (418, &[], "", Refused, Refused),
        ] {
            for (in_session, expected) in [(false, without_session), (true, in_session)] {
                let question = Question {
                    request: SentRequest::Message(&out),
                    in_session,
                    believes_words: true,
                    may_be_old: false,
                };
                assert_eq!(verdict(status, pairs, body, &question), expected, "{status} {pairs:?} {body} {in_session}");
            }
        }
    }

    #[test]
    fn each_answer_to_a_get_means_what_the_design_says() {
        use Verdict::{Deliver, NotOffered, Refused, SessionLost, Throttled, Unauthorized, Unclear};
        let gone = || SessionLost { words: None };
        for (status, pairs, body, without_session, in_session) in [
            (200, &[EVENTS][..], "", Deliver, Deliver),
            (200, &[], MINE, Refused, Refused),
            (202, &[], "", Refused, Refused),
            (401, &[CHALLENGE], "", Unauthorized, Unauthorized),
            // Listening alone is no reason to ask a person for more.
            (403, &[SCOPE], "", Refused, Refused),
            (404, &[], "", Refused, gone()),
            (400, &[], LOST, Refused, SessionLost { words: Some(LOST.to_lowercase()) }),
            (405, &[], "", NotOffered, NotOffered),
            (
                429,
                &[WAIT],
                "",
                Throttled { wait: Some(Duration::from_secs(7)) },
                Throttled { wait: Some(Duration::from_secs(7)) },
            ),
            (503, &[], "", Unclear { wait: None }, Unclear { wait: None }),
        ] {
            for (in_session, expected) in [(false, without_session), (true, in_session)] {
                let question =
                    Question { request: SentRequest::Stream, in_session, believes_words: true, may_be_old: false };
                assert_eq!(verdict(status, pairs, body, &question), expected, "{status} {pairs:?} {body} {in_session}");
            }
        }
    }

    #[test]
    fn what_expects_no_answer_takes_no_body_for_one() {
        let notification = Outgoing::unanswered(Bytes::new());
        let question = Question {
            request: SentRequest::Message(&notification),
            in_session: true,
            believes_words: true,
            may_be_old: false,
        };
        for body in [MINE, NAMELESS] {
            assert_eq!(verdict(400, &[], body, &question), Verdict::Refused);
            assert_eq!(verdict(404, &[], body, &question), Verdict::SessionLost { words: None });
        }
        assert_eq!(verdict(403, &[SCOPE], "", &question), Verdict::InsufficientScope);
        assert_eq!(verdict(202, &[], "", &question), Verdict::Deliver);
    }

    #[test]
    fn words_that_are_doubted_leave_the_answer_what_it_is_without_them() {
        let out = request();
        let question = Question {
            request: SentRequest::Message(&out),
            in_session: true,
            believes_words: false,
            may_be_old: false,
        };
        assert_eq!(verdict(401, &[], LOST, &question), Verdict::Unauthorized);
        assert_eq!(verdict(400, &[], LOST, &question), Verdict::Refused);
        let answer = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Session not found"}}"#;
        assert_eq!(verdict(400, &[], answer, &question), Verdict::DeliverBody);
        assert_eq!(verdict(404, &[], LOST, &question), Verdict::SessionLost { words: None });
    }

    #[test]
    fn a_token_that_may_have_ended_can_be_why_a_server_fails_or_sends_to_a_page() {
        use Verdict::{Deliver, DeliverBody, Refused, SignInPage};
        const PAGE: (&str, &str) = ("content-type", "Text/HTML; charset=utf-8");
        let unclear = || Verdict::Unclear { wait: None };
        let out = request();
        // Each with a token that is young, with one that may have ended, and after a redirect.
        for (status, pairs, body, young, old, followed) in [
            (500, &[][..], "", unclear(), unclear(), unclear()),
            (500, &[], NAMELESS, DeliverBody, unclear(), DeliverBody),
            (500, &[], MINE, DeliverBody, DeliverBody, DeliverBody),
            (502, &[], NAMELESS, DeliverBody, DeliverBody, DeliverBody),
            (200, &[PAGE], "<html>", Deliver, unclear(), SignInPage),
            (200, &[], MINE, Deliver, Deliver, Deliver),
            (405, &[PAGE], "<html>", Refused, Refused, SignInPage),
            (404, &[PAGE], "<html>", Refused, Refused, Refused),
            (403, &[], "", Refused, Refused, Refused),
        ] {
            for (may_be_old, is_followed, expected) in
                [(false, false, young), (true, false, old), (false, true, followed)]
            {
                let question = Question {
                    request: SentRequest::Message(&out),
                    in_session: false,
                    believes_words: true,
                    may_be_old,
                };
                let (headers, status) = (headers(pairs), StatusCode::from_u16(status).expect("a status"));
                let head = Head { status, headers: &headers, now: SystemTime::UNIX_EPOCH, is_followed };
                let found = classify(&head, body.as_bytes(), &question);
                assert_eq!(found, expected, "{status} {pairs:?} {body} {may_be_old} {is_followed}");
            }
        }
    }
}

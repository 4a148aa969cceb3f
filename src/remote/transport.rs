//! Sends one request: follows redirects within the origin, bounds silence, and reads the body of a refusal.

use std::sync::Arc;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Request, Response, StatusCode};
use tokio::time::Duration;
use url::Url;

use crate::auth::Challenge;
use crate::config::Settings;
use crate::http::{Cookies, Http, NetError, host_of, with_scheme_of};
use crate::limits::{MAX_REDIRECTS, REFUSAL_BODY_WAIT, REFUSAL_JSON_BYTES, REFUSAL_QUOTED_BYTES};
use crate::message::{Kind, Peek, peek};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;

use super::body::{Media, PartialBody, Reading};
use super::body_room::{BodyRooms, Message};
use super::exchange::{Exchange, Unread};
use super::failure::Failure;
use super::patience::Patience;
use super::redirect::{
    Moved, instead_of_answer, is_slash_apart, is_temporary, redirect_target, refused_redirect, same_origin,
    sign_in_page,
};
use super::refusal::explain_refusal;
use super::remembered::Remembered;
use super::request::SESSION_ID;
use super::session::OwedAnswers;
use super::stream::EventStream;

/// The head of an answer, and what was sent for it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// The secrets in the request, to mask where the answer quotes them.
    pub(super) secrets: Secrets,
    /// Whether it comes from another address than was asked, by a redirect.
    pub(super) is_followed: bool,
    /// The body, once [`Transport::read_refusal`] has read it.
    body: Option<Option<Message>>,
}

impl Answer {
    pub(super) fn body(&self) -> &[u8] {
        self.body.as_ref().and_then(Option::as_ref).map_or(&[], |message| &message.body)
    }

    /// The answer, whose message has already been read.
    pub(super) fn into_whole(mut self) -> Exchange {
        let headers = std::mem::take(self.response.headers_mut());
        Exchange::whole(headers, self.body.flatten())
    }
}

/// Sends requests to the server.
#[derive(Debug, Clone)]
pub(super) struct Transport {
    settings: Arc<Settings>,
    http: Http,
    /// Load balancers set them to keep a session on one server.
    cookies: Arc<Cookies>,
    owed: OwedAnswers,
    rooms: BodyRooms,
    pub(super) remembered: Arc<Remembered>,
}

impl Transport {
    pub(super) fn new(settings: Arc<Settings>, http: Http, owed: OwedAnswers, remembered: Arc<Remembered>) -> Self {
        let cookies = Arc::new(Cookies::of(&settings.url));
        Self { settings, http, cookies, owed, rooms: BodyRooms::default(), remembered }
    }

    /// Executes a request; follows redirects that stay within the origin and keep the method. `within` bounds the wait for
    /// the head of the answer more tightly than the settings do. What goes to the endpoint goes to where permanent redirects
    /// have led before, while that place answers.
    pub(super) async fn execute(&self, mut message: Request, within: Option<Duration>) -> Result<Answer, Failure> {
        // Other addresses of the server, as HTTP+SSE has them, have redirects of their own.
        let learns = *message.url() == self.settings.url;
        if let Some(address) = self.remembered.address().filter(|_| learns)
            && let Some(there) = message.try_clone()
            // Boxed, because it is rarely needed, and each request has room for all that its future may hold.
            && let Some(answered) = Box::pin(self.execute_there(there, address, within)).await
        {
            return answered;
        }
        let client = self.http.client(&self.settings.url).await?;
        let idle = within.unwrap_or(self.settings.limits.idle);
        let patience = self.patience(Some(idle));
        let (mut moved, mut is_followed) = (Moved::default(), false);
        for _ in 0..=MAX_REDIRECTS {
            let url = message.url().clone();
            let turn = self.cookies.add_to(&mut message);
            let secrets = self.http.secrets_in(&message);
            let again = message.try_clone();
            let Some(sent) = patience.wait(client.execute(message)).await else {
                return Err(NetError::timed_out(&url, idle).into());
            };
            let response = sent.map_err(|e| self.http.explain(&url, &e))?;
            self.cookies.take_from(&response, turn);
            self.http.heed_keep_alive(&response);
            let status = response.status();
            if let Some(page) = sign_in_page(&url, status, response.headers()) {
                return Err(Failure::Redirected(instead_of_answer(&self.settings, &url, &page, &secrets)));
            }
            let Some(target) = redirect_target(&url, status, response.headers()) else {
                let answer = Answer { response, secrets, is_followed, body: None };
                if learns && status.is_success() && !is_doubtful(&answer) {
                    self.remembered.answered_from(moved.to());
                }
                return Ok(answer);
            };
            let upgraded = with_scheme_of(&url, &target);
            if let Some(upgraded) = &upgraded {
                tracing::warn!(
                    to = %upgraded.path(),
                    "the server redirects to http; its https form is asked. Its operator sets X-Forwarded-Proto in the proxy"
                );
            }
            let is_upgraded = upgraded.is_some();
            let target = upgraded.unwrap_or(target);
            // A framework adds a slash with 307, and means it for good.
            let is_lasting = !is_temporary(status) || is_upgraded && is_slash_apart(&url, &target);
            match again {
                Some(mut next) if same_origin(&url, &target) => {
                    is_followed |= is_temporary(status) && !is_slash_apart(&url, &target);
                    moved.follow(&target, is_lasting);
                    *next.url_mut() = target;
                    message = next;
                }
                _ => {
                    let problem = refused_redirect(&url, &target, &secrets);
                    return Err(if is_temporary(status) { Failure::Redirected(problem) } else { problem.into() });
                }
            }
        }
        Err(Problem::new(ProblemId::TooManyRedirects).with("host", host_of(&self.settings.url)).into())
    }

    /// Executes a request where redirects have led before; `None` when that place is gone, which is then forgotten.
    async fn execute_there(
        &self,
        mut message: Request,
        address: Url,
        within: Option<Duration>,
    ) -> Option<Result<Answer, Failure>> {
        *message.url_mut() = address;
        let may_be_gone = message.method() == Method::POST && !message.headers().contains_key(SESSION_ID);
        match self.execute(message, within).await {
            // Gateways that ask for authorization first say so of any path.
            Ok(answer) if is_about_sign_in(&answer) && !self.remembered.is_proven() => {
                self.remembered.doubt();
                return None;
            }
            Ok(mut answer) => {
                if !(may_be_gone && is_gone(&answer)) || self.is_answer(&mut answer).await {
                    match is_doubtful(&answer) {
                        true => self.remembered.has_not_moved(),
                        false if answer.response.status().is_success() => self.remembered.prove(),
                        false => {}
                    }
                    return Some(Ok(answer));
                }
            }
            // It was not executed there.
            Err(Failure::Redirected(_)) => {}
            Err(Failure::Explained(problem)) if problem.id.is_redirect() => {}
            Err(failure) => return Some(Err(failure)),
        }
        tracing::info!("the address that the server had moved to is gone; the configured one is asked again");
        self.remembered.has_not_moved();
        None
    }

    /// Whether a refusal holds an answer in JSON-RPC: the server has looked at the message.
    async fn is_answer(&self, answer: &mut Answer) -> bool {
        if Media::of(answer.response.headers()) != Media::Json {
            return false;
        }
        self.read_refusal(answer).await;
        matches!(peek(answer.body()), Ok(Peek::One(Kind::Response { .. })))
    }

    /// The challenge of a refusal, and its sender.
    pub(super) fn challenge(&self, answer: &Answer) -> Challenge {
        Challenge::from_headers(answer.response.headers(), &answer.secrets).sent_by(self.http.namer(&answer.response))
    }

    /// The page that came in the place of an answer.
    pub(super) fn sign_in_page(&self, answer: &Answer) -> Problem {
        instead_of_answer(&self.settings, &self.settings.url, answer.response.url(), &answer.secrets)
    }

    /// Reads the body of a refusal as far as possible, once.
    pub(super) async fn read_refusal(&self, answer: &mut Answer) {
        if answer.body.is_some() {
            return;
        }
        let max = self.refusal_bound(answer.response.headers());
        let patience = self.patience(Some(refusal_patience(self.settings.limits.idle)));
        let mut body = PartialBody::new(self.reading());
        let is_whole = body.read(&self.http, &mut answer.response, max, &patience).await.is_ok();
        answer.body = Some(body.take().filter(|_| is_whole));
    }

    /// A refusal with a JSON body may be an answer; of anything else, less is of use.
    fn refusal_bound(&self, headers: &HeaderMap) -> usize {
        match Media::of(headers) {
            Media::Json => self.settings.limits.max_message_bytes.min(REFUSAL_JSON_BYTES),
            Media::Events | Media::Other => REFUSAL_QUOTED_BYTES,
        }
    }

    /// What the refusal means, with the server's words.
    pub(super) async fn explain(&self, answer: &mut Answer) -> Problem {
        self.read_refusal(answer).await;
        let Answer { response, secrets, .. } = &*answer;
        let (url, status, headers) = (response.url(), response.status(), response.headers());
        explain_refusal(&self.settings, url, status, headers, answer.body(), secrets)
    }

    /// Reads a successful answer as a stream; `idle` bounds its silence.
    pub(super) fn stream(&self, response: Response, idle: Option<Duration>) -> EventStream {
        EventStream::new(self.http.clone(), response, self.reading(), self.patience(idle))
    }

    /// Leaves the body of a successful answer until its reader has room for it; `expected` says whether it must hold an
    /// answer.
    pub(super) fn unread(&self, headers: HeaderMap, response: Response, expected: bool) -> Exchange {
        let (settings, http) = (Arc::clone(&self.settings), self.http.clone());
        let patience = self.patience(Some(settings.limits.idle));
        let body = PartialBody::new(self.reading());
        let unread = Unread { settings, response, expects: expected, http, patience, body };
        Exchange::unread(headers, unread)
    }

    fn reading(&self) -> Reading {
        let limits = &self.settings.limits;
        Reading { rooms: self.rooms.clone(), max: limits.max_message_bytes, idle: limits.idle }
    }

    pub(super) fn patience(&self, idle: Option<Duration>) -> Patience {
        Patience { idle, owed: Arc::clone(&self.owed) }
    }

    /// Forgets the previous user's cookies and connections.
    pub(super) fn forget(&self) {
        self.cookies.forget();
        self.http.forget();
    }
}

/// Whether there is nothing at the place that was asked.
fn is_gone(answer: &Answer) -> bool {
    matches!(answer.response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE)
}

/// Whether the sender or its token was refused.
fn is_about_sign_in(answer: &Answer) -> bool {
    matches!(answer.response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Whether the place that was asked may be none of an MCP server any more.
fn is_doubtful(answer: &Answer) -> bool {
    let kind = answer.response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    answer.response.status().is_server_error() || kind.is_some_and(|kind| kind.starts_with("text/html"))
}

/// The longest silence of the body of a refusal.
fn refusal_patience(idle: Duration) -> Duration {
    idle.min(REFUSAL_BODY_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_a_refusal_may_be_silent_for_seconds_only() {
        assert_eq!(refusal_patience(Duration::from_secs(86_400)), REFUSAL_BODY_WAIT);
        assert_eq!(refusal_patience(Duration::from_secs(1)), Duration::from_secs(1));
    }
}

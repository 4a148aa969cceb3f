//! Sends one request: follows redirects within the origin, bounds silence, and reads the body of a refusal.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderMap;
use reqwest::{Method, Request, Response, StatusCode};
use tokio::time::Duration;
use url::Url;

use crate::auth::Challenge;
use crate::config::Settings;
use crate::http::{Cookies, Http, NetError, host_of, with_scheme_of};
use crate::limits::{MAX_REDIRECTS, REFUSAL_BODY_WAIT, REFUSAL_JSON_BYTES, REFUSAL_QUOTED_BYTES};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;

use super::body::{Media, PartialBody, Reading};
use super::body_room::{BodyRooms, Message};
use super::exchange::{Exchange, Unread};
use super::failure::Failure;
use super::patience::Patience;
use super::redirect::{
    instead_of_answer, is_slash_apart, is_temporary, redirect_target, refused_redirect, same_origin, sign_in_page,
};
use super::refusal::explain_refusal;
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
    moved: Moved,
}

/// Where the endpoint's redirects have led, while that answers.
#[derive(Debug, Clone, Default)]
struct Moved(Arc<Mutex<Option<Url>>>);

impl Moved {
    fn to(&self) -> Option<Url> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, target: Option<Url>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }
}

impl Transport {
    pub(super) fn new(settings: Arc<Settings>, http: Http, owed: OwedAnswers) -> Self {
        let cookies = Arc::new(Cookies::of(&settings.url));
        Self { settings, http, cookies, owed, rooms: BodyRooms::default(), moved: Moved::default() }
    }

    /// Executes a request; follows redirects that stay within the origin and keep the method. `within` bounds the wait for
    /// the head of the answer more tightly than the settings do.
    pub(super) async fn execute(&self, mut message: Request, within: Option<Duration>) -> Result<Answer, Failure> {
        let client = self.http.client(&self.settings.url).await?;
        let idle = within.unwrap_or(self.settings.limits.idle);
        let patience = self.patience(Some(idle));
        let is_post = message.method() == Method::POST;
        let (mut mended, mut is_followed) = (None, false);
        // Other addresses of the server, as HTTP+SSE has them, have redirects of their own.
        let is_endpoint = *message.url() == self.settings.url;
        if let Some(target) = self.moved.to().filter(|_| is_endpoint) {
            *message.url_mut() = target;
        }
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
            if let Some(page) = sign_in_page(&url, response.status(), response.headers()) {
                return Err(Failure::Redirected(instead_of_answer(&self.settings, &url, &page, &secrets)));
            }
            let Some(target) = redirect_target(&url, response.status(), response.headers()) else {
                match response.status() {
                    // The place may be gone, and the configured one is asked again. A GET is refused where there is none.
                    StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE
                        if is_post && is_endpoint =>
                    {
                        self.moved.set(None);
                    }
                    status if status.is_success() && is_endpoint && mended.is_some() => self.moved.set(mended),
                    _ => {}
                }
                return Ok(Answer { response, secrets, is_followed, body: None });
            };
            let upgraded = with_scheme_of(&url, &target);
            if let Some(upgraded) = &upgraded {
                tracing::warn!(
                    to = %upgraded.path(),
                    "the server redirects to http; its https form is asked. Its operator sets X-Forwarded-Proto in the proxy"
                );
                mended = Some(upgraded.clone());
            }
            let target = upgraded.unwrap_or(target);
            match again {
                Some(mut next) if same_origin(&url, &target) => {
                    is_followed |= !is_slash_apart(&url, &target);
                    *next.url_mut() = target;
                    message = next;
                }
                _ => {
                    self.moved.set(None);
                    let problem = refused_redirect(&url, &target, &secrets);
                    let is_temporary = is_temporary(response.status());
                    return Err(if is_temporary { Failure::Redirected(problem) } else { problem.into() });
                }
            }
        }
        self.moved.set(None);
        Err(Problem::new(ProblemId::TooManyRedirects).with("host", host_of(&self.settings.url)).into())
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

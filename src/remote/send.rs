//! The one send loop: bearer, headers, POST, classify the answer, act.
//!
//! What a request may have done at the server decides what happens next. 401, 403 and 429 say that it was not executed,
//! and a connection that was never made that it was not even sent: only then does this loop send the same bytes again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Request, Response, StatusCode};
use tokio::time::{Duration, Instant};
use url::Url;

use crate::auth::{AuthError, Authorizer, Bearer, Challenge};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::http::{Gate, Http, NetError, host_of, retry_after};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;

use super::lost::Doubts;
use super::outgoing::{Names, answer_in};
use super::redirect::{redirect_target, refused_redirect, same_origin};
use super::refused::{Asked, Exceptions};
use super::session::OwedAnswers;
use super::{Failure, Outgoing, Session, request};
use crate::remote::response::{Exchange, Media, Patience, Stream, Unread, explain_refusal, read_whole};

/// How often a throttled request is sent again before its client is told.
const MOST_THROTTLED: u32 = 8;
/// How often a 401 may bring a new token for one request: its own, and one more that another request caused.
pub(super) const MOST_RENEWALS: u32 = 2;
/// How many redirects within the origin are followed.
const MOST_REDIRECTS: u32 = 3;
/// The largest body that is read from a refusal, in bytes.
const REFUSAL_BODY: usize = 1024 * 1024;
/// How often a client is told that its request still waits.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How long ending the session at the server may take.
const END_SESSION_WITHIN: Duration = Duration::from_millis(750);
/// How long a refusal's body may stand still; its status says enough.
const REFUSAL_WAIT: Duration = Duration::from_secs(10);

/// The remote MCP server, as this process sees it.
#[derive(Debug)]
pub struct Remote {
    pub(super) settings: Arc<Settings>,
    http: Http,
    pub(super) auth: Arc<Authorizer>,
    /// What is refused although the sign-in is good.
    pub(super) exceptions: Exceptions,
    pub(super) doubts: Doubts,
    clock: SharedClock,
    /// The gate of the grant that was used last.
    gate: Mutex<Option<(Option<u64>, Arc<Gate>)>>,
    session: Mutex<Arc<Session>>,
    owed: OwedAnswers,
    /// The interactive grant that was used last; 0 before the first.
    last_grant: AtomicU64,
}

impl Remote {
    /// Nothing is sent before the first message.
    pub fn new(
        settings: Arc<Settings>,
        http: Http,
        auth: Arc<Authorizer>,
        clock: SharedClock,
        owed: OwedAnswers,
    ) -> Self {
        let (gate, session, last_grant) = (Mutex::default(), Mutex::default(), AtomicU64::default());
        let (exceptions, doubts) = (Exceptions::default(), Doubts::default());
        Self { settings, http, auth, exceptions, doubts, clock, gate, session, owed, last_grant }
    }

    /// The session as it is now.
    pub fn session(&self) -> Arc<Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long a request may go without a byte.
    pub(super) fn idle(&self) -> Duration {
        self.settings.limits.idle
    }

    /// Replaces the session.
    pub fn set_session(&self, session: Session) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(session);
    }

    /// The epoch of the session, if it was opened under another interactive grant than this one, which may be another
    /// user's; what the server left here for it is forgotten.
    pub fn outlived_by(&self, grant: u64) -> Option<u64> {
        let session = self.session();
        session.grant.filter(|opened| *opened != grant)?;
        self.follow_grant(grant);
        Some(session.epoch)
    }

    /// Sends a message and returns its answer, as far as it has begun. Cancel-safe: dropping the future drops the
    /// exchange.
    ///
    /// # Errors
    /// A [`Failure`] when there is no answer that could be delivered.
    pub async fn exchange(&self, out: &Outgoing) -> Result<Exchange, Failure> {
        let mut throttled = 0;
        let mut renewals = 0;
        let give_up = Instant::now() + self.settings.limits.idle;
        loop {
            let bearer = self.pass_gate(out, Some(give_up)).await?;
            if let Some(bearer) = &bearer {
                self.follow_grant(bearer.grant);
                if !out.bound_user.allows(bearer) {
                    return Err(Problem::new(ProblemId::NewSignIn).into());
                }
            }
            let session =
                if out.mcp_headers.is_some() { Arc::default() } else { self.session_of(bearer.as_ref(), out.epoch)? };
            let mut message = request::post(&self.settings.url, &session, bearer.as_ref(), out.body.clone());
            if let Some(headers) = &out.mcp_headers {
                message.headers_mut().extend(headers.clone());
            }
            out.send_state.start_sending()?;
            let (mut response, sent) = self.execute(message, out.accepted_within).await.inspect_err(|failure| {
                if matches!(failure, Failure::NotSent(_)) {
                    out.send_state.mark_not_executed();
                }
            })?;
            let status = response.status();
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) {
                out.send_state.mark_not_executed();
            }
            let url = response.url().clone();
            match status {
                StatusCode::UNAUTHORIZED => {
                    if session.id.is_some() && !response.headers().contains_key(WWW_AUTHENTICATE) {
                        let body = self.read_refusal(&url, &mut response, REFUSAL_BODY).await;
                        if let Some(lost) = self.lost_in_words(&session, out, &response, &body, &sent) {
                            return Err(lost);
                        }
                    }
                    renewals += 1;
                    // What was refused to one user is asked for whoever is signed in by now.
                    out.bound_user.release();
                    let challenge = self.challenge(&response, &sent);
                    Box::pin(self.unauthorized(Asked::Message(out), renewals, bearer.as_ref(), challenge)).await?;
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    throttled += 1;
                    let asked = retry_after::asked_wait(response.headers(), self.clock.now());
                    let wait = retry_after::wait(asked, throttled, retry_after::noise());
                    self.gate_of(bearer.as_ref()).close_for(wait, asked.unwrap_or(wait));
                    // What was asked counts, not what it was capped to: waiting in vain helps nobody.
                    let until = Instant::now().checked_add(asked.unwrap_or(wait));
                    if throttled > MOST_THROTTLED || until.is_none_or(|until| until > give_up) {
                        let body = self.read_refusal(&url, &mut response, REFUSAL_BODY).await;
                        let problem = explain_refusal(&self.settings, &url, status, response.headers(), &body, &sent)
                            .with("retry_after_seconds", asked.unwrap_or(wait).as_secs().max(1));
                        return Err(Failure::Refused { status, problem });
                    }
                    tracing::info!(wait_ms = wait.as_millis(), "the server is throttling; waiting as it asks");
                }
                StatusCode::NOT_FOUND if session.id.is_some() => {
                    let body = self.read_refusal(&url, &mut response, REFUSAL_BODY).await;
                    out.send_state.mark_not_executed();
                    return match answer_in(&body, out) {
                        // An answer that names this very request says that the session lives.
                        Some(Names::This) => Ok(Exchange::whole(std::mem::take(response.headers_mut()), body)),
                        _ => {
                            let otherwise =
                                explain_refusal(&self.settings, &url, status, response.headers(), &body, &sent);
                            Err(Failure::SessionLost { epoch: session.epoch, otherwise: Box::new(otherwise) })
                        }
                    };
                }
                StatusCode::FORBIDDEN if Challenge::from_headers(response.headers(), &sent).is_insufficient_scope() => {
                    out.send_state.mark_not_executed();
                    renewals += 1;
                    let challenge = self.challenge(&response, &sent);
                    Box::pin(self.widen(renewals, bearer.as_ref(), challenge)).await?;
                }
                status if status.is_success() => {
                    if let Some(bearer) = &bearer {
                        self.took(Asked::Message(out), bearer);
                    }
                    let mut exchange = self.accept(response, out, &sent);
                    exchange.grant = bearer.map(|bearer| bearer.grant);
                    exchange.epoch = session.epoch;
                    exchange.sent = sent;
                    return Ok(exchange);
                }
                status => {
                    let bound = self.refusal_bound(response.headers());
                    let body = self.read_refusal(&url, &mut response, bound).await;
                    if let Some(lost) = self.lost_in_words(&session, out, &response, &body, &sent) {
                        return Err(lost);
                    }
                    if out.expects.is_some() && answer_in(&body, out).is_some() {
                        return Ok(Exchange::whole(std::mem::take(response.headers_mut()), body));
                    }
                    let problem = explain_refusal(&self.settings, &url, status, response.headers(), &body, &sent);
                    return Err(match status.as_u16() {
                        // RFC 9110, 15.6: the server does not say whether it got as far as executing it; nor does what
                        // stands before it, for which some use numbers from 520.
                        500 | 502..=504 | 520..=530 => {
                            let wait = retry_after::asked_wait(response.headers(), self.clock.now());
                            let problem = match wait {
                                Some(wait) => problem.with("retry_after_seconds", wait.as_secs().max(1)),
                                None => problem,
                            };
                            Failure::Unclear { problem, wait }
                        }
                        _ => Failure::Refused { status, problem },
                    });
                }
            }
        }
    }

    /// Another interactive grant may be another user's, who has nothing to do with the cookies of the one before.
    fn follow_grant(&self, grant: u64) {
        let before = self.last_grant.swap(grant, Ordering::Relaxed);
        if before != 0 && before != grant {
            tracing::info!("somebody has signed in anew; the session and cookies of before are forgotten");
            self.http.forget();
        }
    }

    /// The session, unless another user's grant has opened it, or it is not (or no longer) the one that is meant.
    fn session_of(&self, bearer: Option<&Bearer>, meant: Option<u64>) -> Result<Arc<Session>, Failure> {
        let session = self.session();
        let of_another = matches!((session.grant, bearer), (Some(opened), Some(now)) if opened != now.grant);
        let epoch = meant.unwrap_or(session.epoch);
        if of_another || epoch != session.epoch {
            return Err(Failure::SessionLost { epoch, otherwise: Box::new(Problem::new(ProblemId::SessionLost)) });
        }
        Ok(session)
    }

    /// Whether a 429 holds requests back at the moment.
    pub fn is_throttled(&self) -> bool {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        gate.is_some_and(|(_, gate)| gate.closed().is_some())
    }

    /// The gate that this token's grant shares with the other processes that use it.
    fn gate_of(&self, bearer: Option<&Bearer>) -> Arc<Gate> {
        let tag = bearer.map(|bearer| bearer.tag);
        let mut last = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, gate)) if *known == tag => Arc::clone(gate),
            _ => {
                let gate = Arc::new(Gate::shared(&self.settings.paths, &self.settings.url, tag));
                *last = Some((tag, Arc::clone(&gate)));
                gate
            }
        }
    }

    /// Waits until the gate is open, and says so from time to time; the token to send then.
    ///
    /// # Errors
    /// When the gate will surely not open before `give_up`, and as [`Authorizer::bearer`].
    async fn pass_gate(&self, out: &Outgoing, give_up: Option<Instant>) -> Result<Option<Bearer>, Failure> {
        loop {
            let bearer = self.auth.bearer().await?;
            let Some(closed) = self.gate_of(bearer.as_ref()).closed() else { return Ok(bearer) };
            if give_up.is_some_and(|end| end.saturating_duration_since(Instant::now()) < closed.asked) {
                let problem = Problem::new(ProblemId::RateLimited).with("host", host_of(&self.settings.url));
                return Err(problem.with("retry_after_seconds", closed.asked.as_secs().max(1)).into());
            }
            if let Some(tell) = &out.on_wait {
                tell(closed.left);
            }
            // Those who wait here need not all come at once.
            let spread = closed.left.mul_f64(0.1 * retry_after::noise()).min(Duration::from_millis(250));
            tokio::time::sleep(closed.left.min(TELL_EVERY) + spread).await;
        }
    }

    /// The body of a refusal, as far as it comes.
    async fn read_refusal(&self, url: &Url, response: &mut Response, max: usize) -> Bytes {
        let patience = self.patience(Some(self.idle().min(REFUSAL_WAIT)));
        read_whole(&self.http, url, response, max, &patience).await.unwrap_or_default()
    }

    fn patience(&self, idle: Option<Duration>) -> Patience {
        Patience { idle, owed: Arc::clone(&self.owed) }
    }

    /// Opens the standing stream, or takes up a broken one after `last_event_id`; `idle` bounds its silence, and `epoch`
    /// says of which session it is. `None`: the server offers none (405).
    ///
    /// # Errors
    /// A [`Failure`]; never one that starts a sign-in by itself.
    pub async fn listen(
        &self,
        last_event_id: Option<&str>,
        idle: Option<Duration>,
        epoch: Option<u64>,
    ) -> Result<Option<Stream>, Failure> {
        let mut renewals = 0;
        loop {
            let out = Outgoing::unanswered(Bytes::new());
            let bearer = self.pass_gate(&out, None).await?;
            let session = self.session_of(bearer.as_ref(), epoch)?;
            let message = request::listen(&self.settings.url, &session, bearer.as_ref(), last_event_id);
            let (mut response, sent) = self.execute(message, None).await?;
            let status = response.status();
            match status {
                StatusCode::UNAUTHORIZED => {
                    renewals += 1;
                    let challenge = self.challenge(&response, &sent);
                    Box::pin(self.unauthorized(Asked::Stream, renewals, bearer.as_ref(), challenge)).await?;
                }
                StatusCode::METHOD_NOT_ALLOWED => return Ok(None),
                StatusCode::NOT_FOUND if session.id.is_some() => {
                    let otherwise = Box::new(Problem::new(ProblemId::SessionLost));
                    return Err(Failure::SessionLost { epoch: session.epoch, otherwise });
                }
                StatusCode::OK if Media::of(response.headers()) == Media::Events => {
                    if let Some(bearer) = &bearer {
                        self.took(Asked::Stream, bearer);
                    }
                    let url = response.url().clone();
                    let max = self.settings.limits.max_message_bytes;
                    let patience = self.patience(idle);
                    return Ok(Some(Stream::new(self.http.clone(), url, response, max, patience)));
                }
                status => {
                    let url = response.url().clone();
                    if let (StatusCode::TOO_MANY_REQUESTS, Some(asked)) =
                        (status, retry_after::asked_wait(response.headers(), self.clock.now()))
                    {
                        let wait = retry_after::wait(Some(asked), 1, retry_after::noise());
                        self.gate_of(bearer.as_ref()).close_for(wait, asked);
                    }
                    let body = self.read_refusal(&url, &mut response, REFUSAL_BODY).await;
                    if let Some(lost) = self.lost_in_words(&session, &out, &response, &body, &sent) {
                        return Err(lost);
                    }
                    let problem = explain_refusal(&self.settings, &url, status, response.headers(), &body, &sent);
                    return Err(Failure::Refused { status, problem });
                }
            }
        }
    }

    /// Tells the server that the session is over; takes at most a second and does not mind a refusal.
    pub async fn end_session(&self) {
        let session = self.session();
        if session.id.is_none() {
            return;
        }
        let farewell = async {
            let bearer = self.auth.bearer().await.ok().flatten();
            let message = request::end_session(&self.settings.url, &session, bearer.as_ref());
            match self.execute(message, None).await {
                Ok((response, _)) => tracing::debug!(status = response.status().as_u16(), "session ended"),
                Err(_) => tracing::debug!("the session could not be ended at the server"),
            }
        };
        if tokio::time::timeout(END_SESSION_WITHIN, farewell).await.is_err() {
            tracing::debug!("the server took too long to end the session");
        }
        self.set_session(session.successor());
    }

    /// What a refusal asks for, and who refuses.
    fn challenge(&self, response: &Response, sent: &Secrets) -> Challenge {
        Challenge::from_headers(response.headers(), sent).said_by(self.http.namer(response))
    }

    /// Gets a token with a wider scope after a 403 that wants one, or says why there is none.
    async fn widen(&self, tried: u32, narrow: Option<&Bearer>, challenge: Challenge) -> Result<(), Failure> {
        if tried > MOST_RENEWALS {
            let problem = Problem::new(ProblemId::InsufficientScope).with("host", host_of(&self.settings.url));
            return Err(Failure::Explained(match challenge.scope {
                Some(scope) => problem.with("scope", scope),
                None => problem,
            }));
        }
        match self.auth.step_up(narrow, challenge).await {
            Ok(_) => Ok(()),
            Err(AuthError::SignInNeeded(problem)) => {
                Err(Failure::Scope { problem, narrow: narrow.map(|bearer| bearer.serial) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Executes a request; follows redirects that stay within the origin and keep the method. With the answer come the secrets
    /// that were sent for it. `within` bounds the wait for the head of the answer more tightly than the settings do.
    pub(super) async fn execute(
        &self,
        mut message: Request,
        within: Option<Duration>,
    ) -> Result<(Response, Secrets), Failure> {
        let secrets = self.http.secrets_in(&message);
        let client = self.http.client(&self.settings.url).await?;
        let idle = within.unwrap_or(self.settings.limits.idle);
        let patience = self.patience(Some(idle));
        for _ in 0..=MOST_REDIRECTS {
            let url = message.url().clone();
            let again = message.try_clone();
            let Some(sent) = patience.wait(client.execute(message)).await else {
                return Err(NetError::timed_out(&url, idle).into());
            };
            let response = sent.map_err(|e| self.http.explain(&url, &e))?;
            let status = response.status();
            let Some(target) = redirect_target(&url, status, response.headers()) else {
                return Ok((response, secrets));
            };
            match again {
                Some(mut next) if same_origin(&url, &target) => {
                    *next.url_mut() = target;
                    message = next;
                }
                _ => return Err(refused_redirect(&url, &target, &secrets).into()),
            }
        }
        Err(Problem::new(ProblemId::TooManyRedirects).with("host", host_of(&self.settings.url)).into())
    }

    /// An answer with a good status; its body is left for when somebody has room for it.
    fn accept(&self, mut response: Response, out: &Outgoing, sent: &Secrets) -> Exchange {
        let url = response.url().clone();
        let limits = &self.settings.limits;
        let media = Media::of(response.headers());
        if response.status() == StatusCode::ACCEPTED && media != Media::Events {
            return Exchange::accepted(std::mem::take(response.headers_mut()));
        }
        if media == Media::Events {
            let headers = std::mem::take(response.headers_mut());
            let patience = self.patience((!out.listens).then_some(limits.idle));
            let stream = Stream::new(self.http.clone(), url, response, limits.max_message_bytes, patience);
            return Exchange::stream(headers, stream);
        }
        let headers = std::mem::take(response.headers_mut());
        let settings = Arc::clone(&self.settings);
        let expects = out.expects.is_some();
        let patience = self.patience(Some(settings.limits.idle));
        Exchange::unread(
            headers,
            Unread { settings, response, expects, http: self.http.clone(), patience, sent: sent.clone() },
        )
    }

    /// A refusal with a JSON body may be an answer of any size; anything else is only read for its first words.
    fn refusal_bound(&self, headers: &HeaderMap) -> usize {
        match Media::of(headers) {
            Media::Json => self.settings.limits.max_message_bytes,
            Media::Events | Media::Other => REFUSAL_BODY,
        }
    }
}

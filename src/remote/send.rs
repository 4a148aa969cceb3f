//! The one send loop: bearer, headers, POST, classify the answer, act on the verdict.
//!
//! What the server may have done with a message decides what happens next (`verdict`). A 401, 403 or 429 means that it
//! was not executed, and a connection that was never made that it was not even sent: only then does this loop send the
//! same bytes again.

use std::sync::Arc;

use reqwest::StatusCode;
use tokio::time::{Duration, Instant};
use url::Url;

use crate::auth::bearer::step_up;
use crate::auth::{AuthError, Authorizer, Bearer, Challenge};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::http::{Http, host_of, retry_after};
use crate::limits::{MAX_RENEWALS_OF_REQUEST, SESSION_END_WAIT};
use crate::message::offered_in_refusal;
use crate::pacing::{noise, spread};
use crate::problem::{Problem, ProblemId};

use super::body::Media;
use super::exchange::Exchange;
use super::failure::Failure;
use super::http_sse::{HttpSse, Route};
use super::lost_session::{Doubts, LossWatch};
use super::one_stream::{AwaitedAnswer, OneStream};
use super::outgoing::Outgoing;
use super::own_requests::OwnRequests;
use super::refusal::with_wait;
use super::request;
use super::sent_request::{Belongs, SentRequest};
use super::session::{CurrentSession, OwedAnswers, RemoteSession};
use super::stream::EventStream;
use super::throttle::{self, Throttle};
use super::transport::{Answer, Transport};
use super::unauthorized::Unauthorized;
use super::verdict::{Head, Question, Verdict, classify, needs_body};

/// The interval at which a client learns that its request still waits at a closed gate.
const WAIT_NOTICE_INTERVAL: Duration = Duration::from_secs(10);
/// The most that is added to a wait at the gate, so that waiting requests do not all leave at once.
const GATE_SPREAD: Duration = Duration::from_millis(250);

/// The remote MCP server, with the session and state of this process.
#[derive(Debug)]
pub struct Remote {
    settings: Arc<Settings>,
    auth: Arc<Authorizer>,
    transport: Transport,
    unauthorized: Unauthorized,
    throttle: Arc<Throttle>,
    doubts: Arc<Doubts>,
    clock: SharedClock,
    session: CurrentSession,
    own_requests: Arc<OwnRequests>,
    http_sse: HttpSse,
}

/// The attempts for one message.
#[derive(Debug, Default)]
struct SendAttempts {
    throttled: u32,
    renewals: u32,
    /// How Streamable HTTP was refused, once the older transport is tried.
    refusal: Option<Failure>,
}

impl Remote {
    /// Connects to nothing before the first message.
    pub fn new(
        settings: Arc<Settings>,
        http: Http,
        auth: Arc<Authorizer>,
        clock: SharedClock,
        owed: OwedAnswers,
    ) -> Self {
        let transport = Transport::new(Arc::clone(&settings), http, owed);
        let throttle = Arc::new(Throttle::new(Arc::clone(&settings)));
        let own_requests = Arc::<OwnRequests>::default();
        let unauthorized =
            Unauthorized::new(Arc::clone(&settings), Arc::clone(&auth), transport.clone(), Arc::clone(&throttle));
        let (doubts, session) = (Arc::default(), CurrentSession::default());
        let http_sse = HttpSse::new(Arc::clone(&settings), transport.clone());
        Self { settings, auth, transport, unauthorized, throttle, doubts, clock, session, own_requests, http_sse }
    }

    /// The current session.
    pub fn session(&self) -> Arc<RemoteSession> {
        self.session.get()
    }

    /// Replaces the session.
    pub fn set_session(&self, session: RemoteSession) {
        self.session.set(session);
    }

    /// The epoch of the session, if it was opened under a different interactive grant, which may be another user's.
    /// Forgets that user's cookies.
    pub fn outlived_by(&self, grant: u64) -> Option<u64> {
        let session = self.session();
        session.grant.filter(|opened| *opened != grant)?;
        self.follow_grant(grant);
        Some(session.epoch)
    }

    /// How many requests the bridge makes by itself: each of them takes its turn here.
    pub fn own_requests(&self) -> &OwnRequests {
        &self.own_requests
    }

    /// The one stream of the current session, if the server speaks HTTP+SSE.
    pub(super) fn one_stream(&self) -> Option<Arc<OneStream>> {
        self.http_sse.stream_of(self.session().epoch)
    }

    /// Whether a 429 currently holds requests back.
    pub fn is_throttled(&self) -> bool {
        self.throttle.is_closed()
    }

    /// Sends a message and returns its answer once that starts. Cancel-safe: dropping the future drops the exchange.
    ///
    /// # Errors A [`Failure`] when there is no answer to deliver.
    pub async fn exchange(&self, out: &Outgoing) -> Result<Exchange, Failure> {
        let mut attempts = SendAttempts::default();
        let give_up = Instant::now() + self.settings.limits.idle;
        loop {
            let bearer = self.pass_gate(Some(out), Some(give_up)).await?;
            let bearer = bearer.as_ref();
            let session = self.session_for(out, bearer)?;
            let decides = self.http_sse.decides(out, &session);
            let route = self.http_sse.route(out, decides, attempts.refusal.is_some(), session.epoch)?;
            let awaited = self.http_sse.await_answer(out, &route)?;
            let url = if let Route::Posted(stream) = &route { &stream.endpoint } else { &self.settings.url };
            let sent = match &route {
                Route::OpenStream => Box::pin(self.http_sse.get(&session, bearer)).await,
                Route::Streamable | Route::Posted(_) => self.post(url, out, &session, bearer).await,
            };
            let mut answer = sent.map_err(|failure| attempts.refusal.take().unwrap_or(failure))?;
            let belongs = Belongs { in_session: route.is_in_session(&session), by_id: session.id.is_some() };
            let verdict = self.judge(&mut answer, SentRequest::Message(out), belongs).await;
            if verdict.is_not_executed() {
                out.send_state.mark_not_executed();
            }
            let status = answer.response.status();
            match verdict {
                Verdict::Deliver if matches!(route, Route::OpenStream) => {
                    let opened = Box::pin(self.http_sse.open(answer, session.epoch)).await;
                    let refusal = attempts.refusal.take();
                    opened.map_err(|failure| refusal.unwrap_or(failure))?;
                }
                Verdict::Deliver => {
                    let mut exchange = self.deliver(answer, awaited, out, &session, bearer);
                    let may_be_one_stream = self.http_sse.may_fall_back(decides, &route, status);
                    if !may_be_one_stream || !Box::pin(exchange.is_one_stream()).await {
                        return Ok(exchange);
                    }
                    attempts.refusal = Some(Problem::new(ProblemId::NoAnswer).into());
                }
                Verdict::DeliverBody => {
                    let (grant, sent) = (bearer.map(|bearer| bearer.grant), answer.secrets.clone());
                    return Ok(answer.into_whole().sent_with(grant, session.epoch, sent));
                }
                Verdict::Unauthorized => {
                    attempts.renewals += 1;
                    // The user who signs in next may send it.
                    out.bound_user.release();
                    let (tried, challenge) = (attempts.renewals, self.transport.challenge(&answer));
                    drop(answer); // with the room that its body takes
                    let session = route.seen_by_a_ping(session);
                    let renewal =
                        self.unauthorized.renew(SentRequest::Message(out), tried, bearer, challenge, &session);
                    Box::pin(renewal).await?;
                }
                Verdict::InsufficientScope => {
                    attempts.renewals += 1;
                    let challenge = self.transport.challenge(&answer);
                    drop(answer);
                    Box::pin(self.widen(attempts.renewals, bearer, challenge)).await?;
                }
                Verdict::Throttled { wait } => {
                    attempts.throttled += 1;
                    Box::pin(self.wait_after_429(attempts.throttled, wait, bearer, give_up, &mut answer)).await?;
                }
                Verdict::SessionLost { .. } => {
                    let otherwise = Box::new(self.transport.explain(&mut answer).await);
                    self.http_sse.close(session.epoch);
                    return Err(Failure::SessionLost { epoch: session.epoch, otherwise });
                }
                // Nothing was sent by this route that could have been executed.
                Verdict::Unclear { .. } if matches!(route, Route::OpenStream) && attempts.refusal.is_some() => {
                    return Err(attempts.refusal.unwrap_or(Failure::Withdrawn));
                }
                Verdict::Unclear { wait } => {
                    let problem = with_wait(self.transport.explain(&mut answer).await, wait);
                    return Err(Failure::Unclear { problem, wait });
                }
                Verdict::NotOffered | Verdict::Refused => {
                    let problem = self.transport.explain(&mut answer).await;
                    let revisions = offered_in_refusal(answer.body());
                    let refusal = Failure::Refused { status, problem, revisions };
                    attempts.refusal =
                        self.http_sse.after_refusal(decides, &route, status, attempts.refusal, refusal)?;
                }
            }
        }
    }

    /// The session in which to send a message with this token.
    ///
    /// # Errors
    /// When the message belongs to another user or another session.
    fn session_for(&self, out: &Outgoing, bearer: Option<&Bearer>) -> Result<Arc<RemoteSession>, Failure> {
        if let Some(bearer) = bearer {
            self.follow_grant(bearer.grant);
            if !out.bound_user.allows(bearer) {
                return Err(Problem::new(ProblemId::NewSignIn).into());
            }
        }
        if out.mcp_headers.is_some() { Ok(Arc::default()) } else { self.session.get_for(bearer, out.epoch) }
    }

    /// Sends a message once, to this address.
    async fn post(
        &self,
        url: &Url,
        out: &Outgoing,
        session: &RemoteSession,
        bearer: Option<&Bearer>,
    ) -> Result<Answer, Failure> {
        let mut message = request::post(url, session, bearer, out.body.clone());
        if let Some(headers) = &out.mcp_headers {
            message.headers_mut().extend(headers.clone());
        }
        out.send_state.start_sending()?;
        self.transport.execute(message, out.accepted_within).await.inspect_err(|failure| {
            if matches!(failure, Failure::NotSent(_)) {
                out.send_state.mark_not_executed();
            }
        })
    }

    /// What the answer means. Doubted words about a lost session do not count.
    async fn judge(&self, answer: &mut Answer, request: SentRequest<'_>, belongs: Belongs) -> Verdict {
        let status = answer.response.status();
        let mut question = Question { request, in_session: belongs.in_session, believes_words: belongs.by_id };
        let now = self.clock.now();
        if needs_body(&Head { status, headers: answer.response.headers(), now }, &question) {
            Box::pin(self.transport.read_refusal(answer)).await;
        }
        let head = Head { status, headers: answer.response.headers(), now };
        let verdict = classify(&head, answer.body(), &question);
        let Verdict::SessionLost { words } = &verdict else { return verdict };
        let reopened = matches!(request, SentRequest::Message(out) if out.reopened);
        if words.as_ref().is_some_and(|words| !self.doubts.believes(words, reopened)) {
            question.believes_words = false;
            return classify(&head, answer.body(), &question);
        }
        tracing::info!(status = status.as_u16(), "the server no longer knows the session");
        verdict
    }

    /// The answer to a message that the server has accepted; its reader reads the body once it has room.
    fn deliver(
        &self,
        answer: Answer,
        awaited: Option<Box<AwaitedAnswer>>,
        out: &Outgoing,
        session: &RemoteSession,
        bearer: Option<&Bearer>,
    ) -> Exchange {
        if let Some(bearer) = bearer {
            self.unauthorized.accepted(SentRequest::Message(out), bearer);
        }
        let Answer { mut response, secrets, .. } = answer;
        let headers = std::mem::take(response.headers_mut());
        let exchange = if let Some(awaited) = awaited {
            Exchange::awaited(headers, awaited)
        } else if Media::of(&headers) == Media::Events {
            let idle = (!out.listens).then_some(self.idle());
            Exchange::stream(headers, self.transport.stream(response, idle).answering())
        } else if response.status() == StatusCode::ACCEPTED {
            Exchange::accepted(headers)
        } else {
            self.transport.unread(headers, response, out.expects.is_some())
        };
        let watch = (session.id.is_some() && out.expects.is_some()).then(|| LossWatch {
            settings: Arc::clone(&self.settings),
            doubts: Arc::clone(&self.doubts),
            send_state: Arc::clone(&out.send_state),
            reopened: out.reopened,
        });
        exchange.sent_with(bearer.map(|bearer| bearer.grant), session.epoch, secrets).watched(watch)
    }

    /// Closes the gate after the `throttled`-th 429 of a message, which then has to pass it before it is sent again.
    ///
    /// # Errors The refusal, if the wait that the server asks for exceeds the message's budget.
    async fn wait_after_429(
        &self,
        throttled: u32,
        asked: Option<Duration>,
        bearer: Option<&Bearer>,
        give_up: Instant,
        answer: &mut Answer,
    ) -> Result<(), Failure> {
        let wait = retry_after::wait(asked, throttled, noise());
        let whole_wait = asked.unwrap_or(wait);
        self.throttle.close(bearer, wait, whole_wait).await;
        // The requested time counts, not the cap: a wait that ends in the next 429 helps nobody.
        if !throttle::is_tried_again(throttled, Instant::now().checked_add(whole_wait), give_up) {
            let problem = with_wait(self.transport.explain(answer).await, Some(whole_wait));
            return Err(Failure::Refused { status: answer.response.status(), problem, revisions: None });
        }
        tracing::info!(wait_ms = wait.as_millis(), "the server is throttling; waiting as it asks");
        Ok(())
    }

    /// Gets a token with a wider scope after the `tried`-th 403 for that reason.
    ///
    /// # Errors
    /// The reason why there is none.
    async fn widen(&self, tried: u32, narrow: Option<&Bearer>, challenge: Challenge) -> Result<(), Failure> {
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

    /// Waits until the gate is open, notifying the sender of `out` from time to time; returns the token to send.
    ///
    /// # Errors When the gate cannot open before `give_up`, and as [`Authorizer::bearer`].
    async fn pass_gate(&self, out: Option<&Outgoing>, give_up: Option<Instant>) -> Result<Option<Bearer>, Failure> {
        loop {
            let bearer = self.auth.bearer().await?;
            let Some(closed) = self.throttle.closed(bearer.as_ref()).await else { return Ok(bearer) };
            if give_up.is_some_and(|end| end.saturating_duration_since(Instant::now()) < closed.asked) {
                let problem = Problem::new(ProblemId::RateLimited).with("host", host_of(&self.settings.url));
                return Err(with_wait(problem, Some(closed.asked)).into());
            }
            if let Some(notify) = out.and_then(|out| out.on_wait.as_ref()) {
                notify(closed.left);
            }
            let pause = closed.left.min(WAIT_NOTICE_INTERVAL);
            let jitter = spread(closed.left, GATE_SPREAD, noise()).saturating_sub(closed.left);
            tokio::time::sleep(pause + jitter).await;
        }
    }

    /// A new interactive grant may be another user's, who must not get the previous user's cookies.
    fn follow_grant(&self, grant: u64) {
        if self.session.is_new_grant(grant) {
            tracing::info!("somebody has signed in anew; the session and cookies of before are forgotten");
            self.transport.forget();
        }
    }

    /// How long a request may go without receiving a byte.
    pub(super) fn idle(&self) -> Duration {
        self.settings.limits.idle
    }

    /// Opens the stream of the server's own messages, or resumes a broken stream after `last_event_id`; `idle` bounds
    /// its silence, and `epoch` is that of its session. `None` if the server offers none (405). Each attempt waits for its
    /// turn among the bridge's own requests.
    ///
    /// # Errors A [`Failure`]; never one that starts a sign-in.
    pub async fn listen(
        &self,
        last_event_id: Option<&str>,
        idle: Option<Duration>,
        epoch: Option<u64>,
    ) -> Result<Option<EventStream>, Failure> {
        let mut renewals = 0;
        loop {
            self.own_requests.turn().await;
            let bearer = self.pass_gate(None, None).await?;
            let bearer = bearer.as_ref();
            let session = self.session.get_for(bearer, epoch)?;
            let message = request::listen(&self.settings.url, &session, bearer, last_event_id);
            let mut answer = self.transport.execute(message, None).await?;
            match self.judge(&mut answer, SentRequest::Stream, Belongs::by_id(session.id.is_some())).await {
                Verdict::Deliver => {
                    if let Some(bearer) = bearer {
                        self.unauthorized.accepted(SentRequest::Stream, bearer);
                    }
                    return Ok(Some(self.transport.stream(answer.response, idle)));
                }
                Verdict::NotOffered => return Ok(None),
                Verdict::Unauthorized => {
                    renewals += 1;
                    let challenge = self.transport.challenge(&answer);
                    drop(answer);
                    Box::pin(self.unauthorized.renew(SentRequest::Stream, renewals, bearer, challenge, &session))
                        .await?;
                }
                Verdict::SessionLost { .. } => {
                    let otherwise = Box::new(self.transport.explain(&mut answer).await);
                    return Err(Failure::SessionLost { epoch: session.epoch, otherwise });
                }
                verdict => {
                    if let Verdict::Throttled { wait: Some(asked) } = verdict {
                        let wait = retry_after::wait(Some(asked), 1, noise());
                        self.throttle.close(bearer, wait, asked).await;
                    }
                    let problem = self.transport.explain(&mut answer).await;
                    return Err(Failure::Refused { status: answer.response.status(), problem, revisions: None });
                }
            }
        }
    }

    /// Whether the server speaks HTTP+SSE, where the user has excluded that: for the words of a refusal.
    pub async fn speaks_excluded_transport(&self) -> bool {
        let bearer = self.auth.bearer().await.ok().flatten();
        self.http_sse.is_spoken_and_excluded(bearer.as_ref()).await
    }

    /// Ends the session at the server; takes at most [`SESSION_END_WAIT`] and ignores a refusal.
    pub async fn end_session(&self) {
        let session = self.session();
        self.http_sse.close(session.epoch);
        if session.id.is_none() {
            return;
        }
        let ending = async {
            let bearer = self.auth.bearer().await.ok().flatten();
            let message = request::end_session(&self.settings.url, &session, bearer.as_ref());
            match self.transport.execute(message, None).await {
                Ok(answer) => tracing::debug!(status = answer.response.status().as_u16(), "session ended"),
                Err(_) => tracing::debug!("the session could not be ended at the server"),
            }
        };
        if tokio::time::timeout(SESSION_END_WAIT, ending).await.is_err() {
            tracing::debug!("the server took too long to end the session");
        }
        self.set_session(session.successor());
    }
}

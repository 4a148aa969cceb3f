//! One request of the client, from stdin to its one answer.
//!
//! [`Bridge::carry`] tries until there is an answer to give: another session, a sign-in, a connection that can be made, a
//! stream that can be taken up again. A request whose effect is unknown is only tried again when [`crate::bridge::forward::retry_safety`] allows
//! it, and then under an id of ours, because the server may still hold the first.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::http::retry_after;
use crate::message::{IdKey, Kind, Peek, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Exchange, Failure, Outgoing};

use crate::bridge::Bridge;
use crate::bridge::client::output::Reserved;
use crate::bridge::client::progress::TELL_EVERY;
use crate::bridge::client::responder::{Handler, InFlight, LastResort};
use crate::bridge::session::outbox::OutboxMessage;
use crate::bridge::session::server_messages::Received;
use crate::bridge::session::startup::is_out_of_reach;
use crate::bridge::sign_in::policy::SignInOutcome;

/// How long the rest of a stream is read after the answer, so that its connection can be used again.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// How often a request is sent again because its session was lost.
const MOST_SESSIONS: u32 = 1;
/// How often one request may ask for a sign-in.
const MOST_SIGN_INS: u32 = 1;
/// How often a request is repeated whose first fate is unknown.
const MOST_REPEATS: u32 = 3;
/// How long a probe of the era may take: clients that wait for its answer hang meanwhile.
const PROBE: Duration = Duration::from_secs(5);

/// How a request goes over the wire this time.
#[derive(Debug)]
struct WireRequest {
    body: Bytes,
    key: IdKey,
    mirrored: Option<HeaderMap>,
    /// Whether the answer must get the client's id back.
    renamed: bool,
    /// Whether it opens a stream that was open before: the client need not hear that it opens.
    again: bool,
    /// Whether the session before was lost to it.
    reopened: bool,
}

impl WireRequest {
    fn as_it_came(request: &InFlight) -> Self {
        Self {
            body: request.body.clone(),
            key: request.key.clone(),
            mirrored: request.mirrored.clone(),
            renamed: false,
            again: false,
            reopened: false,
        }
    }
}

/// An answer, as far as the server has sent it.
#[derive(Debug)]
struct Answered {
    answer: Bytes,
    /// What may follow the answer on its stream.
    exchange: Option<Exchange>,
    /// Room for it in the output, when it was taken before.
    room: Option<Reserved>,
}

/// How often what has been tried.
#[derive(Debug, Default)]
struct Attempts {
    sessions: u32,
    sign_ins: u32,
    repeats: u32,
    headers: u32,
    unsent: u32,
    breaks: u32,
    unsent_since: Option<Instant>,
}

impl Bridge {
    /// Does what a request asks for; whatever becomes of that, the request is answered once.
    pub(crate) async fn work(self: Arc<Self>, request: InFlight, work: Handler) {
        let _answered_in_any_case = LastResort { bridge: &self, request: &request };
        match work {
            Handler::Carry => self.carry(&request).await,
            Handler::Initialize(hello, answered) => Box::pin(self.answer_initialize(&request, hello, answered)).await,
            Handler::Discover => Box::pin(self.discover(&request)).await,
            Handler::SignIn => Box::pin(self.call_sign_in_tool(&request)).await,
            Handler::Pong => self.answer_result(&request, &json!({})).await,
        }
    }

    /// Carries a request until it is answered or nobody waits any more.
    async fn carry(self: &Arc<Self>, request: &InFlight) {
        let total = self.settings.limits.total;
        let mut closing = self.closing.subscribe();
        let ends = async { drop(closing.wait_for(|closing| *closing).await) };
        tokio::select! {
            biased;
            () = request.ticket.stop.notified() => tracing::debug!(method = request.method, "cancelled by the client"),
            () = self.carry_to_end(request) => {}
            () = tokio::time::sleep(total), if !request.listens() => {
                let problem = Problem::new(ProblemId::AnswerTimedOut).with("seconds", total.as_secs());
                self.give_up(request, &problem).await;
            }
            // Nobody listens any more once the client has closed its side.
            () = ends, if request.listens() => {
                self.answer_problem(request, &Problem::new(ProblemId::ShuttingDown)).await;
            }
        }
    }

    async fn carry_to_end(self: &Arc<Self>, request: &InFlight) {
        // The first thing that is waited for, so that places are taken in the order of stdin. Streams that only listen
        // would keep theirs for ever. The semaphore is never closed.
        let place = if request.listens() { None } else { self.place(request).await };
        let mut wire = WireRequest::as_it_came(request);
        let mut tries = Attempts::default();
        loop {
            let attempted = match self.sign_in_comes_first(request).await.filter(|_| tries.sign_ins == 0) {
                Some(failure) => Err(failure),
                None => self.attempt(request, &wire).await,
            };
            match attempted {
                Ok(Answered { answer, exchange, room }) => {
                    if tries.headers == 0
                        && wire.mirrored.is_some()
                        && let Some(fresh) =
                            Box::pin(self.fresh_headers(request, wire.mirrored.as_ref(), &answer)).await
                    {
                        // The server refused the headers and executed nothing.
                        tries.headers += 1;
                        wire.mirrored = Some(fresh);
                        continue;
                    }
                    let answer = if wire.renamed { with_own_id(&answer, &request.id) } else { answer };
                    if let Some(exchange) = &exchange {
                        self.keep_in_mind(request, &answer, exchange.grant);
                    }
                    self.answer_in(request, self.learn(request, answer), room).await;
                    drop(place);
                    return self.read_rest(exchange).await;
                }
                // What is rarely needed has a place of its own: each request has room for all that its future may hold.
                Err(failure) => match Box::pin(self.next_try(request, &mut wire, &mut tries, failure)).await {
                    RetryDecision::Again => {}
                    RetryDecision::Result(result) => return self.answer_result(request, &result).await,
                    RetryDecision::Line(line) => return self.answer(request, self.learn(request, line)).await,
                    RetryDecision::GiveUp(problem) => return self.give_up(request, &problem).await,
                },
            }
        }
    }

    /// Decides what a failure means for this request, and waits as long as that takes.
    async fn next_try(
        self: &Arc<Self>,
        request: &InFlight,
        wire: &mut WireRequest,
        tries: &mut Attempts,
        failure: Failure,
    ) -> RetryDecision {
        let is_repeated = matches!(failure, Failure::Unclear { .. }) && tries.repeats < MOST_REPEATS;
        if !is_repeated
            && is_out_of_reach(&failure)
            && let Some(line) = self.recall(request)
        {
            return RetryDecision::Line(line);
        }
        match failure {
            Failure::SessionLost { epoch, .. } if tries.sessions < MOST_SESSIONS => {
                tries.sessions += 1;
                wire.reopened = true;
                self.session_lost(epoch);
                RetryDecision::Again
            }
            Failure::Scope { problem, narrow } if tries.sign_ins < MOST_SIGN_INS => {
                tries.sign_ins += 1;
                RetryDecision::after(request, self.widen(request, problem, narrow).await)
            }
            Failure::SignIn(problem) if tries.sign_ins < MOST_SIGN_INS => {
                tries.sign_ins += 1;
                RetryDecision::after(request, self.meanwhile(request, problem).await)
            }
            Failure::NotSent(problem) => {
                let since = *tries.unsent_since.get_or_insert_with(Instant::now);
                tries.unsent += 1;
                let wait = retry_after::wait(None, tries.unsent.min(4), retry_after::noise());
                let limits = &self.settings.limits;
                if since.elapsed() + wait > if request.listens() { limits.idle } else { limits.connecting } {
                    return RetryDecision::GiveUp(problem);
                }
                tracing::info!(%problem, "the server cannot be reached; trying again");
                self.pause(request, wait, &problem).await
            }
            Failure::Unclear { problem, wait } => {
                let repeat =
                    tries.repeats < MOST_REPEATS && self.safety.may_repeat(&request.method, request.tool.as_deref());
                // A wait that the client would not live to see the end of is told at once; the problem has the seconds.
                let fits = request.listens() || wait.is_none_or(|wait| wait <= self.settings.limits.idle);
                if !repeat || !fits {
                    return RetryDecision::GiveUp(problem);
                }
                tries.repeats += 1;
                tries.unsent_since = None;
                tracing::info!(%problem, method = request.method, "repeating what only reads");
                if request.listens() {
                    // It may break as often as it will; one that breaks without having brought anything is asked for less
                    // and less often.
                    tries.repeats = 0;
                    tries.breaks = if request.begun.take() { 1 } else { tries.breaks + 1 };
                }
                let wait = retry_after::wait(wait, tries.repeats + tries.breaks, retry_after::noise());
                let next = self.pause(request, wait, &problem).await;
                if request.listens() {
                    // The server names this stream by the request's id, so it stays.
                    wire.again = true;
                } else if matches!(next, RetryDecision::Again) {
                    self.rename(request, wire);
                }
                next
            }
            // In a new session, or after a sign-in, the same answer: it was about the request.
            failure => RetryDecision::GiveUp(failure.into_problem()),
        }
    }

    /// Waits before the next try; after the end of stdin only what is quickly over is waited for.
    async fn pause(&self, request: &InFlight, wait: Duration, problem: &Problem) -> RetryDecision {
        let waited = async {
            let end = Instant::now() + wait;
            loop {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return;
                }
                let text = format!("{} Trying again in {} s.", problem.what(), left.as_secs().max(1));
                request.progress.iter().for_each(|progress| progress.tell(&text));
                tokio::time::sleep(left.min(TELL_EVERY)).await;
            }
        };
        let mut closing = self.closing.subscribe();
        let ends = async {
            let _ = closing.wait_for(|closing| *closing).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        tokio::select! {
            () = waited => RetryDecision::Again,
            () = ends => RetryDecision::GiveUp(problem.clone()),
        }
    }

    /// From here on the request goes under an id of ours: the server may still have the one before.
    fn rename(&self, request: &InFlight, wire: &mut WireRequest) {
        let id = self.own_ids.next();
        if let (Ok(text), Ok(raw)) = (std::str::from_utf8(&request.body), RawValue::from_string(id)) {
            wire.key = IdKey::parse(&raw).unwrap_or_else(|| wire.key.clone());
            wire.body = write::with_id(text, &raw);
            wire.renamed = true;
            *request.ticket.sent_as.lock().unwrap_or_else(PoisonError::into_inner) = Some(raw);
        }
    }

    /// Sends the request once and reads until its answer.
    async fn attempt(self: &Arc<Self>, request: &InFlight, wire: &WireRequest) -> Result<Answered, Failure> {
        self.ready_for(request).await?;
        if let Some(answer) = self.not_offered(request) {
            return Ok(Answered { answer, exchange: None, room: None });
        }
        let out = Outgoing {
            epoch: self.epoch_for(request.need),
            reopened: wire.reopened,
            body: wire.body.clone(),
            expects: Some(wire.key.clone()),
            bound_user: Arc::clone(&request.meant),
            send_state: Arc::clone(&request.ticket.whereabouts),
            mcp_headers: wire.mirrored.clone(),
            listens: request.listens(),
            on_wait: Self::throttle_teller(request),
            ..Outgoing::unanswered(Bytes::new())
        };
        let mut exchange = self.remote.exchange(&out).await?;
        let id = if wire.renamed { None } else { Some(&*request.id) };
        // Before the body is read: a client that does not read keeps answers at the server, not here.
        let mut room = match exchange.to_read() {
            Some(bytes) => self.output.reserve(bytes).await,
            None => None,
        };
        let mut stray = None;
        let mut unreadable = None;
        let mut last_heard = Instant::now();
        let mut has_begun = false;
        loop {
            let end = match exchange.next().await {
                Ok(Some(message)) if wire.again && is_acknowledgement(&message) => continue,
                Ok(Some(message)) => {
                    last_heard = Instant::now();
                    has_begun = true;
                    if !(request.listens() && is_acknowledgement(&message)) {
                        request.begun.raise();
                    }
                    match self.hear_with(message, Some(&wire.key), id, &mut room).await {
                        Ok(Received { answer: Some(answer), .. }) => {
                            return Ok(Answered { answer, exchange: Some(exchange), room });
                        }
                        Ok(heard) => stray = heard.stray.or(stray),
                        // On a stream the answer may still come.
                        Err(problem) => unreadable = Some(problem),
                    }
                    continue;
                }
                Ok(None) => match (unreadable.take(), &stray) {
                    (Some(problem), _) => Failure::Explained(problem),
                    (None, Some(id)) => Failure::Explained(Problem::new(ProblemId::WrongAnswerId).with("found", id)),
                    (None, None) => {
                        let id = if has_begun { ProblemId::StreamCut } else { ProblemId::NoAnswer };
                        Failure::Unclear { problem: id.into(), wait: None }
                    }
                },
                Err(failure) => failure,
            };
            match end {
                // The stateless era has no resumption.
                Failure::Unclear { .. } if wire.mirrored.is_none() => {
                    if exchange.was_heard() {
                        last_heard = Instant::now();
                    }
                    let Some(next) = Box::pin(self.take_up(&exchange, last_heard)).await else { return Err(end) };
                    exchange = next;
                }
                end => return Err(end),
            }
        }
    }

    /// Takes up a stream that ended before its answer. `None` when that cannot be, for whatever reason: the request was
    /// sent, and a session or a sign-in that is lost since then does not undo that.
    async fn take_up(&self, broken: &Exchange, last_heard: Instant) -> Option<Exchange> {
        let end = last_heard + self.settings.limits.idle;
        if Instant::now() >= end {
            return None;
        }
        match self.remote.resume(broken, end).await {
            Ok(next) => next,
            Err(failure) => {
                tracing::debug!(?failure, "the stream cannot be taken up");
                if let Failure::SessionLost { epoch, .. } = failure {
                    self.session_lost(epoch);
                }
                None
            }
        }
    }

    /// `server/discover`: the server's own answer, or "there is no such method" where it has none, so that clients which
    /// probe with it fall back to `initialize` at once.
    async fn discover(self: &Arc<Self>, request: &InFlight) {
        let wire = WireRequest::as_it_came(request);
        let answer = tokio::select! {
            biased;
            () = request.ticket.stop.notified() => return,
            answer = tokio::time::timeout(PROBE, self.attempt(request, &wire)) => answer,
        };
        match answer {
            Ok(Ok(Answered { answer, room, .. })) => self.answer_in(request, answer, room).await,
            _ => {
                let problem = Problem::new(ProblemId::MethodNotFound).with("method", &request.method);
                self.answer(request, write::error(Some(&request.id), &problem.to_json_rpc_error())).await;
            }
        }
    }

    /// Answers with a problem; the server is told when it may still be working on it.
    async fn give_up(&self, request: &InFlight, problem: &Problem) {
        if problem.id == ProblemId::AnswerTimedOut && request.mirrored.is_none() {
            let id = request.ticket.sent_as().unwrap_or_else(|| request.id.clone());
            let body = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"No answer in time."}}}}"#
            );
            self.lane.push(OutboxMessage::new(Bytes::from(body), request.need));
        }
        self.answer_problem(request, problem).await;
    }

    /// Reads what follows the answer on its stream: usually nothing but the end.
    async fn read_rest(&self, exchange: Option<Exchange>) {
        let Some(mut exchange) = exchange else { return };
        let rest = async {
            while let Ok(Some(message)) = exchange.next().await {
                if let Err(problem) = self.hear(message, None, None).await {
                    tracing::debug!(%problem, "dropped after the answer");
                }
            }
        };
        let _ = tokio::time::timeout(AFTERWARDS, rest).await;
    }
}

/// Whether it says that a listening stream is open.
fn is_acknowledgement(message: &[u8]) -> bool {
    matches!(
        peek(message),
        Ok(Peek::One(Kind::Notification { method, .. })) if method == "notifications/subscriptions/acknowledged"
    )
}

/// What follows a failure.
enum RetryDecision {
    Again,
    Result(Value),
    Line(Bytes),
    GiveUp(Problem),
}

impl RetryDecision {
    /// What follows a wait for a sign-in.
    fn after(request: &InFlight, meanwhile: SignInOutcome) -> Self {
        match meanwhile {
            SignInOutcome::TryAgain => {
                // It has waited for just this sign-in, whoever it is.
                request.meant.release();
                Self::Again
            }
            SignInOutcome::Result(result) => Self::Result(result),
            SignInOutcome::Line(line) => Self::Line(line),
            SignInOutcome::Problem(problem) => Self::GiveUp(problem),
        }
    }
}

/// The answer to a renamed request, under the client's id.
fn with_own_id(answer: &Bytes, id: &RawValue) -> Bytes {
    match std::str::from_utf8(answer) {
        Ok(text) => write::with_id(text, id),
        Err(_) => answer.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::bridge::forward::forwarder::*;

    /// How much room the future takes that `_f` would return.
    fn room_for<A, B, C, F: Future>(_f: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_in_flight_takes_little_room() {
        let room = room_for(Bridge::work);
        assert!(room <= 6 * 1024, "{room} bytes");
    }
}

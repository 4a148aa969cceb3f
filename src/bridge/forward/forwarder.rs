//! Forwards one request of the client, from stdin to its one answer.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{SemaphorePermit, oneshot};
use tokio::time::{Duration, Instant};

use crate::bridge::cancellation;
use crate::bridge::client::progress::while_waiting;
use crate::bridge::client::request::InFlight;
use crate::bridge::client::responder::{LastResort, Responder};
use crate::bridge::client::room::Room;
use crate::bridge::lists::learned::Learned;
use crate::bridge::lists::served::Lists;
use crate::bridge::lists::{check_tool, own_tool};
use crate::bridge::session::incoming::Incoming;
use crate::bridge::session::initialize::InitializeRequest;
use crate::bridge::session::live::Session;
use crate::bridge::session::outbox::OutboxMessage;
use crate::bridge::session::startup::answer_initialize;
use crate::bridge::sign_in::outcome::SignInOutcome;
use crate::bridge::sign_in::policy::SignIn;
use crate::limits::{BODY_SHARE_BYTES, DISCOVER_WAIT, STREAM_LIFE, STREAM_REST_WAIT};
use crate::message::aside;
use crate::pacing::noise;
use crate::problem::{Problem, ProblemId};
use crate::remote::Failure;

use super::attempt::{Answered, Attempter, WireRequest};
use super::first_list::FirstLists;
use super::readiness::sign_in_comes_first;
use super::retry::{Attempts, RetryContext, RetryDecision, decide, is_out_of_reach};
use crate::bridge::lists::retry_safety::RetrySafety;

/// How long a request waits for a slot before its client learns of it: most wait less.
const FIRST_TURN_PROGRESS_WAIT: Duration = Duration::from_secs(1);
/// How long a request may still wait for its next attempt once stdin has ended.
const CLOSING_GRACE: Duration = Duration::from_secs(2);

/// Who answers a request.
#[derive(Debug)]
pub enum Handler {
    /// The server.
    Forward,
    /// The server, opening the session; its answer comes through the channel.
    Initialize(Arc<InitializeRequest>, oneshot::Receiver<Bytes>),
    /// The server, if it speaks a stateless revision.
    Discover,
    /// The sign-in tool.
    SignInTool,
    /// The tool that checks the connection.
    CheckTool,
    /// The bridge, to show that it is alive.
    Ping,
}

/// The one answer of a request.
#[derive(Debug)]
struct Answer<'a> {
    line: Bytes,
    /// Room for it in the output, if already reserved.
    room: Option<Room>,
    /// What may follow it on its stream.
    rest: Option<Incoming>,
    /// Held until the answer is written.
    slot: Option<SemaphorePermit<'a>>,
}

impl Answer<'_> {
    fn own(line: Bytes) -> Self {
        Self { line, room: None, rest: None, slot: None }
    }
}

/// What to do after a failed attempt.
enum NextStep<'a> {
    SendAgain,
    Answer(Box<Answer<'a>>),
    /// Nobody waits for an answer.
    Drop,
}

/// Handles requests.
#[derive(Debug)]
pub struct Forwarder {
    session: Arc<Session>,
    lists: Arc<Lists>,
    learned: Learned,
    sign_in: SignIn,
    attempter: Attempter,
    first_lists: FirstLists,
    retry_safety: Arc<RetrySafety>,
    responder: Responder,
}

impl Forwarder {
    /// Forwards to the server of this session.
    pub fn new(
        session: Arc<Session>,
        lists: Arc<Lists>,
        learned: Learned,
        sign_in: SignIn,
        retry_safety: Arc<RetrySafety>,
    ) -> Self {
        let attempter = Attempter::new(Arc::clone(&session), Arc::clone(&lists));
        let responder = Responder::new(Arc::clone(&session.client), Arc::clone(&session.settings));
        Self {
            session,
            lists,
            learned,
            sign_in,
            attempter,
            first_lists: FirstLists::default(),
            retry_safety,
            responder,
        }
    }

    /// Handles a request and answers it exactly once, even on a bug.
    pub async fn handle(self: Arc<Self>, request: InFlight, handler: Handler) {
        let _last_resort = LastResort::new(&self.responder, &request);
        if let Handler::Initialize(initialize, from_server) = handler {
            // A client must not cancel it (MCP, "Cancellation"), so nothing stops it.
            let line = Box::pin(answer_initialize(&self.session, &initialize, from_server)).await;
            return self.responder.answer(&request, line, None).await;
        }
        let answered = async {
            let Some(answer) = self.answer_of_handler(&request, handler).await else { return };
            let Answer { line, room, rest, slot } = answer;
            self.responder.answer(&request, line, room).await;
            drop(slot);
            self.read_rest(rest).await;
        };
        tokio::select! {
            biased;
            reason = request.ticket.stopped() => tracing::debug!(method = request.method, ?reason, "stopped"),
            () = answered => {}
        }
    }

    /// The answer; `None` if nobody waits for one.
    async fn answer_of_handler(&self, request: &InFlight, handler: Handler) -> Option<Answer<'_>> {
        Some(match handler {
            Handler::Forward | Handler::Initialize(..) => return self.forward(request).await,
            Handler::Discover => Box::pin(self.discover(request)).await,
            Handler::SignInTool => {
                let outcome = Box::pin(self.sign_in.call_tool(request)).await;
                let signed_in = || self.sign_in.signed_in_result();
                self.answer_after_sign_in(request, outcome).await.unwrap_or_else(|| self.result(request, &signed_in()))
            }
            Handler::CheckTool => self.result(request, &check_tool::call().await),
            Handler::Ping => self.result(request, &json!({})),
        })
    }

    /// The server's answer, or the reason for having none within the request's budget. The budget does not include
    /// writing the answer, which takes as long as the client takes to read.
    async fn forward(&self, request: &InFlight) -> Option<Answer<'_>> {
        let total = self.session.settings.limits.total;
        tokio::select! {
            biased;
            answer = self.until_answered(request) => answer,
            () = tokio::time::sleep(total), if !request.listens() => {
                let problem = Problem::new(ProblemId::AnswerTimedOut).with("seconds", total.as_secs());
                Some(self.give_up(request, &problem))
            }
            problem = async { Box::pin(self.first_lists.overdue(&self.session, &self.lists, request)).await },
                if request.is_for_whole_list() =>
            {
                self.lists.serve_own_tool(&request.method);
                self.first_lists.keep_trying(&self.session);
                Some(self.problem(request, &problem))
            }
            // Once the client has closed its side, nobody listens.
            () = self.session.client.closing(), if request.listens() => {
                Some(self.problem(request, &Problem::new(ProblemId::ShuttingDown)))
            }
        }
    }

    async fn until_answered(&self, request: &InFlight) -> Option<Answer<'_>> {
        // Wait for this first, so that slots are taken in the order of stdin. Listening streams would keep theirs
        // forever, and have a few of their own.
        let slot = if request.listens() {
            let Some(slot) = self.session.listening_slot() else {
                return Some(self.problem(request, &Problem::new(ProblemId::TooManyInFlight)));
            };
            slot
        } else {
            self.slot_for(request).await
        };
        let mut wire = WireRequest::first(request);
        let mut attempts = Attempts::default();
        let mut has_fresh_headers = false;
        loop {
            let signed_out = sign_in_comes_first(&self.session, &self.lists, request).await;
            let attempted_at = Instant::now();
            let attempted = match signed_out.filter(|_| !attempts.asked_for_sign_in()) {
                Some(failure) => Err(failure),
                None => self.attempter.attempt(request, &wire).await,
            };
            match attempted {
                Ok(Answered { line, incoming, room }) => {
                    // A longer answer holds room, which the list of the tools could wait for.
                    if !has_fresh_headers
                        && line.len() <= BODY_SHARE_BYTES
                        && wire.mcp_headers.is_some()
                        && let Some(fresh) =
                            Box::pin(self.learned.fresh_headers(request, wire.mcp_headers.as_ref(), &line)).await
                    {
                        // The server refused the headers and executed nothing.
                        has_fresh_headers = true;
                        wire.mcp_headers = Some(fresh);
                        continue;
                    }
                    let mut line = wire.with_client_id(request, line).await;
                    if let Some(incoming) = &incoming {
                        if request.method == "tools/list" {
                            line = aside(line.len(), move || own_tool::answer_without_own_tool(line)).await;
                        }
                        self.lists.remember(request, &line, incoming.exchange.grant);
                    }
                    let mut line = self.learned.learn(request, line).await;
                    if request.method == "tools/list" {
                        line = aside(line.len(), move || check_tool::added_to(line)).await;
                    }
                    return Some(Answer { line, room, rest: incoming, slot: Some(slot) });
                }
                // Boxed, because it is rarely needed, and each request's future reserves its full size.
                Err(failure) => match Box::pin(self.after_failure(
                    request,
                    &mut wire,
                    &mut attempts,
                    failure,
                    attempted_at.elapsed(),
                ))
                .await
                {
                    NextStep::SendAgain => {}
                    NextStep::Answer(answer) => return Some(*answer),
                    NextStep::Drop => return None,
                },
            }
        }
    }

    /// Waits for a free slot among the requests that the server takes at once.
    async fn slot_for(&self, request: &InFlight) -> SemaphorePermit<'_> {
        let message = || "Waiting: the server is already handling as many requests as it allows.".to_owned();
        while_waiting(request.progress.as_deref(), FIRST_TURN_PROGRESS_WAIT, message, self.session.request_slot()).await
    }

    /// Acts on a failure, and waits as long as that takes.
    async fn after_failure(
        &self,
        request: &InFlight,
        wire: &mut WireRequest,
        attempts: &mut Attempts,
        failure: Failure,
        lasted: Duration,
    ) -> NextStep<'_> {
        let limits = &self.session.settings.limits;
        let is_unclear = matches!(failure, Failure::Unclear { .. });
        let context = RetryContext {
            now: Instant::now(),
            noise: noise(),
            listens: request.listens(),
            has_lived: is_unclear && request.listens() && (request.server_has_begun.lower() || lasted >= STREAM_LIFE),
            may_repeat: self.retry_safety.may_repeat(&request.method, request.tool.as_deref()),
            is_remembered: is_out_of_reach(&failure) && self.lists.remembered(request).await.is_some(),
            idle: limits.idle,
            connecting: limits.connecting,
        };
        match decide(attempts, failure, &context) {
            RetryDecision::Reopen(epoch) => {
                wire.reopened = true;
                self.session.lost(epoch);
                NextStep::SendAgain
            }
            RetryDecision::SignIn(problem) => {
                self.after_sign_in(request, self.sign_in.outcome_for(request, problem).await).await
            }
            RetryDecision::Widen { problem, narrow } => {
                self.after_sign_in(request, self.sign_in.widen(request, problem, narrow).await).await
            }
            RetryDecision::Resend { wait, is_repeat, problem } => {
                if is_unclear {
                    tracing::info!(%problem, method = request.method, "repeating what only reads");
                } else {
                    tracing::info!(%problem, "the server cannot be reached; trying again");
                }
                if !self.pause(request, wait, &problem).await {
                    return NextStep::Answer(Box::new(self.give_up(request, &problem)));
                }
                if is_repeat {
                    wire.rename(request, &self.session.client.own_ids.next());
                } else if is_unclear {
                    wire.reopens = true;
                    self.session.remote.own_requests().turn().await;
                }
                NextStep::SendAgain
            }
            RetryDecision::AnswerFromMemory(problem) => {
                NextStep::Answer(Box::new(match self.lists.answer_from_memory(request).await {
                    Some(line) => Answer::own(self.learned.learn(request, line).await),
                    None => self.give_up(request, &problem),
                }))
            }
            RetryDecision::GiveUp(problem) => NextStep::Answer(Box::new(self.give_up(request, &problem))),
            RetryDecision::Drop => NextStep::Drop,
        }
    }

    async fn after_sign_in(&self, request: &InFlight, outcome: SignInOutcome) -> NextStep<'_> {
        match self.answer_after_sign_in(request, outcome).await {
            Some(answer) => NextStep::Answer(Box::new(answer)),
            None => {
                // It waited for this very sign-in, whoever the user is.
                request.bound_user.release();
                NextStep::SendAgain
            }
        }
    }

    /// The answer after a sign-in was needed; `None` if somebody has signed in.
    async fn answer_after_sign_in(&self, request: &InFlight, outcome: SignInOutcome) -> Option<Answer<'_>> {
        match outcome {
            SignInOutcome::SignedIn => None,
            SignInOutcome::Result(result) => Some(self.result(request, &result)),
            SignInOutcome::Line(line) => Some(Answer::own(self.learned.learn(request, line).await)),
            SignInOutcome::Problem(problem) => Some(self.give_up(request, &problem)),
        }
    }

    /// Waits before the next attempt; `false` if stdin has ended and the wait is not over soon.
    async fn pause(&self, request: &InFlight, wait: Duration, problem: &Problem) -> bool {
        let end = Instant::now() + wait;
        let message = || {
            let left = end.saturating_duration_since(Instant::now());
            format!("{} Trying again in {} s.", problem.what(), left.as_secs().max(1))
        };
        let progress = request.progress.as_deref();
        let waited = while_waiting(progress, Duration::ZERO, message, tokio::time::sleep_until(end));
        let closed = async {
            self.session.client.closing().await;
            tokio::time::sleep(CLOSING_GRACE).await;
        };
        tokio::select! {
            () = waited => true,
            () = closed => false,
        }
    }

    /// `server/discover`: the server's answer, or "no such method" if it has none, so that probing clients fall back to
    /// `initialize` at once.
    async fn discover(&self, request: &InFlight) -> Answer<'_> {
        let wire = WireRequest::first(request);
        match tokio::time::timeout(DISCOVER_WAIT, self.attempter.attempt(request, &wire)).await {
            Ok(Ok(Answered { line, room, .. })) => Answer { line, room, rest: None, slot: None },
            _ => self.problem(request, &Problem::new(ProblemId::MethodNotFound).with("method", &request.method)),
        }
    }

    /// Answers with a problem; cancels the request at a server that may still be executing it.
    fn give_up(&self, request: &InFlight, problem: &Problem) -> Answer<'_> {
        if problem.id == ProblemId::AnswerTimedOut && request.mcp_headers.is_none() {
            let id = request.ticket.sent_as().unwrap_or_else(|| request.id.clone());
            let body = cancellation::notification(&id, "No answer in time.");
            self.session.outbox.push(OutboxMessage::new(body, request.stage));
        }
        self.problem(request, problem)
    }

    fn result(&self, request: &InFlight, result: &Value) -> Answer<'_> {
        Answer::own(self.responder.result_line(request, result))
    }

    fn problem(&self, request: &InFlight, problem: &Problem) -> Answer<'_> {
        Answer::own(self.responder.problem_line(request, problem))
    }

    /// Reads what follows the answer on its stream: usually nothing but the end.
    async fn read_rest(&self, rest: Option<Incoming>) {
        let Some(mut rest) = rest else { return };
        let _ = tokio::time::timeout(STREAM_REST_WAIT, rest.pass_on_the_rest()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much room the future takes that `_f` would return.
    fn room_for<A, B, C, F: Future>(_f: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_request_in_flight_takes_little_room() {
        let room = room_for(Forwarder::handle);
        assert!(room <= 6 * 1024, "{room} bytes");
    }
}

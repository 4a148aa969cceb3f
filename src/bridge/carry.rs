//! One request of the client, from stdin to its one answer.
//!
//! [`Bridge::carry`] tries until there is an answer to give: another session, a sign-in, a connection that can be made, a
//! stream that can be taken up again. A request whose effect is unknown is only tried again when [`super::safety`] allows
//! it, and then under an id of ours, because the server may still hold the first.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

use crate::http::retry_after;
use crate::message::{IdKey, Kind, Peek, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Exchange, Failure, Outgoing};

use super::Bridge;
use super::batch::Seat;
use super::connection::Need;
use super::hello::Hello;
use super::lane::Item;
use super::pending::Ticket;
use super::server_side::Heard;
use super::sign_in::Meanwhile;

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

/// A request that has no answer yet.
#[derive(Debug)]
pub struct InFlight {
    /// As the client wrote it.
    pub body: Bytes,
    /// Its id, as it was written.
    pub id: Box<RawValue>,
    /// Its id, comparable.
    pub key: IdKey,
    /// The method.
    pub method: String,
    /// The tool of a `tools/call`.
    pub tool: Option<String>,
    /// Where the client wants to hear of progress.
    pub progress: Option<Box<RawValue>>,
    /// How far the session must be.
    pub need: Need,
    /// For a request of the stateless era: the headers that repeat parts of it.
    pub mirrored: Option<HeaderMap>,
    /// The right to answer it.
    pub ticket: Ticket,
    /// Its place in a batch, if it came in one.
    pub seat: Mutex<Option<Seat>>,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Work {
    /// Asking the server.
    Carry,
    /// Opening the session; the server's answer comes through the channel.
    Initialize(Arc<Hello>, oneshot::Receiver<Bytes>),
    /// Whether the server speaks the stateless era.
    Discover,
    /// The sign-in tool.
    SignIn,
    /// Whether this process lives.
    Pong,
}

impl InFlight {
    /// Whether it opens a stream that stays open.
    pub fn listens(&self) -> bool {
        self.method == "subscriptions/listen"
    }
}

/// How a request goes over the wire this time.
#[derive(Debug)]
struct Wire {
    body: Bytes,
    key: IdKey,
    mirrored: Option<HeaderMap>,
    /// Whether the answer must get the client's id back.
    renamed: bool,
    /// Whether it opens a stream that was open before: the client need not hear that it opens.
    again: bool,
}

impl Wire {
    fn as_it_came(request: &InFlight) -> Self {
        Self {
            body: request.body.clone(),
            key: request.key.clone(),
            mirrored: request.mirrored.clone(),
            renamed: false,
            again: false,
        }
    }
}

/// How often what has been tried.
#[derive(Debug, Default)]
struct Tries {
    sessions: u32,
    sign_ins: u32,
    repeats: u32,
    headers: u32,
    unsent: u32,
    unsent_since: Option<Instant>,
}

impl Bridge {
    /// Does what a request asks for; whatever becomes of that, the request is answered once.
    pub(super) async fn work(self: Arc<Self>, request: InFlight, work: Work) {
        let _answered_in_any_case = LastResort { bridge: &self, request: &request };
        match work {
            Work::Carry => self.carry(&request).await,
            Work::Initialize(hello, answered) => self.answer_initialize(&request, hello, answered).await,
            Work::Discover => self.discover(&request).await,
            Work::SignIn => self.call_sign_in_tool(&request).await,
            Work::Pong => self.answer_result(&request, &json!({})).await,
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
        let _place = if request.listens() { None } else { self.places.acquire().await.ok() };
        let mut wire = Wire::as_it_came(request);
        let mut tries = Tries::default();
        loop {
            match self.attempt(request, &wire).await {
                Ok((answer, exchange)) => {
                    if tries.headers == 0
                        && let Some(fresh) = self.fresh_headers(request, wire.mirrored.as_ref(), &answer).await
                    {
                        // The server refused the headers and executed nothing.
                        tries.headers += 1;
                        wire.mirrored = Some(fresh);
                        continue;
                    }
                    let answer = if wire.renamed { with_own_id(&answer, &request.id) } else { answer };
                    self.answer(request, self.learn(request, answer)).await;
                    return self.read_rest(exchange).await;
                }
                Err(failure) => match self.next_try(request, &mut wire, &mut tries, failure).await {
                    Next::Again => {}
                    Next::Result(result) => return self.answer_result(request, &result).await,
                    Next::GiveUp(problem) => return self.give_up(request, &problem).await,
                },
            }
        }
    }

    /// Decides what a failure means for this request, and waits as long as that takes.
    async fn next_try(
        self: &Arc<Self>,
        request: &InFlight,
        wire: &mut Wire,
        tries: &mut Tries,
        failure: Failure,
    ) -> Next {
        match failure {
            Failure::SessionLost { epoch, .. } if tries.sessions < MOST_SESSIONS => {
                tries.sessions += 1;
                self.session_lost(epoch);
                Next::Again
            }
            Failure::SignIn(problem) if tries.sign_ins < MOST_SIGN_INS => {
                tries.sign_ins += 1;
                match self.meanwhile(request, problem).await {
                    Meanwhile::TryAgain => Next::Again,
                    Meanwhile::Result(result) => Next::Result(result),
                    Meanwhile::Problem(problem) => Next::GiveUp(problem),
                }
            }
            Failure::NotSent(problem) => {
                let since = *tries.unsent_since.get_or_insert_with(Instant::now);
                tries.unsent += 1;
                let wait = retry_after::wait(None, tries.unsent.min(4), retry_after::noise());
                let limits = &self.settings.limits;
                if since.elapsed() + wait > if request.listens() { limits.idle } else { limits.connecting } {
                    return Next::GiveUp(problem);
                }
                tracing::info!(%problem, "the server cannot be reached; trying again");
                self.pause(wait, &problem).await
            }
            Failure::Unclear { problem, wait } => {
                let repeat =
                    tries.repeats < MOST_REPEATS && self.safety.may_repeat(&request.method, request.tool.as_deref());
                if !repeat {
                    return Next::GiveUp(problem);
                }
                tries.repeats += 1;
                tries.unsent_since = None;
                tracing::info!(%problem, method = request.method, "repeating what only reads");
                if request.listens() {
                    // The server names this stream by the request's id, so it stays; and it may break as often as it will.
                    tries.repeats = tries.repeats.min(MOST_REPEATS - 1);
                    wire.again = true;
                } else {
                    self.rename(request, wire);
                }
                let wait = retry_after::wait(wait, tries.repeats, retry_after::noise());
                self.pause(wait, &problem).await
            }
            // In a new session, or after a sign-in, the same answer: it was about the request.
            failure => Next::GiveUp(failure.into_problem()),
        }
    }

    /// Waits before the next try; after the end of stdin only what is quickly over is waited for.
    async fn pause(&self, wait: Duration, problem: &Problem) -> Next {
        let mut closing = self.closing.subscribe();
        let ends = async {
            let _ = closing.wait_for(|closing| *closing).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => Next::Again,
            () = ends => Next::GiveUp(problem.clone()),
        }
    }

    /// From here on the request goes under an id of ours: the server may still have the one before.
    fn rename(&self, request: &InFlight, wire: &mut Wire) {
        let id = self.own_ids.next();
        if let (Ok(text), Ok(raw)) = (std::str::from_utf8(&request.body), RawValue::from_string(id)) {
            wire.key = IdKey::parse(&raw).unwrap_or_else(|| wire.key.clone());
            wire.body = write::with_id(text, &raw);
            wire.renamed = true;
            *request.ticket.sent_as.lock().unwrap_or_else(PoisonError::into_inner) = Some(raw);
        }
    }

    /// Sends the request once and reads until its answer.
    async fn attempt(self: &Arc<Self>, request: &InFlight, wire: &Wire) -> Result<(Bytes, Option<Exchange>), Failure> {
        self.ready(request.need).await?;
        if let Some(answer) = self.not_offered(request) {
            return Ok((answer, None));
        }
        let out = Outgoing {
            body: wire.body.clone(),
            expects: Some(wire.key.clone()),
            at_server: Arc::clone(&request.ticket.at_server),
            mirrored: wire.mirrored.clone(),
            listens: request.listens(),
            on_wait: self.progress_teller(request),
        };
        let mut exchange = self.remote.exchange(&out).await?;
        let id = if wire.renamed { None } else { Some(&*request.id) };
        let mut stray = None;
        let mut unreadable = None;
        loop {
            let end = match exchange.next().await {
                Ok(Some(message)) if wire.again && is_acknowledgement(&message) => continue,
                Ok(Some(message)) => {
                    match self.hear(message, Some(&wire.key), id).await {
                        Ok(Heard { answer: Some(answer), .. }) => return Ok((answer, Some(exchange))),
                        Ok(heard) => stray = heard.stray.or(stray),
                        // On a stream the answer may still come.
                        Err(problem) => unreadable = Some(problem),
                    }
                    continue;
                }
                Ok(None) => match (unreadable.take(), &stray) {
                    (Some(problem), _) => Failure::Explained(problem),
                    (None, Some(id)) => Failure::Explained(Problem::new(ProblemId::WrongAnswerId).with("found", id)),
                    (None, None) => Failure::Unclear { problem: Problem::new(ProblemId::NoAnswer), wait: None },
                },
                Err(failure) => failure,
            };
            match end {
                // The stateless era has no resumption.
                Failure::Unclear { .. } if wire.mirrored.is_none() => {
                    exchange = self.remote.resume(&exchange).await?.ok_or(end)?;
                }
                end => return Err(end),
            }
        }
    }

    /// Tells the client's progress token that its request waits. Only before the server has begun: its own progress must
    /// go on rising from where ours ends, so ours stays close to nothing.
    fn progress_teller(&self, request: &InFlight) -> Option<Arc<dyn Fn(Duration) + Send + Sync>> {
        let token = request.progress.clone()?;
        let output = self.output.clone();
        let told = std::sync::atomic::AtomicU32::new(0);
        Some(Arc::new(move |wait: Duration| {
            let n = told.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            let params = json!({
                "progress": f64::from(n) * 1e-6,
                "message": format!("The server limits the rate of calls; waiting {} s.", wait.as_secs().max(1)),
            });
            // The token goes back as it was written.
            let params = params.to_string().replacen('{', &format!("{{\"progressToken\":{token},"), 1);
            output.push(Bytes::from(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#
            )));
        }))
    }

    /// `server/discover`: the server's own answer, or "there is no such method" where it has none, so that clients which
    /// probe with it fall back to `initialize` at once.
    async fn discover(self: &Arc<Self>, request: &InFlight) {
        let wire = Wire::as_it_came(request);
        let answer = tokio::select! {
            biased;
            () = request.ticket.stop.notified() => return,
            answer = tokio::time::timeout(PROBE, self.attempt(request, &wire)) => answer,
        };
        match answer {
            Ok(Ok((answer, _))) => self.answer(request, answer).await,
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
            self.lane.push(Item::new(Bytes::from(body), request.need));
        }
        self.answer_problem(request, problem).await;
    }

    /// Gives the one answer, unless the client has cancelled meanwhile.
    pub(super) async fn answer(&self, request: &InFlight, line: Bytes) {
        let Some(_answering) = self.pending.answer(&request.key, &request.ticket) else { return };
        let seat = request.seat.lock().unwrap_or_else(PoisonError::into_inner).take();
        match seat {
            Some(seat) => seat.fill(line),
            None => self.output.send(line).await,
        }
    }

    /// Gives a result of the bridge's own, with what results of the stateless era must have.
    pub(super) async fn answer_result(&self, request: &InFlight, result: &Value) {
        if request.mirrored.is_none() {
            return self.answer(request, write::result(&request.id, result)).await;
        }
        let mut result = result.clone();
        result["resultType"] = json!("complete");
        if request.method.ends_with("/list") {
            result["ttlMs"] = json!(0);
            result["cacheScope"] = json!("private");
        }
        self.answer(request, write::result(&request.id, &result)).await;
    }

    /// A failed tool call is a result that the model reads; anything else is an error that the client reads.
    pub(super) async fn answer_problem(&self, request: &InFlight, problem: &Problem) {
        let problem = &match problem.fact("command") {
            Some(_) => problem.clone(),
            // Many texts name it, and only the settings know it.
            None => problem.clone().with("command", self.settings.command("login")),
        };
        tracing::info!(method = request.method, %problem, "answered with a problem");
        if request.method == "tools/call" {
            self.answer_result(request, &problem.to_tool_result()).await;
        } else {
            self.answer(request, write::error(Some(&request.id), &problem.to_json_rpc_error())).await;
        }
    }

    /// The client was told that there are tools, prompts and resources before the server could be asked. Where it turns
    /// out to have none of a kind, its lists are empty.
    fn not_offered(&self, request: &InFlight) -> Option<Bytes> {
        let offers = self.connection.corrected()?;
        let (family, _) = request.method.split_once('/')?;
        let offered = match family {
            "tools" => offers.tools,
            "prompts" => offers.prompts,
            "resources" => offers.resources,
            _ => true,
        };
        if offered {
            return None;
        }
        Some(match empty_list(&request.method) {
            Some(list) => write::result(&request.id, &list),
            None => {
                let problem = Problem::new(ProblemId::MethodNotFound).with("method", &request.method);
                write::error(Some(&request.id), &problem.to_json_rpc_error())
            }
        })
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
enum Next {
    Again,
    Result(Value),
    GiveUp(Problem),
}

/// The answer to a renamed request, under the client's id.
fn with_own_id(answer: &Bytes, id: &RawValue) -> Bytes {
    match std::str::from_utf8(answer) {
        Ok(text) => write::with_id(text, id),
        Err(_) => answer.clone(),
    }
}

/// Answers a request whose task ended without an answer: a fault of this program, which the client must not wait for.
struct LastResort<'a> {
    bridge: &'a Bridge,
    request: &'a InFlight,
}

impl Drop for LastResort<'_> {
    fn drop(&mut self) {
        if let Some(_answering) = self.bridge.pending.answer(&self.request.key, &self.request.ticket) {
            let problem = Problem::new(ProblemId::InternalError).with("detail", "a request was dropped");
            let line = write::error(Some(&self.request.id), &problem.to_json_rpc_error());
            match self.request.seat.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(seat) => seat.fill(line),
                None => self.bridge.output.push(line),
            }
        }
    }
}

/// The empty answer to a list method.
pub fn empty_list(method: &str) -> Option<Value> {
    let member = match method {
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        "resources/templates/list" => "resourceTemplates",
        _ => return None,
    };
    Some(json!({ member: [] }))
}

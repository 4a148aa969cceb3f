//! Requests of the client that wait for their one answer, and what the answer may be when it is the bridge's own.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Duration;

use crate::message::{IdKey, write};
use crate::problem::{Problem, ProblemId};

use super::Bridge;
use super::batch::Seat;
use super::connection::Need;
use super::hello::Hello;
use super::pending::Ticket;
use super::stdio::{Output, Reserved};

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
    /// What it has heard there from here.
    pub told: Arc<Told>,
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

impl Bridge {
    /// Gives the one answer, unless the client has cancelled meanwhile.
    pub(super) async fn answer(&self, request: &InFlight, line: Bytes) {
        self.answer_in(request, line, None).await;
    }

    /// The same, when room for the line was taken before.
    pub(super) async fn answer_in(&self, request: &InFlight, line: Bytes, room: Option<Reserved>) {
        let Some(_answering) = self.pending.answer(&request.key, &request.ticket) else { return };
        let seat = request.seat.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (seat, room) {
            (Some(seat), _) => seat.fill(line),
            (None, Some(room)) => self.output.send_reserved(line, room),
            (None, None) => self.output.send(line).await,
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
    pub(super) fn not_offered(&self, request: &InFlight) -> Option<Bytes> {
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

    /// Tells the client's progress token that its request waits for the server's rate limit.
    pub(super) fn progress_teller(&self, request: &InFlight) -> Option<Arc<dyn Fn(Duration) + Send + Sync>> {
        let token = request.progress.clone()?;
        let (output, told) = (self.output.clone(), Arc::clone(&request.told));
        Some(Arc::new(move |wait: Duration| {
            let text = format!("The server limits the rate of calls; waiting {} s.", wait.as_secs().max(1));
            told.tell(&output, &token, &text);
        }))
    }

    /// Tells the client's progress token why its request waits.
    pub(super) fn tell_progress(&self, request: &InFlight, text: &str) {
        if let Some(token) = &request.progress {
            request.told.tell(&self.output, token, text);
        }
    }
}

/// Progress of a request that the client has heard of.
#[derive(Debug, Default)]
pub struct Told {
    from_here: AtomicU32,
    /// The server has begun to speak of it.
    from_server: AtomicBool,
}

impl Told {
    /// The server has sent something for the request.
    pub fn server_has_begun(&self) {
        self.from_server.store(true, Ordering::Relaxed);
    }

    /// Whether the server has sent something since this was asked last.
    pub fn take_begun(&self) -> bool {
        self.from_server.swap(false, Ordering::Relaxed)
    }

    /// Only before the server has begun: its own progress must go on rising from where ours ends, so ours stays close to
    /// nothing.
    fn tell(&self, output: &Output, token: &RawValue, text: &str) {
        if self.from_server.load(Ordering::Relaxed) {
            return;
        }
        let n = self.from_here.fetch_add(1, Ordering::Relaxed) + 1;
        let params = json!({ "progress": f64::from(n) * 1e-6, "message": text });
        // The token goes back as it was written.
        let params = params.to_string().replacen('{', &format!("{{\"progressToken\":{token},"), 1);
        output.push(Bytes::from(format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)));
    }
}

/// Answers a request whose task ended without an answer: a fault of this program, which the client must not wait for.
pub(super) struct LastResort<'a> {
    pub(super) bridge: &'a Bridge,
    pub(super) request: &'a InFlight,
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

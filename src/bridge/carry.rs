//! One request of the client, from stdin to its one answer.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Duration;

use crate::message::{IdKey, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Exchange, Failure, Outgoing};

use super::Bridge;
use super::batch::Seat;
use super::connection::Need;
use super::pending::Ticket;
use super::sign_in::Meanwhile;

/// How long the rest of a stream is read after the answer, so that its connection can be used again.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// How often a request is sent again because its session was lost.
const MOST_SESSIONS: u32 = 1;
/// How often one request may ask for a sign-in.
const MOST_SIGN_INS: u32 = 2;

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
    /// How far the session must be.
    pub need: Need,
    /// The right to answer it.
    pub ticket: Ticket,
    /// Its place in a batch, if it came in one.
    pub seat: Mutex<Option<Seat>>,
}

impl Bridge {
    /// Carries a request until it is answered or nobody waits any more.
    pub(super) async fn carry(self: Arc<Self>, request: InFlight) {
        let _answered_in_any_case = LastResort { bridge: &self, request: &request };
        tokio::select! {
            biased;
            () = request.ticket.stop.notified() => tracing::debug!(method = request.method, "cancelled by the client"),
            () = self.carry_to_end(&request) => {}
        }
    }

    async fn carry_to_end(self: &Arc<Self>, request: &InFlight) {
        let mut sessions = 0;
        let mut sign_ins = 0;
        loop {
            match self.attempt(request).await {
                Ok((answer, exchange)) => {
                    self.answer(request, answer).await;
                    self.read_rest(exchange).await;
                    return;
                }
                Err(Failure::SessionLost { epoch, .. }) if sessions < MOST_SESSIONS => {
                    sessions += 1;
                    self.session_lost(epoch);
                }
                // The same answer in a new session: it was about the request, not about the session.
                Err(Failure::SessionLost { otherwise, .. }) => {
                    return self.answer_problem(request, &otherwise).await;
                }
                Err(Failure::SignIn(problem)) if sign_ins < MOST_SIGN_INS => {
                    sign_ins += 1;
                    match self.meanwhile(request, problem).await {
                        Meanwhile::TryAgain => {}
                        Meanwhile::Result(result) => return self.answer_result(request, &result).await,
                        Meanwhile::Problem(problem) => return self.answer_problem(request, &problem).await,
                    }
                }
                Err(Failure::SignIn(problem) | Failure::Explained(problem)) => {
                    return self.answer_problem(request, &problem).await;
                }
            }
        }
    }

    /// Sends the request once and reads until its answer.
    async fn attempt(self: &Arc<Self>, request: &InFlight) -> Result<(Bytes, Option<Exchange>), Failure> {
        self.ready(request.need).await?;
        if let Some(answer) = self.not_offered(request) {
            return Ok((answer, None));
        }
        let out = Outgoing {
            body: request.body.clone(),
            expects: Some(request.key.clone()),
            at_server: Arc::clone(&request.ticket.at_server),
        };
        let mut exchange = self.remote.exchange(&out).await?;
        let mut stray = None;
        while let Some(message) = exchange.next().await? {
            let heard = self.hear(message, Some(&request.key), Some(&request.id)).await?;
            if let Some(answer) = heard.answer {
                return Ok((answer, Some(exchange)));
            }
            stray = heard.stray.or(stray);
        }
        Err(match stray {
            Some(id) => Problem::new(ProblemId::WrongAnswerId).with("found", id),
            None => Problem::new(ProblemId::NoAnswer),
        }
        .into())
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

    pub(super) async fn answer_result(&self, request: &InFlight, result: &Value) {
        self.answer(request, write::result(&request.id, result)).await;
    }

    /// A failed tool call is a result that the model reads; anything else is an error that the client reads.
    pub(super) async fn answer_problem(&self, request: &InFlight, problem: &Problem) {
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

/// Answers a request whose task ended without an answer: a fault of this program, which the client must not wait for.
struct LastResort<'a> {
    bridge: &'a Bridge,
    request: &'a InFlight,
}

impl Drop for LastResort<'_> {
    fn drop(&mut self) {
        if self.bridge.pending.answer(&self.request.key, &self.request.ticket).is_some() {
            let problem = Problem::new(ProblemId::InternalError).with("detail", "a request was dropped");
            self.bridge.output.push(write::error(Some(&self.request.id), &problem.to_json_rpc_error()));
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

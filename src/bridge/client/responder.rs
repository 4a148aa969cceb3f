//! Requests of the client that wait for their one answer, and what the answer may be when it is the bridge's own.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::Duration;

use crate::message::{IdKey, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::BoundUser;

use crate::bridge::client::batch::BatchSlot;
use crate::bridge::client::client_info::ClientInfo;
use crate::bridge::client::in_flight::Ticket;
use crate::bridge::client::output::Reserved;
use crate::bridge::client::progress::Progress;
use crate::bridge::session::connection::SessionStage;
use crate::bridge::session::initialize::InitializeRequest;
use crate::bridge::sign_in::elicitation::LinkConsent;
use crate::bridge::{Bridge, Flag};

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
    pub progress: Option<Arc<Progress>>,
    /// Whether the server has begun to speak of it.
    pub begun: Arc<Flag>,
    /// In the stateless era: the revision.
    pub revision: Option<String>,
    /// In the stateless era: who sent it.
    pub caller: ClientInfo,
    /// For a list: where the page begins that it asks for, as it was written.
    pub cursor: Option<Box<RawValue>>,
    /// In the stateless era: what became of the link that the client was asked to show for this very request.
    pub shown: Option<LinkConsent>,
    /// How far the session must be.
    pub need: SessionStage,
    /// For a request of the stateless era: the headers that repeat parts of it.
    pub mirrored: Option<HeaderMap>,
    /// Who was signed in when it came.
    pub meant: Arc<BoundUser>,
    /// The right to answer it.
    pub ticket: Ticket,
    /// Its place in a batch, if it came in one.
    pub seat: Mutex<Option<BatchSlot>>,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Handler {
    /// Asking the server.
    Carry,
    /// Opening the session; the server's answer comes through the channel.
    Initialize(Arc<InitializeRequest>, oneshot::Receiver<Bytes>),
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

    /// Whether it asks for a list from its beginning.
    pub fn lists(&self) -> bool {
        self.cursor.is_none() && list_member(&self.method).is_some()
    }
}

impl Bridge {
    /// Gives the one answer, unless the client has cancelled meanwhile.
    pub(crate) async fn answer(&self, request: &InFlight, line: Bytes) {
        self.answer_in(request, line, None).await;
    }

    /// The same, when room for the line was taken before.
    pub(crate) async fn answer_in(&self, request: &InFlight, line: Bytes, room: Option<Reserved>) {
        let Some(_answering) = self.pending.answer(&request.key, &request.ticket) else { return };
        let seat = request.seat.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (seat, room) {
            (Some(seat), _) => seat.fill(line),
            (None, Some(room)) => self.output.send_reserved(line, room),
            (None, None) => self.output.send(line).await,
        }
    }

    /// Gives a result of the bridge's own, with what results of the stateless era must have.
    pub(crate) async fn answer_result(&self, request: &InFlight, result: &Value) {
        if request.mirrored.is_none() {
            return self.answer(request, write::result(&request.id, result)).await;
        }
        let mut result = result.clone();
        if result.get("resultType").is_none() {
            result["resultType"] = json!("complete");
        }
        if request.method.ends_with("/list") {
            result["ttlMs"] = json!(0);
            result["cacheScope"] = json!("private");
        }
        self.answer(request, write::result(&request.id, &result)).await;
    }

    /// A failed tool call is a result that the model reads; anything else is an error that the client reads.
    pub(crate) async fn answer_problem(&self, request: &InFlight, problem: &Problem) {
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
    pub(crate) fn not_offered(&self, request: &InFlight) -> Option<Bytes> {
        Some(match self.offers_none(&request.method)? {
            Value::Null => {
                let problem = Problem::new(ProblemId::MethodNotFound).with("method", &request.method);
                write::error(Some(&request.id), &problem.to_json_rpc_error())
            }
            list => write::result(&request.id, &list),
        })
    }

    /// The empty list that a method has whose family the server turned out not to offer; `null` for another such method.
    pub(crate) fn offers_none(&self, method: &str) -> Option<Value> {
        let offers = self.connection.corrected()?;
        let (family, _) = method.split_once('/')?;
        let offered = match family {
            "tools" => offers.tools,
            "prompts" => offers.prompts,
            "resources" => offers.resources,
            _ => true,
        };
        (!offered).then(|| empty_list(method).unwrap_or_default())
    }

    /// What tells the client's progress token that the server limits the rate of calls.
    pub(crate) fn throttle_teller(request: &InFlight) -> Option<Arc<dyn Fn(Duration) + Send + Sync>> {
        let progress = request.progress.clone()?;
        Some(Arc::new(move |wait| progress.tell_throttled(wait)))
    }
}

/// Answers a request whose task ended without an answer: a fault of this program, which the client must not wait for.
pub(crate) struct LastResort<'a> {
    pub(crate) bridge: &'a Bridge,
    pub(crate) request: &'a InFlight,
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
    Some(json!({ list_member(method)?: [] }))
}

/// The member of a list's result that holds the list.
pub fn list_member(method: &str) -> Option<&'static str> {
    Some(match method {
        "tools/list" => "tools",
        "prompts/list" => "prompts",
        "resources/list" => "resources",
        "resources/templates/list" => "resourceTemplates",
        _ => return None,
    })
}

//! Gives each request its one answer, and formats the bridge's own answers.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::config::Settings;
use crate::message::write;
use crate::problem::{Problem, ProblemId};

use super::endpoint::Client;
use super::request::InFlight;
use super::room::Room;

/// Answers requests of the client.
#[derive(Debug)]
pub struct Responder {
    client: Arc<Client>,
    settings: Arc<Settings>,
}

impl Responder {
    /// Answers the requests of this client.
    pub fn new(client: Arc<Client>, settings: Arc<Settings>) -> Self {
        Self { client, settings }
    }

    /// Gives the one answer, as [`Client::answer`].
    pub async fn answer(&self, request: &InFlight, line: Bytes, room: Option<Room>) {
        self.client.answer(&request.key, &request.ticket, line, room).await;
    }

    /// One of the bridge's own results, with the members that the stateless era requires.
    pub fn result_line(&self, request: &InFlight, result: &Value) -> Bytes {
        if request.mcp_headers.is_none() {
            return write::result(&request.id, result);
        }
        let mut result = result.clone();
        if result.get("resultType").is_none() {
            result["resultType"] = json!("complete");
        }
        if request.method.ends_with("/list") {
            result["ttlMs"] = json!(0);
            result["cacheScope"] = json!("private");
        }
        write::result(&request.id, &result)
    }

    /// A problem in the form that suits the request: a failed tool call is a result that the model reads, anything else an
    /// error that the client reads.
    pub fn problem_line(&self, request: &InFlight, problem: &Problem) -> Bytes {
        let problem = &match problem.fact("command") {
            Some(_) => problem.clone(),
            // Many texts name the command, and only the settings know it.
            None => problem.clone().with("command", self.settings.command("login")),
        };
        tracing::info!(method = request.method, %problem, "answered with a problem");
        if request.method == "tools/call" {
            self.result_line(request, &problem.to_tool_result())
        } else {
            write::error(Some(&request.id), &problem.to_json_rpc_error())
        }
    }
}

/// Answers a request whose task ends without an answer: a bug in this program, which must not leave the client waiting.
pub struct LastResort<'a> {
    responder: &'a Responder,
    request: &'a InFlight,
}

impl<'a> LastResort<'a> {
    /// Answers `request` when dropped, unless it has been answered by then.
    pub fn new(responder: &'a Responder, request: &'a InFlight) -> Self {
        Self { responder, request }
    }
}

impl Drop for LastResort<'_> {
    fn drop(&mut self) {
        let Self { responder, request } = self;
        responder.client.answer_at_once(&request.key, &request.ticket, || {
            let problem = Problem::new(ProblemId::InternalError).with("detail", "a request was dropped");
            write::error(Some(&request.id), &problem.to_json_rpc_error())
        });
    }
}

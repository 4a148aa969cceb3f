//! What the client is told while nobody is signed in, and what starts a sign-in.
//!
//! A sign-in starts when the user would expect it: at the first `tools/list`, at a call that needs it, and when the
//! sign-in tool is called. Never at start-up, never for a stream, never on reconnect. A client is not kept waiting longer
//! than it is likely to bear: it gets the sign-in tool as its list, and a `list_changed` when there is a real one.

use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, ListToolsResult, Tool, ToolAnnotations};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::auth::{AuthError, AuthState, SignInReason};
use crate::message::write;
use crate::problem::{Problem, ProblemId};

use super::answering::{InFlight, empty_list};
use super::{Bridge, Flag};

/// The tool that stands in for the server's while nobody is signed in. Never forwarded.
pub const SIGN_IN_TOOL: &str = "planhat_sign_in";

/// What becomes of a request that needs a sign-in.
#[derive(Debug)]
pub enum Meanwhile {
    /// Somebody has signed in.
    TryAgain,
    /// This is the answer.
    Result(Value),
    /// This is why there is none.
    Problem(Problem),
}

/// Lists that were answered without the server, and whether a list has started a sign-in before.
#[derive(Debug, Default)]
pub struct Owed {
    tools: Flag,
    prompts: Flag,
    resources: Flag,
    listed_before: Flag,
}

impl Bridge {
    /// Decides what a request gets whose sender is not signed in.
    pub(super) async fn meanwhile(&self, request: &InFlight, needed: Problem) -> Meanwhile {
        let limits = &self.settings.limits;
        match request.method.as_str() {
            "tools/list" => {
                let first = !self.owed.listed_before.is_raised();
                self.owed.listed_before.raise();
                let started = if first { self.auth.start_sign_in(SignInReason::FirstList) } else { Ok(()) };
                // Held once: a client that lists at every turn must not stall each time.
                let held = first && started.is_ok() && self.is_signing_in();
                if held && self.wait_signed_in(limits.list_wait).await.is_ok() {
                    return Meanwhile::TryAgain;
                }
                self.owed.tools.raise();
                Meanwhile::Result(self.sign_in_tool_list())
            }
            "tools/call" => {
                if let Err(problem) = self.auth.start_sign_in(SignInReason::Call) {
                    return Meanwhile::Problem(problem);
                }
                match self.wait_signed_in(limits.call_wait).await {
                    Ok(()) => Meanwhile::TryAgain,
                    Err(problem) => Meanwhile::Problem(problem),
                }
            }
            "ping" => Meanwhile::Result(json!({})),
            method => {
                let list = empty_list(method);
                let wait = if list.is_some() { limits.list_wait } else { limits.call_wait };
                if self.is_signing_in() && self.wait_signed_in(wait).await.is_ok() {
                    return Meanwhile::TryAgain;
                }
                match list {
                    Some(list) => {
                        let owed =
                            if method.starts_with("prompts") { &self.owed.prompts } else { &self.owed.resources };
                        owed.raise();
                        Meanwhile::Result(list)
                    }
                    None => Meanwhile::Problem(needed),
                }
            }
        }
    }

    /// Decides what a request gets for which the sign-in does not reach; `narrow` is the token that it was sent with.
    pub(super) async fn widen(&self, request: &InFlight, needed: Problem, narrow: Option<u64>) -> Meanwhile {
        let limits = &self.settings.limits;
        let (starts, wait) = match request.method.as_str() {
            "tools/call" => (true, limits.call_wait),
            "tools/list" => {
                let first = !self.owed.listed_before.is_raised();
                self.owed.listed_before.raise();
                (first, limits.list_wait)
            }
            _ => (false, limits.call_wait),
        };
        let deadline = Instant::now() + wait;
        let mut closing = self.closing.subscribe();
        let mut again = starts;
        let outcome = loop {
            if starts && let Err(problem) = self.auth.start_sign_in(SignInReason::Call) {
                return Meanwhile::Problem(problem);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let outcome = tokio::select! {
                biased;
                outcome = self.auth.wait_newer(narrow, left) => outcome,
                _ = closing.wait_for(|closing| *closing) => break Err(AuthError::SignInNeeded(needed.clone())),
            };
            // The one that was under way was the last one, still on its way out. Only now can a wider one begin.
            let missed = matches!(outcome, Err(AuthError::SignInNeeded(_))) && Instant::now() < deadline;
            if !(missed && std::mem::take(&mut again)) {
                break outcome;
            }
        };
        match outcome {
            Ok(()) => Meanwhile::TryAgain,
            Err(AuthError::SignInNeeded(_)) => Meanwhile::Problem(match self.auth.sign_in_link() {
                Some(link) => needed.with("link", link),
                None => needed,
            }),
            Err(AuthError::NotNow(problem) | AuthError::Failed(problem)) => Meanwhile::Problem(problem),
        }
    }

    /// The call of the sign-in tool.
    pub(super) async fn call_sign_in_tool(self: &Arc<Self>, request: &InFlight) {
        let name = self.settings.service_name();
        if matches!(*self.auth.watch().borrow(), AuthState::SignedIn { .. }) {
            let text = format!("Already signed in to {name}. List the tools again to see what it offers.");
            return self.answer_result(request, &text_result(&text)).await;
        }
        if let Err(problem) = self.auth.start_sign_in(SignInReason::UserAsked) {
            return self.answer_problem(request, &problem).await;
        }
        match self.wait_signed_in(self.settings.limits.call_wait).await {
            Ok(()) => {
                self.owed.tools.raise();
                self.begin_opening();
                let text = format!(
                    "Signed in to {name}. Its tools are available now; list the tools again if they do not show."
                );
                self.answer_result(request, &text_result(&text)).await;
            }
            Err(problem) => self.answer_problem(request, &problem).await,
        }
    }

    /// Tells the client which lists are worth asking for again, now that there is a server to ask.
    pub(super) async fn settle_owed(&self) {
        for (flag, method) in [
            (&self.owed.tools, "notifications/tools/list_changed"),
            (&self.owed.prompts, "notifications/prompts/list_changed"),
            (&self.owed.resources, "notifications/resources/list_changed"),
        ] {
            if flag.take() {
                self.output.send(write::notification(method)).await;
            }
        }
    }

    /// Opens the session as soon as somebody has signed in, whether or not a request waits for it.
    pub(super) async fn follow_sign_ins(self: Arc<Self>) {
        let mut state = self.auth.watch();
        while state.changed().await.is_ok() {
            if matches!(*state.borrow_and_update(), AuthState::SignedIn { .. }) {
                tracing::info!("signed in");
                self.begin_opening();
            }
        }
    }

    fn is_signing_in(&self) -> bool {
        matches!(*self.auth.watch().borrow(), AuthState::SigningIn { .. })
    }

    /// Waits for a sign-in that is under way; not after the end of stdin, when nobody reads what a person would cause.
    async fn wait_signed_in(&self, within: Duration) -> Result<(), Problem> {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            outcome = self.auth.wait_signed_in(within) => outcome.map_err(|error| match error {
                AuthError::SignInNeeded(problem) | AuthError::NotNow(problem) | AuthError::Failed(problem) => problem,
            }),
            _ = closing.wait_for(|closing| *closing) => {
                let problem = Problem::new(ProblemId::SignInNeeded).with("command", self.settings.command("login"));
                Err(match self.auth.sign_in_link() {
                    Some(link) => problem.with("link", link),
                    None => problem,
                })
            }
        }
    }

    fn sign_in_tool_list(&self) -> Value {
        let name = self.settings.service_name();
        let description = format!(
            "Signs the user in to {name} in their browser. Nobody is signed in yet, so this is the only tool for now. Call \
             it when the user wants to use {name}: a browser page opens, the user signs in there, and the real tools \
             appear. If no page opens, show the user the link that this tool returns."
        );
        let schema = match json!({ "type": "object", "properties": {}, "additionalProperties": false }) {
            Value::Object(schema) => schema,
            _ => serde_json::Map::new(),
        };
        let title = format!("Sign in to {name}");
        let annotations =
            ToolAnnotations::with_title(title.clone()).read_only(false).destructive(false).idempotent(true);
        let tool = Tool::new(SIGN_IN_TOOL, description, schema).with_title(title).with_annotations(annotations);
        without_result_type(serde_json::to_value(ListToolsResult::with_all_items(vec![tool])).unwrap_or_default())
    }
}

fn text_result(text: &str) -> Value {
    without_result_type(
        serde_json::to_value(CallToolResult::success(vec![ContentBlock::text(text)])).unwrap_or_default(),
    )
}

/// The model's results say of which type they are, which revisions of the handshake era do not know.
fn without_result_type(mut result: Value) -> Value {
    if let Value::Object(members) = &mut result {
        members.remove("resultType");
    }
    result
}

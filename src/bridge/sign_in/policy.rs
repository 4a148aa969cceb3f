//! What the client is told while nobody is signed in, and what starts a sign-in.
//!
//! A sign-in starts when the user would expect it: at the first `tools/list`, at a call that needs it, and when the
//! sign-in tool is called. Never at start-up, never for a stream, never on reconnect. A client is not kept waiting longer
//! than it is likely to bear: it gets the list that the server gave before, or the sign-in tool as its list, and a
//! `list_changed` when there is another one.

use std::sync::Arc;

use bytes::Bytes;
use rmcp::model::{CallToolResult, ContentBlock, ListToolsResult, Tool, ToolAnnotations};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::auth::{AuthError, AuthState, PageOpening, SignInReason};
use crate::message::write;
use crate::problem::{Problem, ProblemId};

use crate::bridge::Bridge;
use crate::bridge::client::progress::TELL_EVERY;
use crate::bridge::client::responder::{InFlight, empty_list};
use crate::bridge::lists::served::with_tool;

/// The tool that stands in for the server's while nobody is signed in. Never forwarded.
pub const SIGN_IN_TOOL: &str = "planhat_sign_in";

/// How long a link may take to be there: the server has to say where to sign in.
const LINK: Duration = Duration::from_secs(15);
/// What a client hears whose request waits for the browser.
const WAITING: &str = "Waiting for the sign-in in the browser.";

/// What becomes of a request that needs a sign-in.
#[derive(Debug)]
pub enum SignInOutcome {
    /// Somebody has signed in.
    TryAgain,
    /// This is the answer.
    Result(Value),
    /// This is the answer, as a whole line.
    Line(Bytes),
    /// This is why there is none.
    Problem(Problem),
}

impl Bridge {
    /// Decides what a request gets whose sender is not signed in.
    pub(crate) async fn meanwhile(self: &Arc<Self>, request: &InFlight, needed: Problem) -> SignInOutcome {
        let limits = &self.settings.limits;
        match request.method.as_str() {
            "tools/list" => {
                if let Some(line) = self.remembered_tools(request) {
                    return SignInOutcome::Line(line);
                }
                let first = !self.given.listed_before.is_raised();
                self.given.listed_before.raise();
                let started = if first { self.auth.start_sign_in(SignInReason::FirstList) } else { Ok(()) };
                // Held once: a client that lists at every turn must not stall each time.
                let held = first && started.is_ok() && self.is_signing_in();
                if held && self.is_signed_in_within(request, self.list_wait(request)).await {
                    return SignInOutcome::TryAgain;
                }
                self.given.our_own(&request.method);
                SignInOutcome::Result(self.sign_in_tool_list())
            }
            "tools/call" => {
                let outcome = self.sign_in_for(request, SignInReason::Call, None, &needed).await;
                if matches!(outcome, SignInOutcome::Problem(_)) {
                    self.offer_sign_in_tool(request).await;
                }
                outcome
            }
            "ping" => SignInOutcome::Result(json!({})),
            method => {
                if let Some(line) = self.recall(request) {
                    return SignInOutcome::Line(line);
                }
                let list = empty_list(method);
                let wait = if list.is_some() { self.list_wait(request) } else { limits.call_wait };
                if self.is_signing_in() && self.is_signed_in_within(request, wait).await {
                    return SignInOutcome::TryAgain;
                }
                match list {
                    Some(list) => {
                        self.given.empty(method, &list);
                        SignInOutcome::Result(list)
                    }
                    None => SignInOutcome::Problem(needed),
                }
            }
        }
    }

    /// Decides what a request gets for which the sign-in does not reach; `narrow` is the token that it was sent with.
    pub(crate) async fn widen(
        self: &Arc<Self>,
        request: &InFlight,
        needed: Problem,
        narrow: Option<u64>,
    ) -> SignInOutcome {
        let first_list = request.method == "tools/list" && !self.given.listed_before.is_raised();
        if request.method != "tools/call" && !first_list {
            return self.wait_for_sign_in(request, narrow, &needed).await;
        }
        let begun = Instant::now();
        let outcome = self.widen_once(request, &needed, narrow).await;
        // The one that was under way was the last one, still on its way out. Only now can a wider one begin.
        let missed = matches!(&outcome, SignInOutcome::Problem(problem) if problem.id == needed.id)
            && self.auth.way().is_none()
            && !*self.closing.borrow()
            && begun.elapsed() < self.settings.limits.call_wait;
        if missed { self.widen_once(request, &needed, narrow).await } else { outcome }
    }

    async fn widen_once(self: &Arc<Self>, request: &InFlight, needed: &Problem, narrow: Option<u64>) -> SignInOutcome {
        if request.method == "tools/call" {
            return self.sign_in_for(request, SignInReason::Call, narrow, needed).await;
        }
        self.given.listed_before.raise();
        if let Err(problem) = self.auth.start_sign_in(SignInReason::Call) {
            return SignInOutcome::Problem(problem);
        }
        self.wait_at_most(request, narrow, needed, self.list_wait(request)).await
    }

    /// Gets somebody signed in for a call, in the way that suits its client. With `than`, a token that is newer than that
    /// one is needed.
    async fn sign_in_for(
        self: &Arc<Self>,
        request: &InFlight,
        reason: SignInReason,
        than: Option<u64>,
        needed: &Problem,
    ) -> SignInOutcome {
        if let Some(shown) = request.shown {
            return self.go_on_after(request, shown, than, needed).await;
        }
        // A page that has opened by itself need not be opened again.
        if self.shows_links(request) && self.auth.way() != Some(PageOpening::Browser) {
            return self.sign_in_by_link(request, reason, than, needed).await;
        }
        if let Err(problem) = self.auth.start_sign_in(reason) {
            return SignInOutcome::Problem(problem);
        }
        if self.auth.way() != Some(PageOpening::Link) {
            return self.wait_for_sign_in(request, than, needed).await;
        }
        match self.link(request, than, needed).await {
            // Where no browser can be opened, nobody sees the link before this call is answered.
            Ok(link) => match self.auth.open_link(&link).await {
                Ok(()) => self.wait_for_sign_in(request, than, needed).await,
                Err(problem) => SignInOutcome::Problem(problem),
            },
            Err(meanwhile) => meanwhile,
        }
    }

    /// The link of the sign-in that is under way, or what there is instead.
    pub(crate) async fn link(
        &self,
        request: &InFlight,
        than: Option<u64>,
        needed: &Problem,
    ) -> Result<String, SignInOutcome> {
        match self.while_waiting(request, "Asking the server where to sign in.", self.auth.wait_link(than, LINK)).await
        {
            Some(Ok(Some(link))) => Ok(link),
            Some(Ok(None)) => Err(SignInOutcome::TryAgain),
            Some(Err(error)) => Err(SignInOutcome::Problem(error.into())),
            None => Err(SignInOutcome::Problem(needed.clone())),
        }
    }

    /// Waits for the sign-in that is under way, as long as a call may.
    pub(crate) async fn wait_for_sign_in(
        &self,
        request: &InFlight,
        than: Option<u64>,
        needed: &Problem,
    ) -> SignInOutcome {
        self.wait_at_most(request, than, needed, self.settings.limits.call_wait).await
    }

    /// Waits for the sign-in that is under way, as long as this.
    pub(crate) async fn wait_at_most(
        &self,
        request: &InFlight,
        than: Option<u64>,
        needed: &Problem,
        within: Duration,
    ) -> SignInOutcome {
        match self.while_waiting(request, WAITING, self.auth.wait_newer(than, within)).await {
            Some(Ok(())) => SignInOutcome::TryAgain,
            Some(Err(AuthError::NotNow(problem) | AuthError::Failed(problem))) => SignInOutcome::Problem(problem),
            // The time is over, or stdin has ended.
            Some(Err(AuthError::SignInNeeded(_))) | None => {
                SignInOutcome::Problem(match (self.auth.sign_in_link(), than) {
                    (Some(link), None) => Problem::new(ProblemId::SignInPending).with("link", link),
                    (Some(link), Some(_)) => needed.clone().with("link", link),
                    (None, _) => needed.clone(),
                })
            }
        }
    }

    /// Waits for `work`, and tells the request's progress token for what. `None` when stdin has ended: nobody reads any
    /// more what a person would cause.
    pub(crate) async fn while_waiting<T>(
        &self,
        request: &InFlight,
        what: &str,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut closing = self.closing.subscribe();
        tokio::pin!(work);
        let mut told = false;
        loop {
            // What is over at once is not worth a word.
            let pause = if told { TELL_EVERY } else { Duration::from_millis(100) };
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                _ = closing.wait_for(|closing| *closing) => return None,
                () = tokio::time::sleep(pause), if request.progress.is_some() => {
                    told = true;
                    request.progress.iter().for_each(|progress| progress.tell(what));
                }
            }
        }
    }

    /// The call of the sign-in tool.
    pub(crate) async fn call_sign_in_tool(self: &Arc<Self>, request: &InFlight) {
        let name = self.settings.service_name();
        if matches!(*self.auth.watch().borrow(), AuthState::SignedIn { .. }) {
            let text = format!("Already signed in to {name}. List the tools again to see what it offers.");
            return self.answer_result(request, &text_result(&text)).await;
        }
        // Whoever knows this tool has it in its list.
        self.given.our_own("tools/list");
        let needed = self.auth.sign_in_needed();
        let outcome = tokio::select! {
            biased;
            () = request.ticket.stop.notified() => return,
            outcome = self.sign_in_for(request, SignInReason::UserAsked, None, &needed) => outcome,
        };
        match outcome {
            SignInOutcome::TryAgain => {
                self.begin_opening();
                let text = format!(
                    "Signed in to {name}. Its tools are available now; list the tools again if they do not show."
                );
                self.answer_result(request, &text_result(&text)).await;
            }
            SignInOutcome::Result(result) => self.answer_result(request, &result).await,
            SignInOutcome::Line(line) => self.answer(request, line).await,
            SignInOutcome::Problem(problem) => self.answer_problem(request, &problem).await,
        }
    }

    /// A model that is told of the sign-in tool needs to find it: the client may have the server's own list, from when
    /// somebody was signed in.
    async fn offer_sign_in_tool(&self, request: &InFlight) {
        let helps = self.settings.static_token.is_none() && !self.auth.needs_no_person();
        if helps && request.revision.is_none() && self.given.our_own("tools/list") {
            self.output.send(write::notification("notifications/tools/list_changed")).await;
        }
    }

    /// Opens a session as soon as somebody has signed in, whether or not a request waits for it: the client may be owed a
    /// `list_changed`.
    pub(crate) async fn follow_sign_ins(self: Arc<Self>) {
        let mut state = self.auth.watch();
        while state.changed().await.is_ok() {
            let signed_in = match &*state.borrow_and_update() {
                AuthState::SignedIn { grant } => Some(*grant),
                AuthState::SignedOut | AuthState::SigningIn { .. } => None,
            };
            if let Some(grant) = signed_in {
                tracing::info!("signed in");
                if let Some(epoch) = self.remote.outlived_by(grant) {
                    self.session_lost(epoch);
                }
                self.begin_opening();
            }
        }
    }

    fn is_signing_in(&self) -> bool {
        matches!(*self.auth.watch().borrow(), AuthState::SigningIn { .. })
    }

    async fn is_signed_in_within(&self, request: &InFlight, within: Duration) -> bool {
        matches!(self.while_waiting(request, WAITING, self.auth.wait_signed_in(within)).await, Some(Ok(())))
    }

    /// How long a list is held for a sign-in; what a call may wait for is a bound for this too.
    fn list_wait(&self, request: &InFlight) -> Duration {
        let limits = &self.settings.limits;
        let caller = match &request.revision {
            Some(_) => request.caller.clone(),
            None => self.connection.caller(),
        };
        caller.patience(limits.list_wait).min(limits.call_wait)
    }

    /// The tools that the server listed before, with the sign-in tool at their end: calls of the others start a sign-in too,
    /// but after one that failed, or where none starts by itself, a model needs a way to ask for it.
    fn remembered_tools(&self, request: &InFlight) -> Option<Bytes> {
        let list = with_tool(&self.remembered_list(request)?, &self.sign_in_tool())?;
        tracing::info!("the tools are answered from memory");
        self.given.our_own(&request.method);
        Some(write::raw_result(&request.id, &list))
    }

    fn sign_in_tool(&self) -> Value {
        let name = self.settings.service_name();
        let description = format!(
            "Signs the user in to {name} in their browser. Nobody is signed in at the moment. Call this when the user wants \
             to use {name}: a browser page opens, the user signs in there, and the real tools appear. If no page opens, \
             show the user the link that this tool returns."
        );
        let schema = match json!({ "type": "object", "properties": {}, "additionalProperties": false }) {
            Value::Object(schema) => schema,
            _ => serde_json::Map::new(),
        };
        let title = format!("Sign in to {name}");
        let annotations =
            ToolAnnotations::with_title(title.clone()).read_only(false).destructive(false).idempotent(true);
        let tool = Tool::new(SIGN_IN_TOOL, description, schema).with_title(title).with_annotations(annotations);
        serde_json::to_value(tool).unwrap_or_default()
    }

    fn sign_in_tool_list(&self) -> Value {
        let list = ListToolsResult::with_all_items(Vec::new());
        let mut list = without_result_type(serde_json::to_value(list).unwrap_or_default());
        list["tools"] = json!([self.sign_in_tool()]);
        list
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

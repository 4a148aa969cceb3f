//! What a request gets while nobody is signed in, and what starts a sign-in.
//!
//! A sign-in starts when the user would expect it: at the first `tools/list`, at a call that needs it, and when the
//! sign-in tool is called. Never at start-up, never for a stream, never on reconnect. A client waits no longer than it
//! is likely to tolerate: it gets the server's earlier list, or the sign-in tool as its list, and a `list_changed` when
//! that changes.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use crate::auth::{AuthState, PageOpening, SignInReason};
use crate::bridge::client::list_methods::empty_list;
use crate::bridge::client::request::InFlight;
use crate::bridge::lists::check_tool;
use crate::bridge::lists::served::Lists;
use crate::bridge::session::live::Session;
use crate::message::write;
use crate::problem::Problem;

use super::elicitation::Elicitation;
use super::outcome::{SignInNeed, SignInOutcome};
use super::tool;
use super::waiting::SignInWait;

/// Decides about requests that need a sign-in.
#[derive(Debug)]
pub struct SignIn {
    session: Arc<Session>,
    lists: Arc<Lists>,
    elicitation: Arc<Elicitation>,
    wait: Arc<SignInWait>,
}

impl SignIn {
    /// Decides about the requests of this session's client.
    pub fn new(session: Arc<Session>, lists: Arc<Lists>, elicitation: Arc<Elicitation>, wait: Arc<SignInWait>) -> Self {
        Self { session, lists, elicitation, wait }
    }

    /// What a request gets while nobody is signed in; `otherwise` is the problem that says so.
    pub async fn outcome_for(&self, request: &InFlight, otherwise: Problem) -> SignInOutcome {
        match request.method.as_str() {
            "tools/list" => self.tools(request).await,
            "tools/call" => {
                let need = SignInNeed { reason: SignInReason::Call, newer_than: None, otherwise };
                let outcome = self.sign_in(request, &need).await;
                if matches!(outcome, SignInOutcome::Problem(_)) {
                    self.offer_tool(request).await;
                }
                outcome
            }
            "ping" => SignInOutcome::Result(json!({})),
            _ => self.other_method(request, otherwise).await,
        }
    }

    async fn tools(&self, request: &InFlight) -> SignInOutcome {
        if let Some(line) = self.remembered_tools(request).await {
            return SignInOutcome::Line(line);
        }
        let is_first = !self.lists.listed_signed_out.raise();
        let has_started = is_first && self.session.auth.start_sign_in(SignInReason::FirstList).await.is_ok();
        // Wait only once: a client that lists at every turn must not stall each time.
        if has_started
            && self.wait.is_signing_in()
            && self.wait.is_signed_in_within(request, self.list_wait(request)).await
        {
            return SignInOutcome::SignedIn;
        }
        self.lists.serve_own_tool(&request.method);
        SignInOutcome::Result(tool::list_with_only_tool(&self.session.settings))
    }

    async fn other_method(&self, request: &InFlight, otherwise: Problem) -> SignInOutcome {
        if let Some(line) = self.lists.answer_from_memory(request).await {
            return SignInOutcome::Line(line);
        }
        let empty = empty_list(&request.method);
        let limit = if empty.is_some() { self.list_wait(request) } else { self.session.settings.limits.call_wait };
        if self.wait.is_signing_in() && self.wait.is_signed_in_within(request, limit).await {
            return SignInOutcome::SignedIn;
        }
        match empty {
            Some(list) => {
                self.lists.serve_empty(&request.method, &list);
                SignInOutcome::Result(list)
            }
            None => SignInOutcome::Problem(otherwise),
        }
    }

    /// What a request gets if the scope of the sign-in is too narrow; `narrow` is the serial of its token.
    pub async fn widen(&self, request: &InFlight, otherwise: Problem, narrow: Option<u64>) -> SignInOutcome {
        let need = SignInNeed { reason: SignInReason::Call, newer_than: narrow, otherwise };
        let is_first_list = request.method == "tools/list" && !self.lists.listed_signed_out.is_raised();
        if request.method != "tools/call" && !is_first_list {
            return self.wait.for_call(request, &need).await;
        }
        let begun = Instant::now();
        let outcome = self.widen_once(request, &need).await;
        // The running sign-in was the previous one, about to end. Only now can a wider one start.
        let was_previous = matches!(&outcome, SignInOutcome::Problem(problem) if problem.id == need.otherwise.id)
            && self.session.auth.page_opening().await.is_none()
            && !self.session.client.is_closing()
            && begun.elapsed() < self.session.settings.limits.call_wait;
        if was_previous { self.widen_once(request, &need).await } else { outcome }
    }

    async fn widen_once(&self, request: &InFlight, need: &SignInNeed) -> SignInOutcome {
        if request.method == "tools/call" {
            return self.sign_in(request, need).await;
        }
        self.lists.listed_signed_out.raise();
        if let Err(problem) = self.session.auth.start_sign_in(need.reason).await {
            return SignInOutcome::Problem(problem);
        }
        self.wait.at_most(request, need, self.list_wait(request)).await
    }

    /// Gets somebody signed in for a call, in the way that its client supports.
    async fn sign_in(&self, request: &InFlight, need: &SignInNeed) -> SignInOutcome {
        let auth = &self.session.auth;
        if let Some(consent) = request.consent {
            return self.elicitation.after_consent(request, need, consent).await;
        }
        // A page that has opened by itself need not be opened again.
        if self.elicitation.can_show_links(request) && auth.page_opening().await != Some(PageOpening::Browser) {
            return self.elicitation.sign_in(request, need).await;
        }
        if need.reason == SignInReason::UserAsked
            && let Some(shut) = auth.brake().tabs_shut().await
        {
            return self.by_link_alone(request, need, auth.explain(shut)).await;
        }
        if let Err(problem) = auth.start_sign_in(need.reason).await {
            return SignInOutcome::Problem(problem);
        }
        if auth.page_opening().await != Some(PageOpening::Link) {
            return self.wait.for_call(request, need).await;
        }
        let link = match self.wait.link(request, need).await {
            Ok(link) => link,
            Err(outcome) => return outcome,
        };
        let opened = match auth.admit_tab(&link).await {
            Ok(admission) => auth.open_link(&link, admission).await,
            Err(problem) => Err(problem),
        };
        match opened {
            Ok(()) => self.wait.for_call(request, need).await,
            // If no browser can be opened, nobody sees the link before this call is answered.
            Err(problem) => SignInOutcome::Problem(problem),
        }
    }

    /// Answers with the link of a sign-in, started if need be, because no tab may open: `shut` says why. It waits for nobody,
    /// since nobody sees the link before.
    async fn by_link_alone(&self, request: &InFlight, need: &SignInNeed, shut: Problem) -> SignInOutcome {
        // Without a tab of its own, unless the budget has room again by now.
        if let Err(problem) = self.session.auth.start_sign_in(need.reason).await {
            return SignInOutcome::Problem(problem);
        }
        match self.wait.link(request, need).await {
            Ok(link) => SignInOutcome::Problem(shut.with("link", link)),
            Err(outcome) => outcome,
        }
    }

    /// What a call of the sign-in tool gets; [`SignIn::signed_in_result`] if somebody has signed in.
    pub async fn call_tool(&self, request: &InFlight) -> SignInOutcome {
        let name = self.session.settings.service_name();
        if matches!(*self.session.auth.watch().borrow(), AuthState::SignedIn { .. }) {
            let text = format!("Already signed in to {name}. List the tools again to see what it offers.");
            return SignInOutcome::Result(tool::text_result(&text));
        }
        // A client that calls the tool must have it in its list.
        self.lists.serve_own_tool("tools/list");
        let otherwise = self.session.auth.sign_in_needed().await;
        let need = SignInNeed { reason: SignInReason::UserAsked, newer_than: None, otherwise };
        let outcome = self.sign_in(request, &need).await;
        if matches!(outcome, SignInOutcome::SignedIn) {
            self.session.reopen();
        }
        outcome
    }

    /// The result of the sign-in tool after a successful sign-in.
    pub fn signed_in_result(&self) -> Value {
        let name = self.session.settings.service_name();
        tool::text_result(&format!(
            "Signed in to {name}. Its tools are available now; list the tools again if they do not show."
        ))
    }

    /// A model that reads about the sign-in tool must find it: the client may still have the server's list.
    async fn offer_tool(&self, request: &InFlight) {
        let helps = self.session.settings.static_token.is_none() && !self.session.auth.needs_no_person();
        if helps && request.revision.is_none() && self.lists.serve_own_tool("tools/list") {
            let notification = write::notification("notifications/tools/list_changed");
            self.session.client.output.send(notification).await;
        }
    }

    /// How long a list waits for a sign-in; never longer than a call.
    fn list_wait(&self, request: &InFlight) -> Duration {
        let limits = &self.session.settings.limits;
        let client_info = match &request.revision {
            Some(_) => request.client_info.clone(),
            None => self.session.handshake.client_info(),
        };
        client_info.list_patience(limits.list_wait).min(limits.call_wait)
    }

    /// The tools that the server listed before, with the sign-in tool at their end: calls of the others start a sign-in too,
    /// but after one that failed, or where none starts by itself, a model needs a way to ask for it.
    async fn remembered_tools(&self, request: &InFlight) -> Option<Bytes> {
        let definition = tool::definition(&self.session.settings);
        let list = tool::with_tool(&self.lists.remembered(request).await?, &definition)?;
        tracing::info!("the tools are answered from memory");
        self.lists.serve_own_tool(&request.method);
        Some(check_tool::added_to(write::raw_result(&request.id, &list)))
    }
}

//! Signing in within the conversation: the client shows the link to its user (URL-mode elicitation), if it declares
//! that it can. Then the bridge opens no browser.
//!
//! In the handshake era the bridge sends the client one request for all waiting calls. In the stateless era it answers
//! a call with `input_required`, and the client repeats the call; no state is kept in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::auth::SignInReason;
use crate::bridge::client::request::{InFlight, LinkConsent};
use crate::bridge::session::live::Session;
use crate::limits::{DECLINED_SIGN_IN_PAUSE, REOPENING_PAUSE};
use crate::message::peek::Params;
use crate::message::{IdKey, Members};
use crate::problem::{Problem, ProblemId};
use crate::tasks;

use super::outcome::{SignInNeed, SignInOutcome};
use super::tool::SIGN_IN_TOOL;
use super::waiting::SignInWait;

/// The prefix of our `requestState`; the server's own state follows.
const REQUEST_STATE_PREFIX: &str = "planhat-mcp/sign-in/";

/// The outcome of asking the client to show a link.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ElicitationReply {
    Accepted,
    Declined,
    /// The client cannot show it after all.
    Unable,
    /// The client cannot show it, and no browser could be opened either.
    NotOpened(Problem),
    /// The sign-in has ended, successfully or not, or no request waits for it any more.
    Over,
}

impl ElicitationReply {
    /// Reads the result of an `elicitation/create`; an error has none.
    fn of(result: Option<&RawValue>) -> Self {
        #[derive(Deserialize)]
        struct Result {
            action: String,
        }
        let action = result.and_then(|raw| serde_json::from_str::<Result>(raw.get()).ok()).map(|result| result.action);
        match action.as_deref() {
            Some("accept") => Self::Accepted,
            Some("decline" | "cancel") => Self::Declined,
            _ => Self::Unable,
        }
    }
}

/// Publishes the reply to the current link to all calls that wait for it.
type SharedReply = Arc<watch::Sender<Option<ElicitationReply>>>;

/// Asks the client's user to sign in.
#[derive(Debug)]
pub struct Elicitation {
    session: Arc<Session>,
    wait: Arc<SignInWait>,
    /// Our requests that the client has not answered.
    pending: Mutex<HashMap<IdKey, oneshot::Sender<ElicitationReply>>>,
    /// The link that the client currently shows.
    current: Mutex<Option<SharedReply>>,
    /// The link that the user has agreed to open.
    accepted: Mutex<Option<String>>,
    declined_at: Mutex<Option<Instant>>,
    /// The link that a client of the stateless era was last asked to show.
    asked: Mutex<Option<Asked>>,
}

/// A link that a client was asked to show in the answer to a call.
#[derive(Debug)]
struct Asked {
    link: String,
    at: Instant,
}

impl Asked {
    /// Whether a call that wants this link now is one of those that came together.
    fn covers(&self, link: &str, now: Instant) -> bool {
        self.link == link && now.saturating_duration_since(self.at) < REOPENING_PAUSE
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Elicitation {
    /// Starts without a request.
    pub fn new(session: Arc<Session>, wait: Arc<SignInWait>) -> Self {
        Self {
            session,
            wait,
            pending: Mutex::default(),
            current: Mutex::default(),
            accepted: Mutex::default(),
            declined_at: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// Takes a response of the client; `false` when it does not answer a request of ours.
    pub fn take_response(&self, key: &IdKey, result: Option<&RawValue>) -> bool {
        match lock(&self.pending).remove(key) {
            Some(waiting) => {
                // The requesting task may have ended.
                let _ = waiting.send(ElicitationReply::of(result));
                true
            }
            None => false,
        }
    }

    /// Whether the client shows a link to its user on request.
    pub fn can_show_links(&self, request: &InFlight) -> bool {
        let handshake = &self.session.handshake;
        match &request.revision {
            Some(revision) => request.client_info.shows_links(revision),
            None => handshake.revision().is_some_and(|revision| handshake.client_info().shows_links(&revision)),
        }
    }

    /// Has the client show the link of a sign-in, and waits for the sign-in.
    pub async fn sign_in(self: &Arc<Self>, request: &InFlight, need: &SignInNeed) -> SignInOutcome {
        let user_asked = need.reason == SignInReason::UserAsked;
        if !user_asked && lock(&self.declined_at).is_some_and(|at| at.elapsed() < DECLINED_SIGN_IN_PAUSE) {
            return SignInOutcome::Problem(self.declined().await);
        }
        if let Err(problem) = self.session.auth.start_sign_in_by_link(need.reason).await {
            return SignInOutcome::Problem(problem);
        }
        // One deadline for everything: the client's own time-out keeps running while it shows the link.
        let deadline = Instant::now() + self.session.settings.limits.call_wait;
        let link = match self.wait.link(request, need).await {
            Ok(link) => link,
            Err(outcome) => return outcome,
        };
        // The user has already agreed to open this page.
        if !user_asked && lock(&self.accepted).as_deref() == Some(&link) {
            return self.wait.for_call(request, need).await;
        }
        if request.revision.is_some() {
            return self.ask_in_answer(request, need, &link).await;
        }
        let mut reply = self.show_link(&link, need.newer_than);
        let reply = async { reply.wait_for(Option::is_some).await.ok().and_then(|reply| reply.clone()) };
        let reply = self.wait.unless_closing(request, "Waiting for the user to open the sign-in page.", reply);
        match tokio::time::timeout_at(deadline, reply).await {
            Ok(Some(Some(ElicitationReply::Declined))) => SignInOutcome::Problem(self.declined().await),
            Ok(Some(Some(ElicitationReply::NotOpened(problem)))) => SignInOutcome::Problem(problem),
            Ok(Some(_)) => self.wait.at_most(request, need, deadline.saturating_duration_since(Instant::now())).await,
            // The request is withdrawn, but the link stays valid.
            Ok(None) | Err(_) => SignInOutcome::Problem(need.otherwise.clone().with("link", link)),
        }
    }

    /// Continues after the user's reply to a link, in the stateless era.
    pub async fn after_consent(&self, request: &InFlight, need: &SignInNeed, consent: LinkConsent) -> SignInOutcome {
        match consent {
            LinkConsent::Accepted => {
                let link = self.session.auth.sign_in_link().await;
                *lock(&self.accepted) = link;
                self.wait.for_call(request, need).await
            }
            LinkConsent::Declined => {
                *lock(&self.declined_at) = Some(Instant::now());
                SignInOutcome::Problem(self.declined().await)
            }
        }
    }

    async fn declined(&self) -> Problem {
        let problem = Problem::new(ProblemId::SignInDeclined).with("service", self.session.settings.service_name());
        match self.session.auth.sign_in_link().await {
            Some(link) => problem.with("link", link),
            None => problem,
        }
    }

    /// The text that the client shows with the link.
    fn invitation(&self) -> String {
        let name = self.session.settings.service_name();
        format!("Sign in to {name} in your browser. Your request then continues automatically.")
    }

    /// Asks the client to show the link, once for all waiting calls.
    fn show_link(self: &Arc<Self>, link: &str, newer_than: Option<u64>) -> watch::Receiver<Option<ElicitationReply>> {
        let mut current = lock(&self.current);
        if let Some(current) = &*current {
            return current.subscribe();
        }
        let (publish, reply) = watch::channel(None);
        let publish = Arc::new(publish);
        *current = Some(Arc::clone(&publish));
        tasks::spawn(Arc::clone(self).follow_link(publish, link.to_owned(), newer_than));
        reply
    }

    async fn follow_link(self: Arc<Self>, publish: SharedReply, link: String, newer_than: Option<u64>) {
        let client = &self.session.client;
        // The client opens a tab, so it counts as one.
        let admission = match self.session.auth.admit_tab(&link).await {
            Ok(admission) => admission,
            Err(problem) => {
                *lock(&self.current) = None;
                publish.send_replace(Some(ElicitationReply::NotOpened(problem)));
                return;
            }
        };
        let id = client.own_ids.next();
        let elicitation_id = format!("{}-sign-in", id.as_str());
        let (waiting, answer) = oneshot::channel();
        lock(&self.pending).insert(id.key(), waiting);
        let params =
            json!({ "mode": "url", "elicitationId": elicitation_id, "url": link, "message": self.invitation() });
        client.output.push(Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{params}}}"#
        )));
        // The sign-in has its own deadline, which comes first.
        let ended = self.session.auth.wait_newer(newer_than, 2 * self.session.settings.limits.sign_in);
        tokio::pin!(ended);
        let mut was_signed_in = None;
        let mut reply = tokio::select! {
            biased;
            reply = answer => reply.unwrap_or(ElicitationReply::Unable),
            end = &mut ended => {
                was_signed_in = Some(end.is_ok());
                ElicitationReply::Over
            }
            // No call waits for it any more.
            () = publish.closed() => ElicitationReply::Over,
            () = client.closing() => ElicitationReply::Over,
        };
        match reply {
            ElicitationReply::Accepted => *lock(&self.accepted) = Some(link),
            ElicitationReply::Declined => *lock(&self.declined_at) = Some(Instant::now()),
            // Here rather than in the waiting calls: one page serves all of them.
            ElicitationReply::Unable => {
                if let Err(problem) = self.session.auth.open_link(&link, admission).await {
                    reply = ElicitationReply::NotOpened(problem);
                }
            }
            ElicitationReply::NotOpened(_) | ElicitationReply::Over => {}
        }
        let is_unanswered = lock(&self.pending).remove(&id.key()).is_some();
        *lock(&self.current) = None;
        let may_sign_in = matches!(reply, ElicitationReply::Accepted | ElicitationReply::Unable);
        publish.send_replace(Some(reply));
        if may_sign_in {
            was_signed_in = Some(ended.await.is_ok());
        }
        if was_signed_in == Some(true) {
            let params = json!({ "elicitationId": elicitation_id });
            client.output.push(Bytes::from(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{params}}}"#
            )));
        }
        if is_unanswered {
            client.cancel(&id.to_raw(), "The link is no longer needed.");
        }
    }

    /// Has the client show the link, in the stateless era: once for the calls that come together, which then wait for the
    /// sign-in. The client opens a tab, so it counts as one.
    async fn ask_in_answer(&self, request: &InFlight, need: &SignInNeed, link: &str) -> SignInOutcome {
        let now = Instant::now();
        let is_first = {
            let mut asked = lock(&self.asked);
            let is_first = !asked.as_ref().is_some_and(|asked| asked.covers(link, now));
            if is_first {
                *asked = Some(Asked { link: link.to_owned(), at: now });
            }
            is_first
        };
        if !is_first {
            return self.wait.for_call(request, need).await;
        }
        match self.session.auth.admit_tab(link).await {
            Ok(_) => SignInOutcome::Result(self.input_required(request, link)),
            Err(problem) => {
                *lock(&self.asked) = None;
                SignInOutcome::Problem(problem)
            }
        }
    }

    /// The answer, in the stateless era, to a call that needs a sign-in. It carries the server's own state, if the call
    /// is in the middle of another such exchange; the client returns it with the call.
    fn input_required(&self, request: &InFlight, link: &str) -> Value {
        let body = std::str::from_utf8(&request.body).unwrap_or_default();
        let params = Members::of(body).and_then(|members| Members::of(members.get("params")?));
        let mut kept = Members::default();
        for name in ["requestState", "inputResponses"] {
            if let Some(value) = params.as_ref().and_then(|params| params.get(name)) {
                kept.set(name, value);
            }
        }
        let ask = json!({ "mode": "url", "url": link, "message": self.invitation() });
        json!({
            "resultType": "input_required",
            "inputRequests": { SIGN_IN_TOOL: { "method": "elicitation/create", "params": ask } },
            "requestState": format!("{REQUEST_STATE_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(kept.to_json())),
        })
    }
}

/// A call that is repeated after our `input_required`: the call without the members of that exchange, and the user's
/// reply. `None` for any other message.
pub fn resumed_call(body: &Bytes, params: &Params<'_>) -> Option<(Bytes, Option<LinkConsent>)> {
    let state = params.request_state()?;
    let kept = BASE64_URL_SAFE_NO_PAD.decode(state.strip_prefix(REQUEST_STATE_PREFIX)?).ok()?;
    let kept = String::from_utf8(kept).ok()?;
    let kept = Members::of(&kept)?;
    let consent = params.input_responses.and_then(|raw| {
        let responses = Members::of(raw.get())?;
        match ElicitationReply::of(Some(serde_json::from_str(responses.get(SIGN_IN_TOOL)?).ok()?)) {
            ElicitationReply::Accepted => Some(LinkConsent::Accepted),
            ElicitationReply::Declined => Some(LinkConsent::Declined),
            ElicitationReply::Unable | ElicitationReply::NotOpened(_) | ElicitationReply::Over => None,
        }
    });
    let mut message = Members::of(std::str::from_utf8(body).ok()?)?;
    let mut params = Members::of(message.get("params")?)?;
    for name in ["requestState", "inputResponses"] {
        params.remove(name);
        if let Some(value) = kept.get(name) {
            params.set(name, value);
        }
    }
    let params = params.to_json();
    message.set("params", &params);
    Some((Bytes::from(message.to_json()), consent))
}

#[cfg(test)]
mod tests {
    use crate::message::{Kind, Peek, peek};

    use super::*;

    fn resumed(text: &'static str) -> Option<(String, Option<LinkConsent>)> {
        let body = Bytes::from_static(text.as_bytes());
        let Ok(Peek::One(Kind::Request { params, .. })) = peek(&body) else { panic!("{text}") };
        let (body, consent) = resumed_call(&body, &Params::of(params).expect("unambiguous"))?;
        Some((String::from_utf8(body.to_vec()).expect("UTF-8"), consent))
    }

    #[test]
    fn a_call_that_comes_again_reaches_the_server_without_a_trace_of_the_question() {
        // `{}` and `{"requestState":"theirs","inputResponses":{"q":1.0}}`.
        let text = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":{"n":1.50},"requestState":"planhat-mcp/sign-in/e30","inputResponses":{"planhat_sign_in":{"action":"accept"}}}}"#;
        let plain = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":{"n":1.50}}}"#;
        assert_eq!(resumed(text), Some((plain.to_owned(), Some(LinkConsent::Accepted))));
        let text = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","requestState":"planhat-mcp/sign-in/eyJyZXF1ZXN0U3RhdGUiOiJ0aGVpcnMiLCJpbnB1dFJlc3BvbnNlcyI6eyJxIjoxLjB9fQ","inputResponses":{"planhat_sign_in":{"action":"decline"}}}}"#;
        let theirs = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","requestState":"theirs","inputResponses":{"q":1.0}}}"#;
        assert_eq!(resumed(text), Some((theirs.to_owned(), Some(LinkConsent::Declined))));
    }

    #[test]
    fn a_state_of_the_server_is_left_alone() {
        for state in [r#""opaque-1""#, r#""planhat-mcp/sign-in/%""#, r#""planhat-mcp/sign-in/W10""#, "1", "null"] {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"requestState":{state}}}}}"#);
            assert_eq!(resumed(text.leak()), None, "{state}");
        }
    }

    #[test]
    fn an_answer_without_a_choice_means_that_the_link_cannot_be_shown() {
        let reply = |text| ElicitationReply::of(serde_json::from_str(text).ok());
        assert_eq!(reply(r#"{"action":"accept"}"#), ElicitationReply::Accepted);
        assert_eq!(reply(r#"{"action":"cancel"}"#), ElicitationReply::Declined);
        for text in ["{}", r#"{"action":"perhaps"}"#, "1"] {
            assert_eq!(reply(text), ElicitationReply::Unable);
        }
        assert_eq!(ElicitationReply::of(None), ElicitationReply::Unable);
    }

    #[test]
    fn calls_that_want_a_link_together_show_it_once() {
        let asked = Asked { link: "https://a.example".into(), at: Instant::now() };
        let moment = std::time::Duration::from_millis(1);
        assert!(asked.covers("https://a.example", asked.at + REOPENING_PAUSE - moment));
        assert!(!asked.covers("https://a.example", asked.at + REOPENING_PAUSE));
        assert!(!asked.covers("https://b.example", asked.at));
    }
}

//! Signing in within the conversation: the client shows the link to its user (URL-mode elicitation), where it said that it
//! can. The bridge then opens no browser itself.
//!
//! In the handshake era the client is asked by a request of ours, one for all calls that wait. In the stateless era a call
//! is answered with what it still needs (`input_required`), and comes again; nothing is remembered between the two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::time::{Duration, Instant};

use crate::auth::SignInReason;
use crate::message::peek::Params;
use crate::message::{IdKey, Members};
use crate::problem::{Problem, ProblemId};

use crate::bridge::Bridge;
use crate::bridge::client::responder::InFlight;
use crate::bridge::sign_in::policy::{SIGN_IN_TOOL, SignInOutcome};

/// What a `requestState` of ours begins with; what the client had of the server's follows.
const STATE: &str = "planhat-mcp/sign-in/";
/// How long calls ask for no sign-in by themselves after the user has declined one.
const PAUSE: Duration = Duration::from_secs(120);

/// What became of a link that a client of the stateless era was asked to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkConsent {
    /// The user is on the way to the page.
    Accepted,
    /// The user does not want to.
    Declined,
}

/// What became of a link that the client was asked to show.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ElicitationReply {
    Accepted,
    Declined,
    /// The client cannot show it after all.
    Unable,
    /// Nor could a browser be opened.
    Nowhere(Problem),
    /// The sign-in has ended, well or not, or is of no interest any more.
    Over,
}

/// What is being asked of the client's user.
#[derive(Debug, Default)]
pub struct Elicitation {
    asked: Mutex<HashMap<IdKey, oneshot::Sender<ElicitationReply>>>,
    /// The link that is being shown, for all calls that wait for it.
    shown: Mutex<Option<Arc<watch::Sender<Option<ElicitationReply>>>>>,
    /// The link that the user has agreed to open.
    accepted: Mutex<Option<String>>,
    declined: Mutex<Option<Instant>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Elicitation {
    /// Takes an answer of the client, if it answers a question of ours.
    pub fn answered(&self, key: &IdKey, result: Option<&RawValue>) -> bool {
        match lock(&self.asked).remove(key) {
            Some(waiting) => {
                // Who asked may have gone.
                let _ = waiting.send(ElicitationReply::of(result));
                true
            }
            None => false,
        }
    }

    fn was_declined(&self) -> bool {
        lock(&self.declined).is_some_and(|at| at.elapsed() < PAUSE)
    }

    fn note_declined(&self) {
        *lock(&self.declined) = Some(Instant::now());
    }

    /// Whether the user is on the way to this page already.
    fn was_accepted(&self, link: &str) -> bool {
        lock(&self.accepted).as_deref() == Some(link)
    }
}

impl Bridge {
    /// Whether the client shows a link to its user on request.
    pub(crate) fn shows_links(&self, request: &InFlight) -> bool {
        match &request.revision {
            Some(revision) => request.caller.shows_links(revision),
            None => self.connection.told_or_asked().is_some_and(|told| self.connection.caller().shows_links(&told)),
        }
    }

    /// Has the client show the link of a sign-in, and waits for that.
    pub(crate) async fn sign_in_by_link(
        self: &Arc<Self>,
        request: &InFlight,
        reason: SignInReason,
        than: Option<u64>,
        needed: &Problem,
    ) -> SignInOutcome {
        if reason != SignInReason::UserAsked && self.conversation.was_declined() {
            return SignInOutcome::Problem(self.declined());
        }
        if let Err(problem) = self.auth.start_sign_in_by_link(reason) {
            return SignInOutcome::Problem(problem);
        }
        // For all of it: the client's own time-out runs on while it shows its question.
        let until = Instant::now() + self.settings.limits.call_wait;
        let link = match self.link(request, than, needed).await {
            Ok(link) => link,
            Err(meanwhile) => return meanwhile,
        };
        if reason != SignInReason::UserAsked && self.conversation.was_accepted(&link) {
            return self.wait_for_sign_in(request, than, needed).await;
        }
        if request.revision.is_some() {
            return SignInOutcome::Result(self.input_required(request, &link));
        }
        let mut outcome = self.show_link(&link, than);
        let said = async { outcome.wait_for(Option::is_some).await.ok().and_then(|said| said.clone()) };
        let said = self.while_waiting(request, "Waiting for the user to open the sign-in page.", said);
        match tokio::time::timeout_at(until, said).await {
            Ok(Some(Some(ElicitationReply::Declined))) => SignInOutcome::Problem(self.declined()),
            Ok(Some(Some(ElicitationReply::Nowhere(problem)))) => SignInOutcome::Problem(problem),
            Ok(Some(_)) => {
                self.wait_at_most(request, than, needed, until.saturating_duration_since(Instant::now())).await
            }
            // The question is taken back, the link is not.
            Ok(None) | Err(_) => SignInOutcome::Problem(needed.clone().with("link", link)),
        }
    }

    /// What the user has said to the link that a client of the stateless era was asked to show.
    pub(crate) async fn go_on_after(
        self: &Arc<Self>,
        request: &InFlight,
        shown: LinkConsent,
        than: Option<u64>,
        needed: &Problem,
    ) -> SignInOutcome {
        match shown {
            LinkConsent::Accepted => {
                *lock(&self.conversation.accepted) = self.auth.sign_in_link();
                self.wait_for_sign_in(request, than, needed).await
            }
            LinkConsent::Declined => {
                self.conversation.note_declined();
                SignInOutcome::Problem(self.declined())
            }
        }
    }

    fn declined(&self) -> Problem {
        let problem = Problem::new(ProblemId::SignInDeclined).with("service", self.settings.service_name());
        match self.auth.sign_in_link() {
            Some(link) => problem.with("link", link),
            None => problem,
        }
    }

    /// What the client's user is asked.
    fn invitation(&self) -> String {
        let name = self.settings.service_name();
        format!("Sign in to {name} in your browser. The call goes on by itself once you have.")
    }

    /// Asks the client to show the link; once, however many calls wait for it.
    fn show_link(self: &Arc<Self>, link: &str, than: Option<u64>) -> watch::Receiver<Option<ElicitationReply>> {
        let mut shown = lock(&self.conversation.shown);
        if let Some(shown) = &*shown {
            return shown.subscribe();
        }
        let (publish, outcome) = watch::channel(None);
        let publish = Arc::new(publish);
        *shown = Some(Arc::clone(&publish));
        tokio::spawn(Arc::clone(self).follow_link(publish, link.to_owned(), than));
        outcome
    }

    async fn follow_link(
        self: Arc<Self>,
        publish: Arc<watch::Sender<Option<ElicitationReply>>>,
        link: String,
        than: Option<u64>,
    ) {
        let id = self.own_ids.next();
        let key = IdKey::Text(id.trim_matches('"').to_owned());
        let elicitation = format!("{}-sign-in", id.trim_matches('"'));
        let (waiting, answer) = oneshot::channel();
        lock(&self.conversation.asked).insert(key.clone(), waiting);
        let params = json!({ "mode": "url", "elicitationId": elicitation, "url": link, "message": self.invitation() });
        self.output.push(Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"elicitation/create","params":{params}}}"#
        )));
        let mut closing = self.closing.subscribe();
        // The sign-in has an end of its own, which comes first.
        let ended = self.auth.wait_newer(than, 2 * self.settings.limits.sign_in);
        tokio::pin!(ended);
        let mut has_ended = None;
        let mut said = tokio::select! {
            biased;
            said = answer => said.unwrap_or(ElicitationReply::Unable),
            end = &mut ended => {
                has_ended = Some(end.is_ok());
                ElicitationReply::Over
            }
            // Nobody waits for it any more.
            () = publish.closed() => ElicitationReply::Over,
            _ = closing.wait_for(|closing| *closing) => ElicitationReply::Over,
        };
        match said {
            ElicitationReply::Accepted => *lock(&self.conversation.accepted) = Some(link),
            ElicitationReply::Declined => self.conversation.note_declined(),
            // Here and not by those who wait: it is one page for all of them.
            ElicitationReply::Unable => {
                if let Err(problem) = self.auth.open_link(&link).await {
                    said = ElicitationReply::Nowhere(problem);
                }
            }
            ElicitationReply::Nowhere(_) | ElicitationReply::Over => {}
        }
        let unanswered = lock(&self.conversation.asked).remove(&key).is_some();
        *lock(&self.conversation.shown) = None;
        let goes_on = matches!(said, ElicitationReply::Accepted | ElicitationReply::Unable);
        publish.send_replace(Some(said));
        if goes_on {
            has_ended = Some(ended.await.is_ok());
        }
        if has_ended == Some(true) {
            let params = json!({ "elicitationId": elicitation });
            self.output.push(Bytes::from(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{params}}}"#
            )));
        }
        if unanswered {
            self.output.push(Bytes::from(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"The link is not needed any more."}}}}"#
            )));
        }
    }

    /// The answer of the stateless era to a call that needs a sign-in. What the client had of the server's (it may be in the
    /// middle of another such exchange) goes along, and comes back with the call.
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
            "requestState": format!("{STATE}{}", BASE64_URL_SAFE_NO_PAD.encode(kept.to_json())),
        })
    }
}

/// A call that comes again after `input_required` of ours: as it would be without that, and what the user has said. `None`
/// for any other message.
pub fn taken_up(body: &Bytes, params: &Params<'_>) -> Option<(Bytes, Option<LinkConsent>)> {
    let state = params.request_state()?;
    let kept = BASE64_URL_SAFE_NO_PAD.decode(state.strip_prefix(STATE)?).ok()?;
    let kept = String::from_utf8(kept).ok()?;
    let kept = Members::of(&kept)?;
    let shown = params.input_responses.and_then(|raw| {
        let responses = Members::of(raw.get())?;
        match ElicitationReply::of(Some(serde_json::from_str(responses.get(SIGN_IN_TOOL)?).ok()?)) {
            ElicitationReply::Accepted => Some(LinkConsent::Accepted),
            ElicitationReply::Declined => Some(LinkConsent::Declined),
            ElicitationReply::Unable | ElicitationReply::Nowhere(_) | ElicitationReply::Over => None,
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
    Some((Bytes::from(message.to_json()), shown))
}

#[cfg(test)]
mod tests {
    use crate::bridge::sign_in::elicitation::*;
    use crate::message::{Kind, Peek, peek};

    fn take_up(text: &'static str) -> Option<(String, Option<LinkConsent>)> {
        let body = Bytes::from_static(text.as_bytes());
        let Ok(Peek::One(Kind::Request { params, .. })) = peek(&body) else { panic!("{text}") };
        let (body, shown) = taken_up(&body, &Params::of(params).expect("unambiguous"))?;
        Some((String::from_utf8(body.to_vec()).expect("UTF-8"), shown))
    }

    #[test]
    fn a_call_that_comes_again_reaches_the_server_as_if_it_had_not_been_asked_anything() {
        // `{}` and `{"requestState":"theirs","inputResponses":{"q":1.0}}`.
        let text = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":{"n":1.50},"requestState":"planhat-mcp/sign-in/e30","inputResponses":{"planhat_sign_in":{"action":"accept"}}}}"#;
        let plain = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","arguments":{"n":1.50}}}"#;
        assert_eq!(take_up(text), Some((plain.to_owned(), Some(LinkConsent::Accepted))));
        let text = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","requestState":"planhat-mcp/sign-in/eyJyZXF1ZXN0U3RhdGUiOiJ0aGVpcnMiLCJpbnB1dFJlc3BvbnNlcyI6eyJxIjoxLjB9fQ","inputResponses":{"planhat_sign_in":{"action":"decline"}}}}"#;
        let theirs = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"t","requestState":"theirs","inputResponses":{"q":1.0}}}"#;
        assert_eq!(take_up(text), Some((theirs.to_owned(), Some(LinkConsent::Declined))));
    }

    #[test]
    fn what_belongs_to_the_server_is_left_alone() {
        for state in [r#""opaque-1""#, r#""planhat-mcp/sign-in/%""#, r#""planhat-mcp/sign-in/W10""#, "1", "null"] {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"requestState":{state}}}}}"#);
            assert_eq!(take_up(text.leak()), None, "{state}");
        }
    }

    #[test]
    fn an_answer_that_is_no_choice_means_that_the_link_cannot_be_shown() {
        let said = |text| ElicitationReply::of(serde_json::from_str(text).ok());
        assert_eq!(said(r#"{"action":"accept"}"#), ElicitationReply::Accepted);
        assert_eq!(said(r#"{"action":"cancel"}"#), ElicitationReply::Declined);
        for text in ["{}", r#"{"action":"perhaps"}"#, "1"] {
            assert_eq!(said(text), ElicitationReply::Unable);
        }
        assert_eq!(ElicitationReply::of(None), ElicitationReply::Unable);
    }
}

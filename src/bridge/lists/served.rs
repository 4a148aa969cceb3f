//! The lists that the client got without the server, from memory or from the bridge itself, and the `list_changed` if
//! the server's list turns out to be different.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bridge::client::flag::Flag;
use crate::bridge::client::list_methods::{empty_list, list_member};
use crate::bridge::client::request::InFlight;
use crate::bridge::client::session_stage::SessionStage;
use crate::bridge::lists::retry_safety::RetrySafety;
use crate::bridge::session::live::Session;
use crate::limits::LIST_BYTES;
use crate::message::{Kind, Members, Peek, Revision, aside, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::Outgoing;
use crate::tasks;

use super::pages::{Pages, is_same_list};
use super::{check_tool, own_tool};

/// What the client has in place of one of the server's lists.
#[derive(Debug, Clone)]
enum ServedList {
    /// Something that no server has, such as the sign-in tool, or the reason why there is no list.
    OwnTool,
    /// The server's earlier answer, or an empty list.
    List(Box<RawValue>),
}

/// The lists that the client has, as far as the bridge needs to know them.
#[derive(Debug)]
pub struct Lists {
    session: Arc<Session>,
    retry_safety: Arc<RetrySafety>,
    /// By method.
    served: Mutex<HashMap<String, ServedList>>,
    /// Lists of which the client has read some pages, by method.
    pages: Mutex<HashMap<String, Pages>>,
    /// Raised once the client has listed the tools while nobody was signed in.
    pub listed_signed_out: Flag,
}

impl Lists {
    /// Starts with no list.
    pub fn new(session: Arc<Session>, retry_safety: Arc<RetrySafety>) -> Self {
        let (served, pages, listed_signed_out) = (Mutex::default(), Mutex::default(), Flag::default());
        Self { session, retry_safety, served, pages, listed_signed_out }
    }

    /// Records that the client gets a list with the bridge's own tool, or a reason in its place; returns whether it did not have one before.
    pub fn serve_own_tool(&self, method: &str) -> bool {
        !matches!(self.served().insert(method.to_owned(), ServedList::OwnTool), Some(ServedList::OwnTool))
    }

    /// Records that the client gets this list.
    pub fn serve(&self, method: &str, result: &RawValue) {
        self.served().insert(method.to_owned(), ServedList::List(result.to_owned()));
    }

    /// Records that the client gets this empty list.
    pub fn serve_empty(&self, method: &str, result: &Value) {
        if let Ok(result) = RawValue::from_string(result.to_string()) {
            self.serve(method, &result);
        }
    }

    /// The revision that the request is written in.
    fn revision(&self, request: &InFlight) -> Option<Revision> {
        request.revision.clone().or_else(|| self.session.handshake.revision())
    }

    /// What the server answered to this list before, to this user: in the revision of the client, else in one of its era.
    pub async fn remembered(&self, request: &InFlight) -> Option<Box<RawValue>> {
        if !request.is_for_whole_list() {
            return None;
        }
        let revision = self.revision(request)?;
        let auth = &self.session.auth;
        let list = match auth.tokens().remembered(&revision, &request.method).await {
            Some(list) => list,
            None => {
                let is_stateless = revision.is_stateless();
                let is_of_same_era = move |other: &Revision| other.is_stateless() == is_stateless;
                auth.tokens().remembered_in(&request.method, is_of_same_era).await?
            }
        };
        // A record of an earlier version may hold it.
        let list = if request.method == "tools/list" { own_tool::list_without_own_tool(list) } else { list };
        if request.revision.is_none() {
            return Some(list);
        }
        // It is old; its time to live has run since it was new.
        let mut members = Members::of(list.get())?;
        members.set("ttlMs", "0");
        RawValue::from_string(members.to_json()).ok()
    }

    /// The answer, from memory, to a list that the server cannot give now.
    pub async fn answer_from_memory(&self, request: &InFlight) -> Option<Bytes> {
        let list = self.remembered(request).await?;
        tracing::info!(method = request.method, "answered from memory");
        self.serve(&request.method, &list);
        let answer = write::raw_result(&request.id, &list);
        Some(if request.method == "tools/list" { check_tool::added_to(answer) } else { answer })
    }

    /// Remembers the server's answer to a list, once it is whole.
    pub fn remember(&self, request: &InFlight, answer: &Bytes, grant: Option<u64>) {
        if list_member(&request.method).is_none() {
            return;
        }
        if answer.len() > LIST_BYTES {
            return self.forget_pages(request);
        }
        let Ok(Peek::One(Kind::Response { result: Some(result), .. })) = peek(answer) else { return };
        let whole = self.add_page(request, result);
        if let (Some(whole), Some(revision)) = (whole, self.revision(request)) {
            self.session.auth.tokens().remember(grant, &revision, &request.method, &whole);
        }
    }

    /// The client has a page that is too long to be kept.
    fn forget_pages(&self, request: &InFlight) {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).remove(&request.method);
        if request.cursor.is_none() {
            self.served().remove(&request.method);
        }
    }

    /// Adds the page in `result` to those that the client has read; returns the list once it is whole.
    fn add_page(&self, request: &InFlight, result: &RawValue) -> Option<Box<RawValue>> {
        let method = request.method.as_str();
        let mut all = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.remove(method);
        let pages = match &request.cursor {
            None => {
                // The client has the server's own list now.
                self.served().remove(method);
                Pages::begin(method, result)
            }
            Some(cursor) => before
                .filter(|pages| pages.next.as_ref().is_some_and(|next| next.get() == cursor.get()))
                .and_then(|mut pages| pages.add(method, result).map(|()| pages)),
        }?;
        if pages.next.is_none() {
            return pages.whole(method);
        }
        if pages.size() <= LIST_BYTES {
            all.insert(method.to_owned(), pages);
        }
        None
    }

    /// Tells the client which lists have changed, now that the server can be asked.
    pub fn compare_served(self: &Arc<Self>) {
        let served: Vec<_> = self.served().drain().collect();
        for (method, served) in served {
            tasks::spawn(Arc::clone(self).compare(method, served));
        }
    }

    async fn compare(self: Arc<Self>, method: String, served: ServedList) {
        let has_changed = match served {
            ServedList::OwnTool => true,
            ServedList::List(served) => match self.whole_list(&method).await {
                Some(real) => {
                    let method = method.clone();
                    aside(served.get().len().max(real.get().len()), move || !is_same_list(&method, &served, &real))
                        .await
                }
                // The client may succeed where the bridge did not.
                None => true,
            },
        };
        if let Some((family, _)) = method.split_once('/').filter(|_| has_changed) {
            let notification = write::notification(&format!("notifications/{family}/list_changed"));
            self.session.client.output.send(notification).await;
        }
    }

    /// The server's list, requested by the bridge itself, within the limits for the client's requests.
    async fn whole_list(&self, method: &str) -> Option<Box<RawValue>> {
        if let Some(empty) = self.list_not_offered(method) {
            return RawValue::from_string(empty.to_string()).ok();
        }
        let session = &self.session;
        let _slot = session.request_slot().await;
        let mut pages: Option<Pages> = None;
        let grant = loop {
            let id = session.client.own_ids.next();
            let cursor = pages.as_ref().and_then(|pages| pages.next.as_ref());
            let params = cursor.map_or_else(String::new, |cursor| format!(r#","params":{{"cursor":{cursor}}}"#));
            let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"{params}}}"#));
            session.remote.own_requests().turn().await;
            session.ready(SessionStage::Open).await.ok()?;
            let epoch = session.epoch_for(SessionStage::Open);
            let out = Outgoing { expects: Some(id.key()), epoch, ..Outgoing::unanswered(body) };
            let answer = session.ask(&out, None).await.ok()?;
            let result = answer.result()?;
            match &mut pages {
                None => pages = Pages::begin(method, result),
                Some(pages) => pages.add(method, result)?,
            }
            if method == "tools/list" {
                self.retry_safety.learn(result);
            }
            if !pages.as_ref().is_some_and(Pages::goes_on) {
                break answer.incoming.exchange.grant;
            }
        };
        let whole = pages.filter(|pages| pages.next.is_none())?.whole(method)?;
        let whole = if method == "tools/list" { own_tool::list_without_own_tool(whole) } else { whole };
        if let Some(revision) = session.handshake.revision() {
            session.auth.tokens().remember(grant, &revision, method, &whole);
        }
        Some(whole)
    }

    /// The answer to a request of a family that the server does not offer. The bridge, answering `initialize` in its
    /// place, had offered all families; now the lists are empty and other methods do not exist.
    pub fn answer_not_offered(&self, request: &InFlight) -> Option<Bytes> {
        Some(match self.list_not_offered(&request.method)? {
            Value::Null => {
                let problem = Problem::new(ProblemId::MethodNotFound).with("method", &request.method);
                write::error(Some(&request.id), &problem.to_json_rpc_error())
            }
            list => write::result(&request.id, &list),
        })
    }

    /// The empty list for a method whose family the server does not offer after all; `null` for its other methods.
    fn list_not_offered(&self, method: &str) -> Option<Value> {
        let offers = self.session.handshake.real_offers()?;
        let (family, _) = method.split_once('/')?;
        let is_offered = match family {
            "tools" => offers.tools,
            "prompts" => offers.prompts,
            "resources" => offers.resources,
            _ => true,
        };
        (!is_offered).then(|| empty_list(method).unwrap_or_default())
    }

    fn served(&self) -> MutexGuard<'_, HashMap<String, ServedList>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Learns from the server's answers as they pass through: which tools may be called twice, which arguments are repeated
//! in headers, which subscriptions were granted.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use crate::bridge::client::request::InFlight;
use crate::bridge::lists::retry_safety::RetrySafety;
use crate::bridge::session::live::Session;
use crate::bridge::session::subscriptions::Subscriptions;
use crate::limits::MAX_SEARCHED_PAGES;
use crate::message::peek::Params;
use crate::message::{Kind, Peek, Revision, aside, peek};
use crate::remote::mcp_headers::McpHeaders;
use crate::remote::{Outgoing, mcp_headers};

/// Learns from answers.
#[derive(Debug)]
pub struct Learned {
    session: Arc<Session>,
    subscriptions: Arc<Subscriptions>,
    retry_safety: Arc<RetrySafety>,
    header_marks: Arc<McpHeaders>,
}

impl Learned {
    /// Passes what it learns to the parts that act on it.
    pub fn new(
        session: Arc<Session>,
        subscriptions: Arc<Subscriptions>,
        retry_safety: Arc<RetrySafety>,
        header_marks: Arc<McpHeaders>,
    ) -> Self {
        Self { session, subscriptions, retry_safety, header_marks }
    }

    /// Learns what later requests and sessions need, from a long answer on another thread, and removes from `tools/list` what must not be used.
    pub async fn learn(&self, request: &InFlight, answer: Bytes) -> Bytes {
        if !matches!(
            &*request.method,
            "tools/list" | "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel"
        ) {
            return answer;
        }
        let has_session = request.mcp_headers.is_none();
        let is_list = request.method == "tools/list";
        let (retry_safety, header_marks) = (Arc::clone(&self.retry_safety), Arc::clone(&self.header_marks));
        let read = answer.clone();
        let learning = move || {
            let Ok(Peek::One(Kind::Response { result: Some(result), .. })) = peek(&read) else { return (false, None) };
            if !is_list {
                return (true, None);
            }
            retry_safety.learn(result);
            (true, if has_session { None } else { header_marks.learn(&read) })
        };
        let (is_granted, without_invalid) = aside(answer.len(), learning).await;
        if is_granted && !is_list && has_session {
            self.subscriptions.granted(&request.method, &request.body);
        }
        without_invalid.unwrap_or(answer)
    }

    /// After a `HeaderMismatch`: lists the tools again, and returns the resulting headers if they differ from those
    /// that were sent.
    pub async fn fresh_headers(
        &self,
        request: &InFlight,
        sent: Option<&HeaderMap>,
        answer: &[u8],
    ) -> Option<HeaderMap> {
        let sent = sent?;
        let revision = request.revision.as_ref()?;
        if request.method != "tools/call" || !mcp_headers::is_mismatch(answer) {
            return None;
        }
        self.list_tools(request, revision).await?;
        let Ok(Peek::One(Kind::Request { params, .. })) = peek(&request.body) else { return None };
        let fresh = self.header_marks.headers(&request.method, &Params::of(params).ok()?, revision);
        (&fresh != sent).then_some(fresh)
    }

    /// Lists the tools as the client would, and learns their marks, up to the page with the called tool.
    async fn list_tools(&self, request: &InFlight, revision: &Revision) -> Option<()> {
        let mut cursor = None;
        for _ in 0..MAX_SEARCHED_PAGES {
            // The call waits for this; without it, the client gets the server's own refusal.
            if !self.session.remote.own_requests().may_go() {
                return None;
            }
            let page = self.list_page(request, revision, cursor.as_deref()).await?;
            let _ = self.header_marks.learn(&page);
            if request.tool.as_ref().is_some_and(|tool| mcp_headers::lists(&page, tool)) {
                break;
            }
            cursor = Some(mcp_headers::next_cursor(&page)?);
        }
        Some(())
    }

    async fn list_page(&self, request: &InFlight, revision: &Revision, cursor: Option<&RawValue>) -> Option<Bytes> {
        let id = self.session.client.own_ids.next();
        let list = mcp_headers::list_request(&request.body, &id.to_string(), cursor)?;
        let headers = {
            let Ok(Peek::One(Kind::Request { params, .. })) = peek(&list) else { return None };
            self.header_marks.headers("tools/list", &Params::of(params).ok()?, revision)
        };
        let out = Outgoing { expects: Some(id.key()), mcp_headers: Some(headers), ..Outgoing::unanswered(list) };
        Some(self.session.ask(&out, None).await.ok()?.line)
    }
}

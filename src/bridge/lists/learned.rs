//! What is learned from the server's tools as their list passes by.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use crate::message::peek::Params;
use crate::message::{Kind, Peek, peek};
use crate::remote::{Outgoing, mcp_headers};

use crate::bridge::Bridge;
use crate::bridge::client::responder::InFlight;

/// How many pages of a list are looked through for one tool.
const MOST_PAGES: usize = 20;

impl Bridge {
    /// Learns from an answer what later requests and sessions need, and takes out of `tools/list` what must not be used.
    pub(crate) fn learn(&self, request: &InFlight, answer: Bytes) -> Bytes {
        if !matches!(
            &*request.method,
            "tools/list" | "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel"
        ) {
            return answer;
        }
        let Ok(Peek::One(Kind::Response { result: Some(result), .. })) = peek(&answer) else { return answer };
        if request.method != "tools/list" {
            if request.mirrored.is_none() {
                self.subscriptions.granted(&request.method, &request.body);
            }
            return answer;
        }
        self.safety.learn(result);
        if request.mirrored.is_none() {
            return answer;
        }
        self.mirrors.learn(&answer).unwrap_or(answer)
    }

    /// After a `HeaderMismatch`: asks for the tools again, and gives the headers that follow from them, when they are
    /// others than those that were sent.
    pub(crate) async fn fresh_headers(
        self: &Arc<Self>,
        request: &InFlight,
        sent: Option<&HeaderMap>,
        answer: &[u8],
    ) -> Option<HeaderMap> {
        let sent = sent?;
        if request.method != "tools/call" || !mcp_headers::is_mismatch(answer) {
            return None;
        }
        let revision = {
            let Ok(Peek::One(Kind::Request { params, .. })) = peek(&request.body) else { return None };
            Params::of(params).ok()?.revision()?
        };
        self.list_tools_privately(request, revision.as_str()).await?;
        let Ok(Peek::One(Kind::Request { params, .. })) = peek(&request.body) else { return None };
        let fresh = self.mirrors.headers(&request.method, &Params::of(params).ok()?, revision.as_str());
        (&fresh != sent).then_some(fresh)
    }

    /// Asks for the tools on the bridge's own behalf, as the client would, and learns their marks, up to the page that
    /// has the one that is called.
    async fn list_tools_privately(&self, request: &InFlight, revision: &str) -> Option<()> {
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let page = self.list_page_privately(request, revision, cursor.as_deref()).await?;
            let _ = self.mirrors.learn(&page);
            if request.tool.as_ref().is_some_and(|tool| mcp_headers::lists(&page, tool)) {
                break;
            }
            cursor = Some(mcp_headers::next_cursor(&page)?);
        }
        Some(())
    }

    async fn list_page_privately(
        &self,
        request: &InFlight,
        revision: &str,
        cursor: Option<&RawValue>,
    ) -> Option<Bytes> {
        let list = mcp_headers::list_request(&request.body, &self.own_ids.next(), cursor)?;
        let (key, mirrored) = {
            let Ok(Peek::One(Kind::Request { key, params, .. })) = peek(&list) else { return None };
            (key, self.mirrors.headers("tools/list", &Params::of(params).ok()?, revision))
        };
        let out = Outgoing { expects: Some(key.clone()), mcp_headers: Some(mirrored), ..Outgoing::unanswered(list) };
        let mut exchange = self.remote.exchange(&out).await.ok()?;
        while let Some(message) = exchange.next().await.ok()? {
            if let Some(answer) = self.hear(message, Some(&key), None).await.ok()?.answer {
                return Some(answer);
            }
        }
        None
    }
}

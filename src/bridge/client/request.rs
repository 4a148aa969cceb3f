//! A request of the client that has no answer yet.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::value::RawValue;

use crate::bridge::client::session_stage::SessionStage;
use crate::message::{IdKey, Revision};
use crate::remote::BoundUser;

use super::client_info::ClientInfo;
use super::flag::Flag;
use super::in_flight::Ticket;
use super::list_methods::list_member;
use super::progress::Progress;

/// A request that has no answer yet.
#[derive(Debug)]
pub struct InFlight {
    /// As the client wrote it.
    pub body: Bytes,
    /// Its id, in its original spelling.
    pub id: Box<RawValue>,
    /// Its id, comparable.
    pub key: IdKey,
    /// The method.
    pub method: String,
    /// The tool of a `tools/call`.
    pub tool: Option<String>,
    /// Reports progress, if the client wants it.
    pub progress: Option<Arc<Progress>>,
    /// Raised once the server has sent something about it.
    pub server_has_begun: Arc<Flag>,
    /// In the stateless era: the revision that the request names.
    pub revision: Option<Revision>,
    /// In the stateless era: the client that the request names.
    pub client_info: ClientInfo,
    /// For a list: the cursor of the page, in its original spelling.
    pub cursor: Option<Box<RawValue>>,
    /// In the stateless era: the user's reply to the link that an earlier answer to this call asked to show.
    pub consent: Option<LinkConsent>,
    /// The stage that the session must have reached.
    pub stage: SessionStage,
    /// In the stateless era: the headers that repeat parts of the request.
    pub mcp_headers: Option<HeaderMap>,
    /// Who was signed in when it arrived.
    pub bound_user: Arc<BoundUser>,
    /// The right to answer it.
    pub ticket: Ticket,
}

/// The user's reply to a link that a client of the stateless era was asked to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkConsent {
    /// The user opens the page.
    Accepted,
    /// The user does not want to.
    Declined,
}

impl InFlight {
    /// Whether it opens a stream that stays open.
    pub fn listens(&self) -> bool {
        self.method == "subscriptions/listen"
    }

    /// Whether it asks for a list from its beginning.
    pub fn is_for_whole_list(&self) -> bool {
        self.cursor.is_none() && list_member(&self.method).is_some()
    }
}

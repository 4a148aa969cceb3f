//! The client's `initialize`, and the bridge's own answer for when the server cannot answer in time.

use std::fmt;

use bytes::Bytes;
use rmcp::model::{
    Implementation, InitializeResult as InitializeResultModel, PromptsCapability, ResourcesCapability,
    ServerCapabilities, ToolsCapability,
};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::bridge::client::client_info::ClientInfo;
use crate::config::Settings;
use crate::message::{IdKey, Revision};

/// The client's `initialize`, kept for every session opened on its behalf.
#[derive(Debug, Clone)]
pub struct InitializeRequest {
    /// As the client wrote it.
    pub body: Bytes,
    /// Its id, in its original spelling.
    pub id: Box<RawValue>,
    /// Its id, comparable.
    pub key: IdKey,
    /// Its parameters, in their original spelling.
    params: Option<Box<RawValue>>,
    /// The requested revision, if it names one.
    pub requested_revision: Option<Revision>,
    /// Who the client is.
    pub client_info: ClientInfo,
}

#[derive(Deserialize)]
struct InitializeParams<'a> {
    #[serde(borrow, rename = "protocolVersion")]
    protocol_version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "clientInfo")]
    client_info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    capabilities: Option<&'a RawValue>,
}

impl InitializeRequest {
    /// Keeps the request.
    pub fn new(body: Bytes, id: Box<RawValue>, key: IdKey, params: Option<&RawValue>) -> Self {
        let read = params.and_then(|raw| serde_json::from_str::<InitializeParams<'_>>(raw.get()).ok());
        let requested_revision = read.as_ref().and_then(|read| serde_json::from_str(read.protocol_version?.get()).ok());
        let client_info = read.map(|read| ClientInfo::new(read.client_info, read.capabilities)).unwrap_or_default();
        Self { body, id, key, params: params.map(ToOwned::to_owned), requested_revision, client_info }
    }

    /// The same request under this id, in this revision. With an id of ours it is for a session that the client need not know
    /// about.
    pub fn repeated(&self, id: impl fmt::Display, revision: &Revision) -> Bytes {
        let params = match &self.params {
            Some(raw) if self.requested_revision.as_ref() == Some(revision) => format!(",\"params\":{}", raw.get()),
            Some(raw) => format!(",\"params\":{}", with_revision(raw.get(), revision)),
            None => String::new(),
        };
        Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize"{params}}}"#))
    }

    /// The revision to answer without the server: the requested one if known here, and never a newer one.
    pub fn revision_without_server(&self) -> Revision {
        self.requested_revision.as_ref().map_or(Revision::V_2024_11_05, Revision::newest_handshake_up_to_this)
    }

    /// The result that replaces the server's.
    pub fn minimal_result(&self, settings: &Settings) -> Value {
        let mut tools = ToolsCapability::default();
        tools.list_changed = Some(true);
        let mut prompts = PromptsCapability::default();
        prompts.list_changed = Some(true);
        let mut resources = ResourcesCapability::default();
        resources.list_changed = Some(true);
        let mut capabilities = ServerCapabilities::default();
        capabilities.tools = Some(tools);
        capabilities.prompts = Some(prompts);
        capabilities.resources = Some(resources);
        let name = settings.service_name();
        let instructions = format!(
            "The connection to {name} is not ready yet: it may need a sign-in in the user's browser, or the server may \
             be out of reach. List the tools, and use what is offered."
        );
        let result = InitializeResultModel::new(capabilities)
            .with_protocol_version((&self.revision_without_server()).into())
            .with_server_info(Implementation::new("planhat-mcp", env!("CARGO_PKG_VERSION")))
            .with_instructions(instructions);
        serde_json::to_value(result).unwrap_or_default()
    }
}

/// `params` with another `protocolVersion`; everything else stays the same.
fn with_revision(params: &str, revision: &Revision) -> String {
    let found = serde_json::from_str::<InitializeParams<'_>>(params).ok().and_then(|p| p.protocol_version);
    match found {
        Some(raw) => {
            // The value is a slice of `params`, so its address gives its position.
            let start = raw.get().as_ptr().addr() - params.as_ptr().addr();
            format!("{}\"{revision}\"{}", &params[..start], &params[start + raw.get().len()..])
        }
        None => params.to_owned(),
    }
}

/// What the bridge needs of the server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitializeResult {
    /// The revision of the session.
    pub revision: Revision,
    /// Whether it has tools, prompts, resources.
    pub offers: Offers,
}

/// The families of methods that a server offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offers {
    /// `tools/*`.
    pub tools: bool,
    /// `prompts/*`.
    pub prompts: bool,
    /// `resources/*`.
    pub resources: bool,
}

impl InitializeResult {
    /// Reads the `result` of an `initialize` answer.
    pub fn of(result: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Result<'a> {
            #[serde(rename = "protocolVersion")]
            protocol_version: Revision,
            #[serde(borrow, default)]
            capabilities: Capabilities<'a>,
        }
        #[derive(Deserialize, Default)]
        struct Capabilities<'a> {
            #[serde(borrow)]
            tools: Option<&'a RawValue>,
            #[serde(borrow)]
            prompts: Option<&'a RawValue>,
            #[serde(borrow)]
            resources: Option<&'a RawValue>,
        }
        let result: Result<'_> = serde_json::from_str(result.get()).ok()?;
        let capabilities = result.capabilities;
        Some(Self {
            revision: result.protocol_version,
            offers: Offers {
                tools: capabilities.tools.is_some(),
                prompts: capabilities.prompts.is_some(),
                resources: capabilities.resources.is_some(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::bridge::client::own_ids::OwnIds;

    use super::*;

    fn request(params: &str) -> InitializeRequest {
        let raw = |text: &str| serde_json::from_str::<Box<RawValue>>(text).expect("JSON");
        InitializeRequest::new(Bytes::new(), raw("1"), IdKey::Number("1".into()), Some(&raw(params)))
    }

    #[test]
    fn a_client_is_never_answered_a_newer_revision_than_it_asked_for() {
        for (asked, answered) in [
            ("2025-11-25", "2025-11-25"),
            ("2025-06-18", "2025-06-18"),
            ("2025-03-26", "2025-03-26"),
            ("2024-11-05", "2024-11-05"),
            ("2025-09-01", "2025-06-18"),
            ("2099-01-01", "2025-11-25"),
            ("2020-01-01", "2024-11-05"),
        ] {
            assert_eq!(
                request(&format!(r#"{{"protocolVersion":"{asked}"}}"#)).revision_without_server().as_str(),
                answered
            );
        }
    }

    #[test]
    fn a_private_initialize_carries_the_clients_own_parameters() {
        let params =
            r#"{ "x":1.0,"protocolVersion" : "2099-01-01","capabilities":{"y":[1,{}]}, "z":"protocolVersion"}"#;
        let id = OwnIds::new().next();
        let same = request(params).repeated(&id, &Revision::parse("2099-01-01"));
        assert_eq!(same, format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{params}}}"#));
        let other = request(params).repeated(&id, &Revision::V_2025_11_25);
        let expected = params.replace("2099-01-01", "2025-11-25");
        assert_eq!(other, format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"initialize","params":{expected}}}"#));
    }

    #[test]
    fn what_the_server_offers_is_read_from_its_answer() {
        let raw: Box<RawValue> =
            serde_json::from_str(r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"x":1}"#)
                .expect("JSON");
        let result = InitializeResult::of(&raw).expect("an initialize result");
        assert_eq!(result.revision, Revision::V_2025_06_18);
        assert_eq!(result.offers, Offers { tools: true, prompts: false, resources: false });
    }
}

//! Who a client is, and how long it is known to wait.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Duration;

use crate::message::Revision;

use super::capabilities::ClientCapabilities;

/// How long known clients wait for `tools/list`, with a margin. Claude Desktop gives each request the 60 s of the
/// TypeScript SDK, and shows its user that the server is starting.
///
/// All others wait no longer than the most impatient client: Codex (`codex-mcp-client`) gives a server 10 s to start
/// and to list its tools. A client that would wait longer (Gemini CLI: ten minutes) is not listed while nobody knows
/// what its user can do in that time.
const LIST_PATIENCE_BY_CLIENT: [(&str, Duration); 1] = [("claude-ai", Duration::from_secs(50))];

/// The part of the client's identity that the bridge acts on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    name: Option<String>,
    /// Whether it shows a link to its user on request (URL-mode elicitation).
    shows_links: bool,
    capabilities: ClientCapabilities,
}

impl ClientInfo {
    /// Reads `clientInfo` and the client's capabilities.
    pub fn new(info: Option<&RawValue>, capabilities: Option<&RawValue>) -> Self {
        #[derive(Deserialize)]
        struct Info {
            name: String,
        }
        #[derive(Deserialize)]
        struct Capabilities<'a> {
            #[serde(borrow, default)]
            elicitation: Option<Elicitation<'a>>,
        }
        #[derive(Deserialize)]
        struct Elicitation<'a> {
            #[serde(borrow, default)]
            url: Option<&'a RawValue>,
        }
        let name = info.and_then(|raw| serde_json::from_str::<Info>(raw.get()).ok()).map(|info| info.name);
        let shows_links = capabilities
            .and_then(|raw| serde_json::from_str::<Capabilities<'_>>(raw.get()).ok())
            .and_then(|capabilities| capabilities.elicitation?.url)
            .is_some();
        Self { name, shows_links, capabilities: ClientCapabilities::of(capabilities) }
    }

    /// Whether a server may send it a request of this method.
    pub fn may_be_asked(&self, method: &str) -> bool {
        self.capabilities.allow(method)
    }

    /// Whether it shows a link to its user on request, in a session of this revision.
    pub fn shows_links(&self, revision: &Revision) -> bool {
        self.shows_links && revision.has_links()
    }

    /// How long its `tools/list` may wait for a sign-in.
    pub fn list_patience(&self, usual: Duration) -> Duration {
        let known = LIST_PATIENCE_BY_CLIENT.iter().find(|(name, _)| Some(*name) == self.name.as_deref());
        known.map_or(usual, |(_, patience)| *patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(info: &str, capabilities: &str) -> ClientInfo {
        let raw = |text| serde_json::from_str::<&RawValue>(text).expect("JSON");
        ClientInfo::new(Some(raw(info)), Some(raw(capabilities)))
    }

    #[test]
    fn clients_that_are_known_to_wait_are_held_longer_than_others() {
        let usual = Duration::from_secs(8);
        for (name, seconds) in [("claude-ai", 50), ("codex-mcp-client", 8), ("x", 8)] {
            let info = format!(r#"{{"name":"{name}","version":"1"}}"#);
            assert_eq!(client(&info, "{}").list_patience(usual), Duration::from_secs(seconds), "{name}");
        }
        assert_eq!(ClientInfo::default().list_patience(usual), usual);
    }

    #[test]
    fn a_link_is_shown_only_by_a_client_that_declares_it_and_in_a_revision_that_has_it() {
        for (capabilities, shows) in [
            (r#"{"elicitation":{"url":{}}}"#, true),
            (r#"{"elicitation":{"form":{},"url":{}},"sampling":{}}"#, true),
            (r#"{"elicitation":{}}"#, false),
            (r#"{"elicitation":{"form":{}}}"#, false),
            (r#"{"elicitation":null}"#, false),
            ("{}", false),
            ("[]", false),
        ] {
            assert_eq!(client("{}", capabilities).shows_links(&Revision::V_2025_11_25), shows, "{capabilities}");
            assert!(!client("{}", capabilities).shows_links(&Revision::V_2025_06_18));
        }
    }
}

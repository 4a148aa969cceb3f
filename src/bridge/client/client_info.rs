//! What a client says of itself, and how long it waits.

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Duration;

/// The first revision in which a client can be asked to show a link.
const LINKS_SINCE: &str = "2025-11-25";

/// Which clients are known to wait how long for `tools/list`, with some room left. Claude Desktop gives each request the
/// 60 s of the TypeScript SDK, and its user sees meanwhile that the server is starting.
///
/// Everybody else is held as long as the most impatient one bears it: Codex (`codex-mcp-client`) gives a server 10 s to
/// start and to list its tools. A client that would wait longer (Gemini CLI: ten minutes) is not listed while it is not
/// known what its user can do in that time.
const PATIENCE: [(&str, Duration); 1] = [("claude-ai", Duration::from_secs(50))];

/// Who the client is, as far as the bridge acts on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    name: Option<String>,
    /// Whether it shows a link to its user on request (URL-mode elicitation).
    shows_links: bool,
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
        let shows = capabilities
            .and_then(|raw| serde_json::from_str::<Capabilities<'_>>(raw.get()).ok())
            .and_then(|capabilities| capabilities.elicitation?.url)
            .is_some();
        Self { name, shows_links: shows }
    }

    /// Whether it shows a link to its user on request, in a session of this revision.
    pub fn shows_links(&self, revision: &str) -> bool {
        self.shows_links && revision >= LINKS_SINCE
    }

    /// How long its `tools/list` may be held for a sign-in.
    pub fn patience(&self, usual: Duration) -> Duration {
        let known = PATIENCE.iter().find(|(name, _)| Some(*name) == self.name.as_deref());
        known.map_or(usual, |(_, patience)| *patience)
    }
}

#[cfg(test)]
mod tests {
    use crate::bridge::client::client_info::*;

    fn caller(info: &str, capabilities: &str) -> ClientInfo {
        let raw = |text| serde_json::from_str::<&RawValue>(text).expect("JSON");
        ClientInfo::new(Some(raw(info)), Some(raw(capabilities)))
    }

    #[test]
    fn clients_that_are_known_to_wait_are_held_longer_than_others() {
        let usual = Duration::from_secs(8);
        for (name, seconds) in [("claude-ai", 50), ("codex-mcp-client", 8), ("x", 8)] {
            let info = format!(r#"{{"name":"{name}","version":"1"}}"#);
            assert_eq!(caller(&info, "{}").patience(usual), Duration::from_secs(seconds), "{name}");
        }
        assert_eq!(ClientInfo::default().patience(usual), usual);
    }

    #[test]
    fn a_link_is_shown_only_by_who_said_so_and_in_a_revision_that_has_it() {
        for (capabilities, shows) in [
            (r#"{"elicitation":{"url":{}}}"#, true),
            (r#"{"elicitation":{"form":{},"url":{}},"sampling":{}}"#, true),
            (r#"{"elicitation":{}}"#, false),
            (r#"{"elicitation":{"form":{}}}"#, false),
            (r#"{"elicitation":null}"#, false),
            ("{}", false),
            ("[]", false),
        ] {
            assert_eq!(caller("{}", capabilities).shows_links("2025-11-25"), shows, "{capabilities}");
            assert!(!caller("{}", capabilities).shows_links("2025-06-18"));
        }
    }
}

//! Revisions of MCP, parsed once; only this module compares them by text.

use std::borrow::Cow;
use std::fmt;

use rmcp::model::ProtocolVersion;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

use crate::limits::REFUSAL_QUOTED_BYTES;

/// A protocol revision of MCP, known here or not. Revisions are named after their dates, so they sort as text; the
/// names of drafts (`DRAFT-2026-v1`) sort after all dates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Revision(Cow<'static, str>);

impl Revision {
    /// The first: HTTP with SSE, no mention of batches.
    pub const V_2024_11_05: Self = Self(Cow::Borrowed("2024-11-05"));
    /// Streamable HTTP; the only revision with batches.
    pub const V_2025_03_26: Self = Self(Cow::Borrowed("2025-03-26"));
    /// The `MCP-Protocol-Version` header, elicitation by form.
    pub const V_2025_06_18: Self = Self(Cow::Borrowed("2025-06-18"));
    /// Elicitation by URL.
    pub const V_2025_11_25: Self = Self(Cow::Borrowed("2025-11-25"));
    /// The first without `initialize` and sessions.
    pub const V_2026_07_28: Self = Self(Cow::Borrowed("2026-07-28"));

    /// The published revisions, oldest first.
    pub const KNOWN: [Self; 5] =
        [Self::V_2024_11_05, Self::V_2025_03_26, Self::V_2025_06_18, Self::V_2025_11_25, Self::V_2026_07_28];

    /// The revision of this name; an unknown one keeps its text.
    pub fn parse(text: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|known| known.as_str() == text);
        known.unwrap_or_else(|| Self(Cow::Owned(text.to_owned())))
    }

    /// Its name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of [`Revision::KNOWN`].
    pub fn is_known(&self) -> bool {
        Self::KNOWN.contains(self)
    }

    /// Whether each request is self-contained: no `initialize`, no session, no resumption (MCP 2026-07-28,
    /// "Lifecycle").
    pub fn is_stateless(&self) -> bool {
        *self >= Self::V_2026_07_28
    }

    /// Whether one body may hold several messages: 2025-03-26 introduced batches, 2025-06-18 removed them.
    pub fn has_batches(&self) -> bool {
        *self == Self::V_2025_03_26
    }

    /// Whether a server can ask a client to show its user a link (URL-mode elicitation).
    pub fn has_links(&self) -> bool {
        *self >= Self::V_2025_11_25
    }

    /// The newest known revision with `initialize` that is not newer than this one, or else the oldest. Clients
    /// disconnect if the answer names a revision that they neither requested nor know.
    pub fn newest_handshake_up_to_this(&self) -> Self {
        let mut handshake = Self::KNOWN.into_iter().rev().filter(|known| !known.is_stateless());
        handshake.find(|known| known <= self).unwrap_or(Self::V_2024_11_05)
    }
}

/// The revisions that a refusal of `initialize` lists, newest first, if it is about the revision; none when it lists none.
/// Servers say it as a JSON-RPC error or as plain text, and list what they speak in a sentence or in `data.supported`.
pub fn offered_in_refusal(body: &[u8]) -> Option<Vec<Revision>> {
    if body.len() > REFUSAL_QUOTED_BYTES {
        return None;
    }
    let text = String::from_utf8_lossy(body).to_lowercase();
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).collect();
    let is_meant = ["protocolversion", "protocolrevision", "mcpversion", "unsupportedversion", "versionnotsupported"];
    if !is_meant.iter().any(|words| letters.contains(words)) {
        return None;
    }
    let listed = |revision: &Revision| !revision.is_stateless() && text.contains(revision.as_str());
    Some(Revision::KNOWN.into_iter().rev().filter(listed).collect())
}

/// The revisions to ask for, one after the other, when a server has refused this one: those that it lists come first, then
/// the other older ones. Never a newer one: the client knows only those up to its own.
pub fn revisions_after_refusal(refused: &Revision, offered: &[Revision]) -> Vec<Revision> {
    let older = Revision::KNOWN.into_iter().rev().filter(|known| !known.is_stateless() && known < refused);
    let (listed, others): (Vec<_>, Vec<_>) = older.partition(|known| offered.contains(known));
    listed.into_iter().chain(others).collect()
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'_, str>::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

impl From<&Revision> for ProtocolVersion {
    fn from(revision: &Revision) -> Self {
        let text = IntoDeserializer::<serde::de::value::Error>::into_deserializer(revision.as_str());
        // Any text is a version to that type.
        Self::deserialize(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_revision_has_what_its_specification_gives_it() {
        // (revision, known, stateless, batches, links, the newest with `initialize` up to it)
        for (text, known, stateless, batches, links, handshake) in [
            ("2024-11-05", true, false, false, false, "2024-11-05"),
            ("2025-03-26", true, false, true, false, "2025-03-26"),
            ("2025-06-18", true, false, false, false, "2025-06-18"),
            ("2025-11-25", true, false, false, true, "2025-11-25"),
            ("2026-07-28", true, true, false, true, "2025-11-25"),
            ("", false, false, false, false, "2024-11-05"),
            ("2020-01-01", false, false, false, false, "2024-11-05"),
            ("2025-09-01", false, false, false, false, "2025-06-18"),
            ("2026-07-27", false, false, false, true, "2025-11-25"),
            ("2099-01-01", false, true, false, true, "2025-11-25"),
            ("DRAFT-2026-v1", false, true, false, true, "2025-11-25"),
        ] {
            let revision = Revision::parse(text);
            assert_eq!(revision.as_str(), text);
            let found = (
                revision.is_known(),
                revision.is_stateless(),
                revision.has_batches(),
                revision.has_links(),
                revision.newest_handshake_up_to_this(),
            );
            assert_eq!(found, (known, stateless, batches, links, Revision::parse(handshake)), "{text}");
        }
    }

    #[test]
    fn a_refused_revision_is_followed_by_the_listed_ones_and_then_by_the_other_older_ones() {
        let next = |refused: &str, body: &str| {
            offered_in_refusal(body.as_bytes()).map(|offered| {
                let next = revisions_after_refusal(&Revision::parse(refused), &offered);
                next.iter().map(|revision| revision.as_str().to_owned()).collect::<Vec<_>>()
            })
        };
        let listed = "Bad Request: Unsupported protocol version (supported versions: 2025-03-26, 2024-10-07)";
        for body in [
            listed.to_owned(),
            format!(r#"{{"jsonrpc":"2.0","error":{{"code":-32000,"message":"{listed}"}},"id":null}}"#),
            r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2025-03-26"],"requested":"2025-11-25"}}}"#.to_owned(),
            r#"{"error":"unsupported protocolVersion, use 2025-03-26"}"#.to_owned(),
        ] {
            let expected = ["2025-03-26", "2025-06-18", "2024-11-05"].map(str::to_owned).to_vec();
            assert_eq!(next("2025-11-25", &body), Some(expected), "{body}");
        }
        let all = ["2025-06-18", "2025-03-26", "2024-11-05"].map(str::to_owned).to_vec();
        assert_eq!(next("2025-11-25", "Unsupported protocol version"), Some(all));
        assert_eq!(next("2025-03-26", "Unsupported protocol version: use 2025-11-25"), Some(vec!["2024-11-05".into()]));
        assert_eq!(next("2024-11-05", "Unsupported protocol version"), Some(vec![]));
        for body in ["", "Bad Request", "the arguments are invalid", "2025-03-26", "<html>no</html>"] {
            assert_eq!(next("2025-11-25", body), None, "{body}");
        }
    }

    #[test]
    fn revisions_are_ordered_by_date() {
        assert!(Revision::KNOWN.is_sorted());
        assert!(Revision::parse("2025-06-19") > Revision::V_2025_06_18);
        assert!(Revision::parse("2025-06-17") < Revision::V_2025_06_18);
    }

    #[test]
    fn a_revision_is_a_string_in_json_and_the_same_one_in_the_typed_models() {
        for text in ["2025-06-18", "2099-01-01"] {
            let revision: Revision = serde_json::from_str(&format!("\"{text}\"")).expect("a string");
            assert_eq!(revision, Revision::parse(text));
            assert_eq!(serde_json::to_string(&revision).expect("a string"), format!("\"{text}\""));
            assert_eq!(ProtocolVersion::from(&revision).as_str(), text);
        }
        assert!(serde_json::from_str::<Revision>("1").is_err());
        let escaped: Revision = serde_json::from_str(r#""2025-06\u002d18""#).expect("a string");
        assert_eq!(escaped, Revision::V_2025_06_18);
    }
}

//! What is remembered of the server, as `status` and `doctor` show it.

use serde_json::{Value, json};

use crate::auth::GrantSummary;
use crate::config::{Settings, masked_url};
use crate::problem::printable;
use crate::store::StateDir;
use crate::store::server_memory::{KnownTransport, ServerMemory, ServerMemoryNote, Stored, is_recent};

use super::grant::in_words;

/// Something that was learnt of the server and is used until it stops working, or has become old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The name for programs.
    pub name: &'static str,
    /// What was learnt.
    pub value: String,
    /// When, in seconds since 1970.
    pub since: u64,
}

impl Fact {
    /// For a person, without its age.
    pub fn statement(&self) -> String {
        let label = match self.name {
            "address" => "it has moved to",
            "revision" => "the newest revision that it takes is",
            "transport" => "it speaks",
            "client_authentication" => "its token endpoint takes",
            _ => "its token endpoint is asked",
        };
        format!("{label} {}", self.value)
    }

    /// For a person.
    pub fn text(&self, now: u64) -> String {
        format!("{} (learnt {} ago)", self.statement(), in_words(now.saturating_sub(self.since)))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({ "what": self.name, "value": self.value, "since": self.since })
    }
}

/// The record of these settings.
pub fn note(settings: &Settings) -> ServerMemoryNote {
    let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
    ServerMemoryNote::new(&files, settings.shown_url())
}

/// What a memory holds.
pub fn of_memory(settings: &Settings, memory: &ServerMemory) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, value: String, since| facts.push(Fact { name, value: printable(&value), since });
    if let Some(known) = &memory.path
        && let Some(address) = memory.address(&settings.url)
    {
        add("address", masked_url(&address), known.since);
    }
    if let Some(known) = &memory.revision {
        add("revision", known.value.to_string(), known.since);
    }
    if let Some(known) = &memory.transport {
        let KnownTransport::HttpSse = known.value;
        add("transport", "HTTP+SSE".to_owned(), known.since);
    }
    facts
}

/// All that is remembered, and whether a record holds something that does not count any more.
pub fn facts(settings: &Settings, grant: Option<&GrantSummary>, now: u64) -> (Vec<Fact>, bool) {
    let note = note(settings);
    let mut facts = of_memory(settings, &note.good(now));
    let mut add = |name, value: String, since| facts.push(Fact { name, value, since });
    if let Some(since) = grant.and_then(|grant| grant.raw_basic_since).filter(|since| is_recent(*since, now)) {
        add("client_authentication", "Basic with the secret unchanged".to_owned(), since);
    }
    if let Some(since) = grant.and_then(|grant| grant.without_resource_since) {
        add("resource", "without the parameter resource".to_owned(), since);
    }
    (facts, note.read(now) == Stored::Outdated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Paths;
    use crate::message::Revision;
    use crate::store::server_memory::Known;

    #[test]
    fn what_is_remembered_is_shown_with_its_age_and_without_the_values_of_the_query() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = url::Url::parse("https://h.example/mcp?key=s3cret").expect("valid");
        let paths = Paths { config_file: "/c".into(), state_dir: dir.path().to_owned() };
        let settings = Settings::for_url(url, paths);
        assert_eq!(facts(&settings, None, 10), (Vec::new(), false));
        note(&settings)
            .change(10, |memory| {
                memory.path = Some(Known { value: "/mcp/".to_owned(), since: 10 });
                memory.revision = Some(Known { value: Revision::V_2025_03_26, since: 10 });
                memory.transport = Some(Known { value: KnownTransport::HttpSse, since: 10 });
            })
            .expect("writable");
        let (found, is_outdated) = facts(&settings, None, 7_210);
        let texts: Vec<String> = found.iter().map(|fact| fact.text(7_210)).collect();
        assert!(!is_outdated && texts.len() == 3, "{texts:?}");
        assert!(texts[0].contains("https://h.example/mcp/?key=") && texts[0].contains("2 hours ago"), "{texts:?}");
        assert!(texts[1].contains("2025-03-26") && texts[2].contains("HTTP+SSE"), "{texts:?}");
        assert!(!format!("{found:?}").contains("s3cret"));
        assert_eq!(found[1].json(), json!({ "what": "revision", "value": "2025-03-26", "since": 10 }));
        assert_eq!(facts(&settings, None, 1), (Vec::new(), true));
    }
}

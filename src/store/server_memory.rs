//! What is remembered of the server from one process to the next: where a permanent redirect led, which older revision it
//! takes, that it speaks the older transport. One small record for each profile, without anything secret.
//!
//! What is remembered saves a question and decides nothing: it holds for one address and for a time, and what does not work is
//! forgotten and asked for in the fresh way.

use serde::{Deserialize, Serialize};
use url::Url;

use super::{Note, StateDir};
use crate::limits::SERVER_MEMORY_LIFE;
use crate::message::Revision;
use crate::problem::Problem;

/// The version of the record's format; a record of another version counts as none.
const FORMAT_VERSION: u32 = 1;

/// A fact, and since when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known<T> {
    /// The fact.
    pub value: T,
    /// When it was learnt, in seconds since 1970.
    pub since: u64,
}

/// A transport that was tried and works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KnownTransport {
    /// The one of revision 2024-11-05.
    #[serde(rename = "http+sse")]
    HttpSse,
}

/// What is remembered of one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerMemory {
    /// The path that permanent redirects lead to, at the server's own origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Known<String>>,
    /// The revision that it takes, where it has refused a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Known<Revision>>,
    /// The transport, where it is not Streamable HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Known<KnownTransport>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// The address that it holds for, as it is shown.
    server: String,
    #[serde(flatten)]
    memory: ServerMemory,
}

/// Its file among a profile's. Signing out removes it.
pub fn note(files: &StateDir) -> Note {
    files.note("server.json")
}

/// The state of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// There is none.
    Nothing,
    /// It holds for this address now.
    Good(ServerMemory),
    /// It is too old, holds for another address, or cannot be read.
    Outdated,
}

impl ServerMemory {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What of it still holds at `now`. A clock that has gone back makes it hold no longer.
    #[must_use]
    pub fn good_at(&self, now: u64) -> Self {
        fn good<T: Clone>(known: &Option<Known<T>>, now: u64) -> Option<Known<T>> {
            known.clone().filter(|known| is_recent(known.since, now))
        }
        Self { path: good(&self.path, now), revision: good(&self.revision, now), transport: good(&self.transport, now) }
    }

    /// The address that the path leads to: always at the origin of `url`, and with its query.
    pub fn address(&self, url: &Url) -> Option<Url> {
        let path = &self.path.as_ref()?.value;
        let mut address = url.clone();
        address.set_path(path);
        (address != *url).then_some(address)
    }

    /// The path to remember for a redirect from `url` to `target`; `None` where more than the path differs.
    pub fn path_of(url: &Url, target: &Url) -> Option<String> {
        let mut only_path = url.clone();
        only_path.set_path(target.path());
        (only_path == *target && url != target).then(|| target.path().to_owned())
    }
}

/// Whether what was learnt then counts now.
pub fn is_recent(since: u64, now: u64) -> bool {
    now.checked_sub(since).is_some_and(|age| age < SERVER_MEMORY_LIFE.as_secs())
}

/// The record of one profile, for one address.
#[derive(Debug, Clone)]
pub struct ServerMemoryNote {
    note: Note,
    server: String,
}

impl ServerMemoryNote {
    /// The record among these files; `server` is the address as it is shown.
    pub fn new(files: &StateDir, server: String) -> Self {
        Self { note: note(files), server }
    }

    /// What it holds now.
    pub fn read(&self, now: u64) -> Stored {
        let record = match self.note.try_read::<Record>() {
            Ok(None) => return Stored::Nothing,
            Ok(Some(record)) if record.version == FORMAT_VERSION && record.server == self.server => record,
            Ok(Some(_)) | Err(_) => return Stored::Outdated,
        };
        let good = record.memory.good_at(now);
        if good == record.memory && !good.is_empty() { Stored::Good(good) } else { Stored::Outdated }
    }

    /// What still holds, and nothing else.
    pub fn good(&self, now: u64) -> ServerMemory {
        let record = self.note.read::<Record>();
        let record = record.filter(|record| record.version == FORMAT_VERSION && record.server == self.server);
        record.map(|record| record.memory.good_at(now)).unwrap_or_default()
    }

    /// Changes one thing in it; the other processes of the profile may have changed others.
    pub fn change(&self, now: u64, change: impl FnOnce(&mut ServerMemory)) -> Result<(), Problem> {
        let mut memory = self.good(now);
        change(&mut memory);
        if memory.is_empty() {
            self.note.remove();
            return Ok(());
        }
        self.note.write(&Record { version: FORMAT_VERSION, server: self.server.clone(), memory })
    }

    /// Forgets everything.
    pub fn forget(&self) {
        self.note.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_remembered_path_leads_to_the_servers_own_origin_whatever_it_is() {
        let configured = url("https://h.example:8443/mcp?key=s3cret");
        for path in ["/mcp/", "//evil.example/x", "https://evil.example/", "/../..", "/x?key=other", "\\\\evil"] {
            let path = Some(Known { value: path.to_owned(), since: 0 });
            let address = ServerMemory { path, ..ServerMemory::default() }.address(&configured).unwrap();
            assert_eq!((address.origin(), address.query()), (configured.origin(), configured.query()), "{address}");
        }
        let same = ServerMemory { path: Some(Known { value: "/mcp".to_owned(), since: 0 }), ..Default::default() };
        assert_eq!(same.address(&configured), None);
    }

    #[test]
    fn a_path_is_remembered_where_nothing_else_differs() {
        for (to, path) in [
            ("https://h/mcp/?k=1", Some("/mcp/")),
            ("https://h/v2?k=1", Some("/v2")),
            ("https://h/mcp?k=1", None),
            ("https://h/mcp/", None),
            ("https://h/mcp/?k=2", None),
            ("http://h/mcp/?k=1", None),
            ("https://other/mcp/?k=1", None),
            ("https://h:8443/mcp/?k=1", None),
            ("https://u:p@h/mcp/?k=1", None),
        ] {
            assert_eq!(ServerMemory::path_of(&url("https://h/mcp?k=1"), &url(to)).as_deref(), path, "{to}");
        }
    }

    #[test]
    fn what_is_remembered_holds_for_its_address_and_for_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let life = SERVER_MEMORY_LIFE.as_secs();
        let at = |server: &str| ServerMemoryNote::new(&StateDir::new(dir.path(), "p"), server.to_owned());
        let here = at("https://h/mcp");
        assert_eq!(here.read(5), Stored::Nothing);
        let revision = Some(Known { value: Revision::V_2025_03_26, since: 100 });
        here.change(100, |memory| memory.revision.clone_from(&revision)).unwrap();
        let transport = Some(Known { value: KnownTransport::HttpSse, since: 200 });
        here.change(200, |memory| memory.transport = transport.clone()).unwrap();
        let both = ServerMemory { revision, transport: transport.clone(), path: None };
        for (now, state, good) in [
            (200, Stored::Good(both.clone()), both.clone()),
            (99 + life, Stored::Good(both.clone()), both.clone()),
            (100 + life, Stored::Outdated, ServerMemory { revision: None, ..both.clone() }),
            (200 + life, Stored::Outdated, ServerMemory::default()),
            (50, Stored::Outdated, ServerMemory::default()),
        ] {
            assert_eq!((here.read(now), here.good(now)), (state, good), "{now}");
        }
        assert_eq!(
            (at("https://h/other").read(200), at("https://h/other").good(200)),
            (Stored::Outdated, ServerMemory::default())
        );
        here.change(200, |memory| *memory = ServerMemory::default()).unwrap();
        assert_eq!(here.read(200), Stored::Nothing, "nothing is left of what was forgotten");
        std::fs::write(dir.path().join("p.server.json"), "nonsense").unwrap();
        assert_eq!((here.read(200), here.good(200)), (Stored::Outdated, ServerMemory::default()));
    }
}

//! Earlier answers of the server, for when nobody is signed in or it cannot be reached.
//!
//! The answers belong to one sign-in: after a sign-out, or to another user, they must not be shown. So the record names
//! its owner, a new sign-in puts an empty record of its own in the place of the old one, and signing out leaves one that
//! belongs to nobody. A process that still holds the old token finds that it owns nothing there, and writes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Note;
use crate::limits::ANSWERS_RECORD_BYTES;
use crate::message::Revision;
use crate::problem::Problem;

/// The version of the record's format; a record of another version counts as none.
const FORMAT_VERSION: u32 = 1;

/// The sign-in that answers belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The server.
    pub resource: String,
    /// The issuer of the token.
    pub issuer: String,
    /// The client that it was issued to.
    pub client: String,
    /// The sign-in that it came from.
    pub grant: String,
}

/// The answers of one server to one user, in a file of mode 0600. Nothing secret is in it.
#[derive(Debug, Clone)]
pub struct Answers {
    note: Note,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    /// `None` after a sign-out.
    owner: Option<Owner>,
    /// By revision and method, each as the server wrote it.
    #[serde(default)]
    answers: BTreeMap<Revision, BTreeMap<String, Box<RawValue>>>,
}

impl Record {
    fn of(owner: Option<Owner>) -> Self {
        Self { version: FORMAT_VERSION, owner, answers: BTreeMap::new() }
    }
}

impl Answers {
    /// The answers in this note.
    pub fn new(note: Note) -> Self {
        Self { note }
    }

    /// Whether somebody has ever signed in here.
    pub fn has_had_an_owner(&self) -> bool {
        self.read().is_some()
    }

    /// After a sign-in: forgets what was there.
    pub fn begin(&self, owner: Owner) -> Result<(), Problem> {
        self.note.write(&Record::of(Some(owner)))
    }

    /// After a sign-out: forgets what was there, and lets nobody add to it.
    pub fn end(&self) -> Result<(), Problem> {
        self.note.write(&Record::of(None))
    }

    /// The answer to `method` in this revision. With `owner`, only if it is theirs; without one (nobody is signed in at
    /// the moment), whichever user's signed in last.
    pub fn get(&self, owner: Option<&Owner>, revision: &Revision, method: &str) -> Option<Box<RawValue>> {
        self.record(owner)?.answers.remove(revision)?.remove(method)
    }

    /// The answer to `method` in the revision nearest to the newest of those that `fits`.
    pub fn get_any(
        &self,
        owner: Option<&Owner>,
        method: &str,
        fits: impl Fn(&Revision) -> bool,
    ) -> Option<Box<RawValue>> {
        let record = self.record(owner)?;
        record.answers.into_iter().rev().filter(|(name, _)| fits(name)).find_map(|(_, mut known)| known.remove(method))
    }

    /// Remembers an answer to the owner. Does nothing when the record belongs to another sign-in.
    pub fn keep(&self, owner: &Owner, revision: &Revision, method: &str, answer: &RawValue) -> Result<(), Problem> {
        let mut record = self.read().unwrap_or_else(|| Record::of(Some(owner.clone())));
        if record.owner.as_ref() != Some(owner) {
            return Ok(());
        }
        let known = record.answers.entry(revision.clone()).or_default();
        if known.get(method).is_some_and(|old| old.get() == answer.get()) {
            return Ok(());
        }
        known.insert(method.to_owned(), answer.to_owned());
        if record.size() > ANSWERS_RECORD_BYTES {
            record.answers.retain(|name, _| name == revision);
        }
        if record.size() > ANSWERS_RECORD_BYTES {
            // An old answer in its place would be a wrong one.
            record.answers.remove(revision);
        }
        self.note.write(&record)
    }

    fn record(&self, owner: Option<&Owner>) -> Option<Record> {
        self.read().filter(|record| match owner {
            Some(_) => record.owner.as_ref() == owner,
            None => record.owner.is_some(),
        })
    }

    fn read(&self) -> Option<Record> {
        self.note.read::<Record>().filter(|record| record.version == FORMAT_VERSION)
    }
}

impl Record {
    fn size(&self) -> usize {
        let answers = self.answers.iter().flat_map(|(revision, known)| {
            known.iter().map(move |(method, answer)| revision.as_str().len() + method.len() + answer.get().len())
        });
        answers.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StateDir;

    fn owner(grant: &str) -> Owner {
        let text = |text: &str| text.to_owned();
        Owner { resource: text("https://h/mcp"), issuer: text("https://as"), client: text("pk"), grant: text(grant) }
    }

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).expect("JSON")
    }

    fn revision(text: &str) -> Revision {
        Revision::parse(text)
    }

    fn answers(dir: &tempfile::TempDir) -> Answers {
        Answers::new(StateDir::new(dir.path(), "p").note("answers.json"))
    }

    #[test]
    fn an_answer_comes_back_to_the_byte_and_to_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let answers = answers(&dir);
        assert!(!answers.has_had_an_owner());
        let text = r#"{ "tools":[{"n":1.50,"n2":12345678901234567890123}],"\u0061": "é" }"#;
        answers.keep(&owner("a"), &revision("2025-11-25"), "tools/list", &raw(text)).unwrap();
        let get = |owner: Option<&Owner>, text| answers.get(owner, &revision(text), "tools/list");
        assert_eq!(get(Some(&owner("a")), "2025-11-25").unwrap().get(), text);
        assert_eq!(get(None, "2025-11-25").unwrap().get(), text, "while nobody is signed in");
        assert!(get(Some(&owner("b")), "2025-11-25").is_none());
        assert!(get(Some(&owner("a")), "2025-06-18").is_none());
        assert!(answers.get_any(Some(&owner("a")), "tools/list", |revision| !revision.is_stateless()).is_some());
        assert!(answers.get_any(Some(&owner("a")), "tools/list", Revision::is_stateless).is_none());
    }

    #[test]
    fn a_record_names_revisions_as_the_wire_does() {
        let dir = tempfile::tempdir().unwrap();
        let answers = answers(&dir);
        answers.keep(&owner("a"), &revision("2025-11-25"), "initialize", &raw("1")).unwrap();
        let text = std::fs::read_to_string(dir.path().join("p.answers.json")).unwrap();
        assert!(text.contains(r#""answers":{"2025-11-25":{"initialize":1}}"#), "{text}");
    }

    #[test]
    fn a_new_sign_in_and_a_sign_out_forget_everything_and_a_straggler_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let answers = answers(&dir);
        answers.keep(&owner("a"), &revision("r"), "initialize", &raw("1")).unwrap();
        answers.begin(owner("b")).unwrap();
        answers.keep(&owner("a"), &revision("r"), "initialize", &raw("1")).unwrap();
        assert!(answers.get(None, &revision("r"), "initialize").is_none());
        answers.keep(&owner("b"), &revision("r"), "initialize", &raw("2")).unwrap();
        assert_eq!(answers.get(None, &revision("r"), "initialize").unwrap().get(), "2");
        answers.end().unwrap();
        answers.keep(&owner("b"), &revision("r"), "initialize", &raw("2")).unwrap();
        assert!(answers.get(None, &revision("r"), "initialize").is_none() && answers.has_had_an_owner());
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_leaves_nothing_outdated() {
        let dir = tempfile::tempdir().unwrap();
        let answers = answers(&dir);
        let large = |n: usize| raw(&format!("\"{}\"", "x".repeat(n)));
        answers.keep(&owner("a"), &revision("old"), "tools/list", &large(ANSWERS_RECORD_BYTES / 2)).unwrap();
        answers.keep(&owner("a"), &revision("new"), "tools/list", &large(ANSWERS_RECORD_BYTES * 3 / 4)).unwrap();
        assert!(answers.get(None, &revision("old"), "tools/list").is_none());
        assert!(answers.get(None, &revision("new"), "tools/list").is_some());
        answers.keep(&owner("a"), &revision("new"), "tools/list", &large(ANSWERS_RECORD_BYTES + 1)).unwrap();
        assert!(answers.get(None, &revision("new"), "tools/list").is_none());
    }

    #[test]
    fn a_record_that_cannot_be_read_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let answers = answers(&dir);
        for text in ["", "nonsense", r#"{"version":2,"owner":null}"#] {
            std::fs::write(dir.path().join("p.answers.json"), text).unwrap();
            assert!(!answers.has_had_an_owner(), "{text}");
            assert!(answers.get(None, &revision("r"), "initialize").is_none());
        }
    }
}

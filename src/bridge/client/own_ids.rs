//! Ids for the bridge's own requests, which no client or server uses: `planhat-mcp/<random>/<n>`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::value::{RawValue, to_raw_value};

use crate::message::IdKey;

/// The ids of this process.
#[derive(Debug)]
pub struct OwnIds {
    process: String,
    next: AtomicU64,
}

/// One id; it displays as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnId(String);

impl OwnIds {
    /// Ids that differ from those of every other process.
    pub fn new() -> Self {
        let random = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Self { process: format!("{random:016x}"), next: AtomicU64::new(1) }
    }

    /// A new id.
    pub fn next(&self) -> OwnId {
        OwnId(format!("planhat-mcp/{}/{}", self.process, self.next.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Default for OwnIds {
    fn default() -> Self {
        Self::new()
    }
}

impl OwnId {
    /// The id without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in comparable form.
    pub fn key(&self) -> IdKey {
        IdKey::Text(self.0.clone())
    }

    /// The id as JSON.
    pub fn to_raw(&self) -> Box<RawValue> {
        to_raw_value(&self.0).expect("a string is JSON")
    }
}

impl fmt::Display for OwnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing in it needs an escape.
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_used_once_and_reads_the_same_in_all_its_forms() {
        let ids = OwnIds::new();
        let (first, second) = (ids.next(), ids.next());
        assert_ne!(first, second);
        assert_ne!(first, OwnIds::new().next());
        assert_eq!(first.to_string(), first.to_raw().get());
        assert_eq!(Some(first.key()), IdKey::parse(&first.to_raw()));
    }
}

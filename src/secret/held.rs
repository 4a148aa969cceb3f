//! Owns the list of the secrets that this process holds, so that nothing that it shows can contain one of them.
//!
//! Whoever shows a server's words has masked the secrets of their exchange ([`super::Secrets::words`]). This is the guard
//! behind that: facts of problems and lines of the log come from everywhere, and are searched for what the list holds. It
//! refers to the secrets and holds none: what is dropped is overwritten, and off the list.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use zeroize::Zeroize;

/// The shortest secret that is listed, in bytes: a shorter one is part of ordinary words, and would mask those.
pub(super) const SHORTEST_LISTED_BYTES: usize = 8;
/// How many entries may be added before those that have ended are dropped.
const SWEEP_AFTER_ENTRIES: usize = 64;

static HELD: Mutex<List> = Mutex::new(List { entries: Vec::new(), sweep_at: SWEEP_AFTER_ENTRIES });

struct List {
    entries: Vec<Weak<Value<String>>>,
    /// The length at which it is looked through for what has ended.
    sweep_at: usize,
}

impl List {
    fn add(&mut self, value: &Arc<Value<String>>) {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|entry| entry.strong_count() > 0);
            self.sweep_at = self.entries.len() * 2 + SWEEP_AFTER_ENTRIES;
        }
        self.entries.push(Arc::downgrade(value));
    }

    /// Each secret once.
    fn held(&self) -> Vec<Arc<Value<String>>> {
        let mut held: Vec<_> = self.entries.iter().filter_map(Weak::upgrade).collect();
        held.sort_by(|a, b| a.0.cmp(&b.0));
        held.dedup_by(|a, b| a.0 == b.0);
        held
    }
}

/// A value whose memory is overwritten when its last owner drops it.
#[derive(PartialEq, Eq)]
pub struct Value<T: Zeroize>(pub(super) T);

impl<T: Zeroize> Drop for Value<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// What a [`super::Secret`] may hold.
pub trait Listed: Zeroize + Sized {
    /// Puts the value on the list, if values of this type can be quoted in a text.
    fn list(value: &Arc<Value<Self>>);
}

impl Listed for String {
    fn list(value: &Arc<Value<Self>>) {
        if value.0.len() >= SHORTEST_LISTED_BYTES {
            HELD.lock().unwrap_or_else(PoisonError::into_inner).add(value);
        }
    }
}

/// Records, keys and forms as bytes: what is secret in them is listed when it is read out of them.
impl Listed for Vec<u8> {
    fn list(_: &Arc<Value<Self>>) {}
}

/// Lists a part of a value that is a secret of its own, such as the password of a proxy's address, until the process ends.
pub fn hold(part: &str) {
    static PARTS: Mutex<Vec<Arc<Value<String>>>> = Mutex::new(Vec::new());
    let mut parts = PARTS.lock().unwrap_or_else(PoisonError::into_inner);
    if !parts.iter().any(|held| held.0 == part) {
        let part = Arc::new(Value(part.to_owned()));
        String::list(&part);
        parts.push(part);
    }
}

/// The secrets that this process holds, each once.
pub fn all() -> Vec<Arc<Value<String>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner).held()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_does_not_grow_with_what_has_ended() {
        let mut list = List { entries: Vec::new(), sweep_at: SWEEP_AFTER_ENTRIES };
        let kept = Arc::new(Value("held-canary-2".to_owned()));
        list.add(&kept);
        for n in 0..10 * SWEEP_AFTER_ENTRIES {
            list.add(&Arc::new(Value(format!("ended-canary-{n}"))));
        }
        assert!(list.entries.len() <= 2 * SWEEP_AFTER_ENTRIES + 2, "{}", list.entries.len());
        assert_eq!(list.held().len(), 1, "what is held stays");
    }
}

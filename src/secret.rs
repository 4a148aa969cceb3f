//! Owns the one type that may hold a secret.
//!
//! Tokens, codes, verifiers, client secrets and proxy passwords are [`Secret`]s from the moment they are read until they
//! are written to the credential store or to the wire. A `Secret` has no `Display` and no `Serialize`, and its `Debug`
//! hides the value, so that it cannot reach a log, an error or a URL by accident; [`Secret::expose`] is the only way out,
//! and easy to search for.
//!
//! Servers quote what they were sent, and write what drives terminals. [`Secrets`] turns a server's words into
//! [`ServerWords`], free of the secrets of that exchange, with nothing hidden in them, and bounded in length; no other words
//! of a server reach a problem or a file. Whatever reaches a problem, a log or a terminal all the same passes
//! [`without_held_secrets`] or [`visible`] there.

use std::fmt;
use std::sync::Arc;

use held::{Listed, Value};

mod encodings;
mod held;
mod mask;
mod visible;

pub use held::hold;
pub use mask::{Secrets, ServerWords, without_held_secrets};
pub use visible::{is_invisible, push_visible, visible, visible_up_to};

/// Replaces a secret.
pub const REDACTED: &str = "[redacted]";

/// A value that must not be shown; its memory is overwritten when its last copy is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Listed = String>(Arc<Value<T>>);

impl<T: Listed> Secret<T> {
    /// Wraps the value; from here on it is never shown, and masked in whatever this process shows.
    pub fn new(value: T) -> Self {
        let secret = Self::unlisted(value);
        T::list(&secret.0);
        secret
    }

    /// Wraps what is handled like a secret because it may contain one, such as any parameter of a redirect: it is never
    /// shown, but masks nothing, since it may be an ordinary word as well.
    pub fn unlisted(value: T) -> Self {
        Self(Arc::new(Value(value)))
    }

    /// The value itself, for the wire or the credential store alone.
    pub fn expose(&self) -> &T {
        &self.0.0
    }
}

impl Secret<String> {
    /// Whether it is empty: an empty environment variable counts as not set.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl<T: Listed> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl From<String> for Secret<String> {
    fn from(value: String) -> Self {
        Self::new(value)
    }
}

impl From<&str> for Secret<String> {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_secret_and_of_what_holds_it_shows_nothing() {
        #[derive(Debug)]
        #[allow(dead_code, reason = "read through Debug alone")]
        struct Holder {
            token: Option<Secret>,
        }
        let shown = format!("{:?} {:#?}", Secret::from("canary"), Holder { token: Some("canary".into()) });
        assert!(!shown.contains("canary"), "{shown}");
    }
}

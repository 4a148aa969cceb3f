//! Checks addresses that a server names, and says in words what is wrong.

use url::Url;

use crate::config::safe_url;

/// The parsed URL, if it may be opened or requested; else what is wrong with it, in words.
pub fn check(text: &str) -> Result<Url, String> {
    safe_url::check(text).map_err(|refused| refused.to_string())
}

//! The rule for addresses that a server names, with what is wrong in words.

use url::Url;

use crate::config::safe_url;

/// The URL in its parsed form, if it may be opened or asked; else what is wrong with it, in words.
pub fn check(text: &str) -> Result<Url, String> {
    safe_url::check(text).map_err(|refused| refused.to_string())
}

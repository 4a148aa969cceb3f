//! The text of a value for people, as in `planhat-mcp config`.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::secret::{REDACTED, Secret};

/// The text in place of a secret.
pub const NOT_SHOWN: &str = "(set, not shown)";

/// A value with a text for people.
pub trait Shown {
    /// Its text, in the syntax of the settings; `None` for an unset value.
    fn shown(&self) -> Option<String>;
}

macro_rules! shown_by_display {
    ($($type:ty),+) => {
        $(impl Shown for $type {
            fn shown(&self) -> Option<String> {
                Some(self.to_string())
            }
        })+
    };
}

shown_by_display!(bool, u16, usize, String);

/// Services document addresses with a key in them, so no value of a query is shown.
impl Shown for Url {
    fn shown(&self) -> Option<String> {
        Some(masked_url(self))
    }
}

/// The address with each value of its query masked.
pub fn masked_url(url: &Url) -> String {
    let Some(query) = url.query().filter(|query| !query.is_empty()) else { return url.to_string() };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((_, "")) => pair.to_owned(),
        Some((name, _)) => format!("{name}={REDACTED}"),
        // A key may stand there alone.
        None if pair.is_empty() => String::new(),
        None => REDACTED.to_owned(),
    });
    let mut shown = url.clone();
    shown.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
    shown.to_string()
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Option<String> {
        self.as_ref().and_then(Shown::shown)
    }
}

impl Shown for Secret {
    fn shown(&self) -> Option<String> {
        Some(NOT_SHOWN.to_owned())
    }
}

impl Shown for Duration {
    fn shown(&self) -> Option<String> {
        Some(self.as_secs().to_string())
    }
}

impl Shown for PathBuf {
    fn shown(&self) -> Option<String> {
        Some(self.display().to_string())
    }
}

/// Parameters in the form of a query.
impl Shown for Vec<(String, String)> {
    fn shown(&self) -> Option<String> {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self).finish();
        (!query.is_empty()).then_some(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_of_a_query_is_shown() {
        for (url, shown) in [
            ("https://a.example/mcp", "https://a.example/mcp"),
            ("https://a.example/mcp?", "https://a.example/mcp?"),
            ("https://a.example/mcp?exaApiKey=s3cret", "https://a.example/mcp?exaApiKey=[redacted]"),
            (
                "https://a.example/mcp?a=s3cret&b=&s3cret&c=x%3Ds3cret=",
                "https://a.example/mcp?a=[redacted]&b=&[redacted]&c=[redacted]",
            ),
        ] {
            let url = Url::parse(url).expect("test URL");
            assert_eq!((masked_url(&url).as_str(), url.shown().as_deref()), (shown, Some(shown)));
        }
    }
}

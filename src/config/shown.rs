//! The text of a value for people, as in `planhat-mcp config`.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::secret::Secret;

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

shown_by_display!(bool, u16, usize, String, Url);

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

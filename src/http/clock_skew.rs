//! The difference between this machine's clock and a server's, from the `Date` header (RFC 9110, 6.6.1).

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap};

/// A smaller difference may be network delay, and does not affect tokens.
const TOLERATED_SKEW: Duration = Duration::from_secs(90);

/// A difference worth mentioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// The size of the difference.
    pub by: Duration,
    /// Whether our clock is ahead.
    pub ahead: bool,
}

impl Skew {
    /// The difference that an answer shows, if it exceeds [`TOLERATED_SKEW`].
    pub fn of(headers: &HeaderMap, now: SystemTime) -> Option<Self> {
        let there = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
        Self::between(there, now)
    }

    /// The difference between the server's time and ours, if it exceeds [`TOLERATED_SKEW`].
    pub fn between(there: SystemTime, now: SystemTime) -> Option<Self> {
        let (by, ahead) = match now.duration_since(there) {
            Ok(by) => (by, true),
            Err(error) => (error.duration(), false),
        };
        (by > TOLERATED_SKEW).then_some(Self { by, ahead })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.by.as_secs();
        let (count, unit) = match seconds {
            0..7_200 => (seconds.div_ceil(60), "minutes"),
            7_200..172_800 => (seconds / 3_600, "hours"),
            _ => (seconds / 86_400, "days"),
        };
        let side = if self.ahead { "ahead of" } else { "behind" };
        write!(f, "This computer's clock is {count} {unit} {side} the server's")
    }
}

#[cfg(test)]
mod tests {
    use crate::http::clock_skew::*;

    #[test]
    fn a_difference_that_matters_is_said_in_words() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |seconds: i64| {
            let distance = Duration::from_secs(seconds.unsigned_abs());
            let there = if seconds < 0 { now - distance } else { now + distance };
            Skew::between(there, now).map(|skew| skew.to_string())
        };
        assert_eq!(at(80), None);
        assert_eq!(at(-80), None);
        assert_eq!(at(-600).as_deref(), Some("This computer's clock is 10 minutes ahead of the server's"));
        assert_eq!(at(3 * 86_400).as_deref(), Some("This computer's clock is 3 days behind the server's"));
    }

    #[test]
    fn an_answer_without_a_date_says_nothing() {
        let mut headers = HeaderMap::new();
        assert_eq!(Skew::of(&headers, SystemTime::now()), None);
        headers.insert(DATE, "yesterday".parse().unwrap());
        assert_eq!(Skew::of(&headers, SystemTime::now()), None);
        headers.insert(DATE, "Thu, 01 Jan 1970 00:00:00 GMT".parse().unwrap());
        assert!(Skew::of(&headers, SystemTime::now()).is_some_and(|skew| skew.ahead));
    }
}

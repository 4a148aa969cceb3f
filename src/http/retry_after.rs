//! `Retry-After` (RFC 9110, 10.2.3): reads it as seconds or a date, and decides how long to wait without it.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::limits::RATE_LIMIT_WAIT;
use crate::pacing::{Backoff, spread};

pub use crate::pacing::noise;

/// The wait that the server asks for, uncapped; `None` if it is absent or malformed.
///
/// A date is relative to the answer's own `Date`, so that a wrong clock on either side does no harm.
pub fn asked_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        return Some(Duration::MAX); // more seconds than fit: surely more than the cap
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let server_now = headers.get(DATE).and_then(|d| d.to_str().ok()).and_then(|d| httpdate::parse_http_date(d).ok());
    Some(at.duration_since(server_now.unwrap_or(now)).unwrap_or(Duration::ZERO))
}

/// The most that is added to a wait that the server asks for.
const RETRY_SPREAD: Duration = Duration::from_millis(500);

/// The waits when the server asks for none.
const DEFAULT_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// How long to wait before attempt `attempt` + 1 (the first attempt is 1), with `noise` in 0..=1 for jitter.
///
/// The wait is never shorter than the server asks for; a little is added so that many waiters do not all return at
/// once. If it asks for nothing, the wait grows. Zero counts as a first attempt each time: a client that takes it
/// literally would use up all its attempts before anything could change.
pub fn wait(asked: Option<Duration>, attempt: u32, noise: f64) -> Duration {
    match asked {
        Some(asked) if !asked.is_zero() => spread(asked.min(RATE_LIMIT_WAIT), RETRY_SPREAD, noise),
        Some(_) => DEFAULT_BACKOFF.wait(1, noise),
        None => DEFAULT_BACKOFF.wait(attempt, noise),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(retry_after: &str, date: Option<SystemTime>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(retry_after).expect("test header"));
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(&httpdate::fmt_http_date(date)).expect("test header"));
        }
        headers
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let date = httpdate::fmt_http_date(now + Duration::from_secs(7));
        assert_eq!(asked_wait(&headers("7", None), now), Some(Duration::from_secs(7)));
        assert_eq!(asked_wait(&headers(&date, None), now), Some(Duration::from_secs(7)));
        assert_eq!(asked_wait(&headers("soon", None), now), None);
        assert_eq!(asked_wait(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_date_is_read_against_the_servers_own_clock() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let theirs = ours + Duration::from_secs(3_600);
        let date = httpdate::fmt_http_date(theirs + Duration::from_secs(5));
        assert_eq!(asked_wait(&headers(&date, Some(theirs)), ours), Some(Duration::from_secs(5)));
        let past = httpdate::fmt_http_date(theirs - Duration::from_secs(5));
        assert_eq!(asked_wait(&headers(&past, Some(theirs)), ours), Some(Duration::ZERO));
    }

    #[test]
    fn the_server_is_never_asked_again_sooner_than_it_said_nor_later_than_the_cap() {
        for noise in [0.0, 0.5, 1.0] {
            let two = wait(Some(Duration::from_secs(2)), 1, noise);
            assert!(two >= Duration::from_secs(2) && two <= Duration::from_millis(2_500), "{two:?}");
            let day = wait(Some(Duration::from_secs(86_400)), 1, noise);
            assert!(day >= RATE_LIMIT_WAIT && day <= RATE_LIMIT_WAIT + Duration::from_millis(500), "{day:?}");
        }
        assert_eq!(wait(Some(Duration::MAX), 1, 0.0), RATE_LIMIT_WAIT);
    }

    #[test]
    fn when_the_server_asks_for_no_wait_it_grows_and_stays_bounded() {
        assert_eq!(wait(None, 1, 1.0), Duration::from_secs(1));
        assert_eq!(wait(None, 3, 1.0), Duration::from_secs(4));
        assert_eq!(wait(None, 60, 1.0), Duration::from_secs(30));
        assert_eq!(wait(None, 60, 0.0), Duration::from_millis(100));
        assert_eq!(wait(Some(Duration::ZERO), 3, 1.0), Duration::from_secs(1));
    }
}

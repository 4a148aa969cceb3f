//! How long a server keeps an idle connection. A request that goes out just when the server closes it is lost, and nobody
//! knows whether it was executed; so this side lets go first.

use std::time::Duration;

use reqwest::Version;
use reqwest::header::HeaderMap;

/// How long an idle HTTP/1.1 connection is kept where the server does not say: many close theirs after five seconds.
pub(super) const SILENT_SERVER_IDLE: Duration = Duration::from_secs(4);
/// How much earlier than the server this side lets go.
const MARGIN: Duration = Duration::from_secs(1);

/// How long an idle connection like that of this answer may be kept, unless it has no such end: HTTP/2 says goodbye before it
/// closes, and names the last request that it took.
pub(super) fn idle_of(version: Version, headers: &HeaderMap) -> Option<Duration> {
    if version > Version::HTTP_11 {
        return None;
    }
    let said = headers.get_all("keep-alive").iter().filter_map(|value| value.to_str().ok()).find_map(timeout_in);
    Some(said.map_or(SILENT_SERVER_IDLE, |timeout| timeout.saturating_sub(MARGIN)))
}

/// `timeout=5` in `Keep-Alive: timeout=5, max=100`.
fn timeout_in(value: &str) -> Option<Duration> {
    value.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        let seconds = seconds.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_let_go_before_the_server_closes_it() {
        let idle = |version, value: &[&'static str]| {
            let headers = value.iter().map(|v| ("keep-alive".parse().expect("a name"), v.parse().expect("a value")));
            idle_of(version, &headers.collect()).map(|idle| idle.as_secs())
        };
        for (value, expected) in [
            (&[][..], 4),
            (&["timeout=5"], 4),
            (&["timeout=2, max=100"], 1),
            (&["max=100, Timeout = \"60\""], 59),
            (&["timeout=0"], 0),
            (&["timeout=soon"], 4),
            (&["max=5"], 4),
            (&["max=5", "timeout=3"], 2),
        ] {
            assert_eq!(idle(Version::HTTP_11, value), Some(expected), "{value:?}");
        }
        assert_eq!(idle(Version::HTTP_10, &[]), Some(4));
        assert_eq!(idle(Version::HTTP_2, &["timeout=5"]), None);
    }
}

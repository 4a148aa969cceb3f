//! Invariants of every `Retry-After` and every cookie; the fuzz targets `retry_after` and `cookies` look for a value that
//! breaks one.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use url::Url;

use super::cookies::CookieJar;
use super::retry_after::{asked_wait, wait};
use crate::limits::{COOKIES_BYTES, MAX_COOKIES, RATE_LIMIT_WAIT};

/// Any `Retry-After` is parsed without a panic, honoured up to the cap, and never undercut. The second line is the
/// answer's `Date`.
pub fn retry_after(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [RETRY_AFTER, DATE] {
        if let Some(value) = lines.next().and_then(|line| HeaderValue::from_bytes(line).ok()) {
            headers.insert(name, value);
        }
    }
    let asked = asked_wait(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let value = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = value.trim_start_matches('0');
        let seconds = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(u64::MAX) };
        assert_eq!(asked.map(|wait| wait.as_secs()), Some(seconds));
    }
    for attempt in [1, 2, 8, u32::MAX] {
        for noise in [0.0, 0.5, 1.0] {
            let waits = wait(asked, attempt, noise);
            assert!(waits <= RATE_LIMIT_WAIT + Duration::from_millis(500));
            assert!(waits >= asked.unwrap_or(Duration::from_millis(100)).min(RATE_LIMIT_WAIT));
        }
    }
}

/// Whatever a server sets, a line for each cookie: the jar stays within its bounds, what it sends was set, and nothing of it
/// goes to another origin.
pub fn cookies(data: &[u8]) {
    let url = |text: &str| Url::parse(text).expect("an address");
    let (endpoint, below) = (url("https://mcp.example.com/a/mcp"), url("https://mcp.example.com/a/b/c"));
    let others = ["http://mcp.example.com/a/mcp", "https://mcp.example.com:444/a/mcp", "https://example.com/a/mcp"];
    let text = String::from_utf8_lossy(data);
    let mut jar = CookieJar::of(&endpoint);
    for (n, line) in text.lines().enumerate() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + n as u64);
        others.iter().for_each(|other| jar.set(line, &url(other), now));
        if n == 0 {
            assert_eq!(jar.size(), (0, 0), "another origin sets nothing");
        }
        jar.set(line, if n % 2 == 0 { &endpoint } else { &below }, now);
        let (count, bytes) = jar.size();
        assert!(count <= MAX_COOKIES && bytes <= COOKIES_BYTES, "{count} cookies, {bytes} bytes");
        assert!(others.iter().all(|other| jar.header(&url(other), now).is_none()));
        let Some(header) = jar.header(&endpoint, now) else { continue };
        assert!(header.is_sensitive(), "a cookie may be a secret");
        let header = String::from_utf8_lossy(header.as_bytes()).into_owned();
        assert!(header.len() <= bytes + 3 * count, "an equals sign, a semicolon and a space for each");
        for pair in header.split("; ") {
            let name = pair.split('=').next().unwrap_or_default();
            assert!(text.contains(name), "{name:?} was not set");
        }
    }
    jar.clear();
    assert_eq!(jar.size(), (0, 0));
}

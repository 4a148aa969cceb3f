//! Invariants of every `Retry-After`; the fuzz target `retry_after` looks for a value that breaks one.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::retry_after::{LONGEST_WAIT, asked_wait, wait};

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
            assert!(waits <= LONGEST_WAIT + Duration::from_millis(500));
            assert!(waits >= asked.unwrap_or(Duration::from_millis(100)).min(LONGEST_WAIT));
        }
    }
}

//! Invariants of every line of the log; the fuzz target `redact` looks for a line that breaks one.

use super::redact;

/// Masking removes secrets and adds only the mask, and a secret is masked whatever precedes it.
pub fn redacted(before: &[u8]) {
    let before = String::from_utf8_lossy(before);
    let mut rest = &*before;
    for kept in redact(&before).split("[redacted]") {
        let at = rest.find(kept).expect("what is kept stands in its order");
        rest = &rest[at + kept.len()..];
    }
    if before.contains("canary") {
        return; // what stands before is no secret by itself
    }
    for secret in [
        "access_token=canary-canary",
        "Authorization: Bearer canary-canary",
        "{\"refresh_token\":\"canary-canary\"}",
        "client_secret: canary-canary",
        "sk_canary_canary",
    ] {
        let line = format!("{before}\n{secret}");
        assert!(!redact(&line).contains("canary-canary") && !redact(&line).contains("sk_canary"), "{line}");
    }
}

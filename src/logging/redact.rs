//! Masks what looks like a secret in a line of text.

use std::borrow::Cow;

use crate::secret::REDACTED as MASK;

/// Names whose value is secret, as in a query, a form, JSON, a header or `Debug` output.
const NAMES: &[&str] = &[
    "access_token",
    "api_key",
    "assertion",
    "authorization",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "cookie",
    "device_code",
    "id_token",
    "passwd",
    "password",
    "proxy-authorization",
    "refresh_token",
    "requeststate",
    "secret",
    "set-cookie",
    "token",
    "verifier",
];

/// The prefixes of secrets that are recognisable on their own.
const PREFIXES: &[&str] = &["sk_", "eyj"];

/// Authentication schemes whose credentials follow after a space.
const SCHEMES: &[&str] = &["bearer", "basic", "dpop"];

/// `line` with everything that looks like a secret masked; borrowed if nothing does.
pub fn redact(line: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while at < line.len() {
        let word_end = at + word_length(&line[at..]);
        if word_end == at {
            if let Some(userinfo) = userinfo_after(line, at) {
                out.push_str(&line[copied..userinfo.start]);
                out.push_str(MASK);
                (copied, at) = (userinfo.end, userinfo.end);
                continue;
            }
            at += line[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        }
        match secret_span(line, at, word_end) {
            Some(span) => {
                out.push_str(&line[copied..span.start]);
                out.push_str(MASK);
                (copied, at) = (span.end, span.end);
            }
            None => at = word_end,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(line);
    }
    out.push_str(&line[copied..]);
    Cow::Owned(out)
}

/// The secret that the word at `start..end` is, or introduces.
fn secret_span(line: &str, start: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let word = line[start..end].to_ascii_lowercase();
    if PREFIXES.iter().any(|prefix| word.starts_with(prefix) && word.len() >= prefix.len() + 4) {
        return Some(start..start + token_length(&line[start..]));
    }
    if SCHEMES.contains(&word.as_str()) && line[end..].starts_with(' ') {
        let value = end + 1;
        let length = token_length(&line[value..]);
        // "a bearer token" is a phrase; credentials are longer, or contain more than lower-case letters.
        let is_word = line[value..value + length].bytes().all(|byte| byte.is_ascii_lowercase());
        return (length >= 6 && !is_word || length >= 16).then(|| value..value + length);
    }
    if !NAMES.contains(&word.as_str()) {
        return None;
    }
    let mut value = end;
    let rest = |from: usize| line[from..].bytes();
    value += rest(value).take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\')).count();
    let by_equals = rest(value).next() == Some(b'=');
    if !by_equals && rest(value).next() != Some(b':') {
        return None;
    }
    value += 1;
    value += rest(value).take_while(|byte| *byte == b' ').count();
    // `Debug` writes an optional value as `Some("...")`.
    value += if line[value..].starts_with("Some(") { 5 } else { 0 };
    let quotes = rest(value).take_while(|byte| matches!(byte, b'"' | b'\'' | b'\\')).count();
    value += quotes;
    let is_header = matches!(word.as_str(), "authorization" | "proxy-authorization" | "cookie" | "set-cookie");
    let length = if is_header {
        line[value..].find(['"', '\'', '\n']).unwrap_or(line.len() - value)
    } else if quotes > 0 {
        line[value..].find(['"', '\'', '\\', '\n']).unwrap_or(line.len() - value)
    } else {
        token_length(&line[value..])
    };
    // `code: -32600` and `"code":400` are error codes; an authorization code is longer.
    let shortest = if matches!(word.as_str(), "code" | "token" | "secret") && !by_equals { 8 } else { 1 };
    let already = line[value..].starts_with(MASK) || length == 0;
    (!already && length >= shortest).then(|| value..value + length)
}

/// `user:password` in `scheme://user:password@host`, when `at` is the colon of `://`.
fn userinfo_after(line: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let rest = line[at..].strip_prefix("://")?;
    let authority = &rest[..rest.find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c)).unwrap_or(rest.len())];
    let length = authority.rfind('@')?;
    (length > 0).then(|| at + 3..at + 3 + length)
}

/// A name: letters, digits, `_` and `-`.
fn word_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')).count()
}

/// A credential: the characters that RFC 6750 and RFC 3986 allow, up to a delimiter.
fn token_length(text: &str) -> usize {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=%!*$".contains(&byte);
    text.bytes().take_while(|byte| allowed(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_in_which_a_secret_is_written_is_masked() {
        for line in [
            "Authorization: Bearer canary",
            "authorization: \"Basic Y2FuYXJ5OmNhbmFyeQ==canary\"",
            "header bearer canary-canary-canary",
            "sent BEARER Canary.1",
            "POST code=canary&state=x",
            "GET /callback?state=x&code=canary%2F HTTP/1.1",
            "{\"access_token\":\"canary\",\"expires_in\":1}",
            "{\\\"refresh_token\\\": \\\"canary\\\"}",
            "client_secret=canary",
            "TokenResponse { access_token: \"canary\", id_token: Some(\"canary\") }",
            "code_verifier=canary",
            "\"code\": \"canary-canary\"",
            "key sk_canary_1 in the text",
            "token eyJhbGciOi.canary.canary",
            "Set-Cookie: session=canary; Path=/",
            "cookie: a=canary; b=canary",
            "via http://me:canary@proxy.example:8080/",
            "password: canary",
            "token=canary",
        ] {
            let shown = redact(line);
            assert!(!shown.contains("canary") && shown.contains(MASK), "{line} -> {shown}");
        }
    }

    #[test]
    fn what_stands_beside_a_secret_stays_readable() {
        assert_eq!(redact("code=abc&state=xyz"), "code=[redacted]&state=xyz");
        assert_eq!(
            redact("{\"access_token\":\"abc\",\"expires_in\":1}"),
            "{\"access_token\":\"[redacted]\",\"expires_in\":1}"
        );
        assert_eq!(redact("via http://me:pw@proxy:8080/ now"), "via http://[redacted]@proxy:8080/ now");
        assert_eq!(redact("Bearer abc.def é sk_12345 ü"), "Bearer [redacted] é [redacted] ü");
    }

    #[test]
    fn ordinary_text_passes_without_a_copy() {
        for line in [
            "error code: -32600",
            "{\"code\":-32001,\"message\":\"x\"}",
            "exit code 2",
            "a bearer token is needed",
            "the token: none",
            "renewed the access token, expires in 3600 s",
            "https://ws.planhat.com/oauth/authorize?client_id=pk_1&code_challenge=abc&state=x",
            "",
        ] {
            assert!(matches!(redact(line), Cow::Borrowed(_)), "{line} -> {}", redact(line));
        }
    }

    #[test]
    fn masking_twice_changes_nothing_more() {
        let once = redact("Authorization: Bearer abcdef code=x access_token=y").into_owned();
        assert_eq!(redact(&once), once);
    }
}

//! `WWW-Authenticate` (RFC 9110, 11.6.1; RFC 6750, 3; RFC 9728, 5.1): reads the Bearer challenge of a 401 or 403.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};

use crate::http::AddressSource;
use crate::limits::CHALLENGE_BYTES;
use crate::secret::Secrets;

/// A Bearer challenge; absent parameters are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Where the protected resource describes itself (RFC 9728, 5.1).
    pub resource_metadata: Option<String>,
    /// The scope that the request needs (RFC 6750, 3).
    pub scope: Option<String>,
    /// `invalid_token`, `insufficient_scope`, … (RFC 6750, 3.1).
    pub error: Option<String>,
    /// The server's words.
    pub error_description: Option<String>,
    /// Who sent it; `None` before any server has answered.
    pub from: Option<AddressSource>,
}

impl Challenge {
    /// The Bearer challenge of an answer, with the request's secrets masked; empty if there is none.
    pub fn from_headers(headers: &HeaderMap, sent: &Secrets) -> Self {
        let mut best: Option<Self> = None;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let text = String::from_utf8_lossy(value.as_bytes());
            for raw in parse(shortened(&text)) {
                if !raw.scheme.eq_ignore_ascii_case("bearer") {
                    continue;
                }
                let challenge = Self::of(&raw, sent);
                // Of several Bearer challenges, prefer one with `resource_metadata`.
                if best.as_ref().is_none_or(|b| b.resource_metadata.is_none() && challenge.resource_metadata.is_some())
                {
                    best = Some(challenge);
                }
            }
        }
        best.unwrap_or_default()
    }

    /// This challenge, attributed to its sender.
    #[must_use]
    pub fn sent_by(self, from: AddressSource) -> Self {
        Self { from: Some(from), ..self }
    }

    /// Whether it has no parameters.
    pub fn is_empty(&self) -> bool {
        *self == Self { from: self.from, ..Self::default() }
    }

    /// Merges this challenge over an earlier one: a server need not repeat its metadata URL. What the earlier one named
    /// becomes no more trustworthy because a different server answers under the same name now.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        if self.is_empty() {
            return Self { from: before.from.max(self.from), ..before.clone() };
        }
        match &self.resource_metadata {
            Some(_) => self,
            None => {
                let resource_metadata = before.resource_metadata.clone();
                Self { resource_metadata, from: before.from.max(self.from), ..self }
            }
        }
    }

    /// Whether the token is valid but lacks scope (RFC 6750, 3.1).
    pub fn is_insufficient_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

impl Challenge {
    fn of(raw: &Raw, sent: &Secrets) -> Self {
        let get = |name: &str| {
            raw.params
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, v)| sent.masked(v))
                .filter(|v| !v.is_empty())
        };
        Self {
            resource_metadata: get("resource_metadata"),
            scope: get("scope"),
            error: get("error"),
            error_description: get("error_description"),
            from: None,
        }
    }
}

/// The first [`CHALLENGE_BYTES`] bytes.
fn shortened(text: &str) -> &str {
    let end = (0..=CHALLENGE_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// One challenge: its scheme and parameters.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    scheme: String,
    params: Vec<(String, String)>,
}

/// All challenges of one header value; unreadable parts are skipped up to the next comma.
fn parse(text: &str) -> Vec<Raw> {
    let mut challenges: Vec<Raw> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return challenges;
        }
        let (word, after) = split_while(rest, is_token);
        if word.is_empty() {
            rest = rest.find(',').map_or("", |comma| &rest[comma..]);
            continue;
        }
        let spaced = after.trim_start_matches([' ', '\t']);
        if let Some(value) = spaced.strip_prefix('=')
            && let Some(challenge) = challenges.last_mut()
        {
            let (value, after) = parameter_value(value.trim_start_matches([' ', '\t']));
            challenge.params.push((word.to_owned(), value));
            rest = after;
            continue;
        }
        challenges.push(Raw { scheme: word.to_owned(), params: Vec::new() });
        rest = skip_token68(spaced);
    }
}

fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        // Some servers forget the quotes around URLs, so this accepts more than a token.
        let (value, rest) = split_while(text, |c| !matches!(c, ',' | ' ' | '\t'));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// Skips the single opaque value (`token68`) that some schemes have instead of parameters (`Negotiate abc==`).
fn skip_token68(text: &str) -> &str {
    let (_, rest) = split_while(text, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/'));
    let rest = rest.trim_start_matches('=');
    if rest.is_empty() || rest.starts_with(',') { rest } else { text }
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use crate::auth::discovery::challenge::*;

    fn read(values: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::from_headers(&headers, &Secrets::none())
    }

    #[test]
    fn the_bearer_challenge_is_found_among_others_in_any_order_and_case() {
        let url = "https://h/.well-known/oauth-protected-resource";
        for value in [
            format!(r#"Bearer resource_metadata="{url}", scope="a b""#),
            format!(r#"bEaReR scope="a b" , RESOURCE_METADATA = "{url}""#),
            format!(
                r#"Negotiate abc==, Basic realm="x, Bearer scope=\"no\"", Bearer scope="a b",resource_metadata={url}"#
            ),
            format!(
                r#"DPoP algs="ES256", Bearer realm="q", error="invalid_token", scope="a b", resource_metadata="{url}", Digest nonce=1"#
            ),
            format!(r#",, Basic , Bearer scope="a b", resource_metadata="{url}",,"#),
        ] {
            let challenge = read(&[&value]);
            assert_eq!(challenge.resource_metadata.as_deref(), Some(url), "{value}");
            assert_eq!(challenge.scope.as_deref(), Some("a b"), "{value}");
        }
    }

    #[test]
    fn several_headers_are_read_and_the_one_that_leads_further_wins() {
        let challenge = read(&["Basic realm=x", "Bearer realm=\"y\"", r#"Bearer resource_metadata="https://h/m""#]);
        assert_eq!(challenge.resource_metadata.as_deref(), Some("https://h/m"));
    }

    #[test]
    fn escapes_are_undone_and_nonsense_is_survived() {
        assert_eq!(
            read(&[r#"Bearer error_description="say \"hi\" \\ now""#]).error_description.unwrap(),
            r#"say "hi" \ now"#
        );
        for value in [
            "",
            "Bearer",
            "=",
            "Bearer =",
            "Bearer scope",
            r#"Bearer scope=""#,
            "Bearer scope=,",
            "\"",
            "Bearer scope=\"x\\",
        ] {
            read(&[value]);
        }
    }

    #[test]
    fn what_a_public_server_has_said_is_not_trusted_more_because_an_inner_one_answers_under_its_name() {
        let named = read(&[r#"Bearer resource_metadata="https://h/m""#]);
        let public = named.clone().sent_by(AddressSource::Public);
        for later in [Challenge::default(), read(&["Bearer scope=x"])] {
            let both = later.sent_by(AddressSource::Insider).after(&public);
            assert_eq!((both.from, &both.resource_metadata), (Some(AddressSource::Public), &named.resource_metadata));
        }
        assert_eq!(
            named.sent_by(AddressSource::Insider).after(&public).from,
            Some(AddressSource::Insider),
            "it says so itself"
        );
    }

    #[test]
    fn insufficient_scope_is_recognised() {
        assert!(read(&[r#"Bearer error="insufficient_scope", scope="x""#]).is_insufficient_scope());
        assert!(!read(&["Bearer"]).is_insufficient_scope());
    }

    #[test]
    fn a_challenge_is_read_up_to_its_bound() {
        let after = |bytes: usize| format!("{}Bearer error=insufficient_scope", ",".repeat(bytes));
        let challenge = "Bearer error=insufficient_scope".len();
        assert!(read(&[&after(CHALLENGE_BYTES - challenge)]).is_insufficient_scope());
        assert!(!read(&[&after(CHALLENGE_BYTES)]).is_insufficient_scope());
    }
}

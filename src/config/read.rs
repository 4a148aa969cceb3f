//! The readers for the table: each parses the text of one setting, or explains what is wrong with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::files;
use crate::limits::MAX_REQUESTS_IN_FLIGHT;

use crate::problem::{Problem, ProblemId};
use crate::secret::{self, REDACTED, Secret};

use super::choices::Choice;
use super::hosts::HostPattern;
use super::origin::Origin;
use super::paths::expand;
use super::raw_setting::RawSetting;
use super::safe_url;
use super::server::{self, Product, UrlRefused};
use super::shown::masked_url;

/// `production` or `demo`, or the address that a browser shows there.
pub fn tenant(raw: &RawSetting) -> Result<Product, Problem> {
    raw.parsed(Product::of_words)
}

/// The address that a host, with or without a path, may stand for.
fn with_scheme(text: &str) -> Option<Url> {
    if text.contains("sk_") {
        return None; // a secret that has come to the wrong place
    }
    let host = text.split('/').next().filter(|host| host.contains('.') && !text.contains("://"))?;
    let has_port_at_most = host.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok());
    has_port_at_most.then(|| server::parse_url(&format!("https://{text}")).ok())?
}

/// The address of an MCP endpoint.
pub fn server_url(raw: &RawSetting) -> Result<Url, Problem> {
    let text = raw.text();
    // A command that a message has shown, and that nobody has put the key into.
    if text.contains(REDACTED) {
        return Err(raw.bad_unseen_value("an address with [redacted] in it: put your own key there"));
    }
    server::parse_url(text).map_err(|refused| match refused {
        // An unparsable address may contain a password.
        UrlRefused::Invalid if text.contains('@') => raw.bad_unseen_value("an address with a user name or password"),
        UrlRefused::Invalid => match Url::parse(text) {
            Ok(url) if url.query().is_some() => raw.bad_unseen_value(&masked_url(&url)),
            _ => match with_scheme(text) {
                Some(url) => {
                    let shown = masked_url(&url);
                    let found = if text.contains('?') { shown.trim_start_matches("https://") } else { text };
                    raw.bad_unseen_value(found).with("suggestion", shown)
                }
                None => raw.bad_value(),
            },
        },
        UrlRefused::Insecure => {
            let shown = Url::parse(text).map_or_else(|_| text.to_owned(), |url| masked_url(&url));
            Problem::new(ProblemId::InsecureUrl).with("url", shown).with("origin", &raw.origin)
        }
    })
}

/// A profile name that is valid in file names.
pub fn profile(raw: &RawSetting) -> Result<String, Problem> {
    raw.parsed(|text| server::is_profile_name(text).then(|| text.to_owned()))
}

/// A client id (RFC 6749, A.1), unless it looks like one of Planhat's client secrets.
pub fn client_id(raw: &RawSetting) -> Result<Option<String>, Problem> {
    if raw.text().starts_with("sk_") {
        return Err(match raw.origin {
            Origin::Flag(_) => Problem::new(ProblemId::SecretInArguments).with("flag", "--client-id"),
            _ => raw.bad_unseen_value("what looks like the client secret (sk_...)"),
        });
    }
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    raw.parsed(|text| visible(text).then(|| Some(text.to_owned())))
}

/// A client secret: any text.
pub fn client_secret(raw: &RawSetting) -> Result<Option<Secret>, Problem> {
    Ok(Some(raw.secret()))
}

/// An access token that a header can carry.
pub fn token(raw: &RawSetting) -> Result<Option<Secret>, Problem> {
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
    raw.parsed(|text| visible(text).then(|| Some(raw.secret())))
}

/// Scopes, in the characters of RFC 6749, 3.3; an empty value leaves the choice to the server.
pub fn scope(raw: &RawSetting) -> Result<Option<String>, Problem> {
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let scope = raw.parsed(|text| text.bytes().all(allowed).then(|| text.trim().to_owned()))?;
    Ok(Some(scope).filter(|scope| !scope.is_empty()))
}

/// One of a few words.
pub fn choice<T: Choice>(raw: &RawSetting) -> Result<T, Problem> {
    raw.parsed(T::of_word)
}

/// One of a few words, without a default.
pub fn some_choice<T: Choice>(raw: &RawSetting) -> Result<Option<T>, Problem> {
    choice(raw).map(Some)
}

/// `true` or `false`.
pub fn truth(raw: &RawSetting) -> Result<bool, Problem> {
    raw.parsed(|text| text.parse().ok())
}

/// A port to listen on.
pub fn port(raw: &RawSetting) -> Result<u16, Problem> {
    raw.parsed(|text| text.parse().ok().filter(|port| *port != 0))
}

/// A number within these bounds.
pub fn number<const MIN: u64, const MAX: u64>(raw: &RawSetting) -> Result<usize, Problem> {
    let number = raw.parsed(|text| text.parse().ok().filter(|number| (MIN..=MAX).contains(number)))?;
    usize::try_from(number).map_err(|_| raw.bad_value())
}

/// How many requests may be at the server at once: a number from 1 to 10000, up to [`MAX_REQUESTS`], which is all that can
/// be in flight.
pub fn requests_at_once(raw: &RawSetting) -> Result<usize, Problem> {
    number::<1, 10_000>(raw).map(|number| number.min(MAX_REQUESTS_IN_FLIGHT))
}

/// Whole seconds within these bounds.
pub fn seconds<const MIN: u64, const MAX: u64>(raw: &RawSetting) -> Result<Duration, Problem> {
    raw.parsed(|text| text.parse().ok().filter(|number| (MIN..=MAX).contains(number)).map(Duration::from_secs))
}

/// A path; see [`expand`].
pub fn path(raw: &RawSetting) -> Result<Option<PathBuf>, Problem> {
    raw.parsed(|text| (!text.trim().is_empty()).then(|| Some(expand(text, folder_of(&raw.origin)))))
}

/// Relative paths in the configuration file start at the file's folder.
fn folder_of(origin: &Origin) -> Option<&Path> {
    match origin {
        Origin::File { path, .. } | Origin::Organisation { path, .. } => path.parent(),
        _ => None,
    }
}

/// The URL of a client ID metadata document. The draft demands https, a path, no fragment and no user name.
pub fn metadata_url(raw: &RawSetting) -> Result<Option<Url>, Problem> {
    let is_document = |url: &Url| url.scheme() == "https" && url.path() != "/";
    raw.parsed(|text| server::parse_url(text).ok().filter(is_document).map(Some))
}

/// The address of an endpoint that receives secrets.
pub fn endpoint(raw: &RawSetting) -> Result<Option<Url>, Problem> {
    raw.parsed(|text| server::parse_url(text).ok().map(Some))
}

/// The identifier of a resource: an absolute URI without a fragment (RFC 8707, 2), in the characters of RFC 3986.
pub fn resource(raw: &RawSetting) -> Result<Option<String>, Problem> {
    let is_uri = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
    let is_absolute = |text: &str| Url::parse(text).is_ok_and(|url| url.fragment().is_none());
    raw.parsed(|text| (is_uri(text) && is_absolute(text)).then(|| Some(text.to_owned())))
}

/// An issuer identifier: https (or http to this machine), without a query or a fragment (RFC 8414, 2).
pub fn issuer(raw: &RawSetting) -> Result<Option<String>, Problem> {
    let is_issuer = |url: &Url| url.query().is_none() && url.fragment().is_none();
    let is_uri = resource(raw)?.is_some();
    raw.parsed(|text| safe_url::check(text).ok().filter(|url| is_uri && is_issuer(url)).map(|_| Some(text.to_owned())))
}

/// Parameters that this program sets itself, or does not implement.
const PROTOCOL_PARAMS: [&str; 12] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "request",
    "request_uri",
];

/// Parameters in the form of a query, none of them the protocol's own.
pub fn authorize_params(raw: &RawSetting) -> Result<Vec<(String, String)>, Problem> {
    let param = |pair: &str| {
        let (name, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
        let own = PROTOCOL_PARAMS.iter().any(|own| name.eq_ignore_ascii_case(own));
        (pair.contains('=') && !name.is_empty() && !own).then(|| (name.into_owned(), value.into_owned()))
    };
    raw.parsed(|text| text.split('&').map(param).collect())
}

/// The address of a proxy; argv must not contain one with a password.
pub fn proxy(raw: &RawSetting) -> Result<Option<Secret>, Problem> {
    let url = proxy_url(raw)?;
    hold_password(&url);
    Ok(Some(Secret::unlisted(url.to_string())))
}

/// Of the address of a proxy, the password alone is masked wherever it is shown.
pub fn hold_password(url: &Url) {
    if let Some(password) = url.password() {
        secret::hold(password);
        let field = format!("={}", password.replace('+', "%2B"));
        url::form_urlencoded::parse(field.as_bytes()).for_each(|(_, decoded)| secret::hold(&decoded));
    }
}

fn proxy_url(raw: &RawSetting) -> Result<Url, Problem> {
    let text = raw.text();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let refused = || raw.bad_unseen_value("not a proxy address");
    let url = Url::parse(&with_scheme).map_err(|_| refused())?;
    if url.password().is_some() && matches!(raw.origin, Origin::Flag(_)) {
        return Err(Problem::new(ProblemId::SecretInArguments).with("flag", "--proxy"));
    }
    let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    if known && url.has_host() { Ok(url) } else { Err(refused()) }
}

/// The address of a proxy without user name and password.
pub fn proxy_without_userinfo(raw: &RawSetting) -> Option<String> {
    let mut shown = proxy_url(raw).ok()?;
    // These fail only for addresses without a host.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    Some(shown.to_string())
}

/// Patterns of host names.
pub fn hosts(raw: &RawSetting) -> Result<Vec<HostPattern>, Problem> {
    raw.parsed(HostPattern::parse_all)
}

/// The client secret from the file that `raw` names, or `from_stdin` for `-`.
pub fn secret_file(raw: &RawSetting, from_stdin: Option<&Secret>) -> Result<Secret, Problem> {
    let refused = |detail: &dyn std::fmt::Display| {
        let file = if raw.text() == "-" { "standard input" } else { raw.text() };
        Problem::new(ProblemId::SecretFileUnusable).with("file", file).with("detail", detail)
    };
    let secret = match raw.text() {
        "-" => from_stdin.cloned().ok_or_else(|| refused(&"only the command login can read it from standard input"))?,
        text => {
            let path = expand(text, folder_of(&raw.origin));
            Secret::new(files::read_given_text(&path).map_err(|error| refused(&error))?)
        }
    };
    let trimmed = Secret::from(secret.expose().trim());
    match trimmed.expose() {
        text if text.is_empty() => Err(refused(&"no secret was entered, or the file is empty")),
        text if text.contains(char::is_whitespace) => Err(refused(&"it contains spaces")),
        _ => Ok(trimmed),
    }
}

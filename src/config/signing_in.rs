//! The settings of signing in: who the client is, what it asks for, and where the browser comes back to.

use url::Url;

use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

use super::client_key::{KeyAlgorithm, KeySettings};
use super::file::Given;
use super::key::Key;
use super::layers::Inputs;
use super::origin::Origin;
use super::paths::expand;
use super::resolve::{REDACTED, Report, bad_value_unseen, folder_of};
use super::server;
use super::settings::{CallbackHost, Settings, SignInPolicy};

/// Reads all that has to do with signing in.
pub(super) fn read(settings: &mut Settings, report: &mut Report<'_>, inputs: &Inputs) -> Result<(), Problem> {
    client(settings, report, inputs)?;
    flow(settings, report)?;
    special(settings, report)
}

fn client(settings: &mut Settings, report: &mut Report<'_>, inputs: &Inputs) -> Result<(), Problem> {
    let planhat = settings.product.is_planhat();
    if let Some(given) = report.layers.winner(Key::ClientId).filter(|given| given.text.expose().starts_with("sk_")) {
        return Err(match given.origin {
            Origin::Flag(_) => Problem::new(ProblemId::SecretInArguments).with("flag", "--client-id"),
            _ => bad_value_unseen(given, "what looks like the client secret (sk_...)"),
        });
    }
    let visible = |text: &str| !text.is_empty() && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    settings.oauth.client_id = report.take(Key::ClientId, |text| visible(text).then(|| text.to_owned()))?;
    report.default(Key::ClientId, None);

    let secret = report.layers.either(Key::ClientSecret, Key::ClientSecretFile)?.cloned();
    if let Some(given) = secret {
        let secret = client_secret(&given, inputs)?;
        if planhat && secret.expose().starts_with("pk_") {
            return Err(bad_value_unseen(&given, "what looks like the client id (pk_...)"));
        }
        if settings.oauth.client_id.is_none() {
            return Err(Problem::new(ProblemId::SecretWithoutClientId).with("origin", &given.origin));
        }
        let shown = if given.key == Key::ClientSecret { REDACTED } else { given.text.expose() };
        report.row(given.key, Some(shown.to_owned()), given.origin.clone());
        settings.oauth.client_secret = Some(secret);
    }
    report.default(Key::ClientSecret, None);
    report.default(Key::ClientSecretFile, None);

    let token_char = |byte: u8| (0x21..=0x7e).contains(&byte);
    settings.static_token = report
        .take(Key::Token, |text| (!text.is_empty() && text.bytes().all(token_char)).then(|| text.to_owned()))?
        .map(Secret::new);
    report.default(Key::Token, None);

    Ok(())
}

fn flow(settings: &mut Settings, report: &mut Report<'_>) -> Result<(), Problem> {
    // An empty scope leaves the choice to the server (RFC 6749, 3.3 has the characters).
    let scope_char = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let scope = report.take(Key::Scope, |text| text.bytes().all(scope_char).then(|| text.trim().to_owned()))?;
    match scope {
        Some(scope) => settings.oauth.scope = Some(scope).filter(|scope| !scope.is_empty()),
        None if settings.product.is_planhat() => report.row(Key::Scope, settings.oauth.scope.clone(), Origin::BuiltIn),
        None => report.default(Key::Scope, None),
    }

    let policy = |text: &str| [SignInPolicy::Auto, SignInPolicy::Manual].into_iter().find(|p| p.as_str() == text);
    settings.sign_in = report.take(Key::SignIn, policy)?.unwrap_or(settings.sign_in);
    report.default(Key::SignIn, Some(settings.sign_in.as_str().to_owned()));

    let host = |text: &str| [CallbackHost::Ipv4, CallbackHost::Localhost].into_iter().find(|h| h.as_str() == text);
    let callback = &mut settings.oauth.callback;
    callback.host = report.take(Key::CallbackHost, host)?.unwrap_or(callback.host);
    report.default(Key::CallbackHost, Some(callback.host.as_str().to_owned()));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
    if let Some(port) = report.take(Key::CallbackPort, port)? {
        callback.port = port;
        callback.free = false;
    }
    report.default(Key::CallbackPort, Some(callback.port.to_string()));
    Ok(())
}

/// What only some servers, and clients without a person, need.
fn special(settings: &mut Settings, report: &mut Report<'_>) -> Result<(), Problem> {
    let oauth = &mut settings.oauth;
    oauth.metadata_url = report.take(Key::ClientMetadataUrl, metadata_url)?;
    report.default(Key::ClientMetadataUrl, None);
    oauth.token_endpoint = report.take(Key::TokenEndpoint, |text| server::parse_url(text).ok())?;
    report.default(Key::TokenEndpoint, None);
    oauth.authorize_params = report.take(Key::AuthorizeParam, authorize_params)?.unwrap_or_default();
    report.default(Key::AuthorizeParam, None);
    for (key, value) in [
        (Key::ClientCredentials, &mut oauth.client_credentials),
        (Key::NoResource, &mut oauth.no_resource),
        (Key::IdToken, &mut oauth.id_token),
    ] {
        *value = report.take(key, |text: &str| text.parse().ok())?.unwrap_or(*value);
        report.default(key, Some(value.to_string()));
    }
    let file = report.take_path(Key::ClientKey)?;
    report.default(Key::ClientKey, None);
    let named = |text: &str| KeyAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == text);
    let algorithm = report.take(Key::ClientKeyAlg, named)?;
    report.default(Key::ClientKeyAlg, file.is_some().then(|| KeyAlgorithm::Es256.as_str().to_owned()));
    oauth.key = file.map(|file| KeySettings { file, algorithm: algorithm.unwrap_or(KeyAlgorithm::Es256) });
    Ok(())
}

/// The rules of the draft for such a client id: https, a path, no fragment, no user name.
fn metadata_url(text: &str) -> Option<Url> {
    let url = server::parse_url(text).ok()?;
    (url.scheme() == "https" && url.path() != "/").then_some(url)
}

/// Parameters that this program sets itself, or whose meaning it would not keep to.
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

fn authorize_params(text: &str) -> Option<Vec<(String, String)>> {
    let each = text.split('&').map(|pair| {
        let (name, value) = url::form_urlencoded::parse(pair.as_bytes()).next()?;
        let own = PROTOCOL_PARAMS.iter().any(|own| name.eq_ignore_ascii_case(own));
        (pair.contains('=') && !name.is_empty() && !own).then(|| (name.into_owned(), value.into_owned()))
    });
    each.collect()
}

fn client_secret(given: &Given, inputs: &Inputs) -> Result<Secret, Problem> {
    let text = given.text.expose();
    let refused = |detail: &dyn std::fmt::Display| {
        Problem::new(ProblemId::SecretFileUnusable).with("file", text).with("detail", detail)
    };
    let secret = match (given.key, text.as_str()) {
        (Key::ClientSecret, _) => return Ok(given.text.clone()),
        (_, "-") => inputs
            .secret_from_stdin
            .clone()
            .ok_or_else(|| refused(&"only the command login can read it from standard input"))?,
        (_, path) => {
            let path = expand(path, folder_of(&given.origin));
            Secret::new(std::fs::read_to_string(path).map_err(|error| refused(&error))?)
        }
    };
    let trimmed = Secret::from(secret.expose().trim());
    match trimmed.expose() {
        text if text.is_empty() => Err(refused(&"it is empty")),
        text if text.contains(char::is_whitespace) => Err(refused(&"it holds more than one word")),
        _ => Ok(trimmed),
    }
}

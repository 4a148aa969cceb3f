//! The token endpoint: client authentication, code exchange, refresh.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::authorize::check_resource;
use super::grants::{Invalid, Tokens};
use super::metadata::merge;
use crate::body::{Answer, json, set_header};
use crate::config::{Config, ExpiresIn, Rotation};
use crate::state::Tenant;

type Fields = BTreeMap<String, String>;

/// An error answer (RFC 6749, 5.2).
struct TokenError {
    status: u16,
    error: &'static str,
    description: &'static str,
    challenge: bool,
}

impl TokenError {
    const fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: 400, error, description, challenge: false }
    }

    const fn client(description: &'static str, challenge: bool) -> Self {
        Self { status: 401, error: "invalid_client", description, challenge }
    }
}

/// `POST /oauth/token`.
pub(crate) fn token(tenant: &Tenant, headers: &HeaderMap, body: &Bytes) -> Answer {
    let config = tenant.config();
    let fields: Fields = url::form_urlencoded::parse(body).into_owned().collect();
    let outcome = authenticate(&config, headers, &fields).and_then(|client_id| {
        check_resource(tenant, &config, &fields)
            .map_err(|()| TokenError::new("invalid_target", "The resource is not served here."))?;
        match fields.get("grant_type").map(String::as_str) {
            Some("authorization_code") => exchange(tenant, &config, &client_id, &fields),
            Some("refresh_token") => refresh(tenant, &config, &client_id, &fields),
            _ => Err(TokenError::new("unsupported_grant_type", "Use authorization_code or refresh_token.")),
        }
    });
    let mut answer = match outcome {
        Ok(mut tokens) => {
            if config.quirks.audience_is_origin && fields.contains_key("resource") {
                tokens["access_token"] = json!("at_sandbox_for_another_audience");
            }
            if let Some(patch) = &config.quirks.token_patch {
                merge(&mut tokens, &tenant.with_base_urls(patch));
            }
            json(200, &tokens)
        }
        Err(refused) => {
            if refused.error == "invalid_client" {
                tenant.board.count(|counters| counters.client_refusals += 1);
            }
            let body = json!({ "error": refused.error, "error_description": refused.description });
            let mut answer = json(refused.status, &body);
            if refused.challenge {
                set_header(&mut answer, "www-authenticate", "Basic realm=\"planhat\"");
            }
            answer
        }
    };
    set_header(&mut answer, "cache-control", "no-store");
    answer
}

fn authenticate(config: &Config, headers: &HeaderMap, fields: &Fields) -> Result<String, TokenError> {
    let raw = config.quirks.compares_raw_secret;
    let basic = headers.get(AUTHORIZATION).map(|value| credentials(value.as_bytes(), raw));
    let (id, secret, is_basic) = match basic {
        Some(Some((id, secret))) => (id, Some(secret), true),
        Some(None) => return Err(TokenError::client("The Authorization header is not Basic.", true)),
        None => (fields.get("client_id").cloned().unwrap_or_default(), fields.get("client_secret").cloned(), false),
    };
    if is_basic && fields.contains_key("client_secret") {
        // RFC 6749, 2.3: not more than one method in a request.
        return Err(TokenError::new("invalid_request", "More than one way of client authentication."));
    }
    let accepted = match (&secret, is_basic) {
        (_, true) => config.token_auth.basic,
        (Some(_), false) => config.token_auth.post,
        (None, false) => config.token_auth.none,
    };
    if !accepted {
        return Err(TokenError::client("This way of client authentication is not accepted.", is_basic));
    }
    if config.quirks.wants_client_id && !fields.contains_key("client_id") {
        return Err(TokenError::client("Missing client_id", is_basic));
    }
    let client = config.client(&id).ok_or(TokenError::client("Client not found.", is_basic))?;
    match (&client.secret, &secret) {
        (Some(right), Some(given)) if right == given => Ok(id),
        (Some(_), _) => Err(TokenError::client("Client authentication failed.", is_basic)),
        (None, None) => Ok(id),
        (None, Some(_)) => Err(TokenError::client("This client has no secret.", is_basic)),
    }
}

/// Id and secret of a Basic header, each form-urlencoded in it (RFC 6749, 2.3.1), or taken as they are.
fn credentials(header: &[u8], raw: bool) -> Option<(String, String)> {
    let header = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    let read = |text: &str| if raw { text.to_owned() } else { form_decoded(text) };
    Some((read(id), read(secret)))
}

fn form_decoded(text: &str) -> String {
    let pair = format!("x={text}");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn exchange(tenant: &Tenant, config: &Config, client_id: &str, fields: &Fields) -> Result<Value, TokenError> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let (code, redirect_uri, verifier) = (field("code"), field("redirect_uri"), field("code_verifier"));
    match tenant.grants.exchange(code, client_id, redirect_uri, verifier, config.access_token_lifetime) {
        Ok(tokens) => {
            tenant.board.count(|counters| counters.code_exchanges += 1);
            Ok(token_answer(config, tokens, None))
        }
        Err(invalid) => {
            tenant.board.count(|counters| counters.code_refusals += 1);
            Err(TokenError::new("invalid_grant", invalid.description()))
        }
    }
}

fn refresh(tenant: &Tenant, config: &Config, client_id: &str, fields: &Fields) -> Result<Value, TokenError> {
    let used = fields.get("refresh_token").map_or("", String::as_str);
    let rotate = config.rotation == Rotation::Rotate;
    match tenant.grants.refresh(used, client_id, rotate, config.access_token_lifetime) {
        Ok(tokens) => {
            tenant.board.count(|counters| counters.refreshes += 1);
            Ok(token_answer(config, tokens, (config.rotation == Rotation::Repeat).then_some(used)))
        }
        Err(invalid) => {
            tenant.board.count(|counters| {
                counters.refresh_refusals += 1;
                if invalid == Invalid::ReusedRefreshToken {
                    counters.refresh_reuse += 1;
                }
            });
            Err(TokenError::new("invalid_grant", invalid.description()))
        }
    }
}

fn token_answer(config: &Config, tokens: Tokens, repeated: Option<&str>) -> Value {
    let mut answer = json!({ "access_token": tokens.access, "token_type": "Bearer", "scope": tokens.scope });
    if let Some(refresh) = tokens.refresh.as_deref().or(repeated).filter(|_| config.rotation != Rotation::Never) {
        answer["refresh_token"] = json!(refresh);
    }
    let seconds = config.access_token_lifetime.as_secs();
    match config.expires_in {
        ExpiresIn::Integer => answer["expires_in"] = json!(seconds),
        ExpiresIn::Text => answer["expires_in"] = json!(seconds.to_string()),
        ExpiresIn::Float => answer["expires_in"] = json!(config.access_token_lifetime.as_secs_f64()),
        ExpiresIn::Missing => {}
    }
    answer
}

//! The authorize endpoint and the answer of its consent page.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use url::Url;

use super::grants::Request;
use super::pages;
use crate::body::{Answer, answer, whole};
use crate::config::{Config, Consent, Iss, ResourceParameter};
use crate::state::Tenant;
use crate::tenant::permission::Permission;

/// The error pages' words, as Planhat shows them.
pub(crate) mod words {
    pub(crate) const CLIENT_NOT_FOUND: &str = "Invalid client_id: OAuth client not found.";
    pub(crate) const FAILED: &str = "Something went wrong.";
    pub(crate) const REDIRECT_NOT_REGISTERED: &str = "Invalid redirect_uri: not registered for this client.";
    pub(crate) const NO_PERMISSION: &str = "You do not have any of the permissions this application requests.";
    pub(crate) const CHECK_FAILED: &str = "OAuth permission check failed: missing permissions";
}

type Fields = BTreeMap<String, String>;

/// Why an authorize request does not come to a consent page.
enum Refused {
    /// A page that does not lead back: the program that asked never learns of it.
    Page(u16, &'static str),
    /// A redirect with `error` (RFC 6749, 4.1.2.1).
    Redirect(&'static str, &'static str),
    /// The same with words of the moment.
    Described(&'static str, String),
}

/// `GET /oauth/authorize`.
pub(crate) fn authorize(tenant: &Tenant, query: &str) -> Answer {
    tenant.board.count(|counters| counters.authorize_hits += 1);
    let config = tenant.config();
    let fields: Fields = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let request = match check(tenant, &config, &fields) {
        Ok(request) => request,
        Err(Refused::Page(status, text)) => {
            tenant.board.count(|counters| counters.authorize_refused += 1);
            return pages::refused(status, text);
        }
        Err(Refused::Redirect(error, description)) => return back(tenant, &fields, error, description),
        Err(Refused::Described(error, description)) => return back(tenant, &fields, error, &description),
    };
    match config.consent {
        Consent::Automatic => grant(tenant, request),
        Consent::Page => {
            tenant.board.count(|counters| counters.consents_shown += 1);
            pages::consent(&config, &request, &tenant.grants.ticket(request.clone()))
        }
    }
}

/// A redirect with an error.
fn back(tenant: &Tenant, fields: &Fields, error: &str, description: &str) -> Answer {
    tenant.board.count(|counters| counters.authorize_refused += 1);
    let state = fields.get("state").cloned();
    let back = fields.get("redirect_uri").map_or("", String::as_str);
    redirect(tenant, back, state, &[("error", error), ("error_description", description)])
}

/// `POST /oauth/consent`.
pub(crate) fn consent(tenant: &Tenant, body: &Bytes) -> Answer {
    let fields: Fields = url::form_urlencoded::parse(body).into_owned().collect();
    let Some(request) = fields.get("ticket").and_then(|ticket| tenant.grants.redeem_ticket(ticket)) else {
        return pages::refused(400, "This page was answered already.");
    };
    if fields.get("choice").map(String::as_str) == Some("allow") {
        return grant(tenant, request);
    }
    tenant.board.count(|counters| counters.consents_denied += 1);
    let described = [("error", "access_denied"), ("error_description", "The user denied the request.")];
    redirect(tenant, &request.redirect_uri, request.state, &described)
}

fn grant(tenant: &Tenant, request: Request) -> Answer {
    tenant.board.count(|counters| counters.consents_granted += 1);
    let (back, state) = (request.redirect_uri.clone(), request.state.clone());
    let code = tenant.grants.issue_code(request);
    redirect(tenant, &back, state, &[("code", &code)])
}

fn check(tenant: &Tenant, config: &Config, fields: &Fields) -> Result<Request, Refused> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let unknown = match config.quirks.unknown_client_status {
        Some(status) => Refused::Page(status, words::FAILED),
        None => Refused::Page(400, words::CLIENT_NOT_FOUND),
    };
    let client = config.client(field("client_id")).ok_or(unknown)?;
    let redirect_uri = field("redirect_uri");
    if !client.redirect_urls.iter().any(|url| url == redirect_uri) {
        return Err(Refused::Page(400, words::REDIRECT_NOT_REGISTERED));
    }
    if field("response_type") != "code" {
        return Err(Refused::Redirect("unsupported_response_type", "Only response_type=code is supported."));
    }
    // 43 characters are what S256 makes of any verifier (RFC 7636, 4.2).
    if field("code_challenge_method") != "S256" || field("code_challenge").len() != 43 {
        return Err(Refused::Redirect("invalid_request", "PKCE with S256 is required."));
    }
    if config.quirks.wants_scope && field("scope").is_empty() {
        return Err(Refused::Redirect("invalid_scope", "The request names no scope."));
    }
    if let Some(bound) = tenant.grants.scope_bound(&client.id)
        && let Some(more) = field("scope").split_whitespace().find(|scope| !bound.contains(*scope))
    {
        let description = format!("Client was not registered with scope {more}");
        return Err(Refused::Described("invalid_scope", description));
    }
    check_resource(tenant, config, fields)
        .map_err(|()| Refused::Redirect("invalid_target", "The resource is not served here."))?;
    let client_has: BTreeSet<Permission> = client.permissions.iter().copied().collect();
    let role_has: BTreeSet<Permission> = config.user.permissions.iter().copied().collect();
    let granted = overlap(field("scope"), &client_has, &role_has)?;
    Ok(Request {
        client_id: client.id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        challenge: field("code_challenge").to_owned(),
        state: fields.get("state").cloned(),
        scope: if field("scope").is_empty() { "default".to_owned() } else { field("scope").to_owned() },
        granted,
    })
}

/// `inclusive` asks for what client and Role share; `default`, and no scope at all, for everything that the client has;
/// names of permissions limit either.
fn overlap(
    scope: &str,
    client: &BTreeSet<Permission>,
    role: &BTreeSet<Permission>,
) -> Result<BTreeSet<Permission>, Refused> {
    let mut inclusive = false;
    let mut limits: BTreeSet<Permission> = BTreeSet::new();
    for word in scope.split_whitespace() {
        match word {
            "inclusive" => inclusive = true,
            "default" => {}
            other => {
                let limit = other.parse().map_err(|_| Refused::Redirect("invalid_scope", "Unknown scope."))?;
                limits.insert(limit);
            }
        }
    }
    let asked: BTreeSet<Permission> =
        client.iter().copied().filter(|permission| limits.is_empty() || limits.contains(permission)).collect();
    let shared: BTreeSet<Permission> = asked.intersection(role).copied().collect();
    if !inclusive && shared != asked {
        return Err(Refused::Page(403, words::CHECK_FAILED));
    }
    if shared.is_empty() {
        return Err(Refused::Page(403, words::NO_PERMISSION));
    }
    Ok(shared)
}

/// Whether `resource` (RFC 8707) is as the configuration wants it.
pub(crate) fn check_resource(tenant: &Tenant, config: &Config, fields: &Fields) -> Result<(), ()> {
    let resource = fields.get("resource");
    let fine = match config.resource {
        ResourceParameter::Ignored => true,
        ResourceParameter::Required => resource.is_some_and(|resource| *resource == tenant.mcp_url()),
        ResourceParameter::Rejected => resource.is_none(),
    };
    if fine { Ok(()) } else { Err(()) }
}

fn redirect(tenant: &Tenant, back: &str, state: Option<String>, fields: &[(&str, &str)]) -> Answer {
    let Ok(mut url) = Url::parse(back) else { return answer(400, "text/plain", "not a URL") };
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs(fields);
        if let Some(state) = &state {
            query.append_pair("state", state);
        }
        match tenant.config().iss {
            Iss::Right => drop(query.append_pair("iss", &tenant.api)),
            Iss::WithSlash => drop(query.append_pair("iss", &format!("{}/", tenant.api))),
            Iss::Wrong => drop(query.append_pair("iss", "https://issuer.example")),
            Iss::Absent | Iss::Missing => {}
        }
    }
    let mut answer = Answer::new(whole(Bytes::new()));
    // 303 turns the form's POST into a GET (RFC 9110, 15.4.4).
    *answer.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::from_str(url.as_str()) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

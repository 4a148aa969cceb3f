//! What real servers do otherwise than the standards say; none of it unless said.

use std::collections::BTreeMap;

use hyper::http::Method;
use hyper::http::request::Parts;
use serde_json::{Value, json};

use crate::body::{Answer, answer, json, set_header};
use crate::raw::RawReply;
use crate::state::Tenant;

/// Deviations of the tenant.
#[derive(Debug, Clone, Default)]
pub struct Quirks {
    /// More documents, or others, by the path that they stand at; `{api}` and `{ws}` in their strings become the base URLs.
    /// In the place of `null` there is nothing.
    pub documents: BTreeMap<String, Value>,
    /// A merge patch (RFC 7396) on the token endpoint's answers that give a token.
    pub token_patch: Option<Value>,
    /// How dynamic registration deviates.
    pub registration: Registration,
    /// Whether the token endpoint compares the secret of a Basic header as it comes, without decoding it.
    pub compares_raw_secret: bool,
    /// Whether the token endpoint wants `client_id` in the form with a Basic header also.
    pub wants_client_id: bool,
    /// Whether the authorize endpoint refuses a request without scope.
    pub wants_scope: bool,
    /// Whether a token that was asked for with `resource` is good for nothing.
    pub audience_is_origin: bool,
    /// How a request of a session that is lost is refused, if not by 404.
    pub lost_session: Option<RawReply>,
    /// The newest revision of MCP that `initialize` may name; later ones are refused with this answer.
    pub newest_revision: Option<(String, RawReply)>,
    /// Whether a GET of the MCP endpoint is answered 405 before a token is looked for.
    pub hides_challenge_from_get: bool,
    /// Where a request for the MCP endpoint is sent, unless it is for this path; `{host}` is what the request names.
    pub moved: Option<(String, String)>,
    /// The status of the page for a client that is not known, if not 400; its words are then those of a failure.
    pub unknown_client_status: Option<u16>,
    /// Whether the consent page has the browser fetch the redirect URL with the right `state` and nothing else.
    pub strays: bool,
}

/// How dynamic registration deviates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// Gives each client this secret, for `client_secret_basic`.
    pub secret: Option<String>,
    /// Takes one grant type besides `refresh_token`, and no other.
    pub code_grant_alone: bool,
    /// Holds each client to the scope that it registered.
    pub bounds_scope: bool,
}

/// What stands at this path by the quirks alone.
pub(crate) fn document(tenant: &Tenant, method: &Method, path: &str) -> Option<Answer> {
    let config = tenant.config();
    let document = config.quirks.documents.get(path).filter(|_| *method == Method::GET)?;
    Some(match document {
        Value::Null => json(404, &json!({ "statusCode": 404, "error": "Not Found" })),
        document => json(200, &tenant.with_base_urls(document)),
    })
}

/// The redirect that stands in the place of the MCP endpoint.
pub(crate) fn redirect(tenant: &Tenant, parts: &Parts) -> Option<Answer> {
    let config = tenant.config();
    let (path, target) = config.quirks.moved.as_ref().filter(|(path, _)| path != parts.uri.path())?;
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut moved = answer(307, "", String::new());
    set_header(&mut moved, "location", &target.replace("{host}", host).replace("{path}", path));
    Some(moved)
}

//! The well-known places: one document, and 401 at all others, as Planhat's host answers.

use serde_json::{Value, json};

use crate::body::{Answer, json};
use crate::config::{Iss, ProtectedResource};
use crate::state::Tenant;

pub(crate) const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
pub(crate) const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";

pub(crate) fn well_known(tenant: &Tenant, path: &str) -> Answer {
    let config = tenant.config();
    if path == AUTHORIZATION_SERVER {
        return json(200, &authorization_server(tenant));
    }
    if protected_resource_path(config.protected_resource).as_deref() == Some(path) {
        return json(
            200,
            &json!({
                "resource": tenant.mcp_url(),
                "authorization_servers": [tenant.api],
                "scopes_supported": ["inclusive"],
                "bearer_methods_supported": ["header"],
            }),
        );
    }
    json(401, &json!({ "statusCode": 401, "error": "Unauthorized", "message": "Authentication required" }))
}

/// Where the protected-resource metadata lies, if it is served at all.
pub(crate) fn protected_resource_path(served: ProtectedResource) -> Option<String> {
    match served {
        ProtectedResource::Absent => None,
        ProtectedResource::AtRoot => Some(PROTECTED_RESOURCE.to_owned()),
        ProtectedResource::AtPath => Some(format!("{PROTECTED_RESOURCE}/v1/mcp")),
    }
}

fn authorization_server(tenant: &Tenant) -> Value {
    let config = tenant.config();
    let mut document = json!({
        "issuer": tenant.api,
        "authorization_endpoint": format!("{}/oauth/authorize", tenant.ws),
        "token_endpoint": format!("{}/oauth/token", tenant.api),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["inclusive"],
    });
    if !matches!(config.iss, Iss::Absent | Iss::WithSlash) {
        document["authorization_response_iss_parameter_supported"] = json!(true);
    }
    if config.registered_client_id.is_some() {
        document["registration_endpoint"] = json!(format!("{}/oauth/register", tenant.api));
    }
    if let Some(patch) = &config.metadata_patch {
        merge(&mut document, &tenant.with_base_urls(patch));
    }
    document
}

/// RFC 7396, 2.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            if let Some(target) = target.as_object_mut() {
                target.remove(name);
            }
        } else {
            merge(&mut target[name], value);
        }
    }
}

//! Dynamic registration (RFC 7591), which Planhat does not have: everybody becomes the same public client.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::body::{Answer, json};
use crate::config::ClientSpec;
use crate::state::Tenant;

/// `POST /oauth/register`.
pub(crate) fn register(tenant: &Tenant, body: &Bytes) -> Answer {
    let config = tenant.config();
    let metadata = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let texts = |name: &str| serde_json::from_value::<Vec<String>>(metadata[name].clone()).unwrap_or_default();
    let redirect_urls = texts("redirect_uris");
    let Some(id) = config.registered_client_id.as_ref() else {
        return json(404, &json!({ "statusCode": 404, "error": "Not Found" }));
    };
    if redirect_urls.is_empty() {
        return json(400, &json!({ "error": "invalid_redirect_uri" }));
    }
    let quirks = &config.quirks.registration;
    let asked = texts("grant_types");
    if quirks.code_grant_alone && asked.iter().any(|kind| kind != "authorization_code" && kind != "refresh_token") {
        return json(
            400,
            &json!({ "error": "invalid_client_metadata", "error_description": "Unsupported grant type" }),
        );
    }
    let id = id.replace("{n}", &tenant.next_number().to_string());
    let secret = quirks.secret.clone();
    let mut answer = json!({
        "client_id": id,
        "redirect_uris": redirect_urls,
        "token_endpoint_auth_method": if secret.is_some() { "client_secret_basic" } else { "none" },
        "grant_types": ["authorization_code", "refresh_token"],
    });
    if let Some(secret) = &secret {
        answer["client_secret"] = json!(secret);
    }
    if quirks.bounds_scope {
        let scope = metadata["scope"].as_str().unwrap_or_default();
        tenant.grants.bind_scope(&id, scope);
        answer["scope"] = json!(scope);
    }
    tenant.configure(|config| match config.clients.iter_mut().find(|client| client.id == id) {
        Some(client) => client.redirect_urls.extend(redirect_urls),
        None => config.clients.push(ClientSpec { id, secret, redirect_urls, ..ClientSpec::public() }),
    });
    json(201, &answer)
}

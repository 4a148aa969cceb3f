//! Dynamic registration (RFC 7591), which Planhat does not have: everybody becomes the same public client.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::body::{Answer, json};
use crate::config::ClientSpec;
use crate::state::Tenant;

/// `POST /oauth/register`.
pub(crate) fn register(tenant: &Tenant, body: &Bytes) -> Answer {
    let config = tenant.config();
    let redirect_urls = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|metadata| serde_json::from_value::<Vec<String>>(metadata["redirect_uris"].clone()).ok())
        .unwrap_or_default();
    let Some(id) = config.registered_client_id.clone() else {
        return json(404, &json!({ "statusCode": 404, "error": "Not Found" }));
    };
    if redirect_urls.is_empty() {
        return json(400, &json!({ "error": "invalid_redirect_uri" }));
    }
    let answer = json!({
        "client_id": id,
        "redirect_uris": redirect_urls,
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    tenant.configure(|config| match config.clients.iter_mut().find(|client| client.id == id) {
        Some(client) => client.redirect_urls.extend(redirect_urls),
        None => config.clients.push(ClientSpec { id, redirect_urls, ..ClientSpec::public() }),
    });
    json(201, &answer)
}

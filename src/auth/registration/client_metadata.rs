//! The client metadata that this program registers with (RFC 7591, 2).

use serde_json::{Value, json};

use crate::auth::discovery::metadata::{DEVICE_GRANT, Flow, ServerMetadata};
use crate::config::CallbackSettings;

/// The name on the consent page.
const CLIENT_NAME: &str = "planhat-mcp";
/// The client metadata to register (RFC 7591, 2).
pub(crate) fn client_metadata(
    server: &ServerMetadata,
    callback: &CallbackSettings,
    scope: Option<&str>,
    flow: Flow,
) -> Value {
    let supported = server.token_endpoint_auth_methods_supported.as_deref();
    let lists = |name: &str| supported.is_some_and(|methods| methods.iter().any(|method| method == name));
    // A native app cannot keep a secret from its user (RFC 8252, 8.5), but the server may insist on issuing one.
    // Silence means Basic (RFC 8414, 2).
    let method = ["none", "client_secret_basic", "client_secret_post"].into_iter().find(|name| lists(name));
    let method = method.unwrap_or("client_secret_basic");
    let mut grants = vec!["authorization_code", "refresh_token"];
    // A server that does not know the grant, or takes one kind of sign-in alone, refuses the whole registration.
    if flow == Flow::Device && server.lists_grant(DEVICE_GRANT) {
        grants.push(DEVICE_GRANT);
    }
    let mut metadata = json!({
        "client_name": CLIENT_NAME,
        "application_type": "native",
        "redirect_uris": [callback.redirect_url()],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    });
    if let Some(scope) = scope {
        // Some servers refuse, at sign-in, any scope that the registration did not name.
        metadata["scope"] = scope.into();
    }
    metadata
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::config::{Paths, Settings};

    fn asked(methods: Option<&[&str]>, grants: Option<&[&str]>) -> Value {
        asked_for(Flow::Code, methods, grants)
    }

    fn asked_for(flow: Flow, methods: Option<&[&str]>, grants: Option<&[&str]>) -> Value {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let url = Url::parse("https://h/mcp").unwrap();
        let settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        let mut server = ServerMetadata::with_token_endpoint("https://h", "https://h/token".into());
        server.token_endpoint_auth_methods_supported = methods.map(list);
        server.grant_types_supported = grants.map(list);
        client_metadata(&server, &settings.oauth.callback, Some("a b"), flow)
    }

    #[test]
    fn a_native_client_is_registered_that_can_renew_its_tokens() {
        let asked = asked(None, None);
        assert_eq!(asked["application_type"], "native");
        assert_eq!(asked["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(asked["redirect_uris"], json!(["http://127.0.0.1:7526/callback"]));
    }

    #[test]
    fn the_method_is_one_that_the_server_supports_and_a_public_client_comes_first() {
        for (supported, expected) in [
            (None, "client_secret_basic"),
            (Some(&["client_secret_post", "none"][..]), "none"),
            (Some(&["client_secret_post"]), "client_secret_post"),
            (Some(&["client_secret_post", "client_secret_basic"]), "client_secret_basic"),
        ] {
            assert_eq!(asked(supported, None)["token_endpoint_auth_method"], expected, "{supported:?}");
        }
    }

    #[test]
    fn the_device_grant_is_asked_for_only_where_it_is_known_and_wanted() {
        let listed = Some(&["authorization_code", DEVICE_GRANT][..]);
        assert_eq!(asked_for(Flow::Device, None, listed)["grant_types"][2], DEVICE_GRANT);
        let without = json!(["authorization_code", "refresh_token"]);
        assert_eq!(asked_for(Flow::Code, None, listed)["grant_types"], without);
        assert_eq!(asked_for(Flow::Device, None, None)["grant_types"], without);
    }

    #[test]
    fn the_scope_that_will_be_asked_for_is_named() {
        assert_eq!(asked(None, None)["scope"], "a b");
    }
}

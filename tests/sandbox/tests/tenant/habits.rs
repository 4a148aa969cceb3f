//! What is unknown of Planhat can be chosen, one way or the other.

use planhat_sandbox::browser::Choice;
use planhat_sandbox::wire::send;
use planhat_sandbox::{
    AnswerMode, CLIENT_ID, Challenge, ClientSpec, Consent, ExpiresIn, Iss, Place, ProtectedResource, Refusals,
    ResourceParameter, TokenAuth,
};
use serde_json::{Value, json};

use crate::support::*;

#[test]
fn without_sessions_every_request_stands_alone() {
    let sandbox = open_tenant(|config| {
        (config.auth_required, config.sessions, config.answers) = (false, false, AnswerMode::Json);
    });
    let session = Session::open(&sandbox, String::new());
    assert_eq!(session.id, "");
    let called = session.call("search_records", json!({ "QUERY": "cobalt" }));
    assert_eq!((called.status, called.header("content-type")), (200, Some("application/json")));
    assert_eq!(sandbox.counters().sessions_created, 0);
}

#[test]
fn the_stateless_revision_is_answered_too() {
    let sandbox = open_tenant(|config| config.auth_required = false);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } }).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/list"),
    ];
    let listed = send("POST", &sandbox.mcp_url(), &headers, Some(body.as_bytes())).expect("an answer");
    let tools = listed.json().expect("JSON")["result"]["tools"].as_array().map(Vec::len);
    assert_eq!(tools, Some(10), "{}", listed.body);
}

#[test]
fn streams_and_the_end_of_sessions_can_be_refused() {
    let sandbox = open_tenant(|config| {
        (config.auth_required, config.get_stream, config.delete_session) = (false, false, false);
    });
    for method in ["GET", "DELETE"] {
        let headers = [("accept", "text/event-stream")];
        assert_eq!(send(method, &sandbox.mcp_url(), &headers, None).expect("an answer").status, 405, "{method}");
    }
}

#[test]
fn a_way_of_client_authentication_can_be_refused() {
    let sandbox = open_tenant(|config| config.token_auth = TokenAuth { post: false, ..TokenAuth::default() });
    let code = consent(&sandbox, Choice::Allow);
    let code = value(&code, "code").expect("a code");
    let refused = exchange(&sandbox, code, VERIFIER);
    assert_eq!((refused.status, refused.json().expect("JSON")["error"].clone()), (401, json!("invalid_client")));
    // pk_sandbox_client:sk_sandbox_secret_of_no_worth
    let basic = ("authorization", "Basic cGtfc2FuZGJveF9jbGllbnQ6c2tfc2FuZGJveF9zZWNyZXRfb2Zfbm9fd29ydGg=");
    let form = format!("grant_type=authorization_code&code={code}&redirect_uri={REDIRECT}&code_verifier={VERIFIER}");
    let url = format!("{}/oauth/token", sandbox.api_base());
    let taken = send("POST", &url, &[basic], Some(form.as_bytes())).expect("an answer");
    assert_eq!(taken.status, 200, "{}", taken.body);
    assert_eq!(sandbox.requests_at(Place::Token).len(), 2);
}

#[test]
fn a_public_client_needs_no_secret_and_a_confidential_one_does() {
    let sandbox = open_tenant(|config| config.clients = vec![ClientSpec::public().redirect(REDIRECT)]);
    let exchange = |sandbox: &_| {
        let code = consent(sandbox, Choice::Allow);
        let code = value(&code, "code").expect("a code").to_owned();
        let form = format!(
            "grant_type=authorization_code&client_id={CLIENT_ID}&code={code}&redirect_uri={REDIRECT}&code_verifier={VERIFIER}"
        );
        let url = format!("{}/oauth/token", planhat_sandbox::Sandbox::api_base(sandbox));
        send("POST", &url, &[], Some(form.as_bytes())).expect("an answer").status
    };
    assert_eq!(exchange(&sandbox), 200);
    sandbox.configure(|config| config.clients = vec![ClientSpec::confidential().redirect(REDIRECT)]);
    assert_eq!(exchange(&sandbox), 401);
    assert_eq!(sandbox.counters().client_refusals, 1);
}

#[test]
fn the_lifetime_is_stated_in_every_form_that_servers_use() {
    for (form, stated) in [
        (ExpiresIn::Integer, json!(3600)),
        (ExpiresIn::Text, json!("3600")),
        (ExpiresIn::Float, json!(3600.0)),
        (ExpiresIn::Missing, Value::Null),
    ] {
        let sandbox = open_tenant(|config| (config.expires_in, config.consent) = (form, Consent::Automatic));
        let redirect = send("GET", &authorize_url(&sandbox, &[]), &[], None).expect("a redirect");
        let query = callback(&redirect);
        let tokens = exchange(&sandbox, value(&query, "code").expect("a code"), VERIFIER);
        assert_eq!(tokens.json().expect("JSON")["expires_in"], stated);
    }
}

#[test]
fn protected_resource_metadata_lies_where_it_is_said_to_lie() {
    let sandbox = open_tenant(|config| {
        config.protected_resource = ProtectedResource::AtPath;
        config.challenge =
            Challenge { resource_metadata: true, scope: Some("inclusive".into()), ..Challenge::default() };
    });
    let refused = send("POST", &sandbox.mcp_url(), &[], Some(b"{}")).expect("an answer");
    let url = format!("{}/.well-known/oauth-protected-resource/v1/mcp", sandbox.api_base());
    let challenge = format!("Bearer resource_metadata=\"{url}\", scope=\"inclusive\"");
    assert_eq!(refused.header("www-authenticate"), Some(challenge.as_str()));
    let document = send("GET", &url, &[], None).expect("a document").json().expect("JSON");
    assert_eq!(document["resource"], sandbox.mcp_url());
    assert_eq!(document["authorization_servers"], json!([sandbox.api_base()]));
}

#[test]
fn the_issuer_is_sent_back_rightly_wrongly_or_not() {
    for (iss, wanted) in [(Iss::Absent, None), (Iss::Missing, None), (Iss::Wrong, Some("https://issuer.example"))] {
        let sandbox = open_tenant(|config| config.iss = iss);
        assert_eq!(value(&consent(&sandbox, Choice::Allow), "iss"), wanted);
    }
    let sandbox = open_tenant(|config| config.iss = Iss::Right);
    assert_eq!(value(&consent(&sandbox, Choice::Deny), "iss"), Some(sandbox.api_base().as_str()));
}

#[test]
fn the_resource_can_be_required_or_rejected() {
    let outcome = |policy, resource: Option<&str>| {
        let sandbox = open_tenant(|config| config.resource = policy);
        let url = sandbox.mcp_url();
        let fields = resource.map(|given| ("resource", if given == "right" { url.as_str() } else { given }));
        send("GET", &authorize_url(&sandbox, fields.as_slice()), &[], None).expect("an answer").status
    };
    assert_eq!(outcome(ResourceParameter::Required, Some("right")), 200);
    assert_eq!(outcome(ResourceParameter::Required, Some("https://other.example/")), 303);
    assert_eq!(outcome(ResourceParameter::Required, None), 303);
    assert_eq!(outcome(ResourceParameter::Rejected, Some("right")), 303);
    assert_eq!(outcome(ResourceParameter::Rejected, None), 200);
}

#[test]
fn metadata_can_be_bent_at_will() {
    let patch = json!({ "issuer": "{api}/", "scopes_supported": null, "registration_endpoint": "{ws}/register" });
    let sandbox = open_tenant(|config| config.metadata_patch = Some(patch));
    let url = format!("{}/.well-known/oauth-authorization-server", sandbox.api_base());
    let document = send("GET", &url, &[], None).expect("a document").json().expect("JSON");
    assert_eq!(document["issuer"], format!("{}/", sandbox.api_base()));
    assert_eq!(document["registration_endpoint"], format!("{}/register", sandbox.ws_base()));
    assert!(document.get("scopes_supported").is_none());
}

#[test]
fn a_refusal_can_come_as_a_tool_result() {
    let sandbox = open_tenant(|config| (config.auth_required, config.refusals) = (false, Refusals::ToolResult));
    let session = Session::open(&sandbox, String::new());
    let refused = session.call("list_model_records", json!({ "MODEL": "Invoice" }));
    let result = &refused.json().expect("an answer")["result"];
    assert_eq!((refused.status, &result["isError"]), (200, &json!(true)));
    assert_eq!(result["content"][0]["text"], "404 Not Found: Invoice is not a model of this tenant.");
    assert_eq!(sandbox.counters().tool("list_model_records"), 0);
}

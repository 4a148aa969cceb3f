//! Signing in: metadata, consent, codes, tokens, and the pages that refuse.

use planhat_sandbox::browser::{Choice, walk};
use planhat_sandbox::wire::send;
use planhat_sandbox::{ClientSpec, Config, Permission, Place, Rotation, Sandbox};
use serde_json::json;

use crate::support::*;

#[test]
fn the_metadata_has_exactly_the_members_of_planhats_document() {
    let sandbox = open_tenant(|_| {});
    let url = format!("{}/.well-known/oauth-authorization-server", sandbox.api_base());
    let document = send("GET", &url, &[], None).expect("a document").json().expect("JSON");
    assert_eq!(
        document,
        json!({
            "issuer": sandbox.api_base(),
            "authorization_endpoint": format!("{}/oauth/authorize", sandbox.ws_base()),
            "token_endpoint": format!("{}/oauth/token", sandbox.api_base()),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["inclusive"],
        })
    );
    assert_ne!(sandbox.api_base(), sandbox.ws_base());
}

#[test]
fn every_other_well_known_place_answers_401() {
    let sandbox = open_tenant(|_| {});
    for place in ["openid-configuration", "oauth-protected-resource", "oauth-protected-resource/v1/mcp", "x"] {
        let url = format!("{}/.well-known/{place}", sandbox.api_base());
        assert_eq!(send("GET", &url, &[], None).expect("an answer").status, 401, "{place}");
    }
}

#[test]
fn a_sign_in_gives_a_token_that_opens_the_mcp_endpoint() {
    let sandbox = open_tenant(|_| {});
    let (access, _) = sign_in(&sandbox);
    let session = Session::open(&sandbox, access);
    let listed = session.call("list_model_records", json!({ "MODEL": "Company", "LIMIT": 1 }));
    let result = &listed.json().expect("an answer")["result"];
    assert_eq!(result["structuredContent"]["records"][0]["name"], "Aurora Freight", "{}", listed.body);
    let counters = sandbox.counters();
    assert_eq!((counters.code_exchanges, counters.consents_granted, counters.sessions_created), (1, 1, 1));
    assert_eq!(counters.tool("list_model_records"), 1);
}

#[test]
fn the_state_comes_back_as_it_was_and_cancel_denies() {
    let sandbox = open_tenant(|_| {});
    let query = consent(&sandbox, Choice::Deny);
    assert_eq!(value(&query, "error"), Some("access_denied"));
    assert_eq!(value(&query, "state"), Some("st&te"));
    assert_eq!(value(&query, "code"), None);
    assert_eq!(sandbox.counters().consents_denied, 1);
}

#[test]
fn a_wrong_verifier_is_refused() {
    let sandbox = open_tenant(|_| {});
    let query = consent(&sandbox, Choice::Allow);
    let refused =
        exchange(&sandbox, value(&query, "code").expect("a code"), "another-verifier-of-at-least-forty-three-chars");
    assert_eq!((refused.status, refused.json().expect("JSON")["error"].clone()), (400, json!("invalid_grant")));
}

#[test]
fn a_code_used_twice_is_refused_and_takes_its_tokens_along() {
    let sandbox = open_tenant(|_| {});
    let query = consent(&sandbox, Choice::Allow);
    let code = value(&query, "code").expect("a code");
    let tokens = exchange(&sandbox, code, VERIFIER).json().expect("tokens");
    assert_eq!(exchange(&sandbox, code, VERIFIER).status, 400);
    assert_eq!(refresh(&sandbox, tokens["refresh_token"].as_str().expect("a token")).status, 400);
}

#[test]
fn a_refresh_token_used_twice_revokes_the_grant() {
    let sandbox = open_tenant(|_| {});
    let (_, first) = sign_in(&sandbox);
    let second = refresh(&sandbox, &first).json().expect("tokens");
    assert_eq!(refresh(&sandbox, &first).status, 400);
    assert_eq!(refresh(&sandbox, second["refresh_token"].as_str().expect("a token")).status, 400);
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.refresh_refusals, counters.refresh_reuse), (1, 2, 1));
}

#[test]
fn without_rotation_the_refresh_token_stays_and_the_answer_may_leave_it_out() {
    let sandbox = open_tenant(|config| config.rotation = Rotation::Omit);
    let (_, first) = sign_in(&sandbox);
    for _ in 0..2 {
        let tokens = refresh(&sandbox, &first).json().expect("tokens");
        assert!(tokens["access_token"].is_string() && tokens.get("refresh_token").is_none(), "{tokens}");
    }
}

#[test]
fn the_error_pages_speak_planhats_words_and_do_not_lead_back() {
    let sandbox = open_tenant(|config| config.user.permissions = Permission::views());
    let says = |changes: &[(&str, &str)], words: &str| {
        let page = send("GET", &authorize_url(&sandbox, changes), &[], None).expect("a page");
        assert!(page.status >= 400 && page.header("location").is_none());
        assert!(page.body.contains(words), "{}", page.body);
    };
    says(&[("client_id", "pk_other")], "Invalid client_id: OAuth client not found.");
    let redirect = "http://127.0.0.1:9/callback/";
    says(&[("redirect_uri", redirect)], "Invalid redirect_uri: not registered for this client.");
    says(&[("scope", "default")], "OAuth permission check failed: missing permissions");
    sandbox.configure(|config| config.clients = vec![ClientSpec::confidential().redirect(REDIRECT).permissions([])]);
    says(&[], "You do not have any of the permissions this application requests.");
    assert_eq!(sandbox.counters().authorize_refused, 4);
}

#[test]
fn a_browser_allows_denies_or_leaves() {
    let callback = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let redirect = format!("http://{}/callback", callback.local_addr().expect("an address"));
    let sandbox = Sandbox::start(Config::with_redirect(&redirect));
    let listener = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = callback.accept().expect("a browser");
            let mut head = [0; 2048];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";
            std::io::Write::write_all(&mut stream, answer).expect("written");
        }
    });
    let url = authorize_url(&sandbox, &[("redirect_uri", &redirect)]);
    let left = walk(&url, Choice::Leave).expect("a walk");
    assert_eq!((left.pages.len(), left.last().status), (1, 200));
    for (choice, expected) in [(Choice::Allow, "?code="), (Choice::Deny, "?error=access_denied")] {
        let walked = walk(&url, choice).expect("a walk");
        let methods: Vec<&str> = walked.pages.iter().map(|page| page.method.as_str()).collect();
        assert_eq!(methods, ["GET", "POST", "GET"]);
        assert!(walked.last().url.contains(expected), "{}", walked.last().url);
        assert_eq!(walked.last().body, "done");
    }
    listener.join().expect("served");
    assert_eq!(sandbox.requests_at(Place::Authorize).len(), 5);
}

//! Which documents are used, and which are refused.

use crate::auth::discovery::metadata::*;

/// Nobody has consented to anything.
const RULES: Consents<'_> = Consents { resource: None, issuer: None, unlisted_s256: false };

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn metadata(change: serde_json::Value) -> ServerMetadata {
    let mut value = serde_json::json!({
        "issuer": "https://as.example", "authorization_endpoint": "https://ws.example/oauth/authorize",
        "token_endpoint": "https://as.example/token", "code_challenge_methods_supported": ["S256"],
    });
    for (key, new) in change.as_object().unwrap() {
        value[key] = new.clone();
    }
    serde_json::from_value(value).unwrap()
}

#[test]
fn places_are_path_aware_first() {
    let places: Vec<String> = resource_places(&url("https://h/v1/mcp?x=1")).iter().map(Url::to_string).collect();
    assert_eq!(
        places,
        ["https://h/.well-known/oauth-protected-resource/v1/mcp", "https://h/.well-known/oauth-protected-resource"]
    );
    assert_eq!(resource_places(&url("https://h/")).len(), 1);
    let places: Vec<String> = server_places(&url("https://h/t/1/")).iter().map(Url::to_string).collect();
    assert_eq!(
        places,
        [
            "https://h/.well-known/oauth-authorization-server/t/1",
            "https://h/.well-known/openid-configuration/t/1",
            "https://h/t/1/.well-known/openid-configuration",
            "https://h/t/1/.well-known/oauth-authorization-server"
        ]
    );
    assert_eq!(server_places(&url("https://h")).len(), 2);
}

#[test]
fn the_issuer_must_be_the_one_that_was_asked() {
    let place = url("https://as.example/x");
    assert!(
        metadata(serde_json::json!({})).check(Sought::Issuer("https://as.example"), &place, Flow::Code, RULES).is_ok()
    );
    assert!(
        metadata(serde_json::json!({})).check(Sought::Issuer("https://as.example/"), &place, Flow::Code, RULES).is_ok()
    );
    for asked in [
        "https://as.example/t",
        "https://AS.example",
        "http://as.example",
        "https://as.example.evil",
        "https://as.example//",
    ] {
        assert!(
            metadata(serde_json::json!({})).check(Sought::Issuer(asked), &place, Flow::Code, RULES).is_err(),
            "{asked}"
        );
    }
    let with_path = metadata(serde_json::json!({"issuer": "https://as.example/t"}));
    assert!(with_path.check(Sought::Issuer("https://as.example/t/"), &place, Flow::Code, RULES).is_err());
}

#[test]
fn what_a_document_calls_null_is_absent_and_no_reason_to_pass_it_over() {
    let server = metadata(serde_json::json!({
        "scopes_supported": null, "registration_endpoint": null, "client_id_metadata_document_supported": null,
        "authorization_response_iss_parameter_supported": null,
    }));
    assert!(!server.client_id_metadata_document_supported);
    assert!(!server.authorization_response_iss_parameter_supported);
    let resource = r#"{"resource":"https://h","authorization_servers":null,"scopes_supported":null}"#;
    let resource: ResourceMetadata = serde_json::from_str(resource).unwrap();
    assert!(resource.authorization_servers.is_empty() && resource.scopes_supported.is_none());
}

#[test]
fn metadata_without_s256_is_refused() {
    let place = url("https://as.example/x");
    let check = |methods: serde_json::Value, consents: Consents<'_>| {
        metadata(serde_json::json!({"code_challenge_methods_supported": methods})).check(
            Sought::Issuer("https://as.example"),
            &place,
            Flow::Code,
            consents,
        )
    };
    let consent = Consents { unlisted_s256: true, ..RULES };
    for methods in [serde_json::json!(null), serde_json::json!([])] {
        let problem = check(methods.clone(), RULES).unwrap_err();
        assert_eq!(problem.id, ProblemId::S256Unlisted);
        assert!(problem.fix().contains("--allow-unlisted-s256"), "{}", problem.fix());
        assert_eq!(check(methods, consent), Ok(()));
    }
    for methods in [serde_json::json!(["plain"]), serde_json::json!(["plain", "s256"])] {
        for consents in [RULES, consent] {
            let problem = check(methods.clone(), consents).unwrap_err();
            assert_eq!(problem.id, ProblemId::NoS256, "no consent lifts this");
            assert!(problem.cause().contains("plain") && !problem.fix().contains("--allow"), "{problem:?}");
        }
    }
}

#[test]
fn only_the_pinned_issuer_is_taken_whatever_place_its_document_stands_at() {
    let place = url("https://mcp.example/.well-known/oauth-authorization-server");
    let (asked, origin) = (Sought::Issuer("https://mcp.example"), Sought::Origin("https://mcp.example"));
    let server = |issuer: &str| metadata(serde_json::json!({ "issuer": issuer }));
    let problem = server("https://as.example/t").check(asked, &place, Flow::Code, RULES).unwrap_err();
    assert_eq!(
        (problem.fact("expected"), problem.fact("found")),
        (Some("https://mcp.example"), Some("https://as.example/t"))
    );
    assert!(problem.fix().contains("--issuer https://as.example/t"), "{}", problem.fix());
    let pinned = Consents { issuer: Some("https://as.example/t"), ..RULES };
    for sought in [asked, origin] {
        for good in ["https://as.example/t", "https://as.example/t/"] {
            assert_eq!(server(good).check(sought, &place, Flow::Code, pinned), Ok(()), "{good}");
        }
        // Not even the one that the rules would take.
        for bad in ["https://mcp.example", "https://as.example", "https://as.example/t/2", "https://evil.example/t"] {
            let problem = server(bad).check(sought, &place, Flow::Code, pinned).unwrap_err();
            assert_eq!((problem.id, problem.fact("expected")), (ProblemId::IssuerMismatch, pinned.issuer), "{bad}");
        }
    }
    let pinned = Consents { issuer: Some("https://as.example"), ..RULES };
    let unsafe_endpoint = metadata(serde_json::json!({"token_endpoint": "http://as.example/t"}));
    assert_eq!(unsafe_endpoint.check(asked, &place, Flow::Code, pinned).unwrap_err().id, ProblemId::UnsafeEndpoint);
}

#[test]
fn only_the_accepted_resource_is_taken_and_it_is_offered_by_name() {
    let (server, place) = (url("https://mcp.example/mcp"), url("https://mcp.example/.well-known/x"));
    let check = |resource: &str, accepted| {
        let found: ResourceMetadata = serde_json::from_value(serde_json::json!({ "resource": resource })).unwrap();
        found.check(&server, &place, Consents { resource: accepted, ..RULES })
    };
    for named in ["https://other.example/v2/mcp", "api://1111/app", "https://mcp.example/sse"] {
        let problem = check(named, None).unwrap_err();
        assert_eq!((problem.id, problem.fact("found")), (ProblemId::ResourceMismatch, Some(named)));
        assert_eq!(problem.fact("expected"), Some(server.as_str()));
        assert!(problem.fix().contains(&format!("--resource {named}")), "{}", problem.fix());
        assert_eq!(check(named, Some(named)), Ok(()));
        assert!(check(&format!("{named}/"), Some(named)).is_err(), "exactly that value");
        assert!(check("https://mcp.example/mcp", Some(named)).is_err(), "and no other");
    }
    let problem = check("http://mcp.example/mcp", None).unwrap_err();
    assert_eq!(problem.id, ProblemId::SchemeDropped);
    assert!(problem.fix().contains("X-Forwarded-Proto"), "{}", problem.fix());
    assert_eq!(check("http://mcp.example/mcp", Some("http://mcp.example/mcp")), Ok(()));
    assert_eq!(check("http://mcp.example/other", None).unwrap_err().id, ProblemId::ResourceMismatch);
}

#[test]
fn unsafe_endpoints_are_refused() {
    let place = url("https://as.example/x");
    for bad in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://as.example/a",
        "https://u:p@as.example/",
        "//as.example",
        "\\\\host\\share",
    ] {
        for field in ["authorization_endpoint", "token_endpoint"] {
            let problem = metadata(serde_json::json!({field: bad}))
                .check(Sought::Issuer("https://as.example"), &place, Flow::Code, RULES)
                .unwrap_err();
            let is_dropped = bad.starts_with("http:");
            let id = if is_dropped { ProblemId::SchemeDropped } else { ProblemId::UnsafeEndpoint };
            assert_eq!(problem.id, id, "{field} {bad}");
        }
    }
    assert!(
        metadata(serde_json::json!({"token_endpoint": "http://127.0.0.1:1/t"}))
            .check(Sought::Issuer("https://as.example"), &place, Flow::Code, RULES)
            .is_ok()
    );
}

#[test]
fn where_nobody_names_an_issuer_any_of_the_same_origin_will_do() {
    let place = url("https://as.example/.well-known/oauth-authorization-server");
    let with_issuer = |issuer: &str| metadata(serde_json::json!({ "issuer": issuer }));
    let sought = Sought::Origin("https://as.example");
    for good in ["https://as.example", "https://as.example/", "https://as.example/oauth"] {
        assert!(with_issuer(good).check(sought, &place, Flow::Code, RULES).is_ok(), "{good}");
    }
    for bad in ["https://as.example.evil.example", "http://as.example", "https://as.example/?t=1", "as.example"] {
        assert!(with_issuer(bad).check(sought, &place, Flow::Code, RULES).is_err(), "{bad}");
    }
    assert!(
        with_issuer("https://as.example/oauth")
            .check(Sought::Issuer("https://as.example"), &place, Flow::Code, RULES)
            .is_err()
    );
}

//! Finding the authorization server.

use super::*;

#[tokio::test]
async fn discovery_follows_the_challenge_and_never_gives_up_on_one_bad_answer() {
    for (name, html) in [("found by challenge", false), ("html at every other place", true)] {
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        let origin = rig.fake.origin.clone();
        rig.fake.script().pages.remove("/.well-known/oauth-authorization-server");
        if html {
            rig.fake.page("/.well-known/oauth-authorization-server/tenant", 200, "<html>");
        }
        rig.fake.page("/meta", 200, format!(r#"{{"resource":"{origin}/mcp","authorization_servers":["{origin}/tenant"],"scopes_supported":["a","b"]}}"#));
        let metadata = rig.fake.metadata().replacen(
            &format!("\"issuer\":\"{origin}\""),
            &format!("\"issuer\":\"{origin}/tenant\""),
            1,
        );
        rig.fake.page("/tenant/.well-known/openid-configuration", 200, metadata);
        rig.fake.script().challenge = Some(format!("Basic, Bearer resource_metadata=\"{origin}/meta\""));
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        assert_eq!(result.unwrap().issuer, format!("{origin}/tenant"), "{name}");
    }
}

#[tokio::test]
async fn a_hint_that_cannot_be_used_is_passed_over_and_the_well_known_places_are_asked() {
    let own = "/mcp/.well-known/oauth-protected-resource";
    for (hint, is_passed_over) in [
        (own, false),
        ("/nothing-here", false),
        ("http://mcp.example.com/meta", true),
        ("//mcp.example.com/meta", true),
        ("javascript:alert(1)", true),
        ("https://user:password@mcp.example.com/meta", true),
    ] {
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        let origin = rig.fake.origin.clone();
        rig.fake.script().challenge = Some(format!("Bearer resource_metadata=\"{hint}\""));
        rig.fake.page(own, 200, format!(r#"{{"resource":"{origin}/mcp","authorization_servers":["{origin}"]}}"#));
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        assert_eq!(result.unwrap().issuer, origin, "{hint}");
        let found = checkup::Checkup::of(&rig.process()).route().await.found.unwrap();
        assert_eq!(found.by.passed_over.is_some(), is_passed_over, "{hint}");
        assert_eq!(found.listed, usize::from(hint == own), "a path is one of the server's own: {hint}");
    }
}

#[tokio::test]
async fn a_document_below_the_issuer_s_path_is_found_after_the_standard_places() {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    let origin = rig.fake.origin.clone();
    rig.fake.script().pages.remove("/.well-known/oauth-authorization-server");
    let resource = format!(r#"{{"resource":"{origin}/mcp","authorization_servers":["{origin}/tenant"]}}"#);
    rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, resource);
    let metadata = rig.fake.metadata().replacen(
        &format!("\"issuer\":\"{origin}\""),
        &format!("\"issuer\":\"{origin}/tenant\""),
        1,
    );
    rig.fake.page("/tenant/.well-known/oauth-authorization-server", 200, metadata);
    let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert_eq!(result.unwrap().issuer, format!("{origin}/tenant"));
}

#[tokio::test]
async fn behind_a_protection_against_bots_nothing_is_assumed_and_it_is_named() {
    const PLACES: [&str; 4] = [
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
    ];
    let challenged = "Content-Type: text/html\r\ncf-mitigated: challenge\r\ncf-ray: 8f2c0d-FRA\r\n";
    let refused = "Content-Type: text/html\r\n";
    for (places, head, ray) in [
        (&PLACES[..], challenged, Some("8f2c0d-FRA")),
        (&PLACES[2..], challenged, Some("8f2c0d-FRA")),
        (&PLACES[..], refused, None),
    ] {
        let rig = Rig::with(|settings| {
            settings.product = Product::Other;
            settings.oauth.client_id = None;
        })
        .await;
        rig.fake.script().pages.clear();
        for place in places {
            rig.fake.page(place, 403, "<title>Just a moment...</title>");
            rig.fake.script().heads.insert((*place).into(), head.into());
        }
        let (result, _) = login(&rig.process(), |_| panic!("no page may be opened")).await;
        let problem = result.unwrap_err();
        assert_eq!((problem.id, problem.fact("id")), (ProblemId::BotProtection, ray));
        assert!(rig.fake.script().seen.iter().all(|seen| seen.method == "GET"), "nothing is guessed");
        let route = checkup::Checkup::of(&rig.process()).route().await;
        assert_eq!(route.found.unwrap_err().id, ProblemId::BotProtection);
        if let Some(ray) = ray {
            assert!(route.probed.iter().any(|probed| probed.outcome.contains(ray)), "{:?}", route.probed);
        }
    }
}

#[tokio::test]
async fn a_server_without_any_metadata_gets_the_default_endpoints_unless_it_is_planhat() {
    for product in [Product::Other, Product::Planhat] {
        let rig = Rig::with(|settings| settings.product = product).await;
        rig.fake.script().pages.clear();
        let (result, _) = login(&rig.process(), |link| {
            assert!(Url::parse(link).unwrap().path() == "/authorize");
            answer(link, "code=abc")
        })
        .await;
        match product {
            Product::Other => assert!(result.is_ok()),
            _ => assert_eq!(result.unwrap_err().id, ProblemId::NoAuthorizationServer),
        }
    }
}

#[tokio::test]
async fn metadata_that_speaks_for_another_resource_or_issuer_ends_it() {
    let rig = Rig::new().await;
    rig.fake.page(
        "/.well-known/oauth-protected-resource/mcp",
        200,
        r#"{"resource":"https://evil.example/mcp","authorization_servers":["https://evil.example"]}"#,
    );
    assert_eq!(login(&rig.process(), |_| vec![]).await.0.unwrap_err().id, ProblemId::ResourceMismatch);
    let rig = Rig::new().await;
    rig.fake.page(
        "/.well-known/oauth-authorization-server",
        200,
        rig.fake.metadata().replacen("\"issuer\":\"http", "\"issuer\":\"https", 1),
    );
    assert_eq!(login(&rig.process(), |_| vec![]).await.0.unwrap_err().id, ProblemId::IssuerMismatch);
}

#[tokio::test]
async fn an_issuer_with_a_path_is_taken_from_the_origin_only_where_nobody_names_one() {
    for named in [false, true] {
        let rig = Rig::new().await;
        let origin = rig.fake.origin.clone();
        let with_path =
            rig.fake.metadata().replacen(&format!("\"issuer\":\"{origin}\""), &format!("\"issuer\":\"{origin}/t\""), 1);
        rig.fake.page("/.well-known/oauth-authorization-server", 200, with_path);
        if named {
            let resource = format!(r#"{{"resource":"{origin}/mcp","authorization_servers":["{origin}"]}}"#);
            rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, resource);
        }
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        match named {
            false => assert_eq!(result.unwrap().issuer, format!("{origin}/t")),
            true => assert_eq!(result.unwrap_err().id, ProblemId::IssuerMismatch),
        }
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_not_taken_for_one_without_metadata() {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    rig.fake.page("/.well-known/oauth-authorization-server", 503, "");
    let problem = login(&rig.process(), |_| vec![]).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::SignInUnavailable);
    let words = problem.model_line();
    assert!(words.contains("did not succeed") && words.contains("do not call again at once"), "no loop: {words}");
    assert!(!words.contains("no new sign-in is needed"), "{words}");
}

#[tokio::test]
async fn a_server_that_names_many_silent_places_is_not_waited_for_at_each_of_them() {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = silent.local_addr().unwrap();
    let issuers = (0..5).map(|n| format!("\"http://{place}/{n}\"")).collect::<Vec<_>>().join(",");
    let resource = format!(r#"{{"resource":"{}/mcp","authorization_servers":[{issuers}]}}"#, rig.fake.origin);
    rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, resource);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            if held.is_empty() {
                // From here on there is nothing but waiting.
                tokio::time::pause();
            }
            held.push(stream);
        }
    });
    let began = tokio::time::Instant::now();
    let problem = checkup::Checkup::of(&rig.process()).route().await.found.unwrap_err();
    assert_eq!(problem.id, ProblemId::TokenEndpointUnavailable);
    let took = began.elapsed().as_secs();
    assert!((80..100).contains(&took), "{took} s for fifteen places");
}

#[tokio::test]
async fn a_client_without_a_person_stays_with_the_server_that_took_it_first() {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_credentials = true;
        settings.oauth.client_secret = Some("canary".into());
    })
    .await;
    let process = rig.process();
    let bearer = process.unauthorized(None, Challenge::default()).await.unwrap();
    let other = Fake::start().await;
    let named = format!(r#"{{"resource":"{}/mcp","authorization_servers":["{}"]}}"#, rig.fake.origin, other.origin);
    rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, named);
    let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::IssuerMoved);
    assert!(other.token_requests().is_empty(), "the secret was shown");
}

/// The methods of the requests to the MCP endpoint so far.
fn asked_mcp(rig: &Rig) -> Vec<String> {
    let script = rig.fake.script();
    script.seen.iter().filter(|seen| seen.target == "/mcp").map(|seen| seen.method.clone()).collect()
}

#[tokio::test]
async fn where_get_is_not_challenged_the_challenge_of_initialize_counts() {
    let rig = Rig::with(|settings| settings.oauth.scope = None).await;
    {
        let mut script = rig.fake.script();
        script.mcp.insert("GET".into(), (405, String::new()));
        script.challenge = Some("Bearer scope=\"from-post\"".into());
    }
    let (result, _) = login(&rig.process(), |link| {
        assert_eq!(param(link, "scope"), "from-post");
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
    assert_eq!(asked_mcp(&rig), ["GET", "POST"]);
    let rig = Rig::new().await;
    rig.signed_in().await;
    assert_eq!(asked_mcp(&rig), ["GET"], "a challenge is enough");
}

#[tokio::test]
async fn a_server_that_takes_requests_without_a_sign_in_and_describes_none_needs_none() {
    for is_described in [false, true] {
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        {
            let mut script = rig.fake.script();
            script.mcp.insert("GET".into(), (405, String::new()));
            script.mcp.insert("POST".into(), (200, "{}".into()));
            script.mcp.insert("DELETE".into(), (200, String::new()));
            if !is_described {
                script.pages.clear();
            }
        }
        let found = checkup::Checkup::of(&rig.process()).route().await.found;
        assert_eq!(asked_mcp(&rig), ["GET", "POST", "DELETE"], "the session is ended");
        match (is_described, found) {
            (true, found) => _ = found.unwrap(),
            (false, found) => {
                assert_eq!(found.unwrap_err().id, ProblemId::SignInNotWanted);
                let result = login(&rig.process(), |_| panic!("no page is opened")).await.0;
                assert_eq!(result.unwrap_err().id, ProblemId::SignInNotWanted);
            }
        }
    }
}

#[tokio::test]
async fn the_host_that_fails_to_say_where_to_sign_in_is_named() {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    rig.fake.script().pages.clear();
    rig.fake.page("/.well-known/oauth-protected-resource/mcp", 500, "");
    let problem = login(&rig.process(), |_| panic!("no page is opened")).await.0.unwrap_err();
    let host = rig.fake.origin.trim_start_matches("http://");
    assert!(problem.what().contains(&format!("{host} cannot answer")), "{}", problem.what());
    assert!(!problem.what().contains("authorization server"), "{}", problem.what());
}

#[tokio::test]
async fn a_server_that_nobody_can_connect_to_is_called_that_and_no_authorization_server_is_blamed() {
    let reserved = ReservedPort::new();
    let closed = reserved.number();
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.url = Url::parse(&format!("http://127.0.0.1:{closed}/mcp")).unwrap();
    })
    .await;
    let problem = login(&rig.process(), |_| panic!("no page is opened")).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::ConnectFailed, "{problem:?}");
}

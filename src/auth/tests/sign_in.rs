//! Signing in, from the link to the stored token.

use super::*;

#[tokio::test]
async fn a_sign_in_ends_with_a_stored_token_and_only_then_says_so() {
    let rig = Rig::new().await;
    let process = rig.process();
    assert!(process.bearer().await.unwrap().is_none());
    let (result, pages) = login(&process, |link| {
        assert_eq!(param(link, "response_type"), "code");
        assert_eq!(param(link, "code_challenge_method"), "S256");
        assert_eq!(param(link, "scope"), "inclusive");
        assert!(param(link, "resource").ends_with("/mcp"));
        assert!(param(link, "state").len() >= 32);
        answer(link, "code=abc")
    })
    .await;
    let summary = result.unwrap();
    assert_eq!((summary.client_id.as_str(), summary.renews), ("pk_test", true));
    assert_eq!(summary.expires_at, Some(NOW + 3600));
    assert_eq!(pages[0].0, 200);
    for header in ["cache-control: no-store", "content-security-policy: default-src 'none'"] {
        assert!(pages[0].1.to_ascii_lowercase().contains(header), "{}", pages[0].1);
    }
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
    let form = rig.fake.token_requests()[0].form();
    assert!(form["resource"].ends_with("/mcp") && !form["code_verifier"].is_empty());
    assert!(form["redirect_uri"].ends_with("/callback"));
    // Another process finds it in the store.
    assert_eq!(rig.process().bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
}

#[tokio::test]
async fn a_failed_exchange_is_not_called_a_sign_in_by_the_page() {
    let rig = Rig::new().await;
    rig.fake
        .script()
        .token_faults
        .push_back((400, r#"{"error":"invalid_grant","error_description":"<b>no</b>"}"#.into()));
    let (result, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    let problem = result.unwrap_err();
    assert_eq!(problem.id, ProblemId::CodeRejected);
    assert_eq!(problem.fact("error_description"), Some("<b>no</b>"));
    assert_eq!(pages[0].0, 400);
    assert!(!pages[0].1.contains("<b>") && !pages[0].1.contains("You are signed in"));
    assert!(rig.stored().await.is_none());
}

#[tokio::test]
async fn what_is_not_the_answer_neither_ends_nor_stalls_the_sign_in() {
    let rig = Rig::new().await;
    let (result, pages) = login(&rig.process(), |link| {
        let to = redirect(link);
        let state = param(link, "state");
        vec![
            format!("{to}?code=x&state=wrong"),
            format!("{to}?code=x"),
            format!("{to}?error=access_denied&state=wrong"),
            format!("{to}?code=x&state={state}&state={state}"),
            format!("{to}?state={state}"),
            format!("{to}?code=&state={state}"),
            to.replace("/callback", "/favicon.ico"),
            to.replace("/callback", &format!("/callback/?code=x&state={state}")),
            to.replace("127.0.0.1", "localhost") + &format!("?code=x&state={state}"),
            format!("{to}?code=abc&state={state}"),
        ]
    })
    .await;
    result.unwrap();
    let statuses: Vec<u16> = pages.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [400, 400, 400, 400, 400, 400, 404, 404, 421, 200]);
    assert_eq!(rig.fake.token_requests()[0].form()["code"], "abc");
}

#[tokio::test]
async fn other_methods_and_bodies_are_turned_away() {
    let rig = Rig::new().await;
    let port = rig.settings.oauth.callback.port;
    let (result, _) = login(&rig.process(), move |link| {
        let state = param(link, "state");
        let target = format!("/callback?code=x&state={state}");
        let host = format!("Host: 127.0.0.1:{port}\r\n");
        for (request, status) in [
            (format!("POST {target} HTTP/1.1\r\n{host}\r\n"), 405),
            (format!("POST {target} HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx"), 400),
            (format!("POST {target} HTTP/1.1\r\n{host}Content-Length: 1000000\r\n\r\nx"), 405),
            (format!("GET {target} HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n"), 400),
            (format!("HEAD {target} HTTP/1.1\r\n{host}\r\n"), 405),
            (format!("GET {target} HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx"), 400),
            (format!("GET {target} HTTP/1.1\r\n{host}{host}\r\n"), 421),
            (format!("GET {target} HTTP/1.1\r\nHost: evil.example:{port}\r\n\r\n"), 421),
            (format!("GET {target} HTTP/1.0\r\n\r\n"), 421),
            (format!("GET /callback?{} HTTP/1.1\r\n{host}\r\n", "x".repeat(20 * 1024)), 414),
            (format!("GET /callback?{} HTTP/1.1\r\n{host}\r\n", "x".repeat(64 * 1024)), 431),
        ] {
            assert_eq!(raw(port, &request).0, status, "{}", &request[..60.min(request.len())]);
        }
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn refusals_and_incomplete_answers_end_the_sign_in_with_their_own_reason() {
    for (query, expected) in [
        ("error=access_denied&error_description=No%20way", ProblemId::AccessDenied),
        ("error=server_error", ProblemId::AuthorizationFailed),
        ("code=a&code=b", ProblemId::CallbackIncomplete),
        ("code=a&iss=https%3A%2F%2Fevil.example", ProblemId::CallbackIssuerMismatch),
    ] {
        let rig = Rig::new().await;
        let (result, pages) = login(&rig.process(), move |link| answer(link, query)).await;
        assert_eq!(result.unwrap_err().id, expected, "{query}");
        assert_eq!(pages[0].0, 400);
        assert!(rig.fake.token_requests().is_empty(), "{query}");
        // The reason reaches the process that waits.
        let record: crate::auth::login::attempt::Attempt =
            crate::auth::login::attempt::note(&rig.process().ctx.files).read().unwrap();
        assert_eq!(Problem::from(record.failure.unwrap()).id, expected);
    }
}

#[tokio::test]
async fn a_server_that_wants_a_scope_has_its_scopes_listed_where_none_was_asked_for() {
    let rig = Rig::with(|settings| (settings.product, settings.oauth.scope) = (Product::Other, None)).await;
    let (result, _) = login(&rig.process(), |link| {
        assert_eq!(param(link, "scope"), "");
        answer(link, "error=invalid_scope")
    })
    .await;
    let problem = result.unwrap_err();
    assert_eq!((problem.id, problem.fact("scope")), (ProblemId::ScopeNeeded, Some("inclusive")));
}

#[tokio::test]
async fn a_second_callback_gets_a_calm_page() {
    let rig = Rig::new().await;
    let held = Arc::new(tokio::sync::Semaphore::new(0));
    rig.fake.script().held = Some(Arc::clone(&held));
    let (result, _) = login(&rig.process(), move |link| {
        // The one that is taken waits for its page while the token endpoint does not answer; the other comes meanwhile.
        let url = answer(link, "code=abc").remove(0);
        let (sender, pages) = std::sync::mpsc::channel();
        for url in [url.clone(), url] {
            let sender = sender.clone();
            std::thread::spawn(move || sender.send(get(&url)));
        }
        let calm = pages.recv().unwrap();
        held.add_permits(1);
        let pages = [calm, pages.recv().unwrap()];
        for text in ["You are signed in", "Nothing more to do here"] {
            assert_eq!(
                pages.iter().filter(|(status, page)| *status == 200 && page.contains(text)).count(),
                1,
                "{text}"
            );
        }
        vec![]
    })
    .await;
    result.unwrap();
    let codes = rig.fake.token_requests().iter().filter(|seen| seen.form().contains_key("code")).count();
    assert_eq!(codes, 1);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it_before_a_page_is_opened() {
    let rig = Rig::new().await;
    let port = rig.settings.oauth.callback.port;
    let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (result, pages) = login(&rig.process(), |_| panic!("no page may be opened")).await;
    let problem = result.unwrap_err();
    assert_eq!(problem.id, ProblemId::PortInUse);
    assert_eq!(problem.fact("port"), Some(port.to_string().as_str()));
    if cfg!(target_os = "linux") {
        let process = format!("(process {})", std::process::id());
        assert!(problem.fact("owner").unwrap().ends_with(&process), "{problem:?}");
    }
    assert!(pages.is_empty());
}

#[tokio::test]
async fn the_port_is_free_again_after_a_sign_in() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    for _ in 0..3 {
        login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
    }
}

#[tokio::test]
async fn a_pasted_address_is_as_good_as_the_callback() {
    let rig = Rig::new().await;
    let process = rig.process();
    let (links, mut link) = mpsc::unbounded_channel();
    let (lines, paste) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let link: String = link.recv().await.unwrap();
        let state = param(&link, "state");
        let consent = format!("http://127.0.0.1:1/consent?state={state}&code=x");
        for line in ["", "hello", "http://127.0.0.1/callback?code=x&state=wrong", "\u{fffd}", &link, &consent] {
            lines.send(line.to_owned()).unwrap();
        }
        lines.send(format!("{}?state={state}", redirect(&link))).unwrap();
        lines.send(answer(&link, "code=pasted").remove(0) + "\n").unwrap();
    });
    let options = LoginOptions { paste: Some(paste), ..LoginOptions::default() };
    let mut ui = Refusals { links: Links(links), refused: Vec::new() };
    process.login(options, &mut ui).await.unwrap();
    assert_eq!(rig.fake.token_requests()[0].form()["code"], "pasted");
    assert_eq!(ui.refused.len(), 6);
    assert!(ui.refused[3].contains("it is the link to open"), "{:?}", ui.refused);
}

/// Collects what is said about pasted lines.
struct Refusals {
    links: Links,
    refused: Vec<String>,
}

impl LoginUi for Refusals {
    fn event(&mut self, event: LoginEvent<'_>) {
        match event {
            LoginEvent::PasteRejected(problem) => self.refused.push(problem.what()),
            event => self.links.event(event),
        }
    }
}

#[tokio::test]
async fn the_pages_and_the_log_of_a_sign_in_name_the_command_with_this_run_s_settings() {
    let rig = Rig::with(|settings| settings.run_flags = vec!["--tenant".into(), "demo".into()]).await;
    let (result, pages) = login(&rig.process(), |link| {
        let to = redirect(link);
        vec![format!("{to}?code=x&state=wrong"), answer(link, "error=access_denied").remove(0)]
    })
    .await;
    result.unwrap_err();
    for (status, page) in pages {
        assert!(status == 400 && page.contains("planhat-mcp login --tenant demo"), "{page}");
    }
}

#[tokio::test]
async fn the_next_call_after_a_failed_sign_in_hears_what_was_wrong() {
    for (failure, said) in [
        (Problem::new(ProblemId::PortInUse).with("port", 7526), ["7526", "--callback-port"]),
        (Problem::new(ProblemId::AccessDenied), ["refused access", "planhat_sign_in"]),
    ] {
        let rig = Rig::new().await;
        let process = rig.process();
        process.sign_ins.ended(Some(failure));
        let problem = process.start_sign_in(SignInReason::Call).await.unwrap_err();
        for words in said {
            assert!(problem.model_line().contains(words), "{words} in {}", problem.model_line());
        }
        assert!(!problem.what().contains(".."), "{}", problem.what());
    }
}

#[tokio::test]
async fn without_a_client_id_planhat_is_not_even_asked() {
    let rig = Rig::with(|settings| settings.oauth.client_id = None).await;
    let process = rig.process();
    for reason in [SignInReason::FirstList, SignInReason::Call, SignInReason::UserAsked] {
        assert_eq!(process.start_sign_in(reason).await.unwrap_err().id, ProblemId::PlanhatClientIdMissing);
    }
    assert!(rig.fake.script().seen.is_empty());
}

#[tokio::test]
async fn a_sign_in_that_nobody_finishes_ends_by_itself() {
    let rig = Rig::with(|settings| settings.limits.sign_in = Duration::from_millis(50)).await;
    let problem = login(&rig.process(), |_| vec![]).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::PlanhatSignInTimedOut);
    assert!(problem.fact("redirect_url").unwrap().ends_with("/callback"));
}

#[tokio::test]
async fn without_a_client_id_the_user_is_told_what_to_do() {
    let rig = Rig::with(|settings| settings.oauth.client_id = None).await;
    let problem = login(&rig.process(), |_| vec![]).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::PlanhatClientIdMissing);
}

#[tokio::test]
async fn the_secret_is_shown_as_the_server_wants_it_and_that_is_remembered() {
    for (require, methods) in [
        ("basic", None),
        ("post", Some(vec!["client_secret_post"])),
        ("post", None),
        ("basic", Some(vec!["client_secret_post"])),
    ] {
        let rig = Rig::with(|settings| settings.oauth.client_secret = Some("sk:&%+ü".into())).await;
        if let Some(methods) = methods {
            let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
            metadata["token_endpoint_auth_methods_supported"] = methods.into();
            rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
        }
        rig.fake.script().require = Some(require);
        let process = rig.signed_in().await;
        let asked = rig.fake.token_requests().len();
        let bearer = process.bearer().await.unwrap().unwrap();
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
        assert_eq!(rig.fake.token_requests().len(), asked + 1, "no second guess");
        let last = rig.fake.token_requests().pop().unwrap();
        match require {
            // RFC 6749, 2.3.1: form-urlencoded before base64.
            "basic" => assert_eq!(last.headers["authorization"], "Basic cGtfdGVzdDpzayUzQSUyNiUyNSUyQiVDMyVCQw=="),
            _ => assert_eq!(last.form()["client_secret"], "sk:&%+ü"),
        }
    }
}

#[tokio::test]
async fn the_form_names_the_client_whatever_proves_it() {
    for require in ["basic", "post"] {
        let rig = Rig::with(|settings| settings.oauth.client_secret = Some("sk".into())).await;
        {
            let mut script = rig.fake.script();
            (script.require, script.wants_client_id) = (Some(require), true);
        }
        let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
        metadata["token_endpoint_auth_methods_supported"] = vec![format!("client_secret_{require}")].into();
        metadata["revocation_endpoint"] = format!("{}/revoke", rig.fake.origin).into();
        rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
        rig.fake.page("/revoke", 200, "");
        let process = rig.signed_in().await;
        let bearer = process.bearer().await.unwrap().unwrap();
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
        assert_eq!(process.logout().await.unwrap(), Some(Revoked::Yes));
        let posted: Vec<_> = rig.fake.script().seen.iter().filter(|seen| seen.method == "POST").cloned().collect();
        assert_eq!(posted.len(), 3, "the code, the renewal, the revocation; no second guess");
        for seen in posted {
            let ids = seen.body.matches("client_id=pk_test").count();
            assert_eq!((ids, seen.headers.contains_key("authorization")), (1, require == "basic"), "{}", seen.target);
            assert_eq!(seen.body.contains("client_secret="), require == "post", "never shown twice (RFC 6749, 2.3)");
        }
    }
}

#[tokio::test]
async fn a_client_that_registered_itself_is_not_called_a_configured_one_and_opens_no_second_page_when_it_is_refused() {
    for refused_at_the_page in [false, true] {
        let rig = Rig::with(|settings| {
            settings.product = Product::Other;
            settings.oauth.client_id = None;
        })
        .await;
        let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
        metadata["registration_endpoint"] = format!("{}/register", rig.fake.origin).into();
        rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
        rig.fake.page("/register", 201, r#"{"client_id":"own","client_secret":"canary-own"}"#);
        rig.fake.script().require = Some("neither");
        let query = if refused_at_the_page { "error=unauthorized_client" } else { "code=abc" };
        let (result, pages) = login(&rig.process(), move |link| answer(link, query)).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.id, ProblemId::RegisteredClientRefused);
        let words = format!("{} {} {} {}", problem.what(), problem.fix(), problem.model_line(), pages[0].1);
        for misleading in ["OAuth client", "configured client", "Check the client id"] {
            assert!(!words.contains(misleading), "{words}");
        }
        let registrations = rig.fake.script().seen.iter().filter(|seen| seen.target == "/register").count();
        assert_eq!(registrations, 1, "one that was registered just now is known: another would be refused as well");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_explained_as_that() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("wrong".into())).await;
    rig.fake.script().require = Some("neither");
    let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    let problem = result.unwrap_err();
    assert_eq!(problem.id, ProblemId::InvalidClient);
    assert_eq!(problem.fact("error"), Some("invalid_client"));
    assert_eq!(rig.fake.token_requests().len(), 2);
}

#[tokio::test]
async fn a_kept_client_secret_serves_later_runs() {
    let rig = Rig::new().await;
    let process = rig.process();
    let (settings, store) = (&process.ctx.settings, &process.ctx.store);
    crate::auth::registration::client::keep_secret(settings, store, "pk_test", &"sk_kept".into()).await.unwrap();
    rig.fake.script().require = Some("basic");
    rig.signed_in().await;
}

#[tokio::test]
async fn a_secret_that_one_run_was_given_renews_in_runs_that_are_not() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("sk_given".into())).await;
    rig.fake.script().require = Some("basic");
    rig.signed_in().await;
    let mut settings = (*rig.settings).clone();
    settings.oauth.client_secret = None;
    let http = Http::new(NetworkSettings::default());
    let other = Authorizer::new(Arc::new(settings), http, rig.ring.store(), rig.clock.clone());
    let bearer = other.bearer().await.unwrap().unwrap();
    other.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    // Signing out takes it along.
    assert_eq!(other.logout().await.unwrap(), Some(Revoked::NotOffered { issuer: rig.fake.origin.clone() }));
    assert!(rig.ring.store().read(&Accounts::client_secret(&rig.settings, "pk_test")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_missing_secret_and_an_unknown_scope_are_called_that() {
    let rig = Rig::new().await;
    rig.fake.script().require = Some("basic");
    let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert_eq!(result.unwrap_err().id, ProblemId::ClientSecretMissing);
    let rig = Rig::new().await;
    let (result, _) = login(&rig.process(), |link| answer(link, "error=invalid_scope")).await;
    let problem = result.unwrap_err();
    assert_eq!((problem.id, problem.fact("scope")), (ProblemId::InvalidScope, Some("inclusive")));
}

#[tokio::test]
async fn a_damaged_store_is_explained_with_the_command_that_mends_it() {
    let rig = Rig::with(|settings| settings.run_flags = vec!["--token-store".into(), "file".into()]).await;
    rig.ring.fail(Some(StoreError::Corrupt("x".into())));
    let problem = Status::of(&rig.process()).await.store_problem.unwrap();
    assert!(problem.fix().contains("`planhat-mcp logout --token-store file`"), "{}", problem.fix());
}

#[tokio::test]
async fn consent_is_not_wasted_while_token_requests_are_held_back() {
    let rig = Rig::new().await;
    let now = NOW * 1_000;
    std::fs::create_dir_all(rig.state_file("brake.json").parent().unwrap()).unwrap();
    let spent = serde_json::json!({ "tabs": [], "token_requests": vec![now; 30] });
    std::fs::write(rig.state_file("brake.json"), spent.to_string()).unwrap();
    rig.signed_in().await;
    assert_eq!(rig.fake.token_requests().len(), 1);
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(rig.state_file("brake.json")).unwrap()).unwrap();
    assert_eq!(record["token_requests"].as_array().map(Vec::len), Some(31), "it counts");
}

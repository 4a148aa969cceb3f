//! What the token endpoint gives, in other words than the standard's.

use super::*;

#[tokio::test]
async fn a_token_of_a_type_without_a_scheme_of_its_own_is_a_bearer_token() {
    for token_type in ["user", "bot", "Bearer"] {
        let rig = Rig::new().await;
        let issued = format!(r#"{{"ok":true,"access_token":"canary-user","token_type":"{token_type}"}}"#);
        rig.fake.script().token_faults.push_back((200, issued));
        let process = rig.signed_in().await;
        assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-user", "{token_type}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_used_is_no_passing_problem_and_says_what_came() {
    for (body, expected, words) in [
        (r#"{"access_token":"canary","token_type":"mac"}"#, ProblemId::TokenTypeUnusable, "of the type mac"),
        (r#"{"access_token":"canary","token_type":"DPoP"}"#, ProblemId::TokenTypeUnusable, "of the type dpop"),
        (
            r#"{"ok":true,"authed_user":{"id":"U1","access_token":"canary","token_type":"user"}}"#,
            ProblemId::TokenInsideMember,
            "inside authed_user",
        ),
    ] {
        let rig = Rig::new().await;
        rig.fake.script().token_faults.push_back((200, body.into()));
        let problem = login(&rig.process(), |link| answer(link, "code=abc")).await.0.unwrap_err();
        assert_eq!(problem.id, expected, "{body}");
        assert!(problem.what().contains(words) && !problem.fix().contains("Try again"), "{problem:?}");
        assert!(problem.fix().contains("--authorize-param"), "{}", problem.fix());
        // A renewal that brings it may have replaced the refresh token.
        let rig = Rig::new().await;
        let process = rig.signed_in().await;
        let bearer = process.bearer().await.unwrap().unwrap();
        rig.fake.script().token_faults.push_back((200, body.into()));
        for _ in 0..2 {
            let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
            assert!(matches!(error, AuthError::SignInNeeded(_)), "{error:?}");
        }
        assert_eq!(rig.fake.token_requests().len(), 2, "presented once: {body}");
    }
}

#[tokio::test]
async fn a_secret_that_the_server_compares_as_it_comes_is_sent_raw_once_it_is_refused_and_that_is_remembered() {
    const SECRET: &str = "sk$+/=:%~";
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some(SECRET.into())).await;
    rig.fake.script().basic_pair = Some("pk_test:sk$+/=:%~");
    let process = rig.signed_in().await;
    assert_eq!(rig.fake.token_requests().len(), 2, "in the standard's form first, then raw");
    assert_eq!(rig.stored().await.unwrap().raw_basic_since, Some(NOW));
    rig.clock.advance(Duration::from_secs(5));
    // Also by another process.
    let process = if process.bearer().await.unwrap().is_some() { rig.process() } else { process };
    let bearer = process.bearer().await.unwrap().unwrap();
    let bearer = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    assert_eq!(rig.fake.token_requests().len(), 3, "no second guess");
    assert!(rig.fake.token_requests().iter().all(|seen| seen.target == "/token"));
    assert_eq!(rig.stored().await.unwrap().raw_basic_since, Some(NOW), "since the first time");
    // The server has learnt the standard's form: what was remembered is forgotten.
    rig.fake.script().basic_pair = Some("pk_test:sk%24%2B%2F%3D%3A%25%7E");
    process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    assert_eq!(rig.stored().await.unwrap().raw_basic_since, None);
}

#[tokio::test]
async fn a_secret_that_is_wrong_in_every_form_is_shown_once_in_each_and_in_no_words() {
    const SECRET: &str = "canary$+/=:%~";
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some(SECRET.into())).await;
    let refused = r#"{"error":"invalid_client","error_description":"no: {sent}"}"#;
    rig.fake.script().token_faults.extend((0..9).map(|_| (401, refused.to_owned())));
    let problem = login(&rig.process(), |link| answer(link, "code=abc")).await.0.unwrap_err();
    assert_eq!(problem.id, ProblemId::InvalidClient);
    assert_eq!(rig.fake.token_requests().len(), 3, "encoded, raw, in the form");
    let words = format!("{problem:?} {}", problem.what());
    assert!(!words.contains("canary"), "{words}");
}

#[tokio::test]
async fn a_server_that_refuses_to_revoke_is_not_called_one_that_cannot_answer() {
    for (status, is_refusal) in [(400, true), (401, true), (404, true), (405, true), (429, false), (500, false)] {
        let rig = Rig::new().await;
        let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
        metadata["revocation_endpoint"] = format!("{}/revoke", rig.fake.origin).into();
        rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
        rig.fake.page("/revoke", status, r#"{"error":"invalid_client"}"#);
        let revoked = rig.signed_in().await.logout().await.unwrap().unwrap();
        assert_eq!(revoked == Revoked::Refused { status }, is_refusal, "{status}: {revoked:?}");
        assert!(rig.stored().await.is_none());
    }
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_is_told_with_the_server_s_words_and_every_way_out() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let challenge = Challenge { error_description: Some("Invalid audience".into()), ..Challenge::default() };
    let problem = loop {
        let bearer = process.bearer().await.unwrap();
        match process.unauthorized(bearer.as_ref(), challenge.clone()).await {
            Err(AuthError::Failed(problem)) => break problem,
            Err(error) => panic!("{error:?}"),
            Ok(_) => {}
        }
    };
    assert_eq!(problem.id, ProblemId::TokenRejected);
    assert!(problem.what().ends_with("It said: Invalid audience."), "{}", problem.what());
    assert!(problem.fix().contains("--no-resource"), "{}", problem.fix());
}

/// Signs in, has the server refuse all its tokens, and returns the `resource` of link, exchange and first renewal.
async fn refused_afresh(rig: &Rig) -> [String; 3] {
    let (tell, told) = std::sync::mpsc::channel();
    let process = rig.process();
    let before = rig.fake.token_requests().len();
    let (result, _) = login(&process, move |link| {
        tell.send(param(link, "resource")).unwrap();
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
    loop {
        let bearer = process.bearer().await.unwrap();
        if process.unauthorized(bearer.as_ref(), Challenge::default()).await.is_err() {
            break;
        }
    }
    let requests = rig.fake.token_requests();
    let sent = |at: usize| requests[before + at].form().get("resource").cloned().unwrap_or_default();
    [told.recv().unwrap(), sent(0), sent(1)]
}

#[tokio::test]
async fn a_server_that_takes_no_token_for_the_resource_is_asked_without_it_by_the_next_sign_in() {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    let with = || std::array::from_fn(|_| format!("{}/mcp", rig.fake.origin));
    assert_eq!(refused_afresh(&rig).await, with());
    assert_eq!(refused_afresh(&rig).await, [""; 3]);
    assert_eq!(rig.stored().await.unwrap().without_resource_since, Some(NOW));
    // That was not it.
    assert_eq!(refused_afresh(&rig).await, with());
    let planhat = Rig::new().await;
    refused_afresh(&planhat).await;
    assert_ne!(refused_afresh(&planhat).await, [""; 3], "it is known to take it");
}

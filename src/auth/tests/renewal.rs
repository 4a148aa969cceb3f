//! Renewing tokens: once for all, never losing one.

use super::*;

#[tokio::test]
async fn sixteen_rejected_calls_make_one_refresh() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let rejected = process.bearer().await.unwrap().unwrap();
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (process, rejected) = (Arc::clone(&process), rejected.clone());
            tokio::spawn(async move { process.unauthorized(Some(&rejected), Challenge::default()).await.unwrap() })
        })
        .collect();
    for call in calls {
        let bearer = call.await.unwrap();
        assert_eq!(bearer.token.expose(), "canary-access-2");
        assert!(bearer.serial > rejected.serial);
        assert_eq!(bearer.grant, rejected.grant);
    }
    assert_eq!(rig.fake.counts(), (1, 0));
}

#[tokio::test]
async fn eight_processes_with_one_rejected_token_make_one_refresh() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    let mut calls = Vec::new();
    let mut processes = Vec::new();
    for _ in 0..8 {
        let process = rig.process();
        let rejected = process.bearer().await.unwrap().unwrap();
        processes.push((process, rejected));
    }
    for (process, rejected) in processes {
        calls.push(tokio::spawn(async move { process.unauthorized(Some(&rejected), Challenge::default()).await }));
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().token.expose(), "canary-access-2");
    }
    assert_eq!(rig.fake.counts(), (1, 0));
}

#[tokio::test]
async fn a_cancelled_call_does_not_lose_the_rotated_token() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let rejected = process.bearer().await.unwrap().unwrap();
    let is_presented = async {
        while rig.fake.token_requests().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        // Given up while the server has the refresh token and nobody has its answer yet.
        () = is_presented => {}
        _ = process.unauthorized(Some(&rejected), Challenge::default()) => panic!("it ended before it was given up"),
    }
    process.tokens().settle(Duration::from_secs(10)).await;
    let stored = rig.stored().await.unwrap();
    assert_eq!(stored.access_token.expose(), "canary-access-2");
    assert_eq!(stored.refresh_token.unwrap().expose(), &rig.fake.script().refresh_token);
    let bearer = process.unauthorized(Some(&rejected), Challenge::default()).await.unwrap();
    assert_eq!(bearer.token.expose(), "canary-access-2");
    assert_eq!(rig.fake.counts(), (1, 0));
}

#[tokio::test]
async fn passing_failures_keep_the_sign_in_and_the_next_try_succeeds() {
    for fault in [
        (429, ""),
        (200, "<html>portal</html>"),
        (403, "blocked"),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (200, r#"{"ok":false,"error":"ratelimited"}"#),
        (404, r#"{"error":"Not Found","status":404}"#),
        (403, r#"{"message":"Forbidden"}"#),
        (302, ""),
    ] {
        let rig = Rig::new().await;
        let process = rig.signed_in().await;
        let bearer = process.bearer().await.unwrap().unwrap();
        rig.fake.script().token_faults.push_back((fault.0, fault.1.into()));
        let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert!(matches!(error, AuthError::NotNow(_)), "{fault:?}: {error:?}");
        assert!(rig.stored().await.unwrap().refresh_token.is_some());
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_spent_refresh_token_asks_for_a_sign_in_and_is_never_shown_again() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    rig.fake.script().refresh_token = "revoked".into();
    for _ in 0..3 {
        let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert!(matches!(error, AuthError::SignInNeeded(_)), "{error:?}");
    }
    assert!(rig.process().unauthorized(Some(&bearer), Challenge::default()).await.is_err());
    assert_eq!(rig.fake.script().reused, 1);
    assert!(process.bearer().await.unwrap().is_none());
    assert_eq!(*process.watch().borrow(), AuthState::SignedOut);
    // A new sign-in is a new grant.
    login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
    assert!(process.bearer().await.unwrap().unwrap().grant > bearer.grant);
}

#[tokio::test]
async fn a_refresh_token_that_is_refused_under_any_name_is_presented_once_and_a_sign_in_is_offered() {
    for (status, body) in [
        (400, r#"{"error":"invalid_request","error_description":"refresh_token is invalid"}"#),
        (200, r#"{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect."}"#),
        (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#),
        (400, r#"{"error":"unauthorized_client"}"#),
        (401, r#"{"error":"invalid_token"}"#),
        (403, r#"{"error":"access_denied"}"#),
        (400, r#"{"error":{"code":"token_expired","message":"over"}}"#),
        (401, r#"{"statusCode":401,"message":"Invalid refresh token"}"#),
    ] {
        let rig = Rig::new().await;
        let process = rig.signed_in().await;
        let bearer = process.bearer().await.unwrap().unwrap();
        process.accepted(&bearer);
        rig.fake.script().token_faults.extend((0..9).map(|_| (status, body.to_owned())));
        for _ in 0..3 {
            let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
            assert!(matches!(error, AuthError::SignInNeeded(_)), "{body}: {error:?}");
            assert!(process.bearer().await.unwrap().is_none(), "{body}");
        }
        // Nor by another process, or after a restart.
        assert!(rig.process().unauthorized(Some(&bearer), Challenge::default()).await.is_err());
        assert_eq!(rig.fake.token_requests().len(), 2, "one for the code, one for the renewal: {body}");
        assert!(rig.stored().await.unwrap().refresh_token.is_none());
        rig.fake.script().token_faults.clear();
        login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
        assert!(process.bearer().await.unwrap().unwrap().grant > bearer.grant);
    }
}

#[tokio::test]
async fn a_refused_client_is_not_taken_for_an_ended_token_because_the_other_way_to_prove_it_is_no_request_there() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("sk".into())).await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    for (status, error) in [(401, "invalid_client"), (400, "invalid_request")] {
        rig.fake.script().token_faults.push_back((status, format!(r#"{{"error":"{error}"}}"#)));
    }
    let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::InvalidClient);
    assert!(rig.stored().await.unwrap().refresh_token.is_some());
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_without_holding_anybody_up() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    rig.clock.advance(Duration::from_secs(3600 - 30));
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
    process.tokens().settle(Duration::from_secs(10)).await;
    while rig.fake.script().refreshes == 0 {
        tokio::task::yield_now().await;
    }
    process.tokens().settle(Duration::from_secs(10)).await;
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-2");
    // After its end there is nothing to send meanwhile.
    rig.clock.advance(Duration::from_secs(3601));
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-3");
    rig.clock.advance(Duration::from_secs(3601));
    rig.fake.script().token_faults.push_back((429, "{}".into()));
    assert!(matches!(process.bearer().await, Err(AuthError::NotNow(_))));
    assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-4");
}

#[tokio::test]
async fn a_refresh_token_that_is_not_replaced_is_kept() {
    let rig = Rig::new().await;
    rig.fake.script().rotates = false;
    let process = rig.signed_in().await;
    for _ in 0..2 {
        let bearer = process.bearer().await.unwrap().unwrap();
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    }
    assert_eq!(rig.fake.script().refreshes, 2);
}

#[tokio::test]
async fn a_server_that_rejects_all_it_gives_out_is_not_asked_for_ever() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let mut renewed = 0;
    loop {
        let bearer = process.bearer().await.unwrap().unwrap();
        match process.unauthorized(Some(&bearer), Challenge::default()).await {
            Ok(_) => renewed += 1,
            Err(error) => break assert_eq!(error.problem().id, ProblemId::TokenRejected),
        }
        assert!(renewed < 10);
    }
    assert_eq!(renewed, 3);
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_up_is_asked_once_more_and_no_call_is_said_to_have_been_executed() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    rig.fake.script().hang_ups = 1;
    let renewed = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    rig.fake.script().hang_ups = 2;
    let error = process.unauthorized(Some(&renewed), Challenge::default()).await.unwrap_err();
    assert!(matches!(error, AuthError::NotNow(_)), "{error:?}");
    let problem = error.problem();
    assert_eq!(problem.id, ProblemId::TokenEndpointUnavailable);
    assert!(problem.source.is_some());
    assert!(problem.model_line().contains("nothing was executed"), "{}", problem.model_line());
}

#[tokio::test]
async fn a_store_that_goes_back_to_an_older_token_is_not_followed_and_is_put_right() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let account = Accounts::grant(&rig.settings);
    let old = rig.ring.store().read(&account).await.unwrap().unwrap();
    let first = process.bearer().await.unwrap().unwrap();
    let second = process.unauthorized(Some(&first), Challenge::default()).await.unwrap();
    rig.ring.store().write(&account, old).await.unwrap();
    process.ctx.files.generation().bump().unwrap();
    process.tokens.cache.forget_generation_read();
    assert_eq!(process.bearer().await.unwrap().unwrap().serial, second.serial);
    let third = process.unauthorized(Some(&second), Challenge::default()).await.unwrap();
    assert_eq!(third.token.expose(), "canary-access-3");
    assert_eq!(rig.stored().await.unwrap().access_token, third.token);
    assert_eq!(rig.fake.counts(), (2, 0));
}

#[tokio::test]
async fn tokens_that_were_refused_from_the_start_start_no_further_sign_in_by_themselves() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let error = loop {
        let bearer = process.bearer().await.unwrap();
        if let Err(error) = process.unauthorized(bearer.as_ref(), Challenge::default()).await {
            break error;
        }
    };
    assert!(matches!(&error, AuthError::Failed(problem) if problem.id == ProblemId::TokenRejected), "{error:?}");
    // Neither the next call nor, when the sign-in is no longer fresh, a later one.
    for later in [0, 3600] {
        rig.clock.advance(Duration::from_secs(later));
        assert!(process.bearer().await.unwrap().is_none());
        assert!(process.unauthorized(None, Challenge::default()).await.is_err());
        assert_eq!(process.start_sign_in(SignInReason::Call).await.unwrap_err().id, ProblemId::TokenRejected);
    }
    assert_eq!(rig.fake.script().refreshes, 3, "what is known to be refused is not renewed for ever");
}

#[tokio::test]
async fn tokens_that_are_taken_for_a_while_may_be_rejected_ever_so_often() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    for _ in 0..10 {
        let bearer = process.bearer().await.unwrap().unwrap();
        process.accepted(&bearer);
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    }
    assert_eq!(rig.fake.counts(), (10, 0));
}

#[tokio::test]
async fn a_sign_in_that_was_good_once_may_be_followed_by_another() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    process.accepted(&process.bearer().await.unwrap().unwrap());
    let error = loop {
        let bearer = process.bearer().await.unwrap();
        if let Err(error) = process.unauthorized(bearer.as_ref(), Challenge::default()).await {
            break error;
        }
    };
    assert!(matches!(error, AuthError::SignInNeeded(_)), "{error:?}");
}

#[tokio::test]
async fn an_id_token_that_is_not_renewed_asks_for_a_sign_in_and_its_spent_refresh_token_is_not_shown_again() {
    let rig = Rig::with(|settings| settings.oauth.id_token = true).await;
    let first = r#"{"access_token":"a","token_type":"bearer","refresh_token":"r","id_token":"e30.e30.c2ln"}"#;
    rig.fake.script().token_faults.push_back((200, first.into()));
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    assert_eq!(bearer.token.expose(), "e30.e30.c2ln");
    // A provider need not give another one with a renewal, and may have rotated the refresh token all the same.
    let renewed = r#"{"access_token":"b","token_type":"bearer","refresh_token":"s"}"#;
    rig.fake.script().token_faults.push_back((200, renewed.into()));
    for _ in 0..2 {
        let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert!(matches!(error, AuthError::SignInNeeded(_)), "{error:?}");
    }
    assert_eq!(rig.fake.token_requests().len(), 2, "one for the code, one for the renewal");
    assert!(rig.stored().await.unwrap().refresh_token.is_none());
}

#[tokio::test]
async fn a_request_ends_a_fresh_sign_in_in_its_own_way_after_a_renewal_in_the_background_has_failed() {
    let rig = Rig::new().await;
    let without_renewal = r#"{"access_token":"canary-a","token_type":"bearer"}"#;
    rig.fake.script().token_faults.push_back((200, without_renewal.into()));
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    let (in_background, for_request) = tokio::join!(
        process.unauthorized_in_background(&bearer, Challenge::default()),
        process.unauthorized(Some(&bearer), Challenge::default()),
    );
    assert!(matches!(in_background, Err(AuthError::SignInNeeded(_))), "{in_background:?}");
    let problem = match for_request {
        Err(AuthError::Failed(problem)) => problem,
        other => panic!("another sign-in would end in the same way: {other:?}"),
    };
    assert_eq!(problem.id, ProblemId::TokenRejected);
}

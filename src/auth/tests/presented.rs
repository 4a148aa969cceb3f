//! What is presented at the token endpoint when it is not known what became of it the last time.

use super::*;

/// How often each of these values of a form was presented.
fn presented(rig: &Rig, field: &str) -> Vec<usize> {
    let mut values: Vec<String> =
        rig.fake.token_requests().iter().filter_map(|seen| seen.form().get(field).cloned()).collect();
    values.sort();
    values.chunk_by(|a, b| a == b).map(<[String]>::len).collect()
}

/// Makes the next `times` answers of the token endpoint say nothing about what was done: this one, or none at all.
fn leave_unclear(rig: &Rig, fault: Option<(u16, &str)>, times: u32) {
    let mut script = rig.fake.script();
    match fault {
        Some((status, body)) => script.token_faults.extend((0..times).map(|_| (status, body.to_owned()))),
        None => script.hang_ups = times,
    }
}

const UNCLEAR: [Option<(u16, &str)>; 8] = [
    None,
    Some((500, r#"{"error":"invalid_grant"}"#)),
    Some((503, "{}")),
    Some((504, "<html>")),
    Some((429, "{}")),
    Some((200, "<html>portal</html>")),
    Some((403, "blocked")),
    Some((302, "")),
];

#[tokio::test]
async fn a_refresh_token_of_unknown_fate_is_presented_twice_whatever_the_calls_and_processes() {
    for fault in UNCLEAR {
        let rig = Rig::new().await;
        let process = rig.signed_in().await;
        let bearer = process.bearer().await.unwrap().unwrap();
        process.accepted(&bearer);
        leave_unclear(&rig, fault, 99);
        for _ in 0..5 {
            let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
            assert!(matches!(error, AuthError::NotNow(_)), "{fault:?}: {error:?}");
            let other = rig.process();
            let bearer = other.bearer().await.unwrap().unwrap();
            other.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        }
        let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert_eq!(error.problem().fact("retry_after_seconds"), Some("30"), "{fault:?}: {error:?}");
        assert_eq!(presented(&rig, "refresh_token"), [2], "{fault:?}");
        // Then now and then, and not twice at a time.
        rig.clock.advance(Duration::from_secs(30));
        for _ in 0..3 {
            process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        }
        assert_eq!(presented(&rig, "refresh_token"), [3], "{fault:?}");
        rig.clock.advance(Duration::from_secs(30));
        process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert_eq!(presented(&rig, "refresh_token"), [3], "{fault:?}: the pause grows");
        assert!(rig.stored().await.unwrap().refresh_token.is_some(), "{fault:?}: nobody has to sign in");
        leave_unclear(&rig, None, 0);
        rig.fake.script().token_faults.clear();
        rig.clock.advance(Duration::from_secs(30));
        let renewed = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
        // The next token begins anew.
        process.accepted(&renewed);
        leave_unclear(&rig, Some((503, "{}")), 1);
        process.unauthorized(Some(&renewed), Challenge::default()).await.unwrap();
        assert_eq!(presented(&rig, "refresh_token"), [4, 2], "{fault:?}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_presented_by_a_process_that_is_killed_counts_as_presented() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    rig.fake.script().held = Some(Arc::new(tokio::sync::Semaphore::new(0)));
    let renewal = tokio::spawn({
        let (process, bearer) = (Arc::clone(&process), bearer.clone());
        async move { process.unauthorized(Some(&bearer), Challenge::default()).await }
    });
    let note = crate::auth::grants::presented::note(&process.ctx.files);
    let is_noted = async {
        while note.read::<serde_json::Value>().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_noted).await.expect("it is noted before the server answers");
    assert_eq!(note.read::<serde_json::Value>().unwrap()["times"], 1);
    assert_eq!(rig.fake.token_requests().len(), 1, "nothing is known of the second yet");
    renewal.abort();
}

#[tokio::test]
async fn what_the_server_surely_did_not_take_may_be_presented_again() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    // The client was refused, so that the token was not looked at.
    leave_unclear(&rig, Some((401, r#"{"error":"invalid_client"}"#)), 2);
    for _ in 0..2 {
        let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
        assert_eq!(error.problem().id, ProblemId::InvalidClient);
    }
    process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
}

#[tokio::test]
async fn a_code_that_may_have_reached_the_server_is_never_presented_again() {
    for fault in UNCLEAR {
        let rig = Rig::new().await;
        leave_unclear(&rig, fault, 1);
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        assert!(result.is_err(), "{fault:?}");
        assert_eq!(presented(&rig, "code"), [1], "{fault:?}");
    }
}

#[tokio::test]
async fn no_server_causes_more_renewals_in_a_minute_than_the_bound() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let error = loop {
        let bearer = process.bearer().await.unwrap().unwrap();
        // Taken once, and refused right after that.
        process.accepted(&bearer);
        if let Err(error) = process.unauthorized(Some(&bearer), Challenge::default()).await {
            break error;
        }
        assert!(rig.fake.script().refreshes < 1_000);
    };
    assert!(matches!(error, AuthError::NotNow(_)), "{error:?}");
    // The first request was that of the sign-in.
    assert_eq!(rig.fake.script().refreshes as usize, crate::limits::TOKEN_REQUEST_BUDGET - 1);
    assert!(rig.stored().await.unwrap().refresh_token.is_some(), "nobody has to sign in");
}

#[tokio::test]
async fn a_token_that_ends_at_once_is_used_until_the_server_refuses_it() {
    for life in [0, 1] {
        let rig = Rig::new().await;
        rig.fake.script().life = Some(life);
        let process = rig.signed_in().await;
        for _ in 0..9 {
            assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-1", "{life} s");
        }
        rig.clock.advance(crate::limits::SHORTEST_TOKEN_LIFE);
        assert_eq!(process.bearer().await.unwrap().unwrap().token.expose(), "canary-access-2", "{life} s");
    }
}

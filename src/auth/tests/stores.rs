//! Stores that fail, and several processes on one.

use super::*;
#[cfg(target_os = "linux")]
use crate::auth::login::attempt;
#[cfg(target_os = "linux")]
use crate::files::stuck::Stuck;
#[cfg(target_os = "linux")]
use crate::limits::MAX_UNWRITTEN_ANSWERS;
use crate::message::Revision;

#[tokio::test]
async fn a_locked_or_absent_or_silent_store_never_means_signed_out() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    for (error, passing) in [
        (StoreError::Locked, true),
        (StoreError::TimedOut(Duration::from_secs(5)), true),
        (StoreError::Absent("no bus".into()), false),
        (StoreError::Corrupt("x".into()), false),
    ] {
        let process = rig.process();
        rig.ring.fail(Some(error.clone()));
        let result = process.bearer().await;
        match result {
            Err(AuthError::NotNow(_)) if passing => {}
            Err(AuthError::Failed(_)) if !passing => {}
            other => panic!("{error:?}: {other:?}"),
        }
        assert!(process.bearer().await.is_err(), "asked again at once, it is no different");
        let rejected = Bearer { token: "x".into(), serial: 0, grant: 0, signed_in_at: 0, tag: 0 };
        assert!(process.unauthorized(Some(&rejected), Challenge::default()).await.is_err());
        rig.ring.fail(None);
        process.unauthorized(None, Challenge::default()).await.unwrap();
    }
    assert_eq!(rig.fake.script().refreshes, 0, "nobody refreshed with what it could not read");
}

#[tokio::test]
async fn a_locked_keychain_that_hides_its_items_is_not_taken_for_an_empty_one() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    rig.ring.hide(true);
    let error = rig.process().bearer().await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::KeychainLocked);
    let (result, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert_eq!(result.unwrap_err().id, ProblemId::KeychainLocked);
    assert!(pages.is_empty(), "found out before anybody signs in");
    rig.ring.hide(false);
    assert!(rig.process().bearer().await.unwrap().is_some());
    // Somebody has really removed it: the doubt ends.
    rig.ring.store().delete(&Accounts::grant(&rig.settings)).await.unwrap();
    assert!(rig.process().bearer().await.unwrap().is_none());
    rig.ring.hide(true);
    assert!(rig.process().bearer().await.unwrap().is_none());
}

#[tokio::test]
async fn without_a_store_requests_go_out_without_a_token_and_only_a_401_asks_for_one() {
    let rig = Rig::new().await;
    rig.ring.fail(Some(StoreError::Absent("no bus".into())));
    let process = rig.process();
    assert!(process.bearer().await.unwrap().is_none());
    let error = process.unauthorized(None, Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::KeychainAbsent);
    assert!(process.bearer().await.unwrap().is_none());
}

#[tokio::test]
async fn a_keychain_that_is_absent_is_explained_with_the_way_out() {
    // With a secret at hand, registration does not look into the store.
    for secret in [None, Some("canary-secret")] {
        let rig = Rig::with(|settings| settings.oauth.client_secret = secret.map(Into::into)).await;
        rig.ring.fail(Some(StoreError::Absent("no bus".into())));
        let (result, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.id, ProblemId::KeychainAbsent);
        assert!(problem.fix().contains("--token-store file"));
        assert!(pages.is_empty(), "found out before anybody signs in");
    }
}

#[tokio::test]
async fn a_damaged_record_does_not_keep_anybody_from_signing_in_anew() {
    let rig = Rig::new().await;
    rig.ring.store().write(&Accounts::grant(&rig.settings), Secret::new(b"no record".to_vec())).await.unwrap();
    rig.signed_in().await;
    assert!(rig.stored().await.is_some());
}

#[tokio::test]
async fn a_rotated_token_that_cannot_be_saved_is_used_and_saved_later_and_the_lock_is_kept_meanwhile() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let rejected = process.bearer().await.unwrap().unwrap();
    let ring = rig.ring.clone();
    // Locked between reading and writing: the token endpoint is asked in between.
    rig.fake.script().token_faults.push_back((429, "{}".into()));
    assert!(process.unauthorized(Some(&rejected), Challenge::default()).await.is_err());
    let locker = tokio::spawn({
        let fake = rig.fake.clone();
        async move {
            while fake.script().refreshes == 0 {
                tokio::task::yield_now().await;
            }
            ring.fail(Some(StoreError::Locked));
        }
    });
    let bearer = process.unauthorized(Some(&rejected), Challenge::default()).await.unwrap();
    locker.await.unwrap();
    assert_eq!(bearer.token.expose(), "canary-access-2");
    if process.tokens.cache.is_unsaved() {
        assert!(crate::store::ProcessLock::try_acquire(&process.ctx.files.token_lock()).unwrap().is_none());
        // A further renewal goes on from what is in memory.
        let next = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
        assert_eq!(next.token.expose(), "canary-access-3");
        rig.ring.fail(None);
        process.tokens().settle(Duration::from_secs(20)).await;
        assert!(!process.tokens.cache.is_unsaved());
        assert_eq!(rig.stored().await.unwrap().access_token.expose(), "canary-access-3");
        assert!(crate::store::ProcessLock::try_acquire(&process.ctx.files.token_lock()).unwrap().is_some());
    } else {
        panic!("the test did not lock the store in time");
    }
    assert_eq!(rig.fake.script().reused, 0);
}

#[tokio::test]
async fn a_request_with_a_token_does_not_wait_for_a_silent_store() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    rig.ring.fail(Some(StoreError::Locked));
    process.ctx.files.generation().bump().unwrap();
    process.tokens.cache.forget_generation_read();
    assert_eq!(process.bearer().await.unwrap().unwrap().serial, bearer.serial);
}

/// On the one thread of the runtime: while something blocks it, no timer goes off.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_state_directory_that_does_not_answer_holds_up_no_request_that_has_a_token() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap().unwrap();
    let _stuck = Stuck::in_place_of(rig.state_file("generation"));
    process.tokens.cache.forget_generation_read();
    assert_eq!(process.bearer().await.unwrap().unwrap().serial, bearer.serial);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_record_that_does_not_answer_holds_up_nothing_else_while_a_sign_in_is_waited_for() {
    let rig = Rig::new().await;
    let process = rig.process();
    let _lock = crate::store::ProcessLock::try_acquire(&process.ctx.files.login_lock()).unwrap().unwrap();
    let _stuck = Stuck::in_place_of(rig.state_file("sign-in.json"));
    let waiting = process.wait_newer(None, Duration::from_secs(60));
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
}

/// Whether another call on the one thread of the runtime goes on while `stuck` waits for a file.
#[cfg(target_os = "linux")]
async fn holds_up_nothing_else<T>(stuck: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_millis(50), stuck).await.is_err()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_is_asked_of_a_sign_in_holds_up_nothing_else_while_its_record_does_not_answer() {
    let rig = Rig::new().await;
    let process = rig.process();
    let _lock = crate::store::ProcessLock::try_acquire(&process.ctx.files.login_lock()).unwrap().unwrap();
    let _stuck = Stuck::in_place_of(rig.state_file("sign-in.json"));
    assert!(holds_up_nothing_else(process.sign_in_link()).await);
    assert!(holds_up_nothing_else(process.sign_in_needed()).await);
    assert!(holds_up_nothing_else(process.page_opening()).await);
    assert!(holds_up_nothing_else(process.start_sign_in(SignInReason::Call)).await);
    assert!(holds_up_nothing_else(process.logout()).await);
    let why = Problem::new(ProblemId::TokenRejected);
    assert!(holds_up_nothing_else(process.sign_ins.rejected_afresh(why)).await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_page_that_is_opened_and_a_key_that_is_read_hold_up_nothing_else() {
    let key = tempfile::tempdir().unwrap();
    let file = key.path().join("key.pem");
    let _key = Stuck::in_place_of(file.clone());
    let rig = Rig::with(|settings| settings.oauth.client_key = Some(file)).await;
    let process = rig.process();
    assert!(holds_up_nothing_else(login(&process, |_| panic!("no page may be opened"))).await);
    let _note = Stuck::in_place_of(rig.state_file("issuers.json"));
    assert!(holds_up_nothing_else(crate::auth::registration::choose::bound_issuer(&process.ctx)).await);
    let _page = Stuck::in_place_of(rig.state_file("page.json"));
    attempt::note(&process.ctx.files).write(&attempt::Attempt::default()).unwrap();
    let _lock = crate::store::ProcessLock::try_acquire(&process.ctx.files.login_lock()).unwrap().unwrap();
    let opened = crate::auth::login::sign_in_page::open_again(&process.ctx, || true);
    assert!(holds_up_nothing_else(opened).await);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn remembered_answers_that_do_not_answer_are_none_and_hold_up_nothing_else() {
    let rig = Rig::with(|settings| settings.token_store = TokenStoreKind::File).await;
    let process = rig.signed_in().await;
    let grant = process.bearer().await.unwrap().map(|bearer| bearer.grant);
    let raw = serde_json::value::RawValue::from_string("1".into()).unwrap();
    process.tokens().remember(grant, &Revision::V_2025_11_25, "tools/list", &raw);
    assert!(
        process.tokens().remembered(&Revision::V_2025_11_25, "tools/list").await.is_some(),
        "what was remembered before is written by then"
    );
    let name = std::fs::read_dir(&rig.settings.paths.state_dir).unwrap().flatten().map(|entry| entry.path());
    let file = name.into_iter().find(|path| path.to_string_lossy().contains("answers-")).expect("it was written");
    let stuck = Stuck::in_place_of(file);
    assert!(holds_up_nothing_else(process.tokens().remembered(&Revision::V_2025_11_25, "tools/list")).await);
    assert!(holds_up_nothing_else(process.tokens().remembered_in("tools/list", |_| true)).await);
    // Nobody waits for it, and no more than a few wait for the file.
    for _ in 0..10 * MAX_UNWRITTEN_ANSWERS {
        process.tokens().remember(grant, &Revision::V_2025_11_25, "tools/list", &raw);
    }
    assert_eq!(process.tokens.answers.waiting(), MAX_UNWRITTEN_ANSWERS);
    assert!(process.tokens().remembered(&Revision::V_2025_11_25, "tools/list").await.is_none());
    drop(stuck);
    process.tokens().settle(Duration::from_secs(20)).await;
    process.tokens().remember(grant, &Revision::V_2025_11_25, "tools/list", &raw);
    assert!(
        process.tokens().remembered(&Revision::V_2025_11_25, "tools/list").await.is_some(),
        "the file answers again"
    );
}

#[tokio::test]
async fn what_is_remembered_before_a_sign_out_is_not_written_after_it() {
    let rig = Rig::with(|settings| settings.token_store = TokenStoreKind::File).await;
    let process = rig.signed_in().await;
    let grant = process.bearer().await.unwrap().map(|bearer| bearer.grant);
    let raw = serde_json::value::RawValue::from_string("1".into()).unwrap();
    for _ in 0..20 {
        process.tokens().remember(grant, &Revision::V_2025_11_25, "tools/list", &raw);
    }
    process.logout().await.unwrap();
    assert!(process.tokens().remembered(&Revision::V_2025_11_25, "tools/list").await.is_none());
    process.tokens().settle(Duration::from_secs(20)).await;
    assert!(process.tokens().remembered_in("tools/list", |_| true).await.is_none());
}

#[tokio::test]
async fn another_process_s_sign_in_and_sign_out_are_noticed() {
    let rig = Rig::new().await;
    let waiting = rig.process();
    assert!(waiting.bearer().await.unwrap().is_none());
    let other = rig.signed_in().await;
    waiting.wait_newer(None, Duration::from_secs(5)).await.unwrap();
    assert_eq!(waiting.bearer().await.unwrap().unwrap().token.expose(), "canary-access-1");
    assert!(matches!(*waiting.watch().borrow(), AuthState::SignedIn { .. }));
    assert_eq!(other.logout().await.unwrap(), Some(Revoked::NotOffered { issuer: rig.fake.origin.clone() }));
    assert!(other.bearer().await.unwrap().is_none());
    waiting.tokens.cache.reload().await.unwrap();
    assert!(waiting.bearer().await.unwrap().is_none());
    assert!(rig.stored().await.is_none());
}

#[tokio::test]
async fn a_static_token_is_sent_as_it_is_and_its_rejection_explained() {
    let rig = Rig::with(|settings| settings.static_token = Some("canary-static".into())).await;
    let process = rig.process();
    let bearer = process.bearer().await.unwrap().unwrap();
    assert_eq!(bearer.token.expose(), "canary-static");
    let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::PlanhatStaticTokenRejected);
    // `login` has nothing to do while the variable is set, whatever names a command by default.
    let told = error.problem().clone().with("command", "planhat-mcp login").fix();
    assert!(!told.contains("planhat-mcp login") && told.contains("unset PLANHAT_MCP_TOKEN"), "{told}");
    assert!(matches!(error, AuthError::Failed(_)));
    assert_eq!(process.start_sign_in(SignInReason::UserAsked).await.unwrap_err().id, ProblemId::StaticTokenSet);
    assert!(rig.fake.script().seen.is_empty());
}

#[tokio::test]
async fn the_tag_of_a_static_token_is_the_same_for_all_profiles_of_one_user_and_tells_others_nothing_of_the_token() {
    let (one, other) = (Rig::new().await, Rig::new().await);
    let tag = async |rig: &Rig, profile: &str, token: &str| {
        let mut settings = (*rig.settings).clone();
        settings.profile = profile.into();
        settings.static_token = Some(token.into());
        let http = Http::new(NetworkSettings::default());
        let process = Authorizer::new(Arc::new(settings), http, rig.ring.store(), rig.clock.clone());
        process.bearer().await.unwrap().unwrap().tag
    };
    let here = tag(&one, "a", "canary-one").await;
    assert_eq!(here, tag(&one, "b", "canary-one").await);
    assert_ne!(here, tag(&one, "a", "canary-two").await);
    assert_ne!(here, tag(&other, "a", "canary-one").await, "it can be computed from the token alone");
}

#[tokio::test]
async fn a_reset_removes_the_gate_that_a_static_token_has_closed() {
    let rig = Rig::with(|settings| settings.static_token = Some("canary".into())).await;
    let process = rig.process();
    let tag = process.bearer().await.unwrap().map(|bearer| bearer.tag);
    let day = Duration::from_secs(24 * 60 * 60);
    crate::http::Gate::shared(&rig.settings.paths, &rig.settings.url, tag).close_for(day, day);
    let file = crate::http::Gate::file(&rig.settings.paths, &rig.settings.url, tag);
    assert!(file.exists());
    assert!(reset::state_files(&process).await.contains(&file));
}

#[tokio::test]
async fn a_sign_in_for_another_client_is_not_used() {
    let rig = Rig::new().await;
    rig.signed_in().await;
    let mut settings = (*rig.settings).clone();
    settings.oauth.client_id = Some("pk_other".into());
    let http = Http::new(NetworkSettings::default());
    let other = Authorizer::new(Arc::new(settings), http, rig.ring.store(), rig.clock.clone());
    assert!(other.bearer().await.unwrap().is_none());
}

#[tokio::test]
async fn no_token_is_shown_by_anything_that_can_be_printed() {
    let rig = Rig::with(|settings| settings.oauth.client_secret = Some("canary-secret".into())).await;
    let process = rig.signed_in().await;
    let bearer = process.bearer().await.unwrap();
    let status = Status::of(&process).await;
    assert!(status.grant.is_some());
    let shown = format!("{process:?} {bearer:?} {status:?} {:?}", rig.stored().await);
    assert!(!shown.contains("canary"), "{shown}");
}

//! A sign-in that is under way, as other processes of the profile meet it; and locks that are not given back.

use super::*;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Attempt;
use crate::limits::MAX_SILENT_SIGN_INS;
use crate::store::ProcessLock;

fn held(process: &Authorizer) -> ProcessLock {
    ProcessLock::try_acquire(&process.ctx.files.login_lock()).unwrap().expect("free")
}

#[tokio::test]
async fn an_ordered_sign_in_is_content_with_one_that_has_come_since() {
    let rig = Rig::new().await;
    let since = attempt::Since::default();
    rig.signed_in().await;
    let options = LoginOptions { since: Some(since), ..LoginOptions::default() };
    let summary = rig.process().login(options, &mut Silent).await.unwrap();
    assert_eq!(summary.client_id, "pk_test");
    assert_eq!(rig.fake.token_requests().len(), 1, "nobody signed in a second time");
}

#[tokio::test]
async fn an_ordered_sign_in_ends_like_the_one_that_failed_since_and_not_like_one_from_before() {
    let rig = Rig::new().await;
    let (result, _) = login(&rig.process(), |link| answer(link, "error=access_denied")).await;
    assert_eq!(result.unwrap_err().id, ProblemId::AccessDenied);
    let ordered =
        |number| LoginOptions { since: Some(attempt::Since { number, grant: None }), ..LoginOptions::default() };
    let ended = rig.process().login(ordered(0), &mut Silent).await;
    assert_eq!(ended.unwrap_err().id, ProblemId::AccessDenied);
    let (result, pages) = login_with(&rig.process(), ordered(1), |link| answer(link, "code=abc")).await;
    result.unwrap();
    assert_eq!(pages.len(), 1, "somebody has signed in");
}

#[tokio::test]
async fn a_sign_in_whose_process_was_killed_is_told_from_one_that_is_under_way() {
    let rig = Rig::new().await;
    let process = rig.process();
    let mut record = Attempt::after(None, NOW, Duration::from_secs(300), true);
    record.link = Some("https://as.example/authorize".into());
    attempt::note(&process.ctx.files).write(&record).unwrap();
    assert_eq!(process.sign_in_link().await, None, "nobody is at it");
    let lock = held(&process);
    assert_eq!(process.sign_in_link().await, record.link);
    drop(lock);
    // The next one is not disturbed by what it left behind.
    rig.signed_in().await;
    assert_eq!(attempt::load(&process.ctx.files).await.unwrap().number, 2);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_that_does_not_end_is_named_with_its_process_and_its_lock() {
    let rig = Rig::new().await;
    let process = rig.process();
    let mut record = Attempt::after(None, NOW, Duration::from_secs(300), true);
    record.process = 4711;
    attempt::note(&process.ctx.files).write(&record).unwrap();
    let _lock = held(&process);
    // It does not give up when it is asked to either.
    let options = LoginOptions { restart: true, ..LoginOptions::default() };
    let stopped = process.login(options, &mut Silent).await.unwrap_err();
    rig.clock.advance(Duration::from_secs(3600));
    let started = process.start_sign_in(SignInReason::Call).await.unwrap_err();
    let joined = process.login(LoginOptions::default(), &mut Silent).await.unwrap_err();
    for problem in [stopped, started, joined] {
        assert_eq!(problem.id, ProblemId::LockTimedOut);
        assert_eq!(problem.fact("path"), process.ctx.files.login_lock().to_str());
        assert!(problem.fix().contains("process 4711"), "{}", problem.fix());
    }
}

#[tokio::test]
async fn one_who_has_joined_takes_the_place_of_a_process_that_was_killed() {
    let rig = Rig::new().await;
    let other = rig.process();
    attempt::note(&other.ctx.files).write(&Attempt::after(None, NOW, Duration::from_secs(300), true)).unwrap();
    let lock = held(&other);
    let joined = rig.process();
    let joining = login(&joined, |link| answer(link, "code=abc"));
    let killing = async {
        // Longer than it takes to see that the lock is held.
        tokio::time::sleep(Duration::from_millis(700)).await;
        drop(lock);
    };
    let ((result, _), ()) = tokio::join!(joining, killing);
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_token_lock_that_is_not_given_back_is_named_and_nothing_is_lost() {
    let rig = Rig::new().await;
    let process = rig.process();
    let path = process.ctx.files.token_lock();
    let _lock = ProcessLock::try_acquire(&path).unwrap().expect("free");
    let error = process.unauthorized(None, Challenge::default()).await.unwrap_err();
    assert!(matches!(&error, AuthError::NotNow(problem) if problem.id == ProblemId::LockTimedOut), "{error:?}");
    assert!(error.problem().cause().contains(path.to_str().unwrap()), "{}", error.problem().cause());
}

#[tokio::test]
async fn a_port_whose_turn_does_not_come_is_named_with_its_lock_and_no_page_is_opened() {
    let rig = Rig::with(|settings| settings.limits.sign_in = Duration::from_millis(300)).await;
    let process = rig.process();
    let path = process.ctx.files.port_lock(rig.settings.oauth.callback.port);
    let _lock = ProcessLock::try_acquire(&path).unwrap().expect("free");
    let problem = login(&process, |_| panic!("no page may be opened")).await.0.unwrap_err();
    assert_eq!((problem.id, problem.fact("path")), (ProblemId::LockTimedOut, path.to_str()));
}

#[tokio::test]
async fn a_spent_token_is_presented_by_nobody_although_its_successor_was_lost_with_its_process() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    let rejected = process.bearer().await.unwrap().unwrap();
    let ring = rig.ring.clone();
    let fake = rig.fake.clone();
    let locker = tokio::spawn(async move {
        while fake.script().refreshes == 0 {
            tokio::task::yield_now().await;
        }
        ring.fail(Some(StoreError::Locked));
    });
    process.unauthorized(Some(&rejected), Challenge::default()).await.unwrap();
    locker.await.unwrap();
    assert!(process.tokens.cache.is_unsaved());
    // The process ends, and the store can be used again.
    process.tokens.cache.set_unsaved(None);
    rig.ring.fail(None);
    let next = rig.process();
    let bearer = next.bearer().await.unwrap().unwrap();
    assert_eq!(bearer.token.expose(), "canary-access-1", "it may still be good");
    let error = next.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
    assert!(matches!(error, AuthError::SignInNeeded(_)), "{error:?}");
    assert_eq!(rig.fake.counts(), (1, 0));
    // A new sign-in puts that right.
    let signed_in = rig.signed_in().await;
    let bearer = signed_in.bearer().await.unwrap().unwrap();
    signed_in.unauthorized(Some(&bearer), Challenge::default()).await.unwrap();
    assert_eq!(rig.fake.counts(), (2, 0));
}

#[tokio::test]
async fn no_sign_in_starts_by_itself_in_any_process_after_tokens_that_the_server_refuses() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    while let Some(bearer) = process.bearer().await.unwrap() {
        let _ = process.unauthorized(Some(&bearer), Challenge::default()).await;
    }
    let other = rig.process();
    assert_eq!(other.start_sign_in(SignInReason::Call).await.unwrap_err().id, ProblemId::SignInCoolDown);
}

/// How a request's wait ends for a sign-in that another process was at when the request wanted one, and is not any more.
async fn end_of_waiting(rig: &Rig, meanwhile: impl FnOnce(&Authorizer)) -> AuthError {
    let process = rig.process();
    let lock = held(&process);
    process.start_sign_in_by_link(SignInReason::Call).await.unwrap();
    meanwhile(&process);
    drop(lock);
    // Nothing has looked at the state directory since.
    process.wait_newer(None, Duration::from_secs(20)).await.unwrap_err()
}

#[tokio::test]
async fn a_sign_in_whose_process_is_killed_before_anybody_looks_again_is_followed_by_another() {
    for has_record in [false, true] {
        // No page is known here, so the sign-in that takes its place fails with a reason of its own.
        let rig = Rig::new().await;
        rig.fake.page("/.well-known/oauth-authorization-server", 500, "");
        let error = end_of_waiting(&rig, |process| {
            if has_record {
                let record = Attempt::after(None, NOW, Duration::from_secs(300), false);
                attempt::note(&process.ctx.files).write(&record).unwrap();
            }
        })
        .await;
        assert!(matches!(error, AuthError::Failed(_)), "{error:?}");
        let number = 1 + u64::from(has_record);
        assert_eq!(attempt::load(&rig.process().ctx.files).await.map(|last| last.number), Some(number));
    }
}

#[tokio::test]
async fn a_sign_in_that_fails_before_anybody_looks_again_is_not_followed_by_another() {
    let rig = Rig::new().await;
    let error = end_of_waiting(&rig, |process| {
        let mut record = Attempt::after(None, NOW, Duration::from_secs(300), false);
        record.end(NOW, Some(&ProblemId::AccessDenied.into()));
        attempt::note(&process.ctx.files).write(&record).unwrap();
    })
    .await;
    assert!(matches!(&error, AuthError::Failed(problem) if problem.id == ProblemId::AccessDenied), "{error:?}");
    assert_eq!(attempt::load(&rig.process().ctx.files).await.map(|last| last.number), Some(1));
    assert!(rig.fake.script().seen.is_empty());
}

#[tokio::test]
async fn who_waits_for_the_link_of_a_process_that_was_killed_gets_the_link_of_the_next() {
    let rig = Rig::new().await;
    let process = rig.process();
    let lock = held(&process);
    process.start_sign_in_by_link(SignInReason::Call).await.unwrap();
    drop(lock);
    let link = process.wait_link(None, Duration::from_secs(20)).await.unwrap().expect("a link");
    tokio::task::spawn_blocking(move || answer(&link, "code=abc").iter().for_each(|url| drop(get(url)))).await.unwrap();
    process.wait_newer(None, Duration::from_secs(20)).await.unwrap();
}

#[tokio::test]
async fn sign_in_processes_that_end_without_a_word_are_followed_by_a_pause() {
    let process = Rig::new().await.process();
    for ended in 1..=MAX_SILENT_SIGN_INS {
        process.sign_ins.ended_silently(Problem::new(ProblemId::SignInProcessFailed));
        assert_eq!(process.sign_ins.is_paused(), ended == MAX_SILENT_SIGN_INS, "{ended}");
    }
}

#[tokio::test]
async fn a_sign_in_that_only_shows_its_last_page_is_waited_for_and_not_joined() {
    let rig = Rig::new().await;
    let process = rig.signed_in().await;
    process.sign_ins.show_last_page();
    tokio::time::pause();
    let mut start = std::pin::pin!(process.start_sign_in_by_link(SignInReason::UserAsked));
    tokio::select! {
        biased;
        result = &mut start => panic!("it was not over: {result:?}"),
        () = tokio::time::sleep(Duration::from_secs(1)) => process.sign_ins.ended(None),
    }
    start.await.unwrap();
    assert_eq!(process.sign_ins.joined(), None);
    assert_eq!(process.page_opening().await, Some(PageOpening::Link), "one of its own has started");
}

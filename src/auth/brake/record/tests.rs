use std::sync::Arc;

use super::*;
use crate::clock::ManualClock;

const NOW: u64 = 1_800_000_000;
const MINUTE: Duration = Duration::from_secs(60);

struct Profile {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Profile {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: ManualClock::at(NOW) }
    }

    /// Another process of the profile.
    fn process(&self) -> Brake {
        Brake::new(StateDir::new(self.dir.path(), "p"), self.clock.clone())
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        tokio::time::advance(by).await;
    }

    fn record(&self, text: &str) {
        std::fs::write(self.dir.path().join("p.brake.json"), text).unwrap();
    }
}

async fn tabs(brakes: impl IntoIterator<Item = Brake>) -> usize {
    let mut opened = 0;
    for brake in brakes {
        opened += usize::from(brake.admit_tab().await.is_ok());
    }
    opened
}

#[tokio::test]
async fn all_processes_of_a_profile_share_one_budget_of_tabs_that_only_time_refills() {
    let profile = Profile::new();
    assert_eq!(tabs((0..9).map(|_| profile.process())).await, TAB_BUDGET);
    let problem = profile.process().admit_tab().await.unwrap_err();
    assert_eq!((problem.id, problem.fact("seconds")), (ProblemId::TooManyTabs, Some("600")));
    assert_eq!(problem.fact("until"), Some(time_of_day(NOW + 600).as_str()));
    profile.clock.advance(TAB_WINDOW - Duration::from_secs(1));
    assert_eq!(tabs([profile.process()]).await, 0);
    profile.clock.advance(Duration::from_secs(1));
    assert_eq!(tabs((0..9).map(|_| profile.process())).await, TAB_BUDGET);
}

#[tokio::test(start_paused = true)]
async fn within_a_process_the_budget_holds_whatever_becomes_of_the_clock_and_the_record() {
    let profile = Profile::new();
    let (brake, mut opened) = (profile.process(), 0);
    for _ in 0..9 {
        profile.clock.advance(2 * TAB_WINDOW);
        let _ = std::fs::remove_file(profile.dir.path().join("p.brake.json"));
        opened += usize::from(brake.admit_tab().await.is_ok());
    }
    assert_eq!(opened, TAB_BUDGET);
}

#[tokio::test(start_paused = true)]
async fn sign_ins_that_open_no_tab_have_a_bound_of_their_own_and_leave_the_tabs_alone() {
    let profile = Profile::new();
    let (brake, mut started) = (profile.process(), 0);
    while started < 99 && brake.admit_sign_in().is_ok() {
        started += 1;
    }
    assert_eq!(started, SIGN_IN_BUDGET);
    assert!(brake.tabs_shut().await.is_none(), "none has opened");
    assert_eq!(brake.spent().await.unwrap().tabs[0].count, 0);
    profile.advance(MINUTE).await;
    let problem = brake.admit_sign_in().unwrap_err();
    assert_eq!((problem.id, problem.fact("seconds")), (ProblemId::TooManySignIns, Some("540")));
    assert_eq!(problem.fact("until"), Some(time_of_day(NOW + 600).as_str()));
    profile.advance(TAB_WINDOW - MINUTE).await;
    brake.admit_sign_in().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_time_that_a_process_s_own_count_names_stays_the_same_however_often_it_is_asked_for() {
    let profile = Profile::new();
    let brake = profile.process();
    while brake.admit_tab().await.is_ok() {}
    while brake.admit_token_request().await.is_ok() {}
    let _ = std::fs::remove_file(profile.dir.path().join("p.brake.json"));
    for left in [600, 570, 541] {
        let seconds = Some(left.to_string());
        for problem in [brake.tabs_shut().await.unwrap(), brake.admit_tab().await.unwrap_err()] {
            assert_eq!((problem.fact("seconds"), problem.id), (seconds.as_deref(), ProblemId::TooManyTabs));
            assert_eq!(problem.fact("until"), Some(time_of_day(NOW + 600).as_str()));
        }
        let problem = brake.admit_token_request().await.unwrap_err();
        assert_eq!(problem.fact("until"), Some(time_of_day(NOW + 60).as_str()), "{left}");
        profile.advance(Duration::from_secs(if left == 600 { 30 } else { 29 })).await;
    }
    profile.advance(MINUTE).await;
    brake.admit_token_request().await.unwrap();
    profile.advance(TAB_WINDOW).await;
    assert!(brake.tabs_shut().await.is_none());
    brake.admit_tab().await.unwrap();
}

#[tokio::test]
async fn the_exchange_of_a_code_counts_and_is_never_held_back() {
    let profile = Profile::new();
    let brake = profile.process();
    for _ in 0..TOKEN_REQUEST_LONG_BUDGET + 1 {
        brake.count_code_exchange().await;
    }
    let spent = profile.process().spent().await.unwrap();
    assert_eq!(spent.token_requests[1].count, TOKEN_REQUEST_LONG_BUDGET, "and the record stays bounded");
    assert!(spent.token_requests_shut_until.is_some());
    brake.admit_token_request().await.unwrap_err();
    profile.process().admit_token_request().await.unwrap_err();
}

#[tokio::test]
async fn a_record_that_is_damaged_or_lies_in_the_future_shuts_for_one_window_and_not_for_ever() {
    for text in ["", "{", "[]", r#"{"tabs":5}"#, r#"{"tabs":[18446744073709551615,1900000000000,1900000000000]}"#] {
        let profile = Profile::new();
        profile.record(text);
        assert_eq!(tabs((0..3).map(|_| profile.process())).await, 0, "{text}");
        profile.clock.advance(TAB_WINDOW);
        assert_eq!(tabs((0..9).map(|_| profile.process())).await, TAB_BUDGET, "{text}");
    }
    let profile = Profile::new();
    profile.record("{");
    assert!(profile.process().tabs_shut().await.is_some(), "to look is enough to put it right");
    profile.clock.advance(TAB_WINDOW);
    assert!(profile.process().tabs_shut().await.is_none());
}

#[cfg(unix)]
#[tokio::test]
async fn a_record_that_cannot_be_kept_opens_no_tab_and_leaves_each_process_a_budget_of_token_requests() {
    let profile = Profile::new();
    // A folder in the place of the record can be neither read nor replaced.
    std::fs::create_dir_all(profile.dir.path().join("p.brake.json/x")).unwrap();
    assert_eq!(tabs((0..3).map(|_| profile.process())).await, 0);
    let brake = profile.process();
    for _ in 0..TOKEN_REQUEST_BUDGET {
        brake.admit_token_request().await.unwrap();
    }
    assert_eq!(brake.admit_token_request().await.unwrap_err().id, ProblemId::TooManyTokenRequests);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_six_seconds_is_renewed_for_hours_and_a_storm_ends_after_thirty() {
    let profile = Profile::new();
    let renewed_by = [profile.process(), profile.process(), profile.process()];
    for n in 0..1_000 {
        renewed_by[n % 3].admit_token_request().await.unwrap();
        profile.advance(Duration::from_secs(6)).await;
    }
    let profile = Profile::new();
    let mut sent = 0;
    for _ in 0..50 {
        sent += usize::from(profile.process().admit_token_request().await.is_ok());
    }
    assert_eq!(sent, TOKEN_REQUEST_BUDGET);
    let problem = profile.process().admit_token_request().await.unwrap_err();
    assert!(problem.fact("until").is_some(), "{problem}");
    // One that spends the short budget again and again is slowed down by the long one.
    for _ in 1..60 {
        profile.advance(MINUTE / 4).await;
        for _ in 0..50 {
            sent += usize::from(profile.process().admit_token_request().await.is_ok());
        }
    }
    assert_eq!(sent, TOKEN_REQUEST_LONG_BUDGET);
}

#[tokio::test]
async fn a_person_s_login_is_neither_held_back_nor_counted_and_lifts_the_brake_of_every_process() {
    let profile = Profile::new();
    let bridge = profile.process();
    while bridge.tabs_shut().await.is_none() {
        let _ = bridge.admit_sign_in();
        let _ = profile.process().admit_tab().await;
    }
    while bridge.admit_sign_in().is_ok() {}
    while bridge.admit_token_request().await.is_ok() {}
    let login = profile.process();
    login.person_signs_in();
    for _ in 0..9 {
        login.admit_tab().await.unwrap();
    }
    login.admit_token_request().await.unwrap();
    assert!(bridge.tabs_shut().await.is_some(), "not before it has succeeded");
    login.lift().await;
    assert_eq!(profile.process().spent().await.unwrap().tabs[0].count, 0);
    assert!(bridge.tabs_shut().await.is_none());
    bridge.admit_sign_in().unwrap();
    bridge.admit_token_request().await.unwrap();
    assert_eq!(tabs((0..9).map(|_| profile.process())).await, TAB_BUDGET, "and it holds again");
}

#[tokio::test]
async fn to_look_leaves_no_file() {
    let profile = Profile::new();
    let spent = profile.process().spent().await.unwrap();
    assert_eq!((spent.tabs[0].count, spent.tabs_shut_until), (0, None));
    assert!(profile.process().why_shut().await.is_none());
    assert_eq!(std::fs::read_dir(profile.dir.path()).unwrap().count(), 0);
}

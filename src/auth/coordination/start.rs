//! When a sign-in starts without being asked for on a command line, and how the others wait for it.

use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::auth::AuthError;
use crate::auth::authorizer::Authorizer;
use crate::auth::bearer::state::AuthState;
use crate::auth::coordination::link::PageOpening;
use crate::auth::login::attempt;
use crate::auth::login::attempt::{PAUSE, Pending, Since};
use crate::auth::login::browser;
use crate::auth::login::flow::{LoginOptions, Silent};
use crate::auth::registration::choose;
use crate::config::{SignInPolicy, TokenStoreKind};
use crate::problem::{Problem, ProblemId};
use crate::store::ProcessLock;

/// How often the state directory is looked at while a sign-in is under way.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is looked at while nobody is signed in and nothing is being done about it: somebody may sign in from a
/// terminal or another client.
const LOOK_IDLE: Duration = Duration::from_secs(2);

/// What a sign-in is started for; nothing else may start one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInReason {
    /// The client asked for the list of tools for the first time.
    FirstList,
    /// A call cannot be made without it.
    Call,
    /// The user asked for it: overrides the pause after a failure.
    UserAsked,
}

/// The sign-ins that this process has started or watches.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// One that this process has started is under way.
    running: bool,
    /// How the person gets to its page.
    way: Option<PageOpening>,
    /// The state directory is being looked at.
    following: bool,
    failure: Option<Problem>,
    paused_until: Option<Instant>,
    /// Why the last sign-in was of no use although it succeeded: the server refuses what came of it.
    in_vain: Option<Problem>,
    /// How many sign-in processes of this one, in a row, ended without a word.
    deaths: u32,
    /// A page is being opened again.
    reopening: bool,
}

impl SignIns {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the person gets to the page of the sign-in that this process has started, while that is under way.
    pub(crate) fn own_way(&self) -> Option<PageOpening> {
        let shared = self.shared();
        shared.way.filter(|_| shared.running)
    }

    pub(crate) fn set_own_way(&self, way: PageOpening) {
        self.shared().way = Some(way);
    }
}

impl Authorizer {
    /// Starts a sign-in, unless one is under way already in some process. Without a desktop it is one by link, except for a
    /// list, which cannot pass a link on.
    pub fn start_sign_in(self: &Arc<Self>, reason: SignInReason) -> Result<(), Problem> {
        let way = if browser::is_expected() || reason == SignInReason::FirstList {
            PageOpening::Browser
        } else {
            PageOpening::Link
        };
        self.start_in_turn(reason, way).map_err(|problem| self.explain(problem))
    }

    /// The same, but no browser opens by itself: the client shows the link.
    pub fn start_sign_in_by_link(self: &Arc<Self>, reason: SignInReason) -> Result<(), Problem> {
        self.start_in_turn(reason, PageOpening::Link).map_err(|problem| self.explain(problem))
    }

    fn start_in_turn(self: &Arc<Self>, reason: SignInReason, way: PageOpening) -> Result<(), Problem> {
        if self.settings.static_token.is_some() {
            return Err(Problem::new(ProblemId::StaticTokenSet));
        }
        if self.is_machine() {
            return Err(Problem::new(ProblemId::TokenRejected).with("host", self.settings.service_name()));
        }
        if self.sign_in_is_under_way() {
            tracing::debug!(?reason, "a sign-in is under way already");
            if let Some(problem) = self.overdue() {
                return Err(problem);
            }
            self.tell_link();
            // Where only the link leads to the page, whoever has the link opens it.
            if reason == SignInReason::UserAsked
                && way == PageOpening::Browser
                && self.way() == Some(PageOpening::Browser)
            {
                self.reopen();
            }
            self.follow();
            return Ok(());
        }
        // Read now: whatever has come by the time that the sign-in really starts will do.
        let record = self.record();
        if let Some(problem) = choose::planhat_id_missing(&self.settings) {
            return Err(problem);
        }
        self.may_start(reason, way, record.as_ref())?;
        tracing::info!(?reason, ?way, "sign-in started");
        // With a token that is good for other things, somebody stays signed in while a wider scope is asked for.
        if self.newer_than(None).is_none() {
            self.tell(AuthState::SigningIn { link: None });
        }
        let since = Since {
            number: record.map_or(0, |record| record.number),
            grant: self.current().map(|current| current.grant.id.clone()),
        };
        let started = if self.settings.token_store == TokenStoreKind::Memory {
            self.sign_in_here(since, way);
            Ok(())
        } else {
            self.sign_in_elsewhere(since, way)
        };
        self.follow();
        started.inspect_err(|problem| self.sign_in_ended(Some(problem.clone())))
    }

    fn may_start(&self, reason: SignInReason, way: PageOpening, last: Option<&Pending>) -> Result<(), Problem> {
        let mut shared = self.sign_ins.shared();
        let now = Instant::now();
        if reason != SignInReason::UserAsked {
            if self.settings.sign_in == SignInPolicy::Manual {
                return Err(Problem::new(ProblemId::SignInManual).with("service", self.settings.service_name()));
            }
            if let Some(problem) = &shared.in_vain {
                return Err(problem.clone());
            }
            // Whichever process it was in, and also before this one was started.
            if let Some(last) = last
                && let Some(left) = last.pause(self.clock.unix_seconds(), self.born)
            {
                let failure = last.failure.clone().map(Problem::from);
                return Err(cool_down(left, failure.or_else(|| shared.failure.clone()).as_ref()));
            }
            if let Some(until) = shared.paused_until.filter(|until| *until > now) {
                return Err(cool_down(until.duration_since(now), shared.failure.as_ref()));
            }
        }
        if way == PageOpening::Browser && !browser::is_expected() {
            let command = self.settings.command("login --no-browser");
            return Err(Problem::new(ProblemId::NoDesktop).with("command", command));
        }
        shared.running = true;
        shared.way = Some(way);
        shared.failure = None;
        shared.in_vain = None;
        Ok(())
    }

    /// Waits until somebody is signed in, the sign-in fails, or the time is over.
    ///
    /// # Errors
    /// `Failed` with the reason when the sign-in ended without success, `SignInNeeded` (with the link, where there is one)
    /// when none is under way or the time is over, `NotNow` when the store cannot be asked.
    pub async fn wait_signed_in(self: &Arc<Self>, within: Duration) -> Result<(), AuthError> {
        self.wait_newer(None, within).await
    }

    /// The same, when the token with this serial is not enough.
    pub async fn wait_newer(self: &Arc<Self>, than: Option<u64>, within: Duration) -> Result<(), AuthError> {
        let deadline = Instant::now() + within;
        let mut state = self.watch();
        let mut was_under_way = false;
        let mut may_restart = true;
        let mut way = if browser::is_expected() { PageOpening::Browser } else { PageOpening::Link };
        let awaited = Pending::awaited(self.record().as_ref());
        let mut looked = self.look_again().await;
        loop {
            if self.newer_than(than).is_some() {
                return Ok(());
            }
            if self.sign_in_is_under_way() {
                was_under_way = true;
                way = self.way().unwrap_or(way);
                self.tell_link();
            } else {
                // A silent store is no reason to stop waiting, but it is one to end with.
                looked?;
                // Its process was killed. What it was for is still wanted, so another one takes its place; once.
                let ended = |record: Pending| record.number >= awaited && record.ended.is_some();
                let died = was_under_way && !self.record().is_some_and(ended);
                let explained = self.sign_ins.shared().failure.as_ref().map(|failure| failure.id);
                let unexplained = explained.is_none_or(|id| id == ProblemId::SignInProcessFailed);
                if died && unexplained && std::mem::take(&mut may_restart) {
                    self.start_in_turn(SignInReason::Call, way).map_err(|p| AuthError::Failed(self.explain(p)))?;
                    looked = Ok(());
                    continue;
                }
                let failure = self.sign_ins.shared().failure.clone();
                return Err(match failure.or_else(|| self.told_failure().filter(|_| was_under_way)) {
                    Some(problem) => AuthError::Failed(self.explain(problem)),
                    None => AuthError::SignInNeeded(self.sign_in_needed()),
                });
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AuthError::SignInNeeded(self.sign_in_needed()));
            }
            state.borrow_and_update();
            tokio::select! {
                _ = state.changed() => {}
                () = tokio::time::sleep(left.min(LOOK)) => {}
            }
            looked = self.look().await;
        }
    }

    /// Looks for a sign-in by any process until there is one; once at a time.
    pub(crate) fn follow(self: &Arc<Self>) {
        if std::mem::replace(&mut self.sign_ins.shared().following, true) {
            return;
        }
        let weak = Arc::downgrade(self);
        let mut seen = self.files.generation().read();
        tokio::spawn(async move {
            let mut pause = LOOK;
            loop {
                tokio::time::sleep(pause).await;
                let Some(this) = weak.upgrade() else { return };
                pause = this.follow_once(&mut seen).await;
                let signed_in = this.newer_than(None).is_some();
                if signed_in {
                    this.sign_ins.shared().following = false;
                    return;
                }
            }
        });
    }

    async fn follow_once(&self, seen: &mut u64) -> Duration {
        let generation = self.files.generation().read();
        // The store itself is asked only when it has changed: a locked keychain may show a question each time.
        if std::mem::replace(seen, generation) != generation
            && let Err(error) = self.look().await
        {
            tracing::debug!(%error, "the store cannot be asked");
        }
        if self.sign_in_is_under_way() {
            self.tell_link();
            return LOOK;
        }
        let signing_in = matches!(*self.watch().borrow(), AuthState::SigningIn { .. });
        if signing_in && self.newer_than(None).is_none() {
            // Another process's sign-in has ended without a token.
            self.sign_in_ended(self.told_failure());
            self.tell(AuthState::SignedOut);
        }
        LOOK_IDLE
    }

    pub(crate) fn sign_in_is_under_way(&self) -> bool {
        self.sign_ins.shared().running || self.files.login_is_under_way().unwrap_or(false)
    }

    fn tell_link(&self) {
        if self.newer_than(None).is_some() {
            return;
        }
        let link = self.record().filter(|record| record.ended.is_none()).and_then(|record| record.link);
        self.tell(AuthState::SigningIn { link });
    }

    /// Opens the page of the sign-in that is under way for a user who asks for it.
    fn reopen(self: &Arc<Self>) {
        if !browser::is_expected() || std::mem::replace(&mut self.sign_ins.shared().reopening, true) {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(problem) = this.open_page_again().await {
                tracing::warn!(%problem, "the page of the sign-in could not be opened again");
            }
            this.sign_ins.shared().reopening = false;
        });
    }

    /// With the memory store nobody else could keep the tokens.
    fn sign_in_here(self: &Arc<Self>, since: Since, way: PageOpening) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let open_browser = way == PageOpening::Browser;
            let options = LoginOptions { open_browser, since: Some(since), ..LoginOptions::default() };
            let result = this.login(options, &mut Silent).await;
            this.sign_in_ended(result.err());
        });
    }

    fn sign_in_elsewhere(self: &Arc<Self>, since: Since, way: PageOpening) -> Result<(), Problem> {
        let missing =
            || Problem::new(ProblemId::SignInProcessFailed).with("detail", "this program does not find itself");
        let number = since.number;
        let child = self.program().ok_or_else(missing)?.start_login(&self.settings, &self.challenge(), since, way)?;
        // A token that is there already is no sign of success.
        let than = self.newer_than(None).map(|bearer| bearer.serial);
        let end = end_of(child)?;
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let status = end.await.ok().flatten();
            let looked = this.look_again().await;
            // What the process says counts: a good token may have been used, refused and buried by now.
            let good = status.is_some_and(|status| status.success()) || this.newer_than(than).is_some();
            // Or it left the field to another process, which is followed instead.
            let failure = if good || this.files.login_is_under_way().unwrap_or(false) {
                None
            } else {
                // What an earlier one has left behind is not the end of this one.
                let told = this.told_failure().filter(|_| this.record().is_some_and(|last| last.number > number));
                let told = told.or_else(|| looked.err().map(Problem::from));
                if told.is_none() {
                    return this.sign_in_died(ended_silently(status));
                }
                told
            };
            this.sign_in_ended(failure);
        });
        Ok(())
    }

    /// Why the last sign-in of any process ended without a token, as far as it said.
    fn told_failure(&self) -> Option<Problem> {
        self.record()?.failure.map(Problem::from)
    }

    /// The server refuses the tokens of the last sign-in.
    pub(crate) fn sign_in_was_in_vain(&self, why: Problem) {
        // Another process would find the same, with another tab. One that signs in at this moment knows better.
        if let Some(mut record) = self.record().filter(|record| record.ended.is_some() && record.failure.is_none())
            && let Ok(Some(_lock)) = ProcessLock::try_acquire(&self.files.login_lock())
        {
            record.end(self.clock.unix_seconds(), Some(&why));
            if let Err(problem) = attempt::note(&self.files).write(&record) {
                tracing::debug!(%problem, "other processes are not told that the sign-in was in vain");
            }
        }
        self.sign_ins.shared().in_vain = Some(why);
    }

    /// The server takes the tokens of the last sign-in.
    pub(crate) fn sign_in_was_good(&self) {
        let mut shared = self.sign_ins.shared();
        shared.in_vain = None;
        shared.paused_until = None;
    }

    /// The process that was to sign in is gone, and nobody knows why. The next call may start another; only when that one
    /// goes the same way, there is a pause.
    fn sign_in_died(&self, problem: Problem) {
        let deaths = {
            let mut shared = self.sign_ins.shared();
            shared.deaths += 1;
            shared.deaths
        };
        self.sign_in_ended(Some(problem));
        let mut shared = self.sign_ins.shared();
        shared.deaths = deaths;
        if deaths < 2 {
            shared.paused_until = None;
        }
    }

    pub(crate) fn sign_in_ended(&self, failure: Option<Problem>) {
        {
            let mut shared = self.sign_ins.shared();
            shared.running = false;
            shared.deaths = 0;
            shared.paused_until = failure.is_some().then(|| Instant::now() + PAUSE);
            shared.failure.clone_from(&failure);
        }
        if let Some(problem) = failure {
            tracing::warn!(%problem, "sign-in ended without success");
            if self.newer_than(None).is_none() {
                self.tell(AuthState::SignedOut);
            }
        }
    }
}

/// Why no sign-in starts by itself for now, and what was wrong with the last one: else nobody would ever mend that.
fn cool_down(left: Duration, failure: Option<&Problem>) -> Problem {
    let problem = Problem::new(ProblemId::SignInCoolDown).with("minutes", left.as_secs().div_ceil(60).max(1));
    match failure {
        Some(failure) if failure.id.is_mended_by_settings() => failure.clone(),
        // Its advice is to ask and to sign in again, which the cool-down's own says.
        Some(failure) if failure.id == ProblemId::SignInStopped => problem.with("detail", failure.what()),
        Some(failure) => problem.with("detail", failure.what()).with("advice", failure.model_line()),
        None => problem,
    }
}

fn ended_silently(status: Option<ExitStatus>) -> Problem {
    let detail =
        status.map_or_else(|| "its process was lost".into(), |status| format!("its process ended with {status}"));
    Problem::new(ProblemId::SignInProcessFailed).with("detail", detail)
}

/// Resolves when the process has ended; also collects it, so that no zombie stays.
fn end_of(mut child: Child) -> Result<oneshot::Receiver<Option<ExitStatus>>, Problem> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("sign-in".into())
        .spawn(move || ended.send(child.wait().ok()))
        .map_err(|error| Problem::new(ProblemId::SignInProcessFailed).with("detail", error))?;
    Ok(end)
}

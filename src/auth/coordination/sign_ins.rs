//! The sign-ins that this process starts or follows: in separate processes, so that a client that kills its servers
//! does not end them, and watched through the state directory.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::auth::bearer::state::AuthState;
use crate::auth::bearer::tokens::Tokens;
use crate::auth::brake::TabAdmission;
use crate::auth::context::Context;
use crate::auth::coordination::observed::Observed;
use crate::auth::coordination::pages::Pages;
use crate::auth::coordination::process::{Program, end_of, silent_end};
use crate::auth::coordination::start::{SignInReason, StartFacts, StartRefusal, cool_down, shut_after};
use crate::auth::coordination::{join, link, login, outcome};
use crate::auth::discovery::challenge::Challenge;
use crate::auth::grants::stored;
use crate::auth::login::attempt::{Attempt, Since};
use crate::auth::login::browser;
use crate::auth::login::sign_in_page::PageOpening;
use crate::auth::login::ui::{LoginOptions, Silent};
use crate::auth::registration::choose;
use crate::blocking;
use crate::config::TokenStoreKind;
use crate::limits::{FAILED_SIGN_IN_PAUSE, MAX_SILENT_SIGN_INS};
use crate::problem::{Problem, ProblemId};
use crate::tasks;

/// The poll interval for the state directory while a sign-in is running.
pub(crate) const SIGN_IN_POLL: Duration = Duration::from_millis(200);
/// The same while nobody is signed in and no sign-in is running: somebody may sign in from a terminal or another
/// client.
const SIGNED_OUT_POLL: Duration = Duration::from_secs(2);
/// The same while a sign-in of this process that has succeeded shows its last page.
const LAST_PAGE_POLL: Duration = Duration::from_millis(20);
/// How long its end is waited for: somewhat longer than the page is shown.
const LAST_PAGE_WAIT: Duration = Duration::from_secs(5);

/// The sign-ins that this process has started or follows.
#[derive(Debug)]
pub(crate) struct SignIns {
    ctx: Arc<Context>,
    tokens: Arc<Tokens>,
    program: Option<Program>,
    pub(crate) pages: Arc<Pages>,
    /// The challenge that requests have met.
    challenge: Mutex<Arc<Challenge>>,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether a sign-in that this process started is running.
    is_running: bool,
    /// The grant that there was when it started.
    grant_before: Option<String>,
    /// How the person gets to its page.
    opening: Option<PageOpening>,
    /// The number of another process's sign-in that a request of this one waits for, as it was seen when the request wanted
    /// one.
    joined: Option<u64>,
    /// Whether the state directory is being polled.
    is_following: bool,
    failure: Option<Problem>,
    paused_until: Option<Instant>,
    /// Why the last successful sign-in was useless: the server rejects its tokens.
    rejected_afresh: Option<Problem>,
    /// How many of this process's sign-in processes in a row ended without an outcome.
    silent_ends: u32,
}

impl SignIns {
    pub(crate) fn new(ctx: Arc<Context>, tokens: Arc<Tokens>, program: Option<Program>) -> Self {
        let pages = Arc::new(Pages::new(Arc::clone(&ctx)));
        Self { ctx, tokens, program, pages, challenge: Mutex::default(), shared: Mutex::default() }
    }

    /// Remembers what the server asks for, so that the next sign-in goes to the right place.
    pub(crate) fn note_challenge(&self, challenge: Challenge) -> Arc<Challenge> {
        let mut last = self.challenge.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Arc::new(challenge.after(&last));
        Arc::clone(&last)
    }

    /// The challenge that requests have met.
    pub(crate) fn challenge(&self) -> Arc<Challenge> {
        Arc::clone(&self.challenge.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a sign-in, unless one is under way already in some process.
    pub(crate) async fn start(self: &Arc<Self>, reason: SignInReason, opening: PageOpening) -> Result<(), Problem> {
        self.start_or_follow(reason, opening).await.map_err(|problem| self.ctx.explain(problem))
    }

    async fn start_or_follow(self: &Arc<Self>, reason: SignInReason, opening: PageOpening) -> Result<(), Problem> {
        let settings = &self.ctx.settings;
        if settings.static_token.is_some() {
            return Err(Problem::new(ProblemId::StaticTokenSet));
        }
        if self.ctx.uses_client_credentials() {
            return Err(Problem::new(ProblemId::TokenRejected).with("host", settings.service_name()));
        }
        if let Some(problem) = stored::moved(&self.ctx).await {
            return Err(problem);
        }
        let shut = match opening {
            PageOpening::Browser => self.ctx.brake.tabs_shut().await,
            PageOpening::Link => None,
        };
        self.last_sign_in_is_over().await;
        // Read first: a sign-in that has completed by the time this one really starts will do.
        let observed = Observed::now(&self.ctx).await;
        // No await from here to the end of `may_start`, so that of two calls only one starts a sign-in.
        if self.is_under_way_in(&observed) {
            tracing::debug!(?reason, "a sign-in is under way already");
            if let Some(problem) = observed.attempt.as_ref().and_then(|attempt| join::overdue(&self.ctx, attempt)) {
                return Err(problem);
            }
            self.shared().joined = Some(Attempt::awaited(observed.attempt.as_ref()));
            self.tokens.cache.set_signing_in(observed.link());
            let opens_by_itself = self.opening_of(observed.attempt.as_ref()) == PageOpening::Browser;
            // Where only the link leads to the page, those who have the link open it.
            if reason == SignInReason::UserAsked && opening == PageOpening::Browser && opens_by_itself {
                let weak = Arc::downgrade(self);
                self.pages.reopen(move || weak.upgrade().is_some_and(|this| this.shared().is_running));
            }
            self.follow();
            return Ok(());
        }
        let last = observed.attempt;
        if let Some(problem) = choose::planhat_id_missing(settings) {
            return Err(problem);
        }
        let opening = self.may_start(reason, opening, last.as_ref(), shut)?;
        tracing::info!(?reason, ?opening, "sign-in started");
        self.tokens.cache.set_signing_in(None);
        let since = Since {
            number: last.map_or(0, |last| last.number),
            grant: self.tokens.cache.current().map(|current| current.grant.id.clone()),
        };
        self.shared().grant_before.clone_from(&since.grant);
        self.follow();
        if settings.token_store == TokenStoreKind::Memory {
            self.sign_in_here(since, opening);
            return Ok(());
        }
        self.sign_in_elsewhere(since, opening).await
    }

    /// How the person gets to the page of the sign-in that may start now; `shut` says why no tab opens for it.
    fn may_start(
        &self,
        reason: SignInReason,
        opening: PageOpening,
        last: Option<&Attempt>,
        shut: Option<Problem>,
    ) -> Result<PageOpening, Problem> {
        let settings = &self.ctx.settings;
        let mut shared = self.shared();
        let own_pause = shared.paused_until.map(|until| until.saturating_duration_since(Instant::now()));
        let facts = StartFacts {
            reason,
            opening,
            policy: settings.sign_in,
            is_rejected_afresh: shared.rejected_afresh.is_some(),
            recorded_pause: last.and_then(|last| last.pause(self.ctx.now(), self.ctx.started_at)),
            own_pause: own_pause.filter(|left| !left.is_zero()),
            has_browser: browser::is_expected(),
            are_tabs_shut: shut.is_some(),
        };
        let refused = |refusal| match refusal {
            StartRefusal::Manual => Problem::new(ProblemId::SignInManual).with("service", settings.service_name()),
            StartRefusal::RejectedAfresh => shared.rejected_afresh.clone().unwrap_or_else(|| self.tokens.rejected()),
            StartRefusal::RecordedPause(left) => {
                let recorded = last.and_then(|last| last.failure.clone()).map(Problem::from);
                cool_down(left, recorded.or_else(|| shared.failure.clone()).as_ref())
            }
            StartRefusal::OwnPause(left) => cool_down(left, shared.failure.as_ref()),
            StartRefusal::NoBrowser => {
                Problem::new(ProblemId::NoDesktop).with("command", settings.command("login --no-browser"))
            }
            StartRefusal::TabsShut => shut.clone().unwrap_or_else(|| ProblemId::TooManyTabs.into()),
        };
        let opening = facts.decide().map_err(|refusal| match (refused(refusal), &shut) {
            // What keeps a sign-in from starting is for the user to hear, and why asking again does not help.
            (problem, Some(shut)) if reason == SignInReason::UserAsked && problem.id != shut.id => {
                shut_after(shut.clone(), &problem)
            }
            (problem, _) => problem,
        })?;
        self.ctx.brake.admit_sign_in().map_err(|problem| match &shared.failure {
            Some(failure) => problem.with("advice", failure.what().trim_end_matches('.')),
            None => problem,
        })?;
        shared.is_running = true;
        shared.joined = None;
        shared.opening = Some(opening);
        shared.failure = None;
        shared.rejected_afresh = None;
        Ok(opening)
    }

    /// How the person gets to the page of the sign-in that is under way in some process; `None` when none is.
    pub(crate) async fn page_opening(&self) -> Option<PageOpening> {
        let observed = Observed::now(&self.ctx).await;
        self.is_under_way_in(&observed).then(|| self.opening_of(observed.attempt.as_ref()))
    }

    /// How the person gets to the page of the sign-in that is under way, with this record.
    pub(crate) fn opening_of(&self, attempt: Option<&Attempt>) -> PageOpening {
        let own = {
            let shared = self.shared();
            shared.opening.filter(|_| shared.is_running)
        };
        let opens = attempt.is_none_or(|attempt| attempt.opens);
        own.unwrap_or(if opens { PageOpening::Browser } else { PageOpening::Link })
    }

    /// Opens the browser after all, for a sign-in that was to do without.
    pub(crate) async fn open_link(&self, link: &str, admission: TabAdmission) -> Result<(), Problem> {
        self.pages.open(link, admission).await?;
        self.shared().opening = Some(PageOpening::Browser);
        Ok(())
    }

    /// Waits for the end of a sign-in that has brought its tokens and only shows its last page: whoever joined it because those
    /// tokens are refused already would get nothing of it.
    async fn last_sign_in_is_over(&self) {
        let is_wrapping_up = || {
            let current = self.tokens.cache.current().map(|current| current.grant.id.clone());
            let shared = self.shared();
            shared.is_running && current.is_some() && current != shared.grant_before
        };
        let over = async {
            while is_wrapping_up() {
                tokio::time::sleep(LAST_PAGE_POLL).await;
            }
        };
        if tokio::time::timeout(LAST_PAGE_WAIT, over).await.is_err() {
            tracing::debug!("the last sign-in takes long to end");
        }
    }

    /// Polls for a sign-in by any process until somebody is signed in; runs once at a time.
    pub(crate) fn follow(self: &Arc<Self>) {
        if std::mem::replace(&mut self.shared().is_following, true) {
            return;
        }
        let weak = Arc::downgrade(self);
        let mut seen = self.tokens.cache.generation();
        tasks::spawn(async move {
            let mut pause = SIGN_IN_POLL;
            loop {
                tokio::time::sleep(pause).await;
                let Some(this) = weak.upgrade() else { return };
                pause = this.follow_once(&mut seen).await;
                if this.is_signed_in() {
                    this.shared().is_following = false;
                    return;
                }
            }
        });
    }

    /// Polls while signed out: somebody may sign in elsewhere.
    pub(crate) fn follow_while_signed_out(self: &Arc<Self>) {
        let is_somebody_needed = self.ctx.settings.static_token.is_none() && !self.ctx.uses_client_credentials();
        if is_somebody_needed && !self.is_signed_in() {
            self.follow();
        }
    }

    async fn follow_once(&self, seen: &mut Option<u64>) -> Duration {
        let observed = Observed::now(&self.ctx).await;
        // Read the store only if it has changed: a locked keychain may show a dialog each time.
        if seen.replace(observed.generation) != Some(observed.generation)
            && let Err(error) = self.tokens.cache.reload_if_changed().await
        {
            tracing::debug!(%error, "the store cannot be asked");
        }
        if self.is_under_way_in(&observed) {
            self.tokens.cache.set_signing_in(observed.link());
            return SIGN_IN_POLL;
        }
        let signing_in = matches!(self.tokens.cache.state(), AuthState::SigningIn { .. });
        if signing_in && !self.is_signed_in() {
            // Another process's sign-in has ended without a token.
            self.ended(observed.attempt.and_then(|attempt| attempt.failure).map(Problem::from));
            self.tokens.cache.set_state(AuthState::SignedOut);
        }
        SIGNED_OUT_POLL
    }

    /// Whether a sign-in is under way in some process.
    pub(crate) fn is_under_way_in(&self, observed: &Observed) -> bool {
        self.shared().is_running || observed.is_under_way()
    }

    /// The sign-in of another process that was under way when a request wanted one. Its process may be gone before anybody
    /// looks again.
    pub(crate) fn joined(&self) -> Option<u64> {
        self.shared().joined
    }

    /// The end of the sign-in with this number was noticed.
    pub(crate) fn left(&self, number: u64) {
        let mut shared = self.shared();
        shared.joined = shared.joined.filter(|joined| *joined != number);
    }

    /// Why the last sign-in of this process ended without a token.
    pub(crate) fn failure(&self) -> Option<Problem> {
        self.shared().failure.clone()
    }

    /// "Somebody has to sign in", with the link where there is one.
    pub(crate) async fn sign_in_needed(&self) -> Problem {
        link::sign_in_needed(&self.tokens.cache, &self.ctx).await
    }

    fn is_signed_in(&self) -> bool {
        self.tokens.cache.usable().is_some()
    }

    /// Signs in here: with the memory store no other process could hold the tokens.
    fn sign_in_here(self: &Arc<Self>, since: Since, opening: PageOpening) {
        let this = Arc::clone(self);
        tasks::spawn(async move {
            let open_browser = opening == PageOpening::Browser;
            let options = LoginOptions { open_browser, since: Some(since), ..LoginOptions::default() };
            let result = login::login(&this.tokens, &this.challenge(), options, &mut Silent).await;
            this.ended(result.err());
        });
    }

    /// Returns once the process has started or failed to. It is followed to its end even if the caller gives up.
    async fn sign_in_elsewhere(self: &Arc<Self>, since: Since, opening: PageOpening) -> Result<(), Problem> {
        let number = since.number;
        // An existing token is not a sign of success.
        let than = self.tokens.cache.newer_than(None).map(|bearer| bearer.serial);
        let (started, has_started) = oneshot::channel();
        let this = Arc::clone(self);
        tasks::spawn(async move {
            match this.start_process(since, opening).await {
                Ok(end) => {
                    let _ = started.send(Ok(()));
                    this.process_ended(end.await.ok().flatten(), number, than).await;
                }
                Err(problem) => {
                    this.ended(Some(problem.clone()));
                    let _ = started.send(Err(problem));
                }
            }
        });
        has_started.await.unwrap_or_else(|_| Err(silent_end(None)))
    }

    async fn start_process(
        &self,
        since: Since,
        opening: PageOpening,
    ) -> Result<oneshot::Receiver<Option<ExitStatus>>, Problem> {
        let missing = || {
            Problem::new(ProblemId::SignInProcessFailed).with("detail", "planhat-mcp cannot find its own program file")
        };
        let program = self.program.clone().ok_or_else(missing)?;
        let (settings, challenge) = (Arc::clone(&self.ctx.settings), self.challenge());
        blocking::run(move || end_of(program.start_login(&settings, &challenge, since, opening)?)).await
    }

    async fn process_ended(&self, status: Option<ExitStatus>, number: u64, than: Option<u64>) {
        let reloaded = self.tokens.cache.reload().await;
        let observed = Observed::now(&self.ctx).await;
        // The exit status counts: a valid token may have been used, rejected and given up by now.
        let is_good = status.is_some_and(|status| status.success()) || self.tokens.cache.newer_than(than).is_some();
        // Or it gave way to another process, which is followed instead.
        if is_good || observed.is_under_way() {
            return self.ended(None);
        }
        // A record of an earlier sign-in is not the outcome of this one.
        let recorded = observed.attempt.filter(|last| last.number > number).and_then(|last| last.failure);
        match recorded.map(Problem::from).or_else(|| reloaded.err().map(Problem::from)) {
            Some(failure) => self.ended(Some(failure)),
            None => self.ended_silently(silent_end(status)),
        }
    }

    /// The server rejects the tokens of the last sign-in: only the user starts another.
    pub(crate) async fn rejected_afresh(&self, why: Problem) {
        self.shared().rejected_afresh = Some(why.clone());
        outcome::rejected(&self.ctx, why).await;
    }

    /// Records that the server accepts the tokens of the last sign-in.
    pub(crate) fn accepted(&self) {
        let mut shared = self.shared();
        shared.rejected_afresh = None;
        shared.paused_until = None;
    }

    /// The sign-in process is gone without an outcome. The next call may start another; only if that one ends the same
    /// way is there a pause.
    pub(crate) fn ended_silently(&self, problem: Problem) {
        let silent_ends = self.shared().silent_ends + 1;
        self.ended(Some(problem));
        let mut shared = self.shared();
        shared.silent_ends = silent_ends;
        if silent_ends < MAX_SILENT_SIGN_INS {
            shared.paused_until = None;
        }
    }

    /// As if the sign-in that brought the present grant were not over yet.
    #[cfg(test)]
    pub(crate) fn show_last_page(&self) {
        self.shared().is_running = true;
    }

    /// Whether no sign-in starts by itself for a while.
    #[cfg(test)]
    pub(crate) fn is_paused(&self) -> bool {
        self.shared().paused_until.is_some()
    }

    pub(crate) fn ended(&self, failure: Option<Problem>) {
        {
            let mut shared = self.shared();
            shared.is_running = false;
            shared.silent_ends = 0;
            shared.paused_until = failure.is_some().then(|| Instant::now() + FAILED_SIGN_IN_PAUSE);
            shared.failure.clone_from(&failure);
        }
        if let Some(problem) = failure {
            tracing::warn!(%problem, "sign-in ended without success");
            if !self.is_signed_in() {
                self.tokens.cache.set_state(AuthState::SignedOut);
            }
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! When a sign-in starts without being asked for on a command line, and how the others wait for it.

use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::authorizer::{AuthState, Authorizer};
use super::login::{LoginOptions, Silent};
use super::pending::{self, Pending};
use super::{AuthError, browser};
use crate::config::TokenStoreKind;
use crate::problem::{Problem, ProblemId};

/// How long no new sign-in starts by itself after one that failed.
const PAUSE: Duration = Duration::from_secs(120);
/// How often the state directory is looked at while somebody waits for a sign-in.
const LOOK: Duration = Duration::from_millis(150);

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

/// The sign-ins that this process has started.
#[derive(Debug, Default)]
pub(super) struct SignIns {
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    running: bool,
    failure: Option<Problem>,
    paused_until: Option<Instant>,
}

impl SignIns {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorizer {
    /// Starts a sign-in, unless one is under way already in some process.
    pub fn start_sign_in(self: &Arc<Self>, reason: SignInReason) -> Result<(), Problem> {
        if self.settings.static_token.is_some() {
            return Err(Problem::new(ProblemId::StaticTokenSet));
        }
        if self.sign_in_is_under_way() {
            return Ok(());
        }
        {
            let mut shared = self.sign_ins.shared();
            if let Some(until) = shared.paused_until.filter(|until| *until > Instant::now())
                && reason != SignInReason::UserAsked
            {
                let minutes = until.duration_since(Instant::now()).as_secs() / 60 + 1;
                let problem = Problem::new(ProblemId::SignInCoolDown).with("minutes", minutes);
                return Err(problem.with("command", self.settings.command("login")));
            }
            if !browser::is_expected() {
                return Err(
                    Problem::new(ProblemId::NoDesktop).with("command", self.settings.command("login --no-browser"))
                );
            }
            shared.running = true;
            shared.failure = None;
        }
        tracing::info!(?reason, "sign-in started");
        self.tell(AuthState::SigningIn { link: None });
        let started = if self.settings.token_store == TokenStoreKind::Memory {
            self.sign_in_here();
            Ok(())
        } else {
            self.sign_in_elsewhere()
        };
        started.inspect_err(|problem| self.sign_in_ended(Some(problem.clone())))
    }

    /// Waits until somebody is signed in, the sign-in fails, or the time is over.
    pub async fn wait_signed_in(self: &Arc<Self>, within: Duration) -> Result<(), AuthError> {
        let deadline = Instant::now() + within;
        let mut state = self.watch();
        loop {
            // A silent store is no reason to stop waiting: it may be asking the user to unlock it.
            let looked = self.look_again().await;
            if self.newer_than(None).is_some() {
                return Ok(());
            }
            if !self.sign_in_is_under_way() {
                looked?;
                return Err(match self.sign_ins.shared().failure.clone() {
                    Some(problem) => AuthError::Failed(problem),
                    None => AuthError::SignInNeeded(self.sign_in_needed()),
                });
            }
            self.tell_link();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(AuthError::SignInNeeded(self.sign_in_needed()));
            }
            state.borrow_and_update();
            tokio::select! {
                _ = state.changed() => {}
                () = tokio::time::sleep(left.min(LOOK)) => {}
            }
        }
    }

    fn sign_in_is_under_way(&self) -> bool {
        self.sign_ins.shared().running || self.files.login_is_under_way().unwrap_or(false)
    }

    fn tell_link(&self) {
        let record: Option<Pending> = pending::note(&self.files).read();
        let link = record.filter(|record| record.failure.is_none()).and_then(|record| record.link);
        self.tell(AuthState::SigningIn { link });
    }

    /// With the memory store nobody else could keep the tokens.
    fn sign_in_here(self: &Arc<Self>) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let options = LoginOptions { open_browser: true, paste: None };
            let result = this.login(options, &mut Silent).await;
            this.sign_in_ended(result.err());
        });
    }

    fn sign_in_elsewhere(self: &Arc<Self>) -> Result<(), Problem> {
        let missing =
            || Problem::new(ProblemId::SignInProcessFailed).with("detail", "this program does not find itself");
        let child = self.program().ok_or_else(missing)?.start_login(&self.settings, &self.challenge())?;
        let end = end_of(child)?;
        let this = Arc::clone(self);
        let started = self.clock.unix_seconds();
        tokio::spawn(async move {
            let status = end.await;
            let looked = this.look_again().await;
            let failure = match (looked, this.newer_than(None)) {
                (_, Some(_)) => None,
                (Err(error), None) => Some(error.into()),
                (Ok(()), None) => this.told_failure(started, status.ok().flatten()),
            };
            this.sign_in_ended(failure);
        });
        Ok(())
    }

    /// Why the sign-in process ended without a token; `None` when it left the field to another one.
    fn told_failure(&self, started: u64, status: Option<std::process::ExitStatus>) -> Option<Problem> {
        let record: Option<Pending> = pending::note(&self.files).read();
        if let Some(told) = record.filter(|record| record.started >= started).and_then(|record| record.failure) {
            return Some(told.into());
        }
        if self.files.login_is_under_way().unwrap_or(false) {
            return None;
        }
        let detail =
            status.map_or_else(|| "its process was lost".into(), |status| format!("its process ended with {status}"));
        Some(Problem::new(ProblemId::SignInProcessFailed).with("detail", detail))
    }

    fn sign_in_ended(&self, failure: Option<Problem>) {
        {
            let mut shared = self.sign_ins.shared();
            shared.running = false;
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

/// Resolves when the process has ended; also collects it, so that no zombie stays.
fn end_of(mut child: Child) -> Result<oneshot::Receiver<Option<std::process::ExitStatus>>, Problem> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("sign-in".into())
        .spawn(move || ended.send(child.wait().ok()))
        .map_err(|error| Problem::new(ProblemId::SignInProcessFailed).with("detail", error))?;
    Ok(end)
}

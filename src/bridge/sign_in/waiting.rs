//! Waits for a running sign-in, as long as a request may.

use std::sync::Arc;

use tokio::time::Duration;

use crate::auth::{AuthError, AuthState, Authorizer};
use crate::bridge::client::endpoint::Client;
use crate::bridge::client::progress::while_waiting;
use crate::bridge::client::request::InFlight;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId};

use super::outcome::{SignInNeed, SignInOutcome};

/// How long the link of a sign-in may take: discovery comes first.
const LINK_WAIT: Duration = Duration::from_secs(15);
/// A shorter wait is not worth a progress notification.
const FIRST_SIGN_IN_PROGRESS_WAIT: Duration = Duration::from_millis(100);
/// The progress of a request that waits for the browser.
const WAITING_FOR_BROWSER: &str = "Waiting for the sign-in in the browser.";

/// Waits for sign-ins.
#[derive(Debug)]
pub struct SignInWait {
    client: Arc<Client>,
    auth: Arc<Authorizer>,
    settings: Arc<Settings>,
}

impl SignInWait {
    /// Waits on behalf of this client's requests.
    pub fn new(client: Arc<Client>, auth: Arc<Authorizer>, settings: Arc<Settings>) -> Self {
        Self { client, auth, settings }
    }

    /// Waits for `awaited`, with progress. `None` when stdin has ended: nobody would read the answer.
    pub async fn unless_closing<T>(
        &self,
        request: &InFlight,
        message: &str,
        awaited: impl Future<Output = T>,
    ) -> Option<T> {
        let awaited =
            while_waiting(request.progress.as_deref(), FIRST_SIGN_IN_PROGRESS_WAIT, || message.to_owned(), awaited);
        tokio::select! {
            biased;
            value = awaited => Some(value),
            () = self.client.closing() => None,
        }
    }

    /// The link of the running sign-in.
    ///
    /// # Errors
    /// What the request gets instead.
    pub async fn link(&self, request: &InFlight, need: &SignInNeed) -> Result<String, SignInOutcome> {
        let link = self.auth.wait_link(need.newer_than, LINK_WAIT);
        match self.unless_closing(request, "Looking up where to sign in.", link).await {
            Some(Ok(Some(link))) => Ok(link),
            Some(Ok(None)) => Err(SignInOutcome::SignedIn),
            Some(Err(error)) => Err(SignInOutcome::Problem(error.into())),
            None => Err(SignInOutcome::Problem(need.otherwise.clone())),
        }
    }

    /// Waits for the running sign-in, as long as a call may.
    pub async fn for_call(&self, request: &InFlight, need: &SignInNeed) -> SignInOutcome {
        self.at_most(request, need, self.settings.limits.call_wait).await
    }

    /// Waits for the running sign-in, at most `limit`.
    pub async fn at_most(&self, request: &InFlight, need: &SignInNeed, limit: Duration) -> SignInOutcome {
        let signed_in = self.auth.wait_newer(need.newer_than, limit);
        match self.unless_closing(request, WAITING_FOR_BROWSER, signed_in).await {
            Some(Ok(())) => SignInOutcome::SignedIn,
            Some(Err(AuthError::NotNow(problem) | AuthError::Failed(problem))) => SignInOutcome::Problem(problem),
            // The time is over, or stdin has ended.
            Some(Err(AuthError::SignInNeeded(_))) | None => {
                SignInOutcome::Problem(match (self.auth.sign_in_link().await, need.newer_than) {
                    (Some(link), None) => Problem::new(ProblemId::SignInPending).with("link", link),
                    (Some(link), Some(_)) => need.otherwise.clone().with("link", link),
                    (None, _) => need.otherwise.clone(),
                })
            }
        }
    }

    /// Whether a sign-in is running.
    pub fn is_signing_in(&self) -> bool {
        matches!(*self.auth.watch().borrow(), AuthState::SigningIn { .. })
    }

    /// Whether somebody signs in within this time.
    pub async fn is_signed_in_within(&self, request: &InFlight, limit: Duration) -> bool {
        let signed_in = self.auth.wait_newer(None, limit);
        matches!(self.unless_closing(request, WAITING_FOR_BROWSER, signed_in).await, Some(Ok(())))
    }
}

//! A server that answers a token which has ended with a fault of its own, or with the page where people sign in.
//!
//! Where the token may have ended, it is renewed once. What was certainly not executed, or opens a session, is sent again
//! here; the rest is left to [`crate::bridge::forward::retry`], which repeats what only reads.

use std::sync::Arc;

use reqwest::StatusCode;

use crate::auth::{Authorizer, Bearer, OldToken as Outcome};
use crate::config::Settings;
use crate::message::{Kind, Peek, peek};
use crate::problem::Problem;

use super::failure::Failure;
use super::outgoing::Outgoing;

/// Renews tokens that may have ended.
#[derive(Debug)]
pub(super) struct OldToken {
    settings: Arc<Settings>,
    auth: Arc<Authorizer>,
}

impl OldToken {
    pub(super) fn new(settings: Arc<Settings>, auth: Arc<Authorizer>) -> Self {
        Self { settings, auth }
    }

    /// After a redirect to a page, or to elsewhere for now: the message was not executed. `is_renewed` says whether a token
    /// was renewed for it before.
    ///
    /// # Errors The problem, where there is no other token to send it with.
    pub(super) async fn renew_after_redirect(
        &self,
        is_renewed: &mut bool,
        bearer: Option<&Bearer>,
        problem: Problem,
    ) -> Result<(), Failure> {
        match self.renew_once(is_renewed, bearer).await {
            Outcome::Renewed => Ok(()),
            outcome => Err(self.told(problem, outcome).into()),
        }
    }

    /// After a failure of the server, which may have executed the message.
    ///
    /// # Errors Unless it is sent again, the problem with what has become of the token.
    pub(super) async fn renew_after_failure(
        &self,
        is_renewed: &mut bool,
        out: &Outgoing,
        bearer: Option<&Bearer>,
        status: StatusCode,
        problem: Problem,
    ) -> Result<(), Problem> {
        if status != StatusCode::INTERNAL_SERVER_ERROR && !status.is_success() {
            return Err(problem);
        }
        match self.renew_once(is_renewed, bearer).await {
            Outcome::Renewed if opens_session(out) => Ok(()),
            outcome => Err(self.told(problem, outcome)),
        }
    }

    async fn renew_once(&self, is_renewed: &mut bool, bearer: Option<&Bearer>) -> Outcome {
        let Some(bearer) = bearer else { return Outcome::Young };
        if *is_renewed {
            return Outcome::NotRenewed;
        }
        let outcome = self.auth.tokens().renew_if_old(bearer).await;
        *is_renewed = outcome == Outcome::Renewed;
        outcome
    }

    fn told(&self, problem: Problem, outcome: Outcome) -> Problem {
        match outcome {
            Outcome::Young => problem,
            Outcome::Renewed => {
                problem.with("renewed", "it has been renewed, and the next request goes with the new one")
            }
            Outcome::NotRenewed if self.auth.needs_no_person() => problem,
            Outcome::NotRenewed => problem.with("sign_in", self.settings.command("login")),
        }
    }
}

/// Whether the message can be repeated without a look at what it does.
fn opens_session(out: &Outgoing) -> bool {
    matches!(peek(&out.body), Ok(Peek::One(Kind::Request { method, .. })) if method == "initialize" || method == "server/discover")
}

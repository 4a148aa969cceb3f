//! A wider scope on demand (MCP, "Scope Challenge Handling"): a 403 `insufficient_scope` names what is missing, and the
//! user is asked for it together with what was granted before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::authorizer::Authorizer;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::scope;
use crate::auth::grants::grant::GrantKind;
use crate::auth::{AuthError, Bearer};
use crate::config::key::Key;
use crate::problem::{Problem, ProblemId};

/// How many wider scopes are asked for in [`WITHIN`]: a server that is never content must not keep its user busy.
const MOST: usize = 3;
/// See [`MOST`].
const WITHIN: Duration = Duration::from_secs(600);

/// When wider scopes were asked for.
#[derive(Debug, Default)]
pub(crate) struct StepUps {
    asked: VecDeque<Instant>,
    last: Option<(Option<u64>, String)>,
}

impl StepUps {
    /// Whether this scope may be asked for. Requests that find the same token too narrow ask together.
    fn may(&mut self, serial: Option<u64>, scope: &str) -> bool {
        let this = (serial, scope.to_owned());
        if self.last.as_ref() == Some(&this) {
            return true;
        }
        let now = Instant::now();
        while self.asked.front().is_some_and(|at| now.duration_since(*at) > WITHIN) {
            self.asked.pop_front();
        }
        let may = self.asked.len() < MOST;
        if may {
            self.asked.push_back(now);
            self.last = Some(this);
        }
        may
    }
}

impl Authorizer {
    /// A token that may be allowed more than the one that the server found too narrow.
    ///
    /// # Errors
    /// `SignInNeeded` when a person has to agree to the wider scope: the next sign-in asks for it. `Failed` when asking
    /// cannot help.
    pub async fn step_up(self: &Arc<Self>, narrow: Option<&Bearer>, challenge: Challenge) -> Result<Bearer, AuthError> {
        let wanted = challenge.scope.clone().unwrap_or_default();
        let problem = match wanted.as_str() {
            "" => Problem::new(ProblemId::InsufficientScope),
            wanted => Problem::new(ProblemId::InsufficientScope).with("scope", wanted),
        };
        let failed = |problem| Err(AuthError::Failed(self.explain(problem)));
        if self.settings.static_token.is_some() {
            return failed(problem);
        }
        let serial = narrow.map(|bearer| bearer.serial);
        if let Some(bearer) = self.newer_than(serial) {
            return Ok(bearer);
        }
        let current = self.current();
        let held = current.as_ref().and_then(|current| current.grant.scope.clone()).unwrap_or_default();
        let is_static = current.is_some_and(|current| current.grant.kind == GrantKind::Static);
        // The scope that the user has chosen is all that they want to agree to; a built-in one is only where a grant begins.
        let is_chosen = self.settings.oauth.scope.is_some() && self.settings.origins.is_chosen(Key::Scope);
        // What is held already would only be granted again.
        let in_vain = wanted.is_empty() || scope::covers(&held, &wanted);
        let union = scope::union(&held, &wanted);
        if is_static || is_chosen || in_vain || !self.memory().step_ups.may(serial, &union) {
            return failed(problem);
        }
        tracing::info!(scope = union, "the server wants a wider scope");
        self.note_challenge(Challenge { scope: Some(union), ..challenge });
        if self.is_machine() {
            return self.renew(serial).await;
        }
        Err(AuthError::SignInNeeded(self.explain(problem)))
    }
}

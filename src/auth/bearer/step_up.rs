//! A wider scope on demand (MCP, "Scope Challenge Handling"): a 403 `insufficient_scope` names what is missing, and the
//! user is asked for it together with what is already granted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::bearer::state::Bearer;
use crate::auth::bearer::tokens::Tokens;
use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::scope;
use crate::auth::grants::grant::GrantKind;
use crate::config::key::Key;
use crate::pacing::RateWindow;
use crate::problem::{Problem, ProblemId};

/// A server that is never satisfied must not keep its user busy with ever wider scopes.
const STEP_UPS: RateWindow = RateWindow::new(3, Duration::from_secs(600));

/// "The token lacks scope", with the scope that the challenge names.
pub(crate) fn wanted(ctx: &Context, challenge: &Challenge) -> Problem {
    let problem = Problem::new(ProblemId::InsufficientScope);
    ctx.explain(match challenge.scope.as_deref() {
        Some(scope) if !scope.is_empty() => problem.with("scope", scope),
        _ => problem,
    })
}

/// The wider scopes requested so far.
#[derive(Debug)]
pub(crate) struct StepUps(Mutex<History>);

#[derive(Debug)]
struct History {
    rate: RateWindow,
    last: Option<(Option<u64>, String)>,
}

impl Default for StepUps {
    fn default() -> Self {
        Self(Mutex::new(History { rate: STEP_UPS, last: None }))
    }
}

/// The facts about a request whose token lacks scope.
#[derive(Debug, Clone, Copy)]
struct StepUpFacts<'a> {
    /// The scope that the challenge names.
    wanted: &'a str,
    /// The scope of the token.
    held: &'a str,
    /// Whether the user typed the token in.
    is_typed: bool,
    /// Whether the user chose the scope, and so does not want to consent to more. A built-in scope is only a starting
    /// point.
    is_scope_chosen: bool,
}

impl StepUpFacts<'_> {
    /// The scope to request; `None` if that cannot help.
    fn union(&self) -> Option<String> {
        // A scope that is already held would only be granted again.
        let gains = !self.wanted.is_empty() && !scope::covers(self.held, self.wanted);
        (gains && !self.is_typed && !self.is_scope_chosen).then(|| scope::union(self.held, self.wanted))
    }
}

impl StepUps {
    /// The challenge with the scope to request next; `None` if that cannot help, or if there were too many step-ups
    /// recently.
    pub(crate) fn next(&self, tokens: &Tokens, narrow: Option<&Bearer>, challenge: Challenge) -> Option<Challenge> {
        let settings = &tokens.ctx.settings;
        let current = tokens.cache.current();
        let held = current.as_ref().and_then(|current| current.grant.scope.clone()).unwrap_or_default();
        let facts = StepUpFacts {
            wanted: challenge.scope.as_deref().unwrap_or_default(),
            held: &held,
            is_typed: settings.static_token.is_some()
                || current.is_some_and(|current| current.grant.kind == GrantKind::Static),
            is_scope_chosen: settings.oauth.scope.is_some() && settings.origins.is_chosen(Key::Scope),
        };
        let scope = self.next_scope(narrow.map(|bearer| bearer.serial), &facts)?;
        tracing::info!(scope, "the server wants a wider scope");
        Some(Challenge { scope: Some(scope), ..challenge })
    }

    /// The scope to request instead of that of the token with this serial.
    fn next_scope(&self, serial: Option<u64>, facts: &StepUpFacts<'_>) -> Option<String> {
        let union = facts.union()?;
        self.may_ask(serial, &union).then_some(union)
    }

    /// Whether this scope may be requested; counts the request. Requests that find the same token too narrow count
    /// once.
    fn may_ask(&self, serial: Option<u64>, scope: &str) -> bool {
        let mut history = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let this = (serial, scope.to_owned());
        if history.last.as_ref() == Some(&this) {
            return true;
        }
        let may = history.rate.admit(Instant::now());
        if may {
            history.last = Some(this);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDER: StepUpFacts<'_> = StepUpFacts { wanted: "b", held: "a", is_typed: false, is_scope_chosen: false };

    #[test]
    fn a_wider_scope_is_asked_for_only_where_asking_can_help() {
        for (facts, expected) in [
            (WIDER, Some("a b")),
            (StepUpFacts { held: "", ..WIDER }, Some("b")),
            (StepUpFacts { wanted: "", ..WIDER }, None),
            (StepUpFacts { wanted: "a", ..WIDER }, None),
            (StepUpFacts { is_typed: true, ..WIDER }, None),
            (StepUpFacts { is_scope_chosen: true, ..WIDER }, None),
        ] {
            assert_eq!(StepUps::default().next_scope(Some(1), &facts).as_deref(), expected, "{facts:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_meet_the_same_token_ask_together_and_the_number_is_bounded() {
        let step_ups = StepUps::default();
        for _ in 0..9 {
            assert!(step_ups.next_scope(Some(1), &WIDER).is_some(), "they ask together");
        }
        let further = |serial| step_ups.next_scope(Some(serial), &WIDER).is_some();
        assert_eq!([2, 3, 4, 5].map(further), [true, true, false, false]);
        tokio::time::advance(Duration::from_secs(601)).await;
        assert!(further(6));
    }
}

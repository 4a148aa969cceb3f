//! A wider scope on demand (MCP, "Scope Challenge Handling"): a 403 `insufficient_scope` names what is missing, and the
//! user is asked for it together with what was granted before.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::auth::bearer::state::Bearer;
use crate::auth::bearer::tokens::Tokens;
use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::scope;
use crate::auth::grants::grant::GrantKind;
use crate::config::key::Key;
use crate::limits::{MAX_REMEMBERED_SCOPES, STEP_UP_BUDGET, STEP_UP_WINDOW};
use crate::pacing::RateWindow;
use crate::problem::{Problem, ProblemId};

/// "The token is allowed too little", with the scope that the challenge names. Where it names none, signing in again asks for
/// the same.
pub(crate) fn wanted(ctx: &Context, challenge: &Challenge) -> Problem {
    ctx.explain(too_narrow(challenge.scope.as_deref()))
}

pub(crate) fn too_narrow(wanted: Option<&str>) -> Problem {
    match wanted {
        Some(scope) if !scope.is_empty() => Problem::new(ProblemId::InsufficientScope).with("scope", scope),
        _ => Problem::new(ProblemId::ScopeNotNamed),
    }
}

/// The wider scopes that were asked for.
#[derive(Debug)]
pub(crate) struct StepUps(Mutex<Asked>);

#[derive(Debug)]
struct Asked {
    rate: RateWindow,
    /// For which tokens which scopes were asked for, the latest last.
    admitted: VecDeque<(Option<u64>, String)>,
}

impl Default for StepUps {
    fn default() -> Self {
        Self(Mutex::new(Asked { rate: RateWindow::new(STEP_UP_BUDGET, STEP_UP_WINDOW), admitted: VecDeque::new() }))
    }
}

/// What is known of a request whose token is allowed too little.
#[derive(Debug, Clone, Copy)]
struct StepUpFacts<'a> {
    /// The scope that the challenge names.
    wanted: &'a str,
    /// The scope of the token.
    held: &'a str,
    /// Whether the user has typed the token.
    is_typed: bool,
    /// Whether the user has chosen the scope: that is all that they want to agree to. A built-in one is only where a grant
    /// begins.
    is_scope_chosen: bool,
}

impl StepUpFacts<'_> {
    /// The scope to ask for; `None` when asking cannot help.
    fn union(&self) -> Option<String> {
        // What is held already would only be granted again.
        let gains = !self.wanted.is_empty() && !scope::covers(self.held, self.wanted);
        (gains && !self.is_typed && !self.is_scope_chosen).then(|| scope::union(self.held, self.wanted))
    }
}

impl StepUps {
    /// What to ask for now in place of the scope of the token in use; `None` when asking cannot help, or there were too
    /// many wider scopes of late.
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

    /// The scope to ask for in place of the one of the token with this serial.
    fn next_scope(&self, serial: Option<u64>, facts: &StepUpFacts<'_>) -> Option<String> {
        let union = facts.union()?;
        self.may_ask(serial, &union).then_some(union)
    }

    /// Whether this scope may be asked for; counts. Requests that find the same token too narrow ask together.
    fn may_ask(&self, serial: Option<u64>, scope: &str) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let this = (serial, scope.to_owned());
        if asked.admitted.contains(&this) {
            return true;
        }
        let may = asked.rate.admit(Instant::now());
        if may {
            if asked.admitted.len() >= MAX_REMEMBERED_SCOPES {
                asked.admitted.pop_front();
            }
            asked.admitted.push_back(this);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn where_no_scope_is_named_nobody_is_sent_to_sign_in_again_without_one() {
        for (wanted, expected) in [
            (Some("a"), ProblemId::InsufficientScope),
            (Some(""), ProblemId::ScopeNotNamed),
            (None, ProblemId::ScopeNotNamed),
        ] {
            assert_eq!(too_narrow(wanted).id, expected, "{wanted:?}");
        }
        assert!(too_narrow(None).fix().contains("login --scope"), "{}", too_narrow(None).fix());
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

    #[tokio::test(start_paused = true)]
    async fn requests_that_want_different_scopes_in_turn_count_once_each() {
        let step_ups = StepUps::default();
        for wanted in ["b", "c", "b", "c", "b", "c"] {
            let facts = StepUpFacts { wanted, ..WIDER };
            assert!(step_ups.next_scope(Some(1), &facts).is_some(), "{wanted}");
        }
        for n in 0..2 * MAX_REMEMBERED_SCOPES as u64 {
            tokio::time::advance(Duration::from_secs(601)).await;
            assert!(step_ups.next_scope(Some(n), &WIDER).is_some());
        }
        assert_eq!(step_ups.0.lock().unwrap().admitted.len(), MAX_REMEMBERED_SCOPES);
    }
}

//! A token that may have ended: the server has never told its end, or the end has passed by this machine's clock.
//!
//! Some servers answer such a token not with 401, but with a fault of their own or with a page. Other faults look the same,
//! so what is renewed for that reason is bounded: once for each token, never again before the server has accepted what came of
//! it, and at most once in [`OLD_TOKEN_RENEWAL_PAUSE`] by all processes together.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::auth::bearer::state::Renewable;
use crate::auth::grants::grant::Grant;
use crate::limits::OLD_TOKEN_RENEWAL_PAUSE;

/// What became of a token that was answered as if it had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldToken {
    /// It has certainly not ended.
    Young,
    /// There is another one.
    Renewed,
    /// It may have ended, and there is no other, or the other one did not help.
    NotRenewed,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// This is known without asking.
    Tell(OldToken),
    /// Ask for another.
    Renew,
}

/// The last token that was renewed for this reason, and what it became, by their serials.
#[derive(Debug, Default)]
pub(crate) struct OldTokens(Mutex<Option<Tried>>);

#[derive(Debug, Clone, Copy)]
struct Tried {
    old: u64,
    new: Option<u64>,
}

/// What is known of a token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    pub(crate) serial: u64,
    pub(crate) may_have_ended: bool,
    pub(crate) renewable: Renewable,
    /// Whether the server has accepted this very token.
    pub(crate) is_accepted: bool,
}

/// Whether the token may have ended.
pub(crate) fn may_have_ended(grant: &Grant, now: u64) -> bool {
    let age = now.saturating_sub(grant.obtained_at);
    match grant.expires_at {
        Some(end) => end <= now,
        None => grant.renewals == 0 || age >= OLD_TOKEN_RENEWAL_PAUSE.as_secs(),
    }
}

impl OldTokens {
    /// What to do about this token.
    pub(crate) fn step(&self, age: Age) -> Step {
        if age.renewable == Renewable::Already {
            return Step::Tell(OldToken::Renewed);
        }
        let tried = *self.lock();
        if tried.is_some_and(|tried| tried.new == Some(age.serial)) && !age.is_accepted {
            return Step::Tell(OldToken::NotRenewed);
        }
        if !age.may_have_ended {
            return Step::Tell(OldToken::Young);
        }
        if age.renewable == Renewable::Never || tried.is_some_and(|tried| tried.old == age.serial) {
            return Step::Tell(OldToken::NotRenewed);
        }
        Step::Renew
    }

    /// Records what became of this token.
    pub(crate) fn tried(&self, old: u64, new: Option<u64>) -> OldToken {
        *self.lock() = Some(Tried { old, new });
        if new.is_some() { OldToken::Renewed } else { OldToken::NotRenewed }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Tried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_may_have_ended_when_its_end_has_passed_or_was_never_told() {
        let pause = OLD_TOKEN_RENEWAL_PAUSE.as_secs();
        let grant = Grant { obtained_at: 1_000, ..crate::auth::grants::grant::example() };
        for (expires_at, renewals, now, expected) in [
            (Some(4_600), 0, 4_599, false),
            (Some(4_600), 0, 4_600, true),
            (None, 0, 1_000, true),
            // Renewed a moment ago.
            (None, 1, 1_000, false),
            (None, 1, 1_000 + pause, true),
        ] {
            let grant = Grant { expires_at, renewals, ..grant.clone() };
            assert_eq!(may_have_ended(&grant, now), expected, "{expires_at:?} {renewals} {now}");
        }
    }

    #[test]
    fn a_token_that_may_have_ended_is_renewed_once_and_its_successor_only_after_it_was_accepted() {
        let age = Age { serial: 1, may_have_ended: true, renewable: Renewable::Now, is_accepted: true };
        let told = Step::Tell;
        let tokens = OldTokens::default();
        for (age, step) in [
            (age, Step::Renew),
            (Age { may_have_ended: false, ..age }, told(OldToken::Young)),
            (Age { renewable: Renewable::Already, may_have_ended: false, ..age }, told(OldToken::Renewed)),
            (Age { renewable: Renewable::Never, ..age }, told(OldToken::NotRenewed)),
        ] {
            assert_eq!(tokens.step(age), step, "{age:?}");
        }
        assert_eq!(tokens.tried(1, None), OldToken::NotRenewed);
        assert_eq!(tokens.step(age), told(OldToken::NotRenewed), "once for each token");
        assert_eq!(tokens.tried(1, Some(2)), OldToken::Renewed);
        let successor = Age { serial: 2, is_accepted: false, ..age };
        assert_eq!(tokens.step(successor), told(OldToken::NotRenewed), "it did not help");
        assert_eq!(tokens.step(Age { may_have_ended: false, ..successor }), told(OldToken::NotRenewed));
        assert_eq!(tokens.step(Age { is_accepted: true, ..successor }), Step::Renew);
    }
}

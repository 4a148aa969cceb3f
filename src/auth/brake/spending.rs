//! Decides, as a pure function of times, whether a budget has room.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// At most so many events within any time of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many events.
    pub most: usize,
    /// In which time.
    pub within: Duration,
}

impl Budget {
    fn milliseconds(self) -> u64 {
        u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX)
    }
}

/// When events happened, in milliseconds since 1970, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Spending(Vec<u64>);

impl Spending {
    /// What a record that cannot be read counts as: the tightest budget is spent just now.
    pub(super) fn full(now: u64, budgets: &[Budget]) -> Self {
        Self(vec![now; budgets.iter().map(|budget| budget.most).min().unwrap_or_default()])
    }

    /// Forgets what no budget counts any more; returns whether that changed anything. A time in the future means that the
    /// clock was wrong: such an event counts as one of this moment, so that it is neither free nor counted for ever.
    pub(super) fn settle(&mut self, now: u64, budgets: &[Budget]) -> bool {
        let before = self.0.clone();
        let longest = budgets.iter().map(|budget| budget.milliseconds()).max().unwrap_or_default();
        let most = budgets.iter().map(|budget| budget.most).max().unwrap_or_default();
        self.0.iter_mut().for_each(|at| *at = (*at).min(now));
        self.0.retain(|at| now - at < longest);
        self.0.sort_unstable();
        self.0.drain(..self.0.len().saturating_sub(most));
        self.0 != before
    }

    /// Whether an event lies in the future.
    pub(super) fn is_ahead(&self, now: u64) -> bool {
        self.0.iter().any(|at| *at > now)
    }

    /// How many events this budget counts at `now`.
    pub(super) fn count(&self, now: u64, budget: Budget) -> usize {
        self.0.iter().filter(|at| now.saturating_sub(**at) < budget.milliseconds()).count()
    }

    /// When all budgets have room again, in milliseconds since 1970; `None` when they have.
    pub(super) fn shut_until(&self, now: u64, budgets: &[Budget]) -> Option<u64> {
        let ends = budgets.iter().filter(|budget| self.count(now, **budget) >= budget.most);
        // There is room as soon as the oldest of the last `most` events no longer counts.
        let oldest = |budget: &Budget| self.0.len().checked_sub(budget.most).and_then(|at| self.0.get(at));
        ends.map(|budget| oldest(budget).unwrap_or(&now).saturating_add(budget.milliseconds())).max()
    }

    /// Counts an event at `now`.
    ///
    /// # Errors
    /// When there is room again, in milliseconds since 1970; then the event is not counted.
    pub(super) fn admit(&mut self, now: u64, budgets: &[Budget]) -> Result<(), u64> {
        match self.shut_until(now, budgets) {
            Some(until) => Err(until),
            None => {
                self.count_in(now);
                Ok(())
            }
        }
    }

    /// Counts an event at `now` that nothing holds back.
    pub(super) fn count_in(&mut self, now: u64) {
        self.0.push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Budget = Budget { most: 3, within: Duration::from_secs(60) };
    const LONG: Budget = Budget { most: 5, within: Duration::from_secs(600) };
    const MINUTE: u64 = 60_000;

    fn spent(times: &[u64]) -> Spending {
        Spending(times.to_vec())
    }

    #[test]
    fn a_budget_has_room_again_when_the_oldest_event_that_fills_it_no_longer_counts() {
        for (times, now, until) in [
            (&[][..], 0, None),
            (&[0, 0], 0, None),
            (&[0, 10, 20], 20, Some(MINUTE)),
            (&[0, 10, 20], MINUTE - 1, Some(MINUTE)),
            (&[0, 10, 20], MINUTE, None),
            // The long one is spent, the short one is not.
            (&[0, 1, 2, MINUTE, MINUTE], 3 * MINUTE, Some(10 * MINUTE)),
            // Both are; the later end counts.
            (&[0, 1, 2, 3, 4], 5, Some(10 * MINUTE)),
            (&[0, 0, 0, 0, 0], 10 * MINUTE, None),
        ] {
            assert_eq!(spent(times).shut_until(now, &[SHORT, LONG]), until, "{times:?} at {now}");
            let mut counted = spent(times);
            assert_eq!(counted.admit(now, &[SHORT, LONG]), until.map_or(Ok(()), Err), "{times:?} at {now}");
            assert_eq!(counted.0.len(), times.len() + usize::from(until.is_none()));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_frees_nothing_and_one_that_was_wrong_shuts_for_one_window_at_most() {
        let now = 100 * MINUTE;
        let mut future = spent(&[u64::MAX, now + 9_999 * MINUTE, u64::MAX]);
        assert!(future.settle(now, &[SHORT]));
        assert_eq!(future, spent(&[now; 3]), "they count as of now");
        assert_eq!(future.shut_until(now, &[SHORT]), Some(now + MINUTE));
        assert!(future.settle(now + MINUTE, &[SHORT]) && future == Spending::default());
        assert_eq!(spent(&[u64::MAX; 3]).shut_until(now, &[SHORT]), Some(u64::MAX), "settle comes first");
    }

    #[test]
    fn a_record_never_grows_beyond_what_counts() {
        let mut many = spent(&[5; 10_000]);
        assert!(many.settle(6, &[SHORT, LONG]));
        assert_eq!(many.0.len(), LONG.most);
        assert!(!many.settle(6, &[SHORT, LONG]), "nothing is left to forget");
        assert_eq!(Spending::full(7, &[LONG, SHORT]).shut_until(7, &[SHORT, LONG]), Some(7 + MINUTE));
    }
}

//! How long to wait for a silent server.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{BODY_PACE_BYTES, OWED_ANSWER_WAIT};

use super::session::OwedAnswers;

/// A bound on silence. While the client owes the server an answer, silence does not count, for as long as a person may take
/// to give it: a server that asks again and again must not keep its calls for ever.
#[derive(Debug, Clone)]
pub struct Patience {
    /// The longest silence; `None` for no bound.
    pub idle: Option<Duration>,
    /// How many answers the client owes the server.
    pub owed: OwedAnswers,
}

impl Patience {
    /// Waits for `next`; `None` if the silence lasts too long.
    pub async fn wait<T>(&self, next: impl Future<Output = T>) -> Option<T> {
        let Some(mut left) = self.idle else { return Some(next.await) };
        let mut excused = OWED_ANSWER_WAIT;
        let mut owed = self.owed.subscribe();
        tokio::pin!(next);
        loop {
            let is_paused = *owed.borrow_and_update() > 0 && !excused.is_zero();
            let start = Instant::now();
            tokio::select! {
                biased;
                value = &mut next => return Some(value),
                _ = owed.changed() => {}
                () = tokio::time::sleep(if is_paused { excused } else { left }) => if !is_paused {
                    return None;
                },
            }
            let budget = if is_paused { &mut excused } else { &mut left };
            *budget = budget.saturating_sub(start.elapsed());
        }
    }
}

/// The pace of a body that holds room which others wait for: the client's debts are no excuse, and a byte now and then is
/// not enough.
#[derive(Debug)]
pub struct Pace {
    /// The longest time for [`BODY_PACE_BYTES`].
    idle: Duration,
    /// How much had come when the time began, and when it is over.
    due: Option<(usize, Instant)>,
}

impl Pace {
    /// A pace of [`BODY_PACE_BYTES`] in this time.
    pub fn new(idle: Duration) -> Self {
        Self { idle, due: None }
    }

    /// Begins anew: the time that a body has waited for room is not the server's.
    pub fn restart(&mut self) {
        self.due = None;
    }

    /// Waits for `next` with this patience, and within the pace if `here` bytes hold room of their own. `None` if the
    /// silence lasts too long.
    pub async fn wait<T>(
        &mut self,
        patience: &Patience,
        here: Option<usize>,
        next: impl Future<Output = T>,
    ) -> Option<T> {
        let Some(here) = here else {
            self.due = None;
            return patience.wait(next).await;
        };
        let due = match self.due {
            Some((from, due)) if here < from + BODY_PACE_BYTES => due,
            _ => {
                let due = Instant::now() + self.idle;
                self.due = Some((here, due));
                due
            }
        };
        tokio::time::timeout_at(due, patience.wait(next)).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn silence_is_borne_for_the_budget_and_no_longer() {
        let patience = Patience { idle: Some(10 * SECOND), owed: OwedAnswers::default() };
        assert_eq!(patience.wait(sleep(9 * SECOND)).await, Some(()));
        let start = Instant::now();
        assert_eq!(patience.wait(sleep(11 * SECOND)).await, None);
        assert_eq!(start.elapsed(), 10 * SECOND);
        assert_eq!(Patience { idle: None, ..patience }.wait(sleep(99 * SECOND)).await, Some(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_paused_while_the_client_owes_an_answer_and_goes_on_from_there() {
        let owed = OwedAnswers::default();
        let patience = Patience { idle: Some(10 * SECOND), owed: Arc::clone(&owed) };
        // Asked after 4 s, answered after 60 s: 6 s are left then, neither none nor 10.
        let person = async move {
            sleep(4 * SECOND).await;
            owed.send_replace(1);
            sleep(56 * SECOND).await;
            owed.send_replace(0);
        };
        let start = Instant::now();
        let (outcome, ()) = tokio::join!(patience.wait(std::future::pending::<()>()), person);
        assert_eq!((outcome, start.elapsed()), (None, 66 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_debt_of_the_client_excuses_silence_for_as_long_as_a_person_may_take() {
        let owed = OwedAnswers::default();
        let patience = Patience { idle: Some(10 * SECOND), owed: Arc::clone(&owed) };
        // A server that asks anew as soon as there is an answer, on whatever stream.
        let asking = async move {
            loop {
                owed.send_replace(1);
                sleep(599 * SECOND).await;
                owed.send_replace(0);
                sleep(SECOND / 10).await;
            }
        };
        let start = Instant::now();
        tokio::select! {
            outcome = patience.wait(std::future::pending::<()>()) => assert_eq!(outcome, None),
            () = asking => {}
        }
        assert_eq!(start.elapsed(), OWED_ANSWER_WAIT + 10 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_holds_room_must_go_on_whatever_the_client_owes() {
        let owed = OwedAnswers::default();
        owed.send_replace(1);
        let patience = Patience { idle: None, owed };
        let start = Instant::now();
        let mut pace = Pace::new(10 * SECOND);
        // A byte every nine seconds, while the client owes an answer.
        let mut here = 20_000;
        for outcome in [Some(()), None] {
            assert_eq!(pace.wait(&patience, Some(here), sleep(9 * SECOND)).await, outcome);
            here += 1;
        }
        assert_eq!(start.elapsed(), 10 * SECOND);
        pace.restart();
        // Enough of them, and the waits for room between them, are no silence.
        for _ in 0..10 {
            here += BODY_PACE_BYTES;
            assert_eq!(pace.wait(&patience, Some(here), sleep(9 * SECOND)).await, Some(()));
        }
        sleep(60 * SECOND).await;
        pace.restart();
        assert_eq!(pace.wait(&patience, Some(here), sleep(9 * SECOND)).await, Some(()));
        // One that holds nothing has the patience of its stream.
        assert_eq!(pace.wait(&patience, None, sleep(900 * SECOND)).await, Some(()));
    }
}

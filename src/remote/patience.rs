//! How long to wait for a silent server.

use std::time::Duration;

use tokio::time::Instant;

use super::session::OwedAnswers;

/// A bound on silence. While the client owes the server an answer, silence does not count.
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
        let mut owed = self.owed.subscribe();
        tokio::pin!(next);
        loop {
            let is_paused = *owed.borrow_and_update() > 0;
            let start = Instant::now();
            tokio::select! {
                biased;
                value = &mut next => return Some(value),
                _ = owed.changed() => {}
                () = tokio::time::sleep(left), if !is_paused => return None,
            }
            if !is_paused {
                left = left.saturating_sub(start.elapsed());
            }
        }
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
}

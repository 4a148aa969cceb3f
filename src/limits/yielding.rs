//! Owns the loop over what the outside sent: it lets everything else run, however much came.

use tokio::task::yield_now;

use super::time::{YIELD_AFTER_BYTES, YIELD_AFTER_ITEMS};

/// Counts what a loop went through, and gives up the thread each time that it was much.
///
/// Call [`Self::items`] or [`Self::bytes`] once a turn. Nothing in the runtime does this: a body that unpacks to a thousand times its size is
/// read without one wait for the network, and until the loop gives up the thread, no other request is answered and no
/// signal is seen.
#[derive(Debug, Default)]
pub struct Yielding {
    items: usize,
    bytes: usize,
}

impl Yielding {
    /// Accounts for `count` items.
    pub async fn items(&mut self, count: usize) {
        self.items = self.items.saturating_add(count);
        self.when_due().await;
    }

    /// Accounts for one item of `count` bytes.
    pub async fn bytes(&mut self, count: usize) {
        self.items = self.items.saturating_add(1);
        self.bytes = self.bytes.saturating_add(count);
        self.when_due().await;
    }

    async fn when_due(&mut self) {
        if self.items >= YIELD_AFTER_ITEMS || self.bytes >= YIELD_AFTER_BYTES {
            *self = Self::default();
            yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// How often another task ran during `work`.
    async fn turns_of_another_task(work: impl Future<Output = ()>) -> usize {
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        work.await;
        other.abort();
        turns.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_loop_over_much_lets_others_run_after_every_thousand_items_and_every_megabyte() {
        let turns = turns_of_another_task(async {
            let mut yielding = Yielding::default();
            for _ in 0..10 * YIELD_AFTER_ITEMS {
                yielding.items(1).await;
            }
        });
        assert_eq!(turns.await, 10);
        let turns = turns_of_another_task(async {
            let mut yielding = Yielding::default();
            for _ in 0..50 {
                yielding.bytes(YIELD_AFTER_BYTES / 10).await;
            }
        });
        // A tenth of a megabyte is rounded down.
        assert!((4..=5).contains(&turns.await));
    }
}

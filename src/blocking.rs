//! Owns the way off the runtime's single thread: files, locks and trust roots are read on threads that may block.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use crate::tasks;

/// Runs `work` on a thread that may block, and waits for it. `work` still completes if the future is dropped.
///
/// A panic in `work` continues in the caller.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let slot = Arc::new(std::sync::Mutex::new(None));
    let filled = Arc::clone(&slot);
    run_erased(Box::new(move || *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(work()))).await;
    let done = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.expect("work that has ended has filled it")
}

/// All work is of one type, because the runtime's own part of it is made anew for each type.
async fn run_erased(work: Box<dyn FnOnce() + Send>) {
    match spawn_blocking(work).await {
        Ok(()) => {}
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shut down before the work started; the caller ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Work that is done one piece after the other, in the order of the calls, on threads that may block. A file that does not
/// answer so holds one thread, however often it is asked for.
#[derive(Debug, Default)]
pub struct InOrder(Arc<Mutex<()>>);

impl InOrder {
    /// Does `work` when its turn has come, and waits for it. Once it has begun, it is done even when the caller gives up,
    /// and keeps its turn until then.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = Arc::clone(&self.0).lock_owned().await;
        run(in_turn(turn, work)).await
    }

    /// The same, but nobody waits. The turn is that of the call.
    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        let mut turn: Pin<Box<dyn Future<Output = OwnedMutexGuard<()>> + Send>> =
            Box::pin(Arc::clone(&self.0).lock_owned());
        // Now and not when the task first runs, so that the turn is taken here.
        let taken = turn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        tasks::spawn(async move {
            let turn = match taken {
                Poll::Ready(turn) => turn,
                Poll::Pending => turn.await,
            };
            run(in_turn(turn, work)).await;
        });
    }
}

fn in_turn<T>(turn: OwnedMutexGuard<()>, work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    move || {
        let _turn = turn;
        work()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_in_order_is_done_in_the_order_of_the_calls_even_when_a_caller_gives_up() {
        let order = InOrder::default();
        let (done, seen) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let note = |n: u32| {
            let done = done.clone();
            move || done.send(n).expect("somebody listens")
        };
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let first = note(1);
        {
            let mut given_up = Box::pin(order.run(move || {
                let _ = began.send(());
                let _ = released.recv();
                first();
            }));
            tokio::select! { biased; () = &mut given_up => unreachable!("it was not released"), _ = has_begun => {} }
        }
        order.spawn(note(2));
        order.spawn(note(3));
        let last = order.run(note(4));
        drop(release);
        last.await;
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let here = std::thread::current().id();
        assert_ne!(run(move || std::thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn a_panic_goes_on_in_the_caller() {
        let caller = tokio::spawn(run(|| std::panic::resume_unwind(Box::new("why"))));
        let panic = caller.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"why"));
    }
}

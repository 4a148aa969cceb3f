//! Owns the way off the runtime's single thread: files, locks and trust roots are read on threads that may block.

use tokio::task::spawn_blocking;

/// Runs `work` on a thread that may block, and waits for it. `work` still completes if the future is dropped.
///
/// A panic in `work` continues in the caller.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shut down before the work started; the caller ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Owns the way off the runtime's one thread for looking through long texts, which takes as long as a call may wait.

use crate::blocking;
use crate::limits::LOOK_BYTES;

/// Does `work`, which looks through so many bytes: here when they are few, so that a usual message costs no change of
/// threads, and else on a thread that may block. `work` still completes if the future is dropped.
///
/// A panic in `work` continues in the caller.
pub async fn aside<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if !is_long(bytes) {
        return work();
    }
    // Boxed, because it is rare, and every request's future reserves its full size.
    Box::pin(blocking::run(work)).await
}

/// Whether looking through so many bytes takes too long for the runtime's thread.
pub fn is_long(bytes: usize) -> bool {
    bytes > LOOK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_text_is_looked_through_on_another_thread_and_a_short_one_here() {
        let here = std::thread::current().id();
        assert_eq!(aside(LOOK_BYTES, || std::thread::current().id()).await, here);
        assert_ne!(aside(LOOK_BYTES + 1, || std::thread::current().id()).await, here);
    }
}

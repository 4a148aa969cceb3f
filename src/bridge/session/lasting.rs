//! Tasks that must last as long as the bridge.

use tokio::task::JoinSet;

use crate::tasks;

/// Runs a task until it ends by itself. A panic in it is a fault of this program, which must not stop silently what the
/// task does: it is logged, and the task starts anew. `start` learns whether it does.
pub async fn lasting<T>(name: &'static str, mut start: impl FnMut(bool) -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    let mut is_anew = false;
    loop {
        // A set, so that the task ends with this one.
        let mut task = JoinSet::new();
        task.spawn(tasks::task(start(is_anew)));
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => tracing::error!(task = name, %error, "a task panicked; it goes on"),
            _ => return,
        }
        is_anew = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_starts_anew_until_it_ends_by_itself() {
        let mut starts = Vec::new();
        lasting("test", |is_anew| {
            starts.push(is_anew);
            let count = starts.len();
            async move { assert!(count > 2, "the fault") }
        })
        .await;
        assert_eq!(starts, [false, true, true]);
    }
}

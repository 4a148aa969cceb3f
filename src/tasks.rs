//! Owns the start of tasks that run beside others and are not started for each message: all are of one type, because the
//! runtime's own part of a task, some kilobytes of code, is made anew for each type.

use std::pin::Pin;

use tokio::task::JoinHandle;

/// A task.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes a task of a future.
pub fn task(future: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(future)
}

/// Starts a task. Must be called inside the runtime.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task(future))
}

//! What commands share: the runtime, and building an authorizer.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Authorizer;
use crate::clock;
use crate::config::Settings;
use crate::http::Http;
use crate::problem::{Problem, ProblemId};
use crate::store::Store;

/// Runs `work` on the single-threaded runtime; only blocking calls use other threads.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(ProblemId::InternalError).with("detail", "no runtime").because(error))?;
    let result = runtime.block_on(work);
    // A blocking thread that waits for the user (a keychain dialog, stdin) must not delay the exit.
    runtime.shutdown_background();
    Ok(result)
}

/// The authorizer of these settings, with a store that may take `store_timeout` to answer.
pub fn authorizer(settings: &Arc<Settings>, store_timeout: Duration) -> Arc<Authorizer> {
    let http = Http::new(settings.network.clone());
    let store = Store::open(settings, store_timeout);
    Authorizer::new(Arc::clone(settings), http, store, clock::system())
}

//! `planhat-mcp` without a command: the bridge between stdin and stdout and the remote server.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use crate::auth::Authorizer;
use crate::bridge;
use crate::clock;
use crate::config::Settings;
use crate::http::Http;
use crate::problem::Problem;
use crate::store::Store;

use super::{block_on, signals};

/// Runs until the client, a signal or the end of the client's process ends it; all of these are a success.
pub fn run(settings: Arc<Settings>) -> Result<ExitCode, Problem> {
    let http = Http::new(settings.network.clone());
    let clock = clock::system();
    block_on(async {
        let store = Store::open(&settings)?;
        let auth = Authorizer::new(Arc::clone(&settings), http.clone(), store, Arc::clone(&clock));
        let end = bridge::run(settings, http, auth, clock, (std::io::stdin(), raw_stdout()), signals::watch()).await;
        tracing::debug!(?end, "ended");
        Ok(ExitCode::SUCCESS)
    })?
}

/// Standard output without the library's line buffer, which would copy each message once more and write it in pieces.
#[cfg(unix)]
fn raw_stdout() -> impl Write + Send + 'static {
    use std::os::fd::AsFd;
    let stdout = std::io::stdout();
    let file: Box<dyn Write + Send> = match stdout.as_fd().try_clone_to_owned() {
        Ok(own) => Box::new(std::fs::File::from(own)),
        Err(_) => Box::new(stdout),
    };
    file
}

#[cfg(not(unix))]
fn raw_stdout() -> impl Write + Send + 'static {
    std::io::stdout()
}

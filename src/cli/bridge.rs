//! `planhat-mcp` without a command: the bridge between stdin and stdout and the remote server.

use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use crate::auth::Authorizer;
use crate::config::Settings;
use crate::http::Http;
use crate::problem::{Problem, ProblemId};
use crate::{bridge, clock};

use super::{block_on, signals};

/// Runs until the client, a signal or the end of the client's process ends it; each of these is how it should end.
pub fn run(settings: Arc<Settings>) -> Result<ExitCode, Problem> {
    let output = unbuffered_stdout()
        .map_err(|error| Problem::new(ProblemId::InternalError).with("detail", "no standard output").because(error))?;
    block_on(async {
        let http = Http::new(settings.network.clone());
        // MERGE: Authorizer::new(settings, http, store, clock).
        let auth = Arc::new(Authorizer);
        let end = bridge::run(settings, http, auth, clock::system(), (io::stdin(), output), signals::watch()).await;
        tracing::debug!(?end, "ended");
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The standard library's own handle flushes at every line break, in the middle of what should be one write.
fn unbuffered_stdout() -> io::Result<File> {
    #[cfg(unix)]
    return Ok(File::from(std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?));
    #[cfg(windows)]
    return Ok(File::from(std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?));
}

//! `planhat-mcp` without a command: the bridge between stdin and stdout and the remote server.

use std::process::ExitCode;
use std::sync::Arc;

use crate::config::Settings;
use crate::problem::{Problem, ProblemId};

use super::{block_on, signals};

/// Runs until the client, a signal or the end of the client's process ends it.
pub fn run(settings: Arc<Settings>) -> Result<ExitCode, Problem> {
    block_on(async {
        let _signals = signals::watch();
        // MERGE: bridge::run(settings, http, auth, clock, (stdin, stdout), signals).await; every End is a success.
        let _ = settings;
        Err(Problem::new(ProblemId::InternalError).with("detail", "this build has no bridge yet"))
    })?
}

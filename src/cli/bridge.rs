//! `planhat-mcp` without a command: runs the bridge between stdin, stdout and the remote server.

use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::Authorizer;
use crate::config::Settings;
use crate::http::Http;
use crate::problem::{Problem, ProblemId};
use crate::store::Store;
use crate::{bridge, clock};

use super::context::block_on;
use super::{signals, terminal};

/// How long the end waits for a renewed sign-in to be saved.
const LAST_SAVE_TIMEOUT: Duration = Duration::from_millis(750);

/// Runs until the client closes stdin, a signal arrives or the client's process ends; each is a success.
pub fn run(settings: Arc<Settings>) -> Result<ExitCode, Problem> {
    #[cfg(windows)]
    keep_pipes_to_ourselves();
    let output = unbuffered_stdout()
        .map_err(|error| Problem::new(ProblemId::InternalError).with("detail", "no standard output").because(error))?;
    if terminal::is_interactive() {
        // A person started it by hand, and would expect a prompt.
        terminal::tell(&format!(
            "planhat-mcp is normally started by an MCP client such as Claude. It now expects\n\
             JSON-RPC messages for {}.\n\
             Press {} to quit; see `planhat-mcp --help`.\n",
            settings.service_name(),
            if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" }
        ));
    }
    raise_descriptor_limit();
    block_on(async {
        let http = Http::for_requests(settings.network.clone(), settings.limits.in_flight);
        let store = Store::open(&settings, Store::UNATTENDED_TIMEOUT);
        let auth = Authorizer::new(Arc::clone(&settings), http.clone(), store, clock::system());
        let pipes = (io::stdin(), output);
        let signals = signals::watch(settings.keep_without_parent);
        let end = bridge::run(settings, http, Arc::clone(&auth), clock::system(), pipes, signals).await;
        // A refresh token that was rotated a moment ago must reach the store.
        auth.tokens().settle(LAST_SAVE_TIMEOUT).await;
        tracing::debug!(?end, "ended");
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Tells a client what is wrong with the settings, for as long as it stays; its user sees no more of a program that ends at
/// once than that. A person at a terminal is told, and it ends.
///
/// # Errors The problem, to a person.
pub fn stand_in(problem: Problem) -> Result<ExitCode, Problem> {
    if terminal::is_interactive() {
        return Err(problem);
    }
    terminal::explain(&problem);
    stand_in_silently(problem)
}

/// The same for a problem that stderr has already been told.
///
/// # Errors The problem, without a standard output.
pub fn stand_in_silently(problem: Problem) -> Result<ExitCode, Problem> {
    let Ok(output) = unbuffered_stdout() else { return Err(problem) };
    block_on(async {
        let signals = signals::watch(false);
        bridge::stand_in::run(&problem, (io::stdin(), output), signals).await
    })?;
    Ok(problem.exit_code())
}

/// The standard library's handle flushes at every line break, which splits what should be one write.
fn unbuffered_stdout() -> io::Result<File> {
    #[cfg(unix)]
    return Ok(File::from(std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?));
    #[cfg(windows)]
    return Ok(File::from(std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?));
}

/// Windows hands every inheritable handle on to every process that is started, whatever its own streams are. A sign-in that
/// goes on after us would hold the client's pipes, and a client that waits for their end would not see ours.
#[cfg(windows)]
fn keep_pipes_to_ourselves() {
    use std::os::windows::io::{AsRawHandle, IntoRawHandle};

    use filedescriptor::{FileDescriptor, StdioDescriptor};
    let originals = [
        FileDescriptor::redirect_stdio(&io::stdin(), StdioDescriptor::Stdin),
        FileDescriptor::redirect_stdio(&io::stdout(), StdioDescriptor::Stdout),
        FileDescriptor::redirect_stdio(&io::stderr(), StdioDescriptor::Stderr),
    ];
    let mut closed = Vec::new();
    for original in originals {
        match original {
            // Two of them may be one handle, which is closed once.
            Ok(original) if closed.contains(&original.as_raw_handle()) => drop(original.into_raw_handle()),
            Ok(original) => closed.push(original.as_raw_handle()),
            Err(error) => tracing::debug!(%error, "a handle stays inheritable"),
        }
    }
}

/// Over HTTP/1.1, a thousand calls in flight are a thousand connections, and some systems start programs with a limit
/// of 256. If raising it fails, some connections have to wait.
#[cfg(unix)]
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const WANTED_DESCRIPTORS: u64 = 4096;
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(WANTED_DESCRIPTORS, |most| most.min(WANTED_DESCRIPTORS));
    if now.current.is_some_and(|current| current < wanted) {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: now.maximum });
        tracing::debug!(?raised, wanted, "the limit of open descriptors");
    }
}

#[cfg(not(unix))]
fn raise_descriptor_limit() {}

//! `planhat-mcp login`: signs in at the terminal, or on the order of a bridge.

use std::io::{BufRead, Read};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::auth::coordination::process;
use crate::auth::{LoginOptions, PageOpening, Silent};
use crate::clock;
use crate::config::Settings;
use crate::limits::PASTED_LINE_BYTES;
use crate::logging;
use crate::problem::{Problem, ProblemId, desk};
use crate::secret::Secret;
use crate::store::Store;

use super::args::LoginArgs;
use super::context::{authorizer, block_on};
use super::grant::Grant;
use super::login_texts::{done, introduction};
use super::login_ui::Ui;
use super::style::paragraph;
use super::{terminal, typed_secret};

/// Signs in.
pub fn run(settings: Arc<Settings>, how: &LoginArgs) -> Result<ExitCode, Problem> {
    if settings.static_token.is_some() {
        terminal::say("PLANHAT_MCP_TOKEN is set: its access token is sent unchanged, so no sign-in is needed.\n");
        return Ok(ExitCode::SUCCESS);
    }
    if how.token_from_stdin {
        return keep_token(&settings);
    }
    sign_in(typed_secret::asked_for(settings)?, how)
}

/// Signs in with these settings, and asks for nothing that they lack.
pub fn sign_in(settings: Arc<Settings>, how: &LoginArgs) -> Result<ExitCode, Problem> {
    if settings.oauth.client_credentials {
        return try_client_credentials(&settings);
    }
    block_on(async {
        terminal::say(&introduction(&settings, how.device, terminal::style()));
        // A person can paste; a script has to opt in with --no-browser.
        let can_paste = !how.device && (how.no_browser || terminal::is_interactive());
        let paste = can_paste.then(pasted_lines);
        let auth = authorizer(&settings, Store::ATTENDED_TIMEOUT);
        let mut ui = Ui::new(&settings, !how.no_browser, paste.is_some());
        let options = LoginOptions {
            open_browser: !how.no_browser,
            paste,
            device: how.device,
            since: None,
            restart: how.restart,
            by_person: terminal::is_typed(),
        };
        let granted = match auth.login(options, &mut ui).await {
            Err(problem) if problem.id == ProblemId::SignInNotWanted => {
                terminal::say(&paragraph(&format!("{} {}", problem.what(), problem.fix())));
                return Ok(ExitCode::SUCCESS);
            }
            granted => granted?,
        };
        let grant = Grant::new(granted, auth.backend());
        terminal::say(&done(&settings, &grant, clock::system().unix_seconds(), terminal::style()));
        Ok(ExitCode::SUCCESS)
    })?
}

/// Stores an access token that is typed or piped in, such as a Private App's.
fn keep_token(settings: &Arc<Settings>) -> Result<ExitCode, Problem> {
    let unusable = |detail: &dyn std::fmt::Display| Problem::new(ProblemId::TokenUnusable).with("detail", detail);
    let typed = terminal::ask_secret("Access token: ").map_err(|error| unusable(&error))?;
    let token = Secret::from(typed.expose().trim());
    if token.is_empty() || !token.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(unusable(&"it is empty or contains spaces"));
    }
    block_on(async {
        let auth = authorizer(settings, Store::ATTENDED_TIMEOUT);
        let granted = auth.keep_token(token).await?;
        if terminal::is_typed() {
            auth.brake().lift().await;
        }
        let grant = Grant::new(granted, auth.backend());
        terminal::say(&format!(
            "Stored the access token for {} {}. To remove it: {}\n",
            settings.service_name(),
            grant.kept,
            settings.command("logout")
        ));
        Ok(ExitCode::SUCCESS)
    })?
}

/// Client credentials need no person; this shows whether they work.
fn try_client_credentials(settings: &Arc<Settings>) -> Result<ExitCode, Problem> {
    block_on(async {
        let auth = authorizer(settings, Store::ATTENDED_TIMEOUT);
        let options = LoginOptions { by_person: terminal::is_typed(), ..LoginOptions::default() };
        let granted = auth.login(options, &mut Silent).await?;
        terminal::say(&format!(
            "{} accepts client {}. Nothing else to do: tokens are fetched when needed.\n",
            granted.issuer, granted.client_id
        ));
        Ok(ExitCode::SUCCESS)
    })?
}

/// Signs in on the order of a bridge: nobody watches, and the outcome goes to the records that the bridges read.
///
/// Its settings are in the order, not in this process's environment or arguments.
pub fn run_order() -> Result<ExitCode, Problem> {
    let (settings, challenge, since, opening) = process::read_order(std::io::stdin())?;
    process::detach();
    if settings.from_extension {
        desk::act_in_extension(std::env::current_exe().ok());
    }
    logging::start(settings.log.level.into(), settings.log.file.as_deref())?;
    logging::report_panics();
    let settings = Arc::new(settings);
    block_on(async {
        let auth = authorizer(&settings, Store::ATTENDED_TIMEOUT);
        auth.note_challenge(challenge);
        let open_browser = opening == PageOpening::Browser;
        let options = LoginOptions { open_browser, since: Some(since), ..LoginOptions::default() };
        auth.login(options, &mut Silent).await?;
        Ok(ExitCode::SUCCESS)
    })?
}

/// The lines that the user pastes. The thread ends with stdin, or with the process.
pub fn pasted_lines() -> mpsc::UnboundedReceiver<String> {
    let (send, receive) = mpsc::unbounded_channel();
    let read = move || read_lines(std::io::stdin().lock(), &send);
    // Without the thread nothing can be pasted; the redirect still works.
    let _ = std::thread::Builder::new().name("paste".to_owned()).spawn(read);
    receive
}

/// Forwards the lines that are not blank. No line ends it: after a wrong paste the right one may follow.
fn read_lines(mut input: impl BufRead, lines: &mpsc::UnboundedSender<String>) {
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(PASTED_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        if !line.ends_with(b"\n") && input.skip_until(b'\n').is_err() {
            return;
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if !line.is_empty() && lines.send(line).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pasted_line_keeps_the_next_one_from_being_read() {
        let mut typed = b"\n  \ncaf\xe9 \xff\n".to_vec();
        for _ in 0..40 {
            typed.extend(std::iter::repeat_n(b'x', 100 * 1024));
            typed.push(b'\n');
        }
        typed.extend_from_slice(b"the last one");
        let (send, mut lines) = mpsc::unbounded_channel();
        read_lines(&typed[..], &send);
        drop(send);
        let mut read = Vec::new();
        while let Ok(line) = lines.try_recv() {
            read.push(line);
        }
        assert_eq!(read.len(), 42);
        assert!(read.iter().all(|line| line.len() as u64 <= PASTED_LINE_BYTES));
        assert!(read[0].starts_with("caf"), "{}", read[0]);
        assert_eq!(read[41], "the last one");
    }
}

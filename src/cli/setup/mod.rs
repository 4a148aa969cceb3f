//! `planhat-mcp setup`: from nothing to a client that works. It asks what it must, checks the answers before a browser opens,
//! signs in, lists the tools, and puts the program into the clients on this machine.
//!
//! Everything is asked first, so that nobody has to come back to the terminal after the browser. Each question has an option;
//! without a terminal nothing is asked, and a missing option is named.

use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Cli, LoginArgs, SetupArgs};
use super::context::block_on;
use super::doctor;
use super::doctor::row::Outcome;
use super::style::{Style, paragraph};
use super::{install, loading, login, terminal, typed_secret};
use crate::clients::{self, Client, Folders};
use crate::config::key::Key;
use crate::config::{Loaded, Settings, TokenStoreKind};
use crate::problem::{Problem, ProblemId};

mod questions;

use questions::Asked;

/// Sets everything up.
///
/// # Errors
/// What is missing or wrong; before the browser opens, as far as it can be known.
pub fn run(cli: &Cli, how: &SetupArgs) -> Result<ExitCode, Problem> {
    let style = terminal::style();
    let mut flags = cli.options.flags()?;
    let loaded = loading::load_with(cli, flags.clone())?;
    let loaded = answered(cli, &mut flags, questions::tenant(&loaded)?)?.unwrap_or(loaded);
    let loaded = answered(cli, &mut flags, questions::client_id(&loaded)?)?.unwrap_or(loaded);
    loading::start_log(cli, &loaded)?;
    reject_what_no_client_has(&loaded)?;
    let settings = typed_secret::asked_for(Arc::new(loaded.settings.clone()))?;
    let folders = Folders::of_this_user().ok_or(ProblemId::NoHome)?;
    let chosen = questions::clients(&how.into, &clients::on_this_machine(&folders))?;

    say_step(style, "Checking");
    let found = before_sign_in(&loaded, &settings)?;
    if let Some(line) = &found {
        terminal::say(&format!("{line}\n"));
    } else {
        say_step(style, "Signing in");
        let code =
            login::sign_in(Arc::clone(&settings), &LoginArgs { no_browser: how.no_browser, ..LoginArgs::default() })?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        terminal::say(&format!("{}\n", tools(&settings)?));
    }
    into_clients(&loaded, &flags, &chosen, style)
}

/// A sign-in that ends with this process, and a token that is in this shell alone, are of no use to a client.
fn reject_what_no_client_has(loaded: &Loaded) -> Result<(), Problem> {
    let settings = &loaded.settings;
    let problem = |key: Key, found: &str, expected: &str| {
        let problem = Problem::new(ProblemId::BadValue).with("setting", key.info().name);
        problem.with("origin", settings.origins.of(key)).with("found", found).with("expected", expected)
    };
    if settings.token_store == TokenStoreKind::Memory {
        return Err(problem(Key::TokenStore, "memory, which ends with this command", "keychain or file, for setup"));
    }
    if settings.static_token.is_some() {
        let expected = "no token in the environment, which clients do not see: store it with login --token-from-stdin";
        return Err(problem(Key::Token, "an access token", expected));
    }
    Ok(())
}

/// The settings with an answer, which counts as the option that the question stands for.
fn answered(cli: &Cli, flags: &mut Vec<(Key, String)>, asked: Asked) -> Result<Option<Loaded>, Problem> {
    let Some((key, text)) = asked else { return Ok(None) };
    flags.push((key, text));
    loading::load_with(cli, flags.clone()).map(Some)
}

fn say_step(style: Style, name: &str) {
    terminal::say(&format!("\n{}\n", style.strong(name)));
}

/// What fails already, before anybody has looked at a page; the tools, if somebody is signed in and all of it works.
fn before_sign_in(loaded: &Loaded, settings: &Arc<Settings>) -> Result<Option<String>, Problem> {
    let with_secret = Loaded { settings: (**settings).clone(), ..loaded.clone() };
    let groups = block_on(doctor::groups(&with_secret))?;
    let rows = || groups.iter().flat_map(|group| &group.rows);
    if let Some(tools) = rows().find(|row| row.name == "tools" && row.outcome == Outcome::Ok) {
        return Ok(Some(format!("Signed in already; {}.", tools.text())));
    }
    // Nobody is signed in, as a rule, and without a sign-in there are no tools.
    let fails = |name: &str| !matches!(name, "sign-in" | "tools" | "configuration" | "clients");
    let failed = rows().find(|row| row.outcome == Outcome::Fail && fails(row.name));
    match failed.and_then(|row| row.problem.clone()) {
        Some(problem) => Err(problem),
        None => {
            let passed = rows().filter(|row| row.outcome == Outcome::Ok).count();
            terminal::say(&paragraph(&format!("{} can be reached; {passed} checks passed.", settings.service_name())));
            Ok(None)
        }
    }
}

/// What the server lists, now that somebody is signed in.
fn tools(settings: &Arc<Settings>) -> Result<String, Problem> {
    let row = block_on(doctor::tools(settings))?;
    match row.problem.clone().filter(|_| row.outcome == Outcome::Fail) {
        Some(problem) => Err(problem),
        None => Ok(format!("It works: {}.", row.text())),
    }
}

fn into_clients(
    loaded: &Loaded,
    flags: &[(Key, String)],
    chosen: &[&'static Client],
    style: Style,
) -> Result<ExitCode, Problem> {
    if chosen.is_empty() {
        terminal::say(&paragraph(
            "No client was changed. `planhat-mcp install` lists those on this computer, and what to type for each.",
        ));
        return Ok(ExitCode::SUCCESS);
    }
    say_step(style, "Setting up your clients");
    install::offer(loaded, flags, chosen, true)
}

//! Owns the commands: one file each, all output through [`terminal`].

use std::process::ExitCode;
use std::sync::Arc;

use crate::auth::grants::remembered_client;
use crate::config::origin::Origin;
use crate::config::{self, Inputs, Loaded, LogLevel, Organisation, Paths, VARIABLE_PREFIX, key::Key};
use crate::logging;
use crate::problem::{Problem, ProblemId, desk};

pub mod args;
mod bridge;
pub mod config_command;
mod config_schema;
mod context;
pub mod doctor;
mod entry_settings;
mod generated;
pub mod grant;
mod habitual;
pub mod install;
pub mod login;
pub mod login_texts;
mod login_ui;
pub mod logout;
mod process_limits;
mod remembered;
pub mod reset;
mod signals;
pub mod status;
pub mod style;
pub mod terminal;
mod typed_secret;
mod unknown_arguments;
mod update;

pub use args::Cli;
use args::Command;
pub use unknown_arguments::explain as explain_arguments;

/// Loads the settings, starts the log and runs the command.
pub fn run(cli: &Cli) -> Result<ExitCode, Problem> {
    process_limits::arrange();
    if cli.options.names_extension() {
        desk::act_in_extension(std::env::current_exe().ok());
    }
    if let Some(Command::Login(how)) = &cli.command
        && how.order_from_stdin
    {
        return login::run_order();
    }
    match &cli.command {
        Some(Command::Completions(which)) => return Ok(generated::completions(which)),
        Some(Command::Man(how)) => return generated::man(how),
        Some(Command::Update) => return update::run(),
        // Also for a file that is broken: with it, its mistakes are found.
        Some(Command::Config(how)) if how.schema => return Ok(config_command::schema()),
        // What is in clients' files is listed and taken back whatever the settings are.
        Some(Command::Uninstall(how)) => return install::uninstall(how),
        Some(Command::Install(how)) if how.undo => return install::undo(how),
        Some(Command::Install(how)) if how.clients.is_empty() && !(how.all || how.print) => {
            return install::list::run(how);
        }
        _ => {}
    }
    let loaded = match (load(cli), &cli.command) {
        // Unusable settings are a finding, too.
        (Err(problem), Some(Command::Doctor(how))) => return doctor::run(&Err(problem), how),
        (Err(problem), None) => return bridge::stand_in(problem),
        (loaded, _) => loaded?,
    };
    match (start_log(cli, &loaded), &cli.command) {
        (Err(problem), None) => return bridge::stand_in(problem),
        (started, _) => started?,
    }
    let settings = Arc::new(loaded.settings.clone());
    if settings.from_extension {
        desk::act_in_extension(std::env::current_exe().ok());
    }
    match &cli.command {
        None => bridge::run(settings),
        Some(Command::Login(how)) => login::run(settings, how),
        Some(Command::Logout(how)) => logout::run(settings, how),
        Some(Command::Status(how)) => status::run(settings, how),
        Some(Command::Doctor(how)) => doctor::run(&Ok(loaded), how),
        Some(Command::Config(how)) => Ok(config_command::run(&loaded, how)),
        Some(Command::Reset(how)) => reset::run(settings, how),
        Some(Command::Install(how)) => install::run(&loaded, &cli.options.flags()?, how),
        Some(Command::Completions(_) | Command::Man(_) | Command::Update | Command::Uninstall(_)) => {
            unreachable!("they need no settings")
        }
    }
}

fn load(cli: &Cli) -> Result<Loaded, Problem> {
    let flags = cli.options.flags()?;
    let reads_secret = cli.options.asks_for_secret() && matches!(cli.command, Some(Command::Login(_)));
    let secret_from_stdin =
        reads_secret.then(|| terminal::ask_secret("Client secret: ")).transpose().map_err(|error| {
            Problem::new(ProblemId::SecretFileUnusable).with("file", "standard input").with("detail", error)
        })?;
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
        .collect();
    let config_file = cli.options.config.clone();
    let (paths, last_client_id) = (Paths::of_this_user()?, remembered_client::of);
    let organisation = Organisation::of_this_machine;
    config::load(&Inputs { flags, config_file, environment, secret_from_stdin, paths, organisation, last_client_id })
}

/// A command reports to its user directly, so by default it logs only warnings.
fn start_log(cli: &Cli, loaded: &Loaded) -> Result<(), Problem> {
    let log = &loaded.settings.log;
    let by_default = loaded.rows.iter().any(|row| row.key == Key::LogLevel && row.origin == Origin::Default);
    let level = if cli.command.is_some() && by_default { LogLevel::Warn } else { log.level };
    logging::start(level.into(), log.file.as_deref())?;
    logging::report_panics();
    if !matches!(cli.command, Some(Command::Config(_) | Command::Doctor(_))) {
        for note in &loaded.notes {
            tracing::warn!("{note}");
        }
        for problem in &loaded.exposed {
            tracing::warn!("{problem} {}", problem.fix());
        }
    }
    Ok(())
}

//! Owns the commands: one file each, all output through [`terminal`].

use std::process::ExitCode;
use std::sync::Arc;

use crate::problem::{Problem, desk};

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
mod help;
pub mod install;
mod loading;
pub mod login;
pub mod login_texts;
mod login_ui;
pub mod logout;
mod process_limits;
mod remembered;
pub mod reset;
mod setup;
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
    if let Some(Command::Setup(how)) = &cli.command {
        return setup::run(cli, how);
    }
    let loaded = match (loading::load(cli), &cli.command) {
        // Unusable settings are a finding, too.
        (Err(problem), Some(Command::Doctor(how))) => return doctor::run(&Err(problem), how),
        (Err(problem), None) => return bridge::stand_in(problem),
        (loaded, _) => loaded?,
    };
    match (loading::start_log(cli, &loaded), &cli.command) {
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
        Some(
            Command::Completions(_) | Command::Man(_) | Command::Update | Command::Uninstall(_) | Command::Setup(_),
        ) => {
            unreachable!("they need no settings")
        }
    }
}

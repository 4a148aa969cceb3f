//! Loads the settings of a command line, and starts the log.

use std::sync::OnceLock;

use super::args::{Cli, Command};
use super::terminal;
use crate::auth::grants::remembered_client;
use crate::config::key::Key;
use crate::config::origin::Origin;
use crate::config::{self, Inputs, Loaded, LogLevel, Organisation, Paths, VARIABLE_PREFIX};
use crate::logging;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// The settings of this command line.
pub fn load(cli: &Cli) -> Result<Loaded, Problem> {
    load_with(cli, cli.options.flags()?)
}

/// The settings with these flags in the place of those that were typed.
pub fn load_with(cli: &Cli, flags: Vec<(Key, String)>) -> Result<Loaded, Problem> {
    // `setup` loads more than once, and standard input has it once.
    static TYPED: OnceLock<Secret> = OnceLock::new();
    let may_read = matches!(cli.command, Some(Command::Login(_) | Command::Setup(_)));
    if cli.options.asks_for_secret() && may_read && TYPED.get().is_none() {
        let typed = terminal::ask_secret("Client secret: ").map_err(|error| {
            Problem::new(ProblemId::SecretFileUnusable).with("file", "standard input").with("detail", error)
        })?;
        let _ = TYPED.set(typed);
    }
    let secret_from_stdin = TYPED.get().cloned();
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
pub fn start_log(cli: &Cli, loaded: &Loaded) -> Result<(), Problem> {
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

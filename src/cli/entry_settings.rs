//! The settings with which a client's entry starts the bridge.

use std::ffi::OsString;

use super::args::Cli;
use crate::auth::grants::remembered_client;
use crate::clients::entries::Entry;
use crate::config::{self, Inputs, Paths, Settings, VARIABLE_PREFIX};

/// The settings that this entry results in, or what is wrong with them; never a value that may be a secret.
pub fn of(entry: &Entry, paths: &Paths) -> Result<Settings, String> {
    let words = std::iter::once("planhat-mcp").chain(entry.arguments.iter().map(String::as_str));
    let cli = Cli::read(words.map(OsString::from)).map_err(|error| {
        // Only the first line: the rest quotes the arguments.
        error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    let inputs = Inputs {
        flags: cli.options.flags().map_err(|problem| problem.what())?,
        config_file: cli.options.config.clone(),
        environment: entry
            .environment
            .iter()
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
            .map(|(name, value)| (name.clone(), OsString::from(value)))
            .collect(),
        secret_from_stdin: None,
        paths: paths.clone(),
        organisation: crate::config::Organisation::of_this_machine,
        last_client_id: remembered_client::of,
    };
    config::load(&inputs).map(|loaded| loaded.settings).map_err(|problem| problem.what())
}

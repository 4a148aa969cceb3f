//! Arguments that the parser refuses: a person is told, and so is a client, which would otherwise only see the program end.

use std::process::ExitCode;

use clap::error::ErrorKind;

use super::{bridge, terminal};
use crate::problem::{Problem, ProblemId};

/// Shows the help, the version, or what is wrong with the arguments. A client that starts a bridge with them is answered for
/// as long as it stays.
pub fn explain(error: &clap::Error) -> ExitCode {
    terminal::clap(error);
    // A word without hyphens was meant as a command, and whoever types one waits for the end.
    if !error.use_stderr() || error.kind() == ErrorKind::InvalidSubcommand || terminal::is_interactive() {
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    let problem = Problem::new(ProblemId::ClientSettingsWrong).with("detail", detail(&error.to_string()));
    bridge::stand_in_silently(problem).unwrap_or_else(|problem| problem.exit_code())
}

/// What is wrong, of the parser's message: its first line, without quoted words that may be a secret.
fn detail(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let parts = line.split('\'').enumerate().map(|(n, part)| {
        let is_quoted = n % 2 == 1;
        if is_quoted && !part.starts_with("--") { "..." } else { part }
    });
    parts.collect::<Vec<_>>().join("'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_is_told_of_its_arguments_names_options_and_no_value() {
        for (message, expected) in [
            ("error: unexpected argument '--tenannt' found\n\n  tip: ...", "unexpected argument '--tenannt' found"),
            ("error: unexpected argument 'sk_canary' found", "unexpected argument '...' found"),
            ("error: invalid value 'canary' for '--fix': no", "invalid value '...' for '--fix': no"),
        ] {
            assert_eq!(detail(message), expected);
        }
    }
}

//! What shells and packages need, made from the definition of the command line: completions and man pages. They need no
//! settings, so that they can be made where there are none, or broken ones.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::terminal;
use crate::problem::{Problem, ProblemId};

/// Prints the completions for a shell.
pub fn completions(which: &CompletionsArgs) -> ExitCode {
    terminal::say_bytes(completions_for(which.shell).as_bytes());
    ExitCode::SUCCESS
}

fn completions_for(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut shown(&Cli::command()), env!("CARGO_PKG_NAME"), &mut text);
    let text = String::from_utf8(text).expect("made of our own words");
    // clap_complete 4.6 takes the hyphen of the program's name for the space before a command in one of two places, so that
    // bash completes nothing after a command.
    text.replace("planhat__subcmd__mcp", "planhat__mcp")
}

/// The definition without what is hidden from people: the generators would offer it.
fn shown(command: &Command) -> Command {
    let arguments = command.get_arguments().filter(|argument| !argument.is_hide_set()).cloned();
    // clap wants names that last; the process ends with this.
    let name: &'static str = command.get_name().to_owned().leak();
    let mut shown = Command::new(name).args(arguments).disable_help_subcommand(true);
    if let Some(about) = command.get_about() {
        shown = shown.about(about.clone());
    }
    if command.get_version().is_some() {
        shown = shown.version(env!("CARGO_PKG_VERSION"));
    }
    shown.subcommands(command.get_subcommands().filter(|command| !command.is_hide_set()).map(self::shown))
}

/// Prints the program's page, or writes all pages into a folder.
///
/// # Errors `state-file-failed` when a page cannot be written.
pub fn man(how: &ManArgs) -> Result<ExitCode, Problem> {
    match &how.out {
        Some(folder) => write_pages(folder).map_err(|error| {
            Problem::new(ProblemId::StateFileFailed).with("path", folder.display()).with("detail", error)
        })?,
        None => {
            let mut page = Vec::new();
            Man::new(Cli::command()).render(&mut page).expect("memory takes all that is written");
            terminal::say_bytes(&page);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_pages(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_completions_of_every_shell_know_each_command_and_flag_and_no_trap() {
        for shell in Shell::value_variants() {
            let text = completions_for(*shell);
            assert!(!text.contains("password") && !text.contains("order-from-stdin"), "{shell}");
            let whole = Cli::command();
            for command in whole.get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            for flag in whole.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(|flag| flag.get_long()) {
                assert!(text.contains(flag), "{shell}: --{flag}");
            }
        }
    }

    #[test]
    fn there_is_a_page_for_the_program_and_for_each_command() {
        let folder = tempfile::tempdir().expect("a folder");
        let pages = folder.path().join("man/man1");
        write_pages(&pages).expect("written");
        let names =
            Cli::command().get_subcommands().map(|command| format!("-{}", command.get_name())).collect::<Vec<_>>();
        for name in names.iter().map(String::as_str).chain([""]) {
            let page = std::fs::read_to_string(pages.join(format!("planhat-mcp{name}.1"))).expect(name);
            assert!(
                page.contains(".TH") && !page.contains("order\\-from\\-stdin") && !page.contains("\\-\\-password"),
                "{page}"
            );
        }
        assert_eq!(std::fs::read_dir(&pages).expect("a folder").count(), names.len() + 1);
    }
}

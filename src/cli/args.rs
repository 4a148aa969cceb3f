//! The command line and its `--help`. The flags of settings come from the table in [`crate::config`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};

use super::habitual;
use crate::config::key::{Flag, Heading, Key, Takes};
use crate::problem::{Problem, ProblemId};

const ABOUT: &str = "Use Planhat, or any other remote MCP server, from any local MCP client.

An MCP client starts planhat-mcp and talks to it over stdin and stdout;
planhat-mcp passes every message to the remote server, and signs you in.";

const AFTER_HELP: &str = "\
Where to start:
  1. A Planhat admin creates an OAuth client in the App Center, with exactly
     this redirect URL: http://127.0.0.1:7526/callback
  2. Sign in; it asks for the client secret and opens your browser:
       planhat-mcp login --client-id pk_...
  3. Tell your MCP client to start planhat-mcp. For Claude Code:
       claude mcp add planhat -- planhat-mcp

Examples:
  planhat-mcp --tenant demo                      a tenant at ws.planhatdemo.com
  planhat-mcp https://mcp.example.com/mcp        another server (or: --url)
  planhat-mcp login --no-browser                 on a computer without a browser
  planhat-mcp doctor                             what is wrong, and what to do
  planhat-mcp doctor --fix                       repair what can be repaired
  planhat-mcp doctor --report                    a report to attach to a ticket
  planhat-mcp status --profile acme              one of several sign-ins

Environment:
  Each option can be given as a variable, for example PLANHAT_MCP_CLIENT_ID for
  --client-id. Two secrets have no option, because other programs can read
  command lines:
  PLANHAT_MCP_CLIENT_SECRET  the client secret (sk_...)
  PLANHAT_MCP_TOKEN          a Private App's access token, sent unchanged, in
                             place of a sign-in
  Order of precedence: options, variables, configuration file.

Exit codes:
  0 done   1 failed   2 wrong option or setting   3 sign-in needed or failed
  4 the server cannot be reached or refused   5 keychain or local files";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "planhat-mcp",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILT_FROM"), ")"),
    about = ABOUT,
    after_help = AFTER_HELP,
    disable_help_subcommand = true,
    max_term_width = 80
)]
pub struct Cli {
    /// What to do; without a command: the bridge.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The options of every command.
    #[command(flatten)]
    pub options: Options,
}

/// What to do instead of being a bridge.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in, in the browser
    #[command(aliases = ["signin", "sign-in", "log-in"])]
    Login(LoginArgs),
    /// Delete the sign-in from this computer
    #[command(aliases = ["signout", "sign-out", "log-out"])]
    Logout(LogoutArgs),
    /// Show whether you are signed in, as whom, and for how long
    #[command(alias = "whoami")]
    Status(StatusArgs),
    /// Check everything, step by step, and say what to do
    Doctor(DoctorArgs),
    /// Show each setting and where it came from
    Config,
    /// Remove everything stored for a profile
    Reset(ResetArgs),
    /// Print completions for your shell
    #[command(after_help = COMPLETIONS_HELP, alias = "completion")]
    Completions(CompletionsArgs),
    /// Say how this copy was installed, and what updates it
    #[command(alias = "upgrade")]
    Update,
    /// Print the man page, or write the pages of all commands
    Man(ManArgs),
}

const COMPLETIONS_HELP: &str = "\
Where they go:
  bash        planhat-mcp completions bash > \\
                ~/.local/share/bash-completion/completions/planhat-mcp
  zsh         planhat-mcp completions zsh > ~/.zfunc/_planhat-mcp
              with these in ~/.zshrc: fpath+=~/.zfunc
                autoload -Uz compinit; compinit
  fish        planhat-mcp completions fish > \\
                ~/.config/fish/completions/planhat-mcp.fish
  PowerShell  planhat-mcp completions powershell >> $PROFILE
  elvish      planhat-mcp completions elvish >> ~/.config/elvish/rc.elv";

/// Which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Where to write the pages.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// A folder for one file per command
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Which sign-ins to delete.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Every profile that has a sign-in
    #[arg(long)]
    pub all: bool,
}

/// What to show, and how.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Every profile that has a sign-in
    #[arg(long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How to show the findings.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Repair what planhat-mcp stores, after saying what and asking
    #[arg(long, conflicts_with = "report")]
    pub fix: bool,
    /// With --fix: do not ask for confirmation
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// Write a report without secrets, to attach to a ticket
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    pub report: Option<String>,
}

/// Whether to ask first.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
}

/// How to sign in.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Print the link instead of opening a browser
    #[arg(long)]
    pub no_browser: bool,
    /// Sign in with a code on another device
    #[arg(long, conflicts_with = "no_browser")]
    pub device: bool,
    /// Cancel a sign-in in progress and start again
    #[arg(long)]
    pub restart: bool,
    /// Store an access token read from standard input
    #[arg(long, conflicts_with_all = ["no_browser", "device", "restart"])]
    pub token_from_stdin: bool,
    /// How a bridge starts a sign-in; the order carries what argv must not contain.
    #[arg(long, hide = true)]
    pub order_from_stdin: bool,
}

/// The options of every command: a flag for each setting, and `--config`.
#[derive(Debug)]
pub struct Options {
    flags: Vec<(Key, String)>,
    /// Another configuration file.
    pub config: Option<PathBuf>,
    /// The flag of [`TRAPS`] that was used.
    trap: Option<&'static str>,
}

/// The position of `--config` in `--help`, among the flags ([`Flag`]).
const CONFIG_POSITION: usize = 29;
/// Flags that do not exist because they would put a secret into argv. People try them first, so the error names the
/// alternatives.
const TRAPS: [&str; 3] = ["--client-secret", "--token", "--password"];

impl Args for Options {
    fn augment_args(command: clap::Command) -> clap::Command {
        let config = option("config", "--config", Takes::File, Heading::General, CONFIG_POSITION)
            .help("Configuration file to use")
            .value_parser(value_parser!(PathBuf));
        let settings = Key::ALL.iter().filter_map(|key| {
            let Flag { name, takes, heading, place, help } = key.info().flag?;
            Some(option(key.info().name, name, takes, heading, place).help(help))
        });
        let traps = TRAPS.map(|flag| Arg::new(flag).long(flag.trim_start_matches('-')).hide(true).global(true));
        let traps = traps.map(|trap| trap.num_args(0..=1).default_missing_value(""));
        command.args(settings).arg(config).args(traps)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// A flag that is valid before and after the command.
fn option(id: &'static str, flag: &'static str, takes: Takes, heading: Heading, place: usize) -> Arg {
    let option = Arg::new(id).long(flag.trim_start_matches('-')).global(true).display_order(place);
    let option = match takes {
        Takes::One(value) => option.value_name(value),
        Takes::Many(value) => option.value_name(value).action(ArgAction::Append),
        Takes::Truth => option.value_name("BOOL").num_args(0..=1).default_missing_value("true"),
        Takes::File => option.value_name("FILE"),
        Takes::FileOrStdin => option.value_name("FILE").allow_hyphen_values(true),
    };
    match heading {
        Heading::Server => option.help_heading("Server"),
        Heading::SigningIn => option.help_heading("Signing in"),
        Heading::Network => option.help_heading("Network"),
        Heading::General => option,
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = Key::ALL.iter().filter(|key| key.flag().is_some()).filter_map(|key| {
            // A repeated flag is one setting, in the syntax of variables and the file.
            let texts: Vec<&str> = matches.get_many(key.info().name)?.map(String::as_str).collect();
            Some((*key, texts.join("&")))
        });
        Ok(Self {
            flags: flags.collect(),
            config: matches.get_one("config").cloned(),
            trap: TRAPS.into_iter().find(|trap| matches.contains_id(trap)),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Cli {
    /// Parses the command line.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let is_command = |word: &str| {
            let mut names = Self::command();
            names.find_subcommand_mut(word).is_some()
        };
        habitual::read(habitual::joined(args, is_command), |words| Self::try_parse_from(words))
    }
}

impl Options {
    /// The flags: the highest layer of the settings.
    pub fn flags(&self) -> Result<Vec<(Key, String)>, Problem> {
        match self.trap {
            Some(flag) => Err(Problem::new(ProblemId::SecretInArguments).with("flag", flag)),
            None => Ok(self.flags.clone()),
        }
    }

    /// Whether a client's extension has started this process.
    pub fn names_extension(&self) -> bool {
        self.flags.iter().any(|(key, text)| *key == Key::FromExtension && text == "true")
    }

    /// Whether to read the client secret from standard input.
    pub fn asks_for_secret(&self) -> bool {
        self.flags.iter().any(|(key, text)| *key == Key::ClientSecretFile && text == "-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::read(std::iter::once("planhat-mcp").chain(words.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_that_has_a_flag_can_be_given_before_and_after_the_command() {
        for key in Key::ALL {
            let Some(flag) = key.flag() else { continue };
            for words in [[flag, "x", "login"], ["login", flag, "x"]] {
                let cli = read(&words).unwrap_or_else(|error| panic!("{flag}: {error}"));
                assert_eq!(cli.options.flags().expect("no secret"), [(*key, "x".to_owned())], "{flag}");
            }
        }
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_with_the_ways_that_work() {
        for words in [["--client-secret", "canary"], ["--token", "canary"], ["--client-secret=canary", "login"]] {
            let cli = read(&words).expect("clap lets it through, to be explained better");
            let problem = cli.options.flags().expect_err("a secret");
            assert_eq!(problem.id, ProblemId::SecretInArguments);
            let shown = problem.to_terminal(false);
            assert!(shown.contains("PLANHAT_MCP_CLIENT_SECRET") && !shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn the_help_fits_80_columns_and_names_no_trap() {
        let mut command = Cli::command();
        command.build();
        let mut texts = vec![command.render_help().to_string(), command.render_long_help().to_string()];
        texts.extend(command.get_subcommands_mut().map(|command| command.render_help().to_string()));
        for text in texts {
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
            assert!(!text.contains("--password") && !text.contains("--order-from-stdin"));
            assert!(text.contains("--client-secret-file"));
        }
    }

    #[test]
    fn an_unknown_flag_is_a_usage_error() {
        let error = read(&["--tennant", "demo"]).expect_err("no such flag");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--tenant"), "a suggestion: {error}");
    }
}

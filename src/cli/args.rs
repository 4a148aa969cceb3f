//! The command line and its `--help`. The flags of settings come from the table in [`crate::config`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};

use super::habitual;
use super::help::{ABOUT, AFTER_HELP, AFTER_SHORT_HELP, COMPLETIONS_HELP, INSTALL_HELP};
use crate::clients::Scope;
use crate::clients::table::CLIENTS;
use crate::config::key::{Flag, Heading, Key, Takes};
use crate::problem::{Problem, ProblemId};

/// The options of a page; `--help` has all of them.
const SHORT_HELP: [&str; 8] =
    ["tenant", "url", "profile", "client_id", "callback_port", "token_store", "log_level", "config"];

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "planhat-mcp",
    version,
    long_version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILT_FROM"), ")"),
    about = "Use Planhat, or any other remote MCP server, from any local MCP client",
    long_about = ABOUT,
    after_help = AFTER_SHORT_HELP,
    after_long_help = AFTER_HELP,
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
    /// Set everything up: settings, sign-in, MCP clients
    Setup(SetupArgs),
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
    Config(ConfigArgs),
    /// Add planhat-mcp to an MCP client
    #[command(after_help = INSTALL_HELP)]
    Install(InstallArgs),
    /// Remove planhat-mcp from an MCP client
    Uninstall(UninstallArgs),
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

/// The names of clients, as they are typed and completed.
fn client_names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        CLIENTS.iter().map(|client| PossibleValue::new(client.id).aliases(client.also).help(client.title)),
    )
}

/// What to put where.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The clients
    #[arg(value_name = "CLIENT", value_parser = client_names(), hide_possible_values = true)]
    pub clients: Vec<String>,
    /// Every client on this machine
    #[arg(long, conflicts_with = "clients")]
    pub all: bool,
    /// user, project, or local (yourself, in this project)
    #[arg(long = "for", value_name = "WHOM", value_parser = place_names(), hide_possible_values = true)]
    pub whom: Option<String>,
    /// The client's name for the server
    #[arg(long, value_name = "NAME", value_parser = entry_name)]
    pub name: Option<String>,
    /// Show the change alone
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Replace what does the same in another way
    #[arg(long)]
    pub replace: bool,
    /// Print what belongs into the client's file
    #[arg(long, conflicts_with_all = ["dry_run", "yes", "link", "undo", "all"])]
    pub print: bool,
    /// Print a link that adds it (Cursor, VS Code, ...)
    #[arg(long, conflicts_with_all = ["dry_run", "yes", "undo", "all"])]
    pub link: bool,
    /// Take back what install and uninstall did
    #[arg(long, conflicts_with_all = ["name", "replace"])]
    pub undo: bool,
}

/// What to take out where.
#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// The clients
    #[arg(value_name = "CLIENT", value_parser = client_names(), hide_possible_values = true)]
    pub clients: Vec<String>,
    /// Every client on this machine
    #[arg(long, conflicts_with = "clients")]
    pub all: bool,
    /// The entry with this name alone
    #[arg(long, value_name = "NAME", value_parser = entry_name)]
    pub name: Option<String>,
    /// Show the change alone
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
}

fn place_names() -> PossibleValuesParser {
    let name = |scope: Scope| PossibleValue::new(scope.name());
    PossibleValuesParser::new(Scope::ALL.map(|scope| match scope {
        Scope::Project => name(scope).alias("workspace"),
        _ => name(scope),
    }))
}

/// A name that every client takes.
fn entry_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("a name has up to 64 letters, digits, - and _".to_owned())
}

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
    /// Repair what planhat-mcp stores, after asking
    #[arg(long, conflicts_with = "report")]
    pub fix: bool,
    /// With --fix: do not ask for confirmation
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// Write a report without secrets, to attach to a ticket
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    pub report: Option<String>,
}

/// How to show the settings.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// A JSON Schema of the configuration file, for editors
    #[arg(long, conflicts_with = "json")]
    pub schema: bool,
}

/// Whether to ask first.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
}

/// What to set up.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Add it to this MCP client; or all, or none
    #[arg(long, value_name = "CLIENT", value_delimiter = ',', value_parser = clients_or_all(), hide_possible_values = true)]
    pub into: Vec<String>,
    /// Print the link instead of opening a browser
    #[arg(long)]
    pub no_browser: bool,
}

/// The names of clients, and the words for all and for none.
fn clients_or_all() -> PossibleValuesParser {
    let names = CLIENTS.iter().map(|client| client.id);
    names.chain(["all", "none"]).collect::<Vec<_>>().into()
}

/// How to sign in.
#[derive(Debug, Default, Args)]
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
    let option = option.hide_short_help(!SHORT_HELP.contains(&id));
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
        texts.extend(command.get_subcommands_mut().map(|command| command.render_long_help().to_string()));
        for text in texts {
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
            assert!(!text.contains("--password") && !text.contains("--order-from-stdin"));
        }
    }

    #[test]
    fn the_short_help_of_each_command_is_a_page_and_the_long_one_is_the_whole() {
        let mut command = Cli::command();
        command.build();
        let mut all = vec![(command.render_help().to_string(), command.render_long_help().to_string())];
        let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in names {
            let command = command.find_subcommand_mut(&name).expect("it is there");
            all.push((command.render_help().to_string(), command.render_long_help().to_string()));
        }
        for (short, long) in all {
            assert!(short.lines().count() <= 40, "{} lines: {short}", short.lines().count());
            assert!(!short.contains("--client-secret-file") && long.contains("--client-secret-file"), "{long}");
        }
    }

    #[test]
    fn an_unknown_flag_is_a_usage_error() {
        let error = read(&["--tennant", "demo"]).expect_err("no such flag");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--tenant"), "a suggestion: {error}");
    }
}

//! What the command line looks like, and the help that it is learned from.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::key::Key;
use crate::problem::{Problem, ProblemId};

const ABOUT: &str = "Use Planhat, or any other remote MCP server, from any local MCP client.

An MCP client starts this program and speaks to it over stdin and stdout; the
program carries every message to the remote server, and does the sign-in.";

const AFTER_HELP: &str = "\
Where to start:
  1. A Planhat admin creates an OAuth Client in the App Center, with exactly
     this redirect URL: http://127.0.0.1:7526/callback
  2. Sign in, and see the browser open; the client secret is asked for:
       planhat-mcp login --client-id pk_... --client-secret-file -
  3. Tell your MCP client to start planhat-mcp. For Claude Code:
       claude mcp add planhat -- planhat-mcp --client-id pk_...

Examples:
  planhat-mcp --tenant demo                      a tenant at ws.planhatdemo.com
  planhat-mcp --url https://mcp.example.com/mcp  another server
  planhat-mcp login --no-browser                 on a machine without a browser
  planhat-mcp doctor                             what is wrong, and what to do
  planhat-mcp doctor --report                    a report to attach to a ticket
  planhat-mcp status --profile acme              one of several sign-ins

Environment:
  Each option can be given as a variable, for example PLANHAT_MCP_CLIENT_ID for
  --client-id. Two secrets have no option, because others can read a command
  line:
  PLANHAT_MCP_CLIENT_SECRET  the client secret (sk_...)
  PLANHAT_MCP_TOKEN          a Private App's access token, sent as it is; there
                             is no sign-in then
  Options win over variables, variables over the configuration file.

Exit codes:
  0 done   1 failed   2 wrong option or setting   3 sign-in needed or failed
  4 the server cannot be reached or refused   5 keychain or local files";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "planhat-mcp",
    version,
    about = ABOUT,
    after_help = AFTER_HELP,
    disable_help_subcommand = true,
    max_term_width = 80
)]
pub struct Cli {
    /// What to do; without a command: the bridge.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What holds for every command.
    #[command(flatten)]
    pub options: Options,
}

/// What to do instead of being a bridge.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sign in, in the browser
    Login(LoginArgs),
    /// Delete the sign-in from this machine
    Logout(LogoutArgs),
    /// Show whether you are signed in, as what, and for how long
    Status(StatusArgs),
    /// Check everything, step by step, and say what to do
    Doctor(DoctorArgs),
    /// Show each setting and where it came from
    Config,
    /// Remove all that is stored for a profile
    Reset(ResetArgs),
}

/// Of whom to delete the sign-in.
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
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// How to show what was found.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// For programs
    #[arg(long)]
    pub json: bool,
    /// Write a report without secrets, to attach to a ticket
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "")]
    pub report: Option<String>,
}

/// Whether to ask.
#[derive(Debug, Args)]
pub struct ResetArgs {
    /// Do not ask
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
    /// End a sign-in that is under way, and start over
    #[arg(long)]
    pub restart: bool,
    /// Keep an access token that is typed here
    #[arg(long, conflicts_with_all = ["no_browser", "device", "restart"])]
    pub token_from_stdin: bool,
    /// The bridge starts its sign-in this way; the order holds what must not stand in argv.
    #[arg(long, hide = true)]
    pub order_from_stdin: bool,
}

/// Options that every command takes.
#[derive(Debug, Args)]
pub struct Options {
    /// Planhat tenant: production (default), demo
    #[arg(long, global = true, value_name = "NAME", help_heading = "Server")]
    tenant: Option<String>,
    /// Any other remote MCP server
    #[arg(long, global = true, value_name = "URL", help_heading = "Server")]
    url: Option<String>,
    /// A set of tokens and settings of its own
    #[arg(long, global = true, value_name = "NAME", help_heading = "Server")]
    profile: Option<String>,

    /// Client id from the App Center (pk_...)
    #[arg(long, global = true, value_name = "ID", help_heading = "Signing in")]
    client_id: Option<String>,
    /// File with the client secret; - to type it
    #[arg(long, global = true, value_name = "FILE", help_heading = "Signing in", allow_hyphen_values = true)]
    client_secret_file: Option<String>,
    /// Client ID metadata document
    #[arg(long, global = true, value_name = "URL", help_heading = "Signing in")]
    client_metadata_url: Option<String>,
    /// Sign in as the client, without a person
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Signing in")]
    client_credentials: Option<String>,
    /// Client's private key (PEM)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Signing in")]
    client_key: Option<String>,
    /// How it signs (default: ES256)
    #[arg(long, global = true, value_name = "ALG", help_heading = "Signing in")]
    client_key_alg: Option<String>,
    /// Token endpoint, if not the server's own
    #[arg(long, global = true, value_name = "URL", help_heading = "Signing in")]
    token_endpoint: Option<String>,
    /// Scope to ask for (Planhat: inclusive)
    #[arg(long, global = true, value_name = "SCOPE", help_heading = "Signing in")]
    scope: Option<String>,
    /// Add to the authorize request
    #[arg(long, global = true, value_name = "NAME=VALUE", help_heading = "Signing in")]
    authorize_param: Vec<String>,
    /// Leave out the resource parameter
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Signing in")]
    no_resource: Option<String>,
    /// Send the ID token as the bearer
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Signing in")]
    id_token: Option<String>,
    /// 127.0.0.1 (default) or localhost
    #[arg(long, global = true, value_name = "HOST", help_heading = "Signing in")]
    callback_host: Option<String>,
    /// Port of the redirect URL (default: 7526)
    #[arg(long, global = true, value_name = "PORT", help_heading = "Signing in")]
    callback_port: Option<String>,
    /// When a browser opens: auto (default), manual
    #[arg(long, global = true, value_name = "WHEN", help_heading = "Signing in")]
    sign_in: Option<String>,
    /// How long a call waits for a sign-in (default: 50 s)
    #[arg(long, global = true, value_name = "SECONDS", help_heading = "Signing in")]
    sign_in_wait: Option<String>,
    /// keychain (default), file or memory
    #[arg(long, global = true, value_name = "WHERE", help_heading = "Signing in")]
    token_store: Option<String>,

    /// Proxy for all requests
    #[arg(long, global = true, value_name = "URL", help_heading = "Network")]
    proxy: Option<String>,
    /// More trusted certificates (PEM)
    #[arg(long, global = true, value_name = "FILE", help_heading = "Network")]
    ca_file: Option<String>,
    /// Largest message (default: 67108864)
    #[arg(long, global = true, value_name = "N", help_heading = "Network")]
    max_message_bytes: Option<String>,
    /// Use IPv4 alone
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    ipv4: Option<String>,
    /// Sign-in hosts that may be private
    #[arg(long, global = true, value_name = "HOSTS", help_heading = "Network")]
    allow_private: Option<String>,
    /// Keep trying to connect (default: 20 s)
    #[arg(long, global = true, value_name = "SECONDS", help_heading = "Network")]
    connect_wait: Option<String>,
    /// Longest silence in a call (default: 300 s)
    #[arg(long, global = true, value_name = "SECONDS", help_heading = "Network")]
    idle_timeout: Option<String>,
    /// Longest call (default: 3600 s)
    #[arg(long, global = true, value_name = "SECONDS", help_heading = "Network")]
    total_timeout: Option<String>,
    /// Calls at the server at once (Planhat: 50)
    #[arg(long, global = true, value_name = "N", help_heading = "Network")]
    max_in_flight: Option<String>,

    /// Go on when the starting process is gone
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    keep_without_parent: Option<String>,
    /// Another configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// error, warn, info (default), debug, trace
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Write the log to this file as well
    #[arg(long, global = true, value_name = "FILE")]
    log_file: Option<String>,

    /// What people try first; refused with the ways that work.
    #[command(flatten)]
    traps: Traps,
}

/// Options that do not exist, because a secret would stand in argv.
#[derive(Debug, Args)]
struct Traps {
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "")]
    client_secret: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "")]
    token: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "")]
    password: Option<String>,
}

impl Cli {
    /// Reads the command line; secrets in it are refused here, before anything else happens.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(args)
    }
}

impl Options {
    /// What was given, as the highest layer of the settings.
    pub fn given(&self) -> Result<Vec<(Key, String)>, Problem> {
        let traps = [
            ("--client-secret", &self.traps.client_secret),
            ("--token", &self.traps.token),
            ("--password", &self.traps.password),
        ];
        if let Some((flag, _)) = traps.into_iter().find(|(_, value)| value.is_some()) {
            return Err(Problem::new(ProblemId::SecretInArguments).with("flag", flag));
        }
        // One setting, in the form that variables and the file have.
        let authorize_param = (!self.authorize_param.is_empty()).then(|| self.authorize_param.join("&"));
        let all = [
            (Key::Tenant, &self.tenant),
            (Key::Url, &self.url),
            (Key::Profile, &self.profile),
            (Key::ClientId, &self.client_id),
            (Key::ClientSecretFile, &self.client_secret_file),
            (Key::ClientMetadataUrl, &self.client_metadata_url),
            (Key::ClientCredentials, &self.client_credentials),
            (Key::ClientKey, &self.client_key),
            (Key::ClientKeyAlg, &self.client_key_alg),
            (Key::TokenEndpoint, &self.token_endpoint),
            (Key::Scope, &self.scope),
            (Key::AuthorizeParam, &authorize_param),
            (Key::NoResource, &self.no_resource),
            (Key::IdToken, &self.id_token),
            (Key::CallbackHost, &self.callback_host),
            (Key::CallbackPort, &self.callback_port),
            (Key::SignIn, &self.sign_in),
            (Key::TokenStore, &self.token_store),
            (Key::MaxMessageBytes, &self.max_message_bytes),
            (Key::Proxy, &self.proxy),
            (Key::CaFile, &self.ca_file),
            (Key::Ipv4, &self.ipv4),
            (Key::AllowPrivate, &self.allow_private),
            (Key::ConnectWait, &self.connect_wait),
            (Key::IdleTimeout, &self.idle_timeout),
            (Key::TotalTimeout, &self.total_timeout),
            (Key::SignInWait, &self.sign_in_wait),
            (Key::MaxInFlight, &self.max_in_flight),
            (Key::KeepWithoutParent, &self.keep_without_parent),
            (Key::LogLevel, &self.log_level),
            (Key::LogFile, &self.log_file),
        ];
        Ok(all.into_iter().filter_map(|(key, value)| value.clone().map(|value| (key, value))).collect())
    }

    /// Whether the client secret is to be read from standard input.
    pub fn asks_for_secret(&self) -> bool {
        self.client_secret_file.as_deref() == Some("-")
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
            let Some(flag) = key.info().flag else { continue };
            for words in [[flag, "x", "login"], ["login", flag, "x"]] {
                let cli = read(&words).unwrap_or_else(|error| panic!("{flag}: {error}"));
                assert_eq!(cli.options.given().expect("no secret"), [(*key, "x".to_owned())], "{flag}");
            }
        }
    }

    #[test]
    fn a_secret_on_the_command_line_is_refused_with_the_ways_that_work() {
        for words in [["--client-secret", "canary"], ["--token", "canary"], ["--client-secret=canary", "login"]] {
            let cli = read(&words).expect("clap lets it through, to be explained better");
            let problem = cli.options.given().expect_err("a secret");
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

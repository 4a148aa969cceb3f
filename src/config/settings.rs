//! The settings in their final form: parsed, checked, complete. Nothing below the command line sees anything else.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::secret::Secret;

use super::client_key::KeySettings;
use super::hosts::HostPattern;
use super::origin::Origin;
use super::server::{PLANHAT_SCOPE, profile_of};

/// Everything that a run of the program needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which set of tokens and remembered state this is: `planhat`, `planhat-demo`, or the host of `--url`.
    pub profile: String,
    /// Which service is at the other end; decides texts and defaults, never how a message is carried.
    pub product: Product,
    /// The remote MCP endpoint: https, or http to a loopback address; no userinfo, no fragment.
    pub url: Url,
    /// How to sign in.
    pub oauth: OAuthSettings,
    /// A bearer token that is sent as it is; switches OAuth off.
    pub static_token: Option<Secret>,
    /// When a browser opens for a sign-in.
    pub sign_in: SignInPolicy,
    /// Where tokens are kept.
    pub token_store: TokenStoreKind,
    /// Who chose that.
    pub token_store_from: Origin,
    /// How to reach the network.
    pub network: NetworkSettings,
    /// Bounds and budgets.
    pub limits: Limits,
    /// Where the program keeps its files.
    pub paths: Paths,
    /// What is logged, and where to.
    pub log: LogSettings,
    /// Whether the bridge goes on when the process that started it is gone: for launchers that hand over on purpose.
    pub keep_without_parent: bool,
    /// What this run was told by flag or variable, as flags: a command that a person is asked to type in a terminal
    /// must repeat it. No secrets.
    pub told: Vec<String>,
}

impl Settings {
    /// The defaults for the server at `url`, with nothing told by anybody.
    pub fn for_url(url: Url, paths: Paths) -> Self {
        let product = Product::of(&url);
        Self {
            profile: profile_of(&url),
            product,
            url,
            oauth: OAuthSettings {
                client_id: None,
                client_secret: None,
                metadata_url: None,
                client_credentials: false,
                key: None,
                token_endpoint: None,
                scope: product.is_planhat().then(|| PLANHAT_SCOPE.to_owned()),
                authorize_params: Vec::new(),
                no_resource: false,
                id_token: false,
                callback: CallbackSettings { host: CallbackHost::Ipv4, port: DEFAULT_CALLBACK_PORT, free: true },
            },
            static_token: None,
            sign_in: SignInPolicy::Auto,
            token_store: TokenStoreKind::Keychain,
            token_store_from: Origin::Default,
            network: NetworkSettings::default(),
            limits: Limits { in_flight: product.in_flight(), ..Limits::default() },
            paths,
            log: LogSettings { level: LogLevel::Info, file: None },
            keep_without_parent: false,
            told: Vec::new(),
        }
    }

    /// The service as a person calls it: `Planhat`, `Planhat (demo)`, or the host.
    pub fn service_name(&self) -> String {
        match self.product {
            Product::Planhat => "Planhat".to_owned(),
            Product::PlanhatDemo => "Planhat (demo)".to_owned(),
            Product::Other => {
                let host = self.url.host_str().unwrap_or_default();
                self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            }
        }
    }

    /// A command line for a terminal, such as `planhat-mcp login --tenant demo`, that meets the same server, profile
    /// and client as this run.
    pub fn command(&self, command: &str) -> String {
        let mut line = format!("planhat-mcp {command}");
        for word in &self.told {
            line.push(' ');
            line.push_str(&quoted(word));
        }
        line
    }
}

/// `word` as a shell takes it: quoted when it needs to be.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,\\".contains(c);
    if !word.is_empty() && word.chars().all(|c| plain(c) && (c != '\\' || cfg!(windows))) {
        word.to_owned()
    } else if cfg!(windows) {
        format!("\"{word}\"")
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The service at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Planhat's production tenants.
    Planhat,
    /// Planhat's demo tenants.
    PlanhatDemo,
    /// Any other MCP server, by URL.
    Other,
}

impl Product {
    /// How many requests the service takes at once. Planhat's is documented.
    const fn in_flight(self) -> usize {
        match self {
            Self::Planhat | Self::PlanhatDemo => 50,
            Self::Other => 1_000,
        }
    }
}

/// What the authorization code flow needs from the user or the administrator.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// The pre-registered client id (RFC 6749, 2.2).
    pub client_id: Option<String>,
    /// The pre-registered client's secret, when it was given for this run (environment or file). A secret that `login`
    /// put into the credential store is found there.
    pub client_secret: Option<Secret>,
    /// The client ID metadata document, which is the client id of servers that support it.
    pub metadata_url: Option<Url>,
    /// Whether the client signs in for itself, without a person (RFC 6749, 4.4).
    pub client_credentials: bool,
    /// The private key that the client proves itself with (RFC 7523, 2.2).
    pub key: Option<KeySettings>,
    /// The token endpoint, over what the server says.
    pub token_endpoint: Option<Url>,
    /// The scope to ask for; `None` leaves the choice to what the server says.
    pub scope: Option<String>,
    /// More parameters of the authorization request; none of the protocol's own.
    pub authorize_params: Vec<(String, String)>,
    /// Whether `resource` (RFC 8707) is left out everywhere, for servers that reject it.
    pub no_resource: bool,
    /// Whether the ID token is sent in place of the access token, for servers that want that.
    pub id_token: bool,
    /// Where the browser is sent back to.
    pub callback: CallbackSettings,
}

/// The loopback redirect URL (RFC 8252, 7.3): exactly `http://<host>:<port>/callback`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackSettings {
    /// As it is written in the URL.
    pub host: CallbackHost,
    /// The fixed port, because Planhat compares redirect URLs exactly.
    pub port: u16,
    /// Whether nobody chose the port, so that a client that registers itself may take any that is free.
    pub free: bool,
}

/// The port of the redirect URL unless told otherwise: 7526 spells PLAN on a telephone's keys. IANA has given it to
/// nobody, and it lies below the ports that Linux (from 32768), macOS and Windows (from 49152) hand out by themselves.
pub const DEFAULT_CALLBACK_PORT: u16 = 7526;

/// How the loopback host is written in the redirect URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackHost {
    /// `127.0.0.1`, which RFC 8252 recommends.
    Ipv4,
    /// `localhost`, for servers that insist on it.
    Localhost,
}

impl CallbackHost {
    /// As it stands in the URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallbackHost::Ipv4 => "127.0.0.1",
            CallbackHost::Localhost => "localhost",
        }
    }

    /// The address to listen on.
    pub const fn address(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

impl CallbackSettings {
    /// The redirect URL, byte for byte as it must be registered.
    pub fn redirect_url(&self) -> String {
        format!("http://{}:{}/callback", self.host.as_str(), self.port)
    }
}

/// When a browser opens for a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInPolicy {
    /// At the first list of tools or a call that needs it; with a pause after a sign-in that failed.
    Auto,
    /// Only when the user asks: with the sign-in tool, or with `login`.
    Manual,
}

impl SignInPolicy {
    /// As it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            SignInPolicy::Auto => "auto",
            SignInPolicy::Manual => "manual",
        }
    }
}

/// Where tokens are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStoreKind {
    /// The operating system's keychain.
    Keychain,
    /// A file of mode 0600, only when asked for.
    File,
    /// Nowhere: gone with the process, which then runs the sign-in itself.
    Memory,
}

impl TokenStoreKind {
    /// As it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            TokenStoreKind::Keychain => "keychain",
            TokenStoreKind::File => "file",
            TokenStoreKind::Memory => "memory",
        }
    }
}

/// How to reach the network; the environment of an MCP client is often stripped, so the file can say all of it.
#[derive(Debug, Clone, Default)]
pub struct NetworkSettings {
    /// A proxy for all requests, over what the environment says.
    pub proxy: Option<Secret>,
    /// More trusted certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether to use IPv4 alone, for networks whose IPv6 leads nowhere.
    pub ipv4_only: bool,
    /// Hosts that a public server may name although they lie inside.
    pub allow_private: Vec<HostPattern>,
}

/// Bounds and budgets.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest message in either direction, in bytes.
    pub max_message_bytes: usize,
    /// How long `initialize` waits for the server before it is answered without it.
    pub initialize_wait: Duration,
    /// How long `tools/list` waits for a sign-in before it offers the sign-in tool, unless its client is known to wait
    /// longer; never longer than a call waits.
    pub list_wait: Duration,
    /// How long a call waits for a sign-in.
    pub call_wait: Duration,
    /// How long a request may go without a byte before it is given up; it stands still while the client owes the server
    /// an answer.
    pub idle: Duration,
    /// How long a request may take in all; listening streams have no such end.
    pub total: Duration,
    /// How long a connection that cannot be made is tried again before a request is told.
    pub connecting: Duration,
    /// How many requests may be at the server at once; the others wait in order.
    pub in_flight: usize,
    /// How long a sign-in may take.
    pub sign_in: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 64 * 1024 * 1024,
            initialize_wait: Duration::from_secs(5),
            list_wait: Duration::from_secs(8),
            call_wait: Duration::from_secs(50),
            idle: Duration::from_secs(5 * 60),
            total: Duration::from_secs(60 * 60),
            connecting: Duration::from_secs(20),
            in_flight: 1_000,
            sign_in: Duration::from_secs(5 * 60),
        }
    }
}

/// Where the program keeps its files.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The user's configuration file.
    pub config_file: PathBuf,
    /// Locks, the generation number, the pending record, the file store, the log.
    pub state_dir: PathBuf,
}

/// What is logged, and where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The most detailed level that is written.
    pub level: LogLevel,
    /// A file that the log goes to as well as to stderr.
    pub file: Option<PathBuf>,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what stops something from working.
    Error,
    /// And what may.
    Warn,
    /// And what a user would want to know: signed in, reconnected.
    Info,
    /// And each request's fate, without its content.
    Debug,
    /// And everything short of secrets and message bodies.
    Trace,
}

impl LogLevel {
    /// From the least to the most.
    pub const ALL: [LogLevel; 5] = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

    /// As it is written in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => tracing::Level::ERROR,
            LogLevel::Warn => tracing::Level::WARN,
            LogLevel::Info => tracing::Level::INFO,
            LogLevel::Debug => tracing::Level::DEBUG,
            LogLevel::Trace => tracing::Level::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_the_terminal_repeats_what_this_run_was_told() {
        let paths = Paths { config_file: "/c".into(), state_dir: "/s".into() };
        let url = Url::parse("https://mcp.example.com/mcp").expect("valid");
        let mut settings = Settings::for_url(url, paths);
        assert_eq!(settings.command("login"), "planhat-mcp login");
        settings.told = ["--url", "https://mcp.example.com/mcp?a=1&b=2"].map(str::to_owned).to_vec();
        let shown = settings.command("login");
        assert!(shown.starts_with("planhat-mcp login --url "), "{shown}");
        assert!(shown.ends_with(['\'', '"']), "an & must not reach the shell: {shown}");
    }

    #[test]
    fn the_redirect_url_is_exactly_what_an_admin_registers() {
        let callback = CallbackSettings { host: CallbackHost::Ipv4, port: DEFAULT_CALLBACK_PORT, free: true };
        assert_eq!(callback.redirect_url(), "http://127.0.0.1:7526/callback");
    }
}

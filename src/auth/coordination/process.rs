//! The sign-in as a process of its own: a client that kills its servers does not end it.
//!
//! The order goes through a pipe, not through arguments that every process of the machine could read.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::auth::discovery::challenge::Challenge;
use crate::auth::login::attempt::Since;
use crate::auth::login::sign_in_page::PageOpening;
use crate::config::origin::Origin;
use crate::config::{
    CallbackHost, CallbackSettings, HostPattern, KeyAlgorithm, KeySettings, Limits, LogLevel, LogSettings,
    NetworkSettings, OAuthSettings, Paths, Product, Settings, SignInPolicy, TokenStoreKind, VARIABLE_PREFIX,
};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// The hidden flag of `login` that makes it read its order from standard input.
pub const ORDER_FLAG: &str = "--order-from-stdin";
/// The largest order that is read, in bytes.
const LARGEST_ORDER: u64 = 1024 * 1024;

/// All that a sign-in process needs to know.
#[derive(Serialize, Deserialize)]
struct Order {
    profile: String,
    product: String,
    url: Url,
    client_id: Option<String>,
    client_secret: Option<String>,
    metadata_url: Option<Url>,
    key: Option<(PathBuf, String)>,
    token_endpoint: Option<Url>,
    scope: Option<String>,
    authorize_params: Vec<(String, String)>,
    no_resource: bool,
    id_token: bool,
    callback_free: bool,
    callback_localhost: bool,
    callback_port: u16,
    token_file: bool,
    proxy: Option<String>,
    ca_file: Option<PathBuf>,
    ipv4_only: bool,
    allow_private: Vec<String>,
    sign_in_seconds: u64,
    config_file: PathBuf,
    state_dir: PathBuf,
    log_level: u8,
    log_file: Option<PathBuf>,
    told: Vec<String>,
    challenge: Challenge,
    by_link: bool,
    since: Since,
}

/// The program to start for a sign-in.
#[derive(Debug, Clone)]
pub struct Program(PathBuf);

impl Program {
    /// This program itself, also when it was replaced on disk meanwhile.
    pub fn this() -> io::Result<Self> {
        if cfg!(target_os = "linux") {
            // An upgrade may have removed the file that runs here; this name still leads to it.
            return Ok(Self("/proc/self/exe".into()));
        }
        std::env::current_exe().map(Self)
    }

    /// Another one, for tests.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Starts `login` with its order and lets go of it.
    pub fn start_login(
        &self,
        settings: &Settings,
        challenge: &Challenge,
        since: Since,
        way: PageOpening,
    ) -> Result<Child, Problem> {
        self.spawn(&order(settings, challenge, since, way))
            .map_err(|error| Problem::new(ProblemId::SignInProcessFailed).with("detail", error))
    }

    fn spawn(&self, order: &Order) -> io::Result<Child> {
        let order = Secret::new(serde_json::to_vec(order).map_err(io::Error::other)?);
        let mut child = self.detached()?;
        let Some(mut input) = child.stdin.take() else { return Err(io::Error::other("no pipe to it")) };
        input.write_all(order.expose())?;
        drop(input);
        Ok(child)
    }

    #[cfg(unix)]
    fn detached(&self) -> io::Result<Child> {
        use std::os::unix::process::CommandExt;
        // The session of its own is made by the child, with `detach`.
        self.command().arg0(env!("CARGO_PKG_NAME")).spawn()
    }

    #[cfg(windows)]
    fn detached(&self) -> io::Result<Child> {
        use std::os::windows::process::CommandExt;
        const DETACHED_PROCESS: u32 = 0x8;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        const CREATE_BREAKAWAY_FROM_JOB: u32 = 0x0100_0000;
        let quiet = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
        // A job may forbid leaving it; then the sign-in lives as long as the job does.
        let outside = self.command().creation_flags(quiet | CREATE_BREAKAWAY_FROM_JOB).spawn();
        outside.or_else(|_| self.command().creation_flags(quiet).spawn())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.args(["login", ORDER_FLAG]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // All of it is in the order; and an environment lives as long as its process, for others of this user to read.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(VARIABLE_PREFIX)) {
            command.env_remove(name);
        }
        command
    }
}

/// Leaves the session and process group of whoever started this process, so that their end is not ours.
pub fn detach() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "no session of its own");
    }
}

/// Reads the order that a bridge wrote to standard input.
pub fn read_order(input: impl Read) -> Result<(Settings, Challenge, Since, PageOpening), Problem> {
    let wrong = |detail: String| Problem::new(ProblemId::SignInProcessFailed).with("detail", detail);
    let mut bytes = Vec::new();
    let read = input.take(LARGEST_ORDER).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map_err(|error| wrong(error.to_string()))?;
    let order: Order = serde_json::from_slice(bytes.expose())
        .map_err(|error| wrong(format!("the order cannot be read ({:?})", error.classify())))?;
    let way = if order.by_link { PageOpening::Link } else { PageOpening::Browser };
    let (settings, challenge, since) = settings(order);
    Ok((settings, challenge, since, way))
}

fn order(settings: &Settings, challenge: &Challenge, since: Since, way: PageOpening) -> Order {
    Order {
        profile: settings.profile.clone(),
        product: match settings.product {
            Product::Planhat => "planhat".into(),
            Product::PlanhatDemo => "planhat-demo".into(),
            Product::Other => "other".into(),
        },
        url: settings.url.clone(),
        client_id: settings.oauth.client_id.clone(),
        client_secret: settings.oauth.client_secret.as_ref().map(|secret| secret.expose().clone()),
        metadata_url: settings.oauth.metadata_url.clone(),
        key: settings.oauth.key.as_ref().map(|key| (key.file.clone(), key.algorithm.as_str().to_owned())),
        token_endpoint: settings.oauth.token_endpoint.clone(),
        scope: settings.oauth.scope.clone(),
        authorize_params: settings.oauth.authorize_params.clone(),
        no_resource: settings.oauth.no_resource,
        id_token: settings.oauth.id_token,
        callback_free: settings.oauth.callback.free,
        callback_localhost: settings.oauth.callback.host == CallbackHost::Localhost,
        callback_port: settings.oauth.callback.port,
        token_file: settings.token_store == TokenStoreKind::File,
        proxy: settings.network.proxy.as_ref().map(|proxy| proxy.expose().clone()),
        ca_file: settings.network.ca_file.clone(),
        ipv4_only: settings.network.ipv4_only,
        allow_private: settings.network.allow_private.iter().map(ToString::to_string).collect(),
        sign_in_seconds: settings.limits.sign_in.as_secs(),
        config_file: settings.paths.config_file.clone(),
        state_dir: settings.paths.state_dir.clone(),
        log_level: settings.log.level as u8,
        log_file: settings.log.file.clone(),
        told: settings.told.clone(),
        challenge: challenge.clone(),
        by_link: way == PageOpening::Link,
        since,
    }
}

fn settings(order: Order) -> (Settings, Challenge, Since) {
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    let settings = Settings {
        profile: order.profile,
        product: match order.product.as_str() {
            "planhat" => Product::Planhat,
            "planhat-demo" => Product::PlanhatDemo,
            _ => Product::Other,
        },
        url: order.url,
        oauth: OAuthSettings {
            client_id: order.client_id,
            client_secret: order.client_secret.map(Secret::new),
            metadata_url: order.metadata_url,
            // A process for a person's sign-in.
            client_credentials: false,
            key: order.key.and_then(|(file, name)| {
                let algorithm = KeyAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)?;
                Some(KeySettings { file, algorithm })
            }),
            token_endpoint: order.token_endpoint,
            scope: order.scope,
            authorize_params: order.authorize_params,
            no_resource: order.no_resource,
            id_token: order.id_token,
            callback: CallbackSettings {
                host: if order.callback_localhost { CallbackHost::Localhost } else { CallbackHost::Ipv4 },
                port: order.callback_port,
                free: order.callback_free,
            },
        },
        static_token: None,
        token_store: if order.token_file { TokenStoreKind::File } else { TokenStoreKind::Keychain },
        // Told to nobody from there.
        token_store_from: Origin::Default,
        network: NetworkSettings {
            proxy: order.proxy.map(Secret::new),
            ca_file: order.ca_file,
            ipv4_only: order.ipv4_only,
            allow_private: order.allow_private.iter().filter_map(|text| HostPattern::parse(text)).collect(),
        },
        limits: Limits { sign_in: Duration::from_secs(order.sign_in_seconds), ..Limits::default() },
        paths: Paths { config_file: order.config_file, state_dir: order.state_dir },
        log: LogSettings {
            level: levels.into_iter().nth(order.log_level.into()).unwrap_or(LogLevel::Info),
            file: order.log_file,
        },
        keep_without_parent: true,
        // It was asked for.
        sign_in: SignInPolicy::Auto,
        told: order.told,
    };
    (settings, order.challenge, order.since)
}

#[cfg(test)]
mod tests {
    use crate::auth::coordination::process::*;
    use crate::http::NamedBy;

    #[test]
    fn a_sign_in_process_knows_whose_word_the_challenge_is_and_what_the_user_allows() {
        let url = Url::parse("https://h/mcp").unwrap();
        let mut before = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        before.network.allow_private = HostPattern::parse_all("*.corp.example,10.0.0.1").unwrap();
        let challenge = Challenge { scope: Some("a".into()), ..Challenge::default() }.said_by(NamedBy::Public);
        let since = Since { number: 7, grant: Some("g".into()) };
        let text = serde_json::to_vec(&order(&before, &challenge, since.clone(), PageOpening::Link)).unwrap();
        let (after, read, newest, way) = read_order(text.as_slice()).unwrap();
        assert_eq!(after.network.allow_private, before.network.allow_private);
        assert_eq!((read, newest, way), (challenge, since, PageOpening::Link));
    }
}

//! Turns the layers into final settings: each value parsed once, each error pointing to where the value came from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

use super::file::Given;
use super::hosts::HostPattern;
use super::key::Key;
use super::layers::{Inputs, Layers};
use super::origin::Origin;
use super::paths::expand;
use super::server::{self, UrlRefused};
use super::settings::{LogLevel, Product, Settings, TokenStoreKind};
use super::signing_in;

/// The settings, and how they came about.
#[derive(Debug)]
pub struct Loaded {
    /// What the rest of the program reads.
    pub settings: Settings,
    /// Each setting as it may be shown, with its origin.
    pub rows: Vec<Row>,
    /// What was left out, and why; worth a warning.
    pub notes: Vec<String>,
}

/// One line of `planhat-mcp config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The setting.
    pub key: Key,
    /// Its value, unless it is secret; `None` when it is not set.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// What stands in place of a secret.
pub const REDACTED: &str = "(set, not shown)";

/// Reads all layers and makes the settings of this run.
pub fn load(inputs: &Inputs) -> Result<Loaded, Problem> {
    let mut layers = Layers::collect(inputs)?;
    let (url, server_origin) = server(&layers)?;
    let common = layers.common_server().map(parse_server).transpose()?;
    let common = common.unwrap_or_else(|| built_in(Product::Planhat));
    if common != url {
        layers.drop_common_of_other_server(common.as_str());
    }

    let mut settings = Settings::for_url(url, inputs.paths.clone());
    settings.paths.config_file = layers.config_file.0.clone();
    let mut report = Report { layers: &layers, rows: Vec::new() };
    report.server(&settings, server_origin);
    if let Some(name) = report.take(Key::Profile, |text| server::is_profile_name(text).then(|| text.to_owned()))? {
        settings.profile = name;
    } else {
        report.default(Key::Profile, Some(settings.profile.clone()));
    }
    signing_in::read(&mut settings, &mut report, inputs)?;
    rest(&mut settings, &mut report)?;
    let rows = report.rows;
    settings.told = told(&layers);
    Ok(Loaded { settings, rows, notes: layers.notes })
}

/// Which server, and who said so.
fn server(layers: &Layers) -> Result<(Url, Origin), Problem> {
    if let Some(given) = layers.either(Key::Tenant, Key::Url)? {
        return Ok((parse_server(given)?, given.origin.clone()));
    }
    // The names of the built-in profiles say which server is meant.
    match layers.winner(Key::Profile).map(|given| given.text.expose().as_str()) {
        Some("planhat-demo") => Ok((built_in(Product::PlanhatDemo), Origin::BuiltIn)),
        _ => Ok((built_in(Product::Planhat), Origin::BuiltIn)),
    }
}

fn built_in(product: Product) -> Url {
    let text = product.url().unwrap_or(server::PRODUCTION_URL);
    Url::parse(text).expect("a constant, which the tests parse")
}

fn parse_server(given: &Given) -> Result<Url, Problem> {
    let text = given.text.expose().as_str();
    if given.key == Key::Tenant {
        return match text.to_ascii_lowercase().as_str() {
            "production" => Ok(built_in(Product::Planhat)),
            "demo" => Ok(built_in(Product::PlanhatDemo)),
            _ => Err(bad_value(given)),
        };
    }
    server::parse_url(text).map_err(|refused| match refused {
        // What cannot be parsed is not shown: a password may stand in it.
        UrlRefused::Invalid if text.contains('@') => bad_value_unseen(given, "an address with a user name or password"),
        UrlRefused::Invalid => bad_value(given),
        UrlRefused::Insecure => Problem::new(ProblemId::InsecureUrl).with("url", text).with("origin", &given.origin),
    })
}

fn rest(settings: &mut Settings, report: &mut Report<'_>) -> Result<(), Problem> {
    let store = |text: &str| {
        let all = [TokenStoreKind::Keychain, TokenStoreKind::File, TokenStoreKind::Memory];
        all.into_iter().find(|kind| kind.as_str() == text)
    };
    // A token that can be had at any moment need not be kept, and a machine without people often has no keychain.
    let usual = if settings.oauth.client_credentials { TokenStoreKind::Memory } else { settings.token_store };
    settings.token_store = report.take(Key::TokenStore, store)?.unwrap_or(usual);
    if let Some(given) = report.layers.winner(Key::TokenStore) {
        settings.token_store_from = given.origin.clone();
    }
    report.default(Key::TokenStore, Some(settings.token_store.as_str().to_owned()));

    let bytes = |text: &str| text.parse::<u32>().ok().filter(|bytes| *bytes >= 1024);
    if let Some(bytes) = report.take(Key::MaxMessageBytes, bytes)? {
        settings.limits.max_message_bytes = bytes as usize;
    }
    report.default(Key::MaxMessageBytes, Some(settings.limits.max_message_bytes.to_string()));

    let seconds = |least: u64, most: u64| {
        move |text: &str| text.parse().ok().filter(|n| (least..=most).contains(n)).map(Duration::from_secs)
    };
    let limits = &mut settings.limits;
    for (key, value, least, most) in [
        (Key::ConnectWait, &mut limits.connecting, 0, 3_600),
        (Key::IdleTimeout, &mut limits.idle, 1, 86_400),
        (Key::TotalTimeout, &mut limits.total, 1, 86_400),
        (Key::SignInWait, &mut limits.call_wait, 0, 3_600),
    ] {
        *value = report.take(key, seconds(least, most))?.unwrap_or(*value);
        report.default(key, Some(value.as_secs().to_string()));
    }
    let number = |text: &str| text.parse().ok().filter(|n| (1..=10_000).contains(n));
    limits.in_flight = report.take(Key::MaxInFlight, number)?.unwrap_or(limits.in_flight);
    report.default(Key::MaxInFlight, Some(limits.in_flight.to_string()));
    for (key, value) in
        [(Key::Ipv4, &mut settings.network.ipv4_only), (Key::KeepWithoutParent, &mut settings.keep_without_parent)]
    {
        *value = report.take(key, |text: &str| text.parse().ok())?.unwrap_or(*value);
        report.default(key, Some(value.to_string()));
    }

    if let Some(given) = report.layers.winner(Key::Proxy).cloned() {
        let proxy = parse_proxy(&given)?;
        report.row(Key::Proxy, Some(without_userinfo(&proxy)), given.origin);
        settings.network.proxy = Some(Secret::new(proxy.as_str().to_owned()));
    }
    report.default(Key::Proxy, None);

    settings.network.ca_file = report.take_path(Key::CaFile)?;
    report.default(Key::CaFile, None);

    settings.network.allow_private = report.take(Key::AllowPrivate, HostPattern::parse_all)?.unwrap_or_default();
    report.default(Key::AllowPrivate, None);

    let level = |text: &str| LogLevel::ALL.into_iter().find(|level| level.as_str() == text);
    settings.log.level = report.take(Key::LogLevel, level)?.unwrap_or(settings.log.level);
    report.default(Key::LogLevel, Some(settings.log.level.as_str().to_owned()));
    settings.log.file = report.take_path(Key::LogFile)?;
    report.default(Key::LogFile, None);
    Ok(())
}

/// A proxy address; one with a password must not stand in argv.
fn parse_proxy(given: &Given) -> Result<Url, Problem> {
    let text = given.text.expose();
    let with_scheme = if text.contains("://") { text.clone() } else { format!("http://{text}") };
    let refused = || bad_value_unseen(given, "no proxy address");
    let url = Url::parse(&with_scheme).map_err(|_| refused())?;
    if url.password().is_some() && matches!(given.origin, Origin::Flag(_)) {
        return Err(Problem::new(ProblemId::SecretInArguments).with("flag", "--proxy"));
    }
    let known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
    if known && url.has_host() { Ok(url) } else { Err(refused()) }
}

fn without_userinfo(url: &Url) -> String {
    let mut shown = url.clone();
    // Both only fail for addresses without a host.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.to_string()
}

/// Collects the rows while the settings are made.
pub(super) struct Report<'a> {
    pub(super) layers: &'a Layers,
    pub(super) rows: Vec<Row>,
}

impl Report<'_> {
    pub(super) fn row(&mut self, key: Key, value: Option<String>, origin: Origin) {
        self.rows.push(Row { key, value, origin });
    }

    /// The row of a value that nobody gave; nothing when there is a row already.
    pub(super) fn default(&mut self, key: Key, value: Option<String>) {
        if !self.rows.iter().any(|row| row.key == key) {
            self.row(key, value, Origin::Default);
        }
    }

    fn server(&mut self, settings: &Settings, origin: Origin) {
        let tenant = match settings.product {
            Product::Planhat => Some("production".to_owned()),
            Product::PlanhatDemo => Some("demo".to_owned()),
            Product::Other => None,
        };
        self.row(Key::Tenant, tenant, origin.clone());
        self.row(Key::Url, Some(settings.url.to_string()), origin);
    }

    /// The winner for `key`, understood by `parse`.
    pub(super) fn take<T>(&mut self, key: Key, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(given) = self.layers.winner(key).cloned() else { return Ok(None) };
        let value = parse(given.text.expose()).ok_or_else(|| bad_value(&given))?;
        let shown = if key.is_secret() { REDACTED.to_owned() } else { given.text.expose().clone() };
        self.row(key, Some(shown), given.origin);
        Ok(Some(value))
    }

    pub(super) fn take_path(&mut self, key: Key) -> Result<Option<PathBuf>, Problem> {
        let origin = self.layers.winner(key).map(|given| given.origin.clone());
        let base = origin.as_ref().and_then(folder_of);
        self.take(key, |text| (!text.trim().is_empty()).then(|| expand(text, base)))
    }
}

/// A relative path in the configuration file counts from the file's folder.
pub(super) fn folder_of(origin: &Origin) -> Option<&Path> {
    if let Origin::File { path, .. } = origin { path.parent() } else { None }
}

/// What a terminal command has to repeat: what flags and variables said about the server, the client and the way there.
fn told(layers: &Layers) -> Vec<String> {
    let mut words = Vec::new();
    if layers.config_file.1 {
        words.extend(["--config".to_owned(), absolute(&layers.config_file.0)]);
    }
    for key in Key::ALL {
        let Some(given) = layers.winner(*key).filter(|given| given.origin.is_of_this_run()) else { continue };
        let text = given.text.expose();
        let value = match key {
            Key::MaxMessageBytes | Key::LogLevel | Key::LogFile | Key::KeepWithoutParent | Key::SignIn => continue,
            Key::ConnectWait | Key::IdleTimeout | Key::TotalTimeout | Key::SignInWait | Key::MaxInFlight => continue,
            Key::ClientSecretFile if text == "-" => continue,
            Key::ClientSecretFile | Key::CaFile | Key::ClientKey => absolute(&expand(text, None)),
            Key::Proxy if text.contains('@') => continue,
            _ => text.clone(),
        };
        // A value of a lower layer that another key has beaten would contradict it.
        let beaten = |other: Key| layers.winner(other).is_some_and(|o| o.origin.rank() > given.origin.rank());
        let lost = matches!(key, Key::Tenant) && beaten(Key::Url) || matches!(key, Key::Url) && beaten(Key::Tenant);
        if let (Some(flag), false) = (key.info().flag, lost) {
            words.extend([flag.to_owned(), value]);
        }
    }
    words
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

pub(super) fn bad_value(given: &Given) -> Problem {
    let found = if given.key.is_secret() { "a value that is not shown" } else { given.text.expose().as_str() };
    bad_value_unseen(given, if found.is_empty() { "nothing" } else { found })
}

pub(super) fn bad_value_unseen(given: &Given, found: &str) -> Problem {
    Problem::new(ProblemId::BadValue)
        .with("setting", given.key.info().name)
        .with("origin", &given.origin)
        .with("found", found)
        .with("expected", given.key.info().expected)
}

//! Turns the layers into the final settings: each value is parsed once, and each error names the value's source.

use std::path::Path;

use url::Url;

use crate::problem::{Problem, ProblemId};

use super::key::{Concerns, Disclosure, Key, Takes};
use super::layers::{Inputs, Layers};
use super::origin::Origin;
use super::paths::expand;
use super::raw_setting::RawSetting;
use super::read;
use super::secret_files;
use super::server::{self, Product};
use super::settings::Settings;
use super::shown::{NOT_SHOWN, Shown};

/// The settings and their sources.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings for the rest of the program.
    pub settings: Settings,
    /// Each setting in a form that may be shown, with its source.
    pub rows: Vec<Row>,
    /// Warnings: values that are not used, and why.
    pub notes: Vec<String>,
    /// The files with secrets that are open to others.
    pub exposed: Vec<Problem>,
}

/// One line of `planhat-mcp config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The setting.
    pub key: Key,
    /// Its value, unless it is secret; `None` when it is not set.
    pub value: Option<String>,
    /// Its source.
    pub origin: Origin,
}

/// Reads all layers and builds the settings of this run.
pub fn load(inputs: &Inputs) -> Result<Loaded, Problem> {
    let mut layers = Layers::collect(inputs)?;
    layers.decide_between(Key::Tenant, Key::Url)?;
    let (url, server_origin) = server(&layers)?;
    let of_organisation = layers.organisation_server().map(address).transpose()?;
    let of_organisation = of_organisation.unwrap_or_else(|| built_in(Product::Planhat));
    layers.add_organisation(is_same_server(&of_organisation, &url));
    let common = layers.common_server().map(address).transpose()?;
    let common = common.unwrap_or(of_organisation);
    if common != url {
        layers.drop_common_of_other_server(common.as_str());
    }
    layers.decide_between(Key::ClientSecret, Key::ClientSecretFile)?;
    layers.untangle_client();

    let mut settings = Settings::for_url(url, inputs.paths.clone());
    settings.paths.config_file = layers.config_file.0.clone();
    for raw in Key::ALL.iter().filter_map(|key| layers.winner(*key)) {
        settings.set(raw)?;
    }
    // Either one determines the other.
    settings.origins.set(Key::Tenant, server_origin.clone());
    settings.origins.set(Key::Url, server_origin);
    settings.derive_defaults();
    take_last_client_id(&mut settings, inputs);
    let rows = Key::ALL.iter().map(|key| row(*key, &settings, &layers)).collect();
    read_client_secret(&mut settings, &layers, inputs)?;
    settings.run_flags = run_flags(&layers);
    if let Some(problem) = not_allowed(&settings) {
        return Err(problem);
    }
    let exposed = secret_files::exposed(&settings);
    Ok(Loaded { settings, rows, notes: layers.notes, exposed })
}

/// A client that was named once, at the last sign-in, need not be named again.
fn take_last_client_id(settings: &mut Settings, inputs: &Inputs) {
    let names_client = settings.oauth.client_id.is_some() || settings.origins.is_chosen(Key::ClientMetadataUrl);
    if names_client || settings.static_token.is_some() {
        return;
    }
    if let Some(id) = (inputs.last_client_id)(settings) {
        settings.oauth.client_id = Some(id);
        settings.origins.set(Key::ClientId, Origin::LastSignIn);
    }
}

/// Whether two addresses lead to one server. Its paths count as one, so that no other spelling of an address gets around what
/// an organisation has locked.
fn is_same_server(one: &Url, other: &Url) -> bool {
    let host = |url: &Url| url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase());
    host(one) == host(other) && one.port_or_known_default() == other.port_or_known_default()
}

/// The problem with a server that is not among the allowed ones, if some are named.
fn not_allowed(settings: &Settings) -> Option<Problem> {
    let allowed = &settings.allowed_servers;
    let host = settings.url.host()?;
    if allowed.is_empty() || allowed.iter().any(|pattern| pattern.matches(&host)) {
        return None;
    }
    Some(
        Problem::new(ProblemId::ServerNotAllowed)
            .with("host", host)
            .with("expected", allowed.shown().unwrap_or_default())
            .with("origin", settings.origins.of(Key::AllowedServers)),
    )
}

/// The server, and the source of its address.
fn server(layers: &Layers) -> Result<(Url, Origin), Problem> {
    // The built-in profile names imply their servers.
    let implied = match layers.winner(Key::Profile).map(RawSetting::text) {
        Some("planhat-demo") => Some(Product::PlanhatDemo),
        Some("planhat") => Some(Product::Planhat),
        _ => None,
    };
    let raw = layers.winner(Key::Tenant).or_else(|| layers.winner(Key::Url));
    let is_default = |raw: &&RawSetting| matches!(raw.origin, Origin::Organisation { is_locked: false, .. });
    match raw.filter(|raw| implied.is_none() || !is_default(raw)) {
        Some(raw) => Ok((address(raw)?, raw.origin.clone())),
        None => Ok((built_in(implied.unwrap_or(Product::Planhat)), Origin::BuiltIn)),
    }
}

fn built_in(product: Product) -> Url {
    let text = product.url().unwrap_or(server::PRODUCTION_URL);
    Url::parse(text).expect("a constant, which the tests parse")
}

/// The address of a tenant or a URL.
fn address(raw: &RawSetting) -> Result<Url, Problem> {
    if raw.key == Key::Tenant { read::tenant(raw).map(built_in) } else { read::server_url(raw) }
}

/// Fills in the client secret from its file, and rejects a secret without a client id.
fn read_client_secret(settings: &mut Settings, layers: &Layers, inputs: &Inputs) -> Result<(), Problem> {
    let Some(raw) = layers.winner(Key::ClientSecret).or_else(|| layers.winner(Key::ClientSecretFile)) else {
        return Ok(());
    };
    let secret = match raw.key {
        Key::ClientSecretFile => read::secret_file(raw, inputs.secret_from_stdin.as_ref())?,
        _ => raw.text.clone(),
    };
    if settings.product.is_planhat() && secret.expose().starts_with("pk_") {
        return Err(raw.bad_unseen_value("what looks like the client id (pk_...)"));
    }
    if settings.oauth.client_id.is_none() {
        return Err(Problem::new(ProblemId::SecretWithoutClientId).with("origin", &raw.origin));
    }
    settings.oauth.client_secret = Some(secret);
    Ok(())
}

fn row(key: Key, settings: &Settings, layers: &Layers) -> Row {
    // The tenant and the address determine each other, so neither is shown as raw text.
    let raw = layers.winner(key).filter(|_| !matches!(key, Key::Tenant | Key::Url));
    let value = match (raw, key.info().disclosure) {
        (None, _) => settings.shown(key),
        (Some(raw), Disclosure::Whole) => Some(raw.text().to_owned()),
        (Some(raw), Disclosure::WithoutUserinfo) => read::proxy_without_userinfo(raw),
        (Some(_), Disclosure::Never) => Some(NOT_SHOWN.to_owned()),
    };
    Row { key, value, origin: settings.origins.of(key).clone() }
}

/// The flags and variables that a command in a terminal must repeat to reach the same server as the same client.
fn run_flags(layers: &Layers) -> Vec<String> {
    let mut words = Vec::new();
    if layers.config_file.1 {
        words.extend(["--config".to_owned(), absolute(&layers.config_file.0)]);
    }
    for key in Key::ALL.iter().filter(|key| key.info().concerns != Concerns::Run) {
        let raw = layers.winner(*key).filter(|raw| raw.origin.is_of_this_run());
        let (Some(raw), Some(flag)) = (raw, key.info().flag) else { continue };
        let value = match (flag.takes, key.info().disclosure, raw.text()) {
            (Takes::FileOrStdin, _, "-") => continue,
            (_, Disclosure::WithoutUserinfo, text) if text.contains('@') => continue,
            (Takes::File | Takes::FileOrStdin, _, text) => absolute(&expand(text, None)),
            (_, _, text) => text.to_owned(),
        };
        words.extend([flag.name.to_owned(), value]);
    }
    words
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

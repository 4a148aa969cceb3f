//! Combines the layers of settings: flags, environment, the user's file, the built-in profile, defaults.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

use super::file::{self, ConfigFile};
use super::key::{Concerns, Key, suggestion};
use super::organisation::Organisation;
use super::origin::Origin;
use super::paths::Paths;
use super::raw_setting::RawSetting;
use super::settings::Settings;

/// The variable that names another configuration file.
pub const CONFIG_VARIABLE: &str = "PLANHAT_MCP_CONFIG";
/// The prefix of the variables for this program.
pub const VARIABLE_PREFIX: &str = "PLANHAT_MCP_";

/// All sources of settings.
#[derive(Debug)]
pub struct Inputs {
    /// The flags.
    pub flags: Vec<(Key, String)>,
    /// `--config`.
    pub config_file: Option<PathBuf>,
    /// The environment, or at least the variables that start with [`VARIABLE_PREFIX`].
    pub environment: Vec<(String, OsString)>,
    /// The client secret from standard input, for `--client-secret-file -`.
    pub secret_from_stdin: Option<Secret>,
    /// The default locations of files.
    pub paths: Paths,
    /// Reads what the organisation decides.
    pub organisation: fn() -> Result<Organisation, Problem>,
    /// Finds the client id of the last sign-in, for settings that name no client.
    pub last_client_id: fn(&Settings) -> Option<String>,
}

/// The values of all layers.
#[derive(Debug)]
pub(super) struct Layers {
    chosen: Vec<RawSetting>,
    common: Vec<RawSetting>,
    organisation: Organisation,
    /// The configuration file, and whether the user named it.
    pub config_file: (PathBuf, bool),
    pub notes: Vec<String>,
}

impl Layers {
    /// Reads the file and collects flags and variables.
    pub fn collect(inputs: &Inputs) -> Result<Self, Problem> {
        let variables = Variables::read(&inputs.environment)?;
        let named_file = inputs.config_file.clone().or(variables.config_file);
        let config_file = named_file.clone().unwrap_or_else(|| inputs.paths.config_file.clone());
        let file = file::read(&config_file, named_file.is_some())?;

        let mut chosen: Vec<RawSetting> =
            given_flags(inputs).map(|(key, text)| RawSetting::new(key, text, Origin::Flag(key))).collect();
        chosen.extend(variables.chosen);
        let mut layers = Self {
            chosen,
            common: Vec::new(),
            organisation: (inputs.organisation)()?,
            config_file: (config_file, named_file.is_some()),
            notes: variables.notes,
        };
        // Which server it is has to be known before what the organisation says of it counts.
        let is_route = |raw: &&RawSetting| raw.key.info().concerns != Concerns::Server;
        layers.chosen.extend(layers.organisation.settings.iter().filter(is_route).cloned());
        layers.lock();
        // The profile, which chooses a table of the file, may be the organisation's.
        layers.add_file(file);
        layers.lock();
        Ok(layers)
    }

    /// Adds the file's keys: the profile's table overrides the common keys.
    fn add_file(&mut self, file: ConfigFile) {
        let profile_setting =
            self.winner(Key::Profile).or_else(|| file.common.iter().find(|raw| raw.key == Key::Profile));
        let profile = profile_setting.map(|raw| raw.text.expose().clone());
        let table = file.profiles.into_iter().find(|(name, _)| Some(name) == profile.as_ref()).map(|(_, keys)| keys);
        let table = table.unwrap_or_default();
        let overridden: HashSet<Key> = table.iter().map(|raw| raw.key).collect();
        let names_server = overridden.contains(&Key::Tenant) || overridden.contains(&Key::Url);
        self.common = file.common;
        let hidden = |key: Key| overridden.contains(&key) || names_server && matches!(key, Key::Tenant | Key::Url);
        self.chosen.extend(self.common.iter().filter(|raw| !hidden(raw.key)).cloned());
        self.chosen.extend(table);
    }

    /// Adds what the organisation says of its server, if `is_its_server`.
    pub fn add_organisation(&mut self, is_its_server: bool) {
        if !is_its_server {
            let organisation = std::mem::take(&mut self.organisation);
            self.organisation = organisation.without_those_of_server();
            return;
        }
        let of_server = |raw: &&RawSetting| raw.key.info().concerns == Concerns::Server;
        self.chosen.extend(self.organisation.settings.iter().filter(of_server).cloned());
        self.lock();
    }

    /// Drops what the user says of settings that are locked.
    fn lock(&mut self) {
        let locked: Vec<RawSetting> = self.organisation.locked().cloned().collect();
        // Those of its server count once that is known to be the one.
        let counts = |locked: &&RawSetting| self.chosen.iter().any(|raw| raw.origin == locked.origin);
        let counting: Vec<&RawSetting> = locked.iter().filter(counts).collect();
        for locked in counting {
            // The tenant is an address, too.
            let is_meant = |key: Key| match locked.key {
                Key::Tenant | Key::Url => matches!(key, Key::Tenant | Key::Url),
                other => key == other,
            };
            let origins: Vec<Origin> = self
                .chosen
                .iter()
                .filter(|raw| is_meant(raw.key) && !raw.origin.is_locked())
                .map(|raw| raw.origin.clone())
                .collect();
            for origin in origins.iter().filter(|origin| !matches!(origin, Origin::Organisation { .. })) {
                let (name, by) = (locked.key.info().name, &locked.origin);
                self.notes.push(format!("Ignored {name} from {origin}: your organisation sets it, in {by}."));
            }
            self.chosen.retain(|raw| !is_meant(raw.key) || !origins.contains(&raw.origin));
        }
    }

    /// The server that the organisation's settings are for.
    pub fn organisation_server(&self) -> Option<&RawSetting> {
        self.organisation.server()
    }

    /// The value that wins for `key`.
    pub fn winner(&self, key: Key) -> Option<&RawSetting> {
        self.chosen.iter().filter(|raw| raw.key == key).max_by_key(|raw| raw.origin.rank())
    }

    /// Of two mutually exclusive keys, drops the one from the lower layer; an error if both are in the same layer.
    pub fn decide_between(&mut self, a: Key, b: Key) -> Result<(), Problem> {
        let (Some(one), Some(other)) = (self.winner(a), self.winner(b)) else { return Ok(()) };
        let loser = match one.origin.rank().cmp(&other.origin.rank()) {
            Ordering::Less => a,
            Ordering::Greater => b,
            Ordering::Equal => {
                let both = format!("{} and {}", one.label(), other.label());
                return Err(Problem::new(ProblemId::Conflict).with("detail", both));
            }
        };
        self.chosen.retain(|raw| raw.key != loser);
        Ok(())
    }

    /// Puts the client's id and its secret right where each stands in the other's place. Planhat's begin with `pk_` and `sk_`,
    /// so that nothing is guessed; and a form has a field for both. A command line shows what it holds, so there the secret is
    /// refused, unless a client made that command line of its form.
    pub fn untangle_client(&mut self) {
        let is_form = self.winner(Key::FromExtension).is_some_and(|raw| raw.text() == "true");
        let place = |key: Key, prefix: &str| {
            let raw = self.winner(key).filter(|raw| raw.text().starts_with(prefix))?;
            if matches!(raw.origin, Origin::Flag(_)) && !is_form {
                return None;
            }
            self.chosen.iter().position(|other| other.key == key && other.origin == raw.origin)
        };
        let (Some(id), Some(secret)) = (place(Key::ClientId, "sk_"), place(Key::ClientSecret, "pk_")) else { return };
        // Each keeps its source: what is said of that is said of what stands there.
        (self.chosen[id].key, self.chosen[secret].key) = (Key::ClientSecret, Key::ClientId);
        self.notes.push(
            "The client id and the client secret were swapped; planhat-mcp uses each one as it was meant.".to_owned(),
        );
    }

    /// The server that the file's common keys are for, even if another layer names a different one.
    pub fn common_server(&self) -> Option<&RawSetting> {
        self.common.iter().find(|raw| matches!(raw.key, Key::Tenant | Key::Url))
    }

    /// Drops the file's common keys that belong to another server than this run's.
    pub fn drop_common_of_other_server(&mut self, for_server: &str) {
        let foreign = |raw: &RawSetting| raw.key.info().concerns == Concerns::Server;
        for raw in self.common.iter().filter(|raw| foreign(raw)) {
            if self.chosen.iter().any(|other| other.origin == raw.origin) {
                let (name, origin) = (raw.key.info().name, &raw.origin);
                self.notes.push(format!("Ignored {name} from {origin}: it is meant for {for_server}."));
            }
        }
        let origins: Vec<Origin> =
            self.common.iter().filter(|raw| foreign(raw)).map(|raw| raw.origin.clone()).collect();
        self.chosen.retain(|raw| !origins.contains(&raw.origin));
    }
}

/// The variables of the environment.
struct Variables {
    chosen: Vec<RawSetting>,
    config_file: Option<PathBuf>,
    notes: Vec<String>,
}

impl Variables {
    fn read(environment: &[(String, OsString)]) -> Result<Self, Problem> {
        let mut found = Self { chosen: Vec::new(), config_file: None, notes: Vec::new() };
        for (name, value) in environment.iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX)) {
            let key = Key::ALL.iter().copied().find(|key| key.info().variable == name);
            match (key, value.to_str()) {
                (_, Some(text)) if is_unset(text) => {}
                (Some(key), Some(text)) => {
                    found.chosen.push(RawSetting::new(key, text.trim(), Origin::Variable(key)));
                }
                (Some(key), None) => {
                    return Err(Problem::new(ProblemId::BadValue)
                        .with("setting", key.info().name)
                        .with("origin", key.info().variable)
                        .with("found", "bytes that are not UTF-8")
                        .with("expected", key.info().expected));
                }
                (None, _) if name == CONFIG_VARIABLE => found.config_file = Some(PathBuf::from(value)),
                (None, _) => found.notes.push(unknown(name)),
            }
        }
        Ok(found)
    }
}

fn unknown(name: &str) -> String {
    let near = name.strip_prefix(VARIABLE_PREFIX).and_then(suggestion).and_then(Key::by_name);
    let near = near.map_or_else(String::new, |key| format!(" (did you mean {}?)", key.info().variable));
    format!("Ignored the unknown variable {name}{near}.")
}

/// The flags that say something. An extension makes one of each field of its form, filled in or not; an address that somebody
/// typed there says more than the tenant, which has a default.
fn given_flags(inputs: &Inputs) -> impl Iterator<Item = (Key, &str)> {
    let is_form = inputs.flags.iter().any(|(key, _)| *key == Key::FromExtension);
    let names_url = is_form && inputs.flags.iter().any(|(key, text)| *key == Key::Url && !is_unset(text));
    let says = move |key: Key, text: &str| !is_form || !is_unset(text) && (key != Key::Tenant || !names_url);
    let flags = inputs.flags.iter().filter(move |(key, text)| says(*key, text));
    flags.map(move |(key, text)| (*key, if is_form { text.trim() } else { text.as_str() }))
}

/// An empty value counts as not set; so does a placeholder that a client passes through when its user left the setting
/// empty.
fn is_unset(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.starts_with("${") && text.ends_with('}')
}

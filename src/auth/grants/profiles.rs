//! Which profiles have a sign-in. Not every keychain can be listed, so a note in the state directory records each one:
//! its profile and server, no secret.

use std::path::Path;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::auth::accounts::Accounts;
use crate::auth::grants::grant::Grant;
use crate::auth::grants::notes;
use crate::config::{Choice, Settings, TokenStoreKind, server};
use crate::store::{Note, StateDir};

/// The suffix of the note's file name.
const PROFILE_NOTE: &str = "profile.json";

/// A profile with a stored sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The MCP server.
    pub url: String,
    /// The client id of its settings, if any.
    pub client_id: Option<String>,
    /// The identifier of its resource, if its settings accept one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The issuer that signed it in; signing out removes the registration there, too.
    pub issuer: String,
    /// Where the tokens are stored, as spelled in settings.
    pub token_store: String,
}

fn note(files: &StateDir) -> Note {
    files.note(PROFILE_NOTE)
}

/// Notes that a sign-in is stored for these settings. Without the note, `--all` does not find it.
pub(crate) fn remember(files: &StateDir, settings: &Settings, issuer: &str) {
    let profile = Profile {
        name: settings.profile.clone(),
        url: settings.url.to_string(),
        client_id: settings.oauth.client_id.clone(),
        resource: settings.oauth.resource.clone(),
        issuer: issuer.to_owned(),
        token_store: settings.token_store.as_str().to_owned(),
    };
    let note = note(files);
    if note.read::<Profile>().as_ref() != Some(&profile)
        && let Err(problem) = note.write(&profile)
    {
        tracing::debug!(%problem, "it is not noted which profile a sign-in was stored for");
    }
}

/// Forgets the note.
pub(crate) fn forget(files: &StateDir) {
    note(files).remove();
}

/// The sign-in of this profile.
pub(crate) fn of(files: &StateDir) -> Option<Profile> {
    note(files).read()
}

/// The issuer of this profile's sign-in, known even if the sign-in's record cannot be read.
pub(crate) fn issuer(files: &StateDir) -> Option<String> {
    note(files).read::<Profile>().map(|profile| profile.issuer).filter(|issuer| !issuer.is_empty())
}

/// All profiles that have a sign-in, by name.
pub fn list(dir: &Path) -> Vec<Profile> {
    let mut found: Vec<Profile> = StateDir::notes(dir, PROFILE_NOTE).iter().filter_map(Note::read).collect();
    found.retain(|profile: &Profile| server::is_profile_name(&profile.name));
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    found
}

impl Profile {
    /// The settings to act on it with: its own server and client; network and folders from this run. `None` if this
    /// program would not use its address.
    pub fn settings(&self, run: &Settings) -> Option<Settings> {
        let url: Url = server::parse_url(&self.url).ok()?;
        let mut settings = Settings::for_url(url, run.paths.clone());
        settings.profile.clone_from(&self.name);
        settings.oauth.client_id.clone_from(&self.client_id);
        settings.oauth.resource.clone_from(&self.resource);
        settings.network = run.network.clone();
        settings.log = run.log.clone();
        settings.token_store = TokenStoreKind::of_word(&self.token_store)?;
        settings.run_flags = match self.url.as_str() {
            server::PRODUCTION_URL => Vec::new(),
            server::DEMO_URL => vec!["--tenant".to_owned(), "demo".to_owned()],
            other => vec!["--url".to_owned(), other.to_owned()],
        };
        let is_default_profile = self.name == server::profile_of(&settings.url);
        let is_default_store = settings.token_store == TokenStoreKind::Keychain;
        for (flag, value) in [
            ("--profile", (!is_default_profile).then_some(&self.name)),
            ("--client-id", self.client_id.as_ref()),
            ("--resource", self.resource.as_ref()),
            ("--token-store", (!is_default_store).then_some(&self.token_store)),
        ] {
            settings.run_flags.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        Some(settings)
    }
}

/// Every account that may be in the store for these settings, readable or not.
pub(crate) fn accounts(files: &StateDir, settings: &Settings, grant: Option<&Grant>) -> Vec<String> {
    let mut accounts = vec![Accounts::grant(settings)];
    // An earlier version or other settings may have used another name.
    accounts.extend(notes::stored_account(files).read::<String>());
    let clients = [settings.oauth.client_id.as_deref(), grant.map(|grant| grant.client_id.as_str())];
    accounts.extend(clients.into_iter().flatten().map(|id| Accounts::client_secret(settings, id)));
    let issuers = [grant.map(|grant| grant.issuer.clone()), issuer(files)];
    accounts.extend(issuers.into_iter().flatten().flat_map(|issuer| Accounts::registrations(settings, &issuer)));
    accounts.sort();
    accounts.dedup();
    accounts
}

#[cfg(test)]
mod tests {
    use crate::auth::grants::profiles::*;
    use crate::config::Paths;

    #[test]
    fn profiles_are_listed_by_name_with_what_is_needed_to_act_on_them() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { config_file: "/c".into(), state_dir: dir.path().to_owned() };
        for (name, url) in [("mcp.example.com", "https://mcp.example.com/mcp"), ("acme", server::DEMO_URL)] {
            let mut settings = Settings::for_url(url.parse().unwrap(), paths.clone());
            settings.profile = name.to_owned();
            settings.token_store = TokenStoreKind::File;
            remember(&StateDir::new(dir.path(), name), &settings, "https://as");
        }
        std::fs::write(dir.path().join("x.profile.json"), r#"{"name":"../x","url":"","issuer":"","token_store":""}"#)
            .unwrap();
        let found = list(dir.path());
        assert_eq!(found.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>(), ["acme", "mcp.example.com"]);
        let run = Settings::for_url(server::PRODUCTION_URL.parse().unwrap(), paths);
        let settings = found[0].settings(&run).unwrap();
        assert_eq!((settings.url.as_str(), settings.token_store), (server::DEMO_URL, TokenStoreKind::File));
        assert_eq!(settings.command("login"), "planhat-mcp login --tenant demo --profile acme --token-store file");
        let bad = Profile { url: "http://example.com/mcp".into(), ..found[0].clone() };
        assert!(bad.settings(&run).is_none(), "plain http to another machine");
    }
}

//! The settings by which a user consents, for one profile, to what the rules of signing in refuse: what each means, and how
//! it is offered.

use super::key::Key;
use super::origin::Origin;
use super::raw_setting::RawSetting;
use super::read;
use super::settings::{Settings, quoted};

/// A rule of signing in that does not hold for this profile, by the user's consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// The setting.
    pub key: Key,
    /// Its value.
    pub value: String,
    /// What it means, as a sentence.
    pub meaning: &'static str,
}

impl Deviation {
    /// The option that stands for it on a command line.
    pub fn option(&self) -> String {
        option_of(self.key, &self.value)
    }
}

/// The consents of these settings, in the order of the table.
pub fn deviations(settings: &Settings) -> Vec<Deviation> {
    let meaning = |key: Key| match key {
        Key::Resource => {
            "The server may call itself this, and is sent tokens that were issued for it, wherever else they are good."
        }
        Key::Issuer => {
            "The description of the sign-in counts as this issuer's, wherever it is published; other issuers are refused."
        }
        _ => {
            "A sign-in starts although the authorization server does not list S256. If it ignores PKCE, a stolen code \
             can be used."
        }
    };
    [
        (Key::Resource, settings.oauth.resource.clone()),
        (Key::Issuer, settings.oauth.issuer.clone()),
        (Key::AllowUnlistedS256, settings.oauth.allow_unlisted_s256.then(|| true.to_string())),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some(Deviation { key, value: value?, meaning: meaning(key) }))
    .collect()
}

/// The option by which a user consents to this value, for a shell; `None` if the setting would not take it.
pub fn offer(key: Key, value: &str) -> Option<String> {
    let raw = RawSetting::new(key, value, Origin::Default);
    let is_taken = match key {
        Key::Resource => read::resource(&raw).is_ok(),
        Key::Issuer => read::issuer(&raw).is_ok(),
        _ => read::truth(&raw).is_ok(),
    };
    is_taken.then(|| option_of(key, value))
}

fn option_of(key: Key, value: &str) -> String {
    let flag = key.flag().unwrap_or_default();
    if value == "true" { flag.to_owned() } else { format!("{flag} {}", quoted(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Paths;

    #[test]
    fn each_consent_is_told_with_its_option_and_what_it_means() {
        let url = url::Url::parse("https://mcp.example/mcp").unwrap();
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        assert_eq!(deviations(&settings), []);
        settings.oauth.resource = Some("api://1111/app".into());
        settings.oauth.issuer = Some("https://as.example/t".into());
        settings.oauth.allow_unlisted_s256 = true;
        let told: Vec<String> = deviations(&settings).iter().map(Deviation::option).collect();
        assert_eq!(told, ["--resource api://1111/app", "--issuer https://as.example/t", "--allow-unlisted-s256"]);
        let meanings: Vec<&str> = deviations(&settings).iter().map(|deviation| deviation.meaning).collect();
        for (meaning, word) in meanings.iter().zip(["tokens", "issuer", "S256"]) {
            assert!(meaning.contains(word) && meaning.ends_with('.'), "{meaning}");
        }
    }

    #[test]
    fn what_a_server_names_is_offered_only_as_a_value_that_the_setting_takes_and_a_shell_leaves_alone() {
        let offered = |key, value: &str| offer(key, value);
        assert_eq!(offered(Key::Resource, "api://1111/app").as_deref(), Some("--resource api://1111/app"));
        assert_eq!(offered(Key::Resource, "urn:app").as_deref(), Some("--resource urn:app"));
        let with_query = offered(Key::Resource, "https://h/mcp?a=1&b=$(id)").unwrap();
        assert!(!with_query.contains(" https") && with_query.ends_with(['\'', '"']), "{with_query}");
        for bad in ["", "app", "https://h/#f", "https://h/a b", "https://h/`id`", "https://h/\"", "https://h/\n"] {
            assert_eq!(offered(Key::Resource, bad), None, "{bad:?}");
        }
        assert_eq!(offered(Key::Issuer, "https://as.example/t").as_deref(), Some("--issuer https://as.example/t"));
        for bad in
            ["http://as.example", "https://u@as.example", "https://as.example/?x=1", "https://as.example/#f", "as"]
        {
            assert_eq!(offered(Key::Issuer, bad), None, "{bad:?}");
        }
        assert_eq!(offered(Key::AllowUnlistedS256, "true").as_deref(), Some("--allow-unlisted-s256"));
    }
}

//! Shows a sign-in: who, for what, until when, and where it is stored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::auth::{GrantKind, GrantSummary};
use crate::config::{Settings, TokenStoreKind};
use crate::secret::ServerWords;
use crate::store::Backend;

/// The parts of a sign-in to show; no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The client that signed in.
    pub client_id: Option<ServerWords>,
    /// Who signed in, according to the server.
    pub person: Option<ServerWords>,
    /// The granted scope, as the server names it.
    pub scope: Option<ServerWords>,
    /// When the access token ends, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// Whether it renews itself.
    pub renewable: bool,
    /// Where the tokens are stored, in words.
    pub kept: String,
}

/// Where tokens are (or would be) stored, and why there, in words.
pub fn kept(backend: &Backend) -> String {
    let place = match backend.kind {
        TokenStoreKind::Keychain => format!("in {}", backend.place),
        TokenStoreKind::File => format!("in the file {}", backend.place),
        TokenStoreKind::Memory => "in memory, until the program ends".to_owned(),
    };
    format!("{place}, {}", backend.why)
}

impl Grant {
    /// A sign-in in this store.
    pub fn new(granted: GrantSummary, backend: &Backend) -> Self {
        Self {
            client_id: (granted.kind != GrantKind::Static).then_some(granted.client_id),
            person: granted.person,
            scope: granted.scope,
            expires_at: granted.expires_at,
            renewable: granted.renews,
            kept: kept(backend),
        }
    }

    /// As rows of a table.
    pub fn rows(&self, settings: &Settings, now: u64) -> Vec<(&'static str, String)> {
        let mut rows = Vec::new();
        if let Some(client_id) = &self.client_id {
            rows.push(("client id", client_id.to_string()));
        }
        if let Some(person) = &self.person {
            rows.push(("user", format!("{person}, as reported by the server")));
        }
        if let Some(scope) = &self.scope {
            rows.push(("scope", scope_in_words(scope.as_str(), settings)));
        }
        rows.push(("valid", self.validity(now)));
        rows.push(("stored", self.kept.clone()));
        rows
    }

    /// Whether it is over, and only another sign-in helps.
    pub fn has_ended(&self, now: u64) -> bool {
        !self.renewable && self.expires_at.is_some_and(|at| at <= now)
    }

    /// How long it is valid, and whether the user has to act then.
    pub fn validity(&self, now: u64) -> String {
        let until = match self.expires_at {
            None => return "until the server ends it".to_owned(),
            Some(at) => at,
        };
        let date = UNIX_EPOCH.checked_add(Duration::from_secs(until)).unwrap_or(SystemTime::UNIX_EPOCH);
        let date = httpdate::fmt_http_date(date);
        match (until.checked_sub(now), self.renewable) {
            (Some(left), true) => format!("for {}, then renews automatically", in_words(left)),
            (Some(left), false) => format!("for {} (until {date}); then sign in again", in_words(left)),
            (None, true) => "renews with the next call".to_owned(),
            (None, false) => format!("no, expired {date}; sign in again"),
        }
    }
}

/// The names of Planhat's two scopes do not explain themselves.
fn scope_in_words(scope: &str, settings: &Settings) -> String {
    match scope {
        "inclusive" if settings.product.is_planhat() => {
            "inclusive: what both your Role and the OAuth client may do".to_owned()
        }
        "default" if settings.product.is_planhat() => "default: everything that the OAuth client may do".to_owned(),
        other => other.to_owned(),
    }
}

/// A duration as people say it.
pub fn in_words(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds / 60, "minute"),
        7_200..=172_799 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Paths;
    use crate::secret::Secrets;

    fn grant(expires_at: Option<u64>, renewable: bool) -> Grant {
        Grant {
            client_id: Some(Secrets::none().words("pk_1")),
            person: None,
            scope: Some(Secrets::none().words("inclusive")),
            expires_at,
            renewable,
            kept: "in the keychain".to_owned(),
        }
    }

    #[test]
    fn how_long_it_is_valid_says_whether_somebody_has_to_act() {
        assert_eq!(grant(Some(1_000 + 3_540), true).validity(1_000), "for 59 minutes, then renews automatically");
        assert_eq!(grant(Some(1_000), true).validity(1_001), "renews with the next call");
        let ended = grant(Some(0), false).validity(1_001);
        assert_eq!(ended, "no, expired Thu, 01 Jan 1970 00:00:00 GMT; sign in again");
        assert_eq!(grant(None, false).validity(0), "until the server ends it");
    }

    #[test]
    fn an_impossible_expiry_is_shown_without_a_panic() {
        assert!(grant(Some(u64::MAX), false).validity(0).contains("days"));
    }

    #[test]
    fn the_scope_of_planhat_is_said_in_words() {
        let url = url::Url::parse(crate::config::server::PRODUCTION_URL).expect("a constant");
        let settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        let rows = grant(None, true).rows(&settings, 0);
        assert!(rows.iter().any(|(label, text)| *label == "scope" && text.contains("Role")), "{rows:?}");
    }

    #[test]
    fn durations_read_as_people_say_them() {
        let said: Vec<String> = [1, 119, 120, 7_199, 7_200, 172_800].into_iter().map(in_words).collect();
        assert_eq!(said, ["1 second", "119 seconds", "2 minutes", "119 minutes", "2 hours", "2 days"]);
    }
}

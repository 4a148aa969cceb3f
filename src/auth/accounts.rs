//! The account names of records in the credential store.

use crate::auth::issuer;
use crate::auth::resource;
use crate::config::Settings;
use crate::hash::fnv1a;

/// The account names of records in the store.
#[derive(Debug)]
pub struct Accounts;

impl Accounts {
    /// The account of the sign-in for these settings: one per profile, client and resource. The issuer is in the
    /// record, because it is unknown before discovery.
    pub fn grant(settings: &Settings) -> String {
        let client = settings.oauth.client_id.as_deref().unwrap_or("-");
        name(settings, "sign-in", &[client, &resource::canonical(&settings.url)])
    }

    /// The account of the registration with a server, one per profile and issuer, followed by the one for the other
    /// form of the issuer.
    pub fn registrations(settings: &Settings, issuer: &str) -> Vec<String> {
        let origin = settings.url.origin().ascii_serialization();
        issuer::forms(issuer).iter().map(|form| name(settings, "registration", &[form, &origin])).collect()
    }

    /// The account of a client's secret.
    pub fn client_secret(settings: &Settings, client_id: &str) -> String {
        name(settings, "client-secret", &[client_id, &settings.url.origin().ascii_serialization()])
    }
}

/// Readable in the keychain's own window, and short, because Windows limits it.
fn name(settings: &Settings, kind: &str, parts: &[&str]) -> String {
    let mut key = Vec::new();
    for part in parts {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    let profile: String = settings.profile.chars().take(64).collect();
    format!("{profile} {kind} {:016x}", fnv1a(&key))
}

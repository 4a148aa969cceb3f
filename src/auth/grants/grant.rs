//! What is stored of a sign-in.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::auth::discovery::resource;
use crate::auth::registration::client::AuthMethod;
use crate::config::Settings;
use crate::hash::fnv1a;
use crate::http::NamedBy;
use crate::secret::Secret;
use crate::store::StoreError;

/// The record's form; a newer program may write a higher one.
const VERSION: u32 = 1;

/// How a sign-in came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A person agreed to it.
    #[default]
    Person,
    /// The client got it for itself.
    Client,
    /// An access token that the user typed: sent as it is, and never renewed.
    Static,
}

/// A sign-in: tokens, and all that is needed to renew them without asking anybody again.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Which interactive sign-in this came from; stays the same through renewals.
    pub id: String,
    /// How it came about.
    pub kind: GrantKind,
    /// How often it has been renewed since: tells the newer of two, whatever the clocks say.
    pub renewals: u64,
    /// When somebody signed in, in seconds since 1970.
    pub signed_in_at: u64,
    /// The issuer that gave it.
    pub issuer: String,
    /// The client that it was given to.
    pub client_id: String,
    /// What it is for (RFC 8707).
    pub resource: String,
    /// Where it is renewed.
    pub token_endpoint: String,
    /// Where it is withdrawn, if the server has such a place (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Who has named these endpoints.
    pub named_by: NamedBy,
    /// How the client proved itself there.
    pub auth_method: AuthMethod,
    /// The access token.
    pub access_token: Secret,
    /// The refresh token; `None` when there is none or when the server no longer takes it.
    pub refresh_token: Option<Secret>,
    /// When the access token was given, in seconds since 1970.
    pub obtained_at: u64,
    /// When it ends; `None` when the server did not say.
    pub expires_at: Option<u64>,
    /// What it allows, as far as the server said.
    pub scope: Option<String>,
    /// Who signed in, as far as the server said; only to be shown.
    pub person: Option<String>,
}

/// The stored form, whose secrets are plain text: lives only between [`Grant`] and the store.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    id: String,
    #[serde(default)]
    kind: GrantKind,
    #[serde(default)]
    renewals: u64,
    #[serde(default)]
    signed_in_at: u64,
    issuer: String,
    client_id: String,
    resource: String,
    token_endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    /// The stricter one where it was not noted yet.
    #[serde(default = "public")]
    named_by: NamedBy,
    auth_method: AuthMethod,
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    obtained_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<String>,
}

fn public() -> NamedBy {
    NamedBy::Public
}

impl Grant {
    /// Whether the access token ends within `margin` seconds from `now`.
    pub fn ends_within(&self, now: u64, margin: u64) -> bool {
        self.expires_at.is_some_and(|end| end <= now.saturating_add(margin))
    }

    /// How long before its end the token is renewed: a tenth of its life, at most a minute.
    pub fn margin(&self) -> u64 {
        let life = self.expires_at.unwrap_or(u64::MAX).saturating_sub(self.obtained_at);
        (life / 10).min(60)
    }

    /// Whether `other` is what this one was renewed from: its refresh token may be spent.
    pub fn replaces(&self, other: &Grant) -> bool {
        self.id == other.id && self.renewals > other.renewals
    }

    /// As [`crate::auth::Bearer::tag`].
    pub fn tag(&self) -> u64 {
        fnv1a(self.id.as_bytes())
    }

    /// Whether it is what these settings ask for: another client or resource needs a sign-in of its own.
    pub fn fits(&self, settings: &Settings) -> bool {
        let same_client =
            self.kind == GrantKind::Static || settings.oauth.client_id.as_ref().is_none_or(|id| *id == self.client_id);
        same_client && resource::covers(&self.resource, &settings.url)
    }

    /// The stored form.
    pub fn to_record(&self) -> Secret<Vec<u8>> {
        let mut stored = Stored {
            version: VERSION,
            id: self.id.clone(),
            kind: self.kind,
            renewals: self.renewals,
            signed_in_at: self.signed_in_at,
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            resource: self.resource.clone(),
            token_endpoint: self.token_endpoint.clone(),
            revocation_endpoint: self.revocation_endpoint.clone(),
            named_by: self.named_by,
            auth_method: self.auth_method,
            access_token: self.access_token.expose().clone(),
            refresh_token: self.refresh_token.as_ref().map(|token| token.expose().clone()),
            obtained_at: self.obtained_at,
            expires_at: self.expires_at,
            scope: self.scope.clone(),
            person: self.person.clone(),
        };
        let bytes = serde_json::to_vec(&stored).expect("strings and numbers always serialize");
        zeroize::Zeroize::zeroize(&mut stored.access_token);
        zeroize::Zeroize::zeroize(&mut stored.refresh_token);
        Secret::new(bytes)
    }

    /// Reads the stored form.
    pub fn from_record(record: &Secret<Vec<u8>>) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // The text of a decoding error could quote a token.
        let damaged = |_| StoreError::Corrupt("it is no sign-in of this program".into());
        let Version { version } = serde_json::from_slice(record.expose()).map_err(damaged)?;
        if version > VERSION {
            return Err(StoreError::Corrupt("a newer version of planhat-mcp wrote it".into()));
        }
        let stored: Stored = serde_json::from_slice(record.expose()).map_err(damaged)?;
        Ok(Self {
            id: stored.id,
            kind: stored.kind,
            renewals: stored.renewals,
            signed_in_at: stored.signed_in_at,
            issuer: stored.issuer,
            client_id: stored.client_id,
            resource: stored.resource,
            token_endpoint: stored.token_endpoint,
            revocation_endpoint: stored.revocation_endpoint,
            named_by: stored.named_by,
            auth_method: stored.auth_method,
            access_token: Secret::new(stored.access_token),
            refresh_token: stored.refresh_token.map(Secret::new),
            obtained_at: stored.obtained_at,
            expires_at: stored.expires_at,
            scope: stored.scope,
            person: stored.person,
        })
    }
}

/// A sign-in as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantSummary {
    /// The issuer that gave it.
    pub issuer: String,
    /// The client that it was given to.
    pub client_id: String,
    /// What it is for.
    pub resource: String,
    /// What it allows, as far as the server said.
    pub scope: Option<String>,
    /// When the access token ends, in seconds since 1970, as far as the server said.
    pub expires_at: Option<u64>,
    /// Whether it renews itself.
    pub renews: bool,
    /// How it came about.
    pub kind: GrantKind,
    /// Who signed in, as far as the server said.
    pub person: Option<String>,
}

impl From<&Grant> for GrantSummary {
    fn from(grant: &Grant) -> Self {
        Self {
            issuer: grant.issuer.clone(),
            client_id: grant.client_id.clone(),
            resource: grant.resource.clone(),
            scope: grant.scope.clone(),
            expires_at: grant.expires_at,
            renews: grant.refresh_token.is_some() || grant.kind == GrantKind::Client,
            kind: grant.kind,
            person: grant.person.clone(),
        }
    }
}

impl fmt::Display for GrantSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} at {}", self.client_id, self.resource, self.issuer)
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::grants::grant::*;

    fn grant() -> Grant {
        Grant {
            id: "g".into(),
            kind: GrantKind::Person,
            renewals: 3,
            signed_in_at: 900,
            issuer: "https://as".into(),
            client_id: "pk_1".into(),
            resource: "https://h/mcp".into(),
            token_endpoint: "https://as/token".into(),
            revocation_endpoint: Some("https://as/revoke".into()),
            named_by: NamedBy::Public,
            auth_method: AuthMethod::ClientSecretPost,
            access_token: "canary-access".into(),
            refresh_token: Some("canary-refresh".into()),
            obtained_at: 1_000,
            expires_at: Some(4_600),
            scope: Some("inclusive".into()),
            person: Some("Maja".into()),
        }
    }

    #[test]
    fn a_record_comes_back_whole_and_shows_no_token() {
        let back = Grant::from_record(&grant().to_record()).unwrap();
        assert_eq!(back.access_token, grant().access_token);
        assert_eq!(back.refresh_token, grant().refresh_token);
        assert_eq!(GrantSummary::from(&back), GrantSummary::from(&grant()));
        assert_eq!((back.auth_method, back.renewals, back.signed_in_at), (AuthMethod::ClientSecretPost, 3, 900));
        assert_eq!(back.named_by, NamedBy::Public);
        assert!(!format!("{back:?}").contains("canary"));
    }

    #[test]
    fn a_record_from_before_it_was_noted_who_named_its_endpoints_is_good_and_held_to_public_ones() {
        let record = Grant { named_by: NamedBy::Insider, ..grant() }.to_record();
        let mut record: serde_json::Value = serde_json::from_slice(record.expose()).unwrap();
        assert_eq!(record.as_object_mut().unwrap().remove("named_by").unwrap(), "insider");
        let back = Grant::from_record(&Secret::new(record.to_string().into_bytes())).unwrap();
        assert_eq!((back.named_by, back.access_token), (NamedBy::Public, grant().access_token));
    }

    #[test]
    fn damage_is_told_without_quoting_it() {
        for text in
            ["", "{}", r#"{"version":1,"access_token":"canary"}"#, r#"{"version":99}"#, r#"{"version":1,"id":"canary"#]
        {
            let error = Grant::from_record(&Secret::new(text.as_bytes().to_vec())).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt(_)));
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn a_token_is_renewed_a_little_before_its_end() {
        let grant = grant();
        assert_eq!(grant.margin(), 60);
        assert!(!grant.ends_within(4_539, 60));
        assert!(grant.ends_within(4_540, 60));
        assert_eq!(Grant { expires_at: Some(1_100), ..grant.clone() }.margin(), 10);
        assert!(!Grant { expires_at: None, ..grant }.ends_within(u64::MAX, 60));
    }
}

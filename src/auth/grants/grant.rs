//! The stored form of a sign-in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::auth::discovery::search::Discovered;
use crate::auth::endpoints;
use crate::auth::exchange::request::Issued;
use crate::auth::grants::plain_text::{plain, plain_option};
use crate::auth::registration::client::{AuthMethod, Client};
use crate::auth::resource;
use crate::config::Settings;
use crate::hash::fnv1a;
use crate::http::AddressSource;
use crate::limits::SHORTEST_TOKEN_LIFE;
use crate::secret::{Secret, Secrets, ServerWords};
use crate::store::StoreError;
use crate::store::server_memory::is_recent;

/// The version of the record; a newer program may write a higher one.
pub(crate) const RECORD_VERSION: u32 = 1;

/// How a grant was obtained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// A person consented to it.
    #[default]
    Person,
    /// The client got it for itself.
    Client,
    /// An access token that the user typed in: sent unchanged, and never renewed.
    Static,
}

/// A sign-in: tokens, and everything needed to renew them without a person.
///
/// Its serialized form is the record in the credential store, with the tokens in plain text: it goes nowhere else, and
/// only [`Grant::to_record`] creates it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// Which interactive sign-in this came from; stays the same through renewals.
    pub id: String,
    /// How it was obtained.
    #[serde(default)]
    pub kind: GrantKind,
    /// The number of renewals since: tells which of two is newer, whatever the clocks say.
    #[serde(default)]
    pub renewals: u64,
    /// When somebody signed in, in seconds since 1970.
    #[serde(default)]
    pub signed_in_at: u64,
    /// Its issuer.
    pub issuer: String,
    /// The client that it was issued to.
    pub client_id: String,
    /// The resource that it is for (RFC 8707).
    pub resource: String,
    /// Where it is renewed.
    pub token_endpoint: String,
    /// Where it is revoked, if the server offers that (RFC 7009).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// Who named these endpoints; the stricter source in older records, which lack it.
    #[serde(default = "public")]
    pub named_by: AddressSource,
    /// How the client authenticated there.
    pub auth_method: AuthMethod,
    /// Since when only raw Basic works, in seconds since 1970; forgotten as soon as another method does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_basic_since: Option<u64>,
    /// Since when requests leave out `resource` (RFC 8707), because the server refused a token that was asked for with it, in
    /// seconds since 1970; forgotten when it refuses one without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_resource_since: Option<u64>,
    /// The access token.
    #[serde(with = "plain")]
    pub access_token: Secret,
    /// The refresh token; `None` if there is none or the server no longer accepts it.
    #[serde(default, with = "plain_option", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<Secret>,
    /// When the access token was issued, in seconds since 1970.
    pub obtained_at: u64,
    /// When it expires; `None` if the server did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// Its scope, if the server names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Who signed in, if the server names them; for display only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
}

/// When a token ends that was given at `now`. One that ends at once would be renewed before each request.
fn end_of(life: Duration, now: u64) -> u64 {
    now.saturating_add(life.max(SHORTEST_TOKEN_LIFE).as_secs())
}

/// Since when the client authenticates with raw Basic, if it does now.
fn since(method: AuthMethod, held: Option<u64>, now: u64) -> Option<u64> {
    let held = held.filter(|held| is_recent(*held, now));
    (method == AuthMethod::ClientSecretBasicRaw).then(|| held.unwrap_or(now))
}

fn public() -> AddressSource {
    AddressSource::Public
}

impl Grant {
    /// The tokens in it.
    pub(crate) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::none();
        secrets.add(self.access_token.expose());
        self.refresh_token.iter().for_each(|token| secrets.add(token.expose()));
        secrets
    }

    /// What the server issued to this client, with somebody's consent; `requested` is the requested scope.
    pub(crate) fn issued(
        found: &Discovered,
        client: &Client,
        issued: Issued,
        requested: Option<String>,
        now: u64,
    ) -> Self {
        Self {
            id: oauth2::CsrfToken::new_random_len(16).into_secret(),
            kind: GrantKind::Person,
            renewals: 0,
            signed_in_at: now,
            issuer: found.server.issuer.clone(),
            client_id: client.id.clone(),
            resource: found.resource.clone(),
            token_endpoint: found.server.token_endpoint.clone(),
            revocation_endpoint: found.server.revocation_endpoint.clone(),
            named_by: found.named_by,
            auth_method: issued.method,
            raw_basic_since: since(issued.method, None, now),
            without_resource_since: found.without_resource_since,
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            obtained_at: now,
            expires_at: issued.expires_in.map(|life| end_of(life, now)),
            // An absent scope means the requested one (RFC 6749, 5.1).
            scope: issued.scope.or(requested),
            person: issued.person,
        }
    }

    /// An access token that the user typed in, for the resource at `url`.
    pub(crate) fn typed(token: Secret, url: &Url, now: u64) -> Self {
        Self {
            id: oauth2::CsrfToken::new_random_len(16).into_secret(),
            kind: GrantKind::Static,
            renewals: 0,
            signed_in_at: now,
            issuer: String::new(),
            client_id: String::new(),
            resource: resource::canonical(url),
            token_endpoint: String::new(),
            revocation_endpoint: None,
            named_by: AddressSource::Insider,
            auth_method: AuthMethod::None,
            raw_basic_since: None,
            without_resource_since: None,
            access_token: token,
            refresh_token: None,
            obtained_at: now,
            expires_at: None,
            scope: None,
            person: None,
        }
    }

    /// This grant after a renewal. What the answer leaves out stays unchanged (RFC 6749, 6).
    pub(crate) fn renewed(&self, issued: Issued, now: u64) -> Self {
        Self {
            renewals: self.renewals + 1,
            auth_method: issued.method,
            raw_basic_since: since(issued.method, self.raw_basic_since, now),
            access_token: issued.access_token,
            refresh_token: issued.refresh_token.or_else(|| self.refresh_token.clone()),
            obtained_at: now,
            expires_at: issued.expires_in.map(|life| end_of(life, now)),
            scope: issued.scope.or_else(|| self.scope.clone()),
            ..self.clone()
        }
    }

    /// How its client authenticates at `now`: what was found out counts for a time.
    pub(crate) fn method_at(&self, now: u64) -> AuthMethod {
        match (self.auth_method, self.raw_basic_since) {
            (AuthMethod::ClientSecretBasicRaw, Some(since)) if !is_recent(since, now) => AuthMethod::ClientSecretBasic,
            (method, _) => method,
        }
    }

    /// Whether the access token expires within `margin` seconds from `now`.
    pub fn ends_within(&self, now: u64, margin: u64) -> bool {
        self.expires_at.is_some_and(|end| end <= now.saturating_add(margin))
    }

    /// How long before it expires the token is renewed: a tenth of its lifetime, at most a minute.
    pub fn renewal_margin_seconds(&self) -> u64 {
        let lifetime = self.expires_at.unwrap_or(u64::MAX).saturating_sub(self.obtained_at);
        (lifetime / 10).min(60)
    }

    /// Whether this one was renewed from `other`, whose refresh token may be spent.
    pub fn replaces(&self, other: &Grant) -> bool {
        self.id == other.id && self.renewals > other.renewals
    }

    /// As [`crate::auth::Bearer::tag`].
    pub fn tag(&self) -> u64 {
        fnv1a(self.id.as_bytes())
    }

    /// Whether it fits these settings: another client or resource needs its own sign-in.
    pub fn fits(&self, settings: &Settings) -> bool {
        let same_client =
            self.kind == GrantKind::Static || settings.oauth.client_id.as_ref().is_none_or(|id| *id == self.client_id);
        let accepted = settings.oauth.resource.as_deref().filter(|_| self.kind != GrantKind::Static);
        same_client && resource::is_accepted(&self.resource, &settings.url, accepted)
    }

    /// Whether it came from this token endpoint or its origin, if the settings name one. An access token that somebody
    /// typed came from nowhere, and is presented nowhere.
    pub fn is_from(&self, configured: Option<&Url>) -> bool {
        let is_same = |url: &Url| endpoints::share_origin(url.as_str(), &self.token_endpoint);
        self.kind == GrantKind::Static || configured.is_none_or(is_same)
    }

    /// Where it is revoked (RFC 7009), unless that lies at another origin than it came from: what the server stores for one
    /// is not for the other.
    pub fn revoked_at(&self) -> Option<&str> {
        let endpoint = self.revocation_endpoint.as_deref()?;
        endpoints::share_origin(endpoint, &self.token_endpoint).then_some(endpoint)
    }

    /// The record in the store.
    pub fn to_record(&self) -> Secret<Vec<u8>> {
        #[derive(Serialize)]
        struct Record<'a> {
            version: u32,
            #[serde(flatten)]
            grant: &'a Grant,
        }
        let record = Record { version: RECORD_VERSION, grant: self };
        Secret::new(serde_json::to_vec(&record).expect("strings and numbers always serialize"))
    }

    /// Reads a record of the store.
    pub fn from_record(record: &Secret<Vec<u8>>) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        // The message of a decoding error could quote a token.
        let damaged = |_| StoreError::Corrupt("it is no sign-in of this program".into());
        let Version { version } = serde_json::from_slice(record.expose()).map_err(damaged)?;
        if version > RECORD_VERSION {
            return Err(StoreError::Corrupt("a newer version of planhat-mcp wrote it".into()));
        }
        let mut grant: Self = serde_json::from_slice(record.expose()).map_err(damaged)?;
        if grant.raw_basic_since.is_some() && grant.auth_method == AuthMethod::ClientSecretBasic {
            grant.auth_method = AuthMethod::ClientSecretBasicRaw;
        }
        Ok(grant)
    }
}

/// The parts of a sign-in that may be shown: what the server chose of it is words of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantSummary {
    /// Its issuer.
    pub issuer: ServerWords,
    /// The client that it was issued to.
    pub client_id: ServerWords,
    /// What it is for.
    pub resource: String,
    /// Its scope, if the server names it.
    pub scope: Option<ServerWords>,
    /// When the access token expires, in seconds since 1970, if the server says so.
    pub expires_at: Option<u64>,
    /// Whether it renews itself.
    pub renews: bool,
    /// How it was obtained.
    pub kind: GrantKind,
    /// Who signed in, if the server names them.
    pub person: Option<ServerWords>,
    /// Since when its client is known to authenticate with Basic without the standard's encoding, if it does.
    pub raw_basic_since: Option<u64>,
    /// Since when `resource` is left out of its requests, if it is.
    pub without_resource_since: Option<u64>,
}

impl From<&Grant> for GrantSummary {
    fn from(grant: &Grant) -> Self {
        let secrets = grant.secrets();
        Self {
            issuer: secrets.words(&grant.issuer),
            client_id: secrets.words(&grant.client_id),
            resource: grant.resource.clone(),
            scope: grant.scope.as_deref().map(|scope| secrets.words(scope)),
            expires_at: grant.expires_at,
            renews: grant.refresh_token.is_some() || grant.kind == GrantKind::Client,
            kind: grant.kind,
            person: grant.person.as_deref().map(|person| secrets.words(person)),
            raw_basic_since: grant.raw_basic_since,
            without_resource_since: grant.without_resource_since,
        }
    }
}

impl fmt::Display for GrantSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} at {}", self.client_id, self.resource, self.issuer)
    }
}

/// A grant for tests.
#[cfg(test)]
pub(crate) fn example() -> Grant {
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
        named_by: AddressSource::Public,
        auth_method: AuthMethod::ClientSecretPost,
        raw_basic_since: None,
        without_resource_since: None,
        access_token: "canary-access".into(),
        refresh_token: Some("canary-refresh".into()),
        obtained_at: 1_000,
        expires_at: Some(4_600),
        scope: Some("inclusive".into()),
        person: Some("Maja".into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::grants::grant::*;

    #[test]
    fn a_record_comes_back_whole_and_shows_no_token() {
        let back = Grant::from_record(&example().to_record()).unwrap();
        assert_eq!(back.access_token, example().access_token);
        assert_eq!(back.refresh_token, example().refresh_token);
        assert_eq!(GrantSummary::from(&back), GrantSummary::from(&example()));
        assert_eq!((back.auth_method, back.renewals, back.signed_in_at), (AuthMethod::ClientSecretPost, 3, 900));
        assert_eq!(back.named_by, AddressSource::Public);
        assert!(!format!("{back:?}").contains("canary"));
    }

    #[test]
    fn what_a_server_chose_of_a_sign_in_is_shown_as_its_words() {
        let said = |text: &str| format!("{text}\u{1b}[2J\u{7}\u{202e} canary-access {}", "x".repeat(5_000));
        let summary = GrantSummary::from(&Grant {
            issuer: said("https://as"),
            client_id: said("pk_1"),
            scope: Some(said("read")),
            person: Some(said("Maja")),
            ..example()
        });
        for words in [&summary.issuer, &summary.client_id, &summary.scope.unwrap(), &summary.person.unwrap()] {
            assert!(words.as_str().contains(r"\u001b[2J\u0007\u202e [redacted] xx"), "{words}");
            assert!(words.as_str().chars().count() <= crate::limits::SHOWN_WORDS_CHARS + 1, "{words}");
        }
    }

    #[test]
    fn a_record_from_before_it_was_noted_who_named_its_endpoints_is_good_and_held_to_public_ones() {
        let record = Grant { named_by: AddressSource::Insider, ..example() }.to_record();
        let mut record: serde_json::Value = serde_json::from_slice(record.expose()).unwrap();
        assert_eq!(record.as_object_mut().unwrap().remove("named_by").unwrap(), "insider");
        let back = Grant::from_record(&Secret::new(record.to_string().into_bytes())).unwrap();
        assert_eq!((back.named_by, back.access_token), (AddressSource::Public, example().access_token));
    }

    #[test]
    fn the_form_of_basic_that_worked_is_kept_with_its_date_and_an_earlier_version_reads_basic() {
        let grant = Grant { auth_method: AuthMethod::ClientSecretBasicRaw, raw_basic_since: Some(7), ..example() };
        let record = grant.to_record();
        let fields: serde_json::Value = serde_json::from_slice(record.expose()).unwrap();
        assert_eq!((&fields["auth_method"], &fields["raw_basic_since"]), (&"client_secret_basic".into(), &7.into()));
        let back = Grant::from_record(&record).unwrap();
        assert_eq!((back.auth_method, back.raw_basic_since), (AuthMethod::ClientSecretBasicRaw, Some(7)));
        assert_eq!(Grant::from_record(&example().to_record()).unwrap().auth_method, AuthMethod::ClientSecretPost);
        assert_eq!(since(AuthMethod::ClientSecretBasicRaw, Some(7), 9), Some(7));
        let late = 7 + crate::limits::SERVER_MEMORY_LIFE.as_secs();
        assert_eq!(since(AuthMethod::ClientSecretBasicRaw, Some(7), late), Some(late), "it was found out anew");
        assert_eq!(back.method_at(late - 1), AuthMethod::ClientSecretBasicRaw);
        assert_eq!(back.method_at(late), AuthMethod::ClientSecretBasic);
        assert_eq!(since(AuthMethod::ClientSecretBasic, Some(7), 9), None);
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
    fn a_grant_is_for_the_origin_of_the_endpoint_that_it_came_from_and_for_no_other() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (configured, is_from) in [
            ("https://as/token", true),
            ("https://as/v2/token", true),
            ("https://as:8443/token", false),
            ("http://as/token", false),
            ("https://evil/token", false),
        ] {
            assert_eq!(example().is_from(Some(&url(configured))), is_from, "{configured}");
        }
        assert!(example().is_from(None));
        let typed = Grant::typed("t".into(), &url("https://h/mcp"), 0);
        assert!(typed.is_from(Some(&url("https://evil/token"))), "it is never presented to a token endpoint");
        assert_eq!(example().revoked_at(), Some("https://as/revoke"));
        let elsewhere = Grant { revocation_endpoint: Some("https://evil/revoke".into()), ..example() };
        assert_eq!(elsewhere.revoked_at(), None);
    }

    #[test]
    fn a_token_is_renewed_a_little_before_its_end() {
        let grant = example();
        assert_eq!(grant.renewal_margin_seconds(), 60);
        assert!(!grant.ends_within(4_539, 60));
        assert!(grant.ends_within(4_540, 60));
        assert_eq!(Grant { expires_at: Some(1_100), ..grant.clone() }.renewal_margin_seconds(), 10);
        assert!(!Grant { expires_at: None, ..grant }.ends_within(u64::MAX, 60));
    }
}

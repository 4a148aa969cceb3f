//! How this program becomes a client of the authorization server, in the order that MCP prescribes: by a pre-registered
//! client id, a client ID metadata document, or dynamic registration ([`crate::auth::registration::dynamic`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::auth::AuthError;
use crate::auth::context::Context;
use crate::auth::discovery::search::Discovered;
use crate::auth::issuer;
use crate::auth::registration::client;
use crate::auth::registration::client::{AuthMethod, Client, ClientOrigin};
use crate::auth::registration::private_key::ClientKey;
use crate::auth::registration::{client_home, dynamic};
use crate::blocking;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId};
use crate::store::{Note, StateDir};

/// The note of the issuer that each pre-registered client id belongs to.
const ISSUERS_NOTE: &str = "issuers.json";

/// Planhat has no dynamic registration, so without a client id no sign-in can start.
pub fn planhat_id_missing(settings: &Settings) -> Option<Problem> {
    let missing = settings.product.is_planhat() && settings.oauth.client_id.as_ref().is_none_or(String::is_empty);
    missing.then(|| {
        Problem::new(ProblemId::PlanhatClientIdMissing)
            .with("redirect_url", settings.oauth.callback.redirect_url())
            .with("config_file", settings.paths.config_file.display())
    })
}

/// The client to sign in as with this scope; `None` if one has to be registered first.
pub(crate) async fn known_client(
    ctx: &Context,
    found: &Discovered,
    scope: Option<&str>,
) -> Result<Option<Client>, AuthError> {
    let key = read_key(&ctx.settings).await?;
    let oauth = &ctx.settings.oauth;
    if let Some(id) = oauth.client_id.clone().filter(|id| !id.is_empty()) {
        stays_with_its_issuer(ctx, &id, found).await?;
        let secret = client::secret(&ctx.settings, &ctx.store, &id).await?;
        return Ok(Some(Client {
            id,
            secret,
            key,
            method: None,
            allowed_scope: None,
            redirect_path: None,
            is_refused_by_any_page: false,
            origin: ClientOrigin::PreRegistered,
        }));
    }
    if let Some(url) = oauth.metadata_url.as_ref().filter(|_| found.server.client_id_metadata_document_supported) {
        let method = if key.is_some() { AuthMethod::PrivateKeyJwt } else { AuthMethod::None };
        let origin = ClientOrigin::MetadataDocument;
        return Ok(Some(Client {
            id: url.to_string(),
            secret: None,
            key,
            method: Some(method),
            allowed_scope: None,
            redirect_path: None,
            is_refused_by_any_page: false,
            origin,
        }));
    }
    Ok(dynamic::usable(&ctx.settings, &ctx.store, &found.server, scope, ctx.now()).await?)
}

/// "There is no client id", with what to do about it.
pub(crate) fn client_id_missing(settings: &Settings, found: &Discovered) -> Problem {
    planhat_id_missing(settings).unwrap_or_else(|| {
        Problem::new(ProblemId::ClientIdMissing)
            .with("issuer", &found.server.issuer)
            .with("redirect_url", settings.oauth.callback.redirect_url())
    })
}

/// The client of an earlier sign-in at this issuer, with what it authenticates with.
pub(crate) async fn client_of(
    ctx: &Context,
    issuer: &str,
    client_id: &str,
    method: AuthMethod,
) -> Result<Client, AuthError> {
    let id = client_id.to_owned();
    let mut client = Client {
        id,
        secret: None,
        key: None,
        method: None,
        allowed_scope: None,
        redirect_path: None,
        is_refused_by_any_page: false,
        origin: ClientOrigin::PreRegistered,
    };
    match method {
        AuthMethod::None => {}
        AuthMethod::PrivateKeyJwt => client.key = read_key(&ctx.settings).await?,
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretBasicRaw | AuthMethod::ClientSecretPost => {}
    }
    if ctx.settings.oauth.client_id.as_ref() == Some(&client.id) {
        if method.sends_secret() {
            client.secret = client::secret(&ctx.settings, &ctx.store, &client.id).await?;
        }
    } else if ctx.settings.oauth.metadata_url.as_ref().is_some_and(|url| url.as_str() == client.id) {
        client.origin = ClientOrigin::MetadataDocument;
    } else {
        if let Some(registered) = dynamic::by_id(&ctx.settings, &ctx.store, issuer, &client.id).await? {
            return Ok(Client { key: client.key, ..registered });
        }
    }
    Ok(client)
}

/// A client id and its secret belong to the server that issued them; a resource that names another server now may be
/// after them.
async fn stays_with_its_issuer(ctx: &Context, client_id: &str, found: &Discovered) -> Result<(), AuthError> {
    let issuer = found.server.issuer.as_str();
    let bound = bound_issuer(ctx).await;
    match &bound {
        Some(bound) if !issuer::is_same(bound, issuer) => Err(AuthError::Failed(
            Problem::new(ProblemId::IssuerMoved)
                .with("client_id", client_id)
                .with("expected", bound)
                .with("found", issuer)
                .with("logout_command", ctx.settings.command("logout")),
        )),
        bound => client_home::check(ctx, client_id, found, bound.as_deref()).await,
    }
}

/// The issuer that the configured client id is bound to, if any.
pub(crate) async fn bound_issuer(ctx: &Context) -> Option<String> {
    let oauth = &ctx.settings.oauth;
    let id = oauth.client_id.clone().filter(|_| oauth.token_endpoint.is_none())?;
    let note = issuers(&ctx.files);
    blocking::run(move || note.read::<BTreeMap<String, String>>()?.remove(&id)).await
}

/// Binds a pre-registered client to the issuer and the token endpoint at which it has signed in.
pub(crate) async fn bind(ctx: &Context, client: &Client, found: &Discovered) {
    let is_given_out = client.origin == ClientOrigin::PreRegistered;
    client_home::settle(ctx, is_given_out.then_some(client.id.as_str()), found).await;
    bind_to_issuer(ctx, client, &found.server.issuer).await;
}

async fn bind_to_issuer(ctx: &Context, client: &Client, issuer: &str) {
    if client.origin != ClientOrigin::PreRegistered || ctx.settings.oauth.token_endpoint.is_some() {
        return;
    }
    let (note, id, issuer) = (issuers(&ctx.files), client.id.clone(), issuer.to_owned());
    let bind = move || {
        let mut all: BTreeMap<String, String> = note.read().unwrap_or_default();
        let is_known = all.insert(id, issuer.clone()) == Some(issuer);
        if is_known { Ok(()) } else { note.write(&all) }
    };
    if let Err(problem) = blocking::run(bind).await {
        tracing::warn!(%problem, "it is not noted which server the client id belongs to");
    }
}

/// The note of the issuer that each client id belongs to; signing out removes it.
pub(crate) fn issuers(files: &StateDir) -> Note {
    files.note(ISSUERS_NOTE)
}

async fn read_key(settings: &Settings) -> Result<Option<Arc<ClientKey>>, AuthError> {
    let Some(key) = settings.oauth.key() else { return Ok(None) };
    let read = blocking::run(move || ClientKey::read(&key)).await;
    read.map(|key| Some(Arc::new(key))).map_err(AuthError::Failed)
}

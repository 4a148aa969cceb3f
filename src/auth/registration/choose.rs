//! How this program becomes a client of the authorization server, in the order that MCP prescribes: by a pre-registered
//! client id, a client ID metadata document, or dynamic registration ([`crate::auth::registration::dynamic`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::auth::AuthError;
use crate::auth::context::Context;
use crate::auth::discovery::issuer;
use crate::auth::discovery::search::Discovered;
use crate::auth::grants::grant::Grant;
use crate::auth::registration::client;
use crate::auth::registration::client::{AuthMethod, Client, ClientOrigin};
use crate::auth::registration::dynamic;
use crate::auth::registration::private_key::ClientKey;
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
    let key = read_key(&ctx.settings)?;
    let oauth = &ctx.settings.oauth;
    if let Some(id) = oauth.client_id.clone().filter(|id| !id.is_empty()) {
        // A token endpoint that the user configured is where they want the client id to be used.
        stays_with_its_issuer(ctx, &id, &found.server.issuer)?;
        let secret = client::secret(&ctx.settings, &ctx.store, &id).await?;
        return Ok(Some(Client {
            id,
            secret,
            key,
            method: None,
            allowed_scope: None,
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
            origin,
        }));
    }
    Ok(dynamic::usable(&ctx.settings, &ctx.store, &found.server.issuer, scope, ctx.now()).await?)
}

/// "There is no client id", with what to do about it.
pub(crate) fn client_id_missing(settings: &Settings, found: &Discovered) -> Problem {
    planhat_id_missing(settings).unwrap_or_else(|| {
        Problem::new(ProblemId::ClientIdMissing)
            .with("issuer", &found.server.issuer)
            .with("redirect_url", settings.oauth.callback.redirect_url())
    })
}

/// The client of a grant, with its credentials.
pub(crate) async fn client_of(ctx: &Context, grant: &Grant) -> Result<Client, AuthError> {
    let id = grant.client_id.clone();
    let mut client =
        Client { id, secret: None, key: None, method: None, allowed_scope: None, origin: ClientOrigin::PreRegistered };
    match grant.auth_method {
        AuthMethod::None => {}
        AuthMethod::PrivateKeyJwt => client.key = read_key(&ctx.settings)?,
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {}
    }
    if ctx.settings.oauth.client_id.as_ref() == Some(&client.id) {
        if grant.auth_method.sends_secret() {
            client.secret = client::secret(&ctx.settings, &ctx.store, &client.id).await?;
        }
    } else if ctx.settings.oauth.metadata_url.as_ref().is_some_and(|url| url.as_str() == client.id) {
        client.origin = ClientOrigin::MetadataDocument;
    } else {
        if let Some(registered) = dynamic::by_id(&ctx.settings, &ctx.store, &grant.issuer, &client.id).await? {
            return Ok(Client { key: client.key, ..registered });
        }
    }
    Ok(client)
}

/// A client id and its secret belong to the server that issued them; a resource that names another server now may be
/// after them.
fn stays_with_its_issuer(ctx: &Context, client_id: &str, issuer: &str) -> Result<(), AuthError> {
    match bound_issuer(ctx) {
        Some(bound) if !issuer::is_same(&bound, issuer) => Err(AuthError::Failed(
            Problem::new(ProblemId::IssuerMoved)
                .with("client_id", client_id)
                .with("expected", bound)
                .with("found", issuer)
                .with("logout_command", ctx.settings.command("logout")),
        )),
        _ => Ok(()),
    }
}

/// The issuer that the configured client id is bound to, if any.
pub(crate) fn bound_issuer(ctx: &Context) -> Option<String> {
    let oauth = &ctx.settings.oauth;
    let id = oauth.client_id.as_ref().filter(|_| oauth.token_endpoint.is_none())?;
    issuers(&ctx.files).read::<BTreeMap<String, String>>()?.remove(id)
}

/// Binds a pre-registered client to the issuer at which it has signed in.
pub(crate) fn bind_to_issuer(ctx: &Context, client: &Client, issuer: &str) {
    if client.origin != ClientOrigin::PreRegistered || ctx.settings.oauth.token_endpoint.is_some() {
        return;
    }
    let note = issuers(&ctx.files);
    let mut all: BTreeMap<String, String> = note.read().unwrap_or_default();
    if all.insert(client.id.clone(), issuer.to_owned()).as_deref() != Some(issuer)
        && let Err(problem) = note.write(&all)
    {
        tracing::warn!(%problem, "it is not noted which server the client id belongs to");
    }
}

/// The note of the issuer that each client id belongs to; signing out removes it.
pub(crate) fn issuers(files: &StateDir) -> Note {
    files.note(ISSUERS_NOTE)
}

fn read_key(settings: &Settings) -> Result<Option<Arc<ClientKey>>, AuthError> {
    let key = settings.oauth.key().as_ref().map(ClientKey::read).transpose().map_err(AuthError::Failed)?;
    Ok(key.map(Arc::new))
}

//! How this program becomes a client of the authorization server, in the order that MCP prescribes: by a client id that
//! an administrator gave out, by a document that describes it, by registering itself ([`crate::auth::registration::dynamic`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::auth::AuthError;
use crate::auth::context::Context;
use crate::auth::discovery::search::Discovered;
use crate::auth::issuer;
use crate::auth::registration::client;
use crate::auth::registration::client::{AuthMethod, Client, ClientOrigin};
use crate::auth::registration::dynamic;
use crate::auth::registration::private_key::ClientKey;
use crate::blocking;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId};
use crate::store::{Note, StateDir};

/// Which server each client id that was given out belongs to.
const ISSUERS_NOTE: &str = "issuers.json";

/// Planhat registers nobody by itself, so without a client id there is nothing to begin.
pub fn planhat_id_missing(settings: &Settings) -> Option<Problem> {
    let missing = settings.product.is_planhat() && settings.oauth.client_id.as_ref().is_none_or(String::is_empty);
    missing.then(|| {
        Problem::new(ProblemId::PlanhatClientIdMissing)
            .with("redirect_url", settings.oauth.callback.redirect_url())
            .with("config_file", settings.paths.config_file.display())
    })
}

/// The client to sign in as and ask for this scope, unless it has to be registered first.
pub(crate) async fn known_client(
    ctx: &Context,
    found: &Discovered,
    scope: Option<&str>,
) -> Result<Option<Client>, AuthError> {
    let key = read_key(&ctx.settings).await?;
    let oauth = &ctx.settings.oauth;
    if let Some(id) = oauth.client_id.clone().filter(|id| !id.is_empty()) {
        // A token endpoint that the user has named is where they want it to be used.
        stays_with_its_issuer(ctx, &id, &found.server.issuer).await?;
        let secret = client::secret(&ctx.settings, &ctx.store, &id).await?;
        return Ok(Some(Client { id, secret, key, method: None, bound: None, origin: ClientOrigin::Given }));
    }
    if let Some(url) = oauth.metadata_url.as_ref().filter(|_| found.server.client_id_metadata_document_supported) {
        let method = if key.is_some() { AuthMethod::PrivateKeyJwt } else { AuthMethod::None };
        let origin = ClientOrigin::Document;
        return Ok(Some(Client { id: url.to_string(), secret: None, key, method: Some(method), bound: None, origin }));
    }
    Ok(dynamic::kept(&ctx.settings, &ctx.store, &found.server.issuer, scope, ctx.now()).await?)
}

/// "There is no client id", as a question that can be answered.
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
    let mut known = Client { id, secret: None, key: None, method: None, bound: None, origin: ClientOrigin::Given };
    match method {
        AuthMethod::None => {}
        AuthMethod::PrivateKeyJwt => known.key = read_key(&ctx.settings).await?,
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => {}
    }
    if ctx.settings.oauth.client_id.as_ref() == Some(&known.id) {
        if method.shows_secret() {
            known.secret = client::secret(&ctx.settings, &ctx.store, &known.id).await?;
        }
    } else if ctx.settings.oauth.metadata_url.as_ref().is_some_and(|url| url.as_str() == known.id) {
        known.origin = ClientOrigin::Document;
    } else {
        if let Some(kept) = dynamic::record(&ctx.settings, &ctx.store, issuer, &known.id).await? {
            return Ok(Client { key: known.key, ..kept });
        }
    }
    Ok(known)
}

/// A client id and its secret are for the server that gave them out; one that names another now may be after them.
async fn stays_with_its_issuer(ctx: &Context, client_id: &str, issuer: &str) -> Result<(), AuthError> {
    match home(ctx).await {
        Some(known) if !issuer::is_same(&known, issuer) => Err(AuthError::Failed(
            Problem::new(ProblemId::IssuerMoved)
                .with("client_id", client_id)
                .with("expected", known)
                .with("found", issuer)
                .with("logout_command", ctx.settings.command("logout")),
        )),
        _ => Ok(()),
    }
}

/// The issuer that the configured client id was used with, where only that one may see it.
pub(crate) async fn home(ctx: &Context) -> Option<String> {
    let oauth = &ctx.settings.oauth;
    let id = oauth.client_id.clone().filter(|_| oauth.token_endpoint.is_none())?;
    let note = issuers(&ctx.files);
    blocking::run(move || note.read::<BTreeMap<String, String>>()?.remove(&id)).await
}

/// Remembers the server at which a client that was given out has signed in.
pub(crate) async fn bind_to_issuer(ctx: &Context, client: &Client, issuer: &str) {
    if client.origin != ClientOrigin::Given || ctx.settings.oauth.token_endpoint.is_some() {
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

/// Which server each client id belongs to; forgotten when the user signs out.
pub(crate) fn issuers(files: &StateDir) -> Note {
    files.note(ISSUERS_NOTE)
}

async fn read_key(settings: &Settings) -> Result<Option<Arc<ClientKey>>, AuthError> {
    let Some(key) = settings.oauth.key() else { return Ok(None) };
    let read = blocking::run(move || ClientKey::read(&key)).await;
    read.map(|key| Some(Arc::new(key))).map_err(AuthError::Failed)
}

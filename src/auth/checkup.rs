//! What `doctor` checks of signing in: each step separately, without starting, storing or changing anything.

use std::sync::Arc;

use url::Url;

use crate::auth::authorizer::Authorizer;
use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::search::{Discovered, ProbedPlace};
use crate::auth::discovery::{probe, scope, search};
use crate::auth::login::authorization_request::Request;
use crate::auth::login::loopback::listener::Callback;
use crate::auth::login::page_says;
use crate::auth::login::page_says::PageSays;
use crate::auth::registration::choose;
use crate::auth::registration::client::{AuthMethod, Client, ClientOrigin};
use crate::auth::registration::{client, dynamic};
use crate::config::CallbackSettings;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;
use crate::store::{ProcessLock, StoreError};

/// How the authorization server was found.
#[derive(Debug)]
pub struct Route {
    /// Each URL that was tried, in order.
    pub probed: Vec<ProbedPlace>,
    /// The result.
    pub found: Result<Discovered, Problem>,
}

/// The client that a sign-in would use.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The client, if already known; `None` if the next sign-in registers one.
    pub client: Option<Client>,
    /// The redirect URL.
    pub callback: CallbackSettings,
}

/// The sign-in page, asked without a session.
#[derive(Debug)]
pub struct Page {
    /// What it says.
    pub says: PageSays,
    /// Whether it says that there is no such client.
    pub knows_no_client: bool,
}

impl Identity {
    /// How the client got its id, in words.
    pub fn origin(&self) -> &'static str {
        match self.client.as_ref().map(|client| client.origin) {
            Some(ClientOrigin::PreRegistered) => "given by the settings",
            Some(ClientOrigin::MetadataDocument) => "a metadata document",
            Some(ClientOrigin::Registered { .. }) => "registered by this program",
            None => "the next sign-in registers one",
        }
    }

    /// How it authenticates, in words.
    pub fn proof(&self) -> &'static str {
        match &self.client {
            Some(client) if client.key.is_some() => "with a private key",
            Some(client) if client.secret.is_some() => "with a secret",
            Some(client) if client.method == Some(AuthMethod::None) || !client.lacks_secret() => "a public client",
            Some(_) => "without a secret",
            None => "",
        }
    }
}

/// The checks of `doctor` for signing in.
#[derive(Debug)]
pub struct Checkup {
    ctx: Arc<Context>,
    /// The server's challenge, if met.
    challenge: Arc<Challenge>,
}

impl Checkup {
    /// The checks for this authorizer, with the challenge that it has met.
    pub fn of(auth: &Authorizer) -> Self {
        Self { ctx: Arc::clone(&auth.ctx), challenge: auth.sign_ins.challenge() }
    }

    /// Finds the authorization server, as a sign-in would.
    pub async fn route(&self) -> Route {
        let flow = if self.ctx.uses_client_credentials() { Flow::Client } else { Flow::Code };
        let probe::Probed { challenge, is_open } = probe::probe(&self.ctx, &self.challenge).await;
        let mut probed = Vec::new();
        let bound_issuer = choose::bound_issuer(&self.ctx).await;
        let (settings, bound_issuer) = (&self.ctx.settings, bound_issuer.as_deref());
        let found =
            search::discover_by_steps(&self.ctx.http, settings, &challenge, flow, bound_issuer, &mut probed).await;
        let found =
            found.map_err(Problem::from).and_then(|found| found.check_wanted(settings, is_open).map(|()| found));
        Route { probed, found: found.map_err(|problem| self.ctx.explain(problem)) }
    }

    /// The client that a sign-in at this server would use.
    pub async fn identity(&self, found: &Discovered) -> Result<Identity, Problem> {
        let settings = &self.ctx.settings.oauth.callback;
        let scope = scope::choose(&self.ctx.settings, &self.challenge().await, found, Flow::Code);
        let client = choose::known_client(&self.ctx, found, scope.as_deref())
            .await
            .map_err(|error| self.ctx.explain(error.into()))?;
        if client.is_none() && found.server.registration_endpoint.is_none() {
            return Err(self.ctx.explain(choose::client_id_missing(&self.ctx.settings, found)));
        }
        let port = match client.as_ref().map(|client| client.origin) {
            Some(ClientOrigin::Registered { port }) => port,
            _ => settings.port,
        };
        let path = client.as_ref().and_then(|client| client.redirect_path.clone());
        let path = path.unwrap_or_else(|| settings.path.clone());
        Ok(Identity { client, callback: CallbackSettings { port, path, ..settings.clone() } })
    }

    /// Whether the port of the redirect URL is free; `Ok(false)` if another sign-in of this program holds it.
    pub async fn port(&self, callback: &CallbackSettings) -> Result<bool, Problem> {
        if ProcessLock::is_held(&self.ctx.files.port_lock(callback.port))? {
            return Ok(false);
        }
        Callback::bind(callback).map(|_| true).map_err(|problem| self.ctx.explain(problem))
    }

    /// Requests the authorization page as a browser without a session would; follows no redirect. Nobody could use the
    /// answer: the verifier is discarded.
    pub async fn page(&self, found: &Discovered, identity: &Identity) -> Result<Page, Problem> {
        let Some(client) = &identity.client else {
            return Ok(Page { says: PageSays::GoesOn, knows_no_client: false });
        };
        let redirect_url = identity.callback.redirect_url();
        let scope = scope::choose(&self.ctx.settings, &self.challenge().await, found, Flow::Code);
        let scope = scope::bounded(&self.ctx.settings, scope.as_deref(), client.allowed_scope.as_deref());
        let ask = async |scope: Option<&str>| {
            let request = Request::new(&self.ctx.settings, found, client, &redirect_url, scope)?;
            let answer = page_says::ask(&self.ctx, found, &request.link).await?;
            let says = page_says::read(&request.link, &redirect_url, &answer, &request.expected.secrets);
            Ok::<_, Problem>((request, answer, says))
        };
        let (mut request_to_page, mut answer, mut says) = ask(scope.as_deref()).await?;
        // As a sign-in does, what this program has added by itself is taken back.
        if matches!(&says, PageSays::Refused(problem) if problem.id == ProblemId::InvalidScope)
            && let Some(narrower) = scope::without_added(&self.ctx.settings, scope.as_deref())
        {
            (request_to_page, answer, says) = ask(narrower.as_deref()).await?;
        }
        let knows_no_client = page_says::knows_no_client(&request_to_page.link, &answer);
        let says = match says {
            PageSays::Refused(problem) => {
                let problem = client.explained(problem.with("client_id", &client.id));
                let problem = scope::explained(problem, scope.as_deref(), found);
                PageSays::Refused(self.ctx.explain(problem))
            }
            says => says,
        };
        Ok(Page { says, knows_no_client })
    }

    /// Whether the store accepts records.
    pub async fn store(&self) -> Result<(), Problem> {
        // Before the dummy record: writing it sets a damaged file aside.
        if let Err(error @ StoreError::Corrupt(_)) = self.ctx.store.read(&self.ctx.account).await {
            return Err(self.ctx.explain(error.into()));
        }
        self.ctx.store.check().await.map_err(|error| self.ctx.explain(error.into()))
    }

    /// All secrets that this program knows of these settings: what the user gave, and what is stored. A store that does not
    /// answer adds none.
    pub async fn secrets(auth: &Authorizer) -> Secrets {
        let (settings, store) = (&auth.ctx.settings, &auth.ctx.store);
        let current = auth.tokens.cache.current();
        let mut secrets = current.as_ref().map_or_else(Secrets::none, |current| current.grant.secrets());
        if let Some(grant) = current.map(|current| current.grant) {
            let registered = dynamic::by_id(settings, store, &grant.issuer, &grant.client_id).await.ok().flatten();
            let given = client::secret(settings, store, &grant.client_id).await.ok().flatten();
            let both = registered.and_then(|client| client.secret).into_iter().chain(given);
            both.for_each(|secret| secrets.add_pair(&grant.client_id, secret.expose()));
        }
        let given = [&settings.static_token, &settings.oauth.client_secret];
        given.into_iter().flatten().for_each(|secret| secrets.add(secret.expose()));
        let proxy = settings.network.proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose()).ok());
        proxy.iter().filter_map(Url::password).for_each(|password| secrets.add(password));
        secrets
    }

    async fn challenge(&self) -> Challenge {
        probe::challenge(&self.ctx, &self.challenge).await
    }
}

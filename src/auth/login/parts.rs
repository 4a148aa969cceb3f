//! The parts of a sign-in: the server and the scope, the client, and the port of the redirect URL.

use tokio::time::Instant;

use crate::auth::context::Context;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::search::Discovered;
use crate::auth::exchange::refusal::Refusal;
use crate::auth::grants::stored;
use crate::auth::login::loopback::listener::Callback;
use crate::auth::registration::client::{Client, ClientOrigin};
use crate::auth::registration::dynamic::RegistrationRequest;
use crate::auth::registration::{choose, dynamic};
use crate::blocking;
use crate::config::CallbackSettings;
use crate::problem::{Problem, ProblemId};
use crate::store::ProcessLock;

/// The server and the scope of a sign-in.
#[derive(Debug)]
pub(crate) struct SignInTarget {
    pub(crate) found: Discovered,
    pub(crate) scope: Option<String>,
    /// When the sign-in times out.
    pub(crate) deadline: Instant,
}

/// The client of a sign-in, and its redirect URL.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) client: Client,
    /// Whether the client was registered for this sign-in.
    pub(crate) is_new: bool,
    pub(crate) callback: CallbackSettings,
    /// Bound before anybody is redirected there; the device flow has none.
    pub(crate) listener: Option<Callback>,
    /// Profiles that share a port take turns.
    pub(crate) port_turn: Option<ProcessLock>,
}

/// Why a sign-in ended without a token.
#[derive(Debug)]
pub(crate) enum LoginEnd {
    /// The server does not know the client.
    UnknownClient(Problem),
    /// Anything else.
    Problem(Problem),
}

impl LoginEnd {
    /// The problem behind it.
    pub(crate) fn problem(self) -> Problem {
        match self {
            LoginEnd::UnknownClient(problem) | LoginEnd::Problem(problem) => problem,
        }
    }
}

impl From<Problem> for LoginEnd {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Refusal> for LoginEnd {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Client(problem) => Self::UnknownClient(problem),
            refusal => Self::Problem(refusal.problem()),
        }
    }
}

impl Parts {
    /// The client, registered if need be, and the port of its redirect URL. A registered one with the id `doubted` is
    /// replaced, unless the server takes no other; the sign-in in use can still be renewed with it.
    pub(crate) async fn prepare(
        ctx: &Context,
        found: &Discovered,
        scope: Option<&str>,
        flow: Flow,
        doubted: Option<&str>,
        deadline: Instant,
    ) -> Result<Self, Problem> {
        let known = choose::known_client(ctx, found, scope).await?;
        let is_doubted = |client: &Client| client.is_registered() && doubted == Some(client.id.as_str());
        let (known, doubted) = match known {
            Some(client) if is_doubted(&client) => (None, Some(client)),
            known => (known, None),
        };
        if let Some(client) = known
            && let Some(parts) = Self::for_client(ctx, client, flow, deadline).await?
        {
            return Ok(parts);
        }
        let problem = match (Self::register(ctx, found, scope, flow, deadline).await, &doubted) {
            (Err(problem), Some(_)) => problem,
            (registered, _) => return registered,
        };
        tracing::warn!(%problem, "no other client can be registered, so the doubted one is used once more");
        match doubted {
            Some(client) => Self::for_client(ctx, client, flow, deadline).await?.ok_or(problem),
            None => Err(problem),
        }
    }

    /// The parts for a known client. `None` if its port is taken, and another client can be registered with another
    /// port.
    async fn for_client(ctx: &Context, client: Client, flow: Flow, deadline: Instant) -> Result<Option<Self>, Problem> {
        let callback = &ctx.settings.oauth.callback;
        let port = match client.origin {
            ClientOrigin::Registered { port } => port,
            ClientOrigin::PreRegistered | ClientOrigin::MetadataDocument => callback.port,
        };
        let may_change_port = client.is_registered() && callback.free;
        let path = client.redirect_path.clone().unwrap_or_else(|| callback.path.clone());
        let callback = CallbackSettings { port, path, ..callback.clone() };
        let mut parts = Self { client, is_new: false, callback, listener: None, port_turn: None };
        if flow == Flow::Device {
            return Ok(Some(parts));
        }
        match bind(ctx, &parts.callback, deadline).await {
            Ok((listener, turn)) => {
                (parts.listener, parts.port_turn) = (Some(listener), Some(turn));
                Ok(Some(parts))
            }
            Err(problem) if problem.id == ProblemId::PortInUse && may_change_port => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn register(
        ctx: &Context,
        found: &Discovered,
        scope: Option<&str>,
        flow: Flow,
        deadline: Instant,
    ) -> Result<Self, Problem> {
        let no_client = || choose::client_id_missing(&ctx.settings, found);
        if found.server.registration_endpoint.is_none() {
            return Err(no_client());
        }
        let callback = &ctx.settings.oauth.callback;
        let (listener, callback, port_turn) = if callback.free {
            let callback = callback.clone();
            let (listener, callback) = blocking::run(move || Callback::bind_any(&callback)).await?;
            (listener, callback, None)
        } else {
            let (listener, turn) = bind(ctx, callback, deadline).await?;
            (listener, callback.clone(), Some(turn))
        };
        let http = ctx.http.named_by(found.named_by);
        let in_use = stored::read(ctx).await.ok().flatten().map(|grant| grant.client_id);
        let request = RegistrationRequest { callback: &callback, scope, in_use: in_use.as_deref(), flow };
        let registered = dynamic::register(&http, &ctx.settings, &ctx.store, &found.server, request).await?;
        let client = registered.ok_or_else(no_client)?;
        let path = client.redirect_path.clone().unwrap_or_else(|| callback.path.clone());
        let callback = CallbackSettings { path, ..callback };
        let listener = (flow != Flow::Device).then_some(listener);
        Ok(Self { client, is_new: true, callback, listener, port_turn })
    }
}

/// The port, once other sign-ins have released it; a foreign holder is an error.
async fn bind(
    ctx: &Context,
    callback: &CallbackSettings,
    deadline: Instant,
) -> Result<(Callback, ProcessLock), Problem> {
    let lock = ctx.files.port_lock(callback.port);
    let left = deadline.saturating_duration_since(Instant::now());
    let turn = ProcessLock::acquire(&lock, "another sign-in on the same port", left).await?;
    // Who holds a port that is taken is looked up in files.
    let callback = callback.clone();
    Ok((blocking::run(move || Callback::bind(&callback)).await?, turn))
}

//! The sign-in itself: discovery, the client, the place that the browser comes back to, the tokens. What happens in
//! the browser is [`crate::auth::login::code_flow`]'s, and the code for another device [`crate::auth::login::device_flow`]'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::auth::Challenge;
use crate::auth::authorizer::Authorizer;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::scope;
use crate::auth::discovery::search;
use crate::auth::discovery::search::Discovered;
use crate::auth::exchange::token_endpoint::{Endpoint, Issued, Refusal};
use crate::auth::grants::grant::{Grant, GrantKind, GrantSummary};
use crate::auth::login::attempt;
use crate::auth::login::attempt::{Pending, Since};
use crate::auth::login::loopback::listener::Callback;
use crate::auth::registration::client::{Client, ClientOrigin};
use crate::auth::registration::dynamic;
use crate::auth::registration::dynamic::Wish;
use crate::config::CallbackSettings;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;
use crate::store::{LockError, ProcessLock};

/// How long others may be looking whether a sign-in is under way, which holds the lock for a moment.
const LOOKED_AT: Duration = Duration::from_millis(500);
/// How long a sign-in with a code on another device may take, where the server allows that much.
pub(crate) const LONGEST_CODE: Duration = Duration::from_secs(15 * 60);
/// The time that a sign-in has beyond that of its user: to find its way before, and to exchange and keep tokens after.
const OWN_TIME: Duration = Duration::from_secs(120);
/// How often it is looked whether somebody wants the sign-in to be given up.
const LOOK: Duration = Duration::from_millis(200);
/// How long the MCP endpoint may take to say what it asks for.
const PROBE: Duration = Duration::from_secs(10);

/// How a sign-in is made.
#[derive(Debug, Default)]
pub struct LoginOptions {
    /// Whether to open a browser; the link is told in any case.
    pub open_browser: bool,
    /// Lines that the user pastes: the address of the last page. Races the listener.
    pub paste: Option<mpsc::UnboundedReceiver<String>>,
    /// Whether to sign in with a code on another device (RFC 8628), where the server offers it.
    pub device: bool,
    /// For a sign-in that a bridge has ordered: what it knew then. It leaves the field to one that is under way, and is
    /// content with one that has come since; without this, the user who asks for it joins the one that is under way.
    pub since: Option<Since>,
    /// Whether one that is under way is ended first.
    pub restart: bool,
}

/// What happens during a sign-in, to be shown.
#[derive(Debug)]
pub enum LoginEvent<'a> {
    /// It is known where to sign in.
    Found {
        /// The authorization server, and that it was chosen, in words.
        issuer: &'a str,
        /// The client that asks.
        client_id: &'a str,
    },
    /// The port is bound and the page can be opened.
    Waiting {
        /// The page to sign in at.
        link: &'a str,
        /// Where the browser is sent back to, as it has to be registered.
        redirect_url: &'a str,
        /// How long this waits.
        within: Duration,
    },
    /// Another process is at a sign-in already, and this one waits for its end.
    Joined {
        /// The page to sign in at, where there is one.
        link: Option<&'a str>,
        /// How much longer it waits.
        within: Duration,
    },
    /// A code is to be typed on another device.
    Code {
        /// The code.
        code: &'a str,
        /// The page to type it at.
        page: &'a str,
        /// The page that needs no typing, where there is one.
        page_with_code: Option<&'a str>,
        /// How long this waits.
        within: Duration,
    },
    /// A browser was started.
    BrowserOpened,
    /// No browser could be started; the link has to be opened by hand.
    BrowserNotOpened(&'a Problem),
    /// What was pasted is of no use; the sign-in goes on.
    PasteRejected(&'a Problem),
    /// The answer is there and is being exchanged for tokens.
    Answered,
}

/// Who watches a sign-in.
pub trait LoginUi: Send {
    /// Something happened.
    fn event(&mut self, event: LoginEvent<'_>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl LoginUi for Silent {
    fn event(&mut self, _: LoginEvent<'_>) {}
}

/// What a sign-in asks for, and of whom.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) found: Discovered,
    pub(crate) scope: Option<String>,
}

/// Who signs in, and where the browser comes back to.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) client: Client,
    /// Whether the client was registered for this very sign-in.
    pub(crate) is_new: bool,
    pub(crate) callback: CallbackSettings,
    /// Bound before anybody is sent there; with a code on another device nobody comes back.
    pub(crate) listener: Option<Callback>,
    /// Profiles that share a port take turns.
    pub(crate) _turn: Option<ProcessLock>,
}

/// Why a sign-in ended without a token.
#[derive(Debug)]
pub(crate) enum End {
    /// The server does not know the client.
    UnknownClient(Problem),
    /// Anything else.
    Problem(Problem),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Client(problem) => Self::UnknownClient(problem),
            refusal => Self::Problem(refusal.problem()),
        }
    }
}

impl Authorizer {
    /// Signs in, with a person at it, and stores the tokens.
    pub async fn login(self: &Arc<Self>, options: LoginOptions, ui: &mut dyn LoginUi) -> Result<GrantSummary, Problem> {
        if self.settings.static_token.is_some() {
            return Err(Problem::new(ProblemId::StaticTokenSet));
        }
        if self.is_machine() {
            // No person is needed; this only shows whether it works.
            self.renew(None).await?;
            let summary = self.current().map(|current| GrantSummary::from(&*current.grant));
            return summary.ok_or_else(|| self.sign_in_needed());
        }
        let mut options = options;
        loop {
            if std::mem::take(&mut options.restart) {
                self.stop_sign_in().await?;
            }
            match ProcessLock::acquire(&self.files.login_lock(), "a sign-in", LOOKED_AT).await {
                Ok(lock) => return self.login_alone(lock, options, ui).await,
                Err(LockError::Held { .. }) if options.since.is_some() => {
                    let problem = Problem::new(ProblemId::SignInPending);
                    return Err(self.explain(match self.sign_in_link() {
                        Some(link) => problem.with("link", link),
                        None => problem,
                    }));
                }
                Err(LockError::Held { .. }) => {
                    if let Some(summary) = self.join(&mut options, ui).await.map_err(|p| self.explain(p))? {
                        return Ok(summary);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Signs in, now that nobody else of this profile does.
    async fn login_alone(
        &self,
        _lock: ProcessLock,
        options: LoginOptions,
        ui: &mut dyn LoginUi,
    ) -> Result<GrantSummary, Problem> {
        let note = attempt::note(&self.files);
        let before: Option<Pending> = note.read();
        if let Some(since) = &options.since
            && let Some(come) = self.has_come(since, before.as_ref()).await
        {
            return come;
        }
        let sign_in = self.settings.limits.sign_in;
        let within = if options.device { sign_in.max(LONGEST_CODE) } else { sign_in };
        let opens = options.open_browser && !options.device;
        let mut record = Pending::after(before.as_ref(), self.clock.unix_seconds(), within, opens);
        // What was left behind by somebody who wanted to end another one.
        attempt::stop(&self.files).remove();
        note.write(&record)?;
        let number = record.number;
        let result = tokio::select! {
            result = self.login_in_turn(options, ui, &mut record) => result,
            () = self.is_to_stop(number) => Err(Problem::new(ProblemId::SignInStopped)),
            // Each step has its own bound; this one is for what nobody has thought of.
            () = tokio::time::sleep(within + OWN_TIME) => Err(self.timed_out(None)),
        };
        let result = result.map_err(|problem| self.explain(problem));
        record.end(self.clock.unix_seconds(), result.as_ref().err());
        if let Err(problem) = note.write(&record) {
            tracing::warn!(%problem, "other processes are not told how the sign-in ended");
        }
        result
    }

    /// The outcome of a sign-in that has ended since this one was ordered.
    async fn has_come(&self, since: &Since, last: Option<&Pending>) -> Option<Result<GrantSummary, Problem>> {
        let stored = self.read_grant().await.ok().flatten();
        if let Some(grant) = stored.filter(|grant| since.grant.as_ref() != Some(&grant.id)) {
            tracing::debug!("somebody has signed in meanwhile");
            return Some(Ok(GrantSummary::from(&grant)));
        }
        let failure = last.filter(|last| last.number > since.number)?.failure.clone()?;
        Some(Err(Problem::from(failure)))
    }

    /// Returns when somebody wants the sign-in with this number to be given up.
    async fn is_to_stop(&self, number: u64) {
        loop {
            tokio::time::sleep(LOOK).await;
            if attempt::stop(&self.files).read() == Some(number) {
                return;
            }
        }
    }

    async fn login_in_turn(
        &self,
        mut options: LoginOptions,
        ui: &mut dyn LoginUi,
        record: &mut Pending,
    ) -> Result<GrantSummary, Problem> {
        let deadline = Instant::now() + self.settings.limits.sign_in;
        // Nobody should type a password for a sign-in that cannot be kept.
        self.store.check().await?;
        let challenge = self.learn_challenge().await;
        let flow = if options.device { Flow::Device } else { Flow::Code };
        let home = self.home();
        let found = search::discover(&self.http, &self.settings, &challenge, flow, home.as_deref()).await?;
        let scope = scope::choose(&self.settings, &challenge, &found, flow);
        let mut asked = Asked { found, scope: None };
        let mut again = true;
        loop {
            let place = self.place(&asked.found, scope.as_deref(), flow, deadline).await?;
            let (client, is_new) = (place.client.clone(), place.is_new);
            asked.scope = scope::bounded(&self.settings, scope.as_deref(), &client);
            ui.event(LoginEvent::Found { issuer: &asked.found.chosen(), client_id: &client.id });
            let result = match flow {
                Flow::Device => self.by_code(&asked, &client, ui).await,
                Flow::Code | Flow::Client => self.by_browser(&asked, place, &mut options, deadline, ui, record).await,
            };
            match result {
                Err(End::UnknownClient(problem)) if client.is_registered() => {
                    dynamic::forget(&self.settings, &self.store, &asked.found.server.issuer, &client.id).await;
                    // A new one is known; another would be refused as well, after a second page.
                    if is_new || !std::mem::take(&mut again) {
                        return Err(problem);
                    }
                    tracing::info!("the server does not know this client any more; it is registered anew");
                }
                Err(End::UnknownClient(problem) | End::Problem(problem)) => return Err(problem),
                Ok(summary) => return Ok(summary),
            }
        }
    }

    /// The client, registered if need be, and the port of its redirect URL.
    async fn place(
        &self,
        found: &Discovered,
        scope: Option<&str>,
        flow: Flow,
        deadline: Instant,
    ) -> Result<Place, Problem> {
        let callback = &self.settings.oauth.callback;
        if let Some(client) = self.known_client(found, scope).await? {
            let port = match client.origin {
                ClientOrigin::Registered { port } => port,
                ClientOrigin::Given | ClientOrigin::Document => callback.port,
            };
            let callback = CallbackSettings { port, ..callback.clone() };
            if flow == Flow::Device {
                return Ok(Place { client, is_new: false, callback, listener: None, _turn: None });
            }
            match self.bind(&callback, deadline).await {
                Ok((listener, turn)) => {
                    return Ok(Place { client, is_new: false, callback, listener: Some(listener), _turn: Some(turn) });
                }
                // Another port can be registered just as well.
                Err(problem) if problem.id == ProblemId::PortInUse && client.is_registered() && callback.free => {}
                Err(problem) => return Err(problem),
            }
        }
        if found.server.registration_endpoint.is_none() {
            return Err(self.client_id_missing(found));
        }
        let (listener, callback, turn) = if callback.free {
            let (listener, callback) = Callback::bind_any(callback)?;
            (listener, callback, None)
        } else {
            let (listener, turn) = self.bind(callback, deadline).await?;
            (listener, callback.clone(), Some(turn))
        };
        let http = self.http.named_by(found.named_by);
        let in_use = self.read_grant().await.ok().flatten().map(|grant| grant.client_id);
        let wish = Wish { callback: &callback, scope, in_use: in_use.as_deref() };
        let registered = dynamic::register(&http, &self.settings, &self.store, &found.server, wish).await?;
        let client = registered.ok_or_else(|| self.client_id_missing(found))?;
        let listener = (flow != Flow::Device).then_some(listener);
        Ok(Place { client, is_new: true, callback, listener, _turn: turn })
    }

    /// The port, when its turn has come; a foreign holder is an error.
    async fn bind(&self, callback: &CallbackSettings, deadline: Instant) -> Result<(Callback, ProcessLock), Problem> {
        let lock = self.files.port_lock(callback.port);
        let left = deadline.saturating_duration_since(Instant::now());
        let turn = ProcessLock::acquire(&lock, "another sign-in on the same port", left).await?;
        Ok((Callback::bind(callback)?, turn))
    }

    async fn by_code(&self, asked: &Asked, client: &Client, ui: &mut dyn LoginUi) -> Result<GrantSummary, End> {
        let issued = self.sign_in_by_code(&asked.found, client, asked.scope.as_deref(), ui).await?;
        Ok(self.keep_issued(asked, client, issued).await?)
    }

    /// Stores what a sign-in has brought.
    pub(crate) async fn keep_issued(
        &self,
        asked: &Asked,
        client: &Client,
        issued: Issued,
    ) -> Result<GrantSummary, Problem> {
        let grant = self.granted(&asked.found, client, issued, asked.scope.clone());
        self.bind_to_issuer(client, &grant.issuer);
        self.keep_grant(grant).await
    }

    /// What was issued, as it is kept.
    pub(crate) fn granted(&self, found: &Discovered, client: &Client, issued: Issued, asked: Option<String>) -> Grant {
        let now = self.clock.unix_seconds();
        Grant {
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
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            obtained_at: now,
            expires_at: issued.expires_in.map(|life| now.saturating_add(life.as_secs())),
            // Silence means that it is what was asked for (RFC 6749, 5.1).
            scope: issued.scope.or(asked),
            person: issued.person,
        }
    }

    /// Where and as whom something is presented.
    pub(crate) fn endpoint<'a>(&self, found: &'a Discovered, client: &'a Client) -> Endpoint<'a> {
        Endpoint {
            url: &found.server.token_endpoint,
            client,
            method: client.auth_method(found.server.token_endpoint_auth_methods_supported.as_deref()),
            issuer: &found.server.issuer,
            resource: self.resource(found),
            id_token: self.settings.oauth.id_token,
            now: self.clock.unix_seconds(),
        }
    }

    /// The `resource` of every request, unless it is to be left out.
    pub(crate) fn resource<'a>(&self, found: &'a Discovered) -> Option<&'a str> {
        (!self.settings.oauth.no_resource).then_some(found.resource.as_str())
    }

    /// What the server asks for: as a request has met it, or else by asking without a token.
    pub(crate) async fn learn_challenge(&self) -> Challenge {
        let known = self.challenge();
        if !known.is_silent() {
            return known;
        }
        let Ok(client) = self.http.client(&self.settings.url).await else { return known };
        let mut request = reqwest::Request::new(reqwest::Method::GET, self.settings.url.clone());
        let accept = reqwest::header::HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(reqwest::header::ACCEPT, accept);
        // Only the head of the answer matters; a stream that opens is dropped.
        match tokio::time::timeout(PROBE, client.execute(request)).await {
            Ok(Ok(answer)) => {
                let refused = answer.status() == reqwest::StatusCode::UNAUTHORIZED;
                let said = if refused {
                    Challenge::from_headers(answer.headers(), &Secrets::none())
                } else {
                    Challenge::default()
                };
                said.said_by(self.http.namer(&answer)).after(&known)
            }
            Ok(Err(_)) | Err(_) => known,
        }
    }
}

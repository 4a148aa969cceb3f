//! The sign-in itself (RFC 6749, 4.1, with PKCE): discovery, the client, the port, the browser, the answer, the tokens.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use super::authorize::{Rejection, Request};
use super::authorizer::Authorizer;
use super::callback::{Arrival, Browser, Callback};
use super::client::{AuthMethod, Client};
use super::discovery::{self, Discovered};
use super::page::Page;
use super::pending::{self, Pending, Told};
use super::record::{Grant, GrantSummary};
use super::token::{self, Endpoint, Presented, Refusal};
use super::{Challenge, browser, client, registration};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;
use crate::store::{LockError, ProcessLock};

/// How long others may be looking whether a sign-in is under way, which holds the lock for a moment.
const LOOKED_AT: Duration = Duration::from_millis(500);
/// How long the MCP endpoint may take to say what it asks for.
const PROBE: Duration = Duration::from_secs(10);

/// How a sign-in is made.
#[derive(Debug)]
pub struct LoginOptions {
    /// Whether to open a browser; the link is told in any case.
    pub open_browser: bool,
    /// Lines that the user pastes: the address of the last page. Races the listener.
    pub paste: Option<mpsc::UnboundedReceiver<String>>,
}

/// What happens during a sign-in, to be shown.
#[derive(Debug)]
pub enum LoginEvent<'a> {
    /// It is known where to sign in.
    Found {
        /// The authorization server.
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

/// The answer of the user, from whichever way it came.
struct Answer {
    outcome: Result<Secret, Problem>,
    browser: Option<Browser>,
}

impl Authorizer {
    /// Signs in, with a person at it, and stores the tokens.
    pub async fn login(&self, options: LoginOptions, ui: &mut dyn LoginUi) -> Result<GrantSummary, Problem> {
        if self.settings.static_token.is_some() {
            return Err(Problem::new(ProblemId::StaticTokenSet));
        }
        let _lock = match ProcessLock::acquire(&self.files.login_lock(), "a sign-in", LOOKED_AT).await {
            Err(LockError::Held { .. }) => {
                let problem = Problem::new(ProblemId::SignInPending);
                return Err(self.explain(match self.sign_in_link() {
                    Some(link) => problem.with("link", link),
                    None => problem,
                }));
            }
            lock => lock?,
        };
        let note = pending::note(&self.files);
        let mut record = Pending { started: self.clock.unix_seconds(), link: None, failure: None };
        note.write(&record)?;
        let result = self.login_in_turn(options, ui, &mut record).await.map_err(|problem| self.explain(problem));
        match &result {
            Ok(_) => note.remove(),
            Err(problem) => {
                record.failure = Some(Told::from(problem));
                if let Err(problem) = note.write(&record) {
                    tracing::debug!(%problem, "nobody is told why the sign-in failed");
                }
            }
        }
        result
    }

    async fn login_in_turn(
        &self,
        mut options: LoginOptions,
        ui: &mut dyn LoginUi,
        record: &mut Pending,
    ) -> Result<GrantSummary, Problem> {
        let within = self.settings.limits.sign_in;
        let deadline = Instant::now() + within;
        let callback = &self.settings.oauth.callback;
        let redirect_url = callback.redirect_url();
        // Nobody should type a password for a sign-in that cannot be kept.
        self.store.check().await?;
        let challenge = self.learn_challenge().await;
        let found = discovery::discover(&self.http, &self.settings, &challenge).await?;
        let client = registration::client(&self.settings, &self.store, &found.server).await?;
        ui.event(LoginEvent::Found { issuer: &found.server.issuer, client_id: &client.id });
        // Two profiles of this program that share a port take turns; a foreign holder is an error.
        let port_lock = self.files.port_lock(callback.port);
        let _port = ProcessLock::acquire(&port_lock, "another sign-in on the same port", within).await?;
        // Bound before anybody is sent there.
        let listener = Callback::bind(callback)?;
        let request = Request::new(&self.settings, &challenge, &found, &client)?;
        let (serving, arrivals) = listener.serve(request.expected.clone(), self.settings.command("login"))?;
        record.link = Some(request.link.to_string());
        pending::note(&self.files).write(record)?;
        self.tell(super::AuthState::SigningIn { link: record.link.clone() });
        ui.event(LoginEvent::Waiting { link: request.link.as_str(), redirect_url: &redirect_url, within });
        if options.open_browser {
            match open_browser(&request).await {
                Ok(()) => ui.event(LoginEvent::BrowserOpened),
                Err(problem) => ui.event(LoginEvent::BrowserNotOpened(&self.explain(problem))),
            }
        }
        let result = match self.answer(&request, arrivals, options.paste.take(), deadline, ui).await {
            Some(answer) => {
                ui.event(LoginEvent::Answered);
                let finished = match answer.outcome {
                    Ok(code) => self.finish(&found, &client, &request, &code, &redirect_url).await,
                    Err(problem) => Err(problem),
                }
                .map_err(|problem| self.explain(problem));
                if let Some(browser) = answer.browser {
                    // Only now is it true.
                    browser.show(match &finished {
                        Ok(_) => Page::signed_in(&self.settings.service_name()),
                        Err(problem) => Page::failed(problem),
                    });
                }
                finished
            }
            None => Err(self.timed_out(within, &client)),
        };
        serving.finish().await;
        result
    }

    /// The user's answer, from the browser or pasted; `None` when the time is over.
    async fn answer(
        &self,
        request: &Request,
        mut arrivals: mpsc::UnboundedReceiver<Arrival>,
        mut paste: Option<mpsc::UnboundedReceiver<String>>,
        deadline: Instant,
        ui: &mut dyn LoginUi,
    ) -> Option<Answer> {
        loop {
            tokio::select! {
                Some(Arrival { outcome, browser }) = arrivals.recv() => {
                    return Some(Answer { outcome, browser: Some(browser) });
                }
                line = pasted(&mut paste) => match self.read_paste(&line, request) {
                    Ok(outcome) => return Some(Answer { outcome, browser: None }),
                    Err(problem) => ui.event(LoginEvent::PasteRejected(&self.explain(problem))),
                },
                () = tokio::time::sleep_until(deadline) => return None,
            }
        }
    }

    fn timed_out(&self, within: Duration, client: &Client) -> Problem {
        let id = if self.settings.product.is_planhat() {
            ProblemId::PlanhatSignInTimedOut
        } else {
            ProblemId::SignInTimedOut
        };
        Problem::new(id).with("minutes", within.as_secs().div_ceil(60)).with("client_id", &client.id)
    }

    /// Exchanges the code and stores what comes of it.
    async fn finish(
        &self,
        found: &Discovered,
        client: &Client,
        request: &Request,
        code: &Secret,
        redirect_url: &str,
    ) -> Result<GrantSummary, Problem> {
        let supported = found.server.token_endpoint_auth_methods_supported.as_deref();
        let endpoint = Endpoint {
            url: &found.server.token_endpoint,
            client,
            method: AuthMethod::choose(client.secret.is_some(), supported),
            resource: &found.resource,
        };
        let presented = Presented::Code { code, verifier: &request.verifier, redirect_url };
        let issued = token::present(&self.http, &endpoint, &presented).await.map_err(Refusal::problem)?;
        let now = self.clock.unix_seconds();
        let grant = Grant {
            id: oauth2::CsrfToken::new_random_len(16).into_secret(),
            renewals: 0,
            signed_in_at: now,
            issuer: found.server.issuer.clone(),
            client_id: client.id.clone(),
            resource: found.resource.clone(),
            token_endpoint: found.server.token_endpoint.clone(),
            auth_method: issued.method,
            access_token: issued.access_token,
            refresh_token: issued.refresh_token,
            obtained_at: now,
            expires_at: issued.expires_in.map(|life| now.saturating_add(life.as_secs())),
            scope: issued.scope.or_else(|| self.settings.oauth.scope.clone()),
        };
        let summary = GrantSummary::from(&grant);
        let lock = self.token_lock().await?;
        if let Some(secret) = self.settings.oauth.client_secret.as_ref().filter(|secret| !secret.is_empty()) {
            // Renewing needs it, also in runs that are not given it.
            client::keep_secret(&self.settings, &self.store, &grant.client_id, secret).await?;
        }
        self.save(&grant).await?;
        self.set_unsaved(None);
        drop(lock);
        self.adopt(Some(grant));
        Ok(summary)
    }

    /// What the server asks for: as a request has met it, or else by asking without a token.
    async fn learn_challenge(&self) -> Challenge {
        let known = self.challenge();
        if known != Challenge::default() {
            return known;
        }
        let Ok(client) = self.http.client(&self.settings.url) else { return known };
        let mut request = reqwest::Request::new(reqwest::Method::GET, self.settings.url.clone());
        let accept = reqwest::header::HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(reqwest::header::ACCEPT, accept);
        // Only the head of the answer matters; a stream that opens is dropped.
        match tokio::time::timeout(PROBE, client.execute(request)).await {
            Ok(Ok(answer)) if answer.status() == reqwest::StatusCode::UNAUTHORIZED => {
                Challenge::from_headers(answer.headers())
            }
            _ => known,
        }
    }

    /// The outcome that a pasted address (or its query) holds, or why it is of no use. Only a code or an error ends the
    /// sign-in: the likeliest wrong paste of all, the link itself, holds the right `state` too.
    fn read_paste(&self, line: &str, request: &Request) -> Result<Result<Secret, Problem>, Problem> {
        let redirect_url = self.settings.oauth.callback.redirect_url();
        let useless = |detail: &str| {
            Problem::new(ProblemId::PastedUrlInvalid).with("detail", detail).with("redirect_url", &redirect_url)
        };
        let line = line.trim();
        let (address, query) = line.split_once('?').unwrap_or(("", line));
        let query = query.split('#').next().unwrap_or(query);
        if address.contains("://") && Url::parse(address).ok() != Url::parse(&redirect_url).ok() {
            let page = request.link.as_str().split('?').next();
            return Err(useless(if page == Some(address) {
                "that is the link to open; the address on which the browser ends is wanted"
            } else {
                "it is an address of another page"
            }));
        }
        if !url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "code" || name == "error") {
            return Err(useless("it holds no answer of the server"));
        }
        match request.expected.code(query) {
            Ok(code) => Ok(Ok(code)),
            Err(Rejection::Final(problem)) => Ok(Err(problem)),
            Err(Rejection::Foreign) => Err(Problem::new(ProblemId::StateMismatch)),
        }
    }
}

/// Starting a browser may take a moment, which the listener's thread does not notice.
async fn open_browser(request: &Request) -> Result<(), Problem> {
    let link = request.link.clone();
    let opened = tokio::task::spawn_blocking(move || browser::open(&link)).await;
    opened.unwrap_or_else(|_| {
        Err(Problem::new(ProblemId::BrowserFailed).with("link", &request.link).with("detail", "it broke down"))
    })
}

/// The next pasted line; never, when nothing can be pasted (any more).
async fn pasted(paste: &mut Option<mpsc::UnboundedReceiver<String>>) -> String {
    loop {
        match paste {
            None => return std::future::pending().await,
            Some(lines) => match lines.recv().await {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => return line,
                None => *paste = None,
            },
        }
    }
}

//! The authorization code flow (RFC 6749, 4.1, with PKCE) with a person at the browser: link, redirect, code.

use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use crate::auth::context::Context;
use crate::auth::discovery::scope;
use crate::auth::exchange::request::{Endpoint, GrantRequest};
use crate::auth::exchange::token_endpoint;
use crate::auth::grants::grant::Grant;
use crate::auth::grants::stored;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Attempt;
use crate::auth::login::authorization_request::{CallbackError, Rejection, Request};
use crate::auth::login::loopback::listener::{Arrival, Browser, Serving};
use crate::auth::login::loopback::page::Page;
use crate::auth::login::parts::{LoginEnd, Parts, SignInTarget};
use crate::auth::login::sign_in_page;
use crate::auth::login::ui::{LoginEvent, LoginOptions, LoginUi, pasted_line};
use crate::auth::registration::client::Client;
use crate::auth::registration::dynamic;
use crate::problem::{Problem, ProblemId, printable};
use crate::secret::Secret;
use crate::store::ProcessLock;

/// The user's answer, from the browser or pasted.
struct Answer {
    outcome: Result<Secret, CallbackError>,
    browser: Option<Browser>,
}

/// The browser that waits for the outcome, and its port.
#[derive(Default)]
pub(crate) struct LastPage {
    browser: Option<Browser>,
    serving: Option<Serving>,
    port_turn: Option<ProcessLock>,
    /// What of the authorization server lies at other origins than its issuer, in words.
    elsewhere: Option<String>,
}

impl std::fmt::Debug for LastPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LastPage").field("browser", &self.browser.is_some()).finish_non_exhaustive()
    }
}

impl LastPage {
    /// For a sign-in without a redirect.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// Shows the outcome, closes the port, and releases it to the next profile.
    pub(crate) async fn show(self, ctx: &Context, failure: Option<&Problem>) {
        if let Some(browser) = self.browser {
            browser.show(match failure {
                None => {
                    let elsewhere = self.elsewhere.map(|words| format!("You signed in at {words}"));
                    Page::signed_in(&ctx.settings.service_name(), elsewhere)
                }
                Some(problem) => Page::failed(&ctx.explain(problem.clone())),
            });
        }
        if let Some(serving) = self.serving {
            serving.finish().await;
        }
        drop(self.port_turn);
    }
}

/// Sends the user to the authorization server, and exchanges the code.
pub(crate) async fn code_flow(
    ctx: &Context,
    target: &SignInTarget,
    parts: Parts,
    options: &mut LoginOptions,
    ui: &mut dyn LoginUi,
    attempt: &mut Attempt,
) -> (Result<Grant, LoginEnd>, LastPage) {
    let mut last_page = LastPage::none();
    let outcome = run(ctx, target, parts, options, ui, attempt, &mut last_page).await;
    (outcome, last_page)
}

async fn run(
    ctx: &Context,
    target: &SignInTarget,
    parts: Parts,
    options: &mut LoginOptions,
    ui: &mut dyn LoginUi,
    attempt: &mut Attempt,
    last_page: &mut LastPage,
) -> Result<Grant, LoginEnd> {
    let Parts { client, callback, listener, port_turn, is_new } = parts;
    last_page.port_turn = port_turn;
    let issuer = &target.found.server.issuer;
    last_page.elsewhere = target.found.elsewhere().words().map(|words| format!("{}. {words}", printable(issuer)));
    let redirect_url = callback.redirect_url();
    let Some(listener) = listener else {
        return Err(Problem::new(ProblemId::ListenFailed).with("place", &redirect_url).into());
    };
    let mut scope = target.scope.clone();
    let mut request = Request::new(&ctx.settings, &target.found, &client, &redirect_url, scope.as_deref())?;
    let (serving, mut arrivals) = listener.serve(request.expected.clone(), ctx.settings.command("login"))?;
    let serving = last_page.serving.insert(serving);
    attempt.redirect_url = Some(redirect_url.clone());
    attempt.link = Some(request.link.to_string());
    attempt.unanswered = client.is_registered().then(|| client.id.clone());
    attempt::save(ctx, attempt).await?;
    let within = target.deadline.saturating_duration_since(Instant::now());
    let may_be_forgotten = client.is_registered() && !is_new;
    let link = request.link.as_str();
    ui.event(LoginEvent::Waiting { link, redirect_url: &redirect_url, within, may_be_forgotten });
    if options.open_browser {
        let opened = match ctx.brake.admit_tab().await {
            Ok(admission) => sign_in_page::open(ctx, attempt.number, &request.link, admission).await,
            Err(problem) => Err(problem.with("link", &request.link)),
        };
        match opened {
            Ok(()) => ui.event(LoginEvent::BrowserOpened),
            Err(problem) => {
                attempt.opens = false;
                attempt::save(ctx, attempt).await?;
                ui.event(LoginEvent::BrowserNotOpened(&ctx.explain(problem)));
            }
        }
    }
    let answer = loop {
        let end = (target.deadline, redirect_url.as_str());
        let Some(answer) = answer(ctx, &request, &mut arrivals, &mut options.paste, end, ui).await else {
            forget_unused_registration(ctx, target, &client).await;
            return Err(timed_out(ctx, Some(&client)).into());
        };
        attempt.unanswered = None;
        let is_refused = matches!(&answer.outcome, Err(error) if error.problem.id == ProblemId::InvalidScope);
        let Some(narrower) = scope::without_added(&ctx.settings, scope.as_deref()).filter(|_| is_refused) else {
            break answer;
        };
        tracing::info!("the server refuses a scope that it lists; it is asked again without, in the same tab");
        scope = narrower;
        request = Request::new(&ctx.settings, &target.found, &client, &redirect_url, scope.as_deref())?;
        serving.expect(request.expected.clone());
        attempt.link = Some(request.link.to_string());
        attempt::save(ctx, attempt).await?;
        let within = target.deadline.saturating_duration_since(Instant::now());
        let link = request.link.as_str();
        ui.event(LoginEvent::Waiting { link, redirect_url: &redirect_url, within, may_be_forgotten: false });
        if let Some(browser) = answer.browser {
            browser.go_on(&request.link);
        }
    };
    if answer.outcome.is_ok() {
        ui.event(LoginEvent::Answered);
    }
    last_page.browser = answer.browser;
    match answer.outcome {
        Ok(code) => exchange_code(ctx, target, (&client, scope), &request, &code, &redirect_url).await,
        Err(CallbackError { problem, is_about_client: true }) => {
            let problem = problem.with("client_id", &client.id);
            Err(LoginEnd::UnknownClient(client.explained_at_redirect(problem)))
        }
        Err(CallbackError { problem, .. }) => {
            Err(scope::explained(problem, target.scope.as_deref(), &target.found).into())
        }
    }
}

/// A server that has forgotten the client may say so only on its page; then a new registration helps. A client with a
/// grant is known to the server, and needed to renew the grant.
async fn forget_unused_registration(ctx: &Context, target: &SignInTarget, client: &Client) {
    let in_use = stored::read(ctx).await.ok().flatten().is_some_and(|held| held.client_id == client.id);
    if client.is_registered() && !in_use {
        dynamic::forget(&ctx.settings, &ctx.store, &target.found.server.issuer, &client.id).await;
    }
}

/// The user's answer, from the browser or pasted; `None` when the time is up.
async fn answer(
    ctx: &Context,
    request: &Request,
    arrivals: &mut mpsc::UnboundedReceiver<Arrival>,
    paste: &mut Option<mpsc::UnboundedReceiver<String>>,
    (deadline, redirect_url): (Instant, &str),
    ui: &mut dyn LoginUi,
) -> Option<Answer> {
    loop {
        tokio::select! {
            Some(Arrival { outcome, browser }) = arrivals.recv() => {
                return Some(Answer { outcome, browser: Some(browser) });
            }
            line = pasted_line(paste) => match read_paste(&line, request, redirect_url) {
                Ok(outcome) => return Some(Answer { outcome, browser: None }),
                Err(problem) => ui.event(LoginEvent::PasteRejected(&ctx.explain(problem))),
            },
            () = tokio::time::sleep_until(deadline) => return None,
        }
    }
}

/// "Nobody completed the sign-in in time."
pub(crate) fn timed_out(ctx: &Context, client: Option<&Client>) -> Problem {
    let within = ctx.settings.limits.sign_in;
    let id =
        if ctx.settings.product.is_planhat() { ProblemId::PlanhatSignInTimedOut } else { ProblemId::SignInTimedOut };
    let problem = Problem::new(id).with("minutes", within.as_secs().div_ceil(60));
    client.iter().fold(problem, |problem, client| problem.with("client_id", &client.id))
}

async fn exchange_code(
    ctx: &Context,
    target: &SignInTarget,
    (client, scope): (&Client, Option<String>),
    request: &Request,
    code: &Secret,
    redirect_url: &str,
) -> Result<Grant, LoginEnd> {
    let endpoint = Endpoint::of(ctx, &target.found, client);
    let token_request = GrantRequest::Code { code, verifier: &request.verifier, redirect_url };
    let http = ctx.http_to_token_endpoint(target.found.named_by);
    let issued = token_endpoint::request_token(&http, &endpoint, &token_request).await?;
    Ok(Grant::issued(&target.found, client, issued, scope, ctx.now()))
}

/// The outcome that a pasted address (or its query) holds, or why it is of no use. Only a code or an error ends the
/// sign-in: the likeliest wrong paste of all, the link itself, holds the right `state` too.
fn read_paste(line: &str, request: &Request, redirect_url: &str) -> Result<Result<Secret, CallbackError>, Problem> {
    let query = pasted_query(line, request.link.as_str(), redirect_url)?;
    match request.expected.code(query) {
        Ok(code) => Ok(Ok(code)),
        Err(Rejection::Final(error)) => Ok(Err(error)),
        Err(Rejection::Foreign) => Err(Problem::new(ProblemId::StateMismatch)),
        Err(Rejection::Empty) => Err(Problem::new(ProblemId::CallbackEmpty)),
    }
}

/// The query of a pasted address, if it may hold the answer, or why it is unusable.
pub(crate) fn pasted_query<'a>(line: &'a str, link: &str, redirect_url: &str) -> Result<&'a str, Problem> {
    let unusable = |detail: &str| {
        Problem::new(ProblemId::PastedUrlInvalid).with("detail", detail).with("redirect_url", redirect_url)
    };
    let line = line.trim();
    let (address, query) = line.split_once('?').unwrap_or(("", line));
    let query = query.split('#').next().unwrap_or(query);
    if address.contains("://") && Url::parse(address).ok() != Url::parse(redirect_url).ok() {
        let page = link.split('?').next();
        return Err(unusable(if page == Some(address) {
            "it is the link to open; paste the address your browser ends on"
        } else {
            "it is the address of another page"
        }));
    }
    if !url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "code" || name == "error") {
        return Err(unusable("it contains no sign-in result"));
    }
    Ok(query)
}

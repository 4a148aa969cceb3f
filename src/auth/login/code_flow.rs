//! The authorization code flow (RFC 6749, 4.1, with PKCE) with a person at the browser: the link, the way back, the code.

use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use crate::auth::authorizer::{AuthState, Authorizer};
use crate::auth::exchange::token_endpoint;
use crate::auth::exchange::token_endpoint::GrantRequest;
use crate::auth::grants::grant::GrantSummary;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Pending;
use crate::auth::login::authorization_request::{Rejection, Request};
use crate::auth::login::flow::{Asked, End, LoginEvent, LoginOptions, LoginUi, Place};
use crate::auth::login::loopback::listener::{Arrival, Browser};
use crate::auth::login::loopback::page::Page;
use crate::auth::registration::client::{Client, is_about_the_client};
use crate::auth::registration::dynamic;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// The answer of the user, from whichever way it came.
struct Answer {
    outcome: Result<Secret, Problem>,
    browser: Option<Browser>,
}

impl Authorizer {
    /// Sends the person to the authorization server and stores what comes of it.
    pub(crate) async fn by_browser(
        &self,
        asked: &Asked,
        place: Place,
        options: &mut LoginOptions,
        deadline: Instant,
        ui: &mut dyn LoginUi,
        record: &mut Pending,
    ) -> Result<GrantSummary, End> {
        let Place { client, callback, listener, _turn, is_new: _ } = place;
        let redirect_url = callback.redirect_url();
        let Some(listener) = listener else {
            return Err(Problem::new(ProblemId::ListenFailed).with("place", &redirect_url).into());
        };
        let request = Request::new(&self.settings, &asked.found, &client, &redirect_url, asked.scope.as_deref())?;
        let (serving, arrivals) = listener.serve(request.expected.clone(), self.settings.command("login"))?;
        record.redirect_url = Some(redirect_url.clone());
        record.link = Some(request.link.to_string());
        attempt::note(&self.files).write(record)?;
        if self.newer_than(None).is_none() {
            self.tell(AuthState::SigningIn { link: record.link.clone() });
        }
        let within = deadline.saturating_duration_since(Instant::now());
        ui.event(LoginEvent::Waiting { link: request.link.as_str(), redirect_url: &redirect_url, within });
        if options.open_browser {
            let opened = self.open_page(record.number, &request.link).await;
            match opened {
                Ok(()) => ui.event(LoginEvent::BrowserOpened),
                Err(problem) => {
                    record.opens = false;
                    attempt::note(&self.files).write(record)?;
                    ui.event(LoginEvent::BrowserNotOpened(&self.explain(problem)));
                }
            }
        }
        let result = match self.answer(&request, arrivals, &mut options.paste, (deadline, &redirect_url), ui).await {
            Some(answer) => {
                ui.event(LoginEvent::Answered);
                let finished = match answer.outcome {
                    Ok(code) => self.finish(asked, &client, &request, &code, &redirect_url).await,
                    Err(problem) if is_about_the_client(&problem) => {
                        let problem = problem.with("client_id", &client.id);
                        Err(End::UnknownClient(client.explained(problem)))
                    }
                    Err(problem) => Err(problem.into()),
                };
                if let Some(browser) = answer.browser {
                    // Only now is it true.
                    browser.show(match &finished {
                        Ok(_) => Page::signed_in(&self.settings.service_name()),
                        Err(End::UnknownClient(problem) | End::Problem(problem)) => {
                            Page::failed(&self.explain(problem.clone()))
                        }
                    });
                }
                finished
            }
            None => {
                let in_use = self.read_grant().await.ok().flatten().is_some_and(|held| held.client_id == client.id);
                if client.is_registered() && !in_use {
                    // A server that has forgotten the client tells only the person; then a new registration helps. One that
                    // a sign-in was given to is known, and needed to renew it.
                    dynamic::forget(&self.settings, &self.store, &asked.found.server.issuer, &client.id).await;
                }
                Err(self.timed_out(Some(&client)).into())
            }
        };
        serving.finish().await;
        result
    }

    /// The user's answer, from the browser or pasted; `None` when the time is over.
    async fn answer(
        &self,
        request: &Request,
        mut arrivals: mpsc::UnboundedReceiver<Arrival>,
        paste: &mut Option<mpsc::UnboundedReceiver<String>>,
        (deadline, redirect_url): (Instant, &str),
        ui: &mut dyn LoginUi,
    ) -> Option<Answer> {
        loop {
            tokio::select! {
                Some(Arrival { outcome, browser }) = arrivals.recv() => {
                    return Some(Answer { outcome, browser: Some(browser) });
                }
                line = pasted(paste) => match self.read_paste(&line, request, redirect_url) {
                    Ok(outcome) => return Some(Answer { outcome, browser: None }),
                    Err(problem) => ui.event(LoginEvent::PasteRejected(&self.explain(problem))),
                },
                () = tokio::time::sleep_until(deadline) => return None,
            }
        }
    }

    pub(crate) fn timed_out(&self, client: Option<&Client>) -> Problem {
        let within = self.settings.limits.sign_in;
        let id = if self.settings.product.is_planhat() {
            ProblemId::PlanhatSignInTimedOut
        } else {
            ProblemId::SignInTimedOut
        };
        let problem = Problem::new(id).with("minutes", within.as_secs().div_ceil(60));
        client.iter().fold(problem, |problem, client| problem.with("client_id", &client.id))
    }

    /// Exchanges the code and stores what comes of it.
    async fn finish(
        &self,
        asked: &Asked,
        client: &Client,
        request: &Request,
        code: &Secret,
        redirect_url: &str,
    ) -> Result<GrantSummary, End> {
        let endpoint = self.endpoint(&asked.found, client);
        let presented = GrantRequest::Code { code, verifier: &request.verifier, redirect_url };
        let http = self.to_token_endpoint(asked.found.named_by);
        let issued = token_endpoint::present(&http, &endpoint, &presented).await?;
        Ok(self.keep_issued(asked, client, issued).await?)
    }

    /// The outcome that a pasted address (or its query) holds, or why it is of no use. Only a code or an error ends the
    /// sign-in: the likeliest wrong paste of all, the link itself, holds the right `state` too.
    fn read_paste(
        &self,
        line: &str,
        request: &Request,
        redirect_url: &str,
    ) -> Result<Result<Secret, Problem>, Problem> {
        let query = pasted_query(line, request.link.as_str(), redirect_url)?;
        match request.expected.code(query) {
            Ok(code) => Ok(Ok(code)),
            Err(Rejection::Final(problem)) => Ok(Err(problem)),
            Err(Rejection::Foreign) => Err(Problem::new(ProblemId::StateMismatch)),
        }
    }
}

/// The query of a pasted address that may hold the answer, or why it is of no use.
pub(crate) fn pasted_query<'a>(line: &'a str, link: &str, redirect_url: &str) -> Result<&'a str, Problem> {
    let useless = |detail: &str| {
        Problem::new(ProblemId::PastedUrlInvalid).with("detail", detail).with("redirect_url", redirect_url)
    };
    let line = line.trim();
    let (address, query) = line.split_once('?').unwrap_or(("", line));
    let query = query.split('#').next().unwrap_or(query);
    if address.contains("://") && Url::parse(address).ok() != Url::parse(redirect_url).ok() {
        let page = link.split('?').next();
        return Err(useless(if page == Some(address) {
            "that is the link to open; the address on which the browser ends is wanted"
        } else {
            "it is an address of another page"
        }));
    }
    if !url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "code" || name == "error") {
        return Err(useless("it holds no answer of the server"));
    }
    Ok(query)
}

/// The next pasted line; never, when nothing can be pasted (any more).
pub(crate) async fn pasted(paste: &mut Option<mpsc::UnboundedReceiver<String>>) -> String {
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

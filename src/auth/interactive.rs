//! The authorization code flow (RFC 6749, 4.1, with PKCE) with a person at the browser: the link, the way back, the code.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::authorize::{Rejection, Request};
use super::authorizer::{AuthState, Authorizer};
use super::browser;
use super::callback::{Arrival, Browser};
use super::client::Client;
use super::dynamic;
use super::login::{Asked, End, LoginEvent, LoginOptions, LoginUi, Place};
use super::page::Page;
use super::pending::{self, Pending};
use super::record::GrantSummary;
use super::token::{self, Endpoint, Presented, Refusal};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// How often a code is presented again when the token endpoint did not take it for a passing reason.
const EXCHANGES: u32 = 3;

/// The answer of the user, from whichever way it came.
struct Answer {
    outcome: Result<Secret, Problem>,
    browser: Option<Browser>,
}

impl Authorizer {
    /// Sends the person to the authorization server and stores what comes of it.
    pub(super) async fn by_browser(
        &self,
        asked: &Asked,
        place: Place,
        options: &mut LoginOptions,
        deadline: Instant,
        ui: &mut dyn LoginUi,
        record: &mut Pending,
    ) -> Result<GrantSummary, End> {
        let Place { client, callback, listener, _turn } = place;
        let redirect_url = callback.redirect_url();
        let Some(listener) = listener else {
            return Err(Problem::new(ProblemId::ListenFailed).with("place", &redirect_url).into());
        };
        let request = Request::new(&self.settings, &asked.found, &client, &redirect_url, asked.scope.as_deref())?;
        let (serving, arrivals) = listener.serve(request.expected.clone())?;
        record.link = Some(request.link.to_string());
        pending::note(&self.files).write(record)?;
        if self.newer_than(None).is_none() {
            self.tell(AuthState::SigningIn { link: record.link.clone() });
        }
        let within = deadline.saturating_duration_since(Instant::now());
        ui.event(LoginEvent::Waiting { link: request.link.as_str(), redirect_url: &redirect_url, within });
        if options.open_browser {
            match open_browser(&request).await {
                Ok(()) => ui.event(LoginEvent::BrowserOpened),
                Err(problem) => ui.event(LoginEvent::BrowserNotOpened(&problem)),
            }
        }
        let result = match self.answer(&request, arrivals, &mut options.paste, (deadline, &redirect_url), ui).await {
            Some(answer) => {
                ui.event(LoginEvent::Answered);
                let finished = match answer.outcome {
                    Ok(code) => self.finish(asked, &client, &request, &code, &redirect_url).await,
                    Err(problem) if is_about_the_client(&problem) => Err(End::UnknownClient(problem)),
                    Err(problem) => Err(problem.into()),
                };
                if let Some(browser) = answer.browser {
                    // Only now is it true.
                    browser.show(match &finished {
                        Ok(_) => Page::signed_in(&self.service()),
                        Err(End::UnknownClient(problem) | End::Problem(problem)) => Page::failed(problem),
                    });
                }
                finished
            }
            None => {
                if client.is_registered() {
                    // A server that has forgotten the client tells only the person; then a new registration helps.
                    dynamic::forget(&self.settings, &self.store, &asked.found.server.issuer).await;
                }
                Err(self.timed_out(&client).into())
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
                    Err(problem) => ui.event(LoginEvent::PasteRejected(&problem)),
                },
                () = tokio::time::sleep_until(deadline) => return None,
            }
        }
    }

    fn timed_out(&self, client: &Client) -> Problem {
        let within = self.settings.limits.sign_in;
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
        asked: &Asked,
        client: &Client,
        request: &Request,
        code: &Secret,
        redirect_url: &str,
    ) -> Result<GrantSummary, End> {
        let endpoint = self.endpoint(&asked.found, client);
        let presented = Presented::Code { code, verifier: &request.verifier, redirect_url };
        let issued = self.exchange(&endpoint, &presented).await?;
        Ok(self.keep_issued(asked, client, issued).await?)
    }

    /// A code is good for some minutes and a person has just typed a password: a hiccup is worth another try. Where the
    /// first try was lost on the way back, the server refuses the second, and that is told.
    async fn exchange(&self, endpoint: &Endpoint<'_>, presented: &Presented<'_>) -> Result<token::Issued, Refusal> {
        let mut tried = 1;
        loop {
            match token::present(&self.http, endpoint, presented).await {
                Err(Refusal::NotNow(problem)) if tried < EXCHANGES => {
                    tracing::debug!(%problem, tried, "the code is presented again");
                    tokio::time::sleep(Duration::from_millis(500) * tried).await;
                    tried += 1;
                }
                result => return result,
            }
        }
    }

    /// The outcome that a pasted address holds, or why it is of no use.
    fn read_paste(
        &self,
        line: &str,
        request: &Request,
        redirect_url: &str,
    ) -> Result<Result<Secret, Problem>, Problem> {
        let unreadable = |detail: &str| {
            Problem::new(ProblemId::PastedUrlInvalid).with("detail", detail).with("redirect_url", redirect_url)
        };
        let line = line.trim();
        let query = match line.split_once('?') {
            Some((_, query)) => query.split('#').next().unwrap_or(query),
            None if line.contains("code=") || line.contains("error=") => line,
            None => return Err(unreadable("it holds no answer of the server")),
        };
        match request.expected.code(query) {
            Ok(code) => Ok(Ok(code)),
            Err(Rejection::Final(problem)) => Ok(Err(problem)),
            Err(Rejection::Foreign) => Err(Problem::new(ProblemId::StateMismatch)),
        }
    }
}

/// Whether the server says that it does not know the client (RFC 6749, 4.1.2.1), or not for this.
fn is_about_the_client(problem: &Problem) -> bool {
    matches!(problem.fact("error"), Some("invalid_client" | "unauthorized_client"))
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

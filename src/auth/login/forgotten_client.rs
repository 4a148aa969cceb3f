//! A server that has forgotten the client that registered itself there may say so on its sign-in page alone: the user would
//! end in a tab that leads nowhere. The page is asked before.

use reqwest::StatusCode;

use crate::auth::context::Context;
use crate::auth::login::authorization_request::Request;
use crate::auth::login::page_says;
use crate::auth::login::parts::{Parts, SignInTarget};
use crate::auth::registration::dynamic;

/// What the page has said so far in one sign-in.
#[derive(Debug, Default)]
pub(crate) struct PageQuestion {
    has_refused: bool,
    is_answered: bool,
}

impl PageQuestion {
    /// Whether to register anew before the tab, because the page refuses the registered client.
    ///
    /// The next one is asked about, too: a page that refuses a client that was registered a moment ago does not speak of the
    /// client, and is not asked about it again.
    pub(crate) async fn refuses(&mut self, ctx: &Context, target: &SignInTarget, parts: &Parts) -> bool {
        let client = &parts.client;
        let is_due = client.is_registered() && !client.is_refused_by_any_page && parts.is_new == self.has_refused;
        if self.is_answered || !is_due {
            return false;
        }
        let refuses = is_refused(ctx, target, parts).await;
        self.is_answered = !refuses || parts.is_new;
        self.has_refused = refuses;
        if refuses && parts.is_new {
            dynamic::note_refused_by_any_page(&ctx.settings, &ctx.store, &target.found.server.issuer, &client.id).await;
            return false;
        }
        refuses
    }
}

/// Asked in a request of its own, whose verifier is discarded, so that nobody can use the answer. A page that does not answer,
/// or cannot be read, is one for the user.
async fn is_refused(ctx: &Context, target: &SignInTarget, parts: &Parts) -> bool {
    let redirect_url = parts.callback.redirect_url();
    let scope = target.scope.as_deref();
    let Ok(request) = Request::new(&ctx.settings, &target.found, &parts.client, &redirect_url, scope) else {
        return false;
    };
    match page_says::ask(ctx, &target.found, &request.link).await {
        // Servers that expect no unknown client fail at one. Gateways say other numbers when a server is away.
        Ok(answer) => {
            page_says::knows_no_client(&request.link, &answer) || answer.status == StatusCode::INTERNAL_SERVER_ERROR
        }
        Err(problem) => {
            tracing::debug!(%problem, "the sign-in page could not be asked whether it knows the client");
            false
        }
    }
}

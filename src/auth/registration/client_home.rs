//! Keeps a client, with its secret and its codes, at the token endpoint that it was first used at.

use std::collections::BTreeMap;

use crate::auth::AuthError;
use crate::auth::context::Context;
use crate::auth::discovery::search::Discovered;
use crate::auth::endpoints;
use crate::blocking;
use crate::problem::{Problem, ProblemId};
use crate::store::{Note, StateDir};

/// The note of the origins, by client id, and by issuer where somebody has confirmed another token endpoint than it names.
const HOMES_NOTE: &str = "token-origins.json";

/// What is known of the place where a client would be used.
#[derive(Debug, Clone, Copy)]
struct HomeFacts<'a> {
    /// The token endpoint of this sign-in.
    token_endpoint: &'a str,
    /// The origin of the one that the client was first used at.
    home: Option<&'a str>,
    /// The issuer, if the client is known to belong to it.
    issuer: Option<&'a str>,
}

impl HomeFacts<'_> {
    /// Whether the client may be used there: at its first endpoint's origin, or at its issuer's own.
    fn is_at_home(&self) -> bool {
        let is_there = |home: &str| endpoints::share_origin(home, self.token_endpoint);
        self.home.is_none_or(is_there) || self.issuer.is_some_and(is_there)
    }
}

/// The note of where each client is at home; signing out removes it.
pub(crate) fn note(files: &StateDir) -> Note {
    files.note(HOMES_NOTE)
}

/// Refuses to use a client that was given out at the token endpoint of another origin than before. `bound_issuer` is the
/// issuer that it belongs to.
pub(crate) async fn check(
    ctx: &Context,
    client_id: &str,
    found: &Discovered,
    bound_issuer: Option<&str>,
) -> Result<(), AuthError> {
    let home = read(ctx, client_id).await;
    let token_endpoint = &found.server.token_endpoint;
    let facts = HomeFacts { token_endpoint, home: home.as_deref(), issuer: bound_issuer };
    if facts.is_at_home() {
        return Ok(());
    }
    let problem = Problem::new(ProblemId::TokenEndpointMoved).with("client_id", client_id);
    let problem = problem.with("expected", home.unwrap_or_default()).with("found", token_endpoint);
    let problem = match ctx.settings.oauth.token_endpoint {
        Some(_) => problem.with("setting", "token_endpoint"),
        None => problem,
    };
    Err(AuthError::Failed(problem.with("logout_command", ctx.settings.command("logout"))))
}

/// Refuses a sign-in that no person has typed, at a token endpoint that lies at another origin because of the settings, which
/// put it in place of the server's own or pin the issuer of a document that stands elsewhere: the code of a person's consent
/// would go there. A `login` typed at a terminal confirms it. Of a pinned issuer's document, which the server can change, it
/// confirms one place, and no second one.
pub(crate) async fn check_confirmed(ctx: &Context, found: &Discovered, by_person: bool) -> Result<(), Problem> {
    let Some(expected) = found.expected_token_endpoint() else { return Ok(()) };
    let token_endpoint = &found.server.token_endpoint;
    let is_pinned = found.replaced.is_none();
    let id = match read(ctx, confirmation_key(ctx, found)).await {
        Some(home) if endpoints::share_origin(&home, token_endpoint) => return Ok(()),
        Some(home) if is_pinned => {
            let problem = Problem::new(ProblemId::TokenEndpointMoved).with("expected", home);
            let problem = problem.with("found", token_endpoint);
            return Err(problem.with("logout_command", ctx.settings.command("logout")));
        }
        _ if by_person => return Ok(()),
        _ if is_pinned => ProblemId::PinnedIssuerUnconfirmed,
        _ => ProblemId::TokenEndpointUnconfirmed,
    };
    Err(Problem::new(id).with("expected", expected).with("found", token_endpoint))
}

/// What a confirmation is noted under. A pinned issuer's document may write its name in two ways.
fn confirmation_key<'a>(ctx: &'a Context, found: &'a Discovered) -> &'a str {
    let pinned = ctx.settings.oauth.issuer.as_deref().filter(|_| found.replaced.is_none());
    pinned.unwrap_or(&found.server.issuer)
}

/// Notes where this client has signed in; where it was first used stays.
pub(crate) async fn settle(ctx: &Context, client_id: Option<&str>, found: &Discovered) {
    settle_at(ctx, client_id.map(str::to_owned), &found.server.token_endpoint).await;
}

/// Notes the token endpoint that lies elsewhere because of the settings as one that a person has signed in at.
pub(crate) async fn confirm(ctx: &Context, found: &Discovered) {
    let issuer = found.expected_token_endpoint().map(|_| confirmation_key(ctx, found).to_owned());
    settle_at(ctx, issuer, &found.server.token_endpoint).await;
}

/// Notes where a client is at home that has signed in with an earlier version, which did not note it: where its grant came
/// from.
pub(crate) async fn adopt(ctx: &Context, client_id: &str, token_endpoint: &str) {
    settle_at(ctx, Some(client_id.to_owned()), token_endpoint).await;
}

async fn settle_at(ctx: &Context, key: Option<String>, token_endpoint: &str) {
    let (Some(key), Some(origin)) = (key, endpoints::origin(token_endpoint)) else { return };
    let note = note(&ctx.files);
    let settle = move || {
        let mut all: BTreeMap<String, String> = note.read().unwrap_or_default();
        if all.contains_key(&key) {
            return Ok(());
        }
        all.insert(key, origin);
        note.write(&all)
    };
    if let Err(problem) = blocking::run(settle).await {
        tracing::warn!(%problem, "it is not noted which token endpoint the client belongs to");
    }
}

async fn read(ctx: &Context, key: &str) -> Option<String> {
    let (note, key) = (note(&ctx.files), key.to_owned());
    blocking::run(move || note.read::<BTreeMap<String, String>>()?.remove(&key)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_stays_at_the_origin_of_its_first_token_endpoint_and_at_its_issuer_s() {
        const FIRST: HomeFacts<'_> = HomeFacts { token_endpoint: "https://as.example/token", home: None, issuer: None };
        let (home, issuer) = (Some("https://as.example"), Some("https://as.example/t"));
        for (facts, is_at_home) in [
            (FIRST, true),
            (HomeFacts { home, ..FIRST }, true),
            (HomeFacts { home, token_endpoint: "https://as.example/v2/token", ..FIRST }, true),
            (HomeFacts { home, token_endpoint: "https://evil.example/token", ..FIRST }, false),
            (HomeFacts { home, issuer, token_endpoint: "https://evil.example/token" }, false),
            (HomeFacts { home: Some("https://tokens.example"), issuer, ..FIRST }, true),
            (HomeFacts { home: Some("https://tokens.example"), ..FIRST }, false),
            (HomeFacts { home: Some("damaged"), ..FIRST }, false),
        ] {
            assert_eq!(facts.is_at_home(), is_at_home, "{facts:?}");
        }
    }
}

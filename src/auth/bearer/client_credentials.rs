//! A token for the client itself, without a person (RFC 6749, 4.4): for scripts and servers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::{Duration, Instant};

use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::{probe, scope, search};
use crate::auth::error::AuthError;
use crate::auth::exchange::refusal::Refusal;
use crate::auth::exchange::request::{Endpoint, GrantRequest};
use crate::auth::exchange::token_endpoint;
use crate::auth::grants::grant::{Grant, GrantKind};
use crate::auth::grants::stored;
use crate::auth::registration::choose;
use crate::auth::registration::client::AuthMethod;
use crate::limits::LONGEST_CLIENT_PAUSE;
use crate::pacing::Backoff;
use crate::problem::{Problem, ProblemId};

/// The pauses after the server gave no token.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), LONGEST_CLIENT_PAUSE);

/// Gets tokens. While the server gives none it is asked ever less often, however many calls there are.
#[derive(Debug, Default)]
pub(crate) struct ClientTokens(Mutex<Failures>);

#[derive(Debug, Default)]
struct Failures {
    /// In a row.
    count: u32,
    /// The last one, and until when it stands.
    last: Option<(Instant, AuthError)>,
}

impl ClientTokens {
    /// Whether the server may be asked now.
    ///
    /// # Errors The last failure, as long as it stands.
    pub(crate) fn may_ask(&self) -> Result<(), AuthError> {
        match &self.lock().last {
            Some((until, error)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// A grant that needs no consent.
    pub(crate) async fn grant(&self, ctx: &Context, challenge: &Challenge) -> Result<Grant, AuthError> {
        let result = grant(ctx, challenge).await;
        self.note(result.as_ref().err());
        result
    }

    /// Notes how the server was asked.
    fn note(&self, failure: Option<&AuthError>) {
        let mut failures = self.lock();
        *failures = match failure {
            None => Failures::default(),
            Some(error) => {
                let count = failures.count.saturating_add(1);
                Failures { count, last: Some((Instant::now() + PAUSES.ceiling(count), error.clone())) }
            }
        };
    }

    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn grant(ctx: &Context, challenge: &Challenge) -> Result<Grant, AuthError> {
    let challenge = probe::challenge(ctx, challenge).await;
    let bound_issuer = choose::bound_issuer(ctx).await;
    let found = search::discover(&ctx.http, &ctx.settings, &challenge, Flow::Client, bound_issuer.as_deref()).await?;
    stored::settle_client(ctx).await;
    let Some(client) = choose::known_client(ctx, &found, None).await?.filter(|client| !client.is_registered()) else {
        return Err(AuthError::Failed(choose::client_id_missing(&ctx.settings, &found)));
    };
    let endpoint = Endpoint::of(ctx, &found, &client);
    if endpoint.method == AuthMethod::None {
        let problem = Problem::new(ProblemId::ClientSecretMissing).with("client_id", &client.id);
        return Err(AuthError::Failed(problem));
    }
    let scope = scope::choose(&ctx.settings, &challenge, &found, Flow::Client);
    let request = GrantRequest::Client { scope: scope.as_deref() };
    let http = ctx.http_to_token_endpoint(found.named_by);
    let issued = token_endpoint::request_token(&http, &endpoint, &request).await.map_err(|refusal| match refusal {
        Refusal::NotNow(problem) | Refusal::Unclear { problem, .. } => AuthError::NotNow(problem),
        refusal => AuthError::Failed(refusal.problem()),
    })?;
    choose::bind(ctx, &client, &found).await;
    // The same id for every token: there is no user who could change.
    let id = format!("client {}", client.id);
    Ok(Grant { id, kind: GrantKind::Client, ..Grant::issued(&found, &client, issued, scope, ctx.now()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_given_no_token_asks_ever_less_often_however_many_calls_there_are() {
        let tokens = ClientTokens::default();
        let error = AuthError::NotNow(Problem::new(ProblemId::TokenEndpointUnavailable));
        let start = Instant::now();
        let mut asked = 0;
        while start.elapsed() < Duration::from_secs(3600) {
            match tokens.may_ask() {
                Ok(()) => {
                    asked += 1;
                    tokens.note(Some(&error));
                }
                Err(error) => assert_eq!(error.problem().id, ProblemId::TokenEndpointUnavailable),
            }
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!((60..70).contains(&asked), "{asked}");
        tokens.note(None);
        assert!(tokens.may_ask().is_ok());
    }
}

//! The client secret, asked for at `login`.

use std::sync::Arc;

use crate::auth::grants::remembered_client;
use crate::auth::registration::client;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId};
use crate::store::Store;

use super::context::block_on;
use super::terminal;

/// Asks a person for the client secret before the browser opens, where one may be wanted and none is known: who signs in and
/// consents first, and is told of it then, has done so in vain. Enter stands for none, because there are public clients.
///
/// # Errors When standard input cannot be read, or the client id was typed again and again.
pub fn asked_for(settings: Arc<Settings>) -> Result<Arc<Settings>, Problem> {
    const ATTEMPTS: usize = 3;
    let oauth = &settings.oauth;
    let Some(id) = oauth.client_id.as_deref().filter(|_| oauth.client_secret.is_none() && oauth.key().is_none()) else {
        return Ok(settings);
    };
    let may_be_wanted = settings.product.is_planhat() || remembered_client::has_secret(&settings, id);
    if !may_be_wanted || !terminal::is_interactive() || is_secret_stored(&settings, id)? {
        return Ok(settings);
    }
    for _ in 0..ATTEMPTS {
        let typed = terminal::ask_secret("Client secret of the OAuth client (sk_...; Enter if it has none): ");
        let typed = typed.map_err(|error| {
            Problem::new(ProblemId::SecretFileUnusable).with("file", "standard input").with("detail", error)
        })?;
        if typed.expose().starts_with("pk_") {
            terminal::tell("That is the client id. The client secret begins with sk_\n");
            continue;
        }
        let mut settings = (*settings).clone();
        settings.oauth.client_secret = Some(typed).filter(|typed| !typed.is_empty());
        return Ok(Arc::new(settings));
    }
    let problem = Problem::new(ProblemId::BadValue).with("setting", "client_secret");
    Err(problem.with("found", "the client id (pk_...)").with("expected", "the secret (sk_...), or Enter for none"))
}

/// A store that cannot be read counts as one without it: the sign-in itself says what is wrong with it.
fn is_secret_stored(settings: &Arc<Settings>, client_id: &str) -> Result<bool, Problem> {
    block_on(async {
        let store = Store::open(settings, Store::ATTENDED_TIMEOUT);
        client::secret(settings, &store, client_id).await.is_ok_and(|secret| secret.is_some())
    })
}

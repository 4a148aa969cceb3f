//! The client id of the last sign-in, for runs that name none: what `login --client-id` was told once, every later command
//! knows. It is no secret, and is kept when the user signs out, because the next sign-in needs it; `reset` removes it.

use serde::{Deserialize, Serialize};

use crate::auth::context::Context;
use crate::auth::grants::profiles;
use crate::auth::registration::client::{Client, ClientOrigin};
use crate::blocking;
use crate::config::Settings;
use crate::store::{Note, StateDir};

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RememberedClient {
    /// The server that it is for.
    url: String,
    client_id: String,
}

/// The client of the last sign-in.
fn last(files: &StateDir) -> Note {
    files.note("client.json")
}

/// The client that has a secret: it has signed in with one, or has failed for want of it. Apart from the last sign-in's, because
/// a client that has failed takes nobody's place.
fn confidential(files: &StateDir) -> Note {
    files.note("confidential-client.json")
}

/// Somebody has signed in as this client. One that registered itself is not named by settings.
pub(crate) async fn remember(ctx: &Context, client: &Client) {
    if client.origin == ClientOrigin::PreRegistered {
        keep(ctx, last(&ctx.files), client).await;
        if client.secret.is_some() {
            keep(ctx, confidential(&ctx.files), client).await;
        } else {
            let note = confidential(&ctx.files);
            blocking::run(move || note.remove()).await;
        }
    }
}

/// A sign-in as this client has failed because the server wanted its secret.
pub(crate) async fn remember_that_it_wants_its_secret(ctx: &Context, client: &Client) {
    if client.origin == ClientOrigin::PreRegistered {
        keep(ctx, confidential(&ctx.files), client).await;
    }
}

async fn keep(ctx: &Context, note: Note, client: &Client) {
    let record = RememberedClient { url: ctx.settings.url.to_string(), client_id: client.id.clone() };
    let write = move || if note.read().as_ref() == Some(&record) { Ok(()) } else { note.write(&record) };
    if let Err(problem) = blocking::run(write).await {
        tracing::warn!(%problem, "the client id is not remembered, so that later commands have to name it");
    }
}

/// The client id of the last sign-in of this profile at this server. Reads files.
pub fn of(settings: &Settings) -> Option<String> {
    let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
    let kept = last(&files).read::<RememberedClient>().map(|record| (record.url, record.client_id));
    // Earlier versions noted it with the sign-in alone.
    let kept = kept.or_else(|| profiles::of(&files).and_then(|profile| Some((profile.url, profile.client_id?))));
    kept.filter(|(url, _)| *url == settings.url.as_str()).map(|(_, id)| id).filter(|id| is_client_id(id))
}

/// Whether this client is known to have a secret. Reads files.
pub fn has_secret(settings: &Settings, client_id: &str) -> bool {
    let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
    let kept = confidential(&files).read::<RememberedClient>();
    kept.is_some_and(|kept| kept.client_id == client_id && kept.url == settings.url.as_str())
}

/// The client id of the sign-in that this profile has at this server. Reads files.
pub fn signed_in(settings: &Settings) -> Option<String> {
    let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
    profiles::of(&files).filter(|profile| profile.url == settings.url.as_str())?.client_id.filter(|id| is_client_id(id))
}

/// As in settings (RFC 6749, A.1); somebody may have edited the file.
fn is_client_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

//! The client id of the last sign-in, for runs that name none: what `login --client-id` was told once, every later command
//! knows. It is no secret, and is kept when the user signs out, because the next sign-in needs it; `reset` removes it.

use serde::{Deserialize, Serialize};

use crate::auth::context::Context;
use crate::auth::grants::profiles;
use crate::auth::registration::client::{Client, ClientOrigin};
use crate::blocking;
use crate::config::Settings;
use crate::store::{Note, StateDir};

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RememberedClient {
    /// The server that it is for.
    url: String,
    client_id: String,
    /// Whether a sign-in has failed because the server wanted its secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    wants_secret: bool,
}

fn note(files: &StateDir) -> Note {
    files.note("client.json")
}

/// Somebody has signed in as this client. One that registered itself is not named by settings.
pub(crate) async fn remember(ctx: &Context, client: &Client) {
    write(ctx, client, false).await;
}

/// A sign-in as this client has failed because the server wanted its secret.
pub(crate) async fn remember_that_it_wants_its_secret(ctx: &Context, client: &Client) {
    write(ctx, client, true).await;
}

async fn write(ctx: &Context, client: &Client, wants_secret: bool) {
    if client.origin != ClientOrigin::PreRegistered {
        return;
    }
    let record = RememberedClient { url: ctx.settings.url.to_string(), client_id: client.id.clone(), wants_secret };
    let note = note(&ctx.files);
    let write = move || if note.read().as_ref() == Some(&record) { Ok(()) } else { note.write(&record) };
    if let Err(problem) = blocking::run(write).await {
        tracing::warn!(%problem, "the client id is not remembered, so that later commands have to name it");
    }
}

/// The client id of the last sign-in of this profile at this server. Reads files.
pub fn of(settings: &Settings) -> Option<String> {
    let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
    let kept = note(&files).read::<RememberedClient>().map(|record| (record.url, record.client_id));
    // Earlier versions noted it with the sign-in alone.
    let kept = kept.or_else(|| profiles::of(&files).and_then(|profile| Some((profile.url, profile.client_id?))));
    kept.filter(|(url, _)| *url == settings.url.as_str()).map(|(_, id)| id).filter(|id| is_client_id(id))
}

/// Whether a sign-in as this client has failed for want of its secret, and none has succeeded since. Reads files.
pub fn wants_secret(settings: &Settings, client_id: &str) -> bool {
    let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
    let kept = note(&files).read::<RememberedClient>();
    kept.is_some_and(|kept| kept.wants_secret && kept.client_id == client_id && kept.url == settings.url.as_str())
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

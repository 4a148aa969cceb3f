//! The grant in the credential store: reading it, replacing it, and the lock on both.
//!
//! A writer increments the generation number in the state directory, so that the other processes re-read the store.

use std::sync::Arc;

use crate::auth::context::Context;
use crate::auth::error::AuthError;
use crate::auth::grants::grant::{Grant, GrantKind};
use crate::auth::grants::notes;
use crate::auth::grants::notes::Spent;
use crate::auth::grants::presented;
use crate::auth::grants::profiles;
use crate::auth::registration::client_home;
use crate::blocking;
use crate::limits::TOKEN_LOCK_WAIT;
use crate::problem::{Problem, ProblemId};
use crate::store::{LockError, ProcessLock};

/// The lock on renewing and saving. Its holder re-reads the store: another process may have changed it.
pub(crate) async fn lock(ctx: &Context) -> Result<ProcessLock, LockError> {
    ProcessLock::acquire(&ctx.files.token_lock(), "renewing or saving a sign-in", TOKEN_LOCK_WAIT).await
}

/// The stored grant for these settings. One that came from another token endpoint than they name is none: its refresh token
/// and its client's secret are not for that one.
pub(crate) async fn read(ctx: &Context) -> Result<Option<Grant>, AuthError> {
    let stored = read_from_anywhere(ctx).await?;
    Ok(stored.filter(|grant| grant.is_from(ctx.settings.oauth.token_endpoint.as_ref())))
}

/// Why the stored grant is not used, if there is one that came from another token endpoint than the settings name.
pub(crate) async fn moved(ctx: &Context) -> Option<Problem> {
    let configured = ctx.settings.oauth.token_endpoint.as_ref()?;
    let grant = read_from_anywhere(ctx).await.ok().flatten()?;
    let is_person_s = grant.kind == GrantKind::Person;
    (is_person_s && !grant.is_from(Some(configured))).then(|| {
        let problem = Problem::new(ProblemId::TokenEndpointMoved).with("client_id", &grant.client_id);
        let problem = problem.with("expected", &grant.token_endpoint).with("found", configured);
        problem.with("setting", "token_endpoint").with("logout_command", ctx.settings.command("logout"))
    })
}

/// Notes where the client of the stored grant is at home, if that is not known yet.
pub(crate) async fn settle_client(ctx: &Context) {
    if let Ok(Some(held)) = read_from_anywhere(ctx).await
        && held.kind != GrantKind::Static
        && ctx.settings.oauth.client_id.as_ref() == Some(&held.client_id)
    {
        client_home::adopt(ctx, &held.client_id, &held.token_endpoint).await;
    }
}

/// The stored grant for this client and resource, whatever token endpoint it came from.
pub(crate) async fn read_from_anywhere(ctx: &Context) -> Result<Option<Grant>, AuthError> {
    let Some(record) = ctx.store.read(&ctx.account).await? else {
        let (files, account) = (ctx.files.clone(), ctx.account.clone());
        let stored_account = notes::stored_account(&ctx.files);
        if blocking::run(move || notes::stored_account(&files).read::<String>().as_ref() == Some(&account)).await {
            // It was stored, and we did not remove it. Some keychains hide their items while locked.
            ctx.store.check().await?;
            blocking::run(move || stored_account.remove()).await;
        }
        return Ok(None);
    };
    let mut grant = Grant::from_record(&record)?;
    let spent = notes::spent(&ctx.files);
    let spent: Option<Spent> = blocking::run(move || spent.read()).await;
    if spent.is_some_and(|spent| spent.grant == grant.id && spent.renewals > grant.renewals) {
        // The process that held its successor ended before it could save it. A server with reuse detection would take
        // the spent one for stolen. `signed_in_at = 0` because it was not refused from the start, so signing in again
        // helps.
        grant.refresh_token = None;
        grant.signed_in_at = 0;
    }
    Ok(Some(grant).filter(|grant| grant.fits(&ctx.settings)))
}

/// Saves the grant; the caller holds the token lock. Returns the new generation number; `None` if it could not be
/// incremented.
pub(crate) async fn write(ctx: &Context, grant: &Grant) -> Result<Option<u64>, AuthError> {
    ctx.store.write(&ctx.account, grant.to_record()).await?;
    let (files, settings) = (ctx.files.clone(), Arc::clone(&ctx.settings));
    let (account, issuer) = (ctx.account.clone(), grant.issuer.clone());
    // The generation comes last: the other processes wait for it.
    let note = move || {
        let stored_account = notes::stored_account(&files);
        if stored_account.read::<String>().as_ref() != Some(&account)
            && let Err(problem) = stored_account.write(&account)
        {
            tracing::debug!(%problem, "the note that a sign-in is stored could not be written");
        }
        profiles::remember(&files, &settings, &issuer);
        notes::spent(&files).remove();
        presented::note(&files).remove();
        files.generation().bump()
    };
    match blocking::run(note).await {
        Ok(generation) => Ok(Some(generation)),
        Err(problem) => {
            tracing::warn!(%problem, "other processes will not notice the new token");
            Ok(None)
        }
    }
}

//! The grant in the credential store: reading it, replacing it, and the lock on both.
//!
//! A writer raises the generation number in the state directory, so that the other processes read the store again.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::context::Context;
use crate::auth::error::AuthError;
use crate::auth::grants::grant::Grant;
use crate::auth::grants::notes;
use crate::auth::grants::notes::Spent;
use crate::auth::grants::profiles;
use crate::blocking;
use crate::store::{LockError, ProcessLock};

/// How long the token lock is waited for.
const TOKEN_LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// The lock on renewing and saving. Its holder reads the store again: another process may have changed it.
pub(crate) async fn lock(ctx: &Context) -> Result<ProcessLock, LockError> {
    ProcessLock::acquire(&ctx.files.token_lock(), "renewing or saving a sign-in", TOKEN_LOCK_TIMEOUT).await
}

/// The stored grant for these settings.
pub(crate) async fn read(ctx: &Context) -> Result<Option<Grant>, AuthError> {
    let Some(record) = ctx.store.read(&ctx.account).await? else {
        let (files, account) = (ctx.files.clone(), ctx.account.clone());
        let kept = notes::kept(&ctx.files);
        if blocking::run(move || notes::kept(&files).read::<String>().as_ref() == Some(&account)).await {
            // It was stored and not removed by us. Some keychains hide their items while they are locked.
            ctx.store.check().await?;
            blocking::run(move || kept.remove()).await;
        }
        return Ok(None);
    };
    let mut grant = Grant::from_record(&record)?;
    let spent = notes::spent(&ctx.files);
    let spent: Option<Spent> = blocking::run(move || spent.read()).await;
    if spent.is_some_and(|spent| spent.grant == grant.id && spent.renewals > grant.renewals) {
        // The process that had its successor ended before it could save it. A server with reuse detection would take the
        // spent one for stolen. It was not refused from the start: signing in again helps.
        grant.refresh_token = None;
        grant.signed_in_at = 0;
    }
    Ok(Some(grant).filter(|grant| grant.fits(&ctx.settings)))
}

/// Saves the grant; the caller holds the token lock. The new generation number; `None` when it could not be raised.
pub(crate) async fn write(ctx: &Context, grant: &Grant) -> Result<Option<u64>, AuthError> {
    ctx.store.write(&ctx.account, grant.to_record()).await?;
    let (files, settings) = (ctx.files.clone(), Arc::clone(&ctx.settings));
    let (account, issuer) = (ctx.account.clone(), grant.issuer.clone());
    // In this order: the generation is what the others wait for.
    let note = move || {
        let kept = notes::kept(&files);
        if kept.read::<String>().as_ref() != Some(&account)
            && let Err(problem) = kept.write(&account)
        {
            tracing::debug!(%problem, "the note that a sign-in is stored could not be written");
        }
        profiles::remember(&files, &settings, &issuer);
        notes::spent(&files).remove();
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

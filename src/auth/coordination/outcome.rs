//! Corrects the record of the last sign-in, once it shows what came of it.

use crate::auth::context::Context;
use crate::auth::grants::notes::RefusedAfresh;
use crate::auth::grants::{notes, stored};
use crate::auth::login::attempt;
use crate::auth::login::attempt::Attempt;
use crate::problem::Problem;
use crate::store::ProcessLock;

/// Records that the server rejects the tokens of the last sign-in, or another process would find out with another tab. But
/// not while a process is signing in.
pub(crate) async fn rejected(ctx: &Context, why: Problem) {
    let (files, now) = (ctx.files.clone(), ctx.now());
    let held = stored::read(ctx).await.ok().flatten();
    let write = move || {
        if let Some(held) = held {
            notes::refused_afresh(&files).write(&RefusedAfresh { grant: held.id, at: now })?;
        }
        let note = attempt::note(&files);
        let is_good = |attempt: &Attempt| attempt.ended.is_some() && attempt.failure.is_none();
        if let Some(mut attempt) = note.read::<Attempt>().filter(is_good)
            && let Ok(Some(_lock)) = ProcessLock::try_acquire(&files.login_lock())
        {
            attempt.end(now, Some(&why));
            note.write(&attempt)?;
        }
        Ok::<(), Problem>(())
    };
    if let Err(problem) = ctx.record_writer.run(write).await {
        tracing::debug!(%problem, "the record that the server rejects the sign-in could not be written");
    }
}

/// Resets the record after a sign-out: earlier failures no longer count, but the numbering continues.
pub(crate) async fn signed_out(ctx: &Context) -> Result<(), Problem> {
    match attempt::load(&ctx.files).await.filter(|attempt| attempt.ended.is_some()) {
        Some(attempt) => {
            let over = Attempt { number: attempt.number, ended: attempt.ended, ..Attempt::default() };
            attempt::save(ctx, &over).await
        }
        None => Ok(()),
    }
}

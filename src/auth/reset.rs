//! Removes everything that this machine stores for a profile.

use std::path::PathBuf;

use crate::auth::authorizer::Authorizer;
use crate::auth::coordination::login;
use crate::auth::grants::revocation::Revoked;
use crate::auth::grants::stored;
use crate::http::Gate;
use crate::problem::{Problem, ProblemId};
use crate::store::ProcessLock;

/// What a reset has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The outcome for the sign-in at the server; `None` if there was none.
    pub revoked: Option<Revoked>,
    /// The removed files.
    pub files: Vec<PathBuf>,
    /// The locks that remain, because another process holds them.
    pub held: Vec<PathBuf>,
}

/// The files in the state directory that a reset removes.
pub async fn state_files(auth: &Authorizer) -> Vec<PathBuf> {
    let mut files = auth.ctx.files.all();
    // A program can run this command, too, and would otherwise have tab after tab with it.
    if !auth.brake().spent().await.is_ok_and(|spent| spent.is_nothing()) {
        let kept = auth.ctx.brake.record_files();
        files.retain(|file| !kept.contains(file));
    }
    // A gate is named after the grant, which the store knows, or the static token; the gates of earlier grants opened
    // long ago.
    let grant = stored::read_from_anywhere(&auth.ctx).await.ok().flatten();
    let (paths, url) = (&auth.ctx.settings.paths, &auth.ctx.settings.url);
    let tags = [None, grant.map(|grant| grant.tag()), auth.tokens.static_tag().await];
    let own = tags.map(|tag| Gate::file(paths, url, tag));
    files.extend(own.into_iter().filter(|gate| gate.exists()).chain(Gate::opened(paths)));
    files.sort();
    files.dedup();
    files
}

/// Signs out and removes everything stored for this profile.
pub async fn reset(auth: &Authorizer) -> Result<Removed, Problem> {
    // A running sign-in would store tokens after everything else is removed.
    login::stop(&auth.ctx).await?;
    // Now, while the grant is still known; and again after signing out, for what that leaves behind.
    let mut files = state_files(auth).await;
    let mut removed = Removed { revoked: auth.logout().await?, files: Vec::new(), held: Vec::new() };
    files.extend(state_files(auth).await);
    files.sort();
    files.dedup();
    for path in files.into_iter().filter(|path| path.exists()) {
        let lock = if path.extension().is_some_and(|end| end == "lock") {
            match ProcessLock::try_acquire(&path)? {
                Some(lock) => Some(lock),
                None => {
                    removed.held.push(path);
                    continue;
                }
            }
        } else {
            None
        };
        std::fs::remove_file(&path).map_err(|error| {
            Problem::new(ProblemId::StateFileFailed).with("path", path.display()).with("detail", error)
        })?;
        drop(lock);
        removed.files.push(path);
    }
    Ok(removed)
}

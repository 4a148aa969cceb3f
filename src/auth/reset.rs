//! Removing all that this machine keeps for a profile.

use std::path::PathBuf;

use super::authorizer::Authorizer;
use super::revocation::Revoked;
use crate::problem::{Problem, ProblemId};
use crate::store::ProcessLock;

/// What a reset has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What became of the sign-in at the server; `None`: there was none.
    pub revoked: Option<Revoked>,
    /// The files that are gone.
    pub files: Vec<PathBuf>,
    /// The locks that stay, because another process holds them.
    pub held: Vec<PathBuf>,
}

impl Authorizer {
    /// The files in the state directory that a reset removes.
    pub fn state_files(&self) -> Vec<PathBuf> {
        let mut files = self.files.all();
        let gate = self.settings.paths.state_dir.join(format!("{}.gate", self.settings.profile));
        files.extend(Some(gate).filter(|gate| gate.exists()));
        files
    }

    /// Signs out and removes everything that is kept for this profile.
    pub async fn reset(&self) -> Result<Removed, Problem> {
        // It would store tokens after all else is gone.
        self.stop_sign_in().await?;
        let mut removed = Removed { revoked: self.logout().await?, files: Vec::new(), held: Vec::new() };
        for path in self.state_files() {
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
}

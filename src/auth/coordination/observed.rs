//! A snapshot of the profile's newest sign-in in the state directory.

use crate::auth::context::Context;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Attempt;
use crate::blocking;
use crate::store::{LockError, StateDir};

/// The newest sign-in of the profile.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Whether some process is running it.
    pub(crate) is_locked: Result<bool, LockError>,
    /// Its record.
    pub(crate) attempt: Option<Attempt>,
    /// The generation number of the store.
    pub(crate) generation: u64,
}

impl Observed {
    /// Takes a snapshot, on a thread that may block.
    pub(crate) async fn now(ctx: &Context) -> Self {
        let files = ctx.files.clone();
        blocking::run(move || Self::read(&files)).await
    }

    fn read(files: &StateDir) -> Self {
        // The lock first: a record read while nobody holds the lock says how the sign-in ended.
        let is_locked = files.login_is_under_way();
        Self { is_locked, attempt: attempt::note(files).read(), generation: files.generation().read() }
    }

    /// Whether some process is running it, as far as is known.
    pub(crate) fn is_under_way(&self) -> bool {
        self.is_locked.as_ref().is_ok_and(|held| *held)
    }

    /// Its page, while it has not ended.
    pub(crate) fn link(&self) -> Option<String> {
        self.attempt.as_ref().filter(|attempt| attempt.ended.is_none()).and_then(|attempt| attempt.link.clone())
    }
}

//! The token of the settings: sent unchanged, never renewed.

use sha2::{Digest, Sha256};

use crate::auth::Bearer;
use crate::blocking;
use crate::secret::Secret;
use crate::store::StateDir;

/// The token as a bearer with this [`Bearer::tag`].
pub(crate) fn bearer(token: &Secret, tag: u64) -> Bearer {
    Bearer { token: token.clone(), serial: 1, grant: 1, signed_in_at: 0, tag }
}

/// As [`Bearer::tag`]: all of this user's processes with this token share the tag.
///
/// File names contain it, and people share those. It is a hash keyed with the state directory's random key, because
/// with a plain hash anybody who sees a file name could test guesses of the token.
pub(crate) async fn tag(token: Secret, files: StateDir) -> u64 {
    let key = blocking::run(move || files.naming_key()).await;
    match key {
        Ok(key) => {
            let hash = Sha256::new().chain_update(key.expose()).chain_update(token.expose()).finalize();
            hash.iter().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
        }
        Err(error) => {
            // Then each process learns of a 429 on its own.
            tracing::debug!(%error, "the state directory has no key for names");
            0
        }
    }
}

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

/// As [`Bearer::tag`]: the processes of this user that have the token have the tag, too.
///
/// File names contain it, and people show those. It is a hash with a random key of the state directory, because a hash of
/// the token alone would let anybody who sees a name test guesses of the token.
pub(crate) async fn tag(token: Secret, files: StateDir) -> u64 {
    let key = blocking::run(move || files.naming_key()).await;
    match key {
        Ok(key) => {
            let hash = Sha256::new().chain_update(key.expose()).chain_update(token.expose()).finalize();
            hash.iter().take(8).fold(0, |tag, byte| tag << 8 | u64::from(*byte))
        }
        Err(error) => {
            // Other processes then learn of a 429 from one of their own.
            tracing::debug!(%error, "the state directory has no key for names");
            0
        }
    }
}

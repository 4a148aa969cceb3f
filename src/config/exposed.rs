//! A secret on its way to the sign-in process. It lies open only in the bytes of the order, which are a secret again.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::Secret;

/// The value itself, for `#[serde(with)]`.
pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// A secret again.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

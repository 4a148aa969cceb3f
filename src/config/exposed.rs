//! Serializes a secret for the sign-in process: exposed in the bytes of the order, which are themselves secret.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use url::Url;

use super::read;
use crate::secret::Secret;

/// Writes the exposed value.
pub fn serialize<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

/// Reads the value back into a secret.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| match Url::parse(&text) {
        Ok(proxy) if proxy.has_host() => {
            read::hold_password(&proxy);
            Secret::unlisted(text)
        }
        _ => Secret::new(text),
    }))
}

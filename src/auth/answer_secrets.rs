//! Which fields of an authorization server's answers are secrets.

use serde_json::{Map, Value};

use crate::secret::Secrets;

/// Adds the secrets that an answer of an authorization server brings.
pub fn learn(secrets: &mut Secrets, fields: &Map<String, Value>) {
    const SECRET_FIELDS: [&str; 6] =
        ["access_token", "refresh_token", "id_token", "client_secret", "device_code", "registration_access_token"];
    for value in SECRET_FIELDS.iter().filter_map(|name| fields.get(*name)?.as_str()) {
        secrets.add(value);
    }
}

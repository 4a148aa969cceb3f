//! Reads an ID token (OpenID Connect Core, 2 and 5.1): who signed in, and how long the token lasts. It came straight
//! from the token endpoint, so its signature need not be checked (3.1.3.7).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::limits::PERSON_NAME_CHARS;
use crate::problem::printable;

/// The person's name and email address, where present; for display only, never for a decision.
pub fn person(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        name: Option<String>,
        email: Option<String>,
        preferred_username: Option<String>,
    }
    let claims: Claims = claims(token)?;
    let display = |claim: Option<String>| {
        let text: String = printable(claim?.trim()).chars().take(PERSON_NAME_CHARS).collect();
        (!text.is_empty()).then_some(text)
    };
    let known_as = display(claims.email).or_else(|| display(claims.preferred_username));
    match (display(claims.name), known_as) {
        (Some(name), Some(known_as)) if name != known_as => Some(format!("{name} ({known_as})")),
        (name, known_as) => name.or(known_as),
    }
}

/// The token's lifetime, from `iat` to `exp`.
pub fn lifetime(token: &str) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
        iat: f64,
    }
    let claims: Claims = claims(token)?;
    Duration::try_from_secs_f64(claims.exp - claims.iat).ok()
}

fn claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use crate::auth::exchange::id_token::*;

    fn of(claims: &str) -> Option<String> {
        person(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn name_and_address_are_shown_as_far_as_they_are_there() {
        let both = r#"{"name":"Maja Lindqvist","email":"maja@example.com","sub":"1"}"#;
        assert_eq!(of(both).as_deref(), Some("Maja Lindqvist (maja@example.com)"));
        assert_eq!(of(r#"{"email":"maja@example.com"}"#).as_deref(), Some("maja@example.com"));
        assert_eq!(of(r#"{"preferred_username":"maja"}"#).as_deref(), Some("maja"));
        assert_eq!(of(r#"{"name":"maja","email":"maja"}"#).as_deref(), Some("maja"));
        for nobody in ["{}", r#"{"sub":"1"}"#, r#"{"name":"  "}"#, r#"{"name":7}"#, "no json"] {
            assert_eq!(of(nobody), None, "{nobody}");
        }
        assert_eq!(person("no token"), None);
    }

    #[test]
    fn a_name_cannot_drive_the_terminal_it_is_shown_on() {
        let shown = of(&format!(r#"{{"name":"\u001b[2J{}"}}"#, "x".repeat(500))).unwrap();
        assert!(!shown.contains('\u{1b}') && shown.chars().count() <= PERSON_NAME_CHARS, "{shown}");
    }
}

//! What an ID token says (OpenID Connect Core, 2 and 5.1): who signed in, and how long the token lasts. It came from the
//! token endpoint itself, so its signature need not be checked (3.1.3.7); whether it is genuine is its reader's business.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::printable;

/// Longer names are cut.
const LONGEST_NAME_CHARS: usize = 120;

/// The name and the mail address of the person, as far as the token has them; to be shown, never relied on.
pub fn person(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        name: Option<String>,
        email: Option<String>,
        preferred_username: Option<String>,
    }
    let claims: Claims = claims(token)?;
    let shown = |claim: Option<String>| {
        let text: String = printable(claim?.trim()).chars().take(LONGEST_NAME_CHARS).collect();
        (!text.is_empty()).then_some(text)
    };
    let known_as = shown(claims.email).or_else(|| shown(claims.preferred_username));
    match (shown(claims.name), known_as) {
        (Some(name), Some(known_as)) if name != known_as => Some(format!("{name} ({known_as})")),
        (name, known_as) => name.or(known_as),
    }
}

/// From the making of the token to its end.
pub fn life(token: &str) -> Option<Duration> {
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
        assert!(!shown.contains('\u{1b}') && shown.chars().count() <= LONGEST_NAME_CHARS, "{shown}");
    }
}

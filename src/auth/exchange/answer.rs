//! Normalises a token endpoint's answer to the form that RFC 6749 prescribes.

use serde_json::{Map, Value};

/// Why an answer is no token that this program can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoToken {
    /// Something else answered, or the server is broken; why, in words.
    Unreadable(String),
    /// There is an access token, but inside this member and not where RFC 6749 (5.1) has it.
    Inside(String),
    /// The token is of this type, and `Bearer` is not how it is presented.
    Type(String),
}

impl From<&str> for NoToken {
    fn from(why: &str) -> Self {
        Self::Unreadable(why.to_owned())
    }
}

/// Token types whose tokens are presented in a scheme of their own, not as `Bearer` (RFC 6749, 7.1): those of the registry
/// of HTTP authentication schemes, some that never came into it, and RFC 8693's for what is no access token.
const OTHER_SCHEMES: [&str; 12] =
    ["basic", "digest", "dpop", "gnap", "hawk", "hoba", "mac", "mutual", "n_a", "negotiate", "pop", "signature"];

/// Whether a token of this type is presented as `Bearer`. Some servers name the kind of its owner here (`user`, `bot`).
pub fn is_bearer(token_type: &str) -> bool {
    !OTHER_SCHEMES.contains(&token_type.trim().to_ascii_lowercase().as_str())
}

/// The answer in the form of RFC 6749 (5.1, 5.2), whatever form the server chose.
pub fn plain(status: u16, body: &[u8]) -> Result<(u16, Map<String, Value>), NoToken> {
    let mut fields = match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err("it is JSON, but not an object".into()),
        Err(_) if body.iter().all(u8::is_ascii_whitespace) => return Err("it is empty".into()),
        Err(_) => form(body).ok_or("it is not JSON")?,
    };
    fields.retain(|_, value| !value.is_null());
    if !(200..300).contains(&status) || fields.contains_key("error") {
        // Some servers wrap the error in an object, or send it with status 200.
        if let Some(Value::Object(inner)) = fields.get("error").cloned() {
            let code = inner.get("code").or_else(|| inner.get("type")).cloned().unwrap_or(Value::Null);
            let text = inner.get("message").cloned().unwrap_or(Value::Null);
            fields.insert("error".into(), code);
            fields.insert("error_description".into(), text);
        }
        if !fields.get("error").is_some_and(Value::is_string) {
            return Err("it contains neither a token nor an error".into());
        }
        for name in ["error_description", "error_uri"] {
            if fields.get(name).is_some_and(|value| !value.is_string()) {
                fields.remove(name);
            }
        }
        return Ok((400, fields));
    }
    if fields.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(match member_with_token(&fields) {
            Some(member) => NoToken::Inside(member.to_owned()),
            None => "it contains no access token".into(),
        });
    }
    if !fields.get("token_type").is_some_and(Value::is_string) {
        fields.insert("token_type".into(), "bearer".into());
    }
    if fields.get("refresh_token").is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
        fields.remove("refresh_token");
    }
    if let Some(value) = fields.remove("expires_in")
        && let Some(seconds) = seconds(&value)
    {
        fields.insert("expires_in".into(), seconds.into());
    }
    match fields.remove("scope") {
        Some(Value::String(scope)) => _ = fields.insert("scope".into(), Value::String(scope)),
        Some(Value::Array(scopes)) => {
            let scopes: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
            fields.insert("scope".into(), scopes.join(" ").into());
        }
        _ => {}
    }
    Ok((200, fields))
}

/// The member that holds the access token in place of the answer itself.
fn member_with_token(fields: &Map<String, Value>) -> Option<&str> {
    let holds =
        |value: &Value| value.get("access_token").and_then(Value::as_str).is_some_and(|token| !token.is_empty());
    fields.iter().find(|(_, value)| holds(value)).map(|(name, _)| name.as_str())
}

/// `access_token=…&token_type=…`, as some servers answer regardless of `Accept`.
fn form(body: &[u8]) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(body).ok()?;
    if text.contains(['<', '{', '\n']) {
        return None;
    }
    let fields: Map<String, Value> =
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    (fields.contains_key("access_token") || fields.contains_key("error")).then_some(fields)
}

/// Whole seconds, from a number or a string, with or without a fraction; anything else counts as absent.
pub fn seconds(value: &Value) -> Option<u64> {
    /// Ten years: long enough, and safe to add to a date.
    const LONGEST_LIFETIME_SECONDS: f64 = 315_360_000.0;
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
    number.is_finite().then(|| number.clamp(0.0, LONGEST_LIFETIME_SECONDS) as u64)
}

#[cfg(test)]
mod tests {
    use crate::auth::exchange::answer::*;

    fn ok(body: &str) -> Map<String, Value> {
        let (status, fields) = plain(200, body.as_bytes()).unwrap();
        assert_eq!(status, 200, "{body}");
        fields
    }

    #[test]
    fn lifetimes_in_every_form_become_whole_seconds() {
        for (given, expected) in [
            ("3600", Some(3600)),
            ("3600.7", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("\" 3600.0 \"", Some(3600)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("1e30", Some(315_360_000)),
            ("null", None),
            ("\"soon\"", None),
            ("{}", None),
        ] {
            let fields = ok(&format!(r#"{{"access_token":"t","expires_in":{given}}}"#));
            assert_eq!(fields.get("expires_in").and_then(Value::as_u64), expected, "{given}");
        }
    }

    #[test]
    fn what_servers_leave_out_or_write_differently_is_understood() {
        assert_eq!(ok(r#"{"access_token":"t"}"#)["token_type"], "bearer");
        assert!(!ok(r#"{"access_token":"t","refresh_token":null}"#).contains_key("refresh_token"));
        assert!(!ok(r#"{"access_token":"t","refresh_token":""}"#).contains_key("refresh_token"));
        assert_eq!(ok(r#"{"access_token":"t","scope":["a","b"]}"#)["scope"], "a b");
        assert_eq!(ok("access_token=t&token_type=bearer&expires_in=5")["expires_in"], 5);
    }

    #[test]
    fn only_a_type_that_is_a_scheme_of_its_own_is_no_bearer() {
        for (token_type, expected) in [
            ("Bearer", true),
            ("bearer", true),
            ("user", true),
            ("bot", true),
            ("access_token", true),
            ("", true),
            ("mac", false),
            ("MAC", false),
            ("DPoP", false),
            ("pop", false),
            ("N_A", false),
        ] {
            assert_eq!(is_bearer(token_type), expected, "{token_type}");
        }
        assert_eq!(ok(r#"{"access_token":"t","token_type":5}"#)["token_type"], "bearer");
    }

    #[test]
    fn a_token_inside_another_member_is_found_and_not_taken() {
        for (body, member) in [
            (r#"{"ok":true,"app_id":"A1","authed_user":{"id":"U1","access_token":"xoxp"}}"#, "authed_user"),
            (r#"{"data":{"access_token":"t","expires_in":5}}"#, "data"),
        ] {
            assert_eq!(plain(200, body.as_bytes()), Err(NoToken::Inside(member.to_owned())), "{body}");
        }
        let both = ok(r#"{"access_token":"top","authed_user":{"access_token":"inner"}}"#);
        assert_eq!(both["access_token"], "top");
        for body in [r#"{"authed_user":{"id":"U1"}}"#, r#"{"authed_user":{"access_token":""}}"#] {
            assert!(matches!(plain(200, body.as_bytes()), Err(NoToken::Unreadable(_))), "{body}");
        }
    }

    #[test]
    fn an_error_is_an_error_whatever_its_status_and_wrapping() {
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (200, r#"{"error":"invalid_grant","access_token":"t"}"#),
            (401, r#"{"error":"invalid_grant","error_description":{"a":1}}"#),
            (400, r#"{"error":{"code":"invalid_grant","message":"m"}}"#),
            (400, "error=invalid_grant"),
        ] {
            let (status, fields) = plain(status, body.as_bytes()).unwrap();
            assert_eq!((status, &fields["error"]), (400, &Value::from("invalid_grant")), "{body}");
        }
    }

    #[test]
    fn what_is_no_token_answer_is_refused_in_words() {
        for (status, body) in [
            (200, ""),
            (200, "<html>"),
            (200, "[]"),
            (200, "{}"),
            (200, r#"{"access_token":5}"#),
            (200, r#"{"access_token":""}"#),
            (500, "{}"),
            (403, "no"),
        ] {
            assert!(plain(status, body.as_bytes()).is_err(), "{body}");
        }
    }
}

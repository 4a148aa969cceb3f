//! `planhat-mcp config --schema`: a JSON Schema of the configuration file, with which editors complete it and mark mistakes.

use serde_json::{Map, Value, json};

use crate::config::key::{Key, Takes};
use crate::config::{
    CallbackHost, Choice, KeyAlgorithm, LogLevel, Paths, Settings, SignInPolicy, TokenStoreKind, TransportKind, server,
};

/// The schema, in the draft that editors know best.
pub fn schema() -> Value {
    let keys = properties();
    let mut all = keys.clone();
    all.insert(
        "profiles".to_owned(),
        json!({
            "type": "object",
            "description": "Keys that count with --profile NAME alone, in a table for each.",
            "additionalProperties": { "type": "object", "properties": keys, "additionalProperties": false },
        }),
    );
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The configuration file of planhat-mcp",
        "type": "object",
        "properties": all,
        "additionalProperties": false,
    })
}

fn properties() -> Map<String, Value> {
    let url = url::Url::parse(server::PRODUCTION_URL).expect("a constant, which the tests parse");
    let defaults = Settings::for_url(url, Paths { config_file: "config.toml".into(), state_dir: "state".into() });
    // A file holds no secret.
    let keys = Key::ALL.iter().filter(|key| !key.is_secret());
    keys.map(|key| {
        let info = key.info();
        let help = info.flag.map_or_else(String::new, |flag| format!("{}. ", flag.help));
        let mut property = json!({ "description": format!("{help}Expected: {}.", info.expected) });
        let by_default = defaults.shown(*key);
        let is_number = by_default.as_ref().is_some_and(|shown| shown.parse::<u64>().is_ok());
        property["type"] = match info.flag.map(|flag| flag.takes) {
            Some(Takes::Truth) => json!("boolean"),
            // In words, too, as everywhere: "50", "none".
            _ if is_number => json!(["integer", "string"]),
            _ => json!("string"),
        };
        if let Some(words) = words(*key) {
            property["enum"] = json!(words);
        }
        (info.name.to_owned(), property)
    })
    .collect()
}

/// The words of a setting that is one of a few.
fn words(key: Key) -> Option<Vec<&'static str>> {
    fn all<T: Choice>() -> Option<Vec<&'static str>> {
        Some(T::CHOICES.iter().map(|choice| choice.as_str()).collect())
    }
    match key {
        Key::Tenant => Some(vec!["production", "demo"]),
        Key::TokenStore => all::<TokenStoreKind>(),
        Key::SignIn => all::<SignInPolicy>(),
        Key::LogLevel => all::<LogLevel>(),
        Key::Transport => all::<TransportKind>(),
        Key::CallbackHost => all::<CallbackHost>(),
        Key::ClientKeyAlg => all::<KeyAlgorithm>(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_each_key_of_the_file_and_no_secret() {
        let schema = schema();
        for key in Key::ALL {
            let property = &schema["properties"][key.info().name];
            assert_eq!(property.is_null(), key.is_secret(), "{key:?}");
        }
        assert_eq!(schema["properties"]["ipv4"]["type"], "boolean");
        assert_eq!(schema["properties"]["callback_port"]["type"], json!(["integer", "string"]));
        assert_eq!(schema["properties"]["token_store"]["enum"], json!(["keychain", "file", "memory"]));
        assert_eq!(schema["properties"]["profiles"]["additionalProperties"]["properties"]["url"]["type"], "string");
    }
}

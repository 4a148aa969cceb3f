//! What is packaged fits the program: versions, variables, the redirect URL.

use planhat_mcp::config::DEFAULT_CALLBACK_PORT;
use planhat_mcp::config::key::Key;
use serde_json::Value;

fn manifest() -> Value {
    serde_json::from_str(include_str!("../../packaging/mcpb/manifest.json")).expect("JSON")
}

#[test]
fn the_bundle_has_the_version_of_the_crate() {
    assert_eq!(manifest()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_bundle_hands_every_user_setting_over_in_a_variable_that_the_program_reads() {
    let manifest = manifest();
    let variables = manifest["server"]["mcp_config"]["env"].as_object().expect("an object");
    for (name, value) in variables {
        assert!(Key::ALL.iter().any(|key| key.info().variable == name), "{name}");
        let setting = value.as_str().and_then(|value| value.strip_prefix("${user_config."));
        let setting = setting.and_then(|value| value.strip_suffix('}')).expect("a user setting");
        assert!(manifest["user_config"][setting].is_object(), "{setting}");
    }
    assert_eq!(variables.len(), manifest["user_config"].as_object().map_or(0, serde_json::Map::len));
    assert_eq!(manifest["user_config"]["client_secret"]["sensitive"], true);
}

#[test]
fn every_text_that_names_the_redirect_url_names_the_default_one() {
    let url = format!("http://127.0.0.1:{DEFAULT_CALLBACK_PORT}/callback");
    for (name, text) in [
        ("the manifest", include_str!("../../packaging/mcpb/manifest.json")),
        ("README.md", include_str!("../../README.md")),
    ] {
        assert!(text.contains(&url), "{name}");
    }
}

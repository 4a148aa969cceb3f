//! What is packaged fits the program: versions, variables, the redirect URL.

use planhat_mcp::config::DEFAULT_CALLBACK_PORT;
use planhat_mcp::config::key::Key;
use serde_json::Value;

fn manifest() -> Value {
    serde_json::from_str(include_str!("../../packaging/mcpb/manifest.json")).expect("JSON")
}

#[test]
fn no_package_repeats_the_version_of_the_crate() {
    assert!(manifest()["version"].is_null(), "packaging/mcpb/manifest.mjs writes it");
    let server: Value = serde_json::from_str(include_str!("../../packaging/templates/server.json")).expect("JSON");
    assert_eq!(server["version"], "@VERSION@");
    for package in server["packages"].as_array().expect("packages") {
        assert!(
            package["version"] == "@VERSION@"
                || package["identifier"].as_str().is_some_and(|id| id.ends_with("@VERSION@"))
        );
    }
}

#[test]
fn the_bundle_hands_every_user_setting_over_and_no_secret_in_an_argument() {
    let manifest = manifest();
    let start = &manifest["server"]["mcp_config"];
    let mut settings: Vec<String> = Vec::new();
    let name = |value: &str| value.strip_prefix("${user_config.")?.strip_suffix('}').map(str::to_owned);
    for (variable, value) in start["env"].as_object().expect("an object") {
        assert!(Key::ALL.iter().any(|key| key.info().variable == variable), "{variable}");
        settings.push(value.as_str().and_then(name).expect("a user setting"));
    }
    let given = |arguments: &Value| -> Vec<String> {
        let arguments = arguments.as_array().expect("a list").iter().filter_map(Value::as_str);
        arguments.filter(|argument| argument.starts_with("--")).map(str::to_owned).collect()
    };
    let arguments = given(&start["args"]);
    assert_eq!(arguments, given(&start["platform_overrides"]["win32"]["args"]), "the same on every system");
    for argument in &arguments {
        let (flag, value) = argument.split_once('=').expect("--flag=value");
        assert!(Key::ALL.iter().any(|key| key.flag() == Some(flag)), "{flag}");
        if *flag == *Key::FromExtension.flag().expect("it has one") {
            assert_eq!(value, "true");
            continue;
        }
        let setting = name(value).expect("a user setting");
        let described = &manifest["user_config"][&setting];
        assert_ne!(described["sensitive"], true, "{setting}: every program of a machine can read arguments");
        // Without a default, clients hand the placeholder over.
        assert!(described["required"] == true || described["default"].is_string(), "{setting}");
        settings.push(setting);
    }
    settings.sort();
    let described: Vec<&String> = manifest["user_config"].as_object().expect("an object").keys().collect();
    assert_eq!(settings.iter().collect::<Vec<_>>(), described);
    assert_eq!(manifest["user_config"]["client_secret"]["sensitive"], true);
}

#[test]
fn every_variable_that_a_package_names_is_one_that_the_program_reads() {
    for text in
        [include_str!("../../packaging/templates/server.json"), include_str!("../../packaging/container/Containerfile")]
    {
        for (at, _) in text.match_indices("PLANHAT_MCP_") {
            let end = text[at..].find(|c: char| c != '_' && !c.is_ascii_uppercase()).expect("the name ends");
            let name = &text[at..at + end];
            assert!(Key::ALL.iter().any(|key| key.info().variable == name), "{name}");
        }
    }
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

//! Where to sign in, at servers that say it in their own way; and what the user may accept of it.

use std::process::{Output, Stdio};

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Challenge, Config, Fault, Place, ProtectedResource};
use serde_json::{Value, json};

use crate::support::Setup;
#[cfg(unix)]
use crate::support::typed;

fn run(setup: &Setup, words: &[&str]) -> Output {
    let mut command = setup.command();
    command.args(words).stdin(Stdio::null()).output().expect("the binary starts")
}

fn shown(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn row(setup: &Setup, words: &[&str], name: &str) -> Value {
    let output = run(setup, &[&["doctor", "--json"], words].concat());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rows = report["checks"].as_array().expect("checks");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name} in {report:#}")).clone()
}

#[test]
fn a_hint_that_leads_nowhere_is_a_row_of_doctor_and_the_sign_in_goes_on_without_it() {
    for (hint, problem) in
        [("/v1/mcp/nothing-here", None), ("http://mcp.example.com/.well-known/x", Some("unsafe-endpoint"))]
    {
        let challenge = Challenge { hint: Some(hint.to_owned()), ..Challenge::default() };
        let config = Config { challenge, protected_resource: ProtectedResource::AtPath, ..Config::default() };
        let setup = Setup::with_sign_in(config, Choice::Allow);
        let login = run(&setup, &["login"]);
        assert!(login.status.success(), "{hint}: {}", shown(&login));
        if let Some(problem) = problem {
            let row = row(&setup, &[], "metadata hint");
            assert_eq!((&row["state"], &row["problem"]), (&json!("warn"), &json!(problem)), "{row:#}");
        }
        assert_eq!(row(&setup, &[], "discovery")["state"], "ok");
    }
}

#[test]
fn a_protection_against_bots_is_named_with_its_ray_id_and_nothing_is_registered() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let page = "<title>Just a moment...</title>";
    let challenge = Fault::status(403).body(page).at(Place::Metadata).always();
    let challenge = challenge
        .header("content-type", "text/html")
        .header("cf-mitigated", "challenge")
        .header("cf-ray", "8f2c0d-FRA");
    setup.sandbox.fault(challenge);
    let login = run(&setup, &["login"]);
    assert_eq!(login.status.code(), Some(3));
    let words = shown(&login);
    assert!(words.contains("name: bot-protection") && words.contains("8f2c0d-FRA"), "{words}");
    let row = row(&setup, &[], "discovery");
    assert_eq!((&row["state"], &row["problem"]), (&json!("fail"), &json!("bot-protection")), "{row:#}");
    assert!(setup.sandbox.requests_at(Place::Registration).is_empty());
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty());
}

#[cfg(unix)]
#[test]
fn what_a_user_consents_to_is_offered_by_name_lifts_one_refusal_and_is_shown_everywhere() {
    let patch = json!({ "issuer": "{ws}", "code_challenge_methods_supported": null });
    let setup = Setup::with_sign_in(Config { metadata_patch: Some(patch), ..Config::default() }, Choice::Allow);
    let ws = setup.sandbox.ws_base();
    let refused = run(&setup, &["login"]);
    let pin = format!("--issuer {ws}");
    assert!(shown(&refused).contains("name: issuer-mismatch") && shown(&refused).contains(&pin), "{}", shown(&refused));
    let pinned = ["--issuer", ws.as_str()];
    let refused = run(&setup, &[&["login"], &pinned[..]].concat());
    let words = shown(&refused);
    assert!(words.contains("name: s256-unlisted") && words.contains("--allow-unlisted-s256"), "{words}");
    let both = [&pinned[..], &["--allow-unlisted-s256"]].concat();
    // The tokens come from another origin than the issuer's, so a person confirms it once.
    let refused = run(&setup, &[&["login"], &both[..]].concat());
    assert!(shown(&refused).contains("name: pinned-issuer-unconfirmed"), "{}", shown(&refused));
    assert!(setup.sandbox.requests_at(Place::Authorize).is_empty());
    let mut login = setup.command();
    login.arg("login").args(&both);
    let login = typed(login);
    assert!(login.status.success(), "{}", shown(&login));
    assert_eq!(setup.sandbox.requests_at(Place::Authorize)[0].fields()["code_challenge_method"], "S256");
    for command in ["config", "status"] {
        let words = shown(&run(&setup, &[&[command], &both[..]].concat()));
        assert!(words.contains(&pin) && words.contains("does not list S256"), "{command}: {words}");
        assert!(!shown(&run(&setup, &[command])).contains(" --issuer"), "{command}");
    }
    let row = row(&setup, &both, "consents");
    assert!(row["text"].as_str().is_some_and(|text| text.contains(&pin)), "{row:#}");
    assert_eq!(row["details"].as_array().map(Vec::len), Some(2), "{row:#}");
}

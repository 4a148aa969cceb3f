//! What installing and uninstalling do to files that hold nothing, others' entries, and entries of this program.

use serde_json::json;

use super::*;
use crate::clients::folders::{Folders, System};
use crate::clients::table;

const URL: &str = "https://api.planhat.com/v1/mcp";

fn target(id: &str) -> Target {
    let folders = Folders::of(System::Linux, Path::new("/home/u"), Path::new("/project"));
    table::named(id).expect("a client").targets(&folders, Scope::User).remove(0)
}

fn launch(arguments: &[&str]) -> Launch {
    Launch {
        command: "/new/planhat-mcp".to_owned(),
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
    }
}

/// As it is decided for Planhat: the same server is meant where no tenant is named.
fn is_same(entry: &Entry) -> bool {
    !entry.arguments.iter().any(|word| word == "demo")
}

struct How<'a> {
    id: &'a str,
    name: &'a str,
    is_named: bool,
    arguments: &'a [&'a str],
    replaces: bool,
}

const PLAIN: How<'_> = How { id: "cursor", name: "planhat", is_named: false, arguments: &[], replaces: false };

fn planned(how: &How<'_>, text: &str) -> Result<Change, Problem> {
    let url = URL.parse().expect("a constant");
    let launch = launch(how.arguments);
    let wanted = Wanted {
        name: how.name,
        is_named: how.is_named,
        launch: &launch,
        keeps_arguments: how.arguments.is_empty(),
        replaces: how.replaces,
        url: &url,
        is_same: &is_same,
    };
    install(&target(how.id), Some(text.to_owned()), &wanted)
}

/// The servers after it, the deed, and whom it was done to.
fn done(how: &How<'_>, servers: Value) -> (Value, Deed, String) {
    let change =
        planned(how, &json!({ "mcpServers": servers }).to_string()).unwrap_or_else(|problem| panic!("{problem:?}"));
    let after: Value = serde_json::from_str(change.after.as_deref().expect("a text")).expect("JSON");
    (after["mcpServers"].clone(), change.deed, change.names.join(" "))
}

#[test]
fn a_new_entry_stands_beside_those_of_others() {
    let (after, deed, names) = done(&PLAIN, json!({ "a": { "command": "x" } }));
    assert_eq!((deed, names.as_str()), (Deed::Added, "planhat"));
    assert_eq!(after, json!({ "a": { "command": "x" }, "planhat": { "command": "/new/planhat-mcp" } }));
}

#[test]
fn an_entry_of_this_program_is_updated_and_keeps_what_the_user_added() {
    let old = json!({ "planhat": { "command": "/old/planhat-mcp", "args": ["--ipv4"], "env": { "A": "b" }, "disabled": true } });
    let (after, deed, _) = done(&PLAIN, old.clone());
    assert_eq!(deed, Deed::Updated);
    let kept = json!({ "command": "/new/planhat-mcp", "args": ["--ipv4"], "env": { "A": "b" }, "disabled": true });
    assert_eq!(after["planhat"], kept, "no arguments were given, so they stay");
    let (after, deed, _) = done(&How { arguments: &["--tenant", "demo"], ..PLAIN }, old);
    assert_eq!((deed, &after["planhat"]["args"]), (Deed::Updated, &json!(["--tenant", "demo"])));
    let (after, deed, _) = done(&How { arguments: &["--tenant", "demo"], ..PLAIN }, after);
    assert_eq!(deed, Deed::Unchanged, "the second time nothing changes");
    let taken = planned(&PLAIN, &json!({ "mcpServers": after }).to_string()).expect_err("it is for another server");
    assert_eq!(taken.id, ProblemId::ClientNameTaken);
}

#[test]
fn an_entry_of_another_name_is_meant_if_it_is_for_the_same_server() {
    let (after, deed, names) = done(&PLAIN, json!({ "mine": { "command": "planhat-mcp" } }));
    assert_eq!((deed, names.as_str()), (Deed::Updated, "mine"));
    assert_eq!(after, json!({ "mine": { "command": "/new/planhat-mcp" } }));
    let other = json!({ "demo": { "command": "planhat-mcp", "args": ["--tenant", "demo"] } });
    assert_eq!(done(&PLAIN, other).1, Deed::Added, "another tenant is another server");
    let named = How { name: "two", is_named: true, ..PLAIN };
    assert_eq!(done(&named, json!({ "mine": { "command": "planhat-mcp" } })).1, Deed::Added, "somebody chose the name");
}

#[test]
fn what_a_runner_needs_stands_before_the_arguments_that_are_kept() {
    let url = URL.parse().expect("a constant");
    let launch = Launch { command: "npx".to_owned(), arguments: vec!["-y".to_owned(), "planhat-mcp".to_owned()] };
    let wanted = Wanted {
        name: "planhat",
        is_named: false,
        launch: &launch,
        keeps_arguments: true,
        replaces: false,
        url: &url,
        is_same: &is_same,
    };
    let planned = |text: &str| install(&target("cursor"), Some(text.to_owned()), &wanted).expect("planned");
    let old = r#"{"mcpServers":{"planhat":{"command":"/old/planhat-mcp","args":["--ipv4"]}}}"#;
    let change = planned(old);
    let text = change.after.expect("a text");
    assert!(text.contains(r#""command":"npx","args":["-y","planhat-mcp","--ipv4"]"#), "{text}");
    assert_eq!(planned(&text).deed, Deed::Unchanged);
}

#[test]
fn a_project_s_file_may_name_the_program_alone() {
    let url = URL.parse().expect("a constant");
    let launch = launch(&[]);
    let wanted = Wanted {
        name: "planhat",
        is_named: false,
        launch: &launch,
        keeps_arguments: true,
        replaces: false,
        url: &url,
        is_same: &is_same,
    };
    let text = Some(r#"{"mcpServers":{"planhat":{"command":"planhat-mcp"}}}"#.to_owned());
    let own = target("cursor");
    let shared = Target { scope: Scope::Project, ..own.clone() };
    assert_eq!(install(&shared, text.clone(), &wanted).expect("planned").deed, Deed::Unchanged);
    assert_eq!(install(&own, text, &wanted).expect("planned").deed, Deed::Updated);
}

#[test]
fn an_entry_that_something_else_starts_is_left_as_it_is() {
    let wrapped = json!({ "planhat": { "command": "firejail", "args": ["planhat-mcp", "--ipv4"] } });
    assert_eq!(done(&PLAIN, wrapped.clone()).1, Deed::Unchanged);
    assert_eq!(done(&How { replaces: true, ..PLAIN }, wrapped).1, Deed::Replaced);
}

#[test]
fn a_name_that_something_else_has_is_taken_only_with_consent() {
    for (server, found) in [
        (json!({ "url": "https://x.example/mcp" }), "no local program"),
        (json!({ "command": "/usr/bin/other", "args": ["canary"] }), "starts other"),
        (json!({ "command": "npx", "args": ["mcp-remote", URL] }), "starts mcp-remote"),
    ] {
        let text = json!({ "mcpServers": { "planhat": server } }).to_string();
        let problem = planned(&PLAIN, &text).expect_err("taken");
        assert_eq!(problem.id, ProblemId::ClientNameTaken);
        assert!(problem.fact("detail").is_some_and(|detail| detail.contains(found)), "{problem:?}");
        assert!(!format!("{problem:?}").contains("canary"));
        let change = planned(&How { replaces: true, ..PLAIN }, &text).expect("with consent");
        assert_eq!(change.deed, Deed::Replaced);
        assert!(change.after.is_some_and(|text| text.contains("/new/planhat-mcp") && !text.contains("https://")));
    }
}

#[test]
fn mcp_remote_for_the_same_server_is_recognised_and_makes_room_only_with_consent() {
    let servers = json!({
        "hat": { "command": "npx", "args": ["-y", "mcp-remote@latest", URL] },
        "b": { "command": "npx", "args": ["mcp-remote", "https://mcp.other.example/mcp"] },
    });
    let text = json!({ "mcpServers": servers }).to_string();
    let change = planned(&PLAIN, &text).expect("beside it");
    assert_eq!((change.deed, change.beside), (Deed::Added, vec!["hat".to_owned()]));
    let (after, deed, _) = done(&How { replaces: true, ..PLAIN }, servers);
    assert_eq!(deed, Deed::Replaced);
    assert!(after.get("hat").is_none() && after.get("b").is_some() && after.get("planhat").is_some(), "{after}");
}

#[test]
fn uninstalling_takes_out_what_starts_this_program_and_nothing_else() {
    let servers = json!({
        "planhat": { "command": "planhat-mcp" },
        "mine": { "command": "npx", "args": ["planhat-mcp"] },
        "b": { "command": "npx", "args": ["mcp-remote", URL] },
    });
    let text = json!({ "mcpServers": servers }).to_string();
    let change = uninstall(&target("cursor"), Some(text.clone()), None).expect("planned");
    assert_eq!(change.names, ["mine", "planhat"]);
    let after: Value = serde_json::from_str(&change.after.expect("a text")).expect("JSON");
    assert_eq!(after["mcpServers"], json!({ "b": servers["b"] }));
    let one = uninstall(&target("cursor"), Some(text.clone()), Some("planhat")).expect("planned");
    assert_eq!(one.names, ["planhat"]);
    let none = uninstall(&target("cursor"), Some(text), Some("b")).expect("planned");
    assert!(none.deed == Deed::Unchanged && !none.is_one());
    assert!(!uninstall(&target("cursor"), None, None).expect("planned").is_one(), "no file is made");
}

#[test]
fn opencode_gets_the_entry_where_its_version_has_the_list() {
    let how = How { id: "opencode", ..PLAIN };
    let entry = json!({ "type": "local", "command": ["/new/planhat-mcp"], "enabled": true });
    let after = |text: &str| -> Value {
        serde_json::from_str(&planned(&how, text).expect("planned").after.expect("a text")).expect("JSON")
    };
    assert_eq!(after("{}")["mcp"]["planhat"], entry);
    assert_eq!(after(r#"{"mcp":{"servers":{}}}"#)["mcp"]["servers"]["planhat"], entry);
    let named_so = r#"{"mcp":{"servers":{"type":"local","command":["x"]}}}"#;
    assert_eq!(after(named_so)["mcp"]["planhat"], entry);
    let old = r#"{"mcp":{"planhat":{"type":"local","command":["/old/planhat-mcp","--ipv4"],"environment":{"A":"b"}}}}"#;
    assert_eq!(after(old)["mcp"]["planhat"]["command"], json!(["/new/planhat-mcp", "--ipv4"]));
}

#[test]
fn every_client_with_a_file_gets_an_entry_that_is_found_again() {
    for client in table::CLIENTS.iter().filter(|client| client.format != crate::clients::client::Format::None) {
        let target = target(client.id);
        let how = How { id: client.id, arguments: &["--tenant", "demo"], ..PLAIN };
        let change = planned(&how, "").unwrap_or_else(|problem| panic!("{}: {problem:?}", client.id));
        let text = change.after.expect("a text");
        assert!(stands(&target, &text, "planhat", &launch(how.arguments)), "{}:\n{text}", client.id);
        let again = planned(&how, &text).expect("planned");
        assert!(again.deed == Deed::Unchanged && !again.is_one(), "{}", client.id);
        let gone = uninstall(&target, Some(text), None).expect("planned");
        assert_eq!(gone.names, ["planhat"], "{}", client.id);
        assert!(ours(&target, gone.after.as_deref().unwrap_or_default()).is_ok_and(|names| names.is_empty()));
    }
}

#[test]
fn a_file_that_cannot_be_understood_is_named_with_the_place() {
    let problem = planned(&PLAIN, "{\n  \"mcpServers\": {,\n").expect_err("broken");
    assert_eq!(problem.id, ProblemId::ClientFileBroken);
    assert_eq!((problem.fact("line"), problem.fact("column")), (Some("2"), Some("18")));
}

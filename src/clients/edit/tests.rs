//! Files of clients before and after: with comments, empty, broken, in other ends of lines, with an entry that is there.

use serde_json::json;

use super::*;

fn list() -> Vec<String> {
    vec!["mcpServers".to_owned()]
}

fn entry() -> Vec<(&'static str, Value)> {
    vec![("command", json!("/p")), ("args", json!(["--tenant", "demo"]))]
}

fn put_json(text: &str) -> String {
    let list = list();
    put(Format::Json, text, Place { list: &list, name: "planhat" }, &entry())
        .unwrap_or_else(|fault| panic!("{fault:?}"))
}

fn remove_json(text: &str) -> String {
    let list = list();
    remove(Format::Json, text, Place { list: &list, name: "planhat" }).unwrap_or_else(|fault| panic!("{fault:?}"))
}

fn update_json(text: &str, members: Members<'_>) -> String {
    let list = list();
    update(Format::Json, text, Place { list: &list, name: "planhat" }, members)
        .unwrap_or_else(|fault| panic!("{fault:?}"))
}

#[test]
fn an_entry_is_put_into_json_in_the_file_s_own_manner() {
    let new = "{\n  \"mcpServers\": {\n    \"planhat\": {\n      \"command\": \"/p\",\n      \"args\": [\"--tenant\", \"demo\"]\n    }\n  }\n}\n";
    for (before, after) in [
        ("", new),
        ("\n", new),
        ("{}", new.trim_end()),
        ("{}\n", new),
        ("{\n}\n", new),
        (
            "// mine\n",
            "// mine\n{\n  \"mcpServers\": {\n    \"planhat\": {\n      \"command\": \"/p\",\n      \"args\": [\"--tenant\", \"demo\"]\n    }\n  }\n}\n",
        ),
        (
            "{\n  // none yet\n}\n",
            "{\n  // none yet\n  \"mcpServers\": {\n    \"planhat\": {\n      \"command\": \"/p\",\n      \"args\": [\"--tenant\", \"demo\"]\n    }\n  }\n}\n",
        ),
        (
            "{\n    \"theme\": \"dark\" // näht\n}\n",
            "{\n    \"theme\": \"dark\", // näht\n    \"mcpServers\": {\n        \"planhat\": {\n            \"command\": \"/p\",\n            \"args\": [\"--tenant\", \"demo\"]\n        }\n    }\n}\n",
        ),
        (
            "{\n\t\"mcpServers\": {\n\t\t\"ä\": { \"command\": \"x\" }, /* first */\n\t},\n}",
            "{\n\t\"mcpServers\": {\n\t\t\"ä\": { \"command\": \"x\" }, /* first */\n\t\t\"planhat\": {\n\t\t\t\"command\": \"/p\",\n\t\t\t\"args\": [\"--tenant\", \"demo\"]\n\t\t},\n\t},\n}",
        ),
        (
            "{\r\n  \"mcpServers\": {}\r\n}\r\n",
            "{\r\n  \"mcpServers\": {\r\n    \"planhat\": {\r\n      \"command\": \"/p\",\r\n      \"args\": [\"--tenant\", \"demo\"]\r\n    }\r\n  }\r\n}\r\n",
        ),
        (
            r#"{"mcpServers":{"a":{"command":"x"}},"b":1}"#,
            r#"{"mcpServers":{"a":{"command":"x"},"planhat":{"command":"/p","args":["--tenant","demo"]}},"b":1}"#,
        ),
        (r#"{"b":1}"#, r#"{"b":1,"mcpServers":{"planhat":{"command":"/p","args":["--tenant","demo"]}}}"#),
        (
            "{\n  \"mcpServers\": { \"a\": { \"command\": \"x\" } }\n}\n",
            "{\n  \"mcpServers\": { \"a\": { \"command\": \"x\" }, \"planhat\": { \"command\": \"/p\", \"args\": [\"--tenant\", \"demo\"] } }\n}\n",
        ),
        (
            "\u{feff}{\n  \"a\": 1\n}",
            "\u{feff}{\n  \"a\": 1,\n  \"mcpServers\": {\n    \"planhat\": {\n      \"command\": \"/p\",\n      \"args\": [\"--tenant\", \"demo\"]\n    }\n  }\n}",
        ),
    ] {
        assert_eq!(put_json(before), after, "{before:?}");
    }
}

#[test]
fn an_entry_of_the_same_name_is_replaced_where_it_stands() {
    let before = "{\n  \"mcpServers\": {\n    // ours\n    \"planhat\": {\"command\": \"npx\", \"args\": []}, // old\n    \"b\": {}\n  }\n}\n";
    let after = "{\n  \"mcpServers\": {\n    // ours\n    \"planhat\": {\n      \"command\": \"/p\",\n      \"args\": [\"--tenant\", \"demo\"]\n    }, // old\n    \"b\": {}\n  }\n}\n";
    assert_eq!(put_json(before), after);
    assert_eq!(put_json(after), after, "the second time nothing changes");
}

#[test]
fn an_update_changes_only_what_starts_the_program() {
    let before = "{\n  \"mcpServers\": {\n    \"planhat\": {\n      \"command\": \"/old\", // where it was\n      \"env\": { \"A\": \"b\" },\n      \"args\": [\n        \"--tenant\",\n        \"demo\"\n      ]\n    }\n  }\n}\n";
    assert_eq!(
        update_json(before, &entry()),
        before.replace("/old", "/p"),
        "a list of the same content stays as it is"
    );
    let other = [("args", json!(["--ipv4"]))];
    let after = update_json(before, &other);
    assert!(after.contains("\"args\": [\"--ipv4\"]\n    }") && after.contains("\"/old\", // where it was"), "{after}");
    let bare = "{\n  \"mcpServers\": {\n    \"planhat\": {\n      \"command\": \"/p\"\n    }\n  }\n}\n";
    let after = bare.replace("\"/p\"\n", "\"/p\",\n      \"args\": [\"--tenant\", \"demo\"]\n");
    assert_eq!(update_json(bare, &entry()), after);
}

#[test]
fn what_was_put_into_json_is_taken_out_again() {
    for before in [
        "{\n  \"mcpServers\": {}\n}\n",
        "{\n  \"mcpServers\": {\n    \"a\": {} // c\n  }\n}\n",
        "{\n  \"mcpServers\": {\n    \"a\": {}, // c\n  },\n}\n",
        "{\n  \"mcpServers\": {\n    /* here */\n  }\n}\n",
        r#"{"mcpServers":{"a":{"command":"x"}},"b":1}"#,
        "{\n  \"mcpServers\": { \"a\": { \"command\": \"x\" } }\n}\n",
        "{\r\n  \"mcpServers\": {\r\n    \"a\": {}\r\n  }\r\n}\r\n",
    ] {
        let with = put_json(before);
        assert_ne!(with, before);
        assert_eq!(remove_json(&with), before);
    }
}

#[test]
fn an_entry_is_taken_out_wherever_it_stands_among_others() {
    let file = |entries: &str| format!("{{\n  \"mcpServers\": {{\n{entries}  }}\n}}\n");
    let (a, planhat, b) = ("    \"a\": {}", "    \"planhat\": { \"command\": \"x\" }", "    \"b\": {} // last\n");
    for (before, after) in [
        (format!("{planhat},\n{b}"), b.to_owned()),
        (format!("{planhat}, // ours\n    // of b\n{b}"), format!("    // of b\n{b}")),
        (format!("{a},\n{planhat},\n{b}"), format!("{a},\n{b}")),
        (format!("{a}, // of a\n{planhat}, // ours\n{b}"), format!("{a}, // of a\n{b}")),
        (format!("{a},\n{planhat}\n"), format!("{a}\n")),
        (format!("{a}, // of a\n{planhat}\n"), format!("{a} // of a\n")),
        (format!("{a},\n{planhat},\n"), format!("{a},\n")),
    ] {
        assert_eq!(remove_json(&file(&before)), file(&after), "{before:?}");
    }
    assert_eq!(remove_json(r#"{"mcpServers":{"planhat":{},"b":1}}"#), r#"{"mcpServers":{"b":1}}"#);
    assert_eq!(remove_json(r#"{"mcpServers":{"planhat":{}}}"#), r#"{"mcpServers":{}}"#);
    assert_eq!(
        remove_json("{\"a\": 1\n, \"mcpServers\": {\"b\": 1\n, \"planhat\": {}\n}}"),
        "{\"a\": 1\n, \"mcpServers\": {\"b\": 1\n}}"
    );
    assert_eq!(remove_json("{\n}"), "{\n}");
    // Nothing gets behind a comment that was not there before.
    for (before, after) in [
        (
            "{\"mcpServers\": {\"a\": 1\n, // c\n\"planhat\": {}\n,\"z\": 1}}",
            "{\"mcpServers\": {\"a\": 1\n, // c\n\"z\": 1}}",
        ),
        ("{\"mcpServers\": {\"a\": 1 // c\n, \"planhat\": {} }}", "{\"mcpServers\": {\"a\": 1 // c\n }}"),
        ("{\"mcpServers\": { // c\n \"planhat\": {} }}", "{\"mcpServers\": { // c\n  }}"),
        ("{\"mcpServers\": { // c\n \"planhat\": {}, \"b\": 1 }}", "{\"mcpServers\": { // c\n  \"b\": 1 }}"),
    ] {
        assert_eq!(remove_json(before), after);
    }
    let commented = "{ \"mcpServers\": { \"a\": {} // c\n } }";
    assert!(put_json(commented).contains("{ \"a\": {}, // c\n"), "{}", put_json(commented));
}

#[test]
fn a_file_that_cannot_be_understood_is_refused_by_its_place_without_quoting_it() {
    let list = list();
    let place = Place { list: &list, name: "planhat" };
    for (format, text, at) in [
        (Format::Json, "{\n \"x\": \"canary\" \"y\": 1}", Some((2, 15))),
        (Format::Json, "{\n \"mcpServers\": {\n", Some((2, 16))),
        (Format::Json, "{'x': 1}", Some((1, 2))),
        (Format::Json, "{} {}", Some((1, 4))),
        (Format::Json, "[]", None),
        (Format::Json, "{\"mcpServers\": []}", None),
        (Format::Json, "{\"mcpServers\": null}", None),
        (Format::Json, "{\"mcpServers\": {}, \"mcpServers\": {}}", None),
        (Format::Json, "{\"mcpServers\": {\"planhat\": {}, \"planhat\": {}}}", None),
        (Format::Toml, "a = 1\nb = canary\n", Some((2, 5))),
        (Format::Toml, "mcpServers = 1\n", None),
        (Format::Yaml, "a: 1\n---\nb: 2\n", Some((2, 1))),
        (Format::Yaml, "a: 1\ncanary\n", Some((2, 1))),
        (Format::Yaml, "a: &canary\n  b: 1\n", Some((1, 1))),
        (Format::Yaml, "mcpServers:\n\tb: 1\n", Some((2, 1))),
        (Format::Yaml, "mcpServers: {b: {}}\n", None),
        (Format::Yaml, "mcpServers: canary\n", None),
        (Format::Yaml, "mcpServers:\n- canary\n", None),
        (Format::Yaml, "a: 1\r\nb: 2\n", None),
    ] {
        let fault = put(format, text, place, &entry()).expect_err(text);
        assert_eq!(fault.place, at, "{text:?}: {fault:?}");
        assert!(!fault.detail.contains("canary"), "{fault:?}");
    }
}

fn toml_place(list: &[String]) -> Place<'_> {
    Place { list, name: "planhat" }
}

#[test]
fn an_entry_is_put_into_toml_and_taken_out_with_every_comment_kept() {
    let list = list();
    let put =
        |text: &str| put(Format::Toml, text, toml_place(&list), &entry()).unwrap_or_else(|fault| panic!("{fault:?}"));
    let remove = |text: &str| remove(Format::Toml, text, toml_place(&list)).unwrap_or_else(|fault| panic!("{fault:?}"));
    let ours = "[mcpServers.planhat]\ncommand = \"/p\"\nargs = [\"--tenant\", \"demo\"]\n";
    assert_eq!(put(""), ours);
    for (before, after) in [
        ("model = \"ö\" # mine\n", format!("model = \"ö\" # mine\n\n{ours}")),
        (
            "# head\n[mcpServers.a]\ncommand = 'x' # a\n[mcpServers.a.env]\nK = \"v\"\n\n[profiles.b]\nx = 1\n",
            format!("# head\n[mcpServers.a]\ncommand = 'x' # a\n[mcpServers.a.env]\nK = \"v\"\n\n{ours}\n[profiles.b]\nx = 1\n"),
        ),
        ("a = 1\r\n", format!("a = 1\r\n\r\n{}", ours.replace('\n', "\r\n"))),
        ("[mcpServers]\n", format!("[mcpServers]\n\n{ours}")),
        (
            "mcpServers = { a = { command = \"x\" } }\n",
            "mcpServers = { a = { command = \"x\" }, planhat = { command = \"/p\", args = [\"--tenant\", \"demo\"] } }\n".to_owned(),
        ),
    ] {
        let with = put(before);
        assert_eq!(with, after);
        assert_eq!(put(&with), with, "the second time nothing changes");
        assert_eq!(remove(&with), before);
    }
}

#[test]
fn an_entry_of_toml_is_replaced_where_it_stands() {
    let list = list();
    let before = "# ours\n[mcpServers.planhat]\nurl = 'x'\n\n[z]\na = 1\n\n[mcpServers.z]\ncommand = 'y'\n";
    let after = put(Format::Toml, before, toml_place(&list), &entry()).expect("replaced");
    assert_eq!(after, before.replace("url = 'x'", "command = \"/p\"\nargs = [\"--tenant\", \"demo\"]"));
}

#[test]
fn an_update_of_toml_keeps_what_the_user_added() {
    let list = list();
    let before = "[mcpServers.planhat] # ours\ncommand = \"/old\" # where it was\nstartup_timeout_sec = 20\nargs = [ '--tenant', 'demo' ]\n\n[mcpServers.planhat.env]\nA = \"b\"\n";
    let after = update(Format::Toml, before, toml_place(&list), &entry()).expect("updated");
    assert_eq!(after, before.replace("/old", "/p"));
}

#[test]
fn an_entry_is_put_into_yaml_and_taken_out_again() {
    let list = list();
    let place = Place { list: &list, name: "planhat" };
    let put =
        |text: &str| put(Format::Yaml, text, place, &entry()).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
    let remove = |text: &str| remove(Format::Yaml, text, place).unwrap_or_else(|fault| panic!("{text:?}: {fault:?}"));
    let ours = "  planhat:\n    command: \"/p\"\n    args: [\"--tenant\",\"demo\"]\n";
    assert_eq!(put(""), format!("mcpServers:\n{ours}"));
    assert_eq!(put("a: ö # mine\n"), format!("a: ö # mine\nmcpServers:\n{ours}"));
    for (before, after) in [
        ("mcpServers: {}\na: 1\n", format!("mcpServers:\n{ours}a: 1\n")),
        (
            "# head\nmcpServers:\n  dev:\n    bundled: true\n    args:\n    - x\n  # last\n\nz:\n- 1\n- b: 2\n",
            format!(
                "# head\nmcpServers:\n  dev:\n    bundled: true\n    args:\n    - x\n{ours}  # last\n\nz:\n- 1\n- b: 2\n"
            ),
        ),
        (
            "mcpServers:\r\n  a:\r\n    b: 1\r\n",
            format!("mcpServers:\r\n  a:\r\n    b: 1\r\n{}", ours.replace('\n', "\r\n")),
        ),
    ] {
        let with = put(before);
        assert_eq!(with, after);
        assert_eq!(put(&with), with, "the second time nothing changes");
        assert_eq!(remove(&with), before);
    }
}

#[test]
fn an_update_of_yaml_keeps_what_the_user_added() {
    let list = list();
    let before = "mcpServers:\n  planhat:\n    enabled: false\n    command: /old\n    args:\n      - --tenant\n      - 'demo'\n    envs:\n      A: b\n";
    let after = update(Format::Yaml, before, Place { list: &list, name: "planhat" }, &entry()).expect("updated");
    assert_eq!(after, before.replace("command: /old", "command: \"/p\""));
    let other =
        update(Format::Yaml, before, Place { list: &list, name: "planhat" }, &[("args", json!([]))]).expect("updated");
    assert_eq!(other, before.replace("args:\n      - --tenant\n      - 'demo'\n", "args: []\n"));
}

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap_or_default()
    }

    fn space(&mut self) -> &'static str {
        ["", " ", "\n", "\n  ", "\t", "\r\n    ", " // c \"}\n", " /* , } */ ", "\n/* a\n b */\n"][self.below(9)]
    }

    /// Some text of JSON, with white space and comments wherever they may stand.
    fn value(&mut self, depth: usize) -> String {
        match if depth == 0 { self.below(3) } else { self.below(5) } {
            0 => "1".to_owned(),
            1 => "\"ö \\\" //\"".to_owned(),
            2 => "null".to_owned(),
            3 => {
                let items: Vec<String> = (0..self.below(3)).map(|_| self.value(depth - 1)).collect();
                format!("[{}{}{}]", self.space(), items.join(","), self.space())
            }
            _ => self.object(depth - 1, &["a", "b", "planhat"]),
        }
    }

    fn object(&mut self, depth: usize, keys: &[&str]) -> String {
        let mut out = format!("{{{}", self.space());
        let keys: Vec<&&str> = keys.iter().filter(|_| self.below(3) > 0).collect();
        for (at, key) in keys.iter().enumerate() {
            let value =
                if **key == "mcpServers" { self.object(depth, &["a", "planhat", "z"]) } else { self.value(depth) };
            let comma = if at + 1 < keys.len() || self.below(3) == 0 { "," } else { "" };
            out.push_str(&format!("\"{key}\":{}{value}{}{comma}{}", self.space(), self.space(), self.space()));
        }
        out + "}"
    }
}

#[test]
fn whatever_stands_in_a_file_of_json_nothing_but_the_entry_changes() {
    let list = list();
    let place = Place { list: &list, name: "planhat" };
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut changed = 0;
    for _ in 0..3_000 {
        let text = format!("{}{}{}", numbers.space(), numbers.object(3, &["x", "mcpServers", "y"]), numbers.space());
        // The editor refuses what would change anything else, so that it succeeds is the point.
        let with = put(Format::Json, &text, place, &entry()).unwrap_or_else(|fault| panic!("{fault}: {text:?}"));
        assert_eq!(
            read(Format::Json, &with).expect("JSON")["mcpServers"]["planhat"],
            json!({ "command": "/p", "args": ["--tenant", "demo"] })
        );
        let again = put(Format::Json, &with, place, &entry()).unwrap_or_else(|fault| panic!("{fault}: {with:?}"));
        assert_eq!(read(Format::Json, &again), read(Format::Json, &with), "{text:?}");
        let other = [("args", json!([]))];
        let updated = update(Format::Json, &with, place, &other).unwrap_or_else(|fault| panic!("{fault}: {with:?}"));
        assert_eq!(read(Format::Json, &updated).expect("JSON")["mcpServers"]["planhat"]["args"], json!([]));
        let without = remove(Format::Json, &updated, place).unwrap_or_else(|fault| panic!("{fault}: {updated:?}"));
        assert!(read(Format::Json, &without).expect("JSON")["mcpServers"]["planhat"].is_null());
        changed += usize::from(with != text);
    }
    assert!(changed > 2_000, "only {changed} were changed: the test no longer makes what it should");
}

#[test]
fn yaml_that_cannot_be_changed_safely_is_refused() {
    let list = list();
    let place = Place { list: &list, name: "planhat" };
    for text in [
        "mcpServers:\n  dev:\n    code: |\n      import os\n      # end\n",
        "mcpServers:\n  dev:\n    code: >-\n      a\n",
        "mcpServers:\n  dev:\n    code: \"a\n      b\"\n",
        "mcpServers:\n  dev:\n    code: 'a\n      b'\n",
        "--- {a: b}\n",
        "mcpServers:\n  planhat:\n    cmd: /p\n    args: [--tenant, demo]\n",
    ] {
        let tried =
            put(Format::Yaml, text, place, &entry()).and_then(|after| read(Format::Yaml, &after).map(|_| after));
        let understood = read(Format::Yaml, text).and(tried);
        assert!(understood.is_err(), "{text}: {understood:?}");
    }
    let commented = "mcpServers:\n  planhat:\n    cmd: /x/planhat-mcp # mine\n    args: [\"--tenant\",\"demo\"]\n";
    let read = read(Format::Yaml, commented).expect("understood");
    assert_eq!(read["mcpServers"]["planhat"]["cmd"], "/x/planhat-mcp");
}

#[test]
fn comments_above_an_entry_of_toml_stay_where_an_empty_line_parts_them_from_it() {
    let list = list();
    let remove = |text: &str| remove(Format::Toml, text, toml_place(&list)).expect("taken out");
    let apart = "a = 1\n\n# [mcpServers.old]\n# command = \"y\"\n\n";
    let entry = "# ours\n[mcpServers.planhat]\ncommand = \"/p\"\n";
    assert_eq!(remove(&format!("{apart}{entry}")).trim_end(), apart.trim_end());
    let next = "\n[z]\nb = 2\n";
    let after = remove(&format!("{apart}{entry}{next}"));
    assert!(
        after.starts_with(apart.trim_end()) && after.ends_with(next.trim_start()) && !after.contains("ours"),
        "{after}"
    );
}

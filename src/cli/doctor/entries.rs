//! Finds the bridge in a client's file. Files of other programs are only read, within bounds, and only what starts the
//! bridge is kept of an entry.

use std::io::Read;
use std::path::Path;

use jsonc_parser::ParseOptions;
use serde_json::Value;

use crate::files;
use crate::limits::{CLIENT_FILE_BYTES, MAX_CLIENT_FILE_DEPTH};

/// The names of such lists.
const LIST_NAMES: [&str; 3] = ["mcpServers", "servers", "mcp_servers"];
/// The name of the program.
const PROGRAM: &str = "planhat-mcp";

/// How a client starts the bridge. May hold secrets, so there is no `Debug`.
pub struct Entry {
    /// The client's name for the server.
    pub name: String,
    /// The program.
    pub command: String,
    /// The arguments after the bridge's own name.
    pub arguments: Vec<String>,
    /// Environment variables that the client sets.
    pub environment: Vec<(String, String)>,
}

/// The entries of a file that start the bridge; none if the file is missing or does not name it.
///
/// # Errors What is wrong with a file that names the bridge but cannot be parsed.
pub fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let Ok(file) = files::open_given(path) else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    if file.take(CLIENT_FILE_BYTES + 1).read_to_end(&mut bytes).is_err() || bytes.len() as u64 > CLIENT_FILE_BYTES {
        return Ok(Vec::new());
    }
    if memchr::memmem::find(&bytes, PROGRAM.as_bytes()).is_none() {
        return Ok(Vec::new());
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let is_toml = path.extension().is_some_and(|end| end == "toml");
    let value: Value = if is_toml {
        // The whole message would quote the line.
        toml::from_str(text).map_err(|error| format!("{}{}", error.message().trim(), place(text, error.span())))?
    } else {
        jsonc_parser::parse_to_serde_value(text, &json_with_comments()).map_err(|error| {
            // The whole message could quote a secret.
            format!("it is not JSON at line {}, column {}", error.line_display(), error.column_display())
        })?
    };
    let mut found = Vec::new();
    collect(&value, 0, &mut found);
    Ok(found)
}

fn place(text: &str, span: Option<std::ops::Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    before.map_or_else(String::new, |before| format!(" at line {}", before.matches('\n').count() + 1))
}

fn collect(value: &Value, depth: usize, found: &mut Vec<Entry>) {
    let Value::Object(members) = value else { return };
    for (key, member) in members {
        match member {
            Value::Object(servers) if LIST_NAMES.contains(&key.as_str()) => {
                found.extend(servers.iter().filter_map(|(name, server)| entry(name, server)));
            }
            Value::Object(_) if depth < MAX_CLIENT_FILE_DEPTH => collect(member, depth + 1, found),
            _ => {}
        }
    }
}

fn entry(name: &str, server: &Value) -> Option<Entry> {
    let command = server["command"].as_str()?;
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut arguments = texts(&server["args"]);
    if !is_bridge(command) {
        // Started by another program: `env`, a shell, a sandbox.
        let at = arguments.iter().position(|argument| is_bridge(argument))?;
        arguments.drain(..=at);
    }
    let environment = server["env"].as_object().into_iter().flatten();
    let environment = environment.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Some(Entry { name: name.to_owned(), command: command.to_owned(), arguments, environment: environment.collect() })
}

fn is_bridge(word: &str) -> bool {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    name == PROGRAM || name.eq_ignore_ascii_case("planhat-mcp.exe")
}

/// JSON with the comments and trailing commas that some clients allow, and no other extension.
fn json_with_comments() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(name: &str, text: &str) -> Result<Vec<Entry>, String> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("writable");
        read(&path)
    }

    fn names(name: &str, text: &str) -> Vec<String> {
        let entries = read_as(name, text).unwrap_or_else(|why| panic!("{why}"));
        entries.into_iter().map(|entry| format!("{}: {}", entry.name, entry.arguments.join(" "))).collect()
    }

    #[test]
    fn the_bridge_is_found_in_the_file_of_each_client() {
        let desktop = r#"{"mcpServers":{"other":{"command":"npx"},"planhat":{"command":"/opt/planhat-mcp","args":["--tenant","demo"]}}}"#;
        assert_eq!(names("claude_desktop_config.json", desktop), ["planhat: --tenant demo"]);
        let code = r#"{"projects":{"/work":{"mcpServers":{"p":{"command":"C:\\bin\\planhat-mcp.exe"}}}}}"#;
        assert_eq!(names(".claude.json", code), ["p: "]);
        let vscode = "{ // mine\n \"servers\": { \"p\": { \"command\": \"env\", /* odd, */ \"args\": [\"A=1\", \"planhat-mcp\", \"--url\", \"https://x/*,]*/\",], }, },\n}";
        assert_eq!(names("mcp.json", vscode), ["p: --url https://x/*,]*/"]);
        let codex = "[mcp_servers.planhat]\ncommand = \"planhat-mcp\"\nargs = [\"--ipv4\"]\n[mcp_servers.planhat.env]\nA = \"b\"\n";
        assert_eq!(names("config.toml", codex), ["planhat: --ipv4"]);
    }

    #[test]
    fn a_file_that_does_not_name_the_bridge_is_nobodys_business_even_when_it_is_broken() {
        assert!(read_as("a.json", "{broken").is_ok_and(|found| found.is_empty()));
        assert!(read(Path::new("/nonexistent/mcp.json")).is_ok_and(|found| found.is_empty()));
        assert!(read_as("a.json", r#"{"history":["planhat-mcp"]}"#).is_ok_and(|found| found.is_empty()));
    }

    #[test]
    fn a_broken_file_that_names_it_is_told_by_its_place_without_quoting_it() {
        let why = read_as("a.json", "{\n \"x\": \"canary\" \"planhat-mcp\"").err().expect("broken");
        assert!(why.contains("line 2") && !why.contains("canary"), "{why}");
        // What a client itself would refuse.
        for text in ["{\"x\": \"planhat-mcp\" \"y\": 1}", "{x: \"planhat-mcp\"}", "{'x': \"planhat-mcp\"}"] {
            assert!(read_as("a.json", text).is_err(), "{text}");
        }
        let why = read_as("a.toml", "a = 1\nplanhat-mcp = canary\n").err().expect("broken");
        assert!(why.contains("line 2") && !why.contains("canary"), "{why}");
    }

    #[test]
    fn a_client_s_file_is_read_up_to_a_size_and_a_depth() {
        let entry = r#"{"mcpServers":{"p":{"command":"planhat-mcp"}}}"#;
        let nested = |depth: usize| format!("{}{entry}{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(names("a.json", &nested(MAX_CLIENT_FILE_DEPTH)), ["p: "]);
        assert!(names("a.json", &nested(MAX_CLIENT_FILE_DEPTH + 1)).is_empty());
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("a.json");
        std::fs::write(&path, format!("{entry} is no JSON")).expect("writable");
        assert!(read(&path).is_err());
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("writable");
        file.set_len(CLIENT_FILE_BYTES + 1).expect("grown");
        assert!(read(&path).expect("it is not looked at").is_empty());
    }
}

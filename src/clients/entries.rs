//! What an entry of a client says: whether it starts this program, and how. Only what starts it is kept of an entry, because
//! the rest may hold secrets of others.

use serde_json::Value;

use crate::limits::MAX_CLIENT_FILE_DEPTH;

/// The names of lists of servers, whatever the client.
const LIST_NAMES: [&str; 6] = ["mcpServers", "servers", "mcp_servers", "context_servers", "mcp", "extensions"];
/// The name of the program.
pub const PROGRAM: &str = "planhat-mcp";
/// The program that others use for the same; its name may carry a version.
const MCP_REMOTE: &str = "mcp-remote";

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
    /// Whether another program starts it: `npx`, `env`, a shell, a sandbox.
    pub is_wrapped: bool,
}

/// The entries of all lists in a file that start the bridge.
pub fn of_this_program(file: &Value) -> Vec<Entry> {
    let mut found = Vec::new();
    collect(file, 0, &mut found);
    found
}

fn collect(value: &Value, depth: usize, found: &mut Vec<Entry>) {
    let Value::Object(members) = value else { return };
    for (key, member) in members {
        let Value::Object(servers) = member else { continue };
        if LIST_NAMES.contains(&key.as_str()) {
            found.extend(servers.iter().filter_map(|(name, server)| entry(name, server)));
        }
        if depth < MAX_CLIENT_FILE_DEPTH {
            collect(member, depth + 1, found);
        }
    }
}

/// The entry, if it starts the bridge.
pub fn entry(name: &str, server: &Value) -> Option<Entry> {
    let mut arguments = words(server);
    let command = arguments.first()?.clone();
    let at = arguments.iter().position(|word| is_bridge(word))?;
    arguments.drain(..=at);
    let is_table = |key: &&str| server[*key].is_object();
    let environment = ["env", "environment", "envs"].into_iter().find(is_table).map(|key| &server[key]);
    let environment = environment.and_then(Value::as_object).into_iter().flatten();
    let environment = environment.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Some(Entry { name: name.to_owned(), command, arguments, environment: environment.collect(), is_wrapped: at > 0 })
}

/// The address that the entry hands to `mcp-remote`, if it starts that.
pub fn address_of_mcp_remote(server: &Value) -> Option<url::Url> {
    let words = words(server);
    let is_it = |word: &String| {
        let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
        name.split('@').next() == Some(MCP_REMOTE) || name.split('.').next() == Some(MCP_REMOTE)
    };
    words
        .iter()
        .any(is_it)
        .then(|| words.iter().find_map(|word| url::Url::parse(word).ok().filter(url::Url::has_host)))?
}

/// The program and its arguments, in whichever form the client has them.
pub fn words(server: &Value) -> Vec<String> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let program = ["command", "cmd"].into_iter().map(|key| &server[key]).find(|value| !value.is_null());
    let mut words = match program {
        Some(Value::String(program)) => vec![program.clone()],
        Some(all) => texts(all),
        None => Vec::new(),
    };
    words.extend(texts(&server["args"]));
    words
}

fn is_bridge(word: &str) -> bool {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    name == PROGRAM || name.eq_ignore_ascii_case("planhat-mcp.exe")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(file: &Value) -> Vec<String> {
        let found = of_this_program(file).into_iter();
        found.map(|entry| format!("{}: {}", entry.name, entry.arguments.join(" "))).collect()
    }

    #[test]
    fn the_bridge_is_found_in_each_form_of_an_entry() {
        for (file, found) in [
            (
                json!({ "mcpServers": { "other": { "command": "npx" }, "p": { "command": "/o/planhat-mcp", "args": ["-a"] } } }),
                "p: -a",
            ),
            (
                json!({ "projects": { "/w": { "mcpServers": { "p": { "command": "C:\\b\\planhat-mcp.exe" } } } } }),
                "p: ",
            ),
            (json!({ "servers": { "p": { "command": "env", "args": ["A=1", "planhat-mcp", "b"] } } }), "p: b"),
            (json!({ "mcp": { "servers": { "p": { "command": "planhat-mcp" } } } }), "p: "),
            (json!({ "mcp": { "p": { "type": "local", "command": ["planhat-mcp", "c"] } } }), "p: c"),
            (json!({ "context_servers": { "p": { "command": "planhat-mcp", "args": [] } } }), "p: "),
            (json!({ "extensions": { "p": { "cmd": "planhat-mcp", "args": ["d"] } } }), "p: d"),
        ] {
            assert_eq!(names(&file), [found], "{file}");
        }
        assert!(names(&json!({ "history": ["planhat-mcp"] })).is_empty());
    }

    #[test]
    fn what_starts_the_program_for_the_client_is_seen() {
        let started = |command: &str, args: &[&str]| entry("p", &json!({ "command": command, "args": args }));
        assert!(started("npx", &["-y", "planhat-mcp"]).is_some_and(|entry| entry.is_wrapped));
        assert!(started("/b/planhat-mcp", &["x"]).is_some_and(|entry| !entry.is_wrapped));
        assert!(started("npx", &["-y", "other"]).is_none());
    }

    #[test]
    fn mcp_remote_is_recognised_by_its_name_and_has_an_address() {
        let address =
            |args: &[&str]| address_of_mcp_remote(&json!({ "command": "npx", "args": args })).map(String::from);
        let at = "https://api.planhat.com/v1/mcp";
        assert_eq!(address(&["-y", "mcp-remote", at, "3334"]).as_deref(), Some(at));
        assert_eq!(address(&["mcp-remote@0.1.15", at]).as_deref(), Some(at));
        assert_eq!(address(&["mcp-remote"]), None);
        assert_eq!(address(&["-y", "another", at]), None);
    }
}

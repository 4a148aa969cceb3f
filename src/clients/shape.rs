//! How each client writes down a server that it starts.

use serde_json::{Value, json};

/// The form of an entry, named after the client that began with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `command` and `args`: Claude Desktop, and most others.
    Plain,
    /// The same with `"type": "stdio"`: Claude Code, VS Code.
    Stdio,
    /// Zed: its older versions want `source`, all of them want `args`.
    Zed,
    /// opencode: `"type": "local"`, and the program is the first word of `command`.
    Opencode,
    /// Copilot CLI: `"type": "local"`, and which tools may be used.
    Copilot,
    /// Goose: `cmd`, and a name of its own.
    Goose,
}

/// What is to be started: a program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program, by its whole path where that lasts.
    pub command: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl Shape {
    /// The members of the entry called `name`, in the order in which they are written.
    pub fn members(self, name: &str, launch: &Launch) -> Vec<(&'static str, Value)> {
        let Launch { command, arguments } = launch;
        let mut members = match self {
            Shape::Plain => vec![("command", json!(command))],
            Shape::Stdio => vec![("type", json!("stdio")), ("command", json!(command))],
            Shape::Zed => vec![("source", json!("custom")), ("command", json!(command))],
            Shape::Copilot => vec![("type", json!("local")), ("command", json!(command))],
            Shape::Opencode => {
                let words: Vec<&String> = std::iter::once(command).chain(arguments).collect();
                return vec![("type", json!("local")), ("command", json!(words)), ("enabled", json!(true))];
            }
            Shape::Goose => vec![
                ("name", json!(name)),
                ("type", json!("stdio")),
                ("enabled", json!(true)),
                ("cmd", json!(command)),
                ("args", json!(arguments)),
                ("timeout", json!(300)),
            ],
        };
        if self != Shape::Goose && (!arguments.is_empty() || matches!(self, Shape::Zed | Shape::Copilot)) {
            members.push(("args", json!(arguments)));
        }
        if self == Shape::Copilot {
            members.push(("tools", json!(["*"])));
        }
        members
    }

    /// The members that say what is started, which an entry that is there already gets anew; all else in it is the user's.
    pub fn started_by(self) -> &'static [&'static str] {
        match self {
            Shape::Opencode => &["command"],
            Shape::Goose => &["cmd", "args"],
            _ => &["command", "args"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_the_entry_that_it_reads() {
        let bare = Launch { command: "/p".to_owned(), arguments: Vec::new() };
        let full = Launch { command: "/p".to_owned(), arguments: vec!["--tenant".to_owned(), "demo".to_owned()] };
        let shown = |shape: Shape, launch: &Launch| {
            let members = shape.members("planhat", launch);
            members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        for (shape, without, with) in [
            (Shape::Plain, r#"command="/p""#, r#"command="/p" args=["--tenant","demo"]"#),
            (Shape::Stdio, r#"type="stdio" command="/p""#, r#"type="stdio" command="/p" args=["--tenant","demo"]"#),
            (
                Shape::Zed,
                r#"source="custom" command="/p" args=[]"#,
                r#"source="custom" command="/p" args=["--tenant","demo"]"#,
            ),
            (
                Shape::Opencode,
                r#"type="local" command=["/p"] enabled=true"#,
                r#"type="local" command=["/p","--tenant","demo"] enabled=true"#,
            ),
            (
                Shape::Copilot,
                r#"type="local" command="/p" args=[] tools=["*"]"#,
                r#"type="local" command="/p" args=["--tenant","demo"] tools=["*"]"#,
            ),
            (
                Shape::Goose,
                r#"name="planhat" type="stdio" enabled=true cmd="/p" args=[] timeout=300"#,
                r#"name="planhat" type="stdio" enabled=true cmd="/p" args=["--tenant","demo"] timeout=300"#,
            ),
        ] {
            assert_eq!((shown(shape, &bare).as_str(), shown(shape, &full).as_str()), (without, with), "{shape:?}");
        }
    }
}

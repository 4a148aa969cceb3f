//! A client's own command that adds a server.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::client::{OwnCommand, Scope};
use super::shape::{Launch, Shape};

/// How long the command may take; some ask the network before they begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether it has ended.
const STEP: Duration = Duration::from_millis(20);

/// The command's name, and its arguments.
pub fn words(own: OwnCommand, scope: Scope, name: &str, launch: &Launch) -> (&'static str, Vec<String>) {
    let (program, mut words): (_, Vec<&str>) = match own {
        OwnCommand::Claude => ("claude", vec!["mcp", "add-json", "--scope", scope.name(), name]),
        OwnCommand::Codex => ("codex", vec!["mcp", "add", name, "--", &launch.command]),
        OwnCommand::Gemini => ("gemini", vec!["mcp", "add", "--scope", scope.name(), name, &launch.command]),
    };
    let entry: Map<String, Value> =
        Shape::Stdio.members(name, launch).into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let entry = Value::Object(entry).to_string();
    match own {
        OwnCommand::Claude => words.push(&entry),
        OwnCommand::Gemini if launch.arguments.is_empty() => {}
        OwnCommand::Gemini => words.push("--"),
        OwnCommand::Codex => {}
    }
    let mut words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    if own != OwnCommand::Claude {
        words.extend(launch.arguments.iter().cloned());
    }
    (program, words)
}

/// Whether the command can write this scope.
pub fn serves(own: OwnCommand, scope: Scope) -> bool {
    own != OwnCommand::Codex || scope == Scope::User
}

/// Runs it in the folder of the project, without a terminal, and without showing what it says.
///
/// # Errors Why it failed, in a few words.
pub fn run(program: &Path, words: &[String], project: &Path) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(words).current_dir(project);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) if begin.elapsed() < PATIENCE => std::thread::sleep(STEP),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_s_command_gets_the_entry_in_the_form_that_it_takes() {
        let bare = Launch { command: "/p".to_owned(), arguments: Vec::new() };
        let full = Launch { command: "/p".to_owned(), arguments: vec!["--tenant".to_owned(), "demo".to_owned()] };
        let line = |own, scope, launch: &Launch| {
            let (program, words) = words(own, scope, "planhat", launch);
            format!("{program} {}", words.join(" "))
        };
        for (own, scope, launch, expected) in [
            (
                OwnCommand::Claude,
                Scope::Local,
                &full,
                r#"claude mcp add-json --scope local planhat {"args":["--tenant","demo"],"command":"/p","type":"stdio"}"#,
            ),
            (OwnCommand::Codex, Scope::User, &full, "codex mcp add planhat -- /p --tenant demo"),
            (OwnCommand::Codex, Scope::User, &bare, "codex mcp add planhat -- /p"),
            (OwnCommand::Gemini, Scope::User, &full, "gemini mcp add --scope user planhat /p -- --tenant demo"),
            (OwnCommand::Gemini, Scope::Project, &bare, "gemini mcp add --scope project planhat /p"),
        ] {
            assert_eq!(line(own, scope, launch), expected);
        }
        assert!(!serves(OwnCommand::Codex, Scope::Project) && serves(OwnCommand::Claude, Scope::Project));
    }
}

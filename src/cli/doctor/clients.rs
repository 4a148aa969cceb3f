//! Checks the clients that start the bridge: whether they can, with which settings, and whether their files contain a
//! secret.

use std::path::{Path, PathBuf};

use super::row::Row;
use crate::cli::entry_settings;
use crate::clients::entries::Entry;
use crate::clients::{ClientFile, Folders, copies, look};
use crate::config::{Settings, masked_url};
use crate::problem::{Problem, ProblemId};

const NAME: &str = "clients";
/// The prefix of Planhat's client secrets.
const SECRET_PREFIX: &str = "sk_";
/// The variables that hold secrets.
const SECRET_VARIABLES: [&str; 2] = ["PLANHAT_MCP_CLIENT_SECRET", "PLANHAT_MCP_TOKEN"];
/// Options that do not exist because they would take a secret.
const SECRET_OPTIONS: [&str; 3] = ["--client-secret", "--token", "--password"];

/// Looks at the files of all clients. `run` holds the settings of this check, if usable.
pub fn check(folders: &Folders, run: Option<&Settings>) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut servers = Vec::new();
    for file in look::known_files(folders) {
        match look::entries_in(&file) {
            Err(fault) => {
                let problem = Problem::new(ProblemId::ClientFileUnreadable);
                rows.push(Row::warn(NAME, problem.with("file", file.path.display()).with("detail", fault)));
            }
            Ok(found) => {
                for entry in found {
                    rows.push(row(&file, &entry, run, &mut servers));
                }
            }
        }
    }
    rows.extend(copies::of_other_versions(folders).into_iter().map(|problem| Row::warn(NAME, problem)));
    if rows.is_empty() {
        rows.push(Row::ok(NAME, "no MCP client on this computer is set up to use planhat-mcp"));
    }
    let differs = |run: &&Settings| !servers.is_empty() && !servers.iter().any(|server| server.is_for(run));
    if let Some(run) = run.filter(differs) {
        let servers: Vec<String> = servers.iter().map(Server::to_string).collect();
        let detail = format!("They use {}; this check uses {}", servers.join(", "), Server::of(run));
        rows.push(Row::warn(NAME, Problem::new(ProblemId::ClientSettingsDiffer).with("detail", detail)));
    }
    rows
}

/// What a client's bridge and this check must have in common to share a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    url: url::Url,
    profile: String,
    client_id: Option<String>,
}

impl Server {
    fn of(settings: &Settings) -> Self {
        let client_id = settings.oauth.client_id.clone();
        Self { url: settings.url.clone(), profile: settings.profile.clone(), client_id }
    }

    fn is_for(&self, run: &Settings) -> bool {
        *self == Self::of(run)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (profile {}", masked_url(&self.url), self.profile)?;
        match &self.client_id {
            Some(client_id) => write!(f, ", client id {client_id})"),
            None => f.write_str(", no client id)"),
        }
    }
}

fn row(file: &ClientFile, entry: &Entry, run: Option<&Settings>, servers: &mut Vec<Server>) -> Row {
    let problem = |id: ProblemId| Problem::new(id).with("file", file.path.display());
    let shown = format!("{}, as {}: {}", file.client, crate::problem::printable(&entry.name), file.path.display());
    let loaded = run.map(|run| entry_settings::of(entry, &run.paths));
    if let Some(Ok(settings)) = &loaded {
        servers.push(Server::of(settings));
    }
    if let Some(place) = secret(entry) {
        return Row::warn(NAME, problem(ProblemId::SecretInClientFile).with("place", place));
    }
    if let Some(path) = missing(&entry.command) {
        return Row::warn(NAME, problem(ProblemId::ClientCommandMissing).with("path", path));
    }
    match loaded {
        Some(Err(detail)) => Row::warn(NAME, problem(ProblemId::ClientSettingsWrong).with("detail", detail)),
        Some(Ok(_)) | None => Row::ok(NAME, shown),
    }
}

/// Where the entry contains a secret. A reference to one (`${...}`) does not count.
fn secret(entry: &Entry) -> Option<String> {
    let is_literal = |value: &str| !value.trim().is_empty() && !value.contains("${");
    if let Some((name, _)) =
        entry.environment.iter().find(|(name, value)| SECRET_VARIABLES.contains(&name.as_str()) && is_literal(value))
    {
        return Some(format!("the variable {name}"));
    }
    let option = |word: &&String| {
        let name = word.split('=').next().unwrap_or(word);
        SECRET_OPTIONS.contains(&name)
    };
    if let Some(word) = entry.arguments.iter().find(option) {
        return Some(format!("the option {}", word.split('=').next().unwrap_or(word)));
    }
    let holds = |word: &String| word.starts_with(SECRET_PREFIX) || word.contains(&format!("={SECRET_PREFIX}"));
    entry.arguments.iter().any(holds).then(|| "one of the arguments".to_owned())
}

/// The program, if it is certainly missing.
fn missing(command: &str) -> Option<String> {
    if command.contains("${") || command.starts_with('~') {
        return None;
    }
    let path = Path::new(command);
    let there = |path: PathBuf| path.is_file() || (cfg!(windows) && path.with_extension("exe").is_file());
    let found = if path.components().count() > 1 {
        // A relative path starts at a folder that only the client knows.
        path.is_relative() || there(path.to_owned())
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).any(|folder| there(folder.join(command)))
    };
    (!found).then(|| crate::problem::printable(command))
}

#[cfg(test)]
mod tests {
    use super::super::row::Outcome;
    use super::*;
    use crate::clients::folders::System;
    use crate::config::{self, Paths};

    struct Home {
        root: tempfile::TempDir,
        run: Settings,
    }

    impl Home {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a temporary directory");
            let paths = Paths { config_file: root.path().join("c.toml"), state_dir: root.path().join("s") };
            let mut run = Settings::for_url(config::server::DEMO_URL.parse().expect("a constant"), paths);
            run.oauth.client_id = Some("pk_1".to_owned());
            std::fs::write(root.path().join("planhat-mcp"), "").expect("writable");
            Self { root, run }
        }

        fn check(&self, entry: &str) -> Vec<Row> {
            let home = self.root.path().to_owned();
            // As it stands in JSON.
            let path = home.display().to_string().replace('\\', "\\\\");
            let text = format!(r#"{{"mcpServers":{{"planhat":{entry}}}}}"#).replace("HOME", &path);
            std::fs::create_dir_all(home.join(".cursor")).expect("writable");
            std::fs::write(home.join(".cursor/mcp.json"), text).expect("writable");
            let folders = Folders::of(System::Linux, &home, &home.join("project"));
            check(&folders, Some(&self.run))
        }

        fn problems(&self, entry: &str) -> Vec<ProblemId> {
            let rows = self.check(entry);
            assert!(!format!("{rows:?}").contains("canary"), "{rows:?}");
            rows.into_iter().filter_map(|row| row.problem.map(|problem| problem.id)).collect()
        }
    }

    const GOOD: &str = r#"{"command":"HOME/planhat-mcp","args":["--tenant","demo","--client-id","pk_1"]}"#;

    #[test]
    fn an_entry_that_is_as_it_should_be_names_client_and_file() {
        let home = Home::new();
        let rows = home.check(GOOD);
        assert_eq!((rows.len(), rows[0].outcome), (1, Outcome::Ok), "{rows:?}");
        assert!(rows[0].text().starts_with("Cursor, as planhat: "), "{rows:?}");
        assert_eq!(home.check(r#"{"command":"other"}"#)[0].outcome, Outcome::Ok);
    }

    #[test]
    fn a_secret_in_the_file_is_told_by_its_place_alone() {
        let home = Home::new();
        for entry in [
            r#"{"command":"HOME/planhat-mcp","args":["--tenant","demo","--client-id","pk_1"],"env":{"PLANHAT_MCP_CLIENT_SECRET":"canary"}}"#,
            r#"{"command":"HOME/planhat-mcp","args":["--tenant","demo","--client-id","pk_1"],"env":{"PLANHAT_MCP_TOKEN":"canary"}}"#,
        ] {
            assert_eq!(home.problems(entry), [ProblemId::SecretInClientFile], "{entry}");
        }
        for argument in [r#""--client-secret","canary""#, r#""--token=canary""#, r#""--client-id=sk_canary""#] {
            let entry = format!(r#"{{"command":"HOME/planhat-mcp","args":[{argument}]}}"#);
            assert_eq!(home.problems(&entry), [ProblemId::SecretInClientFile], "{entry}");
        }
        let asked = GOOD.replace("}", r#","env":{"PLANHAT_MCP_CLIENT_SECRET":"${input:s}"}}"#);
        assert_eq!(home.problems(&asked), []);
    }

    #[test]
    fn a_program_that_is_not_there_and_options_that_are_refused_are_warnings() {
        let home = Home::new();
        let gone = GOOD.replace("HOME/planhat-mcp", "HOME/gone/planhat-mcp");
        assert_eq!(home.problems(&gone), [ProblemId::ClientCommandMissing]);
        let wrong = GOOD.replace("--tenant", "--tennant");
        assert_eq!(home.problems(&wrong), [ProblemId::ClientSettingsWrong]);
        let wrong = GOOD.replace("\"demo\"", "\"staging\"");
        assert_eq!(home.problems(&wrong), [ProblemId::ClientSettingsWrong]);
    }

    #[test]
    fn clients_that_are_all_set_to_something_else_are_a_warning_that_names_both() {
        let home = Home::new();
        let other = GOOD.replace("pk_1", "pk_2");
        let rows = home.check(&other);
        let text = rows[1].text();
        assert!(text.contains("pk_1") && text.contains("pk_2"), "{text}");
        assert_eq!(home.problems(&other), [ProblemId::ClientSettingsDiffer]);
    }
}

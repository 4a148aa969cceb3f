//! Other copies of this program that clients start: of two versions, people look at the one and use the other.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::limits::COPY_VERSION_BYTES;
use crate::problem::{Problem, ProblemId};

use super::entries::Entry;
use super::folders::Folders;
use super::look::{self, ClientFile};

/// How long a copy may take to say its version.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is to be said of each client on this machine that starts another version.
pub fn of_other_versions(folders: &Folders) -> Vec<Problem> {
    // A project's files come with the project: what they name is nobody's choice on this computer, and not to be started.
    let files = look::files_of_user(folders);
    let entries = files
        .iter()
        .flat_map(|file| look::entries_in(file).unwrap_or_default().into_iter().map(move |entry| (file, entry)));
    entries.filter_map(|(file, entry)| told(file, &entry, env!("CARGO_PKG_VERSION"))).collect()
}

/// What is to be said of an entry that starts another version than `ours`.
pub fn told(file: &ClientFile, entry: &Entry, ours: &str) -> Option<Problem> {
    let path = other_copy(&entry.command)?;
    let theirs = version_of(&path).filter(|theirs| theirs != ours)?;
    let is_older = numbers(&theirs) < numbers(ours);
    let problem =
        Problem::new(ProblemId::ClientStartsOtherCopy).with("client", file.client).with("path", path.display());
    Some(problem.with("found", theirs).with("detail", if is_older { "older than" } else { "newer than" }))
}

/// The program, if it is not this one.
fn other_copy(command: &str) -> Option<PathBuf> {
    let path = Path::new(command);
    // A name alone is looked up where only the client knows, and what it starts first is another program's.
    let is_ours = path.file_stem().is_some_and(|name| name.eq_ignore_ascii_case(env!("CARGO_PKG_NAME")));
    let is_local = path.is_absolute() && !path.starts_with("/proc") && !command.starts_with("\\\\");
    let real = path.canonicalize().ok().filter(|_| is_ours && is_local)?;
    let this = std::env::current_exe().and_then(|this| this.canonicalize()).ok()?;
    (real != this).then(|| path.to_owned())
}

/// What a copy says of itself; `None` if it says nothing within a moment.
fn version_of(program: &Path) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("-V").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let output = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    let read = move || {
        let mut text = String::new();
        let _ = output.take(COPY_VERSION_BYTES).read_to_string(&mut text);
        let _ = send.send(text);
    };
    let _ = std::thread::Builder::new().name("version".to_owned()).spawn(read);
    let text = receive.recv_timeout(PATIENCE).ok();
    let _ = child.kill();
    let _ = child.wait();
    let text = text?;
    let version = text.strip_prefix(concat!(env!("CARGO_PKG_NAME"), " "))?.split_whitespace().next()?;
    Some(version.to_owned())
}

/// A version's numbers, for the order of two.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(|number| number.parse().unwrap_or_default()).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clients::client::Format;
    use crate::clients::folders::System;

    #[test]
    fn nothing_that_a_project_names_is_started() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (home, project) = (folder.path().join("home"), folder.path().join("project"));
        let copy = project.join("planhat-mcp");
        std::fs::create_dir_all(home.join(".cursor")).expect("writable");
        std::fs::create_dir_all(project.join(".cursor")).expect("writable");
        std::fs::write(&copy, "#!/bin/sh\necho planhat-mcp 9.9.9\n").expect("writable");
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o700)).expect("ours");
        let entry = format!(r#"{{"mcpServers":{{"p":{{"command":"{}"}}}}}}"#, copy.display());
        std::fs::write(project.join(".cursor/mcp.json"), &entry).expect("writable");
        let folders = Folders::of(System::Linux, &home, &project);
        assert!(of_other_versions(&folders).is_empty());
        std::fs::write(home.join(".cursor/mcp.json"), &entry).expect("writable");
        assert_eq!(of_other_versions(&folders).len(), 1, "what the user's own file names is");
        assert_eq!(other_copy("/proc/self/cwd/planhat-mcp"), None);
    }

    #[test]
    fn a_copy_that_talks_without_end_is_no_copy() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let copy = folder.path().join("planhat-mcp");
        std::fs::write(&copy, "#!/bin/sh\nexec yes planhat-mcp\n").expect("writable");
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o700)).expect("ours");
        assert_eq!(version_of(&copy), None);
    }

    #[test]
    fn a_client_that_starts_another_version_is_named_with_which_of_both_is_older() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let copy = folder.path().join("planhat-mcp");
        let says = |text: &str| {
            std::fs::write(&copy, format!("#!/bin/sh\n{text}\n")).expect("writable");
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o700)).expect("ours");
        };
        let file = ClientFile { client: "Cursor", path: folder.path().join("mcp.json"), format: Format::Json };
        let entry = |command: &Path| Entry {
            name: "planhat".to_owned(),
            command: command.display().to_string(),
            arguments: Vec::new(),
            environment: Vec::new(),
            is_wrapped: false,
        };
        let said = |ours: &str| told(&file, &entry(&copy), ours).map(|problem| problem.what());
        says("echo planhat-mcp 0.9.10");
        let older = said("0.10.0").expect("another version");
        assert!(older.contains("Cursor") && older.contains("0.9.10") && older.contains("older than"), "{older}");
        assert!(said("0.9.2").expect("another version").contains("newer than"));
        assert_eq!(said("0.9.10"), None);
        says("echo something else");
        assert_eq!(said("0.9.2"), None, "no copy of this program");
        let this = std::env::current_exe().expect("a program");
        assert!(
            told(&file, &entry(&this), "0.0.1").is_none()
                && told(&file, &entry(Path::new("planhat-mcp")), "0.0.1").is_none()
        );
    }
}

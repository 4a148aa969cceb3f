//! Reads clients' files, within bounds.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::client::{Format, Scope};
use super::edit::{self, Fault};
use super::entries::{self, Entry, PROGRAM};
use super::folders::Folders;
use super::table::CLIENTS;
use crate::files;
use crate::limits::CLIENT_FILE_BYTES;

/// A file of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    /// The client, as people call it.
    pub client: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Its form.
    pub format: Format,
}

/// All files of clients that may name the bridge, existing or not; one that several clients share counts once.
pub fn known_files(folders: &Folders) -> Vec<ClientFile> {
    let mut found: Vec<ClientFile> = Vec::new();
    for client in CLIENTS {
        for path in client.all_files(folders) {
            if found.iter().all(|place| place.path != path) {
                found.push(ClientFile { client: client.title, path, format: client.format });
            }
        }
    }
    found
}

/// Those of them that are this user's own in every project.
pub fn files_of_user(folders: &Folders) -> Vec<ClientFile> {
    let all = CLIENTS.iter().flat_map(|client| {
        let paths = (client.files)(folders, Scope::User).into_iter().chain((client.older)(folders));
        paths.map(|path| ClientFile { client: client.title, path, format: client.format })
    });
    let mut found: Vec<ClientFile> = Vec::new();
    for file in all {
        if found.iter().all(|place| place.path != file.path) {
            found.push(file);
        }
    }
    found
}

/// The entries of a file that start the bridge; none if the file is missing or does not name it.
///
/// # Errors What is wrong with a file that names the bridge but cannot be parsed.
pub fn entries_in(file: &ClientFile) -> Result<Vec<Entry>, Fault> {
    let Ok(Some(bytes)) = bytes(&file.path) else { return Ok(Vec::new()) };
    if memchr::memmem::find(&bytes, PROGRAM.as_bytes()).is_none() {
        return Ok(Vec::new());
    }
    Ok(entries::of_this_program(&edit::read(file.format, &text(bytes)?)?))
}

/// The text of a file; `None` without one.
///
/// # Errors Why it cannot be read.
pub fn text_of(path: &Path) -> Result<Option<String>, Fault> {
    let read = bytes(path).map_err(|error| Fault { place: None, detail: error.to_string() })?;
    read.map(text).transpose()
}

fn bytes(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let file = match files::open_given(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(CLIENT_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > CLIENT_FILE_BYTES {
        let detail = format!("it is larger than {CLIENT_FILE_BYTES} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, detail));
    }
    Ok(Some(bytes))
}

fn text(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let column = String::from_utf8_lossy(before).rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Fault { place: Some((line, column)), detail: "it is not UTF-8 there".to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::folders::System;
    use crate::limits::MAX_CLIENT_FILE_DEPTH;

    fn file(path: PathBuf, format: Format) -> ClientFile {
        ClientFile { client: "a client", path, format }
    }

    fn read_as(format: Format, text: impl AsRef<[u8]>) -> Result<Vec<String>, Fault> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("file");
        std::fs::write(&path, text).expect("writable");
        Ok(entries_in(&file(path, format))?.into_iter().map(|entry| entry.name).collect())
    }

    #[test]
    fn each_file_is_looked_at_once_and_older_places_too() {
        let home = Path::new("/home/u");
        let files = known_files(&Folders::of(System::Linux, home, home));
        let of = |path: &str| {
            files.iter().filter(|file| file.path == Path::new(path)).map(|file| file.client).collect::<Vec<_>>()
        };
        assert_eq!(of("/home/u/.vscode/mcp.json"), ["VS Code"], "the Insiders edition reads it, too");
        assert_eq!(of("/home/u/.cursor/mcp.json"), ["Cursor"], "a project at home counts once");
        assert_eq!(of("/home/u/.config/Code/User/settings.json"), ["VS Code"]);
    }

    #[test]
    fn a_file_that_does_not_name_the_bridge_is_nobodys_business_even_when_it_is_broken() {
        assert_eq!(read_as(Format::Json, "{broken"), Ok(Vec::new()));
        assert!(entries_in(&file("/nonexistent/mcp.json".into(), Format::Json)).is_ok_and(|found| found.is_empty()));
        assert_eq!(read_as(Format::Json, r#"{"history":["planhat-mcp"]}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_broken_file_that_names_it_is_told_by_its_place_without_quoting_it() {
        for (format, text) in [
            (Format::Json, &b"{\n \"x\": \"canary\" \"planhat-mcp\""[..]),
            // What a client itself would refuse.
            (Format::Json, b"\n{\"x\": \"planhat-mcp\" \"y\": 1}"),
            (Format::Json, b"\n{x: \"planhat-mcp\"}"),
            (Format::Json, b"\n{'x': \"planhat-mcp\"}"),
            (Format::Json, b"{\"x\": \"planhat-mcp\",\n \"\xff\""),
            (Format::Toml, b"a = 1\nplanhat-mcp = canary\n"),
        ] {
            let fault = read_as(format, text).expect_err("broken");
            assert!(fault.place.is_some_and(|(line, _)| line == 2) && !fault.detail.contains("canary"), "{fault:?}");
        }
    }

    #[test]
    fn a_client_s_file_is_read_up_to_a_size_and_a_depth() {
        let entry = r#"{"mcpServers":{"p":{"command":"planhat-mcp"}}}"#;
        let nested = |depth: usize| format!("{}{entry}{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(read_as(Format::Json, nested(MAX_CLIENT_FILE_DEPTH)), Ok(vec!["p".to_owned()]));
        assert_eq!(read_as(Format::Json, nested(MAX_CLIENT_FILE_DEPTH + 1)), Ok(Vec::new()));
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().join("a.json");
        std::fs::write(&path, format!("{entry} is no JSON")).expect("writable");
        assert!(entries_in(&file(path.clone(), Format::Json)).is_err());
        let grown = std::fs::OpenOptions::new().write(true).open(&path).expect("writable");
        grown.set_len(CLIENT_FILE_BYTES + 1).expect("grown");
        assert!(entries_in(&file(path.clone(), Format::Json)).expect("it is not looked at").is_empty());
        assert!(text_of(&path).is_err_and(|fault| fault.detail.contains("larger")));
    }
}

//! What is known of a client, and the lists of servers that it has on a machine.

use std::path::{Path, PathBuf};

use super::folders::{Folders, System};
use super::shape::Shape;

/// The form of a client's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, in which comments and trailing commas are kept.
    Json,
    /// TOML.
    Toml,
    /// YAML, as far as the client writes it itself.
    Yaml,
    /// The client has no file of this kind: its user pastes the entry.
    None,
}

/// Whose an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This user's, in every project.
    User,
    /// That of all who work in the project, in its folder.
    Project,
    /// This user's in this project alone.
    Local,
}

impl Scope {
    /// Every one.
    pub const ALL: [Scope; 3] = [Scope::User, Scope::Project, Scope::Local];

    /// The one that is meant by a word.
    pub fn named(word: &str) -> Option<Self> {
        let word = if word == "workspace" { "project" } else { word };
        Self::ALL.into_iter().find(|scope| scope.name() == word)
    }

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::User => "user",
            Scope::Project => "project",
            Scope::Local => "local",
        }
    }
}

/// A client's own command that adds a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnCommand {
    /// `claude mcp add-json --scope SCOPE NAME JSON`.
    Claude,
    /// `codex mcp add NAME -- COMMAND ARGUMENTS`.
    Codex,
    /// `gemini mcp add --scope SCOPE NAME COMMAND -- ARGUMENTS`.
    Gemini,
}

/// A link that adds a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkForm {
    /// `cursor://anysphere.cursor-deeplink/mcp/install`.
    Cursor,
    /// `vscode:mcp/install`.
    VsCode,
    /// `vscode-insiders:mcp/install`.
    VsCodeInsiders,
    /// `lmstudio://add_mcp`.
    LmStudio,
    /// `goose://extension`.
    Goose,
}

/// An MCP client.
pub struct Client {
    /// As it is typed.
    pub id: &'static str,
    /// As people call it.
    pub title: &'static str,
    /// What else people type for it.
    pub also: &'static [&'static str],
    /// The form of its file.
    pub format: Format,
    /// The keys that lead to the list of servers.
    pub list: &'static [&'static str],
    /// The form of an entry.
    pub shape: Shape,
    /// Its scopes; the first is meant where none is named.
    pub scopes: &'static [Scope],
    /// The files of a scope, the one to write first.
    pub(super) files: fn(&Folders, Scope) -> Vec<PathBuf>,
    /// Older places that are only read.
    pub(super) older: fn(&Folders) -> Vec<PathBuf>,
    /// What is there on a machine that has the client.
    pub(super) traces: fn(&Folders) -> Vec<PathBuf>,
    /// The program that is on PATH on a machine that has the client.
    pub(super) program: Option<&'static str>,
    /// Its own command. It goes before the file where it is there and the entry is new: it knows where its file lies, and
    /// takes turns with a client that runs. VS Code's is left alone, because it starts the whole editor and returns before
    /// anything is written.
    pub own: Option<OwnCommand>,
    /// Its link.
    pub link: Option<LinkForm>,
    /// What its user does next, in the client's own words.
    pub next: &'static str,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// A list of servers in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Whose it is.
    pub client: &'static Client,
    /// Its scope.
    pub scope: Scope,
    /// The file, existing or not.
    pub file: PathBuf,
    /// The keys that lead to the list.
    pub list: Vec<String>,
}

impl Client {
    /// The lists to write to. More than one where the client may be installed in two ways, each with its own file.
    pub fn targets(&'static self, folders: &Folders, scope: Scope) -> Vec<Target> {
        if self.format == Format::None || !self.scopes.contains(&scope) {
            return Vec::new();
        }
        let mut list: Vec<String> = self.list.iter().map(|key| (*key).to_owned()).collect();
        if scope == Scope::Local {
            let root = root_of_repository(&folders.project).display().to_string();
            let root = if folders.system == System::Windows { root.replace('\\', "/") } else { root };
            list.splice(0..0, ["projects".to_owned(), root]);
        }
        let files = (self.files)(folders, scope).into_iter();
        files.map(|file| Target { client: self, scope, file, list: list.clone() }).collect()
    }

    /// Every file that may name this program, existing or not.
    pub fn all_files(&self, folders: &Folders) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = Vec::new();
        let known = self.scopes.iter().flat_map(|scope| (self.files)(folders, *scope)).chain((self.older)(folders));
        for file in known {
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }

    /// Whether this machine has the client.
    pub fn is_here(&self, folders: &Folders) -> bool {
        (self.traces)(folders).iter().any(|path| path.exists())
            || self.program.is_some_and(|program| folders.program(program).is_some())
    }
}

/// The folder with the repository that this folder is part of, or the folder itself: what Claude Code calls the project.
fn root_of_repository(folder: &Path) -> &Path {
    folder.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(folder)
}

//! Where MCP clients keep the list of servers that they start.

use std::path::{Path, PathBuf};

use directories::BaseDirs;

/// A file of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    /// The client, as people call it.
    pub client: &'static str,
    /// The file.
    pub path: PathBuf,
}

/// The folders that the paths are relative to.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The user's home directory.
    pub home: PathBuf,
    /// Where programs keep their settings: `~/.config`, `~/Library/Application Support`, or `%APPDATA%`.
    pub settings: PathBuf,
    /// `%LOCALAPPDATA%`, on Windows.
    pub local: Option<PathBuf>,
    /// The current directory: projects have their own files.
    pub project: PathBuf,
    /// `CODEX_HOME`, if set.
    pub codex: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`, if set.
    pub claude: Option<PathBuf>,
}

impl Folders {
    /// This user's folders; `None` without a home directory.
    pub fn of_this_user() -> Option<Self> {
        let base = BaseDirs::new()?;
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Some(Self {
            home: crate::config::home()?,
            settings: base.config_dir().to_owned(),
            local: cfg!(windows).then(|| base.data_local_dir().to_owned()),
            project: std::env::current_dir().unwrap_or_default(),
            codex: named("CODEX_HOME"),
            claude: named("CLAUDE_CONFIG_DIR"),
        })
    }

    /// All files that may name the bridge, existing or not.
    pub fn files(&self) -> Vec<ClientFile> {
        let mut found: Vec<ClientFile> = Vec::new();
        let mut add = |client: &'static str, path: PathBuf| {
            if found.iter().all(|place| place.path != path) {
                found.push(ClientFile { client, path });
            }
        };
        add("Claude Desktop", self.settings.join("Claude/claude_desktop_config.json"));
        for package in self.packages("Claude_") {
            // Windows gives a packaged program its own AppData.
            add("Claude Desktop", package.join("LocalCache/Roaming/Claude/claude_desktop_config.json"));
        }
        let claude = self.claude.as_ref().unwrap_or(&self.home);
        add("Claude Code", claude.join(".claude.json"));
        add("Claude Code", self.project.join(".mcp.json"));
        for folder in [&self.home, &self.project] {
            add("Cursor", folder.join(".cursor/mcp.json"));
            add("Gemini CLI", folder.join(".gemini/settings.json"));
        }
        for name in ["Code", "Code - Insiders"] {
            add("VS Code", self.settings.join(name).join("User/mcp.json"));
            // Older versions keep the servers here.
            add("VS Code", self.settings.join(name).join("User/settings.json"));
        }
        add("VS Code", self.project.join(".vscode/mcp.json"));
        let codex = self.codex.clone().unwrap_or_else(|| self.home.join(".codex"));
        add("Codex", codex.join("config.toml"));
        add("Codex", self.project.join(".codex/config.toml"));
        add("Windsurf", self.home.join(".codeium/windsurf/mcp_config.json"));
        found
    }

    /// The folders of packaged programs whose names start with this prefix.
    fn packages(&self, prefix: &str) -> Vec<PathBuf> {
        let Some(packages) = self.local.as_ref().map(|local| local.join("Packages")) else { return Vec::new() };
        let is_one = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        let entries = std::fs::read_dir(packages).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| is_one(path)).take(4).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_looked_for_where_it_keeps_its_servers() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let home = root.path().to_owned();
        let package = home.join("AppData/Local/Packages/Claude_abc");
        std::fs::create_dir_all(&package).expect("writable");
        let folders = Folders {
            settings: home.join(".config"),
            local: Some(home.join("AppData/Local")),
            project: home.join("work"),
            codex: None,
            claude: None,
            home: home.clone(),
        };
        let places = folders.files();
        let has = |client: &str, path: &Path| places.iter().any(|place| place.client == client && place.path == path);
        assert!(has("Claude Desktop", &home.join(".config/Claude/claude_desktop_config.json")));
        assert!(has("Claude Desktop", &package.join("LocalCache/Roaming/Claude/claude_desktop_config.json")));
        assert!(has("Claude Code", &home.join(".claude.json")) && has("Claude Code", &home.join("work/.mcp.json")));
        assert!(has("VS Code", &home.join(".config/Code/User/mcp.json")));
        assert!(has("Codex", &home.join(".codex/config.toml")));
        let moved = Folders { codex: Some("/c".into()), claude: Some("/d".into()), project: home, ..folders }.files();
        assert!(moved.iter().any(|place| place.path == Path::new("/c/config.toml")));
        assert!(moved.iter().any(|place| place.path == Path::new("/d/.claude.json")));
        assert_eq!(moved.iter().filter(|place| place.client == "Cursor").count(), 1, "a project at home counts once");
    }
}

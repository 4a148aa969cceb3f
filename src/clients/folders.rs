//! The folders that the files of clients lie in, on each system.

use std::path::{Path, PathBuf};

use directories::BaseDirs;

/// How a system lays out a user's folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// `~/.config`.
    Linux,
    /// `~/Library/Application Support`.
    MacOs,
    /// `%APPDATA%`.
    Windows,
}

impl System {
    /// The one that this is.
    pub const fn this() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }
}

/// The folders that the paths are relative to.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Whose layout it is.
    pub system: System,
    /// The user's home directory.
    pub home: PathBuf,
    /// Where programs keep their settings: `~/.config`, `~/Library/Application Support`, or `%APPDATA%`.
    pub settings: PathBuf,
    /// `XDG_CONFIG_HOME` or `~/.config`, which some programs use on every system.
    pub dot_config: PathBuf,
    /// `%LOCALAPPDATA%`, on Windows.
    pub local: Option<PathBuf>,
    /// The current directory: projects have their own files.
    pub project: PathBuf,
    /// `CODEX_HOME`, if set.
    pub codex: Option<PathBuf>,
    /// `CLAUDE_CONFIG_DIR`, if set.
    pub claude: Option<PathBuf>,
    /// `COPILOT_HOME`, if set.
    pub copilot: Option<PathBuf>,
    /// The folders in which programs are looked for by name.
    pub programs: Vec<PathBuf>,
}

impl Folders {
    /// This user's folders; `None` without a home directory.
    pub fn of_this_user() -> Option<Self> {
        let base = BaseDirs::new()?;
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = crate::config::home()?;
        Some(Self {
            system: System::this(),
            settings: base.config_dir().to_owned(),
            dot_config: named("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
            local: cfg!(windows).then(|| base.data_local_dir().to_owned()),
            project: std::env::current_dir().unwrap_or_default(),
            codex: named("CODEX_HOME"),
            claude: named("CLAUDE_CONFIG_DIR"),
            copilot: named("COPILOT_HOME"),
            programs: std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect(),
            home,
        })
    }

    /// The folders of a user of this system who has set nothing otherwise.
    pub fn of(system: System, home: &Path, project: &Path) -> Self {
        let settings = match system {
            System::Linux => home.join(".config"),
            System::MacOs => home.join("Library").join("Application Support"),
            System::Windows => home.join("AppData").join("Roaming"),
        };
        Self {
            system,
            settings,
            dot_config: home.join(".config"),
            local: (system == System::Windows).then(|| home.join("AppData").join("Local")),
            project: project.to_owned(),
            codex: None,
            claude: None,
            copilot: None,
            programs: Vec::new(),
            home: home.to_owned(),
        }
    }

    /// The program with this name, as the system finds it. On Windows an `.exe` alone: a script would read its arguments
    /// by the rules of the command prompt.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        let file = if self.system == System::Windows { format!("{name}.exe") } else { name.to_owned() };
        self.programs.iter().map(|folder| folder.join(&file)).find(|path| path.is_absolute() && path.is_file())
    }

    /// Where a client for Windows that is installed as a package has this folder of its settings, for each such package.
    pub fn packaged(&self, prefix: &str) -> Vec<PathBuf> {
        let Some(packages) = self.local.as_ref().map(|local| local.join("Packages")) else { return Vec::new() };
        let is_one = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        let entries = std::fs::read_dir(packages).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| is_one(path)).take(4).map(|path| path.join("LocalCache").join("Roaming")).collect()
    }
}

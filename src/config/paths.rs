//! Where the program keeps its files.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use serde::{Deserialize, Serialize};

use crate::files::private::own_dir;
use crate::problem::{Problem, ProblemId};

/// Where the program keeps its files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Paths {
    /// The user's configuration file.
    pub config_file: PathBuf,
    /// Locks, the generation number, the pending record, the file store, the log.
    pub state_dir: PathBuf,
}

impl Paths {
    /// The conventional locations on Linux and macOS; on Windows `%USERPROFILE%\.planhat-mcp`, because packaged clients
    /// have their own AppData, which a terminal would not share.
    pub fn of_this_user() -> Result<Self, Problem> {
        if cfg!(windows) {
            let base = home().ok_or(ProblemId::NoHome)?.join(".planhat-mcp");
            return Ok(Self { config_file: base.join("config.toml"), state_dir: base.join("state") });
        }
        let project = ProjectDirs::from("", "", "planhat-mcp").ok_or(ProblemId::NoHome)?;
        let state_dir = project.state_dir().map_or_else(|| project.data_local_dir().join("state"), Path::to_owned);
        Ok(Self { config_file: project.config_dir().join("config.toml"), state_dir })
    }

    /// Creates the state directory if needed and makes it private to the user (0700).
    pub fn prepare_state_dir(&self) -> Result<&Path, Problem> {
        let dir = self.state_dir.as_path();
        let problem =
            |error| Problem::new(ProblemId::StateDirUnusable).with("dir", dir.display()).with("detail", error);
        own_dir(dir).map_err(problem)?;
        Ok(dir)
    }
}

/// The user's home directory. On Windows what `USERPROFILE` says goes before the system's own word, as for most programs that
/// keep their files there: whoever sets it for a program means it.
pub fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Expands a path: `~/` is the home directory, and a relative path starts at `base`.
pub(super) fn expand(text: &str, base: Option<&Path>) -> PathBuf {
    let rest = text.strip_prefix("~/").or_else(|| if cfg!(windows) { text.strip_prefix("~\\") } else { None });
    if let (Some(rest), Some(home)) = (rest, home()) {
        return home.join(rest);
    }
    base.map_or_else(|| PathBuf::from(text), |base| base.join(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_counts_from_the_file_that_names_it() {
        let base = Path::new("/etc/planhat");
        assert_eq!(expand("ca.pem", Some(base)), base.join("ca.pem"));
        assert_eq!(expand("ca.pem", None), PathBuf::from("ca.pem"));
        assert!(!expand("~/ca.pem", Some(base)).starts_with(base), "~ is the home directory");
    }

    #[cfg(unix)]
    #[test]
    fn the_state_directory_is_made_for_the_user_alone_and_closed_when_it_was_open() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().expect("a temporary directory");
        let paths = Paths { config_file: root.path().join("c"), state_dir: root.path().join("a/state") };
        let mode = || std::fs::metadata(&paths.state_dir).expect("it is there").permissions().mode() & 0o777;
        paths.prepare_state_dir().expect("created");
        assert_eq!(mode(), 0o700);
        std::fs::set_permissions(&paths.state_dir, std::fs::Permissions::from_mode(0o755)).expect("ours");
        paths.prepare_state_dir().expect("closed");
        assert_eq!(mode(), 0o700);
    }

    #[test]
    fn a_state_directory_that_cannot_be_made_names_itself() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let file = root.path().join("file");
        std::fs::write(&file, "").expect("writable");
        let paths = Paths { config_file: file.clone(), state_dir: file.join("state") };
        let problem = paths.prepare_state_dir().expect_err("a file is in the way");
        assert_eq!(problem.id, ProblemId::StateDirUnusable);
        assert!(problem.fact("dir").is_some_and(|dir| dir.ends_with("state")));
    }
}

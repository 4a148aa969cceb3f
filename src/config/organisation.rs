//! What an organisation decides for all users of a machine: values for settings, and which of them a user cannot change.
//!
//! ```toml
//! client_id = "pk_..."
//! callback_port = 7526
//! allowed_servers = "api.planhat.com"
//! locked = ["client_id", "callback_port", "allowed_servers"]
//! ```
//!
//! A value that is not locked is a default: a user's own file, variables and flags win over it. The file lies where the system
//! lets administrators alone write; on Windows it is a key of the registry, `HKLM\SOFTWARE\Policies\planhat-mcp`, because
//! anybody may create files in `%ProgramData%`.

use std::path::{Path, PathBuf};

use crate::problem::{Problem, ProblemId};

use super::file::{self, ConfigFile, LOCKED};
use super::key::{Concerns, Key};
use super::origin::Origin;
use super::raw_setting::RawSetting;

/// The organisation's settings. Without any, it decides nothing.
#[derive(Debug, Default)]
pub struct Organisation {
    /// Its values; the source of each says whether it is locked.
    pub(super) settings: Vec<RawSetting>,
}

impl Organisation {
    /// Reads what is kept on this machine.
    ///
    /// # Errors
    /// What is wrong with it. It is never left out for that: what it locks would be open.
    pub fn of_this_machine() -> Result<Self, Problem> {
        #[cfg(windows)]
        return Self::of_registry();
        #[cfg(not(windows))]
        match place() {
            Some(path) => Self::of_file(&path, administrators::OWNER),
            None => Ok(Self::default()),
        }
    }

    /// Reads a file of this owner.
    ///
    /// # Errors As [`Organisation::of_this_machine`].
    #[cfg(not(windows))]
    fn of_file(path: &Path, owner: u32) -> Result<Self, Problem> {
        match administrators::require(path, owner) {
            Ok(()) => Self::of(path, file::read_organisation(path)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => {
                Err(Problem::new(ProblemId::ConfigUnreadable).with("file", path.display()).with("detail", error))
            }
        }
    }

    /// The text of such a file.
    ///
    /// # Errors What is wrong with it.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Problem> {
        Self::of(path, file::parse_organisation(path, text)?)
    }

    fn of(path: &Path, (file, locked): (ConfigFile, Vec<(Key, Origin)>)) -> Result<Self, Problem> {
        if let Some((name, _)) = file.profiles.first() {
            return Err(Problem::new(ProblemId::ConfigUnknownKey)
                .with("key", format_args!("profiles.{name} (an organisation's file has no profiles)"))
                .with("origin", path.display()));
        }
        let mut settings = file.common;
        for raw in &mut settings {
            raw.origin = raw.origin.clone().of_organisation(locked.iter().any(|(key, _)| *key == raw.key));
        }
        if let Some((key, origin)) = locked.iter().find(|(key, _)| settings.iter().all(|raw| raw.key != *key)) {
            return Err(Problem::new(ProblemId::BadValue)
                .with("setting", LOCKED)
                .with("origin", origin)
                .with("found", format_args!("{}, which has no value here", key.info().name))
                .with("expected", "settings that have a value in the same place"));
        }
        Ok(Self { settings })
    }

    /// The registry's values: text, numbers, and a list of names under `locked`.
    #[cfg(windows)]
    fn of_registry() -> Result<Self, Problem> {
        use windows_registry::{LOCAL_MACHINE, Type};
        const KEY: &str = r"SOFTWARE\Policies\planhat-mcp";
        let path = PathBuf::from(format!(r"HKLM\{KEY}"));
        let unreadable = |error: &dyn std::fmt::Display| {
            Problem::new(ProblemId::ConfigUnreadable).with("file", path.display()).with("detail", error)
        };
        let policies = match LOCAL_MACHINE.open(KEY) {
            Ok(policies) => policies,
            // ERROR_FILE_NOT_FOUND, as an HRESULT. With any other error there may be locks that cannot be read.
            Err(error) if error.code().0 == 0x8007_0002_u32.cast_signed() => return Ok(Self::default()),
            Err(error) => return Err(unreadable(&error)),
        };
        let mut text = String::new();
        for (name, value) in policies.values().map_err(|error| unreadable(&error))? {
            let value = match value.ty() {
                Type::U32 | Type::U64 => u64::try_from(value).map_err(|error| unreadable(&error))?.to_string(),
                Type::MultiString => {
                    let words = Vec::<String>::try_from(value).map_err(|error| unreadable(&error))?;
                    if name == LOCKED {
                        format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", "))
                    } else {
                        quoted(&words.join(","))
                    }
                }
                _ => quoted(&String::try_from(value).map_err(|error| unreadable(&error))?),
            };
            text.push_str(&format!("{} = {value}\n", quoted(&name)));
        }
        Self::parse(&path, &text)
    }

    /// Whether this is the server that the organisation's values are for is known only once the server is; those that concern
    /// another one are of no use to it, nor is their lock.
    pub(super) fn without_those_of_server(mut self) -> Self {
        self.settings.retain(|raw| raw.key.info().concerns != Concerns::Server);
        self
    }

    /// Its own server, if it names one.
    pub(super) fn server(&self) -> Option<&RawSetting> {
        self.settings.iter().find(|raw| matches!(raw.key, Key::Tenant | Key::Url))
    }

    /// The settings that a user cannot change.
    pub(super) fn locked(&self) -> impl Iterator<Item = &RawSetting> {
        self.settings.iter().filter(|raw| raw.origin.is_locked())
    }
}

#[cfg(windows)]
fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

/// Where it is kept, for people.
pub fn place() -> Option<PathBuf> {
    if cfg!(windows) {
        return Some(PathBuf::from(r"HKLM\SOFTWARE\Policies\planhat-mcp"));
    }
    let folder = if cfg!(target_os = "macos") { "/Library/Application Support" } else { "/etc" };
    Some(Path::new(folder).join("planhat-mcp/config.toml"))
}

/// Who may write what all users of a machine obey.
#[cfg(unix)]
mod administrators {
    use std::fs;
    use std::io;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// Root.
    pub const OWNER: u32 = 0;
    /// Writable by the group or by others.
    const WRITABLE_BY_OTHERS: u32 = 0o022;

    /// Checks that nobody but `owner` can change the file, or put another in its place.
    pub fn require(path: &Path, owner: u32) -> io::Result<()> {
        // What a link leads to counts, and so does the folder of each.
        let real = path.canonicalize()?;
        for place in [Some(&*real), real.parent(), path.parent()].into_iter().flatten() {
            let found = fs::metadata(place)?;
            if found.uid() != owner || found.mode() & WRITABLE_BY_OTHERS != 0 {
                let detail = format!("{} can be changed by others than the administrator (root)", place.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, detail));
            }
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_can_change_or_replace_is_refused_and_a_missing_one_decides_nothing() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let me = rustix::process::geteuid().as_raw();
        let folder = root.path().join("planhat-mcp");
        std::fs::create_dir(&folder).expect("writable");
        let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        mode(&folder, 0o755);
        let path = folder.join("config.toml");
        assert!(Organisation::of_file(&path, me).expect("nothing is there").settings.is_empty());
        std::fs::write(&path, "client_id = \"pk_1\"\n").expect("writable");
        mode(&path, 0o644);
        assert_eq!(Organisation::of_file(&path, me).expect("it is ours alone").settings.len(), 1);
        for (place, bad, good) in [(&path, 0o664, 0o644), (&folder, 0o777, 0o755)] {
            mode(place, bad);
            let problem = Organisation::of_file(&path, me).expect_err("others can write");
            assert_eq!(problem.id, ProblemId::ConfigUnreadable);
            assert!(problem.cause().contains("can be changed by others"), "{}", problem.cause());
            mode(place, good);
        }
        assert!(Organisation::of_file(&path, me + 1).is_err(), "of another owner");
        let link = root.path().join("linked");
        std::os::unix::fs::symlink(&folder, &link).expect("a link");
        mode(root.path(), 0o777);
        assert!(Organisation::of_file(&link.join("config.toml"), me).is_ok(), "the link's own folder is not asked");
        mode(root.path(), 0o700);
    }
}

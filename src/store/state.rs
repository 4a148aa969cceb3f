//! Owns what the processes of one profile share through the state directory; never a secret.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{LockError, ProcessLock};
use crate::files::private::{self, own_dir};
use crate::hash::fnv1a;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// The length of [`StateDir::naming_key`].
const NAMING_KEY_BYTES: usize = 32;

/// The files of one profile in the state directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    dir: PathBuf,
    stem: String,
}

impl StateDir {
    /// The files of `profile` in `dir`; creates nothing yet.
    pub fn new(dir: &Path, profile: &str) -> Self {
        Self { dir: dir.to_owned(), stem: stem(profile) }
    }

    /// The lock on refreshing and saving tokens; held briefly.
    pub fn token_lock(&self) -> PathBuf {
        self.file("token.lock")
    }

    /// The lock on signing in; held for as long as the user takes.
    pub fn login_lock(&self) -> PathBuf {
        self.file("login.lock")
    }

    /// The lock on reopening the page of a sign-in; held briefly.
    pub fn page_lock(&self) -> PathBuf {
        self.file("page.lock")
    }

    /// The lock on counting tabs and token requests; held briefly.
    pub fn brake_lock(&self) -> PathBuf {
        self.file("brake.lock")
    }

    /// The lock on a callback port, shared by all profiles.
    pub fn port_lock(&self, port: u16) -> PathBuf {
        self.dir.join(format!("port-{port}.lock"))
    }

    /// Whether any process, including this one, is signing in.
    pub fn login_is_under_way(&self) -> Result<bool, LockError> {
        ProcessLock::is_held(&self.login_lock())
    }

    /// The generation number of the store.
    pub fn generation(&self) -> Generation {
        Generation { path: self.file("generation") }
    }

    /// A small record without secrets, called `name`.
    pub fn note(&self, name: &str) -> Note {
        Note { path: self.file(name) }
    }

    /// The notes called `name` of all profiles.
    pub fn notes(dir: &Path, name: &str) -> Vec<Note> {
        let end = format!(".{name}");
        let is_one = |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().ends_with(&end));
        entries(dir).into_iter().filter(is_one).map(|path| Note { path }).collect()
    }

    /// A random key that all profiles of this directory share, to hash what file names must not reveal.
    pub fn naming_key(&self) -> io::Result<Secret<Vec<u8>>> {
        own_dir(&self.dir)?;
        // No profile's files start with a dot.
        let path = self.dir.join(".names.key");
        let read_key = || private::read(&path).map(|key| key.filter(|key| key.len() == NAMING_KEY_BYTES));
        if let Some(key) = read_key()? {
            return Ok(Secret::new(key));
        }
        // One of another length was cut off by a crash. A new key costs nothing but the shared files of before.
        private::remove(&path)?;
        let mut fresh = vec![0; NAMING_KEY_BYTES];
        getrandom::fill(&mut fresh).map_err(io::Error::other)?;
        private::create(&path, Secret::new(fresh).expose())?;
        // Another process may have been faster.
        read_key()?.map(Secret::new).ok_or_else(|| io::Error::other("the key for names is damaged"))
    }

    /// All files of this profile, including locks.
    pub fn all(&self) -> Vec<PathBuf> {
        let prefix = format!("{}.", self.stem);
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // A gate belongs to a grant, not to a profile, whatever its name starts with.
            name.starts_with(&prefix) && !has_longer_stem(&name, prefix.len()) && !name.ends_with(".gate")
        };
        entries(&self.dir).into_iter().filter(is_ours).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}.{name}", self.stem))
    }
}

/// Whether `name` starts with the stem of a profile whose name continues after the first `from` bytes: `a.b-<hash>.x`
/// is a file of `a.b`, not of `a`.
fn has_longer_stem(name: &str, from: usize) -> bool {
    name.match_indices('-').filter(|(at, _)| *at >= from).any(|(at, _)| {
        let Some(hash) = name.get(at + 1..at + 17).filter(|_| name[at + 17..].starts_with('.')) else { return false };
        // A replaced character in the stem makes this uncertain; when in doubt, the file stays.
        name[from..at].contains('_') || hash == format!("{:016x}", fnv1a(&name.as_bytes()[..at]))
    })
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// A number that every change to the store increments, so that no process has to poll the keychain.
#[derive(Debug, Clone)]
pub struct Generation {
    path: PathBuf,
}

impl Generation {
    /// The current number; 0 before the first change, or if it cannot be read.
    pub fn read(&self) -> u64 {
        let content = private::read(&self.path).ok().flatten().unwrap_or_default();
        std::str::from_utf8(&content).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Increments it. The caller holds the token lock.
    pub fn bump(&self) -> Result<u64, Problem> {
        let next = self.read().wrapping_add(1);
        write(&self.path, format!("{next}\n").as_bytes())?;
        Ok(next)
    }
}

/// A small JSON record in a file of mode 0600.
#[derive(Debug, Clone)]
pub struct Note {
    path: PathBuf,
}

impl Note {
    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The record, if there is a readable one.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        let content = private::read(&self.path).ok().flatten()?;
        serde_json::from_slice(&content).ok()
    }

    /// The record; `None` when there is none.
    ///
    /// # Errors
    /// When there is one that cannot be read, or is not of this kind.
    pub fn try_read<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        let content = private::read(&self.path).map_err(|error| failed(&self.path, &error))?;
        let read = content.map(|content| serde_json::from_slice(&content)).transpose();
        read.map_err(|error| failed(&self.path, &io::Error::other(error)))
    }

    /// Replaces the record.
    pub fn write<T: Serialize>(&self, record: &T) -> Result<(), Problem> {
        let content = serde_json::to_vec(record).map_err(|e| failed(&self.path, &io::Error::other(e)))?;
        write(&self.path, &content)
    }

    /// Removes the record.
    pub fn remove(&self) {
        let _ = private::remove(&self.path);
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), Problem> {
    if let Some(dir) = path.parent() {
        own_dir(dir).map_err(|error| {
            Problem::new(ProblemId::StateDirUnusable).with("dir", dir.display()).with("detail", error)
        })?;
    }
    private::replace(path, content).map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Problem {
    Problem::new(ProblemId::StateFileFailed).with("path", path.display()).with("detail", error)
}

/// A profile's name as a file name prefix: it keeps harmless characters, and differs for any two profiles.
fn stem(profile: &str) -> String {
    let harmless = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name: String = profile.chars().map(|c| if harmless(c) || c == '.' { c } else { '_' }).take(64).collect();
    // A dot is harmless in itself, but a profile `a.token` must not share files with a profile `a`.
    if !profile.is_empty() && profile.len() <= 64 && profile.chars().all(harmless) {
        name
    } else {
        format!("{name}-{:016x}", fnv1a(profile.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_with_odd_names_stay_inside_the_directory_and_apart() {
        let names = ["planhat", "Planhat", "../planhat", "a/b", "a:b", "a.token", "", "con", "127.0.0.1:8080"];
        let stems: std::collections::HashSet<_> = names.iter().map(|n| stem(n)).collect();
        assert_eq!(stems.len(), names.len());
        assert!(stems.iter().all(|s| !s.contains(['/', ':', '\\'])));
        assert_eq!(stem("planhat"), "planhat");
    }

    #[test]
    fn the_key_for_names_stays_the_same_and_one_that_a_crash_cut_off_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path(), "p");
        let key = state.naming_key().unwrap();
        assert_eq!(StateDir::new(dir.path(), "q").naming_key().unwrap().expose(), key.expose());
        std::fs::write(dir.path().join(".names.key"), &key.expose()[..5]).unwrap();
        let fresh = state.naming_key().unwrap();
        assert_eq!(fresh.expose().len(), NAMING_KEY_BYTES);
        assert_eq!(state.naming_key().unwrap().expose(), fresh.expose());
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_look_into_is_closed_by_whatever_is_put_there() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path(), "p");
        let open = || std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mode = || std::fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777;
        open();
        state.note("x").write(&"a link").unwrap();
        assert_eq!(mode(), 0o700);
        open();
        ProcessLock::try_acquire(&state.login_lock()).unwrap().unwrap();
        assert_eq!(mode(), 0o700);
    }

    #[test]
    fn a_profile_has_its_own_files_and_not_those_of_one_with_a_longer_name() {
        let dir = tempfile::tempdir().unwrap();
        for profile in ["a", "a.b", "a.B", "a-b", "ab"] {
            let state = StateDir::new(dir.path(), profile);
            state.generation().bump().unwrap();
            state.note("list-0123456789abcdef.json").write(&1).unwrap();
            drop(ProcessLock::try_acquire(&state.token_lock()).unwrap());
            std::fs::write(dir.path().join(format!("{profile}.gate")), "1").unwrap();
        }
        for profile in ["a", "a.b", "a.B", "a-b", "ab"] {
            let state = StateDir::new(dir.path(), profile);
            let name = |name: &str| format!("{}.{name}", stem(profile));
            let found: Vec<String> =
                state.all().iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
            assert_eq!(
                found,
                [name("generation"), name("list-0123456789abcdef.json"), name("token.lock")],
                "{profile}"
            );
        }
        assert_eq!(StateDir::notes(dir.path(), "generation").len(), 5);
    }

    #[test]
    fn the_generation_grows_and_survives_nonsense() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("not/yet"), "p");
        assert_eq!(state.generation().read(), 0);
        assert_eq!(state.generation().bump().unwrap(), 1);
        assert_eq!(state.generation().bump().unwrap(), 2);
        std::fs::write(dir.path().join("not/yet/p.generation"), "x").unwrap();
        assert_eq!(state.generation().read(), 0);
    }
}

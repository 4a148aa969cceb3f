//! What `doctor --fix` mends: faults in what this program keeps on this machine. Finding them changes nothing.
//!
//! A sign-in that works is never touched, nor is what another process uses now; what a newer version has written is not
//! damage, and the record of the brake is left alone, whatever its state.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use crate::auth::authorizer::Authorizer;
use crate::auth::context::Context;
use crate::auth::coordination::observed::Observed;
use crate::auth::grants::grant::{Grant, RECORD_VERSION};
use crate::auth::grants::notes;
use crate::auth::login::attempt;
use crate::auth::registration::dynamic;
use crate::blocking;
use crate::config::{Settings, TokenStoreKind};
use crate::files::{self, private};
use crate::problem::{Problem, ProblemId, printable};
use crate::secret::Secret;
use crate::store::server_memory::{self, ServerMemoryNote, Stored};
use crate::store::{ProcessLock, StateDir, StoreError};

/// A client that this program registered, and the server says that it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadClient {
    /// Its authorization server.
    pub issuer: String,
    /// Its id.
    pub id: String,
}

/// Something that is wrong here and can be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The server has forgotten our registration.
    DeadRegistration(DeadClient),
    /// Others can read or change this file.
    Exposed(PathBuf),
    /// The record of the sign-in cannot be read.
    DamagedSignIn,
    /// The token file cannot be read, with all that is in it.
    DamagedTokenFile(PathBuf),
    /// A small record of the profile cannot be read.
    DamagedNote(PathBuf),
    /// A lock file is something else, or cannot be opened.
    UnusableLock(PathBuf),
    /// The record says that a sign-in is under way, and none is.
    StaleSignIn,
    /// What is remembered of the server no longer counts.
    OutdatedMemory,
}

/// A fault in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What is wrong.
    pub what: String,
    /// What is done about it.
    pub action: &'static str,
    /// What is lost by that.
    pub loss: &'static str,
}

impl Fault {
    /// In words; what a server chose is made printable.
    pub fn words(&self) -> Words {
        let file = |path: &Path| printable(&path.display().to_string());
        let (what, action, loss) = match self {
            Self::DeadRegistration(client) => (
                format!(
                    "the server no longer knows the client {}, which planhat-mcp registered",
                    printable(&client.id)
                ),
                "the stored registration is deleted; the next sign-in registers again",
                "nothing: signing in with it is not possible",
            ),
            Self::Exposed(path) => (
                format!("other users of this computer can read or change {}", file(path)),
                "the file is closed to others (chmod go-rwx)",
                "nothing; if others may have read a secret in it, replace that",
            ),
            Self::DamagedSignIn => (
                "the stored sign-in cannot be read".to_owned(),
                "its record is deleted",
                "the sign-in, which no new process could use; sign in again, even if an MCP client still works",
            ),
            Self::DamagedTokenFile(path) => (
                format!("the token file {} cannot be read", file(path)),
                "it is renamed to end in .damaged",
                "the sign-ins in it, of all profiles, which could not be used; sign in again",
            ),
            Self::DamagedNote(path) => {
                (format!("{} cannot be read", file(path)), "it is deleted", "nothing: it is created again when needed")
            }
            Self::UnusableLock(path) => (
                format!("the lock file {} cannot be used", file(path)),
                "a link in its place is removed, and only you get access to the file",
                "nothing",
            ),
            Self::StaleSignIn => (
                "a sign-in is recorded as in progress, but its process is gone".to_owned(),
                "it is recorded as ended",
                "its link, which nothing is waiting for",
            ),
            Self::OutdatedMemory => (
                "what is remembered about the server is too old, cannot be read, or is about another address"
                    .to_owned(),
                "it is forgotten",
                "a question or two to the server at the next start",
            ),
        };
        Words { what, action, loss }
    }
}

/// All faults, in the order in which they are mended: what cannot be opened may hide others. `dead` is the client that the
/// server does not know, unless a sign-in works.
pub async fn find(auth: &Authorizer, dead: Option<DeadClient>) -> Vec<Fault> {
    let ctx = &auth.ctx;
    let files = ctx.files.clone();
    let (settings, brake, now) = (ctx.settings.clone(), ctx.brake.record_files(), ctx.now());
    let mut found = blocking::run(move || in_files(&files, &settings, &brake, now)).await;
    found.extend(in_store(ctx).await);
    let observed = Observed::now(ctx).await;
    if observed.is_locked.is_ok_and(|held| !held) && observed.attempt.is_some_and(|attempt| attempt.ended.is_none()) {
        found.push(Fault::StaleSignIn);
    }
    found.extend(dead.map(Fault::DeadRegistration));
    found
}

fn in_files(files: &StateDir, settings: &Settings, brake: &[PathBuf], now: u64) -> Vec<Fault> {
    let own = files.all();
    let token_file = token_file(settings);
    let named = [&settings.oauth.client_secret_file, &settings.oauth.client_key].into_iter().flatten().cloned();
    let may_be_secret = own.iter().cloned().chain([token_file]).chain(named);
    let mut found: Vec<Fault> =
        may_be_secret.filter(|path| files::is_own_and_open_to_others(path)).map(Fault::Exposed).collect();
    // It holds no secret, but says where messages and tokens go.
    let config = &settings.paths.config_file;
    if files::is_own_and_written_by_others(config) {
        found.push(Fault::Exposed(config.clone()));
    }
    let memory = server_memory::note(files);
    for path in own {
        let ends_in = |end: &str| path.extension().is_some_and(|found| found == end);
        if ends_in("lock") {
            if !path.is_dir() && ProcessLock::is_held(&path).is_err() {
                found.push(Fault::UnusableLock(path));
            }
        } else if ends_in("json") && !brake.contains(&path) && path != memory.path() && is_no_json(&path) {
            found.push(Fault::DamagedNote(path));
        }
    }
    if ServerMemoryNote::new(files, settings.shown_url()).read(now) == Stored::Outdated {
        found.push(Fault::OutdatedMemory);
    }
    found
}

fn token_file(settings: &Settings) -> PathBuf {
    settings.paths.state_dir.join("tokens.json")
}

/// Whether the file was read, and holds no JSON.
fn is_no_json(path: &Path) -> bool {
    let content = private::read(path).ok().flatten();
    content.is_some_and(|content| serde_json::from_slice::<IgnoredAny>(&content).is_err())
}

async fn in_store(ctx: &Context) -> Option<Fault> {
    if ctx.settings.static_token.is_some() || ctx.settings.token_store == TokenStoreKind::Memory {
        return None;
    }
    match ctx.store.read(&ctx.account).await {
        Ok(Some(record)) => is_damaged(&record).then_some(Fault::DamagedSignIn),
        Err(StoreError::Corrupt(_)) if ctx.settings.token_store == TokenStoreKind::File => {
            Some(Fault::DamagedTokenFile(token_file(&ctx.settings)))
        }
        Err(StoreError::Corrupt(_)) => Some(Fault::DamagedSignIn),
        Ok(None) | Err(_) => None,
    }
}

/// Whether no version of this program can read the record. A newer one may have written what this one cannot read.
fn is_damaged(record: &Secret<Vec<u8>>) -> bool {
    let value = serde_json::from_slice::<serde_json::Value>(record.expose());
    let is_newer = value.is_ok_and(|value| value["version"].as_u64() > Some(RECORD_VERSION.into()));
    !is_newer && Grant::from_record(record).is_err()
}

/// Mends one fault, if it is still there.
///
/// # Errors Why it could not be mended.
pub async fn mend(auth: &Authorizer, fault: &Fault) -> Result<(), Problem> {
    let ctx = &auth.ctx;
    match fault {
        Fault::DeadRegistration(client) => {
            dynamic::forget(&ctx.settings, &ctx.store, &client.issuer, &client.id).await;
            Ok(())
        }
        Fault::Exposed(path) => on_file(path, files::close_to_others).await,
        Fault::DamagedNote(path) => {
            on_file(path, |path| if is_no_json(path) { fs::remove_file(path) } else { Ok(()) }).await
        }
        Fault::UnusableLock(path) => on_file(path, mend_lock).await,
        Fault::DamagedTokenFile(_) => {
            let _lock = auth.tokens.cache.token_lock().await?;
            if in_store(ctx).await.as_ref() == Some(fault) {
                // Writing sets a damaged file aside, under the lock of the file, which other profiles use, too.
                ctx.store.check().await?;
            }
            forget_stored(ctx).await
        }
        Fault::DamagedSignIn => {
            let _lock = auth.tokens.cache.token_lock().await?;
            if in_store(ctx).await.as_ref() == Some(fault) {
                ctx.store.delete(&ctx.account).await?;
            }
            forget_stored(ctx).await
        }
        Fault::StaleSignIn => {
            let lock = ctx.files.login_lock();
            let Some(_lock) = blocking::run(move || ProcessLock::try_acquire(&lock)).await? else { return Ok(()) };
            let Some(mut attempt) = attempt::load(&ctx.files).await.filter(|attempt| attempt.ended.is_none()) else {
                return Ok(());
            };
            attempt.end(ctx.now(), None);
            attempt::save(ctx, &attempt).await
        }
        Fault::OutdatedMemory => {
            let note = server_memory::note(&ctx.files);
            blocking::run(move || note.remove()).await;
            Ok(())
        }
    }
}

/// The record is gone on purpose, and other processes read the store again.
async fn forget_stored(ctx: &Context) -> Result<(), Problem> {
    let files = ctx.files.clone();
    let forget = move || {
        notes::stored_account(&files).remove();
        files.generation().bump().map(|_| ())
    };
    blocking::run(forget).await
}

/// What is no file of its own in the place of a lock is removed; the next process makes a new one. A file may be held by
/// another process, whatever kept this one from looking, so it is made this user's alone and looked at again.
fn mend_lock(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return fs::remove_file(path);
    }
    files::close_to_others(path)?;
    ProcessLock::is_held(path).map(drop).map_err(io::Error::other)
}

async fn on_file(path: &Path, act: impl FnOnce(&Path) -> io::Result<()> + Send + 'static) -> Result<(), Problem> {
    let file = path.to_owned();
    let done = blocking::run(move || act(&file)).await;
    done.map_err(|error| Problem::new(ProblemId::StateFileFailed).with("path", path.display()).with("detail", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::grants::grant;

    #[test]
    fn what_a_newer_version_has_written_is_no_damage() {
        let record = |text: &str| Secret::new(text.as_bytes().to_vec());
        assert!(!is_damaged(&grant::example().to_record()));
        for (text, expected) in [
            ("", true),
            ("nonsense", true),
            ("{}", true),
            (r#"{"version":1}"#, true),
            (r#"{"version":"x"}"#, true),
            (r#"{"version":2}"#, false),
            (r#"{"version":99,"access":1}"#, false),
        ] {
            assert_eq!(is_damaged(&record(text)), expected, "{text}");
        }
    }

    #[test]
    fn each_fault_says_what_is_done_and_what_is_lost_and_shows_nothing_that_hides() {
        let path = || PathBuf::from("/s/p\u{1b}[2J.json");
        let client = DeadClient { issuer: "https://as".to_owned(), id: "id\u{202e}".to_owned() };
        for fault in [
            Fault::DeadRegistration(client),
            Fault::Exposed(path()),
            Fault::DamagedSignIn,
            Fault::DamagedTokenFile(path()),
            Fault::DamagedNote(path()),
            Fault::UnusableLock(path()),
            Fault::StaleSignIn,
            Fault::OutdatedMemory,
        ] {
            let Words { what, action, loss } = fault.words();
            assert!(!what.is_empty() && !action.is_empty() && !loss.is_empty(), "{fault:?}");
            assert!(!what.contains(['\u{1b}', '\u{202e}']), "{what}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_lock_is_removed_and_a_lock_that_is_held_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (lock, elsewhere) = (dir.path().join("p.lock"), dir.path().join("elsewhere"));
        fs::write(&elsewhere, "x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
        assert!(ProcessLock::is_held(&lock).is_err(), "no link is followed");
        mend_lock(&lock).unwrap();
        assert!(lock.symlink_metadata().is_err() && elsewhere.exists());
        let held = ProcessLock::try_acquire(&lock).unwrap();
        mend_lock(&lock).unwrap();
        assert!(held.is_some() && ProcessLock::is_held(&lock).unwrap());
    }
}

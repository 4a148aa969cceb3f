//! Writes a change, and remembers how to take it back.
//!
//! The record lies in the state folder, with the text that was there before: beside the file it could end in a repository,
//! and it may hold secrets of others. A file has one record. Changes that follow each other make one; when somebody else has
//! changed the file in between, a new one begins.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::client::Target;
use super::edit::{self, Place};
use super::plan::{self, Change, Deed};
use crate::config::Paths;
use crate::files::{foreign, private};
use crate::hash::fnv1a;
use crate::problem::{Problem, ProblemId};

/// The folder of the records, in the folder for state.
const FOLDER: &str = "clients";

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Record {
    file: PathBuf,
    /// Whether there was a file.
    existed: bool,
    /// The hash of the text that was written.
    after: u64,
    /// What was done to which entries.
    entries: Vec<Touched>,
}

/// An entry that was put in, changed or taken out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Touched {
    list: Vec<String>,
    name: String,
}

/// Where a record lies, and what is beside it.
struct Places {
    lock: PathBuf,
    record: PathBuf,
    before: PathBuf,
}

/// Writes the change, if the file is still what it was planned for.
///
/// # Errors It is not, or cannot be written.
pub fn apply(change: &Change, paths: &Paths) -> Result<(), Problem> {
    let file = &change.target.file;
    // Of two that change a file at once, the second finds it changed, and says so.
    let places = places(file, paths)?;
    let lock = private::open_lock(&places.lock).and_then(|lock| lock.lock().map(|()| lock));
    let _held = lock.map_err(|error| {
        Problem::new(ProblemId::StateFileFailed).with("path", places.lock.display()).with("detail", error)
    })?;
    require_as_planned(change)?;
    let failed = |error: std::io::Error| unwritten(file, &error);
    foreign::require_writable(file).map_err(failed)?;
    if change.deed == Deed::TakenBack {
        write(change).map_err(failed)?;
        forget(file, paths);
        return Ok(());
    }
    // Before the change: one that cannot be taken back is not made.
    remember(change, paths)?;
    write(change).map_err(failed)
}

/// Remembers a change that somebody else made, such as a client's own command.
///
/// # Errors The record cannot be written.
pub fn remember(change: &Change, paths: &Paths) -> Result<(), Problem> {
    let file = &change.target.file;
    let places = places(file, paths)?;
    let failed =
        |error| Problem::new(ProblemId::StateFileFailed).with("path", places.record.display()).with("detail", error);
    let after = fnv1a(change.after.as_deref().unwrap_or_default().as_bytes());
    let touched = change.names.iter().map(|name| Touched { list: change.target.list.clone(), name: name.clone() });
    let earlier = record(file, paths).filter(|earlier| Some(earlier.after) == change.before.as_ref().map(hash));
    let record = match earlier {
        Some(earlier) => {
            let fresh: Vec<Touched> = touched.filter(|one| !earlier.entries.contains(one)).collect();
            Record { after, entries: [earlier.entries, fresh].concat(), ..earlier }
        }
        None => {
            private::replace(&places.before, change.before.as_deref().unwrap_or_default().as_bytes())
                .map_err(failed)?;
            Record { file: file.clone(), existed: change.before.is_some(), after, entries: touched.collect() }
        }
    };
    let text = serde_json::to_vec(&record).unwrap_or_default();
    private::replace(&places.record, &text).map_err(failed)
}

/// What takes back what was done to the file of a target: the text that was there, if nobody has changed it since, else our
/// entries alone. `None` if nothing was done.
///
/// # Errors The file cannot be understood.
pub fn take_back(target: &Target, paths: &Paths) -> Result<Option<Change>, Problem> {
    let Some(record) = record(&target.file, paths) else { return Ok(None) };
    let before = plan::text_of(target)?;
    let earlier = super::look::text_of(&places(&target.file, paths)?.before).ok().flatten();
    let names: Vec<String> = record.entries.iter().map(|touched| touched.name.clone()).collect();
    // Without the text that was there, our entries alone are taken back.
    let is_whole = earlier.is_some() || !record.existed;
    let after = if before.as_ref().map(hash) == Some(record.after) && is_whole {
        earlier.filter(|_| record.existed)
    } else if let Some(text) = &before {
        Some(entries_back(target, text, earlier.as_deref().unwrap_or_default(), &record.entries)?)
    } else {
        None
    };
    Ok(Some(Change { target: target.clone(), before, after, deed: Deed::TakenBack, names, beside: Vec::new() }))
}

/// The text with each of these entries as it was in the earlier text, or without it.
fn entries_back(target: &Target, text: &str, earlier: &str, entries: &[Touched]) -> Result<String, Problem> {
    let format = target.client.format;
    let broken = |fault| plan::broken(&target.file, &fault);
    let old = edit::read(format, earlier).map_err(broken)?;
    let mut text = text.to_owned();
    for Touched { list, name } in entries {
        let place = Place { list, name };
        let was = list.iter().try_fold(&old, |value, key| value.get(key)).and_then(|list| list.get(name));
        let was = was.and_then(serde_json::Value::as_object);
        let changed = match was {
            Some(members) => {
                let members: Vec<(&str, serde_json::Value)> =
                    members.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
                edit::put(format, &text, place, &members)
            }
            None => edit::remove(format, &text, place),
        };
        text = changed.map_err(broken)?;
    }
    Ok(text)
}

fn write(change: &Change) -> std::io::Result<()> {
    match &change.after {
        Some(text) => foreign::replace(&change.target.file, text.as_bytes()),
        None => foreign::remove(&change.target.file).map(|_| ()),
    }
}

/// That nobody has changed the file since it was read.
///
/// # Errors Somebody has.
pub fn require_as_planned(change: &Change) -> Result<(), Problem> {
    if plan::text_of(&change.target)? == change.before {
        return Ok(());
    }
    Err(Problem::new(ProblemId::ClientFileMoved).with("file", change.target.file.display()))
}

fn unwritten(file: &Path, error: &std::io::Error) -> Problem {
    Problem::new(ProblemId::ClientFileUnwritable).with("file", file.display()).with("detail", error)
}

fn hash(text: &String) -> u64 {
    fnv1a(text.as_bytes())
}

fn places(file: &Path, paths: &Paths) -> Result<Places, Problem> {
    let folder = paths.prepare_state_dir()?.join(FOLDER);
    let problem = |error| Problem::new(ProblemId::StateDirUnusable).with("dir", folder.display()).with("detail", error);
    private::own_dir(&folder).map_err(problem)?;
    let name = format!("{:016x}", fnv1a(file.to_string_lossy().as_bytes()));
    let place = |end: &str| folder.join(format!("{name}.{end}"));
    Ok(Places { lock: place("lock"), record: place("json"), before: place("before") })
}

fn record(file: &Path, paths: &Paths) -> Option<Record> {
    let bytes = private::read(&places(file, paths).ok()?.record).ok()??;
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    // Two paths could have one hash.
    (record.file == file).then_some(record)
}

fn forget(file: &Path, paths: &Paths) {
    if let Ok(places) = places(file, paths) {
        let _ = private::remove(&places.record);
        let _ = private::remove(&places.before);
    }
}

/// Whether anything is kept to take changes back.
pub fn keeps_any(paths: &Paths) -> bool {
    paths.state_dir.join(FOLDER).exists()
}

/// Removes all that is kept to take changes back; the files of clients stay as they are.
///
/// # Errors The system's.
pub fn forget_all(paths: &Paths) -> std::io::Result<()> {
    match std::fs::remove_dir_all(paths.state_dir.join(FOLDER)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;

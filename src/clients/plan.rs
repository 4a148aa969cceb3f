//! What a change does to a client's file: from the text that is there to the text that is to be there, without touching
//! anything.

use std::path::Path;

use serde_json::{Map, Value};
use url::Url;

use super::client::{Client, Scope, Target};
use super::edit::{self, Fault, Place};
use super::entries::{self, Entry};
use super::shape::Launch;
use crate::problem::{Problem, ProblemId};

/// What is to stand in the file.
pub struct Wanted<'a> {
    /// The name of the entry.
    pub name: &'a str,
    /// Whether somebody chose it, so that no entry of another name is meant.
    pub is_named: bool,
    /// What it starts.
    pub launch: &'a Launch,
    /// Whether an entry that is there keeps its arguments, because no others were given.
    pub keeps_arguments: bool,
    /// Whether what does the same in another way makes room.
    pub replaces: bool,
    /// The server.
    pub url: &'a Url,
    /// Whether an entry of this program is for the same server and profile.
    pub is_same: &'a dyn Fn(&Entry) -> bool,
}

/// What is done to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It is new.
    Added,
    /// It was there, and starts this program otherwise now.
    Updated,
    /// Something else had its place.
    Replaced,
    /// It goes.
    Removed,
    /// What was changed here is taken back.
    TakenBack,
    /// It is there already, or was not there.
    Unchanged,
}

/// A change of one file.
#[derive(Debug, Clone)]
pub struct Change {
    /// Where.
    pub target: Target,
    /// The text that is there; `None` without a file.
    pub before: Option<String>,
    /// The text that is to be there; `None`: no file.
    pub after: Option<String>,
    /// What is done.
    pub deed: Deed,
    /// The entries that it is done to.
    pub names: Vec<String>,
    /// Entries that reach the same server through `mcp-remote`, and stay.
    pub beside: Vec<String>,
}

impl Change {
    /// Whether there is anything to write.
    pub fn is_one(&self) -> bool {
        self.before != self.after
    }
}

/// What puts the entry into the file that has this text.
///
/// # Errors The file cannot be understood, or something else has the name.
pub fn install(target: &Target, before: Option<String>, wanted: &Wanted<'_>) -> Result<Change, Problem> {
    let broken = |fault: Fault| broken(&target.file, &fault);
    let (client, mut text) = (target.client, before.clone().unwrap_or_default());
    let (target, servers) = list(target, &text).map_err(broken)?;
    let is_remote = |server: &Value| entries::address_of_mcp_remote(server).is_some_and(|url| url == *wanted.url);
    let mut beside: Vec<String> =
        servers.iter().filter(|(_, server)| is_remote(server)).map(|(name, _)| name.clone()).collect();
    let named = servers.get(wanted.name).map(|server| (wanted.name, server));
    let same = || {
        let mut ours = servers.iter().filter_map(|(name, server)| Some((name, server, entries::entry(name, server)?)));
        ours.find(|(.., entry)| (wanted.is_same)(entry)).map(|(name, server, _)| (name.as_str(), server))
    };
    let found = named.or_else(|| same().filter(|_| !wanted.is_named));
    let (mut deed, name) = match found.map(|(name, server)| (name, server, entries::entry(name, server))) {
        Some((name, server, entry)) if starts(&target, server, wanted, entry.as_ref()) => {
            (Deed::Unchanged, name.to_owned())
        }
        // Of this program, and for another server: what it has is not overwritten in passing.
        Some((_, server, Some(entry))) if wanted.keeps_arguments && !wanted.replaces && !(wanted.is_same)(&entry) => {
            return Err(taken(&target, wanted, server));
        }
        Some((name, server, Some(entry))) if !entry.is_wrapped => {
            let launch = Launch {
                command: wanted.launch.command.clone(),
                // Where none were given, those of the launch are what a runner needs to find the program.
                arguments: match wanted.keeps_arguments {
                    true => [wanted.launch.arguments.clone(), entry.arguments].concat(),
                    false => wanted.launch.arguments.clone(),
                },
            };
            let place = Place { list: &target.list, name };
            let members = started_by(client, name, server, &launch);
            text = edit::update(client.format, &text, place, &members).map_err(broken)?;
            (Deed::Updated, name.to_owned())
        }
        Some((_, server, _)) if !wanted.replaces => {
            return Err(taken(&target, wanted, server));
        }
        other => {
            let deed = if other.is_some() { Deed::Replaced } else { Deed::Added };
            let place = Place { list: &target.list, name: wanted.name };
            let members = client.shape.members(wanted.name, wanted.launch);
            text = edit::put(client.format, &text, place, &members).map_err(broken)?;
            (deed, wanted.name.to_owned())
        }
    };
    beside.retain(|other| *other != name);
    if wanted.replaces {
        for other in beside.drain(..) {
            text = edit::remove(client.format, &text, Place { list: &target.list, name: &other }).map_err(broken)?;
            deed = Deed::Replaced;
        }
    }
    let after = if deed == Deed::Unchanged { before.clone() } else { Some(text) };
    Ok(Change { target, before, after, deed, names: vec![name], beside })
}

/// What takes the entries of this program out, all of them or the one with this name.
///
/// # Errors The file cannot be understood.
pub fn uninstall(target: &Target, before: Option<String>, name: Option<&str>) -> Result<Change, Problem> {
    let broken = |fault: Fault| broken(&target.file, &fault);
    let mut text = before.clone().unwrap_or_default();
    let (target, servers) = list(target, &text).map_err(broken)?;
    let ours = servers.iter().filter(|(key, server)| entries::entry(key, server).is_some()).map(|(key, _)| key.clone());
    let names: Vec<String> = ours.filter(|key| name.is_none_or(|name| name == key)).collect();
    for name in &names {
        text = edit::remove(target.client.format, &text, Place { list: &target.list, name }).map_err(broken)?;
    }
    let deed = if names.is_empty() { Deed::Unchanged } else { Deed::Removed };
    let after = before.is_some().then_some(text);
    Ok(Change { target, before, after, deed, names, beside: Vec::new() })
}

/// The names of the entries of this program in a list.
///
/// # Errors The file cannot be understood.
pub fn ours(target: &Target, text: &str) -> Result<Vec<String>, Fault> {
    let (_, servers) = list(target, text)?;
    Ok(servers
        .iter()
        .filter(|(key, server)| entries::entry(key, server).is_some())
        .map(|(key, _)| key.clone())
        .collect())
}

/// Whether the file starts exactly this under this name.
pub fn stands(target: &Target, text: &str, name: &str, launch: &Launch) -> bool {
    let found = list(target, text).ok().and_then(|(_, servers)| servers.get(name).cloned());
    found.is_some_and(|server| entries::words(&server) == words(launch))
}

/// That a file cannot be understood.
pub fn broken(file: &Path, fault: &Fault) -> Problem {
    let problem = Problem::new(ProblemId::ClientFileBroken).with("file", file.display()).with("detail", &fault.detail);
    match fault.place {
        Some((line, column)) => problem.with("line", line).with("column", column),
        None => problem,
    }
}

/// The list, and the target that leads to it.
fn list(target: &Target, text: &str) -> Result<(Target, Map<String, Value>), Fault> {
    let file = edit::read(target.client.format, text)?;
    let mut target = target.clone();
    let inner = |list: &[String]| list.iter().try_fold(&file, |value, key| value.get(key));
    // Later versions of opencode have the list one level deeper; both read the older form.
    let deeper: Vec<String> = target.list.iter().cloned().chain(["servers".to_owned()]).collect();
    let is_list = |value: &Value| value.is_object() && value["type"].is_null();
    if target.client.id == "opencode" && inner(&deeper).is_some_and(is_list) {
        target.list = deeper;
    }
    let servers = inner(&target.list).and_then(Value::as_object).cloned().unwrap_or_default();
    Ok((target, servers))
}

/// Whether the entry starts what is wanted already.
fn starts(target: &Target, server: &Value, wanted: &Wanted<'_>, entry: Option<&Entry>) -> bool {
    let is_it = entries::words(server) == words(wanted.launch);
    // A project's file is for all who work in it, and a path is of one machine.
    let is_shared = |command: &str| target.scope == Scope::Project && command == entries::PROGRAM;
    let keeps = entry.is_some_and(|entry| {
        let is_this = entry.command == wanted.launch.command || is_shared(&entry.command);
        wanted.keeps_arguments && is_this && (wanted.is_same)(entry)
    });
    // Somebody starts it through something else, for a reason of theirs.
    let is_wrapped = entry.is_some_and(|entry| entry.is_wrapped && !wanted.replaces && (wanted.is_same)(entry));
    is_it || keeps || is_wrapped
}

fn words(launch: &Launch) -> Vec<String> {
    std::iter::once(&launch.command).chain(&launch.arguments).cloned().collect()
}

/// The members that say what is started. One that is there and has nothing to say any more is emptied.
fn started_by(client: &Client, name: &str, server: &Value, launch: &Launch) -> Vec<(&'static str, Value)> {
    let keys = client.shape.started_by();
    let mut members = client.shape.members(name, launch);
    members.retain(|(key, _)| keys.contains(key));
    for key in keys {
        if members.iter().all(|(member, _)| member != key) && server.get(*key).is_some() {
            members.push((key, Value::Array(Vec::new())));
        }
    }
    members
}

fn taken(target: &Target, wanted: &Wanted<'_>, server: &Value) -> Problem {
    Problem::new(ProblemId::ClientNameTaken)
        .with("name", wanted.name)
        .with("file", target.file.display())
        .with("detail", what(server))
}

/// What an entry is, in words that quote none of its values but the program.
fn what(server: &Value) -> String {
    match (entries::address_of_mcp_remote(server), entries::words(server).first()) {
        (Some(_), _) => "it starts mcp-remote".to_owned(),
        (None, Some(program)) => {
            let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
            let is_this = name.trim_end_matches(".exe") == entries::PROGRAM;
            let rest = if is_this { " for another server, profile or client" } else { "" };
            format!("it starts {}{rest}", crate::problem::printable(name))
        }
        (None, None) => "it is no local program".to_owned(),
    }
}

/// The text of the file of a target.
///
/// # Errors It cannot be read.
pub fn text_of(target: &Target) -> Result<Option<String>, Problem> {
    super::look::text_of(&target.file).map_err(|fault| broken(&target.file, &fault))
}

#[cfg(test)]
mod tests;

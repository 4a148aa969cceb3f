//! How changes of clients' files look.

use std::path::Path;

use crate::cli::style::{Style, WIDTH, paragraph};
use crate::clients::diff::{self, Fate};
use crate::clients::plan::{Change, Deed};
use crate::clients::{edit, entries};
use crate::problem::{Problem, printable, wrap};

/// A path with `~` for the home directory.
pub fn short(path: &Path, home: &Path) -> String {
    let shown = match path.strip_prefix(home) {
        Ok(rest) => Path::new("~").join(rest).display().to_string(),
        Err(_) => path.display().to_string(),
    };
    printable(&shown)
}

/// What will be done to a file, and the difference.
pub fn change(change: &Change, home: &Path, style: Style) -> String {
    let file = short(&change.target.file, home) + &leads_to(&change.target.file, home);
    let mut out = format!("{}\n", style.strong(&format!("{}: {}", change.target.client.title, what(change))));
    out.push_str(&format!("{file}\n\n"));
    let (before, after) = (change.before.as_deref().unwrap_or_default(), change.after.as_deref().unwrap_or_default());
    for line in diff::lines(before, after, &own_words(change)) {
        let text = line.text.trim_end();
        let shown = match line.fate {
            Fate::New => style.good(&format!("+ {text}")),
            Fate::Gone => style.bad(&format!("- {text}")),
            Fate::Kept => style.quiet(&cut(&format!("  {text}"))),
            Fate::Cut => style.quiet("  ..."),
        };
        out.push_str(&format!("  {}\n", shown.trim_end()));
    }
    if change.after.is_none() {
        out.push_str(&paragraph("The file goes: there was none before."));
    }
    for name in &change.beside {
        let text = format!(
            "The entry {} reaches the same server through mcp-remote, and stays: the client will have every tool twice. \
             --replace takes it out.",
            printable(name)
        );
        out.push_str(&format!("\n{}", paragraph(&text)));
    }
    out
}

/// The words of our entries, before and after: of all else, a diff shows no value.
fn own_words(change: &Change) -> Vec<String> {
    let format = change.target.client.format;
    let texts = [&change.before, &change.after].into_iter().flatten();
    let mut words = Vec::new();
    for file in texts.filter_map(|text| edit::read(format, text).ok()) {
        let Some(list) = change.target.list.iter().try_fold(&file, |value, key| value.get(key)) else { continue };
        for (name, server) in change.names.iter().filter_map(|name| Some((name, list.get(name)?))) {
            if entries::entry(name, server).is_none() {
                continue;
            }
            words.push(name.clone());
            words.extend(entries::words(server));
            let members = server.as_object().into_iter().flatten().filter(|(key, _)| !key.starts_with("env"));
            words.extend(members.filter_map(|(_, value)| value.as_str().map(str::to_owned)));
        }
    }
    words
}

/// Where a link leads: what is written is there.
fn leads_to(file: &Path, home: &Path) -> String {
    let is_link = std::fs::symlink_metadata(file).is_ok_and(|found| found.file_type().is_symlink());
    let target = std::fs::canonicalize(file).ok().filter(|_| is_link);
    target.map_or_else(String::new, |target| format!("\n(a link to {})", short(&target, home)))
}

fn cut(line: &str) -> String {
    let room = WIDTH - 2;
    if line.chars().count() <= room { line.to_owned() } else { line.chars().take(room - 1).chain(['…']).collect() }
}

fn what(change: &Change) -> String {
    let names: Vec<String> = change.names.iter().map(|name| printable(name)).collect();
    let names = names.join(", ");
    match change.deed {
        Deed::Added => format!("{names} is added"),
        Deed::Updated => format!("{names} is updated"),
        Deed::Replaced => format!("{names} takes the place of what is there"),
        Deed::Removed => format!("{names} is taken out"),
        Deed::TakenBack => "what was done before is taken back".to_owned(),
        Deed::Unchanged => "nothing changes".to_owned(),
    }
}

/// That a client has it already, or has nothing.
pub fn unchanged(change: &Change, home: &Path) -> String {
    let (title, file) = (change.target.client.title, short(&change.target.file, home));
    match change.names.first() {
        Some(name) => paragraph(&format!("{title} starts it already, as {}: {file}", printable(name))),
        None => paragraph(&format!("{title} does not start planhat-mcp: {file}")),
    }
}

/// What to do next, in the client's words.
pub fn next(words: &str, style: Style) -> String {
    format!("{} {}\n", style.strong("Next:"), wrap(words, 6, WIDTH))
}

/// A problem with one client of several, which does not stop the others.
pub fn failed(title: &str, problem: &Problem, style: Style) -> String {
    let text = format!("{} {} ({})", problem.what(), problem.fix(), problem.id.entry().name);
    format!("{}\n{}", style.bad(&format!("{title}: left as it is")), paragraph(&text))
}

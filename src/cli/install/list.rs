//! `planhat-mcp install` without a client: what is on this machine, and what to type.

use std::process::ExitCode;

use super::show::short;
use crate::cli::args::InstallArgs;
use crate::cli::style::{Style, paragraph};
use crate::cli::terminal;
use crate::clients::table::CLIENTS;
use crate::clients::{Client, Folders, look, plan};
use crate::problem::{Problem, ProblemId, printable};

/// Lists the clients; with options that change something, says that a client is missing.
pub fn run(how: &InstallArgs) -> Result<ExitCode, Problem> {
    let folders = Folders::of_this_user().ok_or(ProblemId::NoHome)?;
    terminal::say(&text(&folders, terminal::style()));
    let wants_change = how.yes || how.dry_run || how.link || how.replace;
    Ok(if wants_change { ProblemId::NoClientHere.entry().exit.into() } else { ExitCode::SUCCESS })
}

/// The clients that are here, with what they have, and the names of the others.
pub fn text(folders: &Folders, style: Style) -> String {
    let (here, others): (Vec<&Client>, Vec<&Client>) = CLIENTS.iter().partition(|client| client.is_here(folders));
    let mut out = String::new();
    if here.is_empty() {
        out.push_str(&paragraph("None of the clients that planhat-mcp knows was found on this computer."));
    } else {
        let rows: Vec<(&str, String)> = here.iter().map(|client| (client.id, state(client, folders))).collect();
        out.push_str(&format!("{}\n\n{}", style.strong("MCP clients on this computer"), style.table(&rows)));
    }
    let names: Vec<&str> = others.iter().map(|client| client.id).collect();
    if !names.is_empty() {
        out.push_str(&format!("\n{}", paragraph(&format!("Known, and not found here: {}.", names.join(", ")))));
    }
    let example = here.first().map_or("claude-desktop", |client| client.id);
    out.push_str(&format!("\nTo set one up (it shows the change, and asks):\n  planhat-mcp install {example}\n"));
    out
}

fn state(client: &'static Client, folders: &Folders) -> String {
    let targets = client.scopes.iter().flat_map(|scope| client.targets(folders, *scope));
    let mut parts = Vec::new();
    let mut seen = Vec::new();
    for target in targets {
        if seen.contains(&(target.file.clone(), target.list.clone())) {
            continue;
        }
        seen.push((target.file.clone(), target.list.clone()));
        let file = short(&target.file, &folders.home);
        let found =
            look::text_of(&target.file).and_then(|text| plan::ours(&target, text.as_deref().unwrap_or_default()));
        match found {
            Ok(names) if names.is_empty() => {}
            Ok(names) => {
                let names: Vec<String> = names.iter().map(|name| printable(name)).collect();
                parts.push(format!("set up as {} in {file}", names.join(", ")));
            }
            Err(fault) => parts.push(format!("{file} cannot be understood ({fault})")),
        }
    }
    let state = if parts.is_empty() { "not set up".to_owned() } else { parts.join("; ") };
    format!("{}: {state}", client.title)
}

//! `planhat-mcp reset`: removes everything that this machine stores for a profile, after listing it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use crate::auth::reset;
use crate::auth::reset::Removed;
use crate::clients::write;
use crate::config::Settings;
use crate::problem::wrap;
use crate::problem::{Problem, ProblemId};
use crate::store::Store;

use super::args::ResetArgs;
use super::context::{authorizer, block_on};
use super::style::{Style, WIDTH};
use super::{grant, logout, terminal};

/// Says what will be removed, asks, and removes it.
pub fn run(settings: Arc<Settings>, how: &ResetArgs) -> Result<ExitCode, Problem> {
    block_on(async {
        let auth = authorizer(&settings, Store::ATTENDED_TIMEOUT);
        let style = terminal::style();
        terminal::say(&plan(&settings, &grant::kept(auth.backend()), &reset::state_files(&auth).await, style));
        if !how.yes && !terminal::confirm("Remove all of this? [y/N] ") {
            let command = settings.command("reset");
            return Err(Problem::new(ProblemId::ConfirmationNeeded).with("command", command));
        }
        let removed = reset::reset(&auth).await?;
        write::forget_all(&settings.paths).map_err(|error| {
            let problem = Problem::new(ProblemId::StateFileFailed).with("path", settings.paths.state_dir.display());
            problem.with("detail", error)
        })?;
        terminal::say(&done(&settings, &removed, style));
        Ok(ExitCode::SUCCESS)
    })?
}

/// What will be removed.
pub fn plan(settings: &Settings, kept: &str, files: &[PathBuf], style: Style) -> String {
    let head =
        format!("This removes everything stored for {} (profile {}):", settings.service_name(), settings.profile);
    let mut out = format!("{}\n\n", style.strong(&head));
    let what = format!("the sign-in, a stored client secret, and a registration, {kept}");
    out.push_str(&format!("  {}\n", wrap(&what, 2, WIDTH)));
    match files {
        [] => {}
        files => {
            let folder = settings.paths.state_dir.display();
            out.push_str(&format!("  {}\n", wrap(&format!("{} in {folder}:", count(files.len())), 2, WIDTH)));
            for file in files {
                out.push_str(&format!("    {}\n", style.quiet(&name(file))));
            }
        }
    }
    if write::keeps_any(&settings.paths) {
        let text =
            "the earlier texts of your MCP clients' files, for `planhat-mcp install --undo`, whatever the profile";
        out.push_str(&format!("  {}\n", wrap(text, 2, WIDTH)));
    }
    let rest = "Your configuration file and your MCP clients' settings are kept.";
    out.push_str(&format!("\n{rest}\n"));
    out
}

/// What was removed.
pub fn done(settings: &Settings, removed: &Removed, style: Style) -> String {
    let files = count(removed.files.len());
    let text = match removed.revoked {
        Some(_) => format!("Removed: the sign-in, and {files}."),
        None => format!("Removed: {files}. There was no sign-in."),
    };
    let mut out = format!("\n{}\n", style.good(&text));
    if let Some(revoked) = &removed.revoked {
        out.push_str(&logout::at_the_server(settings, revoked));
    }
    if !removed.held.is_empty() {
        let names: Vec<String> = removed.held.iter().map(|path| name(path)).collect();
        let text = format!("Not removed, because another process is still using it: {}.", names.join(", "));
        out.push_str(&format!("{}\n", wrap(&text, 0, WIDTH)));
    }
    out.push_str(&format!("To sign in again: {}\n", settings.command("login")));
    out
}

fn count(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

//! The paths of clients that take more than a name: by system, by variable, by what is there.

use std::path::{Path, PathBuf};

use super::client::Scope;
use super::folders::{Folders, System};

/// Nowhere.
pub fn none(_: &Folders) -> Vec<PathBuf> {
    Vec::new()
}

/// Those of Claude Desktop.
pub fn desktop_files(folders: &Folders) -> Vec<PathBuf> {
    let file = Path::new("Claude").join("claude_desktop_config.json");
    let (classic, packaged) = (folders.settings.join("Claude"), folders.packaged("Claude_"));
    // Windows gives a packaged program its own AppData, beside which the classic one may have been there before.
    let mut files: Vec<PathBuf> = packaged.into_iter().map(|roaming| roaming.join(&file)).collect();
    if files.is_empty() || classic.exists() {
        files.insert(0, folders.settings.join(&file));
    }
    files
}

/// Claude Code's.
pub fn claude_code_file(folders: &Folders) -> PathBuf {
    folders.claude.as_ref().unwrap_or(&folders.home).join(".claude.json")
}

/// Codex's folder.
pub fn codex_home(folders: &Folders) -> PathBuf {
    folders.codex.clone().unwrap_or_else(|| folders.home.join(".codex"))
}

/// Copilot CLI's folder.
pub fn copilot_home(folders: &Folders) -> PathBuf {
    folders.copilot.clone().unwrap_or_else(|| folders.home.join(".copilot"))
}

/// Those of VS Code, or of its Insiders edition, by the name of its folder.
pub fn vscode_files(folders: &Folders, scope: Scope, name: &str) -> Vec<PathBuf> {
    match scope {
        Scope::Project => vec![folders.project.join(".vscode").join("mcp.json")],
        _ => vec![folders.settings.join(name).join("User").join("mcp.json")],
    }
}

/// Zed's folder.
pub fn zed_home(folders: &Folders) -> PathBuf {
    match folders.system {
        System::Windows => folders.settings.join("Zed"),
        System::MacOs => folders.home.join(".config").join("zed"),
        System::Linux => folders.dot_config.join("zed"),
    }
}

/// Goose's folder.
pub fn goose_home(folders: &Folders) -> PathBuf {
    match folders.system {
        System::Windows => folders.settings.join("Block").join("goose").join("config"),
        _ => folders.dot_config.join("goose"),
    }
}

/// opencode reads both names; the one that is there is the one that its user writes.
pub fn opencode_file(folder: &Path) -> PathBuf {
    let with_comments = folder.join("opencode.jsonc");
    if with_comments.exists() { with_comments } else { folder.join("opencode.json") }
}

/// Where LM Studio keeps its files: a pointer says so, and an older version has its own place.
pub fn lm_studio_home(folders: &Folders) -> PathBuf {
    let pointer = crate::files::read_given_text(&folders.home.join(".lmstudio-home-pointer")).ok();
    let pointed = pointer.map(|text| PathBuf::from(text.trim())).filter(|path| path.is_absolute() && path.is_dir());
    let (usual, older) = (folders.home.join(".lmstudio"), folders.home.join(".cache").join("lm-studio"));
    pointed.unwrap_or_else(|| if !usual.exists() && older.exists() { older } else { usual })
}

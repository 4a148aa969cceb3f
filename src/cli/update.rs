//! `planhat-mcp update`: how this copy was installed, and the one line that brings a newer one. It replaces nothing itself: a
//! package manager would not know of that, and a program that fetches and starts another is a door that nobody needs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::terminal;
use crate::problem::{Problem, ProblemId};

/// What brought this copy here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installer {
    Homebrew,
    Npx,
    Npm,
    NpmOfProject,
    Uvx,
    UvTool,
    Pipx,
    Pip,
    Cargo,
    Nix,
    Scoop,
    Winget,
    Extension,
    Deb,
    Rpm,
    Pacman,
    Source,
    Archive,
}

/// Says how this copy was installed, and how it is replaced by a newer one.
///
/// # Errors `internal-error` when the system does not say where this program lies.
pub fn run() -> Result<ExitCode, Problem> {
    let path = std::env::current_exe()
        .and_then(|path| path.canonicalize().or(Ok(path)))
        .map_err(|error| Problem::new(ProblemId::InternalError).with("detail", error))?;
    let installer = Installer::of(&path, &is_there);
    terminal::say(&format!("planhat-mcp {}, {}\n", env!("CARGO_PKG_VERSION"), installer.told(&path)));
    terminal::say(&format!("\nTo update it:\n\n  {}\n", installer.line(&path)));
    terminal::say("\nThen restart your MCP clients. The sign-in and the settings stay as they are.\n");
    Ok(ExitCode::SUCCESS)
}

fn is_there(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.contains('*')) else {
        return path.exists();
    };
    // One star in the last part, for names with a version.
    let (start, end) = name.split_once('*').unwrap_or((name, ""));
    let folder = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    folder.into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    })
}

impl Installer {
    /// By where the program lies, and by what package managers keep about it; `there` says whether a file exists.
    fn of(path: &Path, there: &dyn Fn(&Path) -> bool) -> Self {
        let text = path.to_string_lossy().replace('\\', "/");
        let lower = text.to_ascii_lowercase();
        let has = |part: &str| lower.contains(part);
        if has("/cellar/") {
            Self::Homebrew
        } else if has("/_npx/") {
            Self::Npx
        } else if has("/lib/node_modules/") || has("/npm/node_modules/") || has("/npm-global/") {
            Self::Npm
        } else if has("/node_modules/") {
            Self::NpmOfProject
        } else if has("/uv/tools/") {
            Self::UvTool
        } else if has("/uv/") && (has("/archive-v") || has("/cache/") || has("/environments-v")) {
            Self::Uvx
        } else if has("/pipx/venvs/") {
            Self::Pipx
        } else if has("/nix/store/") {
            Self::Nix
        } else if has("/scoop/apps/") {
            Self::Scoop
        } else if has("/winget/packages/") {
            Self::Winget
        } else if has("claude extensions/") || has("/server/linux-") || has("/server/darwin-") {
            Self::Extension
        } else if has("/.cargo/bin/") {
            Self::Cargo
        } else if has("/target/release/") || has("/target/debug/") {
            Self::Source
        } else if is_wheel(path, there) {
            Self::Pip
        } else if text.starts_with("/usr/bin/") {
            Self::of_system(there)
        } else {
            Self::Archive
        }
    }

    fn of_system(there: &dyn Fn(&Path) -> bool) -> Self {
        if there(Path::new("/var/lib/dpkg/info/planhat-mcp.list")) {
            Self::Deb
        } else if there(Path::new("/var/lib/pacman/local/planhat-mcp*")) {
            Self::Pacman
        } else if there(Path::new("/var/lib/rpm")) || there(Path::new("/usr/lib/sysimage/rpm")) {
            Self::Rpm
        } else {
            Self::Archive
        }
    }

    fn told(self, path: &Path) -> String {
        let by = match self {
            Self::Homebrew => "installed by Homebrew",
            Self::Npx => "started by npx, which keeps it for a while",
            Self::Npm => "installed by npm",
            Self::NpmOfProject => "installed by npm in a project",
            Self::Uvx => "started by uvx, which keeps it for a while",
            Self::UvTool => "installed by uv",
            Self::Pipx => "installed by pipx",
            Self::Pip => "installed by pip",
            Self::Cargo => "installed by cargo",
            Self::Nix => "installed by Nix",
            Self::Scoop => "installed by Scoop",
            Self::Winget => "installed by winget",
            Self::Extension => "part of a client's extension",
            Self::Deb => "installed as a .deb",
            Self::Rpm => "installed as an .rpm",
            Self::Pacman => "installed by pacman",
            Self::Source => "built here",
            Self::Archive => "taken from an archive, as far as can be seen",
        };
        format!("{by}:\n  {}", path.display())
    }

    fn line(self, path: &Path) -> String {
        let releases = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases");
        match self {
            Self::Homebrew => "brew upgrade planhat-mcp".to_owned(),
            Self::Npx => "npx -y planhat-mcp@latest --version".to_owned(),
            Self::Npm => "npm install -g planhat-mcp@latest".to_owned(),
            Self::NpmOfProject => "npm install planhat-mcp@latest".to_owned(),
            Self::Uvx => "uvx planhat-mcp@latest --version".to_owned(),
            Self::UvTool => "uv tool upgrade planhat-mcp".to_owned(),
            Self::Pipx => "pipx upgrade planhat-mcp".to_owned(),
            Self::Pip => format!("{} -m pip install --upgrade planhat-mcp", python_of(path)),
            Self::Cargo => "cargo install planhat-mcp".to_owned(),
            Self::Nix => "nix profile upgrade planhat-mcp".to_owned(),
            Self::Scoop => "scoop update planhat-mcp".to_owned(),
            Self::Winget => "winget upgrade planhat-mcp".to_owned(),
            Self::Extension => {
                format!("take the newest .mcpb from {releases}\n  and open it with a double click")
            }
            Self::Deb => format!("take the newest .deb from {releases}\n  and run: sudo apt install ./FILE"),
            Self::Rpm => format!("take the newest .rpm from {releases}\n  and run: sudo dnf install ./FILE"),
            Self::Pacman => "yay -Syu planhat-mcp-bin".to_owned(),
            Self::Source => "git pull && cargo build --release".to_owned(),
            Self::Archive => {
                format!("take the newest archive from {releases}\n  and put its program in the place of this one")
            }
        }
    }
}

/// A wheel puts the program into the environment's folder of programs, and its own facts beside the modules.
fn is_wheel(path: &Path, there: &dyn Fn(&Path) -> bool) -> bool {
    let Some(root) = path.parent().and_then(Path::parent) else { return false };
    let folders = (8..40).map(|minor| root.join(format!("lib/python3.{minor}/site-packages")));
    let windows = root.join("Lib").join("site-packages");
    folders.chain([windows]).any(|folder| there(&folder.join("planhat_mcp-*.dist-info")))
}

fn python_of(path: &Path) -> String {
    let name = if cfg!(windows) { "python.exe" } else { "python3" };
    let beside: PathBuf = path.with_file_name(name);
    if beside.exists() { beside.display().to_string() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, there: &[&str]) -> Installer {
        Installer::of(Path::new(path), &|asked| there.iter().any(|one| Path::new(one) == asked))
    }

    #[test]
    fn how_a_copy_was_installed_is_seen_by_where_it_lies() {
        for (path, installer) in [
            ("/opt/homebrew/Cellar/planhat-mcp/0.1.0/bin/planhat-mcp", Installer::Homebrew),
            ("/home/linuxbrew/.linuxbrew/Cellar/planhat-mcp/0.1.0/bin/planhat-mcp", Installer::Homebrew),
            ("/home/a/.npm/_npx/1f/node_modules/planhat-mcp-linux-x64/bin/planhat-mcp", Installer::Npx),
            (
                "/usr/local/lib/node_modules/planhat-mcp/node_modules/planhat-mcp-linux-x64/bin/planhat-mcp",
                Installer::Npm,
            ),
            (r"C:\Users\a\AppData\Roaming\npm\node_modules\planhat-mcp\bin\planhat-mcp.exe", Installer::Npm),
            ("/home/a/project/node_modules/planhat-mcp-linux-x64/bin/planhat-mcp", Installer::NpmOfProject),
            ("/home/a/.local/share/uv/tools/planhat-mcp/bin/planhat-mcp", Installer::UvTool),
            ("/home/a/.cache/uv/archive-v0/x/bin/planhat-mcp", Installer::Uvx),
            ("/home/a/.local/share/pipx/venvs/planhat-mcp/bin/planhat-mcp", Installer::Pipx),
            ("/nix/store/abc-planhat-mcp-0.1.0/bin/planhat-mcp", Installer::Nix),
            (r"C:\Users\a\scoop\apps\planhat-mcp\0.1.0\planhat-mcp.exe", Installer::Scoop),
            (r"C:\Users\a\AppData\Local\Microsoft\WinGet\Packages\planhat\planhat-mcp.exe", Installer::Winget),
            (
                "/Users/a/Library/Application Support/Claude/Claude Extensions/x/server/darwin-arm64/planhat-mcp",
                Installer::Extension,
            ),
            (r"C:\Users\a\AppData\Roaming\Claude\Claude Extensions\x\server\planhat-mcp.exe", Installer::Extension),
            ("/home/a/.cargo/bin/planhat-mcp", Installer::Cargo),
            ("/home/a/planhat-mcp/target/release/planhat-mcp", Installer::Source),
            ("/home/a/bin/planhat-mcp", Installer::Archive),
            ("/usr/bin/planhat-mcp", Installer::Archive),
        ] {
            assert_eq!(of(path, &[]), installer, "{path}");
        }
    }

    #[test]
    fn a_copy_of_the_system_is_known_by_what_its_package_manager_keeps() {
        let path = "/usr/bin/planhat-mcp";
        assert_eq!(of(path, &["/var/lib/dpkg/info/planhat-mcp.list", "/var/lib/rpm"]), Installer::Deb);
        assert_eq!(of(path, &["/var/lib/rpm"]), Installer::Rpm);
        assert_eq!(of(path, &["/var/lib/pacman/local/planhat-mcp*"]), Installer::Pacman);
        let wheel = "/home/a/env/lib/python3.12/site-packages/planhat_mcp-*.dist-info";
        assert_eq!(of("/home/a/env/bin/planhat-mcp", &[wheel]), Installer::Pip);
    }

    #[test]
    fn a_name_with_a_version_is_found_by_its_start_and_its_end() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        assert!(!is_there(&folder.path().join("planhat_mcp-*.dist-info")));
        std::fs::create_dir(folder.path().join("planhat_mcp-0.1.0.dist-info")).expect("writable");
        assert!(is_there(&folder.path().join("planhat_mcp-*.dist-info")));
        assert!(!is_there(&folder.path().join("planhat_mcp-*.egg")) && is_there(folder.path()));
    }
}

//! By which path a client starts this program: one that is still there after the next update.

use std::path::{Path, PathBuf};

use super::entries::PROGRAM;
use super::folders::{Folders, System};
use super::shape::Launch;
use crate::problem::{Problem, ProblemId};

/// What is known of the copy that runs.
pub struct Copy<'a> {
    /// Its path.
    pub path: PathBuf,
    /// The image that it was mounted from, if it is an AppImage.
    pub image: Option<PathBuf>,
    /// The folders of this user.
    pub folders: &'a Folders,
    /// Where a path leads when every link is followed; `None` if nothing is there.
    pub leads: &'a dyn Fn(&Path) -> Option<PathBuf>,
}

/// What a client has to start to get the copy that runs, or the next version of it.
///
/// # Errors The path cannot be written into a file.
pub fn launch(arguments: Vec<String>) -> Result<Launch, Problem> {
    let unusable = |detail: String| Problem::new(ProblemId::ProgramPathUnusable).with("detail", detail);
    let path = std::env::current_exe().map_err(|error| unusable(error.to_string()))?;
    let folders = Folders::of_this_user().ok_or(ProblemId::NoHome)?;
    let image = std::env::var_os("APPIMAGE").map(PathBuf::from);
    let leads = |path: &Path| std::fs::canonicalize(path).ok();
    let command = lasting(&Copy { path, image, folders: &folders, leads: &leads });
    let mut words = command.into_iter().map(|word| {
        let text = word.to_str().map(str::to_owned);
        text.ok_or_else(|| unusable(format!("{} is not UTF-8", word.display())))
    });
    let command = words.next().unwrap_or_else(|| Ok(PROGRAM.to_owned()))?;
    let before: Vec<String> = words.collect::<Result<_, _>>()?;
    Ok(Launch { command, arguments: before.into_iter().chain(arguments).collect() })
}

/// The words that start this copy: its path, or a lasting one that leads to it, or the runner that fetched it.
pub fn lasting(copy: &Copy<'_>) -> Vec<PathBuf> {
    let Copy { path, image, folders, leads } = copy;
    let text = path.to_string_lossy().replace('\\', "/");
    // Runners keep what they fetched for a while only.
    if text.contains("/_npx/") {
        return ["npx", "-y", PROGRAM].map(PathBuf::from).to_vec();
    }
    if text.contains("/uv/archive-v") || text.contains("/uv/cache/archive-v") {
        return ["uvx", PROGRAM].map(PathBuf::from).to_vec();
    }
    if let Some(image) = image.as_ref().filter(|image| image.is_absolute() && text.contains("/.mount_")) {
        return vec![image.clone()];
    }
    let target = leads(path);
    let is_it = |candidate: &PathBuf| target.is_some() && leads(candidate) == target;
    let name = if folders.system == System::Windows { format!("{PROGRAM}.exe") } else { PROGRAM.to_owned() };
    let on_path = folders.programs.iter().filter(|folder| folder.is_absolute()).map(|folder| folder.join(&name));
    let found = on_path.chain(links(path, &text, folders)).find(|candidate| !is_passing(candidate) && is_it(candidate));
    vec![found.unwrap_or_else(|| path.clone())]
}

/// The lasting links of package managers that keep each version in a folder of its own.
fn links(path: &Path, text: &str, folders: &Folders) -> Vec<PathBuf> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let mut links = Vec::new();
    if let Some((prefix, _)) = text.split_once("/Cellar/") {
        let prefix = Path::new(prefix);
        links.extend([prefix.join("bin").join(name), prefix.join("opt").join(PROGRAM).join("bin").join(name)]);
    }
    if text.starts_with("/nix/store/") {
        let profiles = [
            folders.home.join(".nix-profile"),
            folders.home.join(".local/state/nix/profile"),
            PathBuf::from("/etc/profiles/per-user").join(folders.home.file_name().unwrap_or_default()),
            PathBuf::from("/run/current-system/sw"),
            PathBuf::from("/nix/var/nix/profiles/default"),
        ];
        links.extend(profiles.map(|profile| profile.join("bin").join(name)));
    }
    // Scoop: apps/NAME/VERSION, beside which `current` leads to the newest.
    let parts: Vec<_> = path.components().collect();
    if let Some(at) = parts.iter().position(|part| part.as_os_str() == "apps")
        && parts.get(at + 1).is_some_and(|part| part.as_os_str() == PROGRAM)
        && parts.len() > at + 3
    {
        let before: PathBuf = parts[..at + 2].iter().collect();
        links.push(before.join("current").join(parts[at + 3..].iter().collect::<PathBuf>()));
    }
    links
}

/// Whether a path is of one version, or of something that is cleaned up.
fn is_passing(path: &Path) -> bool {
    let text = path.to_string_lossy().replace('\\', "/");
    ["/_npx/", "/node_modules/", "/Cellar/", "/nix/store/", "/.mount_"].iter().any(|part| text.contains(part))
        || text.contains("/uv/archive-v")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The words for a copy at this path, on a machine with these links and this PATH.
    fn words(system: System, path: &str, links: &[(&str, &str)], on_path: &[&str]) -> String {
        let links: HashMap<PathBuf, PathBuf> = links.iter().map(|(from, to)| (from.into(), to.into())).collect();
        let mut folders = Folders::of(system, Path::new("/home/u"), Path::new("/project"));
        folders.programs = on_path.iter().map(PathBuf::from).collect();
        let leads = |at: &Path| {
            let is_itself = at == Path::new(path);
            links.get(at).cloned().or_else(|| is_itself.then(|| at.to_owned()))
        };
        let image = Some(PathBuf::from("/home/u/Planhat.AppImage"));
        let words = lasting(&Copy { path: path.into(), image, folders: &folders, leads: &leads });
        words.iter().map(|word| word.display().to_string().replace('\\', "/")).collect::<Vec<_>>().join(" ")
    }

    // On Windows none of these paths is absolute.
    #[cfg(unix)]
    #[test]
    fn a_client_starts_the_program_by_a_path_that_outlives_the_version() {
        let on = |path, links: &[(&str, &str)], on_path: &[&str]| words(System::Linux, path, links, on_path);
        let own = "/opt/planhat/planhat-mcp";
        assert_eq!(on(own, &[], &[]), own);
        assert_eq!(on(own, &[("/usr/local/bin/planhat-mcp", own)], &["/usr/local/bin"]), "/usr/local/bin/planhat-mcp");
        let other = [("/usr/local/bin/planhat-mcp", "/usr/lib/other")];
        assert_eq!(on(own, &other, &["/usr/local/bin", "relative"]), own, "another copy is on PATH");
        let cellar = "/opt/homebrew/Cellar/planhat-mcp/0.1.0/bin/planhat-mcp";
        assert_eq!(on(cellar, &[("/opt/homebrew/bin/planhat-mcp", cellar)], &[]), "/opt/homebrew/bin/planhat-mcp");
        let opt = "/opt/homebrew/opt/planhat-mcp/bin/planhat-mcp";
        assert_eq!(on(cellar, &[(opt, cellar)], &["/opt/homebrew/Cellar/planhat-mcp/0.1.0/bin"]), opt);
        let store = "/nix/store/abc-planhat-mcp/bin/planhat-mcp";
        let profile = "/home/u/.nix-profile/bin/planhat-mcp";
        assert_eq!(on(store, &[(profile, store)], &["/nix/store/abc-planhat-mcp/bin"]), profile);
        assert_eq!(on(store, &[], &[]), store, "nothing better is there");
        let mounted = "/tmp/.mount_PlanhaX/usr/bin/planhat-mcp";
        assert_eq!(on(mounted, &[], &[]), "/home/u/Planhat.AppImage");
        assert_eq!(on(own, &[], &[]), own, "an image of another program says nothing");
    }

    #[test]
    fn a_copy_that_a_runner_has_fetched_is_started_by_the_runner() {
        let on = |path| words(System::Linux, path, &[], &[]);
        let npx = "/home/u/.npm/_npx/0a1b/node_modules/@planhat-mcp/linux-x64/planhat-mcp";
        assert_eq!(on(npx), "npx -y planhat-mcp");
        assert_eq!(on("/home/u/.cache/uv/archive-v0/abc/bin/planhat-mcp"), "uvx planhat-mcp");
        let on = |path| words(System::Windows, path, &[], &[]);
        assert_eq!(on("C:\\Users\\u\\AppData\\Local\\npm-cache\\_npx\\0\\planhat-mcp.exe"), "npx -y planhat-mcp");
        assert_eq!(on("C:\\Users\\u\\AppData\\Local\\uv\\cache\\archive-v0\\a\\planhat-mcp.exe"), "uvx planhat-mcp");
    }

    #[test]
    fn scoop_has_a_link_to_its_newest_version() {
        let (version, current) = (
            "/home/u/scoop/apps/planhat-mcp/0.1.0/planhat-mcp.exe",
            "/home/u/scoop/apps/planhat-mcp/current/planhat-mcp.exe",
        );
        assert_eq!(words(System::Windows, version, &[(current, version)], &[]), current);
        assert_eq!(words(System::Windows, version, &[], &[]), version);
    }
}

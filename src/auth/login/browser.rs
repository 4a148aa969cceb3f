//! Opens a page in the user's browser.

use std::ffi::OsStr;
use std::io;
use std::process::{Command, Stdio};

use url::Url;

use crate::auth::discovery::safe_url;
use crate::config::VARIABLE_PREFIX;
use crate::problem::{Problem, ProblemId};

/// Whether a browser can be expected to open on this machine.
pub fn is_expected() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(target_os = "macos", windows)) || has_desktop(set, reaches_windows)
}

/// Where the environment has to say whether there is a desktop. Many clients strip the display from it, and Linux inside
/// Windows (WSL) needs none to open the browser of Windows.
fn has_desktop(set: impl Fn(&str) -> bool, reaches_windows: impl FnOnce() -> bool) -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"].into_iter().any(set) || reaches_windows()
}

/// Whether pages open in Windows, whose program the launcher tries first inside WSL; users can forbid programs of Windows
/// there, and then it is not in PATH.
fn reaches_windows() -> bool {
    let launchers = open::commands("https://localhost/");
    let first = launchers.first().map(Command::get_program);
    first.is_some_and(|program| starts_in_windows(program, &std::env::var_os("PATH").unwrap_or_default()))
}

fn starts_in_windows(launcher: &OsStr, path: &OsStr) -> bool {
    let is_of_windows = std::path::Path::new(launcher).extension().is_some_and(|ending| ending == "exe");
    is_of_windows && std::env::split_paths(path).any(|folder| folder.join(launcher).is_file())
}

/// Opens the page, or says why not. Blocks briefly, to catch an early failure of the launcher.
pub fn open(url: &Url) -> Result<(), Problem> {
    let text = url.as_str();
    let failed = |detail: String| Problem::new(ProblemId::BrowserFailed).with("detail", detail).with("link", text);
    safe_url::check(text).map_err(failed)?;
    let chosen = std::env::var("BROWSER").ok().filter(|value| !value.trim().is_empty());
    let system = || first_that_starts(open::commands(text));
    let opened = match chosen {
        // Few read it on Windows: it may be meant for a shell that came from elsewhere, and name nothing that runs here.
        Some(browsers) if cfg!(windows) => open_with(&browsers, text).or_else(|_| system()),
        Some(browsers) => open_with(&browsers, text),
        None => system(),
    };
    opened.map_err(|error| failed(error.to_string()))
}

/// What separates the commands in `BROWSER`, as in PATH: on Windows a colon is a part of paths.
const SEPARATOR: char = if cfg!(windows) { ';' } else { ':' };

/// The convention of `BROWSER`: commands separated by colons, tried in turn; `%s` stands for the address, which is
/// otherwise appended. No shell is involved.
fn open_with(browsers: &str, text: &str) -> io::Result<()> {
    first_that_starts(browsers.split(SEPARATOR).filter(|b| !b.trim().is_empty()).map(|browser| {
        let words = command_line(browser, text);
        let mut command = Command::new(words.first().map_or("", String::as_str));
        command.args(words.iter().skip(1));
        command
    }))
}

fn first_that_starts(commands: impl IntoIterator<Item = Command>) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "there is none");
    for mut command in commands {
        match start(&mut command) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let program = command.get_program().to_string_lossy().into_owned();
                last = io::Error::new(error.kind(), format!("{program}: {error}"));
            }
        }
    }
    Err(last)
}

fn command_line(browser: &str, text: &str) -> Vec<String> {
    if std::path::Path::new(browser).is_file() {
        return vec![browser.to_owned(), text.to_owned()]; // one program, perhaps with spaces in its path
    }
    let mut words: Vec<String> = browser.split_whitespace().map(str::to_owned).collect();
    if words.iter().skip(1).any(|word| word.contains("%s")) {
        words.iter_mut().skip(1).for_each(|word| *word = word.replace("%s", text));
    } else {
        words.push(text.to_owned());
    }
    words
}

fn start(command: &mut Command) -> io::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // The browser gets none of our variables, which may hold a secret.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(VARIABLE_PREFIX)) {
        command.env_remove(name);
    }
    let mut child = command.spawn()?;
    // A browser that fails does so at once; a running one is left alone, and reaped when it ends.
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("browser".into()).spawn(move || {
        let _ = ended.send(child.wait());
    })?;
    match end.recv_timeout(std::time::Duration::from_millis(250)) {
        Ok(Ok(status)) if !status.success() => Err(io::Error::other(format!("it ended with {status}"))),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::login::browser::*;

    #[test]
    fn a_browser_is_expected_where_there_is_a_display_or_windows_around_this_linux() {
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"] {
            assert!(has_desktop(|asked| asked == name, || false), "{name}");
        }
        assert!(!has_desktop(|_| false, || false));
        // Of a client that strips the environment.
        assert!(has_desktop(|_| false, || true));
    }

    #[test]
    fn windows_opens_pages_of_its_linux_where_its_programs_can_be_started_there() {
        let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(with.path().join("powershell.exe"), "").unwrap();
        std::fs::write(with.path().join("xdg-open"), "").unwrap();
        let both = std::env::join_paths([without.path(), with.path()]).unwrap();
        assert!(starts_in_windows("powershell.exe".as_ref(), &both));
        assert!(!starts_in_windows("powershell.exe".as_ref(), without.path().as_os_str()), "not in PATH");
        assert!(!starts_in_windows("xdg-open".as_ref(), &both), "a Linux of its own");
    }

    #[test]
    fn shell_characters_reach_the_browser_only_as_one_argument() {
        let url = safe_url::check("https://h/a?x=$(touch%20y)&z=';|`\"<>").unwrap();
        let words = command_line("firefox --new-tab", url.as_str());
        assert_eq!(words.len(), 3);
        assert_eq!(words[2], url.as_str());
        assert!(!words[2].contains(['"', '<', '>']));
        assert_eq!(command_line("b --url=%s -x", "u"), ["b", "--url=u", "-x"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_browser_that_fails_gives_way_to_the_next_and_the_last_failure_is_told() {
        assert!(open_with("/nonexistent/browser:true", "https://h/").is_ok());
        let error = open_with("/nonexistent/browser:false", "https://h/").unwrap_err();
        assert!(error.to_string().contains("false"), "{error}");
    }
}

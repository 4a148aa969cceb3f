//! Opens a page in the user's browser.

use std::io;
use std::process::{Command, Stdio};

use url::Url;

use crate::auth::discovery::safe_url;
use crate::config::VARIABLE_PREFIX;
use crate::problem::{Problem, ProblemId};

/// Whether a browser can be expected to open on this machine.
pub fn is_expected() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(target_os = "macos", windows)) || set("DISPLAY") || set("WAYLAND_DISPLAY") || set("BROWSER")
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

//! The desktop of the tour: where the bridge's links go, and what is told of it.

use std::ffi::OsString;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) use planhat_sandbox::Desktop;
use planhat_sandbox::browser::{Choice, Walk, walk};

use crate::stage::Stage;

pub(crate) fn set_up(stage: &Stage, open: bool) -> io::Result<Desktop> {
    let stage = stage.clone();
    Desktop::with_browser(Choice::Allow, move |link, choice| {
        if open {
            return open_browser(&stage, link);
        }
        let walked = walk(link, choice);
        match &walked {
            Ok(walk) => narrate(&stage, link, walk),
            Err(error) => stage.says("browser", &format!("gets nowhere: {error}")),
        }
        walked
    })
}

pub(crate) fn command(desktop: &Desktop) -> OsString {
    desktop.command()
}

pub(crate) fn opened(desktop: &Desktop) -> usize {
    desktop.opened().len()
}

/// Waits until what the browser was shown is told, and says whether it ended at a proper page.
pub(crate) fn settled(desktop: &Desktop, within: Duration) -> bool {
    let walks = desktop.wait_walked(1, within);
    // A browser of the user's own shows its pages to the user alone.
    let fine = |walk: &Walk| walk.pages.last().is_none_or(|page| page.status == 200);
    walks.first().is_some_and(|walk| walk.as_ref().is_ok_and(fine))
}

/// Opens the user's browser in the user's own environment, which the bridge on tour does not have.
fn open_browser(stage: &Stage, link: &str) -> io::Result<Walk> {
    stage.says("bridge", &format!("opens your browser; press Allow there. The link, should it not open: {link}"));
    let named = std::env::var("BROWSER").ok().filter(|browser| !browser.contains([':', '%', ' ']));
    let system: &[&str] = if cfg!(windows) {
        &["rundll32", "url.dll,FileProtocolHandler"]
    } else if cfg!(target_os = "macos") {
        &["open"]
    } else {
        &["xdg-open"]
    };
    let mut command = Command::new(named.as_deref().unwrap_or(system[0]));
    command.args(system.iter().skip(1).filter(|_| named.is_none()));
    let mut browser = command.arg(link).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    std::thread::spawn(move || browser.wait());
    Ok(Walk::default())
}

/// The first heading of a page and, on the consent page, what will be granted; without tags.
fn gist(html: &str) -> String {
    let between =
        |start: &str, end: &str| html.split_once(start)?.1.split_once('>')?.1.split_once(end).map(|found| found.0);
    let heading = between("<h1", "</h1>").unwrap_or("a page without a heading");
    let granted = html.split_once("<p>It gets ").and_then(|(_, rest)| rest.split_once("</p>")).map(|(text, _)| text);
    let text = format!("{heading}{}", granted.map(|text| format!(" It gets {text}")).unwrap_or_default());
    let mut plain = String::new();
    let mut in_tag = false;
    for character in text.chars() {
        match character {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            other if !in_tag => plain.push(other),
            _ => {}
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says what a browser was shown, page by page.
fn narrate(stage: &Stage, link: &str, walk: &Walk) {
    stage.says("bridge", &format!("opens the browser at {}", link.split('?').next().unwrap_or(link)));
    for page in &walk.pages {
        match page.status {
            303 if page.method == "POST" => stage.says("user", "presses Allow"),
            300..400 => {}
            200 => stage.says("browser", &format!("shows: {}", gist(&page.body))),
            status => stage.says("browser", &format!("shows {status}: {}", gist(&page.body))),
        }
    }
}

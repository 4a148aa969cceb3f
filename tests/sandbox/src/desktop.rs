//! A desktop for tests: a program to name in `BROWSER` that hands each link to a browser of ours.
//!
//! The program is a shell script of one line that writes the link into a named pipe, because a test has no binary of
//! its own to name there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::browser::{Choice, Walk, walk};
use crate::lock;
use crate::oauth::grants::random;

/// A desktop whose browser opens each link that it is given and does as it is told there; dropping it removes it.
#[derive(Debug)]
pub struct Desktop {
    directory: PathBuf,
    reader: Option<JoinHandle<()>>,
    seen: Arc<Seen>,
}

#[derive(Debug)]
struct Seen {
    choice: Mutex<Choice>,
    opened: Mutex<Opened>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Opened {
    links: Vec<String>,
    /// How each walk ended; the error is what a person would see as the browser's own error page.
    walks: Vec<Result<Walk, String>>,
}

/// What becomes of a link.
type Browser = dyn Fn(&str, Choice) -> io::Result<Walk> + Send + Sync;

/// The line that ends the reader.
const END: &str = "end";

impl Desktop {
    /// Sets a desktop up whose browser is [`walk`].
    ///
    /// # Panics
    ///
    /// When the temporary directory cannot hold a script and a named pipe, which no test can do anything about.
    pub fn start(choice: Choice) -> Self {
        Self::with_browser(choice, walk).expect("a directory with a named pipe can be made")
    }

    /// Sets a desktop up that hands links to another browser.
    ///
    /// # Errors
    ///
    /// When the temporary directory cannot hold a script and a named pipe.
    pub fn with_browser(
        choice: Choice,
        browser: impl Fn(&str, Choice) -> io::Result<Walk> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let directory = std::env::temp_dir().join(random("planhat-sandbox-"));
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let seen = Arc::new(Seen { choice: Mutex::new(choice), opened: Mutex::default(), changed: Condvar::new() });
        // From here on dropping it removes the directory, whatever fails.
        let mut desktop = Self { directory, reader: None, seen };
        let pipe = desktop.pipe();
        if !Command::new("mkfifo").arg(&pipe).status()?.success() {
            return Err(io::Error::other("mkfifo failed"));
        }
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" > '{}'\n", pipe.display());
        fs::write(desktop.command(), script)?;
        fs::set_permissions(desktop.command(), fs::Permissions::from_mode(0o755))?;
        // Open for writing too: the pipe then never ends when a writer leaves, and opening it never waits for one.
        let links = OpenOptions::new().read(true).write(true).open(&pipe)?;
        let seen = desktop.seen.clone();
        desktop.reader = Some(std::thread::spawn(move || read(links, &seen, &(Arc::new(browser) as Arc<Browser>))));
        Ok(desktop)
    }

    /// The program to name in `BROWSER`.
    pub fn command(&self) -> PathBuf {
        self.directory.join("browser")
    }

    fn pipe(&self) -> PathBuf {
        self.directory.join("links")
    }

    /// What the person does from now on.
    pub fn choose(&self, choice: Choice) {
        *lock(&self.seen.choice) = choice;
    }

    /// The links that were opened, in order.
    pub fn opened(&self) -> Vec<String> {
        lock(&self.seen.opened).links.clone()
    }

    /// Blocks until that many links were opened, and gives them; fewer when they were not opened in time.
    pub fn wait_opened(&self, count: usize, within: Duration) -> Vec<String> {
        self.wait(within, |opened| opened.links.len() >= count).links.clone()
    }

    /// Blocks until that many browsers have nothing left to follow, and gives their last pages; fewer when they are
    /// not done in time. A browser that could not fetch a page counts with that error.
    pub fn wait_walked(&self, count: usize, within: Duration) -> Vec<Result<Walk, String>> {
        self.wait(within, |opened| opened.walks.len() >= count).walks.clone()
    }

    fn wait(&self, within: Duration, done: impl Fn(&Opened) -> bool) -> std::sync::MutexGuard<'_, Opened> {
        let deadline = Instant::now() + within;
        let mut opened = lock(&self.seen.opened);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if done(&opened) || left.is_zero() {
                return opened;
            }
            opened = self.seen.changed.wait_timeout(opened, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn read(links: File, seen: &Arc<Seen>, browser: &Arc<Browser>) {
    for link in BufReader::new(links).lines() {
        let Ok(link) = link else { return };
        if link == END {
            return;
        }
        lock(&seen.opened).links.push(link.clone());
        seen.changed.notify_all();
        let (seen, browser) = (seen.clone(), browser.clone());
        // Each in a thread of its own: the last page of a sign-in may be held back for a while.
        std::thread::spawn(move || {
            let choice = *lock(&seen.choice);
            let walked = browser(&link, choice);
            lock(&seen.opened).walks.push(walked.map_err(|error| error.to_string()));
            seen.changed.notify_all();
        });
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            let told = OpenOptions::new().write(true).open(self.pipe()).and_then(|mut pipe| writeln!(pipe, "{END}"));
            if told.is_ok() {
                let _ = reader.join();
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_the_program_is_given_are_opened_and_the_directory_goes() {
        let desktop = Desktop::start(Choice::Leave);
        let link = "http://127.0.0.1:1/a?b=c&d='\"$e";
        let status = Command::new(desktop.command()).arg(link).status().expect("the script runs");
        assert!(status.success());
        assert_eq!(desktop.wait_opened(1, Duration::from_secs(10)), [link]);
        assert!(desktop.wait_walked(1, Duration::from_secs(10))[0].is_err(), "nobody listens on port 1");
        let directory = desktop.directory.clone();
        drop(desktop);
        assert!(!directory.exists());
    }
}

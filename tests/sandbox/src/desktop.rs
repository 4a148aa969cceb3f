//! A desktop for tests: a program to name in `BROWSER` that hands each link to a browser of ours.
//!
//! The program is a shell script of one line that writes the link into a named pipe, because a test has no binary of
//! its own to name there; on Windows it is the test itself, which hands the link on ([`hand_on`]).

use std::ffi::OsString;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::browser::{Choice, Walk, walk};
use crate::lock;
use system::Links;
#[cfg(not(unix))]
pub use system::{HANDS_ON, hand_on};

/// A desktop whose browser opens each link that it is given and does as it is told there; dropping it removes it.
#[derive(Debug)]
pub struct Desktop {
    links: Links,
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
        let seen = Arc::new(Seen { choice: Mutex::new(choice), opened: Mutex::default(), changed: Condvar::new() });
        let (opens, browser) = (Arc::clone(&seen), Arc::new(browser) as Arc<Browser>);
        Ok(Self { links: Links::start(move |link| open(link, &opens, &browser))?, seen })
    }

    /// What to put into `BROWSER`.
    pub fn command(&self) -> OsString {
        self.links.command()
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

fn open(link: String, seen: &Arc<Seen>, browser: &Arc<Browser>) {
    lock(&seen.opened).links.push(link.clone());
    seen.changed.notify_all();
    let (seen, browser) = (Arc::clone(seen), Arc::clone(browser));
    // Each in a thread of its own: the last page of a sign-in may be held back for a while.
    std::thread::spawn(move || {
        let choice = *lock(&seen.choice);
        let walked = browser(&link, choice);
        lock(&seen.opened).walks.push(walked.map_err(|error| error.to_string()));
        seen.changed.notify_all();
    });
}

/// A named pipe, and the script that writes into it.
#[cfg(unix)]
mod system {
    use std::ffi::OsString;
    use std::fs::{self, OpenOptions};
    use std::io::{self, BufRead, BufReader, Write};
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    use std::path::PathBuf;
    use std::process::Command;
    use std::thread::JoinHandle;

    use crate::oauth::grants::random;

    /// The line that ends the reader.
    const END: &str = "end";

    #[derive(Debug)]
    pub struct Links {
        pub directory: PathBuf,
        reader: Option<JoinHandle<()>>,
    }

    impl Links {
        pub fn start(mut open: impl FnMut(String) + Send + 'static) -> io::Result<Self> {
            let directory = std::env::temp_dir().join(random("planhat-sandbox-"));
            fs::DirBuilder::new().mode(0o700).create(&directory)?;
            // From here on dropping it removes the directory, whatever fails.
            let mut links = Self { directory, reader: None };
            let pipe = links.pipe();
            if !Command::new("mkfifo").arg(&pipe).status()?.success() {
                return Err(io::Error::other("mkfifo failed"));
            }
            let script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" > '{}'\n", pipe.display());
            fs::write(links.command(), script)?;
            fs::set_permissions(links.command(), fs::Permissions::from_mode(0o755))?;
            // Open for writing too: the pipe then never ends when a writer leaves, and opening it never waits for one.
            let lines = BufReader::new(OpenOptions::new().read(true).write(true).open(&pipe)?).lines();
            links.reader = Some(std::thread::spawn(move || {
                lines.map_while(Result::ok).take_while(|link| link != END).for_each(&mut open);
            }));
            Ok(links)
        }

        pub fn command(&self) -> OsString {
            self.directory.join("browser").into()
        }

        fn pipe(&self) -> PathBuf {
            self.directory.join("links")
        }
    }

    impl Drop for Links {
        fn drop(&mut self) {
            if let Some(reader) = self.reader.take() {
                let told = OpenOptions::new().write(true).open(self.pipe());
                if told.and_then(|mut pipe| writeln!(pipe, "{END}")).is_ok() {
                    let _ = reader.join();
                }
            }
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// A socket, and this very program, which is started once more to write into it.
#[cfg(not(unix))]
mod system {
    use std::ffi::OsString;
    use std::io::{self, Read, Write};
    use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::thread::JoinHandle;

    /// What the program is told before the address and the link: the name of a test, or of a command.
    pub const HANDS_ON: &str = "hands_a_link_on";

    #[derive(Debug)]
    pub struct Links {
        address: SocketAddr,
        reader: Option<JoinHandle<()>>,
    }

    impl Links {
        pub fn start(mut open: impl FnMut(String) + Send + 'static) -> io::Result<Self> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            let reader = std::thread::spawn(move || {
                for mut link in listener.incoming().flatten() {
                    let mut text = String::new();
                    match link.read_to_string(&mut text) {
                        // Nothing in it: the end.
                        Ok(0) => return,
                        Ok(_) => open(text),
                        Err(_) => {}
                    }
                }
            });
            Ok(Self { address, reader: Some(reader) })
        }

        pub fn command(&self) -> OsString {
            let mut command = std::env::current_exe().unwrap_or_default().into_os_string();
            command.push(format!(" {HANDS_ON} {} %s", self.address));
            command
        }
    }

    impl Drop for Links {
        fn drop(&mut self) {
            if let Some(reader) = self.reader.take()
                && TcpStream::connect(self.address).and_then(|end| end.shutdown(Shutdown::Write)).is_ok()
            {
                let _ = reader.join();
            }
        }
    }

    /// Hands a link to the desktop that named this program, if this was started for that.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn hand_on(arguments: impl IntoIterator<Item = String>) -> io::Result<()> {
        let mut arguments = arguments.into_iter().skip_while(|word| word != HANDS_ON).skip(1);
        let (Some(address), Some(link)) = (arguments.next(), arguments.next()) else { return Ok(()) };
        TcpStream::connect(address)?.write_all(link.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(10);

    /// Blocks until the desktop was given this link, and no other.
    fn assert_opened(desktop: &Desktop, link: &str) {
        assert_eq!(desktop.wait_opened(1, WITHIN), [link]);
        assert!(desktop.wait_walked(1, WITHIN)[0].is_err(), "nobody listens on port 1");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_the_program_is_given_are_opened_and_the_directory_goes() {
        let desktop = Desktop::start(Choice::Leave);
        let link = "http://127.0.0.1:1/a?b=c&d='\"$e";
        let status = Command::new(desktop.command()).arg(link).status().expect("the script runs");
        assert!(status.success());
        assert_opened(&desktop, link);
        let directory = desktop.links.directory.clone();
        drop(desktop);
        assert!(!directory.exists());
    }

    /// The program that the next test names.
    #[cfg(not(unix))]
    #[test]
    fn hands_a_link_on() {
        hand_on(std::env::args()).expect("a desktop waits for it");
    }

    #[cfg(not(unix))]
    #[test]
    fn links_that_the_program_is_given_are_opened() {
        let desktop = Desktop::start(Choice::Leave);
        let link = "http://127.0.0.1:1/a?b=c&d=$e";
        let command = desktop.command().into_string().expect("ASCII").replace("%s", link);
        let mut words = command.split_whitespace();
        let status = Command::new(words.next().expect("a program")).args(words).status().expect("it runs");
        assert!(status.success());
        assert_opened(&desktop, link);
    }
}

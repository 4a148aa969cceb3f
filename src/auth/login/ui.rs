//! The options of a sign-in, and the events to show while it runs.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::auth::endpoints::Elsewhere;
use crate::auth::login::attempt::Since;
use crate::problem::Problem;
use crate::secret::ServerWords;

/// The options of a sign-in.
#[derive(Debug, Default)]
pub struct LoginOptions {
    /// Whether to open a browser; the link is always shown.
    pub open_browser: bool,
    /// Lines that the user pastes: the address of the last page. They race the listener.
    pub paste: Option<mpsc::UnboundedReceiver<String>>,
    /// Whether to sign in with a code on another device (RFC 8628), if the server offers it.
    pub device: bool,
    /// For a sign-in that a bridge ordered: what the bridge knew then. It gives way to a running sign-in, and accepts
    /// one that has completed since; without this, the user joins a running sign-in.
    pub since: Option<Since>,
    /// Whether to end a running sign-in first.
    pub restart: bool,
    /// Whether a person has typed the command at a terminal: the [brake](crate::auth::brake) does not hold it back, and is
    /// lifted when it succeeds, which also confirms a token endpoint that the settings name.
    pub by_person: bool,
}

/// An event of a sign-in, to be shown.
#[derive(Debug)]
pub enum LoginEvent<'a> {
    /// Discovery has succeeded.
    Found {
        /// The authorization server, in words.
        issuer: &'a str,
        /// The client id.
        client_id: &'a ServerWords,
        /// The parts of the server that lie at other origins than its issuer.
        elsewhere: &'a Elsewhere,
    },
    /// The port is bound and the page can be opened.
    Waiting {
        /// The authorization URL.
        link: &'a str,
        /// The redirect URL, exactly as it must be registered.
        redirect_url: &'a str,
        /// How long the sign-in waits.
        within: Duration,
        /// Whether the client registered itself for an earlier sign-in, so that the server may have forgotten it.
        may_be_forgotten: bool,
    },
    /// Another process is already signing in, and this one waits for its end.
    Joined {
        /// The authorization URL, if there is one.
        link: Option<&'a str>,
        /// How much longer the sign-in waits.
        within: Duration,
    },
    /// The user has to type a code on another device.
    Code {
        /// The code.
        code: &'a ServerWords,
        /// The page to type it at.
        page: &'a str,
        /// The page that needs no typing, if there is one.
        page_with_code: Option<&'a str>,
        /// How long the sign-in waits.
        within: Duration,
    },
    /// A browser was started.
    BrowserOpened,
    /// No browser could be started; the link has to be opened by hand.
    BrowserNotOpened(&'a Problem),
    /// The pasted line is unusable; the sign-in continues.
    PasteRejected(&'a Problem),
    /// The code has arrived and is being exchanged for tokens.
    Answered,
}

/// Shows a sign-in to whoever watches it.
pub trait LoginUi: Send {
    /// Shows an event.
    fn event(&mut self, event: LoginEvent<'_>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl LoginUi for Silent {
    fn event(&mut self, _: LoginEvent<'_>) {}
}

/// The next pasted line; never resolves if nothing can be pasted (any more).
pub(crate) async fn pasted_line(paste: &mut Option<mpsc::UnboundedReceiver<String>>) -> String {
    loop {
        match paste {
            None => return std::future::pending().await,
            Some(lines) => match lines.recv().await {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => return line,
                None => *paste = None,
            },
        }
    }
}

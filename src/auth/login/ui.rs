//! How a sign-in is ordered, and what there is to show while it goes on.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::auth::login::attempt::Since;
use crate::problem::Problem;

/// How a sign-in is made.
#[derive(Debug, Default)]
pub struct LoginOptions {
    /// Whether to open a browser; the link is shown in any case.
    pub open_browser: bool,
    /// Lines that the user pastes: the address of the last page. Races the listener.
    pub paste: Option<mpsc::UnboundedReceiver<String>>,
    /// Whether to sign in with a code on another device (RFC 8628), where the server offers it.
    pub device: bool,
    /// For a sign-in that a bridge has ordered: what it knew then. It leaves the field to one that is under way, and is
    /// content with one that has come since; without this, the user who asks for it joins the one that is under way.
    pub since: Option<Since>,
    /// Whether one that is under way is ended first.
    pub restart: bool,
}

/// What happens during a sign-in, to be shown.
#[derive(Debug)]
pub enum LoginEvent<'a> {
    /// It is known where to sign in.
    Found {
        /// The authorization server, and that it was chosen, in words.
        issuer: &'a str,
        /// The client that asks.
        client_id: &'a str,
    },
    /// The port is bound and the page can be opened.
    Waiting {
        /// The page to sign in at.
        link: &'a str,
        /// Where the browser is sent back to, as it has to be registered.
        redirect_url: &'a str,
        /// How long this waits.
        within: Duration,
    },
    /// Another process is at a sign-in already, and this one waits for its end.
    Joined {
        /// The page to sign in at, where there is one.
        link: Option<&'a str>,
        /// How much longer it waits.
        within: Duration,
    },
    /// A code is to be typed on another device.
    Code {
        /// The code.
        code: &'a str,
        /// The page to type it at.
        page: &'a str,
        /// The page that needs no typing, where there is one.
        page_with_code: Option<&'a str>,
        /// How long this waits.
        within: Duration,
    },
    /// A browser was started.
    BrowserOpened,
    /// No browser could be started; the link has to be opened by hand.
    BrowserNotOpened(&'a Problem),
    /// What was pasted is of no use; the sign-in goes on.
    PasteRejected(&'a Problem),
    /// The answer is there and is being exchanged for tokens.
    Answered,
}

/// Who watches a sign-in.
pub trait LoginUi: Send {
    /// Something happened.
    fn event(&mut self, event: LoginEvent<'_>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl LoginUi for Silent {
    fn event(&mut self, _: LoginEvent<'_>) {}
}

/// The next pasted line; never, when nothing can be pasted (any more).
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

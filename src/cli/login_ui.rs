//! What a person at a terminal sees while they sign in.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::auth::{LoginEvent, LoginUi};
use crate::config::Settings;
use crate::problem::printable;
use crate::tasks;

use super::style::paragraph;
use super::{login_texts, terminal};

/// Shows a sign-in to the person at the terminal.
pub struct Ui<'a> {
    settings: &'a Settings,
    /// Whether the browser is opened for them.
    opened: bool,
    can_paste: bool,
    help: Help,
}

impl<'a> Ui<'a> {
    /// For a sign-in whose page is `opened` for the person, who may paste the address of the last one if `can_paste`.
    pub fn new(settings: &'a Settings, opened: bool, can_paste: bool) -> Self {
        Self { settings, opened, can_paste, help: Help::default() }
    }
}

/// The errors that only Planhat's page shows, explained to a person who has not come back for a while. Before, they would
/// push the link off a small screen.
#[derive(Default)]
struct Help(Option<JoinHandle<()>>);

impl Help {
    const AFTER: Duration = Duration::from_secs(15);

    fn is_due_later(&mut self, settings: &Settings) {
        if settings.product.is_planhat() && self.0.is_none() {
            let text = login_texts::page_errors(settings, terminal::style());
            self.0 = Some(Self::say_later(text, terminal::say));
        }
    }

    fn say_later(text: String, say: impl Fn(&str) + Send + 'static) -> JoinHandle<()> {
        tasks::spawn(async move {
            tokio::time::sleep(Self::AFTER).await;
            say(&text);
        })
    }
}

impl Drop for Help {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl LoginUi for Ui<'_> {
    fn event(&mut self, event: LoginEvent<'_>) {
        match event {
            LoginEvent::BrowserOpened => {}
            LoginEvent::Found { issuer, client_id, elsewhere } => {
                let mut rows = vec![("sign-in at", printable(issuer))];
                rows.extend(elsewhere.page.as_deref().map(|origin| ("its page at", printable(origin))));
                rows.extend(elsewhere.tokens.as_deref().map(|origin| ("tokens from", printable(origin))));
                if self.settings.oauth.client_id.is_none() {
                    rows.push(("client id", client_id.to_string()));
                }
                terminal::say(&terminal::style().table(&rows));
            }
            LoginEvent::Code { code, page, page_with_code, within } => {
                terminal::say(&login_texts::waiting_for_code(code.as_str(), page, page_with_code, within));
            }
            LoginEvent::Joined { link, within } => {
                terminal::say(&login_texts::joined(self.settings, link, self.opened, self.can_paste, within));
                self.help.is_due_later(self.settings);
            }
            LoginEvent::Waiting { link, may_be_forgotten, .. } => {
                terminal::say(&login_texts::waiting(self.settings, link, self.opened, self.can_paste));
                if may_be_forgotten {
                    terminal::say(&login_texts::client_unknown(self.settings));
                }
                self.help.is_due_later(self.settings);
            }
            LoginEvent::BrowserNotOpened(problem) => {
                terminal::say(&paragraph(&format!("{} Open the link yourself.", problem.what())));
            }
            LoginEvent::PasteRejected(problem) => {
                terminal::say(&paragraph(&format!("{} {}", problem.what(), problem.fix())));
            }
            LoginEvent::Answered => {
                self.help = Help::default();
                terminal::say("Approved in the browser. Finishing the sign-in...\n");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn help_comes_after_a_while_to_those_who_have_not_come_back_by_then() {
        let (send, said) = mpsc::channel();
        let begin = || {
            let send = send.clone();
            Help(Some(Help::say_later("help".to_owned(), move |text| send.send(text.to_owned()).expect("heard"))))
        };
        let (back_in_time, waits) = (begin(), begin());
        // They begin to wait.
        tokio::task::yield_now().await;
        tokio::time::advance(Help::AFTER - Duration::from_secs(1)).await;
        drop(back_in_time);
        tokio::task::yield_now().await;
        assert!(said.try_recv().is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(said.try_iter().collect::<Vec<_>>(), ["help"]);
        drop(waits);
    }
}

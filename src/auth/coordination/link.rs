//! A sign-in whose page the person opens by a link: the client shows it, or a model passes it on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::AuthError;
use crate::auth::authorizer::Authorizer;
use crate::auth::discovery::safe_url;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Pending;
use crate::auth::login::browser;
use crate::problem::{Problem, ProblemId};

/// How often the link is looked for: it is there as soon as the callback's port is bound.
const LOOK: Duration = Duration::from_millis(50);

/// How the person gets to the page of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOpening {
    /// A browser opens by itself.
    Browser,
    /// Only the link leads there.
    Link,
}

impl Authorizer {
    /// How the person gets to the page of the sign-in that is under way in some process; `None` when none is.
    pub fn way(&self) -> Option<PageOpening> {
        if !self.sign_in_is_under_way() {
            return None;
        }
        if let Some(way) = self.sign_ins.own_way() {
            return Some(way);
        }
        let record: Option<Pending> = attempt::note(&self.files).read();
        Some(if record.is_none_or(|record| record.opens) { PageOpening::Browser } else { PageOpening::Link })
    }

    /// The link of the sign-in that is under way, as soon as it is known; `None` when somebody has signed in meanwhile.
    ///
    /// # Errors
    /// As [`Authorizer::wait_newer`].
    pub async fn wait_link(self: &Arc<Self>, than: Option<u64>, within: Duration) -> Result<Option<String>, AuthError> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(link) = self.sign_in_link() {
                return Ok(Some(link));
            }
            if !self.sign_in_is_under_way() || Instant::now() >= deadline || self.newer_than(than).is_some() {
                // Says what has become of it.
                return self.wait_newer(than, Duration::ZERO).await.map(|()| None);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Opens the browser after all, for a sign-in that was to do without.
    ///
    /// # Errors
    /// `NoDesktop` with the link where there is none to open, `BrowserFailed` where that fails.
    pub async fn open_link(&self, link: &str) -> Result<(), Problem> {
        if !browser::is_expected() {
            let command = self.settings.command("login --no-browser");
            return Err(Problem::new(ProblemId::NoDesktop).with("link", link).with("command", command));
        }
        let failed = |detail: &dyn std::fmt::Display| {
            Problem::new(ProblemId::BrowserFailed).with("detail", detail).with("link", link)
        };
        let page = safe_url::check(link).map_err(|detail| self.explain(failed(&detail)))?;
        let number = self.record().map_or(0, |record| record.number);
        self.open_page(number, &page).await.map_err(|problem| self.explain(problem))?;
        self.has_opened(link);
        Ok(())
    }

    /// Lets nobody open the page a second time.
    fn has_opened(&self, link: &str) {
        self.sign_ins.set_own_way(PageOpening::Browser);
        let note = attempt::note(&self.files);
        let record = note.read::<Pending>().filter(|record| record.link.as_deref() == Some(link));
        if let Some(record) = record.filter(|record| record.failure.is_none())
            && let Err(problem) = note.write(&Pending { opens: true, ..record })
        {
            tracing::debug!(%problem, "other processes are not told that the page is open");
        }
    }
}

//! A sign-in whose page the person opens by a link: the client shows it, or a model passes it on.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::authorizer::Authorizer;
use super::pending::{self, Pending};
use super::{AuthError, browser};
use crate::problem::{Problem, ProblemId};

/// How often the link is looked for: it is there as soon as the callback's port is bound.
const LOOK: Duration = Duration::from_millis(50);

/// How the person gets to the page of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A browser opens by itself.
    Browser,
    /// Only the link leads there.
    Link,
}

impl Authorizer {
    /// How the person gets to the page of the sign-in that is under way in some process; `None` when none is.
    pub fn way(&self) -> Option<Way> {
        if !self.sign_in_is_under_way() {
            return None;
        }
        if let Some(way) = self.sign_ins.own_way() {
            return Some(way);
        }
        let record: Option<Pending> = pending::note(&self.files).read();
        Some(if record.is_some_and(|record| record.by_link) { Way::Link } else { Way::Browser })
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
    pub async fn open_page(&self, link: &str) -> Result<(), Problem> {
        let failed = |detail: &dyn std::fmt::Display| {
            self.explain(Problem::new(ProblemId::BrowserFailed).with("detail", detail).with("link", link))
        };
        if !browser::is_expected() {
            return Err(self.explain(Problem::new(ProblemId::NoDesktop).with("link", link)));
        }
        let page = browser::checked(link).map_err(|detail| failed(&detail))?;
        // Starting a browser takes a moment.
        let opened = tokio::task::spawn_blocking(move || browser::open(&page)).await;
        opened.map_err(|error| failed(&error))?.map_err(|problem| self.explain(problem))?;
        self.sign_ins.set_own_way(Way::Browser);
        Ok(())
    }
}

//! Opens the page of the sign-in that is under way for those who ask for it, within the budget of tabs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::auth::brake::TabAdmission;
use crate::auth::context::Context;
use crate::auth::discovery::safe_url;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Attempt;
use crate::auth::login::browser;
use crate::auth::login::sign_in_page;
use crate::problem::{Problem, ProblemId};
use crate::tasks;

/// Opens pages of sign-ins that other processes run, or that were to do without a browser.
#[derive(Debug)]
pub(crate) struct Pages {
    ctx: Arc<Context>,
    /// Whether a page is being reopened.
    is_reopening: AtomicBool,
}

impl Pages {
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        Self { ctx, is_reopening: AtomicBool::new(false) }
    }

    /// Permission to open this page, or to have the client open it; the problem has the link.
    pub(crate) async fn admit(&self, link: &str) -> Result<TabAdmission, Problem> {
        self.ctx.brake.admit_tab().await.map_err(|problem| self.ctx.explain(problem.with("link", link)))
    }

    /// Opens the browser after all, for a sign-in that was to do without; the problem has the link.
    pub(crate) async fn open(&self, link: &str, admission: TabAdmission) -> Result<(), Problem> {
        if !browser::is_expected() {
            let command = self.ctx.settings.command("login --no-browser");
            return Err(Problem::new(ProblemId::NoDesktop).with("link", link).with("command", command));
        }
        let failed = |detail: &dyn std::fmt::Display| {
            Problem::new(ProblemId::BrowserFailed).with("detail", detail).with("link", link)
        };
        let page = safe_url::check(link).map_err(|detail| self.ctx.explain(failed(&detail)))?;
        let number = attempt::load(&self.ctx.files).await.map_or(0, |attempt| attempt.number);
        let opened = sign_in_page::open(&self.ctx, number, &page, admission).await;
        opened.map_err(|problem| self.ctx.explain(problem))?;
        self.was_opened(link).await;
        Ok(())
    }

    /// Lets nobody open the page a second time.
    async fn was_opened(&self, link: &str) {
        let (note, link) = (attempt::note(&self.ctx.files), link.to_owned());
        let write = move || {
            let is_open = |attempt: &Attempt| attempt.link.as_ref() == Some(&link) && attempt.failure.is_none();
            let attempt = note.read::<Attempt>().filter(is_open);
            attempt.map_or(Ok(()), |attempt| note.write(&Attempt { opens: true, ..attempt }))
        };
        if let Err(problem) = self.ctx.record_writer.run(write).await {
            tracing::debug!(%problem, "the note that the page is open could not be written");
        }
    }

    /// Opens the page of the sign-in that is under way for a user who asks for it. `runs_here` says whether this process is
    /// at the sign-in.
    pub(crate) fn reopen(self: &Arc<Self>, runs_here: impl Fn() -> bool + Send + Sync + 'static) {
        if !browser::is_expected() || self.is_reopening.swap(true, Ordering::SeqCst) {
            return;
        }
        let this = Arc::clone(self);
        tasks::spawn(async move {
            if let Err(problem) = sign_in_page::open_again(&this.ctx, runs_here).await {
                tracing::warn!(%problem, "the page of the sign-in could not be opened again");
            }
            this.is_reopening.store(false, Ordering::SeqCst);
        });
    }
}

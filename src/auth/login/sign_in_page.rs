//! Opens the page of a sign-in, once for all processes that want it open.

use std::time::{Duration, UNIX_EPOCH};

use url::Url;

use crate::auth::context::Context;
use crate::auth::discovery::safe_url;
use crate::auth::login::attempt;
use crate::auth::login::attempt::{Attempt, PageOpened};
use crate::auth::login::browser;
use crate::problem::{Problem, ProblemId};
use crate::store::ProcessLock;

/// The poll interval while the page may not be reopened yet.
const REOPEN_POLL: Duration = Duration::from_millis(200);
/// A page that was opened this recently is not reopened yet: nobody can have closed it and asked again.
const JUST_OPENED: Duration = Duration::from_secs(3);

/// How the user gets to the page of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOpening {
    /// A browser opens automatically.
    Browser,
    /// The user opens the link.
    Link,
}

/// Opens the page of the sign-in with this number, for the first time or again.
pub(crate) async fn open(ctx: &Context, number: u64, link: &Url) -> Result<(), Problem> {
    // Record it first: a user who asks after this may have seen and closed this page.
    if let Err(problem) = attempt::opened(&ctx.files).write(&PageOpened { number, at: milliseconds(ctx) }) {
        tracing::debug!(%problem, "the note that the page is open could not be written");
    }
    let to_open = link.clone();
    // Starting a browser may take a moment, and must not block anything else.
    let opened = tokio::task::spawn_blocking(move || browser::open(&to_open)).await;
    opened.unwrap_or_else(|_| {
        Err(Problem::new(ProblemId::BrowserFailed).with("link", link).with("detail", "it broke down"))
    })
}

/// Reopens the page of the running sign-in for a user who asks for it and may have closed it. Concurrent requests, in
/// any process, get one page.
pub(crate) async fn open_again(ctx: &Context, is_under_way: impl Fn() -> bool) -> Result<(), Problem> {
    let requested_at = milliseconds(ctx);
    while is_under_way() {
        if let Some(done) = open_again_once(ctx, requested_at).await {
            return done;
        }
        tokio::time::sleep(REOPEN_POLL).await;
    }
    Ok(())
}

/// One attempt; `None` if it is too early.
async fn open_again_once(ctx: &Context, requested_at: u64) -> Option<Result<(), Problem>> {
    // A process that holds it is opening the page right now.
    let _turn = ProcessLock::try_acquire(&ctx.files.page_lock()).ok()??;
    let attempt: Attempt = attempt::note(&ctx.files).read()?;
    let link = safe_url::check(attempt.link.as_deref().filter(|_| attempt.ended.is_none())?).ok()?;
    let last: Option<PageOpened> = attempt::opened(&ctx.files).read();
    match last.filter(|last| last.number == attempt.number) {
        Some(last) if last.at >= requested_at => return Some(Ok(())),
        Some(last) if milliseconds(ctx).saturating_sub(last.at) < JUST_OPENED.as_millis() as u64 => return None,
        None if attempt.opens => return None,
        Some(_) | None => {}
    }
    tracing::info!("the page of the sign-in that is under way is opened again");
    Some(open(ctx, attempt.number, &link).await)
}

fn milliseconds(ctx: &Context) -> u64 {
    let since = ctx.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

//! Opens the page of a sign-in, once for all processes that want it open.

use std::time::{Duration, UNIX_EPOCH};

use url::Url;

use crate::auth::brake::TabAdmission;
use crate::auth::context::Context;
use crate::auth::discovery::safe_url;
use crate::auth::login::attempt;
use crate::auth::login::attempt::{Attempt, PageOpened};
use crate::auth::login::browser;
use crate::blocking;
use crate::limits::REOPENING_PAUSE;
use crate::problem::Problem;
use crate::store::ProcessLock;

/// The poll interval while the page may not be reopened yet.
const REOPEN_POLL: Duration = Duration::from_millis(200);

/// How the user gets to the page of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageOpening {
    /// A browser opens automatically.
    Browser,
    /// The user opens the link.
    Link,
}

/// Opens the page of the sign-in with this number, for the first time or again.
pub(crate) async fn open(ctx: &Context, number: u64, link: &Url, _: TabAdmission) -> Result<(), Problem> {
    let (note, opened) = (attempt::opened(&ctx.files), PageOpened { number, at: milliseconds(ctx) });
    let to_open = link.clone();
    let open = move || {
        // Beforehand: a user who asks from now on may have seen and closed this one.
        if let Err(problem) = note.write(&opened) {
            tracing::debug!(%problem, "the note that the page is open could not be written");
        }
        browser::open(&to_open)
    };
    blocking::run(open).await
}

/// Opens the page of the sign-in that is under way, for a user who asks for it: it may have been closed. Many who ask at
/// once, in whatever processes, get one page. `runs_here` says whether this process is at the sign-in.
pub(crate) async fn open_again(ctx: &Context, runs_here: impl Fn() -> bool) -> Result<(), Problem> {
    let requested_at = milliseconds(ctx);
    while runs_here() || is_held(ctx).await {
        if let Some(done) = open_again_once(ctx, requested_at).await {
            return done;
        }
        tokio::time::sleep(REOPEN_POLL).await;
    }
    Ok(())
}

async fn is_held(ctx: &Context) -> bool {
    let files = ctx.files.clone();
    blocking::run(move || files.login_is_under_way().unwrap_or(false)).await
}

/// `None`: not yet.
async fn open_again_once(ctx: &Context, requested_at: u64) -> Option<Result<(), Problem>> {
    // A process that holds it opens the page at this moment.
    let files = ctx.files.clone();
    let read = move || {
        let turn = ProcessLock::try_acquire(&files.page_lock()).ok()??;
        let attempt: Attempt = attempt::note(&files).read()?;
        Some((turn, attempt, attempt::opened(&files).read::<PageOpened>()))
    };
    let (_turn, attempt, last) = blocking::run(read).await?;
    let link = safe_url::check(attempt.link.as_deref().filter(|_| attempt.ended.is_none())?).ok()?;
    match last.filter(|last| last.number == attempt.number) {
        Some(last) if last.at >= requested_at => return Some(Ok(())),
        Some(last) if milliseconds(ctx).saturating_sub(last.at) < REOPENING_PAUSE.as_millis() as u64 => return None,
        None if attempt.opens => return None,
        Some(_) | None => {}
    }
    let admission = match ctx.brake.admit_tab().await {
        Ok(admission) => admission,
        Err(problem) => return Some(Err(problem.with("link", &link))),
    };
    tracing::info!("the page of the sign-in that is under way is opened again");
    Some(open(ctx, attempt.number, &link, admission).await)
}

fn milliseconds(ctx: &Context) -> u64 {
    let since = ctx.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

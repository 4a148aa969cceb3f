//! Joins another process's sign-in: waits for its end as if it were our own, reopens its page, and hands it a pasted
//! address.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use url::Url;

use crate::auth::bearer::tokens::Tokens;
use crate::auth::context::Context;
use crate::auth::coordination::observed::Observed;
use crate::auth::grants::grant::GrantSummary;
use crate::auth::login::attempt::Attempt;
use crate::auth::login::code_flow::pasted_query;
use crate::auth::login::sign_in_page;
use crate::auth::login::ui::{LoginEvent, LoginOptions, LoginUi, pasted_line};
use crate::config::safe_url;
use crate::problem::{Problem, ProblemId};
use crate::store::LockError;

/// The poll interval for the record of the sign-in.
const SIGN_IN_RECORD_POLL: Duration = Duration::from_millis(200);
/// How long the process that waits for a pasted address may take to accept it.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(5);
/// A sign-in without a page after this many seconds has none: it uses the device flow.
const NO_LINK_SECONDS: u64 = 2;

/// Waits for the end of another process's sign-in. `None` if it does not serve this process, or its process was killed,
/// so that this process has to sign in.
pub(crate) async fn join(
    tokens: &Tokens,
    options: &mut LoginOptions,
    ui: &mut dyn LoginUi,
) -> Result<Option<GrantSummary>, Problem> {
    let ctx = &*tokens.ctx;
    let mut page = std::pin::pin!(sign_in_page::open_again(ctx, || false));
    let mut opens = options.open_browser;
    let mut shown = false;
    let mut observed = Observed::now(ctx).await;
    let mut awaited = Attempt::awaited(observed.attempt.as_ref());
    while observed.is_locked? {
        if let Some(problem) = observed.attempt.as_ref().and_then(|attempt| overdue(ctx, attempt)) {
            return Err(problem);
        }
        let attempt = observed.attempt.filter(|attempt| attempt.ended.is_none());
        if let Some(attempt) = &attempt {
            awaited = attempt.number;
            let has_none = ctx.now().saturating_sub(attempt.started) > NO_LINK_SECONDS;
            if !shown && (attempt.link.is_some() || has_none) {
                shown = true;
                let within = Duration::from_secs(attempt.ends.saturating_sub(ctx.now()));
                ui.event(LoginEvent::Joined { link: attempt.link.as_deref(), within });
            }
        }
        tokio::select! {
            line = pasted_line(&mut options.paste) => {
                if let Err(problem) = hand_over(&line, attempt.unwrap_or_default()).await {
                    ui.event(LoginEvent::PasteRejected(&ctx.explain(problem)));
                }
            }
            opened = &mut page, if opens => {
                opens = false;
                if let Err(problem) = opened {
                    ui.event(LoginEvent::BrowserNotOpened(&ctx.explain(problem)));
                }
            }
            () = tokio::time::sleep(SIGN_IN_RECORD_POLL) => {}
        }
        observed = Observed::now(ctx).await;
    }
    match observed.attempt {
        Some(Attempt { failure: Some(failure), number, .. }) if number >= awaited => Err(failure.into()),
        Some(Attempt { ended: Some(_), number, .. }) if number >= awaited => {
            tokens.cache.reload().await?;
            Ok(tokens.cache.usable().map(|current| GrantSummary::from(&*current.grant)))
        }
        _ => Ok(None),
    }
}

/// The problem of a sign-in that is past its deadline.
pub(crate) fn overdue(ctx: &Context, attempt: &Attempt) -> Option<Problem> {
    let now = ctx.now();
    attempt.is_overdue(now).then(|| {
        let path = ctx.files.login_lock();
        let after = Duration::from_secs(now.saturating_sub(attempt.started));
        Problem::from(LockError::Held { path, purpose: "a sign-in", after }).with("process", attempt.process)
    })
}

/// Hands a pasted address to the waiting process, as a browser would.
async fn hand_over(line: &str, attempt: Attempt) -> Result<(), Problem> {
    let unusable = || {
        let detail = "the sign-in that is under way waits for no address";
        Problem::new(ProblemId::PastedUrlInvalid).with("detail", detail)
    };
    let (Some(link), Some(redirect_url)) = (attempt.link, attempt.redirect_url) else { return Err(unusable()) };
    let query = pasted_query(line, &link, &redirect_url)?;
    let mut target = Url::parse(&redirect_url).ok().filter(safe_url::is_loopback).ok_or_else(unusable)?;
    target.set_query(Some(query));
    let state = Url::parse(&link).ok().and_then(|link| state_of(&link));
    if state.is_none() || state_of(&target) != state {
        return Err(Problem::new(ProblemId::StateMismatch));
    }
    let sent = tokio::task::spawn_blocking(move || request(&target)).await;
    let sent = sent.unwrap_or_else(|error| Err(io::Error::other(error)));
    sent.map_err(|error| Problem::new(ProblemId::ListenFailed).with("place", &redirect_url).with("detail", error))
}

/// The `state`, if it occurs exactly once.
fn state_of(url: &Url) -> Option<String> {
    let mut states = url.query_pairs().filter(|(name, _)| name == "state");
    let state = states.next()?.1.into_owned();
    states.next().is_none().then_some(state)
}

/// Requests the redirect's page. Nobody reads its content: the record says how the sign-in ends.
fn request(target: &Url) -> io::Result<()> {
    let port = target.port_or_known_default().unwrap_or_default();
    let address = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, HAND_OVER_TIMEOUT)?;
    stream.set_write_timeout(Some(HAND_OVER_TIMEOUT))?;
    let (path, query) = (target.path(), target.query().unwrap_or_default());
    let host = target.host_str().unwrap_or_default();
    let head = zeroize::Zeroizing::new(format!("GET {path}?{query} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"));
    stream.write_all(head.as_bytes())?;
    // Keep the connection open: closed early, the request would not count. The thread ends with the process.
    std::thread::Builder::new().name("callback page".into()).spawn(move || {
        let _ = stream.take(1024 * 1024).read_to_end(&mut Vec::new());
    })?;
    Ok(())
}

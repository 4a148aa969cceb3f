//! What others do about a sign-in that is under way: wait for its end as if it were their own, open its page again, hand
//! it a pasted address, or end it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;
use url::Url;

use crate::auth::authorizer::Authorizer;
use crate::auth::discovery::safe_url;
use crate::auth::grants::grant::GrantSummary;
use crate::auth::login::attempt;
use crate::auth::login::attempt::{Opened, Pending};
use crate::auth::login::browser;
use crate::auth::login::code_flow::{pasted, pasted_query};
use crate::auth::login::flow::{LoginEvent, LoginOptions, LoginUi};
use crate::config::server;
use crate::problem::{Problem, ProblemId};
use crate::store::{LockError, ProcessLock};

/// How often it is looked how the sign-in goes.
const LOOK: Duration = Duration::from_millis(200);
/// A page that was opened so short a time ago is not opened again yet: nobody can have closed it and asked anew.
const JUST_OPENED: Duration = Duration::from_secs(3);
/// How long a sign-in may take to give up when it is asked to.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// How long the process that waits for a pasted address may take to accept it.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(5);

impl Authorizer {
    /// Waits for the end of the sign-in that another process is at. `None`: it brought nothing for this one, or its
    /// process was ended, so that it is this one's turn.
    pub(crate) async fn join(
        &self,
        options: &mut LoginOptions,
        ui: &mut dyn LoginUi,
    ) -> Result<Option<GrantSummary>, Problem> {
        let mut page = std::pin::pin!(self.open_page_again());
        let mut opens = options.open_browser;
        let mut shown = false;
        let mut awaited = Pending::awaited(self.record().as_ref());
        while self.files.login_is_under_way()? {
            if let Some(problem) = self.overdue() {
                return Err(problem);
            }
            let record = self.record().filter(|record| record.ended.is_none());
            if let Some(record) = &record {
                awaited = record.number;
                // Its first steps take a moment; with a code on another device there is never a link.
                let late = self.clock.unix_seconds().saturating_sub(record.started) > 2;
                if !shown && (record.link.is_some() || late) {
                    shown = true;
                    let left = record.ends.saturating_sub(self.clock.unix_seconds());
                    let within = Duration::from_secs(left);
                    ui.event(LoginEvent::Joined { link: record.link.as_deref(), within });
                }
            }
            tokio::select! {
                line = pasted(&mut options.paste) => {
                    if let Err(problem) = self.hand_on(&line, record.unwrap_or_default()).await {
                        ui.event(LoginEvent::PasteRejected(&self.explain(problem)));
                    }
                }
                opened = &mut page, if opens => {
                    opens = false;
                    if let Err(problem) = opened {
                        ui.event(LoginEvent::BrowserNotOpened(&self.explain(problem)));
                    }
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        match self.record() {
            Some(Pending { failure: Some(failure), number, .. }) if number >= awaited => Err(failure.into()),
            Some(Pending { ended: Some(_), number, .. }) if number >= awaited => {
                self.look_again().await?;
                let current = self.current().filter(|current| !current.dead);
                Ok(current.map(|current| GrantSummary::from(&*current.grant)))
            }
            _ => Ok(None),
        }
    }

    /// The problem of a sign-in that should have ended by itself, and has not.
    pub(crate) fn overdue(&self) -> Option<Problem> {
        let record = self.record()?;
        let now = self.clock.unix_seconds();
        record.is_overdue(now).then(|| {
            let path = self.files.login_lock();
            let after = Duration::from_secs(now.saturating_sub(record.started));
            Problem::from(LockError::Held { path, purpose: "a sign-in", after }).with("process", record.process)
        })
    }

    /// The record of the newest sign-in.
    pub(crate) fn record(&self) -> Option<Pending> {
        attempt::note(&self.files).read()
    }

    /// Opens the page of a sign-in for the first time, or again.
    pub(crate) async fn open_page(&self, number: u64, link: &Url) -> Result<(), Problem> {
        // Beforehand: who asks from now on may have seen and closed this one.
        if let Err(problem) = attempt::opened(&self.files).write(&Opened { number, at: self.milliseconds() }) {
            tracing::debug!(%problem, "other processes are not told that the page is open");
        }
        let to_open = link.clone();
        // Starting a browser may take a moment, which nothing else should notice.
        let opened = tokio::task::spawn_blocking(move || browser::open(&to_open)).await;
        opened.unwrap_or_else(|_| {
            Err(Problem::new(ProblemId::BrowserFailed).with("link", link).with("detail", "it broke down"))
        })
    }

    /// Opens the page of the sign-in that is under way, for a user who asks for it: it may have been closed. Many who ask
    /// at once, in whatever processes, get one page.
    pub(crate) async fn open_page_again(&self) -> Result<(), Problem> {
        let asked = self.milliseconds();
        while self.sign_in_is_under_way() {
            if let Some(done) = self.open_page_once(asked).await {
                return done;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// `None`: not yet.
    async fn open_page_once(&self, asked: u64) -> Option<Result<(), Problem>> {
        // Whoever holds it opens the page at this moment.
        let _turn = ProcessLock::try_acquire(&self.files.page_lock()).ok()??;
        let record = self.record().filter(|record| record.ended.is_none())?;
        let link = safe_url::check(record.link.as_deref()?).ok()?;
        let last: Option<Opened> = attempt::opened(&self.files).read();
        match last.filter(|last| last.number == record.number) {
            Some(last) if last.at >= asked => return Some(Ok(())),
            Some(last) if self.milliseconds().saturating_sub(last.at) < JUST_OPENED.as_millis() as u64 => return None,
            None if record.opens => return None,
            Some(_) | None => {}
        }
        tracing::info!("the page of the sign-in that is under way is opened again");
        Some(self.open_page(record.number, &link).await)
    }

    /// Hands a pasted address to the process that waits for it, in the way in which a browser would.
    async fn hand_on(&self, line: &str, record: Pending) -> Result<(), Problem> {
        let useless = || {
            let detail = "the sign-in that is under way waits for no address";
            Problem::new(ProblemId::PastedUrlInvalid).with("detail", detail)
        };
        let (Some(link), Some(redirect_url)) = (record.link, record.redirect_url) else { return Err(useless()) };
        let query = pasted_query(line, &link, &redirect_url)?;
        let mut target = Url::parse(&redirect_url).ok().filter(server::is_loopback).ok_or_else(useless)?;
        target.set_query(Some(query));
        let wanted = Url::parse(&link).ok().and_then(|link| state_of(&link));
        if wanted.is_none() || state_of(&target) != wanted {
            return Err(Problem::new(ProblemId::StateMismatch));
        }
        let asked = tokio::task::spawn_blocking(move || request(&target)).await;
        let asked = asked.unwrap_or_else(|error| Err(io::Error::other(error)));
        asked.map_err(|error| Problem::new(ProblemId::ListenFailed).with("place", &redirect_url).with("detail", error))
    }

    /// Ends the sign-in that another process is at, if there is one.
    ///
    /// # Errors
    /// When that process does not let go.
    pub async fn stop_sign_in(&self) -> Result<(), Problem> {
        let begun = Instant::now();
        while self.files.login_is_under_way()? {
            let record = self.record().unwrap_or_default();
            let stop = attempt::stop(&self.files);
            // Without a record it has only just begun; the record comes at once.
            stop.write(&record.number)?;
            match ProcessLock::acquire(&self.files.login_lock(), "a sign-in", LOOK).await {
                Ok(_) => stop.remove(),
                Err(LockError::Held { path, purpose, .. }) if begun.elapsed() > STOPS_WITHIN => {
                    let after = begun.elapsed();
                    let problem = Problem::from(LockError::Held { path, purpose, after });
                    return Err(self.explain(problem.with("process", record.process)));
                }
                Err(LockError::Held { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn milliseconds(&self) -> u64 {
        let since = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

/// `state`, where it stands exactly once.
fn state_of(url: &Url) -> Option<String> {
    let mut states = url.query_pairs().filter(|(name, _)| name == "state");
    let state = states.next()?.1.into_owned();
    states.next().is_none().then_some(state)
}

/// Asks for the page of a redirect. What it shows is for nobody: how the sign-in ends stands in its record.
fn request(target: &Url) -> io::Result<()> {
    let port = target.port_or_known_default().unwrap_or_default();
    let address = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, ACCEPTS_WITHIN)?;
    stream.set_write_timeout(Some(ACCEPTS_WITHIN))?;
    let (path, query) = (target.path(), target.query().unwrap_or_default());
    let host = target.host_str().unwrap_or_default();
    let head = zeroize::Zeroizing::new(format!("GET {path}?{query} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"));
    stream.write_all(head.as_bytes())?;
    // Closed early, the answer would not be read as one that was asked for. The thread ends with the process.
    std::thread::Builder::new().name("callback page".into()).spawn(move || {
        let _ = stream.take(1024 * 1024).read_to_end(&mut Vec::new());
    })?;
    Ok(())
}

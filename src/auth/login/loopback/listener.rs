//! The loopback listener (RFC 8252, 7.3) that receives the redirect: `tiny_http`, behind a [`Door`] that shields it
//! from requests it cannot handle.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response, Server};
use tokio::sync::mpsc;
use url::Url;

use crate::auth::login::authorization_request::{CallbackError, Expected, Rejection};
use crate::auth::login::loopback::door::Door;
use crate::auth::login::loopback::inside;
use crate::auth::login::loopback::page::Page;
use crate::auth::login::loopback::port_owner::{self, PortOwner};
use crate::config::{CallbackHost, CallbackSettings, Choice};
use crate::limits::CALLBACK_TARGET_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// How long the end of a sign-in waits for the browser to fetch its page.
const LAST_PAGE_TIMEOUT: Duration = Duration::from_secs(3);

/// How many ports are tried to find one that is free on both loopback addresses.
const MAX_PORT_TRIES: u32 = 8;

/// A bound port: the redirect URL is now ours.
#[derive(Debug)]
pub struct Callback {
    listeners: Vec<TcpListener>,
    authority: String,
}

/// A running listener; dropping it closes the port.
pub struct Serving {
    door: Option<Door>,
    shared: Arc<Shared>,
    server: Arc<Server>,
    _folder: inside::SocketFolder,
}

/// The authorization response.
pub struct Arrival {
    /// The code, or why there is none.
    pub outcome: Result<Secret, CallbackError>,
    /// Holds the browser until there is something true to show.
    pub browser: Browser,
}

/// A browser that is waiting for its page.
pub struct Browser {
    request: Option<Request>,
    command: String,
}

struct Shared {
    expected: Mutex<Expected>,
    authority: String,
    /// The command that starts a new sign-in, for the pages.
    command: String,
    /// Set by the first answer that belongs to this sign-in; later ones do not count.
    arrived: AtomicBool,
    arrivals: mpsc::UnboundedSender<Arrival>,
    closing: AtomicBool,
}

impl Callback {
    /// Binds exactly the configured port; no other is registered.
    pub fn bind(settings: &CallbackSettings) -> Result<Self, Problem> {
        let mut listeners = vec![listen(settings.host.address(), settings)?];
        listeners.extend(Self::bind_ipv6(settings)?);
        Ok(Self::on(listeners, settings))
    }

    /// Binds any free port and returns it, for a client that is about to be registered with it.
    pub fn bind_any(settings: &CallbackSettings) -> Result<(Self, CallbackSettings), Problem> {
        let mut last = None;
        for _ in 0..MAX_PORT_TRIES {
            let first = listen(settings.host.address(), &CallbackSettings { port: 0, ..settings.clone() })?;
            let port =
                first.local_addr().map_err(|error| Problem::new(ProblemId::ListenFailed).with("detail", error))?;
            let chosen = CallbackSettings { port: port.port(), ..settings.clone() };
            match Self::bind_ipv6(&chosen) {
                Ok(second) => return Ok((Self::on([first].into_iter().chain(second).collect(), &chosen), chosen)),
                Err(problem) => last = Some(problem),
            }
        }
        Err(last.unwrap_or_else(|| Problem::new(ProblemId::ListenFailed)))
    }

    /// Browsers may try ::1 first for `localhost`: if another program holds it, that program would get the code.
    /// Without IPv6, nobody can.
    fn bind_ipv6(settings: &CallbackSettings) -> Result<Option<TcpListener>, Problem> {
        if settings.host != CallbackHost::Localhost {
            return Ok(None);
        }
        match listen(IpAddr::V6(Ipv6Addr::LOCALHOST), settings) {
            Ok(listener) => Ok(Some(listener)),
            Err(problem) if problem.id == ProblemId::PortInUse => Err(problem),
            Err(problem) => {
                tracing::debug!(%problem, "no IPv6 loopback");
                Ok(None)
            }
        }
    }

    fn on(listeners: Vec<TcpListener>, settings: &CallbackSettings) -> Self {
        Self { listeners, authority: format!("{}:{}", settings.host.as_str(), settings.port) }
    }

    /// Starts answering; the receiver gets the one response that belongs to the sign-in. `command` starts a new
    /// sign-in.
    pub fn serve(
        self,
        expected: Expected,
        command: String,
    ) -> Result<(Serving, mpsc::UnboundedReceiver<Arrival>), Problem> {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            expected: Mutex::new(expected),
            authority: self.authority.clone(),
            command,
            arrived: AtomicBool::new(false),
            arrivals,
            closing: AtomicBool::new(false),
        });
        let failed = |error: io::Error| {
            Problem::new(ProblemId::ListenFailed).with("place", &self.authority).with("detail", error)
        };
        let (server, connect, folder) = inside::server().map_err(failed)?;
        let server = Arc::new(server);
        let answering = (Arc::clone(&shared), Arc::clone(&server));
        thread::Builder::new()
            .name("callback".into())
            .spawn(move || answering.0.answer(&answering.1))
            .map_err(failed)?;
        let door = Door::open(self.listeners, connect).map_err(failed)?;
        Ok((Serving { door: Some(door), shared, server, _folder: folder }, receiver))
    }
}

fn listen(address: IpAddr, settings: &CallbackSettings) -> Result<TcpListener, Problem> {
    let address = SocketAddr::new(address, settings.port);
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            let problem = Problem::new(ProblemId::PortInUse).with("port", settings.port);
            match port_owner::of(settings.port) {
                Some(PortOwner { words, own_process: Some(process) }) => {
                    problem.with("owner", words).with("process", process)
                }
                Some(PortOwner { words, own_process: None }) => problem.with("owner", words),
                None => problem,
            }
        }
        _ => Problem::new(ProblemId::ListenFailed).with("place", address).with("detail", error),
    })
}

impl Serving {
    /// Expects the response to another request of the same sign-in from now on, and no other.
    pub fn expect(&self, expected: Expected) {
        *self.shared.expected.lock().unwrap_or_else(PoisonError::into_inner) = expected;
        self.shared.arrived.store(false, Ordering::SeqCst);
    }

    /// Closes the port, and waits briefly for the browser to fetch its page: the process may exit right after.
    pub async fn finish(mut self) {
        if let Some(door) = self.door.take() {
            let _ = tokio::task::spawn_blocking(move || door.close(LAST_PAGE_TIMEOUT)).await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.server.unblock();
    }
}

impl Shared {
    /// Answers requests until the sign-in is over.
    fn answer(&self, server: &Server) {
        while !self.closing.load(Ordering::SeqCst) {
            match server.recv() {
                Ok(request) => self.take(request),
                Err(error) => tracing::debug!(%error, "the callback server stops"),
            }
        }
        while let Ok(Some(request)) = server.try_recv() {
            show(request, &Page::already());
        }
    }

    /// Handles one request.
    fn take(&self, request: Request) {
        let outcome = match self.judge(&request) {
            Ok(outcome) => outcome,
            Err(page) => return show(request, &page),
        };
        if self.arrived.swap(true, Ordering::SeqCst) {
            return show(request, &Page::already());
        }
        // If the receiver is gone, `Browser`'s `Drop` answers.
        let browser = Browser { request: Some(request), command: self.command.clone() };
        let _ = self.arrivals.send(Arrival { outcome, browser });
    }

    /// The outcome when the request is the answer to the sign-in, else the page that it gets.
    fn judge(&self, request: &Request) -> Result<Result<Secret, CallbackError>, Page> {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let target = request.url();
        if target.len() > CALLBACK_TARGET_BYTES {
            return Err(Page::elsewhere(414));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != expected.path {
            return Err(Page::elsewhere(404));
        }
        if *request.method() != Method::Get {
            return Err(Page::elsewhere(405));
        }
        // After DNS rebinding, a foreign page's requests name its own host here.
        let mut hosts = request.headers().iter().filter(|header| header.field.equiv("Host"));
        if !hosts.next().is_some_and(|host| host.value.as_str().eq_ignore_ascii_case(&self.authority))
            || hosts.next().is_some()
        {
            return Err(Page::elsewhere(421));
        }
        if has_body(request) {
            return Err(Page::elsewhere(400));
        }
        match expected.code(query) {
            Ok(code) => Ok(Ok(code)),
            Err(Rejection::Final(error)) => Ok(Err(error)),
            Err(Rejection::Foreign | Rejection::Empty) if self.arrived.load(Ordering::SeqCst) => Err(Page::already()),
            Err(Rejection::Empty) => Err(Page::foreign(&Problem::new(ProblemId::CallbackEmpty))),
            Err(Rejection::Foreign) => {
                Err(Page::foreign(&Problem::new(ProblemId::StateMismatch).with("command", &self.command)))
            }
        }
    }
}

impl Browser {
    /// Sends it on to the authorization server with another request.
    pub fn go_on(mut self, link: &Url) {
        let Some(request) = self.request.take() else { return };
        let mut response = Response::empty(303);
        for (name, value) in [
            ("Location", link.as_str()),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("Connection", "close"),
        ] {
            if let Ok(header) = Header::from_bytes(name, value) {
                response.add_header(header);
            }
        }
        if let Err(error) = request.respond(response) {
            tracing::debug!(%error, "the browser was not sent on");
        }
    }

    /// Shows the page.
    pub fn show(mut self, page: Page) {
        if let Some(request) = self.request.take() {
            show(request, &page);
        }
    }
}

impl Drop for Browser {
    /// The sign-in was abandoned while the browser waited.
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            let problem = Problem::new(ProblemId::SignInProcessFailed).with("command", &self.command);
            show(request, &Page::failed(&problem));
        }
    }
}

fn has_body(request: &Request) -> bool {
    request.body_length().unwrap_or(0) > 0
        || request.headers().iter().any(|h| h.field.equiv("Transfer-Encoding") || h.field.equiv("Upgrade"))
}

fn show(request: Request, page: &Page) {
    if let Err(error) = request.respond(response(page)) {
        tracing::debug!(%error, "a callback page was not sent");
    }
}

fn response(page: &Page) -> Response<io::Cursor<Vec<u8>>> {
    let nonce = oauth2::CsrfToken::new_random_len(16).into_secret();
    let mut response = Response::from_data(page.html(&nonce).into_bytes()).with_status_code(page.status);
    let policy = Page::policy(&nonce);
    let headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", policy.as_str()),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Connection", "close"),
    ];
    for (name, value) in headers {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}

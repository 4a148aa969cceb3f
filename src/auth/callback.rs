//! The loopback listener (RFC 8252, 7.3) that the browser is sent back to, on `tiny_http`.
//!
//! `tiny_http` has no time-outs, ends its accept loop on the first error of `accept`, and may panic in its own threads
//! when a peer resets early. So the listening socket is ours: it carries a receive time-out that accepted connections
//! inherit, and whenever an accept loop has ended, or may have, another server takes over on the same socket while the
//! requests that the earlier one has already read are still answered.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tiny_http::{Header, Method, Request, Response, Server};
use tokio::sync::{mpsc, oneshot};

use super::authorize::{Expected, Rejection};
use super::page::Page;
use crate::config::{CallbackHost, CallbackSettings};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// How long a connection may stay silent: a browser opens some in advance and uses them later, or never.
const SILENCE: Duration = Duration::from_secs(10);
/// How long the end of a sign-in waits for the browser to take its last page.
const LAST_PAGE: Duration = Duration::from_secs(2);
/// A redirect URL is far shorter; browsers end at some such length themselves.
const LONGEST_TARGET: usize = 16 * 1024;

/// A bound port: from here on the redirect URL is ours.
#[derive(Debug)]
pub struct Callback {
    listeners: Vec<TcpListener>,
    authority: String,
    path: &'static str,
}

/// A listener at work; dropping it closes the port.
pub struct Serving {
    shared: Arc<Shared>,
}

/// The answer to the sign-in.
pub struct Arrival {
    /// The code, or why there is none.
    pub outcome: Result<Secret, Problem>,
    /// Holds the browser until there is something true to show.
    pub browser: Browser,
}

/// A browser that waits for its page.
pub struct Browser(Option<Request>);

struct Shared {
    expected: Expected,
    authority: String,
    path: &'static str,
    /// Set by the one answer that counts.
    arrived: AtomicBool,
    arrivals: mpsc::UnboundedSender<Arrival>,
    closing: AtomicBool,
    servers: Mutex<Vec<Arc<Server>>>,
}

impl Callback {
    /// Binds exactly the configured port; another one would not be registered.
    pub fn bind(settings: &CallbackSettings) -> Result<Self, Problem> {
        let mut listeners = vec![listen(settings.host.address(), settings)?];
        if settings.host == CallbackHost::Localhost {
            // Browsers may try ::1 first. Held by somebody else, it would get the code; absent, nobody can.
            match listen(IpAddr::V6(Ipv6Addr::LOCALHOST), settings) {
                Ok(listener) => listeners.push(listener),
                Err(problem) if problem.id == ProblemId::PortInUse => return Err(problem),
                Err(problem) => tracing::debug!(%problem, "no IPv6 loopback"),
            }
        }
        Ok(Self { listeners, authority: format!("{}:{}", settings.host.as_str(), settings.port), path: "/callback" })
    }

    /// Begins to answer; the receiver gets the one answer that belongs to the sign-in.
    pub fn serve(self, expected: Expected) -> Result<(Serving, mpsc::UnboundedReceiver<Arrival>), Problem> {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            expected,
            authority: self.authority,
            path: self.path,
            arrived: AtomicBool::new(false),
            arrivals,
            closing: AtomicBool::new(false),
            servers: Mutex::default(),
        });
        let serving = Serving { shared: Arc::clone(&shared) };
        for listener in self.listeners {
            let place = listener.local_addr().map_or_else(|_| shared.authority.clone(), |a| a.to_string());
            shared
                .start(listener)
                .map_err(|error| Problem::new(ProblemId::ListenFailed).with("place", place).with("detail", error))?;
        }
        Ok((serving, receiver))
    }
}

fn listen(address: IpAddr, settings: &CallbackSettings) -> Result<TcpListener, Problem> {
    let address = SocketAddr::new(address, settings.port);
    let listener = TcpListener::bind(address).and_then(|listener| bound_silence(&listener).map(|()| listener));
    listener.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Problem::new(ProblemId::PortInUse).with("port", settings.port),
        _ => Problem::new(ProblemId::ListenFailed).with("place", address).with("detail", error),
    })
}

/// Accepted connections inherit the time-out; `accept` itself then ends after it, too, and another server takes over.
#[cfg(unix)]
fn bound_silence(listener: &TcpListener) -> io::Result<()> {
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    set_socket_timeout(listener, Timeout::Recv, Some(SILENCE))?;
    set_socket_timeout(listener, Timeout::Send, Some(SILENCE))?;
    Ok(())
}

#[cfg(not(unix))]
fn bound_silence(_listener: &TcpListener) -> io::Result<()> {
    Ok(())
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for server in self.shared.servers().drain(..) {
            server.unblock();
        }
    }
}

impl Shared {
    fn servers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Server>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a server on the socket and the thread that reads from it.
    fn start(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let server = Arc::new(Server::from_listener(listener.try_clone()?, None).map_err(io::Error::other)?);
        self.servers().push(Arc::clone(&server));
        let shared = Arc::clone(self);
        thread::Builder::new().name("callback".into()).spawn(move || shared.pump(&server, listener))?;
        Ok(())
    }

    /// Reads requests until the sign-in is over; when accepting has ended, starts a successor and reads on.
    fn pump(self: Arc<Self>, server: &Arc<Server>, listener: TcpListener) {
        let mut socket = Some(listener);
        let mut last = Instant::now();
        while !self.closing.load(Ordering::SeqCst) {
            let received = server.recv_timeout(SILENCE);
            let accepting_ended = match received {
                Ok(Some(request)) => {
                    last = Instant::now();
                    self.take(request);
                    false
                }
                // Its accept thread reports its end, unless it panicked; so silence counts as an end as well.
                Ok(None) => last.elapsed() > SILENCE * 2,
                Err(_) => true,
            };
            if accepting_ended {
                match socket.take() {
                    Some(socket_for_next) => {
                        if let Err(error) = self.succeed(&socket_for_next) {
                            tracing::debug!(%error, "no callback server for now");
                            socket = Some(socket_for_next);
                            thread::sleep(Duration::from_millis(100));
                        }
                    }
                    // A successor is at work, and everything that this one had read is answered.
                    None if last.elapsed() > SILENCE * 2 => break,
                    None => {}
                }
            }
        }
        self.servers().retain(|other| !Arc::ptr_eq(other, server));
        while let Ok(Some(request)) = server.try_recv() {
            later(request, Page::already());
        }
    }

    /// Out of file descriptors, `accept` fails at once: without a pause this would be a busy loop.
    fn succeed(self: &Arc<Self>, socket: &TcpListener) -> io::Result<()> {
        thread::sleep(Duration::from_millis(20));
        self.start(socket.try_clone()?)
    }

    /// Decides about one request.
    fn take(&self, request: Request) {
        let verdict = self.judge(&request);
        let outcome = match verdict {
            Ok(outcome) => outcome,
            Err(page) => return later(request, page),
        };
        if self.arrived.swap(true, Ordering::SeqCst) {
            return later(request, Page::already());
        }
        // When nobody listens any more the browser's `Drop` answers.
        let _ = self.arrivals.send(Arrival { outcome, browser: Browser(Some(request)) });
    }

    /// The outcome when the request is the answer to the sign-in, else the page that it gets.
    fn judge(&self, request: &Request) -> Result<Result<Secret, Problem>, Page> {
        let target = request.url();
        if target.len() > LONGEST_TARGET {
            return Err(Page::elsewhere(414));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != self.path {
            return Err(Page::elsewhere(404));
        }
        if *request.method() != Method::Get {
            return Err(Page::elsewhere(405));
        }
        // A page of another site that made the browser resolve its name to this machine names that site (DNS rebinding).
        let mut hosts = request.headers().iter().filter(|header| header.field.equiv("Host"));
        if !hosts.next().is_some_and(|host| host.value.as_str().eq_ignore_ascii_case(&self.authority))
            || hosts.next().is_some()
        {
            return Err(Page::elsewhere(421));
        }
        if has_body(request) {
            return Err(Page::elsewhere(400));
        }
        match self.expected.code(query) {
            Ok(code) => Ok(Ok(code)),
            Err(Rejection::Final(problem)) => Ok(Err(problem)),
            Err(Rejection::Foreign) if self.arrived.load(Ordering::SeqCst) => Err(Page::already()),
            Err(Rejection::Foreign) => Err(Page::foreign(&Problem::new(ProblemId::StateMismatch))),
        }
    }
}

impl Browser {
    /// Shows the page.
    ///
    /// Returns when the page is written, or cannot be in this time: the process may end right after it.
    pub async fn show(mut self, page: Page) {
        let Some(request) = self.0.take() else { return };
        let (written, is_written) = oneshot::channel();
        respond(request, page, Some(written));
        if tokio::time::timeout(LAST_PAGE, is_written).await.is_err() {
            tracing::debug!("the browser took too long to take the last page");
        }
    }
}

impl Drop for Browser {
    /// The sign-in went away while the browser waited.
    fn drop(&mut self) {
        if let Some(request) = self.0.take() {
            later(request, Page::failed(&Problem::new(ProblemId::SignInProcessFailed)));
        }
    }
}

fn has_body(request: &Request) -> bool {
    request.body_length().unwrap_or(0) > 0
        || request.headers().iter().any(|h| h.field.equiv("Transfer-Encoding") || h.field.equiv("Upgrade"))
}

/// Answers on a thread of its own: writing, and reading the rest of a body, waits for the peer.
fn later(request: Request, page: Page) {
    respond(request, page, None);
}

fn respond(request: Request, page: Page, written: Option<oneshot::Sender<()>>) {
    let answer = move || {
        let _ = request.respond(response(&page));
        if let Some(written) = written {
            let _ = written.send(());
        }
    };
    if let Err(error) = thread::Builder::new().name("callback page".into()).spawn(answer) {
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

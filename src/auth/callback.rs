//! The loopback listener (RFC 8252, 7.3) that the browser is sent back to: `tiny_http`, behind a [`Door`] that keeps from
//! it what it cannot bear.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response, Server};
use tokio::sync::mpsc;

use super::authorize::{Expected, Rejection};
use super::door::Door;
use super::page::Page;
use crate::config::{CallbackHost, CallbackSettings};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// A redirect URL is far shorter; browsers end at some such length themselves.
const LONGEST_TARGET: usize = 16 * 1024;
/// How long the end of a sign-in waits for the browser to take its page.
const LAST_PAGE: Duration = Duration::from_secs(3);

/// A bound port: from here on the redirect URL is ours.
#[derive(Debug)]
pub struct Callback {
    listeners: Vec<TcpListener>,
    authority: String,
}

/// A listener at work; dropping it closes the port.
pub struct Serving {
    door: Option<Door>,
    shared: Arc<Shared>,
    server: Arc<Server>,
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
    /// Set by the one answer that counts.
    arrived: AtomicBool,
    arrivals: mpsc::UnboundedSender<Arrival>,
    closing: AtomicBool,
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
        Ok(Self { listeners, authority: format!("{}:{}", settings.host.as_str(), settings.port) })
    }

    /// Begins to answer; the receiver gets the one answer that belongs to the sign-in.
    pub fn serve(self, expected: Expected) -> Result<(Serving, mpsc::UnboundedReceiver<Arrival>), Problem> {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            expected,
            authority: self.authority.clone(),
            arrived: AtomicBool::new(false),
            arrivals,
            closing: AtomicBool::new(false),
        });
        let failed = |error: io::Error| {
            Problem::new(ProblemId::ListenFailed).with("place", &self.authority).with("detail", error)
        };
        let (server, inside) = inside::server().map_err(failed)?;
        let server = Arc::new(server);
        let answering = (Arc::clone(&shared), Arc::clone(&server));
        thread::Builder::new()
            .name("callback".into())
            .spawn(move || answering.0.answer(&answering.1))
            .map_err(failed)?;
        let door = Door::open(self.listeners, inside).map_err(failed)?;
        Ok((Serving { door: Some(door), shared, server }, receiver))
    }
}

fn listen(address: IpAddr, settings: &CallbackSettings) -> Result<TcpListener, Problem> {
    let address = SocketAddr::new(address, settings.port);
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Problem::new(ProblemId::PortInUse).with("port", settings.port),
        _ => Problem::new(ProblemId::ListenFailed).with("place", address).with("detail", error),
    })
}

impl Serving {
    /// Closes the port, and waits a moment for the browser to have its page: the process may end right after.
    pub async fn finish(mut self) {
        if let Some(door) = self.door.take() {
            let _ = tokio::task::spawn_blocking(move || door.close(LAST_PAGE)).await;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.server.unblock();
    }
}

/// The private way from the door to `tiny_http`.
mod inside {
    use std::io;
    use std::time::Duration;

    use tiny_http::Server;

    use super::super::door::{Inside, Line};

    /// A socket in a folder that only this user can enter.
    #[cfg(unix)]
    pub fn server() -> io::Result<(Server, Inside)> {
        use std::os::unix::fs::DirBuilderExt;
        use std::os::unix::net::{UnixListener, UnixStream};

        let name = oauth2::CsrfToken::new_random_len(12).into_secret();
        let folder = std::env::temp_dir().join(format!("planhat-mcp-{name}"));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let path = folder.join("s");
        let listener = UnixListener::bind(&path);
        let made = listener.and_then(|listener| {
            // Connections need the name as long as the door is open; the folder goes with it.
            let guard = Folder(folder.clone());
            let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
            let inside: Inside = Box::new(move || {
                let _ = &guard;
                Ok(Box::new(UnixStream::connect(&path)?) as Box<dyn Line>)
            });
            Ok((server, inside))
        });
        made.inspect_err(|_| drop(Folder(folder)))
    }

    #[cfg(unix)]
    struct Folder(std::path::PathBuf);

    #[cfg(unix)]
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[cfg(unix)]
    impl Line for std::os::unix::net::UnixStream {
        fn all_said(&self, answer_within: Duration) -> io::Result<()> {
            self.set_read_timeout(Some(answer_within))?;
            self.shutdown(std::net::Shutdown::Write)
        }
    }

    /// Another loopback port, which nobody is told.
    #[cfg(not(unix))]
    pub fn server() -> io::Result<(Server, Inside)> {
        use std::net::{Ipv4Addr, TcpListener, TcpStream};

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
        Ok((server, Box::new(move || Ok(Box::new(TcpStream::connect(address)?) as Box<dyn Line>))))
    }

    #[cfg(not(unix))]
    impl Line for std::net::TcpStream {
        fn all_said(&self, answer_within: Duration) -> io::Result<()> {
            self.set_read_timeout(Some(answer_within))?;
            self.shutdown(std::net::Shutdown::Write)
        }
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

    /// Decides about one request.
    fn take(&self, request: Request) {
        let outcome = match self.judge(&request) {
            Ok(outcome) => outcome,
            Err(page) => return show(request, &page),
        };
        if self.arrived.swap(true, Ordering::SeqCst) {
            return show(request, &Page::already());
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
        if path != "/callback" {
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
    pub fn show(mut self, page: Page) {
        if let Some(request) = self.0.take() {
            show(request, &page);
        }
    }
}

impl Drop for Browser {
    /// The sign-in went away while the browser waited.
    fn drop(&mut self) {
        if let Some(request) = self.0.take() {
            show(request, &Page::failed(&Problem::new(ProblemId::SignInProcessFailed)));
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::time::Instant;

    use super::super::door::{LARGEST_HEAD, MOST_WAITING};
    use super::*;

    /// A listener on a free port, and what its one answer looks like.
    struct Listening {
        port: u16,
        serving: Serving,
        arrivals: mpsc::UnboundedReceiver<Arrival>,
    }

    impl Listening {
        fn start() -> Self {
            let port = super::super::testing::free_port();
            let settings = CallbackSettings { host: CallbackHost::Ipv4, port };
            let expected = Expected { state: "s3cret".into(), issuer: "https://as".into(), iss_required: false };
            let (serving, arrivals) = Callback::bind(&settings).unwrap().serve(expected).unwrap();
            Self { port, serving, arrivals }
        }

        fn connect(&self) -> TcpStream {
            let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        }

        fn genuine(&self) -> String {
            let port = self.port;
            format!("GET /callback?code=c0de&state=s3cret HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
        }

        /// The true answer still arrives, promptly, and gets its page.
        async fn still_works(mut self) {
            let began = Instant::now();
            let mut browser = self.connect();
            browser.write_all(self.genuine().as_bytes()).unwrap();
            let arrival = tokio::time::timeout(Duration::from_secs(5), self.arrivals.recv()).await.unwrap().unwrap();
            assert_eq!(arrival.outcome.unwrap().expose(), "c0de");
            arrival.browser.show(Page::signed_in("Planhat"));
            self.serving.finish().await;
            let mut page = String::new();
            browser.read_to_string(&mut page).unwrap();
            assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("</html>"), "{page}");
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
            // The port is free again at once.
            TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        }
    }

    /// Closes with a reset instead of an end.
    fn reset(stream: TcpStream) {
        #[cfg(unix)]
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        drop(stream);
    }

    #[tokio::test]
    async fn two_hundred_half_open_connections_do_not_stall_the_sign_in() {
        let listening = Listening::start();
        let half_open: Vec<TcpStream> = (0..200)
            .map(|i| {
                let mut stream = listening.connect();
                if i % 2 == 0 {
                    let _ = stream.write_all(b"GET /callback?code=x&state=s3cret HTTP/1.1\r\nHost: ");
                }
                stream
            })
            .collect();
        listening.still_works().await;
        drop(half_open);
    }

    #[tokio::test]
    async fn a_connection_opened_in_advance_may_be_used_later_or_never() {
        let mut listening = Listening::start();
        let _never = listening.connect();
        let mut later = listening.connect();
        let foreign = "GET /favicon.ico HTTP/1.1\r\n\r\n";
        let mut other = listening.connect();
        other.write_all(foreign.as_bytes()).unwrap();
        let mut page = String::new();
        other.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 404"));
        // In pieces, as a slow peer sends them.
        for piece in listening.genuine().as_bytes().chunks(7) {
            later.write_all(piece).unwrap();
        }
        assert!(listening.arrivals.recv().await.unwrap().outcome.is_ok());
    }

    #[tokio::test]
    async fn resets_at_any_moment_do_not_end_the_sign_in() {
        let listening = Listening::start();
        let whole = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
        for cut in 0..=whole.len() {
            let mut stream = listening.connect();
            let _ = stream.write_all(&whole.as_bytes()[..cut]);
            reset(stream);
        }
        for _ in 0..100 {
            reset(listening.connect());
        }
        listening.still_works().await;
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut_off_at_its_bound() {
        let listening = Listening::start();
        let mut stream = listening.connect();
        let mut sent = 0;
        let chunk = [b'x'; 16 * 1024];
        // Far more than the bound and all buffers on the way; the listener stops reading and closes.
        while sent < 64 * 1024 * 1024 && stream.write_all(&chunk).is_ok() {
            sent += chunk.len();
        }
        assert!(sent < 32 * 1024 * 1024, "{sent} bytes were taken");
        assert!(sent >= LARGEST_HEAD);
        listening.still_works().await;
    }

    #[tokio::test]
    async fn requests_in_a_row_and_nonsense_get_one_answer_each_and_no_more() {
        let listening = Listening::start();
        for nonsense in [
            "GET /x HTTP/1.1\r\n\r\n".repeat(500),
            "\r\n\r\n".to_owned(),
            "GET\r\n\r\n".to_owned(),
            "\u{16}\u{3}\u{1}hello\r\n\r\n".to_owned(),
            "GET /callback HTTP/9.9\r\n\r\n".to_owned(),
            "GET /ü HTTP/1.1\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(),
            "GET / HTTP/1.1\r\nExpect: everything\r\n\r\n".to_owned(),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
            "OPTIONS * HTTP/1.1\r\n\r\n".to_owned(),
            "CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n".to_owned(),
            "GET http://127.0.0.1/callback HTTP/1.1\r\n\r\n".to_owned(),
        ] {
            let mut stream = listening.connect();
            let _ = stream.write_all(nonsense.as_bytes());
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{nonsense:.40}: {answer:.200}");
            assert!(["400", "404", "405", "417", "505"].iter().any(|status| answer.contains(status)), "{answer:.200}");
        }
        listening.still_works().await;
    }

    #[tokio::test]
    async fn the_oldest_silent_connection_makes_room_for_a_new_one() {
        let listening = Listening::start();
        let mut oldest = listening.connect();
        let others: Vec<TcpStream> = (0..MOST_WAITING).map(|_| listening.connect()).collect();
        // Nothing was sent and nothing comes: only its end.
        assert_eq!(oldest.read(&mut [0; 1]).unwrap(), 0);
        listening.still_works().await;
        drop(others);
    }

    #[tokio::test]
    async fn a_sign_in_that_goes_away_leaves_no_browser_waiting_and_no_port_bound() {
        let mut listening = Listening::start();
        let mut browser = listening.connect();
        browser.write_all(listening.genuine().as_bytes()).unwrap();
        let arrival = listening.arrivals.recv().await.unwrap();
        let port = listening.port;
        drop(listening);
        drop(arrival);
        let mut page = String::new();
        browser.read_to_string(&mut page).unwrap();
        assert!(page.starts_with("HTTP/1.1 400"), "{page}");
        while TcpListener::bind(("127.0.0.1", port)).is_err() {
            tokio::task::yield_now().await;
        }
    }
}

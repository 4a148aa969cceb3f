//! The loopback listener against peers that stall, reset, flood and talk nonsense.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use super::*;
use crate::auth::login::authorization_request::Expected;
use crate::auth::login::loopback::listener::{Arrival, Callback, Serving};
use crate::auth::login::loopback::page::Page;
use crate::limits::{CALLBACK_HEAD_BYTES, MAX_INCOMPLETE_HEADS};
use crate::secret::Secrets;

/// A listener on a free port, and what its one answer looks like.
struct Listening {
    port: u16,
    serving: Serving,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

impl Listening {
    fn start() -> Self {
        let settings = CallbackSettings { host: CallbackHost::Ipv4, port: 0, free: true, path: "/callback".into() };
        let (callback, CallbackSettings { port, .. }) = Callback::bind_any(&settings).unwrap();
        let expected = Expected {
            state: "s3cret".into(),
            issuer: "https://as".into(),
            is_pinned: false,
            iss_required: false,
            path: "/callback".into(),
            secrets: Secrets::none(),
        };
        let (serving, arrivals) = callback.serve(expected, "planhat-mcp login".into()).unwrap();
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
        arrival.browser.show(Page::signed_in("Planhat", None));
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
    assert!(sent >= CALLBACK_HEAD_BYTES);
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
    let others: Vec<TcpStream> = (0..MAX_INCOMPLETE_HEADS).map(|_| listening.connect()).collect();
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

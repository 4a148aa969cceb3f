//! The door of the loopback listener: admits only small, complete requests, one per connection.
//!
//! `tiny_http` has no time-outs and no bound on the size of a head, starts a thread for each connection, ends its
//! accept loop on the first error of `accept` and may panic when a peer resets at the wrong moment. The door shields
//! it: it reads each head first, bounded in time and size, and forwards it over a private socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::{CALLBACK_HEAD_BYTES, MAX_INCOMPLETE_HEADS, MAX_LINGERING_PEERS, MAX_UNANSWERED_CALLBACKS};

/// How long a connection may take to send its head: browsers open some in advance and use them later, or never.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the sign-in page may take, which includes the token request.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(180);
/// Our pages are far smaller.
const LARGEST_RESPONSE_BYTES: u64 = 256 * 1024;

/// Connects to the server behind the door, for one request.
pub type Connect = Box<dyn Fn() -> io::Result<Box<dyn Connection>> + Send + Sync>;

/// A connection to the server behind the door.
pub trait Connection: Read + Write + Send {
    /// Closes our direction, and bounds the wait for the response.
    fn finish_request(&self, response_within: Duration) -> io::Result<()>;
}

/// An open door; closes when it is dropped.
#[derive(Debug)]
pub struct Door {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
}

struct Shared {
    connect: Connect,
    closing: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next_id: u64,
    /// Connections whose heads are not complete, the oldest first.
    incomplete: VecDeque<(u64, TcpStream)>,
    /// Requests in progress.
    answering: usize,
    /// Responses that the peer may still be reading.
    lingering: usize,
    /// Threads that still accept connections.
    accepting: usize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Door {
    /// Opens the door on these sockets.
    pub fn open(listeners: Vec<TcpListener>, connect: Connect) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            connect,
            closing: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let door = Self { shared: Arc::clone(&shared), addresses };
        for listener in listeners {
            let shared = Arc::clone(&shared);
            shared.state().accepting += 1;
            let accepting = Arc::clone(&shared);
            let started = thread::Builder::new().name("door".into()).spawn(move || {
                accepting.accept(&listener);
                drop(listener);
                accepting.state().accepting -= 1;
                accepting.changed.notify_all();
            });
            if let Err(error) = started {
                shared.state().accepting -= 1;
                return Err(error);
            }
        }
        Ok(door)
    }

    /// Closes the door; returns once the port is free and every browser has its response, or after `within`.
    pub fn close(self, within: Duration) {
        self.shut();
        let deadline = Instant::now() + within;
        let mut state = self.shared.state();
        while state.accepting > 0 || state.answering > 0 || state.lingering > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn shut(&self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for (_, stream) in self.shared.state().incomplete.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        for address in &self.addresses {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect_timeout(address, Duration::from_millis(500));
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if !self.shared.closing.load(Ordering::SeqCst) {
            self.shut();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while !self.closing.load(Ordering::SeqCst) {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // The peer has gone, or file descriptors have run out: neither is a reason to stop.
                    tracing::debug!(%error, "a connection was not accepted");
                    thread::sleep(Duration::from_millis(20));
                    continue;
                }
            };
            if let Err(error) = self.receive(stream) {
                tracing::debug!(%error, "a connection was not received");
            }
        }
    }

    /// Gives the connection a thread; if there are too many, drops the oldest without a complete head.
    fn receive(self: &Arc<Self>, stream: TcpStream) -> io::Result<()> {
        let id = {
            let mut state = self.state();
            if state.incomplete.len() >= MAX_INCOMPLETE_HEADS
                && let Some((_, oldest)) = state.incomplete.pop_front()
            {
                let _ = oldest.shutdown(Shutdown::Both);
            }
            let id = state.next_id;
            state.next_id += 1;
            state.incomplete.push_back((id, stream.try_clone()?));
            id
        };
        let shared = Arc::clone(self);
        let started = thread::Builder::new().name("visitor".into()).spawn(move || {
            if let Err(error) = shared.handle(id, stream) {
                tracing::debug!(%error, "a callback connection ended early");
            }
            shared.forget(id);
        });
        started.map(|_| ()).inspect_err(|_| self.forget(id))
    }

    fn forget(&self, id: u64) {
        self.state().incomplete.retain(|(other, _)| *other != id);
    }

    fn handle(&self, id: u64, mut stream: TcpStream) -> io::Result<()> {
        stream.set_write_timeout(Some(HEAD_TIMEOUT))?;
        let answer = match read_head(&mut stream)? {
            Head::Whole(head) => self.answer(id, &head)?,
            Head::TooLarge => refusal("431 Request Header Fields Too Large"),
            Head::Nothing => return Ok(()),
        };
        self.forget(id);
        stream.write_all(&answer)?;
        self.lingering(|| linger(&mut stream)).unwrap_or(Ok(()))
    }

    fn answer(&self, id: u64, head: &[u8]) -> io::Result<Vec<u8>> {
        if !is_http_1(head) {
            return Ok(refusal("505 HTTP Version Not Supported"));
        }
        self.forget(id);
        let answered = self.answering(|| self.forward(head));
        answered.unwrap_or_else(|| Ok(refusal("503 Service Unavailable")))
    }

    fn answering<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        self.counted(|state| &mut state.answering, MAX_UNANSWERED_CALLBACKS, work)
    }

    fn lingering<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        self.counted(|state| &mut state.lingering, MAX_LINGERING_PEERS, work)
    }

    /// Runs `work` unless `most` are running already.
    fn counted<T>(&self, count: fn(&mut State) -> &mut usize, most: usize, work: impl FnOnce() -> T) -> Option<T> {
        {
            let mut state = self.state();
            let count = count(&mut state);
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        let done = work();
        *count(&mut self.state()) -= 1;
        self.changed.notify_all();
        Some(done)
    }

    fn forward(&self, head: &[u8]) -> io::Result<Vec<u8>> {
        let mut connection = (self.connect)()?;
        connection.write_all(head)?;
        // Nothing after the head is forwarded: one connection, one request.
        connection.finish_request(RESPONSE_TIMEOUT)?;
        let mut answer = Vec::new();
        let read = connection.take(LARGEST_RESPONSE_BYTES).read_to_end(&mut answer);
        if answer.is_empty() {
            tracing::debug!(?read, "a request was not understood");
            answer = refusal("400 Bad Request");
        }
        Ok(answer)
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Head {
    Whole(Vec<u8>),
    TooLarge,
    Nothing,
}

/// The part of a head received so far.
#[derive(Debug, Default)]
pub(crate) struct PartialHead(Vec<u8>);

impl PartialHead {
    /// Adds a piece, and drops anything after the empty line that ends the head. `None` while it is incomplete.
    pub(crate) fn add(&mut self, piece: &[u8]) -> Option<Head> {
        let head = &mut self.0;
        // The end may lie across two pieces.
        let from = head.len().saturating_sub(3);
        head.extend_from_slice(piece);
        let end = memchr::memmem::find(&head[from..], b"\r\n\r\n").map(|at| from + at + 4);
        match end {
            Some(end) if end <= CALLBACK_HEAD_BYTES => {
                head.truncate(end);
                Some(Head::Whole(std::mem::take(head)))
            }
            None if head.len() < CALLBACK_HEAD_BYTES => None,
            Some(_) | None => Some(Head::TooLarge),
        }
    }
}

/// Reads up to the empty line that ends a head.
fn read_head(stream: &mut TcpStream) -> io::Result<Head> {
    let deadline = Instant::now() + HEAD_TIMEOUT;
    let mut partial = PartialHead::default();
    let mut chunk = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Head::Nothing);
        }
        stream.set_read_timeout(Some(left))?;
        let n = match stream.read(&mut chunk) {
            Ok(0) => return Ok(Head::Nothing),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Head::Nothing);
            }
            Err(error) => return Err(error),
        };
        if let Some(head) = partial.add(&chunk[..n]) {
            return Ok(head);
        }
    }
}

/// Whether `tiny_http` answers this HTTP version; with any other, its thread deadlocks.
fn is_http_1(head: &[u8]) -> bool {
    let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
    line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
}

fn refusal(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

/// Closes gently: closing with unread input would reset the connection before the peer has read the response.
fn linger(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let deadline = Instant::now() + Duration::from_secs(1);
    let mut rest = [0; 4096];
    for _ in 0..64 {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        if !matches!(stream.read(&mut rest), Ok(n) if n > 0) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_lets_in_only_so_many_at_a_time() {
        fn answering(shared: &Shared) -> usize {
            shared.answering(|| 1 + answering(shared)).unwrap_or(0)
        }
        fn lingering(shared: &Shared) -> usize {
            shared.lingering(|| 1 + lingering(shared)).unwrap_or(0)
        }
        let shared = Shared {
            connect: Box::new(|| Err(io::ErrorKind::NotConnected.into())),
            closing: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        for _ in 0..2 {
            assert_eq!(answering(&shared), MAX_UNANSWERED_CALLBACKS);
            assert_eq!(lingering(&shared), MAX_LINGERING_PEERS);
        }
        shared.state().answering = MAX_UNANSWERED_CALLBACKS;
        let turned_away = shared.answer(0, b"GET / HTTP/1.1\r\n\r\n").expect("it is not forwarded");
        assert!(turned_away.starts_with(b"HTTP/1.1 503"));
    }
}

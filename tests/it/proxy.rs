//! A TCP proxy that breaks one connection at a chosen byte, and is transparent before and after.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::net::TcpSocket;

/// How long a connection that was reset may stay open on Windows.
const LOOK: Duration = Duration::from_millis(20);

/// Which bytes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the bridge to the server.
    Out,
    /// From the server to the bridge.
    Back,
}

/// What happens at the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The connection is closed both ways, as by a server that restarts.
    Cut,
    /// The connection is reset, as by a middle-box that has forgotten it.
    Reset,
    /// Nothing more comes this way, and nobody says so, as in a dead Wi-Fi.
    Stall,
}

/// The proxy; dropping it ends every connection.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    stopped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where the next break is to be: the bytes of all connections are counted together.
    armed: Option<(Way, u64, Break)>,
    passed: [u64; 2],
    connections: Vec<Weak<Connection>>,
    /// Kept, so that they stay open.
    stalled: Vec<Arc<Connection>>,
}

struct Connection {
    client: TcpStream,
    server: TcpStream,
    broken: AtomicBool,
}

impl Proxy {
    /// Before `upstream`; breaks once `at` bytes have gone this way, before the next one.
    pub fn start(upstream: SocketAddr, armed: Option<(Way, u64, Break)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Mutex::new(State { armed, ..State::default() });
        let shared = Arc::new(Shared { upstream, stopped: AtomicBool::new(false), state });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.stopped.load(Ordering::Acquire) {
                    return;
                }
                accepting.join(client);
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many bytes have gone this way.
    pub fn passed(&self, way: Way) -> u64 {
        self.shared.lock().passed[way as usize]
    }

    /// Whether the break has happened.
    pub fn has_struck(&self) -> bool {
        self.shared.lock().armed.is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        let mut state = self.shared.lock();
        for connection in state.connections.drain(..).filter_map(|connection| connection.upgrade()) {
            connection.close();
        }
        state.stalled.clear();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        for socket in [&client, &server] {
            let _ = socket.set_nodelay(true);
            if cfg!(windows) {
                // There, nothing but time wakes a reader without a word to the other side.
                let _ = socket.set_read_timeout(Some(LOOK));
            }
        }
        let connection = Arc::new(Connection { client, server, broken: AtomicBool::new(false) });
        self.lock().connections.push(Arc::downgrade(&connection));
        for way in [Way::Out, Way::Back] {
            let (shared, connection) = (Arc::clone(self), Arc::clone(&connection));
            std::thread::spawn(move || shared.pump(connection, way));
        }
    }

    fn pump(&self, connection: Arc<Connection>, way: Way) {
        let (mut from, mut to) = match way {
            Way::Out => (&connection.client, &connection.server),
            Way::Back => (&connection.server, &connection.client),
        };
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let n = match from.read(&mut buffer) {
                Ok(n @ 1..) => n,
                Err(e) if e.kind() == ErrorKind::TimedOut && !connection.broken.load(Ordering::Acquire) => continue,
                Ok(0) | Err(_) => break,
            };
            let (pass, strike) = self.count(way, n);
            if to.write_all(&buffer[..pass]).is_err() {
                break;
            }
            match strike {
                None => {}
                Some(Break::Cut) => return connection.close(),
                Some(Break::Reset) => return connection.reset(),
                Some(Break::Stall) => return self.lock().stalled.push(connection),
            }
        }
        if !connection.broken.load(Ordering::Acquire) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Counts bytes; how many of them may pass, and what happens then.
    fn count(&self, way: Way, n: usize) -> (usize, Option<Break>) {
        let mut state = self.lock();
        let before = state.passed[way as usize];
        match state.armed {
            Some((armed, at, what)) if armed == way && at < before + n as u64 => {
                state.armed = None;
                let pass = usize::try_from(at.saturating_sub(before)).unwrap_or(n);
                state.passed[way as usize] += pass as u64;
                (pass, Some(what))
            }
            _ => {
                state.passed[way as usize] += n as u64;
                (n, None)
            }
        }
    }
}

impl Connection {
    fn close(&self) {
        self.broken.store(true, Ordering::Release);
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// A reset goes out when the socket is closed, which is when the other direction has let go of it too.
    fn reset(&self) {
        self.broken.store(true, Ordering::Release);
        for socket in [&self.client, &self.server] {
            // The option is the socket's, whichever handle it is set by.
            let same = TcpSocket::from_std_stream(socket.try_clone().expect("open"));
            same.set_zero_linger().expect("a socket lingers");
            // Wakes the reader and sends nothing.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }
}

#[test]
fn bytes_pass_up_to_the_break_and_the_three_kinds_of_it_look_different() {
    for what in [Break::Cut, Break::Reset, Break::Stall] {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let proxy = Proxy::start(server.local_addr().expect("bound"), Some((Way::Back, 5, what)));
        let mut client = TcpStream::connect(proxy.address()).expect("it listens");
        let (mut accepted, _) = server.accept().expect("it connects");
        accepted.write_all(b"0123456789").expect("open");
        let mut seen = [0; 5];
        client.read_exact(&mut seen).expect("what stands before the break");
        assert_eq!(&seen, b"01234");
        client.set_read_timeout(Some(Duration::from_millis(if cfg!(windows) { 2_000 } else { 50 }))).expect("not zero");
        let after = client.read(&mut seen).map_err(|e| e.kind());
        match what {
            Break::Cut => assert_eq!(after, Ok(0)),
            Break::Reset => assert_eq!(after, Err(ErrorKind::ConnectionReset)),
            // Windows has the other word for a wait that is over.
            Break::Stall => assert!(matches!(after, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{after:?}"),
        }
        assert!(proxy.has_struck());
        let mut next = TcpStream::connect(proxy.address()).expect("it listens on");
        let (mut accepted, _) = server.accept().expect("it connects");
        next.write_all(b"x").expect("open");
        accepted.read_exact(&mut seen[..1]).expect("transparent again");
    }
}

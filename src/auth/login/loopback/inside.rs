//! The private connection from the door of the listener to `tiny_http` behind it.

use std::io;
use std::time::Duration;

use tiny_http::Server;

use crate::auth::login::loopback::door::{Inside, Line};

/// A server, how to connect to it, and what has to be kept until the last connection.
pub type Place = (Server, Inside, Room);

/// A socket in a folder that only this user can enter.
#[cfg(unix)]
pub fn server() -> io::Result<Place> {
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    // Not in the state directory: the path of a socket may have some hundred bytes at most.
    let name = oauth2::CsrfToken::new_random_len(12).into_secret();
    let room = Room(std::env::temp_dir().join(format!("planhat-mcp-{name}")));
    std::fs::DirBuilder::new().mode(0o700).create(&room.0)?;
    let path = room.0.join("s");
    let server = Server::from_listener(UnixListener::bind(&path)?, None).map_err(io::Error::other)?;
    Ok((server, Box::new(move || Ok(Box::new(UnixStream::connect(&path)?))), room))
}

/// A folder that is removed at the end.
#[cfg(unix)]
#[derive(Debug)]
pub struct Room(std::path::PathBuf);

#[cfg(unix)]
impl Drop for Room {
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

/// Another loopback port, which is published nowhere.
#[cfg(not(unix))]
pub fn server() -> io::Result<Place> {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
    Ok((server, Box::new(move || Ok(Box::new(TcpStream::connect(address)?))), Room(())))
}

/// Nothing needs to be kept.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Room(());

#[cfg(not(unix))]
impl Line for std::net::TcpStream {
    fn all_said(&self, answer_within: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(answer_within))?;
        self.shutdown(std::net::Shutdown::Write)
    }
}

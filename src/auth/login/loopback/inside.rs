//! The private socket between the listener's door and `tiny_http` behind it.

use std::io;
use std::time::Duration;

use tiny_http::Server;

use crate::auth::login::loopback::door::{Connect, Connection};

/// The server, how to connect to it, and the socket's folder, which must outlive the last connection.
pub type InnerServer = (Server, Connect, SocketFolder);

/// A socket in a folder that only this user can enter.
#[cfg(unix)]
pub fn server() -> io::Result<InnerServer> {
    use std::os::unix::fs::DirBuilderExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    // Not in the state directory: a socket path is limited to about a hundred bytes.
    let name = oauth2::CsrfToken::new_random_len(12).into_secret();
    let folder = SocketFolder(std::env::temp_dir().join(format!("planhat-mcp-{name}")));
    std::fs::DirBuilder::new().mode(0o700).create(&folder.0)?;
    let path = folder.0.join("s");
    let server = Server::from_listener(UnixListener::bind(&path)?, None).map_err(io::Error::other)?;
    Ok((server, Box::new(move || Ok(Box::new(UnixStream::connect(&path)?))), folder))
}

/// A folder that is removed when dropped.
#[cfg(unix)]
#[derive(Debug)]
pub struct SocketFolder(std::path::PathBuf);

#[cfg(unix)]
impl Drop for SocketFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
impl Connection for std::os::unix::net::UnixStream {
    fn finish_request(&self, response_within: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(response_within))?;
        self.shutdown(std::net::Shutdown::Write)
    }
}

/// Another loopback port, which is never published.
#[cfg(not(unix))]
pub fn server() -> io::Result<InnerServer> {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let server = Server::from_listener(listener, None).map_err(io::Error::other)?;
    Ok((server, Box::new(move || Ok(Box::new(TcpStream::connect(address)?))), SocketFolder(())))
}

/// A loopback port needs no folder.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct SocketFolder(());

#[cfg(not(unix))]
impl Connection for std::net::TcpStream {
    fn finish_request(&self, response_within: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(response_within))?;
        self.shutdown(std::net::Shutdown::Write)
    }
}

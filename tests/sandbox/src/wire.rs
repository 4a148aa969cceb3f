//! One HTTP request on a connection of its own, without a client library: what goes out is what the test says.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use url::Url;

/// How long an answer may take: the callback's waits until the tokens are stored.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug, Clone)]
pub struct Page {
    /// How it was asked for.
    pub method: String,
    /// Where it came from.
    pub url: String,
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case and values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Page {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; an event stream's last message.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.body).ok().or_else(|| {
            let data = |line: &str| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok();
            self.body.lines().rev().find_map(data)
        })
    }
}

/// How to get to a tenant that speaks https.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The CA to trust, in PEM form.
    pub ca_pem: Option<String>,
    /// The proxy on loopback that finds https names.
    pub proxy: Option<SocketAddr>,
}

/// Sends a request to a loopback address and reads the whole answer; a `host` among the headers replaces the true one.
///
/// # Errors
///
/// When the URL is not plain http to a loopback address, when nobody listens, or when what comes back is not a whole
/// HTTP answer.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> io::Result<Page> {
    send_by(&Route::default(), method, url, headers, body)
}

/// The same also for https, where the route leads there.
///
/// # Errors
///
/// As with [`send`], and when the certificate is not to be trusted.
pub fn send_by(
    route: &Route,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> io::Result<Page> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let (mut stream, authority) = route.open(&url)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let mut request = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request += &format!("host: {authority}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if let Some(body) = body {
        request += &format!("content-length: {}\r\n", body.len());
    }
    request += "connection: close\r\n\r\n";
    let mut bytes = request.into_bytes();
    bytes.extend_from_slice(body.unwrap_or_default());
    stream.write_all(&bytes)?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // A server may end TLS without saying so; the length of the answer tells whether it is whole.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        read => drop(read?),
    }
    read_page(method, &url, &answer)
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Route {
    fn open(&self, url: &Url) -> io::Result<(Box<dyn Stream>, String)> {
        let (Some(ca), "https") = (&self.ca_pem, url.scheme()) else {
            let (address, authority) = loopback(url, "http")?;
            return Ok((Box::new(connect(address)?), authority));
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let (mut stream, authority) = match self.proxy {
            None => loopback(url, "https").and_then(|(address, authority)| Ok((connect(address)?, authority)))?,
            Some(proxy) => (connect(proxy)?, host.clone()),
        };
        if self.proxy.is_some() {
            let port = url.port_or_known_default().unwrap_or_default();
            write!(stream, "CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n")?;
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte)?;
                head.extend(byte);
            }
            if !head.starts_with(b"HTTP/1.1 200 ") {
                return Err(io::Error::other(format!("the proxy does not know {host}")));
            }
        }
        let mut roots = rustls::RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca.as_bytes()).map_err(io::Error::other)?;
        roots.add(ca).map_err(io::Error::other)?;
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host).map_err(io::Error::other)?;
        let client = rustls::ClientConnection::new(client.into(), name).map_err(io::Error::other)?;
        Ok((Box::new(rustls::StreamOwned::new(client, stream)), authority))
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn loopback(url: &Url, scheme: &str) -> io::Result<(SocketAddr, String)> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{why}: {url}"));
    if url.scheme() != scheme {
        return Err(refused("this scheme is not spoken here"));
    }
    let host = url.host_str().ok_or_else(|| refused("no host"))?;
    let port = url.port_or_known_default().ok_or_else(|| refused("no port"))?;
    // Brackets are for URLs, not for names that are looked up.
    let address = (host.trim_matches(['[', ']']), port)
        .to_socket_addrs()?
        .find(|address| address.ip().is_loopback() && address.is_ipv4() != host.starts_with('['))
        .ok_or_else(|| refused("only loopback addresses are gone to"))?;
    Ok((address, format!("{host}:{port}")))
}

fn read_page(method: &str, url: &Url, answer: &[u8]) -> io::Result<Page> {
    // Without the query, which may hold a code.
    let place = &url[..url::Position::AfterPath];
    let came = answer.len();
    let broken =
        || io::Error::new(io::ErrorKind::InvalidData, format!("no whole HTTP answer, but {came} bytes, from {place}"));
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(broken)?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or_else(broken)?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = &answer[end + 4..];
    let find = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let body = if find("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        unchunked(body).ok_or_else(broken)?
    } else {
        if find("content-length")
            .and_then(|length| length.parse().ok())
            .is_some_and(|length: usize| body.len() < length)
        {
            return Err(broken());
        }
        body.to_vec()
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Page { method: method.to_owned(), url: url.to_string(), status, headers, body })
}

fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

//! Inspects a connection for `doctor`: the answer, the certificate, and the server's time.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{ACCEPT, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::blocking;
use crate::http::certificate::Certificate;
use crate::http::error::Detail;
use crate::http::{Http, NetError, connection};
use crate::problem::Problem;

/// The answer to a request without secrets.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The HTTP status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The server's time, if it sends one.
    pub date: Option<SystemTime>,
    /// Its certificate, on an encrypted connection.
    pub certificate: Option<Certificate>,
}

/// Requests `url` without a token, on a new connection.
///
/// # Errors A [`NetError`] that says how far the exchange got.
pub async fn inspect(http: &Http, url: &Url, within: Duration) -> Result<Inspection, NetError> {
    let client = client(http, url, false).await.map_err(NetError::Unusable)?;
    inspect_with(http, &client, url, within).await
}

/// The untrusted certificate; nothing else from this connection can be trusted.
pub async fn untrusted_certificate(http: &Http, url: &Url, within: Duration) -> Option<Certificate> {
    // Request only the root, so that an impostor does not learn the path.
    let root = url.join("/").ok()?;
    let client = client(http, &root, true).await.ok()?;
    inspect_with(http, &client, &root, within).await.ok()?.certificate
}

/// A client that shows certificates, built on a thread that may block.
async fn client(http: &Http, url: &Url, untrusted: bool) -> Result<reqwest::Client, Problem> {
    let guard = http.guard_for(url)?.cloned();
    let (network, tls) = (http.network().clone(), url.scheme() == "https");
    let build = move || {
        let builder =
            connection::builder(&network, 1, tls, guard.as_ref(), connection::POOL_IDLE_TIMEOUT)?.tls_info(true);
        connection::build(if untrusted { builder.tls_danger_accept_invalid_certs(true) } else { builder })
    };
    blocking::run(build).await
}

async fn inspect_with(
    http: &Http,
    client: &reqwest::Client,
    url: &Url,
    within: Duration,
) -> Result<Inspection, NetError> {
    let mut request = reqwest::Request::new(Method::GET, url.clone());
    let accept = HeaderValue::from_static("application/json, text/event-stream");
    request.headers_mut().insert(ACCEPT, accept);
    let answer = match tokio::time::timeout(within, client.execute(request)).await {
        Ok(answer) => answer.map_err(|error| http.explain(url, &error))?,
        Err(_) => return Err(NetError::timed_out(url, within)),
    };
    let certificate = answer.extensions().get::<reqwest::tls::TlsInfo>().and_then(|info| info.peer_certificate());
    let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok());
    Ok(Inspection {
        status: answer.status(),
        date: date.and_then(|text| httpdate::parse_http_date(text).ok()),
        certificate: certificate.and_then(Certificate::read),
        headers: answer.headers().clone(),
    })
}

/// The addresses of a host, as the system resolves it. Blocks.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Detail> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(|error| Detail::of(&error))?.collect();
    if found.is_empty() { Err(Detail::fixed("it has no address")) } else { Ok(found) }
}

/// How long a connection to the address takes, or why it fails. Blocks.
pub fn connect(address: SocketAddr, within: Duration) -> Result<Duration, Detail> {
    let start = Instant::now();
    TcpStream::connect_timeout(&address, within).map_err(|error| Detail::of(&error))?;
    Ok(start.elapsed())
}

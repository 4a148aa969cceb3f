//! A look at a connection for those who ask why there is none: what answers, with which certificate, at what time.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::{ACCEPT, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use super::certificate::Certificate;
use super::client::builder;
use super::{Http, NetError};

/// What answered a request that carried nothing secret.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The HTTP status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The time at the server, as far as it says.
    pub date: Option<SystemTime>,
    /// Its certificate, on an encrypted connection.
    pub certificate: Option<Certificate>,
}

impl Http {
    /// Asks for `url` without a token, on a connection of its own.
    ///
    /// # Errors
    /// A [`NetError`] that says how far it got.
    pub async fn look_at(&self, url: &Url, within: Duration) -> Result<Sight, NetError> {
        let guard = self.guard_for(url).map_err(NetError::Unusable)?;
        let client = builder(self.network(), url.scheme() == "https", guard).map_err(NetError::Unusable)?;
        let client = client.tls_info(true).build().map_err(|error| self.explain(url, &error))?;
        self.look_with(&client, url, within).await
    }

    /// The certificate that is not trusted; nothing that this connection brings may be believed otherwise.
    pub async fn untrusted_certificate(&self, url: &Url, within: Duration) -> Option<Certificate> {
        let client = builder(self.network(), true, self.guard_for(url).ok()?).ok()?;
        let client = client.tls_info(true).tls_danger_accept_invalid_certs(true).build().ok()?;
        // The root of the host, so that not even the path is told to whoever that is.
        self.look_with(&client, &url.join("/").ok()?, within).await.ok()?.certificate
    }

    async fn look_with(&self, client: &reqwest::Client, url: &Url, within: Duration) -> Result<Sight, NetError> {
        let mut request = reqwest::Request::new(Method::GET, url.clone());
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        request.headers_mut().insert(ACCEPT, accept);
        let answer = match tokio::time::timeout(within, client.execute(request)).await {
            Ok(answer) => answer.map_err(|error| self.explain(url, &error))?,
            Err(_) => return Err(NetError::timed_out(url, within)),
        };
        let certificate = answer.extensions().get::<reqwest::tls::TlsInfo>().and_then(|info| info.peer_certificate());
        let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok());
        Ok(Sight {
            status: answer.status(),
            date: date.and_then(|text| httpdate::parse_http_date(text).ok()),
            certificate: certificate.and_then(Certificate::read),
            headers: answer.headers().clone(),
        })
    }
}

/// The addresses of a host, as the system resolves it. Blocks.
pub fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(|error| error.to_string())?.collect();
    if found.is_empty() { Err("it has no address".to_owned()) } else { Ok(found) }
}

/// How long a connection to the address takes to be made, or why there is none. Blocks.
pub fn connect(address: SocketAddr, within: Duration) -> Result<Duration, String> {
    let start = Instant::now();
    TcpStream::connect_timeout(&address, within).map_err(|error| error.to_string())?;
    Ok(start.elapsed())
}

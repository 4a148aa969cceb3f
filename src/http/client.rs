//! The HTTP client: made on first use, shared by everything that talks to the network.
//!
//! Redirects are never followed by the library: a bearer must not reach another origin, nor plain http. There is a time
//! limit on connecting and none on a whole exchange, because an answer may be a stream that stays open for hours.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use crate::config::NetworkSettings;
use crate::problem::{Problem, ProblemId};

use super::NetError;

/// What every request says about who sends it.
pub const USER_AGENT: &str = concat!("planhat-mcp/", env!("CARGO_PKG_VERSION"));

/// From the first SYN to the end of the TLS handshake, for one connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A pooled connection that is older than this is not used again; servers and middle-boxes close idle ones silently.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// How a connection is made, shared by everything that talks to the network. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: NetworkSettings,
    plain: OnceLock<Result<reqwest::Client, Problem>>,
    secure: OnceLock<Result<reqwest::Client, Problem>>,
}

/// Bounds of one whole exchange with an endpoint that is not the MCP endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The largest body that is read, in bytes, after decompression.
    pub max_body: usize,
    /// From the first byte sent to the last byte received.
    pub timeout: Duration,
}

impl Default for Bounds {
    /// For metadata and token answers: 256 KiB within 30 s.
    fn default() -> Self {
        Self { max_body: 256 * 1024, timeout: Duration::from_secs(30) }
    }
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, within the bound.
    pub body: Vec<u8>,
}

impl Http {
    /// Nothing is loaded or connected before the first request.
    pub fn new(network: NetworkSettings) -> Self {
        Self { inner: Arc::new(Inner { network, plain: OnceLock::new(), secure: OnceLock::new() }) }
    }

    /// The client for `url`. Trust roots are read from the platform (and `--ca-file`) only when the first https URL
    /// comes by, because reading them is most of what a start costs.
    ///
    /// # Errors
    /// When the CA file or the proxy of the settings cannot be used.
    pub fn client(&self, url: &Url) -> Result<&reqwest::Client, Problem> {
        let tls = url.scheme() == "https";
        let slot = if tls { &self.inner.secure } else { &self.inner.plain };
        slot.get_or_init(|| build(&self.inner.network, tls)).as_ref().map_err(Clone::clone)
    }

    /// One bounded exchange: no redirect is followed, the whole body is read.
    ///
    /// # Errors
    /// A [`NetError`] that says how far it got. A refusal by status is an [`Answer`], not an error.
    pub async fn exchange(&self, request: reqwest::Request, bounds: Bounds) -> Result<Answer, NetError> {
        let url = request.url().clone();
        let client = self.client(&url).map_err(NetError::Unusable)?;
        let whole = async {
            let mut response = client.execute(request).await.map_err(|e| NetError::of(&url, &e))?;
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|e| NetError::of(&url, &e))? {
                if body.len() + piece.len() > bounds.max_body {
                    return Err(NetError::too_large(&url, bounds.max_body));
                }
                body.extend_from_slice(&piece);
            }
            Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
        };
        tokio::time::timeout(bounds.timeout, whole)
            .await
            .unwrap_or_else(|_| Err(NetError::timed_out(&url, bounds.timeout)))
    }
}

fn build(network: &NetworkSettings, tls: bool) -> Result<reqwest::Client, Problem> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(Duration::from_secs(30))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(20))
        .http2_adaptive_window(true);
    if !tls {
        builder = builder.tls_certs_only([]);
    } else if let Some(path) = &network.ca_file {
        let unusable = |e: &dyn std::fmt::Display| {
            Problem::new(ProblemId::CaFileUnusable).with("file", path.display()).with("detail", e)
        };
        let pem = std::fs::read(path).map_err(|e| unusable(&e))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| unusable(&e))?;
        if certificates.is_empty() {
            return Err(unusable(&"no certificate in PEM form"));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if let Some(proxy) = &network.proxy {
        // The library's error would repeat the URL, which may hold a password.
        let proxy = reqwest::Proxy::all(proxy.expose()).map_err(|_| {
            Problem::new(ProblemId::ProxyInvalid)
                .with("setting", "proxy")
                .with("expected", "a URL such as http://proxy.example:3128")
        })?;
        builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_env()));
    }
    builder.build().map_err(|e| Problem::new(ProblemId::NoTrustRoots).with("detail", error_chain(&e)))
}

/// An error and what caused it, in one line.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

//! The HTTP client: made on first use, shared by everything that talks to the network.
//!
//! Redirects are never followed by the library: a bearer must not reach another origin, nor plain http. There is a time
//! limit on connecting and none on a whole exchange, because an answer may be a stream that stays open for hours.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use crate::config::NetworkSettings;
use crate::problem::{Problem, ProblemId, error_chain};

use super::NetError;

/// What every request says about who sends it.
pub const USER_AGENT: &str = concat!("planhat-mcp/", env!("CARGO_PKG_VERSION"));

/// From the first SYN to the end of the TLS handshake, for one connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A pooled connection that is older than this is not used again; servers and middle-boxes close idle ones silently.
const POOL_IDLE: Duration = Duration::from_secs(50);

/// A jump of the wall clock against the monotonic one that means: the machine slept.
const CLOCK_JUMP: Duration = Duration::from_secs(10);

/// How a connection is made, shared by everything that talks to the network. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: NetworkSettings,
    clients: Mutex<Clients>,
    awake: Mutex<Awake>,
}

#[derive(Debug, Default)]
struct Clients {
    /// What a load balancer sets to send a session to one server goes back to it; kept in memory alone.
    cookies: Arc<reqwest::cookie::Jar>,
    plain: Option<Result<reqwest::Client, Problem>>,
    secure: Option<Result<reqwest::Client, Problem>>,
}

/// Two clocks side by side: one runs on while the machine sleeps, the other (on most systems) does not.
#[derive(Debug)]
struct Awake {
    wall: SystemTime,
    monotonic: Instant,
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
        let awake = Mutex::new(Awake { wall: SystemTime::now(), monotonic: Instant::now() });
        Self { inner: Arc::new(Inner { network, clients: Mutex::default(), awake }) }
    }

    /// The client for `url`. Trust roots are read from the platform (and `--ca-file`) only when the first https URL
    /// comes by, because reading them is most of what a start costs.
    ///
    /// # Errors
    /// When the CA file or the proxy of the settings cannot be used.
    pub fn client(&self, url: &Url) -> Result<reqwest::Client, Problem> {
        let tls = url.scheme() == "https";
        let mut clients = self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_slept(SystemTime::now(), Instant::now()) {
            // Connections from before are most likely dead, and writing to a dead one looks like success for minutes.
            tracing::info!("the clock has jumped, perhaps after sleep; connections are made anew");
            (clients.plain, clients.secure) = (None, None);
        }
        let cookies = Arc::clone(&clients.cookies);
        let slot = if tls { &mut clients.secure } else { &mut clients.plain };
        slot.get_or_insert_with(|| build(&self.inner.network, tls, cookies)).clone()
    }

    /// Forgets cookies and connections: the next request may be another user's.
    pub fn forget(&self) {
        *self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner) = Clients::default();
    }

    /// Whether the clocks have drifted apart since the last call.
    fn has_slept(&self, wall: SystemTime, monotonic: Instant) -> bool {
        let mut awake = self.inner.awake.lock().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *awake, Awake { wall, monotonic });
        let by_wall = wall.duration_since(last.wall).unwrap_or_default();
        by_wall.saturating_sub(monotonic.saturating_duration_since(last.monotonic)) > CLOCK_JUMP
    }

    /// What a failed exchange with `url` is called.
    pub fn explain(&self, url: &Url, error: &reqwest::Error) -> NetError {
        NetError::of(url, error, self.proxy_for(url).as_deref())
    }

    /// The proxy that requests to `url` go through, as far as the settings and the environment say, without user name and
    /// password.
    fn proxy_for(&self, url: &Url) -> Option<String> {
        if url.scheme() != "https" {
            return None;
        }
        let set = self.inner.network.proxy.as_ref().map(|proxy| proxy.expose().clone());
        let from_environment = || {
            ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].iter().find_map(|name| std::env::var(name).ok())
        };
        let proxy = set.or_else(from_environment).filter(|proxy| !proxy.is_empty())?;
        let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
        let proxy = Url::parse(&proxy).ok()?;
        Some(super::host_of(&proxy))
    }

    /// One bounded exchange: no redirect is followed, the whole body is read.
    ///
    /// # Errors
    /// A [`NetError`] that says how far it got. A refusal by status is an [`Answer`], not an error.
    pub async fn exchange(&self, request: reqwest::Request, bounds: Bounds) -> Result<Answer, NetError> {
        let url = request.url().clone();
        let client = self.client(&url).map_err(NetError::Unusable)?;
        let whole = async {
            let mut response = client.execute(request).await.map_err(|e| self.explain(&url, &e))?;
            let mut body = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|e| self.explain(&url, &e))? {
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

fn build(network: &NetworkSettings, tls: bool, cookies: Arc<reqwest::cookie::Jar>) -> Result<reqwest::Client, Problem> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .cookie_provider(cookies)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE)
        // A peer that is gone without a word is noticed within a minute, also on a stream that is silent by nature.
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(20))
        .http2_adaptive_window(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        builder = builder.tcp_user_timeout(Duration::from_secs(60));
    }
    if network.ipv4_only {
        builder = builder.local_address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    if !tls {
        // Plain http is for this machine alone: a proxy would see the token, and could not reach it anyway.
        builder = builder.tls_certs_only([]).no_proxy();
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
    if let (true, Some(proxy)) = (tls, &network.proxy) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumped_while_the_machine_slept_is_noticed_once() {
        let http = Http::new(NetworkSettings::default());
        let (wall, monotonic) = (SystemTime::now(), Instant::now());
        let later = Duration::from_secs(3_600);
        assert!(!http.has_slept(wall + later, monotonic + later), "an hour without a request is no sleep");
        assert!(http.has_slept(wall + later * 2, monotonic + later), "an hour that only one clock has seen");
        assert!(!http.has_slept(wall + later * 2, monotonic + later));
        assert!(!http.has_slept(wall, monotonic + later), "a clock set back is none either");
    }
}

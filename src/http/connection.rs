//! Configures every connection: time limits, trust roots, proxy, and the guard.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::config::NetworkSettings;
use crate::http::ssrf_guard::Guard;
use crate::problem::{Problem, ProblemId, error_chain};

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("planhat-mcp/", env!("CARGO_PKG_VERSION"));

/// From the first SYN to the end of the TLS handshake, for one connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A pooled connection that was idle for longer is not reused; servers and middleboxes close idle ones silently.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// How long a connection may be silent before a keep-alive probe.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long sent bytes may stay unacknowledged (RFC 5482).
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// Builds the client; reads the platform's trust roots, which takes a while.
pub(super) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Problem> {
    builder.build().map_err(|e| Problem::new(ProblemId::NoTrustRoots).with("detail", error_chain(&e)))
}

/// A client that connects only where `guard` allows, if there is one; then without a proxy, which could reach further.
/// Reads `--ca-file`.
pub(super) fn builder(
    network: &NetworkSettings,
    tls: bool,
    guard: Option<&Guard>,
) -> Result<reqwest::ClientBuilder, Problem> {
    // This fails only if a provider is already installed, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        // Notices a vanished peer within a minute, even on a stream that is usually idle.
        .tcp_keepalive(KEEP_ALIVE_INTERVAL)
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .http2_keep_alive_timeout(Duration::from_secs(20))
        .http2_adaptive_window(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        builder = builder.tcp_user_timeout(UNACKNOWLEDGED_TIMEOUT);
    }
    if network.ipv4_only {
        builder = builder.local_address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    if !tls {
        // Plain http is for this machine only: a proxy would see the token, and could not reach this machine anyway.
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
    if let Some(guard) = guard {
        builder = builder.dns_resolver(guard.clone()).no_proxy();
    } else if let (true, Some(proxy)) = (tls, &network.proxy) {
        // The library's error quotes the URL, which may contain a password.
        let proxy = reqwest::Proxy::all(proxy.expose()).map_err(|_| {
            Problem::new(ProblemId::ProxyInvalid)
                .with("setting", "proxy")
                .with("expected", "a URL such as http://proxy.example:3128")
        })?;
        builder = builder.proxy(proxy.no_proxy(reqwest::NoProxy::from_env()));
    }
    Ok(builder)
}

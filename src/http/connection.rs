//! Configures every connection: time limits, trust roots, proxy, and the guard.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::config::NetworkSettings;
use crate::files;
use crate::http::ssrf_guard::Guard;
use crate::limits::{HTTP2_STREAM_UNREAD_BYTES, HTTP2_UNREAD_BYTES};
use crate::problem::{Problem, ProblemId, error_chain};

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("planhat-mcp/", env!("CARGO_PKG_VERSION"));

/// From the first SYN to the end of the TLS handshake, for one connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A pooled connection that was idle for longer is not reused; servers and middleboxes close idle ones silently.
pub(super) const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// How long a connection may be silent before a keep-alive probe.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Streams beside the requests of the client: those that listen, and the bridge's own requests.
const FURTHER_STREAMS: u32 = 16;

/// The window of a stream on a connection that carries this many requests at once.
///
/// An answer that waits for room leaves its body unread, and unread data takes up the window of the connection that all
/// answers share. Windows that fit into it together keep such answers from stopping the one that has the room.
fn stream_window(requests_at_once: usize) -> u32 {
    let streams = u32::try_from(requests_at_once).unwrap_or(u32::MAX).saturating_add(FURTHER_STREAMS);
    (HTTP2_UNREAD_BYTES / streams).min(HTTP2_STREAM_UNREAD_BYTES)
}

/// How long sent bytes may stay unacknowledged (RFC 5482).
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNACKNOWLEDGED_TIMEOUT: Duration = Duration::from_secs(60);

/// Builds the client; reads the platform's trust roots, which takes a while.
pub(super) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Problem> {
    builder.build().map_err(|e| Problem::new(ProblemId::NoTrustRoots).with("detail", error_chain(&e)))
}

/// A client that connects only where `guard` lets it, if there is one; then it knows no proxy, which could go further.
/// Reads `--ca-file`. An idle connection is kept for `idle`. No more than `requests_at_once` answers may be left unread.
pub(super) fn builder(
    network: &NetworkSettings,
    requests_at_once: usize,
    tls: bool,
    guard: Option<&Guard>,
    idle: Duration,
) -> Result<reqwest::ClientBuilder, Problem> {
    // This fails only if a provider is already installed, which is just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(idle)
        // Notices a vanished peer within a minute, even on a stream that is usually idle.
        .tcp_keepalive(KEEP_ALIVE_INTERVAL)
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .http2_keep_alive_timeout(Duration::from_secs(20))
        .http2_initial_stream_window_size(stream_window(requests_at_once))
        .http2_initial_connection_window_size(HTTP2_UNREAD_BYTES);
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
        let pem = files::read_given(path).map_err(|e| unusable(&e))?;
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::net::TcpListener;

    use super::*;

    /// More than the window of any stream.
    const LONG_BODY_BYTES: usize = 6 * HTTP2_STREAM_UNREAD_BYTES as usize;

    /// Serves one connection over HTTP/2, and answers every request with a long body.
    async fn serve(listener: TcpListener) {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service = service_fn(|_| async {
            Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from(vec![b' '; LONG_BODY_BYTES]))))
        });
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    #[tokio::test]
    async fn answers_that_are_left_unread_do_not_stop_another_one_on_the_same_connection() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let _server = tokio::spawn(serve(listener)); // which takes no second connection
        let builder = builder(&NetworkSettings::default(), 8, false, None, POOL_IDLE_TIMEOUT);
        let client = build(builder.expect("no file to read").http2_prior_knowledge()).expect("a client");
        let mut unread = Vec::new();
        for _ in 0..7 {
            unread.push(client.get(&url).send().await.expect("an answer"));
        }
        let reading = async { client.get(&url).send().await.expect("an answer").bytes().await.expect("a body").len() };
        let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
        assert_eq!(read, Ok(LONG_BODY_BYTES));
    }

    #[test]
    fn the_windows_of_all_streams_fit_into_that_of_their_connection() {
        for requests in [1, 50, 1_000, 10_000, usize::MAX] {
            let together = u64::from(stream_window(requests)) * (requests as u64).min(u64::from(u32::MAX) - 16);
            assert!(together <= u64::from(HTTP2_UNREAD_BYTES), "{requests}");
        }
        assert_eq!(stream_window(48), HTTP2_STREAM_UNREAD_BYTES);
        assert!(stream_window(1_000) >= 65_535, "the protocol's own default");
    }
}

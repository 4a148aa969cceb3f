//! Classifies failed exchanges: which host, which step, and whether the server may have seen the request.

use std::error::Error as StdError;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use crate::http::connection::CONNECT_TIMEOUT;
use crate::http::ssrf_guard::Inward;
use crate::problem::{Problem, ProblemId, error_chain};

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NetError {
    /// Nothing can be sent: no client can be built with these settings, or the guard refuses the address.
    #[error("{0}")]
    Unusable(Problem),
    /// The exchange with `host` failed at `step`.
    #[error("{host}: {step:?}: {detail}")]
    Failed {
        /// Host and port.
        host: String,
        /// How far it got.
        step: Step,
        /// The library's words, without the URL.
        detail: Detail,
        /// The proxy at fault, if it is one.
        proxy: Option<String>,
    },
}

/// What the network, or the library that uses it, says about a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Detail(String);

impl Detail {
    /// The words of an error.
    pub fn of(error: &(dyn StdError + 'static)) -> Self {
        Self(error_chain(error))
    }

    /// More than this time has passed.
    pub fn timed_out(limit: Duration) -> Self {
        Self(format!("no answer within {} s", limit.as_secs_f32()))
    }

    /// Words of this program.
    pub fn fixed(words: &'static str) -> Self {
        Self(words.to_owned())
    }
}

/// How far an exchange got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The name was not found.
    Dns,
    /// No TCP connection, or none to the proxy.
    Connect,
    /// The proxy could not be reached, or refused.
    Proxy,
    /// The TLS handshake failed.
    Tls(TlsTrouble),
    /// The connection or the handshake took too long.
    ConnectTimeout,
    /// The connection ended after the request was (perhaps) sent and before an answer started.
    Sent,
    /// The answer was cut off.
    Body,
    /// No complete answer within this time.
    Timeout(Duration),
    /// The answer is larger than this many bytes.
    TooLarge(usize),
}

/// What was wrong with the TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsTrouble {
    /// The certificate is not trusted: a private authority, or interception.
    Untrusted,
    /// The certificate is not valid now.
    Expired,
    /// The certificate is for another host (RFC 9525).
    WrongHost,
    /// The certificate is that of an authority, which must not be a server's (RFC 5280, 4.2.1.9).
    Authority,
    /// Anything else.
    Other,
}

impl NetError {
    /// Classifies the library's error.
    ///
    /// `proxy` is the proxy that requests to `url` go through, without user name and password.
    pub fn of(url: &Url, error: &reqwest::Error, proxy: Option<&str>) -> Self {
        if let Some(inward) = find_cause::<Inward>(error) {
            return Self::Unusable(inward.clone().into());
        }
        let step = if error.is_connect() {
            if error.is_dns() {
                Step::Dns
            } else if let Some(tls) = find_cause::<rustls::Error>(error) {
                Step::Tls(tls_trouble(tls))
            } else if error.is_timeout() {
                Step::ConnectTimeout
            } else {
                Step::Connect
            }
        } else if error.is_body() || error.is_decode() {
            Step::Body
        } else {
            Step::Sent
        };
        // Behind a proxy, the connection was to the proxy, or the proxy refused to connect onward.
        let step = match (step, proxy) {
            (Step::Dns | Step::Connect | Step::ConnectTimeout, Some(_)) => Step::Proxy,
            (step, _) => step,
        };
        // The library's first line repeats the URL; its causes do not.
        let detail = error.source().map_or_else(|| Detail::fixed("no detail"), Detail::of);
        let proxy = proxy.filter(|_| step == Step::Proxy).map(str::to_owned);
        Self::Failed { host: host_of(url), step, detail, proxy }
    }

    /// No complete answer within `limit`.
    pub fn timed_out(url: &Url, limit: Duration) -> Self {
        let detail = Detail::timed_out(limit);
        Self::Failed { host: host_of(url), step: Step::Timeout(limit), detail, proxy: None }
    }

    /// More bytes than `limit`.
    pub fn too_large(url: &Url, limit: usize) -> Self {
        let detail = Detail(format!("more than {limit} bytes"));
        Self::Failed { host: host_of(url), step: Step::TooLarge(limit), detail, proxy: None }
    }

    /// Whether the server certainly did not get the request, so that sending it again cannot repeat an effect.
    pub fn never_sent(&self) -> bool {
        match self {
            Self::Unusable(_) => true,
            Self::Failed { step, .. } => {
                matches!(step, Step::Dns | Step::Connect | Step::Proxy | Step::Tls(_) | Step::ConnectTimeout)
            }
        }
    }
}

impl From<NetError> for Problem {
    fn from(error: NetError) -> Self {
        let (host, step, detail, proxy) = match error {
            NetError::Unusable(problem) => return problem,
            NetError::Failed { host, step, detail, proxy } => (host, step, detail, proxy),
        };
        let id = match step {
            Step::Dns => ProblemId::DnsFailed,
            Step::Connect => ProblemId::ConnectFailed,
            Step::Proxy => ProblemId::ProxyFailed,
            Step::Tls(TlsTrouble::Untrusted) => ProblemId::TlsUntrusted,
            Step::Tls(TlsTrouble::Expired) => ProblemId::TlsExpired,
            Step::Tls(TlsTrouble::WrongHost) => ProblemId::TlsWrongHost,
            Step::Tls(TlsTrouble::Authority) => ProblemId::TlsAuthority,
            Step::Tls(TlsTrouble::Other) => ProblemId::TlsFailed,
            Step::ConnectTimeout => ProblemId::ConnectTimedOut,
            Step::Sent | Step::Body => ProblemId::ConnectionLost,
            Step::Timeout(_) => ProblemId::AnswerTimedOut,
            Step::TooLarge(_) => ProblemId::AnswerTooLarge,
        };
        let problem = Problem::new(id);
        let problem = match step {
            Step::Tls(TlsTrouble::Authority) => {
                problem.with("name", name_of(&host)).with("san", alternative_name(&host))
            }
            Step::ConnectTimeout => problem.with("seconds", CONNECT_TIMEOUT.as_secs()),
            Step::Timeout(limit) => problem.with("seconds", limit.as_secs()),
            Step::TooLarge(limit) => problem.with("limit", limit),
            _ => problem,
        };
        let problem = match proxy {
            Some(proxy) => problem.with("proxy", proxy),
            None => problem,
        };
        problem.with("host", host).because(detail)
    }
}

/// The host, with the port if the URL names one.
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// `host` without its port, and without the brackets of an address.
fn name_of(host: &str) -> &str {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    };
    name.trim_matches(['[', ']'])
}

/// The name of a certificate for `host`, as openssl wants it (RFC 5280, 4.2.1.6).
fn alternative_name(host: &str) -> String {
    let name = name_of(host);
    let kind = if name.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    format!("{kind}:{name}")
}

fn tls_trouble(error: &rustls::Error) -> TlsTrouble {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => TlsTrouble::Expired,
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => TlsTrouble::WrongHost,
        // The verifier's own error, which the library does not translate.
        rustls::Error::InvalidCertificate(Certificate::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            TlsTrouble::Authority
        }
        rustls::Error::InvalidCertificate(_) => TlsTrouble::Untrusted,
        _ => TlsTrouble::Other,
    }
}

fn find_cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        // An io::Error does not return its inner error from source().
        let carried = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = carried.and_then(|inner| find_cause::<T>(inner)) {
            return Some(found);
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError as Certificate;
    use rustls::pki_types::ServerName;

    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_apart() {
        let expected = ServerName::try_from("a.example").unwrap();
        let context = Certificate::NotValidForNameContext { expected, presented: vec!["b.example".into()] };
        for (wrong, trouble) in [
            (Certificate::Expired, TlsTrouble::Expired),
            (Certificate::NotValidYet, TlsTrouble::Expired),
            (Certificate::NotValidForName, TlsTrouble::WrongHost),
            (context, TlsTrouble::WrongHost),
            (Certificate::UnknownIssuer, TlsTrouble::Untrusted),
            (Certificate::BadSignature, TlsTrouble::Untrusted),
        ] {
            assert_eq!(tls_trouble(&rustls::Error::InvalidCertificate(wrong.clone())), trouble, "{wrong:?}");
        }
        assert_eq!(tls_trouble(&rustls::Error::HandshakeNotComplete), TlsTrouble::Other);
    }

    #[test]
    fn the_command_for_another_certificate_names_the_host_as_openssl_takes_it() {
        for (host, name, alternative) in [
            ("mcp.example", "mcp.example", "DNS:mcp.example"),
            ("localhost:8443", "localhost", "DNS:localhost"),
            ("10.0.0.8:8443", "10.0.0.8", "IP:10.0.0.8"),
            ("[::1]:8443", "::1", "IP:::1"),
            ("[::1]", "::1", "IP:::1"),
        ] {
            let step = Step::Tls(TlsTrouble::Authority);
            let failed = NetError::Failed { host: host.into(), step, detail: Detail::default(), proxy: None };
            let fix = Problem::from(failed).fix();
            let wanted = [format!("-subj /CN={name} "), format!("subjectAltName={alternative} ")];
            assert!(wanted.iter().all(|wanted| fix.contains(wanted)), "{host}: {fix}");
        }
    }
}

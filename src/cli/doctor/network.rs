//! Checks the path to the server: proxy, name, connection, certificate, clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use url::Url;

use super::row::{Group, Outcome, Row};
use crate::blocking;
use crate::config::Settings;
use crate::http::error::Detail;
use crate::http::inspect::{self, Inspection};
use crate::http::{Http, NetError, Skew, Step, host_of};
use crate::limits::MAX_TRIED_ADDRESSES;
use crate::problem::{Problem, ProblemId};

/// How long a name may take to resolve.
const NAME_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// A certificate that expires sooner is a warning.
const CERTIFICATE_EXPIRY_WARNING: Duration = Duration::from_secs(14 * 86_400);

/// The results, and what the following checks need of them.
#[derive(Debug)]
pub struct Network {
    /// The rows.
    pub group: Group,
    /// The server's answer to a request without a token; `None` when it cannot be reached.
    pub inspection: Option<Inspection>,
}

/// Checks each step on the path to the server. `proxy_from` says which setting names the proxy.
pub async fn check(settings: &Settings, http: &Http, proxy_from: &str) -> Network {
    let mut rows = Vec::new();
    let inspection = follow(settings, http, proxy_from, &mut rows).await;
    for name in ["name", "connection", "certificate", "answer", "clock"] {
        if rows.iter().all(|row| row.name != name) {
            let failed = rows.iter().find(|row| row.outcome == Outcome::Fail).map_or("connection", |row| row.name);
            rows.push(Row::skip(name, &format!("it needs \"{failed}\"")));
        }
    }
    Network { group: Group { title: "Network", rows }, inspection }
}

async fn follow(settings: &Settings, http: &Http, proxy_from: &str, rows: &mut Vec<Row>) -> Option<Inspection> {
    let url = &settings.url;
    let proxy = http.proxy_for(url);
    rows.push(match &proxy {
        Some(proxy) => Row::ok("proxy", format!("{proxy}, from {proxy_from}")),
        None if url.scheme() == "http" => Row::ok("proxy", "none is used for this computer"),
        None => Row::ok("proxy", "none is set"),
    });
    // Behind a proxy, we connect to the proxy; it resolves the server's name.
    let near = proxy.as_deref().and_then(|proxy| Url::parse(&format!("http://{proxy}")).ok());
    let target = near.as_ref().unwrap_or(url);
    let reached = reach(target, settings.network.ipv4_only, near.is_some(), rows).await;
    if !reached {
        return None;
    }
    let start = Instant::now();
    let inspection = match inspect::inspect(http, url, ANSWER_TIMEOUT).await {
        Ok(inspection) => inspection,
        Err(error) => {
            rows.push(refused(http, url, error).await);
            return None;
        }
    };
    let took = start.elapsed();
    rows.push(certificate(url, &inspection, SystemTime::now()));
    let status = inspection.status.as_u16();
    let meaning = if status == 401 { ": sign-in required" } else { "" };
    rows.push(Row::ok("answer", format!("responds after {} ms (HTTP {status}{meaning})", took.as_millis())));
    rows.push(clock(url, &inspection, SystemTime::now()));
    Some(inspection)
}

/// Checks name and connection; whether there is a connection.
async fn reach(target: &Url, ipv4_only: bool, is_proxy: bool, rows: &mut Vec<Row>) -> bool {
    let (host, port) =
        (target.host_str().unwrap_or_default().to_owned(), target.port_or_known_default().unwrap_or(443));
    let shown = host_of(target);
    let asked = host.clone();
    let resolving = blocking::run(move || inspect::resolve(&asked, port));
    let found = match tokio::time::timeout(NAME_TIMEOUT, resolving).await {
        Ok(found) => found,
        Err(_) => Err(Detail::timed_out(NAME_TIMEOUT)),
    };
    let problem = |id: ProblemId| match is_proxy {
        true => Problem::new(ProblemId::ProxyFailed).with("proxy", &shown),
        false => Problem::new(id).with("host", &host).with("port", port),
    };
    let addresses = match found {
        Ok(addresses) => addresses,
        Err(why) => {
            rows.push(Row::fail("name", problem(ProblemId::DnsFailed).because(why)));
            return false;
        }
    };
    let addresses = tried(addresses, ipv4_only);
    rows.push(name(&host, &addresses));
    let tried: Vec<_> = addresses
        .into_iter()
        .map(|address| {
            let connected = tokio::task::spawn_blocking(move || inspect::connect(address, CONNECT_TIMEOUT));
            async move { (address, connected.await.unwrap_or_else(|error| Err(Detail::of(&error)))) }
        })
        .collect();
    let mut results = Vec::new();
    for one in tried {
        // All were started above, so this takes only as long as the slowest.
        results.push(one.await);
    }
    rows.push(connection(&results, problem(ProblemId::ConnectFailed), &shown));
    results.iter().any(|(_, result)| result.is_ok())
}

fn name(host: &str, addresses: &[SocketAddr]) -> Row {
    let texts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    if texts.iter().any(|text| text == host.trim_matches(['[', ']'])) {
        return Row::ok("name", format!("{host}, given as an address"));
    }
    Row::ok("name", format!("{host} is {}", texts.join(", ")))
}

fn connection(results: &[(SocketAddr, Result<Duration, Detail>)], failed: Problem, host: &str) -> Row {
    let Some((address, took)) = results.iter().find_map(|(address, result)| Some((address, result.as_ref().ok()?)))
    else {
        let why = results.iter().find_map(|(_, result)| result.as_ref().err()).cloned().unwrap_or_default();
        return Row::fail("connection", failed.because(why));
    };
    let all = |ipv6: bool, good: bool| {
        let mut of_kind = results.iter().filter(|(address, _)| address.is_ipv6() == ipv6).peekable();
        of_kind.peek().is_some() && of_kind.all(|(_, result)| result.is_ok() == good)
    };
    if all(true, false) && all(false, true) {
        return Row::warn("connection", Problem::new(ProblemId::Ipv6Unreachable).with("host", host));
    }
    Row::ok("connection", format!("{address} responds within {} ms", took.as_millis().max(1)))
}

/// Why there is no answer; for a certificate that is not trusted, who issued it.
async fn refused(http: &Http, url: &Url, error: NetError) -> Row {
    let tls = matches!(error, NetError::Failed { step: Step::Tls(_), .. });
    let problem = Problem::from(error);
    let row = if tls { "certificate" } else { "answer" };
    if problem.id != ProblemId::TlsUntrusted {
        return Row::fail(row, problem);
    }
    let issuer =
        inspect::untrusted_certificate(http, url, ANSWER_TIMEOUT).await.and_then(|certificate| certificate.issuer);
    let details = issuer.map(|issuer| format!("Issued by: {}", crate::problem::printable(&issuer)));
    Row::fail(row, problem).with_details(details.into_iter().collect())
}

fn certificate(url: &Url, inspection: &Inspection, now: SystemTime) -> Row {
    if url.scheme() == "http" {
        return Row::ok("certificate", "none: plain http, on this computer");
    }
    let Some(certificate) = &inspection.certificate else { return Row::ok("certificate", "trusted") };
    let left = certificate.not_after.duration_since(now).unwrap_or_default();
    let days = left.as_secs() / 86_400;
    if left < CERTIFICATE_EXPIRY_WARNING {
        let problem = Problem::new(ProblemId::CertificateEndsSoon);
        return Row::warn("certificate", problem.with("host", host_of(url)).with("days", days));
    }
    let by = certificate.issuer.as_deref().map(|issuer| format!(", issued by {}", crate::problem::printable(issuer)));
    Row::ok("certificate", format!("trusted, expires in {days} days{}", by.unwrap_or_default()))
}

fn clock(url: &Url, inspection: &Inspection, now: SystemTime) -> Row {
    let Some(there) = inspection.date else {
        return Row::ok("clock", "not checked: the server does not send its time");
    };
    match Skew::between(there, now) {
        None => Row::ok("clock", "agrees with the server's"),
        Some(skew) => {
            let problem = Problem::new(ProblemId::ClockWrong).with("host", host_of(url)).with("clock", skew);
            Row::warn("clock", problem)
        }
    }
}

/// The addresses of a name that are connected to.
fn tried(addresses: Vec<SocketAddr>, ipv4_only: bool) -> Vec<SocketAddr> {
    addresses.into_iter().filter(|address| !ipv4_only || address.is_ipv4()).take(MAX_TRIED_ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::http::certificate::Certificate;

    const DAY: Duration = Duration::from_secs(86_400);

    fn inspection(ends_in: Duration, date: SystemTime, now: SystemTime) -> Inspection {
        let issuer = Some("Acme\u{1b}[2J".to_owned());
        let certificate = Certificate { issuer, not_before: now - DAY, not_after: now + ends_in };
        let headers = HeaderMap::new();
        Inspection { status: StatusCode::UNAUTHORIZED, headers, date: Some(date), certificate: Some(certificate) }
    }

    #[test]
    fn a_certificate_that_ends_soon_and_a_clock_that_is_wrong_are_warnings() {
        let url = Url::parse("https://api.planhat.com/v1/mcp").expect("valid");
        let now = SystemTime::now();
        let well = inspection(DAY * 60, now, now);
        assert!(certificate(&url, &well, now).text().starts_with("trusted, expires in 60 days, issued by Acme"));
        assert!(!certificate(&url, &well, now).text().contains('\u{1b}'));
        assert_eq!(clock(&url, &well, now).outcome, Outcome::Ok);
        let bad = inspection(DAY * 3 + DAY / 2, now - DAY * 2, now);
        let row = certificate(&url, &bad, now);
        assert_eq!((row.outcome, row.text().contains("3 days")), (Outcome::Warn, true));
        assert!(clock(&url, &bad, now).text().contains("2 days ahead"), "{:?}", clock(&url, &bad, now));
    }

    #[test]
    fn ipv6_that_leads_nowhere_is_told_from_a_server_that_is_down() {
        let (four, six) = ("192.0.2.1:443".parse().expect("valid"), "[2001:db8::1]:443".parse().expect("valid"));
        let failed = || Problem::new(ProblemId::ConnectFailed);
        let (good, bad) = (Ok(Duration::from_millis(7)), || Err(Detail::fixed("unreachable")));
        let row = connection(&[(six, bad()), (four, good.clone())], failed(), "h");
        assert_eq!(row.problem.map(|problem| problem.id), Some(ProblemId::Ipv6Unreachable));
        let row = connection(&[(six, bad()), (four, bad())], failed(), "h");
        assert_eq!(
            (row.outcome, row.problem.and_then(|problem| problem.source)),
            (Outcome::Fail, Some("unreachable".into()))
        );
        let row = connection(&[(four, good)], failed(), "h");
        assert_eq!(row.text(), "192.0.2.1:443 responds within 7 ms");
    }

    #[test]
    fn a_name_with_ever_more_addresses_has_a_few_tried() {
        let addresses: Vec<SocketAddr> = (0..4_000).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        assert_eq!(tried(addresses.clone(), true), addresses[..MAX_TRIED_ADDRESSES]);
        assert_eq!(tried(vec![SocketAddr::from(([0; 8], 1)), addresses[0]], true), addresses[..1]);
    }
}

//! The guard against inward addresses: those of this machine and of the network around it.
//!
//! A server of the public internet that names `http://127.0.0.1:8080/` or `169.254.169.254` as its token endpoint would
//! make this program, or its user's browser, talk to hosts that the server itself cannot reach (server-side request
//! forgery). So such a server may name only public addresses. Host names are checked when the connection is made, on
//! the DNS answer that the connection uses: a DNS server that answers differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::config::HostPattern;
use crate::problem::{Problem, ProblemId};

/// How long a page's host name may take to resolve.
const PAGE_LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Who named an address; the stricter one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressSource {
    /// The user, or a server at an inward address: they may name any address.
    Insider,
    /// A server of the public internet: it may not name inward addresses.
    Public,
}

/// The network as seen from this machine; tests replace it.
#[derive(Clone)]
pub struct Surroundings {
    /// Whether an address is inward.
    pub is_inward: fn(IpAddr) -> bool,
    /// Resolves host names.
    pub resolver: Arc<dyn Resolve>,
}

/// Admits public addresses, and the hosts that the user has allowed.
#[derive(Clone)]
pub struct Guard {
    surroundings: Surroundings,
    allowed: Arc<[HostPattern]>,
}

/// An address that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}")]
pub struct Inward {
    /// The host, as the server named it.
    pub host: String,
    /// Its inward address.
    pub address: IpAddr,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { is_inward, resolver: Arc::new(SystemDns) }
    }
}

impl Guard {
    /// Also admits these hosts.
    pub fn new(surroundings: Surroundings, allowed: &[HostPattern]) -> Self {
        Self { surroundings, allowed: allowed.into() }
    }

    /// As whom a server at this address names others.
    pub fn namer(&self, address: IpAddr) -> AddressSource {
        if (self.surroundings.is_inward)(address) { AddressSource::Insider } else { AddressSource::Public }
    }

    /// Refuses a URL whose host is an inward IP address. [`Guard::resolve`] checks host names.
    pub fn check(&self, url: &Url) -> Result<(), Inward> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if (self.surroundings.is_inward)(address) && !url.host().is_some_and(|host| self.allows(&host)) {
            return Err(Inward { host: url.host_str().unwrap_or_default().to_owned(), address });
        }
        Ok(())
    }

    /// Refuses a page at an inward address. A browser may choose any address of a name, so none may be inward.
    pub async fn check_page(&self, url: &Url) -> Result<(), Inward> {
        self.check(url)?;
        let Some(host @ Host::Domain(name)) = url.host() else { return Ok(()) };
        if self.allows(&host) {
            return Ok(());
        }
        let inward = |address| Err(Inward { host: name.to_owned(), address });
        let bare = name.trim_end_matches('.');
        if bare == "localhost" || bare.ends_with(".localhost") {
            // Browsers resolve these themselves (RFC 6761, 6.3).
            return inward(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let Ok(name) = name.parse::<Name>() else { return Ok(()) };
        // Then a browser cannot resolve it either, unless through a proxy that this program does not know.
        let Ok(Ok(mut found)) =
            tokio::time::timeout(PAGE_LOOKUP_TIMEOUT, self.surroundings.resolver.resolve(name)).await
        else {
            return Ok(());
        };
        match found.find(|address| (self.surroundings.is_inward)(address.ip())) {
            Some(address) => inward(address.ip()),
            None => Ok(()),
        }
    }

    fn allows(&self, host: &Host<&str>) -> bool {
        self.allowed.iter().any(|pattern| pattern.matches(host))
    }
}

impl Resolve for Guard {
    /// The public addresses; an error if the name has only inward ones.
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let allowed = self.allows(&Host::Domain(&host));
        let is_inward = self.surroundings.is_inward;
        let resolving = self.surroundings.resolver.resolve(name);
        Box::pin(async move {
            let found = resolving.await?;
            if allowed {
                return Ok(found);
            }
            let (inward, outward): (Vec<SocketAddr>, Vec<SocketAddr>) = found.partition(|a| is_inward(a.ip()));
            match inward.first() {
                Some(address) if outward.is_empty() => Err(Inward { host, address: address.ip() }.into()),
                _ => Ok(Box::new(outward.into_iter()) as Addrs),
            }
        })
    }
}

/// The system's resolver, which `reqwest` uses too.
struct SystemDns;

impl Resolve for SystemDns {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let looking = tokio::task::spawn_blocking(move || (name.as_str(), 0).to_socket_addrs());
            Ok(Box::new(looking.await??) as Addrs)
        })
    }
}

impl From<Inward> for Problem {
    fn from(inward: Inward) -> Self {
        let setting = format!("--allow-private {}", inward.host);
        let problem = Problem::new(ProblemId::InwardAddress).with("host", inward.host);
        problem.with("address", inward.address).with("setting", setting)
    }
}

/// Whether an address is not globally reachable (IANA's registries of special-purpose addresses, RFC 6890): it belongs
/// to this machine, its network, or nobody.
pub fn is_inward(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inward_v4(address),
        IpAddr::V6(address) => is_inward_v6(address),
    }
}

fn is_inward_v4(address: Ipv4Addr) -> bool {
    /// Azure's platform services, including metadata, for virtual machines there; formally a public address.
    const AZURE_PLATFORM: [u8; 4] = [168, 63, 129, 16];
    match address.octets() {
        // This network; private; loopback; shared (CGNAT, and Alibaba's metadata); link-local (most metadata services).
        [0 | 10 | 127, ..] | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
        // Protocol assignments; documentation; the anycast of 6to4 relays; benchmarks.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [192, 88, 99, _] | [198, 18 | 19, ..] => true,
        // Multicast, reserved, broadcast.
        [224..=255, ..] => true,
        octets => octets == AZURE_PLATFORM,
    }
}

fn is_inward_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, .., g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_inward_v4(Ipv4Addr::new(a, b, c, d))
    };
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_inward_v4(mapped);
    }
    match (a, b) {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) embed the IPv4 address they lead to.
        (0x64, 0xff9b) if address.segments()[2..6] == [0; 4] => embedded(g, h),
        (0x2002, _) => embedded(b, c),
        // Protocol assignments, Teredo among them; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => true,
        // Only this is global unicast.
        (0x2000..=0x3fff, _) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;

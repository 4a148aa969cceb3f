//! The guard against addresses that lead inwards: into this machine, or into the network that it stands in.
//!
//! A server of the public internet that names `http://127.0.0.1:8080/` or `169.254.169.254` as the place to get tokens
//! from would have this program, or its user's browser, speak to what it cannot reach itself. So what such a server
//! names is held to public addresses. Names are judged where the connection is made, by the very answer of the DNS that
//! the connection goes to: a DNS that answers differently the second time gains nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::config::HostPattern;
use crate::problem::{Problem, ProblemId};

/// How long a look at where a page lies may take.
const LOOK: Duration = Duration::from_secs(5);

/// Whose word an address is; the stricter one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedBy {
    /// The user, or a server that is itself inside: it may lead anywhere.
    Insider,
    /// A server of the public internet: it must not lead inwards.
    Public,
}

/// How the network looks from here.
#[derive(Clone)]
pub struct Surroundings {
    /// Whether an address lies inside.
    pub is_inward: fn(IpAddr) -> bool,
    /// Where names lead.
    pub resolver: Arc<dyn Resolve>,
}

/// Lets through what leads outside, and the hosts that the user has allowed.
#[derive(Clone)]
pub struct Guard {
    surroundings: Surroundings,
    allowed: Arc<[HostPattern]>,
}

/// An address that was not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}")]
pub struct Inward {
    /// As it was named.
    pub host: String,
    /// Where it leads.
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
    /// Lets these hosts through as well.
    pub fn new(surroundings: Surroundings, allowed: &[HostPattern]) -> Self {
        Self { surroundings, allowed: allowed.into() }
    }

    /// Who speaks from this address.
    pub fn namer(&self, address: IpAddr) -> NamedBy {
        if (self.surroundings.is_inward)(address) { NamedBy::Insider } else { NamedBy::Public }
    }

    /// Refuses a URL whose host is an inward address; no resolver is asked for those.
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

    /// Refuses a page that a browser would find inside. A browser chooses among all addresses of a name, so none of them
    /// may lead inwards.
    pub async fn check_page(&self, url: &Url) -> Result<(), Inward> {
        self.check(url)?;
        let Some(host @ Host::Domain(name)) = url.host() else { return Ok(()) };
        if self.allows(&host) {
            return Ok(());
        }
        let inward = |address| Err(Inward { host: name.to_owned(), address });
        let bare = name.trim_end_matches('.');
        if bare == "localhost" || bare.ends_with(".localhost") {
            // Browsers know these without asking (RFC 6761, 6.3).
            return inward(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let Ok(name) = name.parse::<Name>() else { return Ok(()) };
        // What cannot be found from here a browser does not find either, unless it has other ways out.
        let Ok(Ok(mut found)) = tokio::time::timeout(LOOK, self.surroundings.resolver.resolve(name)).await else {
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
    /// The addresses that lead outside; an error when the name has inward ones alone.
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

/// The system's own resolver, as `reqwest` uses it too.
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

/// Whether an address is not globally reachable (IANA's registries of special-purpose addresses, RFC 6890), so that what
/// answers there belongs to this machine, its network, or nobody.
pub fn is_inward(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inward_v4(address),
        IpAddr::V6(address) => is_inward_v6(address),
    }
}

fn is_inward_v4(address: Ipv4Addr) -> bool {
    /// Azure's platform answers each of its machines here, metadata included; nobody outside is reached by it.
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
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address within.
        (0x64, 0xff9b) if address.segments()[2..6] == [0; 4] => embedded(g, h),
        (0x2002, _) => embedded(b, c),
        // Protocol assignments, Teredo among them; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => true,
        // Global unicast is this and nothing else.
        (0x2000..=0x3fff, _) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;

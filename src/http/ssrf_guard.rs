//! The guard against inward addresses: those of this machine and of the network around it.
//!
//! A server of the public internet that names `http://127.0.0.1:8080/` or `169.254.169.254` as its token endpoint would
//! make this program, or its user's browser, talk to hosts that the server itself cannot reach (server-side request
//! forgery). So such a server may name only public addresses. Host names are checked when the connection is made, on
//! the DNS answer that the connection uses: a DNS server that answers differently the second time gains nothing.
//!
//! [`ranges`] says which addresses are inward, which of them prove that a server is inside, and what a name may lead to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::config::HostPattern;
use crate::problem::{Problem, ProblemId};

mod ranges;

pub use ranges::is_inward;
use ranges::{is_inside, is_stand_in};

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

/// A page that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageRefused {
    /// Its host leads inwards.
    #[error(transparent)]
    Inward(#[from] Inward),
    /// The system finds no address of its host. A browser may ask somebody else (DNS over HTTPS), or ask later and be
    /// answered with an inward address.
    #[error("{host} has no address")]
    Unknown {
        /// The host, as the server named it.
        host: String,
    },
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
        let is_insider = (self.surroundings.is_inward)(address) && is_inside(address);
        if is_insider { AddressSource::Insider } else { AddressSource::Public }
    }

    /// Whether a name that a public server chose may not lead to this address.
    fn is_refused(&self, address: IpAddr) -> bool {
        (self.surroundings.is_inward)(address) && !is_stand_in(address)
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

    /// Refuses a page at an inward address, or at one that is not known. A browser may choose any address of a name, so
    /// none may be inward.
    pub async fn check_page(&self, url: &Url) -> Result<(), PageRefused> {
        self.check(url)?;
        let Some(host @ Host::Domain(name)) = url.host() else { return Ok(()) };
        if self.allows(&host) {
            return Ok(());
        }
        let inward = |address| Err(Inward { host: name.to_owned(), address }.into());
        let bare = name.trim_end_matches('.');
        if bare == "localhost" || bare.ends_with(".localhost") {
            // Browsers resolve these themselves (RFC 6761, 6.3).
            return inward(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let found = async {
            let found = self.surroundings.resolver.resolve(name.parse::<Name>().ok()?);
            tokio::time::timeout(PAGE_LOOKUP_TIMEOUT, found).await.ok()?.ok()
        };
        let found: Vec<IpAddr> = found.await.into_iter().flatten().map(|address| address.ip()).collect();
        if found.is_empty() {
            return Err(PageRefused::Unknown { host: name.to_owned() });
        }
        match found.into_iter().find(|address| self.is_refused(*address)) {
            Some(address) => inward(address),
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
        let guard = self.clone();
        let resolving = self.surroundings.resolver.resolve(name);
        Box::pin(async move {
            let found = resolving.await?;
            if allowed {
                return Ok(found);
            }
            let (inward, outward): (Vec<SocketAddr>, Vec<SocketAddr>) = found.partition(|a| guard.is_refused(a.ip()));
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

impl From<PageRefused> for Problem {
    fn from(refused: PageRefused) -> Self {
        match refused {
            PageRefused::Inward(inward) => inward.into(),
            PageRefused::Unknown { host } => {
                let setting = format!("--allow-private {host}");
                Problem::new(ProblemId::PageHostUnknown).with("host", host).with("setting", setting)
            }
        }
    }
}

#[cfg(test)]
mod tests;

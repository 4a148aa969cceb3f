//! The remote server: which addresses are acceptable, which are Planhat's, and the default profile of each.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::safe_url;
use super::safe_url::UnsafeUrl;
use super::shown::Shown;

/// Planhat's production endpoint.
pub const PRODUCTION_URL: &str = "https://api.planhat.com/v1/mcp";
/// Planhat's endpoint for demo tenants.
pub const DEMO_URL: &str = "https://api.planhatdemo.com/v1/mcp";
/// The scope that Planhat advertises: the overlap of the OAuth Client's permissions and the user's Role.
pub const PLANHAT_SCOPE: &str = "inclusive";

/// Why an address is not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlRefused {
    /// Not an absolute http or https address, or one with a user name, a password or a fragment.
    Invalid,
    /// Plain http to another machine.
    Insecure,
}

/// The service at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Product {
    /// Planhat's production tenants.
    Planhat,
    /// Planhat's demo tenants.
    PlanhatDemo,
    /// Any other MCP server, by URL.
    Other,
}

impl Product {
    /// Whether this is one of Planhat's environments.
    pub const fn is_planhat(self) -> bool {
        !matches!(self, Product::Other)
    }

    /// The endpoint of a Planhat environment.
    pub const fn url(self) -> Option<&'static str> {
        match self {
            Product::Planhat => Some(PRODUCTION_URL),
            Product::PlanhatDemo => Some(DEMO_URL),
            Product::Other => None,
        }
    }

    /// The scope to request unless the user chooses another.
    pub(super) fn scope(self) -> Option<String> {
        self.is_planhat().then(|| PLANHAT_SCOPE.to_owned())
    }

    /// How many requests the service takes at once; Planhat documents its limit.
    pub(super) const fn requests_at_once(self) -> usize {
        if self.is_planhat() { 50 } else { 1_000 }
    }

    /// The tenant that a person means: by its name, or by the address that their browser shows there.
    pub fn of_words(text: &str) -> Option<Product> {
        let text = text.trim().to_ascii_lowercase();
        let host = text.strip_prefix("https://").unwrap_or(&text).split(['/', '?', '#']).next().unwrap_or_default();
        // Of Planhat's own, by the labels: `planhat.com.example.com` is somebody else's.
        let is_of = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        match text.as_str() {
            "production" | "prod" | "live" => Some(Product::Planhat),
            "demo" => Some(Product::PlanhatDemo),
            _ if is_of("planhat.com") => Some(Product::Planhat),
            _ if is_of("planhatdemo.com") => Some(Product::PlanhatDemo),
            _ => None,
        }
    }

    /// The product behind an address; the host alone decides.
    pub fn of(url: &Url) -> Product {
        match (url.scheme(), url.host_str(), url.port()) {
            ("https", Some("api.planhat.com"), None) => Product::Planhat,
            ("https", Some("api.planhatdemo.com"), None) => Product::PlanhatDemo,
            _ => Product::Other,
        }
    }
}

/// The name of the tenant.
impl Shown for Product {
    fn shown(&self) -> Option<String> {
        match self {
            Product::Planhat => Some("production".to_owned()),
            Product::PlanhatDemo => Some("demo".to_owned()),
            Product::Other => None,
        }
    }
}

/// Parses the address of an MCP endpoint: https, or http to this machine; no user name, no fragment.
pub fn parse_url(text: &str) -> Result<Url, UrlRefused> {
    let url = safe_url::check(text).map_err(|refused| match refused {
        UnsafeUrl::Scheme { scheme, .. } if scheme == "http" => UrlRefused::Insecure,
        _ => UrlRefused::Invalid,
    })?;
    if url.fragment().is_some() { Err(UrlRefused::Invalid) } else { Ok(url) }
}

/// The default profile of an address: stable, different for any two addresses, and valid in a file name.
pub fn profile_of(url: &Url) -> String {
    match Product::of(url) {
        Product::Planhat if url.as_str() == PRODUCTION_URL => return "planhat".to_owned(),
        Product::PlanhatDemo if url.as_str() == DEMO_URL => return "planhat-demo".to_owned(),
        _ => {}
    }
    let mut name = match url.host() {
        Some(Host::Ipv6(address)) => format!("ip6-{address}").replace(':', "-"),
        _ => url.host_str().unwrap_or_default().to_owned(),
    };
    let is_short = name.len() <= 40 && name.contains('.');
    if let Some(port) = url.port() {
        name.push_str(&format!("-{port}"));
    }
    name.truncate(46);
    // A hash stands for the path, the query and anything else that the name leaves out.
    if url.path() != "/mcp" || url.query().is_some() || url.scheme() != "https" || !is_short {
        name.push_str(&format!("-{:08x}", folded(url.as_str())));
    }
    name
}

/// Whether `name` can be a profile, and so part of file names and keychain items.
pub fn is_profile_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=64).contains(&name.len()) && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(allowed)
}

/// The hash of an address, folded to 32 bits.
fn folded(text: &str) -> u32 {
    let hash = crate::hash::fnv1a(text.as_bytes());
    ((hash >> 32) ^ (hash & 0xffff_ffff)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        parse_url(text).expect("acceptable")
    }

    #[test]
    fn plain_http_is_accepted_for_this_machine_alone() {
        for ok in ["http://127.0.0.1:8080/mcp", "http://127.9.9.9/", "http://[::1]:1/mcp", "http://localhost/mcp"] {
            assert!(parse_url(ok).is_ok(), "{ok}");
        }
        for bad in ["http://example.com/mcp", "http://10.0.0.1/mcp", "http://localhost.example.com/", "http://0.0.0.0/"]
        {
            assert_eq!(parse_url(bad), Err(UrlRefused::Insecure), "{bad}");
        }
    }

    #[test]
    fn user_names_fragments_and_other_schemes_are_refused() {
        for bad in [
            "https://u@example.com/mcp",
            "https://u:p@example.com/mcp",
            "https://example.com/mcp#x",
            "ftp://example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "example.com/mcp",
            "https://",
            " https://example.com/mcp",
            "",
        ] {
            assert_eq!(parse_url(bad), Err(UrlRefused::Invalid), "{bad:?}");
        }
    }

    #[test]
    fn planhat_is_recognised_however_it_was_given() {
        assert_eq!(Product::of(&url(PRODUCTION_URL)), Product::Planhat);
        assert_eq!(Product::of(&url("https://API.planhatdemo.com:443/v1/mcp")), Product::PlanhatDemo);
        assert_eq!(Product::of(&url("https://api.planhat.com.example.org/v1/mcp")), Product::Other);
        assert_eq!(Product::of(&url("https://api.planhat.com:8443/v1/mcp")), Product::Other);
    }

    #[test]
    fn every_address_has_a_profile_of_its_own_that_fits_into_a_file_name() {
        assert_eq!(profile_of(&url(PRODUCTION_URL)), "planhat");
        assert_eq!(profile_of(&url(DEMO_URL)), "planhat-demo");
        assert_eq!(profile_of(&url("https://mcp.example.com/mcp")), "mcp.example.com");
        let long = format!("https://{}.example.com/mcp", "a".repeat(60));
        let all = [
            "https://mcp.example.com/mcp",
            "https://mcp.example.com/other",
            "https://mcp.example.com/mcp?tenant=1",
            "https://mcp.example.com:8443/mcp",
            "https://api.planhat.com/v2/mcp",
            "http://localhost:8443/mcp",
            "https://localhost:8443/mcp",
            "http://[::1]:8080/mcp",
            long.as_str(),
        ];
        let names: std::collections::HashSet<String> = all.iter().map(|text| profile_of(&url(text))).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        assert!(names.iter().all(|name| is_profile_name(name)), "{names:?}");
    }

    #[test]
    fn the_hash_of_an_address_stays_the_same_across_releases() {
        assert_eq!(profile_of(&url("https://mcp.example.com/other")), "mcp.example.com-480b2044");
    }

    #[test]
    fn a_profile_name_cannot_lead_out_of_its_folder() {
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", "a:b", "-x", ".hidden", "a b", &"x".repeat(65)] {
            assert!(!is_profile_name(bad), "{bad:?}");
        }
        assert!(is_profile_name("acme-2.test_1"));
    }
}

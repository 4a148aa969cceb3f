//! The HTTP client: built on first use, shared by everything that uses the network.
//!
//! The library never follows redirects: a bearer token must not reach another origin, nor plain http. There is a time
//! limit on connecting but none on a whole exchange, because an answer may be a stream that stays open for hours.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use url::Url;

use crate::blocking;
use crate::config::NetworkSettings;
use crate::http::connection::POOL_IDLE_TIMEOUT;
use crate::http::error::{NetError, host_of};
use crate::http::ssrf_guard::{AddressSource, Guard, Surroundings};
use crate::http::{connection, keep_alive, sent};
use crate::limits::Yielding;
use crate::problem::Problem;
use crate::secret::Secrets;

/// A jump of the wall clock against the monotonic one that means that the machine slept.
const CLOCK_JUMP: Duration = Duration::from_secs(10);

/// How many answers are left unread at once where nobody says more.
const FEW_REQUESTS: usize = 50;

/// Access to the network. Cheap to clone; all clones share connections.
#[derive(Debug, Clone)]
pub struct Http {
    inner: Arc<Inner>,
    /// Who named the addresses to connect to.
    by: AddressSource,
}

#[derive(Debug)]
struct Inner {
    network: NetworkSettings,
    /// How many answers may be left unread at once.
    requests_at_once: usize,
    guard: Guard,
    clients: Mutex<Clients>,
    /// Held while a client is built, so that concurrent requests share it.
    building: tokio::sync::Mutex<()>,
    last_reading: Mutex<ClockReading>,
}

#[derive(Debug, Default)]
struct Clients {
    plain: Slots,
    secure: Slots,
}

type Built = Result<reqwest::Client, Problem>;

/// Two pools: an address that a public server names must not reuse a connection that was made without the guard.
#[derive(Debug, Default)]
struct Slots {
    free: Option<Built>,
    guarded: Option<Built>,
    /// Tells the connections of one user from those of the next.
    user: Arc<()>,
    /// How long an idle connection is kept, once a server has shown that the usual time is too long.
    idle: Option<Duration>,
}

impl Clients {
    fn slots(&mut self, tls: bool) -> &mut Slots {
        if tls { &mut self.secure } else { &mut self.plain }
    }
}

impl Slots {
    fn slot(&mut self, guarded: bool) -> &mut Option<Built> {
        if guarded { &mut self.guarded } else { &mut self.free }
    }

    /// Drops the connections; they are made anew for the same user.
    fn drop_connections(&mut self) {
        (self.free, self.guarded) = (None, None);
    }
}

/// Two clocks, read at the same time: one runs while the machine sleeps, the other (on most systems) does not.
#[derive(Debug)]
struct ClockReading {
    wall: SystemTime,
    monotonic: Instant,
}

/// Bounds for one whole exchange with an endpoint other than the MCP endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The largest body to read, in bytes, after decompression.
    pub max_body: usize,
    /// From the first byte sent to the last byte received.
    pub timeout: Duration,
}

/// A whole answer, of any status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, within the bound.
    pub body: Vec<u8>,
    /// As whom the answering server names addresses.
    pub namer: AddressSource,
    /// The secrets in the request, for [`Secrets::words`] to mask where the answer quotes them.
    pub secrets: Secrets,
}

impl Http {
    /// Loads and connects nothing before the first request.
    pub fn new(network: NetworkSettings) -> Self {
        Self::within(network, Surroundings::default())
    }

    /// The same for a caller that leaves up to this many answers unread at once.
    pub fn for_requests(network: NetworkSettings, requests_at_once: usize) -> Self {
        Self::assemble(network, requests_at_once, Surroundings::default())
    }

    /// The same, with a view of the network that a test can set.
    pub fn within(network: NetworkSettings, surroundings: Surroundings) -> Self {
        Self::assemble(network, FEW_REQUESTS, surroundings)
    }

    fn assemble(network: NetworkSettings, requests_at_once: usize, surroundings: Surroundings) -> Self {
        let last_reading = Mutex::new(ClockReading { wall: SystemTime::now(), monotonic: Instant::now() });
        let guard = Guard::new(surroundings, &network.allow_private);
        let (clients, building) = Default::default();
        Self {
            inner: Arc::new(Inner { network, requests_at_once, guard, clients, building, last_reading }),
            by: AddressSource::Insider,
        }
    }

    /// The same client, for addresses that `by` has named.
    #[must_use]
    pub fn named_by(&self, by: AddressSource) -> Self {
        Self { by, ..self.clone() }
    }

    /// As whom the answering server names addresses, decided by the address of the connection itself: a second look-up
    /// could return a different one. A server behind a proxy counts as public; otherwise no proxy would be needed.
    pub fn namer(&self, response: &reqwest::Response) -> AddressSource {
        self.namer_at(response.url(), response.remote_addr().map(|address| address.ip()))
    }

    fn namer_at(&self, url: &Url, address: Option<IpAddr>) -> AddressSource {
        match address {
            Some(address) if self.proxy_for(url).is_none() => self.inner.guard.namer(address),
            _ => AddressSource::Public,
        }
    }

    /// Refuses a page that must not be opened in a browser: one at an inward address that a public server named.
    ///
    /// # Errors
    /// `InwardAddress`, with the host, the address and the setting that allows it.
    pub async fn check_page(&self, url: &Url) -> Result<(), Problem> {
        if self.guards(url) {
            self.inner.guard.check_page(url).await?;
        }
        Ok(())
    }

    /// Whether the guard applies to `url`. It does not behind a proxy, which resolves and connects on its own.
    fn guards(&self, url: &Url) -> bool {
        self.by == AddressSource::Public && self.proxy_for(url).is_none()
    }

    /// The client for `url`. Trust roots are read from the platform (and `--ca-file`) only for the first https URL,
    /// because that is the slowest part of starting up; this happens on a thread that may block.
    ///
    /// # Errors
    /// When the CA file or the proxy of the settings cannot be used, or when the guard refuses the URL.
    pub async fn client(&self, url: &Url) -> Result<reqwest::Client, Problem> {
        let guarded = self.guard_for(url)?.is_some();
        let tls = url.scheme() == "https";
        if self.has_slept(SystemTime::now(), Instant::now()) {
            // Old connections are most likely dead, and writing to a dead one can look successful for minutes.
            tracing::info!("the clock has jumped, perhaps after sleep; connections are made anew");
            let mut clients = self.clients();
            clients.plain.drop_connections();
            clients.secure.drop_connections();
        }
        if let Some(built) = self.clients().slots(tls).slot(guarded) {
            return built.clone();
        }
        let _building = self.inner.building.lock().await;
        loop {
            let (user, idle) = {
                let mut clients = self.clients();
                let slots = clients.slots(tls);
                if let Some(built) = slots.slot(guarded) {
                    return built.clone();
                }
                (Arc::clone(&slots.user), slots.idle.unwrap_or(POOL_IDLE_TIMEOUT))
            };
            let inner = Arc::clone(&self.inner);
            let build = move || {
                let guard = guarded.then_some(&inner.guard);
                connection::build(connection::builder(&inner.network, inner.requests_at_once, tls, guard, idle)?)
            };
            // Only TLS reads files (trust roots) to be built.
            let built = if tls { blocking::run(build).await } else { build() };
            let mut clients = self.clients();
            let slots = clients.slots(tls);
            // If the connections were forgotten meanwhile, this is another user's client.
            if Arc::ptr_eq(&slots.user, &user) {
                return slots.slot(guarded).insert(built).clone();
            }
        }
    }

    /// Keeps idle connections no longer than this answer's server does. The first answer of such a server costs one more
    /// connection: those that are open would be kept for too long.
    pub fn heed_keep_alive(&self, response: &reqwest::Response) {
        let Some(idle) = keep_alive::idle_of(response.version(), response.headers()) else { return };
        let mut clients = self.clients();
        let slots = clients.slots(response.url().scheme() == "https");
        if idle < slots.idle.unwrap_or(POOL_IDLE_TIMEOUT) {
            slots.idle = Some(idle);
            slots.drop_connections();
        }
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        self.inner.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guard for `url`, if one applies.
    ///
    /// # Errors
    /// `InwardAddress` when it refuses the URL.
    pub(super) fn guard_for(&self, url: &Url) -> Result<Option<&Guard>, Problem> {
        let guard = self.guards(url).then_some(&self.inner.guard);
        if let Some(guard) = guard {
            guard.check(url)?;
        }
        Ok(guard)
    }

    /// The secrets in `request`, its cookies included: the answer may quote them.
    pub fn secrets_in(&self, request: &reqwest::Request) -> Secrets {
        sent::secrets_in(request)
    }

    /// Forgets the connections: the next request may be another user's.
    pub fn forget(&self) {
        *self.clients() = Clients::default();
    }

    /// Whether the clocks have drifted apart since the last call.
    fn has_slept(&self, wall: SystemTime, monotonic: Instant) -> bool {
        let mut reading = self.inner.last_reading.lock().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut *reading, ClockReading { wall, monotonic });
        let by_wall = wall.duration_since(last.wall).unwrap_or_default();
        by_wall.saturating_sub(monotonic.saturating_duration_since(last.monotonic)) > CLOCK_JUMP
    }

    /// Classifies a failed exchange with `url`.
    pub fn explain(&self, url: &Url, error: &reqwest::Error) -> NetError {
        NetError::of(url, error, self.proxy_for(url).as_deref())
    }

    /// The network settings.
    pub(super) fn network(&self) -> &NetworkSettings {
        &self.inner.network
    }

    /// The proxy that requests to `url` go through, without user name and password. The rules are the client library's,
    /// so that the two cannot disagree.
    pub fn proxy_for(&self, url: &Url) -> Option<String> {
        if url.scheme() != "https" {
            return None;
        }
        let matcher = match &self.inner.network.proxy {
            Some(proxy) => {
                let except = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).unwrap_or_default();
                Matcher::builder().all(proxy.expose().clone()).no(except).build()
            }
            None => Matcher::from_system(),
        };
        let proxy = matcher.intercept(&url.as_str().parse().ok()?)?;
        Some(host_of(&Url::parse(&proxy.uri().to_string()).ok()?))
    }

    /// One bounded exchange: follows no redirect, reads the whole body.
    ///
    /// # Errors A [`NetError`] that says how far the exchange got. A refusal by status is an [`Answer`], not an error.
    pub async fn exchange(&self, request: reqwest::Request, bounds: Bounds) -> Result<Answer, NetError> {
        let url = request.url().clone();
        let client = self.client(&url).await.map_err(NetError::Unusable)?;
        let secrets = self.secrets_in(&request);
        let whole = async {
            let mut response = client.execute(request).await.map_err(|e| self.explain(&url, &e))?;
            let namer = self.namer(&response);
            self.heed_keep_alive(&response);
            let mut body = Vec::new();
            let mut yielding = Yielding::default();
            while let Some(piece) = response.chunk().await.map_err(|e| self.explain(&url, &e))? {
                if body.len() + piece.len() > bounds.max_body {
                    return Err(NetError::too_large(&url, bounds.max_body));
                }
                body.extend_from_slice(&piece);
                yielding.bytes(piece.len()).await;
            }
            let headers = std::mem::take(response.headers_mut());
            Ok(Answer { status: response.status(), headers, body, namer, secrets })
        };
        tokio::time::timeout(bounds.timeout, whole)
            .await
            .unwrap_or_else(|_| Err(NetError::timed_out(&url, bounds.timeout)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemId;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_client_is_built_on_another_thread_and_not_kept_when_it_is_forgotten_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let ca_file = dir.path().join("ca.pem");
        let stuck = crate::files::stuck::Stuck::in_place_of(ca_file.clone());
        let http = Http::new(NetworkSettings { ca_file: Some(ca_file), ..NetworkSettings::default() });
        let url = Url::parse("https://mcp.example.com/mcp").unwrap();
        let mut client = std::pin::pin!(http.client(&url));
        let waited = tokio::time::timeout(Duration::from_millis(50), client.as_mut()).await;
        assert!(waited.is_err(), "built without its file");
        http.forget();
        // What was stuck reads something that is no certificate, and whatever is built after that finds no file.
        drop(stuck);
        let problem = client.await.unwrap_err();
        assert_eq!(problem.id, ProblemId::CaFileUnusable);
        let detail = problem.fact("detail").unwrap_or_default();
        assert!(!detail.contains("certificate"), "it is the client of the user before: {detail}");
        assert!(http.clients().slots(true).slot(false).is_some());
    }

    #[tokio::test]
    async fn a_server_that_keeps_connections_for_less_time_has_them_made_anew_once() {
        let http = Http::new(NetworkSettings::default());
        let url = Url::parse("http://127.0.0.1/mcp").unwrap();
        let answer = |keep_alive: &str| {
            let answer = ::http::Response::builder().header("keep-alive", keep_alive).body("");
            reqwest::Response::from(answer.unwrap())
        };
        for (keep_alive, is_dropped) in
            [("timeout=60", false), ("timeout=5", true), ("max=1", false), ("timeout=2", true)]
        {
            http.client(&url).await.unwrap();
            http.heed_keep_alive(&answer(keep_alive));
            assert_eq!(http.clients().slots(false).slot(false).is_none(), is_dropped, "{keep_alive}");
        }
        assert_eq!(http.clients().slots(false).idle, Some(Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn a_request_that_goes_through_a_proxy_is_not_judged_here() {
        let proxy = Some("http://10.0.0.8:3128".into());
        let http = Http::new(NetworkSettings { proxy, ..NetworkSettings::default() }).named_by(AddressSource::Public);
        let inner = Url::parse("https://10.0.0.1/token").unwrap();
        assert!(http.client(&inner).await.is_ok(), "the proxy looks at it from where it is");
        assert_eq!(http.proxy_for(&inner).as_deref(), Some("10.0.0.8:3128"));
        // Plain http never goes through the proxy.
        let local = Url::parse("http://127.0.0.1/token").unwrap();
        assert_eq!(http.client(&local).await.unwrap_err().id, ProblemId::InwardAddress);
        assert!(http.named_by(AddressSource::Insider).client(&local).await.is_ok());
    }

    #[test]
    fn what_lies_behind_a_proxy_is_outside_although_the_proxy_itself_is_inside() {
        let url = Url::parse("https://mcp.example.com/mcp").unwrap();
        let (inside, proxy) = (Some("10.0.0.8".parse().unwrap()), Some("http://10.0.0.8:3128".into()));
        let through = Http::new(NetworkSettings { proxy, ..NetworkSettings::default() });
        assert_eq!(through.namer_at(&url, inside), AddressSource::Public);
        // Plain http goes through no proxy, so that the address is the server's.
        let local = Url::parse("http://localhost/mcp").unwrap();
        assert_eq!(through.namer_at(&local, inside), AddressSource::Insider);
        assert_eq!(through.namer_at(&local, None), AddressSource::Public, "nobody knows where that was");
    }

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

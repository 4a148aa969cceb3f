//! The handle on a running tenant.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};

use crate::attack::{Attack, Play, Strength};
use crate::config::Config;
use crate::counters::{Counters, Timeout};
use crate::fault::{Change, Fault, Place};
use crate::front::{Door, DoorCommand, DoorOrder, keep};
use crate::mcp::server::session_manager;
use crate::raw::{RawReply, STREAM, event};
use crate::record::Recorded;
use crate::state::Tenant;
use crate::tls::{self, Identity, PUBLIC_API, PUBLIC_WS, Tls};
use crate::wire::Route;

/// A running tenant; dropping it stops everything.
///
/// It runs on threads of its own, so its methods work in and outside of async code.
pub struct Sandbox {
    tenant: Arc<Tenant>,
    route: Route,
    runtime: Handle,
    doors: Vec<mpsc::UnboundedSender<DoorOrder>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("api", &self.tenant.api).field("ws", &self.tenant.ws).finish_non_exhaustive()
    }
}

struct Running {
    tenant: Arc<Tenant>,
    route: Route,
    runtime: Handle,
    doors: Vec<mpsc::UnboundedSender<DoorOrder>>,
}

impl Sandbox {
    /// Starts a tenant; all its listeners are bound when this returns.
    ///
    /// # Panics
    ///
    /// When loopback ports or threads cannot be had, which no test can do anything about.
    pub fn start(config: Config) -> Self {
        Self::try_start(config).expect("a tenant can be started on loopback")
    }

    /// Starts a tenant, or says why it cannot be started: a fixed port that is in use, for one.
    pub fn try_start(config: Config) -> io::Result<Self> {
        let (started, start) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name("sandbox".into()).spawn(move || run(config, &started, stopped))?;
        let Running { tenant, route, runtime, doors } =
            start.recv().map_err(|_| io::Error::other("the tenant's thread ended"))??;
        Ok(Self { tenant, route, runtime, doors, stop: Some(stop), thread: Some(thread) })
    }

    /// The MCP endpoint.
    pub fn mcp_url(&self) -> String {
        self.tenant.mcp_url()
    }

    /// The issuer, without a slash at the end.
    pub fn api_base(&self) -> String {
        self.tenant.api.clone()
    }

    /// The web application with the authorize endpoint, without a slash at the end.
    pub fn ws_base(&self) -> String {
        self.tenant.ws.clone()
    }

    /// How clients get to a tenant that speaks https: the CA to trust, and the proxy that finds its names.
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// Changes the configuration from the next request on; what is marked as fixed at the start stays.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.tenant.configure(change);
    }

    /// Queues a fault.
    pub fn fault(&self, fault: Fault) {
        self.tenant.faults.add(fault);
    }

    /// Forgets the faults that did not fire yet.
    pub fn clear_faults(&self) {
        self.tenant.faults.clear();
    }

    /// Answers every request of this JSON-RPC method with exactly these bytes. The newest rule that is not used up
    /// counts. A rule for `initialize` makes the script play the whole server: GET streams are then silent until
    /// something is pushed, and DELETE is accepted.
    pub fn on_method(&self, method: &str, reply: RawReply) {
        self.tenant.script.add(method, None, reply);
    }

    /// Answers every call of this tool with exactly these bytes.
    pub fn on_tool(&self, name: &str, reply: RawReply) {
        self.tenant.script.add("tools/call", Some(name), reply);
    }

    /// Answers every request for a standing stream with exactly these bytes.
    pub fn on_stream(&self, reply: RawReply) {
        self.tenant.script.add(STREAM, None, reply);
    }

    /// Plays an attack from now on.
    pub fn play(&self, attack: &Attack, strength: Strength) {
        attack.play(&Play { tenant: &self.tenant, attack: attack.name, strength });
    }

    /// Plays no attack any more.
    pub fn stop_attacks(&self) {
        self.tenant.faults.stop_attacks();
        self.tenant.script.stop_attacks();
        self.tenant.configure(|config| {
            config.more_tools.clear();
            config.guarded_tools.clear();
        });
    }

    /// Forgets the scripted answers.
    pub fn clear_script(&self) {
        self.tenant.script.clear();
    }

    /// Sends a message on the newest standing GET stream; false when none is open.
    #[must_use = "a message that nobody reads tests nothing"]
    pub fn push(&self, message: &str) -> bool {
        self.tenant.script.note_request(message);
        self.tenant.push(&Bytes::from(event(message)))
    }

    /// Sends raw bytes on the newest standing GET stream; false when none is open.
    #[must_use = "bytes that nobody reads test nothing"]
    pub fn push_bytes(&self, bytes: impl Into<Vec<u8>>) -> bool {
        self.tenant.push(&Bytes::from(bytes.into()))
    }

    /// Every request to the MCP endpoint, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests_at(Place::Mcp)
    }

    /// Every request to one part of the tenant, in order.
    pub fn requests_at(&self, place: Place) -> Vec<Recorded> {
        self.tenant.recorder.at(place)
    }

    /// Blocks until a request is there for which `look` returns true, and gives the first one.
    pub fn wait_request(&self, mut look: impl FnMut(&Recorded) -> bool, within: Duration) -> Result<Recorded, Timeout> {
        self.tenant.board.wait(within, |_| self.tenant.recorder.find(|request| look(request).then(|| request.clone())))
    }

    /// What has been counted so far.
    pub fn counters(&self) -> Counters {
        self.tenant.board.snapshot()
    }

    /// Blocks until the counters satisfy a condition.
    pub fn wait_until(
        &self,
        mut condition: impl FnMut(&Counters) -> bool,
        within: Duration,
    ) -> Result<Counters, Timeout> {
        self.tenant.board.wait(within, |counters| condition(counters).then(|| counters.clone()))
    }

    /// Waits until the counters satisfy a condition, without blocking the thread.
    pub async fn until(
        &self,
        mut condition: impl FnMut(&Counters) -> bool,
        within: Duration,
    ) -> Result<Counters, Timeout> {
        self.tenant.board.wait_async(within, |counters| condition(counters).then(|| counters.clone())).await
    }

    /// Lets calls of the tool `slow` with HOLD finish, now and later.
    pub fn release_slow(&self) {
        self.tenant.slow.open();
    }

    /// Makes every access token invalid.
    pub fn expire_access_tokens(&self) {
        self.tenant.grants.expire_access_tokens();
    }

    /// Makes every refresh token invalid; access tokens stay valid.
    pub fn revoke_refresh_tokens(&self) {
        self.tenant.grants.revoke_refresh_tokens();
    }

    /// Revokes every grant, as when the user disconnects the application.
    pub fn revoke_grants(&self) {
        self.tenant.grants.revoke_all();
    }

    /// Ends every standing stream; their sessions go on.
    pub fn end_streams(&self) {
        crate::lock(&self.tenant.streams).clear();
    }

    /// Forgets sessions, grants and the clients that registered themselves, as a restart does where all that is kept in
    /// memory alone.
    pub fn restart_without_memory(&self) {
        self.lose_sessions();
        self.revoke_grants();
        self.tenant.configure(|config| {
            let registered = config.registered_client_id.clone().unwrap_or_default();
            let begin = registered.split("{n}").next().unwrap_or_default().to_owned();
            config.clients.retain(|client| begin.is_empty() || !client.id.starts_with(&begin));
        });
    }

    /// Forgets every session, and ends their streams.
    pub fn lose_sessions(&self) {
        let (done, wait) = std::sync::mpsc::channel();
        let tenant = self.tenant.clone();
        self.runtime.spawn(async move {
            tenant.change(Change::LoseSessions).await;
            let _ = done.send(());
        });
        let _ = wait.recv();
    }

    /// Closes both listeners and every connection, as an outage does.
    pub fn go_offline(&self) {
        let _ = self.order(|| DoorCommand::Shut);
    }

    /// Listens again on the same ports.
    ///
    /// # Errors
    ///
    /// When something else took a port meanwhile.
    pub fn come_back(&self) -> io::Result<()> {
        self.order(|| DoorCommand::Open)
    }

    fn order(&self, command: impl Fn() -> DoorCommand) -> io::Result<()> {
        for door in &self.doors {
            let (done, wait) = std::sync::mpsc::channel();
            let _ = door.send((command(), done));
            wait.recv().map_err(|_| io::Error::other("the tenant ended"))??;
        }
        Ok(())
    }

    /// Everything secret that this tenant knows or ever gave out: client secrets, codes, tokens, verifiers. A test can
    /// look for them where they must not be.
    pub fn secrets(&self) -> Vec<String> {
        let config = self.tenant.config();
        let clients = config.clients.iter().filter_map(|client| client.secret.clone());
        clients.chain(config.private_app_tokens.iter().cloned()).chain(self.tenant.grants.secrets()).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(config: Config, started: &std::sync::mpsc::Sender<io::Result<Running>>, stopped: oneshot::Receiver<()>) {
    let runtime = match Builder::new_multi_thread().worker_threads(2).thread_name("sandbox").enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(error))),
    };
    runtime.block_on(async {
        match open(config).await {
            Ok(running) => {
                let _ = started.send(Ok(running));
                // Ends when the handle drops its sender.
                let _ = stopped.await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
    // Dropping the runtime drops the listeners and every connection.
}

async fn open(config: Config) -> io::Result<Running> {
    let bind = async |port: u16| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        io::Result::Ok((listener, address))
    };
    let (api, api_address) = bind(config.api_port).await?;
    let (ws, ws_address) = bind(config.ws_port).await?;
    let base = |address: SocketAddr, public: &str| match config.tls {
        None => format!("http://{address}"),
        Some(Tls { public: true, .. }) => format!("https://{public}"),
        Some(Tls { public: false, .. }) => format!("https://localhost:{}", address.port()),
    };
    let (api_base, ws_base) = (base(api_address, PUBLIC_API), base(ws_address, PUBLIC_WS));
    let (sessions, identity) = (session_manager(&config), config.tls.map(Identity::new).transpose()?);
    let acceptor = identity.as_ref().map(|identity| identity.acceptor.clone());
    let is_public = config.tls.is_some_and(|tls| tls.public);
    let tenant = Arc::new(Tenant::new(config, api_base, ws_base, acceptor, sessions));
    let mut route = Route { ca_pem: identity.map(|identity| identity.ca_pem), proxy: None };
    if is_public {
        let (listener, address) = bind(0).await?;
        route.proxy = Some(address);
        tokio::spawn(tls::proxy(tenant.clone(), listener, api_address, ws_address));
    }
    let mut doors = Vec::new();
    for (door, listener, address) in [(Door::Api, api, api_address), (Door::Ws, ws, ws_address)] {
        let (orders, received) = mpsc::unbounded_channel();
        tokio::spawn(keep(tenant.clone(), door, listener, address, received));
        doors.push(orders);
    }
    Ok(Running { tenant, route, runtime: Handle::current(), doors })
}

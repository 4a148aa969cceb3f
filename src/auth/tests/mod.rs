//! The walk of a token against a local server: sign-in, renewal, and all that may go wrong.

mod bound;
mod callback;
mod consents;
mod discovery;
mod fake;
#[cfg(target_os = "linux")]
mod guard;
mod hostile;
mod join;
mod origins;
mod presented;
mod quoting;
mod registration;
mod renewal;
mod sign_in;
mod stores;
mod tokens;

pub use fake::{Fake, Seen};

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use planhat_sandbox::ReservedPort;
use tokio::sync::mpsc;
use url::Url;

pub use super::*;
pub use crate::auth::accounts::Accounts;
pub use crate::auth::grants::grant::Grant;
use crate::clock::ManualClock;
pub use crate::config::*;
pub use crate::http::Http;
pub use crate::problem::{Problem, ProblemId};
pub use crate::secret::Secret;
pub use crate::store::StoreError;
use crate::store::memory::Memory;
use crate::store::{CredentialStore, Store};

pub const NOW: u64 = 1_800_000_000;

/// A store that fails as it is told, and that survives the authorizer, as a keychain does.
#[derive(Clone, Default)]
pub struct Ring(Arc<Mutex<(Memory, Option<StoreError>)>>, Arc<AtomicBool>);

impl Ring {
    pub fn fail(&self, error: Option<StoreError>) {
        self.0.lock().unwrap().1 = error;
    }
    /// Locked in the way of a keychain that then hides what it holds.
    pub fn hide(&self, hide: bool) {
        self.1.store(hide, Ordering::SeqCst);
    }
    pub fn hidden(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }
    pub fn store(&self) -> Store {
        Store::with_backend(Box::new(self.clone()), Duration::from_secs(5))
    }
}

impl CredentialStore for Ring {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        let mut ring = self.0.lock().unwrap();
        if self.hidden() {
            return Ok(None);
        }
        ring.1.clone().map_or_else(|| ring.0.read(account), Err)
    }
    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        let mut ring = self.0.lock().unwrap();
        if self.hidden() {
            return Err(StoreError::Locked);
        }
        ring.1.clone().map_or_else(|| ring.0.write(account, record), Err)
    }
    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        let mut ring = self.0.lock().unwrap();
        ring.1.clone().map_or_else(|| ring.0.delete(account), Err)
    }
}

/// One user at one machine.
pub struct Rig {
    pub fake: Fake,
    pub ring: Ring,
    pub clock: Arc<ManualClock>,
    pub settings: Arc<Settings>,
    _port: ReservedPort,
    _dir: tempfile::TempDir,
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let fake = Fake::start().await;
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { config_file: dir.path().join("config.toml"), state_dir: dir.path().join("state") };
        let url = Url::parse(&format!("{}/mcp", fake.origin)).unwrap();
        let mut settings = Settings::for_url(url, paths);
        settings.product = Product::Planhat;
        settings.oauth.client_id = Some("pk_test".into());
        settings.oauth.scope = Some("inclusive".into());
        let port = ReservedPort::new();
        settings.oauth.callback.port = port.number();
        settings.oauth.callback.free = false;
        settings.token_store = TokenStoreKind::Memory;
        settings.limits.sign_in = Duration::from_secs(30);
        change(&mut settings);
        Self {
            fake,
            ring: Ring::default(),
            clock: ManualClock::at(NOW),
            settings: Arc::new(settings),
            _port: port,
            _dir: dir,
        }
    }

    /// Another process of the same user.
    pub fn process(&self) -> Arc<Authorizer> {
        self.process_on(Http::new(NetworkSettings::default()))
    }

    /// One with another view of the network.
    pub fn process_on(&self, http: Http) -> Arc<Authorizer> {
        Authorizer::new(Arc::clone(&self.settings), http, self.ring.store(), self.clock.clone())
    }

    pub async fn signed_in(&self) -> Arc<Authorizer> {
        let process = self.process();
        login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
        process
    }

    /// A file of the profile in the state directory.
    pub fn state_file(&self, name: &str) -> std::path::PathBuf {
        let lock = crate::store::StateDir::new(&self.settings.paths.state_dir, &self.settings.profile).login_lock();
        let stem = lock.file_name().unwrap().to_string_lossy().replace("login.lock", "");
        lock.with_file_name(format!("{stem}{name}"))
    }

    pub async fn stored(&self) -> Option<Grant> {
        let record = self.ring.store().read(&Accounts::grant(&self.settings)).await.unwrap()?;
        Some(Grant::from_record(&record).unwrap())
    }
}

/// Passes the link of a sign-in to whoever plays the browser.
pub struct Links(pub mpsc::UnboundedSender<String>);

impl LoginUi for Links {
    fn event(&mut self, event: LoginEvent<'_>) {
        if let LoginEvent::Waiting { link, .. } = event {
            let _ = self.0.send(link.to_owned());
        }
    }
}

pub type Browsed = Vec<(u16, String)>;

/// Signs in; `urls` turns the link into what the browser then fetches, in this order.
pub async fn login(
    process: &Arc<Authorizer>,
    urls: impl FnOnce(&str) -> Vec<String> + Send + 'static,
) -> (Result<GrantSummary, Problem>, Browsed) {
    login_with(process, LoginOptions::default(), urls).await
}

/// The same with these options.
pub async fn login_with(
    process: &Arc<Authorizer>,
    options: LoginOptions,
    urls: impl FnOnce(&str) -> Vec<String> + Send + 'static,
) -> (Result<GrantSummary, Problem>, Browsed) {
    let (links, mut link) = mpsc::unbounded_channel::<String>();
    let browser = tokio::spawn(async move {
        let Some(link) = link.recv().await else { return Browsed::new() };
        let browse = move || urls(&link).iter().map(|url| get(url)).collect();
        tokio::task::spawn_blocking(browse).await.unwrap()
    });
    let mut ui = Links(links);
    let result = process.login(options, &mut ui).await;
    drop(ui);
    (result, browser.await.unwrap())
}

/// The redirect that an authorization server would make of this link, with the right state.
pub fn answer(link: &str, query: &str) -> Vec<String> {
    vec![format!("{}?{query}&state={}", redirect(link), param(link, "state"))]
}

pub fn redirect(link: &str) -> String {
    param(link, "redirect_uri")
}

pub fn param(link: &str, name: &str) -> String {
    Url::parse(link).unwrap().query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned()).unwrap_or_default()
}

/// A browser without a cache or a mind of its own.
pub fn get(url: &str) -> (u16, String) {
    let url = Url::parse(url).unwrap();
    let port = url.port().unwrap();
    let target = url.query().map_or(url.path().to_owned(), |q| format!("{}?{q}", url.path()));
    raw(port, &format!("GET {target} HTTP/1.1\r\nHost: {}:{port}\r\n\r\n", url.host_str().unwrap()))
}

pub fn raw(port: u16, request: &str) -> (u16, String) {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (head, rest) = request.split_once("\r\n").unwrap();
    stream.write_all(format!("{head}\r\nConnection: close\r\n{rest}").as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    (answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0), answer)
}

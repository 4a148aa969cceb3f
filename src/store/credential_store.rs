//! The async interface of a store: one thread makes all the calls, which may block.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::key::Key;
use crate::config::origin::Origin;
use crate::config::{Settings, TokenStoreKind};
use crate::secret::Secret;
use crate::store::chunked::{Chunked, LARGEST_ITEM_BYTES};
use crate::store::file::TokenFile;
use crate::store::keychain::Keychain;
use crate::store::memory::Memory;
use crate::store::{CredentialStore, PROBE_ACCOUNT, StoreError};

/// Opens a backend; runs on the store's thread, again after a failure.
type Opener = Box<dyn FnMut() -> Result<Box<dyn CredentialStore>, StoreError> + Send>;
type Work = Box<dyn FnOnce(&mut dyn CredentialStore) -> Reply + Send>;

/// Where the tokens are stored, described for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The kind of store.
    pub kind: TokenStoreKind,
    /// Where it is, in words.
    pub place: String,
    /// Why this store is used, in words.
    pub why: String,
}

/// An async credential store. Cheap to clone; all clones share one thread.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    timeout: Duration,
    /// Starts with the first call: a run with a static token need not load a keychain's client.
    thread: Mutex<Thread>,
}

enum Thread {
    NotStarted(Opener),
    Running(mpsc::Sender<Job>),
    Impossible(String),
}

struct Job {
    work: Work,
    reply: oneshot::Sender<Result<Reply, StoreError>>,
}

/// A backend that survives being reopened.
struct SharedBackend(Arc<Mutex<Box<dyn CredentialStore>>>);

enum Reply {
    Read(Result<Option<Secret<Vec<u8>>>, StoreError>),
    Written(Result<(), StoreError>),
    Deleted(Result<bool, StoreError>),
}

impl Store {
    /// How long a bridge waits for the store: an unanswered dialog must not block a client.
    pub const UNATTENDED_TIMEOUT: Duration = Duration::from_secs(5);
    /// How long a command waits, with a person there to answer the keychain's dialog.
    pub const ATTENDED_TIMEOUT: Duration = Duration::from_secs(120);

    /// The store that the settings name; opens nothing before the first call.
    pub fn open(settings: &Settings, timeout: Duration) -> Self {
        let kind = settings.token_store;
        let path = settings.paths.state_dir.join("tokens.json");
        let (place, opener): (String, Opener) = match kind {
            TokenStoreKind::Keychain => (
                Keychain::NAME.to_owned(),
                Box::new(|| Ok(Box::new(Chunked::new(Keychain::open()?, LARGEST_ITEM_BYTES)))),
            ),
            TokenStoreKind::File => {
                (path.display().to_string(), Box::new(move || Ok(Box::new(TokenFile::new(path.clone())))))
            }
            TokenStoreKind::Memory => {
                ("memory of this process".to_owned(), Box::new(|| Ok(Box::new(Memory::default()))))
            }
        };
        Self::with_opener(Backend { kind, place, why: why(settings) }, timeout, opener)
    }

    /// A store on the caller's backend.
    pub fn with_backend(backend: Box<dyn CredentialStore>, timeout: Duration) -> Self {
        let backend = Arc::new(Mutex::new(backend));
        let about = Backend { kind: TokenStoreKind::Memory, place: "memory".into(), why: "as the caller says".into() };
        Self::with_opener(about, timeout, Box::new(move || Ok(Box::new(SharedBackend(Arc::clone(&backend))))))
    }

    fn with_opener(backend: Backend, timeout: Duration, opener: Opener) -> Self {
        Self { inner: Arc::new(Inner { backend, timeout, thread: Mutex::new(Thread::NotStarted(opener)) }) }
    }

    /// Where the tokens are stored.
    pub fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    /// The record, or `None` if the store certainly has none.
    pub async fn read(&self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        let account = account.to_owned();
        match self.run(Box::new(move |store| Reply::Read(store.read(&account)))).await? {
            Reply::Read(result) => result,
            _ => Err(mixed_up()),
        }
    }

    /// Creates or replaces the record. A write that timed out may still happen once the keychain's dialog is answered.
    pub async fn write(&self, account: &str, record: Secret<Vec<u8>>) -> Result<(), StoreError> {
        let account = account.to_owned();
        match self.run(Box::new(move |store| Reply::Written(store.write(&account, &record)))).await? {
            Reply::Written(result) => result,
            _ => Err(mixed_up()),
        }
    }

    /// Removes the record; `false` when there was none.
    pub async fn delete(&self, account: &str) -> Result<bool, StoreError> {
        let account = account.to_owned();
        match self.run(Box::new(move |store| Reply::Deleted(store.delete(&account)))).await? {
            Reply::Deleted(result) => result,
            _ => Err(mixed_up()),
        }
    }

    /// Checks that records can be stored: a locked keychain may claim that a record is absent, but it accepts none.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.write(PROBE_ACCOUNT, Secret::new(b"can be removed".to_vec())).await?;
        self.delete(PROBE_ACCOUNT).await.map(|_| ())
    }

    async fn run(&self, work: Work) -> Result<Reply, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.inner.send(Job { work, reply })?;
        match tokio::time::timeout(self.inner.timeout, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Failed("the store's thread ended".into())),
            Err(_) => Err(StoreError::TimedOut(self.inner.timeout)),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("backend", &self.inner.backend).finish_non_exhaustive()
    }
}

impl Inner {
    fn send(&self, job: Job) -> Result<(), StoreError> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Thread::NotStarted(_) = *thread {
            let Thread::NotStarted(opener) = std::mem::replace(&mut *thread, Thread::Impossible(String::new())) else {
                return Err(mixed_up());
            };
            let (jobs, queue) = mpsc::channel();
            *thread = match std::thread::Builder::new().name("store".into()).spawn(move || serve(opener, &queue)) {
                Ok(_) => Thread::Running(jobs),
                Err(error) => Thread::Impossible(error.to_string()),
            };
        }
        match &*thread {
            Thread::Running(jobs) => jobs.send(job).map_err(|_| StoreError::Failed("the store's thread ended".into())),
            Thread::Impossible(why) => Err(StoreError::Failed(format!("no thread for the store: {why}"))),
            Thread::NotStarted(_) => Err(mixed_up()),
        }
    }
}

/// Why this store is used, in words.
fn why(settings: &Settings) -> String {
    match settings.origins.of(Key::TokenStore) {
        Origin::Default | Origin::BuiltIn if settings.oauth.client_credentials => {
            "the default with --client-credentials".to_owned()
        }
        Origin::Default | Origin::BuiltIn => "the default".to_owned(),
        origin => format!("set by {origin}"),
    }
}

/// The thread: makes the calls one by one, in order.
fn serve(mut opener: Opener, queue: &mpsc::Receiver<Job>) {
    let mut backend: Option<Box<dyn CredentialStore>> = None;
    while let Ok(Job { work, reply }) = queue.recv() {
        // The caller has given up. Above all a late write must not happen: a newer token may be stored by now.
        if reply.is_closed() {
            continue;
        }
        let result = catch_unwind(AssertUnwindSafe(|| -> Result<Reply, StoreError> {
            let store = match &mut backend {
                Some(store) => store,
                none => none.insert(opener()?),
            };
            Ok(work(&mut **store))
        }));
        let result = result.unwrap_or_else(|_| {
            backend = None;
            Err(StoreError::Failed("the keychain's client broke down".into()))
        });
        // Replace a broken connection, as after a restart of the keychain's service.
        if result.as_ref().is_ok_and(Reply::is_breakdown) {
            backend = None;
        }
        let _ = reply.send(result);
    }
}

impl SharedBackend {
    fn get(&self) -> std::sync::MutexGuard<'_, Box<dyn CredentialStore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialStore for SharedBackend {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        self.get().read(account)
    }

    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        self.get().write(account, record)
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        self.get().delete(account)
    }
}

impl Reply {
    fn is_breakdown(&self) -> bool {
        let error = match self {
            Reply::Read(result) => result.as_ref().err(),
            Reply::Written(result) => result.as_ref().err(),
            Reply::Deleted(result) => result.as_ref().err(),
        };
        matches!(error, Some(StoreError::Absent(_) | StoreError::Failed(_)))
    }
}

fn mixed_up() -> StoreError {
    StoreError::Failed("the store's answers are mixed up".into())
}

#[cfg(test)]
mod tests {
    use crate::store::credential_store::*;

    /// Blocks in `write` until it is let go, like a keychain that shows a question.
    struct Asking {
        inner: Memory,
        asked: tokio::sync::mpsc::UnboundedSender<()>,
        answer: mpsc::Receiver<()>,
    }

    impl CredentialStore for Asking {
        fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
            self.inner.read(account)
        }
        fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
            let _ = self.asked.send(());
            let _ = self.answer.recv();
            self.inner.write(account, record)
        }
        fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
            self.inner.delete(account)
        }
    }

    fn secret(text: &str) -> Secret<Vec<u8>> {
        Secret::new(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_any_more_is_not_made_late() {
        let (asked, mut questions) = tokio::sync::mpsc::unbounded_channel();
        let (answers, answer) = mpsc::channel();
        let asking = Asking { inner: Memory::default(), asked, answer };
        let store = Store::with_backend(Box::new(asking), Duration::from_secs(60));
        {
            let first = std::pin::pin!(store.write("a", secret("first")));
            // Polled until the thread is inside the write, then given up, as a time-out does.
            tokio::select! { _ = first => unreachable!(), asked = questions.recv() => asked.unwrap() }
        }
        {
            let mut second = std::pin::pin!(store.write("a", secret("second")));
            assert!(futures_pending(second.as_mut()).await);
        }
        answers.send(()).unwrap();
        assert_eq!(store.read("a").await.unwrap().unwrap().expose(), b"first");
        assert!(questions.try_recv().is_err(), "the second write must not have begun");
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_in_time_says_so() {
        let (asked, _questions) = tokio::sync::mpsc::unbounded_channel();
        let (_answers, answer) = mpsc::channel();
        let asking = Asking { inner: Memory::default(), asked, answer };
        let store = Store::with_backend(Box::new(asking), Duration::from_millis(1));
        assert!(matches!(store.write("a", secret("x")).await, Err(StoreError::TimedOut(_))));
    }

    /// Polls once.
    async fn futures_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn a_backend_that_panics_is_a_failure_of_that_call_alone() {
        struct Panics;
        impl CredentialStore for Panics {
            fn read(&mut self, _: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
                std::panic::resume_unwind(Box::new(()))
            }
            fn write(&mut self, _: &str, _: &Secret<Vec<u8>>) -> Result<(), StoreError> {
                Ok(())
            }
            fn delete(&mut self, _: &str) -> Result<bool, StoreError> {
                Ok(false)
            }
        }
        let about = Backend { kind: TokenStoreKind::Memory, place: String::new(), why: String::new() };
        let store = Store::with_opener(about, Duration::from_secs(5), Box::new(|| Ok(Box::new(Panics))));
        assert!(matches!(store.read("a").await, Err(StoreError::Failed(_))));
        assert!(store.write("a", secret("x")).await.is_ok());
    }
}

//! Runs the sign-in in a separate process, which a client that kills its servers does not end.
//!
//! The order goes through a pipe, because every process on the machine can read arguments.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::auth::discovery::challenge::Challenge;
use crate::auth::login::attempt::Since;
use crate::auth::login::sign_in_page::PageOpening;
use crate::config::{Settings, VARIABLE_PREFIX};
use crate::limits::SIGN_IN_ORDER_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// The hidden flag of `login` that makes it read its order from standard input.
pub const ORDER_FLAG: &str = "--order-from-stdin";

/// Everything that a sign-in process needs to know.
#[derive(Serialize, Deserialize)]
struct Order {
    #[serde(with = "Settings")]
    settings: Settings,
    challenge: Challenge,
    by_link: bool,
    since: Since,
}

/// The program to start for a sign-in.
#[derive(Debug, Clone)]
pub struct Program(PathBuf);

impl Program {
    /// This program, even if it was replaced on disk.
    pub fn this() -> io::Result<Self> {
        if cfg!(target_os = "linux") {
            // An upgrade may have removed our executable; this path still leads to it.
            return Ok(Self("/proc/self/exe".into()));
        }
        std::env::current_exe().map(Self)
    }

    /// Another one, for tests.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Starts `login` with its order, detached.
    pub fn start_login(
        &self,
        settings: &Settings,
        challenge: &Challenge,
        since: Since,
        opening: PageOpening,
    ) -> Result<Child, Problem> {
        self.spawn(&order(settings, challenge, since, opening))
            .map_err(|error| Problem::new(ProblemId::SignInProcessFailed).with("detail", error))
    }

    fn spawn(&self, order: &Order) -> io::Result<Child> {
        let order = Secret::new(serde_json::to_vec(order).map_err(io::Error::other)?);
        let mut child = self.detached()?;
        let Some(mut input) = child.stdin.take() else { return Err(io::Error::other("no pipe to it")) };
        input.write_all(order.expose())?;
        drop(input);
        Ok(child)
    }

    #[cfg(unix)]
    fn detached(&self) -> io::Result<Child> {
        use std::os::unix::process::CommandExt;
        // The child creates its own session, with `detach`.
        self.command().arg0(env!("CARGO_PKG_NAME")).spawn()
    }

    #[cfg(windows)]
    fn detached(&self) -> io::Result<Child> {
        use std::os::windows::process::CommandExt;
        const DETACHED_PROCESS: u32 = 0x8;
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
        const CREATE_BREAKAWAY_FROM_JOB: u32 = 0x0100_0000;
        let quiet = DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
        // A job may forbid breaking away; then the sign-in lives as long as the job.
        let outside = self.command().creation_flags(quiet | CREATE_BREAKAWAY_FROM_JOB).spawn();
        outside.or_else(|_| self.command().creation_flags(quiet).spawn())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.args(["login", ORDER_FLAG]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // The order holds all of it; and this user's other processes can read an environment for as long as its process
        // lives.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(VARIABLE_PREFIX)) {
            command.env_remove(name);
        }
        command
    }
}

/// The process of a sign-in is gone, and nobody knows why.
pub(crate) fn silent_end(status: Option<ExitStatus>) -> Problem {
    let detail =
        status.map_or_else(|| "its process was lost".into(), |status| format!("its process ended with {status}"));
    Problem::new(ProblemId::SignInProcessFailed).with("detail", detail)
}

/// Resolves when the process has ended; also collects it, so that no zombie stays.
pub(crate) fn end_of(mut child: Child) -> Result<oneshot::Receiver<Option<ExitStatus>>, Problem> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new()
        .name("sign-in".into())
        .spawn(move || ended.send(child.wait().ok()))
        .map_err(|error| Problem::new(ProblemId::SignInProcessFailed).with("detail", error))?;
    Ok(end)
}

/// Leaves the session and process group of whoever started this process, so that their end is not ours.
pub fn detach() {
    #[cfg(unix)]
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "no session of its own");
    }
}

/// Reads the order that a bridge wrote to standard input.
pub fn read_order(input: impl Read) -> Result<(Settings, Challenge, Since, PageOpening), Problem> {
    let wrong = |detail: String| Problem::new(ProblemId::SignInProcessFailed).with("detail", detail);
    let mut bytes = Vec::new();
    let read = input.take(SIGN_IN_ORDER_BYTES).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map_err(|error| wrong(error.to_string()))?;
    let order: Order = serde_json::from_slice(bytes.expose())
        .map_err(|error| wrong(format!("the order cannot be read ({:?})", error.classify())))?;
    let opening = if order.by_link { PageOpening::Link } else { PageOpening::Browser };
    Ok((order.settings, order.challenge, order.since, opening))
}

fn order(settings: &Settings, challenge: &Challenge, since: Since, opening: PageOpening) -> Order {
    let by_link = opening == PageOpening::Link;
    Order { settings: settings.clone(), challenge: challenge.clone(), by_link, since }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use crate::auth::coordination::process::*;
    use crate::config::key::Key;
    use crate::config::{HostPattern, Inputs, Paths, load};
    use crate::http::AddressSource;

    fn paths() -> Paths {
        Paths { config_file: "/nonexistent/c".into(), state_dir: "/s".into() }
    }

    #[test]
    fn a_sign_in_process_knows_whose_word_the_challenge_is_and_what_the_user_allows() {
        let mut before = Settings::for_url(Url::parse("https://h/mcp").unwrap(), paths());
        before.network.allow_private = HostPattern::parse_all("*.corp.example,10.0.0.1").unwrap();
        let challenge = Challenge { scope: Some("a".into()), ..Challenge::default() }.sent_by(AddressSource::Public);
        let since = Since { number: 7, grant: Some("g".into()) };
        let text = serde_json::to_vec(&order(&before, &challenge, since.clone(), PageOpening::Link)).unwrap();
        let (after, read, newest, opening) = read_order(text.as_slice()).unwrap();
        assert_eq!(after.network.allow_private, before.network.allow_private);
        assert_eq!((read, newest, opening), (challenge, since, PageOpening::Link));
    }

    /// One of them suits each setting and is not its default.
    const SAMPLES: [&str; 16] = [
        "demo",
        "https://h.example/x",
        "true",
        "2000",
        "localhost",
        "manual",
        "file",
        "ES384",
        "debug",
        "a=b",
        "*.corp.example",
        "*.planhat.com",
        "sse",
        "http://me:secret@proxy.example:8080",
        "-",
        "word",
    ];

    /// The settings of a run that sets this one.
    fn with(key: Key, sample: &str) -> Option<Settings> {
        let environment = [(Key::ClientId, "pk_1"), (key, sample)];
        let environment = environment.map(|(key, text)| (key.info().variable.to_owned(), text.into()));
        let secret_from_stdin = Some("typed".into());
        let inputs = Inputs {
            flags: Vec::new(),
            config_file: None,
            environment: environment.to_vec(),
            secret_from_stdin,
            paths: paths(),
            organisation: || Ok(crate::config::Organisation::default()),
            last_client_id: |_| None,
        };
        load(&inputs).ok().map(|loaded| loaded.settings)
    }

    #[test]
    fn every_setting_reaches_the_sign_in_process_with_the_place_that_it_comes_from() {
        let default = Settings::for_url(Url::parse(crate::config::server::PRODUCTION_URL).unwrap(), paths());
        for key in Key::ALL {
            let tried = SAMPLES.iter().filter_map(|sample| with(*key, sample));
            let before = tried.into_iter().find(|settings| settings.shown(*key) != default.shown(*key));
            let before = before.unwrap_or_else(|| panic!("no sample suits {key:?}"));
            let bytes = |settings: &Settings| {
                let since = Since { number: 0, grant: None };
                serde_json::to_vec(&order(settings, &Challenge::default(), since, PageOpening::Browser)).unwrap()
            };
            let (after, ..) = read_order(bytes(&before).as_slice()).unwrap();
            assert_eq!(after.shown(*key), before.shown(*key), "{key:?}");
            assert_eq!(after.origins, before.origins, "{key:?}");
            assert_eq!(bytes(&after), bytes(&before), "{key:?}");
        }
    }

    #[test]
    fn the_secrets_of_the_settings_are_secrets_in_the_sign_in_process_too() {
        let mut before = Settings::for_url(Url::parse("https://h/mcp").unwrap(), paths());
        before.oauth.client_secret = Some("canary-secret".into());
        before.network.proxy = Some("http://me:canary-password@proxy.example".into());
        let since = Since { number: 0, grant: None };
        let order = order(&before, &Challenge::default(), since, PageOpening::Browser);
        let (after, ..) = read_order(serde_json::to_vec(&order).unwrap().as_slice()).unwrap();
        assert_eq!(after.oauth.client_secret, before.oauth.client_secret);
        assert_eq!(after.network.proxy, before.network.proxy);
        assert!(!format!("{after:?}").contains("canary"), "{after:?}");
    }

    #[test]
    fn an_order_without_end_is_read_up_to_its_bound() {
        let mut endless = std::io::repeat(b' ').take(4 * SIGN_IN_ORDER_BYTES);
        assert_eq!(read_order(&mut endless).unwrap_err().id, ProblemId::SignInProcessFailed);
        assert_eq!(endless.limit(), 3 * SIGN_IN_ORDER_BYTES, "the rest is not read");
    }
}

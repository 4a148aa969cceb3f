//! What every part of signing in works with: the settings of this run, and the ways to the network, the store, the state
//! directory and the time. Nothing that it says changes.

use std::sync::Arc;

use crate::auth::accounts::Accounts;
use crate::auth::brake::Brake;
use crate::blocking::InOrder;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::http::{AddressSource, Http};
use crate::problem::{Problem, ProblemId};
use crate::store::{StateDir, Store};

/// What every part of signing in works with.
#[derive(Debug)]
pub struct Context {
    /// The settings of this run.
    pub(crate) settings: Arc<Settings>,
    /// The HTTP client.
    pub(crate) http: Http,
    /// The credential store.
    pub(crate) store: Store,
    /// The clock.
    pub(crate) clock: SharedClock,
    /// The profile's files in the state directory.
    pub(crate) files: StateDir,
    /// The account of the stored grant.
    pub(crate) account: String,
    /// When this process began, in seconds since 1970.
    pub(crate) started_at: u64,
    /// Writes the sign-in's record: a step that was given up must not write after the end.
    pub(crate) record_writer: InOrder,
    /// What the profile may spend.
    pub(crate) brake: Brake,
}

impl Context {
    /// The context of this run; reads nothing.
    pub fn new(settings: Arc<Settings>, http: Http, store: Store, clock: SharedClock) -> Arc<Self> {
        let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
        Arc::new(Self {
            brake: Brake::new(files.clone(), Arc::clone(&clock)),
            files,
            account: Accounts::grant(&settings),
            started_at: clock.unix_seconds(),
            record_writer: InOrder::default(),
            settings,
            http,
            store,
            clock,
        })
    }

    /// Now, in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_seconds()
    }

    /// Whether the client gets tokens for itself, without a person (RFC 6749, 4.4).
    pub(crate) fn uses_client_credentials(&self) -> bool {
        self.settings.oauth.client_credentials
    }

    /// The HTTP client for a token endpoint that `by` named, unless the user configured one.
    pub(crate) fn http_to_token_endpoint(&self, by: AddressSource) -> Http {
        let by = if self.settings.oauth.token_endpoint.is_some() { AddressSource::Insider } else { by };
        self.http.named_by(by)
    }

    /// The `resource` parameter of every request (RFC 8707), unless the user leaves it out, or the server takes no token that
    /// was asked for with it.
    pub(crate) fn resource_parameter<'a>(&self, resource: &'a str, without_since: Option<u64>) -> Option<&'a str> {
        (!self.settings.oauth.no_resource && without_since.is_none()).then_some(resource)
    }

    /// Adds facts that many texts need and only the settings know: the command for a terminal, and the redirect URL.
    pub(crate) fn explain(&self, problem: Problem) -> Problem {
        let mut problem = problem;
        let has = |problem: &Problem, key| problem.fact(key).is_some();
        if !has(&problem, "command") {
            problem = problem.with("command", self.settings.command("login"));
        }
        if !has(&problem, "redirect_url") && self.settings.static_token.is_none() {
            problem = problem.with("redirect_url", self.settings.oauth.callback.redirect_url());
        }
        match problem.id {
            ProblemId::StoreDamaged | ProblemId::FileStoreUnsafe if !has(&problem, "logout_command") => {
                problem.with("logout_command", self.settings.command("logout"))
            }
            ProblemId::InvalidScope if !has(&problem, "scope") => match &self.settings.oauth.scope {
                Some(scope) => problem.with("scope", scope),
                None => problem,
            },
            _ => problem,
        }
    }
}

//! The server's answers that are remembered with a sign-in, and whether a sign-in is due before the server need be asked.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::auth::authorizer::Authorizer;
use crate::auth::grants::grant::Grant;
use crate::config::TokenStoreKind;
use crate::hash::fnv1a;
use crate::store::{Answers, Owner};

impl From<&Grant> for Owner {
    fn from(grant: &Grant) -> Self {
        Self {
            resource: grant.resource.clone(),
            issuer: grant.issuer.clone(),
            client: grant.client_id.clone(),
            grant: grant.id.clone(),
        }
    }
}

impl Authorizer {
    /// Remembers what the server answered to a request that was sent under this grant, as in
    /// [`Bearer::grant`](crate::auth::Bearer::grant).
    pub fn remember(&self, grant: Option<u64>, revision: &str, method: &str, answer: &RawValue) {
        let Some(answers) = self.answers() else { return };
        let owner = self.current().filter(|current| Some(current.bearer.grant) == grant);
        let Some(owner) = owner.map(|current| Owner::from(&*current.grant)) else { return };
        if let Err(problem) = answers.keep(&owner, revision, method, answer) {
            tracing::debug!(%problem, "an answer is not remembered");
        }
    }

    /// What the server answered to `method` in this revision before.
    pub fn remembered(&self, revision: &str, method: &str) -> Option<Box<RawValue>> {
        self.answers()?.get(self.owner().as_ref(), revision, method)
    }

    /// The same in any revision that `fits`, the newest first.
    pub fn remembered_in(&self, method: &str, fits: impl Fn(&str) -> bool) -> Option<Box<RawValue>> {
        self.answers()?.get_any(self.owner().as_ref(), method, fits)
    }

    /// Whether somebody has to sign in before the server need be asked: it is known to want that, and nobody is.
    pub async fn needs_sign_in(self: &Arc<Self>) -> bool {
        if self.settings.static_token.is_some() || self.is_machine() {
            return false;
        }
        let had_one = || {
            self.answers().is_some_and(|answers| answers.has_had_an_owner()) || self.issuers().read::<Value>().is_some()
        };
        // A store that is silent does not say that nobody is signed in. Another process may have signed in a moment ago.
        let is_signed_out = self.newer_than(None).is_none() && self.look().await.is_ok();
        is_signed_out && self.newer_than(None).is_none() && (self.settings.product.is_planhat() || had_one())
    }

    /// Somebody signed in: what the server told whoever did before is forgotten.
    pub(crate) fn begin_answers(&self, grant: &Grant) {
        let begun = self.answers().map_or(Ok(()), |answers| answers.begin(Owner::from(grant)));
        if let Err(problem) = begun {
            tracing::warn!(%problem, "the server's earlier answers are not forgotten");
        }
    }

    /// Somebody signed out.
    pub(crate) fn end_answers(&self) {
        let ended = self.answers().filter(Answers::has_had_an_owner).map_or(Ok(()), |answers| answers.end());
        if let Err(problem) = ended {
            tracing::warn!(%problem, "the server's earlier answers are not forgotten");
        }
    }

    fn owner(&self) -> Option<Owner> {
        self.current().map(|current| Owner::from(&*current.grant))
    }

    /// `None` where nothing is to be remembered: a token from the environment may be another user's each time, and nothing
    /// of it should be written down to tell them apart; and who keeps tokens in memory wants to leave nothing behind.
    fn answers(&self) -> Option<Answers> {
        if self.settings.static_token.is_some() || self.settings.token_store == TokenStoreKind::Memory {
            return None;
        }
        let name = format!("answers-{:016x}.json", fnv1a(self.account.as_bytes()));
        Some(Answers::new(self.files.note(&name)))
    }
}

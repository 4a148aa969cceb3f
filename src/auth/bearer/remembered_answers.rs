//! The server's answers under a grant, remembered for times when nobody is signed in.
//!
//! All reads and writes of this process are made in the order of the calls, on threads that may block: what is remembered
//! before a sign-out is not written after it. Of other processes' sign-outs the record's owner tells, when it is written.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::auth::context::Context;
use crate::auth::grants::grant::Grant;
use crate::blocking::InOrder;
use crate::config::TokenStoreKind;
use crate::hash::fnv1a;
use crate::limits::{MAX_UNWRITTEN_ANSWERS, REMEMBERED_ANSWER_WAIT};
use crate::message::Revision;
use crate::problem::Problem;
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

/// The remembered answers of these settings.
#[derive(Debug)]
pub(crate) struct RememberedAnswers {
    /// `None` where nothing is to be remembered.
    answers: Option<Answers>,
    in_order: InOrder,
    /// Bounds what waits to be written.
    unwritten: Arc<Semaphore>,
}

impl RememberedAnswers {
    pub(crate) fn new(ctx: &Context) -> Self {
        let unwritten = Arc::new(Semaphore::new(MAX_UNWRITTEN_ANSWERS));
        Self { answers: answers(ctx), in_order: InOrder::default(), unwritten }
    }

    /// Remembers what the server answered to a request that was sent under this grant; nobody waits for it.
    pub(crate) fn remember(&self, grant: &Grant, revision: &Revision, method: &str, answer: &RawValue) {
        let Some(answers) = self.answers.clone() else { return };
        let Ok(room) = Arc::clone(&self.unwritten).try_acquire_owned() else {
            tracing::debug!("an answer is not remembered: the state directory does not respond");
            return;
        };
        let (owner, revision) = (Owner::from(grant), revision.clone());
        let (method, answer) = (method.to_owned(), answer.to_owned());
        self.in_order.spawn(move || {
            let _room = room;
            if let Err(problem) = answers.keep(&owner, &revision, &method, &answer) {
                tracing::debug!(%problem, "an answer is not remembered");
            }
        });
    }

    /// A new grant: forgets the server's answers under the previous one.
    pub(crate) async fn begin(&self, grant: &Grant) {
        let owner = Owner::from(grant);
        self.forget(|answers| answers.begin(owner)).await;
    }

    /// After a sign-out: forgets the server's answers.
    pub(crate) async fn end(&self) {
        self.forget(|answers| if answers.has_had_an_owner() { answers.end() } else { Ok(()) }).await;
    }

    async fn forget(&self, how: impl FnOnce(Answers) -> Result<(), Problem> + Send + 'static) {
        let Some(answers) = self.answers.clone() else { return };
        if let Err(problem) = self.in_order.run(move || how(answers)).await {
            tracing::warn!(%problem, "the server's earlier answers are not forgotten");
        }
    }

    /// Whether somebody has ever signed in here.
    pub(crate) async fn has_had_an_owner(&self) -> bool {
        self.read(|answers| answers.has_had_an_owner().then_some(())).await.is_some()
    }

    /// What `read` finds.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(Answers) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let answers = self.answers.clone()?;
        let found = self.in_order.run(move || read(answers));
        tokio::time::timeout(REMEMBERED_ANSWER_WAIT, found).await.ok().flatten()
    }

    /// How many answers wait to be written.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn waiting(&self) -> usize {
        MAX_UNWRITTEN_ANSWERS - self.unwritten.available_permits()
    }

    /// Waits until everything is written.
    pub(crate) async fn written(&self) {
        if self.answers.is_some() {
            self.in_order.run(|| ()).await;
        }
    }
}

/// `None` where nothing is to be remembered: a token from the environment may be another user's each time, and nothing
/// of it should be written down to tell them apart; a user who keeps tokens in memory wants to leave nothing behind.
fn answers(ctx: &Context) -> Option<Answers> {
    if ctx.settings.static_token.is_some() || ctx.settings.token_store == TokenStoreKind::Memory {
        return None;
    }
    let name = format!("answers-{:016x}.json", fnv1a(ctx.account.as_bytes()));
    Some(Answers::new(ctx.files.note(&name)))
}

//! Checks where the sign-in is stored, and the sign-in itself.

use super::row::{Group, Row};
use crate::auth::checkup::Checkup;
use crate::auth::{Authorizer, GrantSummary, Status};
use crate::cli::grant::{Grant, kept};
use crate::cli::remembered;
use crate::config::{Settings, TokenStoreKind};
use crate::problem::{Problem, ProblemId};

/// The results, and what the following checks need of them.
#[derive(Debug)]
pub struct Storage {
    /// The rows.
    pub group: Group,
    /// Whether there is a token to send.
    pub signed_in: bool,
}

/// Tests the store and looks at its content.
pub async fn check(settings: &Settings, auth: &Authorizer, now: u64) -> Storage {
    let mut rows = vec![state_dir(settings)];
    let store = Checkup::of(auth).store().await;
    let place = kept(auth.backend());
    rows.push(match &store {
        Ok(()) if settings.token_store == TokenStoreKind::Memory => {
            Row::ok("token store", "memory: each process signs in separately")
        }
        Ok(()) => Row::ok("token store", format!("sign-ins can be stored {place}")),
        // With a token from the environment nothing has to be stored.
        Err(problem) if settings.static_token.is_some() => Row::warn("token store", problem.clone()),
        Err(problem) => Row::fail("token store", problem.clone()),
    });
    let mut granted = None;
    let (row, signed_in) = if settings.static_token.is_some() {
        (Row::ok("sign-in", "not needed: PLANHAT_MCP_TOKEN is sent unchanged"), true)
    } else if auth.needs_no_person() {
        (Row::ok("sign-in", "not needed: tokens are fetched automatically"), true)
    } else if store.is_err() {
        (Row::skip("sign-in", "it needs \"token store\""), false)
    } else {
        let status = Status::of(auth).await;
        let signed_in = status.grant.is_some();
        granted.clone_from(&status.grant);
        (sign_in(settings, auth, status, now).await, signed_in)
    };
    rows.push(row);
    rows.extend(memory(settings, granted.as_ref(), now));
    Storage { group: Group { title: "This computer", rows }, signed_in }
}

/// Whether the folder can be used; creates it if missing, as every start does.
fn state_dir(settings: &Settings) -> Row {
    match settings.paths.prepare_state_dir() {
        Ok(dir) => Row::ok("state folder", dir.display().to_string()),
        Err(problem) => Row::fail("state folder", problem),
    }
}

/// What is remembered of the server; nothing where nothing is.
fn memory(settings: &Settings, granted: Option<&GrantSummary>, now: u64) -> Option<Row> {
    let (facts, _) = remembered::facts(settings, granted, now);
    let details: Vec<String> = facts.iter().map(|fact| fact.text(now)).collect();
    (!details.is_empty())
        .then(|| Row::ok("server memory", "what was learnt about the server is in use").with_details(details))
}

async fn sign_in(settings: &Settings, auth: &Authorizer, status: Status, now: u64) -> Row {
    const NAME: &str = "sign-in";
    if let Some(problem) = status.store_problem {
        return Row::fail(NAME, problem);
    }
    let Some(granted) = status.grant else {
        let problem = Problem::new(if status.signing_in { ProblemId::SignInPending } else { ProblemId::SignInNeeded });
        let problem = problem.with("service", settings.service_name()).with("command", settings.command("login"));
        return match auth.sign_in_link().await.filter(|_| status.signing_in) {
            Some(link) => Row::warn(NAME, problem.with("link", link)),
            None => Row::fail(NAME, problem),
        };
    };
    let grant = Grant::new(granted, &status.backend);
    if grant.has_ended(now) {
        let problem = Problem::new(ProblemId::GrantExpired).with("service", settings.service_name());
        return Row::fail(NAME, problem.with("command", settings.command("login")));
    }
    let as_whom = grant.client_id.as_ref().map_or_else(String::new, |id| format!("with client id {id}, "));
    Row::ok(NAME, format!("signed in {as_whom}{}", grant.validity(now)))
}

/// Takes back that nobody is signed in, once it is known that the server answers everybody.
pub fn needs_no_sign_in(group: &mut Group) {
    let is_missing = |row: &Row| row.problem.as_ref().is_some_and(|problem| problem.id == ProblemId::SignInNeeded);
    if let Some(row) = group.rows.iter_mut().find(|row| is_missing(row)) {
        *row = Row::ok("sign-in", "not signed in, and the server requires no sign-in");
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::Outcome;
    use super::*;

    #[test]
    fn at_a_server_for_everybody_it_is_well_that_nobody_is_signed_in_and_nothing_else_is() {
        let failed = |id| Row::fail("sign-in", Problem::new(id));
        for (id, expected) in [(ProblemId::SignInNeeded, Outcome::Ok), (ProblemId::GrantExpired, Outcome::Fail)] {
            let mut group = Group { title: "This computer", rows: vec![failed(id)] };
            needs_no_sign_in(&mut group);
            assert_eq!(group.rows[0].outcome, expected, "{id:?}");
        }
    }
}

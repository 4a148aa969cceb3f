//! What real servers do that the standards do not expect, and what must hold with each: one table for whoever plays it by
//! hand (`planhat-sandbox habit`) and for the tests.

mod finding;
mod secure;
mod signing_in;
mod speaking;

use std::io;

use serde_json::{Value, json};

use crate::config::{Challenge, ClientSpec, Config};
use crate::fault::Place;
use crate::sandbox::Sandbox;
use crate::tenant::permission::Permission;

/// What a server does in its own way.
#[derive(Debug, Clone, Copy)]
pub struct Habit {
    /// Its name.
    pub name: &'static str,
    /// Of which kind it is.
    pub kind: Kind,
    /// What the server does.
    pub does: &'static str,
    /// Who is known for it.
    pub known: &'static str,
    /// What must hold.
    pub must_hold: &'static str,
    /// How a client gets in.
    pub access: Access,
    /// How a sign-in ends without the consents, or anyway where there are none: by the name of the problem.
    pub refused: Option<&'static str>,
    /// The options that lift the refusal; none where nothing does. `{api}` and `{ws}` in them become the base
    /// URLs, and `{ca}` the file with the CA.
    pub consents: &'static [&'static str],
    /// Options that do not lift it, although they sound like it.
    pub in_vain: &'static [&'static str],
    /// Whether the token of a first sign-in is refused by the first request, so that another sign-in follows.
    pub refused_token: bool,
    /// What is added to the address of the MCP endpoint.
    pub query: &'static str,
    /// What happens after the first call.
    pub then: Then,
    /// How many tabs it takes altogether.
    pub tabs: usize,
    /// Commands, and what each must say.
    pub says: &'static [(&'static str, &'static str)],
    /// Whether the server looks back on what must hold.
    pub holds: fn(&Sandbox) -> bool,
    configure: fn(&mut Config),
    play: fn(&Sandbox),
}

/// The kinds of habits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Hints to where to sign in that cannot be used.
    Hint,
    /// Names that differ, so that the program refuses until the user consents.
    Consent,
    /// What the program added by itself, and has to take back.
    Added,
    /// Tokens in other words.
    Token,
    /// A lost session in other words than 404.
    Session,
    /// Revisions, and the start.
    Start,
    /// Answers in the wrong wrapping.
    Wrapping,
    /// Streams and connections.
    Stream,
    /// Redirects.
    Redirect,
    /// Secrets in the address.
    Address,
    /// What is refused rightly, and has to be said in words that help.
    Words,
    /// What stacks of the package registries do.
    Stack,
}

impl Kind {
    /// Its letter in the table.
    pub const fn letter(self) -> char {
        (b'A' + self as u8) as char
    }
}

/// How a client gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It signs in with the client that an administrator made.
    Client,
    /// It signs in, and registers itself first.
    Registers,
    /// It needs nothing.
    Open,
}

/// What happens after the first call, before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing; there is no second call.
    Nothing,
    /// The access tokens end.
    Expire,
    /// The sessions are lost.
    LoseSessions,
    /// The server restarts, and has forgotten sessions, grants and registrations. Somebody types `login`.
    Restart,
}

/// Nothing in particular.
const PLAIN: Habit = Habit {
    name: "",
    kind: Kind::Hint,
    does: "",
    known: "",
    must_hold: "",
    access: Access::Client,
    refused: None,
    consents: &[],
    in_vain: &[],
    refused_token: false,
    query: "",
    then: Then::Nothing,
    tabs: 1,
    says: &[],
    holds: |_| true,
    configure: |_| {},
    play: |_| {},
};

/// Every habit, by its kind.
pub fn habits() -> Vec<&'static Habit> {
    let tables = [finding::HABITS, signing_in::HABITS, speaking::HABITS, secure::HABITS];
    let mut habits: Vec<&Habit> = tables.into_iter().flatten().collect();
    habits.sort_by_key(|habit| habit.kind);
    habits
}

impl Habit {
    /// The habit of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        habits().into_iter().find(|habit| habit.name == name)
    }

    /// Whether the user gets in, with the consents that it takes.
    pub fn works(&self) -> bool {
        self.refused.is_none() || !self.consents.is_empty()
    }

    /// The tenant, described; its one client may be sent back to `redirect_url`.
    pub fn config(&self, redirect_url: &str) -> Config {
        let mut config =
            Config { clients: vec![ClientSpec::confidential().redirect(redirect_url)], ..Config::default() };
        config.test_tools = true;
        // No scope need be asked for.
        config.user.permissions = Permission::all();
        match self.access {
            Access::Client => {}
            Access::Registers => config.registered_client_id = Some("registered-{n}".to_owned()),
            Access::Open => config.auth_required = false,
        }
        (self.configure)(&mut config);
        config
    }

    /// Starts a tenant that has the habit.
    ///
    /// # Errors
    ///
    /// When a fixed port of the configuration is in use.
    pub fn start(&self, config: Config) -> io::Result<Sandbox> {
        let sandbox = Sandbox::try_start(config)?;
        (self.play)(&sandbox);
        Ok(sandbox)
    }

    /// The address to give to the bridge.
    pub fn url(&self, sandbox: &Sandbox) -> String {
        sandbox.mcp_url() + self.query
    }

    /// The consents, with the names of this tenant, and of the file that holds its CA.
    pub fn consents(&self, sandbox: &Sandbox, ca_file: &str) -> Vec<String> {
        let named = |word: &&str| {
            word.replace("{api}", &sandbox.api_base()).replace("{ws}", &sandbox.ws_base()).replace("{ca}", ca_file)
        };
        self.consents.iter().map(named).collect()
    }
}

/// Protected-resource metadata (RFC 9728) that names this resource and this authorization server.
fn resource_metadata(resource: &str, server: &str) -> Value {
    json!({ "resource": resource, "authorization_servers": [server] })
}

/// Metadata of the authorization server (RFC 8414) that calls itself so.
fn server_metadata(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": "{ws}/oauth/authorize",
        "token_endpoint": "{api}/oauth/token",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    })
}

const RESOURCE_AT_PATH: &str = "/.well-known/oauth-protected-resource/v1/mcp";
const SERVER_AT_ROOT: &str = "/.well-known/oauth-authorization-server";

fn serve(config: &mut Config, path: &str, document: Value) {
    config.quirks.documents.insert(path.to_owned(), document);
}

/// Has the challenge ask for the scope that the tenant gives everything for.
fn wants_inclusive(config: &mut Config) {
    config.challenge = Challenge { scope: Some("inclusive".to_owned()), ..Challenge::default() };
}

/// What the authorize endpoint was asked for, as this field of the last request.
fn asked(sandbox: &Sandbox, field: &str) -> Option<String> {
    let asked = sandbox.requests_at(Place::Authorize).into_iter().filter(|request| request.http_method == "GET");
    asked.last().and_then(|request| request.fields().remove(field))
}

/// How often the token endpoint was asked with a refresh token.
fn refreshed(sandbox: &Sandbox) -> usize {
    let all = sandbox.requests_at(Place::Token);
    all.iter().filter(|request| request.fields().contains_key("refresh_token")).count()
}

/// How often a call of this tool came with something that was taken for a token.
fn sent(sandbox: &Sandbox, tool: &str) -> usize {
    let name = format!(r#""name":"{tool}""#);
    let calls = sandbox.requests().into_iter().filter(|request| request.text().contains(&name));
    calls.filter(|request| request.header("authorization").is_some()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_habit_has_a_name_of_its_own_and_its_texts_are_sentences_without_an_end() {
        let habits = habits();
        for (at, habit) in habits.iter().enumerate() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(!habit.name.is_empty() && habit.name.chars().all(plain), "{}", habit.name);
            assert!(habits[..at].iter().all(|other| other.name != habit.name), "{} stands twice", habit.name);
            for text in [habit.does, habit.known, habit.must_hold] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text:?}", habit.name);
            }
            assert!(habit.consents.is_empty() || habit.refused.is_some(), "{}: what does it lift?", habit.name);
        }
        let letters: std::collections::BTreeSet<char> = habits.iter().map(|habit| habit.kind.letter()).collect();
        assert_eq!(letters, ('A'..='L').collect());
    }
}

//! What a hostile server can do to a bridge, and what must hold all the same: one table for whoever plays it by hand
//! (`planhat-sandbox hostile`) and for the tests.
//!
//! An attack that a client meets by a call has a tool of its name. All others of the tenant's tools stay innocent, so that
//! one can see whether they are still answered meanwhile.

mod bodies;
mod lists;
mod refusals;
mod streams;

use std::sync::Arc;

use crate::config::Config;
use crate::fault::Fault;
use crate::raw::{RESUMED, RawReply, STREAM};
use crate::state::Tenant;

/// The JSON-RPC answer with which a call of an attack ends that does end; what stands in its place else shows as an error.
pub(crate) const SURVIVED: &str =
    r#"{"jsonrpc":"2.0","id":{id},"result":{"content":[{"type":"text","text":"survived"}],"resultType":"complete"}}"#;

/// An attack that a server plays.
#[derive(Debug, Clone, Copy)]
pub struct Attack {
    /// Its name, and that of its tool where it is met by a call.
    pub name: &'static str,
    /// What it is to use up, or to get.
    pub aim: Aim,
    /// How a client meets it.
    pub meets: Meets,
    /// What the tenant wants before it answers.
    pub access: Access,
    /// In which eras it can be played.
    pub eras: &'static [Era],
    /// How many of its calls go beside each other to show it.
    pub beside: usize,
    /// What the server does.
    pub does: &'static str,
    /// What must hold.
    pub must_hold: &'static str,
    /// The arguments of its call, as JSON.
    pub arguments: fn() -> String,
    play: fn(&Play<'_>),
}

/// What an attack is to use up, or to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The time in which others are answered.
    Time,
    /// Memory.
    Memory,
    /// Requests to the server, again and again.
    Requests,
    /// The disk, by way of the log.
    Log,
    /// The person, by way of tabs.
    Tabs,
    /// Secrets.
    Secrets,
    /// The terminal of whoever reads along.
    Terminal,
    /// The client's trust in what it reads.
    Client,
}

/// How a client meets an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meets {
    /// By calling the tool of its name.
    Call,
    /// By listing the tools.
    List,
    /// By sending a notification.
    Notification,
    /// By being there: on the standing stream, or on `subscriptions/listen`.
    Stream,
}

/// What the tenant wants before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A token, of whatever kind.
    Token,
    /// A token that somebody signed in for.
    SignIn,
    /// Nothing, but for the tool of the attack; the program registers itself as a client.
    Open,
}

/// The two ways of speaking MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// With `initialize` and a session.
    Handshake,
    /// Each request by itself (2026-07-28).
    Stateless,
}

const BOTH: &[Era] = &[Era::Handshake, Era::Stateless];
/// What needs a session, or a stream that is taken up again.
const HANDSHAKE: &[Era] = &[Era::Handshake];

/// How much of it is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// As it breaks a program that has no bounds.
    Full,
    /// A twentieth of the megabytes, and storms that draw breath, for programs that were built without optimisation.
    Short,
}

impl Strength {
    fn mebibytes(self, full: usize) -> usize {
        match self {
            Strength::Full => full,
            Strength::Short => full.div_ceil(20),
        }
    }
}

/// Every attack. Names, aims and texts are for people also.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "batch-bomb",
        does: "answers with a batch of 30 million numbers, 64 kB of gzip",
        must_hold: "the members are counted while they are read, and one line of log says that they are too many",
        ..bodies::attack(Aim::Time, bodies::batch_bomb)
    },
    Attack {
        name: "nested-batches",
        does: "answers with a batch of millions of batches",
        must_hold: "as with batch-bomb",
        ..bodies::attack(Aim::Time, bodies::nested_batches)
    },
    Attack {
        name: "deep-nesting",
        does: "answers with 60 million opening brackets",
        must_hold: "an error, and no stack that overflows",
        ..bodies::attack(Aim::Time, bodies::deep_nesting)
    },
    Attack {
        name: "batches-in-events",
        does: "answers with a stream of hundred thousands of events, each of them a batch",
        must_hold: "events are taken one by one, and everything else has its turn between them",
        ..bodies::attack(Aim::Time, bodies::batches_in_events)
    },
    Attack {
        name: "comment-bomb",
        does: "answers with 400 MiB of event-stream comments, 400 kB of gzip",
        must_hold: "what is read is bounded by turns, not by the body",
        ..bodies::attack(Aim::Time, bodies::comment_bomb)
    },
    Attack {
        name: "tiny-events",
        does: "answers with six million events of one byte that are no messages",
        must_hold: "everything else has its turn, and the log counts them in one line",
        ..bodies::attack(Aim::Time, bodies::tiny_events)
    },
    Attack {
        name: "stray-answers",
        does: "answers with a million answers that nobody asked for, 54 kB of gzip",
        must_hold: "the log counts them in one line",
        ..bodies::attack(Aim::Log, bodies::stray_answers)
    },
    Attack {
        name: "gzip-bodies",
        beside: 16,
        does: "answers each of 16 calls with 60 kB of gzip that unpack to 60 MiB",
        must_hold: "all bodies that are being read share one budget, also when nobody reads the answers",
        ..bodies::attack(Aim::Memory, bodies::gzip_bodies)
    },
    Attack {
        name: "endless-body",
        does: "answers with JSON that does not end",
        must_hold: "an error at the bound of a message",
        ..bodies::attack(Aim::Memory, bodies::endless_body)
    },
    Attack {
        name: "endless-event",
        does: "answers with an event that does not end",
        must_hold: "an error at the bound of a message",
        ..bodies::attack(Aim::Memory, bodies::endless_event)
    },
    Attack {
        name: "slow-drip",
        does: "answers with a byte a second, for ever",
        must_hold: "it holds up nothing else, and ends with the longest time that a call may take",
        ..bodies::attack(Aim::Time, bodies::slow_drip)
    },
    Attack {
        name: "marks",
        does: "lists a tool of which 60,000 arguments are marked to become headers",
        must_hold: "the tool is left out, and the list comes at once",
        ..lists::attack(Aim::Time, lists::marks)
    },
    Attack {
        name: "marked-arguments",
        meets: Meets::Call,
        arguments: lists::thirty_three_thousand_arguments,
        does: "lists a tool of which 33,000 arguments are marked, and all are given: more than headers can be",
        must_hold: "the call is answered or refused, and nothing panics",
        ..lists::attack(Aim::Time, lists::marked_arguments)
    },
    Attack {
        name: "own-tool-name",
        does: "lists a tool `planhat_sign_in` of its own",
        must_hold: "the bridge's own is the only one of that name",
        ..lists::attack(Aim::Client, lists::own_tool_name)
    },
    Attack {
        name: "new-names",
        does: "lists two thousand tools, each time with other names",
        must_hold: "what is remembered of tools is bounded",
        ..lists::attack(Aim::Memory, lists::new_names)
    },
    Attack {
        name: "endless-pages",
        does: "gives each page of its list a next one",
        must_hold: "whoever wants them all, the bridge itself among them, comes to an end",
        ..lists::attack(Aim::Requests, lists::endless_pages)
    },
    Attack {
        name: "stream-ends-at-once",
        does: "ends each standing stream after one message, with `retry: 0`",
        must_hold: "it is opened again after a second at least, and later each time",
        ..streams::attack(Aim::Requests, streams::ends_at_once)
    },
    Attack {
        name: "call-ends-at-once",
        meets: Meets::Call,
        eras: HANDSHAKE,
        does: "ends the stream of a call at once, with an event id and `retry: 0`, each time that it is taken up",
        must_hold: "it is taken up again after a second at least, and later each time",
        ..streams::attack(Aim::Requests, streams::call_ends_at_once)
    },
    Attack {
        name: "open-then-404",
        eras: HANDSHAKE,
        does: "opens a standing stream, ends it, and says 404 to the next one: the session is lost, for ever again",
        must_hold: "sessions that are lost without a request of the client are not opened again without bound",
        ..streams::attack(Aim::Requests, streams::open_then_404)
    },
    Attack {
        name: "cookie-flood",
        does: "sets 80 new cookies of a kilobyte with each answer, and has the stream opened again and again",
        must_hold: "cookies are bounded in number and size, and go nowhere but to this server",
        ..streams::attack(Aim::Memory, streams::cookie_flood)
    },
    Attack {
        name: "list-changed-storm",
        does: "says without a pause that its tools have changed",
        must_hold: "the client is told at its own pace, and answers come through",
        ..streams::attack(Aim::Time, streams::list_changed_storm)
    },
    Attack {
        name: "ping-storm",
        does: "asks the client without a pause whether it is alive",
        must_hold: "questions are bounded, and answers come through",
        ..streams::attack(Aim::Requests, streams::ping_storm)
    },
    Attack {
        name: "undeclared-sampling",
        meets: Meets::Call,
        does: "asks for the client's model although the client did not offer it, and waits for ever",
        must_hold: "the bridge refuses it, and the call does not stay longer for that",
        ..streams::attack(Aim::Client, streams::undeclared_sampling)
    },
    Attack {
        name: "get-401",
        access: Access::SignIn,
        eras: HANDSHAKE,
        does: "takes every POST with the token, and answers 401 to the standing stream",
        must_hold: "one renewal at most, and no tab",
        ..refusals::attack(Aim::Tabs, Meets::Stream, refusals::get_401)
    },
    Attack {
        name: "notification-401",
        access: Access::SignIn,
        does: "takes requests with the token, and answers 401 to notifications",
        must_hold: "one renewal at most, and no tab",
        ..refusals::attack(Aim::Tabs, Meets::Notification, refusals::notification_401)
    },
    Attack {
        name: "tool-401",
        access: Access::SignIn,
        does: "answers 401 to this tool, whatever the token",
        must_hold: "one renewal at most, one tab at most, and the call is explained",
        ..refusals::attack(Aim::Tabs, Meets::Call, refusals::tool_401)
    },
    Attack {
        name: "redirect-circle",
        does: "redirects a call to itself",
        must_hold: "an error after a few turns",
        ..refusals::attack(Aim::Requests, Meets::Call, refusals::redirect_circle)
    },
    Attack {
        name: "huge-headers",
        does: "answers 400 with 300 kB of headers",
        must_hold: "an error, of which a few characters reach the log",
        ..refusals::attack(Aim::Log, Meets::Call, refusals::huge_headers)
    },
    Attack {
        name: "quoted-secrets",
        access: Access::SignIn,
        does: "quotes the token in its refusals, and the refresh token and the client secret at the token endpoint",
        must_hold: "no secret stands in a result, in the log or in a file",
        ..refusals::attack(Aim::Secrets, Meets::Call, refusals::quoted_secrets)
    },
    Attack {
        name: "control-characters",
        access: Access::Open,
        does: "registers the program under a client id with escape sequences and reversed text",
        must_hold: "nothing of it reaches a terminal, a page or the log as it is",
        ..refusals::attack(Aim::Terminal, Meets::Call, refusals::control_characters)
    },
    Attack {
        name: "mix-up",
        access: Access::Open,
        does: "names another server's sign-in page, and a token endpoint of its own",
        must_hold: "the page gets a callback path that belongs to this issuer, and the person is told of both servers",
        ..refusals::attack(Aim::Secrets, Meets::Call, refusals::mix_up)
    },
    Attack {
        name: "500-after-rotation",
        access: Access::Open,
        does: "rotates the refresh token, and then answers 500",
        must_hold: "the spent one is presented once more at most",
        ..refusals::attack(Aim::Tabs, Meets::Call, refusals::rotation_500)
    },
];

impl Attack {
    /// The attack of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        ATTACKS.iter().find(|attack| attack.name == name)
    }

    pub(crate) fn play(&self, play: &Play<'_>) {
        match self.access {
            Access::Token | Access::SignIn => {}
            Access::Open => play.configure(|config| {
                config.auth_required = false;
                config.guarded_tools.push(self.name.to_owned());
                config.registered_client_id.get_or_insert_with(|| "registered".to_owned());
            }),
        }
        if self.meets == Meets::Call {
            let tool = (self.name.to_owned(), format!("Hostile: {}.", self.does));
            play.configure(|config| config.more_tools.push(tool));
        }
        (self.play)(play);
    }
}

/// No arguments.
fn none() -> String {
    "{}".to_owned()
}

/// The tenant that plays an attack.
pub(crate) struct Play<'a> {
    pub(crate) tenant: &'a Arc<Tenant>,
    /// The attack's name.
    pub(crate) attack: &'static str,
    pub(crate) strength: Strength,
}

impl Play<'_> {
    fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.tenant.configure(change);
    }

    /// Answers calls of the attack's tool.
    fn on_call(&self, reply: RawReply) {
        self.tenant.script.add_attack("tools/call", Some(self.attack), vec![reply]);
    }

    fn on_list(&self, reply: RawReply) {
        self.tenant.script.add_attack("tools/list", None, vec![reply]);
    }

    /// Answers requests for the streams on which a server says what nobody asked for, of both eras, in turn.
    fn on_streams(&self, replies: &[RawReply]) {
        self.tenant.script.add_attack(STREAM, None, replies.to_vec());
        self.tenant.script.add_attack("subscriptions/listen", None, replies.to_vec());
    }

    /// Answers requests to take a stream up again.
    fn on_resumption(&self, reply: RawReply) {
        self.tenant.script.add_attack(RESUMED, None, vec![reply]);
    }

    fn fault(&self, fault: Fault) {
        self.tenant.faults.add(fault.of_attack());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_has_a_name_of_its_own_and_its_texts_are_sentences_without_an_end() {
        for (at, attack) in ATTACKS.iter().enumerate() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(attack.name.chars().all(plain), "{}", attack.name);
            assert!(ATTACKS[..at].iter().all(|other| other.name != attack.name), "{} stands twice", attack.name);
            for text in [attack.does, attack.must_hold] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{}: {text:?}", attack.name);
            }
            assert!(!attack.eras.is_empty() && attack.beside > 0, "{}", attack.name);
        }
    }
}

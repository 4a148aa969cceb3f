//! Sessions, the start, answers, streams and redirects.

use std::time::Duration;

use super::{Access, Habit, Kind, PLAIN, Then, sent};
use crate::config::{AnswerMode, Config};
use crate::fault::{Fault, Place};
use crate::gate::Gate;
use crate::raw::{RawReply, event};
use crate::sandbox::Sandbox;

/// How long a habit that takes its time is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

const NO_SESSION: &str =
    r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#;
const ANSWER: &str = r#"{"jsonrpc":"2.0","id":{id},"result":{"content":[{"type":"text","text":"said"}]}}"#;
const OLD_REVISION: &str = r#"{"jsonrpc":"2.0","id":{id},"error":{"code":-32000,"message":"Bad Request: Unsupported protocol version (supported versions: 2025-06-18, 2025-03-26)"}}"#;

const fn lost(name: &'static str, does: &'static str, configure: fn(&mut Config)) -> Habit {
    Habit {
        name,
        kind: Kind::Session,
        does,
        known: "examples of the TypeScript SDK, supergateway, and the Python SDK up to 1.24, after a restart",
        must_hold: "a new session is opened once, the call is sent again, and no browser opens",
        then: Then::LoseSessions,
        configure,
        holds: |sandbox| sandbox.counters().sessions_created == 2 && sandbox.counters().refreshes == 0,
        ..PLAIN
    }
}

const fn wrapped(name: &'static str, does: &'static str, play: fn(&Sandbox)) -> Habit {
    Habit {
        name,
        kind: Kind::Wrapping,
        does,
        known: "servers that write their answers by hand",
        must_hold: "the answer is delivered, and the call was sent once",
        play,
        holds: |sandbox| sent(sandbox, "echo") == 1,
        ..PLAIN
    }
}

fn answered(status: u16, kind: &str, body: &str) -> Option<RawReply> {
    Some(RawReply::status(status).header("content-type", kind).bytes(body))
}

pub(super) const HABITS: &[Habit] = &[
    lost("session-lost-as-400", "says of a lost session that the request is bad, in JSON-RPC", |config| {
        config.quirks.lost_session = answered(400, "application/json", NO_SESSION);
    }),
    lost("session-lost-as-text", "says of a lost session that the request is bad, in a line of text", |config| {
        config.quirks.lost_session = answered(400, "text/plain", "Invalid or missing session ID");
    }),
    lost("session-lost-as-401", "says of a lost session that nobody is signed in, without a challenge", |config| {
        config.quirks.lost_session = answered(401, "application/json", r#"{"error":"Session not found"}"#);
    }),
    lost("session-lost-as-200", "says of a lost session in a stream that it is not found, in no JSON-RPC", |config| {
        let said = "event: error\ndata: {\"error\":\"Session not found\"}\n\n";
        config.quirks.lost_session = answered(200, "text/event-stream", said);
    }),
    Habit {
        name: "revision-refused",
        kind: Kind::Start,
        does: "refuses a revision that it does not know instead of offering its own, and lists those that it knows",
        known: "gateways that look at the revision themselves",
        must_hold: "the listed ones are tried, newest first, and the client reads an ordinary answer",
        configure: |config| {
            let reply = RawReply::status(400).header("content-type", "application/json").bytes(OLD_REVISION);
            config.quirks.newest_revision = Some(("2025-06-18".to_owned(), reply));
        },
        ..PLAIN
    },
    Habit {
        name: "revision-refused-as-text",
        kind: Kind::Start,
        does: "refuses a revision that it does not know in a line of text, and lists none",
        known: "gateways that look at the revision themselves",
        must_hold: "older ones are tried one after the other, and the client reads an ordinary answer",
        configure: |config| {
            let reply =
                RawReply::status(400).header("content-type", "text/plain").bytes("Unsupported protocol version");
            config.quirks.newest_revision = Some(("2025-03-26".to_owned(), reply));
        },
        ..PLAIN
    },
    Habit {
        name: "initialized-unanswered",
        kind: Kind::Start,
        does: "never answers the POST of notifications/initialized",
        known: "servers that hold the connection of a notification open",
        must_hold: "the first list comes within 8 seconds, and doctor does not wait for it either",
        says: &[("doctor", "tools listed")],
        play: |sandbox| sandbox.fault(Fault::held(&Gate::new()).method("notifications/initialized").always()),
        ..PLAIN
    },
    wrapped("events-under-json", "sends an event stream under the name of JSON", |sandbox| {
        sandbox.on_tool("echo", RawReply::json(event(ANSWER)));
    }),
    wrapped("json-under-events", "sends JSON under the name of an event stream", |sandbox| {
        sandbox.on_tool("echo", RawReply::sse().bytes(ANSWER));
    }),
    wrapped("event-without-end", "ends its stream without the blank line after the last event", |sandbox| {
        sandbox.on_tool("echo", RawReply::sse().bytes(format!("data: {ANSWER}\n")));
    }),
    wrapped("byte-no-utf8", "sends a byte that is no UTF-8 inside a result", |sandbox| {
        let (before, after) = ANSWER.split_once("said").unwrap_or_default();
        sandbox.on_tool("echo", RawReply::json([before.as_bytes(), b"caf\xe9", after.as_bytes()].concat()));
    }),
    Habit {
        name: "stream-cut-then-refused",
        kind: Kind::Stream,
        does: "cuts the standing stream, refuses it for a while with 400, and then has news on it",
        known: "servers behind a load balancer while they are deployed",
        must_hold: "a stream that was open before is asked for again",
        configure: |config| config.sse_retry = None,
        play: |sandbox| {
            let note = event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
            sandbox.on_stream(RawReply::sse().bytes(note.clone()).wait(&Gate::new()));
            sandbox.on_stream(RawReply::status(400).times(2));
            sandbox.on_stream(RawReply::sse().bytes(note).cut().once());
        },
        holds: |sandbox| {
            let mut left = 4;
            let streams = sandbox.wait_until(
                |_| {
                    left = 4_usize.saturating_sub(
                        sandbox
                            .requests()
                            .iter()
                            .filter(|r| r.http_method == "GET" && r.header("authorization").is_some())
                            .count(),
                    );
                    left == 0
                },
                PATIENCE,
            );
            streams.is_ok()
        },
        ..PLAIN
    },
    Habit {
        name: "redirect-slash",
        kind: Kind::Redirect,
        does: "redirects to its own address with a slash at the end",
        known: "Starlette, and FastMCP where it is mounted",
        must_hold: "the redirect is followed within the origin",
        configure: |config| config.quirks.moved = Some(("/v1/mcp/".to_owned(), "{path}".to_owned())),
        ..PLAIN
    },
    Habit {
        name: "key-in-address",
        kind: Kind::Address,
        does: "takes a key in the query of its address",
        known: "Exa, and others that document it so",
        must_hold: "the key is shown by no command, no message and no line of the log",
        query: "?exaApiKey=canary-key-in-the-address",
        ..PLAIN
    },
    Habit {
        name: "challenge-on-post-alone",
        kind: Kind::Stack,
        does: "answers GET with 405, and has its challenge on POST alone",
        known: "FastMCP without sessions",
        must_hold: "login asks for the scope of that challenge, as the bridge does",
        configure: |config| {
            super::wants_inclusive(config);
            config.get_stream = false;
            config.quirks.hides_challenge_from_get = true;
        },
        holds: |sandbox| super::asked(sandbox, "scope").as_deref() == Some("inclusive"),
        ..PLAIN
    },
    Habit {
        name: "no-sign-in",
        kind: Kind::Stack,
        does: "takes requests of everybody, has no standing stream, and describes nothing",
        known: "servers of the public web, such as documentation search",
        must_hold: "login says that the server needs no sign-in, and opens nothing",
        access: Access::Open,
        says: &[("login", "needs no sign-in")],
        tabs: 0,
        configure: |config| config.get_stream = false,
        play: |sandbox| sandbox.fault(Fault::status(404).at(Place::Metadata).always()),
        ..PLAIN
    },
    Habit {
        name: "old-http-sse",
        kind: Kind::Stack,
        does: "speaks HTTP+SSE, the transport of revision 2024-11-05",
        known: "servers of the TypeScript SDK before 1.10, and Cloudflare's /sse",
        must_hold: "it is recognised by its endpoint event, and served, renewal included",
        then: Then::Expire,
        configure: |config| config.answers = AnswerMode::HttpSse,
        holds: |sandbox| sandbox.counters().refreshes == 1,
        ..PLAIN
    },
];

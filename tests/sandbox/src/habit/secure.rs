//! What only https shows.

use super::{Habit, Kind, PLAIN};
use crate::config::{Challenge, Config, ProtectedResource};
use crate::sandbox::Sandbox;
use crate::tls::{Flaw, Tls};

/// A server in the world, which a proxy leads to.
const PUBLIC: Option<Tls> = Some(Tls { public: true, flaw: None });
/// A server of this machine.
const LOCAL: Option<Tls> = Some(Tls { public: false, flaw: None });

const fn flawed(name: &'static str, refused: &'static str, does: &'static str, configure: fn(&mut Config)) -> Habit {
    Habit {
        name,
        kind: Kind::Words,
        does,
        known: "servers of a company, with a CA of its own",
        must_hold: "the words tell it from the other reasons, and nothing is sent",
        refused: Some(refused),
        tabs: 0,
        configure,
        holds: |sandbox| sandbox.requests().is_empty(),
        ..PLAIN
    }
}

fn never_in_the_clear(sandbox: &Sandbox) -> bool {
    sandbox.counters().without_tls == 0 && sandbox.counters().proxy_refusals == 0
}

pub(super) const HABITS: &[Habit] = &[
    Habit {
        name: "hint-without-https",
        kind: Kind::Hint,
        does: "names its description in the challenge with http, behind a proxy that ends TLS",
        known: "FastMCP, and any framework, behind such a proxy",
        must_hold: "the hint is passed over and never asked for over http, and doctor names X-Forwarded-Proto",
        says: &[("doctor", "X-Forwarded-Proto")],
        configure: |config| {
            const HINT: &str = "http://mcp.sandbox.example/.well-known/oauth-protected-resource/v1/mcp";
            config.tls = PUBLIC;
            config.challenge = Challenge { hint: Some(HINT.to_owned()), ..Challenge::default() };
            config.protected_resource = ProtectedResource::AtPath;
        },
        holds: never_in_the_clear,
        ..PLAIN
    },
    Habit {
        name: "resource-without-https",
        kind: Kind::Words,
        does: "describes itself as a resource with http, behind a proxy that ends TLS",
        known: "FastMCP, and any framework, behind such a proxy",
        must_hold: "the words name the scheme alone and whose proxy mends it, and the name can be accepted",
        refused: Some("scheme-dropped"),
        consents: &["--resource", "http://mcp.sandbox.example/v1/mcp"],
        says: &[("login", "X-Forwarded-Proto")],
        configure: |config| {
            config.tls = PUBLIC;
            let named = super::resource_metadata("http://mcp.sandbox.example/v1/mcp", "{api}");
            super::serve(config, super::RESOURCE_AT_PATH, named);
        },
        holds: never_in_the_clear,
        ..PLAIN
    },
    Habit {
        name: "redirect-without-https",
        kind: Kind::Redirect,
        does: "redirects to its own address with a slash at the end and with http, behind a proxy that ends TLS",
        known: "Starlette, and FastMCP where it is mounted, behind such a proxy",
        must_hold: "the https form of the target is asked, never the http one, and it is remembered",
        configure: |config| {
            config.tls = PUBLIC;
            config.quirks.moved = Some(("/v1/mcp/".to_owned(), "http://{host}{path}".to_owned()));
        },
        holds: never_in_the_clear,
        ..PLAIN
    },
    Habit {
        name: "redirect-without-https-here",
        kind: Kind::Redirect,
        does: "redirects to its own address with a slash at the end and with http, at the port of https",
        known: "servers in development behind a proxy that ends TLS",
        must_hold: "the https form of the target is asked, never the http one, and it is remembered",
        configure: |config| {
            config.tls = LOCAL;
            config.quirks.moved = Some(("/v1/mcp/".to_owned(), "http://{host}{path}".to_owned()));
        },
        holds: never_in_the_clear,
        ..PLAIN
    },
    Habit {
        name: "old-http-sse-over-https",
        kind: Kind::Stack,
        does: "speaks HTTP+SSE, the transport of revision 2024-11-05, over https",
        known: "Cloudflare's /sse",
        must_hold: "it is recognised by its endpoint event, and served",
        configure: |config| {
            config.tls = PUBLIC;
            config.answers = crate::config::AnswerMode::HttpSse;
        },
        holds: never_in_the_clear,
        ..PLAIN
    },
    Habit {
        name: "certificate-of-private-ca",
        kind: Kind::Words,
        does: "shows a certificate of a CA that this machine does not know",
        known: "servers of a company, and companies that inspect TLS",
        must_hold: "it is refused with the option that adds the CA",
        refused: Some("tls-untrusted"),
        consents: &["--ca-file", "{ca}"],
        configure: |config| config.tls = LOCAL,
        holds: never_in_the_clear,
        ..PLAIN
    },
    flawed("certificate-ended", "tls-expired", "shows a certificate that has ended", |config| {
        config.tls = Some(Tls { public: false, flaw: Some(Flaw::Expired) });
    }),
    flawed("certificate-of-another", "tls-wrong-host", "shows a certificate for another host", |config| {
        config.tls = Some(Tls { public: false, flaw: Some(Flaw::OtherHost) });
    }),
    flawed("certificate-of-ca", "tls-authority", "shows the certificate of its CA as its own", |config| {
        config.tls = Some(Tls { public: false, flaw: Some(Flaw::Ca) });
    }),
];

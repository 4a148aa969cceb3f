//! Where to sign in, and what has to be consented to.

use serde_json::{Value, json};

use super::{
    Access, Habit, Kind, PLAIN, RESOURCE_AT_PATH, SERVER_AT_ROOT, asked, resource_metadata, serve, server_metadata,
};
use crate::config::{Challenge, Iss, ProtectedResource};
use crate::fault::{Fault, Place};

const BELOW: &str = "/mcp/.well-known/oauth-protected-resource";

pub(super) const HABITS: &[Habit] = &[
    Habit {
        name: "hint-by-path",
        kind: Kind::Hint,
        does: "names its description in the challenge by a path alone, and has it only there",
        known: "servers behind gateways that write the challenge themselves",
        must_hold: "the path is read as one of the server's own",
        configure: |config| {
            config.challenge = Challenge { hint: Some(BELOW.to_owned()), ..Challenge::default() };
            serve(config, BELOW, resource_metadata("{api}/v1/mcp", "{api}"));
        },
        holds: |sandbox| sandbox.requests_at(Place::Metadata).iter().any(|request| request.target == BELOW),
        ..PLAIN
    },
    Habit {
        name: "hint-to-nowhere",
        kind: Kind::Hint,
        does: "names a place in the challenge where nothing is, and has its description at the usual one",
        known: "servers that were moved to another path",
        must_hold: "the usual places are asked all the same",
        configure: |config| {
            config.challenge = Challenge { hint: Some("{api}/nothing-here".to_owned()), ..Challenge::default() };
            config.protected_resource = ProtectedResource::AtPath;
        },
        ..PLAIN
    },
    Habit {
        name: "document-below-issuer",
        kind: Kind::Hint,
        does: "has an issuer with a path, and describes it below that path alone",
        known: "Keycloak, and gateways with a tenant in the path",
        must_hold: "that place is asked, too, after those of the standard",
        configure: |config| {
            serve(config, RESOURCE_AT_PATH, resource_metadata("{api}/v1/mcp", "{api}/tenant"));
            serve(config, "/tenant/.well-known/oauth-authorization-server", server_metadata("{api}/tenant"));
            serve(config, SERVER_AT_ROOT, Value::Null);
        },
        ..PLAIN
    },
    Habit {
        name: "bot-protection",
        kind: Kind::Hint,
        does: "answers programs at every well-known place with a page of its protection against bots",
        known: "sites behind Cloudflare whose rules do not spare /.well-known/",
        must_hold: "nothing is guessed and nothing registered, and the protection is named with its ray id",
        access: Access::Registers,
        refused: Some("bot-protection"),
        says: &[("login", "8f2c0d-FRA"), ("doctor", "8f2c0d-FRA")],
        tabs: 0,
        play: |sandbox| {
            let page = Fault::status(403).body("<title>Just a moment...</title>").header("content-type", "text/html");
            let page = page.header("cf-mitigated", "challenge").header("cf-ray", "8f2c0d-FRA");
            sandbox.fault(page.at(Place::Metadata).always());
        },
        holds: |sandbox| sandbox.requests_at(Place::Registration).is_empty(),
        ..PLAIN
    },
    Habit {
        name: "resource-elsewhere",
        kind: Kind::Consent,
        does: "describes itself as a resource at another origin",
        known: "Asana",
        must_hold: "it is refused with the option that accepts exactly that name, and tokens are then asked for it",
        refused: Some("resource-mismatch"),
        consents: &["--resource", "{ws}/v2/mcp"],
        configure: |config| serve(config, RESOURCE_AT_PATH, resource_metadata("{ws}/v2/mcp", "{api}")),
        holds: |sandbox| asked(sandbox, "resource") == Some(format!("{}/v2/mcp", sandbox.ws_base())),
        ..PLAIN
    },
    Habit {
        name: "resource-by-uri",
        kind: Kind::Consent,
        does: "names its resource by an application's URI, and lists no PKCE methods although S256 works",
        known: "Entra ID",
        must_hold: "both are refused with the options that accept them, and S256 is sent",
        refused: Some("resource-mismatch"),
        consents: &["--resource", "api://1111/app", "--allow-unlisted-s256"],
        configure: |config| {
            serve(config, RESOURCE_AT_PATH, resource_metadata("api://1111/app", "{api}"));
            config.metadata_patch = Some(json!({ "code_challenge_methods_supported": null }));
        },
        holds: |sandbox| {
            asked(sandbox, "resource").as_deref() == Some("api://1111/app")
                && asked(sandbox, "code_challenge_method").as_deref() == Some("S256")
        },
        ..PLAIN
    },
    Habit {
        name: "issuer-without-path",
        kind: Kind::Consent,
        does: "leaves out in its description the path of the issuer that it stands at",
        known: "Atlassian",
        must_hold: "it is refused with the option that pins the issuer that was found",
        refused: Some("issuer-mismatch"),
        consents: &["--issuer", "{api}"],
        configure: |config| {
            serve(config, RESOURCE_AT_PATH, resource_metadata("{api}/v1/mcp", "{api}/tenant"));
            serve(config, "/.well-known/oauth-authorization-server/tenant", server_metadata("{api}"));
            serve(config, SERVER_AT_ROOT, Value::Null);
        },
        ..PLAIN
    },
    Habit {
        name: "issuer-elsewhere",
        kind: Kind::Consent,
        does: "names in its description another host than the one it stands at, and gives tokens of a third",
        known: "Cloudflare Access",
        must_hold: "it is refused with the option that pins the issuer, and a person types login once",
        refused: Some("issuer-mismatch"),
        consents: &["--issuer", "{ws}"],
        configure: |config| config.metadata_patch = Some(json!({ "issuer": "{ws}" })),
        ..PLAIN
    },
    Habit {
        name: "issuer-elsewhere-user-token",
        kind: Kind::Consent,
        does: "names in its description another host than the one it stands at, and calls the type of its tokens `user`",
        known: "Slack",
        must_hold: "it is refused with the option that pins the issuer, and the token is then taken as a bearer token",
        refused: Some("issuer-mismatch"),
        consents: &["--issuer", "{ws}"],
        configure: |config| {
            config.metadata_patch = Some(json!({ "issuer": "{ws}" }));
            config.quirks.token_patch = Some(json!({ "ok": true, "token_type": "user" }));
        },
        ..PLAIN
    },
    Habit {
        name: "s256-unlisted",
        kind: Kind::Consent,
        does: "lists no PKCE methods, although S256 works",
        known: "Cognito",
        must_hold: "it is refused with the option that sends S256 all the same",
        refused: Some("s256-unlisted"),
        consents: &["--allow-unlisted-s256"],
        configure: |config| config.metadata_patch = Some(json!({ "code_challenge_methods_supported": null })),
        holds: |sandbox| asked(sandbox, "code_challenge_method").as_deref() == Some("S256"),
        ..PLAIN
    },
    Habit {
        name: "plain-alone",
        kind: Kind::Consent,
        does: "lists `plain` as its one PKCE method",
        known: "old servers of the mobile era",
        must_hold: "it is refused, whatever is set",
        refused: Some("no-s256"),
        in_vain: &["--allow-unlisted-s256"],
        tabs: 0,
        configure: |config| config.metadata_patch = Some(json!({ "code_challenge_methods_supported": ["plain"] })),
        ..PLAIN
    },
    Habit {
        name: "issuer-with-slash",
        kind: Kind::Consent,
        does: "ends its issuer with a slash in the answer to the sign-in, and not in its description",
        known: "Auth0",
        must_hold: "the words tell it from another issuer, and the option that pins the issuer covers both forms",
        refused: Some("callback-issuer-slash"),
        consents: &["--issuer", "{api}"],
        tabs: 2,
        configure: |config| config.iss = Iss::WithSlash,
        ..PLAIN
    },
    Habit {
        name: "wants-scope",
        kind: Kind::Words,
        does: "refuses a sign-in that asks for no scope, and names none in its challenge",
        known: "GitHub Enterprise, and Spring Authorization Server",
        must_hold: "the words list the server's scopes and name the option",
        refused: Some("scope-needed"),
        consents: &["--scope", "inclusive"],
        says: &[("login", "inclusive")],
        tabs: 2,
        configure: |config| config.quirks.wants_scope = true,
        ..PLAIN
    },
    Habit {
        name: "own-metadata-fails",
        kind: Kind::Stack,
        does: "answers 500 where its description should be",
        known: "servers whose framework breaks on its own metadata route",
        must_hold: "the host that failed is named, and no authorization server is blamed",
        refused: Some("sign-in-unavailable"),
        says: &[("login", "127.0.0.1")],
        tabs: 0,
        play: |sandbox| sandbox.fault(Fault::status(500).at(Place::Metadata).always()),
        ..PLAIN
    },
];

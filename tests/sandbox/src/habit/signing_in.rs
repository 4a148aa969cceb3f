//! The sign-in, its tokens, and what becomes of them.

use serde_json::json;

use super::{Access, Habit, Kind, PLAIN, Then, asked, refreshed, wants_inclusive};
use crate::config::{ExpiresIn, TokenAuth};
use crate::fault::{Fault, Place};

pub(super) const HABITS: &[Habit] = &[
    Habit {
        name: "offline-access-refused",
        kind: Kind::Added,
        does: "lists the scope offline_access, and refuses a sign-in that asks for it",
        known: "servers that print their framework's list of scopes",
        must_hold: "it is asked once more without, in the same tab",
        configure: |config| {
            wants_inclusive(config);
            config.metadata_patch = Some(json!({ "scopes_supported": ["inclusive", "offline_access"] }));
        },
        holds: |sandbox| {
            let all = sandbox.requests_at(Place::Authorize);
            let first = all.first().and_then(|request| request.fields().remove("scope"));
            first.as_deref() == Some("inclusive offline_access")
                && asked(sandbox, "scope").as_deref() == Some("inclusive")
        },
        ..PLAIN
    },
    Habit {
        name: "registration-forgotten",
        kind: Kind::Added,
        does: "has forgotten the client that registered itself, and shows a page that leads back to nobody",
        known: "npm fastmcp and better-auth after a restart",
        must_hold: "the next sign-in registers anew before it opens a tab",
        access: Access::Registers,
        then: Then::Restart,
        tabs: 2,
        ..PLAIN
    },
    Habit {
        name: "registration-forgotten-and-failing",
        kind: Kind::Added,
        does: "has forgotten the client that registered itself, and fails at it with 500",
        known: "workers-oauth-provider, of which Cloudflare says \"error code: 1101\"",
        must_hold: "the next sign-in registers anew before it opens a tab",
        access: Access::Registers,
        then: Then::Restart,
        tabs: 2,
        configure: |config| config.quirks.unknown_client_status = Some(500),
        ..PLAIN
    },
    Habit {
        name: "stray-callback",
        kind: Kind::Added,
        does: "has the browser fetch the redirect URL with the right state and neither code nor error, before the true answer",
        known: "browser extensions, and reloads of a cut address",
        must_hold: "it gets 400, and the sign-in goes on",
        configure: |config| config.quirks.strays = true,
        ..PLAIN
    },
    Habit {
        name: "token-type-user",
        kind: Kind::Token,
        does: "calls the type of its tokens `user`",
        known: "Slack",
        must_hold: "it is taken as a bearer token",
        configure: |config| config.quirks.token_patch = Some(json!({ "token_type": "user" })),
        ..PLAIN
    },
    Habit {
        name: "token-type-mac",
        kind: Kind::Token,
        does: "gives tokens of the type `mac`, a scheme of its own",
        known: "servers of the drafts before RFC 6750",
        must_hold: "the token is refused, and not as a passing problem",
        refused: Some("token-type-unusable"),
        configure: |config| config.quirks.token_patch = Some(json!({ "token_type": "mac" })),
        ..PLAIN
    },
    Habit {
        name: "token-inside-member",
        kind: Kind::Token,
        does: "gives a user's token inside of another member, and none at the top",
        known: "Slack, asked for scopes of a user alone",
        must_hold: "the words say what came, and name the parameter that helps",
        refused: Some("token-inside-member"),
        says: &[("login", "authed_user"), ("login", "--authorize-param")],
        configure: |config| {
            let inside = json!({ "access_token": "at_sandbox_inside_of_no_worth" });
            config.quirks.token_patch = Some(json!({ "access_token": null, "authed_user": inside }));
        },
        ..PLAIN
    },
    Habit {
        name: "refresh-invalid-request",
        kind: Kind::Token,
        does: "refuses a refresh token that has ended as invalid_request",
        known: "servers with one error for everything",
        must_hold: "the token is presented once, and a sign-in is offered",
        then: Then::Expire,
        tabs: 2,
        play: |sandbox| {
            let refusal = r#"{"error":"invalid_request","error_description":"refresh_token is invalid"}"#;
            sandbox.fault(Fault::status(400).body(refusal).at(Place::Token).skip(1));
        },
        holds: |sandbox| refreshed(sandbox) == 1,
        ..PLAIN
    },
    Habit {
        name: "refresh-refused-with-200",
        kind: Kind::Token,
        does: "refuses a refresh token that has ended with 200 and an error of its own",
        known: "GitHub (bad_refresh_token)",
        must_hold: "the token is presented once, and a sign-in is offered",
        then: Then::Expire,
        tabs: 2,
        play: |sandbox| {
            let refusal = r#"{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired."}"#;
            sandbox.fault(Fault::bytes("application/json", refusal).at(Place::Token).skip(1));
        },
        holds: |sandbox| refreshed(sandbox) == 1,
        ..PLAIN
    },
    Habit {
        name: "raw-secret",
        kind: Kind::Token,
        does: "compares a secret with special characters as it comes, without decoding it",
        known: "servers that split the Basic header themselves",
        must_hold: "after a refusal the raw form is sent once, and what worked is remembered",
        then: Then::Expire,
        configure: |config| {
            config.clients[0].secret = Some("sk$+/=:%~of-no-worth".to_owned());
            config.quirks.compares_raw_secret = true;
            config.token_auth = TokenAuth { post: false, none: false, ..TokenAuth::default() };
        },
        holds: |sandbox| sandbox.counters().client_refusals == 1,
        ..PLAIN
    },
    Habit {
        name: "expired-as-500",
        kind: Kind::Token,
        does: "never says when its tokens end, and answers one that has ended with 500",
        known: "servers that break on their own token check",
        must_hold: "one renewal is tried, and what only reads succeeds",
        then: Then::Expire,
        configure: |config| {
            config.expires_in = ExpiresIn::Missing;
            config.bad_token_answer = Some((500, None));
        },
        holds: |sandbox| sandbox.counters().refreshes == 1,
        ..PLAIN
    },
    Habit {
        name: "expired-to-login-page",
        kind: Kind::Token,
        does: "never says when its tokens end, and sends a program with one that has ended to its login page",
        known: "servers behind a single sign-on proxy",
        must_hold: "one renewal is tried, and the call succeeds",
        then: Then::Expire,
        configure: |config| {
            config.expires_in = ExpiresIn::Missing;
            config.bad_token_answer = Some((307, Some("/login".to_owned())));
        },
        holds: |sandbox| sandbox.counters().refreshes == 1,
        ..PLAIN
    },
    Habit {
        name: "client-id-in-form",
        kind: Kind::Stack,
        does: "wants client_id in the form with a Basic header, too",
        known: "the Python SDK from 1.23 on, and FastMCP with a provider of its own",
        must_hold: "exchange and renewal name the client in the form, whatever proves it",
        access: Access::Registers,
        then: Then::Expire,
        configure: |config| {
            config.quirks.wants_client_id = true;
            config.quirks.registration.secret = Some("registered-secret-of-no-worth".to_owned());
            config.token_auth = TokenAuth { none: false, ..TokenAuth::default() };
            config.metadata_patch = Some(json!({
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            }));
        },
        holds: |sandbox| sandbox.counters().client_refusals == 0,
        ..PLAIN
    },
    Habit {
        name: "scope-of-registration",
        kind: Kind::Stack,
        does: "lets a client ask for no scope that it has not registered with",
        known: "the TypeScript SDK from 1.10 to 1.20, the Python SDK without default scopes, and Authlib",
        must_hold: "the registration names the scope that will be asked for",
        access: Access::Registers,
        configure: |config| {
            wants_inclusive(config);
            config.quirks.registration.bounds_scope = true;
        },
        ..PLAIN
    },
    Habit {
        name: "memory-lost",
        kind: Kind::Stack,
        does: "has forgotten a client with a secret of its own: invalid_client by one method, invalid_request by another",
        known: "the TypeScript SDK 1.10 and 1.17, and the Python SDK 1.9 and 1.12, after a restart",
        must_hold: "the next sign-in registers anew before it opens a tab",
        access: Access::Registers,
        then: Then::Restart,
        tabs: 2,
        configure: |config| {
            config.quirks.registration.secret = Some("registered-secret-of-no-worth".to_owned());
            config.token_auth = TokenAuth { basic: true, post: false, none: false };
        },
        ..PLAIN
    },
    Habit {
        name: "audience-is-origin",
        kind: Kind::Stack,
        does: "takes no token that was asked for with resource, and describes no resource",
        known: "Cloudflare's workers-oauth-provider before 0.3",
        must_hold: "the next sign-in asks without it, and what it gets works",
        refused_token: true,
        tabs: 2,
        holds: |sandbox| asked(sandbox, "resource").is_none(),
        configure: |config| config.quirks.audience_is_origin = true,
        ..PLAIN
    },
    Habit {
        name: "one-grant-type",
        kind: Kind::Stack,
        does: "registers a client for one grant type alone, and names an endpoint for the device grant",
        known: "django-oauth-toolkit",
        must_hold: "the device grant is registered only where it is used",
        access: Access::Registers,
        configure: |config| {
            config.quirks.registration.code_grant_alone = true;
            config.metadata_patch = Some(json!({ "device_authorization_endpoint": "{api}/oauth/device" }));
        },
        ..PLAIN
    },
    Habit {
        name: "revocation-refused",
        kind: Kind::Stack,
        does: "refuses to revoke a token",
        known: "several stacks, which answer 400, 401 or 404",
        must_hold: "logout signs out here, and says that the access at the server ends automatically",
        says: &[("logout", "automatically")],
        configure: |config| config.metadata_patch = Some(json!({ "revocation_endpoint": "{api}/oauth/revoke" })),
        play: |sandbox| sandbox.fault(Fault::status(400).at(Place::Elsewhere).always()),
        ..PLAIN
    },
];

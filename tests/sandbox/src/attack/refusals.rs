//! Refusals, and an authorization server that is not what it seems.

use serde_json::json;

use super::{Access, Aim, Attack, BOTH, Meets, Play, SURVIVED, none};
use crate::fault::{Fault, Place};
use crate::raw::RawReply;

pub(super) const fn attack(aim: Aim, meets: Meets, play: fn(&Play<'_>)) -> Attack {
    Attack {
        name: "",
        aim,
        meets,
        access: Access::Token,
        eras: BOTH,
        beside: 1,
        does: "",
        must_hold: "",
        arguments: none,
        play,
    }
}

/// Clears the screen, sets the title, rings, reverses the direction of text in each way that there is.
const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{2066}\u{200e}\u{200f}\u{61c}owned";

fn unauthorized() -> Fault {
    Fault::status(401).header("www-authenticate", "Bearer error=\"invalid_token\"").always()
}

pub(super) fn get_401(play: &Play<'_>) {
    play.fault(unauthorized().http("GET"));
}

pub(super) fn notification_401(play: &Play<'_>) {
    // Not `notifications/initialized`, without which a session does not begin.
    for method in ["cancelled", "progress", "roots/list_changed", "vendor"] {
        play.fault(unauthorized().method(&format!("notifications/{method}")));
    }
}

pub(super) fn tool_401(play: &Play<'_>) {
    play.fault(unauthorized().tool(play.attack));
}

pub(super) fn redirect_circle(play: &Play<'_>) {
    play.on_call(RawReply::status(307).header("location", "/v1/mcp"));
}

pub(super) fn huge_headers(play: &Play<'_>) {
    let value = "x".repeat(5_000);
    let headers = ["content-type", "www-authenticate", "x-request-id", "mcp-session-id", "retry-after", "location"];
    let refusal = headers.iter().fold(Fault::status(400), |fault, name| fault.header(name, &value));
    let refusal = (0..54).fold(refusal, |fault, at| fault.header(&format!("x-{at}"), &value));
    play.fault(refusal.tool(play.attack).always());
}

pub(super) fn quoted_secrets(play: &Play<'_>) {
    let body = json!({
        "error": "invalid_token",
        "error_description": "You sent {sent}",
        "message": "Invalid access token: {sent}",
    });
    let quoting = |status: u16| Fault::status(status).header("x-request-id", "{sent}").body(body.to_string()).quoting();
    play.fault(quoting(400).tool(play.attack).always());
    // The first sign-in succeeds: what is refused is the rest.
    play.fault(quoting(400).at(Place::Token).skip(1).always());
}

pub(super) fn control_characters(play: &Play<'_>) {
    play.configure(|config| config.registered_client_id = Some(ESCAPES.to_owned()));
    play.on_call(RawReply::json(SURVIVED));
}

pub(super) fn mix_up(play: &Play<'_>) {
    play.configure(|config| {
        config.metadata_patch = Some(json!({ "token_endpoint": "{ws}/elsewhere/token" }));
    });
    play.on_call(RawReply::json(SURVIVED));
}

pub(super) fn rotation_500(play: &Play<'_>) {
    // The first call signs in and is answered; then the token is refused, and each renewal comes to nothing.
    play.fault(unauthorized().tool(play.attack).skip(1));
    play.fault(Fault::status_after_executing(500).at(Place::Token).skip(1).always());
    play.on_call(RawReply::json(SURVIVED));
}

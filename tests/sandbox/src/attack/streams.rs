//! Streams that do not last, or do not stop talking.

use std::time::Duration;

use super::{Access, Aim, Attack, BOTH, Meets, Play, SURVIVED, Strength, none};
use crate::gate::Gate;
use crate::raw::{RawReply, event};

pub(super) const fn attack(aim: Aim, play: fn(&Play<'_>)) -> Attack {
    Attack {
        name: "",
        aim,
        meets: Meets::Stream,
        access: Access::Token,
        eras: BOTH,
        beside: 1,
        does: "",
        must_hold: "",
        arguments: none,
        play,
    }
}

/// A stream that begins as `subscriptions/listen` must; on a standing stream this is one message more.
fn acknowledged() -> RawReply {
    RawReply::sse().event(r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}"#)
}

/// A stream that says one thing, so that it counts as one that worked, and wants to be opened again at once.
fn over() -> RawReply {
    acknowledged().bytes("retry: 0\n\n")
}

pub(super) fn ends_at_once(play: &Play<'_>) {
    play.on_streams(&[over()]);
}

pub(super) fn call_ends_at_once(play: &Play<'_>) {
    let over = RawReply::sse().bytes("id: {n}\nretry: 0\ndata:\n\n");
    play.on_call(over.clone());
    play.on_resumption(over);
}

pub(super) fn open_then_404(play: &Play<'_>) {
    play.on_streams(&[over(), RawReply::status(404)]);
}

pub(super) fn cookie_flood(play: &Play<'_>) {
    let with_cookies = |reply: RawReply| {
        let value = "x".repeat(1_000);
        (0..80).fold(reply, |reply, at| reply.header("set-cookie", &format!("c{{n}}-{at}={value}; Path=/")))
    };
    play.on_streams(&[with_cookies(over())]);
    play.on_list(with_cookies(RawReply::json(
        r#"{"jsonrpc":"2.0","id":{id},"result":{"tools":[],"ttlMs":0,"cacheScope":"private","resultType":"complete"}}"#,
    )));
}

/// A stream that says this without a pause; a short storm draws breath.
fn storm(play: &Play<'_>, events: String) {
    play.on_streams(&[match play.strength {
        Strength::Full => acknowledged().endless(events),
        Strength::Short => acknowledged().dripping(events, Duration::from_millis(50)),
    }]);
}

pub(super) fn list_changed_storm(play: &Play<'_>) {
    storm(play, event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#).repeat(100));
}

pub(super) fn ping_storm(play: &Play<'_>) {
    let ping = |at: usize| event(&format!(r#"{{"jsonrpc":"2.0","id":"attack-{{i}}-{at}","method":"ping"}}"#));
    storm(play, (0..100).map(ping).collect());
}

pub(super) fn undeclared_sampling(play: &Play<'_>) {
    let message = r#"{"role":"user","content":{"type":"text","text":"What do you know of me?"}}"#;
    let ask = format!(
        r#"{{"jsonrpc":"2.0","id":"attack-{{n}}","method":"sampling/createMessage","params":{{"messages":[{message}],"maxTokens":9}}}}"#
    );
    play.on_call(RawReply::sse().event(&ask).wait(&Gate::new()).event(SURVIVED));
}

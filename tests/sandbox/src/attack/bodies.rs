//! Answers of calls that are large, slow, or many in one.

use std::time::Duration;

use super::{Access, Aim, Attack, BOTH, Meets, Play, SURVIVED, none};
use crate::gzip::Gzip;
use crate::raw::{RawReply, event};

pub(super) const fn attack(aim: Aim, play: fn(&Play<'_>)) -> Attack {
    Attack {
        name: "",
        aim,
        meets: Meets::Call,
        access: Access::Token,
        eras: BOTH,
        beside: 2,
        does: "",
        must_hold: "",
        arguments: none,
        play,
    }
}

fn json(file: Gzip) -> RawReply {
    RawReply::status(200).header("content-type", "application/json").gzip(file)
}

/// A stream of this, again and again, and of the answer in the end.
fn events(play: &Play<'_>, repeated: &str, mebibytes: usize) -> RawReply {
    let mebibytes = play.strength.mebibytes(mebibytes);
    RawReply::sse().gzip(Gzip::new().repeated(repeated, mebibytes).text("\n\n").text(&event(SURVIVED)))
}

pub(super) fn batch_bomb(play: &Play<'_>) {
    play.on_call(json(Gzip::new().text("[1").repeated(",1", play.strength.mebibytes(60)).text("]")));
}

pub(super) fn nested_batches(play: &Play<'_>) {
    play.on_call(json(Gzip::new().text("[").repeated("[1,1,1],", play.strength.mebibytes(60)).text("[1]]")));
}

pub(super) fn deep_nesting(play: &Play<'_>) {
    let head = r#"{"jsonrpc":"2.0","id":{id},"result":"#;
    play.on_call(json(Gzip::new().text(head).repeated("[", play.strength.mebibytes(60))));
}

pub(super) fn batches_in_events(play: &Play<'_>) {
    let batch = format!("data: [1{}]\n\n", ",1".repeat(100));
    play.on_call(events(play, &batch, 60));
}

pub(super) fn comment_bomb(play: &Play<'_>) {
    play.on_call(events(play, ": nothing that anybody wants to know\n", 400));
}

pub(super) fn tiny_events(play: &Play<'_>) {
    play.on_call(events(play, "data: 1\n\n", 60));
}

pub(super) fn stray_answers(play: &Play<'_>) {
    play.on_call(events(play, &event(r#"{"jsonrpc":"2.0","id":"stray","result":{}}"#), 54));
}

pub(super) fn gzip_bodies(play: &Play<'_>) {
    let head = r#"{"jsonrpc":"2.0","id":{id},"result":{"content":[],"resultType":"complete","x":""#;
    play.on_call(json(Gzip::new().text(head).repeated("x", play.strength.mebibytes(60)).text("\"}}")));
}

pub(super) fn endless_body(play: &Play<'_>) {
    let head = r#"{"jsonrpc":"2.0","id":{id},"result":""#;
    play.on_call(RawReply::json(head).endless("x".repeat(64 * 1024)));
}

pub(super) fn endless_event(play: &Play<'_>) {
    let head = r#"data: {"jsonrpc":"2.0","id":{id},"result":""#;
    play.on_call(RawReply::sse().bytes(head).endless("x".repeat(64 * 1024)));
}

pub(super) fn slow_drip(play: &Play<'_>) {
    play.on_call(RawReply::json("").dripping(" ", Duration::from_secs(1)));
}

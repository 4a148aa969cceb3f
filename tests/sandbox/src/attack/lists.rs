//! Lists of tools that are large, or not what they seem.

use super::{Access, Aim, Attack, BOTH, Meets, Play, SURVIVED, Strength, none};
use crate::raw::RawReply;

pub(super) const fn attack(aim: Aim, play: fn(&Play<'_>)) -> Attack {
    Attack {
        name: "",
        aim,
        meets: Meets::List,
        access: Access::Token,
        eras: BOTH,
        beside: 1,
        does: "",
        must_hold: "",
        arguments: none,
        play,
    }
}

/// An answer to `tools/list`; `members` follow the tools.
fn list(tools: &str, members: &str) -> RawReply {
    RawReply::json(format!(
        r#"{{"jsonrpc":"2.0","id":{{id}},"result":{{"tools":[{tools}],"ttlMs":0,"cacheScope":"private","resultType":"complete"{members}}}}}"#
    ))
}

fn tool(name: &str, properties: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{{{properties}}}}}}}"#)
}

/// A tool with so many arguments, each with a mark of its own.
fn marked(name: &str, count: usize) -> String {
    let property = |n: usize| format!(r#""a{n}":{{"type":"string","x-mcp-header":"H{n}"}}"#);
    tool(name, &(0..count).map(property).collect::<Vec<_>>().join(","))
}

const MARKED_ARGUMENTS: usize = 33_000;

pub(super) fn marks(play: &Play<'_>) {
    let count = match play.strength {
        Strength::Full => 60_000,
        Strength::Short => 6_000,
    };
    play.on_list(list(&format!("{},{}", marked("marks", count), tool("echo", "")), ""));
}

pub(super) fn marked_arguments(play: &Play<'_>) {
    play.on_list(list(&format!("{},{}", marked(play.attack, MARKED_ARGUMENTS), tool("echo", "")), ""));
    play.on_call(RawReply::json(SURVIVED));
}

pub(super) fn thirty_three_thousand_arguments() -> String {
    let argument = |n: usize| format!(r#""a{n}":"x""#);
    format!("{{{}}}", (0..MARKED_ARGUMENTS).map(argument).collect::<Vec<_>>().join(","))
}

pub(super) fn own_tool_name(play: &Play<'_>) {
    play.on_list(list(&format!("{},{}", tool("planhat_sign_in", ""), tool("echo", "")), ""));
}

pub(super) fn new_names(play: &Play<'_>) {
    let named = |n: usize| tool(&format!("{}-{{n}}-{n}", "long".repeat(25)), "");
    play.on_list(list(&(0..2_000).map(named).collect::<Vec<_>>().join(","), ""));
}

pub(super) fn endless_pages(play: &Play<'_>) {
    play.on_list(list(&tool("echo", ""), r#","nextCursor":"page-{n}""#));
}

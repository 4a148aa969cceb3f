//! Lists that the client was given without the server, from memory or of the bridge's own, and what it is told when the
//! server's list turns out to be another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::{IdKey, Kind, Members, Peek, peek, write};
use crate::remote::Outgoing;

use crate::bridge::client::responder::{InFlight, list_member};
use crate::bridge::dispatch::STATELESS;
use crate::bridge::session::connection::SessionStage;
use crate::bridge::{Bridge, Flag};

/// How many pages a list may have for the bridge to read it whole.
const MOST_PAGES: usize = 100;
/// How many bytes such a list may have.
const LARGEST: usize = 8 * 1024 * 1024;

/// What the client has in the place of one of the server's lists.
#[derive(Debug, Clone)]
enum ServedList {
    /// Something that no server has, such as the sign-in tool.
    OurOwn,
    /// What the server answered before, or nothing at all.
    List(Box<RawValue>),
}

/// The lists that the client has, as far as the bridge must know them.
#[derive(Debug, Default)]
pub struct ServedLists {
    /// By method.
    stands: Mutex<HashMap<String, ServedList>>,
    /// Lists of which the client has read some pages.
    pages: Mutex<HashMap<String, Pages>>,
    /// Whether the client has listed the tools while nobody was signed in.
    pub(crate) listed_before: Flag,
}

/// The pages of a list, as far as they have come.
#[derive(Debug)]
struct Pages {
    /// The result that holds the first page.
    first: Box<RawValue>,
    members: Vec<String>,
    /// Where the next page begins, as it was written.
    next: Option<Box<RawValue>>,
}

impl Pages {
    fn begin(method: &str, result: &RawValue) -> Option<Self> {
        let (members, next) = page(method, result)?;
        Some(Self { first: result.to_owned(), members, next })
    }

    fn add(&mut self, method: &str, result: &RawValue) -> Option<()> {
        let (members, next) = page(method, result)?;
        self.members.extend(members);
        self.next = next;
        Some(())
    }

    fn size(&self) -> usize {
        self.members.iter().map(String::len).sum()
    }

    /// The whole list; one page stays as the server wrote it.
    fn whole(self, method: &str) -> Option<Box<RawValue>> {
        let mut result = Members::of(self.first.get())?;
        if result.remove("nextCursor").is_none_or(|next| next == "null") {
            return Some(self.first);
        }
        let list = format!("[{}]", self.members.join(","));
        result.set(list_member(method)?, &list);
        RawValue::from_string(result.to_json()).ok()
    }
}

/// The members of one page, and where the next one begins.
fn page(method: &str, result: &RawValue) -> Option<(Vec<String>, Option<Box<RawValue>>)> {
    let result = Members::of(result.get())?;
    let members: Vec<&RawValue> = serde_json::from_str(result.get(list_member(method)?)?).ok()?;
    let next = result.get("nextCursor").filter(|next| *next != "null");
    let next = next.map(|next| RawValue::from_string(next.to_owned())).transpose().ok()?;
    Some((members.into_iter().map(|member| member.get().to_owned()).collect(), next))
}

/// Whether two results hold the same list.
fn is_same(method: &str, one: &RawValue, other: &RawValue) -> bool {
    let list = |result: &RawValue| -> Option<Vec<Value>> {
        serde_json::from_str(Members::of(result.get())?.get(list_member(method)?)?).ok()
    };
    list(one).is_some_and(|one| list(other) == Some(one))
}

impl ServedLists {
    fn stands(&self) -> MutexGuard<'_, HashMap<String, ServedList>> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client has something that no server has; whether that is news.
    pub fn our_own(&self, method: &str) -> bool {
        !matches!(self.stands().insert(method.to_owned(), ServedList::OurOwn), Some(ServedList::OurOwn))
    }

    /// The client has an empty list.
    pub fn empty(&self, method: &str, result: &Value) {
        if let Ok(result) = RawValue::from_string(result.to_string()) {
            self.list(method, &result);
        }
    }

    /// The client has this.
    pub fn list(&self, method: &str, result: &RawValue) {
        self.stands().insert(method.to_owned(), ServedList::List(result.to_owned()));
    }
}

impl Bridge {
    /// The revision that the request is written in.
    pub(crate) fn revision(&self, request: &InFlight) -> Option<String> {
        request.revision.clone().or_else(|| self.connection.told_or_asked())
    }

    /// What the server answered to this list before, to this user: in the revision of the client, else in one of its era.
    pub(crate) fn remembered_list(&self, request: &InFlight) -> Option<Box<RawValue>> {
        if !request.lists() {
            return None;
        }
        let revision = self.revision(request)?;
        let is_stateless = |revision: &str| revision >= STATELESS;
        let same_era = |other: &str| is_stateless(other) == is_stateless(&revision);
        let remembered = self.auth.remembered(&revision, &request.method);
        let list = remembered.or_else(|| self.auth.remembered_in(&request.method, same_era))?;
        if request.revision.is_none() {
            return Some(list);
        }
        // It is old already; how long it was good for was said when it was new.
        let mut members = Members::of(list.get())?;
        members.set("ttlMs", "0");
        RawValue::from_string(members.to_json()).ok()
    }

    /// The answer to a list that the server cannot give now, from memory.
    pub(crate) fn recall(&self, request: &InFlight) -> Option<Bytes> {
        let list = self.remembered_list(request)?;
        tracing::info!(method = request.method, "answered from memory");
        self.given.list(&request.method, &list);
        Some(write::raw_result(&request.id, &list))
    }

    /// Remembers the server's answer to a list, once it is whole.
    pub(crate) fn keep_in_mind(&self, request: &InFlight, answer: &Bytes, grant: Option<u64>) {
        if list_member(&request.method).is_none() {
            return;
        }
        let Ok(Peek::One(Kind::Response { result: Some(result), .. })) = peek(answer) else { return };
        let method = request.method.as_str();
        let whole = {
            let mut pages = self.given.pages.lock().unwrap_or_else(PoisonError::into_inner);
            let known = pages.remove(method);
            let now = match &request.cursor {
                None => {
                    // The client has the server's own now.
                    self.given.stands().remove(method);
                    Pages::begin(method, result)
                }
                Some(cursor) => known
                    .filter(|known| known.next.as_ref().is_some_and(|next| next.get() == cursor.get()))
                    .and_then(|mut known| known.add(method, result).map(|()| known)),
            };
            match now {
                Some(now) if now.next.is_none() => now.whole(method),
                Some(now) if now.size() <= LARGEST => {
                    pages.insert(method.to_owned(), now);
                    None
                }
                _ => None,
            }
        };
        if let (Some(whole), Some(revision)) = (whole, self.revision(request)) {
            self.auth.remember(grant, &revision, method, &whole);
        }
    }

    /// Tells the client which lists are worth asking for again, now that there is a server to ask: those that differ from
    /// what the client has.
    pub(crate) fn settle_given(self: &Arc<Self>) {
        let stands: Vec<_> = self.given.stands().drain().collect();
        for (method, stand) in stands {
            let bridge = Arc::clone(self);
            tokio::spawn(async move {
                let differs = match stand {
                    ServedList::OurOwn => true,
                    ServedList::List(given) => match bridge.whole_list(&method).await {
                        Some(real) => !is_same(&method, &given, &real),
                        // The client may have more luck.
                        None => true,
                    },
                };
                if let Some((family, _)) = method.split_once('/').filter(|_| differs) {
                    let told = write::notification(&format!("notifications/{family}/list_changed"));
                    bridge.output.send(told).await;
                }
            });
        }
    }

    /// The server's list, asked for on the bridge's own behalf: within the limits that hold for requests of the client.
    async fn whole_list(self: &Arc<Self>, method: &str) -> Option<Box<RawValue>> {
        if let Some(none) = self.offers_none(method) {
            return RawValue::from_string(none.to_string()).ok();
        }
        let _place = self.places.acquire().await.ok()?;
        let mut pages: Option<Pages> = None;
        let mut grant = None;
        for _ in 0..MOST_PAGES {
            let id = self.own_ids.next();
            let cursor = pages.as_ref().and_then(|pages| pages.next.as_ref());
            let params = cursor.map_or_else(String::new, |cursor| format!(r#","params":{{"cursor":{cursor}}}"#));
            let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"{params}}}"#));
            let key = IdKey::Text(id.trim_matches('"').to_owned());
            self.ready(SessionStage::Open).await.ok()?;
            let epoch = self.epoch_for(SessionStage::Open);
            let out = Outgoing { expects: Some(key.clone()), epoch, ..Outgoing::unanswered(body) };
            let mut exchange = self.remote.exchange(&out).await.ok()?;
            grant = exchange.grant;
            let answer = loop {
                if let Some(answer) = self.hear(exchange.next().await.ok()??, Some(&key), None).await.ok()?.answer {
                    break answer;
                }
            };
            let Ok(Peek::One(Kind::Response { result: Some(result), .. })) = peek(&answer) else { return None };
            match &mut pages {
                None => pages = Pages::begin(method, result),
                Some(pages) => pages.add(method, result)?,
            }
            if method == "tools/list" {
                self.safety.learn(result);
            }
            if pages.as_ref().is_none_or(|pages| pages.next.is_none() || pages.size() > LARGEST) {
                break;
            }
        }
        let whole = pages.filter(|pages| pages.next.is_none())?.whole(method)?;
        if let Some(revision) = self.connection.told_or_asked() {
            self.auth.remember(grant, &revision, method, &whole);
        }
        Some(whole)
    }
}

/// A list of tools with one more at its end; the others stay as they were written.
pub fn with_tool(list: &RawValue, tool: &Value) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        tools: &'a RawValue,
    }
    let tools = serde_json::from_str::<List<'_>>(list.get()).ok()?.tools;
    let inner = tools.get().strip_prefix('[')?.strip_suffix(']')?;
    let comma = if inner.trim_ascii().is_empty() { "" } else { "," };
    RawValue::from_string(write::replaced(list.get(), tools, &format!("[{inner}{comma}{tool}]"))).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::bridge::lists::served::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn one_page_stays_as_it_was_written_and_several_become_one_list() {
        let text = r#"{ "tools":[ {"name":"a","n":1.0} ], "x":[] }"#;
        let one = Pages::begin("tools/list", &raw(text)).expect("a page");
        assert!(one.next.is_none());
        assert_eq!(one.whole("tools/list").expect("a list").get(), text);
        let mut pages = Pages::begin("tools/list", &raw(r#"{"nextCursor":"p2","tools":[{"n":1.0}],"x":1}"#)).unwrap();
        assert_eq!(pages.next.as_ref().unwrap().get(), "\"p2\"");
        pages.add("tools/list", &raw(r#"{"tools":[],"nextCursor":"p3"}"#)).unwrap();
        pages.add("tools/list", &raw(r#"{"tools":[{"n":2.50}, 3]}"#)).unwrap();
        assert!(pages.next.is_none());
        assert_eq!(pages.whole("tools/list").unwrap().get(), r#"{"tools":[{"n":1.0},{"n":2.50},3],"x":1}"#);
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_one() {
        for text in ["1", "{}", r#"{"tools":1}"#, r#"{"prompts":[]}"#] {
            assert!(Pages::begin("tools/list", &raw(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn lists_are_compared_by_what_they_hold() {
        let same = |one, other| is_same("tools/list", &raw(one), &raw(other));
        assert!(same(r#"{"tools":[{"a":1,"b":2}],"_meta":{"x":1}}"#, r#"{ "tools": [{"b":2, "a":1}] }"#));
        assert!(!same(r#"{"tools":[1,2]}"#, r#"{"tools":[2,1]}"#));
        assert!(!same(r#"{"tools":[]}"#, r#"{"tools":[1]}"#));
        assert!(!same("{}", "{}"));
    }

    #[test]
    fn one_more_tool_leaves_the_others_as_they_were_written() {
        let tool = json!({"name": "t"});
        let with = |list| with_tool(&raw(list), &tool).map(|list| list.get().to_owned());
        assert_eq!(
            with(r#"{ "tools":[ {"n":1.0} ],"x":1}"#).unwrap(),
            r#"{ "tools":[ {"n":1.0} ,{"name":"t"}],"x":1}"#
        );
        assert_eq!(with(r#"{"tools":[ ]}"#).unwrap(), r#"{"tools":[ {"name":"t"}]}"#);
        assert!(with(r#"{"tools":{}}"#).is_none());
    }
}

//! Assembles lists from their pages.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::bridge::client::list_methods::list_member;
use crate::limits::{LIST_BYTES, MAX_LIST_MEMBERS, MAX_LIST_PAGES};
use crate::message::{Elements, Members};

/// The pages of a list received so far.
#[derive(Debug)]
pub struct Pages {
    /// The result that holds the first page.
    first: Box<RawValue>,
    members: Vec<String>,
    count: usize,
    /// The cursor of the next page, in its original spelling.
    pub next: Option<Box<RawValue>>,
}

impl Pages {
    /// Starts with the result that holds the first page.
    pub fn begin(method: &str, result: &RawValue) -> Option<Self> {
        let (members, next) = page(method, result)?;
        Some(Self { first: result.to_owned(), members, count: 1, next })
    }

    /// Adds the result that holds the next page.
    pub fn add(&mut self, method: &str, result: &RawValue) -> Option<()> {
        let (members, next) = page(method, result)?;
        self.members.extend(members);
        self.count += 1;
        self.next = next;
        Some(())
    }

    /// Whether the bridge asks for the next page by itself: there is one, and the list has neither [`MAX_LIST_PAGES`] nor
    /// more than [`LIST_BYTES`] yet.
    pub fn goes_on(&self) -> bool {
        self.next.is_some() && self.count < MAX_LIST_PAGES && self.size() <= LIST_BYTES
    }

    /// The size of all members, in bytes.
    pub fn size(&self) -> usize {
        self.members.iter().map(String::len).sum()
    }

    /// The whole list; a single page stays as the server wrote it.
    pub fn whole(self, method: &str) -> Option<Box<RawValue>> {
        let mut result = Members::of(self.first.get())?;
        if result.remove("nextCursor").is_none_or(|next| next == "null") {
            return Some(self.first);
        }
        let list = format!("[{}]", self.members.join(","));
        result.set(list_member(method)?, &list);
        RawValue::from_string(result.to_json()).ok()
    }
}

/// The members of one page, and the cursor of the next. `None` for what is no list, or beyond [`LIST_BYTES`] or
/// [`MAX_LIST_MEMBERS`].
fn page(method: &str, result: &RawValue) -> Option<(Vec<String>, Option<Box<RawValue>>)> {
    if result.get().len() > LIST_BYTES {
        return None;
    }
    let result = Members::of(result.get())?;
    let members = Elements::of(result.get(list_member(method)?)?, MAX_LIST_MEMBERS).ok()?;
    if members.excess > 0 {
        return None;
    }
    let next = result.get("nextCursor").filter(|next| *next != "null");
    let next = next.map(|next| RawValue::from_string(next.to_owned())).transpose().ok()?;
    Some((members.kept.into_iter().map(|member| member.get().to_owned()).collect(), next))
}

/// Whether two results hold the same list.
pub fn is_same_list(method: &str, one: &RawValue, other: &RawValue) -> bool {
    let list = |result: &RawValue| -> Option<Vec<Value>> {
        serde_json::from_str(Members::of(result.get())?.get(list_member(method)?)?).ok()
    };
    list(one).is_some_and(|one| list(other) == Some(one))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_list_of_more_members_than_anybody_has_is_not_kept() {
        let list = |members: usize| raw(&format!(r#"{{"tools":[{}1]}}"#, "1,".repeat(members - 1)));
        assert!(Pages::begin("tools/list", &list(MAX_LIST_MEMBERS)).is_some());
        assert!(Pages::begin("tools/list", &list(MAX_LIST_MEMBERS + 1)).is_none());
        let long = raw(&format!(r#"{{"tools":["{}"]}}"#, "x".repeat(LIST_BYTES)));
        assert!(Pages::begin("tools/list", &long).is_none());
    }

    #[test]
    fn lists_are_compared_by_what_they_hold() {
        let same = |one, other| is_same_list("tools/list", &raw(one), &raw(other));
        assert!(same(r#"{"tools":[{"a":1,"b":2}],"_meta":{"x":1}}"#, r#"{ "tools": [{"b":2, "a":1}] }"#));
        assert!(!same(r#"{"tools":[1,2]}"#, r#"{"tools":[2,1]}"#));
        assert!(!same(r#"{"tools":[]}"#, r#"{"tools":[1]}"#));
        assert!(!same("{}", "{}"));
    }

    #[test]
    fn a_list_without_end_is_read_up_to_a_bound_of_pages() {
        let page = raw(r#"{"tools":[1],"nextCursor":"next"}"#);
        let mut pages = Pages::begin("tools/list", &page).expect("a page");
        let mut count = 1;
        while pages.goes_on() {
            pages.add("tools/list", &page).expect("a page");
            count += 1;
            assert!(count <= MAX_LIST_PAGES);
        }
        assert_eq!(count, MAX_LIST_PAGES);
        let long = raw(&format!(r#"{{"tools":["{}"],"nextCursor":"next"}}"#, "x".repeat(LIST_BYTES - 100)));
        let mut pages = Pages::begin("tools/list", &long).expect("a page");
        assert!(pages.goes_on());
        pages.add("tools/list", &long).expect("a page");
        assert!(!pages.goes_on(), "so many bytes are not remembered");
    }
}

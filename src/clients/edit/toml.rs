//! TOML, as Codex has it.

use serde_json::Value;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike};

use super::parts::{Fault, Members, Place, line_end};

pub fn read(text: &str) -> Result<Value, Fault> {
    ::toml::from_str(text).map_err(|error| fault(text, error.span()))
}

pub fn put(text: &str, place: Place<'_>, members: Members<'_>) -> Result<String, Fault> {
    changed(text, |root| {
        let mut list: &mut Item = root;
        for key in place.list {
            let tables = list.as_table_like_mut().ok_or_else(|| Fault::no_table(key))?;
            list = tables.entry(key).or_insert_with(|| {
                let mut table = Table::new();
                // Its entries have headers of their own.
                table.set_implicit(true);
                Item::Table(table)
            });
        }
        let key = place.list.last().map_or("", String::as_str);
        if let Some(list) = list.as_table_mut() {
            let mut entry = Table::new();
            if let Some(old) = list.get(place.name).and_then(Item::as_table) {
                *entry.decor_mut() = old.decor().clone();
                entry.set_position(old.position());
            }
            fill(&mut entry, members);
            list.insert(place.name, Item::Table(entry));
        } else {
            let list = list.as_inline_table_mut().ok_or_else(|| Fault::no_table(key))?;
            let mut entry = InlineTable::new();
            fill(&mut entry, members);
            if let Some((_, last)) = list.iter_mut().last() {
                // The space before the closing brace counts as the last value's.
                last.decor_mut().set_suffix("");
                entry.decor_mut().set_suffix(" ");
            }
            list.insert(place.name, entry.into());
        }
        Ok(())
    })
}

pub fn update(text: &str, place: Place<'_>, members: Members<'_>) -> Result<String, Fault> {
    changed(text, |root| {
        let Some(list) = find(root, place.list)? else { return Ok(()) };
        let Some(entry) = list.get_mut(place.name) else { return Ok(()) };
        let entry = entry.as_table_like_mut().ok_or_else(|| Fault::no_table(place.name))?;
        fill(entry, members);
        Ok(())
    })
}

pub fn remove(text: &str, place: Place<'_>) -> Result<String, Fault> {
    let after = changed(text, |root| {
        if let Some(list) = find(root, place.list)? {
            list.remove(place.name);
            if let Some(Item::Value(last)) = list.iter_mut().last().map(|(_, item)| item)
                && last.is_inline_table()
            {
                last.decor_mut().set_suffix(" ");
            }
        }
        Ok(())
    })?;
    Ok(with_comments_apart(text, after))
}

fn find<'a>(root: &'a mut Item, keys: &[String]) -> Result<Option<&'a mut dyn TableLike>, Fault> {
    let mut list = root;
    for key in keys {
        let tables = list.as_table_like_mut().ok_or_else(|| Fault::no_table(key))?;
        match tables.get_mut(key) {
            Some(item) => list = item,
            None => return Ok(None),
        }
    }
    let key = keys.last().map_or("", String::as_str);
    list.as_table_like_mut().map(Some).ok_or_else(|| Fault::no_table(key))
}

fn fill(entry: &mut dyn TableLike, members: Members<'_>) {
    for (key, value) in members {
        let new = value_of(value);
        match entry.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) if same(old, &new) => {}
            Some(old) => {
                let decor = old.decor().clone();
                *old = new;
                *old.decor_mut() = decor;
            }
            None => {
                entry.insert(key, Item::Value(new));
            }
        }
    }
}

/// The text after an entry was taken out, with the comments that stood above it and apart from it: an empty line parts what is
/// about the entry from what is not.
fn with_comments_apart(text: &str, after: String) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (lines_of(text), lines_of(&after));
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let most = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(old, new)| old == new).count();
    let gone = &old[start..old.len() - end];
    let is_comment = |line: &&&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let lead = gone.iter().take_while(is_comment).count();
    let apart = gone[..lead].iter().rposition(|line| line.trim().is_empty()).map_or(0, |at| at + 1);
    let kept = if gone[..apart].iter().any(|line| line.trim_start().starts_with('#')) { &gone[..apart] } else { &[] };
    [&new[..start], kept, &new[start..]].concat().concat()
}

fn lines_of(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Whether two values read the same, however they are written.
fn same(one: &toml_edit::Value, other: &toml_edit::Value) -> bool {
    match (one, other) {
        (toml_edit::Value::Array(one), toml_edit::Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(one, other)| same(one, other))
        }
        _ => one.as_str().is_some() && one.as_str() == other.as_str(),
    }
}

fn value_of(value: &Value) -> toml_edit::Value {
    match value {
        Value::Array(items) => items.iter().map(value_of).collect::<Array>().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => number.as_i64().unwrap_or_default().into(),
        Value::String(text) => text.as_str().into(),
        _ => "".into(),
    }
}

fn changed(text: &str, change: impl FnOnce(&mut Item) -> Result<(), Fault>) -> Result<String, Fault> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| fault(text, error.span()))?;
    change(document.as_item_mut())?;
    let mut after = document.to_string();
    let ends_with_carriage_return =
        line_end(text) == "\r\n" && text.matches('\n').count() == text.matches("\r\n").count();
    if ends_with_carriage_return {
        after = after.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    Ok(after)
}

/// Without the parser's words: they quote the line.
fn fault(text: &str, span: Option<std::ops::Range<usize>>) -> Fault {
    let before = span.and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    });
    Fault { place, detail: "it is not TOML there".to_owned() }
}

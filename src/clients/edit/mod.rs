//! Owns the text of clients' files: reads them, and puts an entry in or takes it out so that every other byte stays.

use serde_json::Value;

use super::client::Format;

mod json;
pub mod parts;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

pub use parts::{Fault, Members, Place};

/// What the file says; null for an empty one.
pub fn read(format: Format, text: &str) -> Result<Value, Fault> {
    let text = without_mark(text);
    match format {
        Format::Json => json::read(text),
        Format::Toml => toml::read(text),
        Format::Yaml => yaml::read(text),
        Format::None => Ok(Value::Null),
    }
}

/// The text with this entry instead of one that has its name, or as the last of the list.
pub fn put(format: Format, text: &str, place: Place<'_>, members: Members<'_>) -> Result<String, Fault> {
    changed(format, text, place, |text| match format {
        Format::Json => json::put(text, place, members),
        Format::Toml => toml::put(text, place, members),
        Format::Yaml => yaml::put(text, place, members),
        Format::None => Ok(text.to_owned()),
    })
}

/// The text with these members of an entry that is there; its other members stay.
pub fn update(format: Format, text: &str, place: Place<'_>, members: Members<'_>) -> Result<String, Fault> {
    changed(format, text, place, |text| match format {
        Format::Json => json::update(text, place, members),
        Format::Toml => toml::update(text, place, members),
        Format::Yaml => yaml::update(text, place, members),
        Format::None => Ok(text.to_owned()),
    })
}

/// The text without the entry.
pub fn remove(format: Format, text: &str, place: Place<'_>) -> Result<String, Fault> {
    changed(format, text, place, |text| match format {
        Format::Json => json::remove(text, place),
        Format::Toml => toml::remove(text, place),
        Format::Yaml => yaml::remove(text, place),
        Format::None => Ok(text.to_owned()),
    })
}

/// The change, made below the mark that some editors of Windows put at the start of a file. Whatever the editor of the format
/// did, nothing but the entry reads otherwise afterwards.
fn changed(
    format: Format,
    text: &str,
    place: Place<'_>,
    change: impl Fn(&str) -> Result<String, Fault>,
) -> Result<String, Fault> {
    let before = without_mark(text);
    let after = change(before)?;
    let rest = |text: &str| read(format, text).map(|value| without_entry(value, place));
    if Ok(rest(before)?) != rest(&after) {
        return Err(Fault::new("it could not be changed without touching something else in it"));
    }
    let mark = &text[..text.len() - before.len()];
    Ok(format!("{mark}{after}"))
}

/// The file without the entry, and without what would be empty then.
fn without_entry(mut file: Value, place: Place<'_>) -> Value {
    fn take(value: &mut Value, keys: &[&str]) {
        let (Value::Object(members), Some((key, below))) = (value, keys.split_first()) else { return };
        if below.is_empty() {
            members.remove(*key);
        } else if let Some(inner) = members.get_mut(*key) {
            take(inner, below);
            if inner.as_object().is_some_and(serde_json::Map::is_empty) {
                members.remove(*key);
            }
        }
    }
    let keys: Vec<&str> = place.list.iter().map(String::as_str).chain([place.name]).collect();
    take(&mut file, &keys);
    if file.as_object().is_some_and(serde_json::Map::is_empty) { Value::Null } else { file }
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

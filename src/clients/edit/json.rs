//! JSON with the comments and trailing commas that some clients allow. A change replaces a few bytes, found by the parser,
//! and leaves all others.

use std::ops::Range;

use jsonc_parser::ast::{Object, ObjectProp, Value as Node};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseError;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast, parse_to_serde_value};
use serde_json::Value;

use super::parts::{Fault, Members, Place, line_end};

pub fn read(text: &str) -> Result<Value, Fault> {
    parse_to_serde_value(text, &with_comments()).map_err(fault)
}

pub fn put(text: &str, place: Place<'_>, members: Members<'_>) -> Result<String, Fault> {
    let Some(root) = parse(text)? else { return Ok(begin(text, place, members)) };
    let style = Style::of(text, &root);
    let (object, missing) = walk(&root, place.list)?;
    let splices = match (missing, find(object, place.name)?) {
        ([], Some(property)) => {
            let depth = style.depth_at(property.range.start);
            let value =
                if style.is_one_line(object) { style.inline_entry(members) } else { style.entry(members, &depth) };
            vec![(span(&property.value), value)]
        }
        (missing, _) => {
            let (key, below) =
                missing.split_first().map_or((place.name, None), |(key, below)| (key.as_str(), Some(below)));
            let depth = style.depth_in(object);
            let value = match below {
                Some(below) => style.nested(below, place.name, members, &depth),
                None if style.is_one_line(object) => style.inline_entry(members),
                None => style.entry(members, &depth),
            };
            style.insertion(object, key, &value)
        }
    };
    Ok(apply(text, splices))
}

pub fn update(text: &str, place: Place<'_>, members: Members<'_>) -> Result<String, Fault> {
    let mut text = text.to_owned();
    // One after the other: each is a change of its own, and the places move.
    for (key, value) in members {
        let Some(root) = parse(&text)? else { return Ok(text) };
        let style = Style::of(&text, &root);
        let (list, _) = walk(&root, place.list)?;
        let Some(property) = find(list, place.name)? else { return Ok(text) };
        let Node::Object(entry) = &property.value else { return Err(Fault::no_table(place.name)) };
        let rendered = style.inline(value);
        let splices = match find(entry, key)? {
            Some(member) if read(&text[span(&member.value)])? == *value => continue,
            Some(member) => vec![(span(&member.value), rendered)],
            None => style.insertion(entry, key, &rendered),
        };
        text = apply(&text, splices);
    }
    Ok(text)
}

pub fn remove(text: &str, place: Place<'_>) -> Result<String, Fault> {
    let Some(root) = parse(text)? else { return Ok(text.to_owned()) };
    let (list, missing) = walk(&root, place.list)?;
    if !missing.is_empty() || find(list, place.name)?.is_none() {
        return Ok(text.to_owned());
    }
    let at = list.properties.iter().position(|property| property.name.as_str() == place.name).unwrap_or_default();
    Ok(apply(text, removal(text, list, at)))
}

/// JSON with the comments and trailing commas that some clients allow, and no other extension.
fn with_comments() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

/// Without the parser's words: they could quote a secret.
fn fault(error: ParseError) -> Fault {
    Fault { place: Some((error.line_display(), error.column_display())), detail: "it is not JSON there".to_owned() }
}

fn parse(text: &str) -> Result<Option<Object<'_>>, Fault> {
    match parse_to_ast(text, &CollectOptions::default(), &with_comments()).map_err(fault)?.value {
        None => Ok(None),
        Some(Node::Object(root)) => Ok(Some(root)),
        Some(_) => Err(Fault::new("it holds no table of names and values")),
    }
}

/// The innermost object that the keys lead to, and the keys that lead on from there but are missing.
fn walk<'a, 't, 'k>(root: &'a Object<'t>, keys: &'k [String]) -> Result<(&'a Object<'t>, &'k [String]), Fault> {
    let mut object = root;
    for (at, key) in keys.iter().enumerate() {
        match find(object, key)? {
            None => return Ok((object, &keys[at..])),
            Some(ObjectProp { value: Node::Object(inner), .. }) => object = inner,
            Some(_) => return Err(Fault::no_table(key)),
        }
    }
    Ok((object, &[]))
}

/// The property. Which one of two with one name counts depends on who reads them.
fn find<'a, 't>(object: &'a Object<'t>, key: &str) -> Result<Option<&'a ObjectProp<'t>>, Fault> {
    let mut found = object.properties.iter().filter(|property| property.name.as_str() == key);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Fault::twice(key)),
        (property, None) => Ok(property),
    }
}

fn span(node: &impl Ranged) -> Range<usize> {
    node.start()..node.end()
}

/// Replaces these parts of the text, which do not overlap and stand in order.
fn apply(text: &str, splices: Vec<(Range<usize>, String)>) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    let mut done = 0;
    for (range, new) in splices {
        out.push_str(&text[done..range.start]);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// A file that holds nothing yet, or comments alone, which stay.
fn begin(text: &str, place: Place<'_>, members: Members<'_>) -> String {
    let style = Style { text, unit: "  ".to_owned(), end: line_end(text), is_compact: false };
    let value = style.nested(place.list, place.name, members, "");
    match text.trim_end() {
        "" => format!("{value}{}", style.end),
        comments => format!("{comments}{}{value}{}", style.end, style.end),
    }
}

/// How the file is written.
struct Style<'t> {
    text: &'t str,
    /// One step of indentation.
    unit: String,
    /// The end of a line.
    end: &'static str,
    /// Whether all of it stands in one line.
    is_compact: bool,
}

impl<'t> Style<'t> {
    fn of(text: &'t str, root: &Object<'_>) -> Self {
        let first = root.properties.first().map(|property| indentation(text, property.range.start));
        let unit = first.flatten().filter(|unit| !unit.is_empty()).unwrap_or("  ").to_owned();
        let is_compact = !root.properties.is_empty() && !text[root.range.start..root.range.end].contains('\n');
        Self { text, unit, end: line_end(text), is_compact }
    }

    /// The indentation of the line with this byte.
    fn depth_at(&self, at: usize) -> String {
        let line = self.text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = &self.text[line..];
        line[..line.len() - line.trim_start_matches([' ', '\t']).len()].to_owned()
    }

    /// The indentation of the properties of an object.
    fn depth_in(&self, object: &Object<'_>) -> String {
        let first = object.properties.first().and_then(|property| indentation(self.text, property.range.start));
        first.map_or_else(|| self.depth_at(object.range.start) + &self.unit, str::to_owned)
    }

    /// A value on one line.
    fn inline(&self, value: &Value) -> String {
        let (comma, colon) = if self.is_compact { (",", ":") } else { (", ", ": ") };
        match value {
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| self.inline(item)).collect();
                format!("[{}]", items.join(comma))
            }
            Value::Object(members) => {
                let members =
                    members.iter().map(|(key, value)| format!("{}{colon}{}", quoted(key), self.inline(value)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(comma))
            }
            plain => plain.to_string(),
        }
    }

    /// An entry whose name stands at this depth.
    fn entry(&self, members: Members<'_>, depth: &str) -> String {
        let members = members.iter().map(|(key, value)| (*key, self.inline(value)));
        self.object(members.collect(), depth)
    }

    /// An entry on one line.
    fn inline_entry(&self, members: Members<'_>) -> String {
        let (space, comma, colon) = if self.is_compact { ("", ",", ":") } else { (" ", ", ", ": ") };
        let members = members.iter().map(|(key, value)| format!("{}{colon}{}", quoted(key), self.inline(value)));
        format!("{{{space}{}{space}}}", members.collect::<Vec<_>>().join(comma))
    }

    /// Whether the object has properties and all of them stand on one line.
    fn is_one_line(&self, object: &Object<'_>) -> bool {
        object.properties.last().is_some_and(|last| !self.text[object.range.start..last.range.end].contains('\n'))
    }

    /// An object below the missing keys that holds the entry.
    fn nested(&self, below: &[String], name: &str, members: Members<'_>, depth: &str) -> String {
        let inner = format!("{depth}{}", self.unit);
        match below.split_first() {
            None => self.object(vec![(name, self.entry(members, &inner))], depth),
            Some((key, below)) => self.object(vec![(key, self.nested(below, name, members, &inner))], depth),
        }
    }

    fn object(&self, properties: Vec<(&str, String)>, depth: &str) -> String {
        if self.is_compact {
            let properties = properties.iter().map(|(key, value)| format!("{}:{value}", quoted(key)));
            return format!("{{{}}}", properties.collect::<Vec<_>>().join(","));
        }
        let (end, unit) = (self.end, &self.unit);
        let properties = properties.iter().map(|(key, value)| format!("{depth}{unit}{}: {value}", quoted(key)));
        format!("{{{end}{}{end}{depth}}}", properties.collect::<Vec<_>>().join(&format!(",{end}")))
    }

    /// What adds a property as the last one.
    fn insertion(&self, object: &Object<'_>, key: &str, value: &str) -> Vec<(Range<usize>, String)> {
        let (text, depth) = (self.text, self.depth_in(object));
        let property = format!("{}{}{value}", quoted(key), if self.is_compact { ":" } else { ": " });
        let close = object.range.end - 1;
        let Some(last) = object.properties.last() else {
            let inner = &text[object.range.start + 1..close];
            let (end, outer) = (self.end, self.depth_at(object.range.start));
            // Comments in an empty object stay.
            let from = object.range.start + 1 + inner.trim_end().len();
            return vec![(from..close, format!("{end}{depth}{property}{end}{outer}"))];
        };
        let rest = Rest::after(text, last.range.end, close);
        let comma = rest.comma.is_none().then(|| (last.range.end..last.range.end, ",".to_owned()));
        let trailing = if rest.comma.is_some() { "," } else { "" };
        // What follows a comment on its line would be part of it.
        let has_comment = text[last.range.end..rest.line].contains("//");
        let lead = match (self.is_one_line(object) && !has_comment, self.is_compact) {
            (true, true) => String::new(),
            (true, false) => " ".to_owned(),
            (false, _) => format!("{}{depth}", self.end),
        };
        comma.into_iter().chain([(rest.line..rest.line, format!("{lead}{property}{trailing}"))]).collect()
    }
}

/// The indentation of what stands at this byte, if it is the first on its line.
fn indentation(text: &str, at: usize) -> Option<&str> {
    let line = text[..at].rfind('\n')? + 1;
    Some(&text[line..at]).filter(|lead| lead.chars().all(|c| c == ' ' || c == '\t'))
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// What follows a property up to the next one, or to the end of its object: white space, comments, a comma.
struct Rest {
    /// Where the comma stands.
    comma: Option<usize>,
    /// The end of what belongs to the property on its line: the comma, and comments.
    line: usize,
}

impl Rest {
    fn after(text: &str, from: usize, to: usize) -> Self {
        let mut rest = Self { comma: None, line: from };
        let (mut at, mut is_same_line) = (from, true);
        while at < to {
            let left = &text[at..to];
            let length = if left.starts_with("//") {
                left.find('\n').map_or(left.len(), |end| if left[..end].ends_with('\r') { end - 1 } else { end })
            } else if left.starts_with("/*") {
                left.find("*/").map_or(left.len(), |end| end + 2)
            } else {
                left.chars().next().map_or(1, char::len_utf8)
            };
            if left.starts_with(',') {
                rest.comma = Some(at);
            }
            // A comma on a line of its own still belongs to the property.
            is_same_line = !left.starts_with('\n') && (is_same_line || left.starts_with(','));
            at += length;
            if is_same_line && !left.starts_with(char::is_whitespace) {
                rest.line = at;
            }
        }
        rest
    }
}

/// What takes a property out of its object.
fn removal(text: &str, object: &Object<'_>, at: usize) -> Vec<(Range<usize>, String)> {
    let properties = &object.properties;
    let (property, open, close) = (&properties[at], object.range.start + 1, object.range.end - 1);
    let (start, next) = (property.range.start, properties.get(at + 1).map_or(close, |next| next.range.start));
    let rest = Rest::after(text, property.range.end, next);
    let end = rest.line;
    // The white space before goes, too, except where the end of a line has to stay between a comment and what follows.
    let goes_on = !text[end..].trim_start_matches([' ', '\t']).starts_with(['\n', '\r']);
    let lead = |from: usize, to: usize| {
        let lead = from + text[from..to].trim_end().len();
        if goes_on && text[lead..to].contains('\n') { to } else { lead }
    };
    let gone = |from: usize, to: usize| (from..to, String::new());
    let Some(before) = at.checked_sub(1).map(|before| &properties[before]) else {
        return vec![match properties.len() {
            // The only one: comments around it stay.
            1 if text[open..start].trim().is_empty() && text[end..close].trim().is_empty() => gone(open, close),
            1 => gone(lead(open, start), end),
            // The first of several: up to the end of its line, or to where the next one begins.
            _ if indentation(text, start).is_some() => gone(lead(open, start), end),
            _ => gone(start, end + text[end..next].len() - text[end..next].trim_start().len()),
        }];
    };
    let between = Rest::after(text, before.range.end, start);
    // The last one leaves the comma before it only where it had one itself.
    let is_last = at + 1 == properties.len();
    match between.comma.filter(|_| is_last && rest.comma.is_none()) {
        Some(comma) if text[comma + 1..start].trim().is_empty() => vec![gone(lead(before.range.end, comma), end)],
        Some(comma) => vec![gone(comma, comma + 1), gone(lead(between.line, start), end)],
        None => vec![gone(lead(between.line, start), end)],
    }
}

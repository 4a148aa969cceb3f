//! YAML, as Goose writes it: one table of lists and tables, in lines. What people may write otherwise (anchors, tables in
//! braces, several documents) is refused, because a change could go wrong without anybody seeing it.

use serde_json::{Map, Value};

use super::parts::{Fault, Members, Place, line_end};

/// The lines of a file, without their ends.
type Lines<'t> = Vec<&'t str>;

pub fn read(text: &str) -> Result<Value, Fault> {
    let lines = lines(text)?;
    let mut root = Map::new();
    for block in blocks(&lines, 0..lines.len(), 0)? {
        let Some(entries) = entries(&lines, &block)? else { continue };
        let mut list = Map::new();
        for entry in entries {
            list.insert(entry.key.clone(), Value::Object(members(&lines, &entry)?));
        }
        root.insert(block.key, Value::Object(list));
    }
    Ok(Value::Object(root))
}

pub fn put(text: &str, place: Place<'_>, members: Members<'_>) -> Result<String, Fault> {
    let lines = lines(text)?;
    let key = place.list.first().map_or("", String::as_str);
    let found = one(blocks(&lines, 0..lines.len(), 0)?, key)?;
    let Some(block) = found else {
        let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        out.push(format!("{key}:"));
        out.extend(entry_lines(place.name, members, "  "));
        return Ok(joined(text, &out));
    };
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let Some(entries) = entries(&lines, &block)? else { return Err(Fault::no_table(key)) };
    let indent =
        entries.first().map_or_else(|| "  ".to_owned(), |entry| indentation(lines[entry.lines.start]).to_owned());
    if let Some(old) = one(entries, place.name)? {
        out.splice(old.lines, entry_lines(place.name, members, &indent));
        return Ok(joined(text, &out));
    }
    if !block.value.is_empty() {
        out[block.lines.start] = format!("{key}:");
    }
    let end = block.lines.end;
    out.splice(end..end, entry_lines(place.name, members, &indent));
    Ok(joined(text, &out))
}

pub fn update(text: &str, place: Place<'_>, wanted: Members<'_>) -> Result<String, Fault> {
    let lines = lines(text)?;
    let Some(entry) = find(&lines, place)? else { return Ok(text.to_owned()) };
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let there = members(&lines, &entry)?;
    let parts = parts(&lines, &entry)?;
    let indent =
        parts.first().map_or_else(|| "    ".to_owned(), |part| indentation(lines[part.lines.start]).to_owned());
    let mut changes: Vec<(std::ops::Range<usize>, String)> = Vec::new();
    for (key, value) in wanted {
        if there.get(*key) == Some(value) {
            continue;
        }
        let line = format!("{indent}{key}: {value}");
        let part = parts.iter().find(|part| part.key == *key);
        changes.push((part.map_or(entry.lines.end..entry.lines.end, |part| part.lines.clone()), line));
    }
    changes.sort_by_key(|(range, _)| range.start);
    for (range, line) in changes.into_iter().rev() {
        out.splice(range, [line]);
    }
    Ok(joined(text, &out))
}

pub fn remove(text: &str, place: Place<'_>) -> Result<String, Fault> {
    let lines = lines(text)?;
    let Some(entry) = find(&lines, place)? else { return Ok(text.to_owned()) };
    let key = place.list.first().map_or("", String::as_str);
    let mut out: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let block = one(blocks(&lines, 0..lines.len(), 0)?, key)?;
    let is_only =
        block.as_ref().map(|block| entries(&lines, block)).transpose()?.flatten().is_some_and(|all| all.len() == 1);
    if let Some(block) = block.filter(|_| is_only) {
        // A key without a value would be null.
        out[block.lines.start] = format!("{key}: {{}}");
    }
    out.drain(entry.lines);
    Ok(joined(text, &out))
}

/// A key of a table with the lines that it takes.
struct Block {
    key: String,
    /// What stands behind the colon.
    value: String,
    lines: std::ops::Range<usize>,
}

fn find(lines: &Lines<'_>, place: Place<'_>) -> Result<Option<Block>, Fault> {
    let key = place.list.first().map_or("", String::as_str);
    let Some(block) = one(blocks(lines, 0..lines.len(), 0)?, key)? else { return Ok(None) };
    match entries(lines, &block)? {
        Some(entries) => one(entries, place.name),
        None => Ok(None),
    }
}

fn one(blocks: Vec<Block>, key: &str) -> Result<Option<Block>, Fault> {
    let mut found = blocks.into_iter().filter(|block| block.key == key);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Fault::twice(key)),
        (block, None) => Ok(block),
    }
}

fn lines(text: &str) -> Result<Lines<'_>, Fault> {
    let lines: Lines<'_> = text.lines().collect();
    if text.contains("\r\n") && text.matches('\n').count() != text.matches("\r\n").count() {
        return Err(Fault::new("its lines end in two ways"));
    }
    for (at, line) in lines.iter().enumerate() {
        let is_first = lines[..at].iter().all(|before| is_empty(before));
        let rest = line.strip_prefix("---");
        let ends =
            rest.is_some_and(|rest| !is_first || !is_empty(rest)) || line.starts_with("...") || line.starts_with('%');
        if ends || begins_text(line) || indentation_with_tabs(line).contains('\t') {
            return Err(refused(at));
        }
    }
    Ok(lines)
}

/// The keys at this indentation, and the lines of each. Everything else at this depth is refused.
fn blocks(lines: &Lines<'_>, within: std::ops::Range<usize>, depth: usize) -> Result<Vec<Block>, Fault> {
    let mut blocks: Vec<Block> = Vec::new();
    for at in within.clone() {
        let line = lines[at];
        let indent = indentation(line).len();
        if is_empty(line) || indent > depth && !blocks.is_empty() || line.starts_with("---") {
            continue;
        }
        let text = &line[indent..];
        // The items of a list may stand as deep as its key.
        if text.starts_with("- ") && blocks.last().is_some_and(|block| block.value.is_empty()) && indent == depth {
            continue;
        }
        if indent != depth {
            return Err(refused(at));
        }
        let (key, value) = key_of(text).ok_or_else(|| refused(at))?;
        if let Some(last) = blocks.last_mut() {
            last.lines.end = at;
        }
        blocks.push(Block { key, value, lines: at..within.end });
    }
    for block in &mut blocks {
        // Empty lines and comments after a block belong to what follows.
        while block.lines.end > block.lines.start + 1 && is_empty(lines[block.lines.end - 1]) {
            block.lines.end -= 1;
        }
    }
    Ok(blocks)
}

/// The entries of a list of servers; `None` if it is none.
fn entries(lines: &Lines<'_>, block: &Block) -> Result<Option<Vec<Block>>, Fault> {
    let inner = block.lines.start + 1..block.lines.end;
    let Some(first) = inner.clone().find(|at| !is_empty(lines[*at])) else {
        return Ok(["", "{}"].contains(&block.value.as_str()).then(Vec::new));
    };
    if !block.value.is_empty() || indentation(lines[first]).is_empty() {
        return Ok(None);
    }
    // A list of something else is nobody's business here.
    Ok(blocks(lines, inner, indentation(lines[first]).len()).ok())
}

fn parts(lines: &Lines<'_>, entry: &Block) -> Result<Vec<Block>, Fault> {
    let inner = entry.lines.start + 1..entry.lines.end;
    match inner.clone().find(|at| !is_empty(lines[*at])) {
        Some(first) if entry.value.is_empty() => blocks(lines, inner, indentation(lines[first]).len()),
        _ => Ok(Vec::new()),
    }
}

/// The members of an entry, as far as they are texts or lists of texts.
fn members(lines: &Lines<'_>, entry: &Block) -> Result<Map<String, Value>, Fault> {
    let mut members = Map::new();
    for part in parts(lines, entry).unwrap_or_default() {
        let below: Vec<&str> = lines[part.lines.start + 1..part.lines.end].iter().map(|line| line.trim()).collect();
        // A list or a table in one line is understood as JSON writes it.
        if part.value.starts_with(['[', '{']) && serde_json::from_str::<Value>(&part.value).is_err() {
            return Err(refused(part.lines.start));
        }
        let value = if below.is_empty() {
            scalar(&part.value)
        } else {
            let items = below.iter().map(|line| line.strip_prefix("- ").map(scalar));
            items.collect::<Option<Vec<Value>>>().map_or(Value::Null, Value::Array)
        };
        members.insert(part.key, value);
    }
    Ok(members)
}

/// A value on one line: as JSON, where it is that, in single quotes, or plain.
fn scalar(text: &str) -> Value {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let text = text.split_once(" #").map_or(text, |(text, _)| text.trim_end());
    match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        Some(text) => Value::String(text.replace("''", "'")),
        None => Value::String(text.to_owned()),
    }
}

fn key_of(text: &str) -> Option<(String, String)> {
    let (key, value) = match text.strip_suffix(':') {
        Some(key) => (key, ""),
        None => text.split_once(": ")?,
    };
    let quoted = |mark: char| key.strip_prefix(mark).and_then(|key| key.strip_suffix(mark));
    let key = quoted('"').or_else(|| quoted('\'')).unwrap_or(key);
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-. /@".contains(c));
    let value = value.trim();
    // An anchor, an alias, a tag: what stands there is not all of it.
    let is_simple = !value.starts_with(['&', '*', '!']);
    (is_plain && is_simple).then(|| (key.to_owned(), if value.starts_with('#') { "" } else { value }.to_owned()))
}

fn entry_lines(name: &str, members: Members<'_>, indent: &str) -> Vec<String> {
    // A value of JSON is one of YAML.
    let members = members.iter().map(|(key, value)| format!("{indent}  {key}: {value}"));
    std::iter::once(format!("{indent}{name}:")).chain(members).collect()
}

fn joined(text: &str, lines: &[String]) -> String {
    let end = line_end(text);
    lines.iter().map(|line| format!("{line}{end}")).collect()
}

/// Whether a text in several lines begins there, in which nothing is what it looks like.
fn begins_text(line: &str) -> bool {
    let value = line.rsplit_once(": ").or_else(|| line.rsplit_once("- ")).map_or("", |(_, value)| value.trim());
    !is_empty(line) && value.starts_with(['|', '>']) && value.len() <= 3 || is_open(value, '"') || is_open(value, '\'')
}

/// Whether a text in quotes goes on in the next line.
fn is_open(value: &str, mark: char) -> bool {
    value.starts_with(mark) && (value.len() == 1 || !value.ends_with(mark) && !value.contains(&format!("{mark} #")))
}

fn is_empty(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start_matches(' ').len()]
}

fn indentation_with_tabs(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn refused(at: usize) -> Fault {
    let detail = "it has a form there that this program does not change".to_owned();
    Fault { place: Some((at + 1, 1)), detail }
}

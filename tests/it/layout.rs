//! The import rule of `src/lib.rs`: a module uses only what stands before it.

use std::path::{Path, PathBuf};

/// From the bottom to the top; modules of one row may not use each other.
const ROWS: &[&[&str]] = &[
    &["hash", "secret", "clock"],
    &["problem"],
    &["config"],
    &["logging"],
    &["message"],
    &["http", "store"],
    &["auth"],
    &["remote"],
    &["bridge"],
    &["cli"],
    &["seeds"],
];

#[test]
fn a_module_uses_only_what_stands_before_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let row_of = |name: &str| ROWS.iter().position(|row| row.contains(&name));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("found below it");
        let module = relative.components().next().expect("not empty").as_os_str().to_string_lossy().replace(".rs", "");
        if module == "main" || module == "lib" {
            continue;
        }
        let row = row_of(&module).unwrap_or_else(|| panic!("`{module}` has no place in the import rule"));
        let text = std::fs::read_to_string(&file).expect("readable");
        for used in uses(&text) {
            seen += 1;
            let allowed = used == module || row_of(&used).is_some_and(|other| other < row);
            if !allowed {
                wrong.push(format!("{} uses crate::{used}", relative.display()));
            }
        }
    }
    assert!(seen > 50, "the test has found only {seen} uses: it no longer reads what it should");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Facts that carry what a server said.
const SAID: &[&str] = &["content_type", "error", "error_description", "server_request_id", "server_said"];

#[test]
fn what_a_server_said_becomes_a_fact_only_without_the_secrets_of_the_exchange() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut said) = (Vec::new(), 0);
    for file in rust_files(&source) {
        let text = std::fs::read_to_string(&file).expect("readable");
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for fact in SAID {
            said += text.matches(&format!(".said(\"{fact}\"")).count();
            if text.contains(&format!(".with(\"{fact}\"")) {
                wrong.push(format!("{}: {fact}", file.display()));
            }
        }
    }
    assert!(said > 8, "the test has found only {said} facts: it no longer reads what it should");
    assert!(wrong.is_empty(), "to be added by `Problem::said`: {wrong:#?}");
}

/// The first names after `crate::`, also within `crate::{a, b::c}`.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') || text[..at].ends_with("$") {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut part = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(name(std::mem::take(&mut part).trim())),
                    c if depth == 0 => part.push(c),
                    _ => {}
                }
            }
            found.push(name(part.trim()));
        } else {
            found.push(name(rest));
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Every source file below a directory.
pub fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

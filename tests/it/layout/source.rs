//! Owns reading the source as a tree of files that use each other: enough of Rust's grammar for `use`, paths and `impl`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The source files below one directory, named by their paths from there.
pub struct Tree {
    files: BTreeMap<String, File>,
    /// From a module's path (`auth::login`) to its file.
    modules: BTreeMap<String, String>,
}

struct File {
    /// `auth::login` for `auth/login.rs` and for `auth/login/mod.rs`; nothing for `lib.rs`.
    module: Vec<String>,
    text: String,
    /// Words and punctuation outside tests, without comments, strings and lifetimes.
    tokens: Vec<String>,
    tokens_with_tests: Vec<String>,
    is_test: bool,
}

impl Tree {
    /// Reads every source file below a directory.
    pub fn read(directory: &Path) -> Self {
        Self::of(rust_files(directory).into_iter().map(|path| {
            let name = path.strip_prefix(directory).expect("found below it").to_string_lossy().replace('\\', "/");
            (name, std::fs::read_to_string(&path).expect("readable"))
        }))
    }

    /// A tree of made-up files.
    pub fn of(files: impl Iterator<Item = (String, String)>) -> Self {
        let files: BTreeMap<String, File> = files.map(|(name, text)| (name.clone(), File::new(&name, text))).collect();
        let mut tests = BTreeSet::new();
        for file in files.values() {
            tests.extend(file.test_modules());
        }
        let mut tree = Self { modules: BTreeMap::new(), files };
        for (name, file) in &mut tree.files {
            file.is_test = (1..=file.module.len()).any(|end| tests.contains(&file.module[..end].join("::")));
            tree.modules.insert(file.module.join("::"), name.clone());
        }
        tree
    }

    /// Whether a path like `auth::login` is a module with a file.
    pub fn has_module(&self, path: &str) -> bool {
        self.modules.contains_key(path)
    }

    /// The layer of a file: the first part of its path.
    pub fn layer(&self, file: &str) -> String {
        file.split('/').next().unwrap_or_default().replace(".rs", "")
    }

    /// Which files each file uses, tests aside.
    pub fn uses(&self) -> BTreeMap<String, BTreeSet<String>> {
        let files = self.files.iter().filter(|(_, file)| !file.is_test);
        files.map(|(name, file)| (name.clone(), self.used_by(name, file, &file.tokens))).collect()
    }

    /// The same with tests.
    pub fn uses_with_tests(&self) -> BTreeMap<String, BTreeSet<String>> {
        let files = self.files.iter();
        files.map(|(name, file)| (name.clone(), self.used_by(name, file, &file.tokens_with_tests))).collect()
    }

    /// The lines of each file.
    pub fn lines(&self) -> Vec<(String, usize)> {
        self.files.iter().map(|(name, file)| (name.clone(), file.text.lines().count())).collect()
    }

    /// `file: impl X` for each inherent `impl` of a type that the file does not define.
    pub fn stray_impls(&self) -> Vec<String> {
        let files = self.files.iter().filter(|(_, file)| !file.is_test);
        files
            .flat_map(|(name, file)| file.stray_impls().into_iter().map(move |x| format!("{name}: impl {x}")))
            .collect()
    }

    fn used_by(&self, name: &str, file: &File, tokens: &[String]) -> BTreeSet<String> {
        let mut used: BTreeSet<String> = BTreeSet::new();
        for (passed_on, path) in file.paths(tokens) {
            // What a module passes on is followed from where it is used.
            if !passed_on && let Some(absolute) = self.absolute(file, &path) {
                used.extend(self.file_of(&absolute, 0));
            }
        }
        used.remove(name);
        used
    }

    /// The path from the root of the crate; `None` for a path that leads elsewhere.
    fn absolute(&self, file: &File, path: &[String]) -> Option<Vec<String>> {
        let mut base = file.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            // A child module by its bare name.
            child => {
                let mut module = base.clone();
                module.push(child.to_owned());
                self.modules.get(&module.join("::"))?;
            }
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    /// The file that an absolute path leads to, through what modules pass on.
    fn file_of(&self, path: &[String], depth: usize) -> Option<String> {
        let end = (0..=path.len()).rev().find(|end| self.modules.contains_key(&path[..*end].join("::")))?;
        let name = &self.modules[&path[..end].join("::")];
        let file = &self.files[name];
        if depth < 8
            && let Some(item) = path.get(end)
        {
            for (alias, target) in file.passed_on() {
                if alias == *item
                    && let Some(absolute) = self.absolute(file, &target)
                {
                    return self.file_of(&absolute, depth + 1);
                }
            }
        }
        Some(name.clone())
    }
}

impl File {
    fn new(name: &str, text: String) -> Self {
        let parts = name.trim_end_matches(".rs").split('/').map(str::to_owned);
        let mut module: Vec<String> = parts.collect();
        if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
            module.pop();
        }
        let tokens_with_tests = tokens(&text);
        Self { module, text, tokens: without_tests(&tokens_with_tests), tokens_with_tests, is_test: false }
    }

    /// The modules that this file declares for tests alone, and those for fuzzing.
    fn test_modules(&self) -> Vec<String> {
        let words = &self.tokens_with_tests;
        let mut found = Vec::new();
        for at in 0..words.len() {
            if let Some(end) = test_attribute(words, at) {
                let item = words[end..].iter().position(|word| word == "mod").map(|mod_at| end + mod_at);
                // Between the attribute and `mod` there is at most a visibility or another attribute.
                if let Some(item) = item.filter(|item| words[end..*item].iter().all(|word| word != ";" && word != "{"))
                    && words.get(item + 2).is_some_and(|word| word == ";")
                {
                    let mut module = self.module.clone();
                    module.push(words[item + 1].clone());
                    found.push(module.join("::"));
                }
            }
        }
        found
    }

    /// All paths of at least two parts and all imports; whether it is an import that is passed on.
    fn paths(&self, words: &[String]) -> Vec<(bool, Vec<String>)> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < words.len() {
            if words[at] == "use" && (at == 0 || words[at - 1] != "::") {
                let passed_on = at > 0 && (words[at - 1] == "pub" || words[at - 1] == ")");
                let end = words[at..].iter().position(|word| word == ";").map_or(words.len(), |end| at + end);
                let mut paths = Vec::new();
                use_tree(&words[at + 1..end], &mut Vec::new(), &mut paths);
                found.extend(paths.into_iter().map(|(_, path)| (passed_on, path)));
                at = end;
            } else if is_word(&words[at]) && words.get(at + 1).is_some_and(|next| next == "::") {
                let mut path = vec![words[at].clone()];
                while words.get(at + 1).is_some_and(|next| next == "::")
                    && words.get(at + 2).is_some_and(|w| is_word(w))
                {
                    path.push(words[at + 2].clone());
                    at += 2;
                }
                found.push((false, path));
            }
            at += 1;
        }
        found
    }

    /// The names that this file passes on, each with where it comes from.
    fn passed_on(&self) -> Vec<(String, Vec<String>)> {
        let words = &self.tokens;
        let mut found = Vec::new();
        for at in 1..words.len() {
            if words[at] == "use" && (words[at - 1] == "pub" || words[at - 1] == ")") {
                let end = words[at..].iter().position(|word| word == ";").map_or(words.len(), |end| at + end);
                use_tree(&words[at + 1..end], &mut Vec::new(), &mut found);
            }
        }
        found
    }

    fn stray_impls(&self) -> Vec<String> {
        let words = &self.tokens;
        let mut defined = BTreeSet::new();
        for pair in words.windows(2) {
            if ["struct", "enum", "union"].contains(&pair[0].as_str()) {
                defined.insert(pair[1].as_str());
            }
        }
        let mut stray = Vec::new();
        for at in 0..words.len() {
            let begins_item = at == 0 || ["}", ";", "]", "{", "unsafe"].contains(&words[at - 1].as_str());
            if words[at] != "impl" || !begins_item {
                continue;
            }
            let mut next = at + 1;
            if words.get(next).is_some_and(|word| word == "<") {
                next = after_angles(words, next);
            }
            // The name of the type is the last word of the path before `<`, `{`, `where` or `for`.
            let mut name = None;
            while let Some(word) = words.get(next) {
                match word.as_str() {
                    "<" => next = after_angles(words, next),
                    "{" | "where" => break,
                    "for" => {
                        name = None;
                        break;
                    }
                    word => {
                        if is_word(word) {
                            name = Some(word.to_owned());
                        }
                        next += 1;
                    }
                }
            }
            if let Some(name) = name.filter(|name| !defined.contains(name.as_str())) {
                stray.push(name);
            }
        }
        stray
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The position behind the `>` that closes the `<` here.
fn after_angles(words: &[String], open: usize) -> usize {
    let mut depth = 0;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.as_str() {
            "<" => depth += 1,
            ">" if words[at - 1] != "-" && words[at - 1] != "=" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    words.len()
}

/// The leaves of `a::{b, c as d}`: the name in scope, and the whole path.
fn use_tree(words: &[String], prefix: &mut Vec<String>, found: &mut Vec<(String, Vec<String>)>) {
    let before = prefix.len();
    let mut at = 0;
    while at < words.len() {
        match words[at].as_str() {
            "{" => {
                let mut depth = 0;
                let mut begin = at + 1;
                while at < words.len() {
                    match words[at].as_str() {
                        "{" => depth += 1,
                        "}" => {
                            depth -= 1;
                            if depth == 0 {
                                use_tree(&words[begin..at], &mut prefix.clone(), found);
                                break;
                            }
                        }
                        "," if depth == 1 => {
                            use_tree(&words[begin..at], &mut prefix.clone(), found);
                            begin = at + 1;
                        }
                        _ => {}
                    }
                    at += 1;
                }
                prefix.truncate(before);
                return;
            }
            "as" => {
                let alias = words.get(at + 1).cloned().unwrap_or_default();
                found.push((alias, prefix.clone()));
                prefix.truncate(before);
                return;
            }
            word if is_word(word) => prefix.push(word.to_owned()),
            _ => {}
        }
        at += 1;
    }
    if prefix.len() > before {
        if prefix.last().is_some_and(|last| last == "self") {
            prefix.pop();
        }
        found.push((prefix.last().cloned().unwrap_or_default(), prefix.clone()));
    }
    prefix.truncate(before);
}

/// The position behind an attribute that begins here, if it is `cfg(test)` or a `cfg(any(..))` that names `test`.
fn test_attribute(words: &[String], at: usize) -> Option<usize> {
    if words.get(at)? != "#" || words.get(at + 1)? != "[" || words.get(at + 2)? != "cfg" {
        return None;
    }
    let end = at + words[at..].iter().position(|word| word == "]")?;
    let inside = &words[at + 3..end];
    let is_negated = |at: usize| at >= 2 && inside[at - 2] == "not";
    let names_test = (0..inside.len()).any(|at| inside[at] == "test" && !is_negated(at));
    names_test.then_some(end + 1)
}

/// Leaves out every item behind an attribute that makes it a test's.
fn without_tests(words: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let Some(item) = test_attribute(words, at) else {
            kept.push(words[at].clone());
            at += 1;
            continue;
        };
        let mut depth = 0;
        at = item;
        while at < words.len() {
            match words[at].as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => {
                    depth -= 1;
                    if depth == 0 && words[at] == "}" {
                        at += 1;
                        break;
                    }
                }
                ";" | "," if depth == 0 => {
                    at += 1;
                    break;
                }
                _ => {}
            }
            at += 1;
        }
    }
    kept
}

/// Words, `::` and single characters; no comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied().unwrap_or(' ');
        if c == '/' && next == '/' {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if c == '/' && next == '*' {
            let mut depth = 0;
            while at < chars.len() {
                match (chars[at], chars.get(at + 1)) {
                    ('/', Some('*')) => {
                        depth += 1;
                        at += 1;
                    }
                    ('*', Some('/')) => {
                        depth -= 1;
                        at += 1;
                        if depth == 0 {
                            break;
                        }
                    }
                    _ => {}
                }
                at += 1;
            }
            at += 1;
        } else if c == '"' {
            at = after_string(&chars, at);
        } else if c == '\'' {
            // A character has its closing quote near; a lifetime has none.
            if next == '\\' {
                at += 2;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
                if chars.get(at) == Some(&'\'') {
                    at += 1;
                }
            } else if chars.get(at + 2) == Some(&'\'') {
                at += 3;
            } else {
                at += 1;
                while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                    at += 1;
                }
            }
        } else if c.is_alphanumeric() || c == '_' {
            let begin = at;
            while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                at += 1;
            }
            let word: String = chars[begin..at].iter().collect();
            let opens_string = matches!(chars.get(at), Some('"')) && ["b", "c"].contains(&word.as_str());
            let opens_raw = ["r", "br", "cr"].contains(&word.as_str()) && matches!(chars.get(at), Some('"' | '#'));
            if opens_string {
                at = after_string(&chars, at);
            } else if opens_raw {
                let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
                if chars.get(at + hashes) == Some(&'"') {
                    at = after_raw_string(&chars, at + hashes + 1, hashes);
                } else {
                    // A raw identifier.
                    at += hashes;
                }
            } else {
                found.push(word);
            }
        } else if c == ':' && next == ':' {
            found.push("::".to_owned());
            at += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            at += 1;
        }
    }
    found
}

fn after_string(chars: &[char], open: usize) -> usize {
    let mut at = open + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn after_raw_string(chars: &[char], begin: usize, hashes: usize) -> usize {
    let mut at = begin;
    while at < chars.len() {
        if chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    at
}

/// Every Rust file below a directory.
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

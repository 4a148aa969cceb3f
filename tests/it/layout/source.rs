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

    /// The file and the name of each constant outside tests, in order.
    pub fn constants(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (file, source) in self.files.iter().filter(|(_, file)| !file.is_test) {
            for words in source.tokens.windows(2) {
                let is_name = words[1].len() > 1
                    && words[1].chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
                if matches!(words[0].as_str(), "const" | "static") && is_name {
                    found.push((file.clone(), words[1].clone()));
                }
            }
        }
        found
    }

    /// `file: impl X` for each inherent `impl` of a type that the file does not define.
    pub fn stray_impls(&self) -> Vec<String> {
        let mut stray = Vec::new();
        for (name, file) in self.files.iter().filter(|(_, file)| !file.is_test) {
            let defined = file.defined(&["struct", "enum", "union"]);
            let traits = file.defined(&["trait"]);
            let items = file.impls();
            // A trait that only one type has is no abstraction over several.
            let only = |of: &str| items.iter().filter(|item| item.trait_name.as_deref() == Some(of)).count() == 1;
            for item in &items {
                let Some(kind) = item.of.last() else { continue };
                // A path says where the type stands, also one that has a namesake here.
                let elsewhere = item.of.len() > 1
                    && self
                        .absolute(file, &item.of)
                        .and_then(|path| self.file_of(&path, 0))
                        .is_some_and(|at| at != *name);
                let is_stray = match &item.trait_name {
                    None => elsewhere || !defined.contains(kind.as_str()),
                    // Such a trait, for a type of another file, spreads methods like an inherent `impl`.
                    Some(of) => {
                        traits.contains(of.as_str()) && only(of) && (elsewhere || self.imports_type(file, kind))
                    }
                };
                if is_stray {
                    stray.push(format!("{name}: impl {kind}"));
                }
            }
        }
        stray
    }

    /// Whether the file has this name from another file of the crate.
    fn imports_type(&self, file: &File, name: &str) -> bool {
        let imports = file.imports(&file.tokens);
        let import = imports.iter().find(|import| import.name == name);
        import.is_some_and(|import| self.absolute(file, &import.path).is_some())
    }

    fn used_by(&self, name: &str, file: &File, tokens: &[String]) -> BTreeSet<String> {
        let mut used: BTreeSet<String> = BTreeSet::new();
        let imports = file.imports(tokens);
        let names: BTreeMap<&str, &[String]> =
            imports.iter().map(|import| (import.name.as_str(), import.path.as_slice())).collect();
        for import in &imports {
            let Some(absolute) = self.absolute(file, &import.path) else { continue };
            // What a module passes on from its own children is followed from where it is used.
            if import.is_passed_on && absolute.len() > file.module.len() && absolute.starts_with(&file.module) {
                continue;
            }
            used.extend(self.file_of(&absolute, 0));
            if import.is_glob {
                used.extend(self.passed_on_by(&absolute));
            }
        }
        for mut path in file.paths(tokens) {
            // A folder that was imported, perhaps under another name.
            if let Some(import) =
                names.get(path[0].as_str()).filter(|import| import.last() != Some(&path[0]) || import.len() > 1)
            {
                path.splice(..1, import.iter().cloned());
            }
            if let Some(absolute) = self.absolute(file, &path) {
                used.extend(self.file_of(&absolute, 0));
            }
        }
        used.remove(name);
        used
    }

    /// The files whose items the module at this path passes on.
    fn passed_on_by(&self, module: &[String]) -> Vec<String> {
        let Some(file) = self.modules.get(&module.join("::")).map(|name| &self.files[name]) else { return Vec::new() };
        let targets = file.imports(&file.tokens).into_iter().filter(|import| import.is_passed_on);
        targets.filter_map(|import| self.file_of(&self.absolute(file, &import.path)?, 0)).collect()
    }

    /// The path from the root of the crate; `None` for a path that leads elsewhere.
    fn absolute(&self, file: &File, path: &[String]) -> Option<Vec<String>> {
        let mut base = file.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" | "planhat_mcp" => {
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
            for import in file.imports(&file.tokens).iter().filter(|import| import.is_passed_on) {
                if import.name == *item
                    && let Some(absolute) = self.absolute(file, &import.path)
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

    /// All that `use` brings into the file.
    fn imports(&self, words: &[String]) -> Vec<Import> {
        let mut found = Vec::new();
        for at in 0..words.len() {
            if words[at] == "use" && (at == 0 || words[at - 1] != "::") {
                let is_passed_on = at > 0 && (words[at - 1] == "pub" || words[at - 1] == ")");
                let end = words[at..].iter().position(|word| word == ";").map_or(words.len(), |end| at + end);
                use_tree(&words[at + 1..end], &mut Vec::new(), is_passed_on, &mut found);
            }
        }
        found
    }

    /// All paths of at least two parts outside of `use`.
    fn paths(&self, words: &[String]) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < words.len() {
            if words[at] == "use" && (at == 0 || words[at - 1] != "::") {
                at += words[at..].iter().position(|word| word == ";").unwrap_or(0);
            } else if is_word(&words[at]) && words.get(at + 1).is_some_and(|next| next == "::") {
                let mut path = vec![words[at].clone()];
                while words.get(at + 1).is_some_and(|next| next == "::")
                    && words.get(at + 2).is_some_and(|w| is_word(w))
                {
                    path.push(words[at + 2].clone());
                    at += 2;
                }
                found.push(path);
            }
            at += 1;
        }
        found
    }

    /// The names that the file gives with one of these keywords.
    fn defined(&self, keywords: &[&str]) -> BTreeSet<&str> {
        let pairs = self.tokens.windows(2).filter(|pair| keywords.contains(&pair[0].as_str()));
        pairs.map(|pair| pair[1].as_str()).collect()
    }

    fn impls(&self) -> Vec<Impl> {
        let words = &self.tokens;
        let mut found = Vec::new();
        for at in 0..words.len() {
            let begins_item = at == 0 || ["}", ";", "]", "{", "unsafe"].contains(&words[at - 1].as_str());
            if words[at] != "impl" || !begins_item {
                continue;
            }
            let mut next = at + 1;
            if words.get(next).is_some_and(|word| word == "<") {
                next = after_angles(words, next);
            }
            let (mut path, mut trait_name) = (Vec::new(), None);
            while let Some(word) = words.get(next) {
                match word.as_str() {
                    "<" => {
                        next = after_angles(words, next);
                        continue;
                    }
                    "{" | "where" => break,
                    "for" => trait_name = std::mem::take(&mut path).pop(),
                    word if is_word(word) => path.push(word.to_owned()),
                    _ => {}
                }
                next += 1;
            }
            found.push(Impl { of: path, trait_name });
        }
        found
    }
}

/// One name that `use` brings into a file.
struct Import {
    name: String,
    /// As it stands there.
    path: Vec<String>,
    is_glob: bool,
    /// Whether it is a `pub use`, in whatever scope.
    is_passed_on: bool,
}

/// An `impl`: of which type, as it stands there, and of which trait.
struct Impl {
    of: Vec<String>,
    trait_name: Option<String>,
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

/// The leaves of `a::{b, c as d, e::*}`.
fn use_tree(words: &[String], prefix: &mut Vec<String>, is_passed_on: bool, found: &mut Vec<Import>) {
    let before = prefix.len();
    let mut leaf = |name: Option<&String>, mut path: Vec<String>, is_glob: bool| {
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = name.or(path.last()).cloned().unwrap_or_default();
        found.push(Import { name, path, is_glob, is_passed_on });
    };
    let mut at = 0;
    while at < words.len() {
        match words[at].as_str() {
            "{" => {
                let (mut depth, mut begin) = (0, at + 1);
                while at < words.len() {
                    match words[at].as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 || (depth == 1 && words[at] == ",") {
                        use_tree(&words[begin..at], &mut prefix.clone(), is_passed_on, found);
                        begin = at + 1;
                    }
                    if depth == 0 {
                        break;
                    }
                    at += 1;
                }
                prefix.truncate(before);
                return;
            }
            "as" => {
                leaf(words.get(at + 1), prefix.clone(), false);
                prefix.truncate(before);
                return;
            }
            "*" => {
                leaf(None, prefix.clone(), true);
                prefix.truncate(before);
                return;
            }
            word if is_word(word) => prefix.push(word.to_owned()),
            _ => {}
        }
        at += 1;
    }
    if prefix.len() > before {
        leaf(None, prefix.clone(), false);
    }
    prefix.truncate(before);
}

/// The position behind an attribute that begins here, if it is a `cfg` that holds for tests and fuzzing alone.
fn test_attribute(words: &[String], at: usize) -> Option<usize> {
    if words.get(at)? != "#" || words.get(at + 1)? != "[" || words.get(at + 2)? != "cfg" {
        return None;
    }
    let end = at + words[at..].iter().position(|word| word == "]")?;
    let (can_hold, _) = predicate(&words[at + 4..end]);
    (!can_hold.0).then_some(end + 1)
}

/// Whether a `cfg` predicate can hold, and whether it can fail, outside of tests and fuzzing; and how many words it has.
fn predicate(words: &[String]) -> ((bool, bool), usize) {
    let Some(word) = words.first() else { return ((true, true), 0) };
    if !["all", "any", "not"].contains(&word.as_str()) {
        let is_test = ["test", "fuzzing"].contains(&word.as_str());
        let length = words.iter().position(|word| word == "," || word == ")").unwrap_or(words.len());
        return ((!is_test, true), length);
    }
    let (mut parts, mut at) = (Vec::new(), 2);
    while words.get(at).is_some_and(|word| word != ")") {
        let (part, length) = predicate(&words[at..]);
        parts.push(part);
        at += length.max(1);
        if words.get(at).is_some_and(|word| word == ",") {
            at += 1;
        }
    }
    let can = match word.as_str() {
        "all" => (parts.iter().all(|part| part.0), parts.iter().any(|part| part.1)),
        "any" => (parts.iter().any(|part| part.0), parts.iter().all(|part| part.1)),
        _ => (parts[0].1, parts[0].0),
    };
    (can, at + 1)
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

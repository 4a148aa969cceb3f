//! The rules of the house, as `src/lib.rs` and `docs/design.md` state them: the order of the layers, no circle among the
//! files of a module, a type's methods in the type's own file, and files that fit one sitting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::{Tree, rust_files};

pub mod source;

/// From the bottom to the top; modules of one row may not use each other.
const ROWS: &[&[&str]] = &[
    &["limits"],
    &["tasks"],
    &["blocking", "hash", "secret", "clock", "pacing"],
    &["files"],
    &["problem"],
    &["config"],
    &["logging"],
    &["message"],
    &["http", "store"],
    &["auth"],
    &["remote"],
    &["bridge"],
    &["clients"],
    &["cli"],
    &["seeds"],
];

/// A file with more lines than this does two jobs.
const MAX_LINES: usize = 450;
/// And of the facade of `auth`, which only passes on.
const MAX_FACADE_LINES: usize = 250;

fn project() -> Tree {
    Tree::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn a_module_uses_only_what_stands_before_it() {
    let tree = project();
    let row_of = |module: &str| ROWS.iter().position(|row| row.contains(&module));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (file, uses) in tree.uses_with_tests() {
        let module = tree.layer(&file);
        if ["main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let row = row_of(&module).unwrap_or_else(|| panic!("`{module}` has no place in the order of layers"));
        for used in uses {
            let other = tree.layer(&used);
            seen += 1;
            // What is passed on from the root, or a macro there, belongs to nobody.
            if other != "lib" && other != module && row_of(&other).is_none_or(|other| other >= row) {
                wrong.push(format!("{file} uses {used}"));
            }
        }
    }
    assert!(seen > 500, "only {seen} uses were found: the test no longer reads what it should");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Facts that carry what a server said.
const SAID: &[&str] = &["content_type", "error", "error_description", "server_request_id", "server_said"];

/// Facts that carry what a server said where the bridge reads the server's messages.
const QUOTED_IN_BRIDGE: &[&str] = &["found", "expected"];

#[test]
fn what_a_server_said_becomes_a_fact_only_without_the_secrets_of_the_exchange() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut wrong, mut said) = (Vec::new(), 0);
    for file in rust_files(&source).into_iter().filter(|file| !file.ends_with("tests.rs")) {
        let text = std::fs::read_to_string(&file).expect("readable");
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        // Files that quote what came over the wire, whatever the fact is called.
        let quotes =
            ["src/bridge/forward/", "src/bridge/session/"].iter().any(|part| file.to_string_lossy().contains(part));
        for fact in SAID.iter().chain(QUOTED_IN_BRIDGE.iter().filter(|_| quotes)) {
            said += text.matches(&format!(".said(\"{fact}\"")).count();
            if text.contains(&format!(".with(\"{fact}\"")) {
                wrong.push(format!("{}: {fact}", file.display()));
            }
        }
    }
    assert!(said > 9, "the test has found only {said} facts: it no longer reads what it should");
    assert!(wrong.is_empty(), "to be added by `Problem::said`: {wrong:#?}");
}

#[test]
fn nothing_is_decided_by_the_text_of_a_fact() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let is_test = |file: &Path| file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
    for file in rust_files(&source).into_iter().filter(|file| !is_test(file)) {
        let text = std::fs::read_to_string(&file).expect("readable");
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let decides = |line: &&str| line.contains(".fact(") && (line.contains("Some(\"") || line.contains("=="));
        wrong.extend(text.lines().filter(decides).map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    assert!(wrong.is_empty(), "facts are for texts; carry the code beside the problem: {wrong:#?}");
}

#[test]
fn the_files_of_a_module_use_each_other_in_one_direction() {
    let circles: Vec<_> = circles(&project().uses()).into_iter().map(|circle| circle.join(", ")).collect();
    assert!(circles.is_empty(), "these use each other in a circle: {circles:#?}");
}

#[test]
fn the_folders_of_a_module_use_each_other_in_one_direction() {
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut through: BTreeMap<(String, String), String> = BTreeMap::new();
    for (file, uses) in project().uses() {
        let from = folder(&file);
        for used in uses.iter().filter(|used| folder(used) != from) {
            folders.entry(from.clone()).or_default().insert(folder(used));
            through.insert((from.clone(), folder(used)), format!("{file} uses {used}"));
        }
    }
    let circles = circles(&folders);
    let inside =
        |(from, to): &(String, String)| circles.iter().any(|circle| circle.contains(from) && circle.contains(to));
    let through: Vec<_> = through.iter().filter(|(pair, _)| inside(pair)).map(|(_, example)| example).collect();
    assert!(circles.is_empty(), "{circles:#?} {through:#?}");
}

/// The folder within a layer that a file stands in, or the file itself where it stands in none; `x.rs` is of the folder `x`.
fn folder(file: &str) -> String {
    let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    parts[..parts.len().min(2)].join("/")
}

#[test]
fn the_methods_of_a_type_stand_in_the_file_that_defines_it() {
    let stray = project().stray_impls();
    assert!(stray.is_empty(), "another file defines the type: {stray:#?}");
}

#[test]
fn a_file_fits_one_sitting() {
    let long: Vec<_> = project().lines().into_iter().filter(|(_, lines)| *lines > MAX_LINES).collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:#?}");
}

/// A facade grows by a method for each thing that somebody wants; it rather hands out what has that method.
#[test]
fn the_facade_over_tokens_and_sign_ins_stays_small() {
    let lines = project().lines();
    let facade = lines.iter().find(|(file, _)| file.ends_with("auth/authorizer.rs")).expect("it is there");
    assert!(facade.1 <= MAX_FACADE_LINES, "{facade:?}");
}

/// Constants that are named like limits and are none on what others may make this program spend.
const NO_LIMITS: &[(&str, &str)] = &[
    ("ISSUER_PATH_BYTES", "a format: part of a file's name"),
    ("NAMING_KEY_BYTES", "a format: a key"),
    ("HEADER_BYTES", "a format: the first line of a record in the keychain"),
    ("LARGEST_ITEM_BYTES", "a format: what a platform's store takes for one item"),
    ("LONGEST_DIGITS", "a format: a character in digits"),
    ("NO_CORE_BYTES", "a format: what Linux takes for no core"),
    ("RECOGNISED_PREFIX_BYTES", "a measure: what counts as a quotation of a secret"),
    ("LOSS_WORDS_REACH_BYTES", "a measure: what counts as a sentence about a session"),
    ("LONGEST_LIFETIME_SECONDS", "keeps a number that a server names within what a time can hold"),
    ("LONGEST_LIFE_SECONDS", "keeps a number that a server names within what a time can hold"),
    ("LONGEST_DEVICE_CODE_LIFETIME", "the time that a person has, who can end it; a server can only make it shorter"),
    ("STDIN_READ_BYTES", "one buffer, whatever comes"),
    ("COALESCED_BYTES", "one buffer, whatever goes out"),
    ("LARGEST_RESPONSE_BYTES", "the program's own page, on its way through its own door"),
    ("LARGEST_TABLE_BYTES", "a table of the system, which no test can lengthen; it only makes an error clearer"),
    ("MAX_PORT_TRIES", "ports that the system gives out, one after the other"),
];

#[test]
fn every_limit_is_a_row_of_the_one_table() {
    let constants = project().constants();
    assert!(constants.len() > 150, "only {} were found: the test no longer reads what it should", constants.len());
    let is_named_like_one = |name: &str| {
        ["MAX_", "LARGEST_", "LONGEST_"].iter().any(|start| name.starts_with(start))
            || (["_BYTES", "_CHARS"].iter().any(|end| name.ends_with(end)) && !name.starts_with("SHORTEST_"))
    };
    let elsewhere = constants.iter().filter(|(file, name)| !file.starts_with("limits") && is_named_like_one(name));
    let stray: Vec<_> = elsewhere.filter(|(_, name)| NO_LIMITS.iter().all(|(other, _)| other != name)).collect();
    assert!(stray.is_empty(), "to be rows of `src/limits`, or to be named otherwise: {stray:#?}");
    let gone: Vec<_> = NO_LIMITS.iter().filter(|(other, _)| constants.iter().all(|(_, name)| name != other)).collect();
    assert!(gone.is_empty(), "these exceptions are no longer needed: {gone:#?}");
}

#[test]
fn the_map_names_stations_that_exist() {
    let tree = project();
    let map = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("readable");
    let map: Vec<&str> = map.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    for walk in ["## A message", "## A token"] {
        let stations: Vec<String> = map
            .iter()
            .skip_while(|line| line.trim() != walk)
            .skip(1)
            .take_while(|line| !line.trim().starts_with('#'))
            .filter_map(|line| {
                let (number, rest) = line.trim().split_once(". [`")?;
                number.parse::<u32>().ok()?;
                rest.split_once("`]").map(|(path, _)| path.to_owned())
            })
            .collect();
        assert!(stations.len() >= 8, "{walk} has only {stations:?}");
        let lost: Vec<_> = stations.iter().filter(|path| !tree.has_module(path)).collect();
        assert!(lost.is_empty(), "{walk} leads to {lost:?}");
    }
}

#[test]
fn the_documents_name_files_that_exist() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for document in ["CONTRIBUTING.md", "README.md", "docs/design.md", "docs/performance.md", "docs/security.md"] {
        let text = std::fs::read_to_string(project.join(document)).expect("readable");
        for quoted in text.split('`').skip(1).step_by(2) {
            let is_path = ["src/", "tests/", "docs/", "packaging/", "benches/", "fuzz/"]
                .iter()
                .any(|dir| quoted.starts_with(dir));
            if is_path && !quoted.contains([' ', '*', '<']) {
                named += 1;
                assert!(project.join(quoted).exists(), "{document} names {quoted}");
            }
        }
    }
    assert!(named > 10, "only {named} paths were found");
}

/// The files that can reach each other both ways (Tarjan's strongly connected components of more than one file).
fn circles(uses: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from.to_owned()];
        while let Some(file) = next.pop() {
            for used in uses.get(&file).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = uses.keys().map(|file| (file, reach(file))).collect();
    let mut found = BTreeSet::new();
    for (file, others) in &reached {
        if others.contains(*file) {
            let circle = others.iter().filter(|other| reached.get(other).is_some_and(|back| back.contains(*file)));
            found.insert(circle.cloned().collect::<Vec<_>>());
        }
    }
    found.into_iter().collect()
}

/// The guard itself, on trees whose faults are known.
mod guard {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::of(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
    }

    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        circles(&tree(files).uses()).into_iter().map(|circle| circle.join(", ")).collect()
    }

    #[test]
    fn a_circle_is_found_through_use_and_through_paths() {
        let lib = ("lib.rs", "mod a;");
        let parent = ("a/mod.rs", "mod b; mod c;");
        for (b, c) in [
            ("use super::c::C;", "use super::b::B;"),
            ("use super::{c::{C, D}, other};", "fn f() { crate::a::b::f() }"),
            ("use super::c;", "use crate::a::{b};"),
            ("fn f() -> super::c::C {}", "use crate::{a::b, x};"),
            ("use crate::a; fn f() { a::c::f() }", "use super::b;"),
            ("use super as up; fn f() { up::c::f() }", "use super::b;"),
            ("use crate as root; fn f() { root::a::c::f() }", "use super::b;"),
            ("use crate::{self as root}; fn f() { root::a::c::f() }", "use super::b;"),
            ("fn f() { ::planhat_mcp::a::c::f() }", "use super::b;"),
            ("pub use super::c::C;", "pub(crate) use super::b;"),
            ("#[cfg(not(any(test, fuzzing)))] use super::c::C;", "#[cfg(any(test, unix))] use super::b;"),
        ] {
            assert_eq!(circles_of(&[lib, parent, ("a/b.rs", b), ("a/c.rs", c)]), ["a/b.rs, a/c.rs"], "{b} {c}");
        }
        assert!(circles_of(&[lib, parent, ("a/b.rs", "use super::c::C;"), ("a/c.rs", "use std::b;")]).is_empty());
    }

    #[test]
    fn a_name_that_is_passed_on_counts_as_its_file() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; mod c; pub use b::{B, D as E};"),
            ("a/b.rs", "use super::c::C;"),
            ("a/c.rs", "use super::E;"),
        ];
        assert_eq!(circles_of(&files), ["a/b.rs, a/c.rs"]);
    }

    #[test]
    fn a_glob_is_all_that_its_module_passes_on() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; mod c; pub use c::C;"),
            ("a/b.rs", "use super::*;"),
            ("a/c.rs", "use super::b;"),
        ];
        assert_eq!(circles_of(&files), ["a/b.rs, a/c.rs"]);
    }

    #[test]
    fn what_a_parent_passes_on_from_elsewhere_is_a_use() {
        let files = tree(&[("lib.rs", ""), ("a/mod.rs", "pub use crate::z::Z;"), ("z.rs", "")]);
        assert!(files.uses()["a/mod.rs"].contains("z.rs"));
    }

    #[test]
    fn what_a_parent_defines_for_its_children_may_not_use_them() {
        let files = [("lib.rs", "mod a;"), ("a/mod.rs", "mod b; struct A(b::B);"), ("a/b.rs", "use super::A;")];
        assert_eq!(circles_of(&files), ["a/b.rs, a/mod.rs"]);
    }

    #[test]
    fn tests_comments_and_strings_are_no_uses() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; mod c; #[cfg(all(test, not(windows)))] #[cfg(unix)] mod tests;"),
            ("a/b.rs", "use super::c::C; // super::b\n/* super::b */ /// [`super::c`]\n"),
            (
                "a/c.rs",
                "const T: &str = \"super::b\"; const R: &str = r#\"super::b \" \"#; const Q: char = '\"'; fn f<'a>() {}\n#[cfg(test)]\nmod tests { use super::super::b::B; }",
            ),
            ("a/tests.rs", "use super::{b, c};"),
        ];
        assert!(circles_of(&files).is_empty(), "{:?}", circles_of(&files));
    }

    #[test]
    fn constants_are_found_wherever_they_stand_except_in_tests() {
        let text = "const A_BYTES: u8 = 1; pub(super) static MAX_B: u8 = 2; impl X { pub const MAX_C: u8 = 3; }\n\
            fn f<const N: usize>() { const MAX_D: u8 = 4; } const fn g() {} // const MAX_E: u8 = 5;\n\
            #[cfg(test)]\nmod tests { const MAX_F: u8 = 6; }";
        let names: Vec<_> = tree(&[("lib.rs", text)]).constants().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["A_BYTES", "MAX_B", "MAX_C", "MAX_D"]);
    }

    #[test]
    fn a_stray_impl_is_found_whatever_its_form() {
        let stray = |text: &str| tree(&[("lib.rs", "mod a;"), ("a.rs", text)]).stray_impls();
        for text in [
            "impl X { }",
            "impl<'a, T: Fn() -> bool> X<'a, T> where T: Copy {}",
            "impl super::X {}",
            "impl X<{ 1 }> {}",
        ] {
            assert_eq!(stray(text), ["a.rs: impl X"], "{text}");
        }
        let other =
            |text: &str| tree(&[("lib.rs", "mod a; mod x;"), ("x.rs", "struct X;"), ("a.rs", text)]).stray_impls();
        for text in [
            "struct X; impl crate::x::X {}",
            "trait E {} impl E for crate::x::X {}",
            "use crate::x::X; trait E {} impl E for X {}",
            "#[cfg(any(test, unix))] impl crate::x::X {}",
        ] {
            assert_eq!(other(text), ["a.rs: impl X"], "{text}");
        }
        for text in [
            "struct X; impl X {}",
            "enum X<T> {} impl<T> X<T> {}",
            "impl Display for X {}",
            "impl<T> From<T> for super::X {}",
            "fn f() -> impl Fn() {}",
            "#[cfg(test)] mod tests { impl X {} }",
        ] {
            assert!(stray(text).is_empty(), "{text}: {:?}", stray(text));
        }
    }
}

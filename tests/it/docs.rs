//! `docs/security.md` names tests that exist, the catalogue is used, and `docs/troubleshooting.md` and `docs/limits.md` are
//! what the catalogue and the table of limits say. To write them anew after a change of those:
//! `UPDATE_DOCS=1 cargo test --test it docs`.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;
use planhat_mcp::cli::Cli;
use planhat_mcp::config::key::Key;
use planhat_mcp::problem::catalogue::{AREAS, PLANHAT_PAGE_ERRORS};
use planhat_mcp::problem::{Problem, ProblemId, catalogue};

/// The names of all tests in Rust below these folders.
fn tests_below(folders: &[&str]) -> HashSet<String> {
    let mut names = HashSet::new();
    for folder in folders {
        for file in crate::layout::source::rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) {
            let text = std::fs::read_to_string(&file).expect("readable");
            for (at, _) in text.match_indices("test") {
                let attribute = text[..at].ends_with("#[") || text[..at].ends_with("#[tokio::");
                let function = text[at..].split_once("fn ").map(|(_, rest)| rest);
                if let (true, Some(function)) = (attribute, function) {
                    names.extend(function.split('(').next().map(str::to_owned));
                }
            }
        }
    }
    names
}

#[test]
fn every_defence_in_the_security_table_names_tests_that_exist() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let text = std::fs::read_to_string(docs.join("security.md")).expect("docs/security.md is there");
    let known = tests_below(&["src", "tests/it", "tests/sandbox"]);
    let mut rows = 0;
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| threat")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        let named: Vec<&str> = cells[2].split('`').skip(1).step_by(2).collect();
        let missing: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(missing.is_empty(), "no such tests: {missing:?}");
        for link in cells[2].split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(docs.join(link).exists(), "{link} is not there");
        }
        assert!(!named.is_empty(), "nothing shows it: {row}");
        rows += 1;
    }
    assert!(rows > 30, "the test has found only {rows} rows: it no longer reads what it should");
}

#[test]
fn the_readme_names_every_command_and_every_setting() {
    let readme = include_str!("../../README.md");
    let settings = readme.split("## Settings").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    for key in Key::ALL {
        let name = key.flag().unwrap_or(key.info().variable);
        assert!(settings.contains(&format!("`{name}`")), "{name} is not among the settings");
    }
    let command = Cli::command();
    for sub in command.get_subcommands() {
        assert!(readme.contains(&format!("| `planhat-mcp {}` |", sub.get_name())), "{}", sub.get_name());
        for option in sub.get_arguments().filter(|option| !option.is_hide_set()).filter_map(|option| option.get_long())
        {
            let option = format!("--{option}");
            assert!(readme.contains(&option), "{option} of {}", sub.get_name());
        }
    }
}

/// What people meet most often, in their words.
const COMMON: [(&str, ProblemId); 10] = [
    ("Your AI app shows no Planhat tools, or only one for signing in", ProblemId::SignInNeeded),
    ("The browser does not open", ProblemId::NoDesktop),
    ("Planhat's page says that the OAuth client was not found", ProblemId::WrongEnvironment),
    ("Planhat's page says that the redirect_uri is not registered", ProblemId::RedirectUrlNotRegistered),
    ("A client id or a client secret is missing, or is not accepted", ProblemId::InvalidClient),
    ("The port for the sign-in is already in use", ProblemId::PortInUse),
    ("Planhat says that you lack permissions", ProblemId::PlanhatForbidden),
    ("The server cannot be reached from the company network", ProblemId::ConnectFailed),
    ("A certificate is not trusted", ProblemId::TlsUntrusted),
    ("There is no keychain, or it is locked", ProblemId::KeychainAbsent),
];

fn troubleshooting() -> String {
    let mut out = "# Troubleshooting\n\n\
        Find what you see in the table, or look up the name at the end of the message, such as `port-in-use`, below it. \
        `planhat-mcp doctor` checks everything and says what to fix first; with the bundle for Claude Desktop, ask Claude \
        to check the Planhat connection.\n\n\
        | what you see | what to do |\n|---|---|\n"
        .to_owned();
    for (seen, id) in COMMON {
        writeln!(out, "| {seen} | [{0}](#{0}) |", id.entry().name).expect("a string takes everything");
    }
    out += "\nThree words that occur often: *MCP* is how an AI app talks to a service such as Planhat. The *redirect URL* is \
        the address on your own computer to which the browser returns after a sign-in; the server must know it exactly. A \
        *scope* says what the app may do for you.\n\n\
        ## Errors on Planhat's sign-in page\n\n\
        Planhat shows these only to you; planhat-mcp cannot see them.\n\n\
        | the page says | see |\n|---|---|\n";
    for (text, id) in PLANHAT_PAGE_ERRORS {
        writeln!(out, "| {text} | [{0}](#{0}) |", id.entry().name).expect("a string takes everything");
    }
    out += "\n## For programs\n\n\
        An error that a client receives has the name in `data.problem`, and a code: one of JSON-RPC's own where JSON-RPC \
        has one, else 7501 (the server could not be reached, or answered wrongly), 7502 (a sign-in is needed), 7503 (the \
        server refused) or 7504 (too many calls). Decide by `data.problem`. This page is made from \
        `src/problem/catalogue`.\n";
    for (title, ids) in AREAS {
        write!(out, "\n## {title}\n").expect("a string takes everything");
        for id in *ids {
            let problem = Problem::new(*id);
            write!(out, "\n### {}\n\n{}\n", id.entry().name, problem.what()).expect("a string takes everything");
            if !problem.cause().is_empty() {
                write!(out, "\n**Why:** {}\n", problem.cause()).expect("a string takes everything");
            }
            write!(out, "\n**What to do:** {}\n", problem.fix()).expect("a string takes everything");
        }
    }
    out
}

/// Compares a page with what it is made from, or writes it.
fn assert_page(page: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, wanted).expect("docs/ is writable");
    }
    let found = std::fs::read_to_string(&file).expect("the page is there").replace("\r\n", "\n");
    assert!(found == wanted, "docs/{page} is out of date; see the head of this file");
}

#[test]
fn troubleshooting_is_what_the_catalogue_says() {
    assert_page("troubleshooting.md", &troubleshooting());
}

fn limits() -> String {
    let mut out = "# Limits\n\n\
        What a server, a client or another user of the machine may make planhat-mcp spend, and not more. Each limit has a \
        test that fails without it. This page is made from `src/limits.rs`.\n"
        .to_owned();
    let mut area = "";
    for limit in planhat_mcp::limits::TABLE.into_iter().flatten() {
        if limit.area != area {
            area = limit.area;
            write!(out, "\n## {area}\n\n| limit | value | of what | why so much | shown by |\n|---|---|---|---|---|\n")
                .expect("a string takes everything");
        }
        let bounds = limit.bounds.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let (name, value) = (limit.name, (limit.value)());
        writeln!(out, "| `{name}` | {value} | {bounds} | {} | `{}` |", limit.reason, limit.test)
            .expect("a string takes everything");
    }
    out
}

#[test]
fn the_page_of_limits_is_what_their_table_says_and_each_names_a_test_that_exists() {
    assert_page("limits.md", &limits());
    let known = tests_below(&["src", "tests/it", "tests/sandbox"]);
    for limit in planhat_mcp::limits::TABLE.into_iter().flatten() {
        assert!(known.contains(limit.test), "{} names a test that does not exist: {}", limit.name, limit.test);
    }
}

#[test]
fn every_problem_of_the_catalogue_is_raised_somewhere() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut text = String::new();
    for file in crate::layout::source::rust_files(&source) {
        if !file.starts_with(source.join("problem")) {
            let whole = std::fs::read_to_string(&file).expect("readable");
            // What only a test raises is met by nobody.
            text.push_str(whole.split("#[cfg(test)]\nmod tests").next().unwrap_or_default());
        }
    }
    let by_status = |id: ProblemId| {
        (400..600).any(|s| catalogue::status::of_status(s, true) == id || catalogue::status::of_status(s, false) == id)
    };
    let by_words = |id: ProblemId| PLANHAT_PAGE_ERRORS.iter().any(|(_, one)| *one == id);
    let named = |id: ProblemId| {
        let name = format!("Id::{id:?}");
        let ends = |at: usize| !text[at + name.len()..].starts_with(|c: char| c.is_alphanumeric());
        text.match_indices(&name).any(|(at, _)| ends(at))
    };
    for id in ProblemId::ALL {
        let raised = named(*id) || by_status(*id) || by_words(*id);
        assert!(raised, "nothing raises {id:?}: raise it where it belongs, or remove it");
    }
}

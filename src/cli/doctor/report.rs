//! The report for a ticket: settings, checks, versions and the end of the log, safe to share.
//!
//! Each part is already free of secrets; redaction is the last guard, and the user's home becomes `~`.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::{Value, json};

use super::row::{self, Group};
use crate::cli::style::Style;
use crate::config::Loaded;
use crate::files::{self, private};
use crate::limits::{MAX_REPORTED_LOG_LINES, REPORTED_LOG_BYTES};
use crate::logging::redact;
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secrets, visible};

/// The default file.
pub const DEFAULT_FILE: &str = "planhat-mcp-report.txt";

/// What the report is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The settings, if usable.
    pub loaded: Option<&'a Loaded>,
    /// What the checks found.
    pub groups: &'a [Group],
    /// The user's home directory, which the report does not name.
    pub home: Option<&'a Path>,
    /// Seconds since 1970.
    pub now: u64,
}

/// The report as text.
pub fn text(facts: &Facts<'_>) -> String {
    let groups = public(facts.groups);
    let mut out = format!("planhat-mcp {} on {}\n{}\n", env!("CARGO_PKG_VERSION"), system(), date(facts.now));
    if let Some(loaded) = facts.loaded {
        out.push_str("\n== Settings\n");
        for (name, value, origin) in settings(loaded) {
            out.push_str(&format!("{name} = {value} ({origin})\n"));
        }
        for note in &loaded.notes {
            out.push_str(&format!("note: {note}\n"));
        }
    }
    out.push_str("\n== Checks");
    out.push_str(&row::text("", &groups, Style::PLAIN));
    let log = log(facts.loaded);
    if !log.is_empty() {
        out.push_str("\n== End of the log\n");
        out.push_str(&log);
    }
    redacted(&out, facts.home)
}

/// The report for programs.
pub fn json(facts: &Facts<'_>) -> String {
    let settings: Vec<Value> = facts
        .loaded
        .map(settings)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value, origin)| json!({ "name": name, "value": value, "origin": origin }))
        .collect();
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "system": system(),
        "date": date(facts.now),
        "settings": settings,
        "checks": row::json(&public(facts.groups)),
        "log": log(facts.loaded).lines().collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&report).unwrap_or_default();
    redacted(&text, facts.home) + "\n"
}

/// Writes the report, readable by this user only.
pub fn write(path: &Path, report: &str) -> Result<(), Problem> {
    // A relative path starts at the current folder.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    private::replace(&path, report.as_bytes())
        .map_err(|error| Problem::new(ProblemId::ReportFailed).with("file", path.display()).with("detail", error))
}

/// The checks without the link of a running sign-in, which is for this user only.
fn public(groups: &[Group]) -> Vec<Group> {
    let mut groups = groups.to_vec();
    for problem in groups.iter_mut().flat_map(|group| &mut group.rows).filter_map(|row| row.problem.as_mut()) {
        problem.facts.retain(|(key, _)| *key != "link");
    }
    groups
}

fn settings(loaded: &Loaded) -> Vec<(&'static str, String, String)> {
    let set = loaded.rows.iter().filter_map(|row| Some((row, row.value.clone()?)));
    set.map(|(row, value)| (row.key.info().name, value, row.origin.to_string())).collect()
}

/// The last lines of the log file, if there is one.
fn log(loaded: Option<&Loaded>) -> String {
    loaded.and_then(|loaded| loaded.settings.log.file.as_deref()).map_or_else(String::new, last_lines)
}

fn last_lines(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = files::open_given(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(REPORTED_LOG_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(REPORTED_LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let mut out = String::new();
    for line in &lines[lines.len().saturating_sub(MAX_REPORTED_LOG_LINES)..] {
        out.push_str(&redact(&visible(line)));
        out.push('\n');
    }
    out
}

/// The report without these secrets, and with nothing that hides in it.
pub fn without(secrets: &Secrets, report: &str) -> String {
    report.lines().map(|line| format!("{}\n", visible(&secrets.masked(line)))).collect()
}

/// The last guard.
fn redacted(report: &str, home: Option<&Path>) -> String {
    let mut out: String = report.split_inclusive('\n').map(|line| redact(line).into_owned()).collect();
    if let Some(home) = home.and_then(Path::to_str).filter(|home| home.len() > 1) {
        out = out.replace(home, "~");
        // In JSON, on Windows.
        out = out.replace(&home.replace('\\', "\\\\"), "~");
    }
    out
}

fn date(now: u64) -> String {
    let at = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(now));
    at.map(httpdate::fmt_http_date).unwrap_or_default()
}

/// The operating system and its version, if it names one.
fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let named = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name =
        named.map_or_else(String::new, |name| format!(" ({})", crate::problem::printable(name.trim_matches('"'))));
    format!("{} {}{name}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::super::row::Row;
    use super::*;
    use crate::config::{Inputs, Paths, load};

    #[test]
    fn a_report_is_written_without_the_secrets_that_are_known_whatever_quoted_them() {
        let mut secrets = Secrets::none();
        secrets.add("canary-access-token");
        let quoted = "x = canary-access-token\n\"log\": \"63616e6172792d6163636573732d746f6b656e\",\nå\u{202e}\n";
        let report = without(&secrets, quoted);
        assert_eq!(report, "x = [redacted]\n\"log\": \"[redacted]\",\nå\\u202e\n");
    }

    #[test]
    fn a_report_holds_no_secret_no_link_and_no_home_directory() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let log = home.path().join("log.txt");
        std::fs::write(&log, "INFO sent\nDEBUG Authorization: Bearer canary-1\nINFO refresh_token=canary-2&x=1\n")
            .expect("writable");
        let variables = [
            ("PLANHAT_MCP_CLIENT_ID", "pk_1"),
            ("PLANHAT_MCP_CLIENT_SECRET", "canary-3"),
            ("PLANHAT_MCP_PROXY", "http://me:canary-4@proxy.example:8080"),
            ("PLANHAT_MCP_LOG_FILE", log.to_str().expect("UTF-8")),
        ];
        let paths = Paths { config_file: home.path().join("c.toml"), state_dir: home.path().join("s") };
        let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let inputs = Inputs {
            flags: Vec::new(),
            config_file: None,
            environment,
            secret_from_stdin: None,
            paths,
            organisation: || Ok(crate::config::Organisation::default()),
            last_client_id: |_| None,
        };
        let loaded = load(&inputs).expect("valid");
        let link = "https://ws.example/oauth/authorize?state=canary-5";
        let pending = Problem::new(ProblemId::SignInPending).with("link", link);
        let groups = [Group { title: "x", rows: vec![Row::warn("sign-in", pending)] }];
        let facts = Facts { loaded: Some(&loaded), groups: &groups, home: Some(home.path()), now: 0 };
        for report in [text(&facts), json(&facts)] {
            assert!(!report.contains("canary"), "{report}");
            assert!(!report.contains(home.path().to_str().expect("UTF-8")), "{report}");
            // In JSON, the backslash of Windows stands there twice.
            let report = report.replace("\\\\", "/").replace('\\', "/");
            for wanted in ["pk_1", "proxy.example", "(set, not shown)", "INFO sent", "x=1", "~/log.txt", "1970"] {
                assert!(report.contains(wanted), "{wanted} in {report}");
            }
        }
    }

    #[test]
    fn a_report_has_the_last_lines_of_the_log_and_no_more() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let log = home.path().join("log.txt");
        std::fs::write(&log, "INFO sent\n".repeat(10 * MAX_REPORTED_LOG_LINES)).expect("writable");
        assert_eq!(last_lines(&log).lines().count(), MAX_REPORTED_LOG_LINES);
        std::fs::write(&log, "x".repeat(4 * usize::try_from(REPORTED_LOG_BYTES).expect("small"))).expect("writable");
        assert!(last_lines(&log).len() as u64 <= REPORTED_LOG_BYTES + 1);
    }
}

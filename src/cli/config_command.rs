//! `planhat-mcp config`: each setting with its value and its source, without secrets.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::consent::deviations;
use crate::config::origin::Origin;
use crate::config::{Loaded, Row, organisation};

use super::args::ConfigArgs;
use super::config_schema;
use super::style::{Style, WIDTH};
use super::terminal;
use super::terminal::JSON_SCHEMA;

/// The widths of the first two columns, in characters.
const NAME: usize = 20;
const VALUE: usize = 36;

/// Shows the settings of this run.
pub fn run(loaded: &Loaded, how: &ConfigArgs) -> ExitCode {
    if how.json {
        terminal::say(&(serde_json::to_string_pretty(&as_json(loaded)).unwrap_or_default() + "\n"));
    } else {
        terminal::say(&text(loaded, terminal::style()));
    }
    ExitCode::SUCCESS
}

/// Prints the schema of the configuration file.
pub fn schema() -> ExitCode {
    terminal::say(&(serde_json::to_string_pretty(&config_schema::schema()).unwrap_or_default() + "\n"));
    ExitCode::SUCCESS
}

/// The settings for programs, in the form that `docs/scripts.md` describes.
fn as_json(loaded: &Loaded) -> Value {
    let settings = loaded.rows.iter().map(|row| {
        json!({
            "name": row.key.info().name,
            "value": row.value,
            "from": row.value.as_ref().map(|_| row.origin.to_string()),
            "locked": row.origin.is_locked(),
        })
    });
    json!({
        "schema": JSON_SCHEMA,
        "settings": settings.collect::<Vec<_>>(),
        "redirect_url": loaded.settings.oauth.callback.redirect_url(),
        "config_file": loaded.settings.paths.config_file,
        "state_folder": loaded.settings.paths.state_dir,
        "notes": loaded.notes,
    })
}

/// The table of settings, and where the program keeps its files.
pub fn text(loaded: &Loaded, style: Style) -> String {
    let mut out = style.strong(row("setting", "value", "from").trim_end()) + "\n";
    for entry in &loaded.rows {
        let value = entry.value.as_deref().unwrap_or("(not set)");
        let origin = if entry.value.is_some() { entry.origin.to_string() } else { String::new() };
        let line = row(entry.key.info().name, value, &origin);
        // Highlight what the user has set.
        let set = entry.value.is_some() && entry.origin.is_chosen();
        out.push_str(&if set { line } else { style.quiet(line.trim_end()) + "\n" });
    }
    let settings = &loaded.settings;
    let consents = deviations(settings);
    if !consents.is_empty() {
        out.push_str("\nWith your consent, these security rules are relaxed for this profile:\n");
    }
    for deviation in &consents {
        let meaning = crate::problem::wrap(deviation.meaning, 4, WIDTH);
        out.push_str(&format!("  {}\n    {meaning}\n", deviation.option()));
    }
    let paths = &settings.paths;
    let decides = |entry: &Row| matches!(entry.origin, Origin::Organisation { .. });
    if let Some(place) = organisation::place().filter(|_| loaded.rows.iter().any(decides)) {
        out.push_str(&format!("\nSettings of your organisation:\n  {}\n", place.display()));
    }
    let there = if paths.config_file.exists() { "" } else { " (does not exist yet)" };
    out.push_str("\nRedirect URL, exactly as it must be registered:\n  ");
    out.push_str(&settings.oauth.callback.redirect_url());
    out.push_str(&format!("\nConfiguration file:\n  {}{there}\n", paths.config_file.display()));
    out.push_str(&format!("State folder:\n  {}\n", paths.state_dir.display()));
    for note in &loaded.notes {
        out.push_str(&format!("\nnote: {}\n", crate::problem::wrap(note, 6, 80)));
    }
    out
}

/// One line; an origin that does not fit goes on the next line.
fn row(name: &str, value: &str, origin: &str) -> String {
    let line = format!("{name:<NAME$}{value:<VALUE$} {origin}");
    if line.trim_end().chars().count() <= WIDTH {
        return format!("{}\n", line.trim_end());
    }
    format!("{name:<NAME$}{value}\n{:NAME$}  {origin}\n", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Inputs, Paths, load};

    fn shown(environment: &[(&str, &str)]) -> String {
        text(&loaded(environment), Style::PLAIN)
    }

    fn loaded(environment: &[(&str, &str)]) -> Loaded {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let paths = Paths { config_file: folder.path().join("c.toml"), state_dir: folder.path().join("s") };
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let inputs = Inputs {
            flags: Vec::new(),
            config_file: None,
            environment,
            secret_from_stdin: None,
            paths,
            organisation: || Ok(crate::config::Organisation::default()),
            last_client_id: |_| None,
        };
        load(&inputs).expect("valid")
    }

    #[test]
    fn each_setting_stands_with_its_value_and_origin() {
        let text = shown(&[("PLANHAT_MCP_TENANT", "demo")]);
        let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        assert_eq!(
            line("url ").split_whitespace().collect::<Vec<_>>(),
            ["url", "https://api.planhatdemo.com/v1/mcp", "PLANHAT_MCP_TENANT"]
        );
        assert!(line("callback_port").ends_with("default"), "{text}");
        assert!(line("client_id").ends_with("(not set)"), "{text}");
        assert!(text.contains("http://127.0.0.1:7526/callback"), "{text}");
        assert!(text.contains("c.toml (does not exist yet)"), "{text}");
    }

    #[test]
    fn a_program_reads_each_setting_with_its_value_and_origin_and_no_secret() {
        let environment = [("PLANHAT_MCP_CLIENT_ID", "pk_1"), ("PLANHAT_MCP_CLIENT_SECRET", "canary-1")];
        let json = as_json(&loaded(&environment));
        let of = |name: &str| {
            let all = json["settings"].as_array().expect("a list");
            all.iter().find(|setting| setting["name"] == name).expect("every setting is there").clone()
        };
        assert_eq!(of("client_id")["value"], "pk_1");
        assert_eq!(of("client_id")["from"], "PLANHAT_MCP_CLIENT_ID");
        assert_eq!(of("proxy")["from"], Value::Null);
        assert_eq!((&json["schema"], &of("client_id")["locked"]), (&json!(1), &json!(false)));
        assert!(!json.to_string().contains("canary"), "{json}");
    }

    #[test]
    fn secrets_are_said_to_be_set_and_not_shown() {
        let text = shown(&[
            ("PLANHAT_MCP_CLIENT_ID", "pk_1"),
            ("PLANHAT_MCP_CLIENT_SECRET", "canary-1"),
            ("PLANHAT_MCP_TOKEN", "canary-2"),
            ("PLANHAT_MCP_PROXY", "http://me:canary-3@proxy.example:8080"),
        ]);
        assert!(!text.contains("canary") && !text.contains("me:"), "{text}");
        assert!(text.contains("(set, not shown)"), "{text}");
    }

    #[test]
    fn consents_are_told_with_what_they_mean_and_only_where_there_are_any() {
        let text = shown(&[
            ("PLANHAT_MCP_URL", "https://mcp.example/mcp"),
            ("PLANHAT_MCP_RESOURCE", "api://1111/app"),
            ("PLANHAT_MCP_ALLOW_UNLISTED_S256", "true"),
        ]);
        let (_, told) = text.split_once("With your consent, ").expect("it is said");
        for words in ["  --resource api://1111/app\n    The server ", "  --allow-unlisted-s256\n    A sign-in "] {
            assert!(told.contains(words), "{told}");
        }
        assert!(!shown(&[]).contains("With your consent"));
    }

    #[test]
    fn what_was_left_out_is_noted() {
        assert!(
            shown(&[("PLANHAT_MCP_TENNANT", "demo")])
                .contains("note: Ignored the unknown variable PLANHAT_MCP_TENNANT")
        );
    }
}

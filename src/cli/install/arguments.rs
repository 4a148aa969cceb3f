//! What a client is to start, from what was given to `install`: the arguments of the bridge, never with a secret, and the
//! name of the entry.

use std::path::PathBuf;

use url::Host;

use crate::clients::diff::names_secret;
use crate::config::key::{Concerns, Flag, Key};
use crate::config::origin::Origin;
use crate::config::{Loaded, Product, masked_url};
use crate::problem::{Problem, ProblemId};

/// The arguments for the bridge: the flags and the variables of this command that it needs to reach the same server as the
/// same client, and the flags that concern the run alone.
///
/// # Errors One of them may hold a secret.
pub fn of(loaded: &Loaded, flags: &[(Key, String)]) -> Result<Vec<String>, Problem> {
    let settings = &loaded.settings;
    let secret = |flag: &str| Problem::new(ProblemId::SecretForClientFile).with("setting", flag);
    let proxy = loaded.rows.iter().find(|row| row.key == Key::Proxy && row.origin.is_of_this_run());
    let is_left_out = |flag: &str| !settings.run_flags.iter().any(|word| word == flag);
    if proxy.is_some_and(|row| row.value.is_some()) && is_left_out("--proxy") {
        return Err(secret("--proxy"));
    }
    let is_by_address = settings.run_flags.iter().any(|word| word == "--url");
    if is_by_address && masked_url(&settings.url) != settings.url.to_string() {
        return Err(secret("--url"));
    }
    // Of these, only the server's documentation says what is a secret.
    let has_query = settings.oauth.token_endpoint.as_ref().is_some_and(|url| url.query().is_some());
    if has_query && !is_left_out("--token-endpoint") {
        return Err(secret("--token-endpoint"));
    }
    if settings.oauth.authorize_params.iter().any(|(name, _)| names_secret(name)) && !is_left_out("--authorize-param") {
        return Err(secret("--authorize-param"));
    }
    let mut words = settings.run_flags.clone();
    for (key, text) in flags.iter().filter(|(key, _)| key.info().concerns == Concerns::Run) {
        let Some(Flag { name, .. }) = key.info().flag else { continue };
        let value = match key {
            // A client starts the bridge in a folder of its own.
            Key::LogFile => settings.log.file.as_ref().map_or_else(|| text.clone(), absolute),
            _ => text.clone(),
        };
        words.extend([name.to_owned(), value]);
    }
    Ok(words)
}

fn absolute(path: &PathBuf) -> String {
    std::path::absolute(path).as_ref().unwrap_or(path).display().to_string()
}

/// The client's name for the server: after the service, and the profile where this command names one.
pub fn name(loaded: &Loaded) -> String {
    let settings = &loaded.settings;
    let mut name = match settings.product {
        Product::Planhat => "planhat".to_owned(),
        Product::PlanhatDemo => "planhat-demo".to_owned(),
        Product::Other => match settings.url.host() {
            Some(Host::Domain(host)) => of_host(host),
            Some(address) => address.to_string(),
            None => "mcp".to_owned(),
        },
    };
    let profile = loaded.rows.iter().find(|row| row.key == Key::Profile);
    if profile.is_some_and(|row| matches!(row.origin, Origin::Flag(_) | Origin::Variable(_))) {
        name = format!("{name}-{}", settings.profile);
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '-' }).take(64).collect();
    plain.trim_matches('-').to_owned()
}

/// `notion` for `mcp.notion.com`: the part that people would say.
fn of_host(host: &str) -> String {
    let labels: Vec<&str> = host.split('.').filter(|label| !label.is_empty()).collect();
    let labels = labels.strip_prefix(&["www"]).unwrap_or(&labels);
    let is_general = |label: &&&str| ["mcp", "api", "app"].contains(*label);
    let said = labels.iter().take(labels.len().saturating_sub(1).max(1)).find(|label| !is_general(label));
    said.or(labels.first()).map_or_else(|| "mcp".to_owned(), |label| (*label).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use crate::config::{Inputs, Paths, load};

    fn loaded(words: &str) -> (Loaded, Vec<(Key, String)>) {
        loaded_with(words, &[])
    }

    fn loaded_with(words: &str, variables: &[(&str, &str)]) -> (Loaded, Vec<(Key, String)>) {
        let words = std::iter::once("planhat-mcp").chain(words.split_whitespace()).map(Into::into);
        let flags = Cli::read(words).expect("a command line").options.flags().expect("no secret");
        let root = std::env::temp_dir();
        let paths = Paths { config_file: root.join("none/config.toml"), state_dir: root.join("none/state") };
        let inputs = Inputs {
            flags: flags.clone(),
            config_file: None,
            environment: variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect(),
            secret_from_stdin: None,
            paths,
            organisation: || Ok(crate::config::Organisation::default()),
            last_client_id: |_| Some("pk_remembered".to_owned()),
        };
        (load(&inputs).expect("settings"), flags)
    }

    fn arguments(words: &str) -> Result<String, ProblemId> {
        let (loaded, flags) = loaded(words);
        of(&loaded, &flags).map(|words| words.join(" ")).map_err(|problem| problem.id)
    }

    #[test]
    fn what_was_given_becomes_the_entry_s_arguments_and_what_is_remembered_does_not() {
        assert_eq!(arguments("").as_deref(), Ok(""));
        assert_eq!(arguments("--tenant demo --client-id pk_1").as_deref(), Ok("--tenant demo --client-id pk_1"));
        assert_eq!(arguments("https://mcp.example.com/mcp").as_deref(), Ok("--url https://mcp.example.com/mcp"));
        assert_eq!(arguments("--idle-timeout 9 --ipv4").as_deref(), Ok("--ipv4 true --idle-timeout 9"));
        let variables =
            [("PLANHAT_MCP_TENANT", "demo"), ("PLANHAT_MCP_CLIENT_SECRET", "canary"), ("PLANHAT_MCP_TOKEN", "")];
        let (of_the_shell, flags) = loaded_with("", &variables);
        let words = of(&of_the_shell, &flags).expect("no secret");
        assert_eq!(words, ["--tenant", "demo"], "a client does not see the variables of the shell");
    }

    #[test]
    fn a_path_is_written_as_the_client_has_to_see_it() {
        let home = crate::config::home().expect("a home directory");
        let expected = format!("--log-file {}", home.join("p.log").display());
        assert_eq!(arguments("--log-file=~/p.log"), Ok(expected));
    }

    #[test]
    fn what_may_be_a_secret_does_not_become_an_argument() {
        let secret = Err(ProblemId::SecretForClientFile);
        assert_eq!(arguments("https://mcp.example.com/mcp?api_key=canary"), secret);
        let server = "https://mcp.example.com/mcp --token-endpoint https://mcp.example.com/token";
        assert_eq!(arguments(&format!("{server}?key=canary")), secret);
        assert!(arguments(server).is_ok());
        assert_eq!(arguments("https://mcp.example.com/mcp --authorize-param api_key=canary"), secret);
        assert!(arguments("https://mcp.example.com/mcp --authorize-param prompt=login").is_ok());
        let (by_variable, flags) = loaded_with("", &[("PLANHAT_MCP_PROXY", "http://me:canary@proxy.example:3128")]);
        assert_eq!(of(&by_variable, &flags).map_err(|problem| problem.id), Err(ProblemId::SecretForClientFile));
        assert_eq!(
            arguments("--proxy http://proxy.example:3128").as_deref(),
            Ok("--proxy http://proxy.example:3128"),
            "one without a password is none"
        );
    }

    #[test]
    fn the_entry_is_named_after_what_people_call_the_server() {
        for (words, expected) in [
            ("", "planhat"),
            ("--tenant demo", "planhat-demo"),
            ("--profile acme", "planhat-acme"),
            ("--tenant demo --profile acme", "planhat-demo-acme"),
            ("https://mcp.notion.com/mcp", "notion"),
            ("https://api.githubcopilot.com/mcp", "githubcopilot"),
            ("https://www.mcp.linear.app/mcp", "linear"),
            ("https://example.com/mcp", "example"),
            ("https://mcp.app/mcp", "mcp"),
            ("http://localhost:9/mcp", "localhost"),
            ("http://127.0.0.1:9/mcp", "127-0-0-1"),
            ("http://[::1]:9/mcp", "1"),
        ] {
            assert_eq!(name(&loaded(words).0), expected, "{words}");
        }
    }
}

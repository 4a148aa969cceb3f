//! `planhat-mcp status`: signed in or not, as which client, for how long, and where the tokens lie.

use std::process::ExitCode;
use std::sync::Arc;

use crate::clock;
use crate::config::Settings;
use crate::problem::Problem;
use crate::problem::catalogue::exit;
use crate::store::Store;

use super::grant::{self, Grant};
use super::{authorizer, block_on, table, terminal};

/// Shows the state of this profile; the exit code says it to scripts.
pub fn run(settings: Arc<Settings>) -> Result<ExitCode, Problem> {
    if settings.static_token.is_some() || settings.oauth.client_credentials {
        let kept = grant::kept(authorizer(&settings, Store::ATTENDED).backend());
        terminal::say(&without_sign_in(&settings, &kept));
        return Ok(ExitCode::SUCCESS);
    }
    block_on(async {
        let auth = authorizer(&settings, Store::ATTENDED);
        let status = auth.status().await;
        if let Some(problem) = status.store_problem {
            return Err(problem);
        }
        let kept = grant::kept(&status.backend);
        let grant = status.grant.map(|granted| Grant::new(granted, &status.backend));
        let link = auth.sign_in_link().filter(|_| status.signing_in);
        let now = clock::system().unix_seconds();
        terminal::say(&text(&settings, grant.as_ref(), &kept, link.as_deref(), now));
        Ok(if grant.is_some() { ExitCode::SUCCESS } else { ExitCode::from(exit::SIGN_IN) })
    })?
}

/// The state in words. `kept` says where tokens (would) lie; `link` is that of a sign-in under way.
pub fn text(settings: &Settings, grant: Option<&Grant>, kept: &str, link: Option<&str>, now: u64) -> String {
    let mut rows = vec![
        ("server", settings.url.to_string()),
        ("profile", settings.profile.clone()),
        ("signed in", if grant.is_some() { "yes" } else { "no" }.to_owned()),
    ];
    match grant {
        Some(grant) => rows.extend(grant.rows(settings, now)),
        None => {
            if let Some(client_id) = &settings.oauth.client_id {
                rows.push(("client", client_id.clone()));
            }
            rows.push(("tokens", format!("would be kept {kept}")));
        }
    }
    let mut out = format!("{}\n{}", settings.service_name(), table(&rows));
    match (grant, link) {
        (None, Some(link)) => {
            out.push_str(&format!("\nA sign-in waits in the browser. This link opens its page again:\n\n{link}\n"));
        }
        (None, None) => out.push_str(&format!("\nTo sign in: {}\n", settings.command("login"))),
        _ => {}
    }
    out
}

fn without_sign_in(settings: &Settings, kept: &str) -> String {
    let mut rows = vec![("server", settings.url.to_string()), ("profile", settings.profile.clone())];
    if settings.static_token.is_some() {
        rows.push(("signed in", "not needed: the access token from PLANHAT_MCP_TOKEN is sent as it is".to_owned()));
    } else {
        let why = "not needed: the client gets its tokens by itself, with --client-credentials";
        rows.extend([("signed in", why.to_owned()), ("tokens", format!("kept {kept}"))]);
    }
    format!("{}\n{}", settings.service_name(), table(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Paths, server};

    fn settings() -> Settings {
        let url = url::Url::parse(server::DEMO_URL).expect("a constant");
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        settings.told = vec!["--tenant".to_owned(), "demo".to_owned()];
        settings
    }

    #[test]
    fn signed_out_says_how_to_sign_in_with_the_settings_of_this_run() {
        let text = text(&settings(), None, "in the keychain", None, 0);
        assert!(text.contains("signed in  no\n"), "{text}");
        assert!(text.ends_with("To sign in: planhat-mcp login --tenant demo\n"), "{text}");
    }

    #[test]
    fn signed_in_shows_client_scope_validity_and_place() {
        let grant = Grant {
            client_id: Some("pk_1".to_owned()),
            scope: Some("inclusive".to_owned()),
            expires_at: Some(3_600),
            renewable: true,
            kept: "in the keychain (Secret Service)".to_owned(),
        };
        let text = text(&settings(), Some(&grant), "", None, 0);
        for words in ["signed in  yes", "pk_1", "inclusive", "for 60 minutes", "Secret Service", "Planhat (demo)"] {
            assert!(text.contains(words), "{words} in {text}");
        }
    }

    #[test]
    fn a_sign_in_under_way_shows_its_link() {
        let text = text(&settings(), None, "in the keychain", Some("https://as.example.com/x"), 0);
        assert!(text.ends_with("\n\nhttps://as.example.com/x\n"), "{text}");
    }
}

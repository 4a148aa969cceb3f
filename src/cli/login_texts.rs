//! What `planhat-mcp login` says.

use std::time::Duration;

use crate::auth::discovery::scope;
use crate::config::{Product, Settings, TokenStoreKind};
use crate::problem::catalogue::PLANHAT_PAGE_ERRORS;
use crate::problem::{Problem, printable, wrap};

use super::grant::{Grant, in_words};
use super::style::{Style, WIDTH, paragraph};

/// What is about to happen, and where; the device flow has no redirect.
pub fn introduction(settings: &Settings, device: bool, style: Style) -> String {
    let mut rows = vec![("server", settings.shown_url()), ("profile", settings.profile.clone())];
    if let Some(tenant) = tenant(settings) {
        rows.insert(0, ("tenant", tenant.to_owned()));
    }
    if let Some(client_id) = &settings.oauth.client_id {
        rows.push(("client id", client_id.clone()));
    }
    // A client that registers itself has not chosen its port yet.
    if !device && settings.oauth.client_id.is_some() {
        rows.push(("redirect", settings.oauth.callback.redirect_url()));
    }
    let head = style.strong(&format!("Signing in to {}.", settings.service_name()));
    format!("{head}\n{}", style.table(&rows))
}

/// The code, where to type it, and how long it is valid.
pub fn waiting_for_code(code: &str, page: &str, page_with_code: Option<&str>, within: Duration) -> String {
    let mut out = format!("\nOpen this page on any device:\n\n{page}\n\nand enter this code there:\n\n    {code}\n\n");
    if let Some(page) = page_with_code {
        out.push_str(&format!(
            "Or open this link, which contains the code; check that the page shows it:\n\n{page}\n\n"
        ));
    }
    out.push_str(&format!("Waiting up to {}. Press Ctrl-C to cancel.\n", in_words(within.as_secs())));
    out
}

/// The link, what to do with it, and the errors that only the page shows.
pub fn waiting(settings: &Settings, link: &str, opened: bool, can_paste: bool) -> String {
    let mut out = waiting_at(link, opened, can_paste);
    out.push_str(&format!(
        "Waiting up to {} minutes. Press Ctrl-C to cancel.\n",
        settings.limits.sign_in.as_secs() / 60
    ));
    out
}

/// What to do when the page shows that the server has forgotten the client that registered itself: it tells nobody else.
pub fn client_unknown(settings: &Settings) -> String {
    paragraph(&format!(
        "If the page says that it does not know the client, press Ctrl-C and run `{}`: planhat-mcp then registers again.",
        settings.command("login --restart")
    ))
}

fn waiting_at(link: &str, opened: bool, can_paste: bool) -> String {
    let lead = if opened {
        "Opening your browser. Approve access there. If no page opens, use this link:"
    } else {
        "Open this link in a browser, on this or any other device, and approve access:"
    };
    let mut out = format!("\n{lead}\n\n{link}\n\n");
    if can_paste {
        let text = "If the browser ends on \"can't reach this page\" (normal on another device), copy the full \
                    address from its address bar, paste it here and press Enter.";
        out.push_str(&(paragraph(text) + "\n"));
    }
    out
}

/// Says that another process is signing in, and how to take part.
pub fn joined(settings: &Settings, link: Option<&str>, opened: bool, can_paste: bool, within: Duration) -> String {
    let mut out = "\nAnother sign-in is already in progress. Waiting for it to finish.\n".to_owned();
    if let Some(link) = link {
        out.push_str(&waiting_at(link, opened, can_paste));
    }
    let restart = settings.command("login --restart");
    let text = format!(
        "Waiting up to {}. Press Ctrl-C to stop waiting, or run `{restart}` to start over.",
        in_words(within.as_secs())
    );
    out.push_str(&paragraph(&text));
    out
}

/// Some errors appear only on Planhat's page; this explains them.
pub fn page_errors(settings: &Settings, style: Style) -> String {
    let mut out = "If Planhat's page shows an error instead:\n".to_owned();
    for (text, id) in PLANHAT_PAGE_ERRORS {
        let problem = Problem::new(*id)
            .with("redirect_url", settings.oauth.callback.redirect_url())
            .with("command", settings.command("login"));
        out.push_str(&format!(
            "  {}\n      {}\n",
            style.strong(&format!("\"{text}\"")),
            wrap(&problem.fix(), 6, WIDTH)
        ));
    }
    out.push('\n');
    out
}

/// Planhat's tenant, with the host that people know it by.
fn tenant(settings: &Settings) -> Option<&'static str> {
    match settings.product {
        Product::Planhat => Some("production (ws.planhat.com)"),
        Product::PlanhatDemo => Some("demo (ws.planhatdemo.com)"),
        Product::Other => None,
    }
}

/// The outcome.
pub fn done(settings: &Settings, grant: &Grant, now: u64, style: Style) -> String {
    let mut out = format!(
        "\n{}\n{}\n",
        style.good(&format!("Signed in to {}.", settings.service_name())),
        style.table(&grant.rows(settings, now)),
    );
    if let (Some(requested), Some(granted)) = (&settings.oauth.scope, &grant.scope)
        && !scope::covers(granted.as_str(), requested)
    {
        let text = format!("The server granted less access than requested. Requested: {}", printable(requested));
        out.push_str(&format!("{}\n", style.attention(&wrap(&text, 0, WIDTH))));
    }
    let again = match settings.token_store {
        TokenStoreKind::Memory => {
            "Signed in, but only for this command: with --token-store memory nothing is saved, and each MCP client signs in \
             separately."
                .to_owned()
        }
        TokenStoreKind::Keychain | TokenStoreKind::File => {
            format!(
                "Your MCP client can use {} now. To see this again: {}",
                settings.service_name(),
                settings.command("status")
            )
        }
    };
    out.push_str(&paragraph(&again));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Paths, server};

    fn settings(url: &str) -> Settings {
        let url = url::Url::parse(url).expect("a constant");
        Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() })
    }

    #[test]
    fn the_link_is_shown_whole_and_all_that_comes_before_a_person_acts_fits_a_small_screen() {
        let link = format!("https://ws.planhat.com/oauth/authorize?{}", "x".repeat(300));
        let settings = settings(server::PRODUCTION_URL);
        let text = introduction(&settings, false, Style::PLAIN) + &waiting(&settings, &link, true, true);
        assert!(text.contains(&format!("\n{link}\n")) && text.contains("5 minutes"), "{text}");
        let rows: usize = text.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
        assert!(rows <= 22, "beside the command and the next prompt: {rows} in {text}");
    }

    #[test]
    fn the_help_explains_what_planhats_page_cannot_tell_us() {
        let text = page_errors(&settings(server::PRODUCTION_URL), Style::PLAIN);
        for words in [
            "Invalid client_id: OAuth client not found.",
            "Invalid redirect_uri: not registered for this client.",
            "You do not have any of the permissions this application requests.",
            "OAuth permission check failed: missing permissions",
            "http://127.0.0.1:7526/callback",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_scope_that_is_narrower_than_what_was_asked_for_is_told() {
        let mut settings = settings("https://mcp.example.com/mcp");
        settings.oauth.scope = Some("read write".to_owned());
        let grant = |scope: &str| Grant {
            client_id: None,
            person: None,
            scope: Some(crate::secret::Secrets::none().words(scope)),
            expires_at: None,
            renewable: true,
            kept: String::new(),
        };
        let shown = |scope: &str| done(&settings, &grant(scope), 0, Style::PLAIN);
        assert!(
            shown("read").contains("granted less access than requested. Requested: read write\n"),
            "{}",
            shown("read")
        );
        assert!(!shown("write read more").contains("less access"), "{}", shown("write read more"));
    }

    #[test]
    fn a_sign_in_that_is_kept_in_memory_is_not_promised_to_clients() {
        let mut settings = settings("https://mcp.example.com/mcp");
        let grant = Grant {
            client_id: None,
            person: None,
            scope: None,
            expires_at: None,
            renewable: false,
            kept: String::new(),
        };
        assert!(done(&settings, &grant, 0, Style::PLAIN).contains("can use mcp.example.com now"));
        settings.token_store = TokenStoreKind::Memory;
        assert!(done(&settings, &grant, 0, Style::PLAIN).contains("only for this command"));
    }

    #[test]
    fn a_sign_in_that_is_under_way_is_told_with_how_to_take_part_in_it_and_how_to_start_over() {
        let link = format!("https://as.example.com/authorize?{}", "x".repeat(300));
        let settings = settings("https://mcp.example.com/mcp");
        let text = joined(&settings, Some(&link), true, true, Duration::from_secs(250));
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = words.join(" ");
        for words in [link.as_str(), "already in progress", "4 minutes", "login --restart", "paste"] {
            assert!(line.contains(words), "{words} in {text}");
        }
        assert!(text.lines().all(|line| line == link || line.chars().count() <= 80), "{text}");
        assert!(!joined(&settings, None, true, false, Duration::ZERO).contains("link"));
    }

    #[test]
    fn another_server_is_not_explained_with_planhats_words() {
        let settings = settings("https://mcp.example.com/mcp");
        let text = introduction(&settings, false, Style::PLAIN)
            + &waiting(&settings, "https://as.example.com/a", false, false);
        assert!(!text.contains("Planhat") && text.contains("mcp.example.com"), "{text}");
    }
}

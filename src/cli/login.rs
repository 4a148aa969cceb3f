//! `planhat-mcp login`: signs in at the terminal, or on the order of a bridge.

use std::io::{BufRead, Read};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::auth::coordination::process;
use crate::auth::discovery::scope;
use crate::auth::{LoginEvent, LoginOptions, LoginUi, PageOpening, Silent};
use crate::clock;
use crate::config::{Product, Settings, TokenStoreKind};
use crate::limits::PASTED_LINE_BYTES;
use crate::logging;
use crate::problem::catalogue::PLANHAT_PAGE_ERRORS;
use crate::problem::wrap;
use crate::problem::{Problem, ProblemId, printable};
use crate::secret::Secret;
use crate::store::Store;

use super::args::LoginArgs;
use super::context::{authorizer, block_on};
use super::grant::{Grant, in_words};
use super::style::{Style, WIDTH, paragraph};
use super::{terminal, typed_secret};

/// Signs in.
pub fn run(settings: Arc<Settings>, how: &LoginArgs) -> Result<ExitCode, Problem> {
    if settings.static_token.is_some() {
        terminal::say(
            "PLANHAT_MCP_TOKEN is set: this access token is sent as it is, so there is nothing to sign in.\n",
        );
        return Ok(ExitCode::SUCCESS);
    }
    if how.token_from_stdin {
        return keep_token(&settings);
    }
    if settings.oauth.client_credentials {
        return try_client_credentials(&settings);
    }
    let settings = typed_secret::asked_for(settings)?;
    block_on(async {
        terminal::say(&introduction(&settings, how.device, terminal::style()));
        // A person can paste; a script has to opt in with --no-browser.
        let can_paste = !how.device && (how.no_browser || terminal::is_interactive());
        let paste = can_paste.then(pasted_lines);
        let auth = authorizer(&settings, Store::ATTENDED_TIMEOUT);
        let mut ui = Ui { settings: &settings, opened: !how.no_browser, can_paste: paste.is_some() };
        let options = LoginOptions {
            open_browser: !how.no_browser,
            paste,
            device: how.device,
            since: None,
            restart: how.restart,
            by_person: terminal::is_typed(),
        };
        let granted = match auth.login(options, &mut ui).await {
            Err(problem) if problem.id == ProblemId::SignInNotWanted => {
                terminal::say(&paragraph(&format!("{} {}", problem.what(), problem.fix())));
                return Ok(ExitCode::SUCCESS);
            }
            granted => granted?,
        };
        let grant = Grant::new(granted, auth.backend());
        terminal::say(&done(&settings, &grant, clock::system().unix_seconds(), terminal::style()));
        Ok(ExitCode::SUCCESS)
    })?
}

/// Stores an access token that is typed or piped in, such as a Private App's.
fn keep_token(settings: &Arc<Settings>) -> Result<ExitCode, Problem> {
    let unusable = |detail: &dyn std::fmt::Display| Problem::new(ProblemId::TokenUnusable).with("detail", detail);
    let typed = terminal::ask_secret("Access token: ").map_err(|error| unusable(&error))?;
    let token = Secret::from(typed.expose().trim());
    if token.is_empty() || !token.expose().bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
        return Err(unusable(&"it is empty, or not one word"));
    }
    block_on(async {
        let auth = authorizer(settings, Store::ATTENDED_TIMEOUT);
        let granted = auth.keep_token(token).await?;
        if terminal::is_typed() {
            auth.brake().lift().await;
        }
        let grant = Grant::new(granted, auth.backend());
        terminal::say(&format!(
            "The access token for {} is kept {}, and is sent as it is. `{}` removes it.\n",
            settings.service_name(),
            grant.kept,
            settings.command("logout")
        ));
        Ok(ExitCode::SUCCESS)
    })?
}

/// Client credentials need no person; this shows whether they work.
fn try_client_credentials(settings: &Arc<Settings>) -> Result<ExitCode, Problem> {
    block_on(async {
        let auth = authorizer(settings, Store::ATTENDED_TIMEOUT);
        let options = LoginOptions { by_person: terminal::is_typed(), ..LoginOptions::default() };
        let granted = auth.login(options, &mut Silent).await?;
        terminal::say(&format!(
            "{} gives tokens to the client {} without a sign-in. Nothing else is to be done.\n",
            granted.issuer, granted.client_id
        ));
        Ok(ExitCode::SUCCESS)
    })?
}

/// Signs in on the order of a bridge: nobody watches, and the outcome goes to the records that the bridges read.
///
/// Its settings are in the order, not in this process's environment or arguments.
pub fn run_order() -> Result<ExitCode, Problem> {
    let (settings, challenge, since, opening) = process::read_order(std::io::stdin())?;
    process::detach();
    logging::start(settings.log.level.into(), settings.log.file.as_deref())?;
    logging::report_panics();
    let settings = Arc::new(settings);
    block_on(async {
        let auth = authorizer(&settings, Store::ATTENDED_TIMEOUT);
        auth.note_challenge(challenge);
        let open_browser = opening == PageOpening::Browser;
        let options = LoginOptions { open_browser, since: Some(since), ..LoginOptions::default() };
        auth.login(options, &mut Silent).await?;
        Ok(ExitCode::SUCCESS)
    })?
}

/// Shows a sign-in to the person at the terminal.
struct Ui<'a> {
    settings: &'a Settings,
    opened: bool,
    can_paste: bool,
}

impl LoginUi for Ui<'_> {
    fn event(&mut self, event: LoginEvent<'_>) {
        match event {
            LoginEvent::BrowserOpened => {}
            LoginEvent::Found { issuer, client_id, elsewhere } => {
                let mut rows = vec![("sign-in at", printable(issuer))];
                rows.extend(elsewhere.page.as_deref().map(|origin| ("its page at", printable(origin))));
                rows.extend(elsewhere.tokens.as_deref().map(|origin| ("tokens from", printable(origin))));
                if self.settings.oauth.client_id.is_none() {
                    rows.push(("client", client_id.to_string()));
                }
                terminal::say(&terminal::style().table(&rows));
            }
            LoginEvent::Code { code, page, page_with_code, within } => {
                terminal::say(&waiting_for_code(code.as_str(), page, page_with_code, within));
            }
            LoginEvent::Joined { link, within } => {
                let style = terminal::style();
                terminal::say(&joined(self.settings, link, self.opened, self.can_paste, within, style));
            }
            LoginEvent::Waiting { link, may_be_forgotten, .. } => {
                terminal::say(&waiting(self.settings, link, self.opened, self.can_paste, terminal::style()));
                if may_be_forgotten {
                    terminal::say(&client_unknown(self.settings));
                }
            }
            LoginEvent::BrowserNotOpened(problem) => {
                terminal::say(&paragraph(&format!("{} Open the link yourself.", problem.what())));
            }
            LoginEvent::PasteRejected(problem) => {
                terminal::say(&paragraph(&format!("{} {}", problem.what(), problem.fix())));
            }
            LoginEvent::Answered => terminal::say("The answer is here; fetching the tokens.\n"),
        }
    }
}

/// What is about to happen, and where; the device flow has no redirect.
pub fn introduction(settings: &Settings, device: bool, style: Style) -> String {
    let mut rows = vec![("server", settings.shown_url()), ("profile", settings.profile.clone())];
    if let Some(tenant) = tenant(settings) {
        rows.insert(0, ("tenant", tenant.to_owned()));
    }
    if let Some(client_id) = &settings.oauth.client_id {
        rows.push(("client", client_id.clone()));
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
    let mut out = format!("\nOpen this page on any device:\n\n{page}\n\nand type this code there:\n\n    {code}\n\n");
    if let Some(page) = page_with_code {
        out.push_str(&format!("This link needs no typing; check that the page shows the same code:\n\n{page}\n\n"));
    }
    out.push_str(&format!("Waiting for up to {}. Ctrl-C ends it.\n", in_words(within.as_secs())));
    out
}

/// The link, what to do with it, and the errors that only the page shows.
pub fn waiting(settings: &Settings, link: &str, opened: bool, can_paste: bool, style: Style) -> String {
    let mut out = waiting_at(settings, link, opened, can_paste, style);
    out.push_str(&format!("Waiting for up to {} minutes. Ctrl-C ends it.\n", settings.limits.sign_in.as_secs() / 60));
    out
}

/// What to do when the page shows that the server has forgotten the client that registered itself: it tells nobody else.
pub fn client_unknown(settings: &Settings) -> String {
    paragraph(&format!(
        "If the page says that it does not know the client, press Ctrl-C and run `{}`: the program then registers itself \
         anew.",
        settings.command("login --restart")
    ))
}

fn waiting_at(settings: &Settings, link: &str, opened: bool, can_paste: bool, style: Style) -> String {
    let lead = if opened {
        "Your browser opens. Allow the access there. If no page appears, open this link:"
    } else {
        "Open this link in a browser, on this or any other device, and allow the access:"
    };
    let mut out = format!("\n{lead}\n\n{link}\n\n");
    if can_paste {
        let text = "When the browser ends on a page that it cannot show (as on another device), paste the whole \
                    address from its address bar here, and press Enter.";
        out.push_str(&(paragraph(text) + "\n"));
    }
    if settings.product.is_planhat() {
        out.push_str(&page_errors(settings, style));
    }
    out
}

/// Says that another process is signing in, and how to take part.
pub fn joined(
    settings: &Settings,
    link: Option<&str>,
    opened: bool,
    can_paste: bool,
    within: Duration,
    style: Style,
) -> String {
    let mut out = "\nA sign-in is under way already, in another process; this waits for its end.\n".to_owned();
    if let Some(link) = link {
        out.push_str(&waiting_at(settings, link, opened, can_paste, style));
    }
    let restart = settings.command("login --restart");
    let text =
        format!("Waiting for up to {}. Ctrl-C ends the waiting; `{restart}` starts over.", in_words(within.as_secs()));
    out.push_str(&paragraph(&text));
    out
}

/// Some errors appear only on Planhat's page; this explains them.
fn page_errors(settings: &Settings, style: Style) -> String {
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
        let text = format!("The server granted less than was asked for, which was: {}.", printable(requested));
        out.push_str(&format!("{}\n", style.attention(&wrap(&text, 0, WIDTH))));
    }
    let again = match settings.token_store {
        TokenStoreKind::Memory => {
            "It works, and it ends with this command: what is kept in memory no MCP client sees; each signs in by itself."
                .to_owned()
        }
        TokenStoreKind::Keychain | TokenStoreKind::File => {
            format!("Your MCP client can use it now. `{}` shows this again.", settings.command("status"))
        }
    };
    out.push_str(&paragraph(&again));
    out
}

/// The lines that the user pastes. The thread ends with stdin, or with the process.
pub fn pasted_lines() -> mpsc::UnboundedReceiver<String> {
    let (send, receive) = mpsc::unbounded_channel();
    let read = move || read_lines(std::io::stdin().lock(), &send);
    // Without the thread nothing can be pasted; the redirect still works.
    let _ = std::thread::Builder::new().name("paste".to_owned()).spawn(read);
    receive
}

/// Forwards the lines that are not blank. No line ends it: after a wrong paste the right one may follow.
fn read_lines(mut input: impl BufRead, lines: &mpsc::UnboundedSender<String>) {
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(PASTED_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        if !line.ends_with(b"\n") && input.skip_until(b'\n').is_err() {
            return;
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if !line.is_empty() && lines.send(line).is_err() {
            return;
        }
    }
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
    fn the_waiting_text_shows_the_whole_link_and_what_planhats_page_cannot_tell_us() {
        let link = format!("https://ws.planhat.com/oauth/authorize?{}", "x".repeat(300));
        let text = waiting(&settings(server::PRODUCTION_URL), &link, true, true, Style::PLAIN);
        assert!(text.contains(&format!("\n{link}\n")), "{text}");
        for words in [
            "Invalid client_id: OAuth client not found.",
            "Invalid redirect_uri: not registered for this client.",
            "You do not have any of the permissions this application requests.",
            "OAuth permission check failed: missing permissions",
            "http://127.0.0.1:7526/callback",
            "5 minutes",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert!(text.lines().all(|line| line == link || line.chars().count() <= 80), "{text}");
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
        assert!(shown("read").contains("granted less than was asked for, which was: read write."), "{}", shown("read"));
        assert!(!shown("write read more").contains("less than"), "{}", shown("write read more"));
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
        assert!(done(&settings, &grant, 0, Style::PLAIN).contains("can use it now"));
        settings.token_store = TokenStoreKind::Memory;
        assert!(done(&settings, &grant, 0, Style::PLAIN).contains("ends with this command"));
    }

    #[test]
    fn a_sign_in_that_is_under_way_is_told_with_how_to_take_part_in_it_and_how_to_start_over() {
        let link = format!("https://as.example.com/authorize?{}", "x".repeat(300));
        let settings = settings("https://mcp.example.com/mcp");
        let text = joined(&settings, Some(&link), true, true, Duration::from_secs(250), Style::PLAIN);
        let words: Vec<&str> = text.split_whitespace().collect();
        let line = words.join(" ");
        for words in [link.as_str(), "under way already", "4 minutes", "login --restart", "paste"] {
            assert!(line.contains(words), "{words} in {text}");
        }
        assert!(text.lines().all(|line| line == link || line.chars().count() <= 80), "{text}");
        assert!(!joined(&settings, None, true, false, Duration::ZERO, Style::PLAIN).contains("link"));
    }

    #[test]
    fn no_pasted_line_keeps_the_next_one_from_being_read() {
        let mut typed = b"\n  \ncaf\xe9 \xff\n".to_vec();
        for _ in 0..40 {
            typed.extend(std::iter::repeat_n(b'x', 100 * 1024));
            typed.push(b'\n');
        }
        typed.extend_from_slice(b"the last one");
        let (send, mut lines) = mpsc::unbounded_channel();
        read_lines(&typed[..], &send);
        drop(send);
        let mut read = Vec::new();
        while let Ok(line) = lines.try_recv() {
            read.push(line);
        }
        assert_eq!(read.len(), 42);
        assert!(read.iter().all(|line| line.len() as u64 <= PASTED_LINE_BYTES));
        assert!(read[0].starts_with("caf"), "{}", read[0]);
        assert_eq!(read[41], "the last one");
    }

    #[test]
    fn another_server_is_not_explained_with_planhats_words() {
        let settings = settings("https://mcp.example.com/mcp");
        let text = introduction(&settings, false, Style::PLAIN)
            + &waiting(&settings, "https://as.example.com/a", false, false, Style::PLAIN);
        assert!(!text.contains("Planhat") && text.contains("mcp.example.com"), "{text}");
    }
}

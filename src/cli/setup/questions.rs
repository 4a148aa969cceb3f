//! What `setup` asks, how it takes the answers, and which option stands for each question.

use std::io::{self, BufRead};

use crate::cli::terminal;
use crate::clients::{Client, table};
use crate::config::key::Key;
use crate::config::origin::Origin;
use crate::config::{Loaded, Product};
use crate::problem::{Problem, ProblemId, wrap};

/// How often a question is asked again after an answer that cannot be used.
const ATTEMPTS: usize = 3;

/// The setting that an answer is for, and its text; `None` where nothing had to be asked.
pub type Asked = Option<(Key, String)>;

/// Which tenant, unless the settings name a server.
pub fn tenant(loaded: &Loaded) -> Result<Asked, Problem> {
    let origin = &loaded.rows.iter().find(|row| row.key == Key::Url).map(|row| row.origin.clone());
    if origin.as_ref().is_none_or(|origin| *origin != Origin::BuiltIn) || !terminal::is_interactive() {
        // Without anybody to ask, it is production, as everywhere.
        return Ok(None);
    }
    let question = "Where do you open Planhat? Enter for ws.planhat.com; for another place, its address, such as \
                    ws.planhatdemo.com: ";
    let product = repeated(question, "--tenant", |answer| match answer {
        "" => Ok(Product::Planhat),
        other => Product::of_words(other).ok_or("That is no address of Planhat.".to_owned()),
    })?;
    Ok((product == Product::PlanhatDemo).then(|| (Key::Tenant, "demo".to_owned())))
}

/// As which client, at Planhat; other servers are asked for one when it comes to that.
pub fn client_id(loaded: &Loaded) -> Result<Asked, Problem> {
    let settings = &loaded.settings;
    if !settings.product.is_planhat() || settings.oauth.client_id.is_some() || settings.static_token.is_some() {
        return Ok(None);
    }
    if !terminal::is_interactive() {
        return Err(missing("--client-id"));
    }
    let redirect_url = settings.oauth.callback.redirect_url();
    let explained = format!(
        "An admin of your Planhat creates an OAuth client in the App Center, with exactly this redirect URL: {redirect_url} . \
         Its client id begins with pk_, its client secret with sk_."
    );
    terminal::tell(&format!("\n{}\n", wrap(&explained, 0, 80)));
    let id = repeated("Client id (pk_...): ", "--client-id", |answer| {
        if answer.starts_with("sk_") {
            Err("That is the client secret, which is asked for next. The client id begins with pk_ .".to_owned())
        } else if answer.starts_with("pk_") && answer.chars().all(|c| c.is_ascii_graphic()) {
            Ok(answer.to_owned())
        } else {
            Err("A client id of Planhat begins with pk_ , and is one word.".to_owned())
        }
    })?;
    Ok(Some((Key::ClientId, id)))
}

/// Into which clients: those that the options name, or those that somebody chooses among the `found`.
pub fn clients(named: &[String], found: &[&'static Client]) -> Result<Vec<&'static Client>, Problem> {
    if !named.is_empty() {
        return Ok(chosen(&named.join(" "), found).unwrap_or_default());
    }
    if !terminal::is_interactive() {
        return Err(missing("--into"));
    }
    if found.is_empty() {
        terminal::tell("\nNo MCP client that planhat-mcp knows was found on this computer.\n");
        return Ok(Vec::new());
    }
    let mut text = String::from("\nMCP clients on this computer:\n");
    for (n, client) in found.iter().enumerate() {
        text.push_str(&format!("  {:>2}  {}\n", n + 1, client.title));
    }
    terminal::tell(&text);
    let question = "Which are to use it? Enter for all, numbers such as 1 3, or none: ";
    repeated(question, "--into", |answer| {
        let answer = if answer.is_empty() { "all" } else { answer };
        chosen(answer, found).map_err(|word| format!("\"{word}\" is none of them."))
    })
}

/// The clients of an answer: numbers of the list, names, `all` or `none`.
///
/// # Errors The first word that is none of these.
fn chosen(answer: &str, found: &[&'static Client]) -> Result<Vec<&'static Client>, String> {
    let mut clients: Vec<&'static Client> = Vec::new();
    for word in answer.split([' ', ',']).filter(|word| !word.is_empty()) {
        match word.to_ascii_lowercase().as_str() {
            "all" | "a" => clients.extend(found.iter().copied()),
            "none" | "n" | "no" => {}
            name => {
                let numbered = name.parse::<usize>().ok().and_then(|n| found.get(n.checked_sub(1)?)).copied();
                clients.push(numbered.or_else(|| table::named(name)).ok_or_else(|| word.to_owned())?);
            }
        }
    }
    let mut once: Vec<&'static Client> = Vec::new();
    for client in clients {
        if !once.iter().any(|other| other.id == client.id) {
            once.push(client);
        }
    }
    Ok(once)
}

/// Asks until the answer can be used, a few times.
fn repeated<T>(question: &str, flag: &str, take: impl Fn(&str) -> Result<T, String>) -> Result<T, Problem> {
    for _ in 0..ATTEMPTS {
        terminal::tell(&format!("\n{}", wrap(question, 0, 80)));
        terminal::tell(" ");
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if !matches!(read, Ok(1..)) {
            break;
        }
        match take(line.trim()) {
            Ok(answer) => return Ok(answer),
            Err(why) => terminal::tell(&format!("{}\n", wrap(&why, 0, 80))),
        }
    }
    Err(missing(flag))
}

fn missing(flag: &str) -> Problem {
    Problem::new(ProblemId::AnswerMissing).with("flag", flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_chosen_by_number_by_name_or_all_at_once_and_each_counts_once() {
        let found: Vec<&'static Client> =
            ["claude-code", "cursor", "vscode"].iter().filter_map(|id| table::named(id)).collect();
        let ids =
            |answer| chosen(answer, &found).map(|clients| clients.iter().map(|client| client.id).collect::<Vec<_>>());
        assert_eq!(ids("1 3"), Ok(vec!["claude-code", "vscode"]));
        assert_eq!(ids("2, 2,cursor"), Ok(vec!["cursor"]));
        assert_eq!(ids("ALL"), Ok(vec!["claude-code", "cursor", "vscode"]));
        assert_eq!(ids("codex"), Ok(vec!["codex"]));
        assert_eq!(ids("none"), Ok(vec![]));
        assert_eq!(ids("0"), Err("0".to_owned()));
        assert_eq!(ids("1 4"), Err("4".to_owned()));
        assert_eq!(ids("kursor"), Err("kursor".to_owned()));
    }
}

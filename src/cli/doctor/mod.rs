//! `planhat-mcp doctor`: checks each step from the settings to a list of tools, and says whether it works and, if not,
//! what to do.
//!
//! A file for each group of checks: [`clients`] (with [`crate::clients`]), [`network`], [`storage`],
//! [`sign_in`], [`server`]; [`row`] shows them, [`report`] writes them to a file. It starts and changes nothing, except
//! that it tests the token store with a dummy record, and that [`fix`] mends what it was asked and allowed to.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::args::DoctorArgs;
use super::context::block_on;
use super::style::Style;
use super::terminal;
use crate::auth::checkup::Checkup;
use crate::auth::mending::{self, Fault};
use crate::auth::{Authorizer, Challenge};
use crate::clients::Folders;
use crate::clock;
use crate::config::key::Key;
use crate::config::{Loaded, Settings};
use crate::http::Http;
use crate::problem::catalogue::exit;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;
use crate::store::Store;

mod clients;
mod fix;
mod network;
mod report;
pub mod row;
mod server;
mod sign_in;
mod storage;

use fix::Fix;
use row::{Group, Row};

/// How long the keychain may take; a person may have to answer its dialog.
const STORE_TIMEOUT: Duration = Duration::from_secs(15);

/// Runs the checks and shows the results.
pub fn run(loaded: &Result<Loaded, Problem>, how: &DoctorArgs) -> Result<ExitCode, Problem> {
    if !how.json && how.report.is_none() && terminal::is_interactive() {
        terminal::tell("Checking; this takes a few seconds.\n");
    }
    let folders = Folders::of_this_user();
    let home = folders.as_ref().map(|folders| folders.home.clone());
    let Checked { mut groups, secrets, faults, auth } = block_on(check(loaded.as_ref(), folders))?;
    if let Some(home) = home.as_deref().and_then(Path::to_str).filter(|home| home.len() > 1) {
        groups.iter_mut().flat_map(|group| &mut group.rows).for_each(|row| row.shorten(home));
    }
    if how.fix {
        return mend(loaded, how, &groups, fix::plan(faults), auth.as_deref());
    }
    let loaded = loaded.as_ref().ok();
    if let Some(file) = &how.report {
        let facts =
            report::Facts { loaded, groups: &groups, home: home.as_deref(), now: clock::system().unix_seconds() };
        let text = if how.json { report::json(&facts) } else { report::text(&facts) };
        let text = report::without(&secrets, &text);
        let file = if file.is_empty() { report::DEFAULT_FILE } else { file };
        if file == "-" {
            terminal::say(&text);
            return Ok(row::exit_code(&groups));
        }
        let path = PathBuf::from(file);
        report::write(&path, &text)?;
        terminal::tell(&format!(
            "Saved the report to {}. It contains no secrets; please review it before you send it.\n",
            path.display()
        ));
    }
    if how.json {
        terminal::say(&json(loaded, &groups, None));
    } else {
        let style = terminal::style();
        terminal::say(&row::text(&head(loaded, style), &groups, style));
    }
    Ok(row::exit_code(&groups))
}

/// What a setup checks before anybody signs in: all of it but clients' files.
pub async fn groups(loaded: &Loaded) -> Vec<Group> {
    check(Ok(loaded), None).await.groups
}

/// Whether the server lists its tools.
pub async fn tools(settings: &Arc<Settings>) -> Row {
    let http = Http::new(settings.network.clone());
    let store = Store::open(settings, STORE_TIMEOUT);
    let auth = Authorizer::new(Arc::clone(settings), http.clone(), store, clock::system());
    server::check(settings, &http, &auth).await
}

/// Shows what is wrong and can be mended, asks, mends it, and checks again.
fn mend(
    loaded: &Result<Loaded, Problem>,
    how: &DoctorArgs,
    groups: &[Group],
    mut fixes: Vec<Fix>,
    auth: Option<&Authorizer>,
) -> Result<ExitCode, Problem> {
    let (found, style) = (loaded.as_ref().ok(), terminal::style());
    let show = |groups: &[Group], fixes: &[Fix]| {
        if how.json {
            terminal::say(&json(found, groups, Some(fixes)));
        } else {
            terminal::say(&row::text(&head(found, style), groups, style));
            terminal::say(&fix::text(fixes, style));
        }
    };
    let (Some(auth), false) = (auth, fixes.is_empty()) else {
        show(groups, &fixes);
        return Ok(row::exit_code(groups));
    };
    if !how.yes {
        // A program that reads the result gets one document, before anything is asked.
        if !(how.json && terminal::is_interactive()) {
            show(groups, &fixes);
        } else {
            terminal::tell(&fix::text(&fixes, style));
        }
        if !terminal::confirm("\nDo this? [y/N] ") {
            let command = found.map(|loaded| loaded.settings.command("doctor --fix")).unwrap_or_default();
            return Err(Problem::new(ProblemId::FixNotConfirmed).with("command", command));
        }
    }
    block_on(fix::mend(auth, &mut fixes))?;
    let checked = block_on(check(loaded.as_ref(), Folders::of_this_user()))?;
    show(&checked.groups, &fixes);
    let failed = fix::failed(&fixes).map(Problem::exit_code);
    Ok(failed.unwrap_or_else(|| row::exit_code(&checked.groups)))
}

/// What is checked.
fn head(loaded: Option<&Loaded>, style: Style) -> String {
    let about = loaded.map(|loaded| {
        let settings = &loaded.settings;
        let line = format!("{} (profile {})", settings.service_name(), settings.profile);
        format!("{}\n{}", style.strong(&line), settings.shown_url())
    });
    about.unwrap_or_else(|| style.strong("planhat-mcp"))
}

fn json(loaded: Option<&Loaded>, groups: &[Group], fixes: Option<&[Fix]>) -> String {
    let settings = loaded.map(|loaded| &loaded.settings);
    let mut value = json!({
        "schema": terminal::JSON_SCHEMA,
        "version": env!("CARGO_PKG_VERSION"),
        "service": settings.map(Settings::service_name),
        "url": settings.map(Settings::shown_url),
        "profile": settings.map(|settings| settings.profile.as_str()),
        "ok": groups.iter().flat_map(|group| &group.rows).all(|row| row.outcome != row::Outcome::Fail),
        "begin_with": row::begin_with(groups).map(|row| row.name),
        "checks": row::json(groups),
    });
    if let Some(fixes) = fixes {
        value["fixes"] = json!(fix::json(fixes));
    }
    serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"
}

/// What the checks have found.
struct Checked {
    groups: Vec<Group>,
    secrets: Secrets,
    faults: Vec<Fault>,
    /// `None` without usable settings.
    auth: Option<Arc<Authorizer>>,
}

/// All checks; independent ones run at the same time.
async fn check(loaded: Result<&Loaded, &Problem>, folders: Option<Folders>) -> Checked {
    let run = loaded.ok().map(|loaded| loaded.settings.clone());
    let checking_clients = tokio::task::spawn_blocking(move || {
        folders.map(|folders| clients::check(&folders, run.as_ref())).unwrap_or_default()
    });
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(problem) => {
            let mut rows = vec![Row::fail("configuration", problem.clone())];
            rows.extend(checking_clients.await.unwrap_or_default());
            let all = ["network", "token store", "discovery", "sign-in", "tools"];
            let skipped = all.into_iter().map(|name| Row::skip(name, "it needs \"configuration\"")).collect();
            let groups = vec![Group { title: "Settings", rows }, Group { title: "Everything else", rows: skipped }];
            return Checked { groups, secrets: Secrets::none(), faults: Vec::new(), auth: None };
        }
    };
    let settings = Arc::new(loaded.settings.clone());
    let http = Http::new(settings.network.clone());
    let auth =
        Authorizer::new(Arc::clone(&settings), http.clone(), Store::open(&settings, STORE_TIMEOUT), clock::system());
    let from = proxy_origin(loaded);
    let (clients, network, mut storage) = tokio::join!(
        checking_clients,
        network::check(&settings, &http, &from),
        storage::check(&settings, &auth, clock::system().unix_seconds()),
    );
    let anonymous_status = network.inspection.as_ref().map(|inspection| inspection.status.as_u16());
    if let Some(inspection) = &network.inspection {
        auth.note_challenge(Challenge::from_headers(&inspection.headers, &Secrets::none()));
    }
    let tools = match anonymous_status {
        None => Row::skip("tools", "the server cannot be reached"),
        Some(401) if !storage.signed_in => Row::skip("tools", "it needs \"sign-in\""),
        Some(_) => server::check(&settings, &http, &auth).await,
    };
    let findings = sign_in::Findings {
        reached: anonymous_status.is_some(),
        signed_in: storage.signed_in,
        works: storage.signed_in && tools.outcome == row::Outcome::Ok,
    };
    let signing_in = sign_in::check(&settings, &auth, findings).await;
    if signing_in.is_open {
        storage::needs_no_sign_in(&mut storage.group);
    }
    // A sign-in that works, or may work when the server does, is left alone, whatever a page says.
    let is_refused = tools.problem.as_ref().is_some_and(|problem| problem.id.entry().exit == exit::SIGN_IN);
    let may_work = storage.signed_in && !is_refused;
    let faults = mending::find(&auth, signing_in.dead.filter(|_| !may_work)).await;
    storage.group.rows.extend(fix::row(&settings, &faults));
    let mut rows = vec![configuration(loaded)];
    rows.extend(loaded.exposed.iter().map(|problem| Row::warn("secret file", problem.clone())));
    rows.extend(clients.unwrap_or_default());
    let groups = vec![
        Group { title: "Settings", rows },
        network.group,
        storage.group,
        signing_in.group,
        Group { title: "The server", rows: vec![tools] },
    ];
    Checked { groups, secrets: Checkup::secrets(&auth).await, faults, auth: Some(auth) }
}

/// The configuration file, and which settings come from where.
fn configuration(loaded: &Loaded) -> Row {
    let file = &loaded.settings.paths.config_file;
    let there = if file.exists() { "" } else { " (does not exist yet)" };
    let mut details: Vec<String> = loaded
        .rows
        .iter()
        .filter(|row| row.origin.rank() > 1 && row.value.is_some())
        .map(|row| format!("{} from {}", row.key.info().name, row.origin))
        .collect();
    details.extend(loaded.notes.iter().map(|note| format!("note: {note}")));
    Row::ok("configuration", format!("{}{there}", file.display())).with_details(details)
}

/// Which setting names the proxy.
fn proxy_origin(loaded: &Loaded) -> String {
    let row = loaded.rows.iter().find(|row| row.key == Key::Proxy && row.value.is_some());
    row.map_or_else(|| "the environment".to_owned(), |row| row.origin.to_string())
}

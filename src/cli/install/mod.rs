//! `planhat-mcp install` and `uninstall`: shows what changes in a client's file, asks, writes it, and says what to do next.
//!
//! [`offer`] does it for clients that another command has chosen.

use std::path::Path;
use std::process::ExitCode;

use super::args::{InstallArgs, UninstallArgs};
use super::style::{Style, paragraph};
use super::{entry_settings, terminal};
use crate::clients::client::Format;
use crate::clients::edit::{self, Place};
use crate::clients::entries::{Entry, PROGRAM};
use crate::clients::plan::{self, Change, Deed, Wanted};
use crate::clients::shape::Launch;
use crate::clients::table::{self, CLIENTS};
use crate::clients::{Client, Folders, Scope, Target, links, own, program, write};
use crate::config::key::Key;
use crate::config::origin::Origin;
use crate::config::{Loaded, Paths};
use crate::problem::{Problem, ProblemId};

pub mod arguments;
pub mod list;
pub mod show;

/// What is to be put into clients, and how.
struct Order<'a> {
    loaded: &'a Loaded,
    folders: &'a Folders,
    scope: Option<Scope>,
    name: String,
    is_named: bool,
    launch: Launch,
    keeps_arguments: bool,
    replaces: bool,
    consent: Consent,
}

/// How a change gets its consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    /// Somebody is asked.
    Asked,
    /// It was given with the command.
    Given,
    /// Nothing is to be changed.
    None,
}

impl Consent {
    fn of(is_given: bool, is_dry: bool) -> Self {
        match (is_given, is_dry) {
            (_, true) => Self::None,
            (true, _) => Self::Given,
            _ => Self::Asked,
        }
    }
}

/// Puts this program into clients.
pub fn run(loaded: &Loaded, flags: &[(Key, String)], how: &InstallArgs) -> Result<ExitCode, Problem> {
    let folders = Folders::of_this_user().ok_or(ProblemId::NoHome)?;
    let scope = how.whom.as_deref().and_then(Scope::named);
    let mut order = order(loaded, flags, &folders, Consent::of(how.yes, how.dry_run))?;
    (order.scope, order.replaces) = (scope, how.replace);
    if let Some(name) = &how.name {
        (order.name, order.is_named) = (name.clone(), true);
    }
    if how.print || how.link {
        return hand_out(&order, how);
    }
    let mut chosen = if how.all { table::on_this_machine(&folders) } else { named(&how.clients) };
    chosen.retain(|client| !how.all || scope.is_none_or(|scope| client.scopes.contains(&scope)));
    if chosen.is_empty() {
        return Err(ProblemId::NoClientHere.into());
    }
    each(&chosen, |client| put(client, &order).map(|()| Said::Something))
}

/// Puts this program into these clients, as `install` does; with `yes` without asking. Ends with the code of the first
/// client that could not be set up.
///
/// # Errors The settings do not belong into a file, or there is one client and it cannot be set up.
pub fn offer(
    loaded: &Loaded,
    flags: &[(Key, String)],
    clients: &[&'static Client],
    yes: bool,
) -> Result<ExitCode, Problem> {
    let folders = Folders::of_this_user().ok_or(ProblemId::NoHome)?;
    let order = order(loaded, flags, &folders, Consent::of(yes, false))?;
    each(clients, |client| put(client, &order).map(|()| Said::Something))
}

/// Takes this program out of clients.
pub fn uninstall(how: &UninstallArgs) -> Result<ExitCode, Problem> {
    let (folders, paths) = (Folders::of_this_user().ok_or(ProblemId::NoHome)?, Paths::of_this_user()?);
    if how.clients.is_empty() && !how.all {
        terminal::say(&list::text(&folders, terminal::style()));
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = if how.all { CLIENTS.iter().collect() } else { named(&how.clients) };
    let consent = Consent::of(how.yes, how.dry_run);
    let mut is_gone = false;
    let code = each(&chosen, |client| {
        let mut changes = Vec::new();
        for target in every_target(client, &folders) {
            // Several lists may stand in one file.
            let earlier = changes.iter().rev().find(|change: &&Change| change.target.file == target.file);
            let text = earlier.map_or_else(|| plan::text_of(&target), |change| Ok(change.after.clone()))?;
            changes.push(plan::uninstall(&target, text, how.name.as_deref())?);
        }
        if changes.iter().all(|change| !change.is_one()) {
            let Some(change) = changes.first().filter(|_| !how.all) else { return Ok(Said::Nothing) };
            terminal::say(&show::unchanged(change, &folders.home));
            return Ok(Said::Something);
        }
        changes.retain(Change::is_one);
        is_gone |= settle(&changes, &paths, &folders, consent, "uninstall", client)?;
        Ok(Said::Something)
    })?;
    if !is_gone && how.all && consent != Consent::None && code == ExitCode::SUCCESS {
        terminal::say("No client starts planhat-mcp.\n");
    }
    if is_gone {
        terminal::say(&paragraph("The sign-in stays on this computer; `planhat-mcp logout` deletes it."));
    }
    Ok(code)
}

/// Takes back what was done to clients' files.
pub fn undo(how: &InstallArgs) -> Result<ExitCode, Problem> {
    let (folders, paths) = (Folders::of_this_user().ok_or(ProblemId::NoHome)?, Paths::of_this_user()?);
    let chosen = if how.clients.is_empty() { CLIENTS.iter().collect() } else { named(&how.clients) };
    let consent = Consent::of(how.yes, how.dry_run);
    let mut is_any = false;
    let code = each(&chosen, |client| {
        let mut changes: Vec<Change> = Vec::new();
        for target in every_target(client, &folders) {
            let is_new = changes.iter().all(|change| change.target.file != target.file);
            changes.extend(write::take_back(&target, &paths)?.filter(|_| is_new));
        }
        if changes.is_empty() {
            return Ok(Said::Nothing);
        }
        is_any = true;
        settle(&changes, &paths, &folders, consent, "install --undo", client)?;
        Ok(Said::Something)
    })?;
    if !is_any {
        terminal::say(&paragraph("There is nothing to take back."));
    }
    Ok(code)
}

fn order<'a>(
    loaded: &'a Loaded,
    flags: &[(Key, String)],
    folders: &'a Folders,
    consent: Consent,
) -> Result<Order<'a>, Problem> {
    let words = arguments::of(loaded, flags)?;
    let keeps_arguments = words.is_empty();
    let (launch, name) = (program::launch(words)?, arguments::name(loaded));
    Ok(Order { loaded, folders, scope: None, name, is_named: false, launch, keeps_arguments, replaces: false, consent })
}

fn named(words: &[String]) -> Vec<&'static Client> {
    let mut found: Vec<&'static Client> = Vec::new();
    for client in words.iter().filter_map(|word| table::named(word)) {
        if !found.contains(&client) {
            found.push(client);
        }
    }
    found
}

fn every_target(client: &'static Client, folders: &Folders) -> Vec<Target> {
    let mut found: Vec<Target> = Vec::new();
    for target in client.scopes.iter().flat_map(|scope| client.targets(folders, *scope)) {
        // A home may be a project, too.
        if found.iter().all(|other| (&other.file, &other.list) != (&target.file, &target.list)) {
            found.push(target);
        }
    }
    found
}

/// What was said of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Something, after which the next client begins with an empty line.
    Something,
    /// Nothing: it has nothing to do with this.
    Nothing,
}

/// Does it for each client; one that fails does not stop the others.
fn each(
    clients: &[&'static Client],
    mut action: impl FnMut(&'static Client) -> Result<Said, Problem>,
) -> Result<ExitCode, Problem> {
    let (mut code, mut said) = (None, Said::Nothing);
    for client in clients {
        if said == Said::Something {
            terminal::say("\n");
        }
        said = Said::Something;
        match action(client) {
            Ok(now) => said = now,
            Err(problem) if clients.len() == 1 => return Err(problem),
            Err(problem) => {
                terminal::say(&show::failed(client.title, &problem, terminal::style()));
                code = code.or(Some(problem.exit_code()));
            }
        }
    }
    Ok(code.unwrap_or(ExitCode::SUCCESS))
}

fn put(client: &'static Client, order: &Order<'_>) -> Result<(), Problem> {
    let style = terminal::style();
    if client.format == Format::None {
        terminal::say(&format!("{}\n{}", snippet(client, order)?, show::next(client.next, style)));
        return Ok(());
    }
    let targets = targets(client, order)?;
    let mut replaces = order.replaces;
    let mut changes = planned(&targets, order, replaces)?;
    if order.consent == Consent::Asked && !order.replaces && terminal::is_interactive() {
        let beside: Vec<&str> = changes.iter().flat_map(|change| &change.beside).map(String::as_str).collect();
        let question = format!("{} reaches the same server through mcp-remote. Replace it? [y/N] ", beside.join(", "));
        if !beside.is_empty() && terminal::confirm(&question) {
            replaces = true;
            changes = planned(&targets, order, replaces)?;
        }
    }
    if !client.is_here(order.folders) && changes.iter().any(Change::is_one) {
        let text = format!("{} was not found on this computer; its file is created anyway.", client.title);
        terminal::say(&format!("{}\n", paragraph(&text)));
    }
    if changes.iter().any(|change| change.is_one() && change.target.scope == Scope::Project) {
        let text = format!(
            "The file is for all who work in this project. Where the program lies elsewhere on their machines, make its \
             command there `{PROGRAM}` alone, if it is on everybody's PATH; that is left as it is from then on."
        );
        terminal::say(&format!("{}\n", paragraph(&text)));
    }
    for change in changes.iter().filter(|change| !change.is_one()) {
        terminal::say(&show::unchanged(change, &order.folders.home));
    }
    changes.retain(Change::is_one);
    let paths = &order.loaded.settings.paths;
    let put = |change: &Change| match by_the_client(change, order) {
        Some(done) => write::remember(&done, paths),
        // A client's command that failed may have changed the file all the same.
        None => planned(std::slice::from_ref(&change.target), order, replaces)?
            .iter()
            .filter(|fresh| fresh.is_one())
            .try_for_each(|fresh| write::apply(fresh, paths)),
    };
    if !changes.is_empty() && settle_with(&changes, order.folders, order.consent, "install", client, put)? {
        terminal::say(&show::next(client.next, style));
        terminal::say(&sign_in_first(order.loaded));
    }
    Ok(())
}

fn targets(client: &'static Client, order: &Order<'_>) -> Result<Vec<Target>, Problem> {
    let scope = order.scope.unwrap_or(client.scopes[0]);
    let targets = client.targets(order.folders, scope);
    if !targets.is_empty() {
        return Ok(targets);
    }
    let known: Vec<&str> = client.scopes.iter().map(|scope| scope.name()).collect();
    let problem = Problem::new(ProblemId::ClientPlaceUnknown).with("client", client.title).with("found", scope.name());
    Err(problem.with("expected", known.join(", ")))
}

fn planned(targets: &[Target], order: &Order<'_>, replaces: bool) -> Result<Vec<Change>, Problem> {
    let mine = &order.loaded.settings;
    let is_same = |entry: &Entry| {
        let settings = entry_settings::of(entry, &mine.paths);
        settings.is_ok_and(|other| other.url == mine.url && other.profile == mine.profile)
    };
    let wanted = Wanted {
        name: &order.name,
        is_named: order.is_named,
        launch: &order.launch,
        keeps_arguments: order.keeps_arguments,
        replaces,
        url: &mine.url,
        is_same: &is_same,
    };
    targets.iter().map(|target| plan::install(target, plan::text_of(target)?, &wanted)).collect()
}

/// Prints what belongs into the clients' files, or the links that add it.
fn hand_out(order: &Order<'_>, how: &InstallArgs) -> Result<ExitCode, Problem> {
    let mut chosen = named(&how.clients);
    if chosen.is_empty() {
        chosen.extend(table::named("jetbrains"));
    }
    for client in chosen {
        let text = match client.link {
            _ if how.print => snippet(client, order)?,
            Some(form) => links::link(form, &order.name, &order.launch) + "\n",
            None => {
                let command = order.loaded.settings.command(&format!("install {}", client.id));
                let problem = Problem::new(ProblemId::ClientTakesNoLink).with("client", client.title);
                return Err(problem.with("command", command));
            }
        };
        terminal::say(&text);
    }
    Ok(ExitCode::SUCCESS)
}

/// What a file that holds nothing else would say.
fn snippet(client: &'static Client, order: &Order<'_>) -> Result<String, Problem> {
    let format = if client.format == Format::None { Format::Json } else { client.format };
    let list: Vec<String> = client.list.iter().map(|key| (*key).to_owned()).collect();
    let members = client.shape.members(&order.name, &order.launch);
    let text = edit::put(format, "", Place { list: &list, name: &order.name }, &members);
    text.map_err(|fault| plan::broken(Path::new(client.title), &fault))
}

/// Lets the client do it itself. `None` where it cannot, or has failed in a way that leaves the file to be written.
fn by_the_client(change: &Change, order: &Order<'_>) -> Option<Change> {
    let Target { client, scope, .. } = change.target;
    let own = client.own.filter(|own| change.deed == Deed::Added && own::serves(*own, scope))?;
    let (name, words) = own::words(own, scope, &order.name, &order.launch);
    let program = order.folders.program(name)?;
    // What it does to a file that it cannot read is nobody's wish.
    let shown = format!("{name} {}", words[..2].join(" "));
    let failed = own::run(&program, &words, &order.folders.project).err();
    let text = plan::text_of(&change.target).ok().flatten().unwrap_or_default();
    if failed.is_none() && plan::stands(&change.target, &text, &order.name, &order.launch) {
        terminal::say(&paragraph(&format!("{} did it itself (`{shown}`).", client.title)));
        return Some(Change { after: Some(text), ..change.clone() });
    }
    let why = failed.unwrap_or_else(|| "the entry is not in its file".to_owned());
    terminal::tell(&paragraph(&format!("`{shown}` did not do it ({why}), so the file is written here.")));
    None
}

fn settle(
    changes: &[Change],
    paths: &Paths,
    folders: &Folders,
    consent: Consent,
    command: &str,
    client: &Client,
) -> Result<bool, Problem> {
    settle_with(changes, folders, consent, command, client, |change| write::apply(change, paths))
}

/// Shows the changes of a client, asks, and writes them; `false` where nothing was to be written.
fn settle_with(
    changes: &[Change],
    folders: &Folders,
    consent: Consent,
    command: &str,
    client: &Client,
    does: impl Fn(&Change) -> Result<(), Problem>,
) -> Result<bool, Problem> {
    let style = terminal::style();
    let texts: Vec<String> = changes.iter().map(|change| show::change(change, &folders.home, style)).collect();
    terminal::say(&texts.join("\n"));
    if consent != Consent::None {
        terminal::say("\n");
    }
    match consent {
        Consent::None => return Ok(false),
        Consent::Given => {}
        Consent::Asked => {
            if !terminal::agree("Write this? [Y/n] ") {
                let (verb, options) = command.split_once(' ').unwrap_or((command, ""));
                let line = format!("planhat-mcp {verb} {} {options}", client.id);
                return Err(Problem::new(ProblemId::InstallNotConfirmed).with("command", line.trim_end()));
            }
        }
    }
    for change in changes {
        write::require_as_planned(change)?;
        does(change)?;
    }
    terminal::say(&written(changes, client, style));
    Ok(true)
}

fn written(changes: &[Change], client: &Client, style: Style) -> String {
    let done = style.good("Written.");
    if changes.iter().all(|change| change.deed == Deed::TakenBack) {
        return format!("{done}\n");
    }
    format!("{done} To take it back: planhat-mcp install {} --undo\n\n", client.id)
}

/// What is missing before the client can use it.
fn sign_in_first(loaded: &Loaded) -> String {
    let settings = &loaded.settings;
    let client_id = loaded.rows.iter().find(|row| row.key == Key::ClientId);
    let has_signed_in = client_id.is_some_and(|row| row.origin == Origin::LastSignIn);
    if has_signed_in || settings.static_token.is_some() || !settings.product.is_planhat() {
        return String::new();
    }
    let login = if settings.oauth.client_id.is_some() { "login" } else { "login --client-id pk_..." };
    format!(
        "\nBefore the first use sign in, with the client id and the secret from your admin:\n  {}\n",
        settings.command(login)
    )
}

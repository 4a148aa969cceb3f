//! `planhat-mcp status`: signed in or not, as which client, for how long, and where the tokens are kept.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::brake::{Counted, Spent, time_of_day};
use crate::auth::grants::{profiles, remembered_client};
use crate::auth::{GrantSummary, Status};
use crate::clients::{Folders, copies};
use crate::clock;
use crate::config::consent::deviations;
use crate::config::{Choice, Settings};
use crate::problem::catalogue::exit;
use crate::problem::{Problem, printable};
use crate::secret::ServerWords;
use crate::store::Store;

use super::args::StatusArgs;
use super::context::{authorizer, block_on};
use super::grant::{self, Grant};
use super::remembered::{self, Fact};
use super::style::{Style, paragraph};
use super::terminal::{self, JSON_SCHEMA};

/// The sign-in of one profile.
#[derive(Debug, Clone, Default)]
pub struct SignInStatus {
    /// The sign-in, when there is one.
    pub grant: Option<Grant>,
    /// Its issuer.
    pub issuer: Option<ServerWords>,
    /// Where tokens are (or would be) stored.
    pub kept: String,
    /// The link of a running sign-in.
    pub link: Option<String>,
    /// Why no sign-in is needed.
    pub not_needed: Option<&'static str>,
    /// Why the store could not be read.
    pub problem: Option<Problem>,
    /// Why a sign-in that is stored is not used with these settings.
    pub not_used: Option<Problem>,
    /// The origin that tokens come from, where that is not the issuer's.
    pub tokens_from: Option<String>,
    /// What is spent of tabs and token requests.
    pub spent: Spent,
    /// What is remembered of the server.
    pub remembered: Vec<Fact>,
    /// The client id of the profile's sign-in, where these settings name another.
    pub other_client: Option<String>,
}

impl SignInStatus {
    /// Whether there is a sign-in that calls can use.
    fn is_signed_in(&self, now: u64) -> bool {
        self.grant.as_ref().is_some_and(|grant| !grant.has_ended(now))
    }
}

/// Shows the state of this profile, or of all; the exit code tells scripts.
pub fn run(settings: Arc<Settings>, how: &StatusArgs) -> Result<ExitCode, Problem> {
    let all = if how.all {
        let found = profiles::list(&settings.paths.state_dir);
        found.iter().filter_map(|profile| profile.settings(&settings).map(Arc::new)).collect()
    } else {
        vec![settings]
    };
    if all.is_empty() && !how.json {
        terminal::say("No profile has a sign-in on this computer.\n");
    }
    block_on(async {
        let now = clock::system().unix_seconds();
        let mut states = Vec::new();
        for settings in &all {
            states.push((settings, state(settings, now).await));
        }
        if how.json {
            let each: Vec<Value> = states.iter().map(|(settings, state)| as_json(settings, state, now)).collect();
            let value = if how.all { json!(each) } else { each.into_iter().next().unwrap_or_default() };
            terminal::say(&(serde_json::to_string_pretty(&value).unwrap_or_default() + "\n"));
        } else {
            let texts: Vec<String> =
                states.iter().map(|(settings, state)| text(settings, state, now, terminal::style())).collect();
            terminal::say(&texts.join("\n"));
            let folders = Folders::of_this_user();
            for problem in folders.iter().flat_map(copies::of_other_versions) {
                terminal::tell(&format!("\n{}", paragraph(&format!("{} {}", problem.what(), problem.fix()))));
            }
        }
        if let Some(problem) = states.iter().find_map(|(_, state)| state.problem.clone()) {
            return Err(problem);
        }
        let is_in = |state: &SignInStatus| state.is_signed_in(now) || state.not_needed.is_some();
        let good = !states.is_empty() && states.iter().all(|(_, state)| is_in(state));
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(exit::SIGN_IN) })
    })?
}

async fn state(settings: &Arc<Settings>, now: u64) -> SignInStatus {
    if settings.static_token.is_some() {
        let why = "not needed: the access token from PLANHAT_MCP_TOKEN is sent unchanged";
        let remembered = remembered::facts(settings, None, now).0;
        return SignInStatus { not_needed: Some(why), remembered, ..SignInStatus::default() };
    }
    if settings.oauth.client_credentials {
        let why = "not needed: tokens are fetched automatically, with --client-credentials";
        let auth = authorizer(settings, Store::ATTENDED_TIMEOUT);
        let (kept, spent) = (grant::kept(auth.backend()), auth.brake().spent().await.unwrap_or_default());
        let remembered = remembered::facts(settings, None, now).0;
        return SignInStatus { not_needed: Some(why), kept, spent, remembered, ..SignInStatus::default() };
    }
    let auth = authorizer(settings, Store::ATTENDED_TIMEOUT);
    let status = Status::of(&auth).await;
    let signed_in_as = remembered_client::signed_in(settings).filter(|_| status.grant.is_none());
    let issuer = status.grant.as_ref().map(|granted: &GrantSummary| granted.issuer.clone());
    SignInStatus {
        remembered: remembered::facts(settings, status.grant.as_ref(), now).0,
        grant: status.grant.map(|granted| Grant::new(granted, &status.backend)),
        issuer: issuer.filter(|issuer| !issuer.as_str().is_empty()),
        kept: grant::kept(&status.backend),
        link: auth.sign_in_link().await.filter(|_| status.signing_in),
        not_needed: None,
        problem: status.store_problem,
        not_used: status.not_used,
        tokens_from: status.tokens_from,
        spent: auth.brake().spent().await.unwrap_or_default(),
        other_client: signed_in_as.filter(|id| settings.oauth.client_id.as_ref().is_some_and(|own| own != id)),
    }
}

/// The state in words.
pub fn text(settings: &Settings, state: &SignInStatus, now: u64, style: Style) -> String {
    let signed_in = match (&state.grant, state.not_needed, &state.problem) {
        (_, Some(why), _) => why.to_owned(),
        (_, _, Some(_)) => style.attention("unknown (the token store is not available)"),
        (Some(grant), _, _) if grant.has_ended(now) => style.attention("no (expired)"),
        (Some(_), _, _) => style.good("yes"),
        (None, _, _) => style.attention(&not_signed_in(settings, state)),
    };
    let mut rows =
        vec![("server", settings.shown_url()), ("profile", settings.profile.clone()), ("signed in", signed_in)];
    match &state.grant {
        Some(grant) => rows.extend(grant.rows(settings, now)),
        None if state.not_needed.is_none() => {
            if let Some(client_id) = &settings.oauth.client_id {
                rows.push(("client id", client_id.clone()));
            }
            rows.push(("tokens", format!("will be stored {}", state.kept)));
        }
        // A token from the environment is not stored anywhere.
        None if !state.kept.is_empty() => rows.push(("tokens", format!("stored {}", state.kept))),
        None => {}
    }
    if let Some(origin) = &state.tokens_from {
        rows.push(("tokens from", printable(origin)));
    }
    let consents = deviations(settings);
    rows.extend(consents.iter().map(|deviation| ("consent", style.attention(&deviation.option()))));
    rows.extend(state.remembered.iter().map(|fact| ("remembered", fact.text(now))));
    rows.extend(spent(&state.spent, style));
    let mut out = format!("{}\n{}", style.strong(&settings.service_name()), style.table(&rows));
    for deviation in &consents {
        out.push_str(&format!("\n{}", paragraph(&format!("{}: {}", deviation.option(), deviation.meaning))));
    }
    if let Some(problem) = &state.not_used {
        out.push_str(&format!("\n{}{}", paragraph(&problem.what()), paragraph(&problem.fix())));
    }
    let shut = state.spent.tabs_shut_until.is_some() || state.spent.token_requests_shut_until.is_some();
    if shut {
        let command = settings.command("login");
        out.push_str(&format!(
            "\n{}",
            paragraph(&format!("To lift this limit, run `{command}` in a terminal and complete the sign-in."))
        ));
    }
    match (&state.grant, &state.link) {
        (None, Some(link)) => {
            out.push_str(&format!("\nA sign-in is waiting in your browser. To reopen the page:\n\n{link}\n"));
        }
        (grant, None)
            if grant.as_ref().is_none_or(|grant| grant.has_ended(now))
                && state.not_needed.is_none()
                && state.problem.is_none() =>
        {
            out.push_str(&format!("\nTo sign in: {}\n", settings.command("login")));
        }
        _ => {}
    }
    out
}

/// A bare "no" would be taken for the loss of a sign-in that is there.
fn not_signed_in(settings: &Settings, state: &SignInStatus) -> String {
    match (&state.other_client, &settings.oauth.client_id) {
        (Some(other), Some(own)) => {
            format!("no, not as {}; the stored sign-in is for {}", printable(own), printable(other))
        }
        _ => "no".to_owned(),
    }
}

/// What is spent of tabs and token requests, and until when that holds anything back; nothing where nothing is spent.
fn spent(spent: &Spent, style: Style) -> Vec<(&'static str, String)> {
    let row = |counted: &[Counted], shut_until: Option<u64>| {
        let each = |counted: &Counted| {
            format!("{} of {} within {}", counted.count, counted.most, grant::in_words(counted.within.as_secs()))
        };
        let text = counted.iter().map(each).collect::<Vec<_>>().join(", ");
        match shut_until {
            Some(until) => style.attention(&format!("{text}: no more before {}", time_of_day(until))),
            None => text,
        }
    };
    let is_spent = |counted: &[Counted]| counted.iter().any(|counted| counted.count > 0);
    let mut rows = Vec::new();
    if is_spent(&spent.tabs) {
        rows.push(("tabs", row(&spent.tabs, spent.tabs_shut_until)));
    }
    if is_spent(&spent.token_requests) {
        rows.push(("requests", row(&spent.token_requests, spent.token_requests_shut_until)));
    }
    rows
}

/// The same for programs.
fn spent_as_json(counted: &[Counted], shut_until: Option<u64>) -> Value {
    let each = |counted: &Counted| json!({ "count": counted.count, "limit": counted.most, "seconds": counted.within.as_secs() });
    json!({ "within": counted.iter().map(each).collect::<Vec<_>>(), "shut_until": shut_until })
}

/// The state for programs; no secret, and no link.
fn as_json(settings: &Settings, state: &SignInStatus, now: u64) -> Value {
    fn words(said: &Option<ServerWords>) -> Option<&str> {
        said.as_ref().map(ServerWords::as_str)
    }
    let grant = state.grant.as_ref();
    let consents = deviations(settings);
    let consents: Vec<Value> = consents
        .iter()
        .map(|one| json!({ "setting": one.key.info().name, "value": one.value, "means": one.meaning }))
        .collect();
    json!({
        "schema": JSON_SCHEMA,
        "service": settings.service_name(),
        "url": settings.shown_url(),
        "profile": settings.profile,
        "signed_in": state.is_signed_in(now),
        "sign_in_needed": !state.is_signed_in(now) && state.not_needed.is_none(),
        "signing_in": state.link.is_some(),
        "client_id": grant.and_then(|grant| words(&grant.client_id)).or(settings.oauth.client_id.as_deref()),
        "signed_in_client_id": state.other_client,
        "issuer": words(&state.issuer),
        "person": grant.and_then(|grant| words(&grant.person)),
        "scope": grant.and_then(|grant| words(&grant.scope)),
        "expires_at": grant.and_then(|grant| grant.expires_at),
        "expires_in": grant.and_then(|grant| grant.expires_at).map(|at| at.saturating_sub(now)),
        "renews": grant.map(|grant| grant.renewable),
        "token_store": settings.token_store.as_str(),
        "tokens_from": state.tokens_from,
        "consents": consents,
        "remembered": state.remembered.iter().map(Fact::json).collect::<Vec<_>>(),
        "tabs": spent_as_json(&state.spent.tabs, state.spent.tabs_shut_until),
        "token_requests": spent_as_json(&state.spent.token_requests, state.spent.token_requests_shut_until),
        "problem": state.problem.as_ref().or(state.not_used.as_ref()).map(|problem| problem.id.entry().name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Paths, server};

    fn settings() -> Settings {
        let url = url::Url::parse(server::DEMO_URL).expect("a constant");
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        settings.run_flags = vec!["--tenant".to_owned(), "demo".to_owned()];
        settings
    }

    fn signed_in() -> SignInStatus {
        let words = |text| crate::secret::Secrets::none().words(text);
        let grant = Grant {
            client_id: Some(words("pk_1")),
            person: Some(words("Maja Lindqvist (maja@example.com)")),
            scope: Some(words("inclusive")),
            expires_at: Some(3_600),
            renewable: true,
            kept: "in the keychain (Secret Service)".to_owned(),
        };
        SignInStatus { grant: Some(grant), ..SignInStatus::default() }
    }

    #[test]
    fn signed_out_says_how_to_sign_in_with_the_settings_of_this_run() {
        let state = SignInStatus { kept: "in the keychain".to_owned(), ..SignInStatus::default() };
        let text = text(&settings(), &state, 0, Style::PLAIN);
        assert!(text.contains("signed in  no\n"), "{text}");
        assert!(text.ends_with("To sign in: planhat-mcp login --tenant demo\n"), "{text}");
        assert_eq!(as_json(&settings(), &state, 0)["sign_in_needed"], true);
    }

    #[test]
    fn signed_in_shows_client_person_scope_validity_and_place() {
        let text = text(&settings(), &signed_in(), 0, Style::PLAIN);
        for words in
            ["signed in  yes", "pk_1", "Maja", "inclusive", "for 60 minutes", "Secret Service", "Planhat (demo)"]
        {
            assert!(text.contains(words), "{words} in {text}");
        }
        let json = as_json(&settings(), &signed_in(), 600);
        assert_eq!((&json["signed_in"], &json["expires_in"]), (&json!(true), &json!(3_000)));
    }

    #[test]
    fn a_sign_in_that_has_ended_and_cannot_be_renewed_is_none() {
        let mut state = signed_in();
        state.grant = state.grant.map(|grant| Grant { renewable: false, ..grant });
        let text = text(&settings(), &state, 3_601, Style::PLAIN);
        assert!(text.contains("signed in  no (expired)\n") && text.contains("To sign in: "), "{text}");
        assert_eq!(as_json(&settings(), &state, 3_601)["signed_in"], false);
        assert_eq!(as_json(&settings(), &signed_in(), 3_601)["signed_in"], true, "the next call renews it");
    }

    #[test]
    fn consents_are_shown_with_what_they_mean() {
        let mut settings = settings();
        assert_eq!(as_json(&settings, &signed_in(), 0)["consents"], json!([]));
        settings.oauth.resource = Some("api://1111/app".to_owned());
        let text = text(&settings, &signed_in(), 0, Style::PLAIN);
        assert!(text.contains("--resource api://1111/app\n") && text.contains("is sent tokens"), "{text}");
        let json = as_json(&settings, &signed_in(), 0);
        assert_eq!(json["consents"][0]["setting"], "resource");
        assert_eq!(json["consents"][0]["value"], "api://1111/app");
    }

    #[test]
    fn what_is_spent_of_tabs_and_token_requests_is_told_and_until_when_nothing_more_is() {
        let counted = |count, most, seconds| Counted { count, most, within: std::time::Duration::from_secs(seconds) };
        let requests = vec![counted(4, 30, 60), counted(9, 240, 900)];
        let spent = Spent { tabs: vec![counted(3, 3, 600)], token_requests: requests, ..Spent::default() };
        let open = SignInStatus { spent: spent.clone(), ..signed_in() };
        let shut = SignInStatus { spent: Spent { tabs_shut_until: Some(31_777), ..spent }, ..signed_in() };
        let shown = text(&settings(), &open, 0, Style::PLAIN);
        assert!(shown.contains("3 of 3 within 10 minutes\n") && !shown.contains("To lift this"), "{shown}");
        assert!(shown.contains("4 of 30 within 60 seconds, 9 of 240 within 15 minutes\n"), "{shown}");
        let shown = text(&settings(), &shut, 0, Style::PLAIN);
        assert!(shown.contains("no more before 08:49:37 UTC\n"), "{shown}");
        assert!(shown.contains("run `planhat-mcp login --tenant demo` in a terminal"), "{shown}");
        let json = as_json(&settings(), &shut, 0);
        assert_eq!(json["tabs"]["shut_until"], 31_777);
        assert_eq!(json["tabs"]["within"][0], json!({ "count": 3, "limit": 3, "seconds": 600 }));
        assert_eq!(json["token_requests"]["shut_until"], Value::Null);
        assert_eq!(json["token_requests"]["within"][1]["count"], 9);
    }

    #[test]
    fn a_sign_in_under_way_shows_its_link_to_people_alone() {
        let state = SignInStatus { link: Some("https://as.example.com/x".to_owned()), ..SignInStatus::default() };
        let text = text(&settings(), &state, 0, Style::PLAIN);
        assert!(text.ends_with("\n\nhttps://as.example.com/x\n"), "{text}");
        let json = as_json(&settings(), &state, 0);
        assert!(json["signing_in"] == true && !json.to_string().contains("as.example.com"), "{json}");
    }
}

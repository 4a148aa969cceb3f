//! Checks signing in, step by step: discovery, client, redirect URL, page. It starts nothing.

use std::time::Duration;

use url::Url;

use super::row::{Group, Row};
use crate::auth::Authorizer;
use crate::auth::checkup::{Checkup, Identity, Page, Route};
use crate::auth::discovery::search::{Discovered, ProbedPlace};
use crate::auth::login::page_says::PageSays;
use crate::auth::mending::DeadClient;
use crate::config::Settings;
use crate::config::consent;
use crate::problem::{Problem, ProblemId, printable};

/// The row about the sign-in page.
const PAGE: &str = "sign-in page";
/// How long discovery may take in all.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(12);

/// The earlier findings that these checks need.
#[derive(Debug, Clone, Copy)]
pub struct Findings {
    /// Whether the server can be reached.
    pub reached: bool,
    /// Whether somebody is signed in: an occupied callback port then matters only for the next sign-in.
    pub signed_in: bool,
    /// Whether that is taken by the server.
    pub works: bool,
}

/// The results, and what another row needs of them.
#[derive(Debug)]
pub struct SigningIn {
    /// The rows.
    pub group: Group,
    /// Whether the server answers without a sign-in.
    pub is_open: bool,
    /// The client of ours that the server does not know.
    pub dead: Option<DeadClient>,
}

/// Takes the steps of a sign-in, as far as they need no user.
pub async fn check(settings: &Settings, auth: &Authorizer, findings: Findings) -> SigningIn {
    let (mut rows, mut seen) = (Vec::new(), Seen::default());
    // What is held back says nothing of whether the rest works, so it comes first and only then.
    rows.extend(auth.brake().why_shut().await.map(|problem| Row::warn("brake", auth.explain(problem))));
    rows.extend(consents(settings));
    if settings.static_token.is_some() {
        rows.push(Row::ok("discovery", "not needed: PLANHAT_MCP_TOKEN is sent unchanged"));
    } else if findings.reached {
        seen = steps(settings, auth, findings, &mut rows).await;
    } else {
        skip(&["discovery", "client", "redirect URL", PAGE], "the server cannot be reached", &mut rows);
    }
    SigningIn { group: Group { title: "Signing in", rows }, is_open: seen.is_open, dead: seen.dead }
}

fn skip(names: &[&'static str], why: &str, rows: &mut Vec<Row>) {
    rows.extend(names.iter().map(|name| Row::skip(name, why)));
}

/// What the steps have shown besides their rows.
#[derive(Debug, Default)]
struct Seen {
    is_open: bool,
    dead: Option<DeadClient>,
}

async fn steps(settings: &Settings, auth: &Authorizer, findings: Findings, rows: &mut Vec<Row>) -> Seen {
    let route = match tokio::time::timeout(DISCOVERY_TIMEOUT, Checkup::of(auth).route()).await {
        Ok(route) => route,
        Err(_) => {
            let problem = Problem::new(ProblemId::AnswerTimedOut).with("host", settings.service_name());
            Route { probed: Vec::new(), found: Err(problem.with("seconds", DISCOVERY_TIMEOUT.as_secs())) }
        }
    };
    let mut details: Vec<String> = route.probed.iter().map(|asked| describe(asked, &settings.url)).collect();
    let last = details.last().cloned();
    let found = match route.found {
        Ok(found) => found,
        Err(problem) if problem.id == ProblemId::SignInNotWanted => {
            rows.push(Row::ok("discovery", "not needed: the server requires no sign-in").with_details(details));
            skip(&["client", "redirect URL", PAGE], "there is no sign-in", rows);
            return Seen { is_open: true, ..Seen::default() };
        }
        Err(problem) => {
            rows.push(Row::fail("discovery", problem).with_details(details));
            skip(&["client", "redirect URL", PAGE], "it needs \"discovery\"", rows);
            return Seen::default();
        }
    };
    details.extend(found.elsewhere().words());
    rows.push(discovery(&found, last).with_details(details));
    rows.extend(found.by.passed_over.clone().map(|problem| Row::warn("metadata hint", problem)));
    let identity = match Checkup::of(auth).identity(&found).await {
        Ok(identity) => identity,
        Err(problem) => {
            rows.push(Row::fail("client", problem));
            skip(&["redirect URL", PAGE], "it needs \"client\"", rows);
            return Seen::default();
        }
    };
    rows.push(client(&identity));
    if auth.needs_no_person() {
        return Seen::default();
    }
    rows.push(redirect(auth, &identity, findings).await);
    // Servers that need no consent begin another sign-in when their page is asked, and some end the one before.
    if findings.works {
        rows.push(Row::skip(PAGE, "the sign-in works"));
        return Seen::default();
    }
    let (page, knows_no_client) = page(auth, &found, &identity).await;
    rows.push(page);
    let client = identity.client.filter(|client| knows_no_client && client.is_registered());
    let dead = client.map(|client| DeadClient { issuer: found.server.issuer.clone(), id: client.id });
    Seen { is_open: false, dead }
}

/// The rules that do not hold, by the user's consent, each with what that means.
fn consents(settings: &Settings) -> Option<Row> {
    let deviations = consent::deviations(settings);
    let options: Vec<String> = deviations.iter().map(consent::Deviation::option).collect();
    let meanings = deviations.iter().map(|deviation| deviation.meaning.to_owned()).collect();
    let text = format!("with your consent, these security rules are relaxed: {}", options.join(" "));
    (!options.is_empty()).then(|| Row::ok("consents", text).with_details(meanings))
}

/// Which authorization server was found; one that was only assumed is not "found". `last` is what the last place said.
fn discovery(found: &Discovered, last: Option<String>) -> Row {
    const NAME: &str = "discovery";
    if !found.server.is_assumed {
        return Row::ok(NAME, format!("the authorization server is {}", found.chosen()));
    }
    let problem = Problem::new(ProblemId::EndpointsAssumed).with("issuer", &found.server.issuer);
    Row::warn(NAME, last.iter().fold(problem, |problem, last| problem.with("detail", last)))
}

/// One URL that was probed, without the host if it is the server's own.
fn describe(asked: &ProbedPlace, server: &Url) -> String {
    let place = match Url::parse(&asked.place) {
        Ok(place) if place.origin() == server.origin() => place.path().to_owned(),
        _ => asked.place.clone(),
    };
    format!("{}: {}", printable(&asked.outcome), printable(&place))
}

fn client(identity: &Identity) -> Row {
    let text = match &identity.client {
        Some(client) => format!("{}: {}, {}", printable(&client.id), identity.origin(), identity.proof()),
        None => identity.origin().to_owned(),
    };
    Row::ok("client", text)
}

async fn redirect(auth: &Authorizer, identity: &Identity, findings: Findings) -> Row {
    const NAME: &str = "redirect URL";
    let url = identity.callback.redirect_url();
    match Checkup::of(auth).port(&identity.callback).await {
        Ok(true) => Row::ok(NAME, format!("{url}, and its port is free")),
        Ok(false) => Row::ok(NAME, format!("{url}, and a sign-in in progress uses its port")),
        // Another port will be registered instead.
        Err(_) if identity.client.is_none() && identity.callback.free => Row::ok(NAME, "any free port"),
        Err(problem) if findings.signed_in => Row::warn(NAME, problem),
        Err(problem) => Row::fail(NAME, problem),
    }
}

/// What the page says, and whether it says that there is no such client.
async fn page(auth: &Authorizer, found: &Discovered, identity: &Identity) -> (Row, bool) {
    if identity.client.is_none() {
        return (Row::skip(PAGE, "there is no client yet"), false);
    }
    let Page { says, knows_no_client } = match Checkup::of(auth).page(found, identity).await {
        Ok(page) => page,
        Err(problem) => return (Row::warn(PAGE, problem), false),
    };
    let row = match says {
        PageSays::Refused(problem) => Row::fail(PAGE, problem),
        PageSays::GoesOn => {
            Row::ok(PAGE, "responds, and rejects neither the client id nor the redirect URL before the sign-in")
        }
        PageSays::Unknown(status) => Row::ok(
            PAGE,
            format!(
                "responds (HTTP {}); only the page itself can tell whether client id and redirect URL are right",
                status.as_u16()
            ),
        ),
    };
    (row, knows_no_client)
}

#[cfg(test)]
mod tests {
    use super::super::row::Outcome;
    use super::*;
    use crate::auth::discovery::hint::FoundBy;
    use crate::auth::discovery::metadata::ServerMetadata;
    use crate::config::Paths;
    use crate::http::AddressSource;

    #[test]
    fn what_was_only_assumed_is_not_well_and_says_so() {
        let mut found = Discovered {
            resource: "https://mcp.example/mcp".to_owned(),
            server: ServerMetadata::assumed("https://mcp.example"),
            listed: 0,
            resource_scopes: None,
            named_by: AddressSource::Public,
            replaced: None,
            without_resource_since: None,
            by: FoundBy::default(),
        };
        let row = discovery(&found, Some("status 404: /.well-known/x".to_owned()));
        assert_eq!(row.outcome, Outcome::Warn);
        let problem = row.problem.expect("it is explained");
        assert!(
            problem.what().contains("https://mcp.example") && problem.cause().contains("status 404"),
            "{problem:?}"
        );
        found.server.is_assumed = false;
        assert_eq!(discovery(&found, None).outcome, Outcome::Ok);
    }

    #[test]
    fn consents_are_a_row_that_says_what_each_means_and_without_them_there_is_none() {
        let url = Url::parse("https://mcp.example/mcp").expect("valid");
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        assert_eq!(consents(&settings), None);
        settings.oauth.issuer = Some("https://as.example/t".to_owned());
        settings.oauth.allow_unlisted_s256 = true;
        let row = consents(&settings).expect("there are two");
        assert!(row.text().ends_with("--issuer https://as.example/t --allow-unlisted-s256"), "{}", row.text());
        assert_eq!(row.details.len(), 2);
    }

    #[test]
    fn a_place_is_shown_with_its_host_only_where_that_is_another() {
        let server = Url::parse("https://api.planhat.com/v1/mcp").expect("valid");
        let shown =
            |place: &str| describe(&ProbedPlace { place: place.to_owned(), outcome: "status 401".to_owned() }, &server);
        assert_eq!(shown("https://api.planhat.com/.well-known/x"), "status 401: /.well-known/x");
        assert_eq!(shown("https://as.example/.well-known/x"), "status 401: https://as.example/.well-known/x");
    }
}

//! Which scope to request (MCP, "Scope Selection Strategy"), and the arithmetic of scopes.

use std::collections::HashSet;

use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::search::Discovered;
use crate::config::Settings;
use crate::config::key::Key;
use crate::problem::{Problem, ProblemId};

/// Requests a refresh token, at servers that know it (OpenID Connect Core, 11).
pub const OFFLINE_ACCESS: &str = "offline_access";

/// The scope to request: configured, else from the challenge, else as the resource lists, else none. A step-up may
/// exceed a built-in scope, but not the user's choice.
pub fn choose(settings: &Settings, challenge: &Challenge, found: &Discovered, flow: Flow) -> Option<String> {
    let mut configured = settings.oauth.scope.clone();
    if let (Some(built_in), Some(wider), false) =
        (&configured, &challenge.scope, settings.origins.is_chosen(Key::Scope))
        && challenge.is_insufficient_scope()
    {
        configured = Some(union(built_in, wider));
    }
    let is_configured = configured.is_some();
    let listed = || found.resource_scopes.as_ref().map(|scopes| scopes.join(" "));
    let chosen = configured.or_else(|| challenge.scope.clone()).or_else(listed).unwrap_or_default();
    let mut scopes = split(&chosen);
    if !is_configured {
        scopes.retain(|scope| *scope != OFFLINE_ACCESS);
        let offers =
            found.server.scopes_supported.as_ref().is_some_and(|all| all.iter().any(|one| one == OFFLINE_ACCESS));
        // Alone, it would replace the server's default scope.
        if offers && flow != Flow::Client && !scopes.is_empty() {
            scopes.push(OFFLINE_ACCESS);
        }
    }
    if settings.oauth.id_token && flow != Flow::Client && !scopes.contains(&"openid") {
        scopes.push("openid");
    }
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// The scope without what this program added to it by itself, if it did: some servers list `offline_access` and refuse it.
pub fn without_added(settings: &Settings, scope: Option<&str>) -> Option<Option<String>> {
    let scope = scope.filter(|scope| settings.oauth.scope.is_none() && covers(scope, OFFLINE_ACCESS))?;
    let rest: Vec<&str> = split(scope).into_iter().filter(|one| *one != OFFLINE_ACCESS).collect();
    Some((!rest.is_empty()).then(|| rest.join(" ")))
}

/// What of `wanted` a client asks for: no more than its registration names (RFC 7591, 3.2.1), which is `bound`, or the
/// server would refuse all of it. When nothing is left, what the user has chosen is asked for all the same, so that the
/// refusal names it.
pub fn bounded(settings: &Settings, wanted: Option<&str>, bound: Option<&str>) -> Option<String> {
    let wanted = wanted?;
    let Some(bound) = bound else { return Some(wanted.to_owned()) };
    let bound: HashSet<&str> = bound.split_ascii_whitespace().collect();
    let within: Vec<&str> = split(wanted).into_iter().filter(|scope| bound.contains(scope)).collect();
    if within.is_empty() {
        return settings.oauth.scope.as_ref().map(|_| wanted.to_owned());
    }
    Some(within.join(" "))
}

/// A refusal of the scope, where none was asked for: that one is wanted, and what the server offers.
pub fn explained(problem: Problem, requested: Option<&str>, found: &Discovered) -> Problem {
    if problem.id != ProblemId::InvalidScope || requested.is_some() {
        return problem;
    }
    let problem = Problem { id: ProblemId::ScopeNeeded, ..problem };
    match &found.server.scopes_supported {
        Some(offered) if !offered.is_empty() => problem.with("scope", offered.join(" ")),
        _ => problem,
    }
}

/// Both scopes together, without duplicates.
pub fn union(held: &str, wanted: &str) -> String {
    split(&format!("{held} {wanted}")).join(" ")
}

/// Whether `held` includes all of `wanted`.
pub fn covers(held: &str, wanted: &str) -> bool {
    let held: HashSet<&str> = held.split_ascii_whitespace().collect();
    wanted.split_ascii_whitespace().all(|scope| held.contains(scope))
}

/// Each scope once, in the order of the text; a server may list hundreds of thousands.
fn split(text: &str) -> Vec<&str> {
    let mut seen = HashSet::new();
    text.split_ascii_whitespace().filter(|scope| seen.insert(*scope)).collect()
}

#[cfg(test)]
mod tests {
    use crate::auth::discovery::hint::FoundBy;
    use crate::auth::discovery::metadata::ServerMetadata;
    use crate::auth::discovery::scope::*;
    use crate::config::Paths;
    use crate::config::origin::Origin;
    use crate::http::AddressSource;

    fn chosen(
        configured: Option<&str>,
        challenged: Option<&str>,
        listed: Option<&str>,
        server: Option<&str>,
    ) -> String {
        let url = url::Url::parse("https://h/mcp").unwrap();
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        settings.oauth.scope = configured.map(str::to_owned);
        let challenge = Challenge { scope: challenged.map(str::to_owned), ..Challenge::default() };
        let found = found(listed, server);
        choose(&settings, &challenge, &found, Flow::Code).unwrap_or_default()
    }

    fn found(listed: Option<&str>, server: Option<&str>) -> Discovered {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut metadata = ServerMetadata::assumed("https://h");
        metadata.scopes_supported = server.map(list);
        Discovered {
            resource: "https://h/mcp".into(),
            server: metadata,
            listed: 1,
            resource_scopes: listed.map(list),
            named_by: AddressSource::Insider,
            replaced: None,
            without_resource_since: None,
            by: FoundBy::default(),
        }
    }

    #[test]
    fn the_configured_scope_wins_then_the_challenge_then_what_the_resource_lists_then_none() {
        assert_eq!(chosen(Some("inclusive"), Some("b"), Some("c"), Some("offline_access")), "inclusive");
        assert_eq!(chosen(None, Some("b"), Some("c"), None), "b");
        assert_eq!(chosen(None, None, Some("c d c"), None), "c d");
        assert_eq!(chosen(None, None, None, Some("every scope there is")), "", "never all of the server's");
    }

    #[test]
    fn a_step_up_goes_beyond_a_built_in_scope_and_not_beyond_the_users() {
        let step_up = Challenge {
            error: Some("insufficient_scope".into()),
            scope: Some("inclusive more".into()),
            ..Challenge::default()
        };
        let first = Challenge { scope: Some("more".into()), ..Challenge::default() };
        let url = url::Url::parse(crate::config::server::PRODUCTION_URL).unwrap();
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        let found = found(None, None);
        let chosen = |settings: &Settings, challenge| choose(settings, challenge, &found, Flow::Code);
        assert_eq!(chosen(&settings, &first).as_deref(), Some("inclusive"));
        assert_eq!(chosen(&settings, &step_up).as_deref(), Some("inclusive more"));
        settings.origins.set(Key::Scope, Origin::Variable(Key::Scope));
        assert_eq!(chosen(&settings, &step_up).as_deref(), Some("inclusive"));
    }

    #[test]
    fn offline_access_is_asked_for_where_the_server_lists_it_and_nowhere_else() {
        assert_eq!(chosen(None, Some("b"), None, Some("b offline_access")), "b offline_access");
        assert_eq!(chosen(None, Some("b offline_access"), None, Some("b")), "b");
        assert_eq!(chosen(None, Some("b offline_access"), None, None), "b");
        assert_eq!(chosen(None, None, None, Some("b offline_access")), "", "it must not replace the default");
    }

    #[test]
    fn only_what_this_program_added_is_taken_back() {
        let url = url::Url::parse("https://h/mcp").unwrap();
        let mut settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        assert_eq!(without_added(&settings, Some("b offline_access c")), Some(Some("b c".to_owned())));
        assert_eq!(without_added(&settings, Some("offline_access")), Some(None));
        assert_eq!(without_added(&settings, Some("b")), None);
        assert_eq!(without_added(&settings, None), None);
        settings.oauth.scope = Some("b offline_access".to_owned());
        assert_eq!(without_added(&settings, Some("b offline_access")), None, "the user's choice stays");
    }

    #[test]
    fn a_server_that_wants_a_scope_and_was_asked_for_none_has_its_scopes_listed_and_the_option_named() {
        let refusal = || Problem::new(ProblemId::InvalidScope).with("error", "invalid_scope");
        let problem = explained(refusal(), None, &found(None, Some("read write")));
        let words = format!("{} {}", problem.cause(), problem.fix());
        assert!(words.contains("read write") && words.contains("--scope"), "{words}");
        assert!(!words.contains("Leave --scope out"), "there was none: {words}");
        let problem = explained(refusal(), None, &found(None, None));
        assert!(problem.id == ProblemId::ScopeNeeded && problem.fix().contains("--scope"), "{problem}");
        assert_eq!(explained(refusal(), Some("read"), &found(None, Some("read"))), refusal());
        let other = Problem::new(ProblemId::AccessDenied);
        assert_eq!(explained(other.clone(), None, &found(None, Some("read"))), other);
    }

    #[test]
    fn a_wider_scope_is_the_union_of_what_is_held_and_what_is_wanted() {
        assert_eq!(union("a b", " b  c "), "a b c");
        assert!(covers("a b c", "c a") && covers("a", "") && !covers("a", "a d"));
    }

    #[test]
    fn scopes_by_the_hundred_thousand_are_compared_in_one_pass() {
        let many: Vec<String> = (0..200_000).map(|n| format!("s{n}")).collect();
        let many = many.join(" ");
        // Each with each, these would be twenty thousand million pairs.
        assert_eq!(union(&many, &many), many);
        assert!(covers(&many, &many) && !covers(&many, "other"));
        let settings = Settings::for_url(
            url::Url::parse("https://h/mcp").unwrap(),
            Paths { config_file: "/c".into(), state_dir: "/s".into() },
        );
        assert_eq!(bounded(&settings, Some(&many), Some(&many)), Some(many));
    }
}

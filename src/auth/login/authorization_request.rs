//! The authorization request (RFC 6749, 4.1.1), and the check of its response (4.1.2; RFC 9207).

use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use url::{Url, form_urlencoded};

use crate::auth::discovery::safe_url;
use crate::auth::discovery::scope;
use crate::auth::discovery::search::Discovered;
use crate::auth::issuer;
use crate::auth::registration::client::Client;
use crate::config::Settings;
use crate::config::consent;
use crate::config::key::Key;
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secret, Secrets};

/// An authorization request, with the secrets to check its response.
#[derive(Debug)]
pub struct Request {
    /// The page to open. It carries `state` and the PKCE challenge, which are useless without the verifier.
    pub link: Url,
    /// The PKCE verifier (RFC 7636).
    pub verifier: Secret,
    /// How to recognise the response.
    pub expected: Expected,
}

/// What a genuine authorization response must contain.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Comes back unchanged.
    pub state: Secret,
    /// The issuer of the authorization server.
    pub issuer: String,
    /// Whether the user has pinned it, and so accepts both forms of its last slash.
    pub is_pinned: bool,
    /// Whether the response must carry `iss` (RFC 9207, 2.4).
    pub iss_required: bool,
    /// The path of the redirect URL.
    pub path: String,
    /// The secrets to mask in the server's words.
    pub secrets: Secrets,
}

/// Why a response was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It does not belong to this sign-in, which continues.
    Foreign,
    /// It has the right `state`, but neither code nor error, so it is no response (RFC 6749, 4.1.2); the sign-in continues.
    Empty,
    /// It belongs to this sign-in and ends it.
    Final(CallbackError),
}

/// Why a redirect brings no code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackError {
    /// The problem.
    pub problem: Problem,
    /// Whether the server says that it does not know the client, or not for this (RFC 6749, 4.1.2.1).
    pub is_about_client: bool,
}

impl From<Problem> for CallbackError {
    fn from(problem: Problem) -> Self {
        Self { problem, is_about_client: false }
    }
}

impl Request {
    /// Builds a request for this client, redirect URL and scope.
    pub fn new(
        settings: &Settings,
        found: &Discovered,
        client: &Client,
        redirect_url: &str,
        scope: Option<&str>,
    ) -> Result<Self, Problem> {
        let endpoint = |detail: &dyn std::fmt::Display| {
            Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "authorization endpoint").with("detail", detail)
        };
        let page = safe_url::check(found.server.authorization_endpoint.as_deref().unwrap_or_default())
            .map_err(|why| endpoint(&why))?;
        let redirect = RedirectUrl::new(redirect_url.to_owned()).map_err(|e| endpoint(&e))?;
        let (pkce, verifier) = PkceCodeChallenge::new_random_sha256_len(64);
        let oauth = BasicClient::new(ClientId::new(client.id.clone()))
            .set_auth_uri(AuthUrl::from_url(page))
            .set_redirect_uri(redirect.clone());
        let mut request = oauth
            .authorize_url(|| CsrfToken::new_random_len(32))
            .set_pkce_challenge(pkce)
            .add_scopes(scope.map(|scope| Scope::new(scope.to_owned())));
        if !settings.oauth.no_resource && found.without_resource_since.is_none() {
            request = request.add_extra_param("resource", found.resource.clone());
        }
        for (name, value) in &settings.oauth.authorize_params {
            request = request.add_extra_param(name, value);
        }
        let requests_offline = scope.is_some_and(|scope| scope::covers(scope, scope::OFFLINE_ACCESS));
        if requests_offline && settings.oauth.authorize_params.iter().all(|(name, _)| name != "prompt") {
            // Without it, OpenID providers ignore `offline_access` (OpenID Connect Core, 11).
            request = request.add_extra_param("prompt", "consent");
        }
        let (link, state) = request.url();
        // The state is part of the link, which is shown.
        let (verifier, state) = (Secret::new(verifier.into_secret()), Secret::unlisted(state.into_secret()));
        let mut secrets = Secrets::none();
        secrets.add(verifier.expose());
        secrets.add(state.expose());
        if let Some(secret) = &client.secret {
            secrets.add_pair(&client.id, secret.expose());
        }
        Ok(Self {
            link,
            verifier,
            expected: Expected {
                path: redirect.url().path().to_owned(),
                secrets,
                state,
                issuer: settings.oauth.issuer.clone().unwrap_or_else(|| found.server.issuer.clone()),
                is_pinned: settings.oauth.issuer.is_some(),
                iss_required: found.server.authorization_response_iss_parameter_supported,
            },
        })
    }
}

impl Expected {
    /// The authorization code from a redirect's query, or why it is rejected.
    pub fn code(&self, query: &str) -> Result<Secret, Rejection> {
        let pairs: Vec<(String, Secret)> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.into_owned(), Secret::unlisted(value.into_owned())))
            .collect();
        let all = |name: &str| pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect::<Vec<_>>();
        // Without our `state` nothing else counts, not even an error.
        match all("state").as_slice() {
            [state] if equal(state.expose().as_bytes(), self.state.expose().as_bytes()) => {}
            _ => return Err(Rejection::Foreign),
        }
        if all("code").iter().chain(&all("error")).all(|value| value.is_empty()) {
            return Err(Rejection::Empty);
        }
        let mut secrets = self.secrets.clone();
        all("code").iter().for_each(|code| secrets.add(code.expose()));
        self.check_issuer(&all("iss"), &secrets).map_err(|problem| Rejection::Final(problem.into()))?;
        let incomplete =
            |detail: &str| Rejection::Final(Problem::new(ProblemId::CallbackIncomplete).with("detail", detail).into());
        match all("error").as_slice() {
            [] => {}
            [error, ..] => {
                let problem = match error.expose().as_str() {
                    "access_denied" => Problem::new(ProblemId::AccessDenied),
                    "invalid_scope" => Problem::new(ProblemId::InvalidScope),
                    _ => Problem::new(ProblemId::AuthorizationFailed),
                };
                let description = all("error_description").first().copied().filter(|d| !d.is_empty());
                let description = description.map(|text| secrets.words(text.expose()));
                // Planhat's description says more than its error code.
                let known = description.as_ref().and_then(|words| ProblemId::in_words(words.as_str()));
                let problem = Problem { id: known.unwrap_or(problem.id), ..problem };
                let problem = problem.said("error", secrets.words(error.expose()));
                return Err(Rejection::Final(CallbackError {
                    problem: problem.said("error_description", description),
                    is_about_client: matches!(error.expose().as_str(), "invalid_client" | "unauthorized_client"),
                }));
            }
        }
        match all("code").as_slice() {
            [code] => Ok(Secret::new(code.expose().clone())),
            _ => Err(incomplete("it carries more than one code")),
        }
    }

    /// RFC 9207, 2.4: an `iss` must match exactly (but for the last slash of an issuer that the user has pinned); it may be
    /// absent only if the server did not announce it.
    fn check_issuer(&self, found: &[&Secret], secrets: &Secrets) -> Result<(), Problem> {
        let mismatch = |found: &str| {
            let is_slash = issuer::differ_by_last_slash(&self.issuer, found);
            let id = if is_slash { ProblemId::CallbackIssuerSlash } else { ProblemId::CallbackIssuerMismatch };
            let problem = Problem::new(id).with("expected", &self.issuer).said("found", secrets.words(found));
            match consent::offer(Key::Issuer, &self.issuer).filter(|_| is_slash) {
                Some(option) => problem.with("setting", option),
                None => problem,
            }
        };
        match found {
            [] if self.iss_required => Err(mismatch("nothing")),
            [] => Ok(()),
            [iss] if *iss.expose() == self.issuer => Ok(()),
            [iss] if self.is_pinned && issuer::is_pinned(&self.issuer, iss.expose()) => Ok(()),
            [iss, ..] => Err(mismatch(iss.expose())),
        }
    }
}

/// Compares in constant time.
fn equal(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len() && left.iter().zip(right).fold(0, |differ, (l, r)| differ | (l ^ r)) == 0
}

#[cfg(test)]
mod tests {
    use crate::auth::login::authorization_request::*;

    fn expected(iss_required: bool) -> Expected {
        let (state, issuer, path) = ("s3cret".into(), "https://as".into(), "/callback".into());
        Expected { state, issuer, is_pinned: false, iss_required, path, secrets: Secrets::none() }
    }

    fn problem(query: &str) -> ProblemId {
        match expected(false).code(query) {
            Err(Rejection::Final(error)) => error.problem.id,
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn a_code_is_taken_only_with_exactly_one_right_state() {
        assert_eq!(expected(false).code("code=a%2Bb&state=s3cret").unwrap().expose(), "a+b");
        for query in [
            "",
            "code=x",
            "code=x&state=",
            "code=x&state=s3cre",
            "code=x&state=s3cret&state=s3cret",
            "code=x&state=wrong&state=s3cret",
            "code=x&State=s3cret",
        ] {
            assert_eq!(expected(false).code(query), Err(Rejection::Foreign), "{query}");
        }
    }

    #[test]
    fn an_error_about_the_client_is_known_by_its_code() {
        for (code, is_about_client) in
            [("invalid_client", true), ("unauthorized_client", true), ("server_error", false), ("access_denied", false)]
        {
            let query = format!("error={code}&error_description=invalid_client&state=s3cret");
            let Err(Rejection::Final(error)) = expected(false).code(&query) else { panic!("{code}") };
            assert_eq!(error.is_about_client, is_about_client, "{code}");
        }
    }

    #[test]
    fn an_error_counts_only_with_the_right_state() {
        assert_eq!(problem("error=access_denied&state=s3cret"), ProblemId::AccessDenied);
        assert_eq!(problem("error=invalid_scope&state=s3cret"), ProblemId::InvalidScope);
        assert_eq!(problem("error=server_error&error_description=x&state=s3cret"), ProblemId::AuthorizationFailed);
        let words =
            "error=access_denied&error_description=You+do+not+have+any+of+the+permissions+this+application+requests.";
        assert_eq!(problem(&format!("{words}&state=s3cret")), ProblemId::NoPermissions);
        assert_eq!(expected(false).code("error=access_denied&state=wrong"), Err(Rejection::Foreign));
        assert_eq!(expected(false).code("error=access_denied"), Err(Rejection::Foreign));
    }

    #[test]
    fn two_codes_end_the_sign_in_with_a_reason_and_what_has_neither_code_nor_error_does_not() {
        for query in ["state=s3cret&code=a&code=b", "state=s3cret&code=&code=b"] {
            assert_eq!(problem(query), ProblemId::CallbackIncomplete, "{query}");
        }
        for query in
            ["state=s3cret", "state=s3cret&code=", "state=s3cret&error=", "state=s3cret&x=y&iss=https%3A%2F%2Fevil"]
        {
            assert_eq!(expected(false).code(query), Err(Rejection::Empty), "{query}");
        }
    }

    #[test]
    fn an_issuer_that_differs_by_a_last_slash_has_words_of_its_own_and_is_taken_where_it_is_pinned() {
        let query = |iss: &str| format!("code=x&state=s3cret&iss={iss}");
        let (slash, evil) = (query("https%3A%2F%2Fas%2F"), query("https%3A%2F%2Fas.evil%2F"));
        let Err(Rejection::Final(error)) = expected(true).code(&slash) else { panic!("it was taken") };
        assert_eq!(error.problem.id, ProblemId::CallbackIssuerSlash);
        let words = format!("{} {}", error.problem.cause(), error.problem.fix());
        assert!(words.contains("https://as/") && words.contains("--issuer https://as "), "{words}");
        assert!(!words.contains("attack"), "{words}");
        assert_eq!(problem(&evil), ProblemId::CallbackIssuerMismatch);
        assert_eq!(problem(&query("https%3A%2F%2Fas%2F%2F")), ProblemId::CallbackIssuerMismatch);
        let pinned = Expected { is_pinned: true, ..expected(true) };
        assert!(pinned.code(&slash).is_ok());
        for bad in [evil, query("https%3A%2F%2Fas%2F%2F"), query(""), "code=x&state=s3cret".into()] {
            assert!(pinned.code(&bad).is_err(), "{bad}");
        }
        let both = query("https%3A%2F%2Fas&iss=https%3A%2F%2Fas%2F");
        assert!(pinned.code(&both).is_err(), "named twice");
    }

    #[test]
    fn the_issuer_is_checked_in_all_six_cases() {
        for (required, iss, good) in [
            (true, "&iss=https%3A%2F%2Fas", true),
            (true, "&iss=https%3A%2F%2Fevil", false),
            (true, "", false),
            (false, "&iss=https%3A%2F%2Fas", true),
            (false, "&iss=https%3A%2F%2Fas%2F", false),
            (false, "", true),
            (false, "&iss=https%3A%2F%2Fas&iss=https%3A%2F%2Fas", false),
        ] {
            let result = expected(required).code(&format!("code=x&state=s3cret{iss}"));
            assert_eq!(result.is_ok(), good, "required {required}, {iss}");
            let refused = expected(required).code(&format!("error=access_denied&state=s3cret{iss}"));
            let Err(Rejection::Final(CallbackError { problem, .. })) = refused else { panic!() };
            assert_eq!(problem.id == ProblemId::AccessDenied, good, "required {required}, {iss}");
        }
    }
}

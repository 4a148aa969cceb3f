//! Signing in on another device (RFC 8628): the user types a short code there, while this program polls.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::auth::AuthError;
use crate::auth::context::Context;
use crate::auth::discovery::safe_url;
use crate::auth::discovery::search::Discovered;
use crate::auth::endpoints;
use crate::auth::exchange::client_authentication;
use crate::auth::exchange::client_authentication::Sender;
use crate::auth::exchange::refusal::Refusal;
use crate::auth::exchange::request::{Endpoint, GrantRequest, Issued};
use crate::auth::exchange::token_endpoint;
use crate::auth::grants::grant::Grant;
use crate::auth::login::parts::{LoginEnd, SignInTarget};
use crate::auth::login::ui::{LoginEvent, LoginUi};
use crate::auth::registration::client::Client;
use crate::limits::{LONGEST_DEVICE_POLL, SHORTEST_DEVICE_POLL};
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secret, Secrets, ServerWords};

/// How long a sign-in on another device may take, if the server allows that much.
pub(crate) const LONGEST_DEVICE_CODE_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The poll interval if the server does not name one (RFC 8628, 3.2).
const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How much longer to wait after `slow_down` (RFC 8628, 3.5).
const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);

/// A device authorization response (RFC 8628, 3.2).
#[derive(Debug)]
struct DeviceAuthorization {
    device_code: Secret,
    user_code: ServerWords,
    page: Url,
    page_with_code: Option<Url>,
    lifetime: Option<Duration>,
    interval: Duration,
}

/// Shows the code and waits until the user has typed it on another device.
pub(crate) async fn device_flow(
    ctx: &Context,
    target: &SignInTarget,
    client: &Client,
    ui: &mut dyn LoginUi,
) -> Result<Grant, LoginEnd> {
    let issued = authorize(ctx, &target.found, client, target.scope.as_deref(), ui).await?;
    Ok(Grant::issued(&target.found, client, issued, target.scope.clone(), ctx.now()))
}

async fn authorize(
    ctx: &Context,
    found: &Discovered,
    client: &Client,
    scope: Option<&str>,
    ui: &mut dyn LoginUi,
) -> Result<Issued, Refusal> {
    let authorization = begin(ctx, found, client, scope).await?;
    let http = ctx.http.named_by(found.named_by);
    for page in [Some(&authorization.page), authorization.page_with_code.as_ref()].into_iter().flatten() {
        http.check_page(page).await.map_err(Refusal::Other)?;
    }
    let http = ctx.http_to_token_endpoint(found.named_by);
    let longest = ctx.settings.limits.sign_in;
    let within =
        authorization.lifetime.map_or(longest, |lifetime| lifetime.min(longest.max(LONGEST_DEVICE_CODE_LIFETIME)));
    ui.event(LoginEvent::Code {
        code: &authorization.user_code,
        page: authorization.page.as_str(),
        page_with_code: authorization.page_with_code.as_ref().map(Url::as_str),
        within,
    });
    let deadline = Instant::now() + within;
    let mut interval = authorization.interval;
    let endpoint = Endpoint::of(ctx, found, client);
    loop {
        if Instant::now() + interval > deadline {
            return Err(Refusal::Other(Problem::new(ProblemId::DeviceCodeExpired)));
        }
        tokio::time::sleep(interval).await;
        let result =
            token_endpoint::request_token(&http, &endpoint, &GrantRequest::Device(&authorization.device_code)).await;
        match result.as_ref().err().and_then(|refusal| next(interval, refusal)) {
            Some(next) => interval = next,
            None => return result,
        }
    }
}

async fn begin(
    ctx: &Context,
    found: &Discovered,
    client: &Client,
    scope: Option<&str>,
) -> Result<DeviceAuthorization, Refusal> {
    let Some(endpoint) = &found.server.device_authorization_endpoint else {
        let problem = Problem::new(ProblemId::DeviceNotOffered).with("issuer", &found.server.issuer);
        return Err(Refusal::Other(problem));
    };
    let is_known = |place: &str| endpoints::share_origin(endpoint, place);
    if client.proves_itself() && !is_known(&found.server.token_endpoint) && !is_known(&found.server.issuer) {
        let detail = "it lies at another origin than issuer and token endpoint, which alone get the client's secret";
        let problem = Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "device authorization endpoint");
        return Err(Refusal::Other(problem.with("detail", detail)));
    }
    let method = client.auth_method(found.server.token_endpoint_auth_methods_supported.as_deref());
    let now = ctx.now();
    let sender = Sender { client, method, audience: &found.server.issuer, now };
    let mut fields = Vec::new();
    fields.extend(scope.map(|scope| ("scope", scope)));
    let resource = ctx.resource_parameter(&found.resource, found.without_resource_since);
    fields.extend(resource.map(|resource| ("resource", resource)));
    let request = sender.post(endpoint, "device authorization endpoint", &fields).map_err(Refusal::Other)?;
    let http = ctx.http.named_by(found.named_by);
    let answer = client_authentication::exchange(&http, request, token_endpoint::TOKEN_ANSWER_BOUNDS).await;
    let answer = answer.map_err(|error| match AuthError::from(error) {
        AuthError::Failed(problem) => Refusal::Other(problem),
        error => Refusal::NotNow(error.into()),
    })?;
    read(answer.status.as_u16(), &answer.body, &answer.secrets, &client.id).map_err(|refusal| match refusal {
        Refusal::Client(problem) => Refusal::Client(client.explained(problem)),
        refusal => refusal,
    })
}

/// How long to wait before polling again; `None` to stop.
fn next(interval: Duration, refusal: &Refusal) -> Option<Duration> {
    match refusal {
        Refusal::Pending { slower: false } => Some(interval),
        Refusal::Pending { slower: true } => Some(interval + SLOW_DOWN_STEP),
        // RFC 8628, 3.5: after a time-out, less often.
        Refusal::NotNow(_) | Refusal::Unclear { .. } => Some((interval * 2).min(LONGEST_DEVICE_POLL.max(interval))),
        Refusal::Spent(_) | Refusal::Client(_) | Refusal::Other(_) => None,
    }
}

/// Parses the answer (RFC 8628, 3.2).
fn read(status: u16, body: &[u8], sent: &Secrets, client_id: &str) -> Result<DeviceAuthorization, Refusal> {
    #[derive(Deserialize)]
    struct Answer {
        device_code: Option<String>,
        user_code: Option<String>,
        #[serde(alias = "verification_url")]
        verification_uri: Option<String>,
        verification_uri_complete: Option<String>,
        expires_in: Option<Value>,
        interval: Option<Value>,
        error: Option<String>,
        error_description: Option<String>,
    }
    let unreadable = |detail: &str| {
        let problem = Problem::new(ProblemId::TokenAnswerInvalid).with("status", status).with("detail", detail);
        Refusal::NotNow(problem)
    };
    let answer: Answer = serde_json::from_slice(body).map_err(|_| unreadable("it is no answer of this kind"))?;
    let mut secrets = sent.clone();
    secrets.add(answer.device_code.as_deref().unwrap_or_default());
    if let Some(error) = answer.error.as_deref().filter(|_| !(200..300).contains(&status)) {
        let id = match error {
            "invalid_client" | "unauthorized_client" => ProblemId::InvalidClient,
            "invalid_scope" => ProblemId::InvalidScope,
            _ => ProblemId::TokenEndpointError,
        };
        let description = answer.error_description.as_deref().map(|text| secrets.words(text));
        let problem = Problem::new(id).said("error", secrets.words(error)).with("client_id", client_id);
        let problem = problem.said("error_description", description);
        return Err(if id == ProblemId::InvalidClient { Refusal::Client(problem) } else { Refusal::Other(problem) });
    }
    let (Some(device_code), Some(user_code), Some(page)) =
        (answer.device_code, answer.user_code, answer.verification_uri)
    else {
        return Err(unreadable("it lacks the code or the page"));
    };
    let checked = |page: &str| {
        safe_url::check(page).map_err(|why| {
            let problem = Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "page for the code");
            Refusal::Other(problem.said("detail", secrets.words(&why)))
        })
    };
    let seconds =
        |value: Option<Value>| value.as_ref().and_then(crate::auth::exchange::answer::seconds).map(Duration::from_secs);
    Ok(DeviceAuthorization {
        device_code: Secret::new(device_code),
        user_code: secrets.words(&user_code),
        page: checked(&page)?,
        page_with_code: answer.verification_uri_complete.as_deref().map(checked).transpose()?,
        lifetime: seconds(answer.expires_in),
        interval: seconds(answer.interval)
            .unwrap_or(DEFAULT_POLL_INTERVAL)
            .clamp(SHORTEST_DEVICE_POLL, LONGEST_DEVICE_POLL),
    })
}

#[cfg(test)]
mod tests {
    use crate::auth::login::device_flow::*;

    fn answer(extra: &str) -> Result<DeviceAuthorization, Refusal> {
        let body = format!(r#"{{"device_code":"canary","user_code":"AB-CD"{extra}}}"#);
        read(200, body.as_bytes(), &Secrets::none(), "c")
    }

    #[test]
    fn a_missing_interval_is_five_seconds_and_a_silly_one_is_bounded() {
        let page = r#","verification_uri":"https://as.example/device""#;
        for (interval, expected) in [
            ("", 5),
            (r#","interval":7"#, 7),
            (r#","interval":"7""#, 7),
            (r#","interval":0"#, 1),
            (r#","interval":9999"#, 60),
        ] {
            let authorization = answer(&format!("{page}{interval}")).unwrap();
            assert_eq!(authorization.interval, Duration::from_secs(expected), "{interval}");
            assert!(!format!("{authorization:?}").contains("canary"));
        }
    }

    #[test]
    fn slow_down_adds_five_seconds_for_good_and_a_final_refusal_ends_it() {
        let (five, problem) = (Duration::from_secs(5), || Problem::new(ProblemId::TokenEndpointUnavailable));
        assert_eq!(next(five, &Refusal::Pending { slower: false }), Some(five));
        assert_eq!(next(five, &Refusal::Pending { slower: true }), Some(five * 2));
        assert_eq!(next(five, &Refusal::NotNow(problem())), Some(five * 2));
        assert_eq!(next(five, &Refusal::Other(problem())), None);
    }

    #[test]
    fn a_page_that_must_not_be_opened_is_not_shown() {
        for page in ["javascript:alert(1)", "http://as.example/device", "file:///etc/passwd"] {
            let Err(Refusal::Other(problem)) = answer(&format!(r#","verification_uri":"{page}""#)) else { panic!() };
            assert_eq!(problem.id, ProblemId::UnsafeEndpoint);
        }
    }

    #[test]
    fn a_refusal_that_quotes_the_client_secret_or_the_device_code_tells_nobody() {
        let mut sent = Secrets::none();
        sent.add("canary-secret");
        let body =
            br#"{"error":"x canary-secret","error_description":"not canary-device","device_code":"canary-device"}"#;
        let Err(Refusal::Other(problem)) = read(400, body, &sent, "c") else { panic!() };
        assert_eq!(problem.fact("error"), Some("x [redacted]"));
        assert_eq!(problem.fact("error_description"), Some("not [redacted]"));
    }

    #[test]
    fn a_refusal_keeps_its_reason() {
        let Err(Refusal::Client(problem)) = read(401, br#"{"error":"invalid_client"}"#, &Secrets::none(), "c") else {
            panic!()
        };
        assert_eq!(problem.id, ProblemId::InvalidClient);
        assert!(matches!(read(502, b"<html>", &Secrets::none(), "c"), Err(Refusal::NotNow(_))));
    }
}

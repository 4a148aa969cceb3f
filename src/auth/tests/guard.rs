//! A public server that names inward addresses. 127.0.0.1 plays the internet here and 127.0.0.66 the network inside; only
//! this one judgement is replaced. `localhost` is a name whose DNS answers as it is told.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::*;
use crate::http::ssrf_guard::{Surroundings, is_inward};

const INSIDE: &str = "127.0.0.66";

/// Answers in turn, the last one for ever.
struct Dns(Mutex<VecDeque<&'static str>>);

impl Resolve for Dns {
    fn resolve(&self, _: Name) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] };
        let address = SocketAddr::new(answer.parse().unwrap(), 0);
        Box::pin(std::future::ready(Ok(Box::new(std::iter::once(address)) as Addrs)))
    }
}

fn internet(dns: &[&'static str], allowed: &str) -> Http {
    fn inward(address: IpAddr) -> bool {
        address.to_string() != "127.0.0.1" && is_inward(address)
    }
    let allow_private = HostPattern::parse_all(allowed).unwrap_or_default();
    let network = NetworkSettings { allow_private, ..NetworkSettings::default() };
    let resolver = Arc::new(Dns(Mutex::new(dns.iter().copied().collect())));
    Http::within(network, Surroundings { is_inward: inward, resolver })
}

/// The metadata with one field changed.
fn metadata(fake: &Fake, field: &str, value: impl Into<serde_json::Value>) -> String {
    let mut metadata: serde_json::Value = serde_json::from_str(&fake.metadata()).unwrap();
    metadata[field] = value.into();
    metadata.to_string()
}

/// A server that registers clients and offers everything, with one field changed.
async fn rig_with(client_id: Option<&str>, field: &str, value: &str) -> Rig {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_id = client_id.map(str::to_owned);
    })
    .await;
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata(&rig.fake, field, value));
    rig
}

#[tokio::test]
async fn nothing_that_a_public_server_names_is_looked_for_inside() {
    let inner = Fake::start_at(&format!("{INSIDE}:0")).await;
    let at = |path: &str| format!("{}{path}", inner.origin);
    for field in ["token_endpoint", "authorization_endpoint", "registration_endpoint"] {
        let client_id = (field != "registration_endpoint").then_some("pk_test");
        let rig = rig_with(client_id, field, &at("/token")).await;
        let (result, pages) =
            login(&rig.process_on(internet(&["127.0.0.1"], "")), |_| panic!("a page was opened")).await;
        let problem = result.unwrap_err();
        assert_eq!(problem.id, ProblemId::InwardAddress, "{field}");
        assert_eq!((problem.fact("host"), problem.fact("address")), (Some(INSIDE), Some(INSIDE)), "{field}");
        assert!(problem.fix().contains(&format!("--allow-private {INSIDE}")), "{}", problem.fix());
        assert!(pages.is_empty());
    }
    // The places before them: resource metadata, and the authorization server.
    let rig = Rig::new().await;
    rig.fake.script().challenge = Some(format!("Bearer resource_metadata=\"{}\"", at("/meta")));
    let process = rig.process_on(internet(&["127.0.0.1"], ""));
    let (result, _) = login(&process, |link| answer(link, "code=abc")).await;
    assert_eq!(result.unwrap().issuer.as_str(), rig.fake.origin, "the hint is passed over");
    rig.fake.script().pages.remove("/.well-known/oauth-authorization-server");
    let (result, _) = login(&rig.process_on(internet(&["127.0.0.1"], "")), |_| panic!("a page was opened")).await;
    assert_eq!(result.unwrap_err().id, ProblemId::InwardAddress, "it is what is told when nothing else is found");
    let rig = Rig::new().await;
    let named = format!(r#"{{"resource":"{}/mcp","authorization_servers":["{}"]}}"#, rig.fake.origin, inner.origin);
    rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, named);
    let (result, _) = login(&rig.process_on(internet(&["127.0.0.1"], "")), |_| vec![]).await;
    assert_eq!(result.unwrap_err().id, ProblemId::InwardAddress);
    assert!(inner.script().seen.is_empty(), "{:?}", inner.script().seen);
}

#[tokio::test]
async fn a_device_s_endpoint_and_the_page_for_its_code_lie_outside_too() {
    let inner = Fake::start_at(&format!("{INSIDE}:0")).await;
    let device = || LoginOptions { device: true, ..LoginOptions::default() };
    let rig = rig_with(Some("pk_test"), "device_authorization_endpoint", &format!("{}/device", inner.origin)).await;
    let process = rig.process_on(internet(&["127.0.0.1"], ""));
    assert_eq!(process.login(device(), &mut Silent).await.unwrap_err().id, ProblemId::InwardAddress);
    for field in ["verification_uri", "verification_uri_complete"] {
        let begin = "/begin-device";
        let rig = rig_with(Some("pk_test"), "device_authorization_endpoint", "").await;
        let place = format!("{}{begin}", rig.fake.origin);
        let metadata = metadata(&rig.fake, "device_authorization_endpoint", place);
        rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata);
        let mut answer =
            serde_json::json!({"device_code": "d", "user_code": "A-B", "verification_uri": "http://127.0.0.1/"});
        answer[field] = format!("{}/type-it-here", inner.origin).into();
        rig.fake.page(begin, 200, answer.to_string());
        let process = rig.process_on(internet(&["127.0.0.1"], ""));
        assert_eq!(process.login(device(), &mut Silent).await.unwrap_err().id, ProblemId::InwardAddress, "{field}");
    }
    assert!(inner.script().seen.is_empty());
}

/// A rig, a server at the same port inside, and the name that leads to either.
async fn twins() -> (Rig, Fake, String) {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    let port = Url::parse(&rig.fake.origin).unwrap().port().unwrap();
    let inner = Fake::start_at(&format!("{INSIDE}:{port}")).await;
    (rig, inner, format!("http://localhost:{port}"))
}

#[tokio::test]
async fn a_dns_that_changes_its_answer_after_the_first_look_gains_nothing() {
    let (rig, inner, named) = twins().await;
    // One look for the metadata, another for the token.
    let metadata = metadata(&rig.fake, "issuer", named.clone());
    let metadata = metadata.replace(&format!("{}/token", rig.fake.origin), &format!("{named}/token"));
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata);
    let resource = format!(r#"{{"resource":"{}/mcp","authorization_servers":["{named}"]}}"#, rig.fake.origin);
    rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, resource);
    let process = rig.process_on(internet(&["127.0.0.1", INSIDE], ""));
    let (result, pages) = login(&process, |link| answer(link, "code=abc")).await;
    assert_eq!(result.unwrap_err().id, ProblemId::InwardAddress);
    assert!(pages[0].0 == 400 && pages[0].1.contains("--allow-private localhost"), "{}", pages[0].1);
    assert!(rig.fake.token_requests().is_empty() && inner.script().seen.is_empty(), "{:?}", inner.script().seen);
    // As long as it leads outside, it is used.
    let process = rig.process_on(internet(&["127.0.0.1"], ""));
    login(&process, |link| answer(link, "code=abc")).await.0.unwrap();
}

#[tokio::test]
async fn a_renewal_keeps_to_what_was_known_when_its_endpoint_was_named() {
    let (rig, inner, named) = twins().await;
    let metadata = metadata(&rig.fake, "token_endpoint", format!("{named}/token"));
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata);
    login(&rig.process_on(internet(&["127.0.0.1"], "")), |link| answer(link, "code=abc")).await.0.unwrap();
    // In another process, to which no server has said anything yet.
    let process = rig.process_on(internet(&[INSIDE], ""));
    let bearer = process.bearer().await.unwrap().unwrap();
    let error = process.unauthorized(Some(&bearer), Challenge::default()).await.unwrap_err();
    assert_eq!(error.problem().id, ProblemId::InwardAddress);
    assert!(matches!(error, AuthError::Failed(_)), "the sign-in is kept");
    assert!(rig.stored().await.unwrap().refresh_token.is_some());
    assert!(inner.script().seen.is_empty(), "{:?}", inner.script().seen);
}

#[tokio::test]
async fn revocation_keeps_to_what_was_known_when_it_was_named() {
    let (rig, inner, named) = twins().await;
    let metadata = metadata(&rig.fake, "token_endpoint", format!("{named}/token"));
    let mut metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    metadata["revocation_endpoint"] = format!("{named}/revoke").into();
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
    login(&rig.process_on(internet(&["127.0.0.1"], "")), |link| answer(link, "code=abc")).await.0.unwrap();
    let revoked = rig.process_on(internet(&[INSIDE], "")).logout().await.unwrap();
    let Some(Revoked::Failed(problem)) = revoked else { panic!("{revoked:?}") };
    assert_eq!(problem.id, ProblemId::InwardAddress);
    assert!(inner.script().seen.is_empty());
    assert!(rig.stored().await.is_none(), "it is gone here all the same");
}

#[tokio::test]
async fn what_the_user_has_allowed_or_named_and_what_an_inner_server_names_may_lie_inside() {
    let inner = Fake::start_at(&format!("{INSIDE}:0")).await;
    let place = format!("{}/token", inner.origin);
    // Allowed by the user.
    let rig = rig_with(Some("pk_test"), "token_endpoint", &place).await;
    login(&rig.process_on(internet(&["127.0.0.1"], INSIDE)), |link| answer(link, "code=abc")).await.0.unwrap();
    // Named by the user.
    let rig = Rig::with(|settings| settings.oauth.token_endpoint = Some(Url::parse(&place).unwrap())).await;
    let typed = LoginOptions { by_person: true, ..LoginOptions::default() };
    let process = rig.process_on(internet(&["127.0.0.1"], ""));
    login_with(&process, typed, |link| answer(link, "code=abc")).await.0.unwrap();
    // Named by a server that is inside itself, as this one is for anybody who does not take 127.0.0.1 for the internet.
    let rig = rig_with(Some("pk_test"), "token_endpoint", &place).await;
    login(&rig.process(), |link| answer(link, "code=abc")).await.0.unwrap();
    assert_eq!(inner.token_requests().len(), 3);
}

#[tokio::test]
async fn a_server_that_said_nothing_by_a_401_is_known_by_its_metadata() {
    let inner = Fake::start_at(&format!("{INSIDE}:0")).await;
    let rig = rig_with(Some("pk_test"), "token_endpoint", &format!("{}/token", inner.origin)).await;
    let http = internet(&["127.0.0.1"], "");
    let found = crate::auth::discovery::search::discover(
        &http,
        &rig.settings,
        &Challenge::default(),
        crate::auth::discovery::metadata::Flow::Code,
        None,
    )
    .await;
    assert_eq!(found.unwrap_err().problem().id, ProblemId::InwardAddress);
}

#[tokio::test]
async fn a_client_without_a_person_shows_its_secret_to_nobody_inside() {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_credentials = true;
        settings.oauth.client_secret = Some("canary".into());
    })
    .await;
    let port = Url::parse(&rig.fake.origin).unwrap().port().unwrap();
    let inner = Fake::start_at(&format!("{INSIDE}:{port}")).await;
    let metadata = metadata(&rig.fake, "token_endpoint", format!("http://localhost:{port}/token"));
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata);
    let process = rig.process_on(internet(&[INSIDE], ""));
    let problem = process.login(LoginOptions::default(), &mut Silent).await.unwrap_err();
    assert_eq!(problem.id, ProblemId::InwardAddress);
    assert!(inner.script().seen.is_empty(), "{:?}", inner.script().seen);
    rig.process_on(internet(&["127.0.0.1"], "")).login(LoginOptions::default(), &mut Silent).await.unwrap();
}

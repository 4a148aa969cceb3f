//! Servers that quote what they were sent: nothing secret of it may come back out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const SECRET: &str = "canary-secret/9~x";
const CODE: &str = "canary-code/1+x";

/// A refusal in which everything stands that was sent.
fn refusal(error: &str) -> (u16, String) {
    (400, format!(r#"{{"error":"{error}","error_description":"Sent: {{sent}}"}}"#))
}

async fn rig() -> Rig {
    Rig::with(|settings| settings.oauth.client_secret = Some(SECRET.into())).await
}

/// Everything secret that the token endpoint was sent so far, in the forms that this server quotes it in.
fn sent(rig: &Rig) -> Vec<String> {
    let public = ["grant_type", "redirect_uri", "resource", "scope", "client_id"];
    let requests = rig.fake.token_requests();
    let fields = requests.iter().flat_map(Seen::form).filter(|(name, _)| !public.contains(&name.as_str()));
    let mut all: Vec<String> = fields.map(|(_, value)| value).collect();
    all.push(SECRET.to_owned());
    for plain in all.clone() {
        all.push(url::form_urlencoded::byte_serialize(plain.as_bytes()).collect());
        all.push(STANDARD.encode(&plain));
    }
    all.extend(
        requests.iter().filter_map(|seen| seen.headers.get("authorization")?.split(' ').next_back().map(str::to_owned)),
    );
    all
}

fn assert_hidden(rig: &Rig, shown: &str) {
    for secret in sent(rig) {
        assert!(!shown.contains(&secret), "{secret} in {shown}");
    }
}

/// All that lies in the state folder.
fn files(rig: &Rig) -> String {
    let entries = std::fs::read_dir(&rig.settings.paths.state_dir).unwrap().flatten();
    entries
        .filter_map(|entry| std::fs::read(entry.path()).ok())
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .collect()
}

#[tokio::test]
async fn a_token_endpoint_that_quotes_the_code_the_verifier_and_the_secret_tells_nobody() {
    for error in ["invalid_grant", "invalid_request", "invalid_scope", "no_such_error {sent}"] {
        let rig = rig().await;
        rig.fake.script().token_faults.push_back(refusal(error));
        let code = url::form_urlencoded::byte_serialize(CODE.as_bytes()).collect::<String>();
        let (result, pages) = login(&rig.process(), move |link| answer(link, &format!("code={code}"))).await;
        let problem = result.unwrap_err();
        assert!(problem.fact("error_description").is_some_and(|text| text.contains("[redacted]")), "{problem:?}");
        assert_eq!(rig.fake.token_requests().len(), 1);
        assert!(sent(&rig).iter().any(|secret| secret == CODE), "the server got it");
        assert!(files(&rig).contains("Sent: "), "the failure is told to other processes");
        for shown in [format!("{problem:?}"), problem.to_json_rpc_error().to_string(), pages[0].1.clone(), files(&rig)]
        {
            assert_hidden(&rig, &shown);
        }
    }
}

#[tokio::test]
async fn a_client_that_every_way_of_showing_a_secret_was_refused_to_tells_nobody() {
    let rig = rig().await;
    for _ in 0..3 {
        let (_, body) = refusal("invalid_client");
        rig.fake.script().token_faults.push_back((401, body));
    }
    let (result, _) = login(&rig.process(), |link| answer(link, "code=canary-code")).await;
    assert_eq!(rig.fake.token_requests().len(), 3);
    assert_hidden(&rig, &format!("{:?} {}", result.unwrap_err(), files(&rig)));
}

#[tokio::test]
async fn a_refusal_that_quotes_the_refresh_token_tells_nobody() {
    let rig = rig().await;
    let process = rig.signed_in().await;
    let token = process.bearer().await.unwrap().unwrap();
    rig.fake.script().token_faults.push_back(refusal("invalid_request"));
    let error = process.unauthorized(Some(&token), Challenge::default()).await.unwrap_err();
    assert!(sent(&rig).iter().any(|secret| secret == "canary-refresh-1"), "the server got it");
    assert_hidden(&rig, &format!("{error:?} {}", files(&rig)));
    assert!(format!("{error:?}").contains("[redacted]"), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_quotes_the_tokens_that_it_brings_tells_nobody() {
    let rig = rig().await;
    for body in [
        r#"{"error":"invalid_request","error_description":"not canary-new-token","access_token":"canary-new-token"}"#,
        r#"{"not-canary-new-token":{"access_token":"canary-new-token"}}"#,
    ] {
        rig.fake.script().token_faults.push_back((200, body.into()));
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        let shown = format!("{:?}", result.unwrap_err());
        assert!(!shown.contains("canary-new-token") && shown.contains("[redacted]"), "{shown}");
    }
    rig.fake.script().token_faults.push_back((
        200,
        r#"{"token_type":"bearer","access_token":"canary-new-token","scope":"read canary-new-token"}"#.into(),
    ));
    let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
    assert!(!format!("{:?}", result.unwrap()).contains("canary"));
}

#[tokio::test]
async fn a_callback_whose_error_quotes_the_code_or_the_secret_tells_nobody() {
    let rig = rig().await;
    let (result, pages) = login(&rig.process(), |link| {
        let state = param(link, "state");
        let said = format!("{CODE} {SECRET} {state}").replace('+', "%2B").replace(' ', "+");
        answer(link, &format!("code={}&error=e+{said}&error_description=You+sent+{said}", CODE.replace('+', "%2B")))
    })
    .await;
    let problem = result.unwrap_err();
    assert_eq!(problem.fact("error_description"), Some("You sent [redacted] [redacted] [redacted]"));
    for shown in [format!("{problem:?}"), pages[0].1.clone(), files(&rig)] {
        assert_hidden(&rig, &shown);
        assert!(!shown.contains(CODE), "{shown}");
    }
}

#[tokio::test]
async fn a_registration_that_is_refused_with_a_secret_tells_nobody() {
    let rig = Rig::with(|settings| {
        settings.product = Product::Other;
        settings.oauth.client_id = None;
    })
    .await;
    let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
    metadata["registration_endpoint"] = format!("{}/register", rig.fake.origin).into();
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
    let body = r#"{"error":"e","error_description":"not canary-secret-1","client_secret":"canary-secret-1"}"#;
    rig.fake.page("/register", 400, body);
    let (result, _) = login(&rig.process(), |_| Vec::new()).await;
    assert_eq!(result.unwrap_err().fact("error_description"), Some("not [redacted]"));
}

#[tokio::test]
async fn a_challenge_is_read_without_the_token_that_it_quotes() {
    let mut sent = crate::secret::Secrets::none();
    sent.add("canary-access-1");
    let value = r#"Bearer error="invalid_token", error_description="no canary-access-1", scope="a canary%2Daccess-1""#;
    let headers = [(reqwest::header::WWW_AUTHENTICATE, value.parse().unwrap())].into_iter().collect();
    let challenge = Challenge::from_headers(&headers, &sent);
    assert_eq!(challenge.error_description.as_deref(), Some("no [redacted]"));
    assert_eq!(challenge.scope.as_deref(), Some("a [redacted]"));
}

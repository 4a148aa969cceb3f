//! Servers that attack: endpoints that are none, documents without end, token answers that are no answers, pages that
//! would reflect what they are sent.

use std::sync::atomic::AtomicU64;

use planhat_sandbox::gzip_bomb;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const MEGABYTES: usize = 100;

/// Answers each request with one body, and counts how much of it was taken.
struct Flood {
    origin: String,
    sent: Arc<AtomicU64>,
}

/// How a body comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Its length is announced.
    Announced,
    /// It goes on until the connection ends.
    Endless,
    /// It is unpacked from a hundredth of its size, or less.
    Compressed,
}

impl Flood {
    /// A good answer, followed by a hundred megabytes of white space.
    async fn start(form: Form, answer: impl FnOnce(&str) -> String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let sent = Arc::new(AtomicU64::new(0));
        let answer = answer(&origin);
        let head = match form {
            Form::Announced => format!("Content-Length: {}\r\n", answer.len() + MEGABYTES * 1024 * 1024),
            Form::Endless => "Connection: close\r\n".into(),
            Form::Compressed => "Connection: close\r\nContent-Encoding: gzip\r\n".into(),
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}\r\n");
        let pieces = match form {
            Form::Compressed => vec![gzip_bomb(&answer, MEGABYTES)],
            _ => std::iter::once(answer.into_bytes()).chain((0..MEGABYTES).map(|_| vec![b' '; 1024 * 1024])).collect(),
        };
        let (pieces, counter) = (Arc::new(pieces), Arc::clone(&sent));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (head, pieces, sent) = (head.clone(), Arc::clone(&pieces), Arc::clone(&counter));
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 16 * 1024]).await;
                    let _ = stream.write_all(head.as_bytes()).await;
                    for chunk in pieces.iter().flat_map(|piece| piece.chunks(16 * 1024)) {
                        if stream.write_all(chunk).await.is_err() {
                            return;
                        }
                        sent.fetch_add(chunk.len() as u64, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { origin, sent }
    }

    /// What was taken, the buffers on the way included; far less than all there was.
    fn assert_cut_off(&self, what: &str) {
        let sent = self.sent.load(Ordering::SeqCst);
        assert!(sent < 16 * 1024 * 1024, "{what}: {sent} bytes were taken");
    }
}

fn says_too_large(problem: &Problem) -> bool {
    problem.source.as_deref().unwrap_or_default().contains("larger than the limit")
}

#[tokio::test]
async fn metadata_of_a_hundred_megabytes_is_cut_off_however_it_comes() {
    for form in [Form::Announced, Form::Endless, Form::Compressed] {
        // Of the resource.
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        let resource = format!(r#"{{"resource":"{0}/mcp","authorization_servers":["{0}"]}}"#, rig.fake.origin);
        let flood = Flood::start(form, |_| resource).await;
        rig.fake.script().challenge = Some(format!("Bearer resource_metadata=\"{}/meta\"", flood.origin));
        rig.fake.script().pages.clear();
        let (result, pages) = login(&rig.process(), |link| answer(link, "error=access_denied")).await;
        // It is one bad probe: the search goes on, and ends at what is assumed of a server without metadata.
        assert!(pages.len() <= 1, "{form:?}");
        assert!(says_too_large(&result.unwrap_err()), "{form:?}");
        flood.assert_cut_off("resource metadata");
        // Of the authorization server.
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        let metadata = rig.fake.metadata();
        let own = format!("\"issuer\":\"{}\"", rig.fake.origin);
        let flood = Flood::start(form, |origin| metadata.replace(&own, &format!("\"issuer\":\"{origin}\""))).await;
        let resource =
            format!(r#"{{"resource":"{}/mcp","authorization_servers":["{}"]}}"#, rig.fake.origin, flood.origin);
        rig.fake.page("/.well-known/oauth-protected-resource/mcp", 200, resource);
        let (result, _) = login(&rig.process(), |_| panic!("a page of a server that must not be used")).await;
        assert!(says_too_large(&result.unwrap_err()), "{form:?}");
        flood.assert_cut_off("server metadata");
    }
}

#[tokio::test]
async fn answers_of_a_hundred_megabytes_from_other_endpoints_are_cut_off_too() {
    for form in [Form::Announced, Form::Endless, Form::Compressed] {
        for field in ["token_endpoint", "registration_endpoint", "device_authorization_endpoint"] {
            let rig = Rig::with(|settings| {
                settings.product = Product::Other;
                settings.oauth.client_id = (field != "registration_endpoint").then(|| "pk_test".into());
            })
            .await;
            let good = r#"{"access_token":"t","token_type":"bearer","client_id":"c","device_code":"d","user_code":"u","verification_uri":"https://as.example/"}"#;
            let flood = Flood::start(form, |_| good.into()).await;
            let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
            metadata[field] = format!("{}/x", flood.origin).into();
            rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
            let process = rig.process();
            let problem = if field == "device_authorization_endpoint" {
                process.login(LoginOptions { device: true, ..LoginOptions::default() }, &mut Silent).await.unwrap_err()
            } else {
                login(&process, |link| answer(link, "code=abc")).await.0.unwrap_err()
            };
            let too_large = problem.id == ProblemId::AnswerTooLarge || says_too_large(&problem);
            assert!(too_large, "{form:?} {field}: {problem:?}");
            flood.assert_cut_off(field);
            assert!(rig.stored().await.is_none());
        }
    }
}

#[tokio::test]
async fn documents_of_deep_nesting_overflow_nothing() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for field in ["unknown", "scopes_supported", "issuer"] {
        let rig = Rig::with(|settings| settings.product = Product::Other).await;
        let metadata = rig.fake.metadata().replace('}', &format!(",\"{field}\":{deep}}}"));
        for place in ["oauth-protected-resource/mcp", "oauth-authorization-server", "openid-configuration"] {
            rig.fake.page(&format!("/.well-known/{place}"), 200, metadata.clone());
        }
        // Where it is not even a document, the default endpoints are assumed.
        rig.fake.script().token_faults.push_back((200, format!(r#"{{"access_token":"t","x":{deep}}}"#)));
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        assert_eq!(result.unwrap_err().id, ProblemId::TokenAnswerInvalid, "{field}");
        assert!(rig.stored().await.is_none());
    }
}

#[tokio::test]
async fn no_endpoint_is_used_that_is_no_web_address() {
    let bad = [
        "javascript:alert(document.domain)//https://h/",
        "file:///etc/passwd",
        "file://server/share/x",
        "\\\\server\\share\\x.exe",
        "//server/share",
        "-x",
        "--proxy-server=evil.example",
        "https://h/\u{1b}[31m",
        "https://h/\r\nx",
        "https://h/ --new-window",
        "https://user:password@h/",
        "ms-settings:privacy",
        "data:text/html,<script>",
        "http://as.example/x",
        "",
    ];
    for field in ["authorization_endpoint", "token_endpoint", "registration_endpoint", "device_authorization_endpoint"]
    {
        for bad in bad {
            let rig = Rig::with(|settings| {
                settings.product = Product::Other;
                settings.oauth.client_id = (field != "registration_endpoint").then(|| "pk_test".into());
            })
            .await;
            let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
            metadata[field] = bad.into();
            rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
            let process = rig.process();
            let problem = if field == "device_authorization_endpoint" {
                process.login(LoginOptions { device: true, ..LoginOptions::default() }, &mut Silent).await.unwrap_err()
            } else {
                login(&process, |_| panic!("no page may be opened")).await.0.unwrap_err()
            };
            assert_eq!(problem.id, ProblemId::UnsafeEndpoint, "{field} {bad:?}");
            assert!(!problem.to_terminal(false).contains('\u{1b}'));
        }
    }
    // In a header there are no control characters, and nothing is the same as silence.
    for bad in bad.into_iter().filter(|bad| !bad.is_empty() && !bad.contains(char::is_control)) {
        let rig = Rig::new().await;
        rig.fake.script().challenge = Some(format!("Bearer resource_metadata=\"{}\"", bad.replace('\\', "\\\\")));
        rig.fake.script().pages.remove("/.well-known/oauth-authorization-server");
        let result = login(&rig.process(), |_| panic!("no page may be opened")).await.0;
        // What reads as a path is one of the server's own, and there is nothing at it.
        let is_path = bad.starts_with('-');
        let expected = if is_path { ProblemId::NoAuthorizationServer } else { ProblemId::UnsafeEndpoint };
        assert_eq!(result.unwrap_err().id, expected, "{bad:?}");
    }
}

#[tokio::test]
async fn shell_characters_in_an_endpoint_stay_one_address() {
    let rig = Rig::with(|settings| settings.product = Product::Other).await;
    let page = format!("{}/a?x=$(touch%20y)&z=';|`\"<>&|calc", rig.fake.origin);
    let mut metadata: serde_json::Value = serde_json::from_str(&rig.fake.metadata()).unwrap();
    metadata["authorization_endpoint"] = page.into();
    rig.fake.page("/.well-known/oauth-authorization-server", 200, metadata.to_string());
    let (result, _) = login(&rig.process(), |link| {
        assert!(link.starts_with("http://127.0.0.1:") && !link.contains(['"', '<', '>', ' ']), "{link}");
        assert!(Url::parse(link).unwrap().as_str() == link);
        answer(link, "code=abc")
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn a_token_endpoint_that_gives_no_token_gives_its_reason_and_nothing_is_stored() {
    for (status, body, expected) in [
        (200, "<!doctype html><html><body>Sign in to the hotel's network</body></html>", ProblemId::TokenAnswerInvalid),
        (200, "", ProblemId::TokenAnswerInvalid),
        (204, "", ProblemId::TokenAnswerInvalid),
        (200, "null", ProblemId::TokenAnswerInvalid),
        (200, r#"{"token_type":"bearer"}"#, ProblemId::TokenAnswerInvalid),
        (200, r#"{"access_token":"t","token_type":"mac"}"#, ProblemId::TokenTypeUnusable),
        (200, r#"{"error":"invalid_grant"}"#, ProblemId::CodeRejected),
        (200, r#"{"error":"invalid_request","access_token":"t","token_type":"bearer"}"#, ProblemId::TokenEndpointError),
        (400, r#"{"error":"unauthorized_client"}"#, ProblemId::InvalidClient),
        (302, "", ProblemId::TokenAnswerInvalid),
    ] {
        let rig = Rig::new().await;
        rig.fake.script().token_faults.push_back((status, body.into()));
        let (result, pages) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        assert_eq!(result.unwrap_err().id, expected, "{status} {body}");
        assert!(pages[0].0 == 400 && !pages[0].1.contains("You are signed in"), "{status} {body}");
        assert!(rig.stored().await.is_none());
    }
}

#[tokio::test]
async fn a_page_says_signed_in_only_when_the_tokens_are_stored() {
    let rig = Rig::new().await;
    let ring = rig.ring.clone();
    let (result, pages) = login(&rig.process(), move |link| {
        // The store was tried out before; it breaks while the person is at the page.
        ring.fail(Some(StoreError::Locked));
        answer(link, "code=abc")
    })
    .await;
    assert_eq!(result.unwrap_err().id, ProblemId::KeychainLocked);
    assert_eq!(rig.fake.token_requests().len(), 1, "the tokens were there");
    assert!(pages[0].0 == 400 && !pages[0].1.contains("You are signed in"), "{}", pages[0].1);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_finds_nobody() {
    let rig = Rig::with(|settings| settings.limits.sign_in = Duration::from_millis(50)).await;
    let (links, mut link) = mpsc::unbounded_channel();
    let result = rig.process().login(LoginOptions::default(), &mut Links(links)).await;
    assert_eq!(result.unwrap_err().id, ProblemId::PlanhatSignInTimedOut);
    let late = answer(&link.recv().await.unwrap(), "code=abc").remove(0);
    let port = Url::parse(&late).unwrap().port().unwrap();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    // Nor does the next sign-in take it.
    let rig = Rig::with(|settings| settings.oauth.callback.port = port).await;
    let (result, pages) = login(&rig.process(), move |link| vec![late, answer(link, "code=new").remove(0)]).await;
    result.unwrap();
    assert_eq!((pages[0].0, pages[1].0), (400, 200));
    assert_eq!(rig.fake.token_requests()[0].form()["code"], "new");
}

#[tokio::test]
async fn no_page_reflects_what_it_was_sent_and_each_is_locked_down() {
    let mark = "%3Cscript%3Ealert(1)%3C/script%3E%22%3E%3Cimg%20src=x%3E";
    for last in
        [format!("error={mark}&error_description={mark}"), format!("code={mark}"), format!("iss={mark}&code=abc")]
    {
        let rig = Rig::new().await;
        let port = rig.settings.oauth.callback.port;
        let (_, mut pages) = login(&rig.process(), move |link| {
            let to = redirect(link);
            let urls = vec![
                format!("{to}?code=x&state={mark}"),
                format!("{to}?error={mark}&error_description={mark}"),
                format!("{to}/{mark}?{mark}"),
                to.replace("127.0.0.1", "localhost") + &format!("?state={mark}"),
            ];
            urls.into_iter().chain(answer(link, &last)).collect()
        })
        .await;
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
        assert_eq!(pages.len(), 5);
        for (status, page) in pages.drain(..) {
            let (head, body) = page.split_once("\r\n\r\n").unwrap();
            let head = head.to_ascii_lowercase();
            for header in [
                "cache-control: no-store",
                "referrer-policy: no-referrer",
                "x-content-type-options: nosniff",
                "content-security-policy: default-src 'none'; style-src 'nonce-",
                "frame-ancestors 'none'",
                "form-action 'none'",
            ] {
                assert!(head.contains(header), "{status}: {header} in {head}");
            }
            assert!(!head.contains("unsafe-inline") && !head.contains("location:"), "{head}");
            assert!(!body.contains("<script") && !body.contains("<img") && !body.contains("alert(1)</"), "{body}");
            for sign in ["src=", "href=", "url(", "@import"] {
                let ours = body.replace("src=x", "");
                assert!(!ours.contains(sign), "{status}: {sign} in {body}");
            }
        }
    }
}

#[tokio::test]
async fn metadata_and_token_endpoints_are_not_followed_to_another_origin() {
    let elsewhere = Fake::start().await;
    for redirect in [301, 302, 303, 307, 308] {
        let rig = Rig::with(|settings| {
            settings.product = Product::Other;
            settings.oauth.client_secret = Some("canary-secret".into());
        })
        .await;
        let to = |path: &str| format!("{}{path}", elsewhere.origin);
        for place in ["/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-protected-resource"] {
            rig.fake.redirect(place, redirect, &to("/.well-known/oauth-protected-resource"));
        }
        rig.fake.redirect("/token", redirect, &to("/token"));
        let (result, _) = login(&rig.process(), |link| answer(link, "code=abc")).await;
        assert_eq!(result.unwrap_err().id, ProblemId::TokenAnswerInvalid, "{redirect}");
        assert!(rig.stored().await.is_none());
    }
    assert!(elsewhere.script().seen.is_empty(), "{:?}", elsewhere.script().seen);
}

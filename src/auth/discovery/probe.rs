//! Requests the MCP endpoint without a token, to get the challenge that says where to sign in.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, StatusCode};

use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::secret::Secrets;

/// How long the MCP endpoint may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// The challenge that a request has met, or else that of a request without a token.
pub(crate) async fn challenge(ctx: &Context, met: &Challenge) -> Challenge {
    if !met.is_empty() {
        return met.clone();
    }
    let Ok(client) = ctx.http.client(&ctx.settings.url).await else { return met.clone() };
    let mut request = reqwest::Request::new(Method::GET, ctx.settings.url.clone());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    // Only the head of the answer matters; a stream is dropped.
    match tokio::time::timeout(PROBE_TIMEOUT, client.execute(request)).await {
        Ok(Ok(answer)) => {
            let found = if answer.status() == StatusCode::UNAUTHORIZED {
                Challenge::from_headers(answer.headers(), &Secrets::none())
            } else {
                Challenge::default()
            };
            found.sent_by(ctx.http.namer(&answer)).after(met)
        }
        Ok(Err(_)) | Err(_) => met.clone(),
    }
}

//! The HTTP client: one per process, made on first use.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use crate::config::NetworkSettings;
use crate::problem::Problem;

use super::NetError;

/// How a connection is made, shared by everything that talks to the network. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    network: NetworkSettings,
    client: OnceLock<Result<reqwest::Client, Problem>>,
}

/// Bounds of one whole exchange with an endpoint that is not the MCP endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The largest body that is read, in bytes, after decompression.
    pub max_body: usize,
    /// From the first byte sent to the last byte received.
    pub timeout: Duration,
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, within the bound.
    pub body: Vec<u8>,
}

impl Http {
    /// Nothing is loaded or connected before the first request.
    pub fn new(network: NetworkSettings) -> Self {
        Self { inner: Arc::new(Inner { network, client: OnceLock::new() }) }
    }

    /// The client, made on first use.
    pub fn client(&self) -> Result<&reqwest::Client, Problem> {
        let _ = &self.inner.network;
        self.inner
            .client
            .get_or_init(|| {
                let _ = rustls::crypto::ring::default_provider().install_default();
                reqwest::Client::builder()
                    .redirect(reqwest::redirect::Policy::none())
                    .build()
                    .map_err(|e| Problem::new(crate::problem::ProblemId::NotJson).because(e))
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// One whole exchange.
    pub async fn exchange(&self, request: reqwest::Request, bounds: Bounds) -> Result<Answer, NetError> {
        let client = self.client().map_err(|p| NetError(p.to_string()))?;
        let work = async {
            let response = client.execute(request).await.map_err(|e| NetError(e.to_string()))?;
            let status = response.status();
            let headers = response.headers().clone();
            let body = response.bytes().await.map_err(|e| NetError(e.to_string()))?.to_vec();
            if body.len() > bounds.max_body {
                return Err(NetError("too large".into()));
            }
            Ok(Answer { status, headers, body })
        };
        tokio::time::timeout(bounds.timeout, work).await.unwrap_or_else(|_| Err(NetError("time-out".into())))
    }
}

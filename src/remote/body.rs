//! The body of an answer: its declared kind, and reading it whole.

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use url::Url;

use crate::http::{Http, NetError};
use crate::limits::Yielding;

use super::patience::Patience;

/// The most that is allocated up front for an announced body, in bytes: the announcement may be wrong.
const MAX_PREALLOCATED_BYTES: usize = 1024 * 1024;

/// The kind of body that an answer declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, or nothing declared.
    Json,
    /// `text/event-stream`.
    Events,
    /// A kind that MCP does not use.
    Other,
}

impl Media {
    /// Reads `Content-Type`.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()) else { return Self::Json };
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Events
        } else if essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json") {
            Self::Json
        } else {
            Self::Other
        }
    }
}

/// The part of a body received so far. A body in a single piece is not copied.
#[derive(Debug, Default)]
pub struct PartialBody {
    first: Bytes,
    /// All of it, from the second piece on.
    whole: BytesMut,
}

impl PartialBody {
    fn len(&self) -> usize {
        if self.whole.is_empty() { self.first.len() } else { self.whole.len() }
    }

    /// Reads until the body is complete (`None`) or longer than `limit` bytes; then returns the number of bytes
    /// received. It may be called again until the body is complete, even after the future was dropped.
    ///
    /// # Errors
    /// As [`read_whole`].
    pub async fn read(
        &mut self,
        http: &Http,
        response: &mut Response,
        max: usize,
        patience: &Patience,
        limit: usize,
    ) -> Result<Option<usize>, NetError> {
        let url = response.url().clone();
        let announced = response.content_length().unwrap_or(0);
        if announced > max as u64 {
            return Err(NetError::too_large(&url, max));
        }
        // A body may unpack to a thousand times what comes from the network.
        let mut yielding = Yielding::default();
        while self.len() <= limit {
            let Some(piece) = piece(http, &url, response, patience).await? else { return Ok(None) };
            if self.len() + piece.len() > max {
                return Err(NetError::too_large(&url, max));
            }
            let bytes = piece.len();
            if self.first.is_empty() {
                self.first = piece;
                if self.first.len() as u64 == announced {
                    return Ok(None);
                }
                continue;
            }
            if self.whole.is_empty() {
                let room = usize::try_from(announced).unwrap_or(0).min(MAX_PREALLOCATED_BYTES);
                self.whole.reserve(room.max(self.first.len() + piece.len()));
                self.whole.extend_from_slice(&self.first);
            }
            self.whole.extend_from_slice(&piece);
            yielding.bytes(bytes).await;
        }
        Ok(Some(self.len()))
    }

    /// The body, once it is complete.
    pub fn into_bytes(self) -> Bytes {
        if self.whole.is_empty() { self.first } else { self.whole.freeze() }
    }
}

/// Reads a whole body of at most `max` bytes, however slowly, as long as it does not stall.
///
/// # Errors A [`NetError`] when the body is cut off, larger than `max`, or stalls for too long.
pub async fn read_whole(
    http: &Http,
    response: &mut Response,
    max: usize,
    patience: &Patience,
) -> Result<Bytes, NetError> {
    let mut body = PartialBody::default();
    body.read(http, response, max, patience, usize::MAX).await?;
    Ok(body.into_bytes())
}

async fn piece(
    http: &Http,
    url: &Url,
    response: &mut Response,
    patience: &Patience,
) -> Result<Option<Bytes>, NetError> {
    match patience.wait(response.chunk()).await {
        Some(piece) => piece.map_err(|e| http.explain(url, &e)),
        None => Err(NetError::timed_out(url, patience.idle.unwrap_or_default())),
    }
}

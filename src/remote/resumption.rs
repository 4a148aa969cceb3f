//! Resumes the stream of a POST that ended before its answer (Streamable HTTP, "Resumability and Redelivery").

use tokio::time::Instant;

use super::exchange::Exchange;
use super::failure::Failure;
use super::send::Remote;
use super::stream_life::StreamLife;

/// The streams on which one answer is awaited.
#[derive(Debug)]
pub struct Resumption(StreamLife);

impl Default for Resumption {
    /// The first stream has just been opened.
    fn default() -> Self {
        let mut streams = StreamLife::answering();
        streams.opened();
        Self(streams)
    }
}

impl Resumption {
    /// The stream has brought a message for the client, which is not the answer.
    pub fn progressed(&mut self) {
        self.0.brought_message();
    }

    /// Resumes after the last received event. `None` if no event had an id, the server does not offer it, or it has
    /// been done too often without bringing a message.
    ///
    /// The wait is at least the server's `retry:`: by ending a stream cleanly, servers make clients poll. It grows while
    /// nothing comes, because each resumed stream can end with another event id that proves nothing. A connection that
    /// fails or breaks is retried until `end`. In a session that replaced the stream's own there is nothing to resume:
    /// the server would open a different stream, on which the answer never comes.
    ///
    /// # Errors A [`Failure`] of the attempt to resume; whether the request was executed stays as unclear as before.
    pub async fn resume(
        &mut self,
        remote: &Remote,
        broken: &Exchange,
        end: Instant,
    ) -> Result<Option<Exchange>, Failure> {
        let Some((id, retry)) = broken.resume_from() else { return Ok(None) };
        loop {
            let Some(wait) = self.0.ended(retry) else {
                tracing::info!("the server ends the stream again and again; its answer is not waited for any longer");
                return Ok(None);
            };
            tokio::time::sleep(wait).await;
            match remote.listen(Some(id), Some(remote.idle()), Some(broken.epoch)).await {
                Ok(Some(stream)) => {
                    self.0.opened();
                    let again = Exchange::stream(broken.headers.clone(), stream.after(id, retry));
                    return Ok(Some(again.sent_with(broken.grant, broken.epoch, broken.sent.clone())));
                }
                Ok(None) => return Ok(None),
                Err(failure) if is_transient(&failure) && Instant::now() < end => {
                    tracing::debug!(?failure, "the stream could not be resumed yet");
                }
                Err(
                    Failure::Explained(problem) | Failure::Refused { problem, .. } | Failure::Unclear { problem, .. },
                ) => {
                    tracing::debug!(%problem, "the stream cannot be resumed");
                    return Ok(None);
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Whether opening the stream is likely to succeed soon: after a rate limit, a server restart, or a broken connection.
fn is_transient(failure: &Failure) -> bool {
    match failure {
        Failure::NotSent(_) | Failure::Unclear { .. } => true,
        Failure::Refused { status, .. } => matches!(status.as_u16(), 429 | 502..=504),
        _ => false,
    }
}

//! The requests that the client waits for, and the single right to answer each of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};

use crate::limits::{MAX_REQUESTS_IN_FLIGHT, REQUESTS_BYTES};
use crate::message::IdKey;
use crate::remote::SendState;

use super::batch::BatchSlot;

/// The requests of the client that have no answer yet.
#[derive(Debug)]
pub struct RequestsInFlight {
    requests: Mutex<Requests>,
    /// The number of requests in flight, including answers on their way to the output.
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Requests {
    by_id: HashMap<IdKey, Entry>,
    /// The size of all of them.
    bytes: usize,
}

impl Requests {
    fn remove(&mut self, key: &IdKey) -> Option<Entry> {
        let entry = self.by_id.remove(key)?;
        self.bytes -= entry.bytes;
        if self.by_id.is_empty() {
            self.by_id = HashMap::new(); // the memory of a burst
        }
        Some(entry)
    }
}

#[derive(Debug)]
struct Entry {
    ticket: Ticket,
    batch_slot: Option<BatchSlot>,
    bytes: usize,
}

/// Why a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Another request with its id is in flight.
    DuplicateId,
    /// This process cannot hold more requests in flight.
    Busy,
}

/// The right to answer one request. While it is held, the request still counts as in flight.
#[derive(Debug)]
pub struct AnswerGuard {
    count: watch::Sender<usize>,
    /// Where the answer goes if the request came in a batch.
    batch_slot: Option<BatchSlot>,
}

impl AnswerGuard {
    /// Takes the batch slot for the answer.
    pub fn take_batch_slot(&mut self) -> Option<BatchSlot> {
        self.batch_slot.take()
    }
}

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        self.count.send_modify(|count| *count -= 1);
    }
}

/// One request in flight, shared between the table and the task that handles it.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Whether the server may have the request.
    pub send_state: Arc<SendState>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Whether it belongs to the stateless era, where closing the connection cancels a request.
    is_stateless: bool,
    stop: Notify,
    stop_reason: OnceLock<StopReason>,
    /// The id under which the server has it, if not the client's.
    sent_as: Mutex<Option<Box<RawValue>>>,
}

/// Why nobody needs the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The client has cancelled the request.
    Cancelled,
    /// The answer came on another request's stream.
    AnsweredElsewhere,
}

impl Ticket {
    fn new(is_stateless: bool) -> Self {
        let shared =
            Shared { is_stateless, stop: Notify::new(), stop_reason: OnceLock::new(), sent_as: Mutex::default() };
        Self { send_state: Arc::default(), shared: Arc::new(shared) }
    }

    /// Ends the handling of the request. Only the first reason counts.
    pub fn stop(&self, reason: StopReason) {
        let _ = self.shared.stop_reason.set(reason);
        self.shared.stop.notify_one();
    }

    /// Returns when nobody needs the answer any more. Only one task at a time may wait.
    pub async fn stopped(&self) -> StopReason {
        self.shared.stop.notified().await;
        // The reason is set before the notification.
        self.shared.stop_reason.get().copied().unwrap_or(StopReason::Cancelled)
    }

    /// The id under which the server has the request, if not the client's.
    pub fn sent_as(&self) -> Option<Box<RawValue>> {
        self.shared.sent_as.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that the request now goes to the server under this id.
    pub fn set_sent_as(&self, id: Box<RawValue>) {
        *self.shared.sent_as.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// Ids can be reused, tickets cannot.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

/// The outcome of a cancellation by the client.
#[derive(Debug)]
pub enum CancelOutcome {
    /// The request is not in flight; the server may know more.
    Unknown,
    /// The server does not have the request and need not be notified.
    Unsent,
    /// The server has the request and should be notified before its handling here stops.
    Sent(Ticket),
}

impl Default for RequestsInFlight {
    fn default() -> Self {
        Self { requests: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl RequestsInFlight {
    /// Admits a request of this many bytes.
    ///
    /// # Errors [`NotAdmitted`]; the requests in flight continue.
    pub fn admit(
        &self,
        key: IdKey,
        bytes: usize,
        is_stateless: bool,
        batch_slot: Option<BatchSlot>,
    ) -> Result<Ticket, NotAdmitted> {
        let mut requests = self.lock();
        if requests.by_id.contains_key(&key) {
            return Err(NotAdmitted::DuplicateId);
        }
        let fits = requests.by_id.is_empty() || requests.bytes + bytes <= REQUESTS_BYTES;
        if !fits || requests.by_id.len() >= MAX_REQUESTS_IN_FLIGHT {
            return Err(NotAdmitted::Busy);
        }
        let ticket = Ticket::new(is_stateless);
        requests.by_id.insert(key, Entry { ticket: ticket.clone(), batch_slot, bytes });
        requests.bytes += bytes;
        self.count.send_modify(|count| *count += 1);
        Ok(ticket)
    }

    /// Takes the right to answer; `None` if the request was already cancelled or answered.
    pub fn answer(&self, key: &IdKey, ticket: &Ticket) -> Option<AnswerGuard> {
        let mut requests = self.lock();
        if !requests.by_id.get(key)?.ticket.is(ticket) {
            return None;
        }
        requests.remove(key).map(|entry| self.guard(entry.batch_slot))
    }

    /// Takes the right to answer for an answer on another request's stream, and stops the handling of this request. If
    /// the server does not have this request, the answer belongs to an earlier one with the same id.
    pub fn answer_elsewhere(&self, key: &IdKey) -> Option<AnswerGuard> {
        let mut requests = self.lock();
        if !requests.by_id.get(key)?.ticket.send_state.may_be_at_server() {
            return None;
        }
        let Entry { ticket, batch_slot, .. } = requests.remove(key)?;
        ticket.stop(StopReason::AnsweredElsewhere);
        Some(self.guard(batch_slot))
    }

    /// Cancels a request for the client.
    pub fn cancel(&self, key: &IdKey) -> CancelOutcome {
        // A separate statement: the lock must not be held while a batch slot is dropped, which may write the batch.
        let removed = self.lock().remove(key);
        let Some(Entry { ticket, batch_slot, .. }) = removed else { return CancelOutcome::Unknown };
        ticket.send_state.withdraw();
        drop(self.guard(batch_slot));
        if ticket.send_state.may_be_at_server() && !ticket.shared.is_stateless {
            return CancelOutcome::Sent(ticket);
        }
        ticket.stop(StopReason::Cancelled);
        CancelOutcome::Unsent
    }

    /// Returns when nothing is in flight.
    pub async fn drained(&self) {
        let mut count = self.count.subscribe();
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn guard(&self, batch_slot: Option<BatchSlot>) -> AnswerGuard {
        AnswerGuard { count: self.count.clone(), batch_slot }
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> IdKey {
        IdKey::Number(n.to_string())
    }

    fn admitted(requests: &RequestsInFlight, n: u32) -> Ticket {
        requests.admit(key(n), 1, false, None).expect("the id is free")
    }

    #[test]
    fn the_right_to_answer_exists_once() {
        let requests = RequestsInFlight::default();
        let ticket = admitted(&requests, 0);
        assert_eq!(requests.admit(key(0), 1, false, None).err(), Some(NotAdmitted::DuplicateId));
        assert!(requests.answer(&key(0), &ticket).is_some());
        assert!(requests.answer(&key(0), &ticket).is_none());
        admitted(&requests, 0);
    }

    #[test]
    fn no_more_requests_are_admitted_than_fit_and_each_end_makes_room() {
        let busy = |requests: &RequestsInFlight, bytes| {
            requests.admit(key(u32::MAX), bytes, false, None).err() == Some(NotAdmitted::Busy)
        };
        let requests = RequestsInFlight::default();
        for n in 0..u32::try_from(MAX_REQUESTS_IN_FLIGHT).expect("some thousands") {
            admitted(&requests, n);
        }
        assert!(busy(&requests, 1));
        requests.cancel(&key(7));
        assert!(!busy(&requests, 1));

        let requests = RequestsInFlight::default();
        let large = requests.admit(key(0), 2 * REQUESTS_BYTES, false, None).expect("one may be in flight alone");
        assert!(busy(&requests, 1));
        drop(requests.answer(&key(0), &large));
        requests.admit(key(1), REQUESTS_BYTES - 1, false, None).expect("there is room again");
        assert!(busy(&requests, 2));
        assert!(!busy(&requests, 1));
    }

    #[test]
    fn an_id_that_is_used_again_cannot_be_answered_by_its_first_user() {
        let requests = RequestsInFlight::default();
        let first = admitted(&requests, 0);
        requests.cancel(&key(0));
        let second = admitted(&requests, 0);
        assert!(requests.answer(&key(0), &first).is_none());
        assert!(requests.answer(&key(0), &second).is_some());
    }

    #[tokio::test]
    async fn the_server_hears_of_a_cancellation_only_when_it_has_the_request() {
        let requests = RequestsInFlight::default();
        admitted(&requests, 1);
        let sent = admitted(&requests, 2);
        sent.send_state.start_sending().expect("not withdrawn");
        assert!(matches!(requests.cancel(&key(1)), CancelOutcome::Unsent));
        assert!(matches!(requests.cancel(&key(2)), CancelOutcome::Sent(_)));
        assert!(matches!(requests.cancel(&key(3)), CancelOutcome::Unknown));
        assert!(requests.answer(&key(2), &sent).is_none());
    }

    #[tokio::test]
    async fn only_a_request_that_the_server_has_is_answered_on_another_stream_and_not_as_a_cancelled_one() {
        let requests = RequestsInFlight::default();
        let ticket = admitted(&requests, 1);
        assert!(requests.answer_elsewhere(&key(1)).is_none());
        ticket.send_state.start_sending().expect("not withdrawn");
        assert!(requests.answer_elsewhere(&key(1)).is_some());
        assert!(requests.answer_elsewhere(&key(1)).is_none());
        assert_eq!(ticket.stopped().await, StopReason::AnsweredElsewhere);
        let cancelled = admitted(&requests, 2);
        requests.cancel(&key(2));
        assert_eq!(cancelled.stopped().await, StopReason::Cancelled);
    }

    #[tokio::test]
    async fn a_request_is_in_flight_until_its_answer_is_written() {
        let requests = RequestsInFlight::default();
        requests.drained().await;
        let ticket = admitted(&requests, 1);
        let drained = requests.drained();
        tokio::pin!(drained);
        assert!(now(&mut drained).is_none());
        let guard = requests.answer(&key(1), &ticket);
        assert!(now(&mut drained).is_none(), "the answer is not written yet");
        drop(guard);
        drained.await;
    }

    fn now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }
}

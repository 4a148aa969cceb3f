//! Who waits for what: the requests that the client has in flight.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};

use crate::message::IdKey;
use crate::remote::SendState;

/// The requests of the client that have no answer yet.
#[derive(Debug)]
pub struct Pending {
    requests: Mutex<HashMap<IdKey, Ticket>>,
    /// Requests in flight, and answers that are on their way to the output.
    count: watch::Sender<usize>,
}

/// The right to answer one request, taken. While it is held, the request still counts as in flight.
#[derive(Debug)]
pub struct AnswerGuard<'a>(&'a watch::Sender<usize>);

impl Drop for AnswerGuard<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// One request in flight, shared between the table and the task that carries it.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// Comes when nobody waits for the answer any more.
    pub stop: Arc<Notify>,
    /// Whether the server may have the request.
    pub whereabouts: Arc<SendState>,
    /// The id under which the server has it, when that is not the client's own.
    pub sent_as: Arc<Mutex<Option<Box<RawValue>>>>,
    /// Whether it is of the stateless era, where closing its connection is what cancels it.
    pub stateless: bool,
}

impl Ticket {
    /// The id under which the server has it, when that is not the client's own.
    pub fn sent_as(&self) -> Option<Box<RawValue>> {
        self.sent_as.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ids can be used again, tickets cannot.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stop, &other.stop)
    }
}

/// What became of a request that the client cancelled.
#[derive(Debug)]
pub enum Cancelled {
    /// It is not in flight; the server may know more.
    Unknown,
    /// It had not been sent: nobody needs to hear of it.
    Unsent,
    /// The server has it and should hear of it; then its work here is stopped.
    Sent(Ticket),
}

impl Default for Pending {
    fn default() -> Self {
        Self { requests: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Pending {
    /// Takes a request in; `None` when one with this id is already in flight.
    pub fn add(&self, key: IdKey, stateless: bool) -> Option<Ticket> {
        let mut requests = self.lock();
        if requests.contains_key(&key) {
            return None;
        }
        let ticket = Ticket { stop: Arc::default(), whereabouts: Arc::default(), sent_as: Arc::default(), stateless };
        requests.insert(key, ticket.clone());
        self.count.send_modify(|count| *count += 1);
        Some(ticket)
    }

    /// Takes the right to answer; `None` when the request was cancelled or answered before.
    pub fn answer(&self, key: &IdKey, ticket: &Ticket) -> Option<AnswerGuard<'_>> {
        let mut requests = self.lock();
        if !requests.get(key)?.is(ticket) {
            return None;
        }
        requests.remove(key).map(|_| AnswerGuard(&self.count))
    }

    /// Takes the right to answer on behalf of somebody else, and stops the work on it. What the server does not have it
    /// cannot answer: that is about an earlier request with the same id.
    pub fn answer_for(&self, key: &IdKey) -> Option<AnswerGuard<'_>> {
        let mut requests = self.lock();
        if !requests.get(key)?.whereabouts.may_be_at_server() {
            return None;
        }
        let entry = requests.remove(key)?;
        entry.stop.notify_one();
        Some(AnswerGuard(&self.count))
    }

    /// Nobody waits for it any more.
    pub fn cancel(&self, key: &IdKey) -> Cancelled {
        let removed = self.lock().remove(key);
        if let Some(entry) = &removed {
            entry.whereabouts.withdraw();
            drop(AnswerGuard(&self.count));
        }
        match removed {
            None => Cancelled::Unknown,
            Some(entry) if entry.whereabouts.may_be_at_server() && !entry.stateless => Cancelled::Sent(entry),
            Some(entry) => {
                entry.stop.notify_one();
                Cancelled::Unsent
            }
        }
    }

    /// Returns when nothing is in flight.
    pub async fn drained(&self) {
        let mut count = self.count.subscribe();
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IdKey, Ticket>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::bridge::client::in_flight::*;

    fn key(n: u32) -> IdKey {
        IdKey::Number(n.to_string())
    }

    #[test]
    fn the_right_to_answer_exists_once() {
        let pending = Pending::default();
        let ticket = pending.add(key(0), false).expect("free");
        assert!(pending.add(key(0), false).is_none());
        assert!(pending.answer(&key(0), &ticket).is_some());
        assert!(pending.answer(&key(0), &ticket).is_none());
        assert!(pending.add(key(0), false).is_some());
    }

    #[test]
    fn an_id_that_is_used_again_cannot_be_answered_by_its_first_user() {
        let pending = Pending::default();
        let first = pending.add(key(0), false).expect("free");
        pending.cancel(&key(0));
        let second = pending.add(key(0), false).expect("free again");
        assert!(pending.answer(&key(0), &first).is_none());
        assert!(pending.answer(&key(0), &second).is_some());
    }

    #[tokio::test]
    async fn a_cancelled_request_is_told_to_the_server_only_when_the_server_has_it() {
        let pending = Pending::default();
        pending.add(key(1), false);
        let sent = pending.add(key(2), false).expect("free");
        sent.whereabouts.start_sending().expect("not withdrawn");
        assert!(matches!(pending.cancel(&key(1)), Cancelled::Unsent));
        assert!(matches!(pending.cancel(&key(2)), Cancelled::Sent(_)));
        assert!(matches!(pending.cancel(&key(3)), Cancelled::Unknown));
        assert!(pending.answer(&key(2), &sent).is_none());
    }

    #[tokio::test]
    async fn what_the_server_does_not_have_it_cannot_answer_elsewhere() {
        let pending = Pending::default();
        let ticket = pending.add(key(1), false).expect("free");
        assert!(pending.answer_for(&key(1)).is_none());
        ticket.whereabouts.start_sending().expect("not withdrawn");
        assert!(pending.answer_for(&key(1)).is_some());
        assert!(pending.answer_for(&key(1)).is_none());
    }

    #[tokio::test]
    async fn drained_means_that_nothing_is_in_flight() {
        let pending = Pending::default();
        pending.drained().await;
        let ticket = pending.add(key(1), false).expect("free");
        let drained = pending.drained();
        tokio::pin!(drained);
        assert!(futures_now(&mut drained).is_none());
        let answering = pending.answer(&key(1), &ticket);
        assert!(futures_now(&mut drained).is_none(), "the answer is not out yet");
        drop(answering);
        drained.await;
    }

    fn futures_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }
}

//! The requests of the server that the client has not answered. A person may have to answer them, so they may take minutes;
//! but they are bounded in number, and in the time for which they are waited for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::limits::{MAX_SERVER_REQUESTS, MAX_VOID_REQUESTS, OWED_ANSWER_WAIT, SERVER_REQUEST_ID_BYTES};
use crate::message::IdKey;
use crate::remote::session::OwedAnswers;

/// The requests of the server that the client has not answered yet.
#[derive(Debug, Default)]
pub struct ServerRequests {
    requests: Mutex<Requests>,
    /// The number of open requests: a server's silence does not count while the client owes it an answer.
    owed: OwedAnswers,
}

#[derive(Debug, Default)]
struct Requests {
    open: HashMap<IdKey, Open>,
    /// Asked in a session that is gone, or too long ago, so that the answers are for nobody; oldest first.
    void: VecDeque<IdKey>,
    /// The client has closed its side and cannot answer any more.
    client_is_gone: bool,
}

#[derive(Debug)]
struct Open {
    /// In its original spelling.
    id: Box<RawValue>,
    /// Until when the answer is waited for.
    due: Instant,
}

/// What becomes of a request of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The client owes an answer from now on.
    Owed,
    /// The client has closed its side and can no longer answer.
    ClientIsGone,
    /// The client owes too many answers, or the id is too long to be kept.
    TooMuch,
}

impl Requests {
    /// Removes a request from those that are no longer waited for, if it is one.
    fn take_void(&mut self, key: &IdKey) -> bool {
        let place = self.void.iter().position(|void| void == key);
        place.and_then(|place| self.void.remove(place)).is_some()
    }

    fn add_void(&mut self, keys: impl IntoIterator<Item = IdKey>) {
        self.void.extend(keys);
        let excess = self.void.len().saturating_sub(MAX_VOID_REQUESTS);
        self.void.drain(..excess);
    }
}

impl ServerRequests {
    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request of the server.
    pub fn open(&self, key: IdKey, id: &RawValue) -> Admission {
        let mut requests = self.lock();
        requests.take_void(&key);
        if requests.client_is_gone {
            return Admission::ClientIsGone;
        }
        let is_new = !requests.open.contains_key(&key);
        if id.get().len() > SERVER_REQUEST_ID_BYTES || (is_new && requests.open.len() >= MAX_SERVER_REQUESTS) {
            return Admission::TooMuch;
        }
        requests.open.insert(key, Open { id: id.to_owned(), due: Instant::now() + OWED_ANSWER_WAIT });
        self.owed.send_replace(requests.open.len());
        Admission::Owed
    }

    /// Records that the client can no longer answer; returns the ids of the requests that it still owes an answer.
    pub fn close(&self) -> Vec<Box<RawValue>> {
        let mut requests = self.lock();
        requests.client_is_gone = true;
        self.owed.send_replace(0);
        requests.open.drain().map(|(_, open)| open.id).collect()
    }

    /// The number of answers that the client owes.
    pub fn owed(&self) -> OwedAnswers {
        Arc::clone(&self.owed)
    }

    /// Whether the server still wants this answer: not if the request's session is lost, or it came too late.
    pub fn is_wanted(&self, key: &IdKey) -> bool {
        !self.lock().take_void(key)
    }

    /// Records that no answer is owed: the client has answered, or the server has cancelled the request, which then
    /// needs none (MCP, "Cancellation").
    pub fn settle(&self, key: &IdKey) {
        let mut requests = self.lock();
        requests.open.remove(key);
        self.owed.send_replace(requests.open.len());
    }

    /// Voids the requests of a lost session; returns the ids of those that the client has not answered.
    pub fn abandon(&self) -> Vec<Box<RawValue>> {
        let mut requests = self.lock();
        let (keys, open): (Vec<_>, Vec<_>) = requests.open.drain().unzip();
        requests.add_void(keys);
        self.owed.send_replace(0);
        open.into_iter().map(|open| open.id).collect()
    }

    /// Waits for requests whose time is over; voids them, and returns their ids.
    pub async fn overdue(&self) -> Vec<Box<RawValue>> {
        let mut owed = self.owed.subscribe();
        loop {
            owed.mark_unchanged();
            let next = self.lock().open.values().map(|open| open.due).min();
            tokio::select! {
                biased;
                // The sender lives as long as `self`.
                _ = owed.changed() => {}
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                    let overdue = self.take_overdue(Instant::now());
                    if !overdue.is_empty() {
                        return overdue;
                    }
                }
            }
        }
    }

    fn take_overdue(&self, now: Instant) -> Vec<Box<RawValue>> {
        let mut requests = self.lock();
        let (keys, ids): (Vec<_>, Vec<_>) =
            requests.open.extract_if(|_, open| open.due <= now).map(|(key, open)| (key, open.id)).unzip();
        requests.add_void(keys);
        self.owed.send_replace(requests.open.len());
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> IdKey {
        IdKey::Number(n.to_string())
    }

    fn id(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[tokio::test]
    async fn requests_of_lost_sessions_that_the_client_never_answers_are_bounded() {
        let requests = ServerRequests::default();
        for n in 0..3 * MAX_VOID_REQUESTS {
            assert_eq!(requests.open(key(n), &id("1")), Admission::Owed);
            requests.abandon();
        }
        assert_eq!(requests.lock().void.len(), MAX_VOID_REQUESTS);
        assert!(!requests.is_wanted(&key(3 * MAX_VOID_REQUESTS - 1)), "the newest are remembered");
    }

    #[tokio::test]
    async fn what_a_server_asks_is_bounded_in_number_and_in_the_length_of_its_ids() {
        let requests = ServerRequests::default();
        let long = id(&format!("\"{}\"", "x".repeat(SERVER_REQUEST_ID_BYTES)));
        assert_eq!(requests.open(key(0), &long), Admission::TooMuch);
        for n in 0..MAX_SERVER_REQUESTS {
            assert_eq!(requests.open(key(n), &id("1")), Admission::Owed);
        }
        assert_eq!(requests.open(key(MAX_SERVER_REQUESTS), &id("1")), Admission::TooMuch);
        assert_eq!(requests.open(key(7), &id("7")), Admission::Owed, "in the place of the one with its id");
        requests.settle(&key(7));
        assert_eq!(requests.open(key(MAX_SERVER_REQUESTS), &id("1")), Admission::Owed);
        requests.close();
        assert_eq!(requests.open(key(0), &id("1")), Admission::ClientIsGone);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_owed_for_as_long_as_a_person_may_take_and_not_longer() {
        let requests = ServerRequests::default();
        let start = Instant::now();
        requests.open(key(1), &id("\"first\""));
        let asking = async {
            tokio::time::sleep(OWED_ANSWER_WAIT / 2).await;
            requests.open(key(2), &id("2"));
            requests.open(key(3), &id("3"));
            requests.settle(&key(3));
        };
        let (overdue, ()) = tokio::join!(requests.overdue(), asking);
        assert_eq!((overdue.len(), overdue[0].get(), start.elapsed()), (1, "\"first\"", OWED_ANSWER_WAIT));
        assert_eq!(*requests.owed().borrow(), 1);
        assert!(!requests.is_wanted(&key(1)), "the server has been refused by then");
        assert_eq!((requests.overdue().await[0].get(), start.elapsed()), ("2", OWED_ANSWER_WAIT * 3 / 2));
        assert_eq!(*requests.owed().borrow(), 0);
    }
}

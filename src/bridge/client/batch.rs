//! JSON-RPC batches, which revision 2025-03-26 has and later ones have not: split, carried like any messages, and
//! answered with one array.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::bridge::client::output::Output;

/// The revision that has batches.
pub const REVISION: &str = "2025-03-26";

/// Collects the answers of one batch; when nobody can add any more, they are written.
#[derive(Debug)]
struct Collector {
    answers: Mutex<Vec<Bytes>>,
    output: Output,
}

/// One member's right to add its answer. Dropped without an answer when the client cancelled that member.
#[derive(Debug, Clone)]
pub struct BatchSlot(Arc<Collector>);

impl BatchSlot {
    /// A seat in a new batch; clones are further seats in the same one.
    pub fn first(output: Output) -> Self {
        Self(Arc::new(Collector { answers: Mutex::default(), output }))
    }

    /// Adds an answer and gives the seat up.
    pub fn fill(self, answer: Bytes) {
        self.0.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let answers = self.answers.get_mut().unwrap_or_else(PoisonError::into_inner);
        if answers.is_empty() {
            return; // notifications alone are answered with nothing (JSON-RPC 2.0, 6)
        }
        let mut array = Vec::with_capacity(answers.iter().map(|a| a.len() + 1).sum::<usize>() + 2);
        array.push(b'[');
        array.extend_from_slice(&answers.join(&b','));
        array.push(b']');
        self.output.push_counted(Bytes::from(array));
    }
}

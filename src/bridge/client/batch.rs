//! JSON-RPC batches, which only revision 2025-03-26 has: each member is treated like any message, and the answers are
//! collected into one array.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::output::Output;

/// Collects the answers of one batch, and writes them when no more can come.
#[derive(Debug)]
struct Collector {
    answers: Mutex<Vec<Bytes>>,
    output: Output,
}

/// One member's slot in the array of answers. It is dropped unfilled if the client cancels that member.
#[derive(Debug, Clone)]
pub struct BatchSlot(Arc<Collector>);

impl BatchSlot {
    /// A slot in a new batch; its clones are further slots in the same batch.
    pub fn in_new_batch(output: Output) -> Self {
        Self(Arc::new(Collector { answers: Mutex::default(), output }))
    }

    /// Adds an answer.
    pub fn fill(self, answer: Bytes) {
        self.0.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let answers = self.answers.get_mut().unwrap_or_else(PoisonError::into_inner);
        if answers.is_empty() {
            return; // a batch of notifications has no answer (JSON-RPC 2.0, 6)
        }
        let mut array = Vec::with_capacity(answers.iter().map(|a| a.len() + 1).sum::<usize>() + 2);
        array.push(b'[');
        array.extend_from_slice(&answers.join(&b','));
        array.push(b']');
        self.output.push_counted(Bytes::from(array));
    }
}

//! JSON-RPC batches, which only revision 2025-03-26 has: each member is treated like any message, and the answers are
//! collected into one array.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::limits::BATCH_ANSWERS_BYTES;
use crate::message::{Kind, Peek, peek, write};
use crate::problem::{Problem, ProblemId};

use super::output::Output;
use super::room::Room;

/// Collects the answers of one batch, and writes them when no more can come.
#[derive(Debug)]
struct Collector {
    answers: Mutex<Answers>,
    output: Output,
}

#[derive(Debug, Default)]
struct Answers {
    lines: Vec<Bytes>,
    /// The room that they take together.
    room: Option<Room>,
}

/// One member's place in the array of answers. It is dropped unfilled when the client cancels that member.
#[derive(Debug, Clone)]
pub struct BatchSlot(Arc<Collector>);

impl BatchSlot {
    /// A slot in a new batch; its clones are further slots in the same batch.
    pub fn in_new_batch(output: Output) -> Self {
        Self(Arc::new(Collector { answers: Mutex::default(), output }))
    }

    /// Adds an answer; or a problem in its place, when the answers that wait for the rest of their batches leave no room.
    /// It cannot wait for room, which they may give back only once this slot is filled.
    pub fn fill(self, answer: Bytes) {
        let room = self.0.output.reserve_batch_member(answer.len());
        let line = if room.is_some() { answer } else { too_large(answer) };
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.lines.push(line);
        match (&mut answers.room, room) {
            (Some(all), Some(room)) => all.merge(room),
            (all @ None, room) => *all = room,
            (Some(_), None) => {}
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let Answers { lines, room } = std::mem::take(self.answers.get_mut().unwrap_or_else(PoisonError::into_inner));
        if lines.is_empty() {
            return; // a batch of notifications has no answer (JSON-RPC 2.0, 6)
        }
        let mut array = Vec::with_capacity(lines.iter().map(|a| a.len() + 1).sum::<usize>() + 2);
        array.push(b'[');
        for (n, line) in lines.into_iter().enumerate() {
            if n > 0 {
                array.push(b',');
            }
            array.extend_from_slice(&line);
        }
        array.push(b']');
        let array = Bytes::from(array);
        match room {
            // Kept until it is written, so that batches are bounded together.
            Some(room) => self.output.write_reserved(array, room),
            None => self.output.push_counted(array),
        }
    }
}

/// What takes the place of an answer that finds no room; one that is short is kept.
fn too_large(answer: Bytes) -> Bytes {
    let Ok(Peek::One(Kind::Response { id: Some((id, _)), .. })) = peek(&answer) else { return answer };
    let problem = Problem::new(ProblemId::AnswerTooLarge).with("limit", BATCH_ANSWERS_BYTES);
    let line = write::error(Some(id), &problem.to_json_rpc_error());
    if line.len() < answer.len() { line } else { answer }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn what_waits_for_the_rest_of_its_batch_is_bounded_and_the_member_beyond_is_answered_with_a_problem() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let answer = |n: usize| {
            let text = "x".repeat(BATCH_ANSWERS_BYTES / 2 - 100);
            Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{n},"result":"{text}"}}"#))
        };
        let (first, second) = (BatchSlot::in_new_batch(output.clone()), BatchSlot::in_new_batch(output.clone()));
        first.clone().fill(answer(1));
        second.clone().fill(answer(2));
        second.fill(answer(3));
        first.fill(Bytes::from_static(b"{}"));
        output.finish();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        written.wait().await;
        drop(output);
        let text = reading.join().expect("no panic").expect("readable");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[1].len() > BATCH_ANSWERS_BYTES / 2 - 100), (2, true));
        assert!(
            lines[0].contains("\"id\":3") && lines[0].contains("answer-too-large"),
            "{}",
            &lines[0][lines[0].len() - 400..]
        );
    }
}

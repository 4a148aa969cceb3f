//! Owns the envelope of a JSON-RPC message (its kind, id, method and a few fields) and the revisions of MCP.
//!
//! The bridge carries bytes, never a model of them: decoding a message and encoding it again would drop unknown members,
//! round numbers and reorder keys. So [`peek()`] borrows what it needs and leaves the text alone. This module is
//! below both `remote` and `bridge`, because both have to recognise an answer.

pub mod aside;
pub mod elements;
pub mod id;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod members;
pub mod oversize;
pub mod peek;
pub mod revision;
pub mod utf8;
pub mod write;

pub use aside::aside;
pub use elements::Elements;
pub use id::IdKey;
pub use members::Members;
pub use peek::{Kind, Peek, PeekError, peek};
pub use revision::{Revision, offered_in_refusal, revisions_after_refusal};

//! The catalogue: for each problem that a person can meet, what happened, the likely cause, the way out, and a line for
//! a model. Texts are in plain words; `{key}` stands for a fact of the case, and a sentence that names a fact that the
//! case does not have is left out.

/// One entry of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The stable name, as in `data.problem` of a JSON-RPC error and in the documentation.
    pub name: &'static str,
    /// What happened.
    pub what: &'static str,
    /// The likely cause.
    pub cause: &'static str,
    /// What to do now.
    pub fix: &'static str,
    /// What a model should do or tell its user.
    pub model: &'static str,
    /// The JSON-RPC error code.
    pub code: i64,
    /// The exit code of a command that ends with this problem.
    pub exit: u8,
}

/// Codes of JSON-RPC 2.0 and ours (from the range that it leaves to implementations).
pub mod code {
    /// Not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// JSON, but no JSON-RPC request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// A method that is not there.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The bridge itself failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// The remote server could not be reached or did not answer as it should.
    pub const REMOTE: i64 = -32000;
    /// Somebody has to sign in first.
    pub const SIGN_IN: i64 = -32001;
    /// The remote server refused.
    pub const REFUSED: i64 = -32003;
    /// Too many calls; `data.retry_after_seconds` says when to come back.
    pub const RATE_LIMITED: i64 = -32029;
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $id:ident = $name:literal, code $code:expr, exit $exit:literal,
        what $what:literal, cause $cause:literal, fix $fix:literal, model $model:literal;)+) => {
        /// Names one entry of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ProblemId { $($(#[$doc])* $id,)+ }

        impl ProblemId {
            /// Every entry, in the order of the catalogue.
            pub const ALL: &'static [ProblemId] = &[$(ProblemId::$id,)+];

            /// The texts and codes of this problem.
            pub const fn entry(self) -> &'static Entry {
                match self {
                    $(ProblemId::$id => &Entry {
                        name: $name, what: $what, cause: $cause, fix: $fix, model: $model, code: $code, exit: $exit,
                    },)+
                }
            }
        }
    };
}

catalogue! {
    /// A stdin line is not JSON (or not UTF-8).
    NotJson = "not-json", code code::PARSE_ERROR, exit 1,
        what "A line on standard input is not JSON.",
        cause "{detail}",
        fix "Send one JSON-RPC message per line, in UTF-8.",
        model "The message was not valid JSON; send it again as one line of valid JSON.";
    /// JSON that is no JSON-RPC message.
    NotJsonRpc = "not-json-rpc", code code::INVALID_REQUEST, exit 1,
        what "A message on standard input is JSON, but no JSON-RPC 2.0 message: {detail}.",
        cause "The client sent something that MCP does not know.",
        fix "Report it to the maker of the client.",
        model "The message was no valid JSON-RPC request: {detail}.";
    /// A message larger than the bound, in either direction.
    MessageTooLarge = "message-too-large", code code::INVALID_REQUEST, exit 1,
        what "A message {direction} is larger than the bound of {limit} bytes.",
        cause "The arguments or the result are unusually large.",
        fix "Ask for less at a time, or raise the bound with --max-message-bytes.",
        model "The message exceeds {limit} bytes. Ask for less at a time (filters, fewer fields, pages).";
}

//! The parts of an entry, and the macro with which each area lists its entries.

/// One entry of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The stable name, in `data.problem` of a JSON-RPC error and in the documentation.
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
    /// What has to happen before the same attempt can succeed.
    pub recovery: Recovery,
}

/// What has to happen before a failed attempt can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing that this process could wait for: the address is wrong, or there is no MCP server there.
    Final,
    /// A configuration change, here or at the server; until then each sign-in fails in the same way.
    Settings,
    /// Time: the server, or something on the path to it, is unavailable. Its earlier answer is the best available.
    Later,
    /// It depends on what was attempted, so the caller decides.
    Depends,
}

/// Codes of JSON-RPC 2.0, and ours. Ours lie outside the range that JSON-RPC reserves (-32768 to -32000): there MCP
/// 2026-07-28 keeps -32020 to -32099 to itself, and the SDKs have given the others meanings of their own.
pub mod code {
    /// Not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// JSON, but not a JSON-RPC request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// An unknown method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The bridge itself failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// The remote server could not be reached, or answered incorrectly.
    pub const REMOTE: i64 = 7501;
    /// Somebody has to sign in first.
    pub const SIGN_IN: i64 = 7502;
    /// The remote server refused.
    pub const REFUSED: i64 = 7503;
    /// Too many calls; `data.retry_after_seconds` says when to come back.
    pub const RATE_LIMITED: i64 = 7504;
}

/// Exit codes of commands, for scripts; 0 is success.
pub mod exit {
    /// Anything without its own code.
    pub const FAILED: u8 = 1;
    /// A flag, a variable or the configuration file is wrong; also what clap uses.
    pub const USAGE: u8 = 2;
    /// Somebody has to sign in, or signing in did not succeed.
    pub const SIGN_IN: u8 = 3;
    /// The remote server could not be reached, or refused.
    pub const REMOTE: u8 = 4;
    /// The credential store or another local file cannot be used.
    pub const STORAGE: u8 = 5;
}

/// The entries of one area, each a constant with the name of its [`ProblemId`].
macro_rules! entries {
    ($($id:ident = $name:literal, code $code:ident, exit $exit:ident, recovery $recovery:ident,
        what $what:literal, cause $cause:literal, fix $fix:literal, model $model:literal;)+) => {
        $(#[allow(non_upper_case_globals, reason = "named after the ProblemId that it explains")]
        pub(super) const $id: super::entry::Entry = super::entry::Entry {
            name: $name, what: $what, cause: $cause, fix: $fix, model: $model,
            code: super::entry::code::$code, exit: super::entry::exit::$exit, recovery: super::entry::Recovery::$recovery,
        };)+
    };
}
pub(super) use entries;

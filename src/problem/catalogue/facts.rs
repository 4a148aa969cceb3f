//! The names of facts, so that no text asks for one that nobody gives.

/// The facts that problems carry and texts may name.
#[rustfmt::skip]
pub const FACTS: &[&str] = &[
    "address", "advice", "authorization_server", "callback_host", "client", "client_id", "clock", "column", "command", "config_file", "content_type",
    "days", "detail", "dir", "direction", "endpoint", "error", "error_description", "expected", "file", "flag", "found",
    "holds", "host", "id", "issuer", "key", "limit", "line", "link", "location", "logout_command", "member", "method", "minutes", "mode", "name", "offered", "origin",
    "other_url", "owner", "path", "place", "port", "process", "proxy", "purpose", "redirect_url", "renewed", "retry_after_seconds",
    "revision", "san", "scope", "seconds", "server_request_id", "server_said", "service", "setting", "sign_in", "status", "step", "suggestion", "token_command", "tool", "until", "url",
];

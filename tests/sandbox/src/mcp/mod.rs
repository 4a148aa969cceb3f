//! The MCP endpoint: `rmcp`'s server, and a layer in front of it that authenticates, records, scripts and breaks.

pub(crate) mod endpoint;
pub(crate) mod http_sse;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod tools;

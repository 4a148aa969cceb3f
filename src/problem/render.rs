//! Turns a problem into words for a terminal, a JSON-RPC error, a tool result.

//! What stands in for the bridge when its settings cannot be used: a server with one tool, which says what is wrong and what to
//! do. Of a program that ends at its start, clients tell their user only that it is "disconnected".
//!
//! It speaks the handshake alone; stateless clients fall back to that when `server/discover` is refused.

use std::io::{Read, Write};

use bytes::Bytes;
use rmcp::model::{Implementation, InitializeResult as InitializeResultModel, ServerCapabilities, ToolsCapability};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::input::{Line, read_lines};
use super::client::output::Output;
use super::dispatch::malformed;
use super::lists::check_tool;
use super::run::{End, LAST_LINES_WAIT};
use super::session::initialize::InitializeRequest;
use crate::limits::HANDSHAKE_BYTES;
use crate::message::peek::peek_object;
use crate::message::{IdKey, Kind, Peek, PeekError, peek, write};
use crate::problem::Problem;

/// Answers a client until it closes `input` or `output`, or a signal asks for the end.
pub async fn run(
    problem: &Problem,
    (input, output): (impl Read + Send + 'static, impl Write + Send + 'static),
    mut signals: mpsc::Receiver<()>,
) -> End {
    let (output, written) = Output::start(output);
    // Whatever is to be answered here is small.
    let mut lines = read_lines(input, HANDSHAKE_BYTES);
    let end = loop {
        let line = tokio::select! {
            biased;
            _ = signals.recv() => break End::Signal,
            () = output.closed() => break End::OutputClosed,
            line = lines.recv() => line,
        };
        let Some(line) = line else { break End::EndOfInput };
        if let Some(answer) = answer(problem, line) {
            output.send(answer).await;
        }
        output.may_ask_for_more().await;
    };
    output.finish();
    let _ = tokio::time::timeout(LAST_LINES_WAIT, written.wait()).await;
    end
}

/// The answer to a line; notifications and responses have none.
fn answer(problem: &Problem, line: Line) -> Option<Bytes> {
    let text = match line {
        Line::Text(text) => text,
        Line::TooLong(id) => return Some(write::error(id.as_deref(), &problem.to_json_rpc_error())),
    };
    match peek(&text) {
        Ok(Peek::One(kind)) => to_message(problem, &text, kind),
        Ok(Peek::Batch(members)) => {
            let answers: Vec<Bytes> = members
                .kept
                .iter()
                .filter_map(|member| match peek_object(member.get()) {
                    Ok(kind) => to_message(problem, &Bytes::copy_from_slice(member.get().as_bytes()), kind),
                    Err(error) => Some(to_malformed(&error)),
                })
                .collect();
            (!answers.is_empty()).then(|| [b"[", &answers.join(&b","[..])[..], b"]"].concat().into())
        }
        Err(error) => Some(to_malformed(&error)),
    }
}

fn to_message(problem: &Problem, body: &Bytes, kind: Kind<'_>) -> Option<Bytes> {
    let Kind::Request { id, key, method, params } = kind else { return None };
    Some(match result(problem, &Request { body, id, key, params }, &method) {
        Some(result) => write::result(id, &result),
        None => write::error(Some(id), &problem.to_json_rpc_error()),
    })
}

fn to_malformed(error: &PeekError) -> Bytes {
    let (id, problem) = malformed(error);
    write::error(id, &problem.to_json_rpc_error())
}

struct Request<'a> {
    body: &'a Bytes,
    id: &'a RawValue,
    key: IdKey,
    params: Option<&'a RawValue>,
}

/// The result of what can be answered here; all else is answered with the problem.
fn result(problem: &Problem, request: &Request<'_>, method: &str) -> Option<Value> {
    Some(match method {
        "initialize" => initialized(problem, request),
        "ping" => json!({}),
        "tools/list" => json!({ "tools": [tool(problem)] }),
        "tools/call" => told(problem),
        "prompts/list" => json!({ "prompts": [] }),
        "resources/list" => json!({ "resources": [] }),
        "resources/templates/list" => json!({ "resourceTemplates": [] }),
        _ => return None,
    })
}

fn initialized(problem: &Problem, request: &Request<'_>) -> Value {
    let initialize =
        InitializeRequest::new(request.body.clone(), request.id.to_owned(), request.key.clone(), request.params);
    let mut capabilities = ServerCapabilities::default();
    capabilities.tools = Some(ToolsCapability::default());
    let result = InitializeResultModel::new(capabilities)
        .with_protocol_version((&initialize.revision_without_server()).into())
        .with_server_info(Implementation::new("planhat-mcp", env!("CARGO_PKG_VERSION")))
        .with_instructions(problem.model_line());
    serde_json::to_value(result).unwrap_or_default()
}

fn tool(problem: &Problem) -> Value {
    let description = format!(
        "Says why nothing can be used yet, and what the user has to do. {} Call this when the user wants to use this server \
         or asks why it does not work.",
        problem.model_line()
    );
    check_tool::definition("What is wrong with the settings", description)
}

/// For a model, and for the person that it speaks for.
fn told(problem: &Problem) -> Value {
    let text = format!(
        "{} For the user: {} {} {} Then restart the MCP client.",
        problem.model_line(),
        problem.what(),
        problem.cause(),
        problem.fix()
    );
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}

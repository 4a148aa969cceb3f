//! The tool that checks the settings and the connection, for those who have nothing but a client's extension: it finds what
//! `planhat-mcp doctor` finds. Only a bridge that an extension started offers it, beside the server's own tools.

use std::process::{Command, Stdio};

use bytes::Bytes;
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::own_tool::{text_result, with_tool};
use crate::blocking;
use crate::message::{Kind, Peek, peek, write};
use crate::problem::{Problem, ProblemId, desk};

pub use super::own_tool::CHECK_TOOL;

/// Describes the tool; `description` is what the model reads of it.
pub fn definition(title: &str, description: String) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), json!({}));
    let annotations = ToolAnnotations::with_title(title).read_only(true);
    let tool = Tool::new(CHECK_TOOL, description, schema).with_title(title).with_annotations(annotations);
    serde_json::to_value(tool).unwrap_or_default()
}

/// The tool beside those of the server.
pub fn beside_others() -> Value {
    let description = "Checks the connection to the server step by step (settings, network, sign-in, tools) and says what the \
                       user has to do. Call this when other tools fail or are missing, or when the user asks whether the \
                       connection works.";
    definition("Check the connection", description.to_owned())
}

/// A whole answer to `tools/list` with the tool at its end, if the client is to have it and this is the last page.
pub fn added_to(answer: Bytes) -> Bytes {
    if !desk::is_in_extension() {
        return answer;
    }
    let Ok(Peek::One(Kind::Response { result: Some(list), .. })) = peek(&answer) else { return answer };
    let goes_on = serde_json::from_str::<Cursor>(list.get()).is_ok_and(|page| page.next_cursor.is_some());
    let text = std::str::from_utf8(&answer).unwrap_or_default();
    match with_tool(list, &beside_others()).filter(|_| !goes_on) {
        Some(more) => write::replaced(text, list, more.get()).into(),
        None => answer,
    }
}

#[derive(serde::Deserialize)]
struct Cursor {
    #[serde(rename = "nextCursor")]
    next_cursor: Option<String>,
}

/// The result of a call: what `doctor` prints when it is started as this bridge was.
pub async fn call() -> Value {
    match blocking::run(doctor).await {
        Ok(findings) => text_result(&findings),
        Err(error) => Problem::new(ProblemId::InternalError).with("detail", error).to_tool_result(),
    }
}

fn doctor() -> std::io::Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).arg("doctor").stdin(Stdio::null()).stderr(Stdio::null());
    #[cfg(windows)]
    {
        use std::os::windows::process::CommandExt;
        // Without this, a console appears for as long as it runs.
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        command.creation_flags(CREATE_NO_WINDOW);
    }
    Ok(String::from_utf8_lossy(&command.output()?.stdout).into_owned())
}

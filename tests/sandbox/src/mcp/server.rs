//! The server proper: `rmcp`'s, so that an implementation that nobody here wrote answers.

use std::sync::Arc;
use std::time::Duration;

use hyper::http::request::Parts;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig, ServerRequest, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};

use super::endpoint::Arguments;
use super::tools;
use crate::config::{AnswerMode, Config};
use crate::lock;
use crate::state::{Caller, Tenant};
use crate::tenant::actions;

/// Makes `rmcp`'s HTTP service for a request.
pub(crate) struct McpService;

impl McpService {
    pub(crate) fn of(tenant: &Arc<Tenant>) -> StreamableHttpService<Server, LocalSessionManager> {
        let config = tenant.config();
        let service_config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(config.sessions)
            .with_json_response(config.answers == AnswerMode::Json)
            .with_sse_retry(config.sse_retry)
            .with_max_request_body_bytes(config.max_body);
        // It goes by names of its own there.
        let service_config = if config.tls.is_some() { service_config.disable_allowed_hosts() } else { service_config };
        let server = Server { tenant: tenant.clone() };
        StreamableHttpService::new(move || Ok(server.clone()), tenant.sessions.clone(), service_config)
    }
}

pub(crate) fn session_manager(config: &Config) -> LocalSessionManager {
    let mut manager = LocalSessionManager::default();
    let mut sessions = SessionConfig::default();
    sessions.sse_retry = config.sse_retry;
    // A tenant under test may idle as long as the test likes.
    sessions.keep_alive = None;
    manager.session_config = sessions;
    manager
}

#[derive(Clone)]
pub(crate) struct Server {
    tenant: Arc<Tenant>,
}

impl Server {
    fn tools(&self) -> Vec<Tool> {
        let mut listed = tools::planhat();
        let config = self.tenant.config();
        if config.test_tools {
            listed.extend(tools::for_tests());
        }
        listed.extend(config.more_tools.iter().map(|(name, description)| tools::plain(name, description)));
        listed
    }

    async fn test_tool(
        &self,
        name: &str,
        arguments: &JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let number = |name: &str| arguments.get(name).and_then(Value::as_u64).unwrap_or_default();
        let query = arguments.get("QUERY").and_then(Value::as_str).unwrap_or("What is your name?");
        match name {
            "echo" => text(extension::<Arguments>(context).and_then(|arguments| arguments.0).unwrap_or_default()),
            "blob" => text("x".repeat(usize::try_from(number("BYTES")).unwrap_or_default())),
            "slow" => {
                let hold = arguments.get("HOLD").and_then(Value::as_bool).unwrap_or_default();
                self.slow(number("STEPS"), Duration::from_millis(number("MS")), hold, context).await
            }
            "ask_user" => {
                let schema =
                    json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] });
                ask(context, "elicitation/create", json!({ "message": query, "requestedSchema": schema })).await
            }
            "ask_model" => {
                let message = json!({ "role": "user", "content": { "type": "text", "text": query } });
                ask(context, "sampling/createMessage", json!({ "messages": [message], "maxTokens": 100 })).await
            }
            _ => ask(context, "roots/list", json!({})).await,
        }
    }

    async fn slow(
        &self,
        steps: u64,
        duration: Duration,
        hold: bool,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let token = context.meta.get_progress_token();
        for step in 1..=steps {
            tokio::time::sleep(duration / u32::try_from(steps).unwrap_or(u32::MAX)).await;
            if let Some(token) = &token {
                let mut progress = ProgressNotificationParam::new(token.clone(), step as f64);
                progress.total = Some(steps as f64);
                // A client that went away ends the call through its cancellation, below.
                let _ = context.peer.notify_progress(progress).await;
            }
        }
        if steps == 0 {
            tokio::time::sleep(duration).await;
        }
        if hold {
            tokio::select! {
                () = self.tenant.slow.pass() => {}
                () = context.ct.cancelled() => return text("cancelled".into()),
            }
        }
        text(format!("done after {steps} steps"))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        let mut name = Implementation::new("planhat-sandbox", env!("CARGO_PKG_VERSION"));
        name.title = Some("Planhat (sandbox tenant)".into());
        ServerConfig::new(capabilities)
            .with_server_info(name)
            .with_instructions("A made-up Planhat tenant: companies, end users, conversations, tasks and documents.")
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, rmcp::ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, rmcp::ErrorData> {
        let name = request.name.as_ref();
        let arguments = request.arguments.unwrap_or_default();
        let count = || self.tenant.board.count(|counters| *counters.tools.entry(name.to_owned()).or_default() += 1);
        if self.tenant.config().test_tools && tools::TEST_TOOLS.contains(&name) {
            count();
            return Ok(self.test_tool(name, &arguments, &context).await.into());
        }
        let caller = extension::<Caller>(&context).unwrap_or_default();
        let Some(call) = actions::parse(name, &arguments, &caller.granted) else {
            return Err(rmcp::ErrorData::invalid_params(format!("Unknown tool: {name}"), None));
        };
        let outcome = call.and_then(|call| {
            count();
            call.run(&mut lock(&self.tenant.data))
        });
        Ok(match outcome {
            Ok(value) => {
                let mut result = text(value.to_string());
                result.structured_content = Some(value);
                result
            }
            Err(refusal) => CallToolResult::error(vec![ContentBlock::text(refusal.text())]),
        }
        .into())
    }
}

/// Sends a request to the client and gives its answer, or what became of it, as text.
async fn ask(context: &RequestContext<RoleServer>, method: &str, params: Value) -> CallToolResult {
    let request = match serde_json::from_value::<ServerRequest>(json!({ "method": method, "params": params })) {
        Ok(request) => request,
        Err(error) => return CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
    };
    match context.peer.send_request(request).await {
        Ok(answer) => text(serde_json::to_string(&answer).unwrap_or_default()),
        Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
    }
}

/// What the layer in front attached to the HTTP request.
fn extension<T: Clone + Send + Sync + 'static>(context: &RequestContext<RoleServer>) -> Option<T> {
    context.extensions.get::<Parts>()?.extensions.get::<T>().cloned()
}

fn text(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

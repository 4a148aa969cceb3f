//! `serve`: a tenant that runs until it is told to stop, and how to point the bridge at it.

use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use planhat_sandbox::{CLIENT_ID, CLIENT_SECRET, Config, Consent, Fault, PRIVATE_APP_TOKEN, Sandbox, Tls};

use crate::arguments::ServeOptions;
use crate::stage::Stage;
use crate::trust::Trust;

pub(crate) fn serve(stage: &Stage, options: ServeOptions) -> ExitCode {
    let redirect = format!("http://127.0.0.1:{}/callback", options.callback_port);
    let mut config = Config::with_redirect(&redirect);
    config.api_port = options.api_port;
    config.ws_port = options.ws_port;
    config.test_tools = options.test_tools;
    config.tls = options.tls.then(Tls::default);
    // It may run for days.
    config.record = false;
    config.private_app_tokens = vec![PRIVATE_APP_TOKEN.into()];
    if options.open_consent {
        config.consent = Consent::Automatic;
    }
    if options.no_permissions {
        config.clients.iter_mut().for_each(|client| client.permissions.clear());
    }
    if let Some(seconds) = options.token_lifetime {
        config.access_token_lifetime = Duration::from_secs(seconds);
    }
    let (user, role) = (config.user.name.clone(), config.user.role.clone());
    let started = Sandbox::try_start(config).and_then(|sandbox| Ok((Trust::of(sandbox.route())?, sandbox)));
    let (trust, sandbox) = match started {
        Ok(started) => started,
        Err(error) => {
            stage.complain(&format!("the tenant cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let url = sandbox.mcp_url();
    let variables = trust.variables(false);
    let trusting: String = variables.iter().map(|(name, value)| format!("\u{20} export {name}={value}\n")).collect();
    stage.line(&format!(
        "A made-up Planhat tenant is running.\n\n\
         \x20 MCP endpoint   {url}\n\
         \x20 client id      {CLIENT_ID}\n\
         \x20 client secret  {CLIENT_SECRET} (worth nothing elsewhere)\n\
         \x20 redirect URL   {redirect}\n\
         \x20 Private App    {PRIVATE_APP_TOKEN} (its token, instead of signing in)\n\
         \x20 user           {user}, {role}\n\n\
         Point the bridge at it, in another terminal:\n\n\
         \x20 export PLANHAT_MCP_URL={url}\n\
         \x20 export PLANHAT_MCP_CLIENT_ID={CLIENT_ID}\n\
         \x20 export PLANHAT_MCP_CLIENT_SECRET={CLIENT_SECRET}\n\
         {}{trusting}\
         \x20 planhat-mcp login --token-store file\n\
         \x20 planhat-mcp status --token-store file\n\n\
         {COMMANDS}\n",
        how_to_point(options.callback_port)
    ));
    wait(stage, sandbox)
}

/// What the bridge has to know besides the client, as lines of a shell.
pub(crate) fn how_to_point(callback_port: u16) -> String {
    format!("\x20 export PLANHAT_MCP_SCOPE=inclusive\n\x20 export PLANHAT_MCP_CALLBACK_PORT={callback_port}\n")
}

const COMMANDS: &str = "\
Type a word to make something happen:
  expire    the access tokens            throttle  the next call, for 2 s
  revoke    the grants                   counters  shows what was counted
  lose      the sessions                 stop      ends the tenant
  restart   forgets all but the clients that an administrator made
Ctrl-C or the end of input ends it also.";

/// Obeys lines of standard input until it ends or Ctrl-C is pressed.
pub(crate) fn wait(stage: &Stage, sandbox: Sandbox) -> ExitCode {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stage = Stage::clone(stage);
    // Not joined: it may sit in a read of standard input that never ends.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.trim() {
                "" => {}
                "expire" => sandbox.expire_access_tokens(),
                "revoke" => sandbox.revoke_grants(),
                "restart" => sandbox.restart_without_memory(),
                "lose" => sandbox.lose_sessions(),
                "throttle" => {
                    sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(2)).method("tools/call"));
                }
                "counters" => stage.line(&format!("{:#?}", sandbox.counters())),
                "stop" => break,
                other => stage.line(&format!("{other:?} is not known.\n{COMMANDS}")),
            }
        }
        drop(stop);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    runtime.block_on(async {
        tokio::select! {
            _ = stopped => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    });
    ExitCode::SUCCESS
}

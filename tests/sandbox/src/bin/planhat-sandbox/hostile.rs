//! `hostile`: a tenant that attacks whoever speaks to it, in ways that are chosen from the table.

use std::process::ExitCode;

use planhat_sandbox::attack::{ATTACKS, Access, Attack, Meets, Strength};
use planhat_sandbox::{CLIENT_ID, CLIENT_SECRET, Config, Consent, PRIVATE_APP_TOKEN, Sandbox};

use crate::arguments::HostileOptions;
use crate::serve::{how_to_point, wait};
use crate::stage::{Stage, sentence};

/// The table of attacks.
pub(crate) fn list(stage: &Stage) {
    for attack in ATTACKS {
        stage.entry(attack.name, &format!("It {}.", attack.does));
        stage.entry("  must hold", &sentence(attack.must_hold));
    }
    stage.line(
        "\nplanhat-sandbox hostile NAME [NAME...] plays them. What must hold with each: calls of other tools are answered\n\
         within 200 ms, the bridge holds less than 200 MiB and logs less than 1 MiB a minute, and SIGTERM ends it within 2 s.",
    );
}

pub(crate) fn hostile(stage: &Stage, options: &HostileOptions) -> ExitCode {
    let redirect = format!("http://127.0.0.1:{}/callback", options.callback_port);
    let mut config = Config::with_redirect(&redirect);
    config.api_port = options.api_port;
    config.test_tools = true;
    config.record = false;
    config.private_app_tokens = vec![PRIVATE_APP_TOKEN.into()];
    config.consent = Consent::Automatic;
    let sandbox = match Sandbox::try_start(config) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            stage.complain(&format!("the tenant cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let strength = if options.short { Strength::Short } else { Strength::Full };
    for attack in &options.attacks {
        sandbox.play(attack, strength);
    }
    let registers = options.attacks.iter().any(|attack| attack.access == Access::Open);
    let signs_in = registers || options.attacks.iter().any(|attack| attack.access == Access::SignIn);
    let url = sandbox.mcp_url();
    let client = |export: &str| {
        format!("{export}PLANHAT_MCP_CLIENT_ID={CLIENT_ID}\n{export}PLANHAT_MCP_CLIENT_SECRET={CLIENT_SECRET}\n")
    };
    let export = "\u{20} export ";
    let access = match (signs_in, registers) {
        (false, _) => format!("{export}PLANHAT_MCP_TOKEN={PRIVATE_APP_TOKEN}\n"),
        (true, false) => format!("{}{}", client(export), how_to_point(options.callback_port)),
        // It registers itself.
        (true, true) => how_to_point(options.callback_port),
    };
    stage.line(&format!(
        "A hostile server is running at {url}. Point the bridge at it, in another terminal:\n\n\
         {export}PLANHAT_MCP_URL={url}\n{access}\
         \x20 planhat-mcp --token-store file     (started by an MCP client, or by hand: it reads lines of JSON)\n",
    ));
    for attack in &options.attacks {
        stage.heading(attack.name);
        stage.entry("does", &format!("It {}.", attack.does));
        stage.entry("meet it", &how_to_meet(attack));
        stage.entry("must hold", &sentence(attack.must_hold));
    }
    stage.line(
        "\nMeanwhile calls of other tools, echo among them, must be answered within 200 ms; the bridge must hold less than\n\
         200 MiB and log less than 1 MiB a minute; SIGTERM must end it within 2 s.\n",
    );
    wait(stage, sandbox)
}

fn how_to_meet(attack: &Attack) -> String {
    let beside = match attack.beside {
        0 | 1 => String::new(),
        many => format!(", {many} times at once"),
    };
    match attack.meets {
        Meets::Call => format!("Call the tool {}{beside}.", attack.name),
        Meets::List => "List the tools, again and again.".to_owned(),
        Meets::Notification => "Send a notification: notifications/roots/list_changed, or cancel a call.".to_owned(),
        Meets::Stream => "Connect, and stay; with 2026-07-28 ask for subscriptions/listen.".to_owned(),
    }
}

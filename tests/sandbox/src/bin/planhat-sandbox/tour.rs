//! `tour`: the bridge's main job against a made-up tenant, told for a person to watch.

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use planhat_sandbox::{CLIENT_ID, CLIENT_SECRET, Config, Counters, Fault, ReservedPort, Sandbox};
use serde_json::{Value, json};

use crate::arguments::TourOptions;
use crate::bridge::{Bridge, Home, Recipe, build};
use crate::desktop;
use crate::stage::Stage;

/// How long an answer may take that nobody has to wait for.
const SOON: Duration = Duration::from_secs(30);
/// How long a person may take in the browser.
const PATIENCE: Duration = Duration::from_secs(300);
/// What the tenant asks for when it throttles.
const PAUSE: Duration = Duration::from_secs(2);
const REVISION: &str = "2025-06-18";

pub(crate) fn tour(stage: &Stage, options: &TourOptions) -> ExitCode {
    // Ctrl-C reaches the bridge too, whose end ends the tour; this program lives on to clean up.
    std::thread::spawn(|| {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            let _ = runtime.block_on(tokio::signal::ctrl_c());
        }
    });
    let mut tour = match Tour::prepare(stage, options) {
        Ok(tour) => tour,
        Err(error) => {
            stage.complain(&format!("the tour cannot begin: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let told = tour.tell();
    tour.conclude(told)
}

struct Tour {
    stage: Stage,
    /// How long the sign-in may take: a person takes longer than a program.
    sign_in: Duration,
    sandbox: Sandbox,
    /// The callback's, from the sign-in on.
    _port: ReservedPort,
    recipe: Recipe,
    home: Home,
    bridge: Option<Bridge>,
    desktop: desktop::Desktop,
    findings: Vec<(bool, String)>,
}

impl Tour {
    fn prepare(stage: &Stage, options: &TourOptions) -> io::Result<Self> {
        let program = match &options.bridge {
            Some(program) => program.clone(),
            None => build(stage)?,
        };
        let stage = stage.anew();
        let sign_in = if options.open { PATIENCE } else { SOON };
        let port = ReservedPort::new();
        let redirect = format!("http://127.0.0.1:{}/callback", port.number());
        let sandbox = Sandbox::try_start(Config::with_redirect(redirect))?;
        let home = Home::new()?;
        let desktop = desktop::set_up(&stage, options.open)?;
        let flags =
            ["--url", &sandbox.mcp_url(), "--client-id", CLIENT_ID, "--callback-port", &port.number().to_string()];
        let flags =
            flags.into_iter().chain(["--scope", "inclusive", "--token-store", "file"]).map(str::to_owned).collect();
        let browser = desktop::command(&desktop);
        let recipe = Recipe { program, flags, secret: CLIENT_SECRET.to_owned(), browser };
        Ok(Self { stage, sign_in, sandbox, _port: port, recipe, home, bridge: None, desktop, findings: Vec::new() })
    }

    fn tell(&mut self) -> io::Result<()> {
        self.introduce();
        self.hello()?;
        self.sign_in()?;
        self.work()?;
        self.throttled()?;
        self.expired()?;
        self.leave()
    }

    fn introduce(&self) {
        let flags = self.recipe.flags.join(" ");
        self.stage.heading("A tour of planhat-mcp, against a made-up Planhat tenant on this machine");
        self.stage.says("tenant", &format!("runs at {}", self.sandbox.api_base()));
        self.stage.says("client", &format!("starts planhat-mcp {flags}"));
        self.stage.says("", "The client secret goes by the environment, never on the command line.");
    }

    fn hello(&mut self) -> io::Result<()> {
        self.stage.heading("1. The client says hello; nobody has signed in yet");
        self.bridge = Some(self.recipe.start(&self.home)?);
        let client = json!({ "name": "sandbox-tour", "version": env!("CARGO_PKG_VERSION") });
        let params = json!({ "protocolVersion": REVISION, "capabilities": {}, "clientInfo": client });
        let (answer, took) = self.ask("initialize", params, SOON)?;
        let version = answer["result"]["protocolVersion"].as_str().unwrap_or("nothing of use").to_owned();
        self.stage.says("bridge", &format!("answers with revision {version}, without waiting for a sign-in"));
        self.find(version == REVISION && took < Duration::from_secs(6), "hello is answered at once");
        self.bridge()?.tell("notifications/initialized")
    }

    fn sign_in(&mut self) -> io::Result<()> {
        self.stage.heading("2. The client wants the tools; now somebody has to sign in");
        let mut names = self.tools()?;
        if !names.iter().any(|name| name == "list_model_records") {
            self.stage.says("bridge", &format!("offers {} while the sign-in is under way", names.join(", ")));
            let patience = self.sign_in;
            self.bridge()?.wait_for("notifications/tools/list_changed", patience)?;
            self.stage.says("bridge", "says that the list of tools has changed");
            names = self.tools()?;
        }
        let settled = desktop::settled(&self.desktop, SOON);
        self.find(settled, "the browser ends at a page that says so");
        self.stage.says("bridge", &format!("brings {} tools: {}", names.len(), names.join(", ")));
        let counters = self.sandbox.counters();
        self.count(&[
            (counters.consents_shown, "consent page", "consent pages"),
            (counters.consents_granted, "consent", "consents"),
            (counters.code_exchanges, "code exchanged for tokens", "codes exchanged for tokens"),
        ]);
        self.find(names.len() == 10, "all ten of Planhat's tools arrive");
        Ok(())
    }

    fn tools(&mut self) -> io::Result<Vec<String>> {
        let (answer, _) = self.ask("tools/list", json!({}), self.sign_in)?;
        let tools = answer["result"]["tools"].as_array().cloned().unwrap_or_default();
        Ok(tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect())
    }

    fn work(&mut self) -> io::Result<()> {
        self.stage.heading("3. A few calls, as an assistant makes them");
        let at_risk =
            json!({ "MODEL": "Company", "FILTER": { "healthScore": { "lt": 6 } }, "SELECT": ["name", "healthScore"] });
        let listed = self.call("list_model_records", at_risk)?;
        let names: Vec<String> = listed["records"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|record| format!("{} ({})", record["name"].as_str().unwrap_or("?"), record["healthScore"]))
            .collect();
        self.stage.says("bridge", &format!("companies in poor health: {}", names.join(", ")));
        self.find(names.len() == 2, "records are listed");

        let found = self.call("search_records", json!({ "QUERY": "renewal" }))?;
        self.stage.says("bridge", &format!("{} records mention a renewal", found["total"]));
        self.find(found["total"].as_u64().is_some_and(|total| total > 0), "records are found");

        let task = json!({ "title": "Call Luis about the renewal", "companyId": "co_cobalt", "due": "2026-11-30" });
        let created = self.call("create_model_record", json!({ "MODEL": "Task", "PARAMETERS": task }))?;
        self.stage.says("bridge", &format!("created task {}: {}", text(&created["_id"]), text(&created["title"])));
        self.find(created["_id"].is_string(), "a record is created");
        Ok(())
    }

    fn throttled(&mut self) -> io::Result<()> {
        self.stage.heading("4. Planhat says: too many requests, come back in two seconds");
        self.sandbox.fault(Fault::status(429).retry_after(PAUSE).tool("list_model_records"));
        let before = self.sandbox.counters().tool("list_model_records");
        let asked = Instant::now();
        let listed = self.call("list_model_records", json!({ "MODEL": "Task", "LIMIT": 3 }))?;
        let (took, after) = (asked.elapsed(), self.sandbox.counters());
        let waited = format!("waited, and brings {} of {} tasks", count(&listed["records"]), listed["total"]);
        self.stage.says("bridge", &format!("{waited} after {} ms", took.as_millis()));
        let executed = after.tool("list_model_records") - before;
        self.count(&[(after.mcp_status(429), "answer 429", "answers 429"), (executed, "execution", "executions")]);
        self.find(took >= PAUSE && executed == 1, "a 429 is waited out, and the call is executed once");
        Ok(())
    }

    fn expired(&mut self) -> io::Result<()> {
        self.stage.heading("5. The access token expires");
        self.sandbox.expire_access_tokens();
        let got = self.call("get_model_record", json!({ "MODEL": "Company", "OBJECT_ID": "co_cobalt" }))?;
        self.stage.says("bridge", &format!("brings {}; nobody had to do anything", text(&got["name"])));
        let counters = self.sandbox.counters();
        self.count(&[
            (counters.refreshes, "refresh", "refreshes"),
            (counters.refresh_reuse, "refresh token used twice", "refresh tokens used twice"),
            (counters.consents_granted, "consent as before", "consents"),
        ]);
        self.find(got["name"] == "Cobalt Robotics", "an expired token is renewed unnoticed");
        Ok(())
    }

    fn leave(&mut self) -> io::Result<()> {
        self.stage.heading("6. The client is done, and the user signs out");
        self.stage.says("client", "closes the bridge's standard input");
        let closing = Instant::now();
        let status = self.bridge()?.close()?;
        self.stage.says("bridge", &format!("ends the session and itself, after {} ms", closing.elapsed().as_millis()));
        self.find(status.success(), "the bridge ends by itself");
        self.stage.says("user", "runs planhat-mcp logout with the same flags");
        let output = self.recipe.run(&self.home, "logout")?;
        let said = [output.stdout, output.stderr].concat();
        self.stage.says("bridge", String::from_utf8_lossy(&said).trim());
        self.find(output.status.success(), "signing out works");
        Ok(())
    }

    /// Compares what the tenant counted with what should have happened.
    fn conclude(mut self, told: io::Result<()>) -> ExitCode {
        self.stage.heading("What was promised");
        if let Err(error) = &told {
            self.find(false, &format!("the tour comes to its end: {error}"));
        }
        for (fine, what) in &self.findings {
            self.stage.row(*fine, what);
        }
        self.stage.heading("What the tenant counted");
        let rows = expected(&self.sandbox.counters(), desktop::opened(&self.desktop));
        let mut fine = self.findings.iter().all(|(fine, _)| *fine);
        for (what, counted, wanted) in rows {
            fine &= counted == wanted;
            let remark = if counted == wanted { String::new() } else { format!("   (should be {wanted})") };
            self.stage.row(counted == wanted, &format!("{what:<38}{counted:>4}{remark}"));
        }
        if fine {
            self.stage.line("\nAll of it as it should be.");
            return ExitCode::SUCCESS;
        }
        let log = self.bridge.as_ref().map(Bridge::log).unwrap_or_default();
        if !log.is_empty() {
            self.stage.heading("The last the bridge logged");
            log.iter().for_each(|line| self.stage.line(&format!("  {line}")));
        }
        self.stage.line("\nNot everything was as it should be.");
        ExitCode::FAILURE
    }

    /// A request, with the time that its answer took.
    fn ask(&mut self, method: &str, params: Value, within: Duration) -> io::Result<(Value, Duration)> {
        let shown = match params["name"].as_str() {
            Some(tool) => format!("calls {tool} with {}", arguments(&params["arguments"])),
            None => format!("asks {method}"),
        };
        self.stage.says("client", &shown);
        let (stage, asked) = (self.stage.clone(), Instant::now());
        let bridge = self.bridge.as_mut().ok_or_else(|| io::Error::other("the bridge does not run"))?;
        let answer = bridge.ask(method, params, within, |message| {
            if message["method"] == "notifications/progress" {
                stage.says("bridge", &format!("meanwhile: {}", text(&message["params"]["message"])));
            }
        })?;
        if let Some(error) = answer.get("error") {
            return Err(io::Error::other(format!("{method} was answered with {error}")));
        }
        Ok((answer, asked.elapsed()))
    }

    /// A tool call's structured content.
    fn call(&mut self, tool: &str, arguments: Value) -> io::Result<Value> {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": tool } });
        let (answer, _) = self.ask("tools/call", params, SOON)?;
        let result = &answer["result"];
        if result["isError"] == true {
            return Err(io::Error::other(format!("{tool} failed: {}", text(&result["content"][0]["text"]))));
        }
        Ok(result["structuredContent"].clone())
    }

    fn bridge(&mut self) -> io::Result<&mut Bridge> {
        self.bridge.as_mut().ok_or_else(|| io::Error::other("the bridge does not run"))
    }

    fn count(&self, counted: &[(u64, &str, &str)]) {
        let each =
            |(number, one, many): &(u64, &str, &str)| format!("{number} {}", if *number == 1 { one } else { many });
        self.stage.says("tenant", &format!("counted {}", counted.iter().map(each).collect::<Vec<_>>().join(", ")));
    }

    fn find(&mut self, fine: bool, what: &str) {
        self.findings.push((fine, what.to_owned()));
    }
}

/// What was counted, and what should have been.
fn expected(counters: &Counters, browsers: usize) -> Vec<(&'static str, u64, u64)> {
    let mut rows = vec![
        ("consent pages shown", counters.consents_shown, 1),
        ("consents granted", counters.consents_granted, 1),
        ("codes exchanged for tokens", counters.code_exchanges, 1),
        ("refreshes", counters.refreshes, 1),
        ("refresh tokens used twice", counters.refresh_reuse, 0),
        ("list_model_records executed", counters.tool("list_model_records"), 2),
        ("search_records executed", counters.tool("search_records"), 1),
        ("create_model_record executed", counters.tool("create_model_record"), 1),
        ("get_model_record executed", counters.tool("get_model_record"), 1),
        ("answers 429", counters.mcp_status(429), 1),
        ("sessions opened", counters.sessions_created, 1),
        ("sessions ended", counters.sessions_deleted, 1),
    ];
    rows.insert(0, ("browser windows opened", browsers as u64, 1));
    rows
}

/// Arguments as a person writes them: `MODEL=Task, LIMIT=3`.
fn arguments(arguments: &Value) -> String {
    let mut named: Vec<(&String, &Value)> = arguments.as_object().into_iter().flatten().collect();
    named.sort_by_key(|(name, _)| *name != "MODEL");
    named.into_iter().map(|(name, value)| format!("{name}={}", brief(value))).collect::<Vec<_>>().join(", ")
}

fn brief(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(brief).collect())),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{name}: {}", brief(value));
            format!("{{{}}}", joined(members.iter().map(member).collect()))
        }
        other => other.to_string(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("nothing")
}

fn count(list: &Value) -> usize {
    list.as_array().map_or(0, Vec::len)
}

//! A round of traffic: what is asked, what goes wrong meanwhile, and what must hold afterwards.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use planhat_sandbox::attack::{ATTACKS, Access, Attack, Era, Meets, Strength};
use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Gate, RawReply, Sandbox};
use serde_json::Value;

use super::client::{Client, key};
use super::dice::Dice;
use crate::support::{INITIALIZE, INITIALIZED, Setup};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
const READ: &str = "list_model_records";
const WRITE: &str = "create_model_record";
/// Strings that any decoding and encoding would change.
const ODD: [&str; 5] = [
    r#"{"a":1.0,"b":1e400,"a":2}"#,
    r#"{"s":"\u00e9\/"}"#,
    "{ }",
    r#"{"big":123456789012345678901234567890}"#,
    r#"{"n":[null,-0.0,{}]}"#,
];

/// What a hostile server may make of these rounds: nothing that takes the sign-in away for good.
fn attacks(kind: Kind) -> Vec<&'static Attack> {
    let stateless = kind == Kind::Stateless;
    let era = if stateless { Era::Stateless } else { Era::Handshake };
    let played = |attack: &&Attack| {
        attack.eras.contains(&era)
            && attack.access != Access::Open
            && attack.name != "quoted-secrets"
            // `subscriptions/listen` is a request, and one that such a stream never answers.
            && !(stateless && attack.meets == Meets::Stream)
    };
    ATTACKS.iter().filter(played).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Handshake,
    /// The same with tokens that expire.
    SignedIn,
    Stateless,
}

pub struct Round {
    pub client: Client,
    setup: Setup,
    kind: Kind,
    dice: Dice,
    seed: u64,
    number: u64,
    asked: Vec<Asked>,
    bad_lines: usize,
    /// Cancelled in an earlier round; an answer may have been on its way.
    cancelled: HashSet<String>,
    /// What follows the id in each line that was said.
    said: HashSet<String>,
    /// What the server may do besides.
    attacks: Vec<&'static Attack>,
    /// Holds requests that are never answered in time.
    stall: Gate,
    /// What is asked now must work: servers need not take ids of every kind.
    checking: bool,
}

struct Asked {
    /// As it was written.
    id: String,
    key: String,
    cancelled: bool,
    write: Option<String>,
    echo: Option<&'static str>,
}

impl Round {
    /// A bridge and a tenant, ready. `record` keeps what the tenant was sent.
    pub fn start(seed: u64, kind: Kind, record: bool) -> Self {
        let mut dice = Dice::new(seed);
        let answers = *dice.pick(&[planhat_sandbox::AnswerMode::Json, planhat_sandbox::AnswerMode::Sse]);
        let config = Config { answers, record, ..Config::default() };
        let setup = match kind {
            Kind::SignedIn => Setup::with_sign_in(config, Choice::Allow),
            Kind::Handshake | Kind::Stateless => Setup::with_token(config),
        };
        let mut command = setup.command();
        command.args(["--idle-timeout", "1", "--connect-wait", "5", "--log-level", "debug"]);
        // Some attacks end only with the first, and what they unpack to is cut off at the second.
        command.args(["--total-timeout", "5", "--max-message-bytes", "4194304"]);
        if dice.roll(3) == 0 {
            command.args(["--max-in-flight", "3"]);
        }
        let client = Client::start(command);
        let mut round = Self {
            client,
            setup,
            kind,
            dice,
            seed,
            number: 0,
            asked: Vec::new(),
            bad_lines: 0,
            cancelled: HashSet::new(),
            said: HashSet::new(),
            attacks: attacks(kind),
            stall: Gate::new(),
            checking: true,
        };
        round.setup.sandbox.on_method("vendor/x", RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{"x":1.0}}"#));
        if kind != Kind::Stateless {
            round.said.extend([tail(INITIALIZE), INITIALIZED.to_owned()]);
            round.client.say(INITIALIZE);
            round.client.say(INITIALIZED);
            round.asked.push(Asked { id: "0".into(), key: "0".into(), cancelled: false, write: None, echo: None });
        }
        // From the list the bridge learns what may be repeated; signing in starts with it.
        round.ask("tools/list", "");
        round.settle();
        round.checking = false;
        round
    }

    /// From now on the server is only unlucky.
    #[cfg(target_os = "linux")]
    pub fn spare_attacks(&mut self) {
        self.attacks.clear();
    }

    /// So many things happen, one after the other, without waiting for their ends.
    pub fn traffic(&mut self, events: usize) {
        for _ in 0..events {
            if self.dice.roll(2) == 0 {
                self.something_goes_wrong();
            }
            if self.dice.roll(10) == 0 && !self.attacks.is_empty() {
                self.the_server_attacks();
            }
            self.something_is_said();
        }
        self.settle();
    }

    fn something_is_said(&mut self) {
        let n = self.number;
        match self.dice.roll(16) {
            0..=2 => self.call(READ, r#"{"MODEL":"Company","LIMIT":1}"#),
            3..=5 => {
                let title = format!("w-{}-{n}-", self.seed);
                self.call(WRITE, &format!(r#"{{"MODEL":"Task","PARAMETERS":{{"mainTask":"{title}"}}}}"#));
                self.last().write = Some(title);
            }
            6 | 7 => {
                let odd = *self.dice.pick(&ODD);
                self.call("echo", odd);
                self.last().echo = Some(odd);
            }
            8 => self.ask("tools/list", ""),
            9 => self.ask("ping", ""),
            10 => self.ask("vendor/x", r#""y":1.0"#),
            11 if self.kind != Kind::Stateless => {
                let tool = *self.dice.pick(&["ask_user", "list_roots"]);
                self.call(tool, "{}");
            }
            12 => self.call("slow", r#"{"STEPS":3,"MS":20}"#),
            13 => {
                let line = *self.dice.pick(&["no json", "[]", "{\"jsonrpc\":\"2.0\"}", "\"\\ud800", "{\"id\":1}x"]);
                self.bad_lines += 1;
                self.client.say(line);
            }
            14 => {
                let note = format!(r#"{{"jsonrpc":"2.0","method":"notifications/vendor","params":{{"n":{n}.0}}}}"#);
                self.said.insert(note.clone());
                self.client.say(&note);
            }
            _ => {
                let open: Vec<usize> = (0..self.asked.len()).filter(|&at| !self.asked[at].cancelled).collect();
                if open.is_empty() {
                    return;
                }
                let asked = *self.dice.pick(&open);
                let asked = &mut self.asked[asked];
                if asked.id == "0" {
                    return; // `initialize` must not be cancelled (MCP, "Cancellation")
                }
                asked.cancelled = true;
                let note = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{}}}}}"#,
                    asked.id
                );
                self.said.insert(note.clone());
                self.client.say(&note);
            }
        }
    }

    fn something_goes_wrong(&mut self) {
        let sandbox = &self.setup.sandbox;
        let wrong_id = r#"{"jsonrpc":"2.0","id":"nobody's","result":{}}"#;
        let json = "application/json";
        let fault = match self.dice.roll(19) {
            0 => Fault::status(*self.dice.pick(&[400, 403, 404, 405, 409, 413, 418, 500, 502, 503, 504])),
            1 => Fault::status(429).retry_after(Duration::ZERO),
            2 => Fault::status(503).retry_after(Duration::ZERO),
            3 => Fault::status_after_executing(*self.dice.pick(&[500, 502, 503])),
            4 => Fault::hang_up(),
            5 => Fault::hang_up_after_executing(),
            6 | 7 => Fault::cut_after(self.dice.roll(3)),
            8 => Fault::end_after(self.dice.roll(3)),
            9 => Fault::bytes(json, "{\"jsonrpc\":\"2.0\",\"id\":"),
            10 => Fault::bytes(json, wrong_id),
            11 => Fault::bytes("text/event-stream", format!("data: {wrong_id}\n\ndata: oops\n\n: x\n\n")),
            12 => Fault::bytes("text/html", "<html>Welcome to the hotel</html>"),
            13 => Fault::held(&self.stall),
            14 if self.kind == Kind::SignedIn => Fault::expire_access_tokens(),
            15 => Fault::lose_sessions(),
            16 => {
                // Answers that nobody asked for, twice, and what is none.
                let pushed =
                    sandbox.push(wrong_id) && sandbox.push(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#);
                let _ = pushed && sandbox.push_bytes("data: {oops\n\ndata: 7\n\n");
                return;
            }
            17 => {
                let answer = r#"{"jsonrpc":"2.0","id":{id},"result":{"x":1.0}}"#;
                let reply = RawReply::sse().event(wrong_id).event(answer).event(answer).event(wrong_id);
                return sandbox.on_method("vendor/x", reply.once());
            }
            18 if self.dice.roll(4) == 0 => {
                sandbox.go_offline();
                return come_back(sandbox);
            }
            _ => return,
        };
        let fault = match self.dice.roll(6) {
            0 => fault.tool(READ),
            1 | 2 => fault.tool(WRITE),
            3 => fault.method("tools/call"),
            4 => fault.http("GET"),
            _ => fault.skip(self.dice.roll(3) as u64),
        };
        sandbox.fault(fault);
    }

    /// Plays an attack from now on, until the round is checked, and meets it.
    fn the_server_attacks(&mut self) {
        let attack = *self.dice.pick(&self.attacks);
        self.setup.sandbox.play(attack, Strength::Short);
        match attack.meets {
            Meets::Call => self.call(attack.name, &(attack.arguments)()),
            Meets::List => self.ask("tools/list", ""),
            // What stands is broken off, so that it is opened again.
            Meets::Stream => self.setup.sandbox.end_streams(),
            Meets::Notification => {
                let note = r#"{"jsonrpc":"2.0","method":"notifications/vendor","params":{"attacked":true}}"#;
                self.said.insert(note.to_owned());
                self.client.say(note);
            }
        }
    }

    fn last(&mut self) -> &mut Asked {
        self.asked.last_mut().expect("asked just now")
    }

    fn call(&mut self, tool: &str, arguments: &str) {
        let token = match self.dice.roll(3) {
            0 => format!(r#","_meta":{{"progressToken":"p{}"}}"#, self.number),
            _ => String::new(),
        };
        let token = if self.kind == Kind::Stateless { "" } else { &token };
        self.ask("tools/call", &format!(r#""name":"{tool}","arguments":{arguments}{token}"#));
    }

    /// A request with an id of some kind.
    fn ask(&mut self, method: &str, params: &str) {
        self.number += 1;
        let n = self.number;
        let spelling = if self.checking { 5 } else { self.dice.roll(12) };
        let id = match spelling {
            0 => format!("\"s-{n}\""),
            1 => format!("\"\\u0073\\u00e5-{n}\""),
            2 => format!("-{n}"),
            3 => format!("{n}.25"),
            4 => format!("1234567890123456789012345{n}"),
            _ => n.to_string(),
        };
        let params = match (self.kind, params) {
            (Kind::Stateless, "") => META.to_owned(),
            (Kind::Stateless, params) => format!("{META},{params}"),
            (_, params) => params.to_owned(),
        };
        let tail = format!(r#","method":"{method}","params":{{{params}}}}}"#);
        self.client.say(&format!(r#"{{"jsonrpc":"2.0","id":{id}{tail}"#));
        self.said.insert(tail);
        let key = key(&id);
        self.asked.push(Asked { id, key, cancelled: false, write: None, echo: None });
    }

    /// Waits until everything is answered that has to be.
    fn settle(&mut self) {
        let wanted: Vec<_> = self.asked.iter().filter(|asked| !asked.cancelled).map(|asked| &*asked.key).collect();
        let bad = self.bad_lines;
        self.client.wait(|heard| {
            let missing: Vec<_> = wanted.iter().filter(|id| !heard.answers.contains_key(**id)).collect();
            let nulls = heard.answers.get("null").map_or(0, Vec::len);
            if missing.is_empty() && nulls >= bad {
                Ok(())
            } else {
                Err(format!("{missing:?}, {nulls} of {bad} bad lines"))
            }
        });
    }

    /// What must hold now that the traffic is over.
    pub fn check(&mut self) {
        self.setup.sandbox.clear_faults();
        self.setup.sandbox.stop_attacks();
        self.stall.open();
        self.checking = true;
        // The good message after all that; its own connection may have been broken before.
        let works = (0..3).any(|_| {
            self.call("echo", "{}");
            self.settle();
            let id = self.last().key.clone();
            self.client.wait(|heard| Ok(!fails(&heard.answers[&id][0])))
        });
        assert!(works, "nothing works any more: {}", self.client.log_end());
        let executed = self.executed();
        let heard = self.client.take_heard();
        assert!(heard.wrong.is_empty(), "on stdout: {:#?}", heard.wrong);
        let log = self.client.log_end();
        let mut asked: HashMap<_, _> = self.asked.drain(..).map(|asked| (asked.key.clone(), asked)).collect();
        for (id, answers) in &heard.answers {
            if id == "null" {
                assert_eq!(answers.len(), self.bad_lines, "answers to lines that are no requests: {answers:#?}");
                continue;
            }
            if self.cancelled.remove(id) {
                continue;
            }
            let asked = asked.remove(id).unwrap_or_else(|| panic!("nobody asked: {answers:?}"));
            assert_eq!(answers.len(), 1, "more than one answer: {answers:#?}; {log}");
            self.check_answer(&asked, &answers[0], &executed);
        }
        for (id, asked) in asked {
            assert!(asked.cancelled, "{id} was never answered");
            let times = asked.write.as_ref().map_or(0, |title| count(&executed, title));
            assert!(times <= 1, "{:?} was cancelled and executed {times} times; {log}", asked.write);
            self.cancelled.insert(id);
        }
        self.bad_lines = 0;
        self.checking = false;
    }

    fn check_answer(&self, asked: &Asked, answer: &str, executed: &str) {
        if let Some(title) = &asked.write {
            let times = count(executed, title);
            assert!(times <= 1, "{title} was executed {times} times; {}", self.client.log_end());
            if fails(answer) {
                let honest = times == 0 || answer.contains("heck");
                assert!(honest, "{title} was executed, and yet: {answer}");
            } else {
                assert_eq!(times, 1, "{title} was not executed, and yet: {answer}");
            }
        }
        if let (Some(odd), false) = (asked.echo, fails(answer)) {
            let answer: Value = serde_json::from_str(answer).expect("checked before");
            assert_eq!(answer["result"]["content"][0]["text"], odd, "changed on its way");
        }
    }

    /// The titles of what was written, from the tenant itself, which counts what it has.
    fn executed(&mut self) -> String {
        let filter =
            format!(r#"{{"MODEL":"Task","FILTER":{{"mainTask":{{"contains":"w-{}-"}}}},"LIMIT":100000}}"#, self.seed);
        self.call(READ, &filter);
        self.settle();
        let id = self.last().key.clone();
        let answer = self.client.wait(|heard| Ok(heard.answers[&id][0].clone()));
        assert!(!fails(&answer), "{answer}");
        let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        answer["result"]["structuredContent"].to_string()
    }

    /// Everything that the tenant was sent was said by the client, or is the bridge's own in one of the few ways that
    /// there are.
    pub fn check_payloads(&self) {
        for request in self.setup.sandbox.requests() {
            let text = request.text();
            if request.http_method != "POST" || self.said.contains(&*text) || self.said.contains(&tail(&text)) {
                continue;
            }
            let own = text.starts_with(r#"{"jsonrpc":"2.0","id":"#)
                && (text.contains(r#""result":{"#) || text.contains(r#""error":{"#))
                || text.contains("No answer in time.")
                || text.contains("notifications/cancelled") && text.contains("planhat-mcp/")
                // Whether the server takes the token for others.
                || text.contains(r#""id":"planhat-mcp/ping","method":"ping""#)
                // Whether a list has changed that was given without the server.
                || text.starts_with(r#"{"jsonrpc":"2.0","id":"planhat-mcp/"#) && text.contains(r#"/list""#);
            assert!(own, "nobody said this: {text}");
        }
    }

    /// The seed of the next round with the same bridge.
    #[cfg(target_os = "linux")]
    pub fn next(&mut self) {
        self.seed += 1;
        self.stall = Gate::new();
        self.said.clear();
    }

    pub fn end(mut self) {
        let status = self.client.end();
        assert!(status.success(), "{status}: {}", self.client.log_end());
        let heard = self.client.take_heard();
        let unasked: Vec<_> = heard.answers.keys().filter(|id| !self.cancelled.contains(*id)).collect();
        assert!(heard.wrong.is_empty() && unasked.is_empty(), "{:?} {unasked:?}", heard.wrong);
    }
}

/// Connections of the runs beside this one may hold a port for a moment; nobody tells when they let go of it.
fn come_back(sandbox: &Sandbox) {
    let end = Instant::now() + Duration::from_secs(30);
    while let Err(error) = sandbox.come_back() {
        assert!(Instant::now() < end, "the ports are still free: {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What follows the id in a request.
fn tail(line: &str) -> String {
    line.find(r#","method":"#).map_or_else(String::new, |at| line[at..].to_owned())
}

fn fails(answer: &str) -> bool {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    answer["error"].is_object() || answer["result"]["isError"] == true
}

fn count(executed: &str, title: &str) -> usize {
    executed.matches(title).count()
}

//! The attacks of the sandbox's table, played to the bridge.

use std::time::Duration;

use planhat_mcp::limits::{MAX_OWN_REQUESTS_AT_ONCE, MAX_OWN_REQUESTS_PER_MINUTE};
use planhat_sandbox::attack::{Access, Attack, Era, Meets};
use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Consent, Counters};

use super::Manner;
use super::judge::{Quiet, Watch, for_program};
use super::watched::Watched;
use crate::support::{PATIENCE, Setup, bare};

/// Calls of the attack come once in this time at most: a client that floods is another case.
const PACE: Duration = Duration::from_millis(100);
/// Requests that the bridge may make of its own for each line of the client that meets the attack.
const REQUESTS_FOR_ONE: u64 = 4;
/// And besides, while an attack goes on, which takes some seconds: what is allowed at once, and that of ten seconds.
const REQUESTS_BESIDES: u64 = (MAX_OWN_REQUESTS_AT_ONCE + MAX_OWN_REQUESTS_PER_MINUTE / 6) as u64;
/// As many tabs as a person may see in ten minutes.
const MOST_TABS: u64 = 3;
/// A sign-in is one, and each renewal.
const MOST_TOKEN_REQUESTS: u64 = 10;

pub fn play(attack: &'static Attack, era: Era, manner: &Manner, quiet: &mut Quiet) -> Result<String, String> {
    let config = Config { record: false, consent: Consent::Automatic, ..Config::default() };
    let setup = match attack.access {
        Access::Token => Setup::with_token(config),
        Access::SignIn | Access::Open => Setup::with_sign_in(config, Choice::Allow),
    };
    setup.sandbox.play(attack, manner.strength);
    let command = match attack.access {
        Access::Token | Access::SignIn => setup.command(),
        Access::Open => registering(&setup),
    };
    let stateless = era == Era::Stateless;
    let mut bridge = Watched::start(for_program(command, manner), setup.home.path(), stateless);
    bridge.open("2025-11-25", PATIENCE);
    bridge.call("first", "echo", r#"{"w":1}"#);
    assert!(bridge.wait_answers(&["first".to_owned()], PATIENCE), "not even one call: {}", bridge.log());

    if attack.name == "marked-arguments" {
        // The marks are known from the list.
        bridge.ask("list", "tools/list", "");
        assert!(bridge.wait_answers(&["list".to_owned()], PATIENCE), "no list: {}", bridge.log());
    }

    let mut watch = Watch::new(bridge, manner, quiet);
    let mut client = Client::new(attack, stateless);
    let mut met = false;
    watch.go_on(|bridge, elapsed| {
        client.meet(bridge, elapsed);
        met = met || client.has_met_it(&setup.sandbox.counters());
        met
    });
    assert!(met, "the attack was not met: {}", watch.bridge.log());
    watch.judge_times(false);
    let counters = setup.sandbox.counters();
    // From the start: what the client has said may wait a while for its turn, such as replies to a flood of questions.
    let most = watch.bridge.lines_said() + client.met * REQUESTS_FOR_ONE + REQUESTS_BESIDES;
    watch.judge_most("requests", requests(&counters), most);
    let tabs = setup.browser.as_ref().map_or(0, |browser| browser.opened().len());
    watch.judge_most("tabs", tabs as u64, MOST_TABS);
    let tokens = counters.statuses.iter().filter(|(at, _)| at.starts_with("token ")).map(|(_, count)| count).sum();
    watch.judge_most("token requests", tokens, MOST_TOKEN_REQUESTS);
    watch.judge_most("spent refresh tokens presented", counters.refresh_reuse, 1);
    watch.judge_what_it_holds_and_writes(&setup.sandbox.secrets());
    watch.end()
}

/// The bridge without a client id of its own.
fn registering(setup: &Setup) -> std::process::Command {
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url(), "--callback-port", &setup.callback_port.to_string()]);
    command.args(["--scope", "inclusive"]);
    command.env("PLANHAT_MCP_TOKEN_STORE", "file");
    command.env("BROWSER", setup.browser.as_ref().expect("it has one").command());
    command
}

fn requests(counters: &Counters) -> u64 {
    counters.statuses.iter().filter(|(at, _)| at.starts_with("mcp ")).map(|(_, count)| count).sum()
}

/// The client's part in an attack.
struct Client {
    attack: &'static Attack,
    stateless: bool,
    arguments: String,
    asked: Vec<String>,
    /// How many of its lines meet the attack.
    met: u64,
    /// How many of these were answered.
    answered: usize,
    next: Duration,
}

impl Client {
    fn new(attack: &'static Attack, stateless: bool) -> Self {
        let arguments = (attack.arguments)();
        Self { attack, stateless, arguments, asked: Vec::new(), met: 0, answered: 0, next: Duration::ZERO }
    }

    /// Whether there is something to look at.
    fn has_met_it(&self, counters: &Counters) -> bool {
        match self.attack.access {
            Access::Token | Access::SignIn => counters.raw_replies + counters.faults_fired > 0,
            // One call signs in, the next one meets the attack, and a third one shows what came of it.
            Access::Open => self.answered >= 3,
        }
    }

    fn meet(&mut self, bridge: &mut Watched, elapsed: Duration) {
        if elapsed < self.next {
            return;
        }
        self.next = elapsed + PACE;
        let before = self.asked.len();
        self.asked.retain(|id| bridge.answer(id).is_none());
        self.answered += before - self.asked.len();
        while self.asked.len() < self.attack.beside {
            let id = format!("a-{}", self.met + 1);
            match self.attack.meets {
                Meets::Call => bridge.call(&id, self.attack.name, &self.arguments),
                Meets::List => bridge.ask(&id, "tools/list", ""),
                Meets::Stream if self.stateless => {
                    bridge.ask(&id, "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#);
                }
                Meets::Stream => return,
                Meets::Notification => {
                    self.met += 1;
                    return bridge.notify("notifications/roots/list_changed", "");
                }
            }
            self.met += 1;
            self.asked.push(id);
        }
    }
}

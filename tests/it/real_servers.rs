//! Every habit of real servers that the sandbox has, played through the whole program: the sign-in with the consents that it
//! takes, the list, a call, and what has to hold.

use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use planhat_sandbox::habit::{Habit, Then, habits};
use serde_json::Value;

use crate::support::{Bridge, CA_FILE, Setup, typed};

const LIST: &str = r#"{"jsonrpc":"2.0","id":90,"method":"tools/list"}"#;

/// How many are played beside each other: most of the time of each is the start of programs.
const BESIDE: usize = 4;

#[test]
fn the_bridge_works_or_says_why_not_with_every_habit_of_real_servers() {
    let only = std::env::var("HABIT").ok();
    let habits: Vec<_> =
        habits().into_iter().filter(|habit| only.as_deref().is_none_or(|only| habit.name == only)).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                while let Some(habit) = habits.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = Play::of(habit).whole() {
                        let place = format!("{} ({}): {why}", habit.name, habit.kind.letter());
                        failed.lock().expect("no panic while held").push(place);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic while held");
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), habits.len(), failed.join("\n\n"));
}

#[test]
fn what_the_page_on_other_servers_says_is_played_by_habits_that_there_are() {
    let (page, _) = include_str!("../../docs/other-servers.md")
        .split_once("\n## ")
        .expect("the table of services stands before the first heading");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let names: Vec<&str> = cells.last().expect("a cell").split(", ").map(|name| name.trim_matches('`')).collect();
        for name in names {
            let habit = Habit::find(name).unwrap_or_else(|| panic!("{name:?} is no habit: {row}"));
            for option in habit.consents.iter().filter(|word| word.starts_with("--")) {
                assert!(row.contains(option), "{name} takes {option}: {row}");
            }
        }
    }
}

/// The listener notices a request without TLS.
#[test]
fn nothing_goes_out_in_the_clear_where_a_redirect_loses_its_https() {
    let play = Play::of(Habit::find("redirect-without-https-here").expect("it is in the table"));
    let mut login = play.setup.command();
    assert!(login.arg("login").stdin(Stdio::null()).output().expect("it starts").status.success());
    let bridge = play.bridge();
    for id in 1..4 {
        listed_and_called(&bridge, id).expect("it is followed");
    }
    let counters = play.setup.sandbox.counters();
    assert_eq!((counters.without_tls, counters.tool("echo")), (0, 3));
    // It is remembered: calls go to the final address at once.
    let requests = play.setup.sandbox.requests();
    let mut calls = requests.iter().filter(|request| request.text().contains(r#""name":"echo""#));
    assert!(calls.clone().count() == 3 && calls.all(|call| call.target == "/v1/mcp/"), "{requests:#?}");
}

struct Play {
    habit: &'static Habit,
    setup: Setup,
    /// The consents, as words of the command line.
    consents: Vec<String>,
    /// All that was shown, for what must not be.
    shown: String,
}

type Held = Result<(), String>;

fn hold(condition: bool, why: impl FnOnce() -> String) -> Held {
    if condition { Ok(()) } else { Err(why()) }
}

fn words(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn succeeded(answer: &Value) -> bool {
    answer["result"].is_object() && answer["result"]["isError"] != true
}

impl Play {
    fn of(habit: &'static Habit) -> Self {
        let setup = Setup::with_habit(habit);
        let consents = habit.consents(&setup.sandbox, &setup.home.path().join(CA_FILE).to_string_lossy());
        Self { habit, setup, consents, shown: String::new() }
    }

    /// What a person reads who types this.
    fn type_in(&mut self, arguments: &[&str]) -> (bool, String) {
        let mut command = self.setup.command();
        command.args(arguments);
        let output = typed(command);
        self.shown += &words(&output);
        (output.status.success(), words(&output))
    }

    fn with_consents(&mut self, command: &str) -> (bool, String) {
        let consents = self.consents.clone();
        let mut arguments = vec![command];
        arguments.extend(consents.iter().map(String::as_str));
        self.type_in(&arguments)
    }

    fn holds(&self) -> Held {
        let sandbox = &self.setup.sandbox;
        hold((self.habit.holds)(sandbox), || format!("{}; {:#?}", self.habit.must_hold, sandbox.counters()))
    }

    fn whole(mut self) -> Held {
        self.sign_in()?;
        if self.habit.works() {
            self.speak()?;
        } else {
            self.holds()?;
        }
        for (command, text) in self.habit.says.iter().filter(|(command, _)| *command != "login") {
            let (_, said) = self.with_consents(command);
            hold(said.contains(text), || format!("{command} does not say {text:?}: {said}"))?;
        }
        let tabs = self.setup.browser.as_ref().map_or(0, |browser| browser.opened().len());
        hold(tabs == self.habit.tabs, || format!("{tabs} tabs; {}", self.shown))?;
        if let Some((_, secret)) = self.habit.query.split_once('=') {
            for command in ["status", "config", "doctor"] {
                self.type_in(&[command]);
            }
            hold(!self.shown.contains(secret), || format!("it is shown: {}", self.shown))?;
        }
        Ok(())
    }

    fn sign_in(&mut self) -> Held {
        let mut said = String::new();
        if let Some(problem) = self.habit.refused {
            let (success, refusal) = self.type_in(&[&["login"], self.habit.in_vain].concat());
            hold(!success && refusal.contains(&format!("name: {problem}")), || format!("no {problem}: {refusal}"))?;
            if let Some(option) = self.consents.first() {
                hold(refusal.contains(option.as_str()), || format!("{option} is not offered: {refusal}"))?;
            }
            said += &refusal;
        }
        if self.habit.works() {
            let (success, told) = self.with_consents("login");
            hold(success, || format!("login: {told}"))?;
            said += &told;
        }
        for (_, text) in self.habit.says.iter().filter(|(command, _)| *command == "login") {
            hold(said.contains(text), || format!("login does not say {text:?}: {said}"))?;
        }
        Ok(())
    }

    fn bridge(&self) -> Bridge {
        let mut command = self.setup.command();
        command.args(&self.consents);
        let bridge = Bridge::start(command);
        bridge.open();
        bridge
    }

    fn speak(&mut self) -> Held {
        let mut bridge = self.bridge();
        if self.habit.refused_token {
            let list = bridge.ask(LIST);
            hold(!list.contains("list_model_records"), || "the token is refused by nobody".to_owned())?;
            drop(bridge);
            let (success, told) = self.with_consents("login");
            hold(success, || format!("the second login: {told}"))?;
            bridge = self.bridge();
        }
        listed_and_called(&bridge, 1)?;
        match self.habit.then {
            Then::Nothing => {}
            Then::Expire => {
                self.setup.sandbox.expire_access_tokens();
                listed_and_called(&bridge, 2)?;
            }
            Then::LoseSessions => {
                self.setup.sandbox.lose_sessions();
                called(&bridge, 2)?;
            }
            Then::Restart => {
                drop(bridge);
                bridge = self.after_a_restart()?;
                listed_and_called(&bridge, 2)?;
            }
        }
        self.shown += &bridge.stderr();
        self.holds()?;
        let executed = self.setup.sandbox.counters().tool("echo");
        let calls = if self.habit.then == Then::Nothing { 1 } else { 2 };
        hold(executed <= calls, || format!("{executed} executions of {calls} calls"))
    }

    /// Types `login`: the page that would lead back to nobody is not opened.
    fn after_a_restart(&mut self) -> Result<Bridge, String> {
        self.setup.sandbox.restart_without_memory();
        let (success, told) = self.type_in(&["login"]);
        hold(success, || format!("login: {told}"))?;
        Ok(self.bridge())
    }
}

fn listed_and_called(bridge: &Bridge, id: u64) -> Held {
    let list = bridge.ask(LIST);
    hold(list.contains("list_model_records"), || format!("{list}; {}", bridge.stderr()))?;
    called(bridge, id)
}

fn called(bridge: &Bridge, id: u64) -> Held {
    let answer = bridge.call(id, "echo", r#"{"x":1}"#);
    hold(succeeded(&answer), || format!("call {id}: {answer}; {}", bridge.stderr()))
}

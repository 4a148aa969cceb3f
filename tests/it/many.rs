//! One sign-in and one renewal for any number of processes, whichever of them is killed at whatever moment.

mod joined;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use planhat_sandbox::browser::{Choice, walk};
use planhat_sandbox::{Config, Desktop, Fault, Gate, Place};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, call, state_folder};

/// The sign-in tool.
const TOOL: &str = "planhat_sign_in";

#[test]
fn eight_bridges_need_one_tab_and_one_refresh() {
    crowd(8);
}

#[test]
fn thirty_two_bridges_need_one_tab_and_one_refresh() {
    crowd(32);
}

fn crowd(many: u64) {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridges: Vec<Bridge> = (0..many).map(|_| setup.bridge()).collect();
    for bridge in &bridges {
        bridge.open();
    }
    let lists = |n: u64| n % 4 == 1;
    for (n, bridge) in (0..).zip(&bridges) {
        match n % 4 {
            1 => bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
            2 => bridge.send(&call(1, TOOL, "{}")),
            _ => bridge.send(&call(1, "echo", "{}")),
        }
    }
    for (n, bridge) in (0..).zip(&bridges) {
        let answer = bridge.answer_to(&json!(1));
        let good = if lists(n) { answer.contains("list_model_records") } else { !is_error(&answer) };
        assert!(good, "bridge {n}: {answer}; {}", bridge.stderr());
    }
    assert_eq!(tabs(&setup), 1);
    assert_eq!(setup.sandbox.counters().code_exchanges, 1);

    setup.sandbox.expire_access_tokens();
    for bridge in &bridges {
        bridge.send(&call(2, "echo", "{}"));
    }
    for bridge in &bridges {
        let answer = bridge.answer_to(&json!(2));
        assert!(!is_error(&answer), "{answer}; {}", bridge.stderr());
    }
    let counters = setup.sandbox.counters();
    assert_eq!((counters.refreshes, counters.refresh_reuse, counters.consents_granted), (1, 0, 1));
    assert_eq!(tabs(&setup), 1);
}

/// Where a sign-in can be stopped from outside, in the order in which it comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// Its process has been started; the order may not even be read.
    Started,
    /// It holds the login lock.
    Locked,
    /// It asks where to sign in.
    Discovering,
    /// It knows that, and waits for the port.
    Discovered,
    /// The port is bound, and the page is open.
    Opened,
    /// The code is here, and is being exchanged.
    Exchanging,
    /// The tokens are here, and are to be saved.
    Saving,
    /// They are saved.
    Saved,
}

const POINTS: [Point; 8] = [
    Point::Started,
    Point::Locked,
    Point::Discovering,
    Point::Discovered,
    Point::Opened,
    Point::Exchanging,
    Point::Saving,
    Point::Saved,
];

/// What holds a sign-in at its point; dropping it lets go.
#[derive(Default)]
struct Hold {
    gate: Option<Gate>,
    lock: Option<File>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.open();
        }
    }
}

impl Point {
    /// Makes the sign-in stop here, before it begins.
    fn prepare(self, setup: &Setup) -> Hold {
        let gate = Gate::new();
        match self {
            Point::Started | Point::Opened | Point::Saved => Hold::default(),
            Point::Locked => Hold { gate: None, lock: Some(setup.lock("tokens.lock")) },
            Point::Discovered => {
                Hold { gate: None, lock: Some(setup.lock(&format!("port-{}.lock", setup.callback_port))) }
            }
            Point::Discovering => {
                setup.sandbox.fault(Fault::held(&gate).at(Place::Metadata).always());
                Hold { gate: Some(gate), lock: None }
            }
            Point::Exchanging | Point::Saving => {
                setup.sandbox.fault(Fault::held(&gate).at(Place::Token));
                Hold { gate: Some(gate), lock: None }
            }
        }
    }

    /// Blocks until the sign-in that `bridge` has started is here; its process, where it has said which that is.
    fn reach(self, setup: &Setup, bridge: &Bridge, hold: &mut Hold) -> u32 {
        match self {
            Point::Started => return wait_for("a process of the sign-in", || child_of(bridge.pid())),
            Point::Locked => {}
            Point::Discovered => {
                setup
                    .sandbox
                    .wait_until(|c| c.statuses.get("metadata 200").is_some_and(|n| *n > 0), PATIENCE)
                    .expect("it asks where to sign in");
            }
            Point::Opened => drop(desktop(setup).wait_walked(1, PATIENCE)),
            Point::Saved => wait_for("the sign of a new token", || setup.file(".generation").map(drop)),
            Point::Discovering | Point::Exchanging | Point::Saving => {
                let gate = hold.gate.as_ref().expect("it was prepared");
                assert!(gate.wait_arrivals(1, PATIENCE), "{self:?}");
                if self == Point::Saving {
                    hold.lock = Some(setup.lock("tokens.lock"));
                    gate.open();
                    setup.sandbox.wait_until(|c| c.code_exchanges == 1, PATIENCE).expect("it is exchanged");
                }
            }
        }
        wait_for("the record of the sign-in", || setup.record()?["process"].as_u64()?.try_into().ok())
    }

    /// What the person does who is in front of the first page.
    fn choice(self) -> Choice {
        if self == Point::Opened { Choice::Leave } else { Choice::Allow }
    }
}

#[test]
fn a_bridge_that_is_killed_at_any_step_of_its_sign_in_changes_nothing() {
    for point in POINTS {
        let setup = Setup::with_sign_in(Config::default(), point.choice());
        let (first, second) = (setup.open(), setup.open());
        let mut hold = point.prepare(&setup);
        first.send(&call(1, "echo", "{}"));
        point.reach(&setup, &first, &mut hold);
        kill(first.pid());
        drop(hold);
        if point == Point::Opened {
            // The person goes on in the tab that is open.
            walk(&desktop(&setup).opened()[0], Choice::Allow).expect("the sign-in is still there");
        }
        let answer = second.call(1, "echo", "{}");
        assert!(!is_error(&answer.to_string()), "{point:?}: {answer}; {}", second.stderr());
        assert_eq!(tabs(&setup), 1, "{point:?}");
    }
}

#[test]
fn a_sign_in_process_that_is_killed_at_any_step_is_followed_by_another() {
    for point in POINTS {
        let setup = Setup::with_sign_in(Config::default(), point.choice());
        let (first, second) = (setup.open(), setup.open());
        let mut hold = point.prepare(&setup);
        first.send(&call(1, "echo", "{}"));
        let process = point.reach(&setup, &first, &mut hold);
        kill(process);
        drop(hold);
        desktop(&setup).choose(Choice::Allow);
        let answer = second.call(1, "echo", "{}");
        assert!(!is_error(&answer.to_string()), "{point:?}: {answer}; {}", second.stderr());
        // The call that had started it: when its process had not even begun, nobody knows what is wrong with it.
        let answer = first.answer_to(&json!(1));
        assert!(!is_error(&answer) || point == Point::Started, "{point:?}: {answer}; {}", first.stderr());
        let answer = first.call(2, "echo", "{}");
        assert!(!is_error(&answer.to_string()), "{point:?}: {answer}; {}", first.stderr());
        let opened_before = matches!(point, Point::Opened | Point::Exchanging | Point::Saving);
        assert_eq!(tabs(&setup), 1 + usize::from(opened_before), "{point:?}");
    }
}

#[test]
fn a_bridge_that_is_killed_while_it_renews_leaves_the_renewal_to_the_next() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let (first, second) = (setup.open(), setup.open());
    for bridge in [&first, &second] {
        assert!(!is_error(&bridge.call(1, "echo", "{}").to_string()));
    }
    setup.sandbox.expire_access_tokens();
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).at(Place::Token));
    first.send(&call(2, "echo", "{}"));
    assert!(gate.wait_arrivals(1, PATIENCE), "it renews, and holds the token lock");
    second.send(&call(2, "echo", "{}"));
    kill(first.pid());
    let answer = second.answer_to(&json!(2));
    assert!(!is_error(&answer), "{answer}; {}", second.stderr());
    let counters = setup.sandbox.counters();
    assert_eq!((counters.refreshes, counters.refresh_reuse, tabs(&setup)), (1, 0, 1));
}

#[test]
fn an_order_that_does_not_arrive_whole_leaves_nothing_behind() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    for order in ["", r#"{"profile":"x","#] {
        let mut command = setup.command();
        let login = command.args(["login", "--order-from-stdin"]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut login = login.spawn().expect("it starts");
        login.stdin.take().expect("piped").write_all(order.as_bytes()).expect("it reads");
        assert!(!login.wait().expect("it ends").success());
    }
    assert!(setup.record().is_none());
}

fn desktop(setup: &Setup) -> &Desktop {
    setup.browser.as_ref().expect("it has one")
}

fn tabs(setup: &Setup) -> usize {
    desktop(setup).opened().len()
}

fn is_error(answer: &str) -> bool {
    answer.contains("\"isError\":true") || answer.contains("\"error\":{")
}

/// Waits for what announces itself in the file system or the process table alone.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill(process: u32) {
    let pid = Pid::from_raw(process.try_into().expect("a process id")).expect("a process id");
    // It may just have ended by itself.
    let _ = kill_process(pid, Signal::KILL);
}

/// The process that this one has started, if any.
fn child_of(parent: u32) -> Option<u32> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // After the name, which may hold anything: the state, then the parent.
        let found: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (found == parent).then_some(pid)
    })
}

impl Setup {
    fn state(&self) -> PathBuf {
        let state = state_folder(self.home.path());
        std::fs::create_dir_all(&state).expect("writable");
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).expect("ours");
        state
    }

    /// Holds one of the program's locks.
    fn lock(&self, name: &str) -> File {
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).open(self.state().join(name)).expect("writable");
        file.lock().expect("it can be locked");
        file
    }

    /// The record of the newest sign-in.
    fn record(&self) -> Option<Value> {
        serde_json::from_slice(&self.file(".sign-in.json")?).ok()
    }

    /// What is in the file of the state directory whose name ends like this.
    fn file(&self, end: &str) -> Option<Vec<u8>> {
        let mut files = std::fs::read_dir(self.state()).expect("readable").flatten().map(|entry| entry.path());
        std::fs::read(files.find(|path| path.to_string_lossy().ends_with(end))?).ok()
    }
}

//! What a client can do to the bridge.

use planhat_sandbox::attack::{Attack, Era, Strength};
use planhat_sandbox::{Config, Gate, RawReply};

use super::Manner;
use super::judge::{Quiet, Watch, for_program};
use super::watched::Watched;
use crate::support::{PATIENCE, Setup};

/// A client that asks too much.
pub struct Flood {
    pub name: &'static str,
    pub eras: &'static [Era],
    /// The revision that it speaks, where it opens a session.
    revision: &'static str,
    flags: &'static [&'static str],
    /// Whether a refusal is as good an answer as any, because there is no room left.
    refusable: bool,
    /// Whether it takes long without optimisation.
    pub takes_long: bool,
    /// What it does before and while innocent calls are made.
    play: fn(&mut Flooding<'_, '_>),
}

/// The floods.
pub const FLOODS: &[Flood] = &[
    Flood { name: "client-batch-of-garbage", revision: "2025-03-26", play: batch_of_garbage, ..HANDSHAKE },
    Flood { name: "client-lines-of-garbage", play: lines_of_garbage, ..BOTH },
    Flood { name: "client-line-without-end", play: line_without_end, ..BOTH },
    Flood {
        name: "client-20000-requests-held",
        flags: &["--max-in-flight", "50"],
        refusable: true,
        takes_long: true,
        play: held,
        ..BOTH
    },
    Flood { name: "client-does-not-read", play: does_not_read, ..BOTH },
    Flood { name: "client-does-not-read-bombs", play: does_not_read_bombs, ..BOTH },
];

const BOTH: Flood = Flood {
    name: "",
    eras: &[Era::Handshake, Era::Stateless],
    revision: "2025-11-25",
    flags: &[],
    refusable: false,
    takes_long: false,
    play: |_| {},
};
const HANDSHAKE: Flood = Flood { eras: &[Era::Handshake], ..BOTH };

struct Flooding<'a, 'b> {
    setup: &'a Setup,
    watch: &'a mut Watch<'b>,
    manner: &'a Manner,
}

pub fn play(flood: &'static Flood, era: Era, manner: &Manner, quiet: &mut Quiet) -> Result<String, String> {
    let setup = Setup::with_token(Config { record: false, ..Config::default() });
    let mut command = setup.command();
    command.args(flood.flags);
    if manner.strength == Strength::Short {
        command.args(["--max-message-bytes", "4194304"]);
    }
    let mut bridge = Watched::start(for_program(command, manner), setup.home.path(), era == Era::Stateless);
    bridge.open(flood.revision, PATIENCE);
    let mut watch = Watch::new(bridge, manner, quiet);
    (flood.play)(&mut Flooding { setup: &setup, watch: &mut watch, manner });
    watch.judge_times(flood.refusable);
    watch.judge_what_it_holds_and_writes(&setup.sandbox.secrets());
    watch.end()
}

impl Flooding<'_, '_> {
    /// More for a build that is worth it.
    fn many(&self, full: usize, short: usize) -> usize {
        match self.manner.strength {
            Strength::Full => full,
            Strength::Short => short,
        }
    }

    fn go_on(&mut self) {
        self.watch.go_on(|_, _| true);
    }

    /// Waits for the answer to a request: then everything before it has been read.
    fn wait_answer(&self, id: &str) {
        let bridge = &self.watch.bridge;
        assert!(bridge.wait_answers(&[id.to_owned()], PATIENCE), "no answer to {id}: {}", bridge.log());
    }
}

fn batch_of_garbage(flooding: &mut Flooding<'_, '_>) {
    let members = flooding.many(500_000, 50_000);
    flooding.watch.bridge.say(format!("[1{}]", ",1".repeat(members)).as_bytes());
    flooding.go_on();
}

fn lines_of_garbage(flooding: &mut Flooding<'_, '_>) {
    let lines = flooding.many(50_000, 2_000);
    flooding.watch.bridge.say_bytes("no JSON\n".repeat(lines).into_bytes());
    flooding.watch.bridge.call("after", "echo", "{}");
    flooding.wait_answer("after");
    flooding.go_on();
}

fn line_without_end(flooding: &mut Flooding<'_, '_>) {
    for _ in 0..flooding.many(80, 5) {
        flooding.watch.bridge.say_bytes(vec![b'x'; 1 << 20]);
    }
    flooding.watch.bridge.say(b"");
    flooding.watch.bridge.call("after", "echo", "{}");
    flooding.wait_answer("after");
    flooding.go_on();
}

fn held(flooding: &mut Flooding<'_, '_>) {
    let gate = Gate::new();
    let held = RawReply::json("").wait(&gate);
    flooding.setup.sandbox.on_method("vendor/held", held);
    for n in 1..=20_000 {
        flooding.watch.bridge.ask(&format!("h-{n}"), "vendor/held", "");
    }
    flooding.wait_answer("h-20000");
    flooding.go_on();
}

fn does_not_read(flooding: &mut Flooding<'_, '_>) {
    flooding.watch.bridge.stop_reading();
    let calls: Vec<String> = (1..=flooding.many(100, 25)).map(|n| format!("b-{n}")).collect();
    for id in &calls {
        flooding.watch.bridge.call(id, "blob", r#"{"BYTES":1000000}"#);
    }
    flooding.setup.sandbox.wait_until(|c| c.tool("blob") >= 12, PATIENCE).expect("calls are carried");
    flooding.watch.bridge.read_on();
    assert!(flooding.watch.bridge.wait_answers(&calls, PATIENCE), "an answer is lost: {}", flooding.watch.bridge.log());
    flooding.go_on();
}

/// Nothing is answered here, because nobody reads; what it costs, and that it ends, is the matter.
fn does_not_read_bombs(flooding: &mut Flooding<'_, '_>) {
    let attack = Attack::find("gzip-bodies").expect("it is in the table");
    flooding.setup.sandbox.play(attack, flooding.manner.strength);
    flooding.watch.bridge.stop_reading();
    for n in 1..=attack.beside {
        flooding.watch.bridge.call(&format!("a-{n}"), attack.name, "{}");
    }
    flooding.setup.sandbox.wait_until(|c| c.raw_replies >= attack.beside as u64, PATIENCE).expect("calls are carried");
    // What is read of them is read now, or not at all.
    std::thread::sleep(flooding.manner.time);
}

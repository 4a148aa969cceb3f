//! A server that sends far more than anybody asked for: what it costs stays bounded, and the bridge goes on.

use planhat_sandbox::{Config, RawReply};

use crate::support::{Bridge, PATIENCE, Setup};

#[test]
fn the_log_of_a_flood_stays_small_whatever_a_server_or_a_client_sends() {
    let setup = Setup::with_token(Config::default());
    let flood: String = [
        r#"{"jsonrpc":"2.0","id":77,"result":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/unheard_of"}"#,
        "garbage",
        "[1,2]",
    ]
    .map(|data| format!("data: {data}\n\n").repeat(10_000))
    .concat();
    setup.sandbox.on_method("vendor/flood", RawReply::sse().bytes(flood.clone()));
    for (level, most) in [("info", 256 * 1024), ("trace", 2 * 2 * 1024 * 1024 + 512 * 1024)] {
        let log = setup.home.path().join(level);
        let mut command = setup.command();
        command.args(["--log-level", level, "--log-file"]).arg(&log);
        let bridge = Bridge::start(command);
        bridge.open();
        setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the session is open");
        assert!(setup.sandbox.push_bytes(flood.clone()));
        bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/flood"}"#);
        let note = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{}"}}"#, "x".repeat(3_900));
        for n in 0..1_000 {
            bridge.send("garbage");
            bridge.send(&note);
            bridge.send(&format!(r#"{{"jsonrpc":"2.0","id":{},"method":"vendor/none"}}"#, 2 + n));
        }
        bridge.wait_line("the last answer", |line| line.contains(r#""id":1001,"#));
        let (_, status) = bridge.finish();
        assert!(status.success());
        let text = std::fs::read_to_string(&log).expect("a log");
        assert!(text.len() < most, "{level}: {} bytes", text.len());
        assert!(text.contains("not in flight; dropped [and "), "what is left out is summed up: {level}");
        assert!(text.contains("more lines of this kind within a minute]"), "{level}");
        let _ = std::fs::remove_file(log);
    }
}

//! `habit`: a tenant that does one thing as a real server does it, chosen from the table.

use std::process::ExitCode;

use planhat_sandbox::habit::{Access, Habit, Then, habits};
use planhat_sandbox::{CLIENT_ID, Sandbox};

use crate::arguments::HabitOptions;
use crate::serve::wait;
use crate::stage::{Stage, sentence};
use crate::trust::Trust;

/// The table of habits.
pub(crate) fn list(stage: &Stage) {
    for habit in habits() {
        stage.entry(&format!("{}  {}", habit.kind.letter(), habit.name), &what(habit));
    }
    stage.line("\nplanhat-sandbox habit NAME plays one, and says how to meet it and what must hold.");
}

fn what(habit: &Habit) -> String {
    format!("It {}. Known for it: {}.", habit.does, habit.known)
}

pub(crate) fn habit(stage: &Stage, options: &HabitOptions) -> ExitCode {
    let habit = options.habit;
    let mut config = habit.config(&format!("http://127.0.0.1:{}/callback", options.callback_port));
    config.api_port = options.api_port;
    let secret = config.clients.first().and_then(|client| client.secret.clone()).unwrap_or_default();
    let started = habit.start(config).and_then(|sandbox| Ok((Trust::of(sandbox.route())?, sandbox)));
    let (trust, sandbox) = match started {
        Ok(started) => started,
        Err(error) => {
            stage.complain(&format!("the tenant cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    stage.heading(&format!("{} ({})", habit.name, habit.kind.letter()));
    stage.entry("does", &what(habit));
    stage.entry("must hold", &sentence(habit.must_hold));
    stage.line("\nMeet it in another terminal:\n");
    let mut exports = vec![("PLANHAT_MCP_URL", habit.url(&sandbox)), ("PLANHAT_MCP_TOKEN_STORE", "file".to_owned())];
    if habit.access == Access::Client {
        exports.push(("PLANHAT_MCP_CLIENT_ID", CLIENT_ID.to_owned()));
        exports.push(("PLANHAT_MCP_CLIENT_SECRET", secret));
    }
    exports.push(("PLANHAT_MCP_CALLBACK_PORT", options.callback_port.to_string()));
    exports.extend(trust.variables(habit.consents.contains(&"--ca-file")));
    for (name, value) in exports {
        stage.line(&format!("  export {name}={}", quoted(&value)));
    }
    for line in steps(habit, &sandbox, &trust) {
        stage.line(&format!("  {line}"));
    }
    stage.line("");
    wait(stage, sandbox)
}

/// What to type, and what it comes to.
fn steps(habit: &Habit, sandbox: &Sandbox, trust: &Trust) -> Vec<String> {
    let consents: Vec<String> =
        habit.consents(sandbox, &trust.ca_file()).iter().map(|word| format!(" {}", quoted(word))).collect();
    let consents = consents.concat();
    let mut steps = Vec::new();
    if let Some(problem) = habit.refused {
        let in_vain: Vec<String> = habit.in_vain.iter().map(|word| format!(" {word}")).collect();
        steps.push(format!("planhat-mcp login{}        # refused: {problem}", in_vain.concat()));
    }
    if habit.works() {
        steps.push(format!("planhat-mcp login{consents}"));
        steps.push(format!("planhat-mcp doctor{consents}       # lists the tools"));
        steps.push(format!("planhat-mcp{consents}              # as an MCP client starts it: call echo"));
    }
    if habit.refused_token {
        steps.push("planhat-mcp login        # once more: the first token is refused".to_owned());
    }
    steps.extend(match habit.then {
        Then::Nothing => None,
        Then::Expire => Some("# Type `expire` here, then list and call again.".to_owned()),
        Then::LoseSessions => Some("# Type `lose` here while the bridge runs, then call again.".to_owned()),
        Then::Restart => Some("# Type `restart` here, then `planhat-mcp login` there.".to_owned()),
    });
    let said = habit.says.iter();
    steps.extend(said.map(|(command, text)| format!("# `planhat-mcp {command}` says {text:?}.")));
    steps
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_is_what_lifts_the_refusal_and_a_shell_leaves_it_alone() {
        let habit = Habit::find("issuer-without-path").expect("it is in the table");
        let sandbox = habit.start(habit.config("http://127.0.0.1:1/callback")).expect("no port is fixed");
        let trust = Trust::of(sandbox.route()).expect("there is nothing to write");
        let steps = steps(habit, &sandbox, &trust);
        assert_eq!(steps[1], format!("planhat-mcp login --issuer {}", sandbox.api_base()));
        assert!(steps[0].contains("issuer-mismatch"), "{steps:?}");
        assert_eq!(quoted("sk$+'x"), r"'sk$+'\''x'");
    }
}

//! `planhat-sandbox`: a made-up Planhat tenant to try the bridge on.

mod arguments;
mod bridge;
mod desktop;
mod habit;
mod hostile;
mod serve;
mod stage;
mod tour;
mod trust;

use std::process::ExitCode;

use planhat_sandbox::browser::{Choice, walk_by};

use arguments::{Command, HELP};
use stage::Stage;

fn main() -> ExitCode {
    let stage = Stage::of_stdout();
    #[cfg(not(unix))]
    if std::env::args().nth(1).as_deref() == Some(planhat_sandbox::HANDS_ON) {
        // The desktop of the tour has named this program as the browser.
        return if planhat_sandbox::hand_on(std::env::args()).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    match arguments::parse(std::env::args().skip(1)) {
        Ok(Command::Help) => stage.line(HELP),
        Ok(Command::Serve(options)) => return serve::serve(&stage, options),
        Ok(Command::Attacks) => hostile::list(&stage),
        Ok(Command::Hostile(options)) => return hostile::hostile(&stage, &options),
        Ok(Command::Habits) => habit::list(&stage),
        Ok(Command::Habit(options)) => return habit::habit(&stage, &options),
        Ok(Command::Tour(options)) => return tour::tour(&stage, &options),
        Ok(Command::Browse(url)) => match walk_by(&trust::route_of_environment(), &url, Choice::Allow) {
            Ok(walk) => stage.line(&format!("{} {}", walk.last().status, walk.last().url)),
            Err(error) => {
                stage.complain(&format!("the browser got nowhere: {error}"));
                return ExitCode::FAILURE;
            }
        },
        Err(wrong) => {
            stage.complain(&wrong);
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

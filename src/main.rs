//! The program: reads the command line, runs the command, explains a failure, and exits with a code for scripts.

use std::process::ExitCode;

use planhat_mcp::cli::{self, Cli, terminal};
use planhat_mcp::logging;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            terminal::clap(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let code = match cli::run(&cli) {
        Ok(code) => code,
        Err(problem) => {
            terminal::explain(&problem);
            problem.exit_code()
        }
    };
    logging::finish();
    code
}

//! The program: reads the command line, runs the command, explains a failure, and exits with a code for scripts.

use std::process::ExitCode;

use planhat_mcp::cli::{self, Cli, terminal};
use planhat_mcp::logging;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return cli::explain_arguments(&error),
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

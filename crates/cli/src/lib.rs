//! The command line of the job API. Knows the wire types and nothing else of Trainyard.
//!
//! Standard output is data, standard error is talk. Exit codes: 0 done, 1 the input is at fault, 2
//! the server or the way to it is.

mod args;
mod client;
mod commands;
mod printer;
mod sse;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Args;
use crate::client::Failure;

/// Reads the arguments of the process and does as they say.
pub async fn run() -> ExitCode {
    let args = Args::parse();
    match commands::run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer::failure(&failure);
            match failure {
                Failure::Input(_) | Failure::Job(_) => ExitCode::from(1),
                Failure::Problem(problem) if problem.status < 500 => ExitCode::from(1),
                Failure::Problem(_) | Failure::Transport(_) => ExitCode::from(2),
            }
        }
    }
}

//! `recovery`: parse, run, exit code.

use clap::{CommandFactory as _, Parser as _};
use recovery::cli::{Cli, Command, RunArgs};
use recovery::commands;
use recovery::exit_code::ExitCode;
use recovery::journal;

fn main() -> std::process::ExitCode {
    let exit = run(Cli::parse()).unwrap_or_else(|error| {
        recovery::complain!("error: {error:#}");
        ExitCode::Io
    });
    exit.number().into()
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, run, command } = cli;
    journal::debug_notes(commands::verbosity(&global));
    let command = match command {
        None => Command::Run(run),
        Some(Command::Run(args)) => Command::Run(run.and(args)),
        Some(_) if run != RunArgs::default() => {
            let message = "the options of `run` do not go with another command";
            Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message).exit()
        }
        Some(other) => other,
    };
    match command {
        Command::Run(args) => commands::run::run(&global, &args),
        Command::Explain(args) => commands::explain::run(&global, &args.service),
        Command::Stop(args) => Ok(commands::stop::run(&global, &args)),
        Command::Resume(which) => commands::resume::run(&global, &which),
        Command::Reset(which) => Ok(commands::reset::run(&global, &which)),
        Command::Stats(args) => commands::stats(&global, &args),
        Command::Validate(args) => commands::validate(&global, args.json),
        Command::DemoService(args) => {
            commands::demo_service::run(&args.listen, args.lasting)?;
            Ok(ExitCode::Ok)
        }
        Command::Judge => commands::judge::run().map(|()| ExitCode::Ok),
    }
}

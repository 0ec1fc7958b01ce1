use clap::{Parser, Subcommand};

mod commands;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Phantom(commands::phantom::PhantomArgs),
    Train(commands::train::TrainArgs),
    Evaluate(commands::train::EvaluateArgs),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Cli::parse().command {
        Command::Phantom(args) => commands::phantom::run(args),
        Command::Train(args) => commands::train::run_train(args),
        Command::Evaluate(args) => commands::train::run_evaluate(args),
    }
}

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
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Cli::parse().command {
        Command::Phantom(args) => commands::phantom::run(args),
    }
}

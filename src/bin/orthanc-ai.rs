//! The command-line tool: the plugin's pipeline without a server.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;

/// AI models on DICOM files, for research use only
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a model on a folder of DICOM files
    Run(commands::run::RunArgs),
    /// Verify a model: manifest, weights, a dry run
    Check(commands::check::CheckArgs),
    /// Make safetensors and the manifest's network of a checkpoint of PyTorch or Keras
    Import(commands::import::ImportArgs),
    /// Say which models would run on a folder and why the others not
    Inspect(commands::inspect::InspectArgs),
    /// Write synthetic exams
    Phantom(commands::phantom::PhantomArgs),
    /// Train a model's weights on synthetic exams
    Train(commands::train::TrainArgs),
    /// Count how often a model is right: about your own cases with labels, or about synthetic exams that it has never seen
    Evaluate(Box<commands::evaluate::EvaluateArgs>),
    /// Print the JSON Schema of manifest.json
    Schema,
    /// Print the REST interface as OpenAPI
    Openapi,
}

/// `orthanc-ai … | head` ends quietly, as other programs do (128 + SIGPIPE): `println!` panics where nobody reads on.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(141);
        }
        usual(panic);
    }));
}

fn main() -> ExitCode {
    end_with_the_reader();
    let outcome = match Cli::parse().command {
        Command::Run(args) => commands::run::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Import(args) => commands::import::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Phantom(args) => commands::phantom::run(args),
        Command::Train(args) => commands::train::run_train(args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Schema => commands::schema(),
        Command::Openapi => commands::openapi(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("orthanc-ai: {error}");
            ExitCode::FAILURE
        }
    }
}

//! The commands of `scorebook`: one file a command, and beside them what they share.

mod activity;
mod assets;
mod cache;
mod device;
mod doctor;
mod eval;
mod install;
mod kernelspec;
mod lab;
mod process;
mod python;
mod run;
mod sample;
mod server;
mod train;
mod train_classifier;
mod workshop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::kernel::Role;

const EXAMPLES: &str = "\
Examples:
  scorebook lab                          open the notebooks in JupyterLab
  scorebook run 00-tour.ipynb --inplace  run a notebook without Python or a browser
  scorebook doctor                       what this machine has, what it lacks, and the remedy";

/// From one random number to generated images: a book of notebooks, and the kernel that runs them.
#[derive(Parser)]
#[command(name = "scorebook", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Lab(lab::Lab),
    Run(run::Run),
    Install(install::Install),
    Uninstall(install::Uninstall),
    Train(Box<train::Train>),
    TrainClassifier(train_classifier::TrainClassifier),
    Sample(sample::Sample),
    Eval(Box<eval::Eval>),
    Doctor(doctor::Doctor),
    Cache(cache::Cache),
    Kernel(Kernel),
    #[command(hide = true)]
    Standby(Standby),
}

/// The kernel itself: Jupyter starts it, readers need not.
#[derive(clap::Args)]
struct Kernel {
    /// The connection file that Jupyter wrote.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    connection_file: PathBuf,
}

/// A kernel that is started before anybody asks for one, and waits.
#[derive(clap::Args)]
struct Standby {
    /// The process with which it ends.
    #[arg(long, value_name = "PROCESS")]
    keeper: u32,
}

impl Command {
    fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Lab(lab) => lab.execute(),
            Self::Run(run) => run.execute(),
            Self::Install(install) => install.execute(),
            Self::Uninstall(uninstall) => uninstall.execute(),
            Self::Train(train) => train.execute(),
            Self::TrainClassifier(train) => train.execute(),
            Self::Sample(sample) => sample.execute(),
            Self::Eval(eval) => eval.execute(),
            Self::Doctor(doctor) => doctor.execute(),
            Self::Cache(cache) => cache.execute(),
            Self::Kernel(kernel) => {
                workshop::serve(Role::Asked(&kernel.connection_file)).map(|()| ExitCode::SUCCESS)
            }
            Self::Standby(standby) => {
                workshop::serve(Role::Standby(standby.keeper)).map(|()| ExitCode::SUCCESS)
            }
        }
    }
}

/// Reads the command line, does what it says, and prints an error with its causes if that fails.
pub fn main() -> ExitCode {
    match Arguments::parse().command.execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_clap_tree_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}

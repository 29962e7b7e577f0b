//! `scorebook doctor`.

use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Doctor {}

impl Doctor {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        Ok(ExitCode::SUCCESS)
    }
}

//! From a fresh process to one that can run cells.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use evcxr::{CommandContext, EvalContext, EvalContextOutputs};
use std::os::unix::process::CommandExt;

use super::workshop::{self, Spare};

/// The code that every kernel has run before its first cell.
pub(super) const PRELUDE: &str = "use scorebook::prelude::*;\nscorebook::notebook::attach();";

/// What the kernel is made from.
pub(super) struct Plan {
    /// The folder of the library's sources.
    pub(super) library: PathBuf,
    /// The features of the library that the notebooks' build has.
    pub(super) features: Vec<String>,
    pub(super) spare: Arc<Spare>,
}

impl Plan {
    /// Prepares the workshop if that has not been done, and starts `evcxr` on a copy of it. `progress`
    /// is told about work that takes minutes.
    ///
    /// # Errors
    /// No compiler, or dependencies that cannot be built.
    pub(super) fn carry_out(
        &self,
        progress: impl FnMut(&str),
    ) -> anyhow::Result<(CommandContext, EvalContextOutputs)> {
        let features: Vec<&str> = self.features.iter().map(String::as_str).collect();
        let workshop = workshop::prepare(&self.library, &features, progress)?;
        self.spare.fill(&workshop)?;

        let cells = self.spare.cells();
        let versions = std::fs::read(workshop::lock_file(&cells))?;
        let mut supervisor = Command::new(std::env::current_exe()?);
        // A group of its own, so that a signal reaches the cells and whatever they start, and no one else.
        supervisor.process_group(0);
        let (mut context, outputs) = EvalContext::with_subprocess_command(supervisor)
            .context("the evaluation engine did not start")?;
        context.set_error_format("{}")?;

        let mut state = context.state();
        // Everything is compiled already; a look at the network would only take time.
        state.set_offline_mode(true);
        for (name, specification) in workshop::cell_dependencies(&workshop, &features)? {
            state.add_dep(&name, &specification)?;
        }
        // evcxr's checks have cut the file down to what they needed; the versions in it are those
        // that the workshop was built with, and cargo must not look for others.
        std::fs::write(workshop::lock_file(&cells), versions)?;
        context.eval_with_state(PRELUDE, state).map_err(describe)?;
        let mut state = context.state();
        state.set_offline_mode(false);
        context.eval_with_state("", state).map_err(describe)?;
        Ok((CommandContext::with_eval_context(context), outputs))
    }
}

/// The whole text of an error of `evcxr`.
fn describe(error: evcxr::Error) -> anyhow::Error {
    match error {
        evcxr::Error::CompilationErrors(errors) => {
            let text: Vec<String> = errors.iter().map(evcxr::CompilationError::rendered).collect();
            anyhow::anyhow!("the kernel's own first cell does not compile:\n{}", text.join("\n"))
        }
        other => other.into(),
    }
}

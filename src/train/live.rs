//! A training to watch: what a notebook cell calls.

use super::{Report, Source, Training};
use crate::Result;
use crate::notebook::Live;
use crate::progress::Progress;
use crate::score::Network;

impl<N: Network + Clone> Training<N> {
    /// [`Training::run`] with a progress bar and the curve of the loss, which grows below the cell.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let mut generator = Generator::new(1);
    /// let process = VariancePreserving::default().into();
    /// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
    /// let mut training = Training::new(&network, TrainingSettings::default())?;
    /// let report = training.run_live(&Mixture::ring(8, 2., 0.15)?, 20)?;
    /// assert_eq!(report.losses.len(), 20);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Training::run`].
    pub fn run_live(&mut self, source: &dyn Source, steps: u64) -> Result<Report> {
        let begin = self.step();
        let progress = Progress::new("training", steps);
        let mut live = Live::default();
        let mut shown = Report { begin, ..Default::default() };
        let mut failure = Ok(());
        let report = self.run(source, steps, |step| {
            shown.add(step);
            progress.set(step.step - begin, format!("loss {:.3}", step.loss));
            // One step is no curve yet.
            if shown.losses.len() > 1 && failure.is_ok() {
                failure = live.update(|| shown.figure()).map(|_| ());
            }
        })?;
        progress.finish();
        if report.losses.len() > 1 {
            live.finish(|| report.figure())?;
        }
        failure.map(|()| report)
    }
}

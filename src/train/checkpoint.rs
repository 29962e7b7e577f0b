//! A training in a file, and what of it may change when it is taken up.

use super::{Training, TrainingSettings};
use crate::diffusion::Process;
use crate::score::{Architecture, Network, model};
use crate::tensor::Parameters;
use crate::{Error, Result};
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The settings of the training.
    pub settings: TrainingSettings,
    /// The network.
    pub architecture: Architecture,
    /// The noising process whose score is learned.
    pub process: Process,
    /// How many steps have been made.
    pub step: u64,
    /// The least loss on held-out samples, and after which step it was.
    #[serde(default)]
    pub best: Option<(u64, f64)>,
}

impl Checkpoint {
    /// Reads what the checkpoint at `path` says, to make the network that [`Training::resume`] takes.
    ///
    /// # Errors
    /// If the file is missing, cut short or not a checkpoint.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Ok(model::read(path.as_ref(), STATE, &Device::Cpu)?.0)
    }
}

const STATE: &str = "scorebook-training";

impl<N: Network + Clone> Training<N> {
    /// The training that [`Training::save`] wrote, whose weights are put into `network`.
    ///
    /// ```
    /// use scorebook::{prelude::*, train::Checkpoint};
    ///
    /// let process = VariancePreserving::default().into();
    /// let network = |seed| Mlp::new(MlpSettings::default(), process, &mut Generator::new(seed), &Device::Cpu);
    /// let (law, settings) = (Mixture::ring(8, 2., 0.15)?, TrainingSettings { batch: 32, ..Default::default() });
    /// let mut training = Training::new(&network(1)?, settings)?;
    /// training.run(&law, 3, |_| {})?;
    /// let path = std::env::temp_dir().join(format!("scorebook-doc-training-{}.safetensors", std::process::id()));
    /// training.save(&path)?;
    /// assert_eq!(Checkpoint::read(&path)?.step, 3);
    /// // Into a network of other weights, which then are the same.
    /// let mut resumed = Training::resume(&network(2)?, &path)?;
    /// assert_eq!(resumed.step(), 3);
    /// assert_eq!(resumed.run(&law, 3, |_| {})?.losses, training.run(&law, 3, |_| {})?.losses);
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file is missing, cut short, not a checkpoint, or one of another architecture or process; the network is
    /// then as it was.
    pub fn resume(network: &N, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (state, tensors): (Checkpoint, _) =
            model::read(path, STATE, &network.parameters().device())?;
        let remedy =
            "Resume with the network that was saved, or start a new training in another folder";
        if state.architecture != network.architecture() {
            let cause = format!(
                "holds a training of a {}, not of a {}",
                state.architecture.summary(),
                network.architecture().summary()
            );
            return Err(Error::file(path, cause, remedy));
        }
        if state.process != network.process() {
            let cause = format!("was trained for {:?}, not {:?}", state.process, network.process());
            return Err(Error::file(path, cause, remedy));
        }
        let mut training = Self::new(network, state.settings)?;
        training.step = state.step;
        training.best = state.best;
        // The reader's own network comes last, when nothing can be missing any more.
        for (prefix, parameters) in training.stored().into_iter().rev() {
            let set = parameters.set(&tensors, prefix);
            set.map_err(|error| Error::file(path, error.to_string(), remedy))?;
        }
        training.measure_moments()?;
        Ok(training)
    }

    /// Writes all that [`Training::resume`] needs. An interrupted write leaves the file of before.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let state = Checkpoint {
            settings: self.settings.clone(),
            architecture: self.network.architecture(),
            process: self.network.process(),
            step: self.step,
            best: self.best,
        };
        let stored = self.stored();
        let tensors = stored.iter().flat_map(|(prefix, set)| set.to_map(prefix)).collect();
        model::write(path.as_ref(), STATE, &state, tensors)
    }

    fn stored(&self) -> Vec<(&'static str, &Parameters)> {
        let names = self.settings.optimizer.moments().iter().copied();
        let mut stored = vec![("weights.", self.network.parameters())];
        stored.push(("average.", self.average.parameters()));
        stored.extend(names.zip(&self.moments));
        stored
    }

    /// Goes on with other settings: another learning rate or schedule, another average, a larger batch.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let mut generator = Generator::new(1);
    /// let process = VariancePreserving::default().into();
    /// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
    /// let mut training = Training::new(&network, TrainingSettings::default())?;
    /// training.change(TrainingSettings { learning_rate: 1e-4, ..training.settings().clone() })?;
    /// let other = TrainingSettings { seed: 5, ..training.settings().clone() };
    /// assert!(training.change(other).unwrap_err().to_string().contains("`seed` is 5"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of its range, the seed is another one, or the optimiser one that keeps other moments than the
    /// training has (Adam's are AdamW's, but not those of gradient descent). The settings are then those of before.
    pub fn change(&mut self, settings: TrainingSettings) -> Result<()> {
        settings.check()?;
        if settings.seed != self.settings.seed {
            let expected = format!("{}, with which the training was begun", self.settings.seed);
            return Err(Error::argument("seed", settings.seed, expected));
        }
        let begun = self.settings.optimizer;
        if settings.optimizer.moments() != begun.moments() {
            let expected = format!("one that goes on with the moments of {begun:?}");
            return Err(Error::argument(
                "optimizer",
                format!("{:?}", settings.optimizer),
                expected,
            ));
        }
        self.measure_moments()?;
        self.settings = settings;
        Ok(())
    }
}

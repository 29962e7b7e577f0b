//! The loss on samples that are not trained on.

use super::labels::labels_of;
use super::{LossByTime, Source};
use crate::random::Generator;
use crate::score::Network;
use crate::{Error, Result};
use candle_core::Tensor;

/// When a [`Training`](super::Training) looks at its loss on held-out samples, and at how many.
///
/// It is the loss of the averaged weights, [`LossByTime`], with the same samples, times and noise each time, so that the
/// numbers of two steps can be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// After every so many steps.
    pub every: u64,
    /// On so many samples; on all, where there are fewer.
    pub samples: usize,
    /// In so many bins of time.
    pub bins: usize,
    /// A run stops early if the loss has not reached a new low for so many steps; `None` never stops.
    pub patience: Option<u64>,
}

impl Default for Validation {
    fn default() -> Self {
        Self { every: 500, samples: 512, bins: 10, patience: None }
    }
}

/// A validation with its samples.
#[derive(Clone, Debug)]
pub(super) struct HeldOut {
    pub settings: Validation,
    x0: Tensor,
    labels: Option<Tensor>,
    t_min: f64,
    noise: Generator,
}

impl HeldOut {
    pub fn draw(
        settings: Validation,
        source: &dyn Source,
        network: &dyn Network,
        t_min: f64,
        generator: &Generator,
    ) -> Result<Self> {
        for (name, value) in [
            ("every", settings.every),
            ("samples", settings.samples as u64),
            ("bins", settings.bins as u64),
            ("patience", settings.patience.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::argument(name, value, "at least 1"));
            }
        }
        let samples = source.count().unwrap_or(usize::MAX).min(settings.samples);
        let parameters = network.parameters();
        let order = generator.child(0);
        let x0 = source.batch(0, samples, &order, &parameters.device())?;
        let labels = labels_of(source, network, 0, samples, &order)?;
        let x0 = x0.to_dtype(parameters.dtype())?;
        Ok(Self { settings, x0, labels, t_min, noise: generator.child(1) })
    }

    pub fn loss(&self, network: &dyn Network) -> Result<LossByTime> {
        let Self { settings, x0, labels, t_min, noise } = self;
        LossByTime::given(network, x0, labels.as_ref(), *t_min, settings.bins, noise)
    }
}

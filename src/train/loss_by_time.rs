//! The loss in bins of time: where along the noise a network is good, and where not.

use super::denoising_loss_given;
use crate::diffusion::NoisingProcess;
use crate::random::Generator;
use crate::score::{Condition, Network};
use crate::{Error, Result, interrupt};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// So many samples go through the network at once.
const TOGETHER: usize = 128;

/// The denoising loss of a network with `λ(t) = σ_t²`, over the whole of time and in bins of it.
///
/// ```
/// use scorebook::{prelude::*, random::Generator, train::LossByTime};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
/// let x0 = generator.normal((200, 2), &Device::Cpu)?;
/// let loss = LossByTime::of(&network, &x0, 1e-3, 4, &generator)?;
/// assert_eq!((loss.bins[0].from, loss.bins[3].to), (1e-3, 1.0));
/// let mean = loss.bins.iter().map(|bin| bin.loss).sum::<f64>() / 4.0;
/// assert!((loss.loss - mean).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossByTime {
    /// The loss over all times, each as likely: the mean of the bins.
    pub loss: f64,
    /// The loss in each bin; they are equally wide.
    pub bins: Vec<TimeBin>,
    /// Whether an interrupt ended the computation: then the bins after it are missing.
    #[serde(skip)]
    pub interrupted: bool,
}

/// The loss in a bin of time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeBin {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// The loss at times uniform in it.
    pub loss: f64,
}

impl LossByTime {
    /// The loss on the samples `x0` `[samples, ...]`, each of them once in each of the `bins` between `t_min` and the
    /// end of the process. The times and the noise are children of `generator`: with the same one and the same
    /// samples the numbers of two networks can be compared.
    ///
    /// # Errors
    /// If there is no sample, no bin or `t_min` is not within the process's time, or the network does not take the shape.
    pub fn of(
        network: &dyn Network,
        x0: &Tensor,
        t_min: f64,
        bins: usize,
        generator: &Generator,
    ) -> Result<Self> {
        Self::given(network, x0, None, t_min, bins, generator)
    }

    /// [`of`](Self::of) samples whose `labels` `[samples, attributes]` the network is told.
    ///
    /// ```
    /// use scorebook::{prelude::*, train::LossByTime};
    ///
    /// let settings = ResidualUnetSettings { attributes: vec![10], ..Default::default() };
    /// let process = VariancePreserving::default().into();
    /// let network = ResidualUnet::new(settings, process, &mut Generator::new(1), &Device::Cpu)?;
    /// let (x0, generator) = (Generator::new(2).normal((2, 1, 8, 8), &Device::Cpu)?, Generator::new(3));
    /// // Labels that say nothing change nothing.
    /// let labels = Tensor::new(&[[10u32], [10]], &Device::Cpu)?;
    /// let told = LossByTime::given(&network, &x0, Some(&labels), 1e-3, 4, &generator)?;
    /// assert_eq!(told, LossByTime::of(&network, &x0, 1e-3, 4, &generator)?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and if the network does not know the labels.
    pub fn given(
        network: &dyn Network,
        x0: &Tensor,
        labels: Option<&Tensor>,
        t_min: f64,
        bins: usize,
        generator: &Generator,
    ) -> Result<Self> {
        let horizon = network.process().horizon();
        let samples = x0.dims().first().copied().unwrap_or(0);
        if samples == 0 {
            return Err(Error::shape("x0", x0.dims(), "[samples, ...], at least one sample"));
        }
        if bins == 0 {
            return Err(Error::argument("bins", bins, "at least 1"));
        }
        if !(t_min > 0.0 && t_min < horizon) {
            let expected = format!("a time between 0 and {horizon}, the end of the process");
            return Err(Error::argument("t_min", t_min, expected));
        }
        let condition = Condition { labels: labels.cloned(), dropout: None };
        let edge = |k: usize| t_min + (horizon - t_min) * k as f64 / bins as f64;
        let mut all = Self::default();
        for k in 0..bins {
            let (from, to) = (edge(k), if k + 1 == bins { horizon } else { edge(k + 1) });
            let mut generator = generator.child(k as u64);
            let t = generator.uniform(from, to, samples, &Device::Cpu)?.to_device(x0.device())?;
            let z = generator.normal_like(x0)?;
            let mut sum = 0.0;
            for at in (0..samples).step_by(TOGETHER) {
                if interrupt::requested() {
                    all.interrupted = true;
                    return Ok(all);
                }
                let count = TOGETHER.min(samples - at);
                let part = |x: &Tensor| x.narrow(0, at, count);
                let (x0, t, z) = (part(x0)?, part(&t)?, part(&z)?);
                let condition = condition.part(at, count)?;
                let loss = denoising_loss_given(network, &x0, &t, &z, &condition)?;
                sum += crate::tensor::values(&loss)?[0] * count as f64;
            }
            all.bins.push(TimeBin { from, to, loss: sum / samples as f64 });
            all.loss = all.bins.iter().map(|bin| bin.loss).sum::<f64>() / all.bins.len() as f64;
        }
        Ok(all)
    }
}

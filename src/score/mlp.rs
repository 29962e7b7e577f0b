//! A multilayer perceptron for points in a few dimensions.

use super::network::{Architecture, Network, check_times, score_of};
use super::{Parameterization, Score, fourier_features};
use crate::diffusion::{NoisingProcess, Process, per_sample};
use crate::random::Generator;
use crate::tensor::Parameters;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// The size of an [`Mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MlpSettings {
    /// The dimension of the points.
    pub dimension: usize,
    /// The width of the hidden layers.
    pub hidden: usize,
    /// How many hidden layers, at least 1.
    pub layers: usize,
    /// How many Fourier features tell the time, an even number.
    pub features: usize,
    /// What the last layer is asked for.
    pub output: Parameterization,
}

impl Default for MlpSettings {
    fn default() -> Self {
        Self {
            dimension: 2,
            hidden: 128,
            layers: 3,
            features: 32,
            output: Parameterization::default(),
        }
    }
}

/// A time-conditioned multilayer perceptron: the score of points `[batch, dimension]`.
///
/// Every hidden layer is `h ← SiLU(W h + V e(t))` with Fourier features `e(t)` of the time (see
/// [`fourier_features`]), here with frequencies from N(0, 1): the score of points varies slowly in time. The input is
/// divided by `√(α_t² + σ_t²)`, the spread of unit-variance data once noised, so that every process feeds numbers of
/// size one. With the output of EDM it has EDM's input too: `x/√(σ_t² + α_t² s²)`, and `¼ ln(σ_t/α_t)` for the time.
///
/// ```
/// use scorebook::{diffusion::VariancePreserving, prelude::*, random::Generator};
/// use scorebook::score::{Mlp, MlpSettings, Score};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
/// let x = generator.normal((5, 2), &Device::Cpu)?;
/// let t = Tensor::full(0.5f32, 5, &Device::Cpu)?;
/// assert_eq!(network.score(&x, &t)?.dims(), [5, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mlp {
    settings: MlpSettings,
    process: Process,
    parameters: Parameters,
}

impl Mlp {
    /// A network with random weights.
    ///
    /// # Errors
    /// If a size is 0, the number of features odd, or the output's `data_std` not positive.
    pub fn new(
        settings: MlpSettings,
        process: Process,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        let MlpSettings { dimension, hidden, layers, features, output } = settings;
        for (name, size) in [("dimension", dimension), ("hidden", hidden), ("layers", layers)] {
            if size == 0 {
                return Err(Error::argument(name, size, "at least 1"));
            }
        }
        if features == 0 || features % 2 != 0 {
            return Err(Error::argument("features", features, "an even number, at least 2"));
        }
        output.check()?;
        let frequencies = generator.normal(features / 2, device)?;
        let mut parameters = Parameters::default();
        parameters.insert_constant("frequencies", &frequencies)?;
        for layer in 0..layers {
            let inputs = if layer == 0 { dimension } else { hidden };
            parameters.linear(&format!("layer{layer}"), inputs, hidden, generator, device)?;
            parameters.linear(&format!("time{layer}"), features, hidden, generator, device)?;
        }
        parameters.linear("out", hidden, dimension, generator, device)?;
        Ok(Self { settings, process, parameters })
    }

    /// The size it was made with.
    pub fn settings(&self) -> MlpSettings {
        self.settings
    }
}

impl Network for Mlp {
    fn noise_output(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        check_times(x, t)?;
        if x.dims() != [t.dims()[0], self.settings.dimension] {
            let expected = format!("[batch, {}]", self.settings.dimension);
            return Err(Error::shape("x", x.dims(), expected));
        }
        let (output, process) = (self.settings.output, &self.process);
        let (mut h, time) = match output.input(x, t, process)? {
            Some(input) => input,
            None => {
                let size = |t: f64| process.mean_scale(t).hypot(process.std(t));
                (x.broadcast_mul(&per_sample(t, x, |t| size(t).recip())?)?, t.clone())
            }
        };
        let time = fourier_features(&time, &self.parameters.get("frequencies")?)?;
        for layer in 0..self.settings.layers {
            let by_time = self.parameters.apply_linear(&format!("time{layer}"), &time)?;
            h = (self.parameters.apply_linear(&format!("layer{layer}"), &h)? + by_time)?.silu()?;
        }
        let raw = self.parameters.apply_linear("out", &h)?;
        output.convert(Parameterization::ScaledScore, &raw, x, t, process)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn process(&self) -> Process {
        self.process
    }

    fn architecture(&self) -> Architecture {
        Architecture::Mlp(self.settings)
    }

    fn copy(&self) -> Result<Self> {
        Ok(Self { parameters: self.parameters.copy()?, ..self.clone() })
    }
}

impl Score for Mlp {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let frozen = Self { parameters: self.parameters.frozen(), ..self.clone() };
        score_of(&frozen, x, t)
    }
}

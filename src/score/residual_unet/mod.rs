//! A U-Net of residual blocks with attention and labels, for images of any size.

mod layers;
mod settings;

pub use settings::ResidualUnetSettings;

use super::condition::{Condition, checked_labels, no_labels, not_given};
use super::network::{Architecture, Network, check_times};
use super::{Parameterization, Score, fourier_features};
use crate::diffusion::{NoisingProcess, Process, per_sample};
use crate::random::Generator;
use crate::tensor::tape::{Added, Buffers, Map, Tape};
use crate::tensor::{Convolution, Norm, Parameters};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use layers::Pass;
use settings::GROUPS;

/// A U-Net of residual blocks: the score of images `[batch, channels, height, width]`, also of a class or of several
/// attributes.
///
/// In the manner of DDPM++ and NCSN++ (Ho et al. 2020; Song et al. 2021; Karras et al. 2022, appendix F), made for a
/// processor:
///
/// - Each level has `blocks` residual blocks on the way down, and as many on the way up, each of which also takes the map of
///   the block of its level on the way down. Between two levels stands a convolution of 2×2 pixels with stride 2, or its
///   transpose; at the bottom one more block.
/// - A block is `h + K₂ ∗ dropout(SiLU(norm(K₁ ∗ h + e)))` with convolutions of 3×3 pixels and group norm in 8 groups; `e` is
///   the projected embedding of time and labels. The convolution, the shift, the norm and SiLU are one op
///   ([`tensor::conv_norm_silu`](crate::tensor::conv_norm_silu)).
/// - At chosen levels a block is followed by self-attention with one head, `h + W attention(SiLU(norm(h)))`.
/// - The time enters by the level of the noise, Gaussian Fourier features of `¼ ln(σ_t/α_t)`, so that every process will do;
///   each attribute of the labels by a vector of its own for each value, and one more for not given.
/// - Input and output are preconditioned as in EDM ([`Parameterization::Edm`]). `K₂`, `W` and the last convolution begin at
///   0, so that the first prediction is that of Gaussian data.
///
/// The sides of the images are multiples of 2 to the number of levels less one: 28 goes with three levels.
///
/// ```
/// use scorebook::{prelude::*, score::{ResidualUnet, ResidualUnetSettings}};
///
/// let settings = ResidualUnetSettings { image_channels: 3, ..Default::default() };
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = ResidualUnet::new(settings, process, &mut generator, &Device::Cpu)?;
/// let x = generator.normal((2, 3, 16, 16), &Device::Cpu)?;
/// let t = Tensor::new(&[0.1f32, 0.9], &Device::Cpu)?;
/// assert_eq!(network.score(&x, &t)?.dims(), x.dims());
/// assert_eq!(network.settings().image_channels, 3);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResidualUnet {
    settings: ResidualUnetSettings,
    process: Process,
    parameters: Parameters,
    buffers: Buffers,
}

/// The standard deviation of the frequencies that tell `¼ ln(σ/α)`, which is of size one.
const FREQUENCY_STD: f64 = 2.0;

impl ResidualUnet {
    /// A network with random weights.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(
        settings: ResidualUnetSettings,
        process: Process,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        settings.check()?;
        Parameterization::Edm { data_std: settings.data_std }.check()?;
        let parameters = layers::parameters(&settings, generator, device)?;
        Ok(Self { settings, process, parameters, buffers: Buffers::default() })
    }

    /// The size it was made with.
    pub fn settings(&self) -> &ResidualUnetSettings {
        &self.settings
    }

    fn check(&self, x: &Tensor, t: &Tensor) -> Result<()> {
        check_times(x, t)?;
        let (channels, divisor) = (self.settings.image_channels, self.settings.divisor());
        let fits = |size: usize| size > 0 && size.is_multiple_of(divisor);
        match *x.dims() {
            [_, found, height, width] if found == channels && fits(height) && fits(width) => Ok(()),
            _ => {
                let expected =
                    format!("[batch, {channels}, height, width] with sides divisible by {divisor}");
                Err(Error::shape("x", x.dims(), expected))
            }
        }
    }

    /// What the blocks are told of time and labels, `[batch, embedding]`.
    fn embedding(&self, time: &Tensor, labels: Option<&Tensor>) -> Result<Tensor> {
        let parameters = &self.parameters;
        // Where there is no noise or no signal the logarithm is infinite.
        let features =
            fourier_features(&time.clamp(-10.0, 10.0)?, &parameters.get("frequencies")?)?;
        let hidden = parameters.apply_linear("time0", &features)?.silu()?;
        let mut embedding = parameters.apply_linear("time1", &hidden)?;
        let (counts, batch) = (&self.settings.attributes, time.dim(0)?);
        if counts.is_empty() {
            return match labels {
                Some(_) => Err(no_labels()),
                None => Ok(embedding.silu()?),
            };
        }
        let labels = match labels {
            Some(labels) => {
                checked_labels(labels, counts, batch)?;
                labels.to_device(time.device())?
            }
            None => not_given(counts, batch, time.device())?,
        };
        for attribute in 0..counts.len() {
            let table = parameters.get(&format!("attribute{attribute}.weight"))?;
            let values = labels.narrow(1, attribute, 1)?.flatten_all()?.contiguous()?;
            embedding = (embedding + table.index_select(&values, 0)?)?;
        }
        Ok(embedding.silu()?)
    }
}

impl Network for ResidualUnet {
    fn noise_output(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.noise_output_given(x, t, &Condition::default())
    }

    fn noise_output_given(&self, x: &Tensor, t: &Tensor, condition: &Condition) -> Result<Tensor> {
        self.check(x, t)?;
        let process = &self.process;
        let output = Parameterization::Edm { data_std: self.settings.data_std };
        let (input, time) = output.input(x, t, process)?.unwrap_or_else(|| (x.clone(), t.clone()));
        let embedding = self.embedding(&time, condition.labels.as_ref())?;
        // Inside, channels lie side by side.
        let x_inside = input.permute((0, 2, 3, 1))?;
        let tape = Tape::new(&x_inside, &self.buffers);
        let h = Pass::new(self, &tape, &embedding, condition)?.run(&x_inside)?;
        let raw = tape.finish(h)?.permute((0, 3, 1, 2))?.contiguous()?;
        output.convert(Parameterization::ScaledScore, &raw, x, t, process)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn process(&self) -> Process {
        self.process
    }

    fn architecture(&self) -> Architecture {
        Architecture::ResidualUnet(self.settings.clone())
    }

    fn copy(&self) -> Result<Self> {
        let (parameters, buffers) = (self.parameters.copy()?, Buffers::default());
        Ok(Self { parameters, buffers, ..self.clone() })
    }
}

impl Score for ResidualUnet {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.score_of(x, t, None)
    }

    fn attributes(&self) -> &[usize] {
        &self.settings.attributes
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        self.score_of(x, t, Some(labels.clone()))
    }
}

impl ResidualUnet {
    /// The score `noise_output / σ_t`, differentiable in `x` alone.
    fn score_of(&self, x: &Tensor, t: &Tensor, labels: Option<Tensor>) -> Result<Tensor> {
        let frozen = Self { parameters: self.parameters.frozen(), ..self.clone() };
        let (t, condition) = (t.detach(), Condition { labels, dropout: None });
        let output = frozen.noise_output_given(x, &t, &condition)?;
        Ok(output.broadcast_div(&per_sample(&t, x, |t| self.process.std(t))?)?)
    }
}

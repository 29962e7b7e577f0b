//! The small U-Net of Song's tutorial, for grey 28×28 images and others of that size.

use super::network::{Architecture, Network, check_times, score_of};
use super::{Parameterization, Score, fourier_features};
use crate::diffusion::Process;
use crate::random::Generator;
use crate::tensor::tape::{Added, Buffers, Map, Tape};
use crate::tensor::{Convolution, Norm, Parameters};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// The size of a [`Unet`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnetSettings {
    /// The channels of the images: 1 for grey, 3 for RGB.
    pub image_channels: usize,
    /// The channels of the four resolutions, finest first: a multiple of 4 from 8 on, then three
    /// multiples of 32 from 64 on.
    pub channels: [usize; 4],
    /// The length of the time embedding, an even number.
    pub embedding: usize,
    /// The standard deviation of the Fourier frequencies of the time.
    pub frequency_std: f64,
    /// What the last convolution is asked for.
    pub output: Parameterization,
}

impl Default for UnetSettings {
    fn default() -> Self {
        Self {
            image_channels: 1,
            channels: [32, 64, 128, 256],
            embedding: 256,
            frequency_std: 30.,
            output: Parameterization::default(),
        }
    }
}

/// The U-Net of Song's tutorial: the score of images `[batch, channels, height, width]`.
///
/// Four convolutions down (strides 1, 2, 2, 2, no padding), four transposed ones up with skip connections by
/// concatenation; after each but the last the projected time embedding is added, then group norm and SiLU. The time
/// enters as Gaussian Fourier features (see [`fourier_features`]), the output is scaled by `1/σ_t`. With the default
/// channels it has 1.1 million parameters. It takes the image sizes that the strides map back onto themselves: 28, and
/// every other multiple of 8 plus 4 from 20 on.
///
/// With the output of EDM it has EDM's input too: `x/√(σ_t² + α_t² s²)`, and `¼ ln(σ_t/α_t)` for the time.
///
/// The tutorial normalises the last block in groups of one channel, which makes it blind to the time; here it has the
/// groups of the first block.
///
/// Source: Y. Song, "Generative modeling by estimating gradients of the data distribution", the tutorial's
/// `ScoreNet`; Song et al. 2021 for the family.
///
/// ```
/// use scorebook::{diffusion::VariancePreserving, prelude::*, random::Generator};
/// use scorebook::score::{Network, Score, Unet, UnetSettings};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Unet::new(UnetSettings::default(), process, &mut generator, &Device::Cpu)?;
/// assert_eq!(network.parameters().count(), 1_115_297);
/// let x = generator.normal((2, 1, 28, 28), &Device::Cpu)?;
/// let t = Tensor::new(&[0.1f32, 0.9], &Device::Cpu)?;
/// assert_eq!(network.score(&x, &t)?.dims(), x.dims());
/// assert_eq!(network.settings(), UnetSettings::default());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Unet {
    settings: UnetSettings,
    process: Process,
    parameters: Parameters,
    buffers: Buffers,
}

/// The groups of the normalisation at the finest resolution and below it. Never one channel a group: over a single
/// channel the normalisation takes away the shift by which the time enters.
const FINEST_GROUPS: usize = 4;
const GROUPS: usize = 32;

/// The strides of the way down.
const STRIDES: [usize; 4] = [1, 2, 2, 2];

impl Unet {
    /// A network with random weights.
    ///
    /// # Errors
    /// If the channels do not fit the groups of the normalisation (4 at the finest resolution, 32 below), the
    /// embedding is odd, or the output's `data_std` not positive.
    pub fn new(
        settings: UnetSettings,
        process: Process,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        let UnetSettings { image_channels, channels, embedding, frequency_std, output } = settings;
        output.check()?;
        if image_channels == 0 {
            return Err(Error::argument("image_channels", 0, "at least 1"));
        }
        let [finest, coarser @ ..] = channels;
        let fit = finest >= 8
            && finest.is_multiple_of(FINEST_GROUPS)
            && coarser.iter().all(|&c| c >= 2 * GROUPS && c.is_multiple_of(GROUPS));
        if !fit {
            let expected = "a multiple of 4 from 8 on, then three multiples of 32 from 64 on";
            return Err(Error::argument("channels", format!("{channels:?}"), expected));
        }
        if embedding == 0 || embedding % 2 != 0 {
            return Err(Error::argument("embedding", embedding, "an even number, at least 2"));
        }
        if !(frequency_std.is_finite() && frequency_std > 0.0) {
            return Err(Error::argument("frequency_std", frequency_std, "a positive number"));
        }
        let frequencies = (generator.normal(embedding / 2, device)? * frequency_std)?;
        let mut parameters = Parameters::default();
        parameters.insert_constant("frequencies", &frequencies)?;
        parameters.linear("embed", embedding, embedding, generator, device)?;
        let mut block = |name: &str, kernel: [usize; 2], inputs: usize, outputs: usize| {
            let bound = 1.0 / (inputs as f64 * 9.0).sqrt();
            let shape = (kernel[0], kernel[1], 3, 3);
            parameters.uniform(&format!("{name}.conv.weight"), shape, bound, generator, device)?;
            parameters.linear(&format!("{name}.time"), embedding, outputs, generator, device)?;
            parameters.norm(&format!("{name}.norm"), outputs, device)
        };
        let [c1, c2, c3, c4] = channels;
        for (name, inputs, outputs) in
            [("down1", image_channels, c1), ("down2", c1, c2), ("down3", c2, c3), ("down4", c3, c4)]
        {
            block(name, [outputs, inputs], inputs, outputs)?;
        }
        // A transposed convolution's kernel is [inputs, outputs, side, side].
        for (name, inputs, outputs) in [("up4", c4, c3), ("up3", 2 * c3, c2), ("up2", 2 * c2, c1)] {
            block(name, [inputs, outputs], outputs, outputs)?;
        }
        let bound = 1.0 / (image_channels as f64 * 9.0).sqrt();
        parameters.uniform(
            "out.weight",
            (2 * c1, image_channels, 3, 3),
            bound,
            generator,
            device,
        )?;
        parameters.uniform("out.bias", image_channels, bound, generator, device)?;
        Ok(Self { settings, process, parameters, buffers: Buffers::default() })
    }

    /// The size it was made with.
    pub fn settings(&self) -> UnetSettings {
        self.settings
    }

    /// A convolution, the time embedding, group norm and SiLU.
    fn block(
        &self,
        tape: &Tape,
        name: &str,
        maps: &[&Map],
        time: &Map,
        convolution: Convolution,
        groups: usize,
    ) -> Result<Map> {
        let get = |part: &str| self.parameters.get(&format!("{name}.{part}"));
        let shift = tape.linear(time, &get("time.weight")?, &get("time.bias")?, None)?;
        let (weight, bias) = (get("norm.weight")?, get("norm.bias")?);
        let norm = Norm { shift: &shift, weight: &weight, bias: &bias, groups, epsilon: 1e-5 };
        tape.conv_norm_silu(maps, &get("conv.weight")?, convolution, &norm)
    }

    fn check(&self, x: &Tensor, t: &Tensor) -> Result<()> {
        check_times(x, t)?;
        let fits = |size: usize| size >= 20 && size % 8 == 4;
        match *x.dims() {
            [_, channels, height, width]
                if channels == self.settings.image_channels && fits(height) && fits(width) =>
            {
                Ok(())
            }
            _ => {
                let expected = format!(
                    "[batch, {}, height, width] with sizes 20, 28, 36, ...",
                    self.settings.image_channels
                );
                Err(Error::shape("x", x.dims(), expected))
            }
        }
    }
}

impl Network for Unet {
    fn noise_output(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.check(x, t)?;
        let (output, process) = (self.settings.output, &self.process);
        let (h, time) = output.input(x, t, process)?.unwrap_or_else(|| (x.clone(), t.clone()));
        let get = |name: &str| self.parameters.get(name);
        let tape = Tape::new(&h, &self.buffers);
        let time = tape.leaf(&fourier_features(&time, &get("frequencies")?)?)?;
        let (weight, bias) = (get("embed.weight")?, get("embed.bias")?);
        let time = tape.silu(&tape.linear(&time, &weight, &bias, None)?)?;
        // Inside, channels lie side by side.
        let mut h = tape.leaf(&h.permute((0, 2, 3, 1))?)?;
        let mut skips = vec![];
        for (level, stride) in STRIDES.into_iter().enumerate() {
            let groups = if level == 0 { FINEST_GROUPS } else { GROUPS };
            let convolution = Convolution { stride, padding: 0, transposed: None };
            let name = format!("down{}", level + 1);
            h = self.block(&tape, &name, &[&h], &time, convolution, groups)?;
            skips.push(h.clone());
        }
        skips.pop();
        let mut maps = vec![h];
        for level in [4, 3, 2] {
            let groups = if level == 2 { FINEST_GROUPS } else { GROUPS };
            let output_padding = if level == 4 { 0 } else { 1 };
            let transposed = Some(output_padding);
            let convolution = Convolution { stride: 2, padding: 0, transposed };
            let (name, both) = (format!("up{level}"), maps.iter().collect::<Vec<_>>());
            let h = self.block(&tape, &name, &both, &time, convolution, groups)?;
            maps = std::iter::once(h).chain(skips.pop()).collect();
        }
        let convolution = Convolution { stride: 1, padding: 0, transposed: Some(0) };
        let both: Vec<&Map> = maps.iter().collect();
        let bias = get("out.bias")?;
        let added = Added { bias: Some(&bias), ..Default::default() };
        let h = tape.convolution(&both, &get("out.weight")?, convolution, added)?;
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
        Architecture::Unet(self.settings)
    }

    fn copy(&self) -> Result<Self> {
        let (parameters, buffers) = (self.parameters.copy()?, Buffers::default());
        Ok(Self { parameters, buffers, ..self.clone() })
    }
}

impl Score for Unet {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let frozen = Self { parameters: self.parameters.frozen(), ..self.clone() };
        score_of(&frozen, x, t)
    }
}

//! The layers of a residual U-Net: their parameters, and what each does with a map.

use super::*;

/// A parameter `name` of zeros.
fn zeros(
    parameters: &mut Parameters,
    name: &str,
    shape: impl Into<candle_core::Shape>,
    device: &Device,
) -> Result<()> {
    parameters.insert(name, &Tensor::zeros(shape, DType::F32, device)?)
}

/// Random values for all layers.
pub(super) fn parameters(
    settings: &ResidualUnetSettings,
    generator: &mut Generator,
    device: &Device,
) -> Result<Parameters> {
    let ResidualUnetSettings { image_channels, channels, blocks, attention, embedding, .. } =
        settings;
    let mut parameters = Parameters::default();
    let frequencies = (generator.normal(embedding / 2, device)? * FREQUENCY_STD)?;
    parameters.insert_constant("frequencies", &frequencies)?;
    for layer in ["time0", "time1"] {
        parameters.linear(layer, *embedding, *embedding, generator, device)?;
    }
    for (attribute, count) in settings.attributes.iter().enumerate() {
        let table = (generator.normal((count + 1, *embedding), device)? * 0.5)?;
        parameters.insert(&format!("attribute{attribute}.weight"), &table)?;
    }
    // Uniform within 1/√inputs, as PyTorch does.
    let kernel = |parameters: &mut Parameters,
                  name: &str,
                  shape: [usize; 4],
                  inputs: usize,
                  generator: &mut Generator| {
        let bound = 1.0 / (inputs as f64).sqrt();
        let shape = (shape[0], shape[1], shape[2], shape[3]);
        parameters.uniform(&format!("{name}.weight"), shape, bound, generator, device)
    };
    let block = |parameters: &mut Parameters,
                 name: &str,
                 channels: usize,
                 maps: usize,
                 generator: &mut Generator| {
        let inputs = maps * channels;
        let shape = [channels, inputs, 3, 3];
        kernel(parameters, &format!("{name}.conv0"), shape, 9 * inputs, generator)?;
        parameters.linear(&format!("{name}.shift"), *embedding, channels, generator, device)?;
        parameters.norm(&format!("{name}.norm"), channels, device)?;
        zeros(parameters, &format!("{name}.conv1.weight"), (channels, channels, 3, 3), device)
    };
    let attend = |parameters: &mut Parameters, name: &str, c: usize, generator: &mut Generator| {
        parameters.norm(&format!("{name}.attention.norm"), c, device)?;
        parameters.linear(&format!("{name}.attention.in"), c, 3 * c, generator, device)?;
        zeros(parameters, &format!("{name}.attention.out.weight"), (c, c), device)?;
        zeros(parameters, &format!("{name}.attention.out.bias"), c, device)
    };
    let (finest, coarsest) = (channels[0], channels[channels.len() - 1]);
    let shape = [finest, *image_channels, 3, 3];
    kernel(&mut parameters, "in", shape, 9 * image_channels, generator)?;
    for (level, &c) in channels.iter().enumerate() {
        if level > 0 {
            let finer = channels[level - 1];
            let shape = [c, finer, 2, 2];
            kernel(&mut parameters, &format!("shrink{level}"), shape, 4 * finer, generator)?;
            // Each pixel of the transpose takes from one.
            kernel(&mut parameters, &format!("grow{level}"), shape, c, generator)?;
        }
        for number in 0..*blocks {
            for (way, maps) in [("down", 1), ("up", 2)] {
                let name = format!("{way}{level}.{number}");
                block(&mut parameters, &name, c, maps, generator)?;
                if attention.contains(&level) {
                    attend(&mut parameters, &name, c, generator)?;
                }
            }
        }
    }
    block(&mut parameters, "middle", coarsest, 1, generator)?;
    parameters.norm("out.norm", finest, device)?;
    zeros(&mut parameters, "out.conv.weight", (*image_channels, finest, 3, 3), device)?;
    zeros(&mut parameters, "out.conv.bias", *image_channels, device)?;
    Ok(parameters)
}

/// One evaluation of the layers on a batch.
pub(super) struct Pass<'a> {
    settings: &'a ResidualUnetSettings,
    parameters: &'a Parameters,
    /// Of time and labels, `[batch, embedding]`.
    embedding: Tensor,
    dropout: Option<Vec<Generator>>,
}

/// The parameters of a norm.
pub(super) struct NormOf {
    shift: Tensor,
    weight: Tensor,
    bias: Tensor,
}

impl NormOf {
    pub fn as_norm(&self) -> Norm<'_> {
        let Self { shift, weight, bias } = self;
        Norm { shift, weight, bias, groups: GROUPS, epsilon: 1e-5 }
    }
}

impl<'a> Pass<'a> {
    pub fn new(
        settings: &'a ResidualUnetSettings,
        parameters: &'a Parameters,
        embedding: Tensor,
        condition: &Condition,
    ) -> Result<Self> {
        let batch = embedding.dim(0)?;
        let dropout = condition.dropout.clone().filter(|_| settings.dropout > 0.0);
        if let Some(generators) = &dropout
            && generators.len() != batch
        {
            let expected = format!("{batch}, one a sample");
            return Err(Error::argument("dropout.len()", generators.len(), expected));
        }
        Ok(Self { settings, parameters, embedding, dropout })
    }

    /// A shift of nothing for the map `h`.
    pub fn no_shift(&self, h: &Tensor) -> Result<Tensor> {
        Ok(Tensor::zeros((h.dim(0)?, h.dim(3)?), h.dtype(), h.device())?)
    }

    pub fn norm(&self, name: &str, shift: &Tensor) -> Result<NormOf> {
        let parameter = |what: &str| self.parameters.get(&format!("{name}.norm.{what}"));
        Ok(NormOf { shift: shift.clone(), weight: parameter("weight")?, bias: parameter("bias")? })
    }

    /// A residual block, with attention where its level has it.
    pub fn stage(&mut self, name: &str, level: usize, maps: &[&Tensor]) -> Result<Tensor> {
        let h = self.block(name, maps)?;
        match self.settings.attention.contains(&level) {
            true => self.attend(&format!("{name}.attention"), &h),
            false => Ok(h),
        }
    }

    /// `h + K₂ ∗ dropout(SiLU(norm(K₁ ∗ maps + e)))`, where `h` is the first map.
    pub fn block(&mut self, name: &str, maps: &[&Tensor]) -> Result<Tensor> {
        let shift = self.parameters.apply_linear(&format!("{name}.shift"), &self.embedding)?;
        let norm = self.norm(name, &shift)?;
        let kernel = |n: usize| self.parameters.get(&format!("{name}.conv{n}.weight"));
        let convolution = Convolution { stride: 1, padding: 1, transposed: None };
        let h = tensor::conv_norm_silu(maps, &kernel(0)?, convolution, &norm.as_norm())?;
        let kernel = kernel(1)?;
        let h = convolution.apply(&self.dropped(h)?, &kernel)?;
        Ok((maps[0] + h)?)
    }

    /// `h + W attention(SiLU(norm(h)))`.
    fn attend(&self, name: &str, h: &Tensor) -> Result<Tensor> {
        let (batch, height, width, c) = h.dims4()?;
        let normed = tensor::group_norm_silu(h, &self.norm(name, &self.no_shift(h)?)?.as_norm())?;
        let pixels = normed.reshape((batch * height * width, c))?;
        let all = self.parameters.apply_linear(&format!("{name}.in"), &pixels)?;
        let all = all.reshape((batch, height * width, 3 * c))?;
        let part = |i: usize| all.narrow(2, i * c, c)?.contiguous();
        let found = tensor::attention(&part(0)?, &part(1)?, &part(2)?)?;
        let pixels = found.reshape((batch * height * width, c))?;
        let out = self.parameters.apply_linear(&format!("{name}.out"), &pixels)?;
        Ok((h + out.reshape((batch, height, width, c))?)?)
    }

    /// Each number of a sample's map is 0 with the probability `dropout`, and the others grow by `1/(1 - dropout)`.
    fn dropped(&mut self, h: Tensor) -> Result<Tensor> {
        let probability = self.settings.dropout as f32;
        let Some(generators) = &mut self.dropout else { return Ok(h) };
        let mut mask = vec![0f32; h.elem_count()];
        let size = mask.len() / generators.len().max(1);
        for (mask, generator) in mask.chunks_exact_mut(size.max(1)).zip(generators) {
            generator.fill_uniform(mask);
        }
        for value in &mut mask {
            *value = if *value < probability { 0.0 } else { 1.0 / (1.0 - probability) };
        }
        let mask = Tensor::from_vec(mask, h.shape(), &Device::Cpu)?;
        Ok((&h * mask.to_dtype(h.dtype())?.to_device(h.device())?)?)
    }
}

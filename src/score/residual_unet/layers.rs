//! The layers of a residual U-Net: their parameters, and what each does with a map.

use super::*;

/// The convolutions: of 3×3 pixels, which keeps a map's size, and of 2×2, which halves it, with its transpose.
const SAME: Convolution = Convolution { stride: 1, padding: 1, transposed: None };
const HALF: Convolution = Convolution { stride: 2, padding: 0, transposed: None };
const DOUBLE: Convolution = Convolution { stride: 2, padding: 0, transposed: Some(0) };

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
    tape: &'a Tape,
    /// Of time and labels, `[batch, embedding]`.
    embedding: Map,
    dropout: Option<Vec<Generator>>,
}

impl<'a> Pass<'a> {
    pub fn new(
        network: &'a ResidualUnet,
        tape: &'a Tape,
        embedding: &Tensor,
        condition: &Condition,
    ) -> Result<Self> {
        let ResidualUnet { settings, parameters, .. } = network;
        let batch = embedding.dim(0)?;
        let dropout = condition.dropout.clone().filter(|_| settings.dropout > 0.0);
        if let Some(generators) = &dropout
            && generators.len() != batch
        {
            let expected = format!("{batch}, one a sample");
            return Err(Error::argument("dropout.len()", generators.len(), expected));
        }
        Ok(Self { settings, parameters, tape, embedding: tape.leaf(embedding)?, dropout })
    }

    /// The layers, for maps `[batch, height, width, channels]`.
    pub fn run(&mut self, x: &Tensor) -> Result<Map> {
        let channels = &self.settings.channels;
        let mut h = self.convolution("in", &self.tape.leaf(x)?, SAME)?;
        let mut skips = vec![];
        for level in 0..channels.len() {
            if level > 0 {
                h = self.convolution(&format!("shrink{level}"), &h, HALF)?;
            }
            for block in 0..self.settings.blocks {
                h = self.stage(&format!("down{level}.{block}"), level, &[&h])?;
                skips.push(h.clone());
            }
        }
        h = self.block("middle", &[&h])?;
        for level in (0..channels.len()).rev() {
            for block in (0..self.settings.blocks).rev() {
                let skip = skips.pop();
                let maps: Vec<&Map> = std::iter::once(&h).chain(&skip).collect();
                h = self.stage(&format!("up{level}.{block}"), level, &maps)?;
            }
            if level > 0 {
                h = self.convolution(&format!("grow{level}"), &h, DOUBLE)?;
            }
        }
        h = self.norm_silu("out", &h)?;
        let bias = self.parameters.get("out.conv.bias")?;
        let added = Added { bias: Some(&bias), ..Default::default() };
        self.tape.convolution(&[&h], &self.parameters.get("out.conv.weight")?, SAME, added)
    }

    fn convolution(&self, name: &str, x: &Map, convolution: Convolution) -> Result<Map> {
        let kernel = self.parameters.get(&format!("{name}.weight"))?;
        self.tape.convolution(&[x], &kernel, convolution, Added::default())
    }

    fn linear(&self, name: &str, x: &Map, residual: Option<&Map>) -> Result<Map> {
        let get = |what: &str| self.parameters.get(&format!("{name}.{what}"));
        self.tape.linear(x, &get("weight")?, &get("bias")?, residual)
    }

    /// `SiLU(norm(h))`.
    fn norm_silu(&self, name: &str, h: &Map) -> Result<Map> {
        let get = |what: &str| self.parameters.get(&format!("{name}.norm.{what}"));
        let (weight, bias) = (get("weight")?, get("bias")?);
        let (batch, channels) = (h.dims()[0], h.dims()[3]);
        let shift = Tensor::zeros((batch, channels), weight.dtype(), weight.device())?;
        let shift = self.tape.leaf(&shift)?;
        let norm =
            Norm { shift: &shift, weight: &weight, bias: &bias, groups: GROUPS, epsilon: 1e-5 };
        self.tape.norm_silu(h, &norm)
    }

    /// A residual block, with attention where its level has it.
    fn stage(&mut self, name: &str, level: usize, maps: &[&Map]) -> Result<Map> {
        let h = self.block(name, maps)?;
        match self.settings.attention.contains(&level) {
            true => self.attend(&format!("{name}.attention"), &h),
            false => Ok(h),
        }
    }

    /// `h + K₂ ∗ dropout(SiLU(norm(K₁ ∗ maps + e)))`, where `h` is the first map.
    fn block(&mut self, name: &str, maps: &[&Map]) -> Result<Map> {
        let get = |what: &str| self.parameters.get(&format!("{name}.{what}"));
        let (shift, weight, bias) = (
            self.linear(&format!("{name}.shift"), &self.embedding, None)?,
            get("norm.weight")?,
            get("norm.bias")?,
        );
        let norm =
            Norm { shift: &shift, weight: &weight, bias: &bias, groups: GROUPS, epsilon: 1e-5 };
        let (first, second) = (get("conv0.weight")?, get("conv1.weight")?);
        let h = self.tape.conv_norm_silu(maps, &first, SAME, &norm)?;
        let h = self.dropped(h)?;
        let added = Added { residual: Some(maps[0]), ..Default::default() };
        self.tape.convolution(&[&h], &second, SAME, added)
    }

    /// `h + W attention(SiLU(norm(h)))`.
    fn attend(&self, name: &str, h: &Map) -> Result<Map> {
        let all = self.linear(&format!("{name}.in"), &self.norm_silu(name, h)?, None)?;
        self.linear(&format!("{name}.out"), &self.tape.attention(&all)?, Some(h))
    }

    /// Each number of a sample's map is 0 with the probability `dropout`, and the others grow by `1/(1 - dropout)`.
    fn dropped(&mut self, h: Map) -> Result<Map> {
        let probability = self.settings.dropout as f32;
        let Some(generators) = &mut self.dropout else { return Ok(h) };
        let mut mask = vec![0f32; h.dims().iter().product()];
        let size = mask.len() / generators.len().max(1);
        for (mask, generator) in mask.chunks_exact_mut(size.max(1)).zip(generators) {
            generator.fill_uniform(mask);
        }
        for value in &mut mask {
            *value = if *value < probability { 0.0 } else { 1.0 / (1.0 - probability) };
        }
        let weight = self.parameters.get("in.weight")?;
        let mask = Tensor::from_vec(mask, h.dims(), &Device::Cpu)?;
        self.tape.times(&h, mask.to_dtype(weight.dtype())?.to_device(weight.device())?)
    }
}

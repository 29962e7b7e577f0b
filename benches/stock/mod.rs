//! The same network and training step written with candle's own ops and optimiser, as its users would.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::{
    Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, GroupNorm, Linear, Module,
    Optimizer, ParamsAdamW, VarBuilder, VarMap, ops::silu,
};
use scorebook::random::Generator;

struct Block<C> {
    convolution: C,
    time: Linear,
    norm: GroupNorm,
}

impl<C: Module> Block<C> {
    fn new(convolution: C, outputs: usize, groups: usize, weights: VarBuilder) -> Result<Self> {
        let time = candle_nn::linear(256, outputs, weights.pp("time"))?;
        let norm = candle_nn::group_norm(groups, outputs, 1e-5, weights.pp("norm"))?;
        Ok(Self { convolution, time, norm })
    }

    fn forward(&self, x: &Tensor, time: &Tensor) -> Result<Tensor> {
        let shift = self.time.forward(time)?.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?;
        let h = self.convolution.forward(x)?.broadcast_add(&shift)?;
        silu(&self.norm.forward(&h)?)
    }
}

struct Unet {
    frequencies: Tensor,
    embed: Linear,
    down: Vec<Block<Conv2d>>,
    up: Vec<Block<ConvTranspose2d>>,
    out: ConvTranspose2d,
}

impl Unet {
    fn new(frequencies: Tensor, weights: VarBuilder) -> Result<Self> {
        let mut down = vec![];
        for (inputs, outputs, stride, groups) in
            [(1, 32, 1, 4), (32, 64, 2, 32), (64, 128, 2, 32), (128, 256, 2, 32)]
        {
            let weights = weights.pp(format!("down{outputs}"));
            let config = Conv2dConfig { stride, ..Default::default() };
            let c = candle_nn::conv2d_no_bias(inputs, outputs, 3, config, weights.pp("conv"))?;
            down.push(Block::new(c, outputs, groups, weights)?);
        }
        let mut up = vec![];
        for (inputs, outputs, output_padding, groups) in
            [(256, 128, 0, 32), (256, 64, 1, 32), (128, 32, 1, 4)]
        {
            let weights = weights.pp(format!("up{outputs}"));
            let config = ConvTranspose2dConfig { stride: 2, output_padding, ..Default::default() };
            let own = weights.pp("conv");
            let c = candle_nn::conv_transpose2d_no_bias(inputs, outputs, 3, config, own)?;
            up.push(Block::new(c, outputs, groups, weights)?);
        }
        let config = ConvTranspose2dConfig::default();
        let out = candle_nn::conv_transpose2d(64, 1, 3, config, weights.pp("out"))?;
        let embed = candle_nn::linear(256, 256, weights.pp("embed"))?;
        Ok(Self { frequencies, embed, down, up, out })
    }

    /// The network's output, which estimates the noise.
    fn forward(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let phase = t.unsqueeze(1)?.broadcast_mul(&self.frequencies)?;
        let phase = (phase * std::f64::consts::TAU)?;
        let time = Tensor::cat(&[phase.sin()?, phase.cos()?], D::Minus1)?;
        let time = silu(&self.embed.forward(&time)?)?;
        let (mut h, mut skips) = (x.clone(), vec![]);
        for block in &self.down {
            h = block.forward(&h, &time)?;
            skips.push(h.clone());
        }
        skips.pop();
        for block in &self.up {
            h = block.forward(&h, &time)?;
            if let Some(skip) = skips.pop() {
                h = Tensor::cat(&[&h, &skip], 1)?;
            }
        }
        self.out.forward(&h)
    }
}

pub struct Training {
    network: Unet,
    optimizer: candle_nn::AdamW,
    generator: Generator,
}

impl Training {
    pub fn new(generator: &mut Generator) -> scorebook::Result<Self> {
        let frequencies = (generator.normal((1, 128), &Device::Cpu)? * 30.0)?;
        let variables = VarMap::new();
        let weights = VarBuilder::from_varmap(&variables, candle_core::DType::F32, &Device::Cpu);
        let network = Unet::new(frequencies, weights)?;
        let settings = ParamsAdamW { lr: 1e-4, weight_decay: 0.0, ..Default::default() };
        let optimizer = candle_nn::AdamW::new(variables.all_vars(), settings)?;
        Ok(Self { network, optimizer, generator: generator.child(1) })
    }

    /// One step of denoising score matching under `dx = 25^t dw`.
    pub fn step(&mut self, x0: &Tensor) -> Result<()> {
        let outer = |error: scorebook::Error| candle_core::Error::Msg(error.to_string());
        let batch = x0.dim(0)?;
        let t = self.generator.uniform(1e-5, 1.0, batch, &Device::Cpu).map_err(outer)?;
        let z = self.generator.normal_like(x0).map_err(outer)?;
        let log = 25f64.ln();
        let std = (((&t * (2.0 * log))?.exp()? - 1.0)? / (2.0 * log))?.sqrt()?;
        let x = (x0 + z.broadcast_mul(&std.reshape((batch, 1, 1, 1))?)?)?;
        let loss = (self.network.forward(&x, &t)? + z)?.sqr()?.mean_all()?;
        self.optimizer.backward_step(&loss)
    }
}

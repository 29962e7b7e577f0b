//! Convolutions and linear layers.

use super::parts::Parts;
use super::{Buffers, Map, Step, Tape, Values, View};
use crate::tensor::Convolution;
use crate::tensor::autocast::in_half;
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;

/// What is added to a convolution's result.
#[derive(Clone, Copy, Default)]
pub(crate) struct Added<'a> {
    /// A number for each output channel.
    pub bias: Option<&'a Tensor>,
    /// A map of the output's shape: what a residual block goes around.
    pub residual: Option<&'a Map>,
}

impl Tape {
    /// A convolution of one map, or of two as if they had been concatenated, and what is added to it.
    pub fn convolution(
        &self,
        maps: &[&Map],
        kernel: &Tensor,
        convolution: Convolution,
        added: Added,
    ) -> Result<Map> {
        self.product(maps, (kernel, kernel.dims()), convolution, added)
    }

    /// `x Wᵀ + b` for a map `[batch, inputs]` or each pixel of a map `[batch, height, width, inputs]`, weights `[outputs,
    /// inputs]` and a bias `[outputs]`; with a residual that is added.
    pub fn linear(
        &self,
        x: &Map,
        weight: &Tensor,
        bias: &Tensor,
        residual: Option<&Map>,
    ) -> Result<Map> {
        let &[outputs, inputs] = weight.dims() else {
            return Err(Error::shape("weight", weight.dims(), "[outputs, inputs]"));
        };
        // A convolution with a kernel of one pixel.
        let (dims, added) = ([outputs, inputs, 1, 1], Added { bias: Some(bias), residual });
        let convolution = Convolution { stride: 1, padding: 0, transposed: None };
        match *x.dims() {
            [batch, found] => {
                let pixel = x.reshape(&[batch, 1, 1, found])?;
                let y = self.product(&[&pixel], (weight, &dims), convolution, added)?;
                y.reshape(&[batch, outputs])
            }
            _ => self.product(&[x], (weight, &dims), convolution, added),
        }
    }

    /// The convolution with a kernel that is read as one of the given shape.
    fn product(
        &self,
        maps: &[&Map],
        (kernel, dims): (&Tensor, &[usize]),
        convolution: Convolution,
        Added { bias, residual }: Added,
    ) -> Result<Map> {
        let parts = Parts::new(maps, dims, convolution)?;
        let output = parts.output();
        if let Some(bias) = bias
            && bias.dims() != [output[3]]
        {
            return Err(Error::shape("bias", bias.dims(), format!("[{}]", output[3])));
        }
        if let Some(residual) = residual
            && residual.dims() != output
        {
            return Err(Error::shape("residual", residual.dims(), format!("{output:?}")));
        }
        if !self.own {
            let maps = maps.iter().map(|map| map.tensor()).collect::<Result<Vec<_>>>()?;
            let x = Tensor::cat(&maps, 3)?;
            let mut y = match dims {
                // Each pixel by itself: a matrix product is faster than a convolution.
                [outputs, inputs, 1, 1] => {
                    let x = x.reshape((output[..3].iter().product::<usize>(), *inputs))?;
                    let weight = kernel.reshape((*outputs, *inputs))?;
                    in_half(&x, &weight, |x, weight| Ok(x.matmul(&weight.t()?)?))?
                        .reshape(&output)?
                }
                _ => convolution.apply(&x, kernel)?,
            };
            if let Some(bias) = bias {
                y = y.broadcast_add(bias)?;
            }
            if let Some(residual) = residual {
                y = (y + residual.tensor()?)?;
            }
            return Ok(self.candle(y));
        }
        let mut inputs: Vec<Map> = maps.iter().copied().cloned().collect();
        inputs.push(self.leaf(kernel)?);
        inputs.extend(bias.map(|bias| self.leaf(bias)).transpose()?);
        inputs.extend(residual.cloned());
        let step = Product { parts, maps: maps.len(), bias: bias.is_some() };
        let mut y = self.buffers.take(output.iter().product());
        {
            let views: Vec<View> = inputs.iter().map(Map::view).collect();
            let (kernel, bias, residual) = step.parameters(&views);
            let mut room = step.parts.room(&self.buffers);
            let sources = step.parts.sources(&views[..maps.len()], kernel, &mut room);
            let goals = y.par_chunks_mut(sources.chunk()).enumerate();
            sources.make_each(goals, |(i, y), product| {
                product(y);
                for pixel in y.chunks_exact_mut(bias.map_or(y.len(), |bias| bias.len())) {
                    for (y, bias) in pixel.iter_mut().zip(bias.unwrap_or_default()) {
                        *y += bias;
                    }
                }
                let residual = residual.map(|residual| &residual[i * sources.chunk()..]);
                for (y, residual) in y.iter_mut().zip(residual.unwrap_or_default()) {
                    *y += residual;
                }
            });
        }
        Ok(self.write(&output, y, inputs, step))
    }
}

/// Its inputs are the maps, the kernel, the bias if there is one, and the residual if there is one.
struct Product {
    parts: Parts,
    maps: usize,
    bias: bool,
}

impl Product {
    fn parameters<'a>(
        &self,
        views: &'a [View],
    ) -> (&'a [f32], Option<&'a [f32]>, Option<&'a [f32]>) {
        let view = |i: usize| views.get(i).map(|view| &**view);
        let bias = if self.bias { view(self.maps + 1) } else { None };
        (&views[self.maps], bias, view(self.maps + 1 + self.bias as usize))
    }
}

impl Step for Product {
    fn backward(&self, inputs: &[Map], gradient: Values, buffers: &Buffers) -> Vec<Option<Values>> {
        let views: Vec<View> = inputs.iter().map(Map::view).collect();
        let maps = self.maps;
        let (kernel, bias, residual) = self.parameters(&views);
        let (of_kernel, mut found) =
            self.parts.backward(&inputs[..=maps], &views[..maps], kernel, &gradient, buffers);
        found.push(of_kernel);
        if let Some(bias) = bias {
            found.push(
                inputs[maps + 1].is_wanted().then(|| channel_sums(&gradient, bias.len(), buffers)),
            );
        }
        if residual.is_some() {
            found.push(Some(gradient));
        }
        found
    }
}

/// The sum of each channel, in sixteen parts however many threads there are.
fn channel_sums(map: &[f32], channels: usize, buffers: &Buffers) -> Values {
    let share = (map.len() / channels).div_ceil(16).max(1) * channels;
    let parts: Vec<Vec<f32>> = map
        .par_chunks(share)
        .map(|map| {
            let mut sums = vec![0f32; channels];
            for pixel in map.chunks_exact(channels) {
                for (sum, x) in sums.iter_mut().zip(pixel) {
                    *sum += x;
                }
            }
            sums
        })
        .collect();
    let mut total = buffers.take(channels);
    total.fill(0.0);
    for part in parts {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    total
}

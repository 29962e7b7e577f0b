//! Convolutions and linear layers.

use super::parts::Parts;
use super::{Buffers, Map, Step, Tape, Values, View};
use crate::tensor::Convolution;
use crate::tensor::autocast::in_half;
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;

impl Tape {
    /// A convolution of one map, or of two as if they had been concatenated, and a bias for each output channel.
    pub fn convolution(
        &self,
        maps: &[&Map],
        kernel: &Tensor,
        bias: &Tensor,
        convolution: Convolution,
    ) -> Result<Map> {
        self.biased(maps, (kernel, kernel.dims()), bias, convolution)
    }

    /// The convolution with a kernel that is read as one of the given shape.
    fn biased(
        &self,
        maps: &[&Map],
        (kernel, dims): (&Tensor, &[usize]),
        bias: &Tensor,
        convolution: Convolution,
    ) -> Result<Map> {
        let parts = Parts::new(maps, dims, convolution)?;
        let output = parts.output();
        if bias.dims() != [output[3]] {
            return Err(Error::shape("bias", bias.dims(), format!("[{}]", output[3])));
        }
        if !self.own {
            let maps = maps.iter().map(|map| map.tensor()).collect::<Result<Vec<_>>>()?;
            let x = Tensor::cat(&maps, 3)?;
            let map = match dims {
                // A linear layer: a matrix product is faster than a convolution of one pixel.
                [outputs, inputs, 1, 1] if x.dims()[1..3] == [1, 1] => {
                    let x = x.reshape((output[0], *inputs))?;
                    let weight = kernel.reshape((*outputs, *inputs))?;
                    in_half(&x, &weight, |x, weight| Ok(x.matmul(&weight.t()?)?))?
                        .reshape(&output)?
                }
                _ => convolution.apply(&x, &kernel.reshape(dims)?)?,
            };
            return Ok(self.candle(map.broadcast_add(bias)?));
        }
        let (kernel, bias) = (self.leaf(kernel)?, self.leaf(bias)?);
        let inputs: Vec<Map> = maps.iter().copied().chain([&kernel, &bias]).cloned().collect();
        let mut y = self.buffers.take(output.iter().product());
        {
            let views: Vec<View> = inputs.iter().map(Map::view).collect();
            let (views, parameters) = views.split_at(maps.len());
            let bias = &*parameters[1];
            let mut room = parts.room(&self.buffers);
            let sources = parts.sources(views, &parameters[0], &mut room);
            sources.make_each(y.par_chunks_mut(sources.chunk()), |y, product| {
                product(y);
                for pixel in y.chunks_exact_mut(bias.len()) {
                    for (y, bias) in pixel.iter_mut().zip(bias) {
                        *y += bias;
                    }
                }
            });
        }
        Ok(self.write(&output, y, inputs, Biased(parts)))
    }

    /// `x Wᵀ + b` for a map `[batch, inputs]`, weights `[outputs, inputs]` and a bias `[outputs]`.
    pub fn linear(&self, x: &Map, weight: &Tensor, bias: &Tensor) -> Result<Map> {
        let (&[batch, inputs], &[outputs, _]) = (x.dims(), weight.dims()) else {
            return Err(Error::shape("x", x.dims(), "[batch, inputs]"));
        };
        // A convolution of one pixel.
        let pixel = x.reshape(&[batch, 1, 1, inputs])?;
        let dims = [outputs, weight.dims()[1], 1, 1];
        let convolution = Convolution { stride: 1, padding: 0, transposed: None };
        self.biased(&[&pixel], (weight, &dims), bias, convolution)?.reshape(&[batch, outputs])
    }
}

struct Biased(Parts);

impl Step for Biased {
    fn backward(
        &self,
        inputs: &[Map],
        gradient: Values,
        wanted: &[bool],
        buffers: &Buffers,
    ) -> Vec<Option<Values>> {
        let views: Vec<View> = inputs.iter().map(Map::view).collect();
        let maps = inputs.len() - 2;
        let of_bias =
            wanted[maps + 1].then(|| channel_sums(&gradient, views[maps + 1].len(), buffers));
        let wanted = (wanted[maps], &wanted[..maps]);
        let (of_kernel, mut found) =
            self.0.backward(&views[..maps], &views[maps], &gradient, wanted, buffers);
        found.extend([of_kernel, of_bias]);
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

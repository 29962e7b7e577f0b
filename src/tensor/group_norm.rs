//! Group normalisation with the shift before it and the SiLU after it.

use super::lanes::{LANES, Lanes, sigmoid, vectorised};
use super::tape::{Buffers, Tape, Values};
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;
use std::borrow::Cow;

/// What [`group_norm_silu`] does to a feature map beside its SiLU.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a, S = Tensor> {
    /// `[batch, channels]`, added before the normalisation and constant over the pixels: the projected time embedding.
    pub shift: &'a S,
    /// `[channels]`: the factor after the normalisation.
    pub weight: &'a Tensor,
    /// `[channels]`: the summand after the normalisation.
    pub bias: &'a Tensor,
    /// How many groups the channels are normalised in.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl<S> Norm<'_, S> {
    /// The shape of the map `x`, if the rest fits it, the shift having the shape `shift`.
    pub(super) fn check(&self, x: &[usize], shift: &[usize]) -> Result<[usize; 4]> {
        let &[batch, height, width, channels] = x else {
            return Err(Error::shape("x", x, "[batch, height, width, channels]"));
        };
        if self.groups == 0 || channels % self.groups != 0 {
            let expected = format!("a divisor of the {channels} channels");
            return Err(Error::argument("groups", self.groups, expected));
        }
        if shift != [batch, channels] {
            return Err(Error::shape("shift", shift, format!("[{batch}, {channels}]")));
        }
        for (name, tensor) in [("weight", self.weight), ("bias", self.bias)] {
            if tensor.dims() != [channels] {
                return Err(Error::shape(name, tensor.dims(), format!("[{channels}]")));
            }
        }
        Ok([batch, height, width, channels])
    }

    /// The same with the shift as something else.
    pub(super) fn with_shift<'a, T>(&'a self, shift: &'a T) -> Norm<'a, T> {
        let Self { weight, bias, groups, epsilon, .. } = *self;
        Norm { shift, weight, bias, groups, epsilon }
    }
}

impl Norm<'_> {
    /// The same by candle's ops.
    pub(super) fn compose(&self, x: &Tensor) -> Result<Tensor> {
        let [batch, height, width, channels] = self.check(x.dims(), self.shift.dims())?;
        let x = x.broadcast_add(&self.shift.reshape((batch, 1, 1, channels))?)?;
        let size = channels / self.groups;
        let x = x.reshape((batch, height * width, self.groups, size))?;
        let x = x.broadcast_sub(&x.mean_keepdim((1, 3))?)?;
        let x = x.broadcast_div(&(x.sqr()?.mean_keepdim((1, 3))? + self.epsilon)?.sqrt()?)?;
        let x = x.reshape((batch, height, width, channels))?;
        Ok(x.broadcast_mul(self.weight)?.broadcast_add(self.bias)?.silu()?)
    }
}

/// `SiLU(GroupNorm(x + shift))`, with `SiLU(z) = z / (1 + e^{-z})`: what a U-Net's block does with a feature map.
///
/// `x` is `[batch, height, width, channels]`; the channels are normalised in groups (Wu & He 2018) to
/// `(x - mean) / √(variance + epsilon)`, then scaled by the weight and moved by the bias. One pass each way instead of
/// a dozen broadcasts: in F32 on the CPU our own kernel, elsewhere candle's ops. Differentiable in all four tensors.
///
/// # Errors
/// If the shapes do not fit each other or the groups do not divide the channels.
///
/// ```
/// use scorebook::{prelude::*, tensor::{self, Norm}};
///
/// let x = Tensor::arange(0f32, 8., &Device::Cpu)?.reshape((1, 2, 2, 2))?;
/// let shift = Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?;
/// let (weight, bias) = (Tensor::new(&[1f32, 1.], &Device::Cpu)?, Tensor::new(&[0f32, 0.], &Device::Cpu)?);
/// let norm = Norm { shift: &shift, weight: &weight, bias: &bias, groups: 2, epsilon: 1e-5 };
/// let y = tensor::group_norm_silu(&x, &norm)?;
/// // Each channel holds four numbers two apart: normalised, the first is -3 / √5.
/// let z = -3. / 5f64.sqrt();
/// let first = y.flatten_all()?.to_vec1::<f32>()?[0] as f64;
/// assert!((first - z / (1. + (-z).exp())).abs() < 1e-5);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn group_norm_silu(x: &Tensor, norm: &Norm) -> Result<Tensor> {
    let tape = Tape::new(x, &Buffers::default());
    let shift = tape.leaf(norm.shift)?;
    let y = tape.norm_silu(&tape.leaf(x)?, &norm.with_shift(&shift))?;
    tape.finish(y)
}

/// What is done to one image's feature map `[pixels, channels]`.
#[derive(Clone, Copy)]
struct ImageNorm<'a> {
    shift: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    groups: usize,
    epsilon: f32,
}

/// Whole vectors of channels: a map `[pixels, channels]` with zero channels behind the others where they do not fill
/// the last vector.
fn whole_vectors(x: &[f32], channels: usize) -> Cow<'_, [f32]> {
    if channels.is_multiple_of(LANES) {
        return Cow::Borrowed(x);
    }
    let mut out = Vec::with_capacity(x.len() / channels * channels.next_multiple_of(LANES));
    for x in x.chunks_exact(channels) {
        out.extend_from_slice(x);
        out.resize(out.len().next_multiple_of(LANES), 0.0);
    }
    Cow::Owned(out)
}

/// The numbers of a map in [`whole_vectors`] without those that fill it up.
fn without_filling(wide: &[f32], channels: usize, out: &mut [f32]) {
    let width = channels.next_multiple_of(LANES);
    for (wide, out) in wide.chunks_exact(width).zip(out.chunks_exact_mut(channels)) {
        out.copy_from_slice(&wide[..channels]);
    }
}

/// A number for each channel, in whole vectors.
fn vectors(channels: usize) -> Vec<Lanes> {
    vec![[0f32; LANES]; channels.div_ceil(LANES)]
}

/// `Σ x` over the pixels of each channel, or with `offset` `Σ (x + offset)²`.
#[inline(always)]
fn channel_sums(x: &[Lanes], out: &mut [Lanes], offset: Option<&[Lanes]>) {
    let width = out.len();
    for v in 0..width {
        // Four running sums: one alone would wait for itself.
        let mut sums = [[0f32; LANES]; 4];
        let offset = offset.map(|offset| offset[v]);
        for (pixel, x) in x.iter().skip(v).step_by(width).enumerate() {
            let sum = &mut sums[pixel % 4];
            match offset {
                None => {
                    for l in 0..LANES {
                        sum[l] += x[l];
                    }
                }
                Some(offset) => {
                    for l in 0..LANES {
                        sum[l] += (x[l] + offset[l]) * (x[l] + offset[l]);
                    }
                }
            }
        }
        for l in 0..LANES {
            out[v][l] = (sums[0][l] + sums[1][l]) + (sums[2][l] + sums[3][l]);
        }
    }
}

vectorised! {
    /// `y = SiLU(GroupNorm(x + shift))` of one image, in whole vectors; the moments in two passes, which cancel no
    /// digits.
    fn forward(norm: ImageNorm, x: &[Lanes], y: &mut [Lanes], moments: &mut [[f32; 2]]) {
        let channels = norm.shift.len();
        let width = channels.div_ceil(LANES);
        let (pixels, size) = (x.len() / width, channels / norm.groups);
        let n = (pixels * size) as f32;
        let (mut sums, mut offsets) = (vectors(channels), vectors(channels));
        channel_sums(x, &mut sums, None);
        for (group, [mean, _]) in moments.iter_mut().enumerate() {
            let members = group * size..(group + 1) * size;
            let shifts = norm.shift[members.clone()].iter().sum::<f32>() * pixels as f32;
            *mean = (sums.as_flattened()[members.clone()].iter().sum::<f32>() + shifts) / n;
            for c in members {
                offsets.as_flattened_mut()[c] = norm.shift[c] - *mean;
            }
        }
        channel_sums(x, &mut sums, Some(&offsets));
        // z = factor x + summand.
        let (factors, summands) = (sums.as_flattened_mut(), offsets.as_flattened_mut());
        for (group, [_, scale]) in moments.iter_mut().enumerate() {
            let members = group * size..(group + 1) * size;
            let variance = factors[members.clone()].iter().sum::<f32>() / n;
            *scale = 1.0 / (variance + norm.epsilon).sqrt();
            for c in members {
                factors[c] = *scale * norm.weight[c];
                summands[c] = summands[c] * factors[c] + norm.bias[c];
            }
        }
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            for (v, (x, y)) in x.iter().zip(y).enumerate() {
                let (factor, summand) = (&sums[v], &offsets[v]);
                for l in 0..LANES {
                    let z = x[l].mul_add(factor[l], summand[l]);
                    y[l] = z * sigmoid(z);
                }
            }
        }
    }
}

/// What the backward pass of one image fills (`x`, `shift`) or adds to.
struct NormGradients<'a> {
    x: &'a mut [Lanes],
    shift: &'a mut [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

vectorised! {
    fn backward(norm: ImageNorm, moments: &[[f32; 2]], x: &[Lanes], gradient: &[Lanes], out: NormGradients) {
        let channels = norm.shift.len();
        let width = channels.div_ceil(LANES);
        let (pixels, size) = (x.len() / width, channels / norm.groups);
        let n = (pixels * size) as f32;
        let (mut totals, mut totals_x) = (vectors(channels), vectors(channels));
        let (mut scales, mut offsets) = (vectors(channels), vectors(channels));
        let (mut weights, mut biases) = (vectors(channels), vectors(channels));
        weights.as_flattened_mut()[..channels].copy_from_slice(norm.weight);
        biases.as_flattened_mut()[..channels].copy_from_slice(norm.bias);
        for c in 0..channels {
            let [mean, scale] = moments[c / size];
            scales.as_flattened_mut()[c] = scale;
            offsets.as_flattened_mut()[c] = (norm.shift[c] - mean) * scale;
        }
        // First the gradient of z, kept in out.x, and its sums alone and times x̂, the normalised map.
        for v in 0..width {
            let (scale, offset, weight, bias) = (scales[v], offsets[v], weights[v], biases[v]);
            let (mut sums, mut sums_x) = ([0f32; LANES], [0f32; LANES]);
            let maps = x.iter().zip(gradient).zip(out.x.iter_mut());
            for ((x, dy), dz) in maps.skip(v).step_by(width) {
                for l in 0..LANES {
                    let normal = x[l].mul_add(scale[l], offset[l]);
                    let z = normal.mul_add(weight[l], bias[l]);
                    let s = sigmoid(z);
                    let value = dy[l] * s * (z - z * s + 1.0);
                    dz[l] = value;
                    sums[l] += value;
                    sums_x[l] += value * normal;
                }
            }
            (totals[v], totals_x[v]) = (sums, sums_x);
        }
        // Then dx = scale (weight dz - mean_dx - x̂ mean_dx_x), and its sum over the pixels for the shift.
        let (totals, totals_x) = (totals.as_flattened(), totals_x.as_flattened());
        let (mut of_dz, mut of_x, mut constants) =
            (vectors(channels), vectors(channels), vectors(channels));
        for group in 0..norm.groups {
            let members = group * size..(group + 1) * size;
            let (mut mean_dx, mut mean_dx_x) = (0f32, 0f32);
            for c in members.clone() {
                out.bias[c] += totals[c];
                out.weight[c] += totals_x[c];
                mean_dx += totals[c] * norm.weight[c] / n;
                mean_dx_x += totals_x[c] * norm.weight[c] / n;
            }
            for c in members {
                let (scale, offset) = (scales.as_flattened()[c], offsets.as_flattened()[c]);
                of_dz.as_flattened_mut()[c] = scale * norm.weight[c];
                of_x.as_flattened_mut()[c] = -scale * scale * mean_dx_x;
                constants.as_flattened_mut()[c] = -scale * (mean_dx + offset * mean_dx_x);
            }
        }
        let mut shifts = vectors(channels);
        for v in 0..width {
            let (of_dz, of_x, constant) = (of_dz[v], of_x[v], constants[v]);
            let mut sums = [0f32; LANES];
            for (x, dx) in x.iter().zip(out.x.iter_mut()).skip(v).step_by(width) {
                for l in 0..LANES {
                    dx[l] = dx[l].mul_add(of_dz[l], x[l].mul_add(of_x[l], constant[l]));
                    sums[l] += dx[l];
                }
            }
            shifts[v] = sums;
        }
        out.shift.copy_from_slice(&shifts.as_flattened()[..channels]);
    }
}

/// The norms of a batch of images.
#[derive(Clone, Copy)]
pub(super) struct BatchNorms<'a> {
    /// `[batch, channels]`.
    pub shift: &'a [f32],
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub groups: usize,
    pub epsilon: f32,
}

impl<'a> BatchNorms<'a> {
    fn channels(&self) -> usize {
        self.weight.len()
    }

    fn image(&self, image: usize) -> ImageNorm<'a> {
        let Self { shift, weight, bias, groups, epsilon } = *self;
        let channels = self.channels();
        ImageNorm { shift: &shift[image * channels..][..channels], weight, bias, groups, epsilon }
    }

    /// The maps of a few images from `first` on, one after another, and the mean of each group with one over its
    /// standard deviation.
    pub fn forward(&self, first: usize, x: &[f32], y: &mut [f32], moments: &mut [[f32; 2]]) {
        let map = x.len() / (moments.len() / self.groups);
        let maps = x.chunks_exact(map).zip(y.chunks_exact_mut(map));
        for (i, ((x, y), moments)) in maps.zip(moments.chunks_exact_mut(self.groups)).enumerate() {
            let norm = self.image(first + i);
            if self.channels().is_multiple_of(LANES) {
                forward(norm, x.as_chunks().0, y.as_chunks_mut().0, moments);
            } else {
                let x = whole_vectors(x, self.channels());
                let mut wide = vec![0f32; x.len()];
                forward(norm, x.as_chunks().0, wide.as_chunks_mut().0, moments);
                without_filling(&wide, self.channels(), y);
            }
        }
    }

    /// The gradients: of the maps, into `of_x`, and of shift, weight and bias.
    pub fn backward(
        &self,
        x: &[f32],
        moments: &[[f32; 2]],
        gradient: &[f32],
        of_x: &mut [f32],
        buffers: &Buffers,
    ) -> [Values; 3] {
        let channels = self.channels();
        let batch = moments.len() / self.groups;
        let map = x.len() / batch;
        let mut of_shift = buffers.take(batch * channels);
        // Sixteen sums at most, however many threads there are.
        let share = batch.div_ceil(16);
        let sums: Vec<Vec<f32>> = of_x
            .par_chunks_mut(share * map)
            .zip(of_shift.par_chunks_mut(share * channels))
            .enumerate()
            .map(|(i, (of_x, of_shift))| {
                let mut sum = vec![0f32; 2 * channels];
                let (of_weight, of_bias) = sum.split_at_mut(channels);
                let parts = of_x.chunks_exact_mut(map).zip(of_shift.chunks_exact_mut(channels));
                for (image, (of_x, of_shift)) in (i * share..).zip(parts) {
                    let moments = &moments[image * self.groups..][..self.groups];
                    let x = whole_vectors(&x[image * map..][..map], channels);
                    let gradient = whole_vectors(&gradient[image * map..][..map], channels);
                    let (x, gradient) = (x.as_chunks().0, gradient.as_chunks().0);
                    let (weight, bias) = (&mut *of_weight, &mut *of_bias);
                    let norm = self.image(image);
                    if channels.is_multiple_of(LANES) {
                        let of_x = of_x.as_chunks_mut().0;
                        let out = NormGradients { x: of_x, shift: of_shift, weight, bias };
                        backward(norm, moments, x, gradient, out);
                    } else {
                        let mut wide = vec![[0f32; LANES]; x.len()];
                        let out = NormGradients { x: &mut wide, shift: of_shift, weight, bias };
                        backward(norm, moments, x, gradient, out);
                        without_filling(wide.as_flattened(), channels, of_x);
                    }
                }
                sum
            })
            .collect();
        let (mut of_weight, mut of_bias) = (buffers.take(channels), buffers.take(channels));
        of_weight.fill(0.0);
        of_bias.fill(0.0);
        for sum in sums {
            let totals = of_weight.iter_mut().chain(of_bias.iter_mut());
            for (total, part) in totals.zip(sum) {
                *total += part;
            }
        }
        [of_shift, of_weight, of_bias]
    }
}

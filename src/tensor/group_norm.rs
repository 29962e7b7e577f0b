//! Group normalisation with the shift before it and the SiLU after it.

use super::lanes::{LANES, Lanes, sigmoid, vectorised};
use super::{contiguous, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Mutex;

/// What [`group_norm_silu`] does to a feature map beside its SiLU.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// `[batch, channels]`, added before the normalisation and constant over the pixels: the projected time embedding.
    pub shift: &'a Tensor,
    /// `[channels]`: the factor after the normalisation.
    pub weight: &'a Tensor,
    /// `[channels]`: the summand after the normalisation.
    pub bias: &'a Tensor,
    /// How many groups the channels are normalised in.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Norm<'_> {
    /// The shape of the map `x`, if the rest fits it.
    pub(super) fn check(&self, x: &[usize]) -> Result<[usize; 4]> {
        let &[batch, height, width, channels] = x else {
            return Err(Error::shape("x", x, "[batch, height, width, channels]"));
        };
        if self.groups == 0 || channels % self.groups != 0 {
            let expected = format!("a divisor of the {channels} channels");
            return Err(Error::argument("groups", self.groups, expected));
        }
        if self.shift.dims() != [batch, channels] {
            let expected = format!("[{batch}, {channels}]");
            return Err(Error::shape("shift", self.shift.dims(), expected));
        }
        for (name, tensor) in [("weight", self.weight), ("bias", self.bias)] {
            if tensor.dims() != [channels] {
                return Err(Error::shape(name, tensor.dims(), format!("[{channels}]")));
            }
        }
        Ok([batch, height, width, channels])
    }

    /// Shift, weight and bias in one tensor `[batch + 2, channels]`, as the kernels take them.
    pub(super) fn packed(&self) -> Result<Tensor> {
        let (weight, bias) = (self.weight.unsqueeze(0)?, self.bias.unsqueeze(0)?);
        Ok(Tensor::cat(&[self.shift, &weight, &bias], 0)?)
    }

    /// The same by candle's ops.
    pub(super) fn compose(&self, x: &Tensor) -> Result<Tensor> {
        let [batch, height, width, channels] = self.check(x.dims())?;
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
    norm.check(x.dims())?;
    if !own_kernel(x) {
        return norm.compose(x);
    }
    let op = GroupNormSilu {
        groups: norm.groups,
        epsilon: norm.epsilon as f32,
        moments: Mutex::default(),
    };
    Ok(x.contiguous()?.apply_op2(&norm.packed()?, op)?)
}

pub(super) fn own_kernel(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.elem_count() > 0
}

/// What is done to one image's feature map `[pixels, channels]`.
#[derive(Clone, Copy)]
struct ImageNorm<'a> {
    shift: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    pub groups: usize,
    pub epsilon: f32,
}

/// Calls `f` with the numbers of sixteen channels from `from` on, pixel by pixel; with fewer where there are no more,
/// filled up with zeros.
#[inline(always)]
fn each_pixel(x: &[f32], channels: usize, from: usize, mut f: impl FnMut(usize, &Lanes)) {
    let width = LANES.min(channels - from);
    for (pixel, x) in x.chunks_exact(channels).enumerate() {
        match x[from..].first_chunk::<LANES>() {
            Some(x) => f(pixel, x),
            None => {
                let mut lanes = [0f32; LANES];
                lanes[..width].copy_from_slice(&x[from..]);
                f(pixel, &lanes);
            }
        }
    }
}

/// Sixteen numbers of `x` from `from` on, filled up with zeros.
#[inline(always)]
fn lanes_of(x: &[f32], from: usize) -> Lanes {
    let mut lanes = [0f32; LANES];
    let width = LANES.min(x.len() - from);
    lanes[..width].copy_from_slice(&x[from..][..width]);
    lanes
}

/// `out[c] = Σ f(x, c)` over the pixels of each channel.
#[inline(always)]
fn channel_sums(x: &[f32], out: &mut [f32], offset: &[f32], f: impl Fn(f32, f32) -> f32) {
    let channels = out.len();
    for from in (0..channels).step_by(LANES) {
        let offset = lanes_of(offset, from);
        // Four running sums: one alone would wait for itself.
        let mut sums = [[0f32; LANES]; 4];
        each_pixel(x, channels, from, |pixel, x| {
            let sums = &mut sums[pixel % 4];
            for l in 0..LANES {
                sums[l] += f(x[l], offset[l]);
            }
        });
        let width = LANES.min(channels - from);
        for l in 0..width {
            out[from + l] = (sums[0][l] + sums[1][l]) + (sums[2][l] + sums[3][l]);
        }
    }
}

vectorised! {
    /// `y = SiLU(GroupNorm(x + shift))` of one image; the moments in two passes, which cancel no digits.
    fn forward(norm: ImageNorm, x: &[f32], y: &mut [f32], moments: &mut [[f32; 2]]) {
        let channels = norm.shift.len();
        let (pixels, size) = (x.len() / channels, channels / norm.groups);
        let n = (pixels * size) as f32;
        let mut sums = vec![0f32; channels];
        let mut offsets = vec![0f32; channels];
        channel_sums(x, &mut sums, &offsets, |x, _| x);
        for group in 0..norm.groups {
            let members = group * size..(group + 1) * size;
            let shifts = norm.shift[members.clone()].iter().sum::<f32>() * pixels as f32;
            let mean = (sums[members.clone()].iter().sum::<f32>() + shifts) / n;
            moments[group][0] = mean;
            for c in members {
                offsets[c] = norm.shift[c] - mean;
            }
        }
        channel_sums(x, &mut sums, &offsets, |x, offset| (x + offset) * (x + offset));
        // z = factor x + summand.
        let (factors, summands) = (&mut sums, &mut offsets);
        for group in 0..norm.groups {
            let members = group * size..(group + 1) * size;
            let variance = factors[members.clone()].iter().sum::<f32>() / n;
            let scale = 1.0 / (variance + norm.epsilon).sqrt();
            moments[group][1] = scale;
            for c in members {
                factors[c] = scale * norm.weight[c];
                summands[c] = summands[c] * factors[c] + norm.bias[c];
            }
        }
        let silu = |x: f32, factor: f32, summand: f32| {
            let z = x.mul_add(factor, summand);
            z * sigmoid(z)
        };
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            let (xs, x_rest) = x.as_chunks::<LANES>();
            let (ys, y_rest) = y.as_chunks_mut::<LANES>();
            let (fs, f_rest) = factors.as_chunks::<LANES>();
            let (ss, s_rest) = summands.as_chunks::<LANES>();
            for (((x, y), f), s) in xs.iter().zip(ys).zip(fs).zip(ss) {
                for l in 0..LANES {
                    y[l] = silu(x[l], f[l], s[l]);
                }
            }
            for (((x, y), f), s) in x_rest.iter().zip(y_rest).zip(f_rest).zip(s_rest) {
                *y = silu(*x, *f, *s);
            }
        }
    }
}

/// What the backward pass of one image fills or adds to.
struct NormGradients<'a> {
    x: &'a mut [f32],
    shift: &'a mut [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

vectorised! {
    fn backward(norm: ImageNorm, moments: &[[f32; 2]], x: &[f32], gradient: &[f32], out: NormGradients) {
        let channels = norm.shift.len();
        let (pixels, size) = (x.len() / channels, channels / norm.groups);
        let n = (pixels * size) as f32;
        let (mut totals, mut totals_x) = (vec![0f32; channels], vec![0f32; channels]);
        let (mut scales, mut offsets) = (vec![0f32; channels], vec![0f32; channels]);
        for c in 0..channels {
            let [mean, scale] = moments[c / size];
            scales[c] = scale;
            offsets[c] = (norm.shift[c] - mean) * scale;
        }
        // First the gradient of z, kept in out.x, and its sums alone and times x̂, the normalised map.
        for from in (0..channels).step_by(LANES) {
            let width = LANES.min(channels - from);
            let (scale, offset) = (lanes_of(&scales, from), lanes_of(&offsets, from));
            let (weight, bias) = (lanes_of(norm.weight, from), lanes_of(norm.bias, from));
            let (mut sums, mut sums_x) = ([0f32; LANES], [0f32; LANES]);
            each_pixel(x, channels, from, |pixel, x| {
                let at = pixel * channels + from;
                let mut add = |dy: &Lanes, dz: &mut Lanes| {
                    for l in 0..LANES {
                        let normal = x[l].mul_add(scale[l], offset[l]);
                        let z = normal.mul_add(weight[l], bias[l]);
                        let s = sigmoid(z);
                        let v = dy[l] * s * (z - z * s + 1.0);
                        dz[l] = v;
                        sums[l] += v;
                        sums_x[l] += v * normal;
                    }
                };
                if width == LANES {
                    let dy = gradient[at..].first_chunk().expect("as long as x");
                    add(dy, out.x[at..].first_chunk_mut().expect("as long as x"));
                } else {
                    // Where dy is filled up with zeros, nothing is added to the sums.
                    let (mut dy, mut dz) = ([0f32; LANES], [0f32; LANES]);
                    dy[..width].copy_from_slice(&gradient[at..][..width]);
                    add(&dy, &mut dz);
                    out.x[at..][..width].copy_from_slice(&dz[..width]);
                }
            });
            totals[from..][..width].copy_from_slice(&sums[..width]);
            totals_x[from..][..width].copy_from_slice(&sums_x[..width]);
        }
        // Then dx = scale (weight dz - mean_dx - x̂ mean_dx_x), and its sum over the pixels for the shift.
        let (mut of_dz, mut of_x, mut constants) =
            (vec![0f32; channels], vec![0f32; channels], vec![0f32; channels]);
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
                of_dz[c] = scales[c] * norm.weight[c];
                of_x[c] = -scales[c] * scales[c] * mean_dx_x;
                constants[c] = -scales[c] * (mean_dx + offsets[c] * mean_dx_x);
            }
        }
        for from in (0..channels).step_by(LANES) {
            let width = LANES.min(channels - from);
            let (of_dz, of_x, constant) =
                (lanes_of(&of_dz, from), lanes_of(&of_x, from), lanes_of(&constants, from));
            let mut sums = [[0f32; LANES]; 2];
            each_pixel(x, channels, from, |pixel, x| {
                let at = pixel * channels + from;
                let sums = &mut sums[pixel % 2];
                if width == LANES {
                    let dx: &mut Lanes = out.x[at..].first_chunk_mut().expect("as long as x");
                    for l in 0..LANES {
                        dx[l] = dx[l].mul_add(of_dz[l], x[l].mul_add(of_x[l], constant[l]));
                        sums[l] += dx[l];
                    }
                } else {
                    for (l, dx) in out.x[at..][..width].iter_mut().enumerate() {
                        *dx = dx.mul_add(of_dz[l], x[l].mul_add(of_x[l], constant[l]));
                        sums[l] += *dx;
                    }
                }
            });
            for l in 0..width {
                out.shift[from + l] = sums[0][l] + sums[1][l];
            }
        }
    }
}

/// The norms of a batch of images, out of the packed tensor.
#[derive(Clone, Copy)]
pub(super) struct BatchNorms<'a> {
    pub packed: &'a [f32],
    pub channels: usize,
    pub groups: usize,
    pub epsilon: f32,
}

impl<'a> BatchNorms<'a> {
    fn image(&self, image: usize) -> ImageNorm<'a> {
        let Self { packed, channels, groups, epsilon } = *self;
        let (shift, affine) = packed.split_at(packed.len() - 2 * channels);
        let (weight, bias) = affine.split_at(channels);
        ImageNorm { shift: &shift[image * channels..][..channels], weight, bias, groups, epsilon }
    }

    /// The maps of a few images from `first` on, one after another, and the mean of each group with one over its
    /// standard deviation.
    pub fn forward(&self, first: usize, x: &[f32], y: &mut [f32], moments: &mut [[f32; 2]]) {
        let map = x.len() / (moments.len() / self.groups);
        let maps = x.chunks_exact(map).zip(y.chunks_exact_mut(map));
        for (i, ((x, y), moments)) in maps.zip(moments.chunks_exact_mut(self.groups)).enumerate() {
            forward(self.image(first + i), x, y, moments);
        }
    }

    /// The gradients of the maps and of the packed tensor.
    pub fn backward(
        &self,
        x: &[f32],
        moments: &[[f32; 2]],
        gradient: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let channels = self.channels;
        let batch = moments.len() / self.groups;
        let map = x.len() / batch;
        let mut of_x = vec![0f32; x.len()];
        let mut of_packed = vec![0f32; self.packed.len()];
        let (of_shift, of_affine) = of_packed.split_at_mut(batch * channels);
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
                    let (x, gradient) = (&x[image * map..][..map], &gradient[image * map..][..map]);
                    let out = NormGradients {
                        x: of_x,
                        shift: of_shift,
                        weight: of_weight,
                        bias: of_bias,
                    };
                    backward(self.image(image), moments, x, gradient, out);
                }
                sum
            })
            .collect();
        for sum in sums {
            for (total, part) in of_affine.iter_mut().zip(sum) {
                *total += part;
            }
        }
        (of_x, of_packed)
    }
}

struct GroupNormSilu {
    groups: usize,
    epsilon: f32,
    /// Of the forward pass, for the backward one.
    moments: Mutex<Vec<[f32; 2]>>,
}

impl CustomOp2 for GroupNormSilu {
    fn name(&self) -> &'static str {
        "scorebook-group-norm-silu"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, height, width, channels) = l1.shape().dims4()?;
        let (x, packed) = (contiguous(s1, l1)?, contiguous(s2, l2)?);
        let Self { groups, epsilon, .. } = *self;
        let norms = BatchNorms { packed, channels, groups, epsilon };
        let map = height * width * channels;
        let mut y = vec![0f32; x.len()];
        let mut moments = vec![[0f32; 2]; batch * groups];
        let maps = y.par_chunks_mut(map).zip(x.par_chunks(map));
        maps.zip(moments.par_chunks_mut(groups))
            .enumerate()
            .for_each(|(image, ((y, x), moments))| norms.forward(image, x, y, moments));
        *self.moments.lock().expect("no thread panics with it") = moments;
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        packed: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let Self { groups, epsilon, .. } = *self;
        let channels = packed.dim(1)?;
        let moments = self.moments.lock().expect("no thread panics with it");
        let (of_x, of_packed) = with_values(x, |x| {
            with_values(packed, |packed| {
                with_values(gradient, |gradient| {
                    let norms = BatchNorms { packed, channels, groups, epsilon };
                    Ok(norms.backward(x, &moments, gradient))
                })
            })
        })?;
        Ok((
            Some(Tensor::from_vec(of_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(of_packed, packed.shape(), packed.device())?),
        ))
    }
}

//! Group normalisation fused with what stands before and after it in a block of a U-Net.

use super::lanes::{LANES, Lanes, sigmoid, sum, vectorised};
use super::{contiguous, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Shape, Tensor};
use rayon::prelude::*;

/// `SiLU(GroupNorm(x + shift))`, with `SiLU(z) = z / (1 + e^{-z})`: what a U-Net's block does with a feature map.
///
/// `x` is `[batch, channels, height, width]`; `shift` `[batch, channels]` is the projected time embedding, constant over
/// the pixels; the channels are normalised in `groups` groups (Wu & He 2018) to `(x - mean) / √(variance + epsilon)`,
/// then scaled by `weight` `[channels]` and moved by `bias` `[channels]`. One pass each way instead of a dozen
/// broadcasts: in F32 on the CPU our own kernel, elsewhere candle's ops. Differentiable in all four tensors.
///
/// # Errors
/// If the shapes do not fit each other or `groups` does not divide the channels.
///
/// ```
/// use scorebook::{prelude::*, tensor};
///
/// let x = Tensor::arange(0f32, 8., &Device::Cpu)?.reshape((1, 2, 2, 2))?;
/// let shift = Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?;
/// let (weight, bias) = (Tensor::new(&[1f32, 1.], &Device::Cpu)?, Tensor::new(&[0f32, 0.], &Device::Cpu)?);
/// let y = tensor::group_norm_silu(&x, &shift, &weight, &bias, 2, 1e-5)?;
/// // Each channel holds four numbers a unit apart: normalised, the first is -1.5 / √1.25.
/// let z = -1.5 / 1.25f64.sqrt();
/// let first = y.flatten_all()?.to_vec1::<f32>()?[0] as f64;
/// assert!((first - z / (1. + (-z).exp())).abs() < 1e-5);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn group_norm_silu(
    x: &Tensor,
    shift: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    groups: usize,
    epsilon: f64,
) -> Result<Tensor> {
    let &[batch, channels, height, width] = x.dims() else {
        return Err(Error::shape("x", x.dims(), "[batch, channels, height, width]"));
    };
    if groups == 0 || channels % groups != 0 {
        let expected = format!("a divisor of the {channels} channels");
        return Err(Error::argument("groups", groups, expected));
    }
    if shift.dims() != [batch, channels] {
        return Err(Error::shape("shift", shift.dims(), format!("[{batch}, {channels}]")));
    }
    if weight.dims() != [channels] {
        return Err(Error::shape("weight", weight.dims(), format!("[{channels}]")));
    }
    if bias.dims() != [channels] {
        return Err(Error::shape("bias", bias.dims(), format!("[{channels}]")));
    }
    if x.device().is_cpu() && x.dtype() == DType::F32 && x.elem_count() > 0 {
        let affine = Tensor::stack(&[weight, bias], 0)?;
        let op = GroupNormSilu { groups, epsilon: epsilon as f32 };
        return Ok(x.contiguous()?.apply_op3(&shift.contiguous()?, &affine, op)?);
    }
    let x = x.broadcast_add(&shift.reshape((batch, channels, 1, 1))?)?;
    let x = x.reshape((batch, groups, channels / groups * height * width))?;
    let x = x.broadcast_sub(&x.mean_keepdim(2)?)?;
    let x = x.broadcast_div(&(x.sqr()?.mean_keepdim(2)? + epsilon)?.sqrt()?)?;
    let x = x.reshape((batch, channels, height, width))?;
    let z = x
        .broadcast_mul(&weight.reshape((1, channels, 1, 1))?)?
        .broadcast_add(&bias.reshape((1, channels, 1, 1))?)?;
    Ok(z.silu()?)
}

struct GroupNormSilu {
    groups: usize,
    epsilon: f32,
}

/// One image's feature map and what is done to it.
#[derive(Clone, Copy)]
struct Image<'a> {
    x: &'a [f32],
    shift: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    groups: usize,
    epsilon: f32,
}

impl Image<'_> {
    /// The mean of a group and one over its standard deviation, in two passes, which cancel no digits.
    #[inline(always)]
    fn moments(&self, channels: std::ops::Range<usize>, pixels: usize) -> (f32, f32) {
        let n = (channels.len() * pixels) as f32;
        let mut mean = 0f32;
        for c in channels.clone() {
            mean += sum(&self.x[c * pixels..][..pixels], |x| x) + self.shift[c] * pixels as f32;
        }
        mean /= n;
        let mut variance = 0f32;
        for c in channels {
            let offset = self.shift[c] - mean;
            variance += sum(&self.x[c * pixels..][..pixels], |x| (x + offset) * (x + offset));
        }
        (mean, 1.0 / (variance / n + self.epsilon).sqrt())
    }
}

/// Calls `f` on `LANES` inputs and outputs at a time; a rest is padded with zeros.
#[inline(always)]
fn map(x: &[f32], y: &mut [f32], f: impl Fn(&Lanes, &mut Lanes)) {
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (ys, y_rest) = y.as_chunks_mut::<LANES>();
    for (x, y) in xs.iter().zip(ys) {
        f(x, y);
    }
    if !x_rest.is_empty() {
        let (mut x, mut y) = ([0f32; LANES], [0f32; LANES]);
        x[..x_rest.len()].copy_from_slice(x_rest);
        y[..x_rest.len()].copy_from_slice(y_rest);
        f(&x, &mut y);
        y_rest.copy_from_slice(&y[..x_rest.len()]);
    }
}

vectorised! {
    fn forward(image: Image, y: &mut [f32]) {
        let channels = image.shift.len();
        let pixels = image.x.len() / channels;
        let size = channels / image.groups;
        for group in 0..image.groups {
            let members = group * size..(group + 1) * size;
            let (mean, scale) = image.moments(members.clone(), pixels);
            for c in members {
                let a = scale * image.weight[c];
                let b = (image.shift[c] - mean) * a + image.bias[c];
                map(&image.x[c * pixels..][..pixels], &mut y[c * pixels..][..pixels], |x, y| {
                    for (x, y) in x.iter().zip(y) {
                        let z = x.mul_add(a, b);
                        *y = z * sigmoid(z);
                    }
                });
            }
        }
    }
}

/// What the backward pass of one image fills or adds to.
struct Gradients<'a> {
    x: &'a mut [f32],
    shift: &'a mut [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

vectorised! {
    fn backward(image: Image, gradient: &[f32], out: Gradients) {
        let channels = image.shift.len();
        let pixels = image.x.len() / channels;
        let size = channels / image.groups;
        let n = (size * pixels) as f32;
        for group in 0..image.groups {
            let members = group * size..(group + 1) * size;
            let (mean, scale) = image.moments(members.clone(), pixels);
            // First the gradient of z, kept in out.x, and its sums alone and times x̂, the normalised map.
            let (mut mean_dx, mut mean_dx_x) = (0f32, 0f32);
            for c in members.clone() {
                let (weight, bias) = (image.weight[c], image.bias[c]);
                let offset = (image.shift[c] - mean) * scale;
                let (mut sums, mut sums_x) = ([0f32; LANES], [0f32; LANES]);
                let mut add = |x: &Lanes, dy: &Lanes, dz: &mut Lanes| {
                    for i in 0..LANES {
                        let normal = x[i].mul_add(scale, offset);
                        let z = normal.mul_add(weight, bias);
                        let s = sigmoid(z);
                        let v = dy[i] * s * (z - z * s + 1.0);
                        dz[i] = v;
                        sums[i] += v;
                        sums_x[i] += v * normal;
                    }
                };
                let (xs, x_rest) = image.x[c * pixels..][..pixels].as_chunks::<LANES>();
                let (dys, dy_rest) = gradient[c * pixels..][..pixels].as_chunks::<LANES>();
                let (dzs, dz_rest) = out.x[c * pixels..][..pixels].as_chunks_mut::<LANES>();
                for ((x, dy), dz) in xs.iter().zip(dys).zip(dzs) {
                    add(x, dy, dz);
                }
                if !x_rest.is_empty() {
                    // Where dy is padded with zeros, nothing is added to the sums.
                    let (mut x, mut dy, mut dz) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
                    x[..x_rest.len()].copy_from_slice(x_rest);
                    dy[..dy_rest.len()].copy_from_slice(dy_rest);
                    add(&x, &dy, &mut dz);
                    dz_rest.copy_from_slice(&dz[..x_rest.len()]);
                }
                let (total, total_x) = (sums.iter().sum::<f32>(), sums_x.iter().sum::<f32>());
                out.bias[c] += total;
                out.weight[c] += total_x;
                mean_dx += total * weight / n;
                mean_dx_x += total_x * weight / n;
            }
            // Then dx = scale (weight dz - mean_dx - x̂ mean_dx_x), and its sum over the pixels for the shift.
            for c in members {
                let offset = (image.shift[c] - mean) * scale;
                let of_dz = scale * image.weight[c];
                let constant = -scale * (mean_dx + offset * mean_dx_x);
                let of_x = -scale * scale * mean_dx_x;
                let dx = &mut out.x[c * pixels..][..pixels];
                map(&image.x[c * pixels..][..pixels], dx, |x, dx| {
                    for (x, dx) in x.iter().zip(dx) {
                        *dx = dx.mul_add(of_dz, x.mul_add(of_x, constant));
                    }
                });
                out.shift[c] = sum(dx, |dx| dx);
            }
        }
    }
}

impl CustomOp3 for GroupNormSilu {
    fn name(&self) -> &'static str {
        "scorebook-group-norm-silu"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (_, channels, height, width) = l1.shape().dims4()?;
        let (x, shift, affine) =
            (contiguous(s1, l1)?, contiguous(s2, l2)?, contiguous::<f32>(s3, l3)?);
        let (weight, bias) = affine.split_at(channels);
        let map = channels * height * width;
        let mut y = vec![0f32; x.len()];
        y.par_chunks_mut(map).zip(x.par_chunks(map)).zip(shift.par_chunks(channels)).for_each(
            |((y, x), shift)| {
                let (groups, epsilon) = (self.groups, self.epsilon);
                forward(Image { x, shift, weight, bias, groups, epsilon }, y)
            },
        );
        Ok((CpuStorage::F32(y), l1.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        shift: &Tensor,
        affine: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, channels, height, width) = x.dims4()?;
        let map = channels * height * width;
        let mut of_x = vec![0f32; batch * map];
        let mut of_shift = vec![0f32; batch * channels];
        let of_affine = with_values(x, |x| {
            with_values(shift, |shift| {
                with_values(affine, |affine: &[f32]| {
                    with_values(gradient, |gradient| {
                        let (weight, bias) = affine.split_at(channels);
                        // Sixteen sums at most, however many threads there are.
                        let share = batch.div_ceil(16);
                        let sums: Vec<Vec<f32>> = of_x
                            .par_chunks_mut(share * map)
                            .zip(of_shift.par_chunks_mut(share * channels))
                            .zip(x.par_chunks(share * map))
                            .zip(shift.par_chunks(share * channels))
                            .zip(gradient.par_chunks(share * map))
                            .map(|((((of_x, of_shift), x), shift), gradient)| {
                                let mut sum = vec![0f32; 2 * channels];
                                let (of_weight, of_bias) = sum.split_at_mut(channels);
                                for (i, of_x) in of_x.chunks_mut(map).enumerate() {
                                    let image = Image {
                                        x: &x[i * map..][..map],
                                        shift: &shift[i * channels..][..channels],
                                        weight,
                                        bias,
                                        groups: self.groups,
                                        epsilon: self.epsilon,
                                    };
                                    let out = Gradients {
                                        x: of_x,
                                        shift: &mut of_shift[i * channels..][..channels],
                                        weight: of_weight,
                                        bias: of_bias,
                                    };
                                    backward(image, &gradient[i * map..][..map], out);
                                }
                                sum
                            })
                            .collect();
                        let mut total = vec![0f32; 2 * channels];
                        for sum in sums {
                            for (total, part) in total.iter_mut().zip(sum) {
                                *total += part;
                            }
                        }
                        Ok(total)
                    })
                })
            })
        })?;
        Ok((
            Some(Tensor::from_vec(of_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(of_shift, shift.shape(), shift.device())?),
            Some(Tensor::from_vec(of_affine, affine.shape(), affine.device())?),
        ))
    }
}

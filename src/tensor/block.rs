//! A convolution with what follows it in a block of a U-Net.

use super::convolution::{Convolution, outer};
use super::group_norm::{BatchNorms, Norm, own_kernel};
use super::{contiguous, with_values};
use crate::Result;
use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Mutex;

/// A convolution, then [`group_norm_silu`](super::group_norm_silu) of its result, as one op: the map between the two
/// stays in the processor's cache on the way forward, and has no gradient of its own in the graph on the way back.
///
/// `x` and the result are `[batch, height, width, channels]`. Differentiable in all five tensors.
///
/// # Errors
/// As those of its parts.
///
/// ```
/// use scorebook::{prelude::*, random::Generator, tensor::{self, Convolution, Norm}};
///
/// let mut generator = Generator::new(1);
/// let x = generator.normal((2, 6, 6, 3), &Device::Cpu)?;
/// let kernel = generator.normal((4, 3, 3, 3), &Device::Cpu)?;
/// let shift = generator.normal((2, 4), &Device::Cpu)?;
/// let ones = Tensor::ones(4, DType::F32, &Device::Cpu)?;
/// let norm = Norm { shift: &shift, weight: &ones, bias: &ones, groups: 2, epsilon: 1e-5 };
/// let convolution = Convolution { stride: 2, padding: 1, transposed: None };
/// let y = tensor::conv_norm_silu(&x, &kernel, convolution, &norm)?;
/// let parts = tensor::group_norm_silu(&convolution.apply(&x, &kernel)?, &norm)?;
/// assert_eq!((y - parts)?.abs()?.max_all()?.to_scalar::<f32>()?, 0.);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn conv_norm_silu(
    x: &Tensor,
    kernel: &Tensor,
    convolution: Convolution,
    norm: &Norm,
) -> Result<Tensor> {
    let output = convolution.output(&convolution.geometry(x.dims(), kernel.dims())?);
    norm.check(&output)?;
    if !own_kernel(x) {
        return norm.compose(&convolution.apply(x, kernel)?);
    }
    let packed = norm.packed()?;
    let keep = x.track_op() || kernel.track_op() || packed.track_op();
    let (groups, epsilon) = (norm.groups, norm.epsilon as f32);
    let op = Block { convolution, groups, epsilon, keep, kept: Mutex::default() };
    Ok(x.contiguous()?.apply_op3(&kernel.contiguous()?, &packed, op)?)
}

struct Block {
    convolution: Convolution,
    groups: usize,
    epsilon: f32,
    /// Whether there will be a backward pass.
    keep: bool,
    kept: Mutex<Kept>,
}

/// Of the forward pass, for the backward one.
#[derive(Default)]
struct Kept {
    /// The convolution's result.
    map: Vec<f32>,
    moments: Vec<[f32; 2]>,
}

impl CustomOp3 for Block {
    fn name(&self) -> &'static str {
        "scorebook-block"
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
        let Self { convolution, groups, epsilon, .. } = *self;
        let g = convolution.geometry(l1.dims(), l2.dims()).map_err(outer)?;
        let output = convolution.output(&g);
        let (x, kernel, packed) = (contiguous(s1, l1)?, contiguous(s2, l2)?, contiguous(s3, l3)?);
        let norms = BatchNorms { packed, channels: output[3], groups, epsilon };
        let production = convolution.production(&g, kernel);
        let count = output.iter().product();
        let mut y = vec![0f32; count];
        let mut moments = vec![[0f32; 2]; g.batch * groups];
        let mut map = vec![0f32; if self.keep { count } else { 0 }];
        let (chunk, images) = (production.chunk(), production.images());
        if self.keep {
            let goals = y.par_chunks_mut(chunk).zip(map.par_chunks_mut(chunk));
            let goals = goals.zip(moments.par_chunks_mut(images * groups)).enumerate();
            production.make_each(x, goals, |(i, ((y, map), moments)), product| {
                product(map);
                norms.forward(i * images, map, y, moments);
            });
        } else {
            let goals = y.par_chunks_mut(chunk).zip(moments.par_chunks_mut(images * groups));
            production.make_each(x, goals.enumerate(), |(i, (y, moments)), product| {
                let mut map = vec![0f32; y.len()];
                product(&mut map);
                norms.forward(i * images, &map, y, moments);
            });
        }
        *self.kept.lock().expect("no thread panics with it") = Kept { map, moments };
        Ok((CpuStorage::F32(y), Shape::from(output.to_vec())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        packed: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Self { convolution, groups, epsilon, .. } = *self;
        let g = convolution.geometry(x.dims(), kernel.dims()).map_err(outer)?;
        let channels = packed.dim(1)?;
        let kept = self.kept.lock().expect("no thread panics with it");
        let (of_map, of_packed) = with_values(packed, |packed| {
            with_values(gradient, |gradient| {
                let norms = BatchNorms { packed, channels, groups, epsilon };
                Ok(norms.backward(&kept.map, &kept.moments, gradient))
            })
        })?;
        let (of_kernel, of_x) = with_values(x, |values| {
            with_values(kernel, |kernel| {
                Ok(convolution.gradients(&g, values, kernel, &of_map, x.track_op()))
            })
        })?;
        let of_x = of_x.map(|values| Tensor::from_vec(values, x.shape(), x.device()));
        Ok((
            of_x.transpose()?,
            Some(Tensor::from_vec(of_kernel, kernel.shape(), kernel.device())?),
            Some(Tensor::from_vec(of_packed, packed.shape(), packed.device())?),
        ))
    }
}

//! The updates of training, in place: the optimisers' steps and the moving average of the weights.

use super::lanes::{own_kernels, vectorised};
use super::{PIECE, values, with_values};
use crate::Result;
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Tensor, Var};
use rayon::prelude::*;
use std::cell::RefCell;

/// One step of Adam (Kingma & Ba 2015, algorithm 1) on one variable, with its two moments: `m ← β₁ m + (1-β₁) g`,
/// `v ← β₂ v + (1-β₂) g²`, `w ← keep · w - rate · m / (√v · root + ε)`, where `rate` and `root` hold the bias corrections
/// `learning_rate / (1-β₁ⁿ)` and `1 / √(1-β₂ⁿ)`. `scale` multiplies the gradient first, which is how it is clipped;
/// `keep` is 1, or less where the weights decay.
pub(crate) struct AdamStep {
    pub scale: f64,
    pub keep: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub rate: f64,
    pub root: f64,
}

pub(crate) fn adam_step(
    step: &AdamStep,
    variable: &Var,
    gradient: &Tensor,
    first: &Var,
    second: &Var,
) -> Result<()> {
    let AdamStep { scale, keep, beta1, beta2, epsilon, rate, root } = *step;
    if is_own(variable) {
        let constants = AdamConstants {
            keep: keep as f32,
            keep_first: beta1 as f32,
            add_first: ((1.0 - beta1) * scale) as f32,
            keep_second: beta2 as f32,
            add_second: ((1.0 - beta2) * scale * scale) as f32,
            rate: rate as f32,
            root: root as f32,
            epsilon: epsilon as f32,
        };
        with_values(gradient, |g: &[f32]| {
            in_place(first, |m| {
                in_place(second, |v| {
                    in_place(variable, |w| {
                        w.par_chunks_mut(PIECE)
                            .zip(m.par_chunks_mut(PIECE))
                            .zip(v.par_chunks_mut(PIECE))
                            .zip(g.par_chunks(PIECE))
                            .for_each(|(((w, m), v), g)| adam(constants, w, m, v, g));
                        Ok(())
                    })
                })
            })
        })?;
        return Ok(());
    }
    let gradient = (gradient.detach() * scale)?;
    first.set(&((first.as_detached_tensor() * beta1)? + (&gradient * (1.0 - beta1))?)?)?;
    second.set(&((second.as_detached_tensor() * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?)?;
    let length = ((second.as_detached_tensor().sqrt()? * root)? + epsilon)?;
    let step = ((first.as_detached_tensor() / length)? * rate)?;
    variable.set(&((variable.as_detached_tensor() * keep)? - step)?)?;
    Ok(())
}

/// One step of gradient descent with momentum on one variable: `m ← momentum · m + scale · g`, `w ← w - rate · m`.
pub(crate) fn momentum_step(
    (momentum, scale, rate): (f64, f64, f64),
    variable: &Var,
    gradient: &Tensor,
    moment: &Var,
) -> Result<()> {
    if is_own(variable) {
        blend_into(moment, gradient, momentum, scale)?;
        return blend_into(variable, moment.as_tensor(), 1.0, -rate);
    }
    let gradient = (gradient.detach() * scale)?;
    moment.set(&((moment.as_detached_tensor() * momentum)? + gradient)?)?;
    let step = (moment.as_detached_tensor() * rate)?;
    variable.set(&(variable.as_detached_tensor() - step)?)?;
    Ok(())
}

/// `average ← decay · average + (1 - decay) · value`.
pub(crate) fn average_into(average: &Var, value: &Tensor, decay: f64) -> Result<()> {
    if is_own(average) {
        return blend_into(average, value, decay, 1.0 - decay);
    }
    let value = value.detach();
    average.set(&((average.as_detached_tensor() * decay)? + (value * (1.0 - decay))?)?)?;
    Ok(())
}

/// The sum of the squares of all numbers of all `tensors`.
pub(crate) fn sum_of_squares<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Result<f64> {
    let (mut total, mut elsewhere) = (0.0, vec![]);
    for tensor in tensors {
        if !is_own(tensor) {
            elsewhere.push(tensor.sqr()?.sum_all()?);
            continue;
        }
        total += with_values(tensor, |x: &[f32]| {
            // The parts are added in their order, however many threads made them.
            let parts: Vec<f64> = x.par_chunks(PIECE).map(squares).collect();
            Ok(parts.iter().sum::<f64>())
        })?;
    }
    if !elsewhere.is_empty() {
        // Fetched from their device at once.
        total += values(&Tensor::stack(&elsewhere, 0)?)?.iter().sum::<f64>();
    }
    Ok(total)
}

/// Whether the kernels here are for it.
fn is_own(x: &Tensor) -> bool {
    own_kernels() && x.device().is_cpu() && x.dtype() == DType::F32
}

/// Calls `change` with the numbers of a variable of F32 on the CPU.
fn in_place(
    variable: &Var,
    change: impl FnMut(&mut [f32]) -> candle_core::Result<()>,
) -> candle_core::Result<()> {
    variable.inplace_op1(&InPlace(RefCell::new(change)))
}

struct InPlace<F>(RefCell<F>);

impl<F: FnMut(&mut [f32]) -> candle_core::Result<()>> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "scorebook-in-place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((from, to))) => {
                (self.0.borrow_mut())(&mut values[from..to])
            }
            _ => candle_core::bail!("a contiguous F32 tensor was expected"),
        }
    }
}

/// `y ← keep · y + add · x`.
fn blend_into(y: &Var, x: &Tensor, keep: f64, add: f64) -> Result<()> {
    let (keep, add) = (keep as f32, add as f32);
    with_values(x, |x: &[f32]| {
        in_place(y, |y| {
            y.par_chunks_mut(PIECE)
                .zip(x.par_chunks(PIECE))
                .for_each(|(y, x)| blend(y, x, keep, add));
            Ok(())
        })
    })?;
    Ok(())
}

vectorised! {
    fn blend(y: &mut [f32], x: &[f32], keep: f32, add: f32) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = keep * *y + add * x;
        }
    }
}

vectorised! {
    fn squares(x: &[f32]) -> f64 {
        // Sixteen running sums: one alone would wait for itself.
        let mut sums = [0f64; 16];
        let (vectors, rest) = x.as_chunks::<16>();
        for x in vectors {
            for l in 0..16 {
                let x = x[l] as f64;
                sums[l] += x * x;
            }
        }
        sums.iter().sum::<f64>() + rest.iter().map(|x| *x as f64 * *x as f64).sum::<f64>()
    }
}

/// The numbers of an [`AdamStep`] as they meet the gradient.
#[derive(Clone, Copy)]
struct AdamConstants {
    keep: f32,
    keep_first: f32,
    add_first: f32,
    keep_second: f32,
    add_second: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
}

vectorised! {
    fn adam(c: AdamConstants, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32]) {
        for (((w, m), v), &g) in w.iter_mut().zip(m).zip(v).zip(g) {
            *m = c.keep_first * *m + c.add_first * g;
            *v = c.keep_second * *v + c.add_second * (g * g);
            *w = c.keep * *w - c.rate * *m / (v.sqrt() * c.root + c.epsilon);
        }
    }
}

//! The updates of training, in place: the optimisers' steps and the moving average of the weights.

use super::contiguous;
use super::lanes::vectorised;
use crate::Result;
use candle_core::{CpuStorage, DType, InplaceOp2, InplaceOp3, Layout, Tensor, Var};

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
    if variable.device().is_cpu() && variable.dtype() == DType::F32 {
        let gradient = gradient.contiguous()?;
        let add = ((1.0 - beta1) * scale) as f32;
        first.inplace_op2(&gradient, &Blend { keep: beta1 as f32, add, square: false })?;
        let add = ((1.0 - beta2) * scale * scale) as f32;
        second.inplace_op2(&gradient, &Blend { keep: beta2 as f32, add, square: true })?;
        let (keep, rate, root, epsilon) = (keep as f32, rate as f32, root as f32, epsilon as f32);
        variable.inplace_op3(
            first.as_tensor(),
            second.as_tensor(),
            &Descend { keep, rate, root, epsilon },
        )?;
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
    if variable.device().is_cpu() && variable.dtype() == DType::F32 {
        let (keep, add) = (momentum as f32, scale as f32);
        let gradient = gradient.contiguous()?;
        moment.inplace_op2(&gradient, &Blend { keep, add, square: false })?;
        let descend = Blend { keep: 1.0, add: -rate as f32, square: false };
        variable.inplace_op2(moment.as_tensor(), &descend)?;
        return Ok(());
    }
    let gradient = (gradient.detach() * scale)?;
    moment.set(&((moment.as_detached_tensor() * momentum)? + gradient)?)?;
    let step = (moment.as_detached_tensor() * rate)?;
    variable.set(&(variable.as_detached_tensor() - step)?)?;
    Ok(())
}

/// `average ← decay · average + (1 - decay) · value`.
pub(crate) fn average_into(average: &Var, value: &Tensor, decay: f64) -> Result<()> {
    if average.device().is_cpu() && average.dtype() == DType::F32 {
        let blend = Blend { keep: decay as f32, add: (1.0 - decay) as f32, square: false };
        average.inplace_op2(&value.contiguous()?, &blend)?;
        return Ok(());
    }
    let value = value.detach();
    average.set(&((average.as_detached_tensor() * decay)? + (value * (1.0 - decay))?)?)?;
    Ok(())
}

fn values_mut<'a>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
) -> candle_core::Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((from, to))) => Ok(&mut values[from..to]),
        _ => candle_core::bail!("a contiguous F32 tensor was expected"),
    }
}

/// `y ← keep · y + add · x` or `keep · y + add · x²`.
struct Blend {
    keep: f32,
    add: f32,
    square: bool,
}

vectorised! {
    fn blend(y: &mut [f32], x: &[f32], keep: f32, add: f32) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = keep * *y + add * x;
        }
    }
}

vectorised! {
    fn blend_square(y: &mut [f32], x: &[f32], keep: f32, add: f32) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = keep * *y + add * (x * x);
        }
    }
}

impl InplaceOp2 for Blend {
    fn name(&self) -> &'static str {
        "scorebook-blend"
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<()> {
        let (y, x) = (values_mut(s1, l1)?, contiguous(s2, l2)?);
        match self.square {
            true => blend_square(y, x, self.keep, self.add),
            false => blend(y, x, self.keep, self.add),
        }
        Ok(())
    }
}

/// `w ← keep · w - rate · m / (√v · root + ε)`.
struct Descend {
    keep: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
}

vectorised! {
    fn descend(w: &mut [f32], m: &[f32], v: &[f32], keep: f32, rate: f32, root: f32, epsilon: f32) {
        for ((w, &m), &v) in w.iter_mut().zip(m).zip(v) {
            *w = keep * *w - rate * m / (v.sqrt() * root + epsilon);
        }
    }
}

impl InplaceOp3 for Descend {
    fn name(&self) -> &'static str {
        "scorebook-adam"
    }

    fn cpu_fwd(
        &self,
        s1: &mut CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<()> {
        let (w, m, v) = (values_mut(s1, l1)?, contiguous(s2, l2)?, contiguous(s3, l3)?);
        descend(w, m, v, self.keep, self.rate, self.root, self.epsilon);
        Ok(())
    }
}

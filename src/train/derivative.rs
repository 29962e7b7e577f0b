//! The derivative of a score along a direction, and its divergence, in a way that can be trained.

use super::denoising::check_noisy;
use crate::{
    Error, Result,
    diffusion::{NoisingProcess, per_sample},
    score::Score,
};
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

/// How `vᵀ ∇s v`, the derivative of a score along a direction, is found. Two losses hold it, so it must be
/// differentiable in the parameters once more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DirectionalDerivative {
    /// `v·[s(x + hv) - s(x - hv)]/(2h)` with `h = step · σ_t`: two evaluations of the score, which backward passes
    /// go through as through any other. It is exact for scores that are linear or quadratic in `x`, else off by
    /// `h²/6` times the third derivative along `v`: of second order in the step.
    Differences {
        /// The step, as a share of the noise's standard deviation: the length over which a noised score changes.
        step: f64,
    },
    /// The derivative of `v·s` by a backward pass, whose own backward pass is then taken.
    ///
    /// Candle detaches gradients from what made them, and a second derivative then comes out wrong without a word. So a
    /// known one is computed first, and it is an error if it does not come out right: start the program with the
    /// environment variable `CANDLE_GRAD_DO_NOT_DETACH=1`.
    SecondBackward,
}

/// Differences with a step of a hundredth of `σ_t`: against `∇s`, of size `1/σ_t²`, their error is a few parts in ten
/// thousand at most, and in F32 rounding adds about as much.
impl Default for DirectionalDerivative {
    fn default() -> Self {
        Self::Differences { step: 0.01 }
    }
}

impl DirectionalDerivative {
    /// `vᵀ ∇s(x, t) v` for each sample, `[batch]`; `x` and `v` are `[batch, ...]`, `t` is `[batch]`.
    ///
    /// ```
    /// use scorebook::{prelude::*, train::DirectionalDerivative};
    ///
    /// // s = (-2 x₁ + x₂, x₁ - x₂) has the matrix of derivatives ((-2, 1), (1, -1)).
    /// let matrix = Tensor::new(&[[-2f64, 1.0], [1.0, -1.0]], &Device::Cpu)?;
    /// let score = ScoreFunction::new(move |x, _t| Ok(x.matmul(&matrix)?));
    /// let (x, t) = (Tensor::new(&[[1f64, 3.0]], &Device::Cpu)?, Tensor::new(&[0.5f64], &Device::Cpu)?);
    /// let v = Tensor::new(&[[1f64, 1.0]], &Device::Cpu)?;
    /// let along = DirectionalDerivative::default().along(&score, &VariancePreserving::default(), &x, &t, &v)?;
    /// assert!((along.to_vec1::<f64>()?[0] + 1.0).abs() < 1e-10);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not fit, the step is not positive, a time is not in `(0, T]`, or second derivatives come out wrong.
    pub fn along(
        self,
        score: &dyn Score,
        process: &dyn NoisingProcess,
        x: &Tensor,
        t: &Tensor,
        v: &Tensor,
    ) -> Result<Tensor> {
        if v.dims() != x.dims() {
            return Err(Error::shape("v", v.dims(), format!("{:?}, as x", x.dims())));
        }
        match self {
            Self::Differences { step } => {
                if !(step > 0.0 && step.is_finite()) {
                    return Err(Error::argument("step", step, "a positive number"));
                }
                check_noisy(process, x, t)?;
                let shift = v.broadcast_mul(&per_sample(t, x, |t| step * process.std(t))?)?;
                // Both sides in one batch.
                let sides = Tensor::cat(&[(x + &shift)?, (x - &shift)?], 0)?;
                let score = score.score(&sides, &Tensor::cat(&[t, t], 0)?)?;
                let batch = x.dim(0)?;
                let rise = (score.narrow(0, 0, batch)? - score.narrow(0, batch, batch)?)?;
                let rise = (rise * v)?.flatten_from(1)?.sum(1)?;
                let slope = per_sample(t, &rise, |t| 0.5 / (step * process.std(t)))?;
                Ok((rise * slope)?)
            }
            Self::SecondBackward => {
                check_second_derivatives()?;
                let x = Var::from_tensor(&x.detach())?;
                let along = (score.score(&x, t)? * v)?.sum_all()?;
                let gradient = gradient(&along, &x)?;
                Ok((gradient * v)?.flatten_from(1)?.sum(1)?)
            }
        }
    }

    /// The divergence `∇·s(x, t) = tr ∇s` for each sample, `[batch]`: the sum of the derivatives along the axes, so it
    /// costs as many evaluations as a sample has coordinates.
    ///
    /// ```
    /// use scorebook::{prelude::*, train::DirectionalDerivative};
    ///
    /// // The trace of ((-2, 1), (1, -1)).
    /// let matrix = Tensor::new(&[[-2f64, 1.0], [1.0, -1.0]], &Device::Cpu)?;
    /// let score = ScoreFunction::new(move |x, _t| Ok(x.matmul(&matrix)?));
    /// let (x, t) = (Tensor::new(&[[1f64, 3.0]], &Device::Cpu)?, Tensor::new(&[0.5f64], &Device::Cpu)?);
    /// let divergence = DirectionalDerivative::default().divergence(&score, &VariancePreserving::default(), &x, &t)?;
    /// assert!((divergence.to_vec1::<f64>()?[0] + 3.0).abs() < 1e-10);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`along`](Self::along).
    pub fn divergence(
        self,
        score: &dyn Score,
        process: &dyn NoisingProcess,
        x: &Tensor,
        t: &Tensor,
    ) -> Result<Tensor> {
        let mut divergence = per_sample(t, t, |_| 0.0)?.to_dtype(x.dtype())?;
        for i in 0..x.flatten_from(1)?.dim(1)? {
            let along = self.along(score, process, x, t, &axis(x, i)?)?;
            divergence = (divergence + along)?;
        }
        Ok(divergence)
    }
}

/// The unit vector of the coordinate `i` for every sample of `x`.
fn axis(x: &Tensor, i: usize) -> Result<Tensor> {
    let dim = x.flatten_from(1)?.dim(1)?;
    let mut unit = vec![0f32; dim];
    unit[i] = 1.0;
    let unit = Tensor::from_vec(unit, (1, dim), x.device())?.to_dtype(x.dtype())?;
    Ok(unit.broadcast_as((x.dim(0)?, dim))?.reshape(x.shape())?)
}

/// `∂y/∂x`, zero where `y` does not depend on `x`.
fn gradient(y: &Tensor, x: &Var) -> Result<Tensor> {
    Ok(match y.backward()?.get(x) {
        Some(gradient) => gradient.clone(),
        None => x.zeros_like()?,
    })
}

/// That the second derivative of `x³` at 1 is 6.
fn check_second_derivatives() -> Result<()> {
    let x = Var::from_tensor(&Tensor::new(1f64, &Device::Cpu)?)?;
    let cube = ((x.as_tensor() * x.as_tensor())? * x.as_tensor())?;
    let first = gradient(&cube, &x)?;
    let second = gradient(&first, &x)?.to_scalar::<f64>()?;
    if second != 6.0 {
        let expected = "6; set the environment variable CANDLE_GRAD_DO_NOT_DETACH=1 before the program starts, or use `DirectionalDerivative::Differences`";
        return Err(Error::argument("the second derivative of x³ at 1", second, expected));
    }
    Ok(())
}

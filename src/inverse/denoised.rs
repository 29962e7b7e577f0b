//! A state and the mean of its data, with the way back.

use crate::{
    Error, Result,
    diffusion::{NoisingProcess, same_time},
    score::{Score, checked_score},
};
use candle_core::{Tensor, Var};

/// A state `x_t`, and the mean `x̂0 = E[x0|x_t] = (x_t + σ² s)/α` of the data given it by Tweedie's formula, as a function
/// of `x_t` that can be differentiated.
///
/// By the second-order Tweedie formula its Jacobian is `∂x̂0/∂x_t = α/σ² Cov(x0|x_t)`: how the unmeasured pixels of a guess
/// follow the measured ones. That is how a measurement reaches them.
///
/// ```
/// use scorebook::prelude::*;
///
/// // Data N(0, 4 I): x̂0 = 4α/(4α² + σ²) x_t.
/// let process = VariancePreserving::default();
/// let score = GaussianScore::new(Gaussian::isotropic([0.0, 0.0], 2.0)?, process);
/// let x = Tensor::new(&[[1f64, -0.5]], &Device::Cpu)?;
/// let state = Denoised::at(&process, &score, &x, 0.5)?;
/// let slope = 4.0 * state.scale / (4.0 * state.scale.powi(2) + state.std.powi(2));
/// let mean = state.mean.to_vec2::<f64>()?;
/// assert!((mean[0][0] - slope).abs() < 1e-12 && (mean[0][1] + 0.5 * slope).abs() < 1e-12);
/// let row = state.pull_back(&Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?)?.to_vec2::<f64>()?;
/// assert!((row[0][0] - slope).abs() < 1e-12 && row[0][1].abs() < 1e-12);
/// // ∇‖x_t‖² = 2 x_t.
/// let gradient = state.gradient(&state.x().sqr()?.sum_all()?)?;
/// assert_eq!(gradient.to_vec2::<f64>()?, [[2.0, -1.0]]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Debug)]
pub struct Denoised {
    /// The time `t`.
    pub t: f64,
    /// The mean scale `α(t)`.
    pub scale: f64,
    /// The standard deviation `σ(t)`.
    pub std: f64,
    /// The score `s(x_t, t)` of the prior, `[batch, ...]`.
    pub score: Tensor,
    /// `x̂0`, `[batch, ...]`.
    pub mean: Tensor,
    x: Var,
}

impl Denoised {
    /// One evaluation of the score at `x` `[batch, ...]`.
    ///
    /// # Errors
    /// If the score fails.
    pub fn at(process: &dyn NoisingProcess, score: &dyn Score, x: &Tensor, t: f64) -> Result<Self> {
        let time = same_time(t, x)?;
        let x = Var::from_tensor(&x.detach().contiguous()?)?;
        let score = checked_score(score, &x, &time)?;
        let (scale, std) = (process.mean_scale(t), process.std(t));
        let mean = ((x.as_tensor() + (&score * (std * std))?)? / scale)?;
        Ok(Self { t, scale, std, score, mean, x })
    }

    /// The state `x_t`, `[batch, ...]`; gradients flow from it.
    pub fn x(&self) -> &Tensor {
        self.x.as_tensor()
    }

    /// `(∂x̂0/∂x_t)ᵀ v`, for `v` `[batch, ...]`.
    ///
    /// # Errors
    /// If no gradient flows through the score.
    pub fn pull_back(&self, v: &Tensor) -> Result<Tensor> {
        self.gradient(&(&self.mean * v.detach())?.sum_all()?)
    }

    /// The gradient in `x_t` of a number that was computed from `x̂0` or `x_t`.
    ///
    /// # Errors
    /// If no gradient flows.
    pub fn gradient(&self, number: &Tensor) -> Result<Tensor> {
        match number.backward()?.remove(&self.x) {
            Some(gradient) => Ok(gradient),
            None => {
                let expected = "a score through whose ops gradients flow";
                Err(Error::argument("score", "one without a gradient in `x`", expected))
            }
        }
    }

    /// An error if there is neither noise in the state nor in the measurement: the likelihood is then no density.
    pub(super) fn needs_noise(&self, std: f64) -> Result<()> {
        if self.std > 0.0 || std > 0.0 {
            return Ok(());
        }
        let expected = "a positive time where the measurement is without noise";
        Err(Error::argument("t", self.t, expected))
    }
}

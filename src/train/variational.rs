//! The variational bound on the likelihood, for a chain and in continuous time.

use super::time_sampling::{log_range, times_at, uniform};
use crate::{
    Error, Result,
    diffusion::{NoisingProcess, per_sample, same_time},
    interrupt,
    random::Generator,
    score::{Score, tweedie},
};
use candle_core::{Device, Tensor};

/// A bound on `-ln p_θ(x0)` in nats (the negative of the ELBO), in its parts, estimated with one draw of the noise.
///
/// In expectation `-ln p_θ(x0) ≤ prior + Σ transitions + reconstruction`: `L_T`, the `L_{t-1}` and `L_0` of Ho et al.
/// 2020, equation 5.
#[derive(Clone, Debug)]
pub struct BoundTerms {
    /// `L_T = KL(p(x_T|x0) ‖ π)`, exact, `[batch]`.
    pub prior: Tensor,
    /// Of each transition `KL(p(x_s|x_t, x0) ‖ p_θ(x_s|x_t))`, earliest first, `[transitions, batch]`. In continuous
    /// time, the shares of the strata of time.
    pub transitions: Tensor,
    /// `L_0 = -ln p_θ(x0|x_1)`, `[batch]`, where `p_θ(x0|x_1)` is Gaussian about the mean of the data given the first
    /// state, with the variance `σ²` of that state.
    pub reconstruction: Tensor,
    /// Whether an interrupt ended it early: then transitions are missing.
    pub interrupted: bool,
}

impl BoundTerms {
    /// The bound, `[batch]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn total(&self) -> Result<Tensor> {
        Ok(((&self.prior + self.transitions.sum(0)?)? + &self.reconstruction)?)
    }
}

/// `½ (SNR(s)/SNR(t) - 1)` with `SNR = α²/σ²`: the weight of `‖z - ẑ‖²` in the term of a chain's step between the times
/// `s < t`.
///
/// `KL(p(x_s|x_t, x0) ‖ p_θ(x_s|x_t))`, both with the variance of the first, is
/// `½ (SNR(s) - SNR(t)) ‖x0 - x̂0‖²` (Kingma et al. 2021, equation 13), and `‖x0 - x̂0‖² = ‖z - ẑ‖²/SNR(t)`. For a chain of
/// betas it is DDPM's `β_t²/(2 σ_t² α_t (1 - ᾱ_t))` with `σ_t² = β̃_t` (Ho et al. 2020, equation 12). DDPM's simple loss
/// puts 1 in its place for every step: [`DenoisingLoss`](super::DenoisingLoss) with `λ = σ²`. So the two are the same
/// objective only up to a weighting (note 003 takes them for one): this factor is large where there is little noise. For
/// small steps it is `½ g²/σ²` times the step: likelihood weighting.
///
/// ```
/// use scorebook::{prelude::*, train::transition_weight};
///
/// // Over a short step, ½ g²/σ² times its length.
/// let process = VariancePreserving::default();
/// let rate = 0.5 * (process.dispersion(0.3) / process.std(0.3)).powi(2);
/// assert!((transition_weight(&process, 0.3 - 1e-6, 0.3) / (1e-6 * rate) - 1.0).abs() < 1e-4);
/// ```
pub fn transition_weight(process: &dyn NoisingProcess, s: f64, t: f64) -> f64 {
    0.5 * ((process.noise_level(t) / process.noise_level(s)).powi(2) - 1.0)
}

/// The bound of the chain that visits the times `times`, from `times[0] > 0` up to the horizon, where each step back is
/// the Gaussian `p(x_s|x_t, x0)` with the data replaced by `E[x0|x_t]` as the score tells it (Ho et al. 2020, with the
/// variances `β̃_t`; any process of this library).
///
/// `x0` is `[batch, ...]`. The score is evaluated once a time. It is differentiable where the score is.
///
/// ```
/// use scorebook::{prelude::*, path::time_grid, train::chain_bound};
///
/// // Standard normal data and their exact score: 200 steps lie 0.375 nats above the entropy, finer ones less.
/// let (process, score) = (VariancePreserving::default(), ScoreFunction::new(|x, _t| Ok(x.neg()?)));
/// let x0 = Generator::new(1).normal((4000, 1), &Device::Cpu)?;
/// let times = time_grid(0.01, 1.0, 200)?;
/// let bound = chain_bound(&process, &score, &x0, &times, &mut Generator::new(2))?;
/// let entropy = 0.5 * (1.0 + std::f32::consts::TAU.ln());
/// let above = bound.total()?.mean_all()?.to_scalar::<f32>()? - entropy;
/// assert!((above - 0.375).abs() < 0.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the times do not rise from above 0 to the horizon, or the score fails.
pub fn chain_bound(
    process: &dyn NoisingProcess,
    score: &dyn Score,
    x0: &Tensor,
    times: &[f64],
    generator: &mut Generator,
) -> Result<BoundTerms> {
    let rising = times.windows(2).all(|pair| pair[0] < pair[1]);
    let ends = times.first().is_some_and(|first| *first > 0.0)
        && times.last().is_some_and(|last| (last / process.horizon() - 1.0).abs() < 1e-12);
    if !(rising && ends && times.len() > 1) {
        let expected =
            format!("at least two times that rise from above 0 to {}", process.horizon());
        return Err(Error::argument("times", format!("{times:?}"), expected));
    }
    let (mut transitions, mut interrupted) = (vec![], false);
    for pair in times.windows(2) {
        if interrupt::requested() {
            interrupted = true;
            break;
        }
        let t = same_time(pair[1], x0)?;
        let weight = transition_weight(process, pair[0], pair[1]);
        transitions.push((noise_error(process, score, x0, &t, generator)? * weight)?);
    }
    bound(process, score, x0, times[0], transitions, interrupted, generator)
}

/// The bound in continuous time, the limit of ever finer chains:
/// `L_T + ½ ∫ (g²/σ²) E‖z - ẑ‖² dt + L_0` from `t_min` to `T` (Kingma et al. 2021, equation 17; Song et al. 2021b).
///
/// The integral is half of `T - t_min` times `d` times the [`DenoisingLoss`](super::DenoisingLoss) with likelihood
/// weighting. It is estimated with `draws` times a sample, one in each of as many strata of equal length in
/// `ln(σ/α)`, in which the weight is constant.
///
/// ```
/// use scorebook::{prelude::*, train::continuous_bound};
///
/// // Standard normal data and their exact score: the bound is the entropy.
/// let (process, score) = (VariancePreserving::default(), ScoreFunction::new(|x, _t| Ok(x.neg()?)));
/// let x0 = Generator::new(1).normal((4000, 1), &Device::Cpu)?;
/// let bound = continuous_bound(&process, &score, &x0, 0.001, 50, &mut Generator::new(2))?;
/// let entropy = 0.5 * (1.0 + std::f32::consts::TAU.ln());
/// assert!((bound.total()?.mean_all()?.to_scalar::<f32>()? - entropy).abs() < 0.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `t_min` is not between 0 and the horizon, there is no draw, the noise levels are not finite, or the score fails.
pub fn continuous_bound(
    process: &dyn NoisingProcess,
    score: &dyn Score,
    x0: &Tensor,
    t_min: f64,
    draws: usize,
    generator: &mut Generator,
) -> Result<BoundTerms> {
    if !(t_min > 0.0 && t_min < process.horizon()) {
        let expected = format!("a time between 0 and {}", process.horizon());
        return Err(Error::argument("t_min", t_min, expected));
    }
    if draws == 0 {
        return Err(Error::argument("draws", 0, "at least 1"));
    }
    let levels = (process.noise_level(t_min), process.noise_level(process.horizon()));
    let (low, high) = log_range(levels)?;
    let width = (high - low) / draws as f64;
    let (mut transitions, mut interrupted) = (vec![], false);
    for stratum in 0..draws {
        if interrupt::requested() {
            interrupted = true;
            break;
        }
        let start = low + width * stratum as f64;
        let levels = uniform(x0.dim(0)?, generator).map(|u| (start + u * width).exp());
        let t = times_at(process, t_min, levels)?;
        let t = Tensor::new(t, &Device::Cpu)?.to_dtype(x0.dtype())?.to_device(x0.device())?;
        // ½ ∫ (g²/σ²) dt = ∫ d ln(σ/α).
        transitions.push((noise_error(process, score, x0, &t, generator)? * width)?);
    }
    bound(process, score, x0, t_min, transitions, interrupted, generator)
}

/// `‖z - ẑ‖²` for each sample with fresh noise `z`, where the score tells `ẑ = -σ s`.
fn noise_error(
    process: &dyn NoisingProcess,
    score: &dyn Score,
    x0: &Tensor,
    t: &Tensor,
    generator: &mut Generator,
) -> Result<Tensor> {
    let (x, z) = process.perturb(x0, t, generator)?;
    let std = per_sample(t, &x, |t| process.std(t))?;
    let error = (score.score(&x, t)?.broadcast_mul(&std)? + z)?;
    Ok(error.flatten_from(1)?.sqr()?.sum(1)?)
}

/// The two ends of the bound, with the transitions between them.
fn bound(
    process: &dyn NoisingProcess,
    score: &dyn Score,
    x0: &Tensor,
    first: f64,
    transitions: Vec<Tensor>,
    interrupted: bool,
    generator: &mut Generator,
) -> Result<BoundTerms> {
    let flat = x0.flatten_from(1)?;
    let dim = flat.dim(1)? as f64;
    let horizon = process.horizon();
    // KL(N(α x0, σ² I) ‖ N(0, π² I)).
    let (scale, std) = (process.mean_scale(horizon), process.std(horizon));
    let (mean, width) =
        ((scale / process.prior_std()).powi(2), (std / process.prior_std()).powi(2));
    let prior = flat.sqr()?.sum(1)?.affine(0.5 * mean, 0.5 * dim * (width - 1.0 - width.ln()))?;
    let (x, _) = process.perturb(x0, &same_time(first, x0)?, generator)?;
    let error = (tweedie(process, score, &x, first)? - x0)?.flatten_from(1)?.sqr()?.sum(1)?;
    let variance = process.std(first).powi(2);
    let volume = 0.5 * dim * (std::f64::consts::TAU * variance).ln();
    let reconstruction = error.affine(0.5 / variance, volume)?;
    let transitions = match transitions.is_empty() {
        true => Tensor::zeros((0, x0.dim(0)?), x0.dtype(), x0.device())?,
        false => Tensor::stack(&transitions, 0)?,
    };
    Ok(BoundTerms { prior, transitions, reconstruction, interrupted })
}

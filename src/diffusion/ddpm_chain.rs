//! DDPM's chain, whose limit is the variance-preserving SDE.

use super::{NoisingChain, NoisingProcess, Step, noising::checked};
use crate::{Error, Result};
use std::f64::consts::FRAC_PI_2;

/// `x_i = √(1-β_i) x_{i-1} + √β_i z` for `i = 1, …, N`.
///
/// With `ᾱ_i = ∏_{j≤i} (1-β_j)`: `x_i | x_0 ~ N(√ᾱ_i x_0, (1-ᾱ_i) I)`. Data of variance 1 keep variance 1.
///
/// Source: note 000, example II, with `c_i` for `β_i`; Ho, Jain and Abbeel 2020, *Denoising diffusion probabilistic
/// models*, section 2.
///
/// ```
/// use scorebook::diffusion::{DdpmChain, NoisingChain};
///
/// let chain = DdpmChain::linear(1000, 1e-4, 0.02)?;
/// let posterior = chain.posteriors()[499];
/// let alpha_bars = chain.alpha_bars();
/// let small = (1.0 - alpha_bars[499]) / (1.0 - alpha_bars[500]) * chain.betas()[499];
/// assert!((posterior.variance - small).abs() < 1e-15);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DdpmChain {
    betas: Vec<f64>,
    steps: Vec<Step>,
}

impl DdpmChain {
    /// The chain of the given `β_1, …, β_N`.
    ///
    /// # Errors
    /// If there is none, or one is not above 0 and below 1.
    pub fn new(betas: impl Into<Vec<f64>>) -> Result<Self> {
        let betas = betas.into();
        if betas.is_empty() {
            return Err(Error::argument("betas", "empty", "at least one number"));
        }
        let step = |beta: &f64| {
            let expected = "numbers above 0 and below 1 (in the limit of a rate c(t): c(t)/N)";
            let beta = checked("betas", *beta, 0.0 < *beta && *beta < 1.0, expected)?;
            Ok(Step { scale: (1.0 - beta).sqrt(), noise: beta.sqrt() })
        };
        let steps = betas.iter().map(step).collect::<Result<_>>()?;
        Ok(Self { betas, steps })
    }

    /// `n` steps whose `β` rises in a line from `first` to `last`; DDPM's own go from 0.0001 to 0.02 in 1000.
    ///
    /// It is also Song et al.'s discretisation of the variance-preserving SDE, with `first = β_min/n` and
    /// `last = β_max/n`.
    ///
    /// # Errors
    /// If `n ≥ 1`, `0 < first < 1` and `0 < last < 1` do not hold.
    pub fn linear(n: usize, first: f64, last: f64) -> Result<Self> {
        check_some(n)?;
        Self::new(line(n, first, last))
    }

    /// `n` steps whose `√β` rises in a line: `scaled_linear` in `diffusers`; Stable Diffusion's go from 0.00085 to 0.012
    /// in 1000.
    ///
    /// ```
    /// use scorebook::diffusion::DdpmChain;
    ///
    /// // 0.1², 0.2², 0.3².
    /// let chain = DdpmChain::scaled_linear(3, 0.01, 0.09)?;
    /// assert!(chain.betas().iter().zip([0.01, 0.04, 0.09]).all(|(beta, exact)| (beta - exact).abs() < 1e-15));
    /// // What Stable Diffusion's chain leaves of the data: ᾱ = 0.0047.
    /// let alpha_bars = DdpmChain::scaled_linear(1000, 0.00085, 0.012)?.alpha_bars();
    /// assert!((alpha_bars[1000] - 0.00466).abs() < 1e-5);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `n ≥ 1`, `0 < first < 1` and `0 < last < 1` do not hold.
    pub fn scaled_linear(n: usize, first: f64, last: f64) -> Result<Self> {
        check_some(n)?;
        let betas = line(n, first.sqrt(), last.sqrt()).into_iter().map(|root| root * root);
        Self::new(betas.collect::<Vec<_>>())
    }

    /// `n` steps of the cosine schedule, `ᾱ_i = cos²θ_i/cos²θ_0` with `θ_i = ½π (i/n + 0.008)/1.008` and `β ≤ 0.999`:
    /// `squaredcos_cap_v2` in `diffusers`.
    ///
    /// The bound acts on the last step only, which without it would leave nothing of the data.
    ///
    /// Source: Nichol and Dhariwal 2021, *Improved denoising diffusion probabilistic models*, equation 17.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn cosine(n: usize) -> Result<Self> {
        check_some(n)?;
        let angle = |i: usize| FRAC_PI_2 * (i as f64 / n as f64 + 0.008) / 1.008;
        let beta = |i: usize| {
            let (before, after) = (angle(i - 1), angle(i));
            // 1 - cos²after/cos²before.
            let beta = (after - before).sin() * (after + before).sin() / before.cos().powi(2);
            beta.min(0.999)
        };
        Self::new((1..=n).map(beta).collect::<Vec<_>>())
    }

    /// `n` steps with `c_i = c(t_i) Δt` along a process `dx = -½ c(t) x dt + √c(t) dw`, where `Δt = T/n` and `t_i = i Δt`.
    ///
    /// That is the direction of the limit: the chain's kernel at `x_i` tends to the process's at `t_i` like `1/n`. Note
    /// 000 leaves out the `Δt`; the chain with `c_i = c(t_i)` has no limit but noise, whatever `c` is.
    ///
    /// ```
    /// use scorebook::diffusion::{DdpmChain, NoisingChain, NoisingProcess, VariancePreserving};
    ///
    /// let process = VariancePreserving::default();
    /// let error = |n| -> scorebook::Result<f64> {
    ///     let kernels = DdpmChain::of(&process, n)?.kernels();
    ///     Ok((kernels[n / 2].mean_scale - process.mean_scale(0.5)).abs())
    /// };
    /// assert!((error(200)? / error(400)? - 2.0).abs() < 0.1);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the process is not of this form, or the steps are so few that one has `c_i ≥ 1`.
    pub fn of(process: &impl NoisingProcess, n: usize) -> Result<Self> {
        check_some(n)?;
        let step = process.horizon() / n as f64;
        let beta = |i| {
            let t = step * i as f64;
            let c = process.dispersion(t).powi(2);
            if (process.rate(t) + 0.5 * c).abs() > 1e-9 * c {
                return Err(not_preserving(process));
            }
            if c * step >= 1.0 {
                let expected = format!("more steps: at t = {t} one has c_i = {}", c * step);
                return Err(Error::argument("n", n, expected));
            }
            Ok(c * step)
        };
        Self::new((1..=n).map(beta).collect::<Result<Vec<_>>>()?)
    }

    /// `n` steps along a variance-preserving process with its very kernels: `β_i = 1 - α²(t_i)/α²(t_{i-1})`.
    ///
    /// ```
    /// use scorebook::diffusion::{DdpmChain, NoisingChain, NoisingProcess, VariancePreserving};
    ///
    /// let process = VariancePreserving::default();
    /// let kernels = DdpmChain::exact(&process, 10)?.kernels();
    /// assert!((kernels[5].std - process.std(0.5)).abs() < 1e-14);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `α² + σ² = 1` does not hold at the times of the chain.
    pub fn exact(process: &impl NoisingProcess, n: usize) -> Result<Self> {
        check_some(n)?;
        let step = process.horizon() / n as f64;
        let beta = |i| {
            let [before, after] = [i - 1, i].map(|i| process.mean_scale(step * i as f64));
            if (after.hypot(process.std(step * i as f64)) - 1.0).abs() > 1e-9 {
                return Err(not_preserving(process));
            }
            Ok((before - after) * (before + after) / before.powi(2))
        };
        Self::new((1..=n).map(beta).collect::<Result<Vec<_>>>()?)
    }

    /// `β_1, …, β_N`.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// `ᾱ_0 = 1, ᾱ_1, …, ᾱ_N`.
    pub fn alpha_bars(&self) -> Vec<f64> {
        let mut alpha_bars = vec![1.0];
        for beta in &self.betas {
            alpha_bars.push(alpha_bars[alpha_bars.len() - 1] * (1.0 - beta));
        }
        alpha_bars
    }
}

impl NoisingChain for DdpmChain {
    fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// `n` numbers in a line from `first` to `last`; one is `first`.
fn line(n: usize, first: f64, last: f64) -> Vec<f64> {
    let share = |i| if n == 1 { 0.0 } else { i as f64 / (n - 1) as f64 };
    (0..n).map(|i| (1.0 - share(i)) * first + share(i) * last).collect()
}

fn check_some(n: usize) -> Result<()> {
    if n == 0 { Err(Error::argument("n", n, "at least one step")) } else { Ok(()) }
}

fn not_preserving(process: &impl NoisingProcess) -> Error {
    let expected = "a process that preserves variance, dx = -½ c(t) x dt + √c(t) dw";
    Error::argument("process", format!("{process:?}"), expected)
}

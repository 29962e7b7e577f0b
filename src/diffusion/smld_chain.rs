//! SMLD's chain, whose limit is the variance-exploding SDE.

use super::{NoisingChain, NoisingProcess, Step, noising::checked};
use crate::{Error, Result};

/// `x_i = x_{i-1} + √(σ_i² - σ_{i-1}²) z` for `i = 1, …, N`, with rising scales `σ_0 < σ_1 < … < σ_N`.
///
/// `x_i | x_0 ~ N(x_0, (σ_i² - σ_0²) I)`. Note 000 (example I) gives the limit the variance `σ²(t)`, which needs
/// `σ_0 = 0`. Song et al. set `σ_0 = 0` and `σ_1 = σ_min`: then the first step is as long however large `N` is, and
/// the limit starts from data with noise `σ_min` on them, not from the data.
///
/// Source: note 000, example I; Song and Ermon 2019, *Generative modeling by estimating gradients of the data
/// distribution* (SMLD); as a chain, Song et al. 2021, equation 8.
///
/// ```
/// use scorebook::diffusion::{NoisingChain, SmldChain};
///
/// let chain = SmldChain::new([0.0, 1.0, 3.0])?;
/// let posterior = chain.posteriors()[1];
/// // σ_1²(σ_2² - σ_1²)/σ_2².
/// assert!((posterior.variance - 8.0 / 9.0).abs() < 1e-15);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SmldChain {
    sigmas: Vec<f64>,
    steps: Vec<Step>,
}

impl SmldChain {
    /// The chain of the given `σ_0, …, σ_N`.
    ///
    /// # Errors
    /// If there are fewer than two, or they do not rise from a `σ_0` of at least 0.
    pub fn new(sigmas: impl Into<Vec<f64>>) -> Result<Self> {
        let sigmas = sigmas.into();
        let [first, _, ..] = sigmas[..] else {
            return Err(Error::argument("sigmas", format!("{sigmas:?}"), "at least two numbers"));
        };
        checked("sigmas", first, first >= 0.0, "a first number of at least 0")?;
        let step = |pair: &[f64]| {
            let expected = format!("a number above the one before it, which is {}", pair[0]);
            checked("sigmas", pair[1], pair[1] > pair[0], expected)?;
            let noise = ((pair[1] - pair[0]) * (pair[1] + pair[0])).sqrt();
            Ok(Step { scale: 1.0, noise })
        };
        let steps = sigmas.windows(2).map(step).collect::<Result<_>>()?;
        Ok(Self { sigmas, steps })
    }

    /// `σ_0 = 0`, and `n` scales in equal ratios from `sigma_min` to `sigma_max`.
    ///
    /// ```
    /// use scorebook::diffusion::SmldChain;
    ///
    /// let chain = SmldChain::geometric(3, 0.01, 1.0)?;
    /// assert!(chain.sigmas().iter().zip([0.0, 0.01, 0.1, 1.0]).all(|(sigma, exact)| (sigma - exact).abs() < 1e-12));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `n ≥ 2` and `0 < sigma_min < sigma_max` do not hold.
    pub fn geometric(n: usize, sigma_min: f64, sigma_max: f64) -> Result<Self> {
        if n < 2 {
            return Err(Error::argument("n", n, "at least 2"));
        }
        checked("sigma_min", sigma_min, sigma_min > 0.0, "a positive number")?;
        let ratio = (sigma_max / sigma_min).ln() / (n - 1) as f64;
        let scales = (0..n).map(|i| sigma_min * (i as f64 * ratio).exp());
        Self::new([0.0].into_iter().chain(scales).collect::<Vec<_>>())
    }

    /// `n` steps along a process without drift, with its very kernels: `σ_i = σ(t_i)` at the times `t_i = i T/n`.
    ///
    /// The step's variance over its length, `(σ_i² - σ_{i-1}²)/Δt`, tends to `g²(t_i) = dσ²/dt` like `1/n`.
    ///
    /// ```
    /// use scorebook::diffusion::{NoisingChain, NoisingProcess, SmldChain, VarianceExploding};
    ///
    /// let process = VarianceExploding::default();
    /// let kernels = SmldChain::of(&process, 100)?.kernels();
    /// assert!((kernels[70].std / process.std(0.7) - 1.0).abs() < 1e-13);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `n` is 0, or the process has a drift.
    pub fn of(process: &impl NoisingProcess, n: usize) -> Result<Self> {
        if n == 0 {
            return Err(Error::argument("n", n, "at least one step"));
        }
        let time = |i: usize| process.horizon() * i as f64 / n as f64;
        if (1..=n).any(|i| process.rate(time(i)) != 0.0 || process.mean_scale(time(i)) != 1.0) {
            let expected = "a process without drift, dx = g(t) dw";
            return Err(Error::argument("process", format!("{process:?}"), expected));
        }
        Self::new((0..=n).map(|i| process.std(time(i))).collect::<Vec<_>>())
    }

    /// `σ_0, …, σ_N`.
    pub fn sigmas(&self) -> &[f64] {
        &self.sigmas
    }
}

impl NoisingChain for SmldChain {
    fn steps(&self) -> &[Step] {
        &self.steps
    }
}

//! Annealed Langevin dynamics.

use super::{Chains, Langevin, Target, Trace, proposal::check_positive};
use crate::{Error, Result, interrupt, random::Generator};
use candle_core::Tensor;

/// Annealed Langevin dynamics: at each of ever lower levels of noise `σ_1 > … > σ_L`, some steps
/// `x ← x + ½ α_i ∇ln p_{σ_i}(x) + √α_i z` with `α_i = ε σ_i²/σ_L²`, on the law `p_σ` of the data plus `N(0, σ² I)`.
///
/// Plain Langevin dynamics hardly crosses the empty space between modes, and so finds them with wrong weights; under
/// much noise there is no empty space, and the weights are settled before the modes are (Song and Ermon, NeurIPS 2019,
/// algorithm 1, whose `α/2` is the `ε` of [`Langevin`]).
///
/// ```
/// use scorebook::{prelude::*, markov::{AnnealedLangevin, Target, geometric_levels}};
///
/// let law = Mixture::new([0.8, 0.2], [[-5.0], [5.0]], [1.0, 1.0])?;
/// let annealed = AnnealedLangevin { sigmas: geometric_levels(20.0, 0.1, 10)?, ..Default::default() };
/// let start = (Generator::new(1).normal((2000, 1), &Device::Cpu)? * 20.0)?;
/// let noised = |sigma| Ok(Target::density(law.noised(1.0, sigma)?));
/// let trace = annealed.sample(noised, &start, &mut Generator::new(7))?;
/// let right = trace.state.ge(0.0)?.to_dtype(DType::F64)?.mean_all()?.to_scalar::<f64>()?;
/// assert!((right - 0.2).abs() < 0.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnnealedLangevin {
    /// The levels of noise `σ_i`, downward.
    pub sigmas: Vec<f64>,
    /// Steps at each level.
    pub steps: usize,
    /// The step size `ε` of the paper, as a share of `σ_L²`.
    pub step: f64,
}

/// Ten levels from 1 to 0.01 with 100 steps each (as in the paper), of `α_i = 0.2 σ_i²` (the paper's `ε = 2·10⁻⁵`).
impl Default for AnnealedLangevin {
    fn default() -> Self {
        let sigmas = (0..10).map(|i| 0.01f64.powf(f64::from(i) / 9.0)).collect();
        Self { sigmas, steps: 100, step: 0.2 }
    }
}

impl AnnealedLangevin {
    /// Runs chains from `start` `[chains, dim]` through all levels; `target(σ)` is the noised law, of which the score is
    /// enough. The draws of the trace, `[levels, chains, dim]`, are the states at the end of each level.
    ///
    /// # Errors
    /// If the levels do not go downward to a positive number, `steps` is 0, `step` not positive, a target fails, or a
    /// state is not finite.
    pub fn sample(
        &self,
        target: impl Fn(f64) -> Result<Target>,
        start: &Tensor,
        generator: &mut Generator,
    ) -> Result<Trace> {
        let downward = self.sigmas.windows(2).all(|pair| pair[0] > pair[1]);
        if !downward || !self.sigmas.iter().all(|sigma| *sigma > 0.0 && sigma.is_finite()) {
            let given = format!("{:?}", self.sigmas);
            return Err(Error::argument("sigmas", given, "positive numbers, each below the last"));
        }
        if self.steps == 0 {
            return Err(Error::argument("steps", 0, "at least 1"));
        }
        check_positive("step", self.step)?;
        let chains = Chains { warm_up: 0, draws: 1, thin: self.steps, ..Default::default() };
        let mut levels = Vec::with_capacity(self.sigmas.len());
        let mut state = start.clone();
        let mut last = None;
        for sigma in &self.sigmas {
            if interrupt::requested() && last.is_some() {
                break;
            }
            let langevin = Langevin { step: 0.5 * self.step * sigma * sigma, ..Default::default() };
            let trace = chains.langevin(&target(*sigma)?, &langevin, &state, generator)?;
            state = trace.state.clone();
            levels.push(trace.draws.clone());
            last = Some(trace);
        }
        let last = last.ok_or_else(|| Error::argument("sigmas", "[]", "at least one level"))?;
        let interrupted = last.interrupted || levels.len() < self.sigmas.len();
        Ok(Trace { draws: Tensor::cat(&levels, 0)?, interrupted, ..last })
    }
}

/// `levels` numbers from `high` down to `low` in equal ratios, as the paper takes them.
///
/// ```
/// assert_eq!(scorebook::markov::geometric_levels(8.0, 1.0, 4)?.len(), 4);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `high > low > 0` does not hold, or there are fewer than two levels.
pub fn geometric_levels(high: f64, low: f64, levels: usize) -> Result<Vec<f64>> {
    if !(low > 0.0 && high > low && high.is_finite()) {
        return Err(Error::argument("high", high, format!("a number above `low`, which is {low}")));
    }
    if levels < 2 {
        return Err(Error::argument("levels", levels, "at least 2"));
    }
    let ratio = low / high;
    Ok((0..levels).map(|i| high * ratio.powf(i as f64 / (levels - 1) as f64)).collect())
}

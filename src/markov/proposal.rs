//! What Metropolis-Hastings must know of a proposal.

use super::Noise;
use crate::Result;

/// A point of the space, and the target's score there.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// The coordinates, `[dim]`.
    pub x: &'a [f64],
    /// `∇ ln p(x)`, `[dim]`, where [`Proposal::uses_score`]; otherwise of no meaning.
    pub score: &'a [f64],
}

/// A Markov kernel `Q(y|x)` from which the Metropolis-Hastings chain takes its candidates.
///
/// It draws `y` and knows the ratio `Q(x|y)/Q(y|x)`; a symmetric kernel has the ratio 1. Note 000 asks that
/// `Q(x|y) > 0 ⇔ Q(y|x) > 0`.
///
/// ```
/// use scorebook::{prelude::*, markov::{Chains, Noise, Point, Proposal, Target}};
///
/// /// Steps by a factor, for positive numbers: ln y ~ N(ln x, s²), so Q(x|y)/Q(y|x) = y/x.
/// struct Factor(f64);
///
/// impl Proposal for Factor {
///     fn propose(&self, from: Point, noise: &mut Noise, to: &mut [f64]) {
///         to[0] = from.x[0] * (self.0 * noise.normal()).exp();
///     }
///
///     fn log_ratio(&self, from: Point, to: Point) -> f64 {
///         (to.x[0] / from.x[0]).ln()
///     }
/// }
///
/// let exponential = Target::function(1, |x| -x[0]);
/// let start = Tensor::ones((8, 1), DType::F64, &Device::Cpu)?;
/// let chains = Chains { draws: 5000, ..Default::default() };
/// let trace = chains.metropolis_hastings(&exponential, &Factor(1.5), &start, &mut Generator::new(7))?;
/// // Without the ratio the mean would not even exist.
/// assert!((trace.draws.mean_all()?.to_scalar::<f64>()? - 1.0).abs() < 0.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Proposal: Send + Sync {
    /// Whether the target's score must be there in [`Point`]s.
    ///
    /// ```
    /// use scorebook::markov::{Langevin, Proposal, RandomWalk};
    ///
    /// assert!(Langevin::default().uses_score() && !RandomWalk::new(1.0)?.uses_score());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    fn uses_score(&self) -> bool {
        false
    }

    /// That the proposal serves a space of this dimension.
    ///
    /// ```
    /// use scorebook::markov::{Proposal, RandomWalk};
    ///
    /// let walk = RandomWalk::with_covariance(1.0, &[[2.0, 0.0], [0.0, 1.0]])?;
    /// assert!(walk.check(2).is_ok());
    /// assert!(walk.check(3).unwrap_err().to_string().contains("the target has 3 coordinates"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it does not.
    fn check(&self, _dim: usize) -> Result<()> {
        Ok(())
    }

    /// Draws `y ~ Q(·|x)` into `to`.
    fn propose(&self, from: Point<'_>, noise: &mut Noise, to: &mut [f64]);

    /// `ln Q(x|y) - ln Q(y|x)` for the step from `x` to `y`.
    fn log_ratio(&self, from: Point<'_>, to: Point<'_>) -> f64;

    /// The same kernel with a step that is longer by the given factor: what warm-up may tune. `None` where there is no step.
    ///
    /// ```
    /// use scorebook::markov::{Langevin, Proposal};
    ///
    /// // Twice as far: twice √(2ε), so four times ε.
    /// let langevin = Langevin { step: 0.01, ..Default::default() };
    /// assert!((langevin.rescaled(2.0).unwrap().step - 0.04).abs() < 1e-15);
    /// ```
    fn rescaled(&self, _factor: f64) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// That there is one positive number a coordinate.
pub(super) fn check_scales(name: &'static str, scales: &[f64], dim: usize) -> Result<()> {
    if scales.len() != dim {
        return Err(crate::Error::shape(name, &[scales.len()], format!("[{dim}]")));
    }
    scales.iter().try_for_each(|scale| check_positive(name, *scale))
}

pub(super) fn check_positive(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(crate::Error::argument(name, value, "a positive number"))
}

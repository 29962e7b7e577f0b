//! The random walk proposal.

use super::{Noise, Point, Proposal, proposal::check_positive};
use crate::{Error, Result, distribution::cholesky};

/// The random walk `y = x + s L z` with `z ~ N(0, I)`: the symmetric proposal of Metropolis et al. (1953).
///
/// `L` is the identity, or Cholesky's factor of a covariance. With the covariance of the target,
/// `s = 2.38/√dim` is the best step for Gaussian targets in many dimensions, and accepts 23 % (Roberts, Gelman and
/// Gilks, Ann. Appl. Probab. 7, 1997); in one dimension 44 %.
///
/// ```
/// use scorebook::{prelude::*, markov::{Chains, RandomWalk, Target}};
///
/// // A narrow Gaussian of ten dimensions: steps of its own shape, 2.38/√dim long, accept 25 %.
/// let entry = |i, j| if i == j { 1.0 } else { 0.9 };
/// let covariance: Vec<Vec<f64>> = (0..10).map(|i| (0..10).map(|j| entry(i, j)).collect()).collect();
/// let law = Gaussian::full([0.0; 10], &covariance)?;
/// let start = law.sample(400, &mut Generator::new(1), &Device::Cpu)?;
/// let chains = Chains { warm_up: 0, draws: 100, ..Default::default() };
/// let accepted = |walk: RandomWalk| -> scorebook::Result<f64> {
///     let target = Target::density(law.clone());
///     let trace = chains.metropolis_hastings(&target, &walk, &start, &mut Generator::new(7))?;
///     Ok(trace.acceptance.iter().sum::<f64>() / 400.0)
/// };
/// let step = 2.38 / 10f64.sqrt();
/// assert!((accepted(RandomWalk::with_covariance(step, &covariance)?)? - 0.25).abs() < 0.03);
/// assert!(accepted(RandomWalk::new(step)?)? < 0.05);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RandomWalk {
    step: f64,
    /// The columns of Cholesky's lower triangle, from the diagonal down.
    factor: Option<Vec<Vec<f64>>>,
}

impl RandomWalk {
    /// Steps `s z`.
    ///
    /// # Errors
    /// If `step` is not positive.
    pub fn new(step: f64) -> Result<Self> {
        check_positive("step", step)?;
        Ok(Self { step, factor: None })
    }

    /// Steps `s L z` with `L Lᵀ` the given covariance (its rows).
    ///
    /// # Errors
    /// If `step` is not positive, or `covariance` not a symmetric positive definite matrix.
    pub fn with_covariance<R: AsRef<[f64]>>(step: f64, covariance: &[R]) -> Result<Self> {
        check_positive("step", step)?;
        let dim = covariance.len();
        let lower = cholesky(covariance, dim)?;
        let column = |j: usize| (j..dim).map(|i| lower[i * dim + j]).collect();
        Ok(Self { step, factor: Some((0..dim).map(column).collect()) })
    }
}

impl Proposal for RandomWalk {
    fn check(&self, dim: usize) -> Result<()> {
        match &self.factor {
            Some(columns) if columns.len() != dim => {
                let expected = format!("[{dim}, {dim}], as the target has {dim} coordinates");
                Err(Error::shape("covariance", &[columns.len(); 2], expected))
            }
            _ => Ok(()),
        }
    }

    #[inline]
    fn propose(&self, from: Point<'_>, noise: &mut Noise, to: &mut [f64]) {
        for y in to.iter_mut() {
            *y = self.step * noise.normal();
        }
        // From the last column back, each finds its own coordinate of `s z` untouched; by columns, since sums of many
        // terms into many places go faster than one after another.
        for (j, column) in self.factor.as_deref().unwrap_or_default().iter().enumerate().rev() {
            let (above, below) = to[j..].split_at_mut(1);
            for (y, l) in below.iter_mut().zip(&column[1..]) {
                *y += l * above[0];
            }
            above[0] *= column[0];
        }
        for (y, x) in to.iter_mut().zip(from.x) {
            *y += x;
        }
    }

    fn log_ratio(&self, _from: Point<'_>, _to: Point<'_>) -> f64 {
        0.0
    }

    fn rescaled(&self, factor: f64) -> Option<Self> {
        Some(Self { step: factor * self.step, factor: self.factor.clone() })
    }
}

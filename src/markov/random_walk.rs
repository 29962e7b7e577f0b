//! The random walk proposal.

use super::{Noise, Point, Proposal, proposal::check_positive};
use crate::{Error, Result, distribution::cholesky};

/// The random walk `y = x + s L z` with `z ~ N(0, I)`: the symmetric proposal of Metropolis et al. (1953).
///
/// `L` is the identity, or Cholesky's factor of a covariance. With the covariance of the target,
/// `s = 2.38/√dim` is the best step for Gaussian targets in many dimensions, and accepts 23 % (Roberts, Gelman and
/// Gilks, Ann. Appl. Probab. 7, 1997); in one dimension 44 %.
#[derive(Clone, Debug)]
pub struct RandomWalk {
    step: f64,
    /// Cholesky's lower triangle, row after row, and the dimension.
    factor: Option<(Vec<f64>, usize)>,
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
        Ok(Self { step, factor: Some((cholesky(covariance, dim)?, dim)) })
    }
}

impl Proposal for RandomWalk {
    fn check(&self, dim: usize) -> Result<()> {
        match &self.factor {
            Some((_, own)) if *own != dim => {
                let expected = format!("[{dim}, {dim}], as the target has {dim} coordinates");
                Err(Error::shape("covariance", &[*own, *own], expected))
            }
            _ => Ok(()),
        }
    }

    #[inline]
    fn propose(&self, from: Point<'_>, noise: &mut Noise, to: &mut [f64]) {
        for y in to.iter_mut() {
            *y = self.step * noise.normal();
        }
        if let Some((lower, dim)) = &self.factor {
            // From the last row upward, so that each row finds the coordinates before it untouched.
            for i in (0..*dim).rev() {
                to[i] = lower[i * dim..].iter().zip(&to[..=i]).map(|(l, z)| l * z).sum();
            }
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

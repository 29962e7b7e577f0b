//! The independence proposal.

use super::{Noise, Point, Proposal, proposal::check_scales, target::LogDensity};
use crate::{Error, Result};
use std::{fmt, sync::Arc};

/// Candidates from one law `q`, wherever the chain is: `Q(y|x) = q(y)`.
///
/// If `p/q` is bounded by `M`, each step forgets the start with a probability of at least `1/M`
/// (Mengersen and Tweedie, Ann. Statist. 24, 1996); if it is unbounded, because the tails of `q` are too light, the
/// chain may stick for any length of time.
///
/// ```
/// use scorebook::{prelude::*, markov::{Chains, Independence, Target}};
///
/// let target = Target::function(1, |x| -(x[0] - 1.0).powi(2));
/// let proposal = Independence::gaussian([0.0], [2.0])?;
/// let start = Tensor::zeros((4, 1), DType::F64, &Device::Cpu)?;
/// let trace = Chains::default().metropolis_hastings(&target, &proposal, &start, &mut Generator::new(7))?;
/// assert!((trace.draws.mean_all()?.to_scalar::<f64>()? - 1.0).abs() < 0.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct Independence {
    /// `None` where any dimension will do.
    dim: Option<usize>,
    draw: Arc<Draw>,
    log_density: Arc<LogDensity>,
}

type Draw = dyn Fn(&mut Noise, &mut [f64]) + Send + Sync;

impl Independence {
    /// The law from which `draw` fills a point and whose log-density, up to a constant, is `log_density`.
    pub fn new(
        draw: impl Fn(&mut Noise, &mut [f64]) + Send + Sync + 'static,
        log_density: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self { dim: None, draw: Arc::new(draw), log_density: Arc::new(log_density) }
    }

    /// `N(μ, diag(s²))`.
    ///
    /// # Errors
    /// If there is not one positive standard deviation a coordinate, or `mean` is not finite.
    pub fn gaussian(mean: impl Into<Vec<f64>>, stds: impl Into<Vec<f64>>) -> Result<Self> {
        let (mean, stds) = (mean.into(), stds.into());
        if let Some(value) = mean.iter().find(|value| !value.is_finite()) {
            return Err(Error::argument("mean", value, "finite numbers"));
        }
        check_scales("stds", &stds, mean.len())?;
        let law: Arc<[(f64, f64)]> = mean.into_iter().zip(stds).collect();
        let same = Arc::clone(&law);
        let draw = move |noise: &mut Noise, x: &mut [f64]| {
            for (x, (mean, std)) in x.iter_mut().zip(law.iter()) {
                *x = mean + std * noise.normal();
            }
        };
        let dim = Some(same.len());
        let log_density = move |x: &[f64]| -> f64 {
            -0.5 * x.iter().zip(same.iter()).map(|(x, (m, s))| ((x - m) / s).powi(2)).sum::<f64>()
        };
        Ok(Self { dim, ..Self::new(draw, log_density) })
    }
}

impl Proposal for Independence {
    fn check(&self, dim: usize) -> Result<()> {
        match self.dim {
            Some(own) if own != dim => {
                let expected = format!("[{dim}], as the target has {dim} coordinates");
                Err(Error::shape("mean", &[own], expected))
            }
            _ => Ok(()),
        }
    }

    fn propose(&self, _from: Point<'_>, noise: &mut Noise, to: &mut [f64]) {
        (self.draw)(noise, to);
    }

    fn log_ratio(&self, from: Point<'_>, to: Point<'_>) -> f64 {
        (self.log_density)(from.x) - (self.log_density)(to.x)
    }
}

impl fmt::Debug for Independence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Independence")
    }
}

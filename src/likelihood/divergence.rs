//! The divergence of a score, exact or estimated.

use crate::{
    Error, Result,
    diffusion::{NoisingProcess, same_time},
    random::Generator,
    score::Score,
};
use candle_core::{DType, Device, Tensor, Var};

/// How the divergence `∇·s = tr ∂s/∂x` is found.
///
/// ```
/// use scorebook::prelude::*;
///
/// // The density of a Gaussian from its score, in three ways.
/// let (process, law) = (VariancePreserving::default(), Gaussian::full([0.0; 2], &[[1.0, 0.6], [0.6, 1.0]])?);
/// let score = GaussianScore::new(law.clone(), process);
/// let x = Tensor::new(&[[1f64, -0.5], [0.3, 0.2]], &Device::Cpu)?;
/// let error = |divergence, derivative| -> scorebook::Result<f64> {
///     let likelihood = Likelihood { divergence, derivative, ..Default::default() };
///     let found = likelihood.log_prob(&process, &score, &x, &mut Generator::new(7))?.log_prob;
///     Ok((found - law.log_prob(&x)?)?.abs()?.max_all()?.to_scalar()?)
/// };
/// assert!(error(Divergence::Exact, Derivative::Automatic)? < 1e-3);
/// // For scores through which no gradients flow.
/// assert!(error(Divergence::Exact, Derivative::Differences)? < 1e-3);
/// // Each probe errs by ±artanh 0.6 = ±0.69, so the mean of 100 by 0.069.
/// let hutchinson = Divergence::Hutchinson { probes: 100, probe: Probe::Rademacher };
/// assert!(error(hutchinson, Derivative::Automatic)? < 5.0 * 0.069);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// `Σ_i ∂s_i/∂x_i`: one derivative a coordinate. For few dimensions.
    Exact,
    /// Hutchinson's estimator `vᵀ (∂s/∂x) v` with random probes `v` of mean 0 and covariance `I`: its mean is the trace
    /// (Hutchinson, Communications in Statistics 19, 1990; Grathwohl et al. 2019). One derivative a probe, in any
    /// dimension.
    Hutchinson {
        /// How many probes each sample has. From two on their spread tells the standard error.
        probes: usize,
        /// The law that they are drawn from.
        probe: Probe,
    },
}

/// The law of a probe's coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// `±1` with equal chances: variance `2 Σ_{i≠j} S_ij²` with the symmetric part `S` of the Jacobian, the least that
    /// independent coordinates can have. Without error where the Jacobian is diagonal.
    #[default]
    Rademacher,
    /// Standard normal: variance `2 Σ_ij S_ij²`.
    Gaussian,
}

/// How a score is differentiated in `x`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Derivative {
    /// By backpropagation through the score. It must be made of ops through which gradients flow; whether they do is
    /// checked once against difference quotients.
    #[default]
    Automatic,
    /// By central differences: two more evaluations of the score a derivative, for any score. In `f64` right to about nine
    /// digits, in `f32` to four.
    Differences,
}

impl Divergence {
    /// The directions `v` along which `vᵀ (∂s/∂x) v` is taken, of the shape of `x` or of one sample of it.
    pub(super) fn directions(self, x: &Tensor, generator: &mut Generator) -> Result<Vec<Tensor>> {
        match self {
            Self::Exact => {
                let mut dims = x.dims().to_vec();
                dims[0] = 1;
                let dim: usize = dims.iter().product();
                let unit = |i: usize| {
                    let mut values = vec![0f32; dim];
                    values[i] = 1.0;
                    Ok(Tensor::from_vec(values, &*dims, x.device())?.to_dtype(x.dtype())?)
                };
                (0..dim).map(unit).collect()
            }
            Self::Hutchinson { probes: 0, .. } => {
                Err(Error::argument("probes", 0, "at least 1, and 2 for a standard error"))
            }
            Self::Hutchinson { probes, probe } => {
                (0..probes).map(|_| probe.sample(x, generator)).collect()
            }
        }
    }

    /// The estimates of the divergence, `[batch, estimates]`, from the `vᵀ (∂s/∂x) v`.
    pub(super) fn estimates(self, along: &[Tensor]) -> Result<Tensor> {
        let along = Tensor::stack(along, 1)?;
        match self {
            Self::Exact => Ok(along.sum_keepdim(1)?),
            Self::Hutchinson { .. } => Ok(along),
        }
    }
}

impl Probe {
    fn sample(self, x: &Tensor, generator: &mut Generator) -> Result<Tensor> {
        match self {
            Self::Gaussian => generator.normal_like(x),
            Self::Rademacher => {
                let uniform = generator.uniform(-1.0, 1.0, x.shape(), &Device::Cpu)?;
                let signs = uniform.ge(0f32)?.to_dtype(DType::F32)?.affine(2.0, -1.0)?;
                Ok(signs.to_dtype(x.dtype())?.to_device(x.device())?)
            }
        }
    }
}

impl Derivative {
    /// `s(x, t)`, and `vᵀ (∂s/∂x) v` for each direction `v`, `[batch]`.
    pub(super) fn along(
        self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        x: &Tensor,
        t: f64,
        directions: &[Tensor],
    ) -> Result<(Tensor, Vec<Tensor>)> {
        let time = same_time(t, x)?;
        let product = |derivative: &Tensor, v: &Tensor| -> Result<Tensor> {
            Ok(derivative.broadcast_mul(v)?.reshape((x.dims()[0], ()))?.sum(1)?.detach())
        };
        match self {
            Self::Automatic => {
                let x = Var::from_tensor(&x.contiguous()?)?;
                let s = score.score(&x, &time)?;
                let along = |v: &Tensor| {
                    let gradients = s.broadcast_mul(v)?.sum_all()?.backward()?;
                    match gradients.get(&x) {
                        Some(gradient) => product(gradient, v),
                        None => Err(no_gradient("without a gradient in `x`".into())),
                    }
                };
                let along = directions.iter().map(along).collect::<Result<_>>()?;
                Ok((s.detach(), along))
            }
            Self::Differences => {
                let h = step(process, t, x.dtype());
                let along = |v: &Tensor| {
                    let shift = (v * h)?;
                    let above = score.score(&x.broadcast_add(&shift)?, &time)?;
                    let below = score.score(&x.broadcast_sub(&shift)?, &time)?;
                    product(&((above - below)? * (0.5 / h))?, v)
                };
                let along = directions.iter().map(along).collect::<Result<_>>()?;
                Ok((score.score(x, &time)?.detach(), along))
            }
        }
    }

    /// That backpropagation gives the derivatives that differences give: candle has ops that drop gradients without a
    /// word.
    pub(super) fn check(
        self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        x: &Tensor,
        directions: &[Tensor],
    ) -> Result<()> {
        if self == Self::Differences {
            return Ok(());
        }
        // At the horizon every score is smooth.
        let t = process.horizon();
        let all = |way: Self| -> Result<Tensor> {
            Ok(Tensor::stack(&way.along(process, score, x, t, directions)?.1, 0)?)
        };
        let (automatic, differences) = (all(self)?, all(Self::Differences)?);
        let sum = |x: Tensor| -> Result<f64> {
            Ok(x.abs()?.mean_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar()?)
        };
        let (gap, size) = (sum((&automatic - &differences)?)?, sum(differences.clone())?);
        // Where there is nearly no derivative differences are noise.
        let noise = 10.0 * precision(x.dtype()).powi(2) / process.noise_level(t).hypot(1.0);
        // Numbers that are not finite are left to the solver, which names their time.
        if gap <= 0.05 * size + noise || !gap.is_finite() {
            return Ok(());
        }
        Err(no_gradient(format!("one whose gradients differ by {gap:.2e} from its differences")))
    }
}

fn no_gradient(value: String) -> Error {
    let expected = "a score through whose ops gradients flow; `Derivative::Differences` takes any";
    Error::argument("score", value, expected)
}

/// The step of a difference: a small part of the spread of unit-variance data once noised.
fn step(process: &dyn NoisingProcess, t: f64, dtype: DType) -> f64 {
    precision(dtype) * process.mean_scale(t).hypot(process.std(t))
}

/// The cube root of the type's precision, which balances truncation and rounding.
fn precision(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON.cbrt(),
        _ => f64::from(f32::EPSILON).cbrt(),
    }
}

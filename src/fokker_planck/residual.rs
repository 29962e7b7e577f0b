//! Densities put into the Fokker-Planck equation.

use super::Grid;
use crate::{Error, Result, sde::Sde};
use candle_core::{Device, Tensor};

/// What is left of the Fokker-Planck equation where known densities are put into it, `∂ₜp + ∇·(f p) - ½ ∇∇:(G p)` with
/// `G = g gᵀ`, in the middles of the cells: `[cells]`, in the plane `[rows, columns]` as
/// [`plot::signed_map`](crate::plot::signed_map) takes it.
///
/// `log_prob(x, t)` is `ln p_t(x)`, `[n]` for `x` `[n, dim]` in `f64`. All derivatives are central differences, in space
/// over the width of a cell, in time over `step`, so where the SDE has these densities the residual is of second order in
/// both. The step is signed, as those of a solver are: for an SDE that runs down in time, as a reverse SDE does, a
/// negative step turns the sign of the noise's term. That is Anderson's proof by substitution (note 001).
///
/// ```
/// use scorebook::{prelude::*, fokker_planck::residual, diffusion::same_time};
///
/// let process = OrnsteinUhlenbeck::default();
/// let score = MixtureScore::new(Mixture::new([0.3, 0.7], [[-1.5], [1.0]], [0.5, 0.5])?, process);
/// let grid = Grid::line((-4.0, 4.0), 400)?;
/// let left = |sde: &dyn Sde, step: f64| -> scorebook::Result<f64> {
///     let log_prob = |x: &Tensor, t: f64| score.log_prob(x, &same_time(t, x)?);
///     let residual = residual(sde, log_prob, &grid, 0.3, step)?;
///     Ok(residual.abs()?.max_all()?.to_scalar::<f64>()?)
/// };
/// assert!(left(&ForwardSde(process), 1e-4)? < 2e-3);
/// let reverse = ReverseSde { process, score: score.clone(), noise: 1.0 };
/// assert!(left(&reverse, -1e-4)? < 2e-3 && left(&reverse, 1e-4)? > 0.5);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `step` is 0 or not finite, the SDE or the densities have not the grid's dimension, or something is not finite there.
pub fn residual(
    sde: &dyn Sde,
    log_prob: impl Fn(&Tensor, f64) -> Result<Tensor>,
    grid: &Grid,
    t: f64,
    step: f64,
) -> Result<Tensor> {
    if !(step.is_finite() && step != 0.0) {
        return Err(Error::argument("step", step, "a finite number other than 0"));
    }
    let (middles, widths, dim) = (grid.middles()?, grid.widths(), grid.dim());
    let p = |x: &Tensor, t: f64| -> Result<Tensor> {
        let p = log_prob(x, t)?.exp()?;
        if p.dims() != [x.dim(0)?] {
            return Err(Error::shape("log_prob", p.dims(), format!("[{}]", x.dim(0)?)));
        }
        Ok(p)
    };
    let at = |way: [f64; 2]| -> Result<Products> {
        let way: Vec<f64> = way.into_iter().zip(widths).map(|(way, width)| way * width).collect();
        let x = middles.broadcast_add(&Tensor::new(&way[..dim], &Device::Cpu)?)?;
        Products::new(sde, &x, t, &p(&x, t)?)
    };
    let here = at([0.0, 0.0])?;
    let mut left =
        ((p(&middles, t + step.abs())? - p(&middles, t - step.abs())?)? / (2.0 * step.abs()))?;
    for (i, width) in widths.into_iter().enumerate().take(dim) {
        let unit = [[1.0, 0.0], [0.0, 1.0]][i];
        let (above, below) = (at(unit)?, at(unit.map(|way| -way))?);
        let drifted = ((above.drift(i)? - below.drift(i)?)? / (2.0 * width))?;
        let bent = ((above.noise(i, i)? + below.noise(i, i)?)? - (here.noise(i, i)? * 2.0)?)?;
        left = ((left + drifted)? - (bent * (0.5 * step.signum() / width.powi(2)))?)?;
    }
    if dim == 2 {
        let rising = (at([1.0, 1.0])?.noise(0, 1)? + at([-1.0, -1.0])?.noise(0, 1)?)?;
        let falling = (at([1.0, -1.0])?.noise(0, 1)? + at([-1.0, 1.0])?.noise(0, 1)?)?;
        // The mixed derivative counts twice, and half of it is taken.
        let area = 4.0 * widths[0] * widths[1];
        left = (left - ((rising - falling)? * (step.signum() / area))?)?;
    }
    if !left.sum_all()?.to_scalar::<f64>()?.is_finite() {
        return Err(Error::NotFinite {
            what: "the residual".into(),
            at: format!("t = {t}"),
            remedy: "Choose a grid where drift, dispersion and density are, one cell beyond its ends included".into(),
        });
    }
    let [columns, rows] = grid.shape();
    Ok(if dim == 1 { left } else { left.reshape((rows, columns))? })
}

/// What the equation takes derivatives of, at some points.
struct Products {
    /// `f p`, `[points, dim]`.
    drift: Tensor,
    /// The columns of `G p`, `[points, dim]` each.
    noise: Vec<Tensor>,
}

impl Products {
    fn new(sde: &dyn Sde, x: &Tensor, t: f64, p: &Tensor) -> Result<Self> {
        let drift = sde.drift(x, t)?;
        if drift.dims() != x.dims() {
            let expected = format!("that of the points, {:?}", x.dims());
            return Err(Error::shape("drift", drift.dims(), expected));
        }
        let g = sde.dispersion(x, t)?;
        g.noise_dims(x)?;
        let p = p.unsqueeze(1)?;
        let column = |j: usize| -> Result<Tensor> {
            let one = (0..x.dim(1)?).map(|i| if i == j { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
            let unit = Tensor::new(one, x.device())?.unsqueeze(0)?.broadcast_as(x.shape())?;
            Ok(g.covariance(&unit.contiguous()?)?.broadcast_mul(&p)?)
        };
        Ok(Self {
            drift: drift.broadcast_mul(&p)?,
            noise: (0..x.dim(1)?).map(column).collect::<Result<_>>()?,
        })
    }

    fn drift(&self, i: usize) -> Result<Tensor> {
        Ok(self.drift.narrow(1, i, 1)?.squeeze(1)?)
    }

    fn noise(&self, i: usize, j: usize) -> Result<Tensor> {
        Ok(self.noise[j].narrow(1, i, 1)?.squeeze(1)?)
    }
}

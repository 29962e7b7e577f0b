//! The Brownian motion of reverse time.

use crate::{
    Error, Result,
    diffusion::same_time,
    interrupt,
    path::BrownianMotion,
    score::{Score, checked_score},
    sde::{Sde, dispersion_divergence},
};
use candle_core::Tensor;

/// The Brownian motion `β̄` that drives Anderson's reverse SDE along paths of the forward one:
/// `dβ̄_k = dβ_k + p⁻¹ Σ_j ∂_j[p g_jk] dt = dβ_k + (gᵀ ∇ln p + ∇·g)_k dt`, one number a noise.
///
/// `path` is the `β` that drove an SDE upward and `states` are the states at its times, all of them
/// ([`Solution::trajectory`](crate::sde::Solution::trajectory) of a solver with `record: Some(1)`). The result runs down
/// from `T`, where it is 0, and a solver of [`AndersonReverse`](super::AndersonReverse) that goes
/// [along](crate::sde::Solver::solve_along) it from `x(T)` comes back the way the path came, up to the length of the steps.
///
/// The increments of `β̄` below a time are independent of the state at that time, as those of `β` above it are. Note 003's
/// `w_T - w_{T-t}` is the same `β` seen from the end, and is not; note 000 sums over `k` too, and for `g(t)` writes the norm
/// `‖∇ln p‖₁` in place of `∇ln p`: both move all noises by one number, and are no Brownian motion. Source: Anderson 1982,
/// equation 3.5.
///
/// The sum takes the later end of each step, where the reverse solver starts it; so the score at the first time is not asked
/// for.
///
/// ```
/// use scorebook::{prelude::*, reverse::reverse_brownian_motion};
///
/// // The stationary law of dx = -x dt + dβ is N(0, ½), with the score -2x.
/// let sde = Ito::new(|x, _t| x.neg(), |_t| 1.0);
/// let score = ScoreFunction::new(|x, _t| Ok((x * -2.0)?));
/// let (times, mut generator) = (time_grid(0.0, 1.0, 200)?, Generator::new(7));
/// let path = BrownianMotion::sample(&times, (100, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = (generator.normal((100, 1), &Device::Cpu)?.to_dtype(DType::F64)? * 0.5f64.sqrt())?;
/// let up = EulerMaruyama { record: Some(1), ..Default::default() }.solve_along(&sde, &x0, &path)?;
///
/// let back = reverse_brownian_motion(&sde, &score, &path, &up.trajectory.unwrap())?;
/// let reverse = AndersonReverse { sde, score, noise: 1.0 };
/// let down = EulerMaruyama::default().solve_along(&reverse, &up.x, &back)?;
/// assert!((down.x - x0)?.abs()?.max_all()?.to_scalar::<f64>()? < 0.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// An interrupt ends the way down early; the result has the times that were reached:
///
/// ```
/// use scorebook::{prelude::*, interrupt, reverse::reverse_brownian_motion};
///
/// let sde = Ito::new(|x, _t| x.neg(), |_t| 1.0);
/// let score = ScoreFunction::new(|x, t| {
///     if t.to_vec1::<f64>()?[0] < 0.55 {
///         interrupt::request();
///     }
///     Ok((x * -2.0)?)
/// });
/// let (times, mut generator) = (time_grid(0.0, 1.0, 10)?, Generator::new(7));
/// let path = BrownianMotion::sample(&times, (5, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::zeros((5, 1), DType::F64, &Device::Cpu)?;
/// let up = EulerMaruyama { record: Some(1), ..Default::default() }.solve_along(&sde, &x0, &path)?;
/// let back = reverse_brownian_motion(&sde, &score, &path, &up.trajectory.unwrap())?;
/// assert_eq!((back.times.len(), back.times[6]), (7, 0.4));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the path does not go upward, there is not one state for each of its times, or drift, dispersion and score do not fit
/// the states.
pub fn reverse_brownian_motion(
    sde: &dyn Sde,
    score: &dyn Score,
    path: &BrownianMotion,
    states: &[Tensor],
) -> Result<BrownianMotion> {
    let steps = path.steps()?;
    let (start, end) = (path.times[0], path.times[steps]);
    if start > end {
        return Err(Error::argument(
            "path",
            format!("from {start} to {end}"),
            "one upward in time",
        ));
    }
    if states.len() != steps + 1 {
        let expected = format!("{}, one for each time of the path", steps + 1);
        return Err(Error::argument("states", format!("{} states", states.len()), expected));
    }
    let increments = path.increments()?;
    let mut value = path.values.get(0)?.zeros_like()?;
    let (mut times, mut values) = (vec![end], vec![value.clone()]);
    for k in (0..steps).rev() {
        if interrupt::requested() {
            break;
        }
        let (x, t) = (&states[k + 1], path.times[k + 1]);
        let g = sde.dispersion(x, t)?;
        let expected = g.noise_dims(x)?;
        if value.dims() != expected {
            return Err(Error::shape(
                "path",
                path.values.dims(),
                format!("[times, ..] with {expected:?}"),
            ));
        }
        let mut rate = g.apply_transposed(&checked_score(score, x, &same_time(t, x)?)?)?;
        if let Some(divergence) = dispersion_divergence(sde, x, t)? {
            rate = (rate + divergence)?;
        }
        let step = (increments.get(k)? + (rate * (t - path.times[k]))?)?;
        value = (value - step)?.detach();
        times.push(path.times[k]);
        values.push(value.clone());
    }
    Ok(BrownianMotion { times, values: Tensor::stack(&values, 0)?, integrals: None })
}

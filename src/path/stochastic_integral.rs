//! Integrals with respect to a path: Itô's, Stratonovich's, the backward one, and all between.

use super::quadratic_variation::increments;
use crate::{Error, Result};
use candle_core::Tensor;

/// The integrand at the left end of each interval: Itô's integral, a martingale against Brownian motion.
pub const ITO: f64 = 0.0;
/// The mean of both ends: Stratonovich's integral, which obeys the ordinary chain rule.
pub const STRATONOVICH: f64 = 0.5;
/// The integrand at the right end: the backward integral, Itô's in reverse time.
pub const BACKWARD: f64 = 1.0;

/// The integral `∫ y dx` on a grid, `Σ_k [(1 - λ) y(t_k) + λ y(t_{k+1})] [x(t_{k+1}) - x(t_k)]`.
///
/// `integrand` and `integrator` are `[steps + 1, ...]` and broadcast against each other; the result is `[...]`. The point
/// `λ` in `[0, 1]` is where each interval's integrand is taken: [`ITO`], [`STRATONOVICH`], [`BACKWARD`].
/// It is no matter of taste: against Brownian motion the sums differ in the limit by `λ [y, x]`, the
/// [`covariation`](super::covariation), so `E ∫ W dW = λ T`. (Note 000 defines the Itô integral with the
/// right end, `λ = 1`.) Against a smooth integrator, such as the times themselves, all `λ` agree in the limit,
/// and ½ is the trapezoidal rule.
///
/// ```
/// use scorebook::{prelude::*, path::{ITO, STRATONOVICH, BrownianMotion, stochastic_integral, time_grid}};
///
/// let times = time_grid(0.0, 1.0, 1000)?;
/// let w = BrownianMotion::sample(&times, (50, 1), DType::F64, &mut Generator::new(7), &Device::Cpu)?;
/// let (w, end) = (&w.values, w.values.get(1000)?);
/// // ∫ W ∘ dW = W²/2 exactly; Itô's integral is (W² - t)/2 up to √(Δt/2) or so.
/// let half = (stochastic_integral(w, w, STRATONOVICH)? - (end.sqr()? / 2.0)?)?;
/// assert!(half.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
/// let ito = (stochastic_integral(w, w, ITO)? - ((end.sqr()? - 1.0)? / 2.0)?)?;
/// assert!(ito.abs()?.max_all()?.to_scalar::<f64>()? < 0.12);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the point is not in `[0, 1]`, or the shapes do not fit.
pub fn stochastic_integral(integrand: &Tensor, integrator: &Tensor, point: f64) -> Result<Tensor> {
    Ok(summands(integrand, integrator, point)?.sum(0)?)
}

/// The integral as a process: `∫ y dx` from the first time up to each, `[steps + 1, ...]`, 0 at the first.
///
/// ```
/// use scorebook::{prelude::*, path::{ITO, integral_process}};
///
/// let y = Tensor::new(&[1.0, 2.0, 3.0], &Device::Cpu)?;
/// let x = Tensor::new(&[0.0, 1.0, 3.0], &Device::Cpu)?;
/// assert_eq!(integral_process(&y, &x, ITO)?.to_vec1::<f64>()?, [0.0, 1.0, 5.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`stochastic_integral`].
pub fn integral_process(integrand: &Tensor, integrator: &Tensor, point: f64) -> Result<Tensor> {
    let summands = summands(integrand, integrator, point)?;
    let mut values = vec![summands.get(0)?.zeros_like()?];
    for k in 0..summands.dim(0)? {
        values.push((&values[k] + summands.get(k)?)?);
    }
    Ok(Tensor::stack(&values, 0)?)
}

/// The summands of an integral, `[steps, ...]`.
fn summands(integrand: &Tensor, integrator: &Tensor, point: f64) -> Result<Tensor> {
    if !(0.0..=1.0).contains(&point) {
        return Err(Error::argument("point", point, "a point of the interval [0, 1]"));
    }
    let steps = increments(integrator)?;
    let count = steps.dim(0)?;
    match integrand.dims() {
        [times, ..] if *times == count + 1 => {}
        dims => {
            let expected = format!("[{}, ...], as the integrator has", count + 1);
            return Err(Error::shape("integrand", dims, expected));
        }
    }
    let (left, right) = (integrand.narrow(0, 0, count)?, integrand.narrow(0, 1, count)?);
    let inside = match point {
        // Exactly the ends: 0 times a value that is not finite would spread it.
        ITO => left,
        BACKWARD => right,
        _ => ((left * (1.0 - point))? + (right * point)?)?,
    };
    Ok(inside.broadcast_mul(&steps)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn bad_requests_are_errors() {
        let x = Tensor::zeros((4, 2), candle_core::DType::F64, &Device::Cpu).unwrap();
        let error = |y: &Tensor, point| stochastic_integral(y, &x, point).unwrap_err().to_string();
        assert_eq!(error(&x, 1.5), "`point` is 1.5; expected a point of the interval [0, 1]");
        assert!(error(&x, f64::NAN).starts_with("`point` is NaN"));
        let short = x.narrow(0, 0, 3).unwrap();
        assert_eq!(
            error(&short, ITO),
            "`integrand` has shape [3, 2]; expected [4, ...], as the integrator has"
        );
        let single = x.narrow(0, 0, 1).unwrap();
        assert!(stochastic_integral(&single, &single, ITO).is_err());
    }
}

//! Quadratic variation.

use crate::{Error, Result};
use candle_core::Tensor;

/// The quadratic variation `Σ_k (x(t_{k+1}) - x(t_k))²` of each path on its grid.
///
/// `path` is `[steps + 1, ...]`, the result `[...]`. As the grid gets finer it tends to `∫ g² dt` for an Itô
/// process: `T` for Brownian motion. So a single path does tell which dispersion made it (note 001 says that one
/// cannot tell; only the drift stays hidden).
///
/// ```
/// use scorebook::{prelude::*, path::{BrownianMotion, quadratic_variation, time_grid}, random::Generator};
///
/// let times = time_grid(0.0, 2.0, 1000)?;
/// let w = BrownianMotion::sample(&times, (50, 1), DType::F32, &mut Generator::new(7), &Device::Cpu)?;
/// let mean = quadratic_variation(&w.values)?.mean_all()?.to_scalar::<f32>()?;
/// assert!((mean - 2.0).abs() < 0.07); // Five standard errors, √(2/1000/50) 2 each.
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `path` has fewer than two times.
pub fn quadratic_variation(path: &Tensor) -> Result<Tensor> {
    Ok(increments(path)?.sqr()?.sum(0)?)
}

/// `x(t_{k+1}) - x(t_k)` as `[steps, ...]`.
pub(super) fn increments(path: &Tensor) -> Result<Tensor> {
    match path.dims() {
        [times, ..] if *times >= 2 => {
            Ok((path.narrow(0, 1, times - 1)? - path.narrow(0, 0, times - 1)?)?)
        }
        dims => Err(Error::shape("path", dims, "[steps + 1, ...] with at least one step")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn squares_of_the_steps() {
        let path = Tensor::new(&[[0.0f64, 1.0], [2.0, 1.0], [-1.0, 4.0]], &Device::Cpu).unwrap();
        let variation = quadratic_variation(&path).unwrap().to_vec1::<f64>().unwrap();
        assert_eq!(variation, [13.0, 9.0]);
        let error = quadratic_variation(&path.narrow(0, 0, 1).unwrap()).unwrap_err().to_string();
        assert_eq!(
            error,
            "`path` has shape [1, 2]; expected [steps + 1, ...] with at least one step"
        );
    }
}

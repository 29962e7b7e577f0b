//! Quadratic variation and covariation.

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
    covariation(path, path)
}

/// The covariation `Σ_k (x(t_{k+1}) - x(t_k)) (y(t_{k+1}) - y(t_k))` of two paths on the same grid.
///
/// Both are `[steps + 1, ...]` and broadcast against each other; the result is `[...]`. Independent Brownian motions
/// have the covariation 0, those with the spectral density `Q` have `[Wⁱ, Wʲ]_t = Q_ij t`, and a path of finite
/// length (the time itself) has none with any continuous path.
///
/// ```
/// use scorebook::{prelude::*, path::covariation};
///
/// let x = Tensor::new(&[0.0, 1.0, 3.0], &Device::Cpu)?;
/// let y = Tensor::new(&[0.0, 2.0, 1.0], &Device::Cpu)?;
/// assert_eq!(covariation(&x, &y)?.to_scalar::<f64>()?, 1.0 * 2.0 - 2.0 * 1.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If a path has fewer than two times, or the shapes do not fit.
pub fn covariation(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let (of_x, of_y) = (increments(x)?, increments(y)?);
    if of_x.dims()[0] != of_y.dims()[0] {
        return Err(Error::shape("y", y.dims(), format!("[{}, ...], as x has", x.dims()[0])));
    }
    Ok(of_x.broadcast_mul(&of_y)?.sum(0)?)
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
        let error = covariation(&path, &path.narrow(0, 0, 2).unwrap()).unwrap_err().to_string();
        assert_eq!(error, "`y` has shape [2, 2]; expected [3, ...], as x has");
    }
}

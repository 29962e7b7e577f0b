//! What a noising process is.

use crate::{Error, Result, random::Generator};
use candle_core::{DType, Device, Tensor};
use std::fmt::Debug;

/// A process that turns data into noise: `dx = a(t) x dt + g(t) dw` on `0 ≤ t ≤ T`.
///
/// Its transition kernel is `x(t) | x(0) ~ N(α(t) x(0), σ²(t) I)` with `a = d ln α/dt` and
/// `g² = dσ²/dt - 2 σ² d ln α/dt` (Song et al. 2021, *Score-based generative modeling through SDEs*,
/// appendix B; Särkkä and Solin 2019, section 6.1).
///
/// The scalar functions take a time in `[0, T]`; the methods on tensors check it. For `σ²` near `t = 0`
/// the structs of this room use forms that do not cancel.
///
/// ```
/// use scorebook::{prelude::*, diffusion::{NoisingProcess, VariancePreserving}, random::Generator};
///
/// let process = VariancePreserving::default();
/// let x0 = Tensor::ones((4, 2), DType::F32, &Device::Cpu)?;
/// let t = Tensor::new(&[0.1f32, 0.4, 0.7, 1.0], &Device::Cpu)?;
/// let (x_t, z) = process.perturb(&x0, &t, &mut Generator::new(7))?;
/// assert_eq!((x_t.dims(), z.dims()), (&[4, 2][..], &[4, 2][..]));
/// // The draw is the mean and the noise, scaled.
/// let (mean, std) = process.marginal_prob(&x0, &t)?;
/// assert_eq!((mean.dims(), std.dims()), (&[4, 2][..], &[4, 1][..]));
/// let again = (mean + z.broadcast_mul(&std)?)?;
/// assert_eq!(x_t.to_vec2::<f32>()?, again.to_vec2::<f32>()?);
/// // At the end the data are as good as forgotten.
/// assert_eq!((process.horizon(), process.prior_std()), (1.0, 1.0));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait NoisingProcess: Send + Sync + Debug {
    /// The rate `a(t)`: the drift is `a(t) x`.
    fn rate(&self, t: f64) -> f64;

    /// The dispersion `g(t) ≥ 0`, which the notes also call the diffusion coefficient.
    fn dispersion(&self, t: f64) -> f64;

    /// The mean scale `α(t)`: `E[x(t) | x(0)] = α(t) x(0)`, with `α(0) = 1`.
    fn mean_scale(&self, t: f64) -> f64;

    /// The kernel's standard deviation `σ(t)`, with `σ(0) = 0`.
    fn std(&self, t: f64) -> f64;

    /// The end of time `T`, where sampling starts.
    fn horizon(&self) -> f64;

    /// The standard deviation of the prior `π = N(0, prior_std² I)`, which stands for `p_T`.
    fn prior_std(&self) -> f64;

    /// The noise level `σ(t)/α(t)`: the standard deviation of the noise on `x(t)/α(t)`, an unscaled sample.
    ///
    /// It rises from 0 with time. `α²/σ²`, its inverse square, is the signal-to-noise ratio (Kingma et al. 2021;
    /// Karras et al. 2022 take the level itself, their `σ`, as the time).
    fn noise_level(&self, t: f64) -> f64 {
        self.std(t) / self.mean_scale(t)
    }

    /// The time at which the [noise level](Self::noise_level) is `level`: its inverse on `[0, T]`, by bisection to
    /// the last bits where a process does not know better.
    ///
    /// ```
    /// use scorebook::diffusion::{NoisingProcess, VariancePreserving};
    ///
    /// let process = VariancePreserving::default();
    /// let t = process.time_of_noise_level(process.noise_level(0.3))?;
    /// assert!((t - 0.3).abs() < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `level` is not between 0 and the level at the horizon.
    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        let (mut early, mut late) = (0.0, self.horizon());
        loop {
            let middle = 0.5 * (early + late);
            if middle <= early || middle >= late {
                return Ok(late);
            }
            if self.noise_level(middle) < level { early = middle } else { late = middle }
        }
    }

    /// The mean `α(t) x0` and the standard deviation `σ(t)` of `x(t)` given `x(0) = x0`.
    ///
    /// `x0` is `[batch, ...]`, `t` is `[batch]`; the mean has the shape of `x0`, the standard deviation is
    /// `[batch, 1, ...]`, ready to broadcast over it.
    ///
    /// # Errors
    /// If `t` is not one time in `[0, T]` a sample.
    fn marginal_prob(&self, x0: &Tensor, t: &Tensor) -> Result<(Tensor, Tensor)> {
        times_until(self.horizon(), t, x0)?;
        let scale = per_sample(t, x0, |t| self.mean_scale(t))?;
        let std = per_sample(t, x0, |t| self.std(t))?;
        Ok((x0.broadcast_mul(&scale)?, std))
    }

    /// A draw `x_t = α(t) x0 + σ(t) z` of the kernel, with the `z ~ N(0, I)` that made it.
    ///
    /// The kernel's score is `∇ log p(x_t | x0) = -z/σ(t)`, the target of denoising score matching (note 003).
    ///
    /// # Errors
    /// If `t` is not one time in `[0, T]` a sample.
    fn perturb(
        &self,
        x0: &Tensor,
        t: &Tensor,
        generator: &mut Generator,
    ) -> Result<(Tensor, Tensor)> {
        let (mean, std) = self.marginal_prob(x0, t)?;
        let z = generator.normal_like(x0)?;
        Ok(((mean + z.broadcast_mul(&std)?)?, z))
    }

    /// A draw of the prior `N(0, prior_std² I)` with the shape `[batch, ...]`, in `f32`.
    ///
    /// # Errors
    /// If the device cannot take the tensor.
    fn prior_sample(
        &self,
        shape: &[usize],
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Tensor> {
        Ok((generator.normal(shape, device)? * self.prior_std())?)
    }
}

/// That `level` is a noise level of the process.
pub(super) fn check_level(process: &(impl NoisingProcess + ?Sized), level: f64) -> Result<()> {
    let last = process.noise_level(process.horizon());
    // A level that was computed from the horizon may lie past it by its last digits.
    if (0.0..=last * (1.0 + 1e-12)).contains(&level) {
        return Ok(());
    }
    Err(Error::argument("level", level, format!("a noise level in [0, {last}]")))
}

/// A function of time for each sample: `f(t)` as `[batch, 1, ...]`, ready to broadcast over `x`.
///
/// The function is evaluated in `f64` and rounded to the type of `x` once.
///
/// ```
/// use scorebook::{prelude::*, diffusion::per_sample};
///
/// let x = Tensor::zeros((2, 3, 8, 8), DType::F32, &Device::Cpu)?;
/// let t = Tensor::new(&[0.5f32, 1.0], &Device::Cpu)?;
/// assert_eq!(per_sample(&t, &x, |t| t * t)?.dims(), [2, 1, 1, 1]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `t` is not `[batch]`.
pub fn per_sample(t: &Tensor, x: &Tensor, f: impl Fn(f64) -> f64) -> Result<Tensor> {
    let values: Vec<f64> = times(t, x)?.into_iter().map(f).collect();
    let mut shape = vec![1; x.rank()];
    shape[0] = values.len();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())?)
}

/// One time for the whole batch of `x`, `[batch]`, as a [`Score`](crate::score::Score) takes it.
///
/// ```
/// use scorebook::{prelude::*, diffusion::same_time};
///
/// let x = Tensor::zeros((2, 3), DType::F64, &Device::Cpu)?;
/// assert_eq!(same_time(0.5, &x)?.to_vec1::<f64>()?, [0.5, 0.5]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `x` has no batch.
pub fn same_time(t: f64, x: &Tensor) -> Result<Tensor> {
    Ok((Tensor::ones(x.dim(0)?, x.dtype(), x.device())? * t)?)
}

/// The times of the samples `x` as numbers.
fn times(t: &Tensor, x: &Tensor) -> Result<Vec<f64>> {
    let [batch, ..] = x.dims() else {
        return Err(Error::shape("x", x.dims(), "[batch, ...]"));
    };
    if t.dims() != [*batch] {
        return Err(Error::shape("t", t.dims(), format!("[{batch}], one time a sample")));
    }
    // On the host first: not every device converts to `f64`.
    Ok(t.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_vec1()?)
}

/// The times of the samples `x` as numbers, each in `[0, T]`.
pub(crate) fn times_until(horizon: f64, t: &Tensor, x: &Tensor) -> Result<Vec<f64>> {
    let times = times(t, x)?;
    // A time that was rounded to f32 may lie past the horizon by its last digit.
    let last = horizon * (1.0 + f64::from(f32::EPSILON));
    match times.iter().find(|t| !(0.0..=last).contains(*t)) {
        Some(t) => Err(Error::argument("t", t, format!("a time in [0, {horizon}]"))),
        None => Ok(times),
    }
}

/// `(1 - e^(-x))/x`, which is 1 at 0.
pub(super) fn relative_decay(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { -(-x).exp_m1() / x }
}

/// `ln(1 + x)/x`, which is 1 at 0.
pub(super) fn relative_logarithm(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { x.ln_1p() / x }
}

/// The least and the greatest rate `β` of a process, or the error that says what they should have been.
pub(super) fn checked_betas(beta_min: f64, beta_max: f64) -> Result<(f64, f64)> {
    let beta_min = checked("beta_min", beta_min, beta_min >= 0.0, "a number of at least 0")?;
    let above = format!("a positive number of at least `beta_min`, which is {beta_min}");
    let beta_max = checked("beta_max", beta_max, beta_max >= beta_min && beta_max > 0.0, above)?;
    Ok((beta_min, beta_max))
}

/// The number, or the error that says what it should have been.
pub(super) fn checked(
    name: &'static str,
    value: f64,
    holds: bool,
    expected: impl Into<String>,
) -> Result<f64> {
    if holds && value.is_finite() { Ok(value) } else { Err(Error::argument(name, value, expected)) }
}

/// A borrowed process is a process.
impl<P: NoisingProcess + ?Sized> NoisingProcess for &P {
    fn rate(&self, t: f64) -> f64 {
        (**self).rate(t)
    }

    fn dispersion(&self, t: f64) -> f64 {
        (**self).dispersion(t)
    }

    fn mean_scale(&self, t: f64) -> f64 {
        (**self).mean_scale(t)
    }

    fn std(&self, t: f64) -> f64 {
        (**self).std(t)
    }

    fn horizon(&self) -> f64 {
        (**self).horizon()
    }

    fn prior_std(&self) -> f64 {
        (**self).prior_std()
    }

    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        (**self).time_of_noise_level(level)
    }
}

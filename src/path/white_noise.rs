//! White noise as a generalised process, and its spectrum.

use crate::{Error, Result, random::Generator};
use candle_core::{DType, Device, Shape, Tensor};
use std::f64::consts::{PI, TAU};

/// White noise on `[0, T]` below a band edge: its first coefficients in the Fourier basis.
///
/// White noise `w` is no function (note 000 treats it as one, and `δ` too): its values would have infinite variance. It is
/// a Gaussian family `⟨w, φ⟩ = ∫ φ dW`, one number for each test function, with `E⟨w, φ⟩⟨w, ψ⟩ = ∫ φ ψ dt`. Against
/// an orthonormal basis `e_j` of `L²[0, T]` it gives independent standard normals `c_j`. With `e_0 = √(1/T)` and
/// `√(2/T) cos 2πkt/T`, `√(2/T) sin 2πkt/T` for `k ≤ K` the sum
///
/// `w_K(t) = Σ c_j e_j(t)`
///
/// is a smooth stationary process. Its spectral density is 1 up to the band edge `K/T` and 0 beyond, its variance
/// `(2K + 1)/T` grows without bound, and its integral from 0 is a Brownian motion in the limit (Wiener 1924).
///
/// ```
/// use scorebook::{prelude::*, path::WhiteNoise};
///
/// let noise = WhiteNoise::sample(1.0, 50, 10_000, DType::F64, &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(noise.values(&[0.0, 0.3, 0.7])?.dims(), [3, 10_000]);
/// // ⟨w, t⟩ ~ N(0, ∫ t² dt), of which the band holds all but 1/500: the variance is close to 1/3.
/// let variance = noise.against(|t| t)?.sqr()?.mean_all()?.to_scalar::<f64>()?;
/// assert!((variance - 1.0 / 3.0).abs() < 5.0 * 2f64.sqrt() / 300.0 + 0.002);
/// assert_eq!((noise.modes(), noise.band_edge()), (50, 50.0));
/// // Its integral is Brownian motion, but for what lies above the band edge: the variance at ½ is ½.
/// let variance = noise.integral(&[0.5])?.sqr()?.mean_all()?.to_scalar::<f64>()?;
/// assert!((variance - 0.5).abs() < 5.0 * 2f64.sqrt() / 200.0 + 0.002);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WhiteNoise {
    horizon: f64,
    /// `c_j`, `[2 K + 1, batch, ...]`.
    coefficients: Tensor,
}

/// What the basis is asked for.
#[derive(Clone, Copy)]
enum Basis {
    /// `e_j(t)`.
    Value,
    /// `∫_0^t e_j`.
    Integral,
}

impl WhiteNoise {
    /// Draws noise of the shape `[batch, ...]` on `[0, horizon]` with `modes` frequencies above 0.
    ///
    /// # Errors
    /// If `horizon` is not positive, or `dtype` is no float.
    pub fn sample(
        horizon: f64,
        modes: usize,
        shape: impl Into<Shape>,
        dtype: DType,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        if !(horizon > 0.0 && horizon.is_finite()) {
            return Err(Error::argument("horizon", horizon, "a positive time"));
        }
        let mut dims = vec![2 * modes + 1];
        dims.extend(shape.into().dims());
        let coefficients = generator.normal_like(&Tensor::zeros(dims, dtype, device)?)?;
        Ok(Self { horizon, coefficients })
    }

    /// The same noise seen through a narrower band.
    ///
    /// # Errors
    /// If there are not as many modes.
    pub fn narrow(&self, modes: usize) -> Result<Self> {
        if modes > self.modes() {
            let expected = format!("at most {}, as this noise has", self.modes());
            return Err(Error::argument("modes", modes, expected));
        }
        let coefficients = self.coefficients.narrow(0, 0, 2 * modes + 1)?;
        Ok(Self { horizon: self.horizon, coefficients })
    }

    /// The number `K` of frequencies above 0.
    pub fn modes(&self) -> usize {
        self.coefficients.dims()[0] / 2
    }

    /// The highest frequency, `K/T`.
    pub fn band_edge(&self) -> f64 {
        self.modes() as f64 / self.horizon
    }

    /// The values `w_K(t)`, `[times, batch, ...]`. In time the noise goes on with the period `T`.
    ///
    /// # Errors
    /// If a time is not finite.
    pub fn values(&self, times: &[f64]) -> Result<Tensor> {
        self.combine(&self.basis(times, Basis::Value)?, times.len())
    }

    /// The integrals `∫_0^t w_K(s) ds`, `[times, batch, ...]`: Brownian motion, but for what lies above the band edge.
    ///
    /// # Errors
    /// If a time is not finite.
    pub fn integral(&self, times: &[f64]) -> Result<Tensor> {
        self.combine(&self.basis(times, Basis::Integral)?, times.len())
    }

    /// `⟨w_K, φ⟩ = ∫ φ(t) w_K(t) dt` over `[0, T]` for a test function, `[batch, ...]`.
    ///
    /// It is `N(0, ∫ φ_K² dt)` with the part `φ_K` of `φ` below the band edge; the integrals `∫ φ e_j` are taken with 16 points
    /// and more a period of the highest frequency, by the midpoint rule.
    ///
    /// # Errors
    /// If `φ` is not finite somewhere.
    pub fn against(&self, phi: impl Fn(f64) -> f64) -> Result<Tensor> {
        let points = 1024 + 16 * self.modes();
        let dt = self.horizon / points as f64;
        let times: Vec<f64> = (0..points).map(|i| (i as f64 + 0.5) * dt).collect();
        let basis = self.basis(&times, Basis::Value)?;
        let mut coefficients = vec![0.0; 2 * self.modes() + 1];
        for (t, row) in times.iter().zip(basis.chunks(coefficients.len())) {
            let weight = phi(*t) * dt;
            if !weight.is_finite() {
                return Err(Error::argument("phi", phi(*t), format!("a finite number at t = {t}")));
            }
            coefficients.iter_mut().zip(row).for_each(|(sum, e)| *sum += weight * e);
        }
        Ok(self.combine(&coefficients, 1)?.squeeze(0)?)
    }

    /// The basis at each time, `[times, 2 K + 1]`, row after row.
    fn basis(&self, times: &[f64], what: Basis) -> Result<Vec<f64>> {
        if let Some(t) = times.iter().find(|t| !t.is_finite()) {
            return Err(Error::argument("times", t, "finite times"));
        }
        let (constant, scale) = ((1.0 / self.horizon).sqrt(), (2.0 / self.horizon).sqrt());
        let mut rows = Vec::with_capacity(times.len() * (2 * self.modes() + 1));
        for t in times {
            rows.push(match what {
                Basis::Value => constant,
                Basis::Integral => constant * t,
            });
            for k in 1..=self.modes() {
                let omega = TAU * k as f64 / self.horizon;
                let (sine, cosine) = (omega * t).sin_cos();
                rows.extend(match what {
                    Basis::Value => [scale * cosine, scale * sine],
                    Basis::Integral => [scale * sine / omega, scale * (1.0 - cosine) / omega],
                });
            }
        }
        Ok(rows)
    }

    /// Rows `[count, 2 K + 1]` times the coefficients.
    fn combine(&self, rows: &[f64], count: usize) -> Result<Tensor> {
        let c = &self.coefficients;
        let modes = c.dims()[0];
        let rows = Tensor::from_slice(rows, (count, modes), &Device::Cpu)?;
        let rows = rows.to_dtype(c.dtype())?.to_device(c.device())?;
        let mut dims = c.dims().to_vec();
        let flat = c.reshape((modes, c.elem_count() / modes))?;
        dims[0] = count;
        Ok(rows.matmul(&flat)?.reshape(dims)?)
    }
}

/// The periodogram `Δt/n |Σ_j x_j e^{-2πi f j Δt}|²` of values `[n, ...]` at distances `Δt`: an estimate of the two-sided
/// spectral density at the frequencies `f = 0, 1/(n Δt), ... 1/(2 Δt)`, given as `[frequencies, ...]`.
///
/// At each frequency it is about exponentially distributed, so one path shows a density only on average over paths
/// or neighbouring frequencies. Increments `ΔW/Δt` have the density 1 at all frequencies. The sums are taken as they
/// are written, in `n²` steps.
///
/// ```
/// use scorebook::{prelude::*, path::{BrownianMotion, periodogram, time_grid}};
///
/// let times = time_grid(0.0, 1.0, 256)?;
/// let w = BrownianMotion::sample(&times, 2000, DType::F64, &mut Generator::new(7), &Device::Cpu)?;
/// let (frequencies, density) = periodogram(&(w.increments()? * 256.0)?, 1.0 / 256.0)?;
/// assert_eq!((frequencies.len(), frequencies[128]), (129, 128.0));
/// let mean = density.mean(1)?.to_vec1::<f64>()?;
/// assert!(mean[1..128].iter().all(|density| (density - 1.0).abs() < 5.0 / 2000f64.sqrt()));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If there are fewer than two values, or `dt` is not positive.
pub fn periodogram(values: &Tensor, dt: f64) -> Result<(Vec<f64>, Tensor)> {
    if !(dt > 0.0 && dt.is_finite()) {
        return Err(Error::argument("dt", dt, "a positive time"));
    }
    let n = match values.dims() {
        [n, ..] if *n >= 2 => *n,
        dims => return Err(Error::shape("values", dims, "[n, ...] with at least two values")),
    };
    let count = n / 2 + 1;
    let flat = values.reshape((n, values.elem_count() / n))?;
    let square = |wave: fn(f64) -> f64| -> Result<Tensor> {
        // The product is taken modulo n first, so that the angle stays small.
        let angle = |i: usize| 2.0 * PI * ((i / n * (i % n)) % n) as f64 / n as f64;
        let waves: Vec<f64> = (0..count * n).map(|i| wave(angle(i))).collect();
        let waves = Tensor::from_vec(waves, (count, n), &Device::Cpu)?;
        let waves = waves.to_dtype(values.dtype())?.to_device(values.device())?;
        Ok(waves.matmul(&flat)?.sqr()?)
    };
    let density = ((square(f64::cos)? + square(f64::sin)?)? * (dt / n as f64))?;
    let mut dims = values.dims().to_vec();
    dims[0] = count;
    let frequencies = (0..count).map(|k| k as f64 / (n as f64 * dt)).collect();
    Ok((frequencies, density.reshape(dims)?))
}

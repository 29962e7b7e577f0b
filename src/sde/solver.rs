//! What a solver of SDEs is: one step; and the march that all of them share.

use super::{Dispersion, March, Saving, Sde, Solution, stability::Stability};
use crate::{Error, Result, path::BrownianMotion, random::Generator};
use candle_core::{DType, Device, Tensor};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A one-step method for an Itô SDE `dx = f(x, t) dt + g(x, t) dw`: how to get from `t` to the next time, given
/// what the noise does between them.
///
/// Everything else is written once, here: with fresh noise or along given paths, upward or downward in time.
///
/// ```
/// use scorebook::prelude::*;
///
/// // One Brownian path, two solvers.
/// let sde = Ito::general(|x, _t| x * 0.5, |x, _t| Ok(Dispersion::Diagonal(x.clone())));
/// let times = time_grid(0.0, 1.0, 64)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample(&times, (1000, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::ones((1000, 1), DType::F64, &Device::Cpu)?;
/// let exact = w.values.get(64)?.exp()?;
/// let error = |solver: &dyn Solver| -> scorebook::Result<f64> {
///     let x = solver.solve_along(&sde, &x0, &w)?.x;
///     Ok((x - &exact)?.abs()?.mean_all()?.to_scalar::<f64>()?)
/// };
/// assert!(error(&Milstein::default())? < 0.3 * error(&EulerMaruyama::default())?);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// A solver of one's own is a step and its orders:
///
/// ```
/// use scorebook::{prelude::*, sde::Increment};
///
/// /// Euler's step with a drift that cannot throw far (Hutzenthaler, Jentzen and Kloeden 2012): `f Δt/(1 + |f| Δt)`.
/// struct Tamed;
///
/// impl Solver for Tamed {
///     fn name(&self) -> &'static str {
///         "tamed Euler"
///     }
///
///     fn strong_order(&self) -> f64 {
///         0.5
///     }
///
///     fn weak_order(&self) -> f64 {
///         1.0
///     }
///
///     fn step(&self, sde: &dyn Sde, x: &Tensor, t: f64, next: f64, noise: &Increment) -> scorebook::Result<Tensor> {
///         let rise = (sde.drift(x, t)? * (next - t))?;
///         let tamed = (&rise / (rise.abs()? + 1.0)?)?;
///         Ok(((x + tamed)? + sde.dispersion(x, t)?.apply(&noise.dw)?)?)
///     }
/// }
///
/// // From 10 Euler's step for dx = -x³ dt + dw goes to -90.
/// let sde = Ito::new(|x, _t| x.powf(3.0)?.neg(), |_t| 1.0);
/// let x = Tensor::new(&[[10f64]], &Device::Cpu)?;
/// let silence = Increment { dw: x.zeros_like()?, integral: None };
/// let after = Tamed.step(&sde, &x, 0.0, 0.1, &silence)?.to_vec2::<f64>()?[0][0];
/// assert!((after - (10.0 - 100.0 / 101.0)).abs() < 1e-12);
/// assert_eq!((Tamed.name(), Tamed.needs_integrals()), ("tamed Euler", false));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Solver: Send + Sync {
    /// The method's name.
    fn name(&self) -> &'static str;

    /// The order `p` in `E |x(T) - x_h(T)| = O(h^p)`, along the same path, for the noise that the method is made
    /// for.
    fn strong_order(&self) -> f64;

    /// The strong order for additive noise, where it is another.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let euler = EulerMaruyama::default();
    /// assert_eq!((euler.strong_order(), euler.strong_order_for_additive_noise()), (0.5, 1.0));
    /// ```
    fn strong_order_for_additive_noise(&self) -> f64 {
        self.strong_order()
    }

    /// The order `p` in `|E φ(x(T)) - E φ(x_h(T))| = O(h^p)` for smooth `φ`.
    fn weak_order(&self) -> f64;

    /// One step from `t` to `next`, which may lie before `t`.
    ///
    /// # Errors
    /// If drift or dispersion fail, or shapes do not fit.
    fn step(
        &self,
        sde: &dyn Sde,
        x: &Tensor,
        t: f64,
        next: f64,
        noise: &Increment,
    ) -> Result<Tensor>;

    /// Whether [`step`](Self::step) needs [`Increment::integral`].
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// assert!(Sra1::default().needs_integrals() && !EulerMaruyama::default().needs_integrals());
    /// ```
    fn needs_integrals(&self) -> bool {
        false
    }

    /// Whether the method is right for the noise of this SDE, as far as a look at the state `x` can tell.
    ///
    /// The march asks before the steps 1, 2, 4, 8, ...
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // dx = x dw is not for a method that is made for additive noise.
    /// let sde = Ito::general(|x, _t| x.zeros_like(), |x, _t| Ok(Dispersion::Diagonal(x.clone())));
    /// let x = Tensor::ones((1, 1), DType::F64, &Device::Cpu)?;
    /// assert!(EulerMaruyama::default().admit(&sde, &x, 0.0).is_ok());
    /// assert!(Sra1::default().admit(&sde, &x, 0.0).is_err());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If it is not; the error says which solver to take.
    fn admit(&self, _sde: &dyn Sde, _x: &Tensor, _t: f64) -> Result<()> {
        Ok(())
    }

    /// Which states are kept.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let euler = EulerMaruyama { record: Some(10), ..Default::default() };
    /// assert_eq!((euler.saving().record, euler.saving().save_at), (Some(10), &[][..]));
    /// ```
    fn saving(&self) -> Saving<'_> {
        Saving::default()
    }

    /// Solves the SDE from `x0` `[batch, ...]` over a grid of times, upward or downward, with fresh noise.
    ///
    /// Each step is detached, so memory does not grow with their number. An interrupt ends the march
    /// with `Ok` and [`Solution::interrupted`].
    ///
    /// ```
    /// use scorebook::{prelude::*, interrupt};
    ///
    /// let sde = Ito::new(
    ///     |x, t| {
    ///         if t > 0.5 {
    ///             interrupt::request();
    ///         }
    ///         x.neg()
    ///     },
    ///     |_t| 1.0,
    /// );
    /// let x0 = Tensor::zeros((10, 1), DType::F32, &Device::Cpu)?;
    /// let times = time_grid(0.0, 1.0, 100)?;
    /// let solution = EulerMaruyama::default().solve(&sde, &x0, &times, &mut Generator::new(7))?;
    /// assert!(solution.interrupted && (solution.times[0] - 0.52).abs() < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the times are not strictly upward or downward, shapes do not fit, the method does not suit the noise, the
    /// steps are too long for a drift that contracts, or a state is not finite.
    fn solve(
        &self,
        sde: &dyn Sde,
        x0: &Tensor,
        times: &[f64],
        generator: &mut Generator,
    ) -> Result<Solution> {
        let start = self.saving().plan(times)?.0[0];
        let like = sde.dispersion(x0, start)?.noise_like(x0)?;
        drive(self, sde, x0, times, |_, dt| {
            Increment::sample(&like, dt, self.needs_integrals(), generator)
        })
    }

    /// Solves the SDE along given paths of Brownian motion, at their times.
    ///
    /// With `path.coarsen(2)` the same noise drives larger steps: that is how a strong order is measured. With
    /// `path.reversed()` the solver goes downward in time.
    ///
    /// # Errors
    /// As [`solve`](Self::solve), and if the path has not the shape and type of the noise, lacks the time integrals
    /// that the method needs, or has not got a time of `save_at`.
    fn solve_along(&self, sde: &dyn Sde, x0: &Tensor, path: &BrownianMotion) -> Result<Solution> {
        path.steps()?;
        let (start, like) = (path.times[0], sde.dispersion(x0, path.times[0])?.noise_like(x0)?);
        if path.values.dims()[1..] != *like.dims() || path.values.dtype() != like.dtype() {
            let expected =
                format!("[times, ...] with {:?} of {}", like.dims(), like.dtype().as_str());
            return Err(Error::shape("path", path.values.dims(), expected));
        }
        if self.needs_integrals() && path.integrals.is_none() {
            let expected = format!(
                "one of `BrownianMotion::sample_with_integrals`, which {} needs",
                self.name()
            );
            return Err(Error::argument("path", "without time integrals", expected));
        }
        if self.saving().plan(&path.times)?.0.len() != path.times.len() {
            let value = format!("{:?}", self.saving().save_at);
            return Err(Error::argument(
                "save_at",
                value,
                format!("times of the path from {start}"),
            ));
        }
        let increments = path.increments()?;
        drive(self, sde, x0, &path.times, |k, _| {
            let integral = path.integrals.as_ref().map(|integrals| integrals.get(k)).transpose()?;
            Ok(Increment { dw: increments.get(k)?, integral })
        })
    }
}

/// What the noise does in one step from `t` to `t + h`.
///
/// ```
/// use scorebook::{prelude::*, sde::Increment};
///
/// // For a step h: E ΔW² = h, E ΔW I = h²/2, E I² = h³/3, each within five standard errors.
/// let like = Tensor::zeros(100_000, DType::F64, &Device::Cpu)?;
/// let noise = Increment::sample(&like, 0.5, true, &mut Generator::new(7))?;
/// let (dw, integral) = (noise.dw, noise.integral.unwrap());
/// let mean = |x: Tensor| -> scorebook::Result<f64> { Ok(x.mean_all()?.to_scalar()?) };
/// assert!((mean(dw.sqr()?)? - 0.5).abs() < 0.012);
/// assert!((mean((&dw * &integral)?)? - 0.125).abs() < 0.0031);
/// assert!((mean(integral.sqr()?)? - 0.125 / 3.0).abs() < 0.001);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Increment {
    /// `ΔW = W(t + h) - W(t) ~ N(0, |h| I)`.
    pub dw: Tensor,
    /// `∫ (W(s) - W(t)) ds` from `t` to `t + h`, the iterated integral `I₍₁,₀₎`.
    pub integral: Option<Tensor>,
}

impl Increment {
    /// Fresh noise of the shape, type and device of `like` for a step of signed length `h`.
    ///
    /// # Errors
    /// If the type of `like` is no float.
    pub fn sample(
        like: &Tensor,
        h: f64,
        with_integral: bool,
        generator: &mut Generator,
    ) -> Result<Self> {
        let dw = (generator.normal_like(like)? * h.abs().sqrt())?;
        let integral = if with_integral {
            let z = generator.normal_like(like)?;
            Some(((&dw * (0.5 * h))? + (z * (h * (h.abs() / 12.0).sqrt()))?)?)
        } else {
            None
        };
        Ok(Self { dw, integral })
    }

    /// The integral divided by the step, the mean of `W - W(t)` over it.
    pub(super) fn mean(&self, h: f64) -> Result<Tensor> {
        match &self.integral {
            Some(integral) => Ok((integral / h)?),
            None => Err(Error::argument("noise", "without `integral`", "one with it")),
        }
    }
}

/// The march of a solver over a grid: `noise(k, h)` is the increment of step `k`, of signed length `h`.
fn drive(
    solver: &(impl Solver + ?Sized),
    sde: &dyn Sde,
    x0: &Tensor,
    times: &[f64],
    mut noise: impl FnMut(usize, f64) -> Result<Increment>,
) -> Result<Solution> {
    if x0.rank() == 0 {
        return Err(Error::shape("x0", x0.dims(), "[batch, ...]"));
    }
    let counted = Counted::new(sde);
    let mut stability = Stability::default();
    let mut k = 0usize;
    let march = March { times, saving: solver.saving(), label: solver.name() };
    let mut solution = march.run(x0, |x, t, next| {
        let glance = (k + 1).is_power_of_two();
        if glance {
            solver.admit(sde, x, t)?;
        }
        let x_next = solver.step(&counted, x, t, next, &noise(k, next - t)?)?;
        if glance {
            stability.look(sde, x, &x_next, t, next)?;
        }
        k += 1;
        Ok(x_next)
    })?;
    counted.write(&mut solution.cost);
    Ok(solution)
}

/// An SDE that checks the shape of its drift and counts how often it is asked.
pub(super) struct Counted<'a> {
    sde: &'a dyn Sde,
    drifts: AtomicUsize,
    dispersions: AtomicUsize,
}

impl<'a> Counted<'a> {
    pub fn new(sde: &'a dyn Sde) -> Self {
        Self { sde, drifts: AtomicUsize::new(0), dispersions: AtomicUsize::new(0) }
    }

    pub fn write(self, cost: &mut super::Cost) {
        cost.drift_evaluations = self.drifts.into_inner();
        cost.dispersion_evaluations = self.dispersions.into_inner();
    }

    fn checked(&self, drift: Tensor, x: &Tensor) -> Result<Tensor> {
        self.drifts.fetch_add(1, Ordering::Relaxed);
        if drift.dims() == x.dims() {
            return Ok(drift);
        }
        let expected = format!("the shape of `x`, {:?}", x.dims());
        Err(Error::shape("drift", drift.dims(), expected))
    }
}

impl Sde for Counted<'_> {
    fn drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        self.checked(self.sde.drift(x, t)?, x)
    }

    fn dispersion(&self, x: &Tensor, t: f64) -> Result<Dispersion> {
        self.dispersions.fetch_add(1, Ordering::Relaxed);
        self.sde.dispersion(x, t)
    }

    fn stratonovich_drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        self.checked(self.sde.stratonovich_drift(x, t)?, x)
    }
}

/// A number on the host.
pub(super) fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar()?)
}

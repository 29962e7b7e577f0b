//! The march of a density through time.

use super::{
    Evolution, Expectation, Grid, GridDensity, Report,
    elimination::Elimination,
    rates::{Coefficients, Rates},
    uniformisation::exponential,
};
use crate::{Error, Result, interrupt, path::check_times, progress::Progress, sde::Sde};
use candle_core::Tensor;

/// How a density steps from one time to the next.
///
/// Both keep the mass, and every value from becoming negative, with steps of any length. No Runge-Kutta or multistep method
/// of an order above 1 does (Bolley and Crouzeix, RAIRO Anal. Numér. 12, 1978); the exponential is none of them.
///
/// ```
/// use scorebook::{prelude::*, fokker_planck::{FokkerPlanck, Grid, GridDensity, Stepping}};
///
/// // The mean of dx = -x dt + dw from 2.
/// let sde = Ito::new(|x, _t| x * -1.0, |_t| 1.0);
/// let start = GridDensity::dirac(&Grid::line((-5.0, 5.0), 100)?, &[2.0])?;
/// let mean = |stepping, steps| -> scorebook::Result<f64> {
///     let solver = FokkerPlanck { stepping, ..Default::default() };
///     Ok(solver.solve(&sde, &start, &time_grid(0.0, 1.0, steps)?)?.last().mean()[0])
/// };
/// // One step or ten: the coefficients do not depend on time.
/// let exact = mean(Stepping::Exponential, 1)?;
/// assert!((mean(Stepping::Exponential, 10)? - exact).abs() < 1e-9);
/// // Half the step, half the error.
/// let error = |steps| -> scorebook::Result<f64> { Ok(mean(Stepping::Implicit, steps)? - exact) };
/// assert!((error(50)? / error(100)? - 2.0).abs() < 0.05);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stepping {
    /// The exponential of the generator at the middle of the step: exact in time where drift and dispersion do not depend
    /// on it, second order where they do. Its work grows with the time over the square of the cell's width, not
    /// with the number of steps.
    #[default]
    Exponential,
    /// Implicit Euler, `(I - Δt Q) P(t + Δt) = P(t)`: first order in time. A step costs the same whatever its length, so it is
    /// for fine grids and long times. Steps of one length share one elimination while the SDE does not depend on time.
    Implicit,
}

/// The Fokker-Planck equation `∂ₜp = -∇·(f p) + ½ ∇∇:(G p)`, `G = g gᵀ`, of an Itô SDE, on a grid.
///
/// Second order in the width of the cells, and first order, as the upwind scheme, in directions without noise. Walls reflect:
/// no flux goes through them.
///
/// ```
/// use scorebook::{prelude::*, fokker_planck::{FokkerPlanck, Grid, GridDensity}};
///
/// // Correlated noise in the plane, from a point: p(t) = N(0, G t).
/// let sde = Ito::general(
///     |x, _t| x.zeros_like(),
///     |x, _t| Ok(Dispersion::Matrix(Tensor::new(&[[1.0, 0.0], [0.8, 0.6]], x.device())?)),
/// );
/// let grid = Grid::plane((-4.0, 4.0), (-4.0, 4.0), 61, 61)?;
/// let start = GridDensity::dirac(&grid, &[0.0, 0.0])?;
/// let evolution = FokkerPlanck::default().solve(&sde, &start, &[0.0, 0.5])?;
/// let covariance = evolution.last().covariance();
/// assert!((covariance[0][0] - 0.5).abs() < 1e-6 && (covariance[0][1] - 0.4).abs() < 1e-6);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct FokkerPlanck {
    /// Exponential or implicit.
    pub stepping: Stepping,
    /// Keep every so many-th density in [`Evolution::densities`], the first and the last included.
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

impl FokkerPlanck {
    /// The density over a grid of times, from `start`.
    ///
    /// It is the law of the particles that a solver of SDEs, as [`EulerMaruyama`](crate::sde::EulerMaruyama), moves over the
    /// same times. They may descend, as they do for a reverse SDE: the drift then acts by `f Δt < 0` and the noise by
    /// `√|Δt|`. This is well posed; [`terminal_value`](Self::terminal_value) is what is not.
    ///
    /// An interrupt ends the march with `Ok` and a report that says so:
    ///
    /// ```
    /// use scorebook::{prelude::*, fokker_planck::{FokkerPlanck, Grid, GridDensity}, interrupt};
    ///
    /// let drift = |x: &Tensor, t: f64| {
    ///     if t > 0.5 {
    ///         interrupt::request();
    ///     }
    ///     x * -1.0
    /// };
    /// let sde = Ito::new(drift, |_t| 1.0);
    /// let start = GridDensity::dirac(&Grid::line((-5.0, 5.0), 50)?, &[1.0])?;
    /// let times = time_grid(0.0, 1.0, 10)?;
    /// let evolution = FokkerPlanck::default().solve(&sde, &start, &times)?;
    /// assert!(evolution.report.interrupted && evolution.times == [0.5]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the times are not strictly upward or downward, the SDE has not the grid's dimension, drift or dispersion are
    /// not finite in a cell, or noise is so correlated that no chain on this grid has it.
    pub fn solve(&self, sde: &dyn Sde, start: &GridDensity, times: &[f64]) -> Result<Evolution> {
        let mut report = Report { warnings: start.warnings(), ..Default::default() };
        let march = March { solver: self, sde, grid: start.grid(), times, against: false };
        let marched = march.run(start.masses(), |operator, v, tau| {
            let Some(mut next) = operator.forth(v, tau)? else { return Ok(None) };
            let (before, after) = (sum(v), sum(&next));
            report.mass_error = report.mass_error.max((after - before).abs());
            next.iter_mut().for_each(|mass| *mass *= before / after);
            Ok(Some(next))
        })?;
        Ok(marched.into_evolution(start, report))
    }

    /// The density that was there before: from `end` at the last of `times` back to the first. The times of the result descend.
    ///
    /// This solves the Fokker-Planck equation against its time, as a terminal-value problem. It undoes each step of
    /// [`solve`](Self::solve) exactly, up to rounding; but diffusion forgets, and the problem is *ill posed*: errors
    /// grow by up to `10^`[`error_growth`](Report::error_growth), the more the finer the grid, and densities may come out
    /// negative. The report warns.
    ///
    /// To run *particles* back in time is another matter: [`ReverseSde`](crate::reverse::ReverseSde) on descending times.
    ///
    /// ```
    /// use scorebook::{prelude::*, fokker_planck::{FokkerPlanck, Grid, GridDensity}};
    ///
    /// let sde = Ito::new(|x, _t| x * -1.0, |_t| 1.0);
    /// let grid = Grid::line((-3.0, 3.0), 30)?;
    /// let start = GridDensity::from_density(&grid, &Gaussian::isotropic([1.0], 0.5)?)?;
    /// let (solver, times) = (FokkerPlanck::default(), [0.0, 0.1]);
    /// let end = solver.solve(&sde, &start, &times)?;
    /// let back = solver.terminal_value(&sde, end.last(), &times)?;
    /// assert!(back.last().l1_distance(&start)? < 1e-6);
    /// // Twice as much as that, and nothing would be left of it.
    /// assert!(back.report.error_growth > 1.0 && !back.report.warnings.is_empty());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`solve`](Self::solve), and if errors grow until a value is not finite.
    pub fn terminal_value(
        &self,
        sde: &dyn Sde,
        end: &GridDensity,
        times: &[f64],
    ) -> Result<Evolution> {
        let (mut growth, mut mass_error) = (0.0, 0f64);
        let march = March { solver: self, sde, grid: end.grid(), times, against: true };
        let marched = march.run(end.masses(), |operator, v, tau| {
            // The eigenvalues of Q reach down to twice its fastest rate.
            let jumps = 2.0 * operator.rates.fastest * tau;
            growth += match self.stepping {
                Stepping::Exponential => jumps * std::f64::consts::LOG10_E,
                Stepping::Implicit => (1.0 + jumps).log10(),
            };
            let before = operator.back(v, tau);
            if let Some(before) = &before {
                mass_error = mass_error.max((sum(before) - sum(v)).abs());
            }
            Ok(before)
        })?;
        let mut warnings = end.warnings();
        warnings.push(format!(
            "the Fokker-Planck equation against its time is ill posed: on this grid errors may have grown by a factor of \
             10^{growth:.0}"
        ));
        let report = Report { mass_error, error_growth: growth, warnings, ..Default::default() };
        Ok(marched.into_evolution(end, report))
    }

    /// `u(x, t) = E[φ(X_T) | X_t = x]` from `T`, the last of `times`, back to the first: Kolmogorov's backward equation
    /// `∂ₜu + f·∇u + ½ G:∇∇u = 0`, which is well posed.
    ///
    /// Its steps are those of [`solve`](Self::solve) transposed, so `∫ u(x, t₀) p₀ dx = ∫ φ p_T dx` holds to rounding.
    ///
    /// ```
    /// use scorebook::{prelude::*, fokker_planck::{Expectation, FokkerPlanck, Grid}};
    ///
    /// // The chance that Brownian motion from x is above 0 a time 1 later is Φ(x).
    /// let sde = Ito::new(|x, _t| x * 0.0, |_t| 1.0);
    /// let grid = Grid::line((-6.0, 6.0), 240)?;
    /// let solver = FokkerPlanck::default();
    /// let above: Expectation = solver.expectation(&sde, &grid, |x| f64::from(x[0] > 0.0), &[0.0, 1.0])?;
    /// for (x, chance) in grid.axis(0).into_iter().zip(above.last()) {
    ///     assert!((chance - scorebook::distribution::normal_cdf(x)).abs() < 1e-3);
    /// }
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`solve`](Self::solve), and if `φ` is not finite in a cell.
    pub fn expectation(
        &self,
        sde: &dyn Sde,
        grid: &Grid,
        payoff: impl Fn(&[f64]) -> f64,
        times: &[f64],
    ) -> Result<Expectation> {
        let end: Vec<f64> = (0..grid.cells()).map(|cell| payoff(&grid.middle(cell))).collect();
        if let Some(value) = end.iter().find(|value| !value.is_finite()) {
            return Err(Error::argument("payoff", value, "finite in every cell"));
        }
        let march = March { solver: self, sde, grid, times, against: true };
        let marched = march.run(end, |operator, u, tau| operator.expect(u, tau))?;
        let Marched { times, states, interrupted, .. } = marched;
        Ok(Expectation { grid: grid.clone(), times, values: states, interrupted })
    }
}

fn sum(masses: &[f64]) -> f64 {
    masses.iter().sum()
}

/// A march over times, or over the same times from the last to the first.
struct March<'a> {
    solver: &'a FokkerPlanck,
    sde: &'a dyn Sde,
    grid: &'a Grid,
    times: &'a [f64],
    against: bool,
}

/// Where a march came to.
struct Marched {
    times: Vec<f64>,
    states: Vec<Vec<f64>>,
    steps: usize,
    least: f64,
    interrupted: bool,
}

impl March<'_> {
    /// Runs `step(operator, state, length of the step)`, which returns no state where it was interrupted.
    fn run(
        &self,
        start: Vec<f64>,
        mut step: impl FnMut(&mut Operator, &[f64], f64) -> Result<Option<Vec<f64>>>,
    ) -> Result<Marched> {
        check_times(self.times)?;
        let record = self.solver.record;
        if record == Some(0) {
            return Err(Error::argument("record", 0, "at least 1, or `None` for the last alone"));
        }
        let mut times = self.times.to_vec();
        // The sign of time in the SDE, whichever way its steps are walked.
        let sign = (times[1] - times[0]).signum();
        if self.against {
            times.reverse();
        }
        let steps = times.len() - 1;
        let progress = self.solver.progress.then(|| Progress::new("Fokker-Planck", steps as u64));
        let mut operator = Operator::new(self)?;
        let least = |state: &[f64]| state.iter().copied().fold(f64::INFINITY, f64::min);
        let mut marched = Marched {
            times: vec![times[0]],
            least: least(&start),
            states: vec![start],
            steps: 0,
            interrupted: false,
        };
        let mut state = marched.states[0].clone();
        for (i, pair) in times.windows(2).enumerate() {
            operator.set(0.5 * (pair[0] + pair[1]), sign)?;
            let next = if interrupt::requested() {
                None
            } else {
                step(&mut operator, &state, (pair[1] - pair[0]).abs())?
            };
            let Some(next) = next else {
                marched.interrupted = true;
                break;
            };
            state = next;
            if state.iter().any(|value| !value.is_finite()) {
                return Err(Error::NotFinite {
                    what: "the value of a cell".into(),
                    at: format!("t = {}", pair[1]),
                    remedy: "Against its time the equation amplifies errors beyond all numbers: take a shorter time or a \
                             coarser grid"
                        .into(),
                });
            }
            marched.least = marched.least.min(least(&state));
            marched.steps = i + 1;
            if record.is_some_and(|every| (i + 1) % every == 0) {
                marched.keep(pair[1], &state);
            }
            if let Some(progress) = &progress {
                progress.set(i as u64 + 1, format!("t = {:.3}", pair[1]));
            }
        }
        if let Some(progress) = &progress {
            progress.finish();
        }
        let reached = times[marched.steps];
        if record.is_none() {
            marched.states.clear();
            marched.times.clear();
        }
        if marched.times.last() != Some(&reached) {
            marched.keep(reached, &state);
        }
        Ok(marched)
    }
}

impl Marched {
    fn keep(&mut self, t: f64, state: &[f64]) {
        self.times.push(t);
        self.states.push(state.to_vec());
    }

    /// The masses as densities on the grid of `like`, with what the march knows added to the report.
    fn into_evolution(self, like: &GridDensity, report: Report) -> Evolution {
        let Self { times, states, steps, least, interrupted } = self;
        let densities = states.into_iter().map(|masses| like.with_masses(masses)).collect();
        let least = least / like.grid().cell_volume();
        Evolution { times, densities, report: Report { steps, least, interrupted, ..report } }
    }
}

/// The generator at one time, and what was computed from it.
struct Operator<'a> {
    sde: &'a dyn Sde,
    grid: &'a Grid,
    stepping: Stepping,
    middles: Tensor,
    coefficients: Option<Coefficients>,
    rates: Rates,
    /// For steps of the length beside it.
    elimination: Option<(f64, Elimination)>,
}

impl<'a> Operator<'a> {
    fn new(march: &March<'a>) -> Result<Self> {
        let March { solver, sde, grid, .. } = march;
        let (stepping, middles) = (solver.stepping, grid.middles()?);
        let (coefficients, rates) = (None, Rates::default());
        Ok(Self { sde: *sde, grid, stepping, middles, coefficients, rates, elimination: None })
    }

    /// Goes to the time `t`. Rates are computed anew only if drift or dispersion have changed.
    fn set(&mut self, t: f64, sign: f64) -> Result<()> {
        let coefficients = Coefficients::of(self.sde, &self.middles, t, sign)?;
        if self.coefficients.as_ref() != Some(&coefficients) {
            self.rates = Rates::new(self.grid, &coefficients)?;
            self.coefficients = Some(coefficients);
            self.elimination = None;
        }
        Ok(())
    }

    /// Masses a step `tau` later; `None` where an interrupt came between.
    fn forth(&mut self, v: &[f64], tau: f64) -> Result<Option<Vec<f64>>> {
        match self.stepping {
            Stepping::Exponential => Ok(exponential(&self.rates, v, tau, Rates::advance)),
            Stepping::Implicit => Ok(Some(self.elimination(tau)?.solve(v))),
        }
    }

    /// Masses a step `tau` before.
    fn back(&self, v: &[f64], tau: f64) -> Option<Vec<f64>> {
        match self.stepping {
            Stepping::Exponential => exponential(&self.rates, v, -tau, Rates::advance),
            Stepping::Implicit => Some(self.rates.advance(v, -tau)),
        }
    }

    /// Expectations a step `tau` before.
    fn expect(&mut self, u: &[f64], tau: f64) -> Result<Option<Vec<f64>>> {
        match self.stepping {
            Stepping::Exponential => Ok(exponential(&self.rates, u, tau, Rates::expect)),
            Stepping::Implicit => Ok(Some(self.elimination(tau)?.solve_transposed(u))),
        }
    }

    fn elimination(&mut self, tau: f64) -> Result<&Elimination> {
        // Equal steps of a grid of times differ by rounding.
        match &mut self.elimination {
            Some((length, _)) if (*length - tau).abs() <= 1e-12 * tau => {}
            elimination => {
                *elimination = Some((tau, Elimination::new(self.grid, &self.rates, 1.0, tau)?));
            }
        }
        Ok(&self.elimination.as_ref().expect("it was made above").1)
    }
}

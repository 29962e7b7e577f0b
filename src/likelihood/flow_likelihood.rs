//! The likelihood along the probability flow.

use super::{
    Derivative, Divergence,
    prior::{prior_log_prob, rows},
};
use crate::{
    Error, Result,
    diffusion::NoisingProcess,
    path::time_grid,
    random::Generator,
    score::{Counted, Score},
    sde::{Dispersion, DormandPrince, Flow, FlowMethod, Sde, Solution},
};
use candle_core::Tensor;

/// The log-likelihood of data under the probability flow `dx/dt = f̃ = a(t) x - ½ g²(t) s(x, t)`, by the change of
/// variables `log p₀(x(0)) = log π(x(T)) + ∫₀ᵀ ∇·f̃(x(t), t) dt` along the path that starts at the data.
///
/// Note 002 (line 133) calls this exact. It is, up to the solver's error, that of the trace's estimate and the prior's, each
/// of which is reported: and it is the likelihood of the *flow* `s` defines, not of the reverse SDE (see
/// [`VariationalBound`](super::VariationalBound)). Source: Chen et al. 2018, theorem 1 (the formula); Grathwohl et al. 2019
/// (a probe that is fixed along the path); Song et al. 2021, *Score-based generative modeling*, appendix D.2.
///
/// ```
/// use scorebook::{prelude::*, likelihood::Likelihood};
///
/// // The density of a mixture, from nothing but its score.
/// let (process, data) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let score = MixtureScore::new(data.clone(), process);
/// let x = Tensor::new(&[[2.0f64, 0.1], [0.5, 0.5]], &Device::Cpu)?;
/// let likelihood = Likelihood::default().log_prob(&process, &score, &x, &mut Generator::new(7))?;
/// let error = (likelihood.log_prob - data.log_prob(&x)?)?.abs()?.max_all()?.to_scalar::<f64>()?;
/// assert!(error < 2e-3);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// The type of `x` is that of all that is computed: `f64` for exact scores, `f32` for networks. An interrupt keeps the
/// way so far, and says so:
///
/// ```
/// use scorebook::{prelude::*, interrupt, likelihood::Likelihood};
///
/// let score = ScoreFunction::new(|x, t| {
///     if t.to_vec1::<f64>()?[0] > 0.5 && t.to_vec1::<f64>()?[0] < 1.0 {
///         interrupt::request();
///     }
///     Ok(x.neg()?)
/// });
/// let x = Tensor::new(&[[1f64, 2.0]], &Device::Cpu)?;
/// let process = VariancePreserving::default();
/// let solver = FlowSolver::Steps { method: FlowMethod::Heun, steps: 100 };
/// let likelihood = Likelihood { solver, ..Default::default() };
/// let found = likelihood.log_prob(&process, &score, &x, &mut Generator::new(7))?;
/// assert!(found.interrupted && (found.waypoints[1].t - 0.51).abs() < 0.011);
/// assert!(found.log_prob.to_vec1::<f64>()?[0].is_nan());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Likelihood {
    /// How the divergence is found.
    pub divergence: Divergence,
    /// How the score is differentiated.
    pub derivative: Derivative,
    /// The solver of the path and the divergence along it.
    pub solver: FlowSolver,
    /// Where the path starts: the result is `log p` of that time at the data. Networks are not trained down to 0, and
    /// divide by `σ(0) = 0` there; exact scores take 0.
    pub t_min: f64,
    /// Keep [`LogLikelihood::waypoints`] at these times, too.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

/// Exact divergence by backpropagation, adaptive steps with the paper's tolerances of 10⁻⁵, from its time 10⁻⁵ on.
impl Default for Likelihood {
    fn default() -> Self {
        Self {
            divergence: Divergence::Exact,
            derivative: Derivative::Automatic,
            solver: FlowSolver::default(),
            t_min: 1e-5,
            save_at: vec![],
            progress: false,
        }
    }
}

/// A solver of the flow, with the divergence as further coordinates of the state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FlowSolver {
    /// [`DormandPrince`]: steps as the error allows, which is a root mean square over the batch, the coordinates and the
    /// divergences.
    Adaptive {
        /// The error of a step may be `atol + rtol |x|`.
        rtol: f64,
        /// See `rtol`.
        atol: f64,
    },
    /// [`Flow`]: steps of equal length.
    Steps {
        /// Euler, Heun or Runge-Kutta.
        method: FlowMethod,
        /// How many from `t_min` to the horizon.
        steps: usize,
    },
}

/// Adaptive, with tolerances of 10⁻⁵.
impl Default for FlowSolver {
    fn default() -> Self {
        Self::Adaptive { rtol: 1e-5, atol: 1e-5 }
    }
}

impl FlowSolver {
    /// The states at all of the times.
    fn solve(self, sde: &dyn Sde, state: &Tensor, at: &[f64], progress: bool) -> Result<Solution> {
        match self {
            Self::Adaptive { rtol, atol } => {
                DormandPrince { rtol, atol, progress, ..Default::default() }.solve(sde, state, at)
            }
            Self::Steps { method, steps } => {
                let times = time_grid(at[0], at[at.len() - 1], steps)?;
                let flow = Flow { method, save_at: at.to_vec(), progress, ..Default::default() };
                flow.solve(sde, state, &times)
            }
        }
    }
}

/// What [`Likelihood::log_prob`] found, one number a sample, in nats.
#[derive(Clone, Debug)]
pub struct LogLikelihood {
    /// `log p(x) = prior + volume`, `[batch]`. Not a number after an interrupt.
    pub log_prob: Tensor,
    /// `log π(x(T))`, `[batch]`; what it lacks of `log p_T` is [`prior_mismatch`](super::prior_mismatch). Not a number
    /// after an interrupt.
    pub prior: Tensor,
    /// The change of volume `∫ ∇·f̃ dt`, `[batch]`: the mean over the probes.
    pub volume: Tensor,
    /// The standard error of `volume` that the trace's estimate leaves, `[batch]`, from the spread of the sample's
    /// probes; none for an exact divergence or a single probe.
    pub standard_error: Option<Tensor>,
    /// The end of the path `x(T)`, `[batch, ...]`: the data encoded as noise.
    pub latent: Tensor,
    /// The first state of the path, those at the times asked for, and the last.
    pub waypoints: Vec<Waypoint>,
    /// How often the score was evaluated on the whole batch. With automatic derivatives each but the few of the check had
    /// one backward pass a derivative besides.
    pub score_evaluations: usize,
    /// Whether an interrupt ended the path early, at the last of the waypoints.
    pub interrupted: bool,
}

/// A point of the path: `log p_t(x(t)) = log p₀(x(0)) - volume`.
#[derive(Clone, Debug)]
pub struct Waypoint {
    /// The time.
    pub t: f64,
    /// The states `x(t)`, `[batch, ...]`.
    pub x: Tensor,
    /// The change of volume up to here, `[batch]`.
    pub volume: Tensor,
}

impl Likelihood {
    /// `log p₀` at `x` `[batch, ...]`; the generator draws the probes, if there are any.
    ///
    /// # Errors
    /// If a setting is out of its range, `x` is not finite or has no floats, the score fails, has no derivative, or leads
    /// to a state that is not finite (the error names the time).
    pub fn log_prob(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        x: &Tensor,
        generator: &mut Generator,
    ) -> Result<LogLikelihood> {
        let (start, dim) = rows(x)?;
        if !x.dtype().is_float() {
            return Err(Error::argument("x", x.dtype().as_str(), "a tensor of floats"));
        }
        let times = self.times(process.horizon())?;
        let directions = self.divergence.directions(x, generator)?;
        let flow = FlowWithVolume {
            process,
            score: Counted::new(score),
            divergence: self.divergence,
            derivative: self.derivative,
            shape: x.dims(),
            directions: &directions,
        };
        self.derivative.check(process, &flow.score, x, &directions)?;
        let estimates = match self.divergence {
            Divergence::Exact => 1,
            Divergence::Hutchinson { probes, .. } => probes,
        };
        let none = Tensor::zeros((start.dims()[0], estimates), x.dtype(), x.device())?;
        let state = Tensor::cat(&[&start, &none], 1)?;
        let solution = self.solver.solve(&flow, &state, &times, self.progress)?;

        let waypoint = |(t, state): (f64, Tensor)| -> Result<Waypoint> {
            let volume = state.narrow(1, dim, estimates)?.mean(1)?;
            Ok(Waypoint { t, x: flow.position(&state)?, volume })
        };
        let states = solution.trajectory.unwrap_or_default();
        let waypoints =
            solution.times.into_iter().zip(states).map(waypoint).collect::<Result<_>>()?;
        let volumes = solution.x.narrow(1, dim, estimates)?;
        let (latent, volume) = (flow.position(&solution.x)?, volumes.mean(1)?);
        let standard_error = if estimates < 2 {
            None
        } else {
            let n = estimates as f64;
            let squares = volumes.broadcast_sub(&volumes.mean_keepdim(1)?)?.sqr()?.sum(1)?;
            Some((squares / (n * (n - 1.0)))?.sqrt()?)
        };
        let mut prior = prior_log_prob(process, &latent)?;
        if solution.interrupted {
            prior = (prior * f64::NAN)?;
        }
        Ok(LogLikelihood {
            log_prob: (&prior + &volume)?,
            prior,
            volume,
            standard_error,
            latent,
            waypoints,
            score_evaluations: flow.score.evaluations(),
            interrupted: solution.interrupted,
        })
    }

    /// `t_min`, the times to save at, the horizon.
    fn times(&self, horizon: f64) -> Result<Vec<f64>> {
        if !(0.0..horizon).contains(&self.t_min) {
            let expected =
                format!("a time of at least 0 and below the horizon, which is {horizon}");
            return Err(Error::argument("t_min", self.t_min, expected));
        }
        let mut times = vec![self.t_min];
        for t in &self.save_at {
            if !(self.t_min..=horizon).contains(t) || *t < times[times.len() - 1] {
                let expected =
                    format!("ascending times from {} to the horizon, {horizon}", self.t_min);
                return Err(Error::argument("save_at", t, expected));
            }
            times.push(*t);
        }
        times.push(horizon);
        times.dedup();
        Ok(times)
    }
}

/// The flow of `(x, estimates of ∫ ∇·f̃ dt)`, `[batch, dim + estimates]`.
struct FlowWithVolume<'a> {
    process: &'a dyn NoisingProcess,
    score: Counted<'a>,
    divergence: Divergence,
    derivative: Derivative,
    /// The shape of `x`.
    shape: &'a [usize],
    directions: &'a [Tensor],
}

impl FlowWithVolume<'_> {
    /// The part `x` of a state.
    fn position(&self, state: &Tensor) -> Result<Tensor> {
        let dim = self.shape[1..].iter().product();
        Ok(state.narrow(1, 0, dim)?.contiguous()?.reshape(self.shape)?)
    }
}

impl Sde for FlowWithVolume<'_> {
    fn drift(&self, state: &Tensor, t: f64) -> Result<Tensor> {
        let x = self.position(state)?;
        let (s, along) =
            self.derivative.along(self.process, &self.score, &x, t, self.directions)?;
        let (rate, pull) = (self.process.rate(t), -0.5 * self.process.dispersion(t).powi(2));
        let (flow, dim) = rows(&((x * rate)? + (s * pull)?)?)?;
        let divergence = self.divergence.estimates(&along)?.affine(pull, rate * dim as f64)?;
        Ok(Tensor::cat(&[flow, divergence], 1)?)
    }

    fn dispersion(&self, _state: &Tensor, _t: f64) -> Result<Dispersion> {
        Ok(Dispersion::Scalar(0.0))
    }
}

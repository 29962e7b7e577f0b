//! Any affine process, with its kernel from the moment equations.

use super::{NoisingProcess, noising::checked};
use crate::{Error, Result};
use std::{
    f64::consts::PI,
    fmt,
    sync::{Arc, LazyLock},
};

/// `dx = a(t) x dt + g(t) dw` on `0 ≤ t ≤ T` for any functions `a` and `g`.
///
/// The kernel follows from the moment equations `ṁ = a m`, `Ṗ = 2aP + g²` (Särkkä and Solin 2019, section 6.1; note 004
/// leaves this step open: "solve the forward SDE"), with `m(0) = 1` and `P(0) = 0`:
/// - `α(t) = m(t) = e^A(t)` with `A(t) = ∫₀ᵗ a`
/// - `σ²(t) = P(t) = ∫₀ᵗ e^(2A(t) - 2A(s)) g²(s) ds`
///
/// Both integrals are tabulated once, over parts of time that Gauss' rule resolves, and completed from the table by
/// one application of the rule: `ln α` to 1e-10 and `σ²` to 1e-10 of itself. Bends and jumps of `a` and `g` are
/// found and fenced in; only what happens within a thousandth of the horizon may be overlooked.
///
/// ```
/// use scorebook::diffusion::{Affine, NoisingProcess};
///
/// // Data that turn to noise in the first half, and rest.
/// let beta = |t: f64| if t < 1.0 { 12.0 * t } else { 0.0 };
/// let process = Affine::new(move |t| -0.5 * beta(t), move |t| beta(t).sqrt(), 2.0)?;
/// assert!((process.mean_scale(2.0) - (-3f64).exp()).abs() < 1e-10);
/// assert!((process.std(2.0).powi(2) - (1.0 - (-6f64).exp())).abs() < 1e-10);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct Affine {
    coefficients: Coefficients,
    /// At 0, at the ends of the parts of time, and so at the horizon.
    moments: Arc<[Moments]>,
}

type Function = Arc<dyn Fn(f64) -> f64 + Send + Sync>;

#[derive(Clone)]
struct Coefficients {
    rate: Function,
    dispersion: Function,
}

/// The state of the moment equations at a time.
#[derive(Clone, Copy, Debug)]
struct Moments {
    time: f64,
    /// `A = ln m`.
    log_scale: f64,
    /// `P`.
    variance: f64,
}

/// How many parts of time the search starts with, and how many it may end with.
const PARTS: (usize, usize) = (32, 100_000);
/// The shortest part, as a share of the horizon: a jump inside it is no longer seen.
const SHORTEST: f64 = 1e-14;
/// By how much a part's integrals may change when it is halved.
const TOLERANCE: f64 = 1e-13;
/// By how much, in all, the integrals may be off that are left in the shortest parts.
const REMAINDER: f64 = 1e-10;

impl Affine {
    /// The process of the rate `a(t)` and the dispersion `g(t) ≥ 0` until `horizon`. Its prior has the standard deviation
    /// `σ(T)`.
    ///
    /// # Errors
    /// If `horizon` is not a positive time; if `rate` or `dispersion` is not finite or `dispersion` negative at a time in
    /// `[0, T]`, or they vary so fast that they cannot be integrated; if no noise is added, or the moments at the
    /// horizon are too large or too small for a number.
    pub fn new(
        rate: impl Fn(f64) -> f64 + Send + Sync + 'static,
        dispersion: impl Fn(f64) -> f64 + Send + Sync + 'static,
        horizon: f64,
    ) -> Result<Self> {
        checked("horizon", horizon, horizon > 0.0, "a positive time")?;
        let coefficients = Coefficients { rate: Arc::new(rate), dispersion: Arc::new(dispersion) };
        let moments = coefficients.table(horizon)?.into();
        Ok(Self { coefficients, moments })
    }

    fn end(&self) -> &Moments {
        &self.moments[self.moments.len() - 1]
    }

    fn at(&self, t: f64) -> Moments {
        let part = self.moments.partition_point(|moments| moments.time <= t).max(1) - 1;
        self.coefficients.advance(self.moments[part], t)
    }
}

impl Coefficients {
    /// The moments at the ends of parts of time in which [`advance`](Self::advance) is exact to the tolerance.
    fn table(&self, horizon: f64) -> Result<Vec<Moments>> {
        for t in [0.0, horizon] {
            self.check(t)?;
        }
        let mut moments = vec![Moments { time: 0.0, log_scale: 0.0, variance: 0.0 }];
        let (initial, most) = PARTS;
        // The ends of the parts that are still to do, the next one last.
        let mut ends: Vec<f64> =
            (1..=initial).rev().map(|i| horizon * i as f64 / initial as f64).collect();
        let (mut log_remainder, mut remainder) = (0.0, 0.0);
        while let Some(end) = ends.pop() {
            let start = moments[moments.len() - 1];
            let middle = 0.5 * (start.time + end);
            for node in &RULE.nodes {
                self.check(start.time + node * (end - start.time))?;
            }
            let whole = self.advance(start, end);
            let half = self.advance(start, middle);
            let halves = self.advance(half, end);
            let log_change = (whole.log_scale - halves.log_scale).abs();
            let change = (whole.variance - halves.variance).abs();
            if !(log_change.is_finite() && change.is_finite()) {
                return Err(too_large(horizon, &halves));
            }
            let settled = log_change
                <= TOLERANCE * (1.0 + (halves.log_scale - start.log_scale).abs())
                && change <= TOLERANCE * halves.variance;
            if settled || end - start.time < SHORTEST * horizon {
                if !settled {
                    log_remainder += log_change;
                    // In units of the squared noise level, which is what a later time makes of it.
                    remainder += change * (-2.0 * halves.log_scale).exp();
                }
                moments.extend([half, halves]);
            } else {
                ends.extend([end, middle]);
            }
            if moments.len() > most {
                let expected = "functions that vary less fast, or a shorter horizon";
                let at = format!("too fast for {most} parts of time, at t = {}", start.time);
                return Err(Error::argument("rate and dispersion", at, expected));
            }
        }
        let last = moments[moments.len() - 1];
        if !((2.0 * last.log_scale).exp().is_normal() && last.variance.is_finite()) {
            return Err(too_large(horizon, &last));
        }
        checked("dispersion", last.variance, last.variance > 0.0, "not 0 at all times")?;
        let level = last.variance * (-2.0 * last.log_scale).exp();
        if log_remainder > REMAINDER || remainder > REMAINDER * level {
            let expected = "functions without poles between 0 and the horizon";
            return Err(Error::argument("rate and dispersion", "not integrable", expected));
        }
        Ok(moments)
    }

    /// Gauss collocation: `ΔA = ∫ a` and `P = e^(2ΔA) P + ∫ e^(2(ΔA - ΔA(s))) g²(s) ds` on one part of time.
    ///
    /// All terms of `P` are positive, so it is exact relative to itself, next to `t = 0` too.
    fn advance(&self, start: Moments, end: f64) -> Moments {
        let Rule { nodes, weights, partial } = &*RULE;
        let width = end - start.time;
        let times = nodes.map(|node| start.time + node * width);
        let rates = times.map(|t| (self.rate)(t));
        let integral = |weights: &[f64; NODES]| {
            width * weights.iter().zip(rates).map(|(weight, rate)| weight * rate).sum::<f64>()
        };
        let growth = integral(weights);
        let mut variance = start.variance * (2.0 * growth).exp();
        for ((t, weight), partial) in times.iter().zip(weights).zip(partial) {
            let later = (2.0 * (growth - integral(partial))).exp();
            variance += width * weight * later * (self.dispersion)(*t).powi(2);
        }
        Moments { time: end, log_scale: start.log_scale + growth, variance }
    }

    fn check(&self, t: f64) -> Result<()> {
        let expected = |what| format!("{what} at every time; this is at t = {t}");
        checked("rate", (self.rate)(t), true, expected("a finite number"))?;
        let dispersion = (self.dispersion)(t);
        checked(
            "dispersion",
            dispersion,
            dispersion >= 0.0,
            expected("a finite number of at least 0"),
        )?;
        Ok(())
    }
}

fn too_large(horizon: f64, moments: &Moments) -> Error {
    let Moments { time, log_scale, variance } = moments;
    let expected = format!(
        "a shorter time: at t = {time} the mean scale is e^{log_scale:.3} and the variance {variance:.3e}"
    );
    Error::argument("horizon", horizon, expected)
}

const NODES: usize = 12;

/// Gauss' rule on `[0, 1]`.
struct Rule {
    nodes: [f64; NODES],
    /// Of the integral over `[0, 1]`.
    weights: [f64; NODES],
    /// Of the integrals from 0 to each node.
    partial: [[f64; NODES]; NODES],
}

static RULE: LazyLock<Rule> = LazyLock::new(Rule::new);

impl Rule {
    fn new() -> Self {
        let nodes: [f64; NODES] = std::array::from_fn(|j| {
            // On [-1, 1]: Newton's method from the usual approximation.
            let mut x = -(PI * (j as f64 + 0.75) / (NODES as f64 + 0.5)).cos();
            for _ in 0..8 {
                let p = legendre(x);
                x -= p[NODES] / slope(x, &p);
            }
            x
        });
        let weights = nodes.map(|x| 2.0 / ((1.0 - x * x) * slope(x, &legendre(x)).powi(2)));
        let partial = nodes.map(|end| {
            let at_end = legendre(end);
            std::array::from_fn(|j| {
                // The Lagrange polynomial of node j in Legendre's, integrated from -1 to the end.
                let at_node = legendre(nodes[j]);
                let terms = (1..NODES).map(|k| at_node[k] * (at_end[k + 1] - at_end[k - 1]));
                0.25 * weights[j] * (1.0 + end + terms.sum::<f64>())
            })
        });
        Self { nodes: nodes.map(|x| 0.5 * (1.0 + x)), weights: weights.map(|w| 0.5 * w), partial }
    }
}

/// Legendre's polynomials up to the degree of the rule at `x`.
fn legendre(x: f64) -> [f64; NODES + 1] {
    let mut p = [1.0; NODES + 1];
    p[1] = x;
    for k in 1..NODES {
        p[k + 1] = ((2 * k + 1) as f64 * x * p[k] - k as f64 * p[k - 1]) / (k + 1) as f64;
    }
    p
}

/// The derivative of the last of them.
fn slope(x: f64, p: &[f64; NODES + 1]) -> f64 {
    NODES as f64 * (x * p[NODES] - p[NODES - 1]) / (x * x - 1.0)
}

impl fmt::Debug for Affine {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Affine").field("horizon", &self.horizon()).finish_non_exhaustive()
    }
}

impl NoisingProcess for Affine {
    fn rate(&self, t: f64) -> f64 {
        (self.coefficients.rate)(t)
    }

    fn dispersion(&self, t: f64) -> f64 {
        (self.coefficients.dispersion)(t)
    }

    fn mean_scale(&self, t: f64) -> f64 {
        self.at(t).log_scale.exp()
    }

    fn std(&self, t: f64) -> f64 {
        self.at(t).variance.sqrt()
    }

    fn horizon(&self) -> f64 {
        self.end().time
    }

    fn prior_std(&self) -> f64 {
        self.end().variance.sqrt()
    }
}

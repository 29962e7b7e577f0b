//! The exponential integrator of the probability flow.

use super::{Descent, Sampler, Spacing, Way};
use crate::{Error, Result, diffusion::same_time, random::Generator, sde::Solution};
use candle_core::Tensor;

/// DEIS, the exponential integrator of the probability flow: the linear part is solved exactly, and the noise `ε` that
/// the score sees is continued by a polynomial through the last steps.
///
/// With `ρ = σ/α` and `ε = -σ s` the flow is `d(x/α)/dρ = ε`, so a step from `t_i` to `s` is
/// `x ← (α(s)/α(t_i)) x + α(s) Σ_j C_j ε(x(t_{i-j}), t_{i-j})`, `C_j = ∫ L_j dρ` from `ρ(t_i)` to `ρ(s)`, where `L_j`
/// are the polynomials of Lagrange through the last `order + 1` times, here in `ln ρ`. The integrals have a closed form.
/// The first steps have fewer times to go through; a last one to a time without noise takes order 0.
///
/// Order 0 is DDIM without noise. Each further one costs memory, but no evaluation. The first step, with nothing to look
/// back on, is always of order 0 and leaves an error of `O(h²)`: with ever more steps it is all that remains, and the orders
/// above 1 gain a factor instead of a power.
///
/// Source: Zhang and Chen, *Fast sampling of diffusion models with exponential integrator*, ICLR 2023, equations 14
/// and 15 (polynomials in `t` there, in `ln ρ` in diffusers).
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = ExponentialIntegrator::default();
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 26);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExponentialIntegrator {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// The degree of the polynomial, 0 to 3.
    pub order: usize,
    /// Where the steps end; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 25 steps with polynomials of degree 2, equal in `ln ρ`, down to 0.001, denoised, nothing recorded.
impl Default for ExponentialIntegrator {
    fn default() -> Self {
        Self {
            steps: 25,
            spacing: Spacing::LogSnr,
            order: 2,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for ExponentialIntegrator {
    fn name(&self) -> &'static str {
        "exponential integrator"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, _: &mut Generator) -> Result<Solution> {
        if self.order > 3 {
            return Err(Error::argument("order", self.order, "0 to 3"));
        }
        way.starts_with_noise()?;
        let process = way.process;
        // The noise seen at the last times, the latest first, and the logarithms of their levels.
        let (mut seen, mut logs): (Vec<Tensor>, Vec<f64>) = (Vec::new(), Vec::new());
        way.march(start, |x, t, next| {
            let epsilon = (way.score.score(x, &same_time(t, x)?)? * -process.std(t))?;
            seen.insert(0, epsilon.detach());
            logs.insert(0, process.noise_level(t).ln());
            seen.truncate(self.order + 1);
            logs.truncate(self.order + 1);
            let end = process.noise_level(next);
            let weights = if end > 0.0 { weights(&logs, end.ln()) } else { vec![-logs[0].exp()] };
            let scale = process.mean_scale(next);
            let mut x = (x * (scale / process.mean_scale(t)))?;
            for (epsilon, weight) in seen.iter().zip(weights) {
                x = (x + (epsilon * (scale * weight))?)?;
            }
            Ok(x)
        })
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}

/// `∫ L_j(u) e^u du` from `nodes[0]` to `end` for the polynomials of Lagrange `L_j` through the nodes.
fn weights(nodes: &[f64], end: f64) -> Vec<f64> {
    (0..nodes.len())
        .map(|j| {
            // The coefficients of L_j in powers of v = u - nodes[0], the lowest first.
            let mut polynomial = vec![1.0];
            for node in (0..nodes.len()).filter(|k| *k != j).map(|k| nodes[k]) {
                let (root, width) = (node - nodes[0], nodes[j] - node);
                let mut product = vec![0.0; polynomial.len() + 1];
                for (power, coefficient) in polynomial.iter().enumerate() {
                    product[power + 1] += coefficient / width;
                    product[power] -= root * coefficient / width;
                }
                polynomial = product;
            }
            nodes[0].exp() * integral(&polynomial, end - nodes[0])
        })
        .collect()
}

/// `∫₀^h P(v) e^v dv` for a polynomial of given coefficients.
fn integral(polynomial: &[f64], h: f64) -> f64 {
    let mut sum = 0.0;
    let mut moment = h.exp_m1();
    for (power, coefficient) in polynomial.iter().enumerate() {
        let n = power as f64;
        if h.abs() < 1.0 {
            // By the series of e^v, since the rule below takes differences of nearly equal numbers.
            let mut term = h.powi(power as i32 + 1);
            moment = term / (n + 1.0);
            for k in 1..20 {
                term *= h / f64::from(k);
                moment += term / (n + 1.0 + f64::from(k));
            }
        } else if power > 0 {
            // By parts: ∫ vⁿ e^v = hⁿ e^h - n ∫ vⁿ⁻¹ e^v.
            moment = h.powi(power as i32) * h.exp() - n * moment;
        }
        sum += coefficient * moment;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against Simpson's rule, for the short steps in which terms cancel and for long ones, downward and upward.
    #[test]
    fn weights_are_the_integrals() {
        for h in [-1e-3f64, -0.1, -2.0, 0.7] {
            let nodes = [0.4, 0.4 - 1.1 * h, 0.4 - 1.9 * h, 0.4 - 3.0 * h];
            for order in 0..=3 {
                let nodes = &nodes[..=order];
                for (j, weight) in weights(nodes, 0.4 + h).into_iter().enumerate() {
                    let function = |u: f64| {
                        let others = (0..=order).filter(|k| *k != j);
                        let basis: f64 =
                            others.map(|k| (u - nodes[k]) / (nodes[j] - nodes[k])).product();
                        basis * u.exp()
                    };
                    let n = 1000;
                    let sum: f64 = (0..n)
                        .map(|i| {
                            let (low, step) = (0.4 + h * i as f64 / n as f64, h / n as f64);
                            let ends = function(low) + function(low + step);
                            (ends + 4.0 * function(low + 0.5 * step)) * step / 6.0
                        })
                        .sum();
                    assert!((weight - sum).abs() < 1e-12 * h.abs(), "{h} {j}: {weight} for {sum}");
                }
            }
        }
    }
}

//! The likelihood's score in closed form.

use super::{Denoised, Guidance, Measurement, operator::constant, spectrum::Spectrum};
use crate::{
    Result,
    distribution::{Density, Mixture},
};
use candle_core::{D, Tensor};

/// The exact `∇ log p_t(y|x_t)` where the data are a [`Mixture`] of few dimensions and the operator is linear: what the
/// other guidances are approximations of.
///
/// Given `x_t`, a component of variance `s²` has `x0 ~ N(m_k, c_k I)` with `c_k = s² σ²/(α² s² + σ²)` and
/// `m_k = (α s² x_t + σ² μ_k)/(α² s² + σ²)`, and the share `r_k(x_t)` of the probability; so
/// `p_t(y|x_t) = Σ_k r_k(x_t) N(y; A m_k, c_k A Aᵀ + σ_y² I)`, which is differentiated by backpropagation.
///
/// The prior's score plus this one is that of [`ExactPosterior`](super::ExactPosterior), found in another way.
#[derive(Clone, Debug)]
pub struct ExactLikelihood {
    prior: Mixture,
}

impl ExactLikelihood {
    /// For data from `prior`.
    pub fn new(prior: Mixture) -> Self {
        Self { prior }
    }

    /// `log p_t(y|x_t)` `[batch]`, up to what is the same for all `x_t`; differentiable in the state's `x`.
    fn log_prob(&self, state: &Denoised, measurement: &Measurement) -> Result<Tensor> {
        let (dim, components) = (self.prior.dim(), self.prior.weights().len());
        let unit: Vec<f64> = (0..dim * dim).map(|at| f64::from(at / dim == at % dim)).collect();
        let spectrum = Spectrum::new(measurement, &vec![0.0; dim], &unit)?;
        let (x, scale, noise) = (state.x(), state.scale, state.std.powi(2));
        let flat = x.reshape((x.dims()[0], dim))?;
        let along = flat.matmul(&constant(&spectrum.axes, (dim, dim), x)?)?.unsqueeze(1)?;
        let (mut centres, mut pulls, mut offsets, mut spreads) = (vec![], vec![], vec![], vec![]);
        let (mut logits, mut totals, mut precisions) = (vec![], vec![], vec![]);
        for ((weight, mean), std) in
            self.prior.weights().iter().zip(self.prior.means()).zip(self.prior.stds())
        {
            let own = std * std;
            let total = scale * scale * own + noise;
            logits.push(weight.ln() - 0.5 * dim as f64 * total.ln());
            totals.push(-0.5 / total);
            pulls.push(scale * own / total);
            let mut volume = 0.0;
            for (mean, measured) in spectrum.along(mean).iter().zip(&spectrum.measured) {
                centres.push(scale * mean);
                offsets.push(noise * mean / total);
                let variance = measured.map(|(_, tau)| own * noise / total + tau);
                volume += variance.map_or(0.0, f64::ln);
                precisions.push(variance.map_or(0.0, f64::recip));
            }
            spreads.push(-0.5 * volume);
        }
        let all = (1, components, dim);
        let y: Vec<f64> = spectrum.measured.iter().map(|m| m.map_or(0.0, |(y, _)| y)).collect();
        let apart = along.broadcast_sub(&constant(&centres, all, x)?)?.sqr()?.sum(D::Minus1)?;
        let prior = apart
            .broadcast_mul(&constant(&totals, (1, components), x)?)?
            .broadcast_add(&constant(&logits, (1, components), x)?)?;
        let means = along
            .broadcast_mul(&constant(&pulls, (1, components, 1), x)?)?
            .broadcast_add(&constant(&offsets, all, x)?)?;
        let misfit = means.broadcast_sub(&constant(&y, (1, 1, dim), x)?)?.sqr()?;
        let misfit = misfit.broadcast_mul(&constant(&precisions, all, x)?)?.sum(D::Minus1)?;
        let evidence = (misfit * -0.5)?.broadcast_add(&constant(&spreads, (1, components), x)?)?;
        Ok((log_sum(&(&prior + evidence)?)? - log_sum(&prior)?)?)
    }
}

/// `log Σ_k exp(x_k)` over the last dimension.
fn log_sum(x: &Tensor) -> Result<Tensor> {
    let largest = x.detach().max_keepdim(1)?;
    Ok((x.broadcast_sub(&largest)?.exp()?.sum(1)?.log()? + largest.squeeze(1)?)?)
}

impl Guidance for ExactLikelihood {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn likelihood_score(&self, state: &Denoised, measurement: &Measurement) -> Result<Tensor> {
        state.needs_noise(measurement.std())?;
        state.gradient(&self.log_prob(state, measurement)?.sum_all()?)
    }
}

//! Mixtures of Gaussians.

use super::{Density, check_points, constant};
use crate::{Error, Result, random::Generator};
use candle_core::{Device, Tensor};
use rand::Rng;

/// A mixture of isotropic Gaussians, `p(x) = Σ_k w_k N(x; μ_k, s_k² I)`.
///
/// Its score is the mean of the components' scores under the posterior weights
/// `r_k(x) ∝ w_k N(x; μ_k, s_k² I)`: `∇ ln p(x) = -Σ_k r_k(x) (x - μ_k)/s_k²`.
///
/// ```
/// use scorebook::{prelude::*, distribution::{Density, Mixture}};
///
/// let density = Mixture::new([1.0, 3.0], [[-2.0], [2.0]], [0.5, 0.5])?;
/// assert_eq!(density.weights(), [0.25, 0.75]);
/// let x = Tensor::new(&[[2.0]], &Device::Cpu)?;
/// let p = density.log_prob(&x)?.exp()?.to_vec1::<f64>()?[0];
/// assert!((p - 0.75 * 2.0 / std::f64::consts::TAU.sqrt()).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mixture {
    weights: Vec<f64>,
    /// `[components, dim]`, row after row.
    means: Vec<f64>,
    stds: Vec<f64>,
}

impl Mixture {
    /// The mixture of `N(μ_k, s_k² I)` with weights proportional to `weights`.
    ///
    /// # Errors
    /// If there are not as many positive weights and standard deviations as means, or the means have not
    /// one dimension.
    pub fn new<M: Into<Vec<f64>>>(
        weights: impl Into<Vec<f64>>,
        means: impl IntoIterator<Item = M>,
        stds: impl Into<Vec<f64>>,
    ) -> Result<Self> {
        let (mut weights, stds) = (weights.into(), stds.into());
        let means: Vec<Vec<f64>> = means.into_iter().map(Into::into).collect();
        let dim = means.first().map_or(0, Vec::len);
        if dim == 0 || means.iter().any(|mean| mean.len() != dim) {
            let dims = format!("{:?}", means.iter().map(Vec::len).collect::<Vec<_>>());
            let expected = "at least one mean, all with the same number of coordinates";
            return Err(Error::argument("means", format!("of the dimensions {dims}"), expected));
        }
        let means: Vec<f64> = means.into_iter().flatten().collect();
        let components = means.len() / dim;
        for (name, values) in [("weights", &weights), ("stds", &stds)] {
            if values.len() != components {
                let expected = format!("[{components}], one a component");
                return Err(Error::shape(name, &[values.len()], expected));
            }
            if let Some(value) = values.iter().find(|value| !(**value > 0.0 && value.is_finite())) {
                return Err(Error::argument(name, value, "positive numbers"));
            }
        }
        if let Some(value) = means.iter().find(|value| !value.is_finite()) {
            return Err(Error::argument("means", value, "finite numbers"));
        }
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        Ok(Self { weights, means, stds })
    }

    /// `components` equal Gaussians on a circle about 0 in the plane; eight of them are the customary toy.
    ///
    /// # Errors
    /// If there is no component or `std` is not positive.
    pub fn ring(components: usize, radius: f64, std: f64) -> Result<Self> {
        let means = (0..components).map(|k| {
            let angle = std::f64::consts::TAU * k as f64 / components as f64;
            [radius * angle.cos(), radius * angle.sin()]
        });
        Self::new(vec![1.0; components], means, vec![std; components])
    }

    /// The weights, which sum to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The means of the components.
    pub fn means(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.means.chunks_exact(self.dim())
    }

    /// The standard deviations of the components.
    pub fn stds(&self) -> &[f64] {
        &self.stds
    }

    /// The law of `scale x + std z` with `z ~ N(0, I)`: a mixture too, with the means `scale μ_k` and the
    /// variances `scale² s_k² + std²`. So `p_t` of every noising process stays in closed form.
    ///
    /// # Errors
    /// If `scale` and `std` are not finite, or leave a component without variance.
    pub fn noised(&self, scale: f64, std: f64) -> Result<Self> {
        let means = self.means().map(|mean| mean.iter().map(|value| scale * value).collect());
        let stds: Vec<f64> = self.stds.iter().map(|own| (scale * own).hypot(std)).collect();
        Self::new(self.weights.clone(), means.collect::<Vec<Vec<f64>>>(), stds)
    }

    /// For each `x` the law [`noised`](Self::noised) by its row's scale and standard deviation (one of each
    /// serves all rows): joint log-densities `[batch, components]` and what the score needs.
    fn components(&self, x: &Tensor, scales: &[f64], stds: &[f64]) -> Result<Components> {
        let (dim, count) = (self.dim(), self.weights.len());
        check_points(x, dim)?;
        let rows = scales.len();
        let mut offsets = Vec::with_capacity(rows * count);
        let mut precisions = Vec::with_capacity(rows * count);
        for (scale, std) in scales.iter().zip(stds) {
            for (weight, own) in self.weights.iter().zip(&self.stds) {
                let variance = (scale * own).powi(2) + std * std;
                precisions.push(1.0 / variance);
                offsets
                    .push(weight.ln() - 0.5 * dim as f64 * (std::f64::consts::TAU * variance).ln());
            }
        }
        let centres = scales.iter().flat_map(|scale| self.means.iter().map(move |m| scale * m));
        let centres = constant(centres.collect(), (rows, count, dim), x)?;
        let precisions = constant(precisions, (rows, count), x)?;
        let residuals = x.unsqueeze(1)?.broadcast_sub(&centres)?;
        let log_joint = (residuals.sqr()?.sum(2)? * -0.5)?
            .broadcast_mul(&precisions)?
            .broadcast_add(&constant(offsets, (rows, count), x)?)?;
        Ok(Components { log_joint, precisions, residuals })
    }

    /// `ln p(x)` under the law noised by each row's scale and standard deviation, `[batch]`.
    pub(crate) fn noised_log_prob(
        &self,
        x: &Tensor,
        scales: &[f64],
        stds: &[f64],
    ) -> Result<Tensor> {
        let joint = self.components(x, scales, stds)?.log_joint;
        // Without the largest term taken out, all terms underflow far from the means.
        let largest = joint.max_keepdim(1)?;
        let sum = joint.broadcast_sub(&largest)?.exp()?.sum(1)?;
        Ok((sum.log()? + largest.squeeze(1)?)?)
    }

    /// `∇ ln p(x)` under the law noised by each row's scale and standard deviation, of the shape of `x`.
    pub(crate) fn noised_score(&self, x: &Tensor, scales: &[f64], stds: &[f64]) -> Result<Tensor> {
        let Components { log_joint, precisions, residuals } = self.components(x, scales, stds)?;
        let unnormalised = log_joint.broadcast_sub(&log_joint.max_keepdim(1)?)?.exp()?;
        let posterior = unnormalised.broadcast_div(&unnormalised.sum_keepdim(1)?)?;
        let pulls = posterior.broadcast_mul(&precisions)?.unsqueeze(2)?;
        Ok(residuals.broadcast_mul(&pulls)?.sum(1)?.neg()?)
    }
}

struct Components {
    /// `ln w_k N(x; μ_k, v_k I)`, `[batch, components]`.
    log_joint: Tensor,
    /// `1/v_k`, `[batch or 1, components]`.
    precisions: Tensor,
    /// `x - μ_k`, `[batch, components, dim]`.
    residuals: Tensor,
}

impl Density for Mixture {
    fn dim(&self) -> usize {
        self.means.len() / self.weights.len()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        self.noised_log_prob(x, &[1.0], &[0.0])
    }

    fn score(&self, x: &Tensor) -> Result<Tensor> {
        self.noised_score(x, &[1.0], &[0.0])
    }

    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let dim = self.dim();
        let mut values = vec![0f32; n * dim];
        generator.fill_normal(&mut values);
        for x in values.chunks_exact_mut(dim) {
            let k = self.component(generator.random());
            for (value, mean) in x.iter_mut().zip(&self.means[k * dim..]) {
                *value = (mean + self.stds[k] * f64::from(*value)) as f32;
            }
        }
        Ok(Tensor::from_vec(values, (n, dim), device)?)
    }
}

impl Mixture {
    /// The component that a uniform number picks, by inversion (note 000).
    fn component(&self, u: f64) -> usize {
        let mut reached = 0.0;
        for (k, weight) in self.weights.iter().enumerate() {
            reached += weight;
            if u < reached {
                return k;
            }
        }
        // Rounding may leave the sum of the weights a little below 1.
        self.weights.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;

    fn density() -> Mixture {
        Mixture::new([0.2, 0.5, 0.3], [[-2.0, 0.0], [1.0, 1.5], [0.0, -3.0]], [0.4, 1.0, 0.7])
            .unwrap()
    }

    #[test]
    fn log_prob_is_the_sum_of_the_components() {
        let density = density();
        for point in [[0.0, 0.0], [-2.0, 0.1], [3.0, -4.0]] {
            let mut p = 0.0;
            for ((weight, mean), std) in
                density.weights().iter().zip(density.means()).zip(density.stds())
            {
                let r2: f64 = mean.iter().zip(point).map(|(m, x)| (x - m).powi(2)).sum();
                let v = std * std;
                p += weight * (-0.5 * r2 / v).exp() / (std::f64::consts::TAU * v);
            }
            let x = Tensor::new(&[point], &Device::Cpu).unwrap();
            let value = density.log_prob(&x).unwrap().to_vec1::<f64>().unwrap()[0];
            assert!((value - p.ln()).abs() < 1e-12, "{value} for {}", p.ln());
        }
    }

    /// Far away every density underflows, even in `f64`; the nearest component's pull remains.
    #[test]
    fn far_away_is_safe() {
        for dtype in [DType::F32, DType::F64] {
            let x = Tensor::new(&[[1e4, 0.0]], &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
            let density = density();
            let score = density.score(&x).unwrap().to_dtype(DType::F64).unwrap();
            let score = score.to_vec2::<f64>().unwrap();
            // The widest component wins.
            assert!((score[0][0] + (1e4 - 1.0)).abs() < 1e-2, "{score:?}");
            assert!((score[0][1] - 1.5).abs() < 1e-2, "{score:?}");
            let log_prob = density.log_prob(&x).unwrap().to_dtype(DType::F64).unwrap();
            assert!(log_prob.to_vec1::<f64>().unwrap()[0] < -4e7);
        }
    }

    #[test]
    fn bad_parameters_are_errors() {
        let message = |result: Result<Mixture>| result.unwrap_err().to_string();
        let error = message(Mixture::new([1.0], [[0.0], [1.0]], [1.0, 1.0]));
        assert_eq!(error, "`weights` has shape [1]; expected [2], one a component");
        let error = message(Mixture::new([1.0, 0.0], [[0.0], [1.0]], [1.0, 1.0]));
        assert_eq!(error, "`weights` is 0; expected positive numbers");
        let error = message(Mixture::new([1.0, 1.0], [vec![0.0], vec![1.0, 2.0]], [1.0, 1.0]));
        assert!(error.starts_with("`means` is of the dimensions [1, 2]; expected"), "{error}");
        assert!(Mixture::ring(0, 1.0, 1.0).is_err());
        assert!(density().noised(f64::NAN, 1.0).is_err());
    }
}

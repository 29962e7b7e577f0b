//! Mixtures of Gaussians.

use super::{Density, check_points, noised_mixture::NoisedMixture};
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
/// assert_eq!(density.means().collect::<Vec<_>>(), [[-2.0], [2.0]]);
/// assert_eq!(density.stds(), [0.5, 0.5]);
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

    /// The components under the scale and standard deviation of each row; one of each serves any batch.
    fn under(&self, scales: &[f64], stds: &[f64]) -> NoisedMixture {
        let dim = self.dim();
        let (mut precisions, mut offsets) = (Vec::new(), Vec::new());
        for (scale, std) in scales.iter().zip(stds) {
            for (weight, own) in self.weights.iter().zip(&self.stds) {
                let variance = (scale * own).powi(2) + std * std;
                precisions.push(1.0 / variance);
                let volume = 0.5 * dim as f64 * (std::f64::consts::TAU * variance).ln();
                offsets.push(weight.ln() - volume);
            }
        }
        let centres = scales.iter().flat_map(|scale| self.means.iter().map(move |m| scale * m));
        let components = self.weights.len();
        NoisedMixture { dim, centres: centres.collect(), precisions, offsets, components }
    }

    /// `ln p(x)` under the law [`noised`](Self::noised) by each row's scale and standard deviation, `[batch]`.
    pub(crate) fn noised_log_prob(
        &self,
        x: &Tensor,
        scales: &[f64],
        stds: &[f64],
    ) -> Result<Tensor> {
        check_points(x, self.dim())?;
        self.under(scales, stds).log_prob(x)
    }

    /// `∇ ln p(x)` under the law [`noised`](Self::noised) by each row's scale and standard deviation.
    pub(crate) fn noised_score(&self, x: &Tensor, scales: &[f64], stds: &[f64]) -> Result<Tensor> {
        check_points(x, self.dim())?;
        self.under(scales, stds).score(x)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Var};

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

    /// Far away every density underflows, even in `f64`; the pull of the widest component remains. A variable goes
    /// through tensors, a constant through loops: both must be safe.
    #[test]
    fn far_away_is_safe() {
        let point = Tensor::new(&[[1e4, 0.0]], &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let constant = point.to_dtype(dtype).unwrap();
            let variable = Var::from_tensor(&constant).unwrap();
            for x in [&constant, variable.as_tensor()] {
                let number = |x: Tensor| x.to_dtype(DType::F64).unwrap();
                let score = number(density().score(x).unwrap()).to_vec2::<f64>().unwrap();
                assert!((score[0][0] + (1e4 - 1.0)).abs() < 1e-2, "{score:?}");
                assert!((score[0][1] - 1.5).abs() < 1e-2, "{score:?}");
                let log_prob = number(density().log_prob(x).unwrap()).to_vec1::<f64>().unwrap();
                assert!(log_prob[0] < -4e7, "{log_prob:?}");
            }
        }
    }

    /// Loops and tensors agree, for one noise for all and for each point its own; a gradient flows through the latter.
    #[test]
    fn loops_and_tensors_agree() {
        let x = Generator::new(1).normal((20, 2), &Device::Cpu).unwrap();
        let x = x.to_dtype(DType::F64).unwrap();
        let variable = Var::from_tensor(&x).unwrap();
        let own: Vec<f64> = (1..=20).map(f64::from).map(|i| i / 20.0).collect();
        for (scales, stds) in [(&[0.7][..], &[0.4][..]), (&own, &own)] {
            let by_loops = density().noised_score(&x, scales, stds).unwrap();
            let by_tensors = density().noised_score(&variable, scales, stds).unwrap();
            let difference = (by_loops - by_tensors).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f64>().unwrap() < 1e-12);
            let by_loops = density().noised_log_prob(&x, scales, stds).unwrap();
            let by_tensors = density().noised_log_prob(&variable, scales, stds).unwrap();
            let difference = (by_loops - &by_tensors).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f64>().unwrap() < 1e-12);
            let gradients = by_tensors.sum_all().unwrap().backward().unwrap();
            let score = density().noised_score(&x, scales, stds).unwrap();
            let difference = (gradients.get(&variable).unwrap() - score).unwrap();
            assert!(
                difference.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap() < 1e-12
            );
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

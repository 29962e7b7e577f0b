//! The exact score of a mixture at one time, on plain numbers.

use crate::{
    Error, Result,
    distribution::{Density, Mixture},
    sde::Lanes,
    tensor::lanes,
};

/// `∇ ln p(x) = -Σ_k r_k(x) (x - μ_k)/v_k` with the posterior weights `r_k(x) ∝ w_k N(x; μ_k, v_k I)` of a mixture, for
/// the loops of [`FusedSde`](crate::sde::FusedSde).
///
/// ```
/// use scorebook::{prelude::*, score::FusedMixture, sde::Lanes};
///
/// // One component, N(1, 4), under the scale ½ and the noise √3: N(½, 4).
/// let law = Mixture::new([1.0], [[1.0]], [2.0])?;
/// let score = FusedMixture::<1>::new(&law, 0.5, 3f64.sqrt())?;
/// let [s] = score.score([Lanes::from(2.5)]);
/// assert!((s.0[0] + 0.5).abs() < 1e-6);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FusedMixture<const D: usize>(Vec<Component<D>>);

#[derive(Clone, Debug)]
struct Component<const D: usize> {
    centre: [f32; D],
    /// `1/v`.
    precision: f32,
    /// `-1/(2v)`, in the logarithms of base 2 that the machine's numbers are made of.
    curvature: f32,
    /// `log w - (D/2) log v`, in base 2 too.
    offset: f32,
}

impl<const D: usize> FusedMixture<D> {
    /// The score of the law of `scale x + std z`, with `x` from the mixture and `z ~ N(0, I)`.
    ///
    /// # Errors
    /// If the mixture has not `D` dimensions, or a component is left without variance.
    pub fn new(mixture: &Mixture, scale: f64, std: f64) -> Result<Self> {
        if mixture.dim() != D {
            let expected = format!("one in {D} dimensions");
            return Err(Error::argument(
                "mixture",
                format!("in {} dimensions", mixture.dim()),
                expected,
            ));
        }
        let noised = mixture.noised(scale, std)?;
        let parts = noised.means().zip(noised.stds()).zip(noised.weights());
        let component = |((mean, std), weight): ((&[f64], &f64), &f64)| {
            let variance = std * std;
            Component {
                centre: std::array::from_fn(|i| mean[i] as f32),
                precision: (1.0 / variance) as f32,
                curvature: (-0.5 / variance * std::f64::consts::LOG2_E) as f32,
                offset: (weight.log2() - 0.5 * D as f64 * variance.log2()) as f32,
            }
        };
        Ok(Self(parts.map(component).collect()))
    }

    /// The score at sixteen points.
    #[inline(always)]
    pub fn score(&self, x: [Lanes; D]) -> [Lanes; D] {
        // Distances are gone through twice, which is cheaper than to keep them.
        let mut largest = Lanes::from(f32::MIN);
        for component in &self.0 {
            largest = largest.max(component.log_joint(&x));
        }
        let (mut total, mut precision, mut pull) = (Lanes::ZERO, Lanes::ZERO, [Lanes::ZERO; D]);
        for component in &self.0 {
            let weight = (component.log_joint(&x) - largest).map(lanes::exp2);
            total += weight;
            let weight = weight * component.precision;
            precision += weight;
            for (pull, centre) in pull.iter_mut().zip(&component.centre) {
                *pull = weight.mul_add(*centre, *pull);
            }
        }
        let share = 1.0 / total;
        for (pull, x) in pull.iter_mut().zip(x) {
            *pull = (*pull - x * precision) * share;
        }
        pull
    }
}

impl<const D: usize> Component<D> {
    /// `log w N(x; μ, v I)` in base 2, up to a constant that all components share.
    #[inline(always)]
    fn log_joint(&self, x: &[Lanes; D]) -> Lanes {
        let mut squares = Lanes::ZERO;
        for (x, centre) in x.iter().zip(&self.centre) {
            let apart = *x - *centre;
            squares = apart.mul_add(apart, squares);
        }
        squares.mul_add(self.curvature, self.offset)
    }
}

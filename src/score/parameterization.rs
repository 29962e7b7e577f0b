//! What a network may be asked for instead of the score, and how one becomes another.

use crate::{
    Error, Result,
    diffusion::{NoisingProcess, per_sample, times_until},
};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// What a network says of a noised state `x_t = α x0 + σ z`: all of them say the same, in other units.
///
/// | | its value for known data `x0` and noise `z` | source |
/// |---|---|---|
/// | `Score` | `-z/σ` | note 003, Song et al. 2021 |
/// | `ScaledScore` | `-z` | NCSN's scaling of the output, note 003 |
/// | `Noise` | `z`, called ε | DDPM, Ho et al. 2020 |
/// | `Data` | `x0` | DDPM's other choice |
/// | `Velocity` | `α z - σ x0`, called v | Salimans & Ho 2022, appendix D |
/// | `Edm` | `(σ x0 - α s² z)/(s √(σ² + α² s²))` with `s` the data's standard deviation | Karras et al. 2022, table 1 |
///
/// Each is `a x0 + b z` with numbers `a` and `b` of the time. A network sees `x_t` only and learns the mean given it;
/// means keep linear equations, so `x_t = α E[x0|x_t] + σ E[z|x_t]`, and any two of them give all others.
///
/// `Edm` is the `F` of Karras et al.: with `x̃ = x_t/α`, `σ̃ = σ/α` the data are
/// `c_skip x̃ + c_out F(c_in x̃; c_noise)` with `c_skip = s²/(σ̃² + s²)`, `c_out = σ̃ s/√(σ̃² + s²)`. What `F` must say
/// has the variance 1 at every time where the data have the variance `s²`, and its errors are carried over as little as
/// can be. Where `α² + σ² = 1 = s` it is `-v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Parameterization {
    /// The score `∇ log p_t`.
    Score,
    /// The score times `σ`.
    #[default]
    ScaledScore,
    /// The noise `z`.
    Noise,
    /// The data `x0`.
    Data,
    /// The velocity `v`.
    Velocity,
    /// The preconditioned output of EDM.
    Edm {
        /// The standard deviation `s` of the data, called `σ_data` there.
        data_std: f64,
    },
}

impl Parameterization {
    /// The numbers `a` and `b` by which the value is `a x0 + b z`.
    fn of_data_and_noise(self, scale: f64, std: f64) -> (f64, f64) {
        match self {
            Self::Score => (0.0, -1.0 / std),
            Self::ScaledScore => (0.0, -1.0),
            Self::Noise => (0.0, 1.0),
            Self::Data => (1.0, 0.0),
            Self::Velocity => (-std, scale),
            Self::Edm { data_std } => {
                let size = data_std * std.hypot(scale * data_std);
                (std / size, -scale * data_std * data_std / size)
            }
        }
    }

    /// The same statement on the states `x` `[batch, ...]` at the times `t` `[batch]` in other terms: `value` is of this
    /// kind, the result of the kind `to`. Differentiable in `value` and `x`.
    ///
    /// With `value = a x0 + b z`, `x = α x0 + σ z` and the wanted `a' x0 + b' z`, it is
    /// `[(a' b - b' a) x + (b' α - a' σ) value]/(α b - σ a)`.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::{Parameterization, ScoreFunction, tweedie}};
    ///
    /// // A network of another library, which tells the noise, as a score for the samplers of this one.
    /// let process = VariancePreserving::default();
    /// let noise_network = |x: &Tensor, _t: &Tensor| x * 0.5;
    /// let score = ScoreFunction::new(move |x, t| {
    ///     Parameterization::Noise.convert(Parameterization::Score, &noise_network(x, t)?, x, t, &process)
    /// });
    /// let (x, t) = (Tensor::new(&[[1f64, -2.0]], &Device::Cpu)?, Tensor::new(&[0.3f64], &Device::Cpu)?);
    /// let data = Parameterization::Noise.convert(Parameterization::Data, &(&x * 0.5)?, &x, &t, &process)?;
    /// let apart = (data - tweedie(&process, &score, &x, 0.3)?)?.abs()?.max_all()?.to_scalar::<f64>()?;
    /// assert!(apart < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not fit, `t` is not one time in `[0, T]` a sample, or one of them is a time at which the one does
    /// not tell the other: at 0 there is no noise to be told, and where `α` is 0 no data.
    pub fn convert(
        self,
        to: Self,
        value: &Tensor,
        x: &Tensor,
        t: &Tensor,
        process: &dyn NoisingProcess,
    ) -> Result<Tensor> {
        if value.dims() != x.dims() {
            return Err(Error::shape("value", value.dims(), format!("{:?}, as x", x.dims())));
        }
        if self == to {
            return Ok(value.clone());
        }
        let times = times_until(process.horizon(), t, x)?;
        let coefficients = |t: f64| {
            let (scale, std) = (process.mean_scale(t), process.std(t));
            let ((a, b), (c, d)) =
                (self.of_data_and_noise(scale, std), to.of_data_and_noise(scale, std));
            let determinant = scale * b - std * a;
            ((c * b - d * a) / determinant, (d * scale - c * std) / determinant)
        };
        let finite = |(of_x, of_value): (f64, f64)| of_x.is_finite() && of_value.is_finite();
        if let Some(t) = times.iter().find(|t| !finite(coefficients(**t))) {
            let expected = format!(
                "a time at which {self:?} tells {to:?}, above 0 and before the signal is lost"
            );
            return Err(Error::argument("t", t, expected));
        }
        let of_value = value.broadcast_mul(&per_sample(t, x, |t| coefficients(t).1)?)?;
        if times.iter().all(|t| coefficients(*t).0 == 0.0) {
            return Ok(of_value);
        }
        Ok((x.broadcast_mul(&per_sample(t, x, |t| coefficients(t).0)?)? + of_value)?)
    }

    /// What the layers are given for `x` and `t`: EDM's `c_in x̃` and `c_noise = ¼ ln σ̃`, else nothing of its own.
    pub(super) fn input(
        self,
        x: &Tensor,
        t: &Tensor,
        process: &dyn NoisingProcess,
    ) -> Result<Option<(Tensor, Tensor)>> {
        let Self::Edm { data_std } = self else { return Ok(None) };
        // c_in x̃ = x/√(σ² + α² s²).
        let size = |t: f64| process.std(t).hypot(process.mean_scale(t) * data_std);
        let input = x.broadcast_mul(&per_sample(t, x, |t| size(t).recip())?)?;
        Ok(Some((input, per_sample(t, t, |t| 0.25 * process.noise_level(t).ln())?)))
    }

    /// That the data's standard deviation is one.
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Edm { data_std } if !(data_std > 0.0 && data_std.is_finite()) => {
                Err(Error::argument("data_std", data_std, "a positive number"))
            }
            _ => Ok(()),
        }
    }
}

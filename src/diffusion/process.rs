//! One type for any of the processes, which a checkpoint can store.

use super::{
    NoisingProcess, OrnsteinUhlenbeck, SubVariancePreserving, VarianceExploding, VariancePreserving,
};
use serde::{Deserialize, Serialize};

/// Any of the noising processes of this room, as a checkpoint stores it and a command line names it.
///
/// ```
/// use scorebook::diffusion::{NoisingProcess, Process, VariancePreserving};
///
/// let process: Process = "vp".parse()?;
/// assert_eq!(process, VariancePreserving::default().into());
/// assert_eq!(process.horizon(), 1.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "process", rename_all = "snake_case")]
pub enum Process {
    /// `ve`
    VarianceExploding(VarianceExploding),
    /// `vp`
    VariancePreserving(VariancePreserving),
    /// `sub-vp`
    SubVariancePreserving(SubVariancePreserving),
    /// `ou`
    OrnsteinUhlenbeck(OrnsteinUhlenbeck),
}

impl Process {
    fn inner(&self) -> &dyn NoisingProcess {
        match self {
            Self::VarianceExploding(process) => process,
            Self::VariancePreserving(process) => process,
            Self::SubVariancePreserving(process) => process,
            Self::OrnsteinUhlenbeck(process) => process,
        }
    }
}

impl NoisingProcess for Process {
    fn rate(&self, t: f64) -> f64 {
        self.inner().rate(t)
    }

    fn dispersion(&self, t: f64) -> f64 {
        self.inner().dispersion(t)
    }

    fn mean_scale(&self, t: f64) -> f64 {
        self.inner().mean_scale(t)
    }

    fn std(&self, t: f64) -> f64 {
        self.inner().std(t)
    }

    fn horizon(&self) -> f64 {
        self.inner().horizon()
    }

    fn prior_std(&self) -> f64 {
        self.inner().prior_std()
    }
}

/// `ve`, `vp`, `sub-vp` or `ou`, each with its default parameters.
impl std::str::FromStr for Process {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        match name {
            "ve" => Ok(VarianceExploding::default().into()),
            "vp" => Ok(VariancePreserving::default().into()),
            "sub-vp" => Ok(SubVariancePreserving::default().into()),
            "ou" => Ok(OrnsteinUhlenbeck::default().into()),
            _ => Err(crate::Error::argument("process", name, "`ve`, `vp`, `sub-vp` or `ou`")),
        }
    }
}

impl From<VarianceExploding> for Process {
    fn from(process: VarianceExploding) -> Self {
        Self::VarianceExploding(process)
    }
}

impl From<VariancePreserving> for Process {
    fn from(process: VariancePreserving) -> Self {
        Self::VariancePreserving(process)
    }
}

impl From<SubVariancePreserving> for Process {
    fn from(process: SubVariancePreserving) -> Self {
        Self::SubVariancePreserving(process)
    }
}

impl From<OrnsteinUhlenbeck> for Process {
    fn from(process: OrnsteinUhlenbeck) -> Self {
        Self::OrnsteinUhlenbeck(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Process; 6] {
        [
            VarianceExploding::new(0.01, 50.0).unwrap().into(),
            VarianceExploding::exponential(25.0).unwrap().into(),
            VariancePreserving::default().into(),
            SubVariancePreserving::new(0.3, 7.0).unwrap().into(),
            OrnsteinUhlenbeck::new(1.5, 2.0, 3.0).unwrap().into(),
            OrnsteinUhlenbeck::new(0.0, 2.0, 3.0).unwrap().into(),
        ]
    }

    /// The fourth-order central difference of `f` at `t`.
    fn derivative(f: impl Fn(f64) -> f64, t: f64) -> f64 {
        let h = 1e-3;
        (8.0 * (f(t + h) - f(t - h)) - (f(t + 2.0 * h) - f(t - 2.0 * h))) / (12.0 * h)
    }

    /// `a = d ln α/dt` and `g² = dσ²/dt - 2σ² d ln α/dt` to 1e-8, and the kernel starts from a point.
    #[test]
    fn drift_and_dispersion_belong_to_the_kernel() {
        for process in all() {
            assert_eq!((process.mean_scale(0.0), process.std(0.0)), (1.0, 0.0), "{process:?}");
            for step in 1..20 {
                let t = process.horizon() * f64::from(step) / 20.0;
                let rate = derivative(|t| process.mean_scale(t).ln(), t);
                let growth = derivative(|t| process.std(t).powi(2), t);
                let g2 = growth - 2.0 * process.std(t).powi(2) * rate;
                let error = (process.rate(t) - rate).abs();
                assert!(error < 1e-8 * rate.abs().max(1.0), "{process:?} at {t}: a off by {error}");
                let error = (process.dispersion(t).powi(2) - g2).abs();
                assert!(error < 1e-8 * g2.max(1.0), "{process:?} at {t}: g² off by {error}");
            }
        }
    }

    #[test]
    fn exploding_kernel_subtracts_its_start() {
        let process = VarianceExploding::new(1.0, 4.0).unwrap();
        let scale = 4f64.powf(0.3);
        assert!((process.std(0.3).powi(2) - (scale * scale - 1.0)).abs() < 1e-12);
        // What note 000 says instead.
        assert!((process.std(0.3).powi(2) - scale * scale).abs() > 0.9);
    }

    #[test]
    fn small_rate_tends_to_brownian_motion() {
        let brownian = OrnsteinUhlenbeck::new(0.0, 2.0, 3.0).unwrap();
        for beta in [1e-4, 1e-8, 1e-12, 1e-300] {
            let process = OrnsteinUhlenbeck::new(beta, 2.0, 3.0).unwrap();
            assert!((process.std(3.0) / brownian.std(3.0) - 1.0).abs() < 4.0 * beta + 1e-15);
        }
    }

    #[test]
    fn stored_and_read_back() {
        for process in all() {
            let json = serde_json::to_string(&process).unwrap();
            assert_eq!(serde_json::from_str::<Process>(&json).unwrap(), process, "{json}");
        }
    }

    #[test]
    fn bad_parameters_are_errors() {
        for process in [
            r#"{"process":"variance_exploding","sigma_min":0.0,"sigma_max":1.0}"#,
            r#"{"process":"variance_preserving","beta_min":2.0,"beta_max":1.0}"#,
            r#"{"process":"sub_variance_preserving","beta_min":-1.0,"beta_max":1.0}"#,
            r#"{"process":"ornstein_uhlenbeck","beta":-1.0,"sigma":1.0,"horizon":1.0}"#,
        ] {
            let error = serde_json::from_str::<Process>(process).unwrap_err().to_string();
            assert!(error.contains("expected a"), "{error}");
        }
        let error = VarianceExploding::new(1.0, f64::NAN).unwrap_err();
        let expected = "`sigma_max` is NaN; expected a number above `sigma_min`, which is 1";
        assert_eq!(error.to_string(), expected);
        let error = "edm".parse::<Process>().unwrap_err();
        assert_eq!(error.to_string(), "`process` is edm; expected `ve`, `vp`, `sub-vp` or `ou`");
    }

    #[test]
    fn bad_times_are_errors() {
        use crate::random::Generator;
        use candle_core::{Device, Tensor};
        let x = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let generator = &mut Generator::new(1);
        let process = VariancePreserving::default();
        for (t, expected) in [
            (vec![0.5f32, 1.5], "`t` is 1.5; expected a time in [0, 1]"),
            (vec![0.5, f32::NAN], "`t` is NaN; expected a time in [0, 1]"),
            (vec![0.5], "`t` has shape [1]; expected [2], one time a sample"),
        ] {
            let t = Tensor::new(t, &Device::Cpu).unwrap();
            assert_eq!(process.perturb(&x, &t, generator).unwrap_err().to_string(), expected);
        }
    }
}

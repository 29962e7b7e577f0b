//! One type for any of the processes, which a checkpoint can store.

use super::{
    Cosine, Edm, Exponential, NoisingProcess, OrnsteinUhlenbeck, ScaledLinear,
    SubVariancePreserving, VarianceExploding, VariancePreserving,
};
use serde::{Deserialize, Serialize};

/// Any of the noising processes of this room that a few numbers describe, as a checkpoint stores it and a command line names it.
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
    /// `exponential`
    Exponential(Exponential),
    /// `cosine`
    Cosine(Cosine),
    /// `scaled-linear`
    ScaledLinear(ScaledLinear),
    /// `edm`
    Edm(Edm),
}

impl Process {
    fn inner(&self) -> &dyn NoisingProcess {
        match self {
            Self::VarianceExploding(process) => process,
            Self::VariancePreserving(process) => process,
            Self::SubVariancePreserving(process) => process,
            Self::OrnsteinUhlenbeck(process) => process,
            Self::Exponential(process) => process,
            Self::Cosine(process) => process,
            Self::ScaledLinear(process) => process,
            Self::Edm(process) => process,
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

    fn time_of_noise_level(&self, level: f64) -> crate::Result<f64> {
        self.inner().time_of_noise_level(level)
    }
}

/// `ve`, `vp`, `sub-vp`, `ou`, `exponential`, `cosine`, `scaled-linear` or `edm`, each with its default parameters.
impl std::str::FromStr for Process {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        match name {
            "ve" => Ok(VarianceExploding::default().into()),
            "vp" => Ok(VariancePreserving::default().into()),
            "sub-vp" => Ok(SubVariancePreserving::default().into()),
            "ou" => Ok(OrnsteinUhlenbeck::default().into()),
            "exponential" => Ok(Exponential::default().into()),
            "cosine" => Ok(Cosine::default().into()),
            "scaled-linear" => Ok(ScaledLinear::default().into()),
            "edm" => Ok(Edm::default().into()),
            _ => {
                let expected =
                    "`ve`, `vp`, `sub-vp`, `ou`, `exponential`, `cosine`, `scaled-linear` or `edm`";
                Err(crate::Error::argument("process", name, expected))
            }
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

impl From<Exponential> for Process {
    fn from(process: Exponential) -> Self {
        Self::Exponential(process)
    }
}

impl From<Cosine> for Process {
    fn from(process: Cosine) -> Self {
        Self::Cosine(process)
    }
}

impl From<ScaledLinear> for Process {
    fn from(process: ScaledLinear) -> Self {
        Self::ScaledLinear(process)
    }
}

impl From<Edm> for Process {
    fn from(process: Edm) -> Self {
        Self::Edm(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Process; 12] {
        [
            VarianceExploding::new(0.01, 50.0).unwrap().into(),
            VarianceExploding::exponential(25.0).unwrap().into(),
            VariancePreserving::default().into(),
            SubVariancePreserving::new(0.3, 7.0).unwrap().into(),
            OrnsteinUhlenbeck::new(1.5, 2.0, 3.0).unwrap().into(),
            OrnsteinUhlenbeck::new(0.0, 2.0, 3.0).unwrap().into(),
            Exponential::default().into(),
            Exponential::new(1.5, 2.0).unwrap().into(),
            Cosine::default().into(),
            ScaledLinear::default().into(),
            ScaledLinear::new(0.0, 3.0).unwrap().into(),
            Edm::default().into(),
        ]
    }

    /// The fourth-order central difference of `f` at `t`.
    fn derivative(f: impl Fn(f64) -> f64, t: f64, h: f64) -> f64 {
        (8.0 * (f(t + h) - f(t - h)) - (f(t + 2.0 * h) - f(t - 2.0 * h))) / (12.0 * h)
    }

    /// `a = d ln α/dt` and `g² = dσ²/dt - 2σ² d ln α/dt` to 1e-8, and the kernel starts from a point.
    #[test]
    fn drift_and_dispersion_belong_to_the_kernel() {
        for process in all() {
            assert_eq!((process.mean_scale(0.0), process.std(0.0)), (1.0, 0.0), "{process:?}");
            for step in 1..20 {
                let t = process.horizon() * f64::from(step) / 20.0;
                let h = 1e-4 * process.horizon();
                let rate = derivative(|t| process.mean_scale(t).ln(), t, h);
                let growth = derivative(|t| process.std(t).powi(2), t, h);
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

    /// The closed inverses against bisection, from the smallest levels to the horizon's.
    #[test]
    fn noise_levels_have_their_times() {
        #[derive(Debug)]
        struct Bisected(Process);
        impl NoisingProcess for Bisected {
            fn rate(&self, t: f64) -> f64 {
                self.0.rate(t)
            }
            fn dispersion(&self, t: f64) -> f64 {
                self.0.dispersion(t)
            }
            fn mean_scale(&self, t: f64) -> f64 {
                self.0.mean_scale(t)
            }
            fn std(&self, t: f64) -> f64 {
                self.0.std(t)
            }
            fn horizon(&self) -> f64 {
                self.0.horizon()
            }
            fn prior_std(&self) -> f64 {
                self.0.prior_std()
            }
        }
        for process in all() {
            assert_eq!(process.time_of_noise_level(0.0).unwrap(), 0.0, "{process:?}");
            for share in [1e-6, 1e-3, 0.2, 0.5, 0.9, 1.0] {
                let t = share * process.horizon();
                let level = process.noise_level(t);
                let found = process.time_of_noise_level(level).unwrap();
                let bisected = Bisected(process).time_of_noise_level(level).unwrap();
                // What a last digit of the level is in time, where it is flat.
                let tolerance = 1e-11 * t;
                assert!((found - t).abs() < tolerance, "{process:?}: {found} for {t}");
                assert!((found - bisected).abs() < tolerance, "{process:?}: {found}, {bisected}");
                assert!(found <= process.horizon());
            }
            let beyond = 1.001 * process.noise_level(process.horizon());
            for level in [-0.1, beyond, f64::NAN] {
                let error = process.time_of_noise_level(level).unwrap_err().to_string();
                assert!(error.contains("expected a noise level in [0, "), "{error}");
            }
        }
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
            r#"{"process":"exponential","growth":1.0,"horizon":1.0}"#,
            r#"{"process":"exponential","growth":2.0,"horizon":1000.0}"#,
            r#"{"process":"cosine","offset":0.008,"horizon":1.0}"#,
            r#"{"process":"scaled_linear","beta_min":2.0,"beta_max":1.0}"#,
            r#"{"process":"edm","sigma_max":0.0}"#,
        ] {
            let error = serde_json::from_str::<Process>(process).unwrap_err().to_string();
            assert!(error.contains("expected a"), "{error}");
        }
        let error = VarianceExploding::new(1.0, f64::NAN).unwrap_err();
        let expected = "`sigma_max` is NaN; expected a number above `sigma_min`, which is 1";
        assert_eq!(error.to_string(), expected);
        let error = "ddpm".parse::<Process>().unwrap_err();
        let expected = "`process` is ddpm; expected `ve`, `vp`, `sub-vp`, `ou`, `exponential`, `cosine`, \
                        `scaled-linear` or `edm`";
        assert_eq!(error.to_string(), expected);
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

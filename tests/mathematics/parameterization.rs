use crate::score::assert_close;
use crate::*;
use scorebook::{
    diffusion::NoisingProcess,
    metrics::values,
    random::Generator,
    score::{
        Mlp, MlpSettings, Network, Parameterization, Score, ScoreFunction, Unet, UnetSettings,
    },
    train::{DenoisingLoss, TimeSampling, Weighting},
};

const ALL: [Parameterization; 7] = [
    Parameterization::Score,
    Parameterization::ScaledScore,
    Parameterization::Noise,
    Parameterization::Data,
    Parameterization::Velocity,
    Parameterization::Edm { data_std: 1.0 },
    Parameterization::Edm { data_std: 0.5 },
];

/// What each means, from its definition in the paper, for known data and noise.
fn meaning(kind: Parameterization, x0: f64, z: f64, scale: f64, std: f64) -> f64 {
    match kind {
        Parameterization::Score => -z / std,
        Parameterization::ScaledScore => -z,
        Parameterization::Noise => z,
        Parameterization::Data => x0,
        Parameterization::Velocity => scale * z - std * x0,
        // Solved from D = c_skip x̃ + c_out F (Karras et al. 2022, equation 7 and table 1).
        Parameterization::Edm { data_std } => {
            let (x, sigma) = (x0 + std / scale * z, std / scale);
            let total = sigma * sigma + data_std * data_std;
            let (skip, out) = (data_std * data_std / total, sigma * data_std / total.sqrt());
            (x0 - skip * x) / out
        }
    }
}

#[test]
fn each_becomes_any_other() {
    let mut generator = Generator::new(60);
    for process in processes() {
        let t = generator.uniform(0.02, process.horizon(), 40, CPU).unwrap();
        let t = t.to_dtype(DType::F64).unwrap();
        let shape = Tensor::zeros((40, 3), DType::F64, CPU).unwrap();
        let x0 = generator.normal_like(&shape).unwrap();
        let (x, z) = process.perturb(&x0, &t, &mut generator).unwrap();
        let (x0, z, times) = (values(&x0).unwrap(), values(&z).unwrap(), values(&t).unwrap());
        let tensor = |kind| {
            let one = |i: usize| {
                let (scale, std) = (process.mean_scale(times[i / 3]), process.std(times[i / 3]));
                meaning(kind, x0[i], z[i], scale, std)
            };
            Tensor::from_vec((0..120).map(one).collect::<Vec<f64>>(), (40, 3), CPU).unwrap()
        };
        for from in ALL {
            for to in ALL {
                let converted = from.convert(to, &tensor(from), &x, &t, &process).unwrap();
                // Data that are hidden under 150 times as much noise lose as many digits.
                assert_close(&converted, &values(&tensor(to)).unwrap(), 1e-8);
            }
        }
    }
}

/// A process of one time, with given `α` and `σ`.
#[derive(Debug)]
struct Fixed {
    scale: f64,
    std: f64,
}

impl NoisingProcess for Fixed {
    fn rate(&self, _t: f64) -> f64 {
        0.0
    }
    fn dispersion(&self, _t: f64) -> f64 {
        0.0
    }
    fn mean_scale(&self, _t: f64) -> f64 {
        self.scale
    }
    fn std(&self, _t: f64) -> f64 {
        self.std
    }
    fn horizon(&self) -> f64 {
        1.0
    }
    fn prior_std(&self) -> f64 {
        1.0
    }
}

/// What diffusers 0.42.1 makes of the output `[0.5, 0.1, -0.7]` of a network at `x = [0.3, -1.2, 0.8]`:
/// `DDPMScheduler(prediction_type=kind, clip_sample=False).step(output, t, x).pred_original_sample` with
/// `alphas_cumprod[t]` in double precision, and `EDMEulerScheduler(sigma_data=0.5).precondition_outputs(x, output, σ)`.
#[test]
fn data_as_diffusers_tells_them() {
    use Parameterization::{Data, Edm, Noise, Velocity};
    let x = Tensor::new(&[[0.3, -1.2, 0.8]], CPU).unwrap();
    let output = Tensor::new(&[[0.5, 0.1, -0.7]], CPU).unwrap();
    let t = Tensor::new(&[0.5], CPU).unwrap();
    let ddpm = |cumprod: f64| Fixed { scale: cumprod.sqrt(), std: (1.0 - cumprod).sqrt() };
    let (early, late) = (0.8951413631439209, 0.02556748501956463);
    let edm = Edm { data_std: 0.5 };
    for (process, kind, expected) in [
        (ddpm(early), Noise, [0.14595475601275743, -1.3025652639757956, 1.08514158167546]),
        (ddpm(early), Velocity, [0.12192631517084748, -1.1677248107959648, 0.9835684683423723]),
        (ddpm(late), Noise, [-1.2105611581670057, -8.12211808406655, 9.324632557916699]),
        (ddpm(late), Velocity, [-0.4455972344152723, -0.29059137846922056, 0.8189121254314786]),
        (
            Fixed { scale: 1.0, std: 0.1 },
            edm,
            [0.3374905722460844, -1.1440403470892446, 0.7005901219324048],
        ),
        (
            Fixed { scale: 1.0, std: 3.0 },
            edm,
            [0.2547065890661441, 0.016887263759174757, -0.32361625171962866],
        ),
    ] {
        // To the single precision of the packages' schedules.
        assert_close(&kind.convert(Data, &output, &x, &t, &process).unwrap(), &expected, 1e-6);
    }
}

/// With `α² + σ² = 1` and data of variance 1, EDM's output is the velocity with its sign turned.
#[test]
fn edm_is_the_velocity_turned_round() {
    let process = VariancePreserving::default();
    let x = Generator::new(61).normal((5, 2), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let t = Tensor::new(&[0.01, 0.1, 0.4, 0.7, 1.0], CPU).unwrap();
    let edm = Parameterization::Edm { data_std: 1.0 };
    let velocity = edm.convert(Parameterization::Velocity, &x, &x, &t, &process).unwrap();
    assert_close(&velocity, &values(&x.neg().unwrap()).unwrap(), 1e-10);
}

/// Under EDM's weighting the error of the preconditioned output has the weight 1; under min-SNR-γ that of the data has
/// `min(SNR, γ)` (Hang et al. 2023), under `g²` the noise's has `g²/σ²`.
#[test]
fn weightings_are_those_of_their_papers() {
    let process = VariancePreserving::default();
    for t in [0.01, 0.2, 0.5, 1.0] {
        let (scale, std) = (process.mean_scale(t), process.std(t));
        // A noise that is wrong by 1 makes each of the others wrong by its factor.
        let error = |kind| {
            meaning(kind, 0.0, 0.0, scale, std) - meaning(kind, -std / scale, 1.0, scale, std)
        };
        let edm = error(Parameterization::Edm { data_std: 0.5 }).powi(2);
        assert!((Weighting::Edm { data_std: 0.5 }.of_noise(&process, t) / edm - 1.0).abs() < 1e-10);
        let data = error(Parameterization::Data).powi(2);
        let snr = (scale / std).powi(2);
        let expected = data * snr.min(5.0);
        let weight = Weighting::MinSnr { gamma: 5.0 }.of_noise(&process, t);
        assert!((weight / expected - 1.0).abs() < 1e-10, "{t}: {weight} for {expected}");
        let score = error(Parameterization::Score).powi(2);
        for weighting in [Weighting::Variance, Weighting::Likelihood, Weighting::Uniform] {
            let (of_noise, of_score) = (weighting.of_noise(&process, t), weighting.at(&process, t));
            assert!((of_noise / (of_score * score) - 1.0).abs() < 1e-10);
        }
    }
}

/// Every variable is trained, whatever the layers are asked for; and the score is what the layers say of it.
#[test]
fn networks_train_in_every_parameterization() {
    let mut generator = Generator::new(62);
    let points = generator.normal((16, 2), CPU).unwrap();
    let images = generator.normal((2, 1, 28, 28), CPU).unwrap();
    let process: Process = VariancePreserving::default().into();
    for output in ALL {
        let mlp = MlpSettings { hidden: 16, layers: 2, output, ..Default::default() };
        let mlp = Mlp::new(mlp, process, &mut generator, CPU).unwrap();
        let channels = [8, 64, 64, 64];
        let unet = UnetSettings { channels, embedding: 32, output, ..Default::default() };
        let unet = Unet::new(unet, process, &mut generator, CPU).unwrap();
        let networks: [(&dyn Network, &Tensor); 2] = [(&mlp, &points), (&unet, &images)];
        for (network, x0) in networks {
            let loss = DenoisingLoss { t_min: 0.01, ..Default::default() };
            let loss = loss.draw(network, x0, &mut generator).unwrap();
            let gradients = loss.backward().unwrap();
            for (name, variable) in network.parameters().iter() {
                let gradient = gradients.get(variable).unwrap_or_else(|| panic!("{name}: none"));
                let size =
                    values(&gradient.abs().unwrap()).unwrap().into_iter().fold(0.0, f64::max);
                assert!(size > 1e-6 && size.is_finite(), "{output:?} {name}: {size}");
            }
            let score = network.score(x0, &Tensor::full(0.3f32, x0.dim(0).unwrap(), CPU).unwrap());
            assert!(values(&score.unwrap()).unwrap().iter().all(|value| value.is_finite()));
        }
    }
}

/// A network's last layer of zeros says "0" of its kind: the score then follows by hand.
#[test]
fn a_networks_score_is_what_its_layers_say() {
    let process: Process = SubVariancePreserving::default().into();
    let mut generator = Generator::new(63);
    let x = generator.normal((4, 2), CPU).unwrap();
    let t = Tensor::new(&[0.1f32, 0.3, 0.6, 0.9], CPU).unwrap();
    for output in ALL {
        let settings = MlpSettings { hidden: 8, layers: 1, output, ..Default::default() };
        let network = Mlp::new(settings, process, &mut generator, CPU).unwrap();
        for (name, variable) in network.parameters().iter() {
            if name.starts_with("out") {
                variable.set(&variable.zeros_like().unwrap()).unwrap();
            }
        }
        let score = values(&network.score(&x, &t).unwrap()).unwrap();
        let (x, t) = (values(&x).unwrap(), values(&t).unwrap());
        for (i, score) in score.iter().enumerate() {
            let (scale, std) = (process.mean_scale(t[i / 2]), process.std(t[i / 2]));
            // The factors of x in -z/σ where α x0 + σ z = x and the kind's own combination is 0.
            let factor = match output {
                Parameterization::Data => -1.0 / (std * std),
                Parameterization::Velocity => -1.0 / (scale * scale + std * std),
                Parameterization::Edm { data_std } => {
                    -1.0 / (std * std + (scale * data_std).powi(2))
                }
                _ => 0.0,
            };
            let expected = factor * x[i];
            let error = (score - expected).abs();
            assert!(error < 1e-4 * expected.abs().max(1.0), "{output:?}: {score} for {expected}");
        }
    }
}

#[test]
fn settings_of_before_read_as_today() {
    let old = r#"{"dimension":2,"hidden":128,"layers":3,"features":32}"#;
    assert_eq!(serde_json::from_str::<MlpSettings>(old).unwrap(), MlpSettings::default());
    let edm = MlpSettings { output: Parameterization::Edm { data_std: 0.5 }, ..Default::default() };
    let json = serde_json::to_string(&edm).unwrap();
    assert_eq!(serde_json::from_str::<MlpSettings>(&json).unwrap(), edm);
    let loss = DenoisingLoss {
        weighting: Weighting::MinSnr { gamma: 5.0 },
        times: TimeSampling::LogNormal { mean: -1.2, std: 1.2 },
        ..Default::default()
    };
    let json = serde_json::to_string(&loss).unwrap();
    assert_eq!(serde_json::from_str::<DenoisingLoss>(&json).unwrap(), loss);
    let old = serde_json::from_str::<DenoisingLoss>(r#"{"t_min":0.001}"#).unwrap();
    assert_eq!(old, DenoisingLoss { t_min: 0.001, ..Default::default() });
}

#[test]
fn bad_input_is_an_error() {
    use Parameterization::{Data, Noise, Score};
    let process = VariancePreserving::default();
    let x = Tensor::zeros((1, 2), DType::F64, CPU).unwrap();
    let t = Tensor::new(&[0.0], CPU).unwrap();
    let error = Data.convert(Score, &x, &x, &t, &process).unwrap_err().to_string();
    assert!(error.starts_with("`t` is 0; expected a time at which Data tells Score"), "{error}");
    assert!(Noise.convert(Data, &x, &x, &t, &process).is_ok());
    let narrow = Tensor::zeros((1, 1), DType::F64, CPU).unwrap();
    let error = Noise.convert(Data, &narrow, &x, &t, &process).unwrap_err().to_string();
    assert_eq!(error, "`value` has shape [1, 1]; expected [1, 2], as x");
    let output = Parameterization::Edm { data_std: 0.0 };
    let generator = &mut Generator::new(1);
    let settings = MlpSettings { output, ..Default::default() };
    let error = Mlp::new(settings, process.into(), generator, CPU).unwrap_err().to_string();
    assert_eq!(error, "`data_std` is 0; expected a positive number");
    // A process of one noise level has none to draw from.
    let still = Fixed { scale: 0.8, std: 0.6 };
    let zero = ScoreFunction::new(|x, _t| Ok(x.zeros_like()?));
    let loss = DenoisingLoss { times: TimeSampling::Importance, ..Default::default() };
    let error = loss.floor(&zero, &still, &x, generator).unwrap_err().to_string();
    assert!(error.contains("expected finite noise levels that rise with time"), "{error}");
    let settings = UnetSettings { output, ..Default::default() };
    assert!(Unet::new(settings, process.into(), generator, CPU).is_err());
}

//! Reverse time: Anderson's SDE in full, the probability flow, all levels of noise between them, and the Brownian motion of
//! reverse time.

use crate::*;
use scorebook::{
    diffusion::{ForwardSde, NoisingProcess, same_time},
    distribution::{Density, normal_cdf as standard_cdf},
    fokker_planck::{Grid, residual},
    metrics::{ks_one_sample, ks_two_sample, values},
    reverse::{AndersonReverse, ReverseSde, reverse_brownian_motion},
    sde::{FusedEulerMaruyama, Milstein, StochasticHeun},
};

/// A mean and a covariance.
type Moments = ([f64; 2], [[f64; 2]; 2]);

/// An SDE whose law is known at all times: `h(x(t)) ~ N(m(t), P(t))` with `h` the identity or the logarithm.
#[derive(Clone)]
struct Known {
    sde: Ito,
    logarithmic: bool,
    law: fn(f64) -> Moments,
}

impl Known {
    fn gaussian(&self, t: f64) -> Gaussian {
        let (mean, covariance) = (self.law)(t);
        Gaussian::full(mean, &covariance).unwrap()
    }

    fn flat(&self, x: &Tensor) -> Tensor {
        if self.logarithmic { x.log().unwrap() } else { x.clone() }
    }

    fn log_prob(&self, x: &Tensor, t: f64) -> scorebook::Result<Tensor> {
        let flat = self.flat(x);
        let log_prob = self.gaussian(t).log_prob(&flat)?;
        Ok(if self.logarithmic { (log_prob - flat.sum(1)?)? } else { log_prob })
    }

    fn score(&self) -> ScoreFunction {
        let law = self.clone();
        ScoreFunction::new(move |x, t| {
            let score = law.gaussian(values(t)?[0]).score(&law.flat(x))?;
            Ok(if law.logarithmic { ((score - 1.0)? / x)? } else { score })
        })
    }

    fn sample(&self, t: f64, n: usize, seed: u64) -> Tensor {
        let y = self.gaussian(t).sample(n, &mut Generator::new(seed), CPU).unwrap();
        let y = y.to_dtype(DType::F64).unwrap();
        if self.logarithmic { y.exp().unwrap() } else { y }
    }

    fn reverse(&self, noise: f64) -> AndersonReverse<Ito, ScoreFunction> {
        AndersonReverse { sde: self.sde.clone(), score: self.score(), noise }
    }

    /// How far states are from the law at time 0, in units of what is allowed: five standard errors and `slack` times the
    /// scale of each moment of `h(x)`.
    fn distance_at_0(&self, x: &Tensor, slack: f64) -> f64 {
        let (expected_mean, expected) = (self.law)(0.0);
        let y = self.flat(x);
        let columns = [0, 1].map(|i| values(&y.get_on_dim(1, i).unwrap()).unwrap());
        if columns.iter().flatten().any(|y| !y.is_finite()) {
            return f64::INFINITY;
        }
        let n = columns[0].len() as f64;
        let mut worst = 0f64;
        for i in 0..2 {
            let std = expected[i][i].sqrt();
            let off = (mean(&columns[i]) - expected_mean[i]).abs();
            worst = worst.max(off / (5.0 * std / n.sqrt() + slack * std));
            for j in 0..=i {
                let scale = (expected[i][i] * expected[j][j]).sqrt();
                let error = ((scale.powi(2) + expected[i][j].powi(2)) / n).sqrt();
                let off = (covariance(&columns[i], &columns[j]) - expected[i][j]).abs();
                worst = worst.max(off / (5.0 * error + slack * scale));
            }
        }
        worst
    }
}

/// Of two prices `dx_i = μ x_i dt + x_i Σ_k s_ik dw_k`, under three noises, `ln x` is Gaussian with the covariance
/// `V + t s sᵀ`.
const VOLATILITIES: [[f64; 3]; 2] = [[0.5, 0.3, 0.0], [0.3, 0.3, 0.4]];
/// `s sᵀ`.
const RATE: [[f64; 2]; 2] = [[0.34, 0.24], [0.24, 0.34]];

fn prices() -> Known {
    let dispersion = |x: &Tensor, _t: f64| {
        let volatilities = Tensor::new(&VOLATILITIES, x.device())?.to_dtype(x.dtype())?;
        Ok(Dispersion::Matrix(x.unsqueeze(2)?.broadcast_mul(&volatilities)?))
    };
    let law = |t: f64| {
        let mean = [0, 1].map(|i| [0.2, -0.1][i] + (0.1 - 0.5 * RATE[i][i]) * t);
        let start = [[0.1, -0.06], [-0.06, 0.2]];
        (mean, [0, 1].map(|i| [0, 1].map(|j| start[i][j] + RATE[i][j] * t)))
    };
    Known { sde: Ito::general(|x, _t| x * 0.1, dispersion), logarithmic: true, law }
}

/// `Σ_j ∂_j (x_i x_j C_ij) = x_i (C_ii + Σ_j C_ij)`.
fn divergence_of_prices(x: &Tensor) -> candle_core::Result<Tensor> {
    let rates = [0, 1].map(|i| RATE[i][i] + RATE[i][0] + RATE[i][1]);
    x.broadcast_mul(&Tensor::new(&rates, x.device())?.to_dtype(x.dtype())?)
}

/// `∂_i G_ii` alone.
fn own_divergence_of_prices(x: &Tensor) -> candle_core::Result<Tensor> {
    let rates = [2.0 * RATE[0][0], 2.0 * RATE[1][1]];
    x.broadcast_mul(&Tensor::new(&rates, x.device())?.to_dtype(x.dtype())?)
}

/// `dx = A x dt + B dw`, a rotation that decays under correlated noise: `ṁ = A m`, `Ṗ = A P + P Aᵀ + B Bᵀ`.
const TURN: [[f64; 2]; 2] = [[-0.5, -1.5], [1.5, -0.5]];

fn turning() -> Known {
    let law = |t: f64| {
        let (mut m, mut p) = ([1.0, 0.5], [[0.3, 0.1], [0.1, 0.5]]);
        // `B Bᵀ`.
        let noise = [[1.0, 0.8], [0.8, 1.0]];
        let slope = |m: [f64; 2], p: [[f64; 2]; 2]| {
            let product = |i: usize, j: usize| TURN[i][0] * p[0][j] + TURN[i][1] * p[1][j];
            (
                [0, 1].map(|i| TURN[i][0] * m[0] + TURN[i][1] * m[1]),
                [0, 1].map(|i| [0, 1].map(|j| product(i, j) + product(j, i) + noise[i][j])),
            )
        };
        // Runge and Kutta's method, right to 1e-9.
        let steps = 100;
        let h = t / f64::from(steps);
        for _ in 0..steps {
            let after = |(of_m, of_p): Moments, h: f64| {
                (
                    [0, 1].map(|i| m[i] + h * of_m[i]),
                    [0, 1].map(|i| [0, 1].map(|j| p[i][j] + h * of_p[i][j])),
                )
            };
            let first = slope(m, p);
            let (m2, p2) = after(first, 0.5 * h);
            let second = slope(m2, p2);
            let (m3, p3) = after(second, 0.5 * h);
            let third = slope(m3, p3);
            let (m4, p4) = after(third, h);
            let fourth = slope(m4, p4);
            let weigh = |a: f64, b: f64, c: f64, d: f64| h / 6.0 * (a + 2.0 * b + 2.0 * c + d);
            m = [0, 1].map(|i| m[i] + weigh(first.0[i], second.0[i], third.0[i], fourth.0[i]));
            p = [0, 1].map(|i| {
                [0, 1].map(|j| {
                    p[i][j] + weigh(first.1[i][j], second.1[i][j], third.1[i][j], fourth.1[i][j])
                })
            });
        }
        (m, p)
    };
    let sde = Ito::general(
        |x, _t| x.matmul(&Tensor::new(&TURN, x.device())?.to_dtype(x.dtype())?.t()?),
        |x, _t| {
            let g = Tensor::new(&[[1.0, 0.0], [0.8, 0.6]], x.device())?;
            Ok(Dispersion::Matrix(g.to_dtype(x.dtype())?))
        },
    );
    Known { sde, logarithmic: false, law }
}

fn largest(x: &Tensor) -> f64 {
    values(x).unwrap().iter().map(|x| x.abs()).fold(0.0, f64::max)
}

fn two() -> Mixture {
    Mixture::new([0.3, 0.7], [[-1.5], [1.0]], [0.4, 0.5]).unwrap()
}

fn unit_process() -> OrnsteinUhlenbeck {
    OrnsteinUhlenbeck::new(1.0, 1.0, 1.0).unwrap()
}

/// By differences, for a matrix, for diagonals that depend on their own and on other coordinates, and in `f32`.
#[test]
fn divergence_of_the_covariance() {
    let x = Tensor::new(&[[0.7, 1.3], [2.0, 0.4], [0.1, 5.0]], CPU).unwrap();
    let check = |sde: &dyn Sde, expected: &Tensor| {
        let found = sde.covariance_divergence(&x, 0.3).unwrap().unwrap();
        assert!(largest(&(found - expected).unwrap()) < 1e-7);
        let x = x.to_dtype(DType::F32).unwrap();
        let found = sde.covariance_divergence(&x, 0.3).unwrap().unwrap();
        assert_eq!(found.dtype(), DType::F32);
        let off = (found.to_dtype(DType::F64).unwrap() - expected).unwrap();
        assert!(largest(&off) < 2e-3 * (1.0 + largest(expected)));
    };
    check(&prices().sde, &divergence_of_prices(&x).unwrap());
    check(&turning().sde, &x.zeros_like().unwrap());
    let geometric = GeometricBrownianMotion { mu: 0.1, sigma: 0.5 };
    let closed = geometric.covariance_divergence(&x, 0.3).unwrap().unwrap();
    assert!(largest(&(&closed - (&x * 0.5).unwrap()).unwrap()) < 1e-15);
    let plain = Ito::general(|x, _t| x * 0.1, |x, _t| Ok(Dispersion::Diagonal((x * 0.5)?)));
    check(&plain, &closed);
    check(&Stratonovich(geometric), &closed);
    // g = diag(y², x y): of y⁴ along x nothing, of x² y² along y 2 x² y.
    let crossed = Ito::general(
        |x, _t| x.zeros_like(),
        |x, _t| {
            let (x, y) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
            Ok(Dispersion::Diagonal(Tensor::cat(&[y.sqr()?, (x * y)?], 1)?))
        },
    );
    let (first, second) = (x.narrow(1, 0, 1).unwrap(), x.narrow(1, 1, 1).unwrap());
    let along_y = ((first.sqr().unwrap() * &second).unwrap() * 2.0).unwrap();
    check(&crossed, &Tensor::cat(&[first.zeros_like().unwrap(), along_y], 1).unwrap());
    // A number has none; a closed form is taken.
    assert!(ForwardSde(unit_process()).covariance_divergence(&x, 0.3).unwrap().is_none());
    let given = plain.with_covariance_divergence(|x, _t| x + 9.0);
    let found = given.covariance_divergence(&x, 0.3).unwrap().unwrap();
    assert_eq!(largest(&(found - (&x + 9.0).unwrap()).unwrap()), 0.0);
}

/// For an affine process both types are one equation.
#[test]
fn the_simple_form_is_the_full_one() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let x = Generator::new(800).normal((50, 2), CPU).unwrap().to_dtype(DType::F64).unwrap();
    for noise in [0.0, 0.6, 1.0, 1.7] {
        let simple = ReverseSde { process, score: score.clone(), noise };
        let full = AndersonReverse { sde: ForwardSde(process), score: score.clone(), noise };
        for t in [0.05, 0.5, 1.0] {
            let off = (simple.drift(&x, t).unwrap() - full.drift(&x, t).unwrap()).unwrap();
            assert!(largest(&off) < 1e-10, "{noise} {t}");
            let [Dispersion::Scalar(one), Dispersion::Scalar(other)] =
                [simple.dispersion(&x, t).unwrap(), full.dispersion(&x, t).unwrap()]
            else {
                panic!("two numbers were expected")
            };
            assert!((one - other).abs() < 1e-12);
        }
    }
}

const PATHS: usize = 10_000;

/// Noise that depends on the state: `ln x(0) ~ N(0.3, 0.25)` comes back at every level of noise. Without the divergence, or
/// with half or twice of it, it does not.
#[test]
fn geometric_brownian_motion_comes_back() {
    let sde = GeometricBrownianMotion { mu: 0.2, sigma: 0.6 };
    let (m, v) = (|t: f64| 0.3 + (0.2 - 0.18) * t, |t: f64| 0.25 + 0.36 * t);
    let score = ScoreFunction::new(move |x, t| {
        let t = values(t)?[0];
        Ok((x.log()?.affine(1.0 / v(t), 1.0 - m(t) / v(t))? / x)?.neg()?)
    });
    let z = Generator::new(801).normal((PATHS, 1), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let end = z.affine(v(1.0).sqrt(), m(1.0)).unwrap().exp().unwrap();
    let times = time_grid(1.0, 0.0, 100).unwrap();
    let statistic = |reverse: &dyn Sde, noisy: bool| {
        let x = if noisy {
            Milstein::default().solve(reverse, &end, &times, &mut Generator::new(802)).unwrap().x
        } else {
            Flow::default().solve(reverse, &end, &times).unwrap().x
        };
        let y = values(&x.log().unwrap()).unwrap();
        ks_one_sample(&y, normal_cdf(0.3, 0.5)).unwrap().statistic
    };
    // Kolmogorov's law at 1e-7, and the weak error of Milstein's method with these steps.
    let allowed = 2.9 / (PATHS as f64).sqrt() + 0.01;
    for noise in [0.0, 0.5, 1.0, 1.5] {
        let right = AndersonReverse { sde, score: score.clone(), noise };
        let distance = statistic(&right, noise > 0.0);
        println!("λ = {noise}: KS {distance:.4} of {allowed:.4}");
        assert!(distance < allowed, "λ = {noise}: {distance}");
        for factor in [0.0, 0.5, 2.0] {
            let letters = Ito::general(
                move |x, t| sde.drift(x, t).map_err(candle_core::Error::wrap),
                |x, _t| Ok(Dispersion::Diagonal((x * 0.6)?)),
            )
            .with_covariance_divergence(move |x, _t| x * (0.72 * factor));
            let wrong = AndersonReverse { sde: letters, score: score.clone(), noise };
            let distance = statistic(&wrong, noise > 0.0);
            assert!(distance > 2.0 * allowed, "λ = {noise}, divergence times {factor}: {distance}");
        }
    }
}

/// How far particles are from the law at time 0 once an SDE has run down from samples of the law at time 1.
fn back_from_the_end(known: &Known, sde: &dyn Sde, noise: f64) -> f64 {
    let end = known.sample(1.0, 4000, 803);
    let times = time_grid(1.0, 0.0, 80).unwrap();
    let x = if noise > 0.0 {
        Milstein::default().solve(sde, &end, &times, &mut Generator::new(804)).unwrap().x
    } else {
        Flow::default().solve(sde, &end, &times).unwrap().x
    };
    known.distance_at_0(&x, 0.02)
}

/// A matrix that depends on the state, with more noises than coordinates, and one that does not, under a drift that turns.
#[test]
fn matrix_noise_comes_back() {
    for (name, known) in [("prices", prices()), ("turning", turning())] {
        for noise in [0.0, 0.5, 1.0] {
            let distance = back_from_the_end(&known, &known.reverse(noise), noise);
            println!("{name}, λ = {noise}: {distance:.2} of what is allowed");
            assert!(distance < 1.0, "{name}, λ = {noise}: {distance}");
        }
    }
}

/// Without the divergence it does not; nor with note 000's sum over `j` for the first term only, read as `∂_i G_ii` for the
/// other.
#[test]
fn matrix_noise_needs_its_divergence() {
    let known = prices();
    for noise in [0.0, 1.0] {
        let with = |divergence: fn(&Tensor) -> candle_core::Result<Tensor>| {
            let sde = known.sde.clone().with_covariance_divergence(move |x, _t| divergence(x));
            let reverse = AndersonReverse { sde, score: known.score(), noise };
            back_from_the_end(&known, &reverse, noise)
        };
        assert!(with(divergence_of_prices) < 1.0);
        let dropped = with(|x| x.zeros_like());
        let own_only = with(own_divergence_of_prices);
        println!("λ = {noise}: dropped {dropped:.1}, ∂_i G_ii {own_only:.1}");
        assert!(dropped > 5.0 && own_only > 1.5, "λ = {noise}: {dropped} {own_only}");
    }
}

/// `Cov(X_T, X_0) = e^(AT) P_0` forward and for the reverse SDE, with a matrix; not for the flow.
#[test]
fn joint_law_under_a_rotation() {
    let known = turning();
    let end = known.sample(1.0, PATHS, 805);
    let times = time_grid(1.0, 0.0, 200).unwrap();
    let (decay, cos, sin) = ((-0.5f64).exp(), 1.5f64.cos(), 1.5f64.sin());
    let propagator = [[decay * cos, -decay * sin], [decay * sin, decay * cos]];
    let start = (known.law)(0.0).1;
    let expected =
        |i: usize, j: usize| propagator[i][0] * start[0][j] + propagator[i][1] * start[1][j];
    let off = |x: &Tensor| {
        let column = |x: &Tensor, i: usize| values(&x.get_on_dim(1, i).unwrap()).unwrap();
        let mut worst = 0f64;
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            worst = worst.max((covariance(&column(&end, i), &column(x, j)) - expected(i, j)).abs());
        }
        worst
    };
    let solver = EulerMaruyama::default();
    let sde = solver.solve(&known.reverse(1.0), &end, &times, &mut Generator::new(806)).unwrap().x;
    let flow = Flow::default().solve(&known.reverse(0.0), &end, &times).unwrap().x;
    println!("reverse SDE off by {:.4}, flow by {:.4}", off(&sde), off(&flow));
    // The product of two numbers of variances at most 1.2 and 0.5, and the error of the method.
    assert!(off(&sde) < 5.0 * (1.2f64 / PATHS as f64).sqrt() + 0.01);
    assert!(off(&flow) > 0.2);
}

/// `Cov(X_0, X_T)` of note 001's process from `N(0, v_0)` at the level of noise `λ`: with `v̇ = σ² - 2βv` it is
/// `e^(-λ²βT) v_T (v_0/v_T)^((1+λ²)/2)`, 1.186 for the flow and 0.7358 for Anderson's SDE. The marginals are those of the
/// process for all.
#[test]
fn joint_laws_between_flow_and_sde() {
    let (process, n) = (unit_process(), 200_000);
    let data = Mixture::new([1.0], [[0.0]], [2f64.sqrt()]).unwrap();
    let law = data.noised(process.mean_scale(1.0), process.std(1.0)).unwrap();
    let v = law.stds()[0].powi(2);
    let end = law.sample(n, &mut Generator::new(807), CPU).unwrap();
    let truth = data.sample(n, &mut Generator::new(808), CPU).unwrap();
    let score = MixtureScore::new(data, process);
    let times = time_grid(1.0, 0.0, 400).unwrap();
    for noise in [0.0, 0.5, 1.0, 1.5, 2.0] {
        let reverse = ReverseSde { process, score: score.clone(), noise };
        let solver = FusedEulerMaruyama::default();
        let paths = solver.solve::<1>(&reverse, &end, &times, &mut Generator::new(809)).unwrap();
        let (x, y) = (values(paths.end()).unwrap(), values(&end).unwrap());
        let squared: f64 = noise * noise;
        let expected = (-squared).exp() * v * (2.0 / v).powf(0.5 * (1.0 + squared));
        let found = covariance(&x, &y);
        println!("λ = {noise}: {found:.4} for {expected:.4}, variance {:.4}", variance(&x));
        let error = ((2.0 * v + expected.powi(2)) / n as f64).sqrt();
        assert!((found - expected).abs() < 5.0 * error + 0.01 * expected, "λ = {noise}: {found}");
        // Moments to 1 %, five standard errors included (0.8 %).
        assert!(mean(&x).abs() < 0.02 && (variance(&x) / 2.0 - 1.0).abs() < 0.02, "λ = {noise}");
        let test = ks_two_sample(&x, &values(&truth).unwrap()).unwrap();
        // Kolmogorov's law at 1e-7 is 2.9, and 0.003 are the method's.
        assert!(test.statistic < 2.9 * (2.0 / n as f64).sqrt() + 0.003, "λ = {noise}: {test:?}");
    }
    // The three that the notes compare are told apart.
    assert!((2.0 / 1f64.exp() - 0.7358).abs() < 5e-5 && ((2.0 * v).sqrt() - 1.186).abs() < 5e-4);
}

/// A steady rotation: reversed it turns the other way, and its flow only turns. `f = -βx + ωJx`, `p = N(0, σ²/(2β))`.
#[test]
fn a_current_turns_round() {
    let (beta, omega, sigma) = (0.7, 2.0, 1.1f64);
    let turn = move |x: &Tensor, rate: f64| -> candle_core::Result<Tensor> {
        x.matmul(&Tensor::new(&[[-rate, omega], [-omega, -rate]], x.device())?)
    };
    let sde = Ito::new(move |x, _t| turn(x, beta), move |_t| sigma);
    let pull = -2.0 * beta / (sigma * sigma);
    let score = ScoreFunction::new(move |x, _t| Ok((x * pull)?));
    let x = Tensor::new(&[[0.3, -1.0], [2.0, 0.1]], CPU).unwrap();
    for (noise, rate) in [(1.0, -beta), (0.0, 0.0)] {
        let reverse = AndersonReverse { sde: sde.clone(), score: score.clone(), noise };
        let off = (reverse.drift(&x, 0.0).unwrap() - turn(&x, rate).unwrap()).unwrap();
        assert!(largest(&off) < 1e-12, "λ = {noise}");
    }
}

/// The distribution function of a mixture on the line, and its inverse by bisection.
fn cdf(mixture: &Mixture, x: f64) -> f64 {
    let components = mixture.weights().iter().zip(mixture.means()).zip(mixture.stds());
    components.map(|((weight, mean), std)| weight * standard_cdf((x - mean[0]) / std)).sum()
}

fn quantile(mixture: &Mixture, u: f64) -> f64 {
    let (mut low, mut high) = (-50.0, 50.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if cdf(mixture, middle) < u { low = middle } else { high = middle }
    }
    high
}

/// On the line the flow keeps quantiles: `x(0) = F_0⁻¹(F_T(x(T)))` exactly, for any mixture. Against that truth Euler's
/// method has the order 1 and Heun's 2, and an adaptive one is as exact as it is asked to be.
#[test]
fn the_flow_keeps_quantiles() {
    let processes = [
        Process::from(unit_process()),
        VariancePreserving::new(0.5, 3.0).unwrap().into(),
        VarianceExploding::new(0.5, 4.0).unwrap().into(),
    ];
    for process in processes {
        let law = two().noised(process.mean_scale(1.0), process.std(1.0)).unwrap();
        let shares = [0.01, 0.1, 0.25, 0.32, 0.5, 0.8, 0.99];
        let start = Tensor::new(&shares.map(|u| [quantile(&law, u)]), CPU).unwrap();
        let truth = Tensor::new(&shares.map(|u| [quantile(&two(), u)]), CPU).unwrap();
        let flow = |factor: f64| {
            let exact = MixtureScore::new(two(), process);
            let score = ScoreFunction::new(move |x, t| Ok((Score::score(&exact, x, t)? * factor)?));
            ReverseSde { process, score, noise: 0.0 }
        };
        let off = |x: Tensor| largest(&(x - &truth).unwrap());
        let solver = DormandPrince { rtol: 1e-10, atol: 1e-12, ..Default::default() };
        let exact = off(solver.solve(&flow(1.0), &start, &[1.0, 0.0]).unwrap().x);
        println!("{process:?}: Dormand-Prince off by {exact:.1e}");
        assert!(exact < 1e-7, "{exact}");
        // Without the ½ (note 002, line 131) and with the sign turned (note 001, line 348).
        for factor in [2.0, -1.0] {
            assert!(off(solver.solve(&flow(factor), &start, &[1.0, 0.0]).unwrap().x) > 0.3);
        }
        for (method, order) in [(FlowMethod::Euler, 1.0), (FlowMethod::Heun, 2.0)] {
            let errors = [100, 200, 400, 800].map(|steps| {
                let times = time_grid(1.0, 0.0, steps).unwrap();
                let solver = Flow { method, ..Default::default() };
                let x = solver.solve(&flow(1.0), &start, &times).unwrap().x;
                (1.0 / steps as f64, mean(&values(&(x - &truth).unwrap().abs().unwrap()).unwrap()))
            });
            let slope = log_slope(&errors);
            println!("{process:?}, {method:?}: order {slope:.3}");
            assert!((slope - order).abs() < 0.1, "{method:?}: {slope} {errors:?}");
        }
    }
}

/// A forward run along a path of Brownian motion: all its states, and the path.
fn forward(
    sde: &dyn Sde,
    solver: Forward,
    x0: &Tensor,
    noises: usize,
    steps: usize,
    seed: u64,
) -> (Vec<Tensor>, BrownianMotion) {
    let times = time_grid(0.0, 1.0, steps).unwrap();
    let shape = (x0.dim(0).unwrap(), noises);
    let path =
        BrownianMotion::sample(&times, shape, DType::F64, &mut Generator::new(seed), CPU).unwrap();
    let solution = match solver {
        Forward::EulerMaruyama => {
            EulerMaruyama { record: Some(1), ..Default::default() }.solve_along(sde, x0, &path)
        }
        Forward::Milstein => {
            Milstein { record: Some(1), ..Default::default() }.solve_along(sde, x0, &path)
        }
    };
    (solution.unwrap().trajectory.unwrap(), path)
}

#[derive(Clone, Copy)]
enum Forward {
    EulerMaruyama,
    Milstein,
}

/// Along `β̄` the reverse SDE comes back the way the path came: to the order of the method. Along the forward noise seen from
/// the end it does not, nor along `β̄` without its divergence.
#[test]
fn the_reverse_brownian_motion_retraces() {
    let process = unit_process();
    let score = MixtureScore::new(two(), process);
    let n = 400;
    let data =
        two().sample(n, &mut Generator::new(810), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let missed =
        |x: &Tensor, start: &Tensor| mean(&values(&(x - start).unwrap().abs().unwrap()).unwrap());
    // Noise that is a number: order 1.
    let (sde, back) =
        (ForwardSde(process), ReverseSde { process, score: score.clone(), noise: 1.0 });
    let errors = [50, 100, 200, 400].map(|steps| {
        let (states, path) = forward(&sde, Forward::EulerMaruyama, &data, 1, steps, 811);
        let noise = reverse_brownian_motion(&sde, &score, &path, &states).unwrap();
        assert_eq!(
            (noise.times[0], noise.times[steps], noise.values.dims()),
            (1.0, 0.0, &[steps + 1, n, 1][..])
        );
        let x = EulerMaruyama::default().solve_along(&back, &states[steps], &noise).unwrap().x;
        let naive = path.reversed().unwrap();
        let naive = EulerMaruyama::default().solve_along(&back, &states[steps], &naive).unwrap().x;
        assert!(missed(&naive, &data) > 0.3, "{}", missed(&naive, &data));
        (1.0 / steps as f64, missed(&x, &data))
    });
    println!("additive: order {:.2}, {errors:.4?}", log_slope(&errors));
    assert!((log_slope(&errors) - 1.0).abs() < 0.15 && errors[3].1 < 0.02, "{errors:?}");

    // Noise that is a matrix of the state: order ½ by Euler and Maruyama, 1 by Milstein both ways; Heun comes back too.
    let known = prices();
    let start = known.sample(0.0, n, 812);
    let run = |solver: &dyn Solver, up: Forward, steps: usize, score: &ScoreFunction| {
        let (states, path) = forward(&known.sde, up, &start, 3, steps, 813);
        let noise = reverse_brownian_motion(&known.sde, score, &path, &states).unwrap();
        let x = solver.solve_along(&known.reverse(1.0), &states[steps], &noise).unwrap().x;
        (1.0 / steps as f64, missed(&x, &start))
    };
    let grids = [32, 64, 128, 256];
    let euler = grids
        .map(|steps| run(&EulerMaruyama::default(), Forward::EulerMaruyama, steps, &known.score()));
    println!("matrix, Euler-Maruyama: order {:.2}, {euler:.4?}", log_slope(&euler));
    assert!((log_slope(&euler) - 0.5).abs() < 0.15, "{euler:?}");
    let milstein =
        grids.map(|steps| run(&Milstein::default(), Forward::Milstein, steps, &known.score()));
    println!("matrix, Milstein: order {:.2}, {milstein:.4?}", log_slope(&milstein));
    assert!((log_slope(&milstein) - 1.0).abs() < 0.2 && milstein[3].1 < 0.01, "{milstein:?}");
    let heun = run(&StochasticHeun::default(), Forward::Milstein, 256, &known.score());
    assert!(heun.1 < 0.02, "{heun:?}");
    // A score that is another than that of the reverse SDE leads elsewhere.
    let none = ScoreFunction::new(|x, _t| Ok(x.zeros_like()?));
    assert!(run(&Milstein::default(), Forward::Milstein, 256, &none).1 > 0.2);
}

/// `β̄` is a Brownian motion and knows nothing of where it starts: its increments below a time are independent of the state
/// there. The forward noise from the end, and what note 000 writes in lines 182 and 184, are told apart.
#[test]
fn the_reverse_brownian_motion_is_one() {
    let (n, steps) = (PATHS, 100);
    let known = prices();
    let (states, path) =
        forward(&known.sde, Forward::Milstein, &known.sample(0.0, n, 814), 3, steps, 815);
    let reverse = reverse_brownian_motion(&known.sde, &known.score(), &path, &states).unwrap();
    let column = |x: &Tensor, i: usize| values(&x.get_on_dim(1, i).unwrap()).unwrap();
    let correlation = |x: &[f64], y: &[f64]| covariance(x, y) / (variance(x) * variance(y)).sqrt();
    // Five standard errors, and the steps.
    let allowed = 5.0 / (n as f64).sqrt() + 0.01;
    // The worst correlation of the increments from `from` steps below the end on, for half the time, with functions of the
    // state there; with each other; and their means and variances.
    let look = |noise: &BrownianMotion, from: usize| {
        let increment = (noise.values.get(from + steps / 2).unwrap()
            - noise.values.get(from).unwrap())
        .unwrap();
        let state = &states[steps - from];
        let (mut with_state, mut own) = (0f64, 0f64);
        for k in 0..3 {
            let dw = column(&increment, k);
            own = own.max(mean(&dw).abs() / 0.5f64.sqrt());
            own = own.max((variance(&dw) / 0.5 - 1.0).abs() / 2f64.sqrt());
            for j in 0..k {
                own = own.max(correlation(&dw, &column(&increment, j)).abs());
            }
            for i in 0..2 {
                let y = column(&state.log().unwrap(), i);
                let (squares, middle): (Vec<f64>, f64) =
                    (y.iter().map(|y| y * y).collect(), mean(&y));
                let above: Vec<f64> = y.iter().map(|y| f64::from(u8::from(*y > middle))).collect();
                for function in [&y, &squares, &above] {
                    with_state = with_state.max(correlation(&dw, function).abs());
                }
            }
        }
        (with_state, own)
    };
    for from in [0, steps / 2] {
        let (with_state, own) = look(&reverse, from);
        println!(
            "β̄ from step {from}: with the state {with_state:.4}, among themselves {own:.4}, allowed {allowed:.4}"
        );
        assert!(with_state < allowed && own < allowed, "{with_state} {own}");
    }
    // w_T - w_{T-t}.
    let (with_state, own) = look(&path.reversed().unwrap(), 0);
    println!("w from the end: with the state {with_state:.3}");
    assert!(with_state > 0.3 && own < allowed, "{with_state} {own}");
    // Line 182: the sum over `k` as well, so that each noise gets the sum of all three drifts.
    let drifts =
        ((&path.reversed().unwrap().values - &reverse.values).unwrap()).sum_keepdim(2).unwrap();
    let values_of_line_182 = path.reversed().unwrap().values.broadcast_sub(&drifts).unwrap();
    let line_182 = BrownianMotion { values: values_of_line_182, ..reverse.clone() };
    let (with_state, own) = look(&line_182, 0);
    println!("line 182: with the state {with_state:.3}, among themselves {own:.3}");
    assert!(with_state > 0.1 && own > 0.1, "{with_state} {own}");

    let increments = column(&reverse.values.get(steps).unwrap(), 1);
    let test = ks_one_sample(&increments, normal_cdf(0.0, 1.0)).unwrap();
    assert!(test.statistic < 2.9 / (n as f64).sqrt() + 0.005, "{test:?}");

    // Line 184: in the plane under `g = 1`, with the norm in place of the vector.
    let process = unit_process();
    let data = Gaussian::diagonal([1.0, -1.0], [0.5, 1.0]).unwrap();
    let x0 = data.sample(n, &mut Generator::new(816), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let (states, path) = forward(&ForwardSde(process), Forward::EulerMaruyama, &x0, 2, 50, 817);
    let score = ScoreFunction::new(move |x, t| {
        let t = values(t)?[0];
        let (a, s) = (process.mean_scale(t), process.std(t));
        Gaussian::diagonal([a, -a], [(0.5 * a).hypot(s), a.hypot(s)])?.score(x)
    });
    let norm = {
        let score = score.clone();
        ScoreFunction::new(move |x, t| {
            let score = Score::score(&score, x, t)?;
            Ok(score.abs()?.sum_keepdim(1)?.broadcast_as(x.shape())?)
        })
    };
    for (score, right) in [(score, true), (norm, false)] {
        let noise = reverse_brownian_motion(&ForwardSde(process), &score, &path, &states).unwrap();
        let end = noise.values.get(50).unwrap();
        let centre = mean(&column(&end, 0)).abs().max(mean(&column(&end, 1)).abs());
        println!("line 184: the mean of the noise is {centre:.4}; right: {right}");
        assert!(if right { centre < allowed } else { centre > 0.5 }, "{centre}");
    }
}

/// The log-density of a noised mixture, as the residual takes it.
fn log_prob(score: &MixtureScore) -> impl Fn(&Tensor, f64) -> scorebook::Result<Tensor> + '_ {
    |x, t| score.log_prob(x, &same_time(t, x)?)
}

/// What the residual is where the SDE is another: `∇·(c p)` for a drift that is off by `c`, `-½ ∇∇:(C p)` for a covariance
/// that is too large by `C`.
#[test]
fn the_residual_is_what_is_wrong() {
    let known = turning();
    let (drift, dispersion) = (known.sde.clone(), known.sde.clone());
    let wrap = candle_core::Error::wrap;
    let wrong = Ito::general(
        move |x, t| drift.drift(x, t).map_err(wrap)? + 0.3,
        move |x, t| {
            let Dispersion::Matrix(g) = dispersion.dispersion(x, t).map_err(wrap)? else {
                unreachable!()
            };
            // One noise more: C = c cᵀ.
            Ok(Dispersion::Matrix(Tensor::cat(
                &[&g, &Tensor::new(&[[0.5], [-0.4]], x.device())?],
                1,
            )?))
        },
    );
    let t = 0.3;
    let grid = Grid::plane((-3.0, 3.5), (-2.5, 4.0), 130, 130).unwrap();
    let points = grid.middles().unwrap();
    let p = values(&known.log_prob(&points, t).unwrap().exp().unwrap()).unwrap();
    let score = known.gaussian(t).score(&points).unwrap().to_vec2::<f64>().unwrap();
    let [[a, b], [_, d]] = (known.law)(t).1;
    let determinant = a * d - b * b;
    let hessian = [[-d / determinant, b / determinant], [b / determinant, -a / determinant]];
    let expected: Vec<f64> = p
        .iter()
        .zip(&score)
        .map(|(p, s)| {
            let c = [0.5, -0.4];
            let second: f64 = [(0, 0), (0, 1), (1, 0), (1, 1)]
                .iter()
                .map(|&(i, j)| c[i] * c[j] * (s[i] * s[j] + hessian[i][j]))
                .sum();
            p * (0.3 * (s[0] + s[1]) - 0.5 * second)
        })
        .collect();
    let log_prob = |x: &Tensor, t: f64| known.log_prob(x, t);
    let found = residual(&wrong, log_prob, &grid, t, 1e-4).unwrap();
    assert_eq!(found.dims(), [130, 130]);
    let found = values(&found).unwrap();
    let off = found.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
    let size = expected.iter().map(|x| x.abs()).fold(0.0, f64::max);
    println!("off by {off:.1e} of {size:.2}");
    assert!(off < 0.02 * size && size > 0.05, "{off} {size}");
}

/// Anderson's theorem by substitution, on the line: `p_t` of a mixture in the equations of the reverse SDE, the flow and a
/// level between, to the order of the grid; not in those that the notes have.
#[test]
fn substitution_on_the_line() {
    let process = OrnsteinUhlenbeck::new(1.0, 1.2, 1.0).unwrap();
    let score = MixtureScore::new(two(), process);
    let worst = |sde: &dyn Sde, step: f64, cells: usize| {
        let grid = Grid::line((-4.0, 4.0), cells).unwrap();
        largest(&residual(sde, log_prob(&score), &grid, 0.4, step).unwrap())
    };
    let reverse = |noise: f64| ReverseSde { process, score: score.clone(), noise };
    let forward = ForwardSde(process);
    for (name, sde, step) in [
        ("forward", &forward as &dyn Sde, 1e-4),
        ("reverse", &reverse(1.0), -1e-4),
        ("λ = 0.6", &reverse(0.6), -1e-4),
        ("flow", &reverse(0.0), -1e-4),
        // A flow has no side.
        ("flow, upward", &reverse(0.0), 1e-4),
    ] {
        let errors = [100, 200, 400].map(|cells| (8.0 / cells as f64, worst(sde, step, cells)));
        println!("{name}: slope {:.3}, {:.1e}", log_slope(&errors), errors[2].1);
        assert!((log_slope(&errors) - 2.0).abs() < 0.1 && errors[2].1 < 5e-3, "{name}: {errors:?}");
    }
    // The drift f + factor g² s.
    let with = |factor: f64, noisy: bool| {
        let score = score.clone();
        let drift = move |x: &Tensor, t: f64| -> candle_core::Result<Tensor> {
            let time = same_time(t, x).map_err(candle_core::Error::wrap)?;
            let s = Score::score(&score, x, &time).map_err(candle_core::Error::wrap)?;
            x.neg()? + (s * (1.44 * factor))?
        };
        Ito::new(drift, move |_t| if noisy { 1.2 } else { 0.0 })
    };
    let without_score = Ito::new(|x, _t| x.affine(-1.0, -1.44), |_t| 1.2);
    for (name, sde, step) in [
        ("001, lines 270 and 276: the noise's sign", &with(-1.0, true), 1e-4),
        ("001, line 280: the score's sign", &with(1.0, true), -1e-4),
        ("001, line 348: the score's sign in the flow", &with(0.5, false), -1e-4),
        ("002, line 131: the flow without ½", &with(-1.0, false), -1e-4),
        ("002, line 80: f - g², no score", &without_score, -1e-4),
    ] {
        let errors = [100, 400].map(|cells| worst(sde, step, cells));
        println!("{name}: {:.2}", errors[1]);
        assert!(errors[1] > 0.3 && errors[1] > 0.8 * errors[0], "{name}: {errors:?}");
    }
    // 001, line 110, read as -(∂f) p + ½ g² ∂²p: what is missing is f ∂p.
    let grid = Grid::line((-4.0, 4.0), 400).unwrap();
    let x = grid.middles().unwrap();
    let p = log_prob(&score)(&x, 0.4).unwrap().exp().unwrap();
    let slope = Score::score(&score, &x, &same_time(0.4, &x).unwrap()).unwrap();
    let missing = (slope.squeeze(1).unwrap() * p).unwrap().mul(&x.squeeze(1).unwrap()).unwrap();
    let right = residual(&forward, log_prob(&score), &grid, 0.4, 1e-4).unwrap();
    assert!(largest(&(right - missing).unwrap()) > 0.3);
}

/// The same in the plane, with matrices: of the state, and under a rotation. Without the divergence, with its diagonal only,
/// or with the entries of `g` squared in place of `g gᵀ` (001, lines 50 and 219) it is not satisfied.
#[test]
fn substitution_in_the_plane() {
    let t = 0.5;
    let (prices, turning) = (prices(), turning());
    let market = |cells: usize| Grid::plane((0.3, 3.3), (0.3, 3.3), cells, cells).unwrap();
    let plane = |cells: usize| Grid::plane((-3.0, 3.0), (-2.0, 4.0), cells, cells).unwrap();
    let worst = |known: &Known, sde: &dyn Sde, grid: &Grid, step: f64| {
        largest(&residual(sde, |x, t| known.log_prob(x, t), grid, t, step).unwrap())
    };
    for (name, known, grids) in [
        ("prices", &prices, [40, 80, 160].map(market)),
        ("turning", &turning, [40, 80, 160].map(plane)),
    ] {
        let equations: [(&str, &dyn Sde, f64); 4] = [
            ("forward", &known.sde, 1e-4),
            ("reverse", &known.reverse(1.0), -1e-4),
            ("λ = 0.6", &known.reverse(0.6), -1e-4),
            ("flow", &known.reverse(0.0), -1e-4),
        ];
        for (equation, sde, step) in equations {
            let errors =
                [0, 1, 2].map(|i| (0.5f64.powi(i as i32), worst(known, sde, &grids[i], step)));
            println!("{name}, {equation}: slope {:.2}, {:.1e}", log_slope(&errors), errors[2].1);
            assert!(
                (log_slope(&errors) - 2.0).abs() < 0.2 && errors[2].1 < 0.01,
                "{name}, {equation}: {errors:?}"
            );
        }
    }
    let with = |divergence: fn(&Tensor) -> candle_core::Result<Tensor>, noise: f64| {
        let sde = prices.sde.clone().with_covariance_divergence(move |x, _t| divergence(x));
        let reverse = AndersonReverse { sde, score: prices.score(), noise };
        worst(&prices, &reverse, &market(160), -1e-4)
    };
    for noise in [0.0, 1.0] {
        assert!(with(divergence_of_prices, noise) < 0.01);
        let dropped = with(|x| x.zeros_like(), noise);
        let own_only = with(own_divergence_of_prices, noise);
        println!("λ = {noise}: dropped {dropped:.3}, ∂_i G_ii {own_only:.3}");
        assert!(dropped > 0.3 && own_only > 0.1, "{dropped} {own_only}");
    }
    let (score, sde) = (turning.score(), turning.sde.clone());
    let wrap = candle_core::Error::wrap;
    let squared = Ito::general(
        move |x, t| {
            let s = Score::score(&score, x, &same_time(t, x).map_err(wrap)?).map_err(wrap)?;
            let squares = Tensor::new(&[[1.0, 0.0], [0.64, 0.36]], x.device())?;
            sde.drift(x, t).map_err(wrap)? - s.matmul(&squares.t()?)?
        },
        |x, _t| Ok(Dispersion::Matrix(Tensor::new(&[[1.0, 0.0], [0.8, 0.6]], x.device())?)),
    );
    let squared = worst(&turning, &squared, &plane(160), -1e-4);
    println!("entries squared: {squared:.3}");
    assert!(squared > 0.05, "{squared}");
}

/// The steps as notes 002 and 003 set them, on `p_0 = N(0, 2)` with `β = σ = T = 1`: the variance that comes back is 2 with
/// the right one alone.
#[test]
fn steps_as_the_notes_set_them() {
    let (process, n, steps) = (unit_process(), PATHS, 200);
    let v = |t: f64| 2.0 * process.mean_scale(t).powi(2) + process.std(t).powi(2);
    let mut start = vec![0f64; n];
    Generator::new(818).fill_normal_f64(&mut start);
    start.iter_mut().for_each(|x| *x *= v(1.0).sqrt());
    let run = |step: &dyn Fn(f64, f64, f64, f64) -> f64| {
        let (mut x, mut z) = (start.clone(), vec![0f64; n]);
        let mut generator = Generator::new(819);
        let h = -1.0 / steps as f64;
        for k in 0..steps {
            let t = 1.0 + k as f64 * h;
            generator.fill_normal_f64(&mut z);
            x.iter_mut().zip(&z).for_each(|(x, z)| *x = step(*x, -*x / v(t), h, *z));
        }
        (mean(&x), variance(&x))
    };
    let tolerance = 5.0 * 2.0 * (2.0 / n as f64).sqrt() + 0.02;
    // Lines 118 and 122 of note 002 joined.
    let (_, right) = run(&|x, s, h, z| x + (-x - s) * h + h.abs().sqrt() * z);
    assert!((right - 2.0).abs() < tolerance, "{right}");
    // Line 118 alone: no Δt at the drift.
    let (_, without_step) = run(&|x, s, h, z| x + (-x - s) + h.abs().sqrt() * z);
    // Line 80 ends after g²(t): no score.
    let (centre, _) = run(&|x, _, h, z| x + (-x - 1.0) * h + h.abs().sqrt() * z);
    // Note 003, line 372: dw̄ = N(0, ds) ds has the size |Δt|^(3/2), and the noise is lost. What is left is note 002's
    // line 131, the flow without its ½.
    let (_, no_noise) = run(&|x, s, h, z| x + (-x - s) * h + h.abs().powf(1.5) * z);
    println!(
        "right {right:.3}; without Δt {without_step:.2e}; mean without score {centre:.2}; N(0, ds) ds {no_noise:.3}"
    );
    assert!(!(0.01..100.0).contains(&without_step) && centre.abs() > 1.0);
    assert!((no_noise / 0.77 - 1.0).abs() < 0.05, "{no_noise}");
}

#[test]
fn what_goes_wrong_is_an_error() {
    let known = prices();
    let x = known.sample(1.0, 4, 820);
    for noise in [-1.0, f64::NAN, f64::INFINITY] {
        let error = known.reverse(noise).drift(&x, 0.5).unwrap_err().to_string();
        assert_eq!(error, format!("`noise` is {noise}; expected a number of at least 0"));
        assert!(known.reverse(noise).dispersion(&x, 0.5).is_err());
    }
    let flat = ScoreFunction::new(|x, _t| Ok(x.sum_keepdim(1)?));
    let reverse = AndersonReverse { sde: known.sde.clone(), score: flat.clone(), noise: 1.0 };
    let error = reverse.drift(&x, 0.5).unwrap_err().to_string();
    assert_eq!(error, "`score` has shape [4, 1]; expected the shape of `x`, [4, 2]");
    let one = x.narrow(1, 0, 1).unwrap();
    assert!(known.reverse(1.0).drift(&one, 0.5).is_err());
    let narrow = Ito::general(
        |x, _t| x.clone().affine(1.0, 0.0),
        |x, _t| Ok(Dispersion::Matrix(Tensor::ones((3, 2), x.dtype(), x.device())?)),
    );
    let error = AndersonReverse { sde: narrow, score: known.score(), noise: 1.0 }.drift(&x, 0.5);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("`dispersion` has shape [3, 2]; expected [dim, noises]"), "{error}");
    // A state beyond the process is not finite, and the solver says where.
    let times = time_grid(1.0, 0.0, 10).unwrap();
    let error = EulerMaruyama::default()
        .solve(&known.reverse(1.0), &x.neg().unwrap(), &times, &mut Generator::new(821))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("the state is not finite at t = 0.9"), "{error}");

    let (states, path) =
        forward(&known.sde, Forward::EulerMaruyama, &known.sample(0.0, 4, 822), 3, 5, 823);
    let message = |path: &BrownianMotion, states: &[Tensor], score: &ScoreFunction| {
        reverse_brownian_motion(&known.sde, score, path, states).unwrap_err().to_string()
    };
    let down = path.reversed().unwrap();
    assert_eq!(
        message(&down, &states, &known.score()),
        "`path` is from 1 to 0; expected one upward in time"
    );
    let expected = "`states` is 5 states; expected 6, one for each time of the path";
    assert_eq!(message(&path, &states[1..], &known.score()), expected);
    let error = message(&path, &states, &flat);
    assert_eq!(error, "`score` has shape [4, 1]; expected the shape of `x`, [4, 2]");
    let two = BrownianMotion { values: path.values.narrow(2, 0, 2).unwrap(), ..path.clone() };
    let error = message(&two, &states, &known.score());
    assert_eq!(error, "`path` has shape [6, 4, 2]; expected [times, ..] with [4, 3]");

    let grid = Grid::plane((0.3, 3.3), (0.3, 3.3), 5, 5).unwrap();
    let left =
        |grid: &Grid, step: f64| residual(&known.sde, |x, t| known.log_prob(x, t), grid, 0.5, step);
    for step in [0.0, f64::NAN] {
        let error = left(&grid, step).unwrap_err().to_string();
        assert_eq!(error, format!("`step` is {step}; expected a finite number other than 0"));
    }
    let beyond = Grid::plane((-1.0, 3.0), (0.3, 3.3), 5, 5).unwrap();
    let error = left(&beyond, 1e-4).unwrap_err().to_string();
    assert!(error.starts_with("the residual is not finite at t = 0.5"), "{error}");
    let wide =
        residual(&known.sde, |x, _t| Ok(x.clone()), &grid, 0.5, 1e-4).unwrap_err().to_string();
    assert_eq!(wide, "`log_prob` has shape [25, 2]; expected [25]");
    assert!(left(&Grid::line((0.3, 3.3), 5).unwrap(), 1e-4).is_err());
}

/// In `f32` the same equations, to its precision.
#[test]
fn in_single_precision() {
    let known = prices();
    let x = known.sample(1.0, 100, 824);
    let single = x.to_dtype(DType::F32).unwrap();
    for noise in [0.0, 1.0] {
        let drift = known.reverse(noise).drift(&single, 0.5).unwrap();
        assert_eq!(drift.dtype(), DType::F32);
        let exact = known.reverse(noise).drift(&x, 0.5).unwrap();
        let off = largest(&(drift.to_dtype(DType::F64).unwrap() - &exact).unwrap());
        assert!(off < 5e-3 * largest(&exact), "{off}");
    }
}

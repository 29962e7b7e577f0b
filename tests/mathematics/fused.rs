use crate::*;
use scorebook::{
    diffusion::ForwardSde,
    metrics::{ks_one_sample, ks_two_sample, values},
    reverse::ReverseSde,
    sde::{Bins, FusedEulerMaruyama, FusedSde, Lanes, PathStatistics, Start},
};

/// `dx = (x - x³) dt + s(t) (1 + ½ sin x) dv`, `dy = -2y dt + ½ x dw` with `s(t) = 1 + t`.
struct Test;

impl FusedSde<2> for Test {
    type Now = f32;

    fn now(&self, t: f64) -> scorebook::Result<f32> {
        Ok(1.0 + t as f32)
    }

    #[inline(always)]
    fn drift(&self, [x, y]: [Lanes; 2], _: &f32) -> [Lanes; 2] {
        [x - x * x * x, -2.0 * y]
    }

    #[inline(always)]
    fn noise(&self, [x, _]: [Lanes; 2], [dv, dw]: [Lanes; 2], s: &f32) -> [Lanes; 2] {
        [*s * (1.0 + 0.5 * x.sin()) * dv, 0.5 * x * dw]
    }
}

fn solve(save: &[f64], x0: &Tensor, times: &[f64], seed: u64) -> scorebook::Result<Vec<Tensor>> {
    let solver = FusedEulerMaruyama { save_at: save.to_vec(), ..Default::default() };
    Ok(solver.solve(&Test, x0, times, &mut Generator::new(seed))?.states)
}

fn column(x: &Tensor, i: usize) -> Vec<f64> {
    values(&x.get_on_dim(1, i).unwrap()).unwrap()
}

/// The loop is the formula, path by path: the normals are those of `fill_normal`, sixteen paths after sixteen.
#[test]
fn the_loop_is_the_method() {
    let (paths, steps) = (300, 50);
    let times = time_grid(0.0, 1.0, steps).unwrap();
    let x0 = Generator::new(70).normal((paths, 2), CPU).unwrap();
    let end = solve(&[], &x0, &times, 71).unwrap().pop().unwrap().to_vec2::<f32>().unwrap();
    let mut z = vec![0f32; paths.div_ceil(256) * steps * 512];
    Generator::new(71).fill_normal(&mut z);
    let mut wrong = 0;
    for (path, start) in x0.to_vec2::<f32>().unwrap().iter().enumerate() {
        let (mut x, mut y) = (f64::from(start[0]), f64::from(start[1]));
        for (k, t) in times[..steps].iter().enumerate() {
            let first = (path / 256 * steps + k) * 512 + path % 256 / 16 * 32 + path % 16;
            let [dv, dw] = [z[first], z[first + 16]].map(|z| f64::from(z) * 0.02f64.sqrt());
            let (f, g) = (x - x * x * x, (1.0 + t) * (1.0 + 0.5 * x.sin()));
            (x, y) = (x + f * 0.02 + g * dv, y - 2.0 * y * 0.02 + 0.5 * x * dw);
        }
        let distance = |x: f64, end: f32| (x - f64::from(end)).abs();
        assert!(distance(x, end[path][0]) < 1e-4 && distance(y, end[path][1]) < 1e-4);
        wrong += usize::from(distance(x, end[path][1]) > 1e-2);
    }
    assert!(wrong > 250);
}

#[test]
fn same_bits_on_any_number_of_threads() {
    let times = time_grid(0.0, 1.0, 40).unwrap();
    let x0 = Tensor::ones((5000, 2), DType::F32, CPU).unwrap();
    let bins = Some(Bins { low: -3.0, high: 3.0, count: 50 });
    let solver = FusedEulerMaruyama { save_at: vec![0.5], bins, ..Default::default() };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let states = solve(&[0.5], &x0, &times, 72).unwrap();
            let states: Vec<_> = states.iter().map(|x| x.to_vec2::<f32>().unwrap()).collect();
            let (start, mut generator) = (Start::Point([1.0; 2]), Generator::new(72));
            let seen = solver.statistics(&Test, start, 5000, &times, &mut generator).unwrap();
            (states, seen)
        })
    };
    let one = run(1);
    assert!(one == run(2) && one == run(8));
    // Both ways see the same paths.
    let (states, seen) = one;
    for (state, (means, variances)) in states.iter().zip(seen.mean.iter().zip(&seen.variance)) {
        for i in 0..2 {
            let x: Vec<f64> = state.iter().map(|row| f64::from(row[i])).collect();
            assert!(
                (mean(&x) - means[i]).abs() < 1e-12 && (variance(&x) - variances[i]).abs() < 1e-12
            );
        }
    }
    let inside = states[1].iter().filter(|row| (-3.0..3.0).contains(&row[0])).count() as u64;
    let histogram = &seen.histograms[1][0];
    assert_eq!((histogram.counts.iter().sum::<u64>(), histogram.outside), (inside, 5000 - inside));
}

fn moments(seen: &PathStatistics) -> (f64, f64) {
    (seen.mean[0][0], seen.variance[0][0])
}

/// The method's own moments on the Ornstein-Uhlenbeck process: with `a = 1 - βΔt` the mean is `aⁿ x₀`, and the variance
/// follows `v ← a² v + σ² Δt`. From a point and from a Gaussian.
#[test]
fn moments_of_ornstein_uhlenbeck() {
    let (beta, sigma, n, steps) = (1.5, 0.8f64, 1_000_000, 50);
    let sde = ForwardSde(OrnsteinUhlenbeck::new(beta, sigma, 1.0).unwrap());
    let times = time_grid(0.0, 1.0, steps).unwrap();
    let (a, dt) = (1.0 - beta / steps as f64, 1.0 / steps as f64);
    let solver = FusedEulerMaruyama::default();
    for (start, v0) in
        [(Start::Point([2.0]), 0.0), (Start::Gaussian { mean: [2.0], std: 0.5 }, 0.25)]
    {
        let seen = solver.statistics(&sde, start, n, &times, &mut Generator::new(73)).unwrap();
        assert_eq!(seen.paths, n);
        let (measured_mean, measured_variance) = moments(&seen);
        let (m, mut v) = (2.0 * a.powi(steps as i32), v0);
        for _ in 0..steps {
            v = a * a * v + sigma * sigma * dt;
        }
        let error = 5.0 * (2.0 / n as f64).sqrt();
        assert!((measured_mean - m).abs() < 5.0 * (v / n as f64).sqrt(), "{measured_mean} for {m}");
        assert!((measured_variance / v - 1.0).abs() < error, "{measured_variance} for {v}");
        // The exact process has another variance by 1 % or so, which this many paths tell apart.
        let decay = (-2.0 * beta).exp();
        let exact = v0 * decay + sigma * sigma * (1.0 - decay) / (2.0 * beta);
        assert!((measured_variance / exact - 1.0).abs() > error, "{measured_variance} for {exact}");
        assert!((exact / v - 1.0).abs() < 2.0 * beta * dt);
    }
    // The whole law, not only its moments.
    let x0 = Tensor::zeros((100_000, 1), DType::F32, CPU).unwrap();
    let end = solver.solve::<1>(&sde, &x0, &times, &mut Generator::new(74)).unwrap();
    let v = sigma * sigma * dt * (1.0 - a.powi(2 * steps as i32)) / (1.0 - a * a);
    let x = column(end.end(), 0);
    assert!(ks_one_sample(&x, normal_cdf(0.0, v.sqrt())).unwrap().p_value > 1e-7);
    assert!(ks_one_sample(&x, normal_cdf(0.0, 1.05 * v.sqrt())).unwrap().p_value < 1e-7);
}

/// The fused loop and the tensor solver give the same law.
#[test]
fn same_law_as_the_tensor_solver() {
    let n = 20_000;
    let times = time_grid(0.0, 1.0, 50).unwrap();
    let x0 = Tensor::ones((n, 2), DType::F32, CPU).unwrap();
    let tensors = |slower: f64| {
        let sde = Ito::general(
            move |x, _| {
                let (first, second) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
                Tensor::cat(&[(&first - first.powf(3.0)?)?, (second * (-2.0 * slower))?], 1)
            },
            |x, t| {
                let first = x.narrow(1, 0, 1)?;
                let g = first.sin()?.affine(0.5 * (1.0 + t), 1.0 + t)?;
                Ok(Dispersion::Diagonal(Tensor::cat(&[g, (first * 0.5)?], 1)?))
            },
        );
        EulerMaruyama::default().solve(&sde, &x0, &times, &mut Generator::new(75)).unwrap().x
    };
    let (fused, by_tensors) = (solve(&[], &x0, &times, 76).unwrap().pop().unwrap(), tensors(1.0));
    for i in 0..2 {
        let test = ks_two_sample(&column(&fused, i), &column(&by_tensors, i)).unwrap();
        assert!(test.p_value > 1e-7, "{test:?}");
    }
    let test = ks_two_sample(&column(&fused, 1), &column(&tensors(0.8), 1)).unwrap();
    assert!(test.p_value < 1e-7, "{test:?}");
}

/// Time backward through the exact score of a mixture: the data's law comes back, as it does with tensors.
#[test]
fn reverse_time_with_the_score_of_a_mixture() {
    let (n, process, data) = (20_000, VariancePreserving::default(), three());
    let score = MixtureScore::new(data.clone(), process);
    let mut generator = Generator::new(77);
    let noise = process.prior_sample(&[n, 2], &mut generator, CPU).unwrap();
    let times = time_grid(1.0, 1e-3, 500).unwrap();
    let run = |level: f64, generator: &mut Generator| {
        let reverse = ReverseSde { process, score: score.clone(), noise: level };
        FusedEulerMaruyama::default().solve::<2>(&reverse, &noise, &times, generator).unwrap()
    };
    let exact = data.sample(n, &mut generator, CPU).unwrap();
    for level in [1.0, 0.5] {
        let end = run(level, &mut generator);
        for i in 0..2 {
            let (x, y) = (column(end.end(), i), column(&exact, i));
            let test = ks_two_sample(&x, &y).unwrap();
            // The method's own error at 500 steps moves the law a little.
            assert!(test.statistic < 0.02 + 5.2 / (2.0 * n as f64).sqrt(), "{test:?}");
        }
    }
    // The fused score is the score.
    let x = (generator.normal((64, 2), CPU).unwrap() * 3.0).unwrap();
    let rows = x.to_vec2::<f32>().unwrap();
    for t in [1e-3, 0.2, 1.0] {
        let fused = score.fused::<2>(t).unwrap();
        let times = Tensor::full(t as f32, 64, CPU).unwrap();
        let expected = scorebook::score::Score::score(&score, &x, &times).unwrap();
        let expected = expected.to_vec2::<f32>().unwrap();
        for (rows, expected) in rows.chunks(16).zip(expected.chunks(16)) {
            let lanes = |i: usize| Lanes(std::array::from_fn(|lane| rows[lane][i]));
            let got = fused.score([lanes(0), lanes(1)]);
            for (lane, expected) in expected.iter().enumerate() {
                for i in 0..2 {
                    let (got, expected) = (got[i].0[lane], expected[i]);
                    assert!(
                        (got - expected).abs() < 2e-5 * expected.abs().max(10.0),
                        "{got} for {expected}"
                    );
                }
            }
        }
    }
}

/// States are kept at the times that were asked for, in the order of the grid.
#[test]
fn saving() {
    let times = time_grid(0.0, 1.0, 100).unwrap();
    let x0 = Tensor::new(&[[0.5f32, -1.0]], CPU).unwrap();
    let solver = FusedEulerMaruyama { save_at: vec![0.7, 0.0, 0.7], ..Default::default() };
    let paths = solver.solve(&Test, &x0, &times, &mut Generator::new(78)).unwrap();
    assert_eq!(paths.times, [0.0, 0.7, 1.0]);
    assert_eq!(paths.states[0].to_vec2::<f32>().unwrap(), x0.to_vec2::<f32>().unwrap());
    assert!(!paths.interrupted);
    let whole = solve(&[], &x0, &times, 78).unwrap().pop().unwrap();
    assert_eq!(paths.end().to_vec2::<f32>().unwrap(), whole.to_vec2::<f32>().unwrap());
    // One after another, two runs of a generator differ.
    let mut generator = Generator::new(78);
    let mut run = || solver.solve(&Test, &x0, &times, &mut generator).unwrap();
    assert_ne!(run().end().to_vec2::<f32>().unwrap(), run().end().to_vec2::<f32>().unwrap());
}

#[test]
fn what_goes_wrong_is_an_error() {
    struct Explodes;
    impl FusedSde<1> for Explodes {
        type Now = f32;
        fn now(&self, t: f64) -> scorebook::Result<f32> {
            Ok(if t > 0.405 { f32::INFINITY } else { 0.0 })
        }
        #[inline(always)]
        fn drift(&self, [x]: [Lanes; 1], now: &f32) -> [Lanes; 1] {
            [x * *now]
        }
        #[inline(always)]
        fn noise(&self, _: [Lanes; 1], dw: [Lanes; 1], _: &f32) -> [Lanes; 1] {
            dw
        }
    }
    let times = time_grid(0.0, 1.0, 100).unwrap();
    let solver = FusedEulerMaruyama::default();
    let x0 = Tensor::ones((3, 1), DType::F32, CPU).unwrap();
    let error = solver.solve(&Explodes, &x0, &times, &mut Generator::new(1)).unwrap_err();
    let expected = "the state is not finite at t = 0.64 or before. \
                    Take more steps, or look at drift and dispersion there";
    assert_eq!(error.to_string(), expected);

    let two = |x0: &Tensor, times: &[f64], save: &[f64]| {
        solve(save, x0, times, 1).unwrap_err().to_string()
    };
    let good = Tensor::ones((3, 2), DType::F32, CPU).unwrap();
    assert_eq!(two(&x0, &times, &[]), "`x0` has shape [3, 1]; expected [paths, 2]");
    assert!(two(&good.narrow(0, 0, 0).unwrap(), &times, &[]).starts_with("`x0` has shape [0, 2]"));
    assert!(two(&good, &[0.0, 0.5, 0.5], &[]).starts_with("`times` is 0.5 followed by 0.5"));
    assert!(two(&good, &[0.0], &[]).starts_with("`times` is [0.0]"));
    assert_eq!(
        two(&good, &times, &[0.333]),
        "`save_at` is 0.333; expected times of the grid, which has 101 from 0 to 1"
    );
    let bad = (&good / 0.0).unwrap();
    assert!(two(&bad, &times, &[]).starts_with("the state is not finite at t = 0"));

    let statistics = |paths, start, bins| {
        let solver = FusedEulerMaruyama { bins, ..Default::default() };
        let seen = solver.statistics(&Test, start, paths, &times, &mut Generator::new(1));
        seen.unwrap_err().to_string()
    };
    let start = Start::Point([0.0; 2]);
    assert_eq!(statistics(0, start, None), "`paths` is 0; expected at least 1");
    for (low, high, count) in [(0.0, 0.0, 3), (0.0, 1.0, 0), (f64::NAN, 1.0, 3)] {
        let error = statistics(3, start, Some(Bins { low, high, count }));
        assert!(error.starts_with("`bins` is Bins"), "{error}");
    }
    let negative = Start::Gaussian { mean: [0.0; 2], std: -1.0 };
    assert_eq!(
        statistics(3, negative, None),
        "`std` is -1; expected a standard deviation, at least 0"
    );

    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let error = score.fused::<3>(0.5).unwrap_err().to_string();
    assert_eq!(error, "`mixture` is in 2 dimensions; expected one in 3 dimensions");
    assert!(score.fused::<2>(1.5).unwrap_err().to_string().starts_with("`t` is 1.5"));
}

use crate::*;
use scorebook::metrics::{ks_one_sample, values};

const STUDENT: [(f64, f64); 3] =
    [(0.02, -3.481908760321213), (0.3, -0.5843897274398188), (0.99, 4.540702858568132)];
const BETA: [(f64, f64); 3] =
    [(1e-06, 0.0004083594602042573), (0.3, 0.27238394207510536), (0.9999, 0.9705412504285347)];

/// Kolmogorov and Smirnov's test at the level 1e-7 on 10⁶ numbers tells a shift of 0.01 and a scale of 1.02.
#[test]
fn laws() {
    let mut generator = Generator::new(1);
    let z = values(&generator.normal(1_000_000, CPU).unwrap()).unwrap();
    assert!(ks_one_sample(&z, normal_cdf(0.0, 1.0)).unwrap().p_value > 1e-7);
    for (mean, std) in [(0.01, 1.0), (0.0, 1.02)] {
        assert!(ks_one_sample(&z, normal_cdf(mean, std)).unwrap().p_value < 1e-7);
    }
    let mut z = vec![0f64; 1_000_000];
    generator.fill_normal_f64(&mut z);
    assert!(ks_one_sample(&z, normal_cdf(0.0, 1.0)).unwrap().p_value > 1e-7);
    let u = values(&generator.uniform(-2.0, 3.0, 1_000_000, CPU).unwrap()).unwrap();
    assert!(ks_one_sample(&u, |x| (x + 2.0) / 5.0).unwrap().p_value > 1e-7);
    assert!(ks_one_sample(&u, |x| (x + 2.0) / 5.03).unwrap().p_value < 1e-7);
}

/// How many of 6.4·10⁷ normals lie outside ±3, ±4 and ±5, and their fourth moment.
#[test]
fn tails() {
    let mut z = vec![0f32; 64_000_000];
    Generator::new(2).fill_normal(&mut z);
    let n = z.len() as f64;
    for bound in [3.0f32, 4.0, 5.0] {
        let outside = z.iter().filter(|z| z.abs() > bound).count() as f64;
        let expected = 2.0 * n * normal_cdf(0.0, 1.0)(-f64::from(bound));
        // Six standard deviations: with 37 expected, Poisson's tail is wider than the normal one.
        assert!((outside - expected).abs() < 6.0 * expected.sqrt(), "{outside} for {expected}");
    }
    let fourth = z.iter().map(|z| f64::from(*z).powi(4)).sum::<f64>() / n;
    assert!((fourth - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "{fourth}");
}

#[test]
fn streams_are_independent() {
    let n = 500_000;
    let mut parent = Generator::new(3);
    let mut streams = vec![
        parent.split(),
        parent.split(),
        parent.child(0),
        parent.child(1),
        parent.child(0).child(0),
        Generator::new(4),
    ];
    streams.push(parent);
    let draws: Vec<Vec<f64>> =
        streams.iter_mut().map(|stream| values(&stream.normal(n, CPU).unwrap()).unwrap()).collect();
    let bound = 5.0 / (n as f64).sqrt();
    for (i, x) in draws.iter().enumerate() {
        for y in &draws[i + 1..] {
            assert!(covariance(x, y).abs() < bound);
            assert!(covariance(&x[1..], &y[..n - 1]).abs() < bound);
        }
        // Within a stream too: the next value, the other normal of a pair, the next group. Of the squares as
        // well, since the two normals of a pair share a radius.
        let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
        for lag in [1, 16, 32, 64] {
            assert!(covariance(&x[lag..], &x[..n - lag]).abs() < bound);
            assert!(covariance(&squares[lag..], &squares[..n - lag]).abs() < 2.0 * bound);
        }
    }
    // A stream is not independent of itself.
    assert!(covariance(&draws[0], &draws[0]) > bound);
}

/// `rand_distr` draws through `RngCore`.
#[test]
fn serves_rand_distr() {
    use rand_distr::Distribution;
    let law = rand_distr::Exp::new(2.0).unwrap();
    let x: Vec<f64> = law.sample_iter(Generator::new(5)).take(200_000).collect();
    assert!(ks_one_sample(&x, |x| 1.0 - (-2.0 * x).exp()).unwrap().p_value > 1e-7);
    assert!(ks_one_sample(&x, |x| 1.0 - (-2.1 * x).exp()).unwrap().p_value < 1e-7);
}

#[test]
fn permutations_are_uniform() {
    let mut generator = Generator::new(6);
    let mut counts = [0f64; 24];
    for _ in 0..240_000 {
        let order = generator.permutation(4);
        let below = order[2..].iter().filter(|x| **x < order[1]).count() as u32;
        counts[(order[0] * 6 + below * 2 + u32::from(order[2] > order[3])) as usize] += 1.0;
    }
    let chi2: f64 = counts.iter().map(|count| (count - 1e4).powi(2) / 1e4).sum();
    // The 1 - 1e-7 quantile of χ² with 23 degrees of freedom is 78.9.
    assert!(chi2 < 78.9, "{chi2}");
}

/// Every kind of law that is drawn by inversion.
fn laws_by_inversion() -> Vec<(&'static str, Box<dyn Inversion>)> {
    let exponential = ClosedForm::exponential(1.5).unwrap();
    let staircase = |x: f64| {
        if x < -1.0 {
            0.0
        } else if x < 2.0 {
            0.25
        } else {
            1.0
        }
    };
    // A jump at 0, a slope, a flat part from 1 to 3, and a slope again.
    let mixed = |x: f64| match x {
        x if x < 0.0 => 0.0,
        x if x < 1.0 => 0.3 + 0.3 * x,
        x if x < 3.0 => 0.6,
        x if x < 4.0 => 0.6 + 0.4 * (x - 3.0),
        _ => 1.0,
    };
    vec![
        ("exponential", Box::new(exponential.clone())),
        ("Weibull", Box::new(ClosedForm::weibull(0.7, 2.0).unwrap())),
        ("Cauchy", Box::new(ClosedForm::cauchy(-1.0, 3.0).unwrap())),
        ("logistic", Box::new(ClosedForm::logistic(2.0, 0.5).unwrap())),
        ("normal", Box::new(NumericalInverse::new(normal_cdf(3.0, 0.01)).unwrap())),
        ("numerical exponential", {
            let law = exponential.clone();
            Box::new(NumericalInverse::new(move |x| law.cdf(x)).unwrap())
        }),
        ("numerical staircase", Box::new(NumericalInverse::new(staircase).unwrap())),
        ("numerical mixed", Box::new(NumericalInverse::new(mixed).unwrap())),
        ("discrete", Box::new(Discrete::new(&[(2.0, 3.0), (-1.0, 1.0), (7.0, 0.0)]).unwrap())),
        (
            "constant",
            Box::new(Tabulated::constant(&[-1.0, 0.0, 0.5, 2.0], &[1.0, 0.0, 4.0]).unwrap()),
        ),
        (
            "linear",
            Box::new(Tabulated::linear(&[(0.0, 1.0), (1.0, 0.0), (2.0, 0.0), (4.0, 3.0)]).unwrap()),
        ),
        ("rain", Box::new(Mixed::new(&[(0.0, 0.6), (2.0, 0.1)], exponential).unwrap())),
        ("rain in a gauge", {
            // Nothing of the rest lies beyond the last atom.
            let uniform = Tabulated::constant(&[0.0, 2.0], &[1.0]).unwrap();
            Box::new(Mixed::new(&[(0.0, 0.6), (2.0, 0.1)], uniform).unwrap())
        }),
    ]
}

/// `F⁻¹(u) ≤ x` holds exactly where `u ≤ F(x)`: what defines the generalised inverse, jumps and flat parts included.
#[test]
fn quantiles_are_generalised_inverses() {
    let mut u = vec![0.0; 2000];
    Generator::new(11).fill_uniform_f64(&mut u);
    for (name, law) in laws_by_inversion() {
        // At the values that F itself takes, where it jumps or is flat, one side of the infimum is wrong.
        let at_jumps = [0.25, 0.3, 0.6, 0.75].map(|u| (u, law.quantile(u)));
        let draws = u.iter().map(|u| (*u, law.quantile(*u)));
        if name.contains("rain") {
            let full = draws.clone().filter(|(_, q)| *q == 2.0).count() as f64 / 2000.0;
            assert!((full - 0.1).abs() < 5.0 * (0.09f64 / 2000.0).sqrt(), "{name}: {full}");
        }
        for (u, q) in draws.chain(at_jumps) {
            let width = 1e-9 * (1.0 + q.abs());
            assert!(law.cdf(q + width) >= u, "{name}: F({q}+) < {u}");
            assert!(law.cdf(q - width) < u, "{name}: F({q}-) >= {u}");
        }
    }
    let flat = Tabulated::constant(&[-1.0, 0.0, 0.5, 2.0], &[1.0, 0.0, 6.0]).unwrap();
    // A tenth of the mass is left of the gap: its quantile is where the gap begins, not where it ends.
    assert_eq!((flat.quantile(0.1), flat.cdf(0.2)), (0.0, 0.1));
    assert!(flat.quantile(0.1 + 1e-12) >= 0.5);
}

/// Kolmogorov and Smirnov's test at the level 1e-7 on 2·10⁵ draws of each continuous law.
#[test]
fn inversion_draws_the_law() {
    for (name, law) in laws_by_inversion() {
        let atoms = ["staircase", "mixed", "discrete", "rain"];
        if atoms.iter().any(|kind| name.contains(kind)) {
            continue;
        }
        let mut generator = Generator::new(12);
        let x = values(&law.sample(200_000, &mut generator, CPU).unwrap()).unwrap();
        assert!(ks_one_sample(&x, |x| law.cdf(x)).unwrap().p_value > 1e-7, "{name}");
        // Half the mass that is moved by a fiftieth of it.
        let wrong = |x: f64| law.cdf(x) + 0.08 * law.cdf(x) * (1.0 - law.cdf(x));
        assert!(ks_one_sample(&x, wrong).unwrap().p_value < 1e-7, "{name}");
    }
}

/// `scipy.stats.t(3).ppf(p)`, `beta(2, 3).ppf(p)` (SciPy 1.17).
#[test]
fn numerical_quantiles_agree_with_scipy() {
    let check = |law: &NumericalInverse, expected: [(f64, f64); 3]| {
        for (u, x) in expected {
            let q = law.quantile(u);
            assert!((q - x).abs() < 1e-12 * x.abs().max(1.0), "{q} for {x}");
        }
    };
    let student = |x: f64| {
        let z = x / 3f64.sqrt();
        0.5 + (z / (1.0 + z * z) + z.atan()) / std::f64::consts::PI
    };
    check(&NumericalInverse::new(student).unwrap(), STUDENT);
    let beta = |x: f64| {
        let x = x.clamp(0.0, 1.0);
        x * x * (6.0 - 8.0 * x + 3.0 * x * x)
    };
    check(&NumericalInverse::new(beta).unwrap(), BETA);
    let logistic = ClosedForm::logistic(2.0, 0.5).unwrap();
    let exact = [1e-12, 0.3, 0.9].map(|u| (u, logistic.quantile(u)));
    check(&NumericalInverse::new(move |x| logistic.cdf(x)).unwrap(), exact);
}

#[test]
fn inversion_in_parts_and_on_threads() {
    let law = NumericalInverse::new(scorebook::distribution::normal_cdf).unwrap();
    let draw = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| values(&law.sample(20_000, &mut Generator::new(13), CPU).unwrap()).unwrap())
    };
    let whole = draw(1);
    assert!(whole == draw(2) && whole == draw(8));
    let mut generator = Generator::new(13);
    let mut parts = vec![];
    for n in [1, 31, 33, 0, 19_935] {
        parts.extend(values(&law.sample(n, &mut generator, CPU).unwrap()).unwrap());
    }
    assert!(whole == parts);
}

/// The columns of the alias method hold the weights (to the rounding of 500 subtractions from one column), and draws follow them (χ² at 1e-7).
#[test]
fn alias_method() {
    let mut weights: Vec<f64> = (0..1000).map(|k| f64::from(k * k % 17)).collect();
    weights[3] = 5000.0;
    let total: f64 = weights.iter().sum();
    let alias = Alias::new(&weights).unwrap();
    for (mass, weight) in alias.probabilities().iter().zip(&weights) {
        assert!((mass - weight / total).abs() < 1e-13);
        assert!(*weight > 0.0 || *mass == 0.0);
    }
    let n = 1_000_000;
    let draws = alias.sample(n, &mut Generator::new(14), CPU).unwrap().to_vec1::<u32>().unwrap();
    let mut counts = vec![0.0; 1000];
    draws.iter().for_each(|k| counts[*k as usize] += 1.0);
    let chi2 = |weights: &[f64]| -> f64 {
        let expected = weights.iter().map(|weight| weight / total * n as f64);
        counts
            .iter()
            .zip(expected)
            .filter(|(_, e)| *e > 0.0)
            .map(|(c, e)| (c - e).powi(2) / e)
            .sum()
    };
    let cells = weights.iter().filter(|weight| **weight > 0.0).count() as f64 - 1.0;
    // The tail of χ² beyond k + 5.2√(2k) + 20 is below 1e-7.
    let bound = cells + 5.2 * (2.0 * cells).sqrt() + 20.0;
    assert!(chi2(&weights) < bound, "{} for {cells}", chi2(&weights));
    // Aliases forgotten: the draws of the columns alone are uniform.
    assert!(chi2(&vec![total / 1000.0; 1000]) > bound);
}

/// The mass of the atoms, and the law of what is left.
#[test]
fn mixed_laws() {
    let n = 200_000;
    let rest = ClosedForm::exponential(1.5).unwrap();
    let law = Mixed::new(&[(0.0, 0.6), (2.0, 0.1)], rest.clone()).unwrap();
    let x = values(&law.sample(n, &mut Generator::new(15), CPU).unwrap()).unwrap();
    for (place, mass) in [(0.0, 0.6), (2.0, 0.1)] {
        let share = x.iter().filter(|x| **x == place).count() as f64 / n as f64;
        let error = 5.0 * (mass * (1.0 - mass) / n as f64).sqrt();
        assert!((share - mass).abs() < error, "{share} at {place}");
        // Were the rest given its share before the atoms, not between them, the atom would lose to it.
        assert!((share - mass * (1.0 - 0.3 * rest.cdf(2.0))).abs() > error);
    }
    let loose: Vec<f64> = x.into_iter().filter(|x| *x != 0.0 && *x != 2.0).collect();
    assert!(ks_one_sample(&loose, |x| rest.cdf(x)).unwrap().p_value > 1e-7);
}

#[test]
fn laws_that_are_none_are_errors() {
    fn message<T: std::fmt::Debug>(result: scorebook::Result<T>) -> String {
        result.unwrap_err().to_string()
    }
    let error = message(ClosedForm::exponential(0.0));
    assert_eq!(error, "`rate` is 0; expected a positive number");
    assert!(ClosedForm::cauchy(f64::NAN, 1.0).is_err() && ClosedForm::weibull(1.0, -1.0).is_err());
    let error = message(NumericalInverse::new(|x| x));
    assert!(error.contains("expected a distribution function, which is 0 there"), "{error}");
    assert!(NumericalInverse::new(|_| f64::NAN).is_err());
    // It goes from 0 to 1, but falls in between.
    let bump = |x: f64| normal_cdf(0.0, 1.0)(x) - 0.6 * (-(x - 1.0) * (x - 1.0)).exp();
    let error = message(NumericalInverse::new(bump));
    assert!(error.contains("expected a function that increases from 0 to 1"), "{error}");
    let error = message(Tabulated::linear(&[(0.0, 1.0), (1.0, f64::INFINITY)]));
    assert_eq!(error, "`points` is inf; expected finite numbers of at least 0");
    let error = message(Tabulated::constant(&[0.0, 1.0], &[-1.0]));
    assert_eq!(error, "`heights` is -1; expected finite numbers of at least 0");
    let error = message(Tabulated::constant(&[0.0, 1.0, 2.0], &[0.0, 0.0]));
    assert!(error.ends_with("expected numbers with a positive, finite sum"), "{error}");
    // Finite heights, an infinite area.
    assert!(Tabulated::constant(&[0.0, 1e300], &[1e300]).is_err());
    assert!(Tabulated::constant(&[0.0, 1.0], &[1.0, 1.0]).is_err());
    for points in
        [&[][..], &[(0.0, 1.0)], &[(1.0, 1.0), (1.0, 1.0)], &[(f64::NAN, 1.0), (1.0, 1.0)]]
    {
        let error = message(Tabulated::linear(points));
        assert!(error.ends_with("expected at least two increasing numbers"), "{error}");
    }
    assert!(Discrete::new(&[]).is_err() && Discrete::new(&[(f64::NAN, 1.0)]).is_err());
    assert!(
        Alias::new(&[]).is_err() && Alias::new(&[0.0]).is_err() && Alias::new(&[-1.0]).is_err()
    );
    let exponential = ClosedForm::exponential(1.0).unwrap();
    let error = message(Mixed::new(&[(0.0, 1.0)], exponential.clone()));
    assert!(error.starts_with("`atoms` is of the mass 1; expected"), "{error}");
    assert!(Mixed::new(&[(0.0, -0.5)], exponential).is_err());
    let broken = ClosedForm::new(|_| 0.5, |_| f64::NAN);
    let error = message(broken.sample(3, &mut Generator::new(1), CPU));
    assert!(error.starts_with("a quantile, NaN, is not finite"), "{error}");
}

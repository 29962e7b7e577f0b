use crate::*;
use scorebook::{
    metrics::{ks_one_sample, values},
    random::Generator,
};

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

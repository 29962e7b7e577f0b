use crate::*;
use scorebook::{
    metrics::{ks_one_sample, values},
    path::BrownianTree,
};

const N: usize = 100_000;

fn tree(batch: usize, seed: u64) -> BrownianTree {
    BrownianTree::new(0.5, 2.5, batch, DType::F64, &mut Generator::new(seed), CPU).unwrap()
}

fn at(tree: &BrownianTree, t: f64) -> Vec<f64> {
    values(&tree.value(t).unwrap()).unwrap()
}

/// `W_t ~ N(0, t - ½)`, increments `N(0, t - s)`, `Cov(W_s, W_t) = min(s, t) - ½`: at dyadic times and others, far
/// apart and a hundred-thousandth apart.
#[test]
fn law_of_the_tree() {
    let tree = tree(N, 40);
    assert!(at(&tree, 0.5).iter().all(|x| *x == 0.0));
    let times = [0.5, 0.7, 1.5, 1.500_01, 1.9, 2.5];
    let paths: Vec<_> = times.iter().map(|t| at(&tree, *t)).collect();
    for k in 1..times.len() {
        let (age, step) = (times[k] - 0.5, times[k] - times[k - 1]);
        assert!(ks_one_sample(&paths[k], normal_cdf(0.0, age.sqrt())).unwrap().p_value > 1e-7);
        let increment = values(&tree.increment(times[k - 1], times[k]).unwrap()).unwrap();
        let std = step.sqrt();
        assert!(ks_one_sample(&increment, normal_cdf(0.0, std)).unwrap().p_value > 1e-7);
        // A spread that is a twentieth off is noticed.
        assert!(ks_one_sample(&increment, normal_cdf(0.0, 1.05 * std)).unwrap().p_value < 1e-7);
        for j in 1..k {
            let s = times[j] - 0.5;
            let error = covariance(&paths[j], &paths[k]) - s;
            assert!(error.abs() < 5.0 * ((s * age + s * s) / N as f64).sqrt());
        }
    }
}

/// What was asked before changes nothing, and an increment is the difference of the values, to the bit.
#[test]
fn any_order_gives_the_same_bits() {
    let times = [0.9, 2.5, 1.123_456_789, 0.5, 1.5, 0.900_000_001];
    let (forward, backward) = (tree(100, 41), tree(100, 41));
    let first: Vec<_> = times.iter().map(|t| at(&forward, *t)).collect();
    let mut second: Vec<_> = times.iter().rev().map(|t| at(&backward, *t)).collect();
    second.reverse();
    assert!(first == second);
    for (i, s) in times.iter().enumerate() {
        for (j, t) in times.iter().enumerate() {
            let increment = values(&forward.increment(*s, *t).unwrap()).unwrap();
            let difference = first[j].iter().zip(&first[i]).map(|(x, y)| x - y);
            assert!(increment.into_iter().eq(difference), "from {s} to {t}");
        }
    }
    // Another tree of the same generator is another path.
    let mut generator = Generator::new(41);
    let mut next = || BrownianTree::new(0.5, 2.5, 100, DType::F64, &mut generator, CPU).unwrap();
    assert_ne!(at(&next(), 0.9), at(&next(), 0.9));
}

/// Below the last level one time is still exact, and two times in the same cell are not: symmetric about its middle,
/// their `Z` cancels and the variance is `(t - s)²/(b - a)` in place of `t - s`.
#[test]
fn inside_the_last_cell() {
    let (tree, cell) = (tree(N, 42), 2.0 * 2f64.powi(-24));
    let a = 0.5 + 5_000_000.0 * cell;
    let (s, t) = (a + 0.25 * cell, a + 0.75 * cell);
    let normal = |std: f64, x: &[f64]| ks_one_sample(x, normal_cdf(0.0, std)).unwrap().p_value;
    let inside = values(&tree.increment(a, s).unwrap()).unwrap();
    assert!(normal((0.25 * cell).sqrt(), &inside) > 1e-7);
    assert!(normal((0.0625 * cell).sqrt(), &inside) < 1e-7, "a path without its bridge");
    let between = values(&tree.increment(s, t).unwrap()).unwrap();
    assert!(normal((0.25 * cell).sqrt(), &between) > 1e-7);
    assert!(normal((0.5 * cell).sqrt(), &between) < 1e-7);
}

#[test]
fn bad_requests_are_errors() {
    let new = |start, end, dtype| {
        BrownianTree::new(start, end, 3, dtype, &mut Generator::new(1), CPU).map(|_| ())
    };
    let error = new(1.0, 1.0, DType::F64).unwrap_err().to_string();
    assert_eq!(error, "`end` is 1; expected a finite time after `start`, which is 1");
    assert!(
        new(0.0, f64::INFINITY, DType::F64).is_err() && new(f64::NAN, 1.0, DType::F64).is_err()
    );
    assert!(new(0.0, 1.0, DType::U32).is_err());
    let tree = tree(3, 43);
    assert_eq!(
        tree.value(0.4).unwrap_err().to_string(),
        "`t` is 0.4; expected a time in [0.5, 2.5]"
    );
    assert!(tree.increment(f64::NAN, 1.0).unwrap_err().to_string().starts_with("`s` is NaN"));
    assert!(tree.increment(1.0, 2.6).is_err());
    // So short an interval so far from 0 has no numbers between its ends.
    let end = 1e9f64.next_up();
    let narrow = BrownianTree::new(1e9, end, 3, DType::F64, &mut Generator::new(1), CPU).unwrap();
    assert!(narrow.value(end).is_ok());
}

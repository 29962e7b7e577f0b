//! Metropolis-Hastings and MALA on a correlated Gaussian in ten dimensions, timed.
//!
//!     cargo bench --bench chains --no-default-features -- CHAINS DRAWS [rounds]
//!
//! Prints one line of JSON a run: the sampler, the seconds of wall and of processor time that the sampling took, and the
//! least effective sample size of the ten coordinates (by our own diagnostics, outside of the timing). The covariance is
//! `Σ_ij = 0.9^|i-j|`. `chains_peers.py` runs this beside emcee and blackjax.

use scorebook::prelude::*;
use std::time::Instant;

const DIM: usize = 10;

fn main() -> scorebook::Result<()> {
    // `cargo bench` adds arguments of its own.
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let [chains, draws, rounds] = match numbers[..] {
        [chains, draws] => [chains, draws, 1],
        [chains, draws, rounds] => [chains, draws, rounds],
        _ => [64, 10_000, 3],
    };
    let covariance: Vec<Vec<f64>> =
        (0..DIM).map(|i| (0..DIM).map(|j| 0.9f64.powi(i.abs_diff(j) as i32)).collect()).collect();
    // The inverse of 0.9^|i-j| is tridiagonal; the peers are given a matrix, so this is one too.
    let law = Gaussian::full([0.0; DIM], &covariance)?;
    let unit: Vec<f64> =
        (0..DIM * DIM).map(|k| if k % (DIM + 1) == 0 { 1.0 } else { 0.0 }).collect();
    let unit = Tensor::from_vec(unit, (DIM, DIM), &Device::Cpu)?;
    let precision: Vec<f64> = metrics::values(&law.score(&unit)?.neg()?)?;
    let gradient = move |x: &[f64], score: &mut [f64]| {
        let mut sum = [0.0; DIM];
        for (row, x) in precision.as_chunks::<DIM>().0.iter().zip(x) {
            for (sum, a) in sum.iter_mut().zip(row) {
                *sum -= a * x;
            }
        }
        score.copy_from_slice(&sum);
        0.5 * x.iter().zip(sum).map(|(x, s)| x * s).sum::<f64>()
    };
    let value = {
        let gradient = gradient.clone();
        move |x: &[f64]| gradient(x, &mut [0.0; DIM])
    };
    let (plain, with_score) = (Target::function(DIM, value), Target::differentiable(DIM, gradient));
    let walk = RandomWalk::with_covariance(2.38 / (DIM as f64).sqrt(), &covariance)?;
    let mala = Langevin { step: 0.06, ..Default::default() };
    let settings = Chains { warm_up: 0, draws, ..Default::default() };
    for round in 0..rounds as u64 {
        let generator = &mut Generator::new(round);
        let start = law.sample(chains, generator, &Device::Cpu)?.to_dtype(DType::F64)?;
        let begun = (Instant::now(), processor_seconds());
        let trace = settings.metropolis_hastings(&plain, &walk, &start, generator)?;
        report("random walk", begun, &trace)?;
        let begun = (Instant::now(), processor_seconds());
        let trace = settings.metropolis_hastings(&with_score, &mala, &start, generator)?;
        report("MALA", begun, &trace)?;
    }
    Ok(())
}

fn report(
    name: &str,
    (wall, processor): (Instant, f64),
    trace: &scorebook::markov::Trace,
) -> scorebook::Result<()> {
    let (wall, processor) = (wall.elapsed().as_secs_f64(), processor_seconds() - processor);
    let ess = diagnostics::ess_bulk(&trace.draws)?.into_iter().fold(f64::INFINITY, f64::min);
    let acceptance = trace.acceptance.iter().sum::<f64>() / trace.acceptance.len() as f64;
    println!(
        r#"{{"name": "{name}", "wall": {wall}, "cpu": {processor}, "ess": {ess}, "acceptance": {acceptance}}}"#
    );
    Ok(())
}

/// What this process has had of the processors, in seconds; 0 where Linux does not say.
fn processor_seconds() -> f64 {
    let times = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15, counted from behind the name of the program, in hundredths.
    let after_name = times.rsplit(')').next().unwrap_or_default();
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|t| t.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

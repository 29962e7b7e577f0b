//! How far a run of chains has come: R̂, effective sample sizes, autocorrelation, standard errors.
//!
//! After Vehtari, Gelman, Simpson, Carpenter and Bürkner, *Rank-normalization, folding, and localization: an improved R̂*,
//! Bayesian Analysis 16 (2021). The numbers agree with those of the package `arviz`.
//!
//! Draws are `[draws, chains, dim]`, as in [`Trace::draws`](super::Trace::draws), or `[draws, chains]` of one quantity;
//! the answers are one number a coordinate.

use crate::{Error, Result, tensor};
use candle_core::Tensor;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};
use std::{f64::consts::PI, fmt};

/// What there is to say of one coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The mean over all chains.
    pub mean: f64,
    /// The standard deviation over all chains.
    pub std: f64,
    /// The standard error of the mean, [`mcse_mean`].
    pub mcse: f64,
    /// [`ess_bulk`].
    pub ess_bulk: f64,
    /// [`ess_tail`].
    pub ess_tail: f64,
    /// [`r_hat`].
    pub r_hat: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, std, mcse, ess_bulk, ess_tail, r_hat } = self;
        write!(
            f,
            "mean {mean:.4} ± {mcse:.4}, std {std:.4}, ESS bulk {ess_bulk:.0} tail {ess_tail:.0}, R̂ {r_hat:.4}"
        )
    }
}

/// The [`Summary`] of each coordinate.
///
/// ```
/// use scorebook::{prelude::*, markov::diagnostics};
///
/// // Independent draws are worth what they count.
/// let draws = Generator::new(7).normal((1000, 4, 2), &Device::Cpu)?;
/// let summary = diagnostics::summary(&draws)?;
/// assert!(summary.iter().all(|s| (s.ess_bulk - 4000.0).abs() < 600.0 && s.r_hat < 1.005));
/// println!("{}", summary[0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the draws are not `[draws, chains]` or `[draws, chains, dim]` with at least four draws, or a number is not finite.
pub fn summary(draws: &Tensor) -> Result<Vec<Summary>> {
    each(draws, |chains| {
        let all: Vec<f64> = chains.concat();
        let (mean, variance) = (mean(&all), variance(&all));
        Summary {
            mean,
            std: variance.sqrt(),
            mcse: (variance / ess(&split(chains))).sqrt(),
            ess_bulk: ess(&normal_scores(&split(chains))),
            ess_tail: tail(chains),
            r_hat: rank_r_hat(chains),
        }
    })
}

/// The rank-normalised split `R̂`: how much wider all chains together are than each by itself, as a ratio of standard
/// deviations. Above 1.01 the chains have not come to the same law.
///
/// Chains are cut into halves and numbers replaced by the normal scores of their ranks; the larger of the values for these
/// and for those of the distances from the median (equation 4 and section 3 of the paper).
///
/// ```
/// use scorebook::{prelude::*, markov::diagnostics};
///
/// let mut generator = Generator::new(7);
/// let same = generator.normal((500, 4), &Device::Cpu)?;
/// let apart = same.broadcast_add(&Tensor::new(&[0f32, 0.0, 0.0, 1.0], &Device::Cpu)?)?;
/// assert!(diagnostics::r_hat(&same)?[0] < 1.01);
/// assert!(diagnostics::r_hat(&apart)?[0] > 1.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`summary`].
pub fn r_hat(draws: &Tensor) -> Result<Vec<f64>> {
    each(draws, rank_r_hat)
}

/// The bulk effective sample size: how many independent draws would tell the centre of the law as well. Computed on
/// the normal scores of the ranks, so that it exists for laws without variance too.
///
/// ```
/// use scorebook::{prelude::*, markov::diagnostics};
///
/// // Draws of which each keeps half of the one before: n (1 - ½)/(1 + ½).
/// let mut z = vec![0.0; 16_000];
/// Generator::new(7).fill_normal_f64(&mut z);
/// let mut x = 0.0;
/// for z in &mut z {
///     x = 0.5 * x + 0.75f64.sqrt() * *z;
///     *z = x;
/// }
/// let draws = Tensor::from_vec(z, (4, 4000), &Device::Cpu)?.t()?;
/// assert!((diagnostics::ess_bulk(&draws)?[0] - 16_000.0 / 3.0).abs() < 600.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`summary`].
pub fn ess_bulk(draws: &Tensor) -> Result<Vec<f64>> {
    each(draws, |chains| ess(&normal_scores(&split(chains))))
}

/// The tail effective sample size: the smaller one of those for the quantiles 5 % and 95 %.
///
/// ```
/// use scorebook::{prelude::*, markov::diagnostics};
///
/// // Of draws that hold each value ten times, one in ten counts.
/// let once = Generator::new(7).normal((400, 1, 4), &Device::Cpu)?;
/// let held = once.broadcast_as((400, 10, 4))?.reshape((4000, 4))?;
/// assert!((diagnostics::ess_tail(&once.squeeze(1)?)?[0] - 1600.0).abs() < 400.0);
/// assert!((diagnostics::ess_tail(&held)?[0] - 1600.0).abs() < 400.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`summary`].
pub fn ess_tail(draws: &Tensor) -> Result<Vec<f64>> {
    each(draws, tail)
}

/// The Monte Carlo standard error of the mean: the standard deviation over the root of the effective sample size (the one
/// for the mean, without ranks).
///
/// ```
/// use scorebook::{prelude::*, markov::diagnostics};
///
/// // 1/√n for independent draws of variance 1.
/// let draws = Generator::new(7).normal((2500, 4), &Device::Cpu)?;
/// assert!((diagnostics::mcse_mean(&draws)?[0] - 0.01).abs() < 0.001);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`summary`].
pub fn mcse_mean(draws: &Tensor) -> Result<Vec<f64>> {
    each(draws, |chains| (variance(&chains.concat()) / ess(&split(chains))).sqrt())
}

/// The autocorrelation `ρ_k = Σ_t (x_t - x̄)(x_{t+k} - x̄) / Σ_t (x_t - x̄)²` at the lags `0..n`.
///
/// ```
/// use scorebook::markov::diagnostics::autocorrelation;
///
/// let rho = autocorrelation(&[1.0, -1.0, 1.0, -1.0])?;
/// assert!(rho.iter().zip([1.0, -0.75, 0.5, -0.25]).all(|(rho, exact)| (rho - exact).abs() < 1e-15));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If there is no number, one is not finite, or all are the same.
pub fn autocorrelation(x: &[f64]) -> Result<Vec<f64>> {
    let covariance = Transform::new(x.len()).autocovariance(x);
    match covariance.first() {
        Some(variance) if *variance > 0.0 && variance.is_finite() => {
            Ok(covariance.iter().map(|value| value / variance).collect())
        }
        _ => {
            let given = format!("{} numbers of no finite, positive variance", x.len());
            Err(Error::argument("x", given, "finite numbers that differ"))
        }
    }
}

/// Gives `compute` the chains of each coordinate.
fn each<T>(draws: &Tensor, compute: impl Fn(&[Vec<f64>]) -> T) -> Result<Vec<T>> {
    let (n, chains, dim) = match *draws.dims() {
        [n, chains] => (n, chains, 1),
        [n, chains, dim] => (n, chains, dim),
        _ => (0, 0, 0),
    };
    if n < 4 || chains == 0 || dim == 0 {
        let expected = "[draws, chains] or [draws, chains, dim] with at least 4 draws";
        return Err(Error::shape("draws", draws.dims(), expected));
    }
    let values = tensor::values(draws)?;
    if let Some(i) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::NotFinite {
            what: format!("coordinate {} of chain {}", i % dim, i / dim % chains),
            at: format!("draw {}", i / (dim * chains)),
            remedy: "Look at the run that made the draws".into(),
        });
    }
    let of_coordinate = |k: usize| -> Vec<Vec<f64>> {
        (0..chains).map(|c| (0..n).map(|t| values[(t * chains + c) * dim + k]).collect()).collect()
    };
    Ok((0..dim).map(|k| compute(&of_coordinate(k))).collect())
}

/// The halves of each chain; of an odd number of draws the middle one is left out.
fn split(chains: &[Vec<f64>]) -> Vec<Vec<f64>> {
    chains
        .iter()
        .flat_map(|chain| {
            let half = chain.len() / 2;
            [chain[..half].to_vec(), chain[chain.len() - half..].to_vec()]
        })
        .collect()
}

/// Normal scores of the ranks over all chains, `Φ⁻¹((r - 3/8)/(S + 1/4))`, equal numbers sharing their mean rank.
fn normal_scores(chains: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let all: Vec<f64> = chains.concat();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| all[*a].total_cmp(&all[*b]));
    let normal = Normal::standard();
    let mut scores = vec![0.0; all.len()];
    let mut from = 0;
    while from < order.len() {
        // -0.0 is sorted before 0.0, and equal to it.
        let equal = order[from..].iter().take_while(|i| all[**i] == all[order[from]]).count();
        let rank = from as f64 + 0.5 * (equal as f64 + 1.0);
        let score = normal.inverse_cdf((rank - 0.375) / (all.len() as f64 + 0.25));
        for i in &order[from..from + equal] {
            scores[*i] = score;
        }
        from += equal;
    }
    scores.chunks(chains[0].len()).map(<[f64]>::to_vec).collect()
}

fn rank_r_hat(chains: &[Vec<f64>]) -> f64 {
    let halves = split(chains);
    let middle = quantile(&halves.concat(), 0.5);
    let folded: Vec<Vec<f64>> =
        halves.iter().map(|chain| chain.iter().map(|x| (x - middle).abs()).collect()).collect();
    plain_r_hat(&normal_scores(&halves)).max(plain_r_hat(&normal_scores(&folded)))
}

/// `√((B/W + n - 1)/n)` with the variance `B/n` between chains and `W` within them.
fn plain_r_hat(chains: &[Vec<f64>]) -> f64 {
    let n = chains[0].len() as f64;
    let means: Vec<f64> = chains.iter().map(|chain| mean(chain)).collect();
    let within = mean(&chains.iter().map(|chain| variance(chain)).collect::<Vec<_>>());
    ((n * variance(&means) / within + n - 1.0) / n).sqrt()
}

fn tail(chains: &[Vec<f64>]) -> f64 {
    let all: Vec<f64> = chains.concat();
    let of_quantile = |share| {
        let bound = quantile(&all, share);
        let below: Vec<Vec<f64>> = chains
            .iter()
            .map(|chain| chain.iter().map(|x| if *x <= bound { 1.0 } else { 0.0 }).collect())
            .collect();
        ess(&split(&below))
    };
    of_quantile(0.05).min(of_quantile(0.95))
}

/// The effective sample size `M N/τ` of `M` chains of `N` numbers, with the autocorrelation time
/// `τ = -1 + 2 Σ_k (ρ_{2k} + ρ_{2k+1})`, summed as long as the pairs are positive (Geyer, Statist. Sci. 7, 1992: for a chain
/// in detailed balance they are, and decrease) and made to decrease.
fn ess(chains: &[Vec<f64>]) -> f64 {
    let (m, n) = (chains.len() as f64, chains[0].len());
    let total = m * n as f64;
    let flat = chains.iter().flatten();
    let (low, high) =
        flat.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
    // A quantity that never changes is known from one draw; the customary answer is all of them.
    if high - low < 1e-15 {
        return total;
    }
    let transform = Transform::new(n);
    let covariances: Vec<Vec<f64>> =
        chains.par_iter().map(|chain| transform.autocovariance(chain)).collect();
    let covariance = |lag: usize| covariances.iter().map(|of_chain| of_chain[lag]).sum::<f64>() / m;
    let within = covariance(0) * n as f64 / (n as f64 - 1.0);
    let mut all = covariance(0);
    if chains.len() > 1 {
        all += variance(&chains.iter().map(|chain| mean(chain)).collect::<Vec<_>>());
    }
    let rho = |lag: usize| 1.0 - (within - covariance(lag)) / all;
    let (mut even, mut odd, mut lag) = (1.0, rho(1), 2);
    // Sums of the pairs before the last one, of which only the even lag counts.
    let mut pairs: Vec<f64> = vec![];
    while lag + 2 < n && even + odd > 0.0 {
        let pair: f64 = even + odd;
        pairs.push(pairs.last().map_or(pair, |last| pair.min(*last)));
        (even, odd) = (rho(lag), rho(lag + 1));
        lag += 2;
    }
    let last = if even + odd >= 0.0 { even } else { even.max(0.0) };
    let time = -1.0 + 2.0 * pairs.iter().sum::<f64>() + last;
    // Chains that alternate may be worth more than independent draws, but not without bound.
    total / time.max(1.0 / total.log10())
}

/// The fast Fourier transform of Cooley and Tukey.
struct Transform {
    /// `e^(-2πi k/size)` for `k` below half of the size, a power of 2.
    turns: Vec<(f64, f64)>,
}

impl Transform {
    /// For autocovariances of `n` numbers: twice as many places, so that the end does not meet the beginning.
    fn new(n: usize) -> Self {
        let half = n.next_power_of_two();
        let turns = (0..half).map(|k| {
            let (sine, cosine) = (PI * k as f64 / half as f64).sin_cos();
            (cosine, -sine)
        });
        Self { turns: turns.collect() }
    }

    /// `1/n Σ_t (x_t - x̄)(x_{t+k} - x̄)` at the lags `k` in `0..n`, in `n ln n` steps where the sums would take `n²`.
    fn autocovariance(&self, x: &[f64]) -> Vec<f64> {
        let centre = mean(x);
        let size = 2 * self.turns.len();
        let mut signal = vec![(0.0, 0.0); size];
        for (value, x) in signal.iter_mut().zip(x) {
            value.0 = x - centre;
        }
        self.apply(&mut signal);
        for value in &mut signal {
            *value = (value.0 * value.0 + value.1 * value.1, 0.0);
        }
        // The power is real and even, so that forward and backward transform are the same.
        self.apply(&mut signal);
        let scale = 1.0 / (size as f64 * x.len() as f64);
        signal[..x.len()].iter().map(|value| value.0 * scale).collect()
    }

    /// `X_k = Σ_t x_t e^(-2πi kt/size)`, in place.
    fn apply(&self, x: &mut [(f64, f64)]) {
        let size = x.len();
        for i in 0..size {
            let j = i.reverse_bits() >> (usize::BITS - size.trailing_zeros());
            if i < j {
                x.swap(i, j);
            }
        }
        let mut half = 1;
        while half < size {
            let stride = self.turns.len() / half;
            for block in x.chunks_exact_mut(2 * half) {
                let (left, right) = block.split_at_mut(half);
                let turns = self.turns.iter().step_by(stride);
                for ((a, b), (c, s)) in left.iter_mut().zip(right).zip(turns) {
                    let turned = (b.0 * c - b.1 * s, b.0 * s + b.1 * c);
                    *b = (a.0 - turned.0, a.1 - turned.1);
                    *a = (a.0 + turned.0, a.1 + turned.1);
                }
            }
            half *= 2;
        }
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// With `n - 1` below the line.
fn variance(x: &[f64]) -> f64 {
    let centre = mean(x);
    x.iter().map(|x| (x - centre) * (x - centre)).sum::<f64>() / (x.len() as f64 - 1.0)
}

/// Linear between the sorted numbers.
fn quantile(x: &[f64], share: f64) -> f64 {
    let mut sorted = x.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let place = share * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

use crate::*;
use scorebook::{
    markov::{Noise, Point, Trace, geometric_levels, total_variation},
    metrics::values,
};

// ---------------------------------------------------------------------------------------------------------------------
// Finite state spaces
// ---------------------------------------------------------------------------------------------------------------------

/// Twelve states on a circle with chords, proposals of all sizes, weights from 1e-9 to 1: nothing symmetric but the support.
fn proposals_and_weights() -> (TransitionMatrix, Vec<f64>) {
    let (n, mut u) = (12, [0.0; 200]);
    Generator::new(1).fill_uniform_f64(&mut u);
    let linked = |x: usize, y: usize| (x + 1) % n == y || (y + 1) % n == x || (x * y) % 7 == 3;
    let rows: Vec<Vec<f64>> = (0..n)
        .map(|x| {
            let row: Vec<f64> =
                (0..n).map(|y| if linked(x, y) { u[x * n + y].powi(3) } else { 0.0 }).collect();
            let total: f64 = row.iter().sum();
            row.iter().map(|q| q / total).collect()
        })
        .collect();
    let weights = (0..n).map(|x| 7.0 * 10f64.powf(-9.0 * u[150 + x])).collect();
    (TransitionMatrix::new(&rows).unwrap(), weights)
}

#[test]
fn metropolis_hastings_matrix_has_its_law() {
    let (q, weights) = proposals_and_weights();
    let total: f64 = weights.iter().sum();
    let pi: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let p = TransitionMatrix::metropolis_hastings(&weights, &q).unwrap();
    assert!(p.detailed_balance_residual(&pi).unwrap() < 1e-17);
    // Stationary by multiplication, and found by elimination without being told, each entry to rounding.
    let moved = p.law_after(&pi, 1).unwrap();
    let found = p.stationary().unwrap();
    for ((pi, moved), found) in pi.iter().zip(&moved).zip(&found) {
        assert!((pi - moved).abs() < 1e-14);
        assert!((pi - found).abs() < 1e-13 * pi, "{found} for {pi}");
    }
    let again = p.law_after(&found, 1).unwrap();
    assert!(again.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-14));
    assert!(p.is_irreducible() && p.period(0).unwrap() == 1);

    // Hastings' ratio left out: a = min(1, π(y)/π(x)).
    let n = q.states();
    let mut rows = vec![vec![0.0; n]; n];
    for x in 0..n {
        for y in (0..n).filter(|y| *y != x) {
            rows[x][y] = (pi[y] / pi[x]).min(1.0) * q.probability(x, y);
        }
        rows[x][x] = 1.0 - rows[x].iter().sum::<f64>();
    }
    let wrong = TransitionMatrix::new(&rows).unwrap();
    assert!(wrong.detailed_balance_residual(&pi).unwrap() > 1e-3);
    assert!(total_variation(&wrong.stationary().unwrap(), &pi).unwrap() > 1e-2);
}

/// The total variation from each state lies under Diaconis and Stroock's bound, which is sharp in its rate.
#[test]
fn spectral_gap_rules_convergence() {
    // Two states: the second eigenvalue is 1 - a - b.
    let two = TransitionMatrix::new(&[[0.7, 0.3], [0.1, 0.9]]).unwrap();
    assert!((two.spectral_gap(&[0.25, 0.75]).unwrap() - 0.4).abs() < 1e-14);
    // A walk on a circle of n states that stays with probability ½: eigenvalues ½ + ½ cos 2πk/n.
    let n = 9;
    let circle: Vec<Vec<f64>> = (0..n)
        .map(|x| {
            let mut row = vec![0.0; n];
            row[x] = 0.5;
            row[(x + 1) % n] = 0.25;
            row[(x + n - 1) % n] = 0.25;
            row
        })
        .collect();
    let circle = TransitionMatrix::new(&circle).unwrap();
    let pi = vec![1.0 / n as f64; n];
    let gap = circle.spectral_gap(&pi).unwrap();
    let exact = 0.5 - 0.5 * (std::f64::consts::TAU / n as f64).cos();
    assert!((gap - exact).abs() < 1e-13, "{gap} for {exact}");
    let mut start = vec![0.0; n];
    start[0] = 1.0;
    let distance = |steps| total_variation(&circle.law_after(&start, steps).unwrap(), &pi).unwrap();
    for steps in [1, 10, 100] {
        let rate = (1.0 - gap).powi(steps as i32);
        assert!(distance(steps) <= 0.5 * (n as f64 - 1.0).sqrt() * rate);
        assert!(distance(steps) > 0.1 * rate);
    }
    assert!((distance(101) / distance(100) - (1.0 - gap)).abs() < 1e-6);
}

/// Chains in detailed balance that do not converge: what note 000 leaves out.
#[test]
fn detailed_balance_is_not_enough() {
    // Apart: two closed classes. Any mixture of their laws is stationary.
    let apart =
        TransitionMatrix::new(&[[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]).unwrap();
    assert!(!apart.is_irreducible());
    for pi in [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.2, 0.2, 0.6]] {
        assert_eq!(apart.detailed_balance_residual(&pi).unwrap(), 0.0);
        assert_eq!(apart.law_after(&pi, 3).unwrap(), pi);
    }
    let error = apart.stationary().unwrap_err().to_string();
    assert!(error.contains("several closed classes"), "{error}");
    // Periodic: the even and the odd states of a square take turns.
    let square: Vec<Vec<f64>> = (0..4usize)
        .map(|x| (0..4usize).map(|y| if (x + y) % 2 == 1 { 0.5 } else { 0.0 }).collect())
        .collect();
    let square = TransitionMatrix::new(&square).unwrap();
    assert!(square.is_irreducible() && square.period(2).unwrap() == 2);
    assert_eq!(square.detailed_balance_residual(&[0.25; 4]).unwrap(), 0.0);
    for steps in [2, 1000] {
        let law = square.law_after(&[1.0, 0.0, 0.0, 0.0], steps).unwrap();
        assert_eq!(total_variation(&law, &[0.25; 4]).unwrap(), 0.5);
    }
    assert_eq!(square.spectral_gap(&[0.25; 4]).unwrap(), 0.0);
    // Ways back of the lengths 2 and 3 have no common period; those of 4 and 6 have 2.
    let ways = |lengths: [usize; 2]| {
        let n = lengths[0] + lengths[1] - 1;
        let mut rows = vec![vec![0.0; n]; n];
        rows[0][1] = 0.5;
        rows[0][lengths[0]] = 0.5;
        for x in 1..n {
            rows[x][if x == lengths[0] - 1 || x == n - 1 { 0 } else { x + 1 }] = 1.0;
        }
        TransitionMatrix::new(&rows).unwrap().period(0).unwrap()
    };
    assert_eq!((ways([2, 3]), ways([4, 6]), ways([3, 3])), (1, 2, 3));
    // A transient state: never again, and without mass.
    let leaves =
        TransitionMatrix::new(&[[0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [0.0, 1.0, 0.0]]).unwrap();
    assert_eq!((leaves.period(0).unwrap(), leaves.period(1).unwrap()), (0, 1));
    assert_eq!(leaves.stationary().unwrap()[0], 0.0);
}

/// Steps of a path, counted: each state's share within five standard errors, the autocorrelation counted in.
#[test]
fn paths_follow_the_matrix() {
    let p = TransitionMatrix::new(&[[0.7, 0.3], [0.1, 0.9]]).unwrap();
    let n = 200_000;
    let path = p.path(0, n, &mut Generator::new(2)).unwrap();
    assert_eq!((path[0], path.len()), (0, n + 1));
    let share = path.iter().filter(|x| **x == 1).count() as f64 / n as f64;
    // The autocorrelation is 0.6^k: (1 + 0.6)/(1 - 0.6) draws are worth one.
    let error = 5.0 * (0.25 * 0.75 * 4.0 / n as f64).sqrt();
    assert!((share - 0.75).abs() < error, "{share}");
    assert!((share - 0.7).abs() > error);
}

#[test]
fn matrices_that_are_none_are_errors() {
    let message = |rows: &[Vec<f64>]| TransitionMatrix::new(rows).unwrap_err().to_string();
    assert_eq!(message(&[vec![1.0, 0.0]]), "`rows` has shape [1, 2]; expected a square matrix");
    assert_eq!(message(&[vec![0.5]]), "`rows` is of the sum 0.5; expected of the sum 1");
    let error = message(&[vec![1.5, -0.5], vec![0.0, 1.0]]);
    assert_eq!(error, "`rows` is -0.5; expected probabilities");
    assert!(TransitionMatrix::new::<Vec<f64>>(&[]).is_err());
    let one_way = TransitionMatrix::new(&[[0.5, 0.5], [0.0, 1.0]]).unwrap();
    let error =
        TransitionMatrix::metropolis_hastings(&[1.0, 1.0], &one_way).unwrap_err().to_string();
    assert_eq!(error, "`q` is 0.5 from 0 to 1 and 0 back; expected positive both ways or neither");
    let q = TransitionMatrix::new(&[[0.5, 0.5], [0.5, 0.5]]).unwrap();
    assert!(TransitionMatrix::metropolis_hastings(&[1.0], &q).is_err());
    assert!(TransitionMatrix::metropolis_hastings(&[1.0, 0.0], &q).is_err());
    assert!(q.law_after(&[0.5], 1).is_err() && q.law_after(&[0.5, f64::NAN], 1).is_err());
    assert!(q.period(2).is_err() && q.path(2, 1, &mut Generator::new(1)).is_err());
    assert!(one_way.spectral_gap(&[0.5, 0.5]).is_err());
    assert_eq!(q.probability(2, 0) + q.probability(0, 2), 0.0);
}

// ---------------------------------------------------------------------------------------------------------------------
// Chains
// ---------------------------------------------------------------------------------------------------------------------

const COVARIANCE: [[f64; 2]; 2] = [[1.0, 0.8], [0.8, 2.0]];

fn correlated() -> Gaussian {
    Gaussian::full([1.0, -1.0], &COVARIANCE).unwrap()
}

/// `correlated`, as a plain function with its score.
fn correlated_by_function() -> Target {
    let det = 2.0 - 0.64;
    Target::differentiable(2, move |x, score| {
        let (a, b) = (x[0] - 1.0, x[1] + 1.0);
        score[0] = -(2.0 * a - 0.8 * b) / det;
        score[1] = -(b - 0.8 * a) / det;
        0.5 * (a * score[0] + b * score[1])
    })
}

/// Starts that have the law of the target already, so that no warm-up is needed and none can be too short.
fn start_of(density: &dyn Density, chains: usize, dtype: DType) -> Tensor {
    density.sample(chains, &mut Generator::new(100), CPU).unwrap().to_dtype(dtype).unwrap()
}

/// The mean of `f` over all draws, and its standard error from the means of the (independent) chains.
fn mean_of(trace: &Trace, f: impl Fn(&[f64]) -> f64) -> (f64, f64) {
    let [draws, chains, dim] = *trace.draws.dims() else { panic!() };
    let x = values(&trace.draws).unwrap();
    let mut means = vec![0.0; chains];
    for row in x.chunks_exact(chains * dim) {
        for (mean, x) in means.iter_mut().zip(row.chunks_exact(dim)) {
            *mean += f(x) / draws as f64;
        }
    }
    (mean(&means), (variance(&means) / chains as f64).sqrt())
}

fn agrees(trace: &Trace, f: impl Fn(&[f64]) -> f64, expected: f64) -> bool {
    let (value, error) = mean_of(trace, f);
    (value - expected).abs() < 5.0 * error
}

/// The five moments of `correlated`.
fn has_moments(trace: &Trace) -> bool {
    agrees(trace, |x| x[0], 1.0)
        && agrees(trace, |x| x[1], -1.0)
        && agrees(trace, |x| (x[0] - 1.0).powi(2), 1.0)
        && agrees(trace, |x| (x[1] + 1.0).powi(2), 2.0)
        && agrees(trace, |x| (x[0] - 1.0) * (x[1] + 1.0), 0.8)
}

fn run<P: Proposal>(target: &Target, proposal: &P, start: &Tensor, draws: usize) -> Trace {
    let chains = Chains { warm_up: 0, draws, ..Default::default() };
    chains.metropolis_hastings(target, proposal, start, &mut Generator::new(5)).unwrap()
}

/// A proposal that forgets its own ratio: Metropolis' rule where Hastings' is needed.
struct WithoutRatio<P>(P);

impl<P: Proposal> Proposal for WithoutRatio<P> {
    fn uses_score(&self) -> bool {
        self.0.uses_score()
    }

    fn propose(&self, from: Point, noise: &mut Noise, to: &mut [f64]) {
        self.0.propose(from, noise, to);
    }

    fn log_ratio(&self, _from: Point, _to: Point) -> f64 {
        0.0
    }
}

/// Moments of a correlated Gaussian by four proposals, 400 chains of 2000 draws each; and by two that are wrong.
#[test]
fn metropolis_hastings_keeps_the_target() {
    let target = correlated_by_function();
    let start = start_of(&correlated(), 400, DType::F64);
    assert!(has_moments(&run(&target, &RandomWalk::new(1.2).unwrap(), &start, 2000)));
    let shaped = RandomWalk::with_covariance(1.5, &COVARIANCE).unwrap();
    assert!(has_moments(&run(&target, &shaped, &start, 2000)));
    let independence = Independence::gaussian([0.5, 0.0], [1.5, 2.5]).unwrap();
    assert!(has_moments(&run(&target, &independence, &start, 2000)));
    let scales = Some(vec![1.0, 1.4]);
    let mala = Langevin { step: 0.4, scales, ..Default::default() };
    assert!(has_moments(&run(&target, &mala, &start, 2000)));
    // Any level of noise will do, once it is corrected.
    let cold = Langevin { step: 0.3, noise: 0.8, ..Default::default() };
    assert!(has_moments(&run(&target, &cold, &start, 2000)));

    assert!(!has_moments(&run(&target, &WithoutRatio(independence), &start, 2000)));
    assert!(!has_moments(&run(&target, &WithoutRatio(mala), &start, 2000)));
    // The random walk is symmetric: nothing is missing.
    assert!(has_moments(&run(&target, &WithoutRatio(shaped), &start, 2000)));
}

/// `p(x) q(y|x) a(x, y)` is the same both ways, with `q` of MALA written out here.
#[test]
fn mala_is_in_detailed_balance() {
    let density = correlated();
    let scales = [0.7, 1.3];
    let mala = Langevin { step: 0.3, noise: 1.2, scales: Some(scales.to_vec()) };
    let x = start_of(&density, 50, DType::F64);
    let y = (Generator::new(3).normal_like(&x).unwrap() + &x).unwrap();
    let log_p = |x: &Tensor| density.log_prob(x).unwrap().to_vec1::<f64>().unwrap();
    let score = |x: &Tensor| density.score(x).unwrap().to_vec2::<f64>().unwrap();
    let (of_x, of_y) = (x.to_vec2::<f64>().unwrap(), y.to_vec2::<f64>().unwrap());
    let (p_x, p_y, s_x, s_y) = (log_p(&x), log_p(&y), score(&x), score(&y));
    let log_q = |from: Point, to: &[f64]| -> f64 {
        (0..2)
            .map(|i| {
                let centre = from.x[i] + 0.3 * scales[i].powi(2) * from.score[i];
                let variance = 2.0 * 0.3 * (1.2 * scales[i]).powi(2);
                -0.5 * (to[i] - centre).powi(2) / variance - 0.5 * variance.ln()
            })
            .sum()
    };
    let (mut worst, mut without) = (0f64, 0f64);
    for i in 0..50 {
        let (a, b) = (Point { x: &of_x[i], score: &s_x[i] }, Point { x: &of_y[i], score: &s_y[i] });
        let flow = |log_p: [f64; 2], from: Point, to: Point, log_ratio: f64| {
            log_p[0] + log_q(from, to.x) + (log_p[1] - log_p[0] + log_ratio).min(0.0)
        };
        let there = flow([p_x[i], p_y[i]], a, b, mala.log_ratio(a, b));
        let back = flow([p_y[i], p_x[i]], b, a, mala.log_ratio(b, a));
        worst = worst.max((there - back).abs());
        let there = flow([p_x[i], p_y[i]], a, b, 0.0);
        let back = flow([p_y[i], p_x[i]], b, a, 0.0);
        without = without.max((there - back).abs());
    }
    assert!(worst < 1e-12 && without > 0.1, "{worst} {without}");
}

/// On `N(0, 1)` the unadjusted step is `x ← (1 - ε) x + √(2ε) z`, so the variance is `1/(1 - ε/2)`: exactly, not to O(ε).
#[test]
fn unadjusted_langevin_has_its_known_bias() {
    let target = Target::density(Gaussian::diagonal([0.0], [3.0]).unwrap());
    for step in [0.1, 0.6] {
        // In the target's own scale every Gaussian is the standard one.
        let langevin = Langevin { step, scales: Some(vec![3.0]), ..Default::default() };
        let biased = 1.0 / (1.0 - step / 2.0);
        let start = Gaussian::diagonal([0.0], [3.0 * f64::sqrt(biased)]).unwrap();
        let start = start_of(&start, 4000, DType::F64);
        let chains = Chains { warm_up: 0, draws: 400, ..Default::default() };
        let trace = chains.langevin(&target, &langevin, &start, &mut Generator::new(6)).unwrap();
        assert!(agrees(&trace, |x| x[0] * x[0] / 9.0, biased));
        assert!(!agrees(&trace, |x| x[0] * x[0] / 9.0, 1.0));
        // √ε z instead of √(2ε) z halves the variance; ε/2 ∇ln p instead of ε ∇ln p nearly doubles it.
        assert!(!agrees(&trace, |x| x[0] * x[0] / 9.0, biased / 2.0));
        assert!(trace.acceptance.iter().all(|share| *share == 1.0));
        // Corrected, the bias is gone.
        let start = start_of(&Gaussian::diagonal([0.0], [3.0]).unwrap(), 4000, DType::F64);
        let trace = run(&target, &langevin, &start, 400);
        assert!(agrees(&trace, |x| x[0] * x[0] / 9.0, 1.0));
        assert!(!agrees(&trace, |x| x[0] * x[0] / 9.0, biased));
    }
}

/// Without noise the points climb: `x ← x + ε ∇ln p`, from anywhere, to the mode.
#[test]
fn gradient_ascent_is_langevin_without_noise() {
    let ascent = Langevin { step: 0.2, noise: 0.0, ..Default::default() };
    let start = (start_of(&correlated(), 10, DType::F64) * 5.0).unwrap();
    let chains = Chains { warm_up: 0, draws: 400, ..Default::default() };
    let target = correlated_by_function();
    let trace = chains.langevin(&target, &ascent, &start, &mut Generator::new(7)).unwrap();
    let first = (&start + (correlated().score(&start).unwrap() * 0.2).unwrap()).unwrap();
    let difference = (trace.draws.get(0).unwrap() - first).unwrap();
    assert!(values(&difference).unwrap().iter().all(|x| x.abs() < 1e-12));
    for x in trace.state.to_vec2::<f64>().unwrap() {
        assert!((x[0] - 1.0).abs() < 1e-9 && (x[1] + 1.0).abs() < 1e-9, "{x:?}");
    }
    let error = chains.metropolis_hastings(&target, &ascent, &start, &mut Generator::new(7));
    assert!(error.is_err(), "a proposal without noise has no density");
}

/// Two modes far apart, with the weights 0.8 and 0.2, from starts that know nothing of them. Annealed Langevin dynamics
/// gives them their shares up to its own bias; without annealing each point stays where it came from.
#[test]
fn annealing_finds_the_weights() {
    let law = Mixture::new([0.8, 0.2], [[-5.0], [5.0]], [1.0, 1.0]).unwrap();
    let start = (Generator::new(8).normal((4000, 1), CPU).unwrap() * 20.0).unwrap();
    let share = |trace: &Trace| {
        let right = trace.state.ge(0.0).unwrap().to_dtype(DType::F64).unwrap();
        right.mean_all().unwrap().to_scalar::<f64>().unwrap()
    };
    let sigmas = geometric_levels(20.0, 0.1, 30).unwrap();
    let annealed = AnnealedLangevin { sigmas, ..Default::default() };
    let noised = |sigma| Ok(Target::density(law.noised(1.0, sigma)?));
    let trace = annealed.sample(noised, &start, &mut Generator::new(9)).unwrap();
    assert_eq!(trace.draws.dims(), [30, 4000, 1]);
    // Five standard errors, and 0.03 for the levels' being left before they are quite settled.
    let error = 5.0 * (0.2 * 0.8 / 4000.0f64).sqrt() + 0.03;
    assert!((share(&trace) - 0.2).abs() < error, "{}", share(&trace));
    let chains = Chains { warm_up: 0, draws: 1, thin: 3000, ..Default::default() };
    let langevin = Langevin { step: 0.1 * 0.01, ..Default::default() };
    let plain = chains.langevin(&Target::density(law), &langevin, &start, &mut Generator::new(9));
    assert!((share(&plain.unwrap()) - 0.5).abs() < error);
}

/// A law with a border and one with a heavy tail, in `f32` by tensors and in `f64` by functions.
#[test]
fn other_targets() {
    // Exponential: candidates below 0 are outside the support, and refused. E x = 1, E x² = 2.
    let exponential = Target::function(1, |x| if x[0] < 0.0 { f64::NEG_INFINITY } else { -x[0] });
    let start = (Generator::new(10).normal((400, 1), CPU).unwrap().sqr().unwrap() + 1e-3).unwrap();
    let chains = Chains { warm_up: 300, draws: 2000, ..Default::default() };
    let walk = RandomWalk::new(2.0).unwrap();
    let trace = chains.metropolis_hastings(&exponential, &walk, &start, &mut Generator::new(11));
    let trace = trace.unwrap();
    assert_eq!(trace.draws.dtype(), DType::F32);
    assert!(agrees(&trace, |x| x[0], 1.0) && agrees(&trace, |x| x[0] * x[0], 2.0));
    assert!(!agrees(&trace, |x| x[0], 0.9));

    let banana = Banana::new(1.0, 0.5, 0.5).unwrap();
    let start = start_of(&banana, 1000, DType::F32);
    let mala = Langevin { step: 0.1, ..Default::default() };
    let trace = run(&Target::density(banana), &mala, &start, 400);
    assert!(agrees(&trace, |x| x[1], 0.5));
    assert!(agrees(&trace, |x| (x[1] - 0.5).powi(2), 0.75));
    assert!(agrees(&trace, |x| x[0] * x[0], 1.0));
    // Without the bend.
    assert!(!agrees(&trace, |x| (x[1] - 0.5).powi(2), 0.25));
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn same_bits_on_any_number_of_threads() {
    let start = start_of(&correlated(), 37, DType::F64);
    let chains =
        Chains { warm_up: 50, draws: 200, thin: 3, adapt: Some(0.5), ..Default::default() };
    let draws = |target: &Target, chains: &Chains, start: &Tensor| {
        let mut generator = Generator::new(12);
        let mala = Langevin { step: 0.5, ..Default::default() };
        let trace = chains.metropolis_hastings(target, &mala, start, &mut generator).unwrap();
        values(&trace.draws).unwrap()
    };
    for target in [correlated_by_function(), Target::density(correlated())] {
        let one = on_threads(1, || draws(&target, &chains, &start));
        assert!(one == on_threads(2, || draws(&target, &chains, &start)));
        assert!(one == on_threads(8, || draws(&target, &chains, &start)));
    }
    // Nor do the chains beside it change one, nor what is kept of it.
    let target = correlated_by_function();
    let all = draws(&target, &chains, &start);
    let few = draws(&target, &chains, &start.narrow(0, 0, 5).unwrap());
    for (all, few) in all.chunks_exact(37 * 2).zip(few.chunks_exact(5 * 2)) {
        assert_eq!(all[..10], *few);
    }
    let every = draws(&target, &Chains { draws: 600, thin: 1, ..chains }, &start);
    for (all, every) in all.chunks_exact(37 * 2).zip(every.chunks_exact(3 * 37 * 2)) {
        assert_eq!(*all, every[2 * 37 * 2..]);
    }
}

/// A function of points, a function of tensors (its score by backward differentiation) and a density: one chain.
#[test]
fn all_kinds_of_targets_make_the_same_chain() {
    let start = start_of(&correlated(), 5, DType::F64);
    let by_tensors = Target::tensors(2, |x| {
        let x = x.broadcast_sub(&Tensor::new(&[1.0, -1.0], x.device())?)?;
        let precision = Tensor::new(&[[2.0, -0.8], [-0.8, 1.0]], x.device())?;
        Ok((x.matmul(&precision)? * &x)?.sum(1)?.affine(-0.5 / 1.36, 3.0)?)
    });
    let mala = Langevin { step: 0.4, ..Default::default() };
    let reference = run(&correlated_by_function(), &mala, &start, 300).draws;
    for target in [by_tensors, Target::density(correlated())] {
        let difference = (run(&target, &mala, &start, 300).draws - &reference).unwrap();
        assert!(values(&difference).unwrap().iter().all(|x| x.abs() < 1e-9));
    }
    // The score alone serves where nothing is compared.
    let by_score = Target::score(2, |x| correlated().score(x));
    let chains = Chains { warm_up: 0, draws: 300, ..Default::default() };
    let dynamics = |target: &Target| {
        chains.langevin(target, &mala, &start, &mut Generator::new(13)).unwrap().draws
    };
    let difference = (dynamics(&by_score) - dynamics(&correlated_by_function())).unwrap();
    assert!(values(&difference).unwrap().iter().all(|x| x.abs() < 1e-9));
}

/// Warm-up finds the step at which the wanted share is accepted, from steps far too short and far too long; the law
/// after it is right.
#[test]
fn adaptation() {
    let start = start_of(&correlated(), 200, DType::F64);
    let chains = Chains { warm_up: 1000, draws: 1000, adapt: Some(0.3), ..Default::default() };
    for step in [0.01, 100.0] {
        let walk = RandomWalk::with_covariance(step, &COVARIANCE).unwrap();
        let target = correlated_by_function();
        let trace =
            chains.metropolis_hastings(&target, &walk, &start, &mut Generator::new(14)).unwrap();
        let accepted = mean(&trace.acceptance);
        assert!((accepted - 0.3).abs() < 0.02, "{accepted}");
        // 1.76 with the step 2.2: found again from both sides.
        let found: Vec<f64> = trace.factors.iter().map(|factor| factor * step).collect();
        assert!(variance(&found).sqrt() < 0.25 * mean(&found), "{found:?}");
        assert!(has_moments(&trace));
    }
    // Warm-up alone keeps nothing, and the last states are there to go on from.
    let alone = Chains { draws: 0, ..chains };
    let walk = RandomWalk::new(1.0).unwrap();
    let target = correlated_by_function();
    let trace = alone.metropolis_hastings(&target, &walk, &start, &mut Generator::new(14)).unwrap();
    assert_eq!((trace.draws.dims(), trace.state.dims()), (&[0, 200, 2][..], &[200, 2][..]));
    assert!(values(&(trace.state - &start).unwrap()).unwrap().iter().any(|x| *x != 0.0));
    let fixed = run(&correlated_by_function(), &RandomWalk::new(1.0).unwrap(), &start, 10);
    assert!(fixed.factors.iter().all(|factor| *factor == 1.0));
}

#[test]
fn bad_input_is_an_error() {
    let target = correlated_by_function();
    let start = start_of(&correlated(), 3, DType::F64);
    let walk = RandomWalk::new(1.0).unwrap();
    let generator = &mut Generator::new(1);
    let good = Chains { warm_up: 10, draws: 10, ..Default::default() };
    fn text(result: scorebook::Result<Trace>) -> String {
        result.unwrap_err().to_string()
    }
    let error = text(
        Chains { thin: 0, ..good.clone() }.metropolis_hastings(&target, &walk, &start, generator),
    );
    assert_eq!(error, "`thin` is 0; expected at least 1");
    let endless = Chains { draws: usize::MAX / 2, ..good.clone() };
    let error = text(endless.metropolis_hastings(&target, &walk, &start, generator));
    assert!(error.ends_with("expected a number whose states fit into memory"), "{error}");
    for (wanted, warm_up) in [(0.0, 10), (1.0, 10), (f64::NAN, 10), (0.3, 0)] {
        let chains = Chains { adapt: Some(wanted), warm_up, ..good.clone() };
        let error = text(chains.metropolis_hastings(&target, &walk, &start, generator));
        assert!(error.starts_with("`adapt` is"), "{error}");
    }
    let tuned = Chains { adapt: Some(0.3), ..good.clone() };
    let independence = Independence::gaussian([0.0, 0.0], [1.0, 1.0]).unwrap();
    let error = text(tuned.metropolis_hastings(&target, &independence, &start, generator));
    assert!(error.ends_with("this proposal has no step"), "{error}");
    let error = text(tuned.langevin(&target, &Langevin::default(), &start, generator));
    assert!(error.contains("nothing to steer by"), "{error}");

    for (shape, dtype) in
        [(vec![3, 3], DType::F64), (vec![0, 2], DType::F64), (vec![2], DType::F64)]
    {
        let start = Tensor::zeros(shape, dtype, CPU).unwrap();
        let error = text(good.metropolis_hastings(&target, &walk, &start, generator));
        assert!(
            error.starts_with("`start` has shape") && error.ends_with("[chains, 2]"),
            "{error}"
        );
    }
    let integers = Tensor::zeros((3, 2), DType::U32, CPU).unwrap();
    assert!(text(good.metropolis_hastings(&target, &walk, &integers, generator)).contains("u32"));
    let nan = Tensor::new(&[[0.0, 0.0], [f64::NAN, 0.0]], CPU).unwrap();
    let error = text(good.metropolis_hastings(&target, &walk, &nan, generator));
    assert!(
        error.starts_with("the state of chain 1 is not finite at the start, at [NaN"),
        "{error}"
    );
    let half = Target::function(1, |x| if x[0] > 1.0 { -x[0] } else { f64::NEG_INFINITY });
    let origin = Tensor::new(&[[2.0], [0.0]], CPU).unwrap();
    let error = text(good.metropolis_hastings(&half, &walk, &origin, generator));
    let expected = "the log-density of chain 1 is not finite at the start, at [0.0]. Start every chain inside the support of the target";
    assert_eq!(error, expected);
    for bad in [f64::NAN, f64::INFINITY] {
        let broken = Target::function(1, move |x| if x[0] == 2.0 { 0.0 } else { bad });
        let start = Tensor::new(&[[2.0]], CPU).unwrap();
        let error = text(good.metropolis_hastings(&broken, &walk, &start, generator));
        assert!(
            error.starts_with("the log-density of chain 0 is not finite at a candidate of step 0"),
            "{error}"
        );
    }
    // A step too long for the stability of Euler's method.
    let long = Langevin { step: 10.0, ..Default::default() };
    let endless = Chains { draws: 10_000, ..good.clone() };
    let error = text(endless.langevin(&target, &long, &start, generator));
    assert!(
        error.contains("is not finite at step") && error.contains("take shorter steps"),
        "{error}"
    );

    let plain = Target::function(2, |x| -x[0] * x[0] - x[1] * x[1]);
    let error = text(good.metropolis_hastings(&plain, &Langevin::default(), &start, generator));
    assert!(error.contains("expected one with a score"), "{error}");
    let scored = Target::score(2, |x| Ok(x.neg()?));
    let error = text(good.metropolis_hastings(&scored, &walk, &start, generator));
    assert!(error.contains("expected one with a log-density"), "{error}");
    let misshapen = Target::tensors(2, |x| Ok(x.clone()));
    let error = text(good.metropolis_hastings(&misshapen, &walk, &start, generator));
    assert_eq!(error, "`log_density` has shape [3, 2]; expected [3]");
    let misshapen = Target::score(2, |x| Ok(x.sum(1)?));
    let error = text(good.langevin(&misshapen, &Langevin::default(), &start, generator));
    assert_eq!(error, "`score` has shape [3]; expected [3, 2]");

    let three =
        RandomWalk::with_covariance(1.0, &[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    let error = text(good.metropolis_hastings(&target, &three.unwrap(), &start, generator));
    assert!(error.starts_with("`covariance` has shape [3, 3]; expected [2, 2]"), "{error}");
    assert!(RandomWalk::new(0.0).is_err() && RandomWalk::new(f64::NAN).is_err());
    assert!(RandomWalk::with_covariance(1.0, &[[1.0, 2.0], [2.0, 1.0]]).is_err());
    assert!(Independence::gaussian([0.0], [1.0, 1.0]).is_err());
    assert!(Independence::gaussian([f64::NAN], [1.0]).is_err());
    let one = Independence::gaussian([0.0], [1.0]).unwrap();
    assert!(good.metropolis_hastings(&target, &one, &start, generator).is_err());
    for langevin in [
        Langevin { step: 0.0, ..Default::default() },
        Langevin { noise: -1.0, ..Default::default() },
        Langevin { scales: Some(vec![1.0]), ..Default::default() },
        Langevin { scales: Some(vec![1.0, 0.0]), ..Default::default() },
    ] {
        assert!(good.langevin(&target, &langevin, &start, generator).is_err(), "{langevin:?}");
    }
    let noised = |_| Ok(correlated_by_function());
    for sigmas in [vec![], vec![0.5, 1.0], vec![1.0, 0.0], vec![f64::NAN]] {
        let annealed = AnnealedLangevin { sigmas, ..Default::default() };
        assert!(annealed.sample(noised, &start, generator).is_err(), "{annealed:?}");
    }
    assert!(geometric_levels(1.0, 2.0, 3).is_err() && geometric_levels(2.0, 1.0, 1).is_err());
}

// ---------------------------------------------------------------------------------------------------------------------
// Diagnostics
// ---------------------------------------------------------------------------------------------------------------------

/// `x ← φ x + u` with the numbers `u` of a linear congruential generator, in the same bits here and in Python:
///
/// ```python
/// import numpy as np, arviz as az
/// def noise(state):
///     while True:
///         state = (1664525 * state + 1013904223) % 2**32
///         yield (state + 0.5) / 2**32 - 0.5
/// def chains(count, draws, phi, shift):
///     out = np.empty((count, draws))
///     for c in range(count):
///         u, x = noise(c + 1), 0.0
///         for t in range(draws):
///             x = phi * x + next(u)
///             out[c, t] = x + (shift if c == 0 else 0.0)
///     return out
/// ```
fn recursion(chains: usize, draws: usize, phi: f64, shift: f64, f: fn(f64) -> f64) -> Tensor {
    let mut out = vec![0.0; draws * chains];
    for c in 0..chains {
        let (mut state, mut x) = (c as u32 + 1, 0.0);
        for t in 0..draws {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            x = phi * x + ((f64::from(state) + 0.5) / 4_294_967_296.0 - 0.5);
            out[t * chains + c] = f(x + if c == 0 { shift } else { 0.0 });
        }
    }
    Tensor::from_vec(out, (draws, chains), CPU).unwrap()
}

/// `az.rhat(x)`, `az.ess(x, method="bulk")`, `az.ess(x, method="tail")`, `az.mcse(x, method="mean")` (arviz 0.23.4):
/// good chains, one shifted, alternating ones, an odd number of draws with ties, a heavy tail, a single chain.
#[test]
fn diagnostics_agree_with_arviz() {
    let same = |x: f64| x;
    let cases = [
        (
            recursion(4, 1000, 0.9, 0.0, same),
            [1.022477303620474, 153.60407513161113, 437.7492388737761, 0.055316189780766606],
        ),
        (
            recursion(4, 1000, 0.9, 0.8, same),
            [1.1687961793143984, 18.74720461392899, 65.47432727297571, 0.1821627143403718],
        ),
        (
            recursion(2, 500, -0.5, 0.0, same),
            [1.001560689802473, 3000.0, 885.5607343850508, 0.005965533544222127],
        ),
        (
            recursion(3, 101, 0.6, 0.0, |x| (4.0 * x).floor()),
            [0.9983208899725032, 100.18346250532429, 132.60157953267444, 0.13949127634770148],
        ),
        (
            recursion(4, 400, 0.5, 0.0, |x| x * x * x),
            [1.0047482344424643, 559.4829836254645, 879.5032930842228, 0.0041380713749991655],
        ),
        (
            recursion(1, 300, 0.3, 0.0, same),
            [f64::NAN, 154.79342012350114, 165.94480881079076, 0.023150134424572196],
        ),
    ];
    for (draws, expected) in cases {
        let summary = diagnostics::summary(&draws).unwrap()[0];
        let found = [summary.r_hat, summary.ess_bulk, summary.ess_tail, summary.mcse];
        let alone = [
            diagnostics::r_hat(&draws).unwrap()[0],
            diagnostics::ess_bulk(&draws).unwrap()[0],
            diagnostics::ess_tail(&draws).unwrap()[0],
            diagnostics::mcse_mean(&draws).unwrap()[0],
        ];
        assert_eq!(found, alone);
        for (found, expected) in found.into_iter().zip(expected).filter(|pair| !pair.1.is_nan()) {
            assert!((found - expected).abs() < 1e-10 * expected, "{found} for {expected}");
        }
    }
}

/// An AR(1) chain has `ρ_k = φ^k` and is worth `(1 - φ)/(1 + φ)` of its draws.
#[test]
fn effective_sample_size_of_an_autoregression() {
    let (n, chains, phi) = (20_000, 8, 0.8f64);
    let mut z = vec![0.0; n * chains];
    Generator::new(15).fill_normal_f64(&mut z);
    for t in chains..z.len() {
        z[t] = phi * z[t - chains] + (1.0 - phi * phi).sqrt() * z[t];
    }
    let draws = Tensor::from_vec(z, (n, chains, 1), CPU).unwrap();
    let expected = (1.0 - phi) / (1.0 + phi) * (n * chains) as f64;
    let ess = diagnostics::ess_bulk(&draws).unwrap()[0];
    // The estimate of a sum of some 40 autocorrelations is good to some percent here.
    assert!((ess / expected - 1.0).abs() < 0.06, "{ess} for {expected}");
    assert!((ess / ((1.0 - phi) * (n * chains) as f64) - 1.0).abs() > 0.3);
    let one = values(&draws.narrow(1, 0, 1).unwrap()).unwrap();
    let rho = diagnostics::autocorrelation(&one).unwrap();
    for lag in [1, 2, 5, 10] {
        // Bartlett's formula bounds the variance by (1 + φ²)/(1 - φ²)/n.
        let error = 5.0 * ((1.0 + phi * phi) / (1.0 - phi * phi) / n as f64).sqrt();
        assert!((rho[lag] - phi.powi(lag as i32)).abs() < error, "{} at {lag}", rho[lag]);
    }
    // The transform gives the sums of the definition.
    let centre = mean(&one);
    let sum = |lag: usize| -> f64 {
        one[lag..].iter().zip(&one).map(|(a, b)| (a - centre) * (b - centre)).sum()
    };
    for lag in [0, 1, 1234, n - 1] {
        assert!((rho[lag] - sum(lag) / sum(0)).abs() < 1e-12);
    }
}

#[test]
fn draws_that_say_nothing_are_errors() {
    let few = Tensor::zeros((3, 2, 1), DType::F64, CPU).unwrap();
    let error = diagnostics::summary(&few).unwrap_err().to_string();
    assert!(error.starts_with("`draws` has shape [3, 2, 1]; expected [draws, chains]"), "{error}");
    let mut x = vec![0.0; 12];
    x[7] = f64::NAN;
    let broken = Tensor::from_vec(x, (4, 3), CPU).unwrap();
    let error = diagnostics::r_hat(&broken).unwrap_err().to_string();
    assert!(error.starts_with("coordinate 0 of chain 1 is not finite at draw 2"), "{error}");
    assert!(diagnostics::autocorrelation(&[]).is_err());
    assert!(diagnostics::autocorrelation(&[1.0, 1.0]).is_err());
    assert!(diagnostics::autocorrelation(&[1.0, f64::NAN]).is_err());
    // A quantity that does not change has no width to compare, and its mean no error.
    let constant =
        diagnostics::summary(&Tensor::ones((10, 2), DType::F64, CPU).unwrap()).unwrap()[0];
    assert!(constant.r_hat.is_nan() && constant.mcse == 0.0 && constant.ess_bulk == 20.0);
}

//! Markov chains on finitely many states, where everything can be computed.

use crate::{
    Error, Result,
    random::{Discrete, Generator, Inversion},
};
use rand::Rng;

/// The transition matrix of a Markov chain on the states `0..n`: the probability `P(y|x)` of going from `x` to `y`, in row
/// `x` and column `y`.
///
/// A law `ν` moves to `νP`. If `π` is in detailed balance, `π(x) P(y|x) = π(y) P(x|y)`, then `πP = π`. Note 000 calls
/// that sampling; but `νPⁿ → π` from any `ν` holds only if the chain is irreducible and aperiodic as well:
///
/// ```
/// use scorebook::markov::TransitionMatrix;
///
/// // Two states that change places: in detailed balance with (½, ½), and never there.
/// let swap = TransitionMatrix::new(&[[0.0, 1.0], [1.0, 0.0]])?;
/// assert_eq!(swap.detailed_balance_residual(&[0.5, 0.5])?, 0.0);
/// assert_eq!((swap.is_irreducible(), swap.period(0)?), (true, 2));
/// assert_eq!(swap.law_after(&[1.0, 0.0], 1001)?, [0.0, 1.0]);
/// assert_eq!((swap.states(), swap.probability(0, 1), swap.probability(0, 0)), (2, 1.0, 0.0));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionMatrix {
    states: usize,
    /// Row after row.
    entries: Vec<f64>,
}

/// How far the sum of a row or of a law may be from 1.
const ROUNDING: f64 = 1e-12;

impl TransitionMatrix {
    /// The chain with the given rows.
    ///
    /// # Errors
    /// If the matrix is not square, an entry is negative, or a row does not sum to 1.
    pub fn new<R: AsRef<[f64]>>(rows: &[R]) -> Result<Self> {
        let states = rows.len();
        if states == 0 {
            return Err(Error::shape("rows", &[0, 0], "at least one state"));
        }
        for row in rows.iter().map(AsRef::as_ref) {
            if row.len() != states {
                return Err(Error::shape("rows", &[states, row.len()], "a square matrix"));
            }
            check_law("rows", row)?;
        }
        Ok(Self { states, entries: rows.iter().flat_map(|row| row.as_ref().to_vec()).collect() })
    }

    /// The chain of Metropolis and Hastings with the stationary law `π ∝ weights` and proposals from `Q`:
    /// `P(y|x) = a_{xy} Q(y|x)` for `y ≠ x`, `P(x|x) = 1 - Σ_{y≠x} a_{xy} Q(y|x)`, with
    /// `a_{xy} = min(1, π(y) Q(x|y) / (π(x) Q(y|x)))`.
    ///
    /// `π` need not be normalised. (Note 000 prints `1 a` for the probability of staying, `1 - a`, and leaves `P(x|x)` out.)
    ///
    /// ```
    /// use scorebook::markov::TransitionMatrix;
    ///
    /// let q = TransitionMatrix::new(&[[0.5, 0.5], [0.2, 0.8]])?;
    /// let p = TransitionMatrix::metropolis_hastings(&[3.0, 1.0], &q)?;
    /// let pi = p.stationary()?;
    /// assert!((pi[0] - 0.75).abs() < 1e-14 && (pi[1] - 0.25).abs() < 1e-14);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is not one positive weight a state, or `Q(y|x) > 0` and `Q(x|y) = 0` for some states.
    pub fn metropolis_hastings(weights: &[f64], q: &Self) -> Result<Self> {
        let n = q.states;
        if weights.len() != n {
            return Err(Error::shape("weights", &[weights.len()], format!("[{n}], one a state")));
        }
        if let Some(weight) = weights.iter().find(|weight| !(**weight > 0.0 && weight.is_finite()))
        {
            return Err(Error::argument("weights", weight, "positive numbers"));
        }
        let mut entries = vec![0.0; n * n];
        for x in 0..n {
            let mut leaves = 0.0;
            for y in (0..n).filter(|y| *y != x) {
                let (there, back) = (q.probability(x, y), q.probability(y, x));
                if (there > 0.0) != (back > 0.0) {
                    let given = format!("{there} from {x} to {y} and {back} back");
                    return Err(Error::argument("q", given, "positive both ways or neither"));
                }
                // One product of three numbers for both directions, so that detailed balance holds to rounding.
                let flow = (weights[x] * there).min(weights[y] * back);
                entries[x * n + y] = flow / weights[x];
                leaves += entries[x * n + y];
            }
            entries[x * n + x] = (1.0 - leaves).max(0.0);
        }
        Ok(Self { states: n, entries })
    }

    /// How many states there are.
    pub fn states(&self) -> usize {
        self.states
    }

    /// `P(to|from)`; 0 for states that there are not.
    pub fn probability(&self, from: usize, to: usize) -> f64 {
        if to < self.states { self.row(from).map_or(0.0, |row| row[to]) } else { 0.0 }
    }

    fn row(&self, from: usize) -> Option<&[f64]> {
        self.entries.chunks_exact(self.states).nth(from)
    }

    /// `νPⁿ`: the law after `n` steps from `ν`.
    ///
    /// # Errors
    /// If `law` is not a law on the states.
    pub fn law_after(&self, law: &[f64], n: usize) -> Result<Vec<f64>> {
        self.check_own("law", law)?;
        let mut law = law.to_vec();
        for _ in 0..n {
            law = self.step(&law);
        }
        Ok(law)
    }

    fn step(&self, law: &[f64]) -> Vec<f64> {
        let mut next = vec![0.0; self.states];
        for (mass, row) in law.iter().zip(self.entries.chunks_exact(self.states)) {
            for (next, p) in next.iter_mut().zip(row) {
                *next += mass * p;
            }
        }
        next
    }

    /// The one law with `πP = π`.
    ///
    /// By the elimination of Grassmann, Taksar and Heyman (Oper. Res. 33, 1985), which subtracts nothing: each entry is
    /// right to rounding, however small.
    ///
    /// # Errors
    /// If there are several such laws, because the chain has several closed classes of states.
    pub fn stationary(&self) -> Result<Vec<f64>> {
        let reach = self.reach();
        let closed: Vec<usize> = (0..self.states)
            .filter(|x| (0..self.states).all(|y| !reach[*x][y] || reach[y][*x]))
            .collect();
        let n = closed.len();
        if closed.iter().any(|x| !reach[closed[0]][*x]) {
            let given = format!("a chain whose states {closed:?} fall into several closed classes");
            return Err(Error::argument("self", given, "one with a single stationary law"));
        }
        let mut p: Vec<Vec<f64>> = closed
            .iter()
            .map(|x| closed.iter().map(|y| self.probability(*x, *y)).collect())
            .collect();
        // Take the states away one after another, from the last; what passed through a state now goes around it.
        for last in (1..n).rev() {
            let leaves: f64 = p[last][..last].iter().sum();
            for x in 0..last {
                p[x][last] /= leaves;
                for y in 0..last {
                    p[x][y] += p[x][last] * p[last][y];
                }
            }
        }
        let mut mass = vec![1.0; n];
        for last in 1..n {
            mass[last] = (0..last).map(|x| mass[x] * p[x][last]).sum();
        }
        let total: f64 = mass.iter().sum();
        let mut law = vec![0.0; self.states];
        for (x, mass) in closed.iter().zip(mass) {
            law[*x] = mass / total;
        }
        Ok(law)
    }

    /// `max |π(x) P(y|x) - π(y) P(x|y)|` over all pairs of states.
    ///
    /// # Errors
    /// If `law` is not a law on the states.
    pub fn detailed_balance_residual(&self, law: &[f64]) -> Result<f64> {
        self.check_own("law", law)?;
        let mut residual = 0f64;
        for x in 0..self.states {
            for y in 0..x {
                let (there, back) = (self.probability(x, y), self.probability(y, x));
                residual = residual.max((law[x] * there - law[y] * back).abs());
            }
        }
        Ok(residual)
    }

    /// `reach[x][y]`: whether `y` can be reached from `x`, in any number of steps, 0 included.
    fn reach(&self) -> Vec<Vec<bool>> {
        (0..self.states)
            .map(|start| self.distances(start).iter().map(Option::is_some).collect())
            .collect()
    }

    /// The least number of steps from `start` to each state that can be reached.
    fn distances(&self, start: usize) -> Vec<Option<usize>> {
        let mut distances = vec![None; self.states];
        distances[start] = Some(0);
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(x) = queue.pop_front() {
            for y in 0..self.states {
                if self.probability(x, y) > 0.0 && distances[y].is_none() {
                    distances[y] = distances[x].map(|steps| steps + 1);
                    queue.push_back(y);
                }
            }
        }
        distances
    }

    /// Whether every state can be reached from every other. Decided by which entries are positive, so exactly.
    pub fn is_irreducible(&self) -> bool {
        self.reach().iter().flatten().all(|reached| *reached)
    }

    /// The period of a state: the greatest common divisor of the lengths of all ways back to it; 1 is aperiodic, 0 a
    /// state to which no way leads back. All states of an irreducible chain have the same. Exact.
    ///
    /// # Errors
    /// If there is no such state.
    pub fn period(&self, state: usize) -> Result<usize> {
        if state >= self.states {
            let expected = format!("a state below {}", self.states);
            return Err(Error::argument("state", state, expected));
        }
        let (distances, reach) = (self.distances(state), self.reach());
        let mut period = 0;
        for x in 0..self.states {
            for y in 0..self.states {
                // An edge within the class of the state closes cycles whose lengths differ by this.
                if self.probability(x, y) > 0.0
                    && reach[y][state]
                    && let (Some(to_x), Some(to_y)) = (distances[x], distances[y])
                {
                    period = greatest_common_divisor(period, (to_x + 1).abs_diff(to_y));
                }
            }
        }
        Ok(period)
    }

    /// `1 - max |λ|` over the eigenvalues other than the first, of an irreducible chain in detailed balance with `law`.
    /// `νPⁿ` comes closer to `π` like `(1 - gap)ⁿ`: the total variation from the state `x` is at most
    /// `½ √(1/π(x) - 1) (1 - gap)ⁿ` (Diaconis and Stroock, Ann. Appl. Probab. 1, 1991).
    ///
    /// ```
    /// use scorebook::markov::{TransitionMatrix, total_variation};
    ///
    /// // The eigenvalues of two states are 1 and 1 - 0.3 - 0.1.
    /// let p = TransitionMatrix::new(&[[0.7, 0.3], [0.1, 0.9]])?;
    /// let law = p.stationary()?;
    /// assert!((p.spectral_gap(&law)? - 0.4).abs() < 1e-12);
    /// let after = total_variation(&p.law_after(&[1.0, 0.0], 10)?, &law)?;
    /// assert!((after - 0.75 * 0.6f64.powi(10)).abs() < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `law` has an empty state, or the chain is not in detailed balance with it.
    pub fn spectral_gap(&self, law: &[f64]) -> Result<f64> {
        let residual = self.detailed_balance_residual(law)?;
        if residual > ROUNDING || law.contains(&0.0) {
            let given = format!("one with the residual {residual:e}");
            let expected = "positive and in detailed balance with the chain";
            return Err(Error::argument("law", given, expected));
        }
        // √(π(x)/π(y)) P(y|x) is symmetric and has the eigenvalues of P.
        let n = self.states;
        let roots: Vec<f64> = law.iter().map(|mass| mass.sqrt()).collect();
        let mut a = vec![vec![0.0; n]; n];
        for x in 0..n {
            for y in 0..=x {
                let (there, back) = (self.probability(x, y), self.probability(y, x));
                let value = 0.5 * (roots[x] / roots[y] * there + roots[y] / roots[x] * back);
                // The first eigenvector is √π, of eigenvalue 1: taken away, so that the largest is the second.
                a[x][y] = value - roots[x] * roots[y];
                a[y][x] = a[x][y];
            }
        }
        let largest =
            eigenvalues(a).into_iter().fold(0f64, |largest, value| largest.max(value.abs()));
        Ok((1.0 - largest).max(0.0))
    }

    /// A path of the chain: `start` and the states after each of `steps` steps, each drawn by inversion.
    ///
    /// # Errors
    /// If there is no state `start`.
    pub fn path(
        &self,
        start: usize,
        steps: usize,
        generator: &mut Generator,
    ) -> Result<Vec<usize>> {
        if start >= self.states {
            let expected = format!("a state below {}", self.states);
            return Err(Error::argument("start", start, expected));
        }
        let rows = self.entries.chunks_exact(self.states).map(|row| {
            let atoms: Vec<(f64, f64)> =
                row.iter().enumerate().map(|(y, p)| (y as f64, *p)).collect();
            Discrete::new(&atoms)
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let mut path = vec![start];
        let mut x = start;
        for _ in 0..steps {
            x = rows[x].quantile(generator.sample(rand::distr::Open01)) as usize;
            path.push(x);
        }
        Ok(path)
    }

    fn check_own(&self, name: &'static str, law: &[f64]) -> Result<()> {
        if law.len() != self.states {
            let expected = format!("[{}], one a state", self.states);
            return Err(Error::shape(name, &[law.len()], expected));
        }
        check_law(name, law)
    }
}

/// The total variation distance of two laws, `½ Σ |p(x) - q(x)|`: the largest difference that they give to any event.
///
/// ```
/// use scorebook::markov::total_variation;
///
/// assert_eq!(total_variation(&[1.0, 0.0], &[0.25, 0.75])?, 0.75);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If they are not of one length.
pub fn total_variation(p: &[f64], q: &[f64]) -> Result<f64> {
    if p.len() != q.len() {
        return Err(Error::shape("q", &[q.len()], format!("[{}], as p", p.len())));
    }
    Ok(0.5 * p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>())
}

fn check_law(name: &'static str, law: &[f64]) -> Result<()> {
    if let Some(mass) = law.iter().find(|mass| !(**mass >= 0.0 && mass.is_finite())) {
        return Err(Error::argument(name, mass, "probabilities"));
    }
    let sum: f64 = law.iter().sum();
    if (sum - 1.0).abs() > ROUNDING {
        return Err(Error::argument(name, format!("of the sum {sum}"), "of the sum 1"));
    }
    Ok(())
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The eigenvalues of a symmetric matrix, by Jacobi's rotations.
fn eigenvalues(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let n = a.len();
    // Each sweep squares what is off the diagonal once it is small: ten are more than enough.
    for _ in 0..30 {
        let off: f64 = (0..n).flat_map(|i| a[i][..i].iter()).map(|value| value * value).sum();
        if off < 1e-32 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q] == 0.0 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = t.hypot(1.0).recip();
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (mut of_p, mut of_q) = (std::mem::take(&mut a[p]), std::mem::take(&mut a[q]));
                for (x, y) in of_p.iter_mut().zip(&mut of_q) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
                (a[p], a[q]) = (of_p, of_q);
            }
        }
    }
    (0..n).map(|i| a[i][i]).collect()
}

//! Linear systems with the generator of a chain, solved without a subtraction.

use super::{
    grid::Grid,
    rates::{Exchange, Rates},
};
use crate::{Error, Result};

/// The triangular factors of `s I - τ Q` for the rates `Q` of a chain on a grid.
///
/// Cells are eliminated one after another, as Grassmann, Taksar and Heyman do it (Oper. Res. 33, 1985): what flowed into a
/// cell is passed on to those that it flows to. Pivots are sums of what leaves, so nothing is ever subtracted: no digit is
/// lost however long the step, and the solution of a right side that is not negative is not negative.
#[derive(Debug)]
pub(super) struct Elimination {
    /// Where each cell stands.
    positions: Vec<usize>,
    band: usize,
    /// Row `i`, columns `i - band` to `i + band`: the shares below the diagonal, the flows above. The diagonal is empty.
    rows: Vec<f64>,
    pivots: Vec<f64>,
}

impl Elimination {
    /// Factors `s I - τ Q`, with `s` and `τ` not negative.
    pub(super) fn new(grid: &Grid, rates: &Rates, s: f64, tau: f64) -> Result<Self> {
        let cells = rates.cells;
        let (positions, band) = order(grid, rates);
        let stride = 2 * band + 1;
        if cells.saturating_mul(stride) > 1 << 28 {
            let value = format!("{cells}, coupled over {band}");
            let expected = "a system of at most 2 GiB: a coarser grid, or `Stepping::Exponential`";
            return Err(Error::argument("cells", value, expected));
        }
        let mut rows = vec![0.0; cells * stride];
        let mut flow = |from: usize, to: usize, rate: f64| {
            rows[to * stride + from + band - to] += tau * rate;
        };
        for Exchange { from, to, forth, back } in &rates.exchanges {
            let (from, to) = (positions[*from], positions[*to]);
            flow(from, to, *forth);
            flow(to, from, *back);
        }
        let mut kept = vec![s; cells];
        let mut pivots = vec![0.0; cells];
        for k in 0..cells {
            let last = (k + band).min(cells - 1);
            let (above, below) = rows.split_at_mut((k + 1) * stride);
            // Row k from column k + 1 on: what flows into k from the cells that are left.
            let into = &above[k * stride + band + 1..][..last - k];
            // Of row k + 1 + i: column k, and the columns after k.
            let of_row = |i: usize| i * stride + band - i - 1;
            let leaving: f64 = (0..last - k).map(|i| below[of_row(i)]).sum();
            let pivot = kept[k] + leaving;
            pivots[k] = pivot;
            if pivot == 0.0 {
                continue;
            }
            for i in 0..last - k {
                let at = of_row(i);
                let share = below[at] / pivot;
                if share > 0.0 {
                    below[at] = share;
                    for (to, from) in below[at + 1..][..last - k].iter_mut().zip(into) {
                        *to += share * from;
                    }
                }
            }
            let share = kept[k] / pivot;
            for (kept, from) in kept[k + 1..=last].iter_mut().zip(into) {
                *kept += share * from;
            }
        }
        Ok(Self { positions, band, rows, pivots })
    }

    /// `x` with `(s I - τ Q) x = b`.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.scatter(b);
        for i in 0..x.len() {
            let (first, shares) = self.shares(i);
            x[i] += dot(shares, &x[first..i]);
        }
        for k in (0..x.len()).rev() {
            x[k] = (x[k] + dot(self.flows(k), &x[k + 1..])) / self.pivots[k];
        }
        self.gather(&x)
    }

    /// `x` with `(s I - τ Q)ᵀ x = b`.
    pub(super) fn solve_transposed(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.scatter(b);
        for k in 0..x.len() {
            x[k] /= self.pivots[k];
            let known = x[k];
            for (x, flow) in x[k + 1..].iter_mut().zip(self.flows(k)) {
                *x += flow * known;
            }
        }
        for i in (0..x.len()).rev() {
            let (first, shares) = self.shares(i);
            let known = x[i];
            for (x, share) in x[first..i].iter_mut().zip(shares) {
                *x += share * known;
            }
        }
        self.gather(&x)
    }

    /// `x ≥ 0` with `Q x = 0` and the sum 1, if this is the elimination of `-Q` itself. `None` where a part of the chain
    /// cannot reach the rest, so that there is not one such law.
    pub(super) fn null_vector(&self) -> Option<Vec<f64>> {
        let last = self.pivots.len() - 1;
        let mut x = vec![0.0; self.pivots.len()];
        x[last] = 1.0;
        for k in (0..last).rev() {
            if self.pivots[k] == 0.0 {
                return None;
            }
            x[k] = dot(self.flows(k), &x[k + 1..]) / self.pivots[k];
            // The cell that the sum begins with may lie in the far tail.
            if x[k] > 1e150 {
                x[k..].iter_mut().for_each(|x| *x *= 1e-150);
            }
        }
        let total: f64 = x.iter().sum();
        x.iter_mut().for_each(|x| *x /= total);
        Some(self.gather(&x))
    }

    /// Row `i` below the diagonal, and its first column.
    fn shares(&self, i: usize) -> (usize, &[f64]) {
        let first = i.saturating_sub(self.band);
        (first, &self.rows[i * (2 * self.band + 1) + first + self.band - i..][..i - first])
    }

    /// Row `k` above the diagonal: the flows into `k` from the cells after it.
    fn flows(&self, k: usize) -> &[f64] {
        &self.rows[k * (2 * self.band + 1) + self.band + 1..][..self.band]
    }

    fn scatter(&self, values: &[f64]) -> Vec<f64> {
        let mut placed = vec![0.0; values.len()];
        for (position, value) in self.positions.iter().zip(values) {
            placed[*position] = *value;
        }
        placed
    }

    fn gather(&self, placed: &[f64]) -> Vec<f64> {
        self.positions.iter().map(|position| placed[*position]).collect()
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The order of the cells, by rows or by columns, in which exchanges reach the least far, and how far they reach.
fn order(grid: &Grid, rates: &Rates) -> (Vec<usize>, usize) {
    let shape = grid.shape();
    [0, 1]
        .map(|fast| {
            let positions: Vec<usize> = (0..rates.cells)
                .map(|cell| {
                    let place = grid.place(cell);
                    let [x, y] = [0, 1].map(|axis| {
                        if grid.is_periodic(axis) {
                            folded(place[axis], shape[axis])
                        } else {
                            place[axis]
                        }
                    });
                    if fast == 0 { x + shape[0] * y } else { y + shape[1] * x }
                })
                .collect();
            let reach =
                |exchange: &Exchange| positions[exchange.from].abs_diff(positions[exchange.to]);
            let band = rates.exchanges.iter().map(reach).max().unwrap_or(0);
            (positions, band)
        })
        .into_iter()
        .min_by_key(|(_, band)| *band)
        .expect("there are two orders")
}

/// A circle laid flat, 0, 1, 2, ... and between them the last, the last but one, ...: neighbours stay two apart at most.
fn folded(i: usize, n: usize) -> usize {
    if 2 * i < n { 2 * i } else { 2 * (n - 1 - i) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain with rates of all sizes on a grid, every cell coupled with its neighbours.
    fn chain(grid: &Grid) -> Rates {
        let mut exchanges = vec![];
        for cell in 0..grid.cells() {
            for offset in [[1, 0], [0, 1], [1, 1], [-1, 2]] {
                if let Some(to) = grid.neighbour(cell, offset) {
                    let size = |salt: f64| 10f64.powf(6.0 * (salt * (cell + 1) as f64).sin());
                    let (forth, back) = (size(0.7), size(1.3));
                    exchanges.push(Exchange { from: cell, to, forth, back });
                }
            }
        }
        Rates { cells: grid.cells(), exchanges, fastest: 0.0 }
    }

    fn grids() -> [Grid; 3] {
        let plane = Grid::plane((0.0, 1.0), (0.0, 1.0), 5, 7).unwrap();
        [
            plane.clone(),
            plane.clone().periodic(1).unwrap(),
            plane.periodic(0).unwrap().periodic(1).unwrap(),
        ]
    }

    #[test]
    fn solves_the_system_and_its_transpose() {
        for grid in grids() {
            let rates = chain(&grid);
            let (s, tau) = (1.0, 0.3);
            let elimination = Elimination::new(&grid, &rates, s, tau).unwrap();
            let b: Vec<f64> = (0..grid.cells()).map(|i| ((i * i) % 7) as f64).collect();
            let x = elimination.solve(&b);
            assert!(x.iter().all(|x| *x >= 0.0));
            let total: f64 = b.iter().sum();
            assert!((x.iter().sum::<f64>() / total - 1.0).abs() < 1e-13);
            // (I - τ Q) x, of which the parts are up to 10⁶ as large.
            for (b, back) in b.iter().zip(rates.advance(&x, -tau)) {
                assert!((b - back).abs() < 1e-8, "{b} {back}");
            }
            let u = elimination.solve_transposed(&b);
            for (b, back) in b.iter().zip(rates.expect(&u, -tau)) {
                assert!((b - back).abs() < 1e-8, "{b} {back}");
            }
            assert!((dot(&x, &b) / dot(&u, &b) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_null_vector_stands_still() {
        for grid in grids() {
            let rates = chain(&grid);
            let x = Elimination::new(&grid, &rates, 0.0, 1.0).unwrap().null_vector().unwrap();
            assert!((x.iter().sum::<f64>() - 1.0).abs() < 1e-14);
            let moved = rates.advance(&x, 1.0);
            assert!(x.iter().zip(moved).all(|(x, moved)| (x - moved).abs() < 1e-9));
        }
        let apart = Rates { cells: 9, exchanges: vec![], fastest: 0.0 };
        let grid = Grid::plane((0.0, 1.0), (0.0, 1.0), 3, 3).unwrap();
        assert!(Elimination::new(&grid, &apart, 0.0, 1.0).unwrap().null_vector().is_none());
    }

    #[test]
    fn a_folded_circle_keeps_neighbours_near() {
        for n in 3..9 {
            let places: Vec<usize> = (0..n).map(|i| folded(i, n)).collect();
            let mut sorted = places.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..n));
            assert!((0..n).all(|i| places[i].abs_diff(places[(i + 1) % n]) <= 2), "{places:?}");
        }
    }
}

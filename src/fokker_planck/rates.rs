//! The chain of jumps between cells that stands for a diffusion.

use super::{
    grid::{Grid, Offset},
    stencil::selling,
};
use crate::{Error, Result, sde::Sde, tensor};
use candle_core::{Device, Tensor};

/// Drift and covariance of the noise in the middle of every cell, at one time.
#[derive(Debug, PartialEq)]
pub(super) struct Coefficients {
    /// `f`, `[cells, dim]`.
    drift: Vec<f64>,
    /// `G = g gᵀ`, `[cells, dim, dim]`.
    covariance: Vec<f64>,
}

impl Coefficients {
    /// Asks the SDE for all cells at once. On a way down in time `sign` is -1: the drift then acts by `f dt < 0`.
    pub(super) fn of(sde: &dyn Sde, middles: &Tensor, t: f64, sign: f64) -> Result<Self> {
        let drift = sde.drift(middles, t)?;
        if drift.dims() != middles.dims() {
            let expected = format!("that of the points, {:?}", middles.dims());
            return Err(Error::shape("drift", drift.dims(), expected));
        }
        let (cells, dim) = middles.dims2()?;
        let mut covariance = vec![0.0; cells * dim * dim];
        let dispersion = sde.dispersion(middles, t)?;
        let noises = dispersion.noise_dims(middles)?[1];
        for k in 0..noises {
            // The column of g that the k-th noise drives, in every cell.
            let unit: Vec<f64> = (0..noises).map(|j| if j == k { 1.0 } else { 0.0 }).collect();
            let unit = Tensor::from_vec(unit, (1, noises), &Device::Cpu)?;
            let column = dispersion.apply(&unit.broadcast_as((cells, noises))?.contiguous()?)?;
            for (g, product) in
                tensor::values(&column)?.chunks(dim).zip(covariance.chunks_mut(dim * dim))
            {
                for (i, j) in (0..dim).flat_map(|i| (0..dim).map(move |j| (i, j))) {
                    product[i * dim + j] += g[i] * g[j];
                }
            }
        }
        let drift: Vec<f64> = tensor::values(&drift)?.into_iter().map(|f| sign * f).collect();
        for (what, values, each) in
            [("the drift", &drift, dim), ("the dispersion", &covariance, dim * dim)]
        {
            if let Some(i) = values.iter().position(|value| !value.is_finite()) {
                let x = middles.get(i / each)?.to_vec1::<f64>()?;
                return Err(Error::NotFinite {
                    what: what.into(),
                    at: format!("x = {x:.4?}, t = {t}"),
                    remedy: "Choose a grid and times where it is".into(),
                });
            }
        }
        Ok(Self { drift, covariance })
    }
}

/// Two cells, and the rates at which the chain jumps from one to the other and back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    pub from: usize,
    pub to: usize,
    pub forth: f64,
    pub back: f64,
}

/// The generator `Q` of the chain: masses follow `dP/dt = Q P`.
///
/// Column `j` holds the rates out of cell `j`. None is negative off the diagonal, and each column sums to 0.
#[derive(Debug, Default)]
pub(super) struct Rates {
    pub cells: usize,
    pub exchanges: Vec<Exchange>,
    /// The greatest rate at which a cell is left.
    pub fastest: f64,
}

impl Rates {
    /// The rates for the flux `J = f p - ½ ∇·(G p)`.
    ///
    /// Between two cells at an offset `e` the flux is that of one dimension, `J_e = c p - ∂(D p)` in units of cells. It is
    /// written as `(c - ∂D) p - D ∂p` and fitted exponentially ([`exchange_rates`]). `D` is the part `λ_e` of `½ G`
    /// ([`selling`]), `c` the part of the drift along `e`.
    pub(super) fn new(grid: &Grid, coefficients: &Coefficients) -> Result<Self> {
        let cells = grid.cells();
        let mut directions: Vec<(Offset, Vec<[f64; 2]>)> = vec![];
        for cell in 0..cells {
            for (offset, spread, pull) in parts(grid, coefficients, cell)? {
                let known = directions.iter().position(|(known, _)| *known == offset);
                let index = known.unwrap_or_else(|| {
                    directions.push((offset, vec![[0.0; 2]; cells]));
                    directions.len() - 1
                });
                let [of_spread, of_pull] = &mut directions[index].1[cell];
                *of_spread += spread;
                *of_pull += pull;
            }
        }
        let mut exchanges = vec![];
        let mut outflow = vec![0.0; cells];
        for (offset, parts) in &directions {
            for (from, [spread, pull]) in parts.iter().enumerate() {
                let Some(to) = grid.neighbour(from, *offset) else { continue };
                let [far_spread, far_pull] = parts[to];
                let mean_pull = 0.5 * (pull + far_pull) - (far_spread - spread);
                let (forth, back) = exchange_rates(0.5 * (spread + far_spread), mean_pull);
                if forth > 0.0 || back > 0.0 {
                    exchanges.push(Exchange { from, to, forth, back });
                    outflow[from] += forth;
                    outflow[to] += back;
                }
            }
        }
        Ok(Self { cells, exchanges, fastest: outflow.iter().copied().fold(0.0, f64::max) })
    }

    /// `v + s Q v`: masses.
    pub(super) fn advance(&self, v: &[f64], s: f64) -> Vec<f64> {
        let mut next = v.to_vec();
        for Exchange { from, to, forth, back } in &self.exchanges {
            let moved = s * (forth * v[*from] - back * v[*to]);
            next[*from] -= moved;
            next[*to] += moved;
        }
        next
    }

    /// `u + s Qᵀ u`: expectations.
    pub(super) fn expect(&self, u: &[f64], s: f64) -> Vec<f64> {
        let mut next = u.to_vec();
        for Exchange { from, to, forth, back } in &self.exchanges {
            let difference = s * (u[*to] - u[*from]);
            next[*from] += forth * difference;
            next[*to] -= back * difference;
        }
        next
    }
}

/// The parts of one cell's noise and drift: offset, `λ`, and the drift along the offset, all in cells.
fn parts(grid: &Grid, coefficients: &Coefficients, cell: usize) -> Result<Vec<(Offset, f64, f64)>> {
    let [width, height] = grid.widths();
    if grid.dim() == 1 {
        let spread = 0.5 * coefficients.covariance[cell] / (width * width);
        return Ok(vec![([1, 0], spread, coefficients.drift[cell] / width)]);
    }
    let [f, g] = [0, 1].map(|i| coefficients.drift[2 * cell + i] / [width, height][i]);
    let covariance = &coefficients.covariance[4 * cell..][..4];
    let a = 0.5 * covariance[0] / (width * width);
    let b = 0.5 * covariance[1] / (width * height);
    let c = 0.5 * covariance[3] / (height * height);
    if b == 0.0 {
        return Ok(vec![([1, 0], a, f), ([0, 1], c, g)]);
    }
    let Some(stencil) = selling(a, b, c) else {
        return Err(Error::argument(
            "dispersion",
            format!(
                "g gᵀ = [[{:.4}, {:.4}], [{:.4}, {:.4}]] at x = {:.4?}",
                covariance[0],
                covariance[1],
                covariance[2],
                covariance[3],
                grid.middle(cell)
            ),
            "noise that cells a few apart can pass on without a negative rate: with such a correlation, cells whose sides \
             are as its standard deviations",
        ));
    };
    // The force w with D w = drift makes a law whose log is quadratic stationary exactly. Noise in one direction alone has
    // a force there only; what is left of the drift goes along the axes.
    let (trace, determinant) = (a + c, a * c - b * b);
    let (force, left) = if determinant > 1e-10 * trace * trace {
        ([(c * f - b * g) / determinant, (a * g - b * f) / determinant], [0.0; 2])
    } else {
        let [x, y] = if a > c { [a, b] } else { [b, c] };
        let along = (x * f + y * g) / (x * x + y * y);
        ([x * along / trace, y * along / trace], [f - x * along, g - y * along])
    };
    let noisy = stencil.into_iter().map(|(offset, spread)| {
        let [x, y] = offset.map(f64::from);
        (offset, spread, spread * (force[0] * x + force[1] * y))
    });
    Ok(noisy.chain([([1, 0], 0.0, left[0]), ([0, 1], 0.0, left[1])]).collect())
}

/// The rates `D B(-c/D)` and `D B(c/D)` between two cells with spread `D` and drift `c`, with Bernoulli's function
/// `B(z) = z/(eᶻ - 1)`.
///
/// They are exact where `c/D` is constant: their ratio is `exp(c/D)`, as that of a stationary law with zero flux. Without
/// noise they are the upwind ones, `max(c, 0)` and `max(-c, 0)`.
fn exchange_rates(spread: f64, drift: f64) -> (f64, f64) {
    let z = drift / spread;
    if z.abs() < 700.0 {
        (spread * bernoulli(-z), spread * bernoulli(z))
    } else {
        (drift.max(0.0), (-drift).max(0.0))
    }
}

fn bernoulli(z: f64) -> f64 {
    if z.abs() < 1e-10 { 1.0 - 0.5 * z } else { z / z.exp_m1() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_between_noise_and_drift() {
        assert_eq!(exchange_rates(2.0, 0.0), (2.0, 2.0));
        for drift in [1e-12, 0.3, 5.0, -7.0] {
            let (forth, back) = exchange_rates(2.0, drift);
            assert!((forth - back - drift).abs() < 1e-12, "the drift is the difference");
            assert!((forth / back / (drift / 2.0).exp() - 1.0).abs() < 1e-12);
        }
        assert_eq!(exchange_rates(0.0, 3.0), (3.0, 0.0));
        assert_eq!(exchange_rates(0.0, -3.0), (0.0, 3.0));
        assert_eq!(exchange_rates(0.0, 0.0), (0.0, 0.0));
        assert_eq!(exchange_rates(1e-300, -3.0), (0.0, 3.0));
    }
}

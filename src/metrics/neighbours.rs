//! Nearest neighbours, by products of blocks.

use crate::tensor::values;
use crate::{Result, interrupt};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// Rows and columns of the tables of distances that are made at a time: 16 MB.
const ROWS: usize = 512;
const COLUMNS: usize = 8192;

/// Calls `take(i, columns from, ‖x_i - y_j‖² for the next columns j)` for every row of `x` `[n, dim]`, block after block
/// of `y` `[m, dim]`; the rows of one block at once, `states[i]` in hand. `false` if an interrupt ended it early.
///
/// By `‖x‖² + ‖y‖² - 2 x·y` about the mean of `y`, in F32: right to about `10⁻⁶ (‖x‖² + ‖y‖²)`.
fn for_each_row<S: Send>(
    x: &Tensor,
    y: &Tensor,
    states: &mut [S],
    take: impl Fn(&mut S, usize, usize, &[f32]) + Sync,
) -> Result<bool> {
    let mean = y.mean_keepdim(0)?;
    let (x, y) = (x.broadcast_sub(&mean)?, y.broadcast_sub(&mean)?);
    let (of_x, of_y) = (x.sqr()?.sum_keepdim(1)?, y.sqr()?.sum_keepdim(1)?.t()?);
    let (n, m) = (x.dim(0)?, y.dim(0)?);
    for from in (0..m).step_by(COLUMNS) {
        let columns = COLUMNS.min(m - from);
        let right = y.narrow(0, from, columns)?.t()?;
        let squares = of_y.narrow(1, from, columns)?;
        for first in (0..n).step_by(ROWS) {
            if interrupt::requested() {
                return Ok(false);
            }
            let rows = ROWS.min(n - first);
            let products = x.narrow(0, first, rows)?.matmul(&right)?;
            let table = (products * -2.0)?
                .broadcast_add(&of_x.narrow(0, first, rows)?)?
                .broadcast_add(&squares)?;
            let table = table.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
            let states = &mut states[first..first + rows];
            states
                .par_iter_mut()
                .zip(table.par_chunks_exact(columns))
                .enumerate()
                .for_each(|(i, (state, row))| take(state, first + i, from, row));
        }
    }
    Ok(true)
}

/// Rows with the squares of their distances, nearest first.
pub(super) type Neighbours = Vec<(f64, usize)>;

/// For each row of `x` its `count` nearest rows of `y` with the squared distances, nearest first; `own` leaves out the row
/// of the same number, for `x` among itself. `None` if an interrupt ended it early.
pub(super) fn nearest(
    x: &Tensor,
    y: &Tensor,
    count: usize,
    own: bool,
) -> Result<Option<Vec<Neighbours>>> {
    let (x, y) = (x.to_dtype(DType::F32)?, y.to_dtype(DType::F32)?);
    let mut found: Vec<Vec<(f32, usize)>> = vec![vec![]; x.dim(0)?];
    let whole = for_each_row(&x, &y, &mut found, |best, i, from, row| {
        for (j, &square) in (from..).zip(row) {
            if best.len() == count && square >= best[count - 1].0 || own && i == j {
                continue;
            }
            let place = best.partition_point(|(other, _)| *other <= square);
            best.insert(place, (square, j));
            best.truncate(count);
        }
    })?;
    if !whole {
        return Ok(None);
    }
    // The few that were found once more by differences, without cancellation: a copy has the distance 0.
    let dim = x.dim(1)?;
    let (x, y) = (values(&x)?, values(&y)?);
    let row = |rows: &[f64], i: usize| rows[i * dim..(i + 1) * dim].to_vec();
    let exact = found.into_par_iter().enumerate().map(|(i, best)| {
        let x = row(&x, i);
        let square = |j: usize| row(&y, j).iter().zip(&x).map(|(a, b)| (a - b).powi(2)).sum();
        let mut best: Vec<(f64, usize)> = best.into_iter().map(|(_, j)| (square(j), j)).collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0));
        best
    });
    Ok(Some(exact.collect()))
}

/// Whether each row of `x` lies within the squared radius of a row of `y`. `None` if an interrupt ended it early.
pub(super) fn within(x: &Tensor, y: &Tensor, radii: &[f64]) -> Result<Option<Vec<bool>>> {
    let mut found = vec![false; x.dim(0)?];
    let whole = for_each_row(x, y, &mut found, |inside, _, from, row| {
        *inside |=
            row.iter().zip(&radii[from..]).any(|(&square, radius)| f64::from(square) <= *radius);
    })?;
    Ok(whole.then_some(found))
}

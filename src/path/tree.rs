//! Random access to one Brownian path, without storing it.

use crate::{Error, Result, random::Generator};
use candle_core::{DType, Device, Shape, Tensor};
use std::fmt;

/// Halvings of the whole interval down to the last cells.
const DEPTH: u32 = 24;

/// One Brownian path (or a batch of them) on `[start, end]` that can be asked for its value at any time.
///
/// Nothing but the end is stored. The value at a time is found by Lévy's construction: the interval is halved
/// until a midpoint is the time asked for, and each midpoint is drawn given the two ends of its cell,
/// `W_m | W_a, W_b ~ N((W_a + W_b)/2, (b - a)/4 I)`, from normals that belong to that midpoint. So the same time
/// gives the same bits whatever was asked before, and an adaptive solver that rejects a step meets the same path
/// again. A time costs one draw of the batch a halving.
///
/// After 24 halvings, in a cell of `(end - start) 2⁻²⁴`, the value is
/// `((b - t) W_a + (t - a) W_b)/(b - a) + √((t - a)(b - t)/(b - a)) Z` with one `Z` a cell. What holds exactly: the
/// law of the path at any set of times of which no two lie inside the same last cell (any one time
/// among them). What does not: two times inside one last cell share their `Z`, so between them the path is smooth,
/// not Brownian. (Jelinčič, Foster and Kidger, *Single-seed generation of Brownian paths and integrals for
/// adaptive and high order SDE solvers*, 2024, describe such trees and their last cells.)
///
/// ```
/// use scorebook::{prelude::*, path::BrownianTree};
///
/// let tree = BrownianTree::new(0.0, 2.0, (100, 3), DType::F64, &mut Generator::new(7), &Device::Cpu)?;
/// let early = tree.value(0.3)?;
/// let step = tree.increment(0.3, 1.7)?;
/// let difference = (tree.value(1.7)? - &early)? - step;
/// assert!(difference?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
/// // The same time, the same bits.
/// assert_eq!(tree.value(0.3)?.to_vec2::<f64>()?, early.to_vec2::<f64>()?);
/// assert_eq!(tree.interval(), (0.0, 2.0));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct BrownianTree {
    root: Cell,
    generator: Generator,
}

/// An interval of the tree with the path's values at its ends.
#[derive(Clone)]
struct Cell {
    /// 1 for the whole interval, `2 i` and `2 i + 1` for the halves of cell `i`.
    index: u64,
    times: [f64; 2],
    values: [Tensor; 2],
}

impl BrownianTree {
    /// A path of the shape `[batch, ...]` with `W(start) = 0` and `W(end) ~ N(0, (end - start) I)`.
    ///
    /// The next tree from the same generator is another one.
    ///
    /// # Errors
    /// If `start < end` does not hold for finite times, or `dtype` is no float.
    pub fn new(
        start: f64,
        end: f64,
        shape: impl Into<Shape>,
        dtype: DType,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        if !(start < end && (end - start).is_finite()) {
            let expected = format!("a finite time after `start`, which is {start}");
            return Err(Error::argument("end", end, expected));
        }
        let zero = Tensor::zeros(shape, dtype, device)?;
        let generator = generator.split();
        let z = generator.child(0).normal_like(&zero)?;
        let values = [zero, (z * (end - start).sqrt())?];
        Ok(Self { root: Cell { index: 1, times: [start, end], values }, generator })
    }

    /// The path at the time `t`, `W(t)`.
    ///
    /// # Errors
    /// If `t` is not in `[start, end]`.
    pub fn value(&self, t: f64) -> Result<Tensor> {
        self.check("t", t)?;
        self.descend(self.root.clone(), t)
    }

    /// The increment `W(t) - W(s)`; `t` may lie before `s`.
    ///
    /// It is `value(t) - value(s)`, to the bit; the halvings that the two times share are drawn once.
    ///
    /// # Errors
    /// If `s` or `t` is not in `[start, end]`.
    pub fn increment(&self, s: f64, t: f64) -> Result<Tensor> {
        self.check("s", s)?;
        self.check("t", t)?;
        let mut cell = self.root.clone();
        while !cell.is_last() {
            let middle = cell.middle();
            if s.min(t) < middle && middle < s.max(t) || s == middle || t == middle {
                break;
            }
            cell = self.half(cell, t)?;
        }
        Ok((self.descend(cell.clone(), t)? - self.descend(cell, s)?)?)
    }

    /// The first and the last time.
    pub fn interval(&self) -> (f64, f64) {
        (self.root.times[0], self.root.times[1])
    }

    fn check(&self, name: &'static str, t: f64) -> Result<()> {
        let [start, end] = self.root.times;
        if (start..=end).contains(&t) {
            return Ok(());
        }
        Err(Error::argument(name, t, format!("a time in [{start}, {end}]")))
    }

    /// The path at a time in `cell`.
    fn descend(&self, mut cell: Cell, t: f64) -> Result<Tensor> {
        loop {
            for (time, value) in cell.times.iter().zip(&cell.values) {
                if t == *time {
                    return Ok(value.clone());
                }
            }
            if cell.is_last() {
                return self.bridge(&cell, t);
            }
            cell = self.half(cell, t)?;
        }
    }

    /// The half of `cell` in which `t` lies.
    fn half(&self, cell: Cell, t: f64) -> Result<Cell> {
        let middle = cell.middle();
        let value = self.bridge(&cell, middle)?;
        let ([left, right], [at_left, at_right]) = (cell.times, cell.values);
        Ok(if t < middle {
            Cell { index: 2 * cell.index, times: [left, middle], values: [at_left, value] }
        } else {
            Cell { index: 2 * cell.index + 1, times: [middle, right], values: [value, at_right] }
        })
    }

    /// The path at `t` given the ends of `cell`, with the normals of that cell.
    fn bridge(&self, cell: &Cell, t: f64) -> Result<Tensor> {
        let ([left, right], [at_left, at_right]) = (cell.times, &cell.values);
        let share = (t - left) / (right - left);
        let mean = ((at_left * (1.0 - share))? + (at_right * share)?)?;
        let z = self.generator.child(cell.index).normal_like(at_left)?;
        Ok((mean + (z * ((t - left) * (1.0 - share)).sqrt())?)?)
    }
}

impl Cell {
    fn middle(&self) -> f64 {
        0.5 * (self.times[0] + self.times[1])
    }

    /// Whether it is not halved any more: it is deep enough, or no number lies between its ends.
    fn is_last(&self) -> bool {
        let [left, right] = self.times;
        let middle = self.middle();
        self.index >= 1 << DEPTH || middle <= left || middle >= right
    }
}

impl fmt::Debug for BrownianTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((start, end), dims) = (self.interval(), self.root.values[0].dims());
        write!(f, "BrownianTree on [{start}, {end}] of the shape {dims:?}")
    }
}

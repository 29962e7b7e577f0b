//! Many paths of an SDE whose drift and dispersion are plain functions, in one loop without tensors.

use super::Lanes;
use crate::{
    Error, Result, interrupt,
    path::check_times,
    progress::Progress,
    random::{Generator, NormalGroups},
    tensor::lanes::{LANES, Vectorised, vectorise},
};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Paths that march together: few enough for their states to stay in the nearest cache, and enough for a step's
/// coefficients to be read once for all of them.
const BLOCK: usize = 256;
/// Bundles of sixteen paths in a block.
const BUNDLES: usize = BLOCK / LANES;
/// Blocks that are given out to the threads at a time.
const WAVE: usize = 256;
/// Steps between two looks at whether the states are finite, and at the interrupt flag.
const STRIDE: usize = 32;

/// An Itô SDE `dx = f(x, t) dt + g(x, t) dw` in `D` dimensions whose `f` and `g` are plain functions of numbers.
///
/// [`FusedEulerMaruyama`] runs it some ten times as fast as an [`Sde`](super::Sde) of tensors, sixteen paths in a
/// register. Mark `drift` and `noise` `#[inline(always)]` as below: without it the numbers are the same, but
/// they are computed for the least of all processors. The same happens inside `array::map` and `array::from_fn`; a loop is
/// fine.
///
/// ```
/// use scorebook::{prelude::*, path::time_grid, random::Generator, sde::{FusedEulerMaruyama, FusedSde, Lanes}};
///
/// /// A particle in the double well `(x² - 1)²/4 + y²/2`.
/// struct DoubleWell;
///
/// impl FusedSde<2> for DoubleWell {
///     type Now = ();
///
///     fn now(&self, _t: f64) -> scorebook::Result<()> {
///         Ok(())
///     }
///
///     #[inline(always)]
///     fn drift(&self, [x, y]: [Lanes; 2], _: &()) -> [Lanes; 2] {
///         [x - x * x * x, -y]
///     }
///
///     #[inline(always)]
///     fn noise(&self, _: [Lanes; 2], [dv, dw]: [Lanes; 2], _: &()) -> [Lanes; 2] {
///         [0.5 * dv, 0.5 * dw]
///     }
/// }
///
/// let x0 = Tensor::zeros((10_000, 2), DType::F32, &Device::Cpu)?;
/// let (times, mut generator) = (time_grid(0.0, 10.0, 1000)?, Generator::new(7));
/// let paths = FusedEulerMaruyama::default().solve(&DoubleWell, &x0, &times, &mut generator)?;
/// assert_eq!(paths.end().dims(), [10_000, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait FusedSde<const D: usize>: Sync {
    /// What drift and noise need of the time: made once a step, for all paths. Often `f32` or `()`.
    type Now: Send + Sync;

    /// The coefficients at the time `t`.
    ///
    /// # Errors
    /// If there are none at that time, or the equation has not `D` dimensions.
    fn now(&self, t: f64) -> Result<Self::Now>;

    /// The drift `f(x, t)`.
    fn drift(&self, x: [Lanes; D], now: &Self::Now) -> [Lanes; D];

    /// The noise `g(x, t) dw`: `dw` times a number, coordinate by coordinate, or by a matrix.
    fn noise(&self, x: [Lanes; D], dw: [Lanes; D], now: &Self::Now) -> [Lanes; D];
}

/// The Euler-Maruyama method for a [`FusedSde`]: `x ← x + f(x, t) Δt + g(x, t) ΔW` with `ΔW ~ N(0, |Δt| I)`, in `f32`.
///
/// Steps, noise and paths are in one loop, which is compiled for the widest registers of the processor and
/// spread over threads; `Δt` is signed, so a grid that descends runs an SDE of reverse time. The same
/// generator gives the same bits on any number of threads, and the same paths whether they are kept
/// ([`solve`](Self::solve)) or only their [`statistics`](Self::statistics).
#[derive(Clone, Debug, Default)]
pub struct FusedEulerMaruyama {
    /// The times of the grid at which states are kept, or statistics taken, beside the last one.
    pub save_at: Vec<f64>,
    /// The bins in which [`statistics`](Self::statistics) counts the states, if any.
    pub bins: Option<Bins>,
    /// Show a progress bar.
    pub progress: bool,
}

/// What [`FusedEulerMaruyama::solve`] returns.
///
/// ```
/// // In a process of its own, as every example is: the flag is the whole process's.
/// use scorebook::{prelude::*, diffusion::ForwardSde, interrupt, sde::FusedEulerMaruyama};
///
/// let (sde, times) = (ForwardSde(OrnsteinUhlenbeck::default()), time_grid(0.0, 1.0, 100)?);
/// let x0 = Tensor::zeros((1000, 1), DType::F32, &Device::Cpu)?;
/// interrupt::request();
/// let paths = FusedEulerMaruyama::default().solve::<1>(&sde, &x0, &times, &mut Generator::new(7))?;
/// assert!(paths.interrupted);
/// assert_eq!(paths.end().dims(), [0, 1]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FusedPaths {
    /// The times at which the states were kept, the last one of the grid at the end.
    pub times: Vec<f64>,
    /// The states at these times, each `[paths, D]`.
    pub states: Vec<Tensor>,
    /// Whether an interrupt ended the run early; `states` then hold only the paths that had come to the end.
    pub interrupted: bool,
}

/// Where paths start whose ends are not kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start<const D: usize> {
    /// All at one point.
    Point([f32; D]),
    /// At independent draws of `N(mean, std² I)`.
    Gaussian {
        /// The mean.
        mean: [f32; D],
        /// The standard deviation of each coordinate.
        std: f32,
    },
}

/// Equal bins of `[low, high)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bins {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How many bins.
    pub count: usize,
}

/// What [`FusedEulerMaruyama::statistics`] returns: indices are those of `times`, then the coordinate.
#[derive(Clone, Debug, PartialEq)]
pub struct PathStatistics {
    /// The times of the statistics, the last one of the grid at the end.
    pub times: Vec<f64>,
    /// The paths that they were taken of; fewer than asked for after an interrupt.
    pub paths: usize,
    /// The means.
    pub mean: Vec<Vec<f64>>,
    /// The variances (the mean square of the distance from the mean).
    pub variance: Vec<Vec<f64>>,
    /// The histograms, where bins were given.
    pub histograms: Vec<Vec<Histogram>>,
    /// Whether an interrupt ended the run early.
    pub interrupted: bool,
}

/// How many paths were in each bin.
///
/// ```
/// use scorebook::sde::{Bins, Histogram};
///
/// // Of ten paths two are in no bin.
/// let histogram = Histogram { bins: Bins { low: 0.0, high: 2.0, count: 2 }, counts: vec![6, 2], outside: 2 };
/// assert_eq!(histogram.density(), [(0.5, 0.6), (1.5, 0.2)]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The bins.
    pub bins: Bins,
    /// The paths in each of them.
    pub counts: Vec<u64>,
    /// The paths in none of them.
    pub outside: u64,
}

impl Histogram {
    /// The middle of each bin and the density there, so that all paths, also those outside, weigh 1.
    pub fn density(&self) -> Vec<(f64, f64)> {
        let width = (self.bins.high - self.bins.low) / self.bins.count as f64;
        let total = (self.counts.iter().sum::<u64>() + self.outside) as f64;
        let middle = |i: usize| self.bins.low + (i as f64 + 0.5) * width;
        let share = |(i, count): (usize, &u64)| (middle(i), *count as f64 / (total * width));
        self.counts.iter().enumerate().map(share).collect()
    }
}

impl FusedPaths {
    /// The states at the last time, `[paths, D]`.
    pub fn end(&self) -> &Tensor {
        &self.states[self.states.len() - 1]
    }
}

impl FusedEulerMaruyama {
    /// Solves the SDE from `x0` `[paths, D]` over a grid of times, upward or downward.
    ///
    /// An equation that has every dimension, such as a [`ForwardSde`](crate::diffusion::ForwardSde), needs to be told:
    /// `solver.solve::<2>(...)`.
    ///
    /// # Errors
    /// If the times are not strictly upward or downward, a time to save is none of them, shapes do not fit,
    /// or a state is not finite.
    pub fn solve<const D: usize>(
        &self,
        sde: &impl FusedSde<D>,
        x0: &Tensor,
        times: &[f64],
        generator: &mut Generator,
    ) -> Result<FusedPaths> {
        let paths = match x0.dims() {
            [paths, dim] if *dim == D && *paths > 0 => *paths,
            dims => return Err(Error::shape("x0", dims, format!("[paths, {D}]"))),
        };
        let start = x0.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let start = start.flatten_all()?.to_vec1::<f32>()?;
        let steps = steps(sde, times)?;
        self.course::<D>(times, paths, generator, &|range, group, normals, x| {
            vectorise(March { sde, steps: &steps[range], normals, group, x });
        })?
        .states(&start, x0.device())
    }

    /// Solves the SDE for any number of paths, and keeps only what they are at the times to save on average.
    ///
    /// ```
    /// use scorebook::{
    ///     prelude::*, diffusion::{ForwardSde, OrnsteinUhlenbeck}, path::time_grid, random::Generator,
    ///     sde::{Bins, FusedEulerMaruyama, Start},
    /// };
    ///
    /// // dx = -x dt + dw from 2, for 100,000 paths.
    /// let sde = ForwardSde(OrnsteinUhlenbeck::new(1.0, 1.0, 1.0)?);
    /// let solver = FusedEulerMaruyama {
    ///     save_at: vec![0.5],
    ///     bins: Some(Bins { low: -2.0, high: 4.0, count: 60 }),
    ///     ..Default::default()
    /// };
    /// let (start, times) = (Start::Point([2.0]), time_grid(0.0, 1.0, 200)?);
    /// let seen = solver.statistics(&sde, start, 100_000, &times, &mut Generator::new(7))?;
    /// assert_eq!(seen.times, [0.5, 1.0]);
    /// assert!((seen.mean[1][0] - 2.0 * (-1f64).exp()).abs() < 0.01);
    /// assert_eq!(seen.histograms[1][0].density().len(), 60);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`solve`](Self::solve), and if there are no paths, no bins, or a start that is not finite.
    pub fn statistics<const D: usize>(
        &self,
        sde: &impl FusedSde<D>,
        start: Start<D>,
        paths: usize,
        times: &[f64],
        generator: &mut Generator,
    ) -> Result<PathStatistics> {
        if paths == 0 {
            return Err(Error::argument("paths", paths, "at least 1"));
        }
        if let Some(bins) = self.bins
            && !(bins.count > 0 && bins.low < bins.high && (bins.high - bins.low).is_finite())
        {
            let expected = "at least one bin between two finite ends, `low < high`";
            return Err(Error::argument("bins", format!("{bins:?}"), expected));
        }
        let (mean, std) = match start {
            Start::Point(point) => (point, 0.0),
            Start::Gaussian { mean, std } if std >= 0.0 => (mean, std),
            Start::Gaussian { std, .. } => {
                return Err(Error::argument("std", std, "a standard deviation, at least 0"));
            }
        };
        let steps = steps(sde, times)?;
        let advance = |range, group, normals: &NormalGroups, x: &mut [Lanes]| {
            vectorise(March { sde, steps: &steps[range], normals, group, x });
        };
        let course = self.course::<D>(times, paths, generator, &advance)?;
        let own = generator.normal_groups((paths.div_ceil(BLOCK) * groups(D)) as u64);
        course.statistics(&mean, std, &own, self.bins)
    }

    /// The course of `paths` paths over `times`, with normals of its own.
    fn course<'a, const D: usize>(
        &'a self,
        times: &'a [f64],
        paths: usize,
        generator: &mut Generator,
        advance: &'a Advance<'a>,
    ) -> Result<Course<'a>> {
        check_times(times)?;
        let last = times.len() - 1;
        // Closer than this it is that time, which rounding moved.
        let same = 1e-12 * (times[last] - times[0]).abs();
        let mut stops = Vec::new();
        for save in &self.save_at {
            let Some(stop) = times.iter().position(|t| (t - save).abs() <= same) else {
                let expected = format!(
                    "times of the grid, which has {} from {} to {}",
                    times.len(),
                    times[0],
                    times[last]
                );
                return Err(Error::argument("save_at", save, expected));
            };
            stops.push(stop);
        }
        stops.push(last);
        stops.sort_unstable();
        stops.dedup();
        let count = paths.div_ceil(BLOCK) * last * groups(D);
        let normals = generator.normal_groups(count as u64);
        Ok(Course { dim: D, times, paths, stops, normals, advance, progress: self.progress })
    }
}

/// Groups of 64 normals that a block takes a step.
fn groups(dim: usize) -> usize {
    BLOCK * dim / 64
}

/// A step from a time to the next.
struct Step<N> {
    now: N,
    dt: f32,
    /// `√|Δt|`.
    root: f32,
}

fn steps<const D: usize, S: FusedSde<D>>(sde: &S, times: &[f64]) -> Result<Vec<Step<S::Now>>> {
    check_times(times)?;
    times
        .windows(2)
        .map(|pair| {
            let dt = pair[1] - pair[0];
            Ok(Step { now: sde.now(pair[0])?, dt: dt as f32, root: dt.abs().sqrt() as f32 })
        })
        .collect()
}

/// Takes a block over some of the steps: `advance(steps, first group of normals, normals, states)`.
type Advance<'a> = dyn Fn(Range<usize>, u64, &NormalGroups, &mut [Lanes]) + Sync + 'a;

/// The loop itself. States are `D` lanes for each bundle of sixteen paths.
struct March<'a, const D: usize, S: FusedSde<D>> {
    sde: &'a S,
    steps: &'a [Step<S::Now>],
    normals: &'a NormalGroups,
    group: u64,
    x: &'a mut [Lanes],
}

impl<const D: usize, S: FusedSde<D>> Vectorised for March<'_, D, S> {
    #[inline(always)]
    fn run(self) {
        let mut z = [[Lanes::ZERO; D]; BUNDLES];
        let mut group = self.group;
        for step in self.steps {
            for four in z.as_flattened_mut().chunks_exact_mut(4) {
                let normals = self.normals.group(group);
                for (z, normals) in four.iter_mut().zip(normals.as_chunks::<LANES>().0) {
                    z.0 = *normals;
                }
                group += 1;
            }
            for (x, z) in self.x.as_chunks_mut::<D>().0.iter_mut().zip(&z) {
                // Otherwise LLVM takes one lane of many bundles into a register, instead of the lanes of one.
                std::hint::black_box(());
                // Loops: `array::map` would not be compiled for the instructions of the caller.
                let mut dw = *z;
                for dw in &mut dw {
                    *dw = *dw * step.root;
                }
                let drift = self.sde.drift(*x, &step.now);
                let noise = self.sde.noise(*x, dw, &step.now);
                for i in 0..D {
                    x[i] = drift[i].mul_add(step.dt, x[i] + noise[i]);
                }
            }
        }
    }
}

/// Paths on their way, a block at a time. All that does not depend on the equation.
struct Course<'a> {
    dim: usize,
    times: &'a [f64],
    paths: usize,
    /// The numbers of steps after which states are looked at; the last is that of all steps.
    stops: Vec<usize>,
    normals: NormalGroups,
    advance: &'a Advance<'a>,
    progress: bool,
}

impl Course<'_> {
    /// Keeps the states at the stops.
    fn states(&self, start: &[f32], device: &Device) -> Result<FusedPaths> {
        let size = BLOCK * self.dim;
        let mut kept = vec![vec![0f32; start.len()]; self.stops.len()];
        // For each block, its part of what is kept at each stop.
        let mut parts: Vec<Vec<&mut [f32]>> = start.chunks(size).map(|_| Vec::new()).collect();
        for kept in &mut kept {
            parts.iter_mut().zip(kept.chunks_mut(size)).for_each(|(parts, part)| parts.push(part));
        }
        let parts: Vec<_> = parts.into_iter().map(std::sync::Mutex::new).collect();
        let mut finished = Vec::with_capacity(parts.len());
        let interrupted = self.run(
            |block| {
                let mut x = vec![Lanes::ZERO; BUNDLES * self.dim];
                let from = &start[block * size..start.len().min((block + 1) * size)];
                scatter(from, self.dim, &mut x);
                let mut parts = parts[block].lock().expect("each block is run once");
                let done =
                    self.follow(block, &mut x, |stop, x| gather(x, self.dim, parts[stop]))?;
                Ok(done.then_some(()))
            },
            |block, ()| finished.push(block),
        )?;
        drop(parts);
        let states = kept.into_iter().map(|mut values| {
            if interrupted {
                let rows = finished.iter().flat_map(|block| values.chunks(size).nth(*block));
                values = rows.flatten().copied().collect();
            }
            let shape = (values.len() / self.dim, self.dim);
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_device(device)?)
        });
        Ok(FusedPaths {
            times: self.kept_times(),
            states: states.collect::<Result<_>>()?,
            interrupted,
        })
    }

    /// Keeps moments and counts at the stops.
    fn statistics(
        &self,
        mean: &[f32],
        std: f32,
        own: &NormalGroups,
        bins: Option<Bins>,
    ) -> Result<PathStatistics> {
        let (dim, size) = (self.dim, BLOCK * self.dim);
        let mut total: Vec<Tally> = Vec::new();
        let interrupted = self.run(
            |block| {
                let mut start = vec![0f32; size];
                own.fill((block * groups(dim)) as u64, &mut start);
                for (i, x) in start.iter_mut().enumerate() {
                    *x = std.mul_add(*x, mean[i % dim]);
                }
                let mut x = vec![Lanes::ZERO; BUNDLES * dim];
                scatter(&start, dim, &mut x);
                let mut values = vec![0f32; self.real(block) * dim];
                let mut tallies = Vec::with_capacity(self.stops.len() * dim);
                let done = self.follow(block, &mut x, |_, x| {
                    gather(x, dim, &mut values);
                    tallies.extend((0..dim).map(|i| Tally::of(&values[i..], dim, bins)));
                })?;
                Ok(done.then_some(tallies))
            },
            // In the order of the blocks, so that rounding is the same on any number of threads.
            |_, tallies| {
                if total.is_empty() {
                    total = tallies;
                } else {
                    total.iter_mut().zip(&tallies).for_each(|(total, part)| total.merge(part));
                }
            },
        )?;
        let per_stop = |f: &dyn Fn(&Tally) -> f64| -> Vec<Vec<f64>> {
            total.chunks(dim).map(|tallies| tallies.iter().map(f).collect()).collect()
        };
        let histograms = bins.map_or(vec![], |bins| {
            let histogram = |tally: &Tally| Histogram {
                bins,
                counts: tally.counts.clone(),
                outside: tally.paths as u64 - tally.counts.iter().sum::<u64>(),
            };
            total.chunks(dim).map(|tallies| tallies.iter().map(histogram).collect()).collect()
        });
        Ok(PathStatistics {
            times: self.kept_times(),
            paths: total.first().map_or(0, |tally| tally.paths),
            mean: per_stop(&|tally| tally.mean),
            variance: per_stop(&|tally| tally.squares / tally.paths as f64),
            histograms,
            interrupted,
        })
    }

    fn kept_times(&self) -> Vec<f64> {
        self.stops.iter().map(|stop| self.times[*stop]).collect()
    }

    /// How many paths of a block are asked for; the last one may be filled up with others.
    fn real(&self, block: usize) -> usize {
        BLOCK.min(self.paths - block * BLOCK)
    }

    /// Runs `work` on all blocks and hands what it gave to `gather`, in the order of the blocks. Gives whether an
    /// interrupt left some of them undone.
    fn run<T: Send>(
        &self,
        work: impl Fn(usize) -> Result<Option<T>> + Sync,
        mut gather: impl FnMut(usize, T),
    ) -> Result<bool> {
        let blocks = self.paths.div_ceil(BLOCK);
        let progress =
            self.progress.then(|| Progress::new("Euler-Maruyama, fused", self.paths as u64));
        let mut interrupted = false;
        for first in (0..blocks).step_by(WAVE) {
            let wave = first..blocks.min(first + WAVE);
            let results: Vec<_> = wave.clone().into_par_iter().map(&work).collect();
            for (block, result) in wave.clone().zip(results) {
                match result? {
                    Some(result) => gather(block, result),
                    None => interrupted = true,
                }
            }
            if interrupted {
                break;
            }
            if let Some(progress) = &progress {
                progress.set((wave.end * BLOCK).min(self.paths) as u64, "");
            }
        }
        if let Some(progress) = &progress {
            progress.finish();
        }
        Ok(interrupted)
    }

    /// Takes a block from start to end and shows its states at each stop. `false` after an interrupt.
    fn follow(
        &self,
        block: usize,
        x: &mut [Lanes],
        mut at_stop: impl FnMut(usize, &[Lanes]),
    ) -> Result<bool> {
        let (steps, per_step) = (self.times.len() - 1, groups(self.dim));
        self.check_finite(block, x, 0)?;
        let mut done = 0;
        for (number, stop) in self.stops.iter().enumerate() {
            while done < *stop {
                if interrupt::requested() {
                    return Ok(false);
                }
                let next = (*stop).min(done + STRIDE);
                let group = (block * steps + done) * per_step;
                (self.advance)(done..next, group as u64, &self.normals, x);
                done = next;
                self.check_finite(block, x, done)?;
            }
            at_stop(number, x);
        }
        Ok(true)
    }

    fn check_finite(&self, block: usize, x: &[Lanes], step: usize) -> Result<()> {
        let bundles = x.chunks(self.dim).enumerate();
        let mut real = bundles.flat_map(|(bundle, x)| {
            let lanes = LANES.min(self.real(block).saturating_sub(bundle * LANES));
            x.iter().flat_map(move |x| &x.0[..lanes])
        });
        if real.all(|value| value.is_finite()) {
            return Ok(());
        }
        Err(Error::NotFinite {
            what: "the state".into(),
            at: format!("t = {} or before", self.times[step]),
            remedy: "Take more steps, or look at drift and dispersion there".into(),
        })
    }
}

/// Rows `[paths, dim]` into lanes; those after the last row repeat it.
fn scatter(rows: &[f32], dim: usize, x: &mut [Lanes]) {
    let last = rows.len() / dim - 1;
    for (bundle, x) in x.chunks_mut(dim).enumerate() {
        for (i, x) in x.iter_mut().enumerate() {
            x.0 = std::array::from_fn(|lane| rows[(bundle * LANES + lane).min(last) * dim + i]);
        }
    }
}

/// Lanes into rows `[paths, dim]`, as many as there are.
fn gather(x: &[Lanes], dim: usize, rows: &mut [f32]) {
    for (path, row) in rows.chunks_mut(dim).enumerate() {
        let bundle = &x[path / LANES * dim..];
        row.iter_mut().zip(bundle).for_each(|(value, x)| *value = x.0[path % LANES]);
    }
}

/// Running moments and counts of one coordinate at one time.
struct Tally {
    paths: usize,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
    counts: Vec<u64>,
}

impl Tally {
    /// Of every `stride`-th value.
    fn of(values: &[f32], stride: usize, bins: Option<Bins>) -> Self {
        let values = || values.iter().step_by(stride).map(|x| f64::from(*x));
        let paths = values().count();
        let mean = values().sum::<f64>() / paths as f64;
        let squares = values().map(|x| (x - mean) * (x - mean)).sum();
        let mut counts = vec![0; bins.map_or(0, |bins| bins.count)];
        if let Some(bins) = bins {
            let per_unit = bins.count as f64 / (bins.high - bins.low);
            for x in values().filter(|x| (bins.low..bins.high).contains(x)) {
                counts[(((x - bins.low) * per_unit) as usize).min(bins.count - 1)] += 1;
            }
        }
        Self { paths, mean, squares, counts }
    }

    /// With another's (Chan, Golub and LeVeque 1979).
    fn merge(&mut self, other: &Self) {
        let (n, m) = (self.paths as f64, other.paths as f64);
        let apart = other.mean - self.mean;
        self.mean += apart * m / (n + m);
        self.squares += other.squares + apart * apart * n * m / (n + m);
        self.paths += other.paths;
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
    }
}

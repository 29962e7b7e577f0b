//! Many chains at once: Metropolis-Hastings and Langevin dynamics.

use super::{Langevin, Noise, Point, Proposal, Target, target::Needs};
use crate::{Error, Result, interrupt, progress::Progress, random::Generator, tensor};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use std::time::{Duration, Instant};

/// How long chains run and what is kept of them.
///
/// All chains go on together, each with random numbers of its own; on a target of plain functions they share the threads
/// of the machine, on a target of tensors each step is one evaluation for all of them. Neither changes a bit of the result.
///
/// An interrupt ends the run with `Ok` and [`Trace::interrupted`].
///
/// ```
/// use scorebook::{prelude::*, markov::{Chains, Langevin, Target}};
///
/// // MALA on a bent law of the plane.
/// let target = Target::density(Banana::new(1.0, 0.5, 0.5)?);
/// let chains = Chains { warm_up: 500, draws: 500, adapt: Some(0.57), ..Default::default() };
/// let start = Generator::new(1).normal((100, 2), &Device::Cpu)?;
/// let trace = chains.metropolis_hastings(&target, &Langevin::default(), &start, &mut Generator::new(7))?;
/// assert_eq!(trace.draws.dims(), [500, 100, 2]);
/// let accepted = trace.acceptance.iter().sum::<f64>() / 100.0;
/// assert!((accepted - 0.57).abs() < 0.05);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// An interrupt keeps what was drawn:
///
/// ```
/// use scorebook::{prelude::*, interrupt, markov::{Chains, RandomWalk, Target}};
///
/// let target = Target::tensors(1, |x| {
///     if x.to_vec2::<f32>()?[0][0].abs() > 2.0 {
///         interrupt::request();
///     }
///     Ok((x.sqr()?.sum(1)? * -0.5)?)
/// });
/// let chains = Chains { draws: 1_000_000, ..Default::default() };
/// let start = Tensor::zeros((2, 1), DType::F32, &Device::Cpu)?;
/// let trace = chains.metropolis_hastings(&target, &RandomWalk::new(1.0)?, &start, &mut Generator::new(7))?;
/// assert!(trace.interrupted && trace.draws.dims()[0] < 1_000_000);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chains {
    /// Steps at the beginning of which nothing is kept.
    pub warm_up: usize,
    /// States to keep of each chain.
    pub draws: usize,
    /// Keep every so many-th state.
    pub thin: usize,
    /// Tune the step of the proposal during warm-up, and only then, until this share of candidates is accepted. Each
    /// chain has its own step, found by stochastic approximation.
    pub adapt: Option<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 1000 draws after 1000 steps of warm-up; every state is kept, and no step tuned.
impl Default for Chains {
    fn default() -> Self {
        Self { warm_up: 1000, draws: 1000, thin: 1, adapt: None, progress: false }
    }
}

/// What a run of chains returns.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The states kept, `[draws, chains, dim]`, of the type of the start.
    pub draws: Tensor,
    /// The last states, `[chains, dim]`: another run can start from them.
    pub state: Tensor,
    /// The share of candidates that each chain accepted after warm-up.
    pub acceptance: Vec<f64>,
    /// What warm-up multiplied the proposal's step by, for each chain: 1 where nothing was tuned.
    pub factors: Vec<f64>,
    /// Whether an interrupt ended the run early.
    pub interrupted: bool,
}

impl Chains {
    /// The Metropolis-Hastings algorithm: from `x` draw `y ~ Q(·|x)`, go there with the probability
    /// `a = min(1, p(y) Q(x|y) / (p(x) Q(y|x)))`, stay otherwise (note 000; Hastings, Biometrika 57, 1970).
    ///
    /// `p` is then stationary: detailed balance `p(x) P(y|x) = p(y) P(x|y)` holds for `P(y|x) = a Q(y|x)`. That the chain
    /// *converges* to it needs more, which the note does not say: every place must be within reach of every other.
    ///
    /// `start` is `[chains, dim]`; its type and device are those of the tensors that a target of tensors is given.
    ///
    /// # Errors
    /// If a setting is out of its range, shapes do not fit, the log-density is not finite at the start of a chain, or it
    /// becomes NaN or `+∞` (`-∞` is a place outside the support, and never entered).
    pub fn metropolis_hastings<P: Proposal>(
        &self,
        target: &Target,
        proposal: &P,
        start: &Tensor,
        generator: &mut Generator,
    ) -> Result<Trace> {
        proposal.check(target.dim())?;
        Plan { settings: self, target, proposal, corrected: true }.run(start, generator)
    }

    /// Langevin dynamics, `x ← x + ε ∇ln p(x) + √(2ε) z`, every step of it taken; gradient ascent where
    /// [`Langevin::noise`] is 0.
    ///
    /// Its stationary law is not `p` but off by O(ε): for `N(0, 1)` it is `N(0, 1/(1 - ε/2))`. Steps that are too long for
    /// the steepest place make it explode. `start` is `[chains, dim]`, as for
    /// [`metropolis_hastings`](Self::metropolis_hastings).
    ///
    /// ```
    /// use scorebook::{prelude::*, markov::{Chains, Langevin, Target}};
    ///
    /// // N(0, 1) by its score alone.
    /// let target = Target::score(1, |x| Ok(x.neg()?));
    /// let chains = Chains { warm_up: 20, draws: 1, ..Default::default() };
    /// let start = Tensor::zeros((20_000, 1), DType::F64, &Device::Cpu)?;
    /// let langevin = Langevin { step: 0.5, ..Default::default() };
    /// let trace = chains.langevin(&target, &langevin, &start, &mut Generator::new(7))?;
    /// // The variance is not 1 but 1/(1 - ε/2).
    /// let variance = trace.state.sqr()?.mean_all()?.to_scalar::<f64>()?;
    /// assert!((variance - 4.0 / 3.0).abs() < 0.08);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of its range (`adapt` has nothing to steer by here), shapes do not fit, or a state or score is
    /// not finite (the error names the step).
    pub fn langevin(
        &self,
        target: &Target,
        langevin: &Langevin,
        start: &Tensor,
        generator: &mut Generator,
    ) -> Result<Trace> {
        langevin.check_dynamics(target.dim())?;
        Plan { settings: self, target, proposal: langevin, corrected: false }.run(start, generator)
    }
}

/// What all chains of a run have in common. Metropolis-Hastings and Langevin dynamics are one loop, with correction and
/// without.
struct Plan<'a, P> {
    settings: &'a Chains,
    target: &'a Target,
    proposal: &'a P,
    corrected: bool,
}

impl<P: Proposal> Plan<'_, P> {
    fn run(&self, start: &Tensor, generator: &mut Generator) -> Result<Trace> {
        self.check(start)?;
        let Chains { warm_up, draws, thin, .. } = *self.settings;
        let (chains, dim) = (start.dims()[0], self.target.dim());
        let states = tensor::values(start)?;
        let width = states.len();
        let steps = draws.checked_mul(thin).and_then(|steps| steps.checked_add(warm_up));
        let size = draws.checked_mul(width).filter(|n| Vec::<f64>::new().try_reserve(*n).is_ok());
        let (Some(steps), Some(size)) = (steps, size) else {
            return Err(Error::argument("draws", draws, "a number whose states fit into memory"));
        };
        let mut draws = vec![0.0; size];

        // Independent chains may run at different times; a function of tensors wants to see them all at once.
        let together = if self.target.is_pointwise() { 1 } else { chains };
        let streams = generator.split();
        let place = (start.dtype(), start.device());
        let mut blocks: Vec<Block<P>> = states
            .chunks(together * dim)
            .enumerate()
            .map(|(k, states)| Block::new(self, place, states, k * together, &streams))
            .collect();
        first_error(blocks.par_iter_mut().map(Block::begin).collect())?;

        let label = if self.corrected { "Metropolis-Hastings" } else { "Langevin dynamics" };
        let progress = self.settings.progress.then(|| Progress::new(label, steps as u64));
        let (mut done, mut stride, mut kept, mut interrupted) = (0, 1, 0, false);
        while done < steps {
            if interrupt::requested() {
                interrupted = true;
                break;
            }
            // All blocks stop at the same step, often enough to be interrupted and for what they keep to stay in the cache,
            // seldom enough to cost nothing. How often depends on the machine; the result does not.
            let end = steps.min(done + stride);
            let begun = Instant::now();
            first_error(blocks.par_iter_mut().map(|block| block.advance(done..end)).collect())?;
            done = end;
            let rows = blocks[0].kept.len() / blocks[0].x.len();
            draws[kept * width..][..rows * width]
                .par_chunks_exact_mut(width)
                .enumerate()
                .for_each(|(k, row)| Block::copy_row(&blocks, k, row));
            blocks.iter_mut().for_each(|block| block.kept.clear());
            kept += rows;
            if begun.elapsed() < Duration::from_millis(20) {
                stride = (2 * stride).min(1024);
            } else if begun.elapsed() > Duration::from_millis(80) {
                stride = (stride / 2).max(1);
            }
            if let Some(progress) = &progress {
                progress.set(done as u64, "");
            }
        }
        if let Some(progress) = &progress {
            progress.finish();
        }
        draws.truncate(kept * width);
        let after = done.saturating_sub(warm_up).max(1) as f64;
        let (mut states, mut acceptance, mut factors) = (vec![], vec![], vec![]);
        for block in blocks {
            states.extend(block.x);
            acceptance.extend(block.accepted.iter().map(|n| *n as f64 / after));
            factors.extend(block.tuning.iter().map(|tuning| tuning.factor));
        }
        let tensor = |values: Vec<f64>, shape: &[usize]| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?
                .to_dtype(start.dtype())?
                .to_device(start.device())?)
        };
        let draws = tensor(draws, &[kept, chains, dim])?;
        let state = tensor(states, start.dims())?;
        Ok(Trace { draws, state, acceptance, factors, interrupted })
    }

    fn check(&self, start: &Tensor) -> Result<()> {
        let Self { settings, target, proposal, corrected } = *self;
        if settings.thin == 0 {
            return Err(Error::argument("thin", 0, "at least 1"));
        }
        if let Some(wanted) = settings.adapt {
            let remedy = if !corrected {
                "`None`: where no candidate is rejected there is nothing to steer by"
            } else if !(wanted > 0.0 && wanted < 1.0) {
                "a share between 0 and 1"
            } else if settings.warm_up == 0 {
                "`None` where there is no warm-up"
            } else if proposal.rescaled(1.0).is_none() {
                "`None`: this proposal has no step"
            } else {
                ""
            };
            if !remedy.is_empty() {
                return Err(Error::argument("adapt", wanted, remedy));
            }
        }
        let dim = target.dim();
        match start.dims() {
            [chains, columns] if *chains > 0 && *columns == dim && dim > 0 => {}
            dims => return Err(Error::shape("start", dims, format!("[chains, {dim}]"))),
        }
        if !matches!(start.dtype(), DType::F32 | DType::F64) {
            return Err(Error::argument("start", start.dtype().as_str(), "a tensor of f32 or f64"));
        }
        target.check(self.needs())
    }

    fn needs(&self) -> Needs {
        Needs { log_density: self.corrected, score: self.proposal.uses_score() }
    }
}

/// The error of the lowest index, so that which one it is does not depend on the threads.
fn first_error(results: Vec<Result<()>>) -> Result<()> {
    results.into_iter().collect()
}

/// Chains that are evaluated together, with all they need to go on.
struct Block<'a, P> {
    plan: &'a Plan<'a, P>,
    /// What tensors are made of, and where.
    place: (DType, &'a Device),
    /// The number of the first chain.
    first: usize,
    /// The proposal of each chain, where they have been tuned.
    tuned: Vec<P>,
    tuning: Vec<Tuning>,
    noise: Vec<Noise>,
    dim: usize,
    x: Vec<f64>,
    score: Vec<f64>,
    log_density: Vec<f64>,
    /// The candidates, and the same of them.
    y: Vec<f64>,
    score_at_y: Vec<f64>,
    log_density_at_y: Vec<f64>,
    accepted: Vec<u64>,
    /// States kept since they were last taken away, `[draws, chains of the block, dim]`.
    kept: Vec<f64>,
}

impl<'a, P: Proposal> Block<'a, P> {
    fn new(
        plan: &'a Plan<'a, P>,
        place: (DType, &'a Device),
        states: &[f64],
        first: usize,
        streams: &Generator,
    ) -> Self {
        let dim = plan.target.dim();
        let chains = states.len() / dim;
        Self {
            plan,
            place,
            first,
            tuned: Vec::new(),
            tuning: vec![Tuning::default(); chains],
            noise: (first..first + chains)
                .map(|chain| Noise::new(&streams.child(chain as u64)))
                .collect(),
            dim,
            x: states.to_vec(),
            score: vec![0.0; states.len()],
            log_density: vec![0.0; chains],
            y: states.to_vec(),
            score_at_y: vec![0.0; states.len()],
            log_density_at_y: vec![0.0; chains],
            accepted: vec![0; chains],
            kept: Vec::new(),
        }
    }

    /// Evaluates the target at the start.
    fn begin(&mut self) -> Result<()> {
        let remedy = "Start every chain inside the support of the target";
        if let Some(i) = self.x.iter().position(|x| !x.is_finite()) {
            return Err(self.not_finite("the state", i / self.dim, "the start", remedy));
        }
        self.evaluate()?;
        for i in 0..self.accepted.len() {
            if self.plan.corrected && !self.log_density_at_y[i].is_finite() {
                return Err(self.not_finite("the log-density", i, "the start", remedy));
            }
            self.check_score(i, "the start")?;
        }
        std::mem::swap(&mut self.score, &mut self.score_at_y);
        std::mem::swap(&mut self.log_density, &mut self.log_density_at_y);
        Ok(())
    }

    fn advance(&mut self, steps: std::ops::Range<usize>) -> Result<()> {
        let Chains { warm_up, thin, adapt, .. } = *self.plan.settings;
        for step in steps {
            if step == warm_up && adapt.is_some() {
                self.tuning.iter_mut().for_each(Tuning::settle);
                self.tune();
            }
            self.step(step)?;
            if step >= warm_up && (step + 1 - warm_up) % thin == 0 {
                self.kept.extend_from_slice(&self.x);
            }
        }
        Ok(())
    }

    /// The states number `k` of what all blocks have kept, one after another.
    fn copy_row(blocks: &[Self], k: usize, mut row: &mut [f64]) {
        for block in blocks {
            let size = block.x.len();
            let part;
            (part, row) = row.split_at_mut(size);
            part.copy_from_slice(&block.kept[k * size..(k + 1) * size]);
        }
    }

    /// One step of every chain.
    fn step(&mut self, step: usize) -> Result<()> {
        let dim = self.dim;
        for (i, (y, noise)) in self.y.chunks_exact_mut(dim).zip(&mut self.noise).enumerate() {
            let of_chain = i * dim..(i + 1) * dim;
            let from = Point { x: &self.x[of_chain.clone()], score: &self.score[of_chain] };
            self.tuned.get(i).unwrap_or(self.plan.proposal).propose(from, noise, y);
        }
        self.evaluate()?;
        let warming = step < self.plan.settings.warm_up;
        for i in 0..self.accepted.len() {
            let probability = self.acceptance(i, step)?;
            let of_chain = i * dim..(i + 1) * dim;
            // Without correction no number is drawn, nor needed.
            if !self.plan.corrected || self.noise[i].uniform() < probability {
                self.x[of_chain.clone()].copy_from_slice(&self.y[of_chain.clone()]);
                self.score[of_chain.clone()].copy_from_slice(&self.score_at_y[of_chain]);
                self.log_density[i] = self.log_density_at_y[i];
                self.accepted[i] += u64::from(!warming);
            }
            if let (true, Some(wanted)) = (warming, self.plan.settings.adapt) {
                self.tuning[i].learn(probability, wanted, step, self.plan.settings.warm_up);
            }
        }
        if warming && self.plan.settings.adapt.is_some() {
            self.tune();
        }
        Ok(())
    }

    /// The probability `a` with which chain `i` takes its candidate.
    #[inline]
    fn acceptance(&self, i: usize, step: usize) -> Result<f64> {
        let remedy = "Look at the target there, or take shorter steps";
        if !self.plan.corrected {
            if self.y[i * self.dim..(i + 1) * self.dim].iter().any(|y| !y.is_finite()) {
                return Err(self.not_finite("the state", i, format!("step {step}"), remedy));
            }
            self.check_score(i, format_args!("step {step}"))?;
            return Ok(1.0);
        }
        let log_density = self.log_density_at_y[i];
        if log_density == f64::NEG_INFINITY {
            return Ok(0.0);
        }
        if !log_density.is_finite() {
            let at = format!("a candidate of step {step}");
            return Err(self.not_finite("the log-density", i, at, remedy));
        }
        self.check_score(i, format_args!("a candidate of step {step}"))?;
        let of_chain = i * self.dim..(i + 1) * self.dim;
        let from = Point { x: &self.x[of_chain.clone()], score: &self.score[of_chain.clone()] };
        let to = Point { x: &self.y[of_chain.clone()], score: &self.score_at_y[of_chain] };
        let proposal = self.tuned.get(i).unwrap_or(self.plan.proposal);
        let log_ratio = log_density - self.log_density[i] + proposal.log_ratio(from, to);
        if log_ratio.is_nan() {
            let at = format!("step {step}");
            return Err(self.not_finite("the proposal's ratio", i, at, remedy));
        }
        Ok(log_ratio.min(0.0).exp())
    }

    /// Evaluates the target at the candidates.
    fn evaluate(&mut self) -> Result<()> {
        let (log_density, score) = (&mut self.log_density_at_y, &mut self.score_at_y);
        self.plan.target.evaluate(&self.y, self.place, self.plan.needs(), log_density, score)
    }

    /// Gives every chain the proposal that its tuning has found.
    fn tune(&mut self) {
        let proposals = self.tuning.iter().map(|tuning| self.plan.proposal.rescaled(tuning.factor));
        self.tuned = proposals.collect::<Option<_>>().unwrap_or_default();
    }

    fn check_score(&self, i: usize, at: impl std::fmt::Display) -> Result<()> {
        let score = &self.score_at_y[i * self.dim..(i + 1) * self.dim];
        if !self.plan.proposal.uses_score() || score.iter().all(|s| s.is_finite()) {
            return Ok(());
        }
        let remedy = "Look at the target there, or take shorter steps";
        Err(self.not_finite("the score", i, at, remedy))
    }

    #[cold]
    fn not_finite(&self, what: &str, i: usize, at: impl std::fmt::Display, remedy: &str) -> Error {
        let y = &self.y[i * self.dim..(i + 1) * self.dim];
        let at = format!("{at}, at {:?}", &y[..y.len().min(4)]);
        let what = format!("{what} of chain {}", self.first + i);
        Error::NotFinite { what, at, remedy: remedy.into() }
    }
}

/// Stochastic approximation of the step at which the wanted share is accepted (Robbins and Monro; for this use
/// Andrieu and Thoms, Statist. Comput. 18, 2008, algorithm 4).
#[derive(Clone, Debug)]
struct Tuning {
    factor: f64,
    log_factor: f64,
    /// Over the second half of warm-up, whose mean is what is kept.
    sum: f64,
    count: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { factor: 1.0, log_factor: 0.0, sum: 0.0, count: 0.0 }
    }
}

impl Tuning {
    fn learn(&mut self, probability: f64, wanted: f64, step: usize, warm_up: usize) {
        let gain = ((step + 1) as f64).powf(-0.6) / (wanted * (1.0 - wanted));
        self.log_factor += gain * (probability - wanted);
        self.factor = self.log_factor.exp();
        if 2 * step >= warm_up {
            self.sum += self.log_factor;
            self.count += 1.0;
        }
    }

    fn settle(&mut self) {
        self.factor = (self.sum / self.count.max(1.0)).exp();
    }
}

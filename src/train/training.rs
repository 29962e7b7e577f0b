//! The training loop.

use super::ahead::{Batch, made_ahead};
use super::validation::HeldOut;
use super::{Log, LossByTime, Report, Source, Step, TrainingSettings, Validation};
use crate::random::Generator;
use crate::score::{Condition, Network};
use crate::tensor::{Parameters, autocast, average_into, sum_of_squares, values};
use crate::{Error, Result, interrupt};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use std::time::Instant;

/// A training of a network by denoising score matching: its state between steps.
///
/// The network's variables are trained in place, so the network that was handed in learns. Every step is a function of
/// the state and the seed: a training that was saved and resumed ends with the same weights, bit for bit, as one that
/// went on.
///
/// ```
/// use scorebook::{diffusion::VariancePreserving, prelude::*, random::Generator};
/// use scorebook::score::{Mlp, MlpSettings};
/// use scorebook::train::{Training, TrainingSettings};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let settings = MlpSettings { hidden: 32, layers: 2, ..Default::default() };
/// let network = Mlp::new(settings, process, &mut generator, &Device::Cpu)?;
/// let data = (generator.normal((1000, 2), &Device::Cpu)? * 0.1)?;
/// let settings = TrainingSettings { learning_rate: 1e-2, warmup: 10, ..Default::default() };
/// let mut training = Training::new(&network, settings)?;
/// let report = training.run(&data, 200, |_| {})?;
/// let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
/// assert!(mean(&report.losses[150..]) < 0.6 * mean(&report.losses[..10]));
/// // The average of the weights, to sample with, follows those that are trained.
/// assert_eq!(training.step(), 200);
/// let bias = |network: &Mlp| -> scorebook::Result<_> { Ok(network.parameters().get("out.bias")?.to_vec1::<f32>()?) };
/// assert_ne!(bias(training.average())?, bias(training.network())?);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Training<N: Network + Clone> {
    pub(super) settings: TrainingSettings,
    pub(super) network: N,
    pub(super) average: N,
    /// What the optimiser keeps between steps.
    pub(super) moments: Vec<Parameters>,
    /// A bound on the first moments, but for what gradients clipped as the settings have it have brought since.
    pub(super) largest_moment: f64,
    pub(super) step: u64,
    /// The least loss on the held-out samples, and after which step it was.
    pub(super) best: Option<(u64, f64)>,
    held_out: Option<HeldOut>,
    log: Option<Log>,
}

impl<N: Network + Clone> Training<N> {
    /// A training that starts from the network's present weights.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(network: &N, settings: TrainingSettings) -> Result<Self> {
        settings.check()?;
        let moments = settings.optimizer.moments().iter();
        let moments = moments.map(|_| network.parameters().zeros_like()).collect::<Result<_>>()?;
        Ok(Self {
            settings,
            average: network.copy()?,
            moments,
            largest_moment: 0.0,
            network: network.clone(),
            step: 0,
            best: None,
            held_out: None,
            log: None,
        })
    }

    /// From now on looks at the loss on samples of `source`, which should not be those that are trained on. It does not
    /// change what the training does, but for its early end where that is asked for.
    ///
    /// ```
    /// use scorebook::prelude::*;
    /// use scorebook::train::Validation;
    ///
    /// let mut generator = Generator::new(1);
    /// let law = Mixture::ring(8, 2., 0.15)?;
    /// let process = VariancePreserving::default().into();
    /// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
    /// let mut training = Training::new(&network, TrainingSettings::default())?;
    /// training.validate_on(&law, Validation { every: 10, ..Default::default() })?;
    /// let report = training.run(&law, 25, |_| {})?;
    /// let (step, loss) = &report.validations[1];
    /// assert_eq!((*step, loss.bins.len()), (20, 10));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a number is 0 or the source has no samples.
    pub fn validate_on(&mut self, source: &dyn Source, validation: Validation) -> Result<()> {
        let generator = Generator::new(self.settings.seed).child(2);
        let t_min = self.settings.loss.t_min;
        let network = &self.network;
        self.held_out = Some(HeldOut::draw(validation, source, network, t_min, &generator)?);
        Ok(())
    }

    /// From now on writes every step to `log`.
    pub fn log_to(&mut self, log: Log) {
        self.log = Some(log);
    }

    /// The settings.
    pub fn settings(&self) -> &TrainingSettings {
        &self.settings
    }

    /// How many steps have been made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The network that is trained.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The network with the moving average of the weights: the one to sample with.
    pub fn average(&self) -> &N {
        &self.average
    }

    /// Makes `steps` more steps on batches of `source`, telling `watch` of each.
    ///
    /// Stops early, with all that was learned kept, where an interrupt is asked for (see [`crate::interrupt`]).
    ///
    /// # Errors
    /// If the source's samples do not fit the network, or the loss, its gradient or the weights are no longer finite;
    /// weights, average and optimiser are then those of the last good step. If the loss on held-out samples is not finite
    /// or the log cannot be written: the step is then made.
    pub fn run(
        &mut self,
        source: &dyn Source,
        steps: u64,
        mut watch: impl FnMut(&Step),
    ) -> Result<Report> {
        let TrainingSettings { batch, seed, .. } = self.settings;
        let (network, first) = (self.network.clone(), self.step);
        let make = |step| Batch::of(source, &network, step, batch, seed);
        made_ahead(first..first + steps, make, |next| self.run_through(next, &mut watch))
    }

    /// A step for each batch.
    fn run_through(
        &mut self,
        next: &mut dyn FnMut() -> Option<Result<Batch>>,
        watch: &mut dyn FnMut(&Step),
    ) -> Result<Report> {
        let start = Instant::now();
        let mut report = Report { begin: self.step, ..Default::default() };
        let mut validating = 0.0;
        while let Some(batch) = next() {
            let Some((loss, gradient_norm)) = self.advance(&batch?)? else {
                report.interrupted = true;
                break;
            };
            let samples = (self.step - report.begin) as f64 * self.settings.batch as f64;
            let throughput = samples / (start.elapsed().as_secs_f64() - validating);
            let begun = Instant::now();
            let validation = self.validate()?;
            validating += begun.elapsed().as_secs_f64();
            let step = Step {
                step: self.step,
                loss,
                gradient_norm,
                learning_rate: self.settings.learning_rate_at(self.step),
                throughput,
                validation,
            };
            report.add(&step);
            watch(&step);
            if let Some(log) = &self.log {
                log.write(&step)?;
            }
            if step.validation.is_some() && self.is_out_of_patience() {
                report.stopped_early = true;
                break;
            }
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The loss on the held-out samples, where it is due; an interrupt leaves it out.
    fn validate(&mut self) -> Result<Option<LossByTime>> {
        let Some(held_out) = &self.held_out else { return Ok(None) };
        if !self.step.is_multiple_of(held_out.settings.every) {
            return Ok(None);
        }
        let found = held_out.loss(&self.average)?;
        if found.interrupted {
            return Ok(None);
        }
        if !found.loss.is_finite() {
            return Err(Error::NotFinite {
                what: "the loss on held-out samples".into(),
                at: format!("step {}", self.step),
                remedy: "Check these samples for NaN, or take a smaller learning rate".into(),
            });
        }
        if self.best.is_none_or(|(_, least)| found.loss < least) {
            self.best = Some((self.step, found.loss));
        }
        Ok(Some(found))
    }

    fn is_out_of_patience(&self) -> bool {
        let patience = self.held_out.as_ref().and_then(|held_out| held_out.settings.patience);
        let waited = self.best.map(|(step, _)| self.step - step);
        patience.zip(waited).is_some_and(|(patience, waited)| waited >= patience)
    }

    /// One step; its loss and its gradient's norm. `None` if an interrupt came before it was made.
    fn advance(&mut self, batch: &Batch) -> Result<Option<(f64, f64)>> {
        let Some((loss, gradients)) = self.gradients(batch)? else { return Ok(None) };
        let norm = sum_of_squares(gradients.iter().flatten())?.sqrt();
        let lost = |what: &str| {
            Error::NotFinite {
            what: what.into(),
            at: format!("step {}", self.step + 1),
            remedy: "Check the data for NaN, or take a smaller learning rate; the weights are those of the step before".into(),
        }
        };
        if !loss.is_finite() {
            return Err(lost("the loss"));
        }
        if !norm.is_finite() {
            return Err(lost("the gradient"));
        }
        let TrainingSettings { clip, optimizer, .. } = self.settings;
        let rate = self.settings.learning_rate_at(self.step + 1);
        let before = match optimizer.stays_finite(rate, clip, self.largest_moment) {
            true => None,
            false => Some(self.state().map(Parameters::copy).collect::<Result<Vec<_>>>()?),
        };
        let scale = (clip / norm.max(f64::MIN_POSITIVE)).min(1.0);
        self.update(&gradients, scale)?;
        if let Some(before) = before
            && !self.weights_are_finite()?
        {
            self.state().zip(&before).try_for_each(|(now, before)| now.take_values_of(before))?;
            return Err(lost("a weight"));
        }
        self.step += 1;
        let decay = self.settings.decay_at(self.step);
        let weights = self.network.parameters().iter();
        for ((_, average), (_, weight)) in self.average.parameters().iter().zip(weights) {
            average_into(average, weight.as_tensor(), decay)?;
        }
        Ok(Some((loss, norm)))
    }

    /// The loss of the next batch and its gradient, one for each of the network's variables.
    fn gradients(&self, of: &Batch) -> Result<Option<(f64, Vec<Option<Tensor>>)>> {
        let TrainingSettings { batch, accumulate, loss, bf16, seed, .. } = &self.settings;
        let generator = Generator::new(*seed);
        let (parameters, x0) = (self.network.parameters(), &of.x0);
        let mut noise = generator.child(1).child(self.step);
        let noise = loss.draw_noise(&self.network.process(), x0, &mut noise)?;
        let condition = self.condition(of.labels.as_ref(), &generator.child(3).child(self.step))?;
        let (mut total, mut sums) = (0.0, vec![None; parameters.iter().count()]);
        for part in 0..*accumulate {
            if interrupt::requested() {
                return Ok(None);
            }
            let size = batch / accumulate;
            let x0 = x0.narrow(0, part * size, size)?;
            let (noise, condition) =
                (noise.part(part * size, size)?, condition.part(part * size, size)?);
            let loss = autocast(*bf16, || noise.loss(&self.network, &x0, &condition))?;
            let loss = (loss / *accumulate as f64)?;
            let gradients = loss.backward()?;
            total += values(&loss)?[0];
            add(&mut sums, parameters, &gradients)?;
        }
        Ok(Some((total, sums)))
    }

    /// What the network is told of the next batch: its labels, some of them left out, and what it drops.
    fn condition(&self, labels: Option<&Tensor>, drawn: &Generator) -> Result<Condition> {
        let TrainingSettings { batch, label_drop, .. } = &self.settings;
        let drop = |labels: &Tensor| {
            label_drop.apply(labels, self.network.attributes(), &mut drawn.child(0))
        };
        let dropout = drawn.child(1);
        let dropout = (0..*batch as u64).map(|sample| dropout.child(sample)).collect();
        Ok(Condition { labels: labels.map(drop).transpose()?, dropout: Some(dropout) })
    }

    /// The optimiser's step with `scale` times the gradients.
    fn update(&self, gradients: &[Option<Tensor>], scale: f64) -> Result<()> {
        let step = self.step + 1;
        let rate = self.settings.learning_rate_at(step);
        let mut moments: Vec<_> = self.moments.iter().map(|set| set.iter()).collect();
        for ((_, weight), gradient) in self.network.parameters().iter().zip(gradients) {
            let moments: Vec<&Var> =
                moments.iter_mut().filter_map(|set| set.next()).map(|(_, moment)| moment).collect();
            if let Some(gradient) = gradient {
                self.settings.optimizer.update(step, rate, scale, weight, gradient, &moments)?;
            }
        }
        Ok(())
    }

    /// What an update changes.
    fn state(&self) -> impl Iterator<Item = &Parameters> {
        std::iter::once(self.network.parameters()).chain(&self.moments)
    }

    /// Finds out how large the moments are, which the settings of before have made.
    pub(super) fn measure_moments(&mut self) -> Result<()> {
        let first = self.moments.iter().take(1).flat_map(|set| set.iter());
        let mut largest = 0f64;
        for (_, moment) in first {
            largest = largest.max(sum_of_squares(std::iter::once(moment.as_tensor()))?.sqrt());
        }
        self.largest_moment = largest;
        Ok(())
    }

    /// Only the weights can overflow: gradients are clipped, so moments stay bounded, and averages lie between weights.
    fn weights_are_finite(&self) -> Result<bool> {
        let weights = self.network.parameters().iter();
        let sums = weights.map(|(_, weight)| Ok(weight.as_detached_tensor().sum_all()?));
        Ok(scalars(sums.collect::<Result<_>>()?)?.iter().all(|sum| sum.is_finite()))
    }
}

/// Adds the gradients of the variables to their sums.
fn add(sums: &mut [Option<Tensor>], parameters: &Parameters, gradients: &GradStore) -> Result<()> {
    for (sum, (_, weight)) in sums.iter_mut().zip(parameters.iter()) {
        let Some(gradient) = gradients.get(weight) else { continue };
        let gradient = gradient.detach();
        *sum = Some(match sum.take() {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        });
    }
    Ok(())
}

/// The values of tensors of one number each, fetched from their device at once.
fn scalars(tensors: Vec<Tensor>) -> Result<Vec<f64>> {
    match tensors.is_empty() {
        true => Ok(vec![]),
        false => values(&Tensor::stack(&tensors, 0)?),
    }
}

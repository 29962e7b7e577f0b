//! Batches that are made while the step before is.

use super::Source;
use super::labels::labels_of;
use crate::random::Generator;
use crate::score::Network;
use crate::{Error, Result};
use candle_core::Tensor;
use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::thread;

/// The samples of a step, in the network's type and on its device, and their labels where the network takes any.
pub(super) struct Batch {
    pub x0: Tensor,
    pub labels: Option<Tensor>,
}

impl Batch {
    /// The batch of one step.
    pub fn of(
        source: &dyn Source,
        network: &dyn Network,
        step: u64,
        size: usize,
        seed: u64,
    ) -> Result<Self> {
        let order = Generator::new(seed).child(0);
        let parameters = network.parameters();
        let x0 = source.batch(step, size, &order, &parameters.device())?;
        if x0.dims().first() != Some(&size) {
            return Err(Error::shape("x0", x0.dims(), format!("[{size}, ...], the batch")));
        }
        let x0 = x0.to_dtype(parameters.dtype())?;
        Ok(Self { x0, labels: labels_of(source, network, step, size, &order)? })
    }
}

/// Calls `run(next)`, where `next` gives the batch of each step in turn; the next one is made, and brought to the device,
/// on a thread of its own while the one before is used.
pub(super) fn made_ahead<R>(
    steps: Range<u64>,
    make: impl Fn(u64) -> Result<Batch> + Sync,
    run: impl FnOnce(&mut dyn FnMut() -> Option<Result<Batch>>) -> R,
) -> R {
    if steps.end - steps.start <= 1 {
        let mut steps = steps;
        return run(&mut || steps.next().map(&make));
    }
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        let make = &make;
        // It ends with the steps, or as soon as nobody receives.
        scope.spawn(move || steps.map(make).try_for_each(|batch| sender.send(batch)));
        let result = run(&mut || receiver.recv().ok());
        drop(receiver);
        result
    })
}

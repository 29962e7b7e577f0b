//! Memory that is used again.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

/// Memory for the maps of a network, used again from pass to pass: the system has to clear every page of fresh memory.
///
/// A clone shares it. What is taken comes back when it is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffers(Arc<Mutex<Free>>);

#[derive(Debug, Default)]
struct Free {
    /// Each with the number of the taking before which it came back.
    buffers: Vec<(u64, Vec<f32>)>,
    takings: u64,
}

/// After so many takings of others a buffer is given back to the system: the sizes have changed.
const PATIENCE: u64 = 4096;

impl Buffers {
    /// Room for `len` numbers, whose values are whatever was there.
    pub fn take(&self, len: usize) -> Values {
        let mut free = self.0.lock().expect("no thread panics with it");
        free.takings += 1;
        let now = free.takings;
        free.buffers.retain(|(since, _)| now - since < PATIENCE);
        // The smallest that is large enough, but no giant for a dwarf.
        let best = (0..free.buffers.len())
            .filter(|&i| (len..=2 * len + 1024).contains(&free.buffers[i].1.capacity()))
            .min_by_key(|&i| free.buffers[i].1.capacity());
        let mut numbers = best.map(|i| free.buffers.swap_remove(i).1).unwrap_or_default();
        drop(free);
        numbers.resize(len, 0.0);
        Values { numbers, buffers: self.clone() }
    }
}

/// Numbers in memory of [`Buffers`].
#[derive(Debug)]
pub(crate) struct Values {
    numbers: Vec<f32>,
    buffers: Buffers,
}

impl Deref for Values {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        if let Ok(mut free) = self.buffers.0.lock() {
            let now = free.takings;
            free.buffers.push((now, numbers));
        }
    }
}

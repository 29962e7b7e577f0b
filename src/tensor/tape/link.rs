//! An op of any number of tensors; candle's own have three at most.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Device, Layout, Result, Shape, Tensor};
use std::sync::{Arc, Mutex};

/// The derivatives of an op of any number of tensors.
pub(super) trait Backward: Send + Sync {
    /// The gradients of its arguments, where that of its result is `gradient`.
    fn gradients(&self, gradient: &Tensor) -> Result<Vec<Option<Tensor>>>;
}

/// A tensor of these values on the CPU that depends on `arguments` as `backward` says.
///
/// In candle's graph the arguments hang on a chain of numbers that nobody reads, with the result at its end. The
/// backward pass comes to the result first: there all gradients are computed, and each link hands out its own.
pub(super) fn depending_on(
    arguments: &[&Tensor],
    values: Vec<f32>,
    shape: &[usize],
    backward: impl Backward + 'static,
) -> Result<Tensor> {
    let gradients = Gradients::default();
    let mut chain = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
    for (i, argument) in arguments.iter().enumerate() {
        chain = chain.apply_op2(argument, Link { argument: i, gradients: gradients.clone() })?;
    }
    let values = Mutex::new(values);
    chain.apply_op1(End { values, shape: shape.to_vec(), backward, gradients })
}

type Gradients = Arc<Mutex<Vec<Option<Tensor>>>>;

struct Link {
    argument: usize,
    gradients: Gradients,
}

impl CustomOp2 for Link {
    fn name(&self) -> &'static str {
        "scorebook-link"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(1)))
    }

    fn bwd(
        &self,
        chain: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients.lock().expect("no thread panics with it");
        let found = gradients.get_mut(self.argument).and_then(Option::take);
        // The first link depends on nothing; its neighbour below is a plain zero.
        Ok((chain.track_op().then(|| chain.zeros_like()).transpose()?, found))
    }
}

struct End<B> {
    values: Mutex<Vec<f32>>,
    shape: Vec<usize>,
    backward: B,
    gradients: Gradients,
}

impl<B: Backward> CustomOp1 for End<B> {
    fn name(&self) -> &'static str {
        "scorebook-tape"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = std::mem::take(&mut *self.values.lock().expect("no thread panics with it"));
        Ok((CpuStorage::F32(values), Shape::from(self.shape.as_slice())))
    }

    fn bwd(&self, chain: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let found = self.backward.gradients(gradient)?;
        *self.gradients.lock().expect("no thread panics with it") = found;
        Ok(Some(chain.zeros_like()?))
    }
}

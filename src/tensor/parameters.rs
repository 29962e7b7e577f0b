//! The trainable variables of a network, by name.

use crate::random::Generator;
use crate::{Error, Result};
use candle_core::{DType, Device, Shape, Tensor, Var};
use std::collections::{BTreeMap, HashMap};

/// The trainable variables of a network, by name, in the order of their names.
///
/// A clone shares the variables: what an optimiser does to one, the other sees. [`Parameters::copy`] does not.
///
/// ```
/// use scorebook::{prelude::*, random::Generator, tensor::Parameters};
///
/// let mut parameters = Parameters::default();
/// parameters.linear("embed", 4, 8, &mut Generator::new(1), &Device::Cpu)?;
/// assert_eq!(parameters.count(), 4 * 8 + 8);
/// assert_eq!(parameters.get("embed.weight")?.dims(), [8, 4]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    variables: BTreeMap<String, Var>,
    constants: BTreeMap<String, Var>,
    frozen: bool,
}

impl Parameters {
    /// The trainable variables with their names, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// How many numbers they hold in all.
    pub fn count(&self) -> usize {
        self.variables.values().map(|variable| variable.elem_count()).sum()
    }

    /// Where the variables live; the CPU where there are none.
    pub fn device(&self) -> Device {
        self.variables.values().next().map_or(Device::Cpu, |variable| variable.device().clone())
    }

    /// The same variables, of which [`Parameters::get`] gives values that no derivative is taken of: what sampling
    /// uses, so that it builds no graph.
    ///
    /// ```
    /// use scorebook::{prelude::*, tensor::Parameters};
    ///
    /// let mut parameters = Parameters::default();
    /// parameters.insert("w", &Tensor::new(3f32, &Device::Cpu)?)?;
    /// let variable = parameters.iter().next().unwrap().1;
    /// let slope = parameters.get("w")?.sqr()?.backward()?.get(variable).unwrap().to_scalar::<f32>()?;
    /// assert_eq!(slope, 6.0);
    /// assert!(parameters.frozen().get("w")?.sqr()?.backward()?.get(variable).is_none());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn frozen(&self) -> Self {
        Self { frozen: true, ..self.clone() }
    }

    /// The value of `name`; a variable's is part of the graph of derivatives unless these are [`Parameters::frozen`].
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        match self.variables.get(name) {
            Some(variable) if self.frozen => Ok(variable.as_detached_tensor()),
            Some(variable) => Ok(variable.as_tensor().clone()),
            None if self.constants.contains_key(name) => {
                Ok(self.constants[name].as_detached_tensor())
            }
            None => Err(Error::argument("name", format!("{name:?}"), "the name of a parameter")),
        }
    }

    /// Adds a variable with a first value.
    ///
    /// # Errors
    /// If there is one of that name already.
    pub fn insert(&mut self, name: &str, value: &Tensor) -> Result<()> {
        self.check_new(name)?;
        self.variables.insert(name.to_owned(), Var::from_tensor(&value.contiguous()?)?);
        Ok(())
    }

    /// Adds numbers that belong to the network and are stored with it, but not trained.
    ///
    /// ```
    /// use scorebook::{prelude::*, tensor::Parameters};
    ///
    /// let mut parameters = Parameters::default();
    /// parameters.insert_constant("frequencies", &Tensor::new(&[1f32, 2.0], &Device::Cpu)?)?;
    /// assert_eq!((parameters.count(), parameters.get("frequencies")?.dims()), (0, &[2][..]));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is one of that name already.
    pub fn insert_constant(&mut self, name: &str, value: &Tensor) -> Result<()> {
        self.check_new(name)?;
        self.constants.insert(name.to_owned(), Var::from_tensor(&value.contiguous()?)?);
        Ok(())
    }

    fn check_new(&self, name: &str) -> Result<()> {
        if self.variables.contains_key(name) || self.constants.contains_key(name) {
            return Err(Error::argument("name", format!("{name:?}"), "a name not yet taken"));
        }
        Ok(())
    }

    /// Adds a variable drawn uniformly from `(-bound, bound)`.
    ///
    /// ```
    /// use scorebook::{prelude::*, tensor::Parameters};
    ///
    /// let mut parameters = Parameters::default();
    /// parameters.uniform("w", (100, 100), 0.1, &mut Generator::new(1), &Device::Cpu)?;
    /// assert!(parameters.get("w")?.abs()?.max_all()?.to_scalar::<f32>()? <= 0.1);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is one of that name already.
    pub fn uniform(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        bound: f64,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<()> {
        let value = generator.uniform(-bound, bound, shape, device)?;
        self.insert(name, &value)
    }

    /// Adds a linear layer `name.weight` `[outputs, inputs]`, `name.bias` `[outputs]`, drawn as PyTorch does: uniform
    /// within `1/√inputs`.
    ///
    /// # Errors
    /// If one of the two names is taken.
    pub fn linear(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<()> {
        let bound = 1.0 / (inputs as f64).sqrt();
        self.uniform(&format!("{name}.weight"), (outputs, inputs), bound, generator, device)?;
        self.uniform(&format!("{name}.bias"), outputs, bound, generator, device)
    }

    /// Adds the weight (ones) and bias (zeros) of a normalisation over `channels`.
    ///
    /// ```
    /// use scorebook::{prelude::*, tensor::Parameters};
    ///
    /// let mut parameters = Parameters::default();
    /// parameters.norm("norm", 2, &Device::Cpu)?;
    /// assert_eq!(parameters.get("norm.weight")?.to_vec1::<f32>()?, [1.0, 1.0]);
    /// assert_eq!(parameters.get("norm.bias")?.to_vec1::<f32>()?, [0.0, 0.0]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If one of the two names is taken.
    pub fn norm(&mut self, name: &str, channels: usize, device: &Device) -> Result<()> {
        self.insert(&format!("{name}.weight"), &Tensor::ones(channels, DType::F32, device)?)?;
        self.insert(&format!("{name}.bias"), &Tensor::zeros(channels, DType::F32, device)?)
    }

    /// `x Wᵀ + b` for `x` `[batch, inputs]` by the layer that [`Parameters::linear`] added.
    ///
    /// ```
    /// use scorebook::{prelude::*, tensor::Parameters};
    ///
    /// let mut parameters = Parameters::default();
    /// parameters.insert("out.weight", &Tensor::new(&[[1f32, 2.0]], &Device::Cpu)?)?;
    /// parameters.insert("out.bias", &Tensor::new(&[3f32], &Device::Cpu)?)?;
    /// let x = Tensor::new(&[[1f32, 1.0], [0.0, -1.0]], &Device::Cpu)?;
    /// assert_eq!(parameters.apply_linear("out", &x)?.to_vec2::<f32>()?, [[6.0], [1.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such layer or the shapes do not fit.
    pub fn apply_linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.get(&format!("{name}.weight"))?;
        Ok(x.matmul(&weight.t()?)?.broadcast_add(&self.get(&format!("{name}.bias"))?)?)
    }

    /// The same values in new variables.
    ///
    /// ```
    /// use scorebook::{prelude::*, tensor::Parameters};
    ///
    /// let mut parameters = Parameters::default();
    /// parameters.insert("w", &Tensor::new(3f32, &Device::Cpu)?)?;
    /// let (clone, copy) = (parameters.clone(), parameters.copy()?);
    /// parameters.iter().next().unwrap().1.set(&Tensor::new(4f32, &Device::Cpu)?)?;
    /// assert_eq!((clone.get("w")?.to_scalar::<f32>()?, copy.get("w")?.to_scalar::<f32>()?), (4.0, 3.0));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no memory for them on their device.
    pub fn copy(&self) -> Result<Self> {
        let copy = |(name, variable): (&String, &Var)| {
            Ok((name.clone(), Var::from_tensor(&variable.as_detached_tensor().copy()?)?))
        };
        Ok(Self {
            variables: self.variables.iter().map(copy).collect::<Result<_>>()?,
            constants: self.constants.iter().map(copy).collect::<Result<_>>()?,
            frozen: self.frozen,
        })
    }

    /// New variables of the same names and shapes, all zero and without the constants: an optimiser's moments.
    ///
    /// # Errors
    /// If there is no memory for them on their device.
    pub fn zeros_like(&self) -> Result<Self> {
        let zeros = |(name, variable): (&String, &Var)| {
            Ok((name.clone(), Var::from_tensor(&variable.zeros_like()?)?))
        };
        let variables = self.variables.iter().map(zeros).collect::<Result<_>>()?;
        Ok(Self { variables, ..Self::default() })
    }

    /// Puts the values of `other`, which has the same names and shapes, into these variables.
    pub(crate) fn take_values_of(&self, other: &Self) -> Result<()> {
        for (variable, value) in self.variables.values().zip(other.variables.values()) {
            variable.set(&value.as_detached_tensor())?;
        }
        Ok(())
    }

    /// The type of the variables; F32 where there are none.
    pub(crate) fn dtype(&self) -> DType {
        self.variables.values().next().map_or(DType::F32, |variable| variable.dtype())
    }

    /// All values, the constants too, each under `prefix + name`: what is written to a file.
    pub fn to_map(&self, prefix: &str) -> HashMap<String, Tensor> {
        let all = self.variables.iter().chain(&self.constants);
        all.map(|(name, v)| (format!("{prefix}{name}"), v.as_detached_tensor())).collect()
    }

    /// Sets every value to the tensor of the name `prefix + name`.
    ///
    /// ```
    /// use scorebook::{prelude::*, tensor::Parameters};
    ///
    /// let mut generator = Generator::new(1);
    /// let (mut first, mut second) = (Parameters::default(), Parameters::default());
    /// first.linear("out", 4, 8, &mut generator, &Device::Cpu)?;
    /// second.linear("out", 4, 8, &mut generator, &Device::Cpu)?;
    /// second.set(&first.to_map("weights."), "weights.")?;
    /// assert_eq!(first.get("out.bias")?.to_vec1::<f32>()?, second.get("out.bias")?.to_vec1::<f32>()?);
    /// assert!(second.set(&first.to_map(""), "weights.").is_err());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a tensor is missing or has another shape: then no value has been changed, and the message names the first one
    /// that does not fit.
    pub fn set(&self, tensors: &HashMap<String, Tensor>, prefix: &str) -> Result<()> {
        let mut values = vec![];
        for (name, variable) in self.variables.iter().chain(&self.constants) {
            let key = format!("{prefix}{name}");
            let Some(tensor) = tensors.get(&key) else {
                let expected = "among the stored tensors; they belong to another architecture";
                return Err(Error::argument("parameter", format!("{key:?}, missing"), expected));
            };
            if tensor.dims() != variable.dims() {
                let expected =
                    format!("{:?} for `{key}`; it is another architecture", variable.dims());
                return Err(Error::shape("parameter", tensor.dims(), expected));
            }
            values
                .push((variable, tensor.to_device(variable.device())?.to_dtype(variable.dtype())?));
        }
        for (variable, value) in values {
            variable.set(&value)?;
        }
        Ok(())
    }
}

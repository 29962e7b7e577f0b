//! A network of any architecture, as a file or a command line names it.

use super::{Architecture, Condition, Mlp, Network, ResidualUnet, Score, Unet};
use crate::Result;
use crate::diffusion::Process;
use crate::random::Generator;
use crate::tensor::Parameters;
use candle_core::{Device, Tensor};

/// A network of any [`Architecture`], for programs that read which one it is: what [`Architecture::network`] makes.
#[derive(Clone, Debug)]
pub enum AnyNetwork {
    /// A multilayer perceptron.
    Mlp(Mlp),
    /// The U-Net of Song's tutorial.
    Unet(Unet),
    /// The U-Net of residual blocks.
    ResidualUnet(ResidualUnet),
}

impl Architecture {
    /// The network with random weights.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::{AnyNetwork, Architecture, MlpSettings}};
    ///
    /// let architecture = Architecture::Mlp(MlpSettings::default());
    /// let process = VariancePreserving::default().into();
    /// let network = architecture.network(process, &mut Generator::new(1), &Device::Cpu)?;
    /// assert_eq!(network.architecture(), architecture);
    /// assert!(matches!(network, AnyNetwork::Mlp(_)));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn network(
        &self,
        process: Process,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<AnyNetwork> {
        Ok(match self {
            Self::Mlp(settings) => {
                AnyNetwork::Mlp(Mlp::new(*settings, process, generator, device)?)
            }
            Self::Unet(settings) => {
                AnyNetwork::Unet(Unet::new(*settings, process, generator, device)?)
            }
            Self::ResidualUnet(settings) => AnyNetwork::ResidualUnet(ResidualUnet::new(
                settings.clone(),
                process,
                generator,
                device,
            )?),
        })
    }
}

impl AnyNetwork {
    fn inner(&self) -> &dyn Network {
        match self {
            Self::Mlp(network) => network,
            Self::Unet(network) => network,
            Self::ResidualUnet(network) => network,
        }
    }
}

impl Network for AnyNetwork {
    fn noise_output(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.inner().noise_output(x, t)
    }

    fn noise_output_given(&self, x: &Tensor, t: &Tensor, condition: &Condition) -> Result<Tensor> {
        self.inner().noise_output_given(x, t, condition)
    }

    fn parameters(&self) -> &Parameters {
        self.inner().parameters()
    }

    fn process(&self) -> Process {
        self.inner().process()
    }

    fn architecture(&self) -> Architecture {
        self.inner().architecture()
    }

    fn copy(&self) -> Result<Self> {
        Ok(match self {
            Self::Mlp(network) => Self::Mlp(network.copy()?),
            Self::Unet(network) => Self::Unet(network.copy()?),
            Self::ResidualUnet(network) => Self::ResidualUnet(network.copy()?),
        })
    }
}

impl Score for AnyNetwork {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.inner().score(x, t)
    }

    fn attributes(&self) -> &[usize] {
        self.inner().attributes()
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        self.inner().score_given(x, t, labels)
    }
}

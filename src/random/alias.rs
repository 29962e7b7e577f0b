//! The alias method: a finite law in constant time a draw.

use super::{
    Generator,
    inversion::{check_weights, invert},
};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// Draws `k` with the probability `w_k/Σw`, in constant time however many there are.
///
/// The mass is cut into `n` columns of the height `1/n`, each shared by at most two numbers: its own and its alias
/// (Walker 1977; built in linear time as by Vose, IEEE Trans. Software Eng. 17, 1991). One uniform number chooses the
/// column and the part of it.
///
/// ```
/// use scorebook::{prelude::*, random::{Alias, Generator}};
///
/// let die = Alias::new(&[1.0, 1.0, 1.0, 1.0, 1.0, 5.0])?;
/// let throws = die.sample(10_000, &mut Generator::new(7), &Device::Cpu)?.to_vec1::<u32>()?;
/// let sixes = throws.iter().filter(|k| **k == 5).count();
/// assert!((sixes as f64 / 1e4 - 0.5).abs() < 0.025);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Alias {
    /// How much of each column is its own number's; the rest is its alias's.
    own: Vec<f64>,
    aliases: Vec<u32>,
}

impl Alias {
    /// The law on `0..weights.len()` with probabilities proportional to the weights.
    ///
    /// # Errors
    /// If a weight is negative or not finite, none is positive, or there are more than 2³².
    pub fn new(weights: &[f64]) -> Result<Self> {
        let total = check_weights("weights", weights)?;
        if u32::try_from(weights.len() - 1).is_err() {
            return Err(Error::argument("weights", weights.len(), "at most 2³² numbers"));
        }
        let n = weights.len() as f64;
        let mut own: Vec<f64> = weights.iter().map(|weight| weight / total * n).collect();
        let mut aliases: Vec<u32> = (0..weights.len()).map(|k| k as u32).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..own.len()).partition(|k| own[*k] < 1.0);
        while let (Some(&poor), Some(&rich)) = (small.last(), large.last()) {
            small.pop();
            aliases[poor] = rich as u32;
            own[rich] -= 1.0 - own[poor];
            if own[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        // What is left is full but for rounding. Those without weight have found their alias before, since some
        // column was large while they waited, unless rounding says otherwise.
        let heaviest = (0..weights.len()).max_by(|a, b| weights[*a].total_cmp(&weights[*b]));
        for k in small.into_iter().chain(large) {
            if weights[k] > 0.0 {
                own[k] = 1.0;
            } else {
                aliases[k] = heaviest.unwrap_or(0) as u32;
            }
        }
        Ok(Self { own, aliases })
    }

    /// The number that a uniform number `0 ≤ u < 1` picks.
    ///
    /// ```
    /// use scorebook::random::Alias;
    ///
    /// // Two columns, (0, ½) and (½, 1): a half of the first is 0's, the rest is 1's.
    /// let law = Alias::new(&[1.0, 3.0])?;
    /// assert_eq!([0.1, 0.3, 0.6, 0.9].map(|u| law.index(u)), [0, 1, 1, 1]);
    /// assert_eq!(law.probabilities(), [0.25, 0.75]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn index(&self, u: f64) -> usize {
        let place = u * self.own.len() as f64;
        let column = (place as usize).min(self.own.len() - 1);
        if place - (column as f64) < self.own[column] {
            column
        } else {
            self.aliases[column] as usize
        }
    }

    /// `n` independent draws, `[n]` in `u32`.
    ///
    /// # Errors
    /// If the device cannot take the tensor.
    pub fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        Ok(Tensor::from_vec(invert(n, generator, |u| self.index(u) as u32), n, device)?)
    }

    /// The probabilities that the columns amount to: the weights over their sum, up to rounding.
    pub fn probabilities(&self) -> Vec<f64> {
        let mut probabilities = vec![0.0; self.own.len()];
        for (k, (own, alias)) in self.own.iter().zip(&self.aliases).enumerate() {
            probabilities[k] += own;
            probabilities[*alias as usize] += 1.0 - own;
        }
        probabilities.iter().map(|mass| mass / self.own.len() as f64).collect()
    }
}

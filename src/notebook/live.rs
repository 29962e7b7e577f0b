//! A figure that is redrawn while a loop runs.

use std::time::{Duration, Instant};

use super::{Display, Handle};
use crate::Result;

/// A figure that is redrawn in place while a loop runs, at most once in `period`.
///
/// Drawing is asked for every step and done only when it is due, so that a fast loop is not slowed
/// down by its picture.
///
/// ```
/// use scorebook::notebook::{Bundle, Live};
///
/// let mut losses = Vec::new();
/// let mut live = Live::default();
/// for step in 0..100 {
///     losses.push(1.0 / (step + 1) as f64);
///     live.update(|| Ok(Bundle::text(format!("{} losses", losses.len()))))?;
/// }
/// live.finish(|| Ok(Bundle::text(format!("all {} losses", losses.len()))))?;
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Live {
    /// The shortest time from one picture to the next (half a second).
    pub period: Duration,
    handle: Option<Handle>,
    drawn: Option<Instant>,
}

impl Default for Live {
    fn default() -> Self {
        Self::every(Duration::from_millis(500))
    }
}

impl Live {
    /// A figure that is redrawn at most once in `period`.
    ///
    /// ```
    /// use scorebook::notebook::Live;
    /// use std::time::Duration;
    ///
    /// let mut live = Live::every(Duration::from_secs(3600));
    /// assert!(live.update(|| Ok("the first picture"))?);
    /// assert!(!live.update(|| Ok("one that comes too soon and is not drawn"))?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn every(period: Duration) -> Self {
        Self { period, handle: None, drawn: None }
    }

    /// Draws and shows the figure if it is due; tells whether it was.
    ///
    /// # Errors
    /// Those of `draw`.
    pub fn update<D: Display>(&mut self, draw: impl FnOnce() -> Result<D>) -> Result<bool> {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= self.period);
        if due {
            self.finish(draw)?;
        }
        Ok(due)
    }

    /// Draws and shows the figure in any case: the last state, after the loop.
    ///
    /// # Errors
    /// Those of `draw`.
    pub fn finish<D: Display>(&mut self, draw: impl FnOnce() -> Result<D>) -> Result<()> {
        let picture = draw()?;
        match &self.handle {
            Some(handle) => handle.update(&picture),
            None => self.handle = Some(Handle::new(&picture)),
        }
        // Counted from the end of the drawing: a slow picture does not take all of the loop's time.
        self.drawn = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::Bundle;

    #[test]
    fn draws_only_when_due() {
        let mut live = Live::every(Duration::from_secs(3600));
        let mut drawn = 0;
        for _ in 0..1000 {
            live.update(|| {
                drawn += 1;
                Ok(Bundle::default())
            })
            .unwrap();
        }
        assert_eq!(drawn, 1);
        live.finish(|| {
            drawn += 1;
            Ok(Bundle::default())
        })
        .unwrap();
        assert_eq!(drawn, 2);
    }
}

//! Each thread's own memory for what a task of a kernel needs for a moment.

use super::tile::Scalar;
use std::cell::RefCell;
use std::thread::LocalKey;

/// The memory that a thread has at hand.
pub(super) type Rooms<T> = LocalKey<RefCell<Vec<Vec<T>>>>;

/// Memory of this thread, given back to it when dropped: what a task needs for a moment is not taken from the system
/// each time.
pub(super) struct Room<T: Scalar>(Vec<T>);

impl<T: Scalar> Default for Room<T> {
    fn default() -> Self {
        Self(T::rooms().with_borrow_mut(|rooms| rooms.pop()).unwrap_or_default())
    }
}

impl<T: Scalar> Room<T> {
    /// `len` numbers, whatever they are.
    pub fn numbers(&mut self, len: usize) -> &mut [T] {
        if self.0.len() < len {
            self.0.resize(len, T::default());
        }
        &mut self.0[..len]
    }

    /// `len` zeros.
    pub fn zeros(&mut self, len: usize) -> &mut [T] {
        let numbers = self.numbers(len);
        numbers.fill(T::default());
        numbers
    }
}

impl<T: Scalar> Drop for Room<T> {
    fn drop(&mut self) {
        let room = std::mem::take(&mut self.0);
        T::rooms().with_borrow_mut(|rooms| rooms.push(room));
    }
}

//! Work over threads by rayon; without the feature `std` the same calls do it in turn, on slices' own iterators. Under Miri, too: what rayon stands on
//! (crossbeam-epoch) breaks the rules of stacked borrows, so that Miri would come no further.

#[cfg(all(feature = "std", not(miri)))]
pub use rayon::{current_num_threads, prelude};

#[cfg(any(not(feature = "std"), miri))]
pub use in_turn::{current_num_threads, prelude};

#[cfg(any(not(feature = "std"), miri))]
mod in_turn {
    /// One: there are no threads.
    pub fn current_num_threads() -> usize {
        1
    }

    /// What rayon's prelude brings of what is used here.
    pub mod prelude {
        use core::slice::{Chunks, ChunksMut, Iter, IterMut};

        /// Iterators of a slice.
        pub trait ParallelSlice<T> {
            /// [`slice::chunks`].
            fn par_chunks(&self, size: usize) -> Chunks<'_, T>;
            /// [`slice::iter`].
            fn par_iter(&self) -> Iter<'_, T>;
        }

        impl<T> ParallelSlice<T> for [T] {
            fn par_chunks(&self, size: usize) -> Chunks<'_, T> {
                self.chunks(size)
            }
            fn par_iter(&self) -> Iter<'_, T> {
                self.iter()
            }
        }

        /// Iterators of a slice that change it.
        pub trait ParallelSliceMut<T> {
            /// [`slice::chunks_mut`].
            fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T>;
            /// [`slice::iter_mut`].
            fn par_iter_mut(&mut self) -> IterMut<'_, T>;
        }

        impl<T> ParallelSliceMut<T> for [T] {
            fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T> {
                self.chunks_mut(size)
            }
            fn par_iter_mut(&mut self) -> IterMut<'_, T> {
                self.iter_mut()
            }
        }

        /// Iterators of ranges and vectors.
        pub trait IntoParallelIterator: IntoIterator + Sized {
            /// [`IntoIterator::into_iter`].
            fn into_par_iter(self) -> Self::IntoIter {
                self.into_iter()
            }
        }

        impl<I: IntoIterator> IntoParallelIterator for I {}

        /// What rayon's iterators have beyond those of the language.
        pub trait IndexedParallelIterator: Iterator + Sized {
            /// The same: there are no shares.
            fn with_min_len(self, _: usize) -> Self {
                self
            }
            /// Each item with one value made for all of them.
            fn for_each_init<T>(self, init: impl FnOnce() -> T, mut work: impl FnMut(&mut T, Self::Item)) {
                let mut state = init();
                self.for_each(|item| work(&mut state, item));
            }
        }

        impl<I: Iterator> IndexedParallelIterator for I {}
    }
}

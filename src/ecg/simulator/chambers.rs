//! What the atria do, and how their beats reach the ventricles.

/// What the atria do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atria {
    /// A P wave before every conducted beat.
    Sinus,
    /// No atrial activity at all (junctional rhythm).
    Silent,
    /// Atrial fibrillation: fibrillatory waves and irregular beats.
    Fibrillating,
}

/// How beats reach the ventricles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduction {
    /// With the PR interval of the population.
    Normal,
    /// With a PR interval of 230–340 ms.
    FirstDegreeBlock,
    /// Not at all: atria at 60–100 per minute, ventricles at 32–52, neither knowing of the other.
    CompleteBlock,
}

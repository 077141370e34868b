//! Networks as programs, their initialisation and training.

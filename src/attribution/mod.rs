//! Explanation methods: backward rules, samplers, reductions, and the catalogue that combines them.

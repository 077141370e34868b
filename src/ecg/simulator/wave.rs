//! Waves of compact support: sin(π w(u))^p on [on, off], with w a monotone warp that puts the peak where it is wanted.

/// Dipole components: X to the left, Y down, Z to the back, µV.
pub type Vector = [f64; 3];

/// One lobe: exactly zero outside (on, off), one vector long at its peak.
#[derive(Clone, Copy, Debug)]
pub struct Lobe {
    /// Start of the support, s.
    pub on: f64,
    /// End of the support, s.
    pub off: f64,
    /// Where in the support the peak lies, in (0, 1).
    pub peak: f64,
    /// The power of the sine: 1 leaves the edges with a corner, more smooths them.
    pub power: f64,
    /// The dipole at the peak.
    pub vector: Vector,
}

impl Lobe {
    /// The height at a time, from 0 to 1.
    pub fn height(&self, time: f64) -> f64 {
        if time <= self.on || time >= self.off {
            return 0.0;
        }
        let u = (time - self.on) / (self.off - self.on);
        let warped = u.powf(std::f64::consts::LN_2 / -self.peak.ln());
        (std::f64::consts::PI * warped).sin().max(0.0).powf(self.power)
    }
}

/// Adds `factor` × `vector` to a dipole.
pub fn add(sum: &mut Vector, vector: &Vector, factor: f64) {
    sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += factor * x);
}

/// A vector of a length, at a frontal angle (degrees, 0 left, 90 down) and tilted towards the back (degrees).
pub fn direction(length: f64, frontal: f64, tilt: f64) -> Vector {
    let (frontal, tilt) = (frontal.to_radians(), tilt.to_radians());
    [length * tilt.cos() * frontal.cos(), length * tilt.cos() * frontal.sin(), length * tilt.sin()]
}

/// From 0 to 1 as `u` goes from 0 to 1, flat at both ends.
pub fn smooth_step(u: f64) -> f64 {
    let u = u.clamp(0.0, 1.0);
    u * u * (3.0 - 2.0 * u)
}

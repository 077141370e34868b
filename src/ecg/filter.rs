//! Zero-phase Butterworth filters over eight leads at once.
//!
//! Signals are slices of [`Frame`]s, one frame a sample instant: the recursion of a filter is sequential in time but independent between
//! leads, so eight leads side by side use the processor's vector units without any architecture-specific code.

/// The eight independent leads at one instant, µV.
pub type Frame = [f64; 8];

/// One second-order section in transposed direct form II, coefficients normalised to a₀ = 1.
#[derive(Clone, Copy, Debug)]
pub struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    /// Second-order Butterworth low-pass by the bilinear transform; `cut` and `rate` in Hz. Run forwards and backwards it is 6 dB down at `cut`.
    pub fn low_pass(cut: f64, rate: f64) -> Self {
        let (cos, alpha) = Self::angle(cut, rate);
        let b = (1.0 - cos) / 2.0;
        Self::normalised([b, 2.0 * b, b], cos, alpha)
    }

    /// Second-order Butterworth high-pass by the bilinear transform; `cut` and `rate` in Hz.
    pub fn high_pass(cut: f64, rate: f64) -> Self {
        let (cos, alpha) = Self::angle(cut, rate);
        let b = (1.0 + cos) / 2.0;
        Self::normalised([b, -2.0 * b, b], cos, alpha)
    }

    fn angle(cut: f64, rate: f64) -> (f64, f64) {
        let omega = std::f64::consts::TAU * cut / rate;
        (omega.cos(), omega.sin() * std::f64::consts::FRAC_1_SQRT_2)
    }

    fn normalised(b: [f64; 3], cos: f64, alpha: f64) -> Self {
        let a0 = 1.0 + alpha;
        Biquad { b: b.map(|b| b / a0), a: [-2.0 * cos / a0, (1.0 - alpha) / a0] }
    }

    /// The steady state at a frame that has been there for ever.
    fn steady(&self, frame: &Frame) -> (Frame, Frame) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        let gain = (b0 + b1 + b2) / (1.0 + a1 + a2);
        let s2 = frame.map(|x| (b2 - a2 * gain) * x);
        let mut s1 = frame.map(|x| (b1 - a1 * gain) * x);
        s1.iter_mut().zip(s2).for_each(|(s1, s2)| *s1 += s2);
        (s1, s2)
    }

    /// Runs the section over the frames in place, from a state to a state.
    fn run<'a>(&self, frames: impl Iterator<Item = &'a mut Frame>, (mut s1, mut s2): (Frame, Frame)) -> (Frame, Frame) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        for frame in frames {
            for lead in 0..8 {
                let x = frame[lead];
                let y = b0 * x + s1[lead];
                s1[lead] = b1 * x - a1 * y + s2[lead];
                s2[lead] = b2 * x - a2 * y;
                frame[lead] = y;
            }
        }
        (s1, s2)
    }

    /// Runs the section over three parts, one after the other, and backwards again, each time from the steady state of the first frame. The inner part is not empty.
    fn there_and_back(&self, [before, inner, after]: [&mut [Frame]; 3]) {
        let state = self.steady(before.first().unwrap_or(&inner[0]));
        let state = self.run(before.iter_mut(), state);
        let state = self.run(inner.iter_mut(), state);
        self.run(after.iter_mut(), state);
        let state = self.steady(after.last().unwrap_or(&inner[inner.len() - 1]));
        let state = self.run(after.iter_mut().rev(), state);
        let state = self.run(inner.iter_mut().rev(), state);
        self.run(before.iter_mut().rev(), state);
    }
}

/// Applies the sections forwards and backwards, so that nothing is shifted in time. The ends are continued by odd reflection over at most `pad` frames.
pub fn zero_phase(frames: &[Frame], sections: &[Biquad], pad: usize) -> Vec<Frame> {
    let Some(last) = frames.len().checked_sub(1) else { return Vec::new() };
    let pad = pad.min(last);
    // What continues the ends lies beside the frames, so that they need not be moved when it is dropped.
    let mut before: Vec<Frame> = (1..=pad).rev().map(|k| reflect(&frames[0], &frames[k])).collect();
    let mut after: Vec<Frame> = (1..=pad).map(|k| reflect(&frames[last], &frames[last - k])).collect();
    let mut work = frames.to_vec();
    for section in sections {
        section.there_and_back([&mut before, &mut work, &mut after]);
    }
    work
}

fn reflect(about: &Frame, inner: &Frame) -> Frame {
    std::array::from_fn(|lead| 2.0 * about[lead] - inner[lead])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f64) -> Vec<Frame> {
        (0..5000).map(|t| [(std::f64::consts::TAU * hertz * t as f64 / 500.0).sin(); 8]).collect()
    }

    fn middle_amplitude(frames: &[Frame]) -> f64 {
        frames[2000..3000].iter().map(|frame| frame[3].abs()).fold(0.0, f64::max)
    }

    #[test]
    fn passes_and_stops_where_it_should() {
        let low = [Biquad::low_pass(40.0, 500.0)];
        let high = [Biquad::high_pass(0.5, 500.0)];
        assert!((middle_amplitude(&zero_phase(&sine(5.0), &low, 100)) - 1.0).abs() < 0.01);
        assert!((middle_amplitude(&zero_phase(&sine(40.0), &low, 100)) - 0.5).abs() < 0.01);
        assert!(middle_amplitude(&zero_phase(&sine(200.0), &low, 100)) < 0.01);
        assert!((middle_amplitude(&zero_phase(&sine(5.0), &high, 500)) - 1.0).abs() < 0.01);
        assert!(middle_amplitude(&zero_phase(&sine(0.1), &high, 500)) < 0.05);
    }

    #[test]
    fn constants_and_positions_are_kept() {
        let constant = vec![[7.0; 8]; 300];
        let kept = zero_phase(&constant, &[Biquad::low_pass(15.0, 500.0)], 50);
        assert!(kept.iter().flatten().all(|x| (x - 7.0).abs() < 1e-9));
        let mut pulse = vec![[0.0; 8]; 601];
        pulse[300] = [1.0; 8];
        let smooth = zero_phase(&pulse, &[Biquad::low_pass(15.0, 500.0)], 50);
        for k in 1..200 {
            assert!((smooth[300 - k][0] - smooth[300 + k][0]).abs() < 1e-9);
        }
        assert!(zero_phase(&[], &[Biquad::low_pass(15.0, 500.0)], 50).is_empty());
    }
}

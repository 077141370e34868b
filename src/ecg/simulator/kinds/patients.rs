//! The patient of each kind: a heart of the default population, changed to what the kind says.

use super::Kind;
use super::waves::{Level, Wave, Waves, span};
use crate::ecg::simulator::Settings;
use crate::ecg::simulator::atria::{Fibrillation, Flutter};
use crate::ecg::simulator::draws::{normal, uniform};
use crate::ecg::simulator::heart::Heart;
use crate::ecg::simulator::timeline::Ectopic;
use crate::ecg::simulator::wave::{Lobe, Vector, direction};
use rand_chacha::ChaCha8Rng;

/// How beats follow one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    /// Regular but for a little.
    Sinus,
    /// RR changed by `depth` either way at `hertz`.
    Breathing {
        depth: f64,
        hertz: f64,
    },
    /// To the clock.
    Exact,
    Bigeminy,
    Couplets,
    /// Every `every`th P is not conducted.
    Blocked {
        every: usize,
    },
    Fibrillating,
}

/// A pacemaker's spike.
#[derive(Clone, Copy, Debug)]
pub struct Spike {
    /// When, relative to QRS onset.
    pub at: f64,
    pub seconds: f64,
    pub vector: Vector,
}

/// Atrial activity that goes on all the time.
#[derive(Clone, Copy, Debug)]
pub enum Backdrop {
    None,
    Fibrillation(Fibrillation),
    Flutter(Flutter),
}

/// Everything of one simulated person.
#[derive(Clone, Debug)]
pub struct Patient {
    /// Beats of the sinus node (or what drives the ventricles) a minute.
    pub rate: f64,
    pub waves: Waves,
    /// The premature beat.
    pub premature: Option<Waves>,
    pub pattern: Pattern,
    pub spikes: Vec<Spike>,
    pub backdrop: Backdrop,
}

impl Patient {
    /// Draws a patient of a kind.
    pub fn draw(kind: Kind, rng: &mut ChaCha8Rng) -> Self {
        let mut heart = Heart::draw(&Settings::default(), rng);
        timing(kind, &mut heart, rng);
        let mut waves = Waves::of(&heart);
        atrial(kind, &heart, &mut waves, rng);
        ventricular(kind, &heart, &mut waves, rng);
        repolarisation(kind, &heart, &mut waves, rng);
        if kind == Kind::Clipped {
            waves.scale(1.6);
        }
        let mut patient =
            Patient { rate: heart.rate, waves, premature: None, pattern: Pattern::Sinus, spikes: Vec::new(), backdrop: Backdrop::None };
        patient.set_rhythm(kind, rng);
        patient.set_pacing(kind, rng);
        patient
    }

    /// When T ends.
    pub fn t_end(&self) -> f64 {
        span(&self.waves.t).map_or(0.0, |(_, end)| end)
    }

    /// When P begins; 0 without P.
    fn p_onset(&self) -> f64 {
        span(&self.waves.p).map_or(0.0, |(on, _)| on)
    }

    fn set_rhythm(&mut self, kind: Kind, rng: &mut ChaCha8Rng) {
        let room = (60.0 / self.rate - self.t_end() + self.p_onset() - 0.02) * self.rate / 60.0;
        self.pattern = match kind {
            Kind::SinusArrhythmia => {
                Pattern::Breathing { depth: uniform(rng, 0.10, 0.25).min(room).max(0.05), hertz: uniform(rng, 0.15, 0.3) }
            }
            Kind::Bigeminy => Pattern::Bigeminy,
            Kind::Couplets => Pattern::Couplets,
            Kind::BlockedP => Pattern::Blocked { every: if uniform(rng, 0.0, 1.0) < 0.5 { 3 } else { 4 } },
            Kind::Fibrillation => Pattern::Fibrillating,
            Kind::Flutter2To1 | Kind::Flutter4To1 | Kind::PacedAtrial | Kind::PacedVentricular | Kind::PacedBoth | Kind::PacedBipolar => {
                Pattern::Exact
            }
            _ => Pattern::Sinus,
        };
        if matches!(kind, Kind::Bigeminy | Kind::Couplets) {
            let Ectopic { qrs, turned, t } = Ectopic::draw(rng);
            self.premature = Some(Waves { qrs: vec![Wave::Lobe(qrs), Wave::Lobe(turned)], t: vec![Wave::Lobe(t)], ..Waves::default() });
        }
        let flutter = |waves: f64, rate: f64, rng: &mut ChaCha8Rng| {
            let size = uniform(rng, 110.0, 260.0);
            let (hertz, start) = (waves * rate / 60.0, uniform(rng, 0.0, 0.2));
            Backdrop::Flutter(Flutter { hertz, start, vector: direction(size, normal(rng, -90.0, 15.0), normal(rng, -15.0, 15.0)) })
        };
        self.backdrop = match kind {
            Kind::Fibrillation => Backdrop::Fibrillation(Fibrillation::draw(rng)),
            Kind::Flutter2To1 => flutter(2.0, self.rate, rng),
            Kind::Flutter4To1 => flutter(4.0, self.rate, rng),
            _ => Backdrop::None,
        };
    }

    fn set_pacing(&mut self, kind: Kind, rng: &mut ChaCha8Rng) {
        let mut spike = |at: f64, low: f64, high: f64| {
            let vector = direction(uniform(rng, low, high), uniform(rng, -180.0, 180.0), uniform(rng, -40.0, 40.0));
            Spike { at, seconds: uniform(rng, 0.0005, 0.002), vector }
        };
        // The muscle answers 5–20 ms after its stimulus.
        let atrial = |at: f64| at - 0.012;
        self.spikes = match kind {
            Kind::PacedAtrial => vec![spike(atrial(self.p_onset()), 1000.0, 4000.0)],
            Kind::PacedVentricular => vec![spike(-0.010, 1000.0, 4000.0)],
            Kind::PacedBoth => vec![spike(atrial(self.p_onset()), 1000.0, 4000.0), spike(-0.010, 1000.0, 4000.0)],
            Kind::PacedBipolar => vec![spike(-0.008, 100.0, 400.0)],
            _ => Vec::new(),
        };
    }
}

/// Rate, PR, durations: before the waves are made.
fn timing(kind: Kind, heart: &mut Heart, rng: &mut ChaCha8Rng) {
    match kind {
        Kind::Tachycardia => set_rate(heart, uniform(rng, 140.0, 180.0)),
        Kind::Bradycardia => set_rate(heart, uniform(rng, 35.0, 48.0)),
        Kind::FirstDegreePOnT => set_rate(heart, uniform(rng, 86.0, 105.0)),
        Kind::SinusArrhythmia => set_rate(heart, uniform(rng, 52.0, 72.0)),
        Kind::Bigeminy | Kind::Couplets => set_rate(heart, uniform(rng, 58.0, 80.0)),
        Kind::BlockedP => set_rate(heart, uniform(rng, 60.0, 85.0)),
        Kind::Flutter2To1 => set_rate(heart, uniform(rng, 125.0, 165.0)),
        Kind::Flutter4To1 => set_rate(heart, uniform(rng, 62.0, 82.0)),
        Kind::PacedAtrial | Kind::PacedVentricular | Kind::PacedBoth | Kind::PacedBipolar => set_rate(heart, uniform(rng, 60.0, 80.0)),
        _ => {}
    }
    let (p, pr) = (heart.p.off - heart.p.on, -heart.p.on);
    match kind {
        Kind::PNotched => set_p(heart, uniform(rng, 0.115, 0.155), uniform(rng, 0.165, 0.230)),
        Kind::PNegative => set_p(heart, p.min(0.100), uniform(rng, 0.110, 0.150)),
        Kind::Tachycardia => set_p(heart, p.min(0.095), uniform(rng, 0.105, 0.135)),
        Kind::DeltaWave => set_p(heart, p.min(0.100), p.min(0.100) + uniform(rng, 0.006, 0.030)),
        Kind::PacedBoth => set_p(heart, p, uniform(rng, 0.150, 0.200)),
        Kind::FirstDegreePOnT => {
            // 10–70 ms of P lie in T.
            let rr = 60.0 / heart.rate;
            set_p(heart, p, (rr - heart.t.off + uniform(rng, 0.010, 0.070)).min(0.40));
        }
        _ => set_p(heart, p, pr),
    }
    let seconds = match kind {
        Kind::Lbbb => uniform(rng, 0.125, 0.170),
        Kind::Rbbb => uniform(rng, 0.122, 0.160),
        Kind::DeltaWave => uniform(rng, 0.115, 0.150),
        Kind::SRest => uniform(rng, 0.095, 0.120),
        Kind::PacedVentricular | Kind::PacedBoth | Kind::PacedBipolar => uniform(rng, 0.140, 0.180),
        _ => return,
    };
    // Later repolarisation keeps part of the time that excitation takes longer.
    let longer = seconds - heart.qrs_seconds;
    heart.qrs_seconds = seconds;
    heart.t.on = (heart.t.on + 0.7 * longer).max(seconds + 0.03);
    heart.t.off = (heart.t.off + 0.7 * longer).max(heart.t.on + 0.16);
}

/// Another rate at the same QTcF.
fn set_rate(heart: &mut Heart, rate: f64) {
    let (before, rr) = (60.0 / heart.rate, 60.0 / rate);
    let qt = heart.t.off * (rr / before).cbrt();
    let st = (heart.t.on - heart.qrs_seconds).min(qt - heart.qrs_seconds - 0.12).max(0.025);
    (heart.rate, heart.t.on, heart.t.off) = (rate, heart.qrs_seconds + st, qt);
}

fn set_p(heart: &mut Heart, seconds: f64, pr: f64) {
    let pr = pr.max(seconds + 0.006);
    (heart.p.on, heart.p.off) = (-pr, seconds - pr);
}

fn lobe(on: f64, off: f64, peak: f64, power: f64, vector: Vector) -> Wave {
    Wave::Lobe(Lobe { on, off, peak, power, vector })
}

fn times(vector: Vector, factor: f64) -> Vector {
    vector.map(|x| factor * x)
}

fn atrial(kind: Kind, heart: &Heart, waves: &mut Waves, rng: &mut ChaCha8Rng) {
    let p = heart.p;
    let at = |u: f64| p.on + u * (p.off - p.on);
    match kind {
        Kind::PNotched => {
            let (first, second) = (uniform(rng, 0.5, 0.62), uniform(rng, 0.38, 0.5));
            let left = direction(uniform(rng, 70.0, 130.0), normal(rng, 35.0, 12.0), normal(rng, 25.0, 12.0));
            let right = direction(uniform(rng, 60.0, 120.0), normal(rng, 60.0, 10.0), normal(rng, -20.0, 12.0));
            waves.p = vec![lobe(at(0.0), at(first), 0.5, p.power, right), lobe(at(second), at(1.0), 0.5, p.power, left)];
        }
        Kind::PBiphasic => {
            let turn = uniform(rng, 0.46, 0.56);
            let first = direction(uniform(rng, 80.0, 140.0), normal(rng, 55.0, 12.0), normal(rng, -30.0, 12.0));
            let second = times(first, -uniform(rng, 0.6, 1.0));
            waves.p = vec![lobe(at(0.0), at(turn), 0.5, p.power, first), lobe(at(turn), at(1.0), 0.5, p.power, second)];
        }
        Kind::PLow => waves.p = vec![Wave::Lobe(Lobe { vector: direction(uniform(rng, 30.0, 60.0), normal(rng, 52.0, 10.0), 0.0), ..p })],
        Kind::PNegative => {
            let vector = direction(uniform(rng, 70.0, 150.0), normal(rng, -95.0, 15.0), normal(rng, 0.0, 12.0));
            waves.p = vec![Wave::Lobe(Lobe { vector, ..p })];
        }
        _ if !kind.has_p() => waves.p.clear(),
        _ => {}
    }
}

fn ventricular(kind: Kind, heart: &Heart, waves: &mut Waves, rng: &mut ChaCha8Rng) {
    let d = heart.qrs_seconds;
    let size = 1150.0 * (0.28 * normal(rng, 0.0, 1.0)).exp();
    let edge = |rng: &mut ChaCha8Rng| uniform(rng, 1.4, 1.8);
    match kind {
        Kind::Lbbb | Kind::PacedVentricular | Kind::PacedBoth | Kind::PacedBipolar => {
            // Paced from the apex of the right ventricle: upwards.
            let axis = if kind == Kind::Lbbb { normal(rng, 0.0, 25.0) } else { normal(rng, -65.0, 12.0) };
            let parts = [
                (0.0, uniform(rng, 0.42, 0.52), 0.45, uniform(rng, 0.35, 0.6), axis + normal(rng, 20.0, 10.0), normal(rng, 15.0, 10.0)),
                (0.16, uniform(rng, 0.70, 0.78), 0.5, uniform(rng, 0.8, 1.0), axis, normal(rng, 45.0, 8.0)),
                (uniform(rng, 0.42, 0.5), 1.0, 0.45, uniform(rng, 0.7, 0.95), axis - 15.0, normal(rng, 35.0, 10.0)),
            ];
            waves.qrs = parts
                .map(|(on, off, peak, share, front, tilt)| lobe(on * d, off * d, peak, edge(rng), direction(share * size, front, tilt)))
                .into();
        }
        Kind::Rbbb => {
            // A normal QRS of 80–95 ms, and behind it the right ventricle: to the right and to the front.
            let narrow = uniform(rng, 0.080, 0.095).min(0.72 * d);
            for wave in &mut waves.qrs {
                if let Wave::Lobe(lobe) = wave {
                    (lobe.on, lobe.off) = (lobe.on * narrow / d, lobe.off * narrow / d);
                }
            }
            let late = direction(uniform(rng, 180.0, 750.0), normal(rng, 165.0, 15.0), normal(rng, -50.0, 10.0));
            waves.qrs.push(lobe(uniform(rng, 0.42, 0.52) * d, d, uniform(rng, 0.4, 0.5), edge(rng), late));
        }
        Kind::LeftAxis => {
            for (at, wave) in waves.qrs.iter_mut().enumerate() {
                if let (1, Wave::Lobe(lobe)) = (at, wave) {
                    lobe.vector = direction(size, uniform(rng, -75.0, -35.0), normal(rng, 20.0, 12.0));
                }
            }
        }
        Kind::DeltaWave => {
            let axis = normal(rng, 40.0, 25.0);
            let slur = lobe(
                0.0,
                uniform(rng, 0.5, 0.62) * d,
                0.72,
                uniform(rng, 1.2, 1.5),
                direction(uniform(rng, 0.22, 0.38) * size, axis - 20.0, 0.0),
            );
            let main = lobe(0.24 * d, 0.88 * d, 0.5, edge(rng), direction(size, axis, normal(rng, 20.0, 12.0)));
            let last = lobe(0.6 * d, d, 0.45, edge(rng), direction(0.3 * size, normal(rng, -130.0, 25.0), 45.0));
            waves.qrs = vec![slur, main, last];
        }
        Kind::SRest => {
            let hold = uniform(rng, 0.012, 0.028);
            let deep = direction(uniform(rng, 300.0, 650.0), normal(rng, -125.0, 25.0), normal(rng, 40.0, 15.0));
            let trough = 0.56 * d;
            let rest = Level { rise: [0.44 * d, trough], fall: [trough + hold, d], vector: deep };
            let q = lobe(0.0, 0.2 * d, 0.5, edge(rng), direction(0.12 * size, normal(rng, 150.0, 20.0), -40.0));
            let r = lobe(0.08 * d, 0.56 * d, 0.5, edge(rng), direction(0.9 * size, normal(rng, 42.0, 20.0), normal(rng, 20.0, 12.0)));
            waves.qrs = vec![q, r, Wave::Level(rest)];
        }
        _ => {}
    }
}

fn repolarisation(kind: Kind, heart: &Heart, waves: &mut Waves, rng: &mut ChaCha8Rng) {
    let t = heart.t;
    let at = |u: f64| t.on + u * (t.off - t.on);
    let mut size = |low: f64, high: f64| uniform(rng, low, high);
    let level =
        |vector: Vector| Wave::Level(Level { rise: [0.55 * heart.qrs_seconds, heart.qrs_seconds], fall: [at(0.35), t.off], vector });
    let one = |vector: Vector| Wave::Lobe(Lobe { vector, ..t });
    let unit = times(t.vector, 1.0 / t.vector.iter().map(|x| x * x).sum::<f64>().sqrt());
    let flat = Wave::Level(Level { rise: [0.5 * heart.qrs_seconds, heart.qrs_seconds], fall: [t.on, t.off], vector: times(heart.j, 0.5) });
    waves.t = match kind {
        Kind::TFlat => vec![flat, one(times(unit, size(60.0, 110.0)))],
        Kind::TBiphasic => {
            let (turn, first) = (size(0.45, 0.6), size(150.0, 320.0));
            let second = -first * size(0.5, 1.0);
            vec![
                flat,
                lobe(at(0.0), at(turn), 0.58, t.power, times(unit, first)),
                lobe(at(turn - 0.04), at(1.0), 0.48, t.power, times(unit, second)),
            ]
        }
        Kind::TNotched => {
            let (first, second) = (size(170.0, 320.0), size(140.0, 300.0));
            let turned = direction(second, size(15.0, 60.0), size(-40.0, 10.0));
            vec![flat, lobe(at(0.0), at(0.62), 0.55, t.power, times(unit, first)), lobe(at(0.42), at(1.0), 0.5, t.power, turned)]
        }
        Kind::TInverted => vec![flat, one(times(t.vector, -size(0.6, 1.2)))],
        Kind::TGiant => vec![flat, one(times(unit, size(1000.0, 2000.0) * if size(0.0, 1.0) < 0.5 { 1.0 } else { -1.0 }))],
        Kind::StElevation => vec![level(direction(size(150.0, 450.0), size(20.0, 80.0), size(-50.0, 10.0))), one(times(t.vector, 1.2))],
        Kind::StDepression => {
            vec![level(direction(-size(120.0, 350.0), size(20.0, 70.0), size(-30.0, 20.0))), one(times(t.vector, size(0.4, 1.0)))]
        }
        Kind::Lbbb | Kind::PacedVentricular | Kind::PacedBoth | Kind::PacedBipolar => {
            // Against the net force of QRS.
            let net = waves.qrs.iter().fold([0.0; 3], |sum: Vector, wave| match wave {
                Wave::Lobe(lobe) => std::array::from_fn(|axis| sum[axis] + lobe.vector[axis]),
                Wave::Level(_) => sum,
            });
            let away = times(net, -1.0 / net.iter().map(|x| x * x).sum::<f64>().sqrt());
            vec![level(times(away, size(50.0, 130.0))), one(times(away, size(250.0, 520.0)))]
        }
        Kind::Rbbb => vec![flat, one(direction(size(200.0, 380.0), size(15.0, 55.0), size(0.0, 40.0)))],
        Kind::UWave => {
            let on = t.off + size(0.005, 0.035);
            let u = lobe(on, on + size(0.12, 0.17), 0.45, 1.6, times(unit, size(50.0, 130.0)));
            waves.u.push(u);
            return;
        }
        _ => return,
    };
}

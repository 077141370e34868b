//! What cannot be: intervals that do not go together, or that no heart has at the rate. They are emptied, with the reason in the notes.

use super::MS;
use super::delineation::{Atria, Delineation, Meeting, Rr};

/// PR + QT leave at least this of the mean RR interval, ms: the leads must have come to rest once.
const REST: f64 = 10.0;
/// The longest PR interval that is believed, ms.
const LONGEST_PR: f64 = 450.0;
/// The shortest PR interval, ms: no atrial impulse crosses the node or a bundle sooner.
const SHORTEST_PR: f64 = 50.0;
/// The shortest P wave, ms.
const SHORTEST_P: f64 = 30.0;
/// QTcF that is believed, ms; what QRS lasts beyond 100 ms is taken off first.
const QTCF: (f64, f64) = (250.0, 560.0);
/// The QTcF that is reckoned with where T was not found, ms.
const USUAL_QTCF: f64 = 370.0;
/// T ends at least so long before the next P, ms.
const GAP: f64 = 16.0;
/// Where no P was found T ends at least so long before the next QRS, ms: a P wave hides in what ends later.
const ROOM_FOR_P: f64 = 170.0;
/// The share of the mean RR interval that QT can take.
const QT_OF_RR: f64 = 0.92;

/// Empties what cannot be, and says why. `paced`: the ventricles are, and the atria are not.
pub fn check(found: &mut Delineation, atria: &Atria, rr: Rr, paced: bool, notes: &mut Vec<String>) {
    let (regular, rr) = (rr.before == rr.mean, rr.mean * MS);
    if let Some(period) = atria.flutter.filter(|_| !paced) {
        notes.push(format!("no PR and no QT: atrial flutter, a wave every {:.0} ms", period as f64 * MS));
        (found.t, found.p) = (None, None);
        return;
    }
    match atria.meeting {
        Meeting::InT(by) => {
            notes.push(format!("no PR and no QT: P begins {:.0} ms before T has ended", by * MS));
            (found.t, found.p) = (None, None);
            return;
        }
        Meeting::Unknown if regular && !paced => {
            notes.push("no PR and no QT: at this rate P may begin before T has ended".into());
            (found.t, found.p) = (None, None);
            return;
        }
        _ => {}
    }
    let onset = found.qrs.onset as f64;
    let qrs = (found.qrs.offset - found.qrs.onset) as f64 * MS;
    let qt = found.t.as_ref().map(|t| (t.end as f64 - onset) * MS);
    if let Some(qt) = qt {
        let corrected = (qt - (qrs - 100.0).max(0.0)) / (rr / 1000.0).cbrt();
        if !(QTCF.0..=QTCF.1).contains(&corrected) || qt > QT_OF_RR * rr {
            notes.push(format!("no QT: T would end {qt:.0} ms after QRS onset at an RR of {:.0} ms", rr));
            found.t = None;
        }
    }
    if let (Some(t), Some(p)) = (&found.t, &found.p) {
        let gap = p.onset as f64 * MS + rr - t.end as f64 * MS;
        if gap < GAP {
            notes.push(format!("no PR and no QT: T and the next P run into each other ({gap:.0} ms apart)"));
            (found.t, found.p) = (None, None);
            return;
        }
    }
    if let (Some(qt), None, true) = (qt, &found.p, found.t.is_some())
        && rr - qt < ROOM_FOR_P
    {
        notes.push(format!("no QT: what ends {:.0} ms before the next QRS may be a P wave", rr - qt));
        found.t = None;
    }
    let Some(p) = &found.p else { return };
    let pr = (onset - p.onset as f64) * MS;
    let duration = (p.offset - p.onset) as f64 * MS;
    let qt = found.t.as_ref().and(qt).unwrap_or((qrs + 120.0).max(USUAL_QTCF * (rr / 1000.0).cbrt()));
    let reason = if paced {
        Some("no PR: the ventricles are paced".to_owned())
    } else if !(SHORTEST_PR..=LONGEST_PR).contains(&pr) || duration < SHORTEST_P {
        Some(format!("no PR: a P wave {pr:.0} ms before QRS that lasts {duration:.0} ms is none"))
    } else if pr + qt > rr - REST {
        Some(format!("no PR: {pr:.0} ms and a QT of {qt:.0} ms do not go into an RR of {:.0} ms", rr))
    } else {
        None
    };
    if let Some(reason) = reason {
        notes.push(reason);
        found.p = None;
    }
}

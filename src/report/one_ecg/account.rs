//! From one answer to another by contributions: what each part of the beat and each lead adds, and what is left. Drawn as a waterfall.

use super::Contributions;
use crate::attribution::occlusion::Segment;
use crate::ecg::Measurements;
use crate::ecg::leads::{LEADS, RATE};
use crate::report::chart::steps;
use crate::report::colour::Style;
use crate::report::svg::{Svg, Type, num, plain};

/// The way from one answer to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Printed above.
    pub title: &'static str,
    /// What gives the first answer, and the answer.
    pub from: (String, f64),
    /// What each part adds.
    pub steps: Vec<(String, f64)>,
    /// What no part accounts for.
    pub rest: f64,
    /// The answer for the ECG.
    pub to: f64,
}

/// The same contributions summed in two ways.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// By part of the beat, or by second where the ECG is not a beat with known fiducials.
    pub by_part: Account,
    /// By lead.
    pub by_lead: Account,
}

impl Accounts {
    /// Sums contributions to the answer `to`; fiducials count for a median beat only.
    pub fn new(contributions: &Contributions, to: f64, measured: Option<&Measurements>) -> Self {
        let values = &contributions.values;
        let samples = values.ncols();
        let over = |range: std::ops::Range<usize>| {
            values.columns().into_iter().skip(range.start).take(range.len()).map(|column| column.sum()).sum::<f64>()
        };
        let beat = measured.filter(|_| samples == crate::ecg::measure::BEAT);
        let parts: Vec<(&str, std::ops::Range<usize>)> = beat
            .into_iter()
            .flat_map(|m| Segment::ALL.into_iter().filter_map(move |segment| Some((segment.name(), segment.samples(m, samples)?))))
            .collect();
        let (title, steps) = if parts.is_empty() {
            let second = RATE as usize;
            let seconds =
                (0..samples.div_ceil(second)).map(|s| (format!("{s} to {} s", s + 1), over(s * second..samples.min((s + 1) * second))));
            ("By second", seconds.collect())
        } else {
            let mut steps: Vec<(String, f64)> = parts.iter().map(|(name, range)| ((*name).to_owned(), over(range.clone()))).collect();
            let inside: f64 = steps.iter().map(|step| step.1).sum();
            steps.push(("elsewhere".into(), values.sum() - inside));
            ("By part of the beat", steps)
        };
        let leads = values.rows().into_iter().zip(LEADS).map(|(row, name)| (name.to_owned(), row.sum())).collect();
        let rest = to - contributions.from - values.sum();
        let account = |title, steps| Account { title, from: (contributions.beginning.clone(), contributions.from), steps, rest, to };
        Accounts { by_part: account(title, steps), by_lead: account("By lead", leads) }
    }
}

/// Height of a line.
const LINE: f64 = 18.0;
/// Space for names, for the bars, for the numbers.
const NAMES: f64 = 112.0;
const BARS: f64 = 230.0;
const NUMBERS: f64 = 70.0;
/// Space above the lines and below.
const HEAD: f64 = 30.0;
const FOOT: f64 = 36.0;

impl Account {
    /// What the parts add.
    pub fn sum(&self) -> f64 {
        self.steps.iter().map(|step| step.1).sum()
    }

    /// Each line's name, where its bar begins and ends, and whether it is an answer.
    fn lines(&self) -> Vec<(&str, f64, f64, bool)> {
        let mut at = self.from.1;
        let mut lines = vec![(self.from.0.as_str(), at, at, true)];
        for (name, value) in self.steps.iter().map(|step| (step.0.as_str(), step.1)).chain([("not accounted for", self.rest)]) {
            lines.push((name, at, at + value, false));
            at += value;
        }
        lines.push(("this ECG", self.to, self.to, true));
        lines
    }

    /// The result in words.
    fn words(&self, unit: &str) -> String {
        let steps: Vec<String> = self.steps.iter().map(|(name, value)| format!("{name} {}", with_sign(*value))).collect();
        format!(
            "{}: from {} {unit} ({}) to {} {unit} (this ECG): {}; not accounted for {}",
            self.title,
            plain(self.from.1, 1),
            self.from.0,
            plain(self.to, 1),
            steps.join(", "),
            with_sign(self.rest)
        )
    }

    /// The waterfall: from the first answer down to that for the ECG, each bar beginning where the last one ended.
    pub fn draw(&self, unit: &str, style: Style) -> Svg {
        let inks = style.inks();
        let lines = self.lines();
        let (low, high) =
            lines.iter().flat_map(|line| [line.1, line.2]).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let margin = if high > low { 0.05 * (high - low) } else { 0.5 };
        let (low, high) = (low - margin, high + margin);
        let at = |value: f64| NAMES + BARS * (value - low) / (high - low);
        let bottom = HEAD + LINE * lines.len() as f64;
        let mut svg = Svg::new(NAMES + BARS + NUMBERS, bottom + FOOT, self.words(unit), inks.ground);
        svg.text(0.0, 16.0, Type::new(12.0, inks.ink).bold(), self.title);
        for value in steps((low, high), 4) {
            svg.line((at(value), HEAD), (at(value), bottom), &format!("stroke=\"{}\" stroke-width=\".7\"", inks.rule));
            svg.text(at(value), bottom + 13.0, Type::new(9.5, inks.muted).middle(), &tick(value, high - low));
        }
        svg.text(NAMES + BARS / 2.0, bottom + 28.0, Type::new(9.5, inks.muted).middle(), unit);
        for (k, (name, begin, end, answer)) in lines.iter().enumerate() {
            let (top, middle) = (HEAD + LINE * k as f64, HEAD + LINE * (k as f64 + 0.5));
            let (kind, number) = (Type::new(10.5, inks.ink), Type::new(10.5, inks.ink).end());
            let right = NAMES + BARS + NUMBERS - 2.0;
            if *answer {
                svg.text(NAMES - 8.0, middle + 4.0, kind.end().bold(), name);
                svg.text(right, middle + 4.0, number.bold(), &plain(*end, 1));
                svg.line((at(*end), top + 2.0), (at(*end), top + LINE - 2.0), &format!("stroke=\"{}\" stroke-width=\"3\"", inks.ink));
            } else {
                svg.text(NAMES - 8.0, middle + 4.0, kind.end(), name);
                svg.text(right, middle + 4.0, number, &with_sign(end - begin));
                bar(&mut svg, (at(*begin), at(*end)), (top + 3.0, LINE - 6.0), style);
            }
            if k + 1 < lines.len() {
                svg.line(
                    (at(*end), middle),
                    (at(*end), middle + LINE),
                    &format!("stroke=\"{}\" stroke-width=\".7\" stroke-dasharray=\"2 2\"", inks.muted),
                );
            }
        }
        svg
    }
}

/// A bar from where the last one ended, in the colour of its sign, with an arrow's head for those who see none.
fn bar(svg: &mut Svg, (begin, end): (f64, f64), (top, height): (f64, f64), style: Style) {
    let ink = if end >= begin { "#2166ac" } else { "#b2182b" };
    let (left, width) = (begin.min(end), (end - begin).abs().max(0.5));
    svg.rect(left, top, width, height, &format!("fill=\"{ink}\" fill-opacity=\".8\""));
    if width > 6.0 {
        let (tip, back) = if end >= begin { (end - 1.5, -3.0) } else { (end + 1.5, 3.0) };
        let (middle, half) = (top + height / 2.0, 3.0);
        let d =
            format!("M{} {}L{} {}L{} {}", num(tip + back), num(middle - half), num(tip), num(middle), num(tip + back), num(middle + half));
        svg.path(&d, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\"1.3\"", style.inks().ground));
    }
}

/// A number with its sign.
fn with_sign(value: f64) -> String {
    let text = plain(value, 1);
    if value > 0.0 && text.contains(|c: char| ('1'..='9').contains(&c)) { format!("+{text}") } else { text }
}

/// A tick's number, with decimals where the ticks are close.
fn tick(value: f64, range: f64) -> String {
    plain(
        value,
        if range < 0.5 {
            2
        } else if range < 8.0 {
            1
        } else {
            0
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    fn contributions() -> Contributions {
        let values = Array2::from_shape_fn((12, 600), |(lead, t)| match (lead, t) {
            (10, 230) => 5.0,
            (3, 400) => -2.0,
            (0, 10) => 0.5,
            _ => 0.0,
        });
        Contributions { values, from: 350.0, beginning: "flat line".into(), made: None }
    }

    fn measured() -> Measurements {
        Measurements {
            p_onset: Some(140.0),
            p_offset: Some(190.0),
            qrs_onset: Some(220.0),
            qrs_offset: Some(265.0),
            t_offset: Some(425.0),
            ..Measurements::default()
        }
    }

    #[test]
    fn every_way_of_summing_comes_to_the_answer() {
        let accounts = Accounts::new(&contributions(), 354.0, Some(&measured()));
        for account in [&accounts.by_part, &accounts.by_lead] {
            assert!((account.from.1 + account.sum() + account.rest - account.to).abs() < 1e-9);
            assert_eq!((account.sum(), account.rest), (3.5, 0.5));
            assert_eq!(account.lines().last().map(|line| line.1), Some(354.0));
        }
        let part = |name: &str| accounts.by_part.steps.iter().find(|step| step.0 == name).map(|step| step.1);
        assert_eq!([part("QRS"), part("T"), part("P"), part("elsewhere")], [Some(5.0), Some(-2.0), Some(0.0), Some(0.5)]);
        assert_eq!(accounts.by_lead.steps[10], ("V5".into(), 5.0));
    }

    #[test]
    fn without_fiducials_there_are_seconds() {
        let accounts = Accounts::new(&contributions(), 354.0, None);
        assert_eq!(accounts.by_part.title, "By second");
        assert_eq!(accounts.by_part.steps, [("0 to 1 s".into(), 3.5), ("1 to 2 s".into(), 0.0)]);
    }

    #[test]
    fn the_picture_says_its_numbers_in_words_too() {
        let accounts = Accounts::new(&contributions(), 354.0, Some(&measured()));
        let text = accounts.by_part.draw("ms", Style::default()).finish();
        for said in ["from 350.0 ms (flat line) to 354.0 ms (this ECG)", "QRS +5.0", "T −2.0", "not accounted for +0.5"] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}

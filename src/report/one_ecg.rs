//! One ECG on one page: what was measured on it, what the network answers, on a flat line too, and for each method its heatmap, what that says,
//! and, where it is made of contributions, how they lead from the one answer to the other. A file that needs nothing else and prints on A4.

mod account;
mod header;
mod pictures;

pub use account::{Account, Accounts};
pub use header::{frontal_axis, qtcf};

use super::colour::Style;
use super::findings::words_for_the_mean;
use super::heatmap::Heatmap;
use super::svg::{escape, plain};
use super::words;
use crate::Result;
use crate::attribution::Meaning;
use crate::dataset::{Target, TargetKind};
use crate::ecg::Measurements;
use crate::nn::{Near, probabilities};
use ndarray::{Array2, ArrayView2};
use std::fmt::Write;

const CSS: &str = concat!(include_str!("page/report.css"), include_str!("one_ecg/page.css"));

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub struct OneEcg<'a> {
    /// Which ECG it is.
    pub name: String,
    /// (12, L), µV, as the network sees it.
    pub ecg: ArrayView2<'a, f32>,
    /// Its median beat, (12, 600), where there is one; the ECG itself where that is one.
    pub beat: Option<ArrayView2<'a, f32>>,
    /// What was measured on it.
    pub measured: Option<Measurements>,
    /// The measurements that the ECG's file carries, made by whatever wrote it.
    pub carried: Option<Measurements>,
    /// What is exactly so, where whoever made the ECG knows.
    pub exact: Option<Measurements>,
    /// The network's answers.
    pub answer: Answer,
    /// The heatmaps.
    pub maps: Vec<Map>,
    /// Where everything comes from: name and value.
    pub about: Vec<(String, String)>,
}

/// What a network answers, and how well it does.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What it predicts, where that is known.
    pub target: Option<Target>,
    /// For this ECG.
    pub predicted: f64,
    /// For 12 leads of zeros.
    pub flat: f64,
    /// Its errors on the ECGs of its test set, where the model knows them.
    pub errors: Option<TestErrors>,
    /// Those on the ones whose values are near this ECG's, where the model knows them.
    pub near: Option<Near>,
}

/// The errors of a network on its test set, in the target's unit.
#[derive(Clone, Copy, Debug)]
pub struct TestErrors {
    /// ECGs.
    pub n: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// That of always answering the training mean.
    pub mae_of_mean: f64,
}

/// The heatmap of a method.
#[derive(Clone, Debug)]
pub struct Map {
    /// The method's name for people.
    pub title: String,
    /// What its values say.
    pub meaning: Meaning,
    /// (12, L).
    pub values: Array2<f32>,
    /// For values that add up, or that do when multiplied by what differs from the baseline.
    pub contributions: Option<Contributions>,
}

/// What each sample contributes to the way from one answer to another.
#[derive(Clone, Debug)]
pub struct Contributions {
    /// (12, L), in the prediction's unit.
    pub values: Array2<f64>,
    /// The answer that they begin at.
    pub from: f64,
    /// What gives that answer, e.g. `flat line`.
    pub beginning: String,
    /// How they come from the map, where they are not the map itself.
    pub made: Option<&'static str>,
}

impl OneEcg<'_> {
    fn unit(&self) -> &'static str {
        self.answer.target.map_or("", Target::unit)
    }

    /// A value with the prediction's unit.
    fn said(&self, value: f64) -> String {
        format!("{} {}", plain(value, 1), self.unit()).trim_end().to_owned()
    }

    fn what(&self) -> &'static str {
        self.answer.target.map_or("what the network predicts", Target::title)
    }
}

/// The page. The same contents give the same bytes.
///
/// # Errors
/// [`crate::Error::Data`] for numbers too large to be drawn.
pub fn page(one: &OneEcg<'_>) -> Result<String> {
    let style = Style::default();
    let title = format!("{}: {}", one.name, one.what());
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{0}</title><style>{CSS}</style></head><body class=\"one\"><header><h1>{0}</h1></header><main>",
        escape(&title)
    );
    html += &banner(one);
    html += &header::table(one);
    html += &answers(one);
    html += &pictures::shared(one, style)?;
    html += &pictures::ecg(one, style)?;
    for map in &one.maps {
        section(&mut html, one, map, style)?;
    }
    html += "<section id=\"about\"><h2>Where this comes from</h2><table class=\"plain\"><tbody>";
    for (name, value) in &one.about {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>", escape(name), escape(value));
    }
    html += "</tbody></table></section></main><footer>Made by cardiograd. Research software: not a medical device, not for diagnosis.</footer></body></html>\n";
    Ok(html)
}

/// That the network is no better than the mean, if it is so: nothing below is worth reading without that.
fn banner(one: &OneEcg<'_>) -> String {
    let Some(errors) = one.answer.errors.filter(|errors| errors.mae >= errors.mae_of_mean) else { return String::new() };
    let words = words_for_the_mean(errors.mae, errors.mae_of_mean, one.answer.target.map_or("", Target::error_unit));
    format!("<p class=\"warning\" role=\"note\">On its {} test ECGs {words}.</p>", errors.n)
}

/// What the network says of this ECG, beside what is known.
fn answers(one: &OneEcg<'_>) -> String {
    let answer = &one.answer;
    let known = |m: &Option<Measurements>| answer.target.and_then(|target| target.value(m.as_ref()?));
    let mut rows = vec![("Predicted".to_owned(), one.said(answer.predicted), String::new())];
    let kind = answer.target.map_or(TargetKind::Regression, Target::kind);
    if kind == TargetKind::Binary {
        let chance = |logit: f64| plain(probabilities(kind, &[logit])[0], 3);
        rows.push((
            "Probability".into(),
            chance(answer.predicted),
            format!("of yes, 1 / (1 + e^−logit); on a flat line {}", chance(answer.flat)),
        ));
    }
    for (name, value) in [("Measured", known(&one.measured)), ("In the file", known(&one.carried)), ("Exact", known(&one.exact))] {
        let Some(value) = value else { continue };
        let off = answer.predicted - value;
        rows.push((
            name.into(),
            one.said(value),
            format!("the prediction is {} {}", one.said(off.abs()), if off >= 0.0 { "above" } else { "below" }),
        ));
    }
    rows.push(("On a flat line".into(), one.said(answer.flat), "the network's answer to twelve leads of zeros".into()));
    if let Some(errors) = answer.errors {
        // Of classes errors are those of probabilities.
        let (of, said): (_, &dyn Fn(f64) -> String) =
            if kind == TargetKind::Regression { ("", &|value| one.said(value)) } else { (" of the probability", &|value| plain(value, 3)) };
        let beside = format!(
            "mean absolute error{of} on its {} test ECGs; always answering the training mean errs by {}",
            errors.n,
            said(errors.mae_of_mean)
        );
        rows.push(("Usual error".into(), said(errors.mae), beside));
    }
    if let Some(near) = answer.near {
        let side = match near.bias {
            bias if bias.abs() < 0.05 * near.mae => String::new(),
            bias => format!(", on average {} {}", one.said(bias.abs()), if bias > 0.0 { "too high" } else { "too low" }),
        };
        let from = if near.low < near.high { format!("{} to ", plain(near.low, 1)) } else { String::new() };
        let beside = format!("mean absolute error on its {} test ECGs of {from}{}{side}", near.n, one.said(near.high));
        rows.push(("Error near this value".into(), one.said(near.mae), beside));
    }
    let mut html = format!("<section id=\"answer\"><h2>The network reads: {}</h2><table class=\"answers\"><tbody>", escape(one.what()));
    for (name, value, note) in rows {
        let _ = write!(html, "<tr><th scope=\"row\">{name}</th><td class=\"value\">{value}</td><td class=\"words\">{note}</td></tr>");
    }
    let moved = answer.predicted - answer.flat;
    let _ = write!(
        html,
        "</tbody></table><p>This ECG moves the network's answer by <strong>{}</strong>, from {} on a flat line to {}. Contributions account for that difference, \
         not for the whole {}.</p></section>",
        signed(one, moved),
        one.said(answer.flat),
        one.said(answer.predicted),
        one.said(answer.predicted)
    );
    html
}

/// A difference with its sign.
fn signed(one: &OneEcg<'_>, value: f64) -> String {
    if value > 0.0 { format!("+{}", one.said(value)) } else { one.said(value) }
}

fn section(html: &mut String, one: &OneEcg<'_>, map: &Map, style: Style) -> Result<()> {
    let heading = format!("{}, {}", map.title, one.what());
    let heatmap = Heatmap {
        ecg: one.ecg,
        map: map.values.view(),
        title: &heading,
        unit: one.unit(),
        meaning: Some(map.meaning),
        fiducials: None,
        axes: None,
    };
    let _ = write!(
        html,
        "<section class=\"map\"><h2>{}</h2><p>{} {}</p>{}<p class=\"size\">Size of the map: {}.</p>",
        escape(&map.title),
        map.meaning.sentence(),
        words::colours(map.meaning, style),
        pictures::map(one, &heatmap, style)?,
        heatmap.size()
    );
    if let Some(contributions) = &map.contributions {
        accounts(html, one, contributions, style)?;
    }
    *html += "</section>";
    Ok(())
}

/// How contributions lead from the one answer to the other: in words, by part of the beat or second, and by lead.
fn accounts(html: &mut String, one: &OneEcg<'_>, contributions: &Contributions, style: Style) -> Result<()> {
    let accounts = Accounts::new(contributions, one.answer.predicted, one.measured.as_ref());
    let sum = accounts.by_part.sum();
    let _ = write!(
        html,
        "<p class=\"account\">{}Σ contributions: <strong>{}</strong> of the {} between {} ({}) and this ECG ({}); not accounted for: {}.</p><div class=\"pair\">",
        contributions.made.map_or_else(String::new, |made| format!("{made} ")),
        signed(one, sum),
        signed(one, one.answer.predicted - contributions.from),
        escape(&contributions.beginning),
        one.said(contributions.from),
        one.said(one.answer.predicted),
        signed(one, accounts.by_part.rest)
    );
    for account in [&accounts.by_part, &accounts.by_lead] {
        let svg = account.draw(one.unit(), style);
        svg.check()?;
        let _ = write!(html, "<figure>{}</figure>", svg.inline());
    }
    *html += "</div>";
    Ok(())
}

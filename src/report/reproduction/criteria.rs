//! The criteria that decide the study's sentences here: each reads areas, errors and heatmaps, and says its verdict with the figure behind it.

use super::areas::{Areas, RANDOM, mean_place};
use super::peaks::{Peaks, on_the_peak};
use super::verdict::{Figure, Verdict, number};
use crate::dataset::Target;
use crate::evaluation::bootstrap::Estimate;
use crate::evaluation::errors::errors as mean_errors;
use crate::evaluation::ranks::{descending, spearman};
use crate::evaluation::worth::with_intervals;
use crate::report::analysis::map_correlations;
use crate::report::methods::{NINE, title};
use crate::report::published;
use crate::report::results::StudyResults;

/// What a sentence is judged by.
pub(super) struct Evidence<'a> {
    /// Of the study's six targets those that there are, by the published formula.
    pub areas: Vec<&'a Areas>,
    /// The study; `None` for Table 4 as published, which is areas alone.
    pub study: Option<&'a StudyResults>,
    /// Where averaged heatmaps are largest.
    pub peaks: Option<&'a Peaks>,
}

/// A verdict with its figure, or why there is none.
pub(super) type Judged = Result<(Verdict, String), String>;

pub(super) fn votes() -> Judged {
    Err("this study has no votes of experts (`cardiograd survey` collects them)".into())
}

impl Evidence<'_> {
    fn of(&self, target: Target) -> Result<&Areas, String> {
        let found = self.areas.iter().find(|areas| areas.target == target);
        found.copied().ok_or_else(|| format!("this study has no areas for the {}", target.title()))
    }

    /// The areas of all six targets.
    fn six(&self) -> Result<Vec<&Areas>, String> {
        Target::STUDY.into_iter().map(|target| self.of(target)).collect()
    }

    fn study(&self) -> Result<&StudyResults, String> {
        self.study.ok_or_else(|| "Table 4 does not say".into())
    }

    fn peaks(&self) -> Result<&Peaks, String> {
        self.peaks.ok_or_else(|| "no heatmaps of median beats".into())
    }
}

fn lacks(method: &str) -> String {
    format!("this study has no areas of {} beside those of Random", title(method))
}

fn place_of(areas: &Areas, method: &str) -> Result<Figure, String> {
    areas.place(method).ok_or_else(|| lacks(method))
}

fn mean_of(all: &[&Areas], method: &str) -> Result<Figure, String> {
    mean_place(all, method).ok_or_else(|| lacks(method))
}

/// A share in percent.
fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share, if share > 0.0 && share < 0.1 || share > 0.9 && share < 1.0 { 1 } else { 0 }))
}

pub(super) fn no_best(e: &Evidence<'_>) -> Judged {
    let six = e.six()?;
    let shares = |method: &&str| six.iter().map(|areas| areas.first(method).unwrap_or(0.0)).collect::<Vec<f64>>();
    let all: Vec<Vec<f64>> = NINE.iter().map(shares).collect();
    let verdict = if all.iter().any(|own| own.iter().all(|share| Verdict::of_share(*share) == Verdict::Holds)) {
        Verdict::DoesNotHold
    } else if all.iter().all(|own| own.iter().any(|share| Verdict::of_share(*share) == Verdict::DoesNotHold)) {
        Verdict::Holds
    } else {
        Verdict::CannotBeTold
    };
    let words = six.iter().filter_map(|areas| {
        let winner = areas.winner()?;
        Some(format!("{} {} ({} of resamples)", areas.target.title(), title(winner), percent(areas.first(winner)?)))
    });
    Ok((verdict, format!("largest area: {}", words.collect::<Vec<_>>().join(", "))))
}

pub(super) fn errors(e: &Evidence<'_>) -> Judged {
    let study = e.study()?;
    let mut parts = Vec::new();
    for target in Target::STUDY {
        let results = study.target(target).filter(|results| !results.test.is_empty());
        let results = results.ok_or_else(|| format!("this study has no test errors for the {}", target.title()))?;
        let theirs = published::test_errors(target).map_or(f64::NAN, |errors| errors.0);
        let mae = error_estimates(study, &results.pairs())[0].ok_or_else(|| "no test ECGs".to_owned())?;
        let ratio = Figure { value: mae.value / theirs, drawn: vec![mae.low / theirs, mae.high / theirs] };
        // Both ends of an interval stand for the resamples between them.
        let verdict = match ratio.drawn[..] {
            [_, high] if high <= NEAR => Verdict::Holds,
            [low, _] if low > NEAR => Verdict::DoesNotHold,
            _ => Verdict::CannotBeTold,
        };
        parts.push((verdict, format!("{} {} times", target.title(), ratio_said(&ratio))));
    }
    Ok(joined(parts))
}

/// How many times the published error is about as much.
const NEAR: f64 = 1.25;

fn ratio_said(ratio: &Figure) -> String {
    match ratio.drawn[..] {
        [low, high] if low.is_finite() => format!("{} ({} to {})", number(ratio.value, 2), number(low, 2), number(high, 2)),
        _ => number(ratio.value, 2),
    }
}

/// The mean absolute and root mean squared error with their intervals over ECGs.
pub(super) fn error_estimates(study: &StudyResults, pairs: &[(f64, f64)]) -> [Option<Estimate>; 2] {
    let figures = |pairs: &[(f64, f64)]| {
        let all = mean_errors(pairs);
        vec![("mae", all.map(|all| all.mae)), ("rmse", all.map(|all| all.rmse))]
    };
    let found = with_intervals(pairs, None, study.provenance.seed, figures);
    [0, 1].map(|at| found.get(at).and_then(|figure| figure.estimate))
}

/// Verdicts of the parts of a sentence as one, with all their words.
fn joined(parts: Vec<(Verdict, String)>) -> (Verdict, String) {
    let verdict = Verdict::all(parts.iter().map(|part| part.0));
    let some = |wanted: Verdict| parts.iter().filter(|part| part.0 == wanted).count();
    let (so, not) = (some(Verdict::Holds), some(Verdict::DoesNotHold));
    let words = parts.iter().map(|part| part.1.as_str()).collect::<Vec<_>>().join(", ");
    let counted = if parts.len() > 1 { format!("; so for {so} of {}, not for {not}", parts.len()) } else { String::new() };
    (verdict, words + &counted)
}

pub(super) fn intervals_rise_less(e: &Evidence<'_>) -> Judged {
    let six = e.six()?;
    let (amplitudes, intervals): (Vec<&Areas>, Vec<&Areas>) = six.into_iter().partition(|areas| areas.target.unit() == "µV");
    let extreme = |all: &[&Areas], of: fn(f64, f64) -> f64| {
        all.iter().map(|areas| areas.most()).reduce(|a, b| a.with(&b, of)).ok_or_else(|| "no areas".to_owned())
    };
    let (most, least) = (extreme(&intervals, f64::max)?, extreme(&amplitudes, f64::min)?);
    let ratio = most.with(&least, |a, b| a / b);
    let words = format!("{} against {}: {} times", most.said(2), least.said(2), ratio.said(2));
    Ok((ratio.below(1.0), words))
}

pub(super) fn each_mean(e: &Evidence<'_>, methods: &[&str], least: f64) -> Judged {
    let six = e.six()?;
    let one = |method: &&str| {
        let mean = mean_of(&six, method)?;
        Ok((mean.at_least(least), format!("{} {}", title(method), mean.said(2))))
    };
    Ok(joined(methods.iter().map(one).collect::<Result<_, String>>()?))
}

pub(super) fn mean_is(e: &Evidence<'_>, method: &str, judge: fn(&Figure) -> Verdict) -> Judged {
    let mean = mean_of(&e.six()?, method)?;
    Ok((judge(&mean), format!("mean place {}", mean.said(2))))
}

pub(super) fn each_place(e: &Evidence<'_>, method: &str, judge: fn(&Figure) -> Verdict) -> Judged {
    let one = |areas: &&Areas| {
        let place = place_of(areas, method)?;
        Ok((judge(&place), format!("{} {}", areas.target.title(), place.said(2))))
    };
    Ok(joined(e.six()?.iter().map(one).collect::<Result<_, String>>()?))
}

pub(super) fn all_but_r(e: &Evidence<'_>) -> Judged {
    let (r, others): (Vec<&Areas>, Vec<&Areas>) = e.six()?.into_iter().partition(|areas| areas.target == Target::RV5);
    let mut parts = Vec::new();
    for method in ["guided_backprop", "inputxgradient"] {
        let (mean, own) = (mean_of(&others, method)?, place_of(r[0], method)?);
        parts.push((mean.at_least(0.5), format!("{} without R {}", title(method), mean.said(2))));
        parts.push((own.below(1.0 / 3.0), format!("for R {}", own.said(2))));
    }
    Ok(joined(parts))
}

pub(super) fn same_at_every_end(e: &Evidence<'_>) -> Judged {
    let mut parts = Vec::new();
    for areas in e.six()? {
        let (Some(first), false) = (areas.ranks_by_end.first(), areas.ranks_by_end.len() < 2) else {
            return Err("curves do not reach 25 points".into());
        };
        let moved = |m: &usize| areas.ranks_by_end.iter().any(|(_, ranks)| ranks[*m] != first.1[*m]);
        let moved = (0..areas.methods.len()).filter(moved).count();
        parts.push((Verdict::of(moved == 0), format!("{} {moved} of {} methods change rank", areas.target.title(), areas.methods.len())));
    }
    Ok(joined(parts))
}

pub(super) fn ineffective(e: &Evidence<'_>) -> Judged {
    let mut parts = Vec::new();
    for areas in e.six()? {
        let places = NINE.iter().filter_map(|method| Some((*method, areas.place(method)?)));
        let least = places.min_by(|a, b| a.1.value.total_cmp(&b.1.value)).ok_or_else(|| "no areas beside Random".to_owned())?;
        parts.push((least.1.below(1.0 / 3.0), format!("{} {} {}", areas.target.title(), title(least.0), least.1.said(2))));
    }
    Ok(joined(parts))
}

pub(super) fn first(e: &Evidence<'_>, target: Target, method: &str) -> Judged {
    let areas = e.of(target)?;
    let share = areas.first(method).ok_or_else(|| lacks(method))?;
    let winner = areas.winner().filter(|winner| *winner != method);
    let instead = winner.map_or_else(String::new, |winner| format!("; the largest is {}", title(winner)));
    // Two that are published as equal share the first place: neither is contradicted.
    let equal = areas.drawn.nrows() == 1 && share > 0.0;
    Ok((if equal { Verdict::Holds } else { Verdict::of_share(share) }, format!("{} of resamples{instead}", percent(share))))
}

pub(super) fn place_is(e: &Evidence<'_>, target: Target, method: &str, judge: fn(&Figure) -> Verdict) -> Judged {
    let place = place_of(e.of(target)?, method)?;
    Ok((judge(&place), format!("place {}", place.said(2))))
}

pub(super) fn ranked(e: &Evidence<'_>, target: Target, method: &str, wanted: f64) -> Judged {
    let rank = e.of(target)?.rank(method, |name| name != RANDOM).ok_or_else(|| lacks(method))?;
    let share = rank.drawn.iter().filter(|rank| **rank == wanted).count() as f64 / rank.drawn.len() as f64;
    Ok((Verdict::of_share(share), format!("rank {}; {wanted} in {} of resamples", rank.said(0), percent(share))))
}

/// The nine methods with the published votes on full heatmaps for a target.
fn voted(target: Target) -> Vec<(&'static str, f64)> {
    NINE.iter().filter_map(|method| Some((*method, f64::from(published::votes(method, target)?.0)))).collect()
}

pub(super) fn experts_disagree(e: &Evidence<'_>) -> Judged {
    let mut words = Vec::new();
    let mut counts = [0; 3];
    for areas in e.six()? {
        let voted = voted(areas.target).into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).ok_or_else(|| "no votes".to_owned())?;
        let share = areas.first(voted.0).ok_or_else(|| lacks(voted.0))?;
        counts[Verdict::of_share(share) as usize] += 1;
        words.push(format!("{} {} ({})", areas.target.title(), title(voted.0), percent(share)));
    }
    let [_, not, open] = counts;
    let verdict = if not >= 3 {
        Verdict::Holds
    } else if not + open < 3 {
        Verdict::DoesNotHold
    } else {
        Verdict::CannotBeTold
    };
    Ok((verdict, format!("experts' first, and its share of resamples with the largest area: {}", words.join(", "))))
}

pub(super) fn experts_on_r(e: &Evidence<'_>) -> Judged {
    let areas = e.of(Target::RV5)?;
    let voted = voted(Target::RV5);
    let votes = descending(&voted.iter().map(|one| one.1).collect::<Vec<f64>>());
    let ranks: Vec<Figure> = voted
        .iter()
        .map(|(method, _)| areas.rank(method, |name| name != RANDOM).ok_or_else(|| lacks(method)))
        .collect::<Result<_, String>>()?;
    let own = NINE.iter().position(|method| *method == "inputxgradient").unwrap_or(0);
    let differences =
        |of: &dyn Fn(&Figure) -> f64| ranks.iter().zip(&votes).map(|(rank, votes)| (of(rank) - votes).abs()).collect::<Vec<_>>();
    let is_most = |all: &[f64]| all.iter().enumerate().all(|(m, other)| m == own || *other < all[own]);
    let draws = areas.drawn.nrows();
    let share = (0..draws).filter(|k| is_most(&differences(&|rank| rank.drawn[*k]))).count() as f64 / draws as f64;
    let whole = differences(&|rank| rank.value);
    Ok((
        Verdict::of_share(share),
        format!("first by votes, {} by area; {} of resamples", number(ranks[own].value, 0), percent(share)) + &most_said(&whole),
    ))
}

/// The method of the largest difference.
fn most_said(differences: &[f64]) -> String {
    let most = differences.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    most.map_or_else(String::new, |(m, difference)| format!("; the largest difference is {} of {}", number(*difference, 1), title(NINE[m])))
}

pub(super) fn peak_costs(e: &Evidence<'_>) -> Judged {
    let (study, areas) = (e.study()?, e.of(Target::RV5)?);
    let shares: Vec<(usize, f64)> = NINE.iter().filter_map(|method| Some((areas.at(method)?, on_the_peak(study, method)?))).collect();
    if shares.len() < NINE.len() {
        return Err("no heatmaps of all nine methods for the R amplitude on median beats".into());
    }
    let (places, shares): (Vec<usize>, Vec<f64>) = shares.into_iter().unzip();
    let found = areas.figure(|areas| spearman(&places.iter().map(|m| areas[*m]).collect::<Vec<_>>(), &shares).unwrap_or(f64::NAN));
    let words = NINE.iter().zip(&shares).map(|(method, share)| format!("{} {}", title(method), percent(*share)));
    Ok((found.below(0.0), format!("Spearman {}; on the peak: {}", found.said(2), words.collect::<Vec<_>>().join(", "))))
}

pub(super) fn at_the_peak(e: &Evidence<'_>, target: Target, methods: &[&str]) -> Judged {
    let peaks = e.peaks()?;
    let one = |method: &&str| {
        let share = peaks.share(target, method).ok_or_else(|| format!("no heatmaps of {} for the {}", title(method), target.title()))?;
        Ok((half(share), format!("{} {}", title(method), share_said(share))))
    };
    Ok(joined(methods.iter().map(one).collect::<Result<_, String>>()?))
}

/// Whether a share is at least a half.
pub(super) fn half(share: Estimate) -> Verdict {
    match share {
        Estimate { low, .. } if low >= 0.5 => Verdict::Holds,
        Estimate { high, .. } if high < 0.5 => Verdict::DoesNotHold,
        _ => Verdict::CannotBeTold,
    }
}

fn share_said(share: Estimate) -> String {
    format!("{} ({} to {})", percent(share.value), percent(share.low), percent(share.high))
}

pub(super) fn others_miss_r(e: &Evidence<'_>) -> Judged {
    const MOST: usize = 5;
    let peaks = e.peaks()?;
    let others: Vec<(&str, Estimate)> = NINE
        .iter()
        .filter(|method| **method != "inputxgradient")
        .map(|method| Some((*method, peaks.share(Target::RV5, method)?)))
        .collect::<Option<_>>()
        .ok_or_else(|| "no heatmaps of all nine methods for the R amplitude".to_owned())?;
    let some = |wanted: Verdict| others.iter().filter(|(_, share)| half(*share) == wanted).count();
    let (miss, open) = (some(Verdict::DoesNotHold), some(Verdict::CannotBeTold));
    let verdict = if miss >= MOST {
        Verdict::Holds
    } else if miss + open < MOST {
        Verdict::DoesNotHold
    } else {
        Verdict::CannotBeTold
    };
    let words: Vec<String> = others.iter().map(|(method, share)| format!("{} {}", title(method), percent(share.value))).collect();
    Ok((verdict, format!("{miss} of 8 miss it: {}", words.join(", "))))
}

pub(super) fn t_peak(e: &Evidence<'_>) -> Judged {
    let eight: Vec<&str> = NINE.iter().copied().filter(|method| *method != "deconvolution").collect();
    let (found, mut words) = at_the_peak(e, Target::TV5, &eight)?;
    let (deconvolution, own) = at_the_peak(e, Target::TV5, &["deconvolution"])?;
    words += &format!("; {own}");
    Ok((Verdict::all([found, deconvolution.not()]), words))
}

pub(super) fn maps_differ(e: &Evidence<'_>) -> Judged {
    let study = e.study()?;
    let methods: Vec<String> = NINE.iter().map(|name| (*name).to_owned()).collect();
    let mut means = Vec::new();
    for target in study.targets.iter().filter(|target| Target::STUDY.contains(&target.target)) {
        let pairs = map_correlations(target, &methods);
        let off: Vec<f64> = (0..methods.len()).flat_map(|a| pairs[a][a + 1..].to_vec()).flatten().collect();
        if !off.is_empty() {
            means.push((target.target, off.iter().sum::<f64>() / off.len() as f64));
        }
    }
    if means.is_empty() {
        return Err("no heatmaps of two methods".into());
    }
    let mean = means.iter().map(|one| one.1).sum::<f64>() / means.len() as f64;
    let words: Vec<String> = means.iter().map(|(target, mean)| format!("{} {}", target.title(), number(*mean, 2))).collect();
    Ok((Verdict::of(mean < 0.5), format!("mean {} ({})", number(mean, 2), words.join(", "))))
}

pub(super) fn recommended(e: &Evidence<'_>) -> Judged {
    let (verdict, words) = each_mean(e, &["deeplift", "guided_backprop", "inputxgradient", "saliency", "smoothgrad"], 0.5)?;
    let deconvolution = mean_of(&e.six()?, "deconvolution")?;
    let words = format!("{words}; Deconvolution {}", deconvolution.said(2));
    Ok((Verdict::all([verdict, deconvolution.below(1.0 / 3.0)]), words))
}

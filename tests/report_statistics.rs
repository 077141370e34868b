//! The statistics against SciPy, mpmath, scikit-learn, statsmodels, irrCAC, krippendorff and networkx (`tests/data/agreement.py`, `errors.py`).

use cardiograd::evaluation::agreement::{Votes, cohen_kappa_of, fleiss_kappa, gwet_ac1, krippendorff_alpha, mean_pairwise_kappa};
use cardiograd::evaluation::bootstrap::Estimate;
use cardiograd::evaluation::compare::{Comparison, compare, groups, holm};
use cardiograd::evaluation::errors;
use cardiograd::evaluation::ranks::{pearson, spearman};
use cardiograd::evaluation::signed_ranks::wilcoxon;
use cardiograd::evaluation::tails::{chi_square_tail, f_tail, t_two_sided};
use serde_json::Value;

fn oracle() -> Value {
    serde_json::from_str(include_str!("data/agreement.json")).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn near(a: f64, b: &Value, what: &str) {
    let b = b.as_f64().expect("a number");
    assert!((a - b).abs() < 1e-9, "{what}: {a} is not {b}");
}

#[test]
fn agreement_is_that_of_independent_programs() {
    for (t, table) in oracle()["tables"].as_array().expect("tables").iter().enumerate() {
        let votes: Votes = serde_json::from_value(table["votes"].clone()).expect("votes");
        let raters = votes[0].len();
        let pairs = (0..raters).flat_map(|a| (a + 1..raters).map(move |b| (a, b)));
        let mut kappas = Vec::new();
        for ((a, b), wanted) in pairs.zip(table["cohen"].as_array().expect("κ")) {
            let kappa = cohen_kappa_of(&votes, a, b).expect("κ");
            near(kappa, wanted, &format!("table {t}: Cohen's κ of {a} and {b}"));
            kappas.push(kappa);
        }
        let mean = kappas.iter().sum::<f64>() / kappas.len() as f64;
        assert!((mean_pairwise_kappa(&votes).expect("κ") - mean).abs() < 1e-12);
        near(fleiss_kappa(&votes).expect("κ"), &table["fleiss"], &format!("table {t}: Fleiss' κ"));
        near(krippendorff_alpha(&votes).expect("α"), &table["alpha"], &format!("table {t}: Krippendorff's α"));
        let categories = table["categories"].as_u64().expect("a number") as usize;
        near(gwet_ac1(&votes, categories).expect("AC1"), &table["ac1"], &format!("table {t}: Gwet's AC1"));
        if let Some(other) = table.get("fleiss_statsmodels") {
            near(fleiss_kappa(&votes).expect("κ"), other, &format!("table {t}: Fleiss' κ by statsmodels"));
        }
    }
}

#[test]
fn tests_of_difference_are_scipys() {
    for (t, block) in oracle()["blocks"].as_array().expect("blocks").iter().enumerate() {
        let values: Vec<Vec<f64>> = serde_json::from_value(block["values"].clone()).expect("values");
        let comparison = compare(&values).expect("a comparison");
        near(comparison.statistic, &block["statistic"], &format!("blocks {t}: Friedman"));
        near(comparison.p, &block["p"], &format!("blocks {t}: p of Friedman"));
        near(comparison.f, &block["f"], &format!("blocks {t}: Iman and Davenport's F"));
        near(comparison.f_p, &block["f_p"], &format!("blocks {t}: its p"));
        let exact = block["exact"].as_bool().expect("yes or no");
        assert_eq!(comparison.how(), if exact { "exact" } else { "normal approximation" });
        let raw = numbers(&block["wilcoxon"]);
        let k = values[0].len();
        let pairs: Vec<(usize, usize)> = (0..k).flat_map(|a| (a + 1..k).map(move |b| (a, b))).collect();
        for (i, (a, b)) in pairs.iter().enumerate() {
            let differences: Vec<f64> = values.iter().map(|row| row[*a] - row[*b]).collect();
            let found = wilcoxon(&differences);
            assert_eq!(found.exact, exact);
            near(found.p, &block["wilcoxon"][i], &format!("blocks {t}: Wilcoxon of {a} and {b}"));
            near(comparison.pairs[*a][*b], &block["holm"][i], &format!("blocks {t}: Holm of {a} and {b}"));
        }
        assert!(holm(&raw).iter().zip(numbers(&block["holm"])).all(|(a, b)| (a - b).abs() < 1e-12));
        let column = |j: usize| values.iter().map(|row| row[j]).collect::<Vec<f64>>();
        near(spearman(&column(0), &column(1)).expect("ρ"), &block["spearman"], "Spearman");
        near(pearson(&column(0), &column(1)).expect("r"), &block["pearson"], "Pearson");
    }
}

/// To 1e-12 of the value, or of 1 where the tail is nearly all.
fn same(found: f64, wanted: &Value, what: &str) {
    let wanted = wanted.as_f64().expect("a number");
    assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1e-280), "{what}: {found:e} is not {wanted:e}");
}

#[test]
fn signed_ranks_are_scipys_exact_and_approximate() {
    let oracle = oracle();
    let tests = oracle["tests"].as_array().expect("tests");
    for test in tests {
        let differences = numbers(&test["differences"]);
        let found = wilcoxon(&differences);
        assert_eq!(Some(found.exact), test["exact"].as_bool(), "{differences:?}");
        same(found.p, &test["p"], &format!("Wilcoxon of {differences:?}"));
    }
    assert_eq!((tests[0]["p"].as_f64(), tests.len()), (Some(0.0625), 18));
}

#[test]
fn tails_are_those_of_scipy_and_mpmath() {
    let oracle = oracle();
    let number = |entry: &Value, name: &str| entry[name].as_f64().expect("a number");
    for entry in oracle["tails"]["chi2"].as_array().expect("tails") {
        same(chi_square_tail(number(entry, "x"), number(entry, "df")), &entry["p"], &format!("χ²: {entry}"));
    }
    for entry in oracle["tails"]["f"].as_array().expect("tails") {
        same(f_tail(number(entry, "x"), number(entry, "above"), number(entry, "below")), &entry["p"], &format!("F: {entry}"));
    }
}

fn errors_oracle() -> Value {
    serde_json::from_str(include_str!("data/errors.json")).expect("JSON")
}

#[test]
fn groups_are_the_maximal_cliques_of_networkx() {
    for graph in errors_oracle()["graphs"].as_array().expect("graphs") {
        let edges: Vec<(usize, usize)> = serde_json::from_value(graph["edges"].clone()).expect("edges");
        let count = graph["n"].as_u64().expect("a number") as usize;
        let alike = |a: usize, b: usize| a == b || edges.contains(&(a, b)) || edges.contains(&(b, a));
        let pairs: Vec<Vec<f64>> = (0..count).map(|a| (0..count).map(|b| if alike(a, b) { 0.5 } else { 0.01 }).collect()).collect();
        let (mean_ranks, exact) = ((1..=count).map(|rank| rank as f64).collect(), vec![vec![true; count]; count]);
        let comparison = Comparison { mean_ranks, statistic: 0.0, p: 1.0, f: 0.0, f_p: 1.0, raw: pairs.clone(), pairs, exact };
        let mut found = groups(&comparison, 0.05);
        found.sort();
        let wanted: Vec<Vec<usize>> = serde_json::from_value(graph["cliques"].clone()).expect("cliques");
        assert_eq!(found, wanted);
        // Every pair that is not told apart is joined, and no other.
        for (a, b) in (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))) {
            assert_eq!(found.iter().any(|group| group.contains(&a) && group.contains(&b)), alike(a, b));
        }
    }
}

#[test]
fn agreement_calibration_shares_and_quantiles_are_those_of_scipy_and_statsmodels() {
    let known = errors_oracle();
    let same = |found: Estimate, wanted: &Value, what: &str| {
        let pairs = [found.value, found.low, found.high].into_iter().zip(numbers(wanted));
        pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{what}: {a} is not {b}"));
    };
    for set in known["sets"].as_array().expect("sets") {
        let pairs: Vec<(f64, f64)> = numbers(&set["measured"]).into_iter().zip(numbers(&set["predicted"])).collect();
        let found = errors::agreement(&pairs).expect("agreement");
        near(found.sd, &set["sd"], "SD");
        for (estimate, name) in [(found.bias, "bias"), (found.lower, "lower"), (found.upper, "upper")] {
            same(estimate, &set[name], name);
        }
        let found = errors::calibration(&pairs).expect("a line");
        same(found.slope, &set["slope"], "slope");
        same(found.intercept, &set["intercept"], "intercept");
    }
    for one in known["proportions"].as_array().expect("shares") {
        let of = |name: &str| one[name].as_u64().expect("a number") as usize;
        let (found, ends) = (errors::share(of("k"), of("n")).expect("a share"), numbers(&one["interval"]));
        assert!((found.low - ends[0]).abs() < 1e-12 && (found.high - ends[1]).abs() < 1e-12, "{found:?} is not {ends:?}");
    }
    for one in known["quantiles"].as_array().expect("quantiles") {
        let (freedom, t) = (one["freedom"].as_f64().expect("a number"), one["t"].as_f64().expect("a number"));
        assert!((t_two_sided(0.05, freedom) / t - 1.0).abs() < 1e-9, "{freedom}: {} is not {t}", t_two_sided(0.05, freedom));
    }
    assert!(t_two_sided(0.05, 0.0).is_nan());
}

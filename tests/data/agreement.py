"""Writes agreement.json: fixed random tables with missing votes, and what independent implementations make of them.

pip install krippendorff irrCAC statsmodels scikit-learn scipy pandas mpmath; python agreement.py > agreement.json
"""
import itertools, json, warnings
import krippendorff, mpmath, numpy as np, pandas as pd, scipy.stats, statsmodels.stats.inter_rater, statsmodels.stats.multitest
from irrCAC.raw import CAC
from sklearn.metrics import cohen_kappa_score

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20240917)
tables = []
for items, raters, categories, missing in [(51, 3, 9, 0.0), (51, 3, 9, 0.15), (30, 2, 4, 0.1), (80, 5, 6, 0.4), (12, 4, 3, 0.25), (102, 3, 9, 0.05)]:
    truth = rng.choice(categories, items, p=rng.dirichlet(np.ones(categories)))
    votes = np.where(rng.random((items, raters)) < 0.6, truth[:, None], rng.integers(0, categories, (items, raters))).astype(float)
    votes[rng.random(votes.shape) < missing] = np.nan
    votes[0] = 0  # no item range without a vote, and category 0 seen
    cac = CAC(pd.DataFrame(votes), categories=list(range(categories)), digits=14)
    value = lambda result: result["est"]["coefficient_value"]
    kappas = []
    for a, b in itertools.combinations(range(raters), 2):
        both = ~np.isnan(votes[:, a]) & ~np.isnan(votes[:, b])
        kappas.append(cohen_kappa_score(votes[both, a], votes[both, b]))
    entry = dict(categories=categories, votes=[[None if np.isnan(v) else int(v) for v in row] for row in votes], cohen=kappas,
                 fleiss=value(cac.fleiss()), alpha=krippendorff.alpha(votes.T, level_of_measurement="nominal", value_domain=list(range(categories))), ac1=value(cac.gwet()))
    if missing == 0:
        counts = statsmodels.stats.inter_rater.aggregate_raters(votes.astype(int), n_cat=categories)[0]
        entry["fleiss_statsmodels"] = statsmodels.stats.inter_rater.fleiss_kappa(counts)
    tables.append(entry)
blocks = []
for n, k, ties in [(20, 4, False), (60, 9, True), (200, 10, False)]:
    values = rng.normal(size=(n, k)) + 0.15 * np.arange(k)
    if ties:
        values = np.round(values, 1)
    friedman = scipy.stats.friedmanchisquare(*(-values.T))
    f = (n - 1) * friedman.statistic / (n * (k - 1) - friedman.statistic)  # Iman & Davenport 1980
    pairs = list(itertools.combinations(range(k), 2))
    method = "exact" if n <= 25 and not ties else "approx"
    raw = [scipy.stats.wilcoxon(values[:, a], values[:, b], zero_method="wilcox", correction=False, method=method).pvalue for a, b in pairs]
    blocks.append(dict(values=values.tolist(), statistic=friedman.statistic, p=friedman.pvalue, f=f, f_p=scipy.stats.f.sf(f, k - 1, (k - 1) * (n - 1)),
                       exact=method == "exact", wilcoxon=raw,
                       holm=statsmodels.stats.multitest.multipletests(raw, method="holm")[1].tolist(),
                       spearman=scipy.stats.spearmanr(values[:, 0], values[:, 1]).statistic, pearson=scipy.stats.pearsonr(values[:, 0], values[:, 1]).statistic))

def signed(differences, method):
    found = scipy.stats.wilcoxon(differences, zero_method="wilcox", correction=False, method=method)
    return dict(differences=list(differences), p=found.pvalue, exact=method == "exact")

tests = [signed([1.0, 2.0, 3.0, 4.0, 5.0], "exact")]
for n in [1, 2, 3, 6, 10, 17, 24, 25]:
    tests.append(signed(rng.normal(0.4, 1.0, n).tolist(), "exact"))
for n in [26, 40, 200]:
    tests.append(signed(rng.normal(0.2, 1.0, n).tolist(), "approx"))
for n in [8, 25, 60]:
    tests.append(signed(np.round(rng.normal(0.3, 1.0, n), 1).tolist() + [0.5, -0.5], "approx"))  # ties, and zeros
    tests.append(signed([0.0, 0.0] + rng.normal(0.3, 1.0, n).tolist(), "approx"))  # zeros alone

def f_tail(x, a, b):
    # SciPy's own f.sf errs by 1e-11 at many degrees of freedom: to 40 digits, and SciPy within that.
    with mpmath.workdps(40):
        exact = mpmath.betainc(mpmath.mpf(b) / 2, mpmath.mpf(a) / 2, 0, b / (b + a * mpmath.mpf(x)), regularized=True)
    assert abs(scipy.stats.f.sf(x, a, b) / exact - 1) < 1e-10
    return float(exact)

tails = dict(
    chi2=[dict(x=x, df=df, p=scipy.stats.chi2.sf(x, df)) for df in [1, 2, 3, 8, 9, 40] for x in [1e-6, 0.3, 1.0, 4.0, 20.0, 150.0, 700.0]],
    f=[dict(x=x, above=a, below=b, p=f_tail(x, a, b)) for a, b in [(1, 1), (1, 5), (2, 38), (3, 57), (8, 472), (8, 39992), (9, 1791), (40, 7), (41, 8)]
       for x in [1e-6, 0.05, 0.5, 1.0, 1.7, 3.0, 11.0, 90.0]])
print(json.dumps(dict(tables=tables, blocks=blocks, tests=tests, tails=tails)))

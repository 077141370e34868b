"""Writes agreement.json: fixed random tables with missing votes, and what independent implementations make of them.

pip install krippendorff irrCAC statsmodels scikit-learn scipy; python agreement.py > agreement.json
"""
import itertools, json, warnings
import krippendorff, numpy as np, pandas as pd, scipy.stats, statsmodels.stats.inter_rater, statsmodels.stats.multitest
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
    pairs = list(itertools.combinations(range(k), 2))
    raw = [scipy.stats.wilcoxon(values[:, a], values[:, b], zero_method="wilcox", correction=False, method="approx").pvalue for a, b in pairs]
    blocks.append(dict(values=values.tolist(), statistic=friedman.statistic, p=friedman.pvalue, wilcoxon=raw,
                       holm=statsmodels.stats.multitest.multipletests(raw, method="holm")[1].tolist(),
                       spearman=scipy.stats.spearmanr(values[:, 0], values[:, 1]).statistic, pearson=scipy.stats.pearsonr(values[:, 0], values[:, 1]).statistic))
print(json.dumps(dict(tables=tables, blocks=blocks)))

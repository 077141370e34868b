"""Writes errors.json: fixed predictions, and what SciPy, statsmodels and networkx make of them.

pip install numpy scipy statsmodels networkx; python errors.py > errors.json
"""
import json, math
import networkx, numpy as np, scipy.stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint
from statsmodels.tools import add_constant

rng = np.random.default_rng(1107)
sets = []
for n, slope, noise in [(3, 1.0, 5.0), (12, 0.6, 9.0), (400, 0.95, 6.0)]:
    measured = rng.normal(160, 22, n)
    predicted = 160 + slope * (measured - 160) + rng.normal(1.5, noise, n)
    model = OLS(measured, add_constant(predicted)).fit()
    d = predicted - measured
    sd, bias, t = d.std(ddof=1), d.mean(), scipy.stats.t.ppf(0.975, n - 1)
    # Bland & Altman 1999: the standard error of a limit, with the exact normal quantile behind 95 %.
    z = 1.96
    se = sd * math.sqrt(1 / n + z * z / (2 * (n - 1)))
    limit = lambda sign: [bias + sign * z * sd, bias + sign * z * sd - t * se, bias + sign * z * sd + t * se]
    interval = scipy.stats.t.interval(0.95, n - 1, bias, sd / math.sqrt(n))
    confidence = model.conf_int(0.05)
    sets.append(dict(measured=measured.tolist(), predicted=predicted.tolist(), sd=sd, bias=[bias, *interval], lower=limit(-1), upper=limit(1),
                     intercept=[model.params[0], *confidence[0]], slope=[model.params[1], *confidence[1]]))
proportions = [dict(k=k, n=n, interval=proportion_confint(k, n, 0.05, method="wilson")) for k, n in [(0, 1), (1, 1), (0, 7), (7, 7), (3, 9), (41, 400), (399, 400)]]
quantiles = [dict(freedom=df, t=scipy.stats.t.ppf(0.975, df)) for df in [1, 2, 3, 7, 30, 399, 29999]]
graphs = []
for n, p in [(4, 0.5), (7, 0.4), (10, 0.3), (10, 0.8), (11, 0.0), (6, 1.0)]:
    graph = networkx.gnp_random_graph(n, p, seed=n)
    cliques = sorted(sorted(c) for c in networkx.find_cliques(graph) if len(c) > 1)
    graphs.append(dict(n=n, edges=[list(e) for e in graph.edges], cliques=cliques))
print(json.dumps(dict(sets=sets, proportions=proportions, quantiles=quantiles, graphs=graphs)))

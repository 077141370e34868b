"""Recomputes what a study's report claims from the files that it lies on, by nothing of cardiograd: NumPy and SciPy alone.

    python examples/recompute.py out

1. Prediction errors: results.json holds measured and predicted values of the test split; the measured ones are looked up in dataset/measurements.csv.
2. Table 4: areas under the mean curves of curves/TARGET/METHOD.npy, by both percentage scorings.
3. Which methods no test tells apart: Iman and Davenport's test and Wilcoxon's with Holm's correction on the areas of single ECGs.

Prints the figures and the largest difference from the report's own tables; exits with 1 if one is larger than rounding explains.
"""
import csv, itertools, json, pathlib, sys
import numpy as np
import scipy.stats

out = pathlib.Path(sys.argv[1])
results = json.loads((out / "results.json").read_text())
table = lambda name: list(csv.reader((out / "tables" / f"{name}.csv").open(encoding="utf-8")))
column = {"pr": "pr_ms", "qrs": "qrs_ms", "qt": "qt_ms", "r_v5": "r_v5_uv", "j_v5": "j_v5_uv", "t_v5": "t_v5_uv", "rate": "rate_bpm"}
worst = 0.0


def same(what, found, wanted, bound):
    global worst
    off = abs(found - float(wanted)) / max(1.0, abs(found))
    worst = max(worst, off / bound)
    if not off <= bound:
        print(f"DIFFERENT: {what}: {found} here, {wanted} in the report")


# 1. Errors. The report's table has a row for each target and split; float32 predictions are stored in full.
measurements = list(csv.DictReader((out / "dataset" / "measurements.csv").open(encoding="utf-8")))
rows = [row for row in table("metrics")[1:] if row[1] == "test"]
for target, row in zip(results["targets"], rows):
    name, test = target["target"], target["test"]
    measured = np.array([float(measurements[one["ecg"]][column[name]]) for one in test])
    assert np.allclose(measured, [one["truth"] for one in test], rtol=1e-6), f"{name}: the truth is not the dataset's"
    off = np.array([one["predicted"] for one in test]) - measured
    mae, rmse = np.abs(off).mean(), np.sqrt((off**2).mean())
    print(f"{row[0]:26} {len(test):5} test ECGs  MAE {mae:9.3f}  RMSE {rmse:9.3f}")
    same(f"MAE of {name}", mae, row[3], 1e-5)
    same(f"RMSE of {name}", rmse, row[4], 1e-5)

# 2. Areas.
areas = {}
for target in (t for t in results["targets"] if t["perturbation"]):
    name, truth = target["target"], np.array(target["perturbation"]["truth"])
    for path in sorted((out / "curves" / name).glob("*.npy")):
        predictions = np.load(path).astype(float)
        error = np.abs(truth[:, None] - predictions)[:, :16]
        areas[name, path.stem] = np.trapezoid(error / np.abs(truth)[:, None], axis=1), np.trapezoid((error / truth[:, None]).mean(axis=0))
for row in table("areas")[1:]:
    name, scoring, _, method, value = row[:5]
    if scoring in ("absolute_percentage", "paper"):
        single, paper = areas[name, method]
        same(f"area of {method} for {name} by {scoring}", single.mean() if scoring == "absolute_percentage" else paper, value, 1e-9)
for name in dict.fromkeys(key[0] for key in areas):
    own = sorted(((areas[key][0].mean(), key[1]) for key in areas if key[0] == name), reverse=True)
    print(f"{name:5} areas: " + ", ".join(f"{method} {value:.3f}" for value, method in own))

# 3. Tests, on the scoring that the study ranks by where that is absolute_percentage.
if results["scoring"] == "absolute_percentage":
    pairs = {}
    for row in table("pairs_absolute_percentage")[1:]:
        pairs.setdefault(row[0], []).append(row)
    differences = {row[0]: row for row in table("differences_absolute_percentage")[1:]}
    for name, title in zip(dict.fromkeys(key[0] for key in areas), pairs):
        methods = [key[1] for key in areas if key[0] == name]
        values = np.stack([areas[name, method][0] for method in methods], axis=1)
        n, k = values.shape
        chi = scipy.stats.friedmanchisquare(*values.T).statistic
        f = (n - 1) * chi / (n * (k - 1) - chi)
        same(f"F for {name}", f, differences[title][6], 1e-9)
        raw = []
        for a, b in itertools.combinations(range(k), 2):
            apart = values[:, a] - values[:, b]
            exact = n <= 25 and np.all(apart != 0) and len(set(np.abs(apart))) == n
            raw.append(scipy.stats.wilcoxon(apart, correction=False, method="exact" if exact else "approx").pvalue)
        order = np.argsort(raw)
        holm = np.empty(len(raw))
        holm[order] = np.minimum(1, np.maximum.accumulate(np.array(raw)[order] * (len(raw) - np.arange(len(raw)))))
        # The report pairs the methods in its own order: compare as sorted lists.
        for found, wanted in zip(sorted(holm), sorted(float(row[6]) for row in pairs[title])):
            same(f"p for {name}", found, wanted, 1e-9)
        ranks = scipy.stats.rankdata(-values, axis=1).mean(axis=0)
        best = int(np.argmin(ranks))
        p = {frozenset(pair): value for pair, value in zip(itertools.combinations(range(k), 2), holm)}
        alike = [methods[m] for m in np.argsort(ranks) if m == best or p[frozenset((m, best))] >= 0.05]
        print(f"{name:5} n {n}, F {f:.1f} (p {scipy.stats.f.sf(f, k - 1, (k - 1) * (n - 1)):.2g}); not told apart from the best: {', '.join(alike)}")

print(f"largest difference from the report: {worst:.2g} times what rounding explains")
sys.exit(worst > 1)

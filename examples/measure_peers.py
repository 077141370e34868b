#!/usr/bin/env python3
"""Other programs that delineate ECGs, and this one, on the same records against the same truth: a Markdown table.

    cargo build --release
    python3 examples/measure_peers.py --venv VENV [--cardiograd target/release/cardiograd]
        [--ludb FOLDER] [--muse FOLDER] [--kinds N] [--seed S] [--peers LIST] [--most N] [-o TABLE.md]

Installs NeuroKit2, ecgdeli, prominence-delineator and wfdb into the virtual environment VENV (made if it is not there) and goes on inside of it; what
does not install is left out aloud. Every program gets the same samples: the eight leads at 500 Hz in whole µV that `cardiograd import` or `generate` stores,
and the four limb leads that follow from them.

- LUDB: `reference.csv` beside the records (record, pr_ms, qrs_ms, qt_ms, …, sinus_unpaced); records in sinus rhythm. Where a cell is empty, there is nothing to find.
- MUSE: the 12SL measurements that the XML files carry.
- The simulator's hard kinds (N of each, 0 for none), against their exact truth.

The peers delineate lead by lead. Their fiducials become one value a beat as LUDB's reference does it: P onset the third-earliest lead, QRS onset and offset
the median lead, T end the third-latest lead (with fewer than five leads, the median), all relative to that beat's R; then the median over beats. wfdb's processors
only find QRS (xqrs), so it is compared by the rate, where one is known. prominence-delineator is given NeuroKit2's R peaks, whose cleaning it uses too.

Errors are found less true in ms. Robust SD is 1.4826 × the median absolute deviation from the median. Far off: by more than 40 ms. Missing: nothing found (or
refused) where there is something; invented: something found where there is nothing. ms: processor time an ECG, on one core.
"""

import argparse
import csv
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import warnings

PACKAGES = {"neurokit2": "neurokit2", "ecgdeli": "ecgdeli", "prominence": "prominence-delineator", "wfdb": "wfdb"}
RATE = 500
FAR = 40.0
INTERVALS = ("pr_ms", "qrs_ms", "qt_ms")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", required=True, type=pathlib.Path)
    parser.add_argument("--cardiograd", default="target/release/cardiograd")
    parser.add_argument("--ludb", type=pathlib.Path)
    parser.add_argument("--muse", type=pathlib.Path)
    parser.add_argument("--kinds", type=int, default=2, help="ECGs of each simulated kind [2]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, help="at most so many records of each source, evenly taken")
    parser.add_argument("--peers", default=",".join(PACKAGES), help="which, of " + ", ".join(PACKAGES))
    parser.add_argument("-o", "--output", type=pathlib.Path)
    return parser.parse_args()


def enter(venv, peers):
    """Keeps numerical libraries to one thread, makes the environment, installs what is missing, and starts this script again with its Python."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    python = venv / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    for peer in ["numpy", *peers]:
        package = PACKAGES.get(peer, peer)
        module = {"prominence-delineator": "prominence_delineator"}.get(package, package)
        found = subprocess.run([str(python), "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"])
        if found.returncode and subprocess.run([str(python), "-m", "pip", "install", "--quiet", package]).returncode:
            print(f"{package} does not install here: left out", file=sys.stderr)
    if pathlib.Path(sys.prefix).resolve() != venv.resolve():
        os.execv(str(python), [str(python), *sys.argv])


class Set:
    """Records with their truth: samples (N, 8, 5000), ids, and (pr, qrs, qt) in ms, None where there is none."""

    def __init__(self, name, dataset, truth, thresholds):
        import numpy as np

        self.name, self.dataset, self.thresholds = name, dataset, thresholds
        self.samples = np.load(dataset / "rhythm.npy", mmap_mode="r")
        with open(dataset / "measurements.csv", newline="") as file:
            self.ids = [row["id"] for row in csv.DictReader(file)]
        self.truth = [truth.get(id) for id in self.ids]

    def rows(self, most):
        known = [at for at, truth in enumerate(self.truth) if truth]
        step = max(1, -(-len(known) // most)) if most else 1
        return known[::step]

    def leads(self, at):
        import numpy as np

        eight = np.asarray(self.samples[at], float)
        one, two = eight[0], eight[1]
        return np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2, *eight[2:]])


def number(text):
    return float(text) if text else None


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def table(path):
    with open(path, newline="") as file:
        return {row["id"]: tuple(number(row[name]) for name in INTERVALS) + (row.get("kind"), number(row["rate_bpm"])) for row in csv.DictReader(file)}


def sets(given, folder):
    """Imports or generates what was asked for."""
    if given.ludb:
        run([given.cardiograd, "import", given.ludb, "--thresholds", "expert", "--skip-unreadable", "--quiet", "-o", folder / "ludb"])
        with open(given.ludb / "reference.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["sinus_unpaced"] == "1"]
        truth = {row["record"]: tuple(number(row[name]) for name in INTERVALS) + (None, None) for row in rows}
        yield Set("LUDB", folder / "ludb", truth, "expert")
    if given.muse:
        run([given.cardiograd, "import", given.muse, "--carried", "--quiet", "-o", folder / "muse"])
        yield Set("MUSE", folder / "muse", table(folder / "muse" / "measurements.csv"), "12sl")
    if given.kinds:
        kinds = len(json.loads(run([given.cardiograd, "generate", "--kind", "all", "-n", 1, "--json", "-o", folder / "one"]))["manifest"]["details"]["kinds"].split(","))
        run([given.cardiograd, "generate", "--kind", "all", "-n", given.kinds * kinds, "--seed", given.seed, "--quiet", "-o", folder / "kinds"])
        yield Set("simulator", folder / "kinds", table(folder / "kinds" / "truth.csv"), "12sl")


def of_beats(beats):
    """PR, QRS, QT in ms from beats: each a list over leads of (P onset, QRS onset, QRS offset, T end) relative to R, in samples, NaN for none."""
    import numpy as np

    def pick(values, place):
        values = np.sort(values[np.isfinite(values)])
        if not len(values):
            return np.nan
        if place == 0 or len(values) < 5:
            return float(np.median(values))
        return values[place - 1] if place > 0 else values[place]

    rows = []
    for leads in beats:
        leads = np.asarray(leads, float).reshape(-1, 4)
        p, onset, offset, end = (pick(leads[:, column], place) for column, place in enumerate((3, 0, 0, -3)))
        rows.append((onset - p, offset - onset, end - onset))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.nanmedian(np.asarray(rows, float).reshape(-1, 3), axis=0) * 1000 / RATE
    # A wave seen in fewer than half of the beats is none.
    seen = np.isfinite(np.asarray(rows, float).reshape(-1, 3)).sum(axis=0) * 2 >= max(len(rows), 1)
    return tuple(float(x) if ok and np.isfinite(x) else None for x, ok in zip(found, seen))


def match(peaks, lead_peaks):
    """For each beat the index of the lead's own beat within 100 ms, or None."""
    import numpy as np

    lead_peaks = np.asarray(lead_peaks, float)
    for peak in peaks:
        at = int(np.argmin(np.abs(lead_peaks - peak))) if len(lead_peaks) else None
        yield at if at is not None and abs(lead_peaks[at] - peak) <= RATE / 10 else None


def gather(leads):
    """Beats from leads, each (R peaks, P onsets, QRS onsets, QRS offsets, T ends) in samples."""
    import numpy as np

    if not leads:
        return (None, None, None)
    # The lead with the middle number of beats says where beats are.
    peaks = sorted((lead[0] for lead in leads), key=len)[len(leads) // 2]
    beats = [[] for _ in peaks]
    for own, *fiducials in leads:
        for beat, (peak, at) in zip(beats, zip(peaks, match(peaks, own))):
            if at is not None:
                beat.append([float(column[at]) - peak if at < len(column) and np.isfinite(column[at]) else np.nan for column in fiducials])
    return of_beats([beat for beat in beats if beat])


def neurokit2(leads):
    import neurokit2 as nk
    import numpy as np

    found = []
    for lead in leads:
        if np.ptp(lead) < 1:
            continue
        try:
            clean = nk.ecg_clean(lead, sampling_rate=RATE)
            _, peaks = nk.ecg_peaks(clean, sampling_rate=RATE)
            peaks = np.asarray(peaks["ECG_R_Peaks"])
            _, waves = nk.ecg_delineate(clean, peaks, sampling_rate=RATE, method="dwt")
        except Exception:
            continue
        names = ("ECG_P_Onsets", "ECG_R_Onsets", "ECG_R_Offsets", "ECG_T_Offsets")
        found.append((peaks, *(np.asarray(waves[name], float) for name in names)))
    return gather(found)


def ecgdeli(leads):
    import ecgdeli as deli
    import numpy as np

    live = [lead for lead in leads if np.ptp(lead) >= 1]
    marked = deli.annotate(deli.filter_ecg(np.stack(live, axis=1) / 1000, fs=RATE), fs=RATE)
    samples = leads.shape[1]

    def column(lead, name):
        # What was not found stands at the largest integer.
        at = np.asarray(getattr(lead, name), float)
        return np.where((at >= 0) & (at < samples), at, np.nan)

    return gather([(np.asarray(lead.r_peak), *(column(lead, name) for name in ("p_on", "qrs_on", "qrs_off", "t_off"))) for lead in marked.leads])


def prominence(leads):
    import neurokit2 as nk
    import numpy as np
    from prominence_delineator import ProminenceDelineator

    found = []
    for lead in leads:
        if np.ptp(lead) < 1:
            continue
        try:
            finder = ProminenceDelineator(sampling_frequency=RATE)
            clean = finder.clean_ecg(lead)
            _, peaks = nk.ecg_peaks(clean, sampling_rate=RATE)
            waves = finder.find_waves(clean, rpeaks=np.asarray(peaks["ECG_R_Peaks"]), include_nodetections=True)
        except Exception:
            continue
        column = lambda name: np.asarray([np.nan if x is None else x for x in waves[name]], float)
        found.append((column("R"), column("P_on"), column("R_on"), column("R_off"), column("T_off")))
    return gather(found)


def xqrs(leads):
    """The rate alone."""
    from wfdb import processing
    import numpy as np

    finder = processing.XQRS(sig=leads[1] / 1000, fs=RATE)
    finder.detect(verbose=False)
    peaks = finder.qrs_inds
    return 60 * RATE * (len(peaks) - 1) / (peaks[-1] - peaks[0]) if len(peaks) > 1 else None


def children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ours(given, data, rows):
    """This program's measurements of the set, and its time an ECG on one thread."""
    start = children()
    out = data.dataset.parent / f"{data.name}.csv"
    run([given.cardiograd, "measure", data.dataset, "--thresholds", data.thresholds, "--threads", 1, "--quiet", "-o", out])
    spent = children() - start
    measured = table(out)
    return [measured[data.ids[at]][:3] for at in rows], 1000 * spent / len(data.ids)


def theirs(peer, data, rows):
    found, start = [], time.process_time()
    for at in rows:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(peer(data.leads(at)))
        except Exception:
            found.append((None, None, None))
    return found, 1000 * (time.process_time() - start) / len(rows)


def cell(found, truth):
    """Bias / SD / robust SD, and counts of far off, missing and invented ones."""
    import numpy as np

    errors = np.array([a - b for a, b in zip(found, truth) if a is not None and b is not None])
    wanted = sum(b is not None for b in truth)
    missing = sum(a is None and b is not None for a, b in zip(found, truth))
    invented = sum(a is not None and b is None for a, b in zip(found, truth))
    if not len(errors):
        return f"– | – | {missing} of {wanted} | {invented}"
    robust = 1.4826 * np.median(np.abs(errors - np.median(errors)))
    far = int((np.abs(errors) > FAR).sum())
    return f"{errors.mean():+.1f} / {errors.std():.1f} / {robust:.1f} | {far} ({100 * far / len(errors):.1f} %) | {missing} of {wanted} | {invented} of {len(truth) - wanted}"


def compare(given, peers, data):
    rows = data.rows(given.most)
    truth = [data.truth[at] for at in rows]
    lines = [f"\n**{data.name}**, {len(rows)} ECGs (ours with thresholds `{data.thresholds}`)\n"]
    lines.append("| program | interval | bias / SD / robust SD, ms | far off | missing | invented | ms an ECG |\n|---|---|---|---|---|---|---|")
    programs = [("**cardiograd**", lambda: ours(given, data, rows))]
    programs += [(name, lambda call=call: theirs(call, data, rows)) for name, call in peers.items()]
    for name, call in programs:
        print(f"{data.name}: {name}", file=sys.stderr)
        found, spent = call()
        for at, interval in enumerate(INTERVALS):
            first = at == 0
            text = cell([row[at] for row in found], [row[at] for row in truth])
            lines.append(f"| {name if first else ''} | {interval[:-3].upper()} | {text} | {f'{spent:.1f}' if first else ''} |")
    return lines


def rates(data, rows):
    """wfdb's QRS finder against the true rate, where one is known."""
    import numpy as np

    wrong, known, start = 0, 0, time.process_time()
    for at in rows:
        rate = data.truth[at][4]
        if rate is None:
            continue
        known += 1
        try:
            found = xqrs(data.leads(at))
        except Exception:
            found = None
        wrong += found is None or abs(found - rate) > 0.05 * rate
    spent = 1000 * (time.process_time() - start) / max(known, 1)
    return f"\nwfdb (xqrs, lead II, {data.name}): rate off by more than 5 % in {wrong} of {known} ECGs, {spent:.1f} ms an ECG." if known else ""


def main():
    given = arguments()
    names = given.peers.split(",")
    enter(given.venv, names)
    import importlib.util

    calls = {"neurokit2": neurokit2, "ecgdeli": ecgdeli, "prominence": prominence}
    modules = {"prominence": "prominence_delineator"}
    there = lambda name: importlib.util.find_spec(modules.get(name, name)) is not None
    peers = {name: call for name, call in calls.items() if name in names and there(name)}
    with tempfile.TemporaryDirectory() as folder:
        lines = []
        for data in sets(given, pathlib.Path(folder)):
            lines += compare(given, peers, data)
            if "wfdb" in names and there("wfdb"):
                lines.append(rates(data, data.rows(given.most)))
    text = "\n".join(lines).strip() + "\n"
    if given.output:
        given.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()

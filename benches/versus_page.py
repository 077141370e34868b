"""The page and the plots of versus.py."""

import math

COLOURS = {"cardiograd": "#0b4f8a", "torch": "#d1603d", "onnxruntime": "#4f8f5b", "openvino": "#8a6fb0"}
MARKS = {"cardiograd": "o", "torch": "s", "onnxruntime": "^", "openvino": "D"}
DRAWN = ["batch", "length", "width", "leads", "kernel", "depth", "threads"]


def style():
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "svg.hashsalt": "versus",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 8.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.grid": True,
            "grid.color": "#e4e4e4",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "legend.frameon": False,
        }
    )
    return plt


def short(value):
    """12 000 as 12k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def panel(axes, points, what, names, title, label):
    """One quantity of every program along one axis, both logarithmic."""
    for name in names:
        own = [(point["value"], point[name][what]) for point in points if point.get(name) and point[name][what]]
        if own:
            axes.plot(*zip(*own), color=COLOURS[name], marker=MARKS[name], markersize=3.6, linewidth=1.5, label=names[name], zorder=3 if name == "cardiograd" else 2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    values = [point["value"] for point in points]
    shown = values if len(values) <= 7 else values[:: math.ceil(len(values) / 7)]
    axes.set_xticks(shown, [short(value) for value in shown])
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    low, high = axes.get_ylim()
    if math.log10(high / low) < 1.6:
        axes.set_yticks([value for exponent in range(-3, 7) for value in (10**exponent, 2 * 10**exponent, 5 * 10**exponent) if low <= value <= high])
        axes.yaxis.minorticks_off()
    axes.set_title(title)
    axes.set_xlabel(label)


def figure(result, series, what, unit, names, path):
    """All axes as one picture."""
    plt = style()
    panels = [(series[key].title, series[key].axis, result["series"][key]) for key in DRAWN if result["series"].get(key)]
    if result.get("ecgs"):
        panels.append(("ECGs", "ECGs in the file, predict end to end", result["ecgs"]))
    columns = 4
    rows = math.ceil(len(panels) / columns)
    fig, all_axes = plt.subplots(rows, columns, figsize=(2.75 * columns, 2.5 * rows), layout="constrained", squeeze=False)
    for axes, (title, label, points) in zip(all_axes.flat, panels):
        panel(axes, points, what, names, title, label)
    for axes in list(all_axes.flat)[len(panels) :]:
        axes.set_visible(False)
    for row in all_axes:
        row[0].set_ylabel(unit)
    handles, labels = all_axes.flat[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper left", ncols=len(names))
    fig.savefig(path, metadata={"Date": None})
    plt.close(fig)


def number(value):
    """Three digits."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.{max(0, 2 - math.floor(math.log10(max(value, 1e-9))))}f}"


def table(points, names, head):
    """A row a point: ms an ECG and MB of each program, and how many times as long the best of the others takes."""
    lines = ["| " + head + " | " + " | ".join(f"{name}, ms (MB)" for name in names.values()) + " | best other ÷ ours |", "|---:|" + "---:|" * (len(names) + 1)]
    for point in points:
        cell = lambda name: f"{number(point[name]['ms'])} ({number(point[name]['mb'])})" if point.get(name) else "–"
        others = [point[name]["ms"] for name in names if name != "cardiograd" and point.get(name)]
        ratio = min(others) / point["cardiograd"]["ms"] if others else None
        shown = "–" if ratio is None else f"{ratio:.1f}" if ratio >= 1 else f"**{ratio:.2f}**"
        lines.append(f"| {point['value']} | " + " | ".join(cell(name) for name in names) + f" | {shown} |")
    return "\n".join(lines)


def slower(result, names):
    """Where another program is faster, in words."""
    found = []
    for key, points in result["series"].items():
        for point in points:
            best = min((name for name in names if name != "cardiograd"), key=lambda name: point[name]["ms"])
            ratio = point["cardiograd"]["ms"] / point[best]["ms"]
            if ratio > 1:
                found.append(f"{key} {point['value']}: {names[best]} takes {1 / ratio:.2f} of our time")
    return found


def meeting(points):
    """The shortest kernels at which the time no longer grows as the kernel does: where transforms take over."""
    pairs = zip(points, points[1:])
    growth = [(b["value"], math.log(b["cardiograd"]["ms"] / a["cardiograd"]["ms"]) / math.log(b["value"] / a["value"])) for a, b in pairs]
    return next((value for value, slope in growth if slope < 0.35 and value > 5), None)


def write(result, series, page, plots, names):
    plots.mkdir(parents=True, exist_ok=True)
    figure(result, series, "ms", "ms an ECG", names, plots / "time.svg")
    figure(result, series, "mb", "MB, largest", names, plots / "memory.svg")
    about = result["machine"]
    behind = slower(result, names)
    parts = [
        "# How fast, and how it grows",
        "Made by `benches/versus.py`, all programs in one run: "
        f"{about['cpu']} ({about['simd'] or 'no wide registers'}), {about['cores']} cores, {about['threads']} threads, {about['packages']}; {about['date']}"
        f"{', the quick run' if about['quick'] else ''}. Networks are the study's (12 × 600 samples, eight blocks of 32 channels and 50 taps) but for what a table\n"
        "varies, in f32, the same weights for all; times are medians of turns, per ECG; memory is the largest resident set of the process, its libraries included.",
        "![Time per ECG against batch, length, channels, leads, kernel length, depth, threads and number of ECGs](performance/time.svg)",
        "![Memory against the same](performance/memory.svg)",
    ]
    if behind:
        parts += ["**Where another program is faster:** " + "; ".join(behind) + "."]
    else:
        parts += ["At no point of this run was another program faster."]
    for key, one in series.items():
        points = result["series"].get(key)
        if not points:
            continue
        parts += [f"## {one.title}: {one.axis}", *([one.note] if one.note else []), table(points, names, one.title.lower())]
        if key == "kernel" and (at := meeting(points)):
            parts += [f"Direct products cost as many operations as taps; from {at} taps on the time grows little: there the transforms take over (`kernels/src/plan.rs` chooses by counted operations)."]
    if result.get("ecgs"):
        parts += [
            "## Number of ECGs: `predict` of a file, end to end",
            "From the start of the process to the predictions in a file; the others by a script that maps the `.npy` and goes through it by 64 ECGs. The program holds two batches, whatever the file holds.",
            table(result["ecgs"], names, "ECGs"),
        ]
    if result.get("commands"):
        lines = ["| command | ECGs | command, ms an ECG | in process | ratio | MB |", "|---|---:|---:|---:|---:|---:|"]
        for row in result["commands"]:
            lines.append(f"| `{row['command']}` | {row['ecgs']} | {number(row['outside'])} | {number(row['inside'])} | {row['outside'] / row['inside']:.2f} | {number(row['mb'])} |")
        parts += [
            "## Commands beside their kernels",
            "A command end to end (start, reading, checking, digests, writing, record) and the same work in a process that has its inputs in memory. `evaluate` digests all of the\n"
            "dataset, whatever part it evaluates; `perturb` explains as well.",
            "\n".join(lines),
        ]
    parts += ["What stands between these times and what the machine could do at most is counted in [PERFORMANCE_FLOOR.md](PERFORMANCE_FLOOR.md)."]
    page.write_text("\n\n".join(parts) + "\n")

#!/usr/bin/env python3
"""Measurements as an ECG machine might have had them: a dataset's measurements.csv with errors added, for `cardiograd import --labels`.

    label_errors.py DATASET/measurements.csv interval_noise > noisy.csv
    label_errors.py DATASET/measurements.csv small_r > small.csv

interval_noise  PR, QRS and QT with a normal error of SD 4 ms, rounded to 2 ms as 12SL gives them. The study's networks end at an RMSE of 4.25 ms
                for QRS, so the errors of its labels that cannot be learnt are no larger.
small_r         The R amplitude of V5 divided by 10 in one ECG of 50, as where a small r before the tall wave was measured. The study's network
                for R has an RMSE of 96 µV at an MAE of 28 µV, and an error of 14 % of R before any perturbation: few labels, far off.

The draws are Python's Mersenne Twister from seed 1, one for each ECG in the order of the file: the same bytes every time.
"""
import csv
import random
import sys


def interval_noise(row, draw):
    for column in ("pr_ms", "qrs_ms", "qt_ms"):
        error = draw.gauss(0.0, 4.0)
        if row[column]:
            row[column] = str(max(2, 2 * round((float(row[column]) + error) / 2)))


def small_r(row, draw):
    small = draw.random() < 0.02
    if small and row["r_v5_uv"]:
        row["r_v5_uv"] = str(round(float(row["r_v5_uv"]) / 10))


def main():
    path, kind = sys.argv[1:]
    change = {"interval_noise": interval_noise, "small_r": small_r}[kind]
    draw = random.Random(1)
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        table = csv.DictWriter(sys.stdout, rows.fieldnames, lineterminator="\n")
        table.writeheader()
        for row in rows:
            change(row, draw)
            table.writerow(row)


main()

"""bestof's classical models beside scikit-learn's, on the same rows and the same features.

Run it with a Python that has scikit-learn:

    cargo xtask bench classical-side-by-side --python PYTHON [--seeds 5] [--rows 1500]
                                             [--cost 2000,5000,10000] [--out FOLDER]

Reviews are made up, one set a seed. bestof trains on their prepared folder, `bestof sentiment features`
writes the very matrix it reads, and scikit-learn is fitted on that with the same settings
(classical_reference.py). Both have one thread, and take turns. Accuracy and log-loss are those of the test
part, log-loss with probabilities of at least 1e-7; differences are paired by seed, and their p-values, by
Student's t, are Holm's over all comparisons. Seconds are those of the fit to finished numbers and of the answers
to the test part, the medians over the seeds; bestof's answers count with turning the texts into numbers. Memory is the
peak of the whole process that trains, interpreter and data included.

`--cost` trains each kind once on so many rows, with both labels as `sentiment train` does by default, which
are two fits of scikit-learn's, and answers for both labels, bestof the validation part and scikit-learn the test part,
which is as large. Beside fits and answers stands the processor time of the whole process, which other work on the
machine disturbs less. A side that needs more than `--most-seconds` of it is stopped, and not tried with more rows.
"""

import argparse
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from classical_reference import KINDS, read, reference
from paired import holm, paired_t
from comparison import arguments, names_of, numbers, report
from processes import measured, processor, with_threads

# The least probability in a log-loss, that of bestof's figures.
LEAST = 1e-7


def main():
    args = parse()
    if args.child:
        return child(args)
    report(args, "classical", measure, markdown)


def parse():
    parser = arguments(__doc__, model=False, threads=False, rounds=None)
    parser.add_argument("--seeds", type=int, default=5, help="0 leaves the comparison out")
    parser.add_argument("--rows", type=int, default=1500, help="training rows of the comparison")
    parser.add_argument("--labels", choices=["stars", "binary"], default="stars")
    parser.add_argument("--terms", type=int, default=1000)
    parser.add_argument("--kinds", type=names_of(KINDS), default=",".join(KINDS))
    parser.add_argument("--cost", type=numbers, default="", help="training rows, separated by commas")
    parser.add_argument("--most-seconds", type=int, default=300)
    parser.add_argument("--child", nargs=3, metavar=("KIND", "FOLDER", "SEED"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", nargs="*", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args, scratch):
    found = dict(about=about(), rows=args.rows, labels=args.labels, terms=args.terms)
    # What judges the pairs imports more, which would count with processes that are started later.
    if args.cost:
        found["cost"] = cost(args, scratch)
    if args.seeds:
        found["seeds"] = args.seeds
        found["models"] = compare(args, scratch)
    return found


def about():
    return dict(processor=processor(), python=platform.python_version(),
                sklearn=importlib.metadata.version("scikit-learn"))


def bestof(args, *words):
    command = [args.bestof, "--quiet", "sentiment", *map(str, words)]
    out = subprocess.run(command, env=with_threads(1), check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in out.splitlines()] if "--json" in words else []


def told_by(command, most_seconds=None):
    """The JSON of the last line that a command prints, with the processor time and the peak memory in MiB of
    its process; None if it needs more processor time."""
    found = measured(command, 1, most_seconds)
    if found:
        lines, used = found
        return dict(json.loads(lines[-1]), peak_mib=used.ru_maxrss / 1024,
                    processor_seconds=used.ru_utime + used.ru_stime)


def prepared(args, folder, rows, seed):
    """A folder of prepared reviews with exactly so many training rows."""
    kept = next(n for n in range(rows * 10 // 7, 2 * rows + 10) if n * 7 // 10 == rows)
    made, out = folder / f"made-{rows}-{seed}", folder / f"prepared-{rows}-{seed}"
    bestof(args, "generate", "--reviews", kept * 13 // 10 + 200, "--seed", seed, "--out", made, "--json")
    told = bestof(args, "prepare", "--data", made, "--limit", kept, "--seed", seed, "--out", out, "--json")[0]
    if told["parts"]["train"]["rows"] != rows:
        sys.exit(f"{told['parts']['train']['rows']} training rows, expected {rows}")
    return out


def train(args, data, out, kind, seed, rows, labels, most_seconds=None):
    return told_by([args.bestof, "--quiet", "sentiment", "train", "--model", kind, "--data", data, "--out", out,
                    "--labels", labels, "--terms", args.terms, "--seed", seed, "--max-rows", rows, "--json"],
                   most_seconds)


def compare(args, scratch):
    pairs = {kind: [] for kind in args.kinds}
    for seed in range(args.seeds):
        data = prepared(args, scratch, args.rows, seed)
        ours, models, features = {}, [], scratch / f"features-{seed}"
        for kind in args.kinds:
            models.append(scratch / f"{kind}-{seed}")
            ours[kind] = train(args, data, models[-1], kind, seed, args.rows, args.labels)
            if kind == args.kinds[0]:
                bestof(args, "features", "--data", data, "--model", models[0], "--out", features,
                       "--labels", args.labels, "--json")
        asked = [word for model in models for word in ("--model", model)]
        for told, kind in zip(bestof(args, "evaluate", "--data", data, *asked, "--resamples", 10, "--json"),
                              args.kinds):
            scores = told["model"]["scores"]["stars" if args.labels == "stars" else "positive"]
            ours[kind].update(accuracy=scores["accuracy"]["value"], log_loss=scores["log_loss"], rows=told["n"],
                              predict_seconds=told["n"] / told["model"]["rows_per_second"])
        for kind in args.kinds:
            theirs = told_by([sys.executable, __file__, "--child", kind, features, seed])
            pairs[kind].append((ours[kind], theirs))
            print(f"seed {seed}: {kind:17} accuracy {ours[kind]['accuracy']:.3f} and {theirs['accuracy']:.3f}, "
                  f"log-loss {ours[kind]['log_loss']:.3f} and {theirs['log_loss']:.3f}, "
                  f"fit {ours[kind]['fit_seconds']:.3f} s and {theirs['fit_seconds']:.3f} s, "
                  f"answers {ours[kind]['predict_seconds']:.3f} s and {theirs['predict_seconds']:.3f} s",
                  file=sys.stderr, flush=True)
    return judged(args, pairs)


def judged(args, pairs):
    rows, p = [], []
    for kind, found in pairs.items():
        row = dict(kind=kind, test_rows=sum(ours["rows"] for ours, _ in found))
        for figure in ["accuracy", "log_loss"]:
            difference, half, chance = paired_t([ours[figure] - theirs[figure] for ours, theirs in found])
            row[figure] = dict(difference=difference, half=half, p=chance,
                               bestof=statistics.mean(ours[figure] for ours, _ in found),
                               sklearn=statistics.mean(theirs[figure] for _, theirs in found))
            p.append(chance)
        for figure in ["fit_seconds", "predict_seconds", "peak_mib"]:
            row[figure] = dict(bestof=statistics.median(ours[figure] for ours, _ in found),
                               sklearn=statistics.median(theirs[figure] for _, theirs in found))
        rows.append(row)
    adjusted = iter(holm(p))
    for row in rows:
        for figure in ["accuracy", "log_loss"]:
            row[figure]["p_holm"] = next(adjusted)
    return rows


def cost(args, scratch):
    found, slow = [], set()
    for rows in args.cost:
        data = prepared(args, scratch, rows, 0)
        features = []
        for kind in args.kinds:
            model = scratch / f"cost-{kind}-{rows}"
            sides = dict.fromkeys(["bestof", "sklearn"])
            if ("bestof", kind) not in slow:
                sides["bestof"] = train(args, data, model, kind, 0, rows, "both", args.most_seconds)
            if not features and sides["bestof"]:
                for labels in ["stars", "binary"]:
                    features.append(scratch / f"features-{rows}-{labels}")
                    bestof(args, "features", "--data", data, "--model", model, "--out", features[-1],
                           "--labels", labels, "--json")
            if ("sklearn", kind) not in slow and features:
                sides["sklearn"] = told_by([sys.executable, __file__, "--child", kind, features[0], 0, "--folder",
                                            *features], args.most_seconds)
            slow.update((side, kind) for side, took in sides.items() if not took)
            print(f"{rows} rows: {kind:17} {' and '.join(map(told, sides.values()))}", file=sys.stderr, flush=True)
            found.append(dict(rows=rows, kind=kind, **sides))
    return found


def told(side):
    if not side:
        return "too slow"
    return (f"{side['processor_seconds']:.1f} s ({side['fit_seconds']:.2f} + {side['predict_seconds']:.2f}), "
            f"{side['peak_mib']:.0f} MiB")


def child(args):
    """scikit-learn's side: a fit and answers for each folder of features, and the figures of the last."""
    import warnings

    import numpy as np
    warnings.filterwarnings("ignore", message=".*Maximum iterations.*")
    kind, folder, seed = args.child
    fit_seconds = predict_seconds = 0.0
    for path in map(Path, args.folder or [folder]):
        columns = len((path / "columns.txt").read_text().splitlines())
        (x, y), (test, truth) = (read(path, part, columns, kind) for part in ["train", "test"])
        model = reference(kind, len(set(y)), int(seed))
        start = time.perf_counter()
        model.fit(x, y)
        fit_seconds += time.perf_counter() - start
        start = time.perf_counter()
        p = model.predict_proba(test)
        predict_seconds += time.perf_counter() - start
    labels = list(model.classes_)
    of_truth = np.array([row[labels.index(y)] if y in labels else 0.0 for row, y in zip(p, truth)])
    print(json.dumps(dict(
        fit_seconds=fit_seconds,
        predict_seconds=predict_seconds,
        accuracy=float((np.array(labels)[p.argmax(1)] == truth).mean()),
        log_loss=float(-np.log(np.maximum(of_truth, LEAST)).mean()),
    )))


def markdown(args, found):
    about = found["about"]
    lines = [f"{about['processor']}, one thread; scikit-learn {about['sklearn']}, Python {about['python']}."]
    if "models" in found:
        test = found["models"][0]["test_rows"]
        lines += ["", f"{found['rows']} training rows, {found['seeds']} seeds, {test} test rows altogether, labels "
                  f"`{found['labels']}`; differences are bestof less scikit-learn, with 95 % intervals.", "",
                  "| model | accuracy, bestof | scikit-learn | difference | log-loss, bestof | scikit-learn | "
                  "difference | fit, s | scikit-learn | answers, s | scikit-learn | peak, MiB | scikit-learn |",
                  "|---" * 13 + "|"]
        for row in found["models"]:
            cells = [row["kind"].replace("-", " ")]
            for figure, scale in [("accuracy", 100), ("log_loss", 1)]:
                value, digits = row[figure], 1 if scale == 100 else 3
                sure = ", **p {:.3f}**".format(value["p_holm"]) if value["p_holm"] < 0.05 else ""
                cells += [f"{value[side] * scale:.{digits}f}" for side in ["bestof", "sklearn"]]
                cells.append(f"{value['difference'] * scale:+.{digits}f} ± {value['half'] * scale:.{digits}f}{sure}")
            for figure in ["fit_seconds", "predict_seconds"]:
                cells += [f"{row[figure][side]:.3f}" for side in ["bestof", "sklearn"]]
            cells += [f"{row['peak_mib'][side]:.0f}" for side in ["bestof", "sklearn"]]
            lines.append(f"| {' | '.join(cells)} |")
        beyond = [f"{row['kind']} ({figure.replace('_', '-')})" for row in found["models"]
                  for figure in ["accuracy", "log_loss"] if row[figure]["p_holm"] < 0.05]
        lines += ["", f"Beyond noise (p below 0.05 after Holm): {', '.join(beyond) or 'none'}."]
    if "cost" in found:
        sizes = sorted({row["rows"] for row in found["cost"]})
        heads = [f"{rows:,} rows, {side}" for rows in sizes for side in ["bestof", "scikit-learn"]]
        lines += ["", "Both labels; processor time of the process (seconds of fits + answers), and its peak memory:", "",
                  f"| model | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
        for kind in dict.fromkeys(row["kind"] for row in found["cost"]):
            own = {row["rows"]: row for row in found["cost"] if row["kind"] == kind}
            cells = [told(own[rows][side]) for rows in sizes for side in ["bestof", "sklearn"]]
            lines.append(f"| {kind.replace('-', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

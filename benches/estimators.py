"""bestof's reward transformations and NumPy's: the same rewards, one process after the other.

Run it with a Python that has NumPy:

    cargo xtask bench estimators --python PYTHON [--rounds 9]

The NumPy side is PKPO's formulas (arXiv 2505.15201) as one would write them: a sort, running sums of
gaps between rewards weighted by the share of subsets that a rank leads, and the way back to the
caller's order. It is timed one prompt at a time, and with all prompts of a size in one array. Both sides
must give the same weights. A second table has the off-policy weights beside the on-policy ones, which
they must equal where the policy is the sampler. A time is the best of several rounds in which the
contestants take turns.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = [8, 16, 64, 1024, 65_536, 1_000_000]
# Rewards in all groups of a size together: too many for a branch predictor to memorise.
TOTAL = 1 << 17
# Maximum number of groups that NumPy is given one by one.
ONE_BY_ONE = 256
# Standard deviation of the logarithms of the ratios.
LOG_RATIO = 0.2
# Largest difference of weights, as a share of the largest weight.
TOLERANCE = 1e-9


def shares(n, k):
    """d_i = C(i-1, k-1) / C(n, k), i = 1..n, from d_n = k/n down."""
    i = np.arange(n, k, -1, dtype=np.float64)
    d = np.zeros(n)
    d[k - 1:] = np.concatenate(([k / n], k / n * np.cumprod((i - k) / (i - 1))))[::-1]
    return d


def ranked(rewards):
    order = np.argsort(rewards, axis=-1)
    return order, np.take_along_axis(rewards, order, axis=-1)


def unranked(order, ranked_weights):
    weights = np.empty_like(ranked_weights)
    np.put_along_axis(weights, order, ranked_weights, axis=-1)
    return weights


def falling(last, steps):
    """w_n = last, w_i = w_{i+1} - steps_i."""
    below = last - np.cumsum(steps[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate((below, last), axis=-1)


def plain_ranked(g, k):
    n = g.shape[-1]
    return falling(k / n * g[..., -1:], shares(n, k)[:-1] * np.diff(g, axis=-1))


def plain(rewards, k):
    order, g = ranked(rewards)
    return unranked(order, plain_ranked(g, k))


def loo(rewards, k):
    order, g = ranked(rewards)
    n = g.shape[-1]
    d = shares(n - 1, k)
    # max@k of the others, for each rank left out.
    first = (g[..., 1:] @ d)[..., None]
    others = first - np.concatenate(
        (np.zeros_like(first), np.cumsum(d * np.diff(g, axis=-1), axis=-1)), axis=-1)
    return unranked(order, plain_ranked(g, k) - k / (n - 1) * others)


def loo_minus_one(rewards, k):
    order, g = ranked(rewards)
    steps = shares(g.shape[-1], k)[1:] * np.diff(g, axis=-1)
    return unranked(order, np.concatenate(
        (np.zeros_like(g[..., :1]), np.cumsum(steps, axis=-1)), axis=-1))


NUMPY = {"plain": plain, "loo": loo, "loo-minus-one": loo_minus_one}


class Bestof:
    """The process of bestof, which holds the rewards of one size at a time."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"bestof's side ended at: {' '.join(map(str, words))}")
        return int(answer)


def seconds(work):
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def check(bestof, policy, rewards, k, scratch):
    """The largest difference of weights as a share of the largest weight, over the estimators."""
    worst = 0.0
    for name, numpy_side in NUMPY.items():
        file = scratch / "weights"
        bestof.ask("write", policy, name, k, file)
        ours = np.fromfile(file, dtype="<f8").reshape(rewards.shape)
        theirs = numpy_side(rewards, k)
        worst = max(worst, float(np.abs(ours - theirs).max() / np.abs(theirs).max()))
        if not worst <= TOLERANCE:
            sys.exit(f"{name}, {policy}-policy, n = {rewards.shape[-1]}: "
                     f"weights differ by {worst:.1e} of the largest")
    return worst


def measure(bestof, rewards, k, best):
    """One round: every contestant once, in nanoseconds per reward."""
    def note(name, total, count):
        best[name] = min(best.get(name, float("inf")), total / count)

    few = rewards[:ONE_BY_ONE]
    note("sort", bestof.ask("sort"), rewards.size)
    for name, numpy_side in NUMPY.items():
        note(name, bestof.ask("time", "on", name, k), rewards.size)
        note(f"off-policy {name}", bestof.ask("time", "off", name, k), rewards.size)
        together = seconds(lambda: numpy_side(rewards, k))
        note(f"numpy {name}", 1e9 * together, rewards.size)
        one_by_one = seconds(lambda: [numpy_side(group, k) for group in few])
        note(f"numpy {name}, one by one", 1e9 * one_by_one, few.size)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bestof", required=True, help="the program crates/estimators/examples/beside")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", help="also write the figures to this file")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    bestof = Bestof(args.bestof)
    rows = []
    print(f"NumPy {np.__version__}; nanoseconds per reward, the best of {args.rounds} rounds; k = 8, or n/2")
    print(f"{'n':>9} {'estimator':14} {'sort alone':>10} {'bestof':>8} {'/ sort':>7} "
          f"{'NumPy, prompts':>18} {'NumPy, a prompt':>18}")
    print(f"{'':9} {'':14} {'':10} {'':8} {'':7} {'together':>18} {'at a time':>18}")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        for n in SIZES:
            k = min(8, n // 2)
            rewards = random.standard_normal((max(1, TOTAL // n), n))
            log_ratios = LOG_RATIO * random.standard_normal(rewards.shape)
            files = [scratch / name for name in ("rewards", "equal", "moved")]
            for file, values in zip(files, (rewards, np.zeros_like(log_ratios), log_ratios)):
                values.astype("<f8").tofile(file)
            bestof.ask("load", files[0], files[1], n)
            difference = max(check(bestof, policy, rewards, k, scratch) for policy in ("on", "off"))
            bestof.ask("load", files[0], files[2], n)
            best = {}
            for _ in range(args.rounds):
                measure(bestof, rewards, k, best)
            rows += [show(n, k, name, best, difference) for name in NUMPY]
    print(f"\n{'n':>9} {'estimator':14} {'on-policy':>10} {'off-policy':>10} {'off / on':>9}")
    for row in rows:
        on, off = row["bestof"], row["off_policy"]
        print(f"{row['n']:9,} {row['estimator']:14} {on:10.1f} {off:10.1f} {off / on:9.2f}")
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


def show(n, k, name, best, difference):
    ours, sort = best[name], best["sort"]
    together, one_by_one = best[f"numpy {name}"], best[f"numpy {name}, one by one"]
    def beside(theirs):
        return f"{theirs:9.1f} = {theirs / ours:5.1f}x"
    print(f"{n:9,} {name:14} {sort:10.1f} {ours:8.1f} {ours / sort:7.2f} "
          f"{beside(together):>18} {beside(one_by_one):>18}", flush=True)
    return dict(n=n, k=k, estimator=name, sort_alone=sort, bestof=ours, numpy_together=together,
                off_policy=best[f"off-policy {name}"], numpy_one_by_one=one_by_one, largest_difference=difference)


if __name__ == "__main__":
    main()

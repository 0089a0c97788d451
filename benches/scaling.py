"""What several ranks bring: measured for one and two on this machine, and on paper for up to 512.

    cargo xtask bench scaling [--python PYTHON] [--model FOLDER] [--steps 6] [--rounds 2] [--rows 4]

Weak scaling: every rank has as many rows as the only one, and one thread. Full fine-tuning and LoRA of the
model, in turns, the least time of a step; efficiency is the time of one rank over that of two. Then a small model
of a step predicts other sizes from arithmetic, bytes and latencies. It needs nothing but Python and an MPI.

The model of a step of n ranks, each on a machine of its own:

    compute   6 x parameters x tokens / rate     (4 x for LoRA, which has no gradients of frozen weights)
    scatter   (n - 1) / n x 4 bytes x trained / bandwidth + messages x latency
    join      the same: updated values instead of gradients
    update    trained / n values with sharding, all of them without
    step      compute + scatter + join + update            gradients after the backward pass
              max(compute / 3, scatter) + 2/3 compute + join + update      while it goes on

messages: each of the buckets of 4 Mi values goes from a rank to n - 1 others.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from comparison import model_folder

BUCKET = 4 << 20
LATENCY = 20e-6
UPDATE_RATE = 1e9  # values a second: AdamW on a processor reads and writes 28 bytes for each


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bestof", required=True, help="the bestof binary, built with MPI")
    parser.add_argument("--model", type=model_folder, required=True, help="a model folder")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=4, help="rows of a rank in a step")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measured = measure(args, Path(scratch))
    print("\n| one thread a rank | s a step, 1 rank | 2 ranks | efficiency | MiB sent | s waited |")
    print("|---|---|---|---|---|---|")
    for kind, (one, two) in measured.items():
        print(f"| {kind} | {one['step']:.2f} | {two['step']:.2f} | **{one['step'] / two['step']:.2f}** "
              f"| {two['bytes'] / 2**20:.1f} | {two['waited']:.3f} |")
    predict()


def measure(args, scratch):
    data = scratch / "rows.jsonl"
    words = "the quick brown fox jumps over the lazy dog and runs away from it again today".split()
    with open(data, "w") as out:
        for row in range(64):
            text = " ".join(words[(row + i * 7) % len(words)] for i in range(200))
            out.write(json.dumps({"text": text}) + "\n")
    best = {}
    for _ in range(args.rounds):
        for kind, more in [("full", []), ("LoRA", ["lora.r=16"])]:
            for ranks in [1, 2]:
                out = scratch / f"run-{kind}-{ranks}-{_}"
                found = run(args, data, out, ranks, more)
                least = best.setdefault((kind, ranks), found)
                if found["step"] < least["step"]:
                    best[(kind, ranks)] = found
    return {kind: (best[(kind, 1)], best[(kind, 2)]) for kind in ["full", "LoRA"]}


def run(args, data, out, ranks, more):
    settings = [f"train.max_steps={args.steps}", "train.save_steps=0", "train.logging_steps=1",
                f"train.per_device_train_batch_size={args.rows}",
                f"train.gradient_accumulation_steps={ranks}", "data.shuffle=false"] + more
    config = out.with_suffix(".toml")
    config.write_text(f"[model]\npath = '{args.model}'\n[data]\ntrain = '{data}'\nmax_length = 256\n"
                      f"[output]\ndir = '{out}'\n")
    command = [args.bestof, "--quiet", "sft", "--json", "--config", str(config)]
    for setting in settings:
        command += ["--set", setting]
    if ranks > 1:
        command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none",
                   "--mca", "mpi_yield_when_idle", "1", "--allow-run-as-root"] + command
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, RAYON_NUM_THREADS="1"))
    rows = [json.loads(line) for line in open(out / "metrics.jsonl")]
    rows = [row for row in rows if "tokens_per_second" in row]
    tokens = [b["num_tokens"] - a["num_tokens"] for a, b in zip(rows, rows[1:])]
    steps = [n / row["tokens_per_second"] for n, row in zip(tokens, rows[1:])]
    return {"step": min(steps), "bytes": rows[-1].get("ranks/bytes", 0.0),
            "waited": rows[-1].get("ranks/waited", 0.0)}


def predict():
    """Efficiency on paper: the time of a rank alone over that of a rank among n."""
    cases = [  # name, parameters, trained, operations a token and parameter, tokens of a rank in a step, rate
        ("135M, every weight, 8,192 tokens at 100 GFLOP/s (two cores)", 134.5e6, 134.5e6, 6, 8192, 1e11),
        ("135M, every weight, 65,536 tokens at 100 TFLOP/s (a GPU)", 134.5e6, 134.5e6, 6, 65536, 1e14),
        ("7B, LoRA of rank 16, 16,384 tokens at 400 TFLOP/s", 6.7e9, 40e6, 4, 16384, 4e14),
        ("7B, every weight, 16,384 tokens at 400 TFLOP/s", 6.7e9, 6.7e9, 6, 16384, 4e14),
    ]
    sizes = [2, 8, 32, 128, 512]
    for gigabits in [10, 100]:
        print(f"\n{gigabits} Gb/s, {LATENCY * 1e6:.0f} µs")
        print("| | " + " | ".join(f"{n} ranks" for n in sizes) + " |")
        print("|---|" + "---|" * len(sizes))
        for name, parameters, trained, operations, tokens, rate in cases:
            compute = operations * parameters * tokens / rate
            for label, overlap, sharded in [("after the pass", False, True), ("overlapped", True, True),
                                            ("not sharded", False, False)]:
                row = []
                for n in sizes:
                    alone = compute + trained / UPDATE_RATE
                    row.append(f"{alone / step(compute, trained, n, gigabits, overlap, sharded):.2f}")
                print(f"| {name}, {label} | " + " | ".join(row) + " |")


def step(compute, trained, n, gigabits, overlap, sharded):
    buckets = max(1, trained / BUCKET)
    way = (n - 1) / n * 4 * trained / (gigabits * 1e9 / 8) + buckets * (n - 1) * LATENCY
    update = trained / (n if sharded else 1) / UPDATE_RATE
    if overlap:
        return max(compute / 3, way) + compute * 2 / 3 + way + update
    return compute + 2 * way + update


if __name__ == "__main__":
    main()

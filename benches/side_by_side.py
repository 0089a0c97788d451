"""bestof beside TRL: DPO with the same model, the same pairs, on the same machine, in turns.

Run it with a Python that has torch, transformers, trl, peft and datasets:

    cargo xtask bench side-by-side --python PYTHON [--pairs 16] [--batch 4,1] [--threads 2] [--rounds 1]
                                   [--distance low,high] [--out FOLDER]

Each side trains one epoch in f32, every weight or LoRA. Pairs of low edit distance differ in one number of a
worked solution; those of high edit distance have the solution of another problem as the rejected one, so that
they share nothing but the prompt. Time is that of the training loop with the reference's forward passes,
without loading and saving; memory is the peak of the whole process. A ratio above 1 means that bestof is
faster, or takes less memory.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from comparison import names_of, numbers, report
from processes import measured
from trl_peer import KINDS, SETTINGS, about, adapter, heading, in_f32, results, trained, training_arguments


def main():
    parser = training_arguments(__doc__)
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--batch", type=numbers, default="4,1")
    parser.add_argument("--distance", type=names_of(["low", "high"]), default="low,high")
    parser.add_argument("--child", nargs=4, metavar=("PAIRS", "KIND", "BATCH", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return trl_child(args, *args.child)
    report(args, "side-by-side", compare, markdown)


def pairs_of(args, scratch):
    """A file of pairs for each edit distance."""
    low = scratch / "low.jsonl"
    measured([args.bestof, "--quiet", "pairs", "build", "--task", "arithmetic", "--count", args.pairs,
              "--steps", "3-5", "--size", "medium", "--out", low, "--json"], args.threads)
    rows = [json.loads(line) for line in low.read_text().splitlines()]
    high = scratch / "high.jsonl"
    others = rows[1:] + rows[:1]
    high.write_text("".join(json.dumps(dict(prompt=row["prompt"], chosen=row["chosen"], rejected=other["chosen"])) + "\n"
                            for row, other in zip(rows, others)))
    return {"low": low, "high": high}


def compare(args, scratch):
    files = pairs_of(args, scratch)
    found, loads = {}, []
    for number in range(args.rounds):
        for distance in args.distance:
            for batch in args.batch:
                for kind in args.kinds:
                    for side, call in [("bestof", bestof), ("TRL", trl)]:
                        loads.append(os.getloadavg()[0])
                        seconds, peak = call(args, scratch, files[distance], kind, batch)
                        row = found.setdefault((distance, batch, kind, side), dict(seconds=[], peak_mib=0.0))
                        row["seconds"].append(seconds)
                        row["peak_mib"] = max(row["peak_mib"], peak)
                        print(f"round {number + 1}: {distance} edit distance, batch {batch}, {kind}, {side}: "
                              f"{seconds:.1f} s, {peak:.0f} MiB", file=sys.stderr, flush=True)
    keys = ["distance", "batch", "kind", "side"]
    return dict(about=dict(about(args, "pairs"), load=max(loads)), rows=[dict(zip(keys, key), **row) for key, row in found.items()])


def bestof(args, scratch, pairs, kind, batch):
    out, peak = trained(args, scratch, "prefer", pairs, kind,
                        f"num_train_epochs = 1.0\nper_device_train_batch_size = {batch}\n",
                        "[loss]\nname = \"dpo\"\nbeta = 0.1\n")
    _, seconds = results(out)
    return seconds + reference_seconds(args, pairs, scratch), peak


def reference_seconds(args, pairs, scratch):
    """Time of the reference pass: scoring the pairs, without the start-up."""
    def timed(data):
        before = time.perf_counter()
        measured([args.bestof, "--quiet", "score", "--model", args.model, "--data", data, "--json"], args.threads)
        return time.perf_counter() - before
    one = scratch / "one.jsonl"
    one.write_text(pairs.read_text().splitlines()[0] + "\n")
    return max(0.0, timed(pairs) - timed(one)) * args.pairs / max(1, args.pairs - 1)


def trl(args, scratch, pairs, kind, batch):
    out = scratch / "trl.json"
    _, used = measured([sys.executable, __file__, "--model", args.model, "--threads", args.threads,
                        "--child", pairs, kind, batch, out], args.threads)
    return json.loads(out.read_text())["seconds"], used.ru_maxrss / 1024


def trl_child(args, pairs, kind, batch, out):
    import torch
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data = load_dataset("json", data_files=pairs, split="train").select_columns(["prompt", "chosen", "rejected"])
    with tempfile.TemporaryDirectory() as scratch:
        config = DPOConfig(output_dir=scratch, per_device_train_batch_size=int(batch), num_train_epochs=1, beta=0.1,
                           max_length=1024, **SETTINGS)
        trainer = DPOTrainer(model=in_f32(args.model), args=config, train_dataset=data, peft_config=adapter(kind),
                             processing_class=AutoTokenizer.from_pretrained(args.model))
        before = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - before
    Path(out).write_text(json.dumps({"seconds": seconds}))


def markdown(args, found):
    about = found["about"]
    lines = [f"{heading(about)}; {Path(args.model).name}, {about['pairs']} pairs. Pairs a second, medians over rounds, and peak "
             "memory.", "",
             "| pairs | batch | trained | TRL | bestof | ratio | TRL, MiB | bestof, MiB | ratio |", "|" + "---|" * 9]
    rows = {(row["distance"], row["batch"], row["kind"], row["side"]): row for row in found["rows"]}
    for distance, batch, kind in dict.fromkeys(key[:3] for key in rows):
        ours, theirs = (rows[distance, batch, kind, side] for side in ["bestof", "TRL"])
        pace = [about["pairs"] / statistics.median(row["seconds"]) for row in (theirs, ours)]
        peaks = [row["peak_mib"] for row in (theirs, ours)]
        lines.append(f"| {distance} edit distance | {batch} | {KINDS[kind]} | {pace[0]:.3f} | {pace[1]:.3f} | "
                     f"{pace[1] / pace[0]:.2f} | {peaks[0]:,.0f} | {peaks[1]:,.0f} | 1/{peaks[0] / peaks[1]:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

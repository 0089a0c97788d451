"""A step of PKPO beside one of TRL's GRPO: the same model, prompts, samples and lengths, in turns.

Run it with a Python that has torch, transformers, trl, peft and datasets:

    cargo xtask bench grpo-side-by-side --python PYTHON [--steps 4] [--prompts 4] [--samples 16] [--tokens 64]
                                        [--kinds full,lora] [--threads 2] [--rounds 1] [--out FOLDER]

A step draws the samples of each prompt at temperature 1, at most so many tokens each, judges them by their last
number and updates once, in f32, every weight or LoRA: bestof for the best of half the samples, TRL by GRPO. Time is
that of the training loop without loading and saving; memory is the peak of the whole process. TRL trains as many
completions at once as a prompt has samples. Where bestof's time goes is its own account (`train_results.json`),
TRL's what its trainer logs as the time of its own parts.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from comparison import report
from processes import measured
from trl_peer import KINDS, SETTINGS, about, adapter, heading, in_f32, results, trained, training_arguments


def main():
    parser = training_arguments(__doc__)
    for name, default in [("steps", 4), ("prompts", 4), ("samples", 16), ("tokens", 64)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--child", nargs=3, metavar=("PUZZLES", "KIND", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return trl_child(args, *args.child)
    report(args, "grpo", compare, markdown)


def compare(args, scratch):
    puzzles = scratch / "puzzles.jsonl"
    measured([args.bestof, "--quiet", "puzzles", "build", "--task", "chain-sum", "--level", "1", "--count",
              args.steps * args.prompts, "--out", puzzles], args.threads)
    found, loads = {}, []
    for number in range(args.rounds):
        for kind in args.kinds:
            for side, call in [("bestof", bestof), ("TRL", trl)]:
                loads.append(os.getloadavg()[0])
                result, peak = call(args, scratch, puzzles, kind)
                row = found.setdefault((kind, side), dict(runs=[], peak_mib=0.0))
                row["runs"].append(result)
                row["peak_mib"] = max(row["peak_mib"], peak)
                print(f"round {number + 1}: {kind}, {side}: {json.dumps(result)}, {peak:.0f} MiB", file=sys.stderr,
                      flush=True)
    return dict(about=dict(about(args, "steps", "prompts", "samples", "tokens"), load=max(loads)),
                rows=[dict(kind=kind, side=side, **row) for (kind, side), row in found.items()])


def bestof(args, scratch, puzzles, kind):
    out, peak = trained(args, scratch, "reinforce", puzzles, kind,
                        f"max_steps = {args.steps}\nper_device_train_batch_size = {args.prompts}\n",
                        f"[rollout]\nnum_generations = {args.samples}\nmax_new_tokens = {args.tokens}\nchat = true\n"
                        "[reward]\nverifier = \"number\"\n[objective]\nestimator = \"loo-minus-one\"\n"
                        f"k = {max(1, args.samples // 2)}\n")
    found, seconds = results(out)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    mean = lambda name: statistics.mean(row[name] for row in rows if name in row)
    return dict(seconds=seconds, parts={name: found["seconds"][name] for name in ["rollouts", "passes", "updates"]},
                mean_length=mean("completions/mean_length"), reward=mean("reward")), peak


def trl(args, scratch, puzzles, kind):
    out = scratch / "trl.json"
    command = [sys.executable, __file__, "--model", args.model]
    for name in ["threads", "steps", "prompts", "samples", "tokens"]:
        command += [f"--{name}", getattr(args, name)]
    _, used = measured([*command, "--child", puzzles, kind, out], args.threads)
    return json.loads(out.read_text()), used.ru_maxrss / 1024


def last_number(text):
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)
    return float(found[-1].replace(",", "")) if found else None


def trl_child(args, puzzles, kind, out):
    import torch
    from datasets import load_dataset
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    data = load_dataset("json", data_files=puzzles, split="train")
    data = data.map(lambda row: {"prompt": [{"role": "user", "content": row["prompt"]}]})

    def right(completions, answer, **_):
        said = [last_number(completion[0]["content"]) for completion in completions]
        return [float(number is not None and number == float(wanted)) for number, wanted in zip(said, answer)]

    with tempfile.TemporaryDirectory() as scratch:
        config = GRPOConfig(output_dir=scratch, per_device_train_batch_size=args.samples,
                            gradient_accumulation_steps=args.prompts, num_generations=args.samples,
                            max_completion_length=args.tokens, max_steps=args.steps, beta=0.0, temperature=1.0, **SETTINGS)
        trainer = GRPOTrainer(model=in_f32(args.model), reward_funcs=right, args=config, train_dataset=data,
                              peft_config=adapter(kind))
        parts = {}

        def timed(name, method):
            call = getattr(trainer, method)

            def wrapped(*given, **named):
                before = time.perf_counter()
                try:
                    return call(*given, **named)
                finally:
                    parts[name] = parts.get(name, 0.0) + time.perf_counter() - before
            setattr(trainer, method, wrapped)
        timed("rollouts", "_generate_and_score_completions")
        timed("whole steps of training", "training_step")
        before = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - before
        parts["passes"] = parts.pop("whole steps of training") - parts["rollouts"]
        parts["updates"] = seconds - parts["rollouts"] - parts["passes"]
        rows = [row for row in trainer.state.log_history if "reward" in row]
    mean = lambda name: statistics.mean(float(row[name]) for row in rows)
    Path(out).write_text(json.dumps(dict(seconds=seconds, parts=parts, mean_length=mean("completions/mean_length"),
                                         reward=mean("reward"))))


def markdown(args, found):
    about = found["about"]
    lines = [f"{heading(about)}; {Path(args.model).name}, {about['steps']} steps of {about['prompts']} prompts with "
             f"{about['samples']} samples of at most {about['tokens']} tokens. Seconds are those of a step, medians over "
             "rounds.", "",
             "| trained | side | steps an hour | rollouts, s | passes, s | updates and the rest, s | mean length | peak, MiB |",
             "|" + "---|" * 8]
    rows = {(row["kind"], row["side"]): row for row in found["rows"]}
    for kind in dict.fromkeys(kind for kind, _ in rows):
        paces = {}
        for side in ["TRL", "bestof"]:
            row = rows[kind, side]
            middle = lambda value: statistics.median(map(value, row["runs"])) / about["steps"]
            step = middle(lambda run: run["seconds"])
            drawn, passes = (middle(lambda run: run["parts"][name]) for name in ["rollouts", "passes"])
            length = statistics.median(run["mean_length"] for run in row["runs"])
            paces[side] = 3600 / step
            lines.append(f"| {KINDS[kind]} | {side} | {paces[side]:.0f} | {drawn:.2f} | {passes:.2f} | "
                         f"{step - drawn - passes:.2f} | {length:.1f} | {row['peak_mib']:,.0f} |")
        lines.append(f"| | ratio | **{paces['bestof'] / paces['TRL']:.2f}** | | | | | "
                     f"**1/{rows[kind, 'TRL']['peak_mib'] / rows[kind, 'bestof']['peak_mib']:.2f}** |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

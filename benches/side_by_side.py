"""bestof beside TRL: the same model, the same pairs, the same machine, one after the other.

Run it with a Python that has torch, transformers, trl, peft and datasets:

    cargo xtask bench side-by-side --python PYTHON [--pairs 16] [--threads 2]

Each side trains one epoch of DPO in f32 on the same low-edit-distance pairs, every weight and then
LoRA. Time is that of the training loop, the reference's forward passes included; memory is the
peak of the whole process. A ratio above 1 means that bestof is faster, or takes less memory.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

LORA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main():
    args = parse()
    if args.trl_child:
        return trl_child(args)
    with tempfile.TemporaryDirectory() as scratch:
        return compare(args, Path(scratch))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bestof", required=True, help="the bestof binary")
    parser.add_argument("--model", required=True, help="a model folder")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--trl-child", nargs=3, metavar=("PAIRS", "KIND", "OUT"), help=argparse.SUPPRESS)
    return parser.parse_args()


def run(command, threads):
    """Runs a command to its end; its peak resident set in MiB."""
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads),
               MKL_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
    child = os.posix_spawnp(command[0], command, env)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return usage.ru_maxrss / 1024


def compare(args, scratch):
    pairs = scratch / "pairs.jsonl"
    run([args.bestof, "--quiet", "pairs", "build", "--task", "arithmetic", "--count", str(args.pairs),
         "--steps", "3-5", "--size", "medium", "--out", str(pairs), "--json"], args.threads)
    rows = []
    for kind in ["full", "lora"]:
        for side in [bestof, trl]:
            rows.append(side(args, scratch, pairs, kind))
            show(rows[-1])
    for kind in ["full", "lora"]:
        ours, theirs = [row for row in rows if row["kind"] == kind]
        ratio = {
            "kind": kind,
            "pairs_per_second": ours["pairs_per_second"] / theirs["pairs_per_second"],
            "memory": theirs["peak_mib"] / ours["peak_mib"],
        }
        rows.append(ratio)
        print(f"{kind}: bestof does {ratio['pairs_per_second']:.2f} times TRL's pairs a second "
              f"in 1/{ratio['memory']:.2f} of its memory", flush=True)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


def show(row):
    print(f"{row['kind']:5} {row['side']:7} {row['pairs_per_second']:8.3f} pairs/s "
          f"{row['seconds']:8.1f} s {row['peak_mib']:8.0f} MiB", flush=True)


def bestof(args, scratch, pairs, kind):
    out = scratch / f"bestof-{kind}"
    config = scratch / f"{kind}.toml"
    lora = "[lora]\nr = 16\nalpha = 32.0\n" if kind == "lora" else ""
    config.write_text(
        f"[model]\npath = {json.dumps(os.path.abspath(args.model))}\n"
        f"[data]\ntrain = {json.dumps(str(pairs))}\n[output]\ndir = {json.dumps(str(out))}\n"
        f"[train]\nlearning_rate = 1e-6\nnum_train_epochs = 1.0\nper_device_train_batch_size = {args.batch}\n"
        f"save_steps = 0\n{lora}[loss]\nname = \"dpo\"\nbeta = 0.1\n")
    before = time.perf_counter()
    peak = run([args.bestof, "--quiet", "prefer", "--config", str(config), "--json"], args.threads)
    whole = time.perf_counter() - before
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    results = json.loads((out / "train_results.json").read_text())
    reference = reference_seconds(args, pairs, scratch)
    seconds = results["train_runtime"] + reference
    assert rows, "the run wrote no metrics"
    return dict(side="bestof", kind=kind, seconds=seconds, whole_process=whole, peak_mib=peak,
                pairs_per_second=args.pairs / seconds)


def reference_seconds(args, pairs, scratch):
    """Time of the reference pass: scoring the pairs, without the start-up."""
    def timed(data):
        before = time.perf_counter()
        run([args.bestof, "--quiet", "score", "--model", args.model, "--data", str(data), "--json"],
            args.threads)
        return time.perf_counter() - before
    one = scratch / "one.jsonl"
    one.write_text(pairs.read_text().splitlines()[0] + "\n")
    return max(0.0, timed(pairs) - timed(one)) * args.pairs / max(1, args.pairs - 1)


def trl(args, scratch, pairs, kind):
    out = scratch / f"trl-{kind}.json"
    peak = run([sys.executable, __file__, "--bestof", args.bestof, "--model", args.model,
                "--batch", str(args.batch), "--threads", str(args.threads),
                "--trl-child", str(pairs), kind, str(out)], args.threads)
    seconds = json.loads(out.read_text())["seconds"]
    return dict(side="TRL", kind=kind, seconds=seconds, peak_mib=peak,
                pairs_per_second=args.pairs / seconds)


def trl_child(args):
    import torch
    from datasets import load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    pairs, kind, out = args.trl_child
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    data = load_dataset("json", data_files=pairs, split="train")
    data = data.select_columns(["prompt", "chosen", "rejected"])
    adapter = None
    if kind == "lora":
        from peft import LoraConfig
        adapter = LoraConfig(r=16, lora_alpha=32, target_modules=LORA, task_type="CAUSAL_LM")
    with tempfile.TemporaryDirectory() as scratch:
        config = DPOConfig(output_dir=scratch, per_device_train_batch_size=args.batch,
                           num_train_epochs=1, learning_rate=1e-6, beta=0.1, logging_steps=1,
                           save_strategy="no", report_to=[], use_cpu=True, bf16=False,
                           gradient_checkpointing=False, max_length=1024, disable_tqdm=True,
                           dataloader_pin_memory=False)
        trainer = DPOTrainer(model=model, args=config, train_dataset=data,
                             processing_class=tokenizer, peft_config=adapter)
        before = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - before
    Path(out).write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()

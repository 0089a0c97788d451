"""A training of bestof's and the same of TRL's, for the scripts that put them side by side."""

import json
import os
import time
from importlib import metadata

from comparison import arguments, names_of
from processes import measured, processor

KINDS = {"full": "every weight", "lora": "LoRA, rank 16"}


def training_arguments(doc):
    parser = arguments(doc)
    parser.add_argument("--kinds", type=names_of(KINDS), default="full,lora")
    return parser


def about(args, *names):
    """Processor and versions, with these arguments."""
    return dict(processor=processor(), threads=args.threads, **{name: getattr(args, name) for name in names},
                **{name: metadata.version(name) for name in ["trl", "torch", "transformers"]})


def heading(about):
    return (f"{about['processor']}, {about['threads']} threads; trl {about['trl']}, torch {about['torch']}, transformers "
            f"{about['transformers']}; load average up to {about['load']:.1f}")


def trained(args, scratch, verb, data, kind, train, rest):
    """A run's folder, and the peak of its process in MiB; `train` and `rest` are TOML."""
    out, config = scratch / f"run-{time.time_ns()}", scratch / "run.toml"
    lora = "[lora]\nr = 16\nalpha = 32.0\n" if kind == "lora" else ""
    config.write_text(
        f"[model]\npath = {json.dumps(os.path.abspath(args.model))}\n"
        f"[data]\ntrain = {json.dumps(str(data))}\n[output]\ndir = {json.dumps(str(out))}\n"
        f"[train]\nlearning_rate = 1e-6\nsave_steps = 0\n{train}{lora}{rest}")
    _, used = measured([args.bestof, "--quiet", verb, "--config", config, "--json"], args.threads)
    return out, used.ru_maxrss / 1024


def results(out):
    """`train_results.json` of a run, and the seconds of its loop without checkpoints."""
    found = json.loads((out / "train_results.json").read_text())
    return found, found["train_runtime"] - found["seconds"]["checkpoints"]


def adapter(kind):
    """What PEFT adapts, as bestof does by default; nothing where every weight is trained."""
    if kind != "lora":
        return None
    from peft import LoraConfig
    return LoraConfig(r=16, lora_alpha=32, task_type="CAUSAL_LM", target_modules=[
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])


def in_f32(model):
    import torch
    from transformers import AutoModelForCausalLM
    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)


# What every trainer of TRL's is told.
SETTINGS = dict(learning_rate=1e-6, logging_steps=1, save_strategy="no", report_to=[], use_cpu=True, bf16=False,
                gradient_checkpointing=False, disable_tqdm=True, dataloader_pin_memory=False)

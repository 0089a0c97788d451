"""A device: parity, LoRA DPO of SmolLM2 and of a 1B shape, and sampling; beside TRL where it can run.

On a machine with a GPU, about ten minutes on one card:

    cargo xtask fetch smollm2-135m-instruct
    cargo xtask bench device-side-by-side --device cuda --python PYTHON [--dtype bf16] [--pairs 128]
                                          [--batch 8] [--json OUT]

The 1B shape (16 layers, 2048 wide) has random weights, written to a folder that is removed again (2.1
GiB). TRL takes part if PYTHON has torch, transformers, trl, peft and datasets, and its torch sees the
device; what is missing is said, and the rest is measured. Without a GPU, to see that all of it works,
in a few minutes and with figures that say nothing:

    cargo xtask bench device-side-by-side --tiny [--device wgpu] [--python PYTHON]

Tokens per second of training are the median over the steps after the second, as the kernels are compiled
and tuned in the first; both sides count the tokens of prompt and answer of every pair, and both have the
reference's passes in their time: TRL makes them in each step, bestof once before the first, and their time
is that of `score` on all pairs less that on one. Tokens per second of sampling are those of the difference
between a long and a short run. Memory is the most that `nvidia-smi` shows on the
card during the run less what it showed before, and the process's peak where there is no card.
"""

import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from trl_peer import adapter

FIXTURES = Path(__file__).parents[1] / "crates/models/tests/fixtures/parity"
ONE_B = dict(num_hidden_layers=16, hidden_size=2048, intermediate_size=8192, num_attention_heads=32,
             num_key_value_heads=8)
TINY = dict(num_hidden_layers=2, hidden_size=64, intermediate_size=128, num_attention_heads=4,
            num_key_value_heads=2)
BYTES = {"f32": ("F32", "float32"), "bf16": ("BF16", "bfloat16"), "f16": ("F16", "float16")}


def main():
    args = parse()
    if args.trl_child:
        return trl_child(args)
    with tempfile.TemporaryDirectory() as scratch:
        return measure(args, Path(scratch))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bestof", required=True, help="the bestof binary, built for the device")
    parser.add_argument("--fixtures", default=FIXTURES, help="folder of the parity checkpoints")
    parser.add_argument("--model", required=True, help="SmolLM2's folder")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=list(BYTES), help="bf16 on cuda, else f32")
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8, help="pairs per step")
    parser.add_argument("--samples", type=int, default=32, help="sequences sampled together")
    parser.add_argument("--new-tokens", type=int, default=192)
    parser.add_argument("--tiny", action="store_true", help="tiny models and few pairs")
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--trl-child", nargs=3, metavar=("MODEL", "PAIRS", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.dtype = args.dtype or ("bf16" if args.device.startswith("cuda") else "f32")
    if args.tiny:
        args.pairs, args.batch, args.samples, args.new_tokens = 10, 2, 4, 24
    return args


def measure(args, scratch):
    differences = parity(args)
    pairs = scratch / "pairs.jsonl"
    subprocess.run([args.bestof, "--quiet", "pairs", "build", "--task", "arithmetic", "--count", str(args.pairs),
                    "--steps", "3-5", "--size", "medium", "--out", str(pairs), "--json"], check=True,
                   stdout=subprocess.DEVNULL)
    rows = []
    for name, model in models(args, scratch):
        rows.append(train(args, scratch, name, model, pairs))
        show(rows[-1])
        rows.append(sample(args, name, model))
        show(rows[-1])
        if (row := trl(args, scratch, name, model, pairs)) is not None:
            rows.append(row)
            show(row)
    if args.json:
        figures = dict(device=args.device, dtype=args.dtype, tiny=args.tiny, parity=differences, rows=rows)
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")


def show(row):
    rate = row["tokens_per_second"]
    rate = "too short to tell" if rate is None else f"{rate:,.0f} tokens/s"
    memory = f"{row['memory_mib']:,.0f} MiB {row['memory_of']}"
    print(f"| {row['model']} | {row['work']} | {row['side']} | {rate} | {memory} |", flush=True)


def parity(args):
    """The tiny checkpoints of transformers on the device; fails above 1e-3."""
    folders = sorted(str(path.parent) for path in Path(args.fixtures).glob("*/expected.safetensors"))
    command = [args.bestof, "parity", *folders, "--device", args.device, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    for row in rows:
        numbers = "  ".join(f"{name} {value:.1e}" for name, value in row["max_abs_diff"].items())
        print(f"parity {'ok     ' if row['ok'] else 'DIFFERS'} {Path(row['dir']).name}: {numbers}", flush=True)
    if done.returncode != 0:
        sys.exit("parity failed")
    return {Path(row["dir"]).name: row["max_abs_diff"] for row in rows}


def models(args, scratch):
    """Name and folder of what is trained; the second is written when it is asked for."""
    if args.tiny:
        tokenizer = scratch / "characters"
        write_tokenizer(tokenizer)
        for name in ["tiny", "tiny, again"]:
            yield name, write_model(scratch / name.replace(", ", "-"), TINY, tokenizer, args.dtype, 1)
        return
    model = Path(args.model)
    if not (model / "config.json").is_file():
        sys.exit(f"{model} holds no model; `cargo xtask fetch smollm2-135m-instruct` downloads it")
    yield "SmolLM2-135M", model
    yield "1B shape", write_model(scratch / "1b", ONE_B, model, args.dtype, 2)


def train(args, scratch, name, model, pairs):
    out = scratch / f"run-{name}"
    config = scratch / "prefer.toml"
    dtype = "" if args.dtype == "f32" else f"dtype = {json.dumps(args.dtype)}\n"
    config.write_text(
        f"[model]\npath = {json.dumps(str(model.resolve()))}\ndevice = {json.dumps(args.device)}\n{dtype}"
        f"[data]\ntrain = {json.dumps(str(pairs))}\n[output]\ndir = {json.dumps(str(out))}\n"
        f"[train]\nlearning_rate = 1e-6\nnum_train_epochs = 1.0\nper_device_train_batch_size = {args.batch}\n"
        f"logging_steps = 1\nsave_steps = 0\n[lora]\nr = 16\nalpha = 32.0\n[loss]\nname = \"dpo\"\nbeta = 0.1\n")
    memory = run(args, [args.bestof, "--quiet", "prefer", "--config", str(config), "--json"])
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    rates = [row["tokens_per_second"] for row in rows if "tokens_per_second" in row]
    tokens = rows[-1]["num_tokens"]
    seconds = tokens / statistics.median(rates[2:]) + reference_seconds(args, model, pairs, scratch)
    return dict(model=name, work="LoRA DPO", side="bestof", tokens_per_second=tokens / seconds, **memory)


def reference_seconds(args, model, pairs, scratch):
    """The reference's passes over all pairs, without the start-up and the first kernels."""
    def timed(data):
        before = time.perf_counter()
        run(args, [args.bestof, "--quiet", "score", "--model", str(model), "--data", str(data), *device(args), "--json"])
        return time.perf_counter() - before
    one = scratch / "one.jsonl"
    one.write_text(pairs.read_text().splitlines()[0] + "\n")
    return max(0.0, timed(pairs) - timed(one)) * args.pairs / max(1, args.pairs - 1)


def device(args):
    return ["--device", args.device] + (["--dtype", args.dtype] if args.dtype != "f32" else [])


def sample(args, name, model):
    def timed(tokens):
        command = [args.bestof, "--quiet", "generate", "--model", str(model), *device(args),
                   "--prompt", "12 + 30 =", "--samples", str(args.samples), "--temperature", "1",
                   "--max-new-tokens", str(tokens), "--json"]
        out = tempfile.TemporaryFile("w+")
        before = time.perf_counter()
        memory = run(args, command, out)
        seconds = time.perf_counter() - before
        out.seek(0)
        return sum(len(json.loads(line)["ids"]) for line in out), seconds, memory
    few, short, _ = timed(max(1, args.new_tokens // 8))
    many, long, memory = timed(args.new_tokens)
    rate = (many - few) / (long - short) if many > few and long > short else None
    return dict(model=name, work=f"{args.samples} samples", side="bestof", tokens_per_second=rate, **memory)


def trl(args, scratch, name, model, pairs):
    out = scratch / "trl.json"
    command = [sys.executable, __file__, "--bestof", args.bestof, "--fixtures", args.fixtures, "--model", args.model,
               "--device", args.device, "--dtype", args.dtype, "--batch", str(args.batch),
               "--trl-child", str(model), str(pairs), str(out)]
    out.unlink(missing_ok=True)
    memory = run(args, command, subprocess.DEVNULL, check=False)
    if not out.exists():
        print(f"| {name} | LoRA DPO | TRL | did not run; its own words are above | |", flush=True)
        return None
    found = json.loads(out.read_text())
    if "absent" in found:
        print(f"| {name} | LoRA DPO | TRL | {found['absent']} | |", flush=True)
        return None
    return dict(model=name, work="LoRA DPO", side="TRL", **found, **memory)


def trl_child(args):
    model_path, pairs, out = args.trl_child
    try:
        import torch
        from datasets import load_dataset
        from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
        from trl import DPOConfig, DPOTrainer
        lora = adapter("lora")
    except ImportError as error:
        return Path(out).write_text(json.dumps({"absent": f"this Python lacks a package: {error}"}))
    cuda = args.device.startswith("cuda")
    if cuda and not torch.cuda.is_available():
        return Path(out).write_text(json.dumps({"absent": "torch sees no GPU"}))

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=getattr(torch, BYTES[args.dtype][1]))
    data = load_dataset("json", data_files=pairs, split="train").select_columns(["prompt", "chosen", "rejected"])
    length = lambda text: len(tokenizer(text)["input_ids"])
    tokens = [2 * length(row["prompt"]) + length(row["chosen"]) + length(row["rejected"]) for row in data]
    times = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_, **__):
            if cuda:
                torch.cuda.synchronize()
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        config = DPOConfig(output_dir=scratch, per_device_train_batch_size=args.batch, num_train_epochs=1,
                           learning_rate=1e-6, beta=0.1, logging_steps=1, save_strategy="no", report_to=[],
                           use_cpu=not cuda, bf16=cuda and args.dtype == "bf16", gradient_checkpointing=False,
                           max_length=1024, disable_tqdm=True)
        trainer = DPOTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer,
                             peft_config=lora, callbacks=[Clock()])
        trainer.train()
    # The order is drawn, so that a step has about the mean of tokens.
    step = statistics.median(later - earlier for earlier, later in zip(times[1:], times[2:]))
    rate = args.batch * statistics.mean(tokens) / step
    Path(out).write_text(json.dumps({"tokens_per_second": rate}))


def run(args, command, stdout=subprocess.DEVNULL, check=True):
    """Runs a command to its end; the memory it took."""
    card = args.device.partition(":")[2] or "0"
    watch = Watch(card) if args.device.startswith("cuda") else None
    child = subprocess.Popen(command, stdout=stdout)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    of_card = watch.stop() if watch else None
    if child.returncode != 0 and check:
        sys.exit(f"failed: {' '.join(command)}")
    if of_card is not None:
        return dict(memory_mib=of_card, memory_of="on the card")
    return dict(memory_mib=usage.ru_maxrss / 1024, memory_of="of the process")


class Watch:
    """The most memory in use on a card, above what was in use before."""

    def __init__(self, card):
        self.card, self.peak, self.running = card, 0.0, True
        self.before = self.used()
        self.thread = threading.Thread(target=self.poll)
        self.thread.start()

    def used(self):
        query = ["nvidia-smi", "-i", self.card, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        try:
            return float(subprocess.run(query, stdout=subprocess.PIPE, check=True, text=True).stdout)
        except (OSError, ValueError, subprocess.CalledProcessError):
            return None

    def poll(self):
        while self.running and self.before is not None:
            self.peak = max(self.peak, (self.used() or 0.0) - self.before)
            time.sleep(0.1)

    def stop(self):
        self.running = False
        self.thread.join()
        return None if self.before is None else self.peak


def write_model(folder, shape, tokenizer, dtype, seed):
    """A LLaMA of this shape with random weights, and a tokenizer from another folder."""
    folder.mkdir()
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]:
        if (tokenizer / name).is_file():
            (folder / name).write_bytes((tokenizer / name).read_bytes())
    words = json.loads((tokenizer / "tokenizer.json").read_text())
    ids = list(words["model"]["vocab"].values()) + [token["id"] for token in words["added_tokens"]]
    stored, torch_name = BYTES[dtype]
    config = dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=max(ids) + 1, **shape,
                  max_position_embeddings=2048, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
                  tie_word_embeddings=True, bos_token_id=1, eos_token_id=1, torch_dtype=torch_name)
    (folder / "config.json").write_text(json.dumps(config))
    write_weights(folder / "model.safetensors", tensor_shapes(config), stored, seed)
    return folder


def tensor_shapes(config):
    width, inner = config["hidden_size"], config["intermediate_size"]
    keys = width // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], width], "model.norm.weight": [width]}
    for layer in range(config["num_hidden_layers"]):
        parts = {"self_attn.q_proj": [width, width], "self_attn.k_proj": [keys, width],
                 "self_attn.v_proj": [keys, width], "self_attn.o_proj": [width, width],
                 "mlp.gate_proj": [inner, width], "mlp.up_proj": [inner, width], "mlp.down_proj": [width, inner],
                 "input_layernorm": [width], "post_attention_layernorm": [width]}
        shapes |= {f"model.layers.{layer}.{part}.weight": shape for part, shape in parts.items()}
    return shapes


def write_weights(path, shapes, stored, seed):
    """Random matrices and norms of one, without any package: values are drawn once and read from another
    place for every tensor."""
    def pack(values):
        if stored == "F16":
            return struct.pack(f"<{len(values)}e", *values)
        single = struct.pack(f"<{len(values)}f", *values)
        # bf16 is the upper half of f32.
        return single if stored == "F32" else b"".join(single[i + 2:i + 4] for i in range(0, len(single), 4))
    generator = random.Random(seed)
    drawn = pack([generator.gauss(0.0, 0.02) for _ in range((1 << 20) + 7)])
    size = 4 if stored == "F32" else 2
    header, end = {}, 0
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        header[name] = dict(dtype=stored, shape=shape, data_offsets=[end, end + count * size])
        end += count * size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            if len(shape) == 1:
                file.write(pack([1.0] * shape[0]))
                continue
            left, at = shape[0] * shape[1] * size, generator.randrange(len(drawn) // size) * size
            while left > 0:
                part = drawn[at:at + left]
                file.write(part)
                left, at = left - len(part), 0


def write_tokenizer(folder):
    """One token per character."""
    folder.mkdir()
    characters = [chr(code) for code in range(32, 127)] + ["\n"]
    vocab = {token: number for number, token in enumerate(["<unk>", "<eos>", *characters])}
    special = [dict(id=vocab[token], content=token, single_word=False, lstrip=False, rstrip=False, normalized=False,
                    special=True) for token in ["<unk>", "<eos>"]]
    pattern = {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": False}
    words = dict(version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None,
                 pre_tokenizer=pattern, post_processor=None, decoder={"type": "Fuse"},
                 model={"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"})
    (folder / "tokenizer.json").write_text(json.dumps(words))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        dict(tokenizer_class="PreTrainedTokenizerFast", eos_token="<eos>", unk_token="<unk>")))


if __name__ == "__main__":
    main()

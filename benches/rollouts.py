"""Rollouts of bestof beside transformers and, where it is installed, llama.cpp.

Run it with a Python that has torch and transformers, and llama-cpp-python if that is to be compared:

    cargo xtask bench rollouts --python PYTHON [--threads 1,2] [--rounds 3] [--samples 1,8,16,64]

All sides take turns on the same machine: the same model and prompt, so many samples of 64 further tokens at
temperature 1 that nothing ends early, and 16 prompts of unequal length with a sample each. Prompts are part of
the time, loading is not. Each measurement is a process of its own, whose first call is not counted. Speed is that
of the fastest call, in tokens drawn a second, beside the processor time of a call; memory is the peak of the
process. llama.cpp decodes all samples in one batch, shares the prompt's cache among them and samples by its own
chain.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from comparison import arguments, numbers, report
from processes import measured, processor

TOKENS = 64
PROMPT = ("Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes of babysitting, and then walked "
          "home with her sister, who had bought three kilograms of apples at two dollars each and a bag of rice for "
          "seven dollars. How much more did Weng earn than her sister spent, and how many minutes of babysitting would "
          "have paid for the apples alone? Think step by step, and write the final answer on a line of its own.")
BESTOF = ["f32", "bf16", "q8_0"]


def main():
    parser = arguments(__doc__, threads=False, rounds=3)
    parser.add_argument("--program", help="the built `bestof`, which writes the GGUF files of llama.cpp")
    parser.add_argument("--threads", type=numbers, default="1,2")
    parser.add_argument("--samples", type=numbers, default="1,8,16,64")
    parser.add_argument("--sides", default="", help="only those whose names begin with one of these")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        sides = {"tokenizer": tokenizer_child, "transformers": transformers_child, "llama.cpp": llama_child}
        return sides[args.child[0]](args, *args.child[1:])
    report(args, "rollouts", compare, markdown)


def installed(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def workloads(args, scratch):
    """The requests of each workload, as a file that every side reads."""
    # By a process of its own: see `measured`.
    lines, _ = measured([sys.executable, __file__, "--model", args.model, "--child", "tokenizer"])
    ids = json.loads(lines[-1])
    made = {f"{n} sample{'s' * (n > 1)} of one prompt": dict(prompts=[ids], samples=n) for n in args.samples}
    # From a fifth of the prompt to all of it, no two alike.
    lengths = [len(ids) * (3 + i) // 18 for i in range(16)]
    made["16 prompts of unequal length"] = dict(prompts=[ids[-n:] for n in lengths], samples=1)
    files = {}
    for number, (name, asked) in enumerate(made.items()):
        files[name] = scratch / f"requests-{number}.json"
        files[name].write_text(json.dumps(dict(asked, tokens=TOKENS)))
    return files, len(ids)


def sides(args, scratch):
    found = {f"bestof, {kind}": [args.bestof, args.model, kind] for kind in BESTOF}
    script = [sys.executable, __file__, "--model", args.model, "--child"]
    found["transformers, f32"] = [*script, "transformers", "float32"]
    if installed("llama-cpp-python") and args.program:
        for kind in ["f32", "f16"]:
            file = scratch / f"model-{kind}.gguf"
            subprocess.run([args.program, "--quiet", "convert", args.model, file, "--type", kind], check=True,
                           stdout=subprocess.DEVNULL)
            found[f"llama.cpp, {kind}"] = [*script, "llama.cpp", str(file)]
    if args.sides:
        found = {name: command for name, command in found.items() if name.startswith(tuple(args.sides.split(",")))}
    return found


def compare(args, scratch):
    files, prompt_tokens = workloads(args, scratch)
    about = dict(processor=processor(), torch=installed("torch"), transformers=installed("transformers"),
                 llama_cpp_python=installed("llama-cpp-python"), prompt_tokens=prompt_tokens, tokens=TOKENS)
    rows, commands, loads = {}, sides(args, scratch), []
    for number in range(args.rounds):
        for threads in args.threads:
            for workload, file in files.items():
                for side, command in commands.items():
                    loads.append(os.getloadavg()[0])
                    lines, used = measured([*command, file, 1], threads)
                    calls, peak = [json.loads(line) for line in lines], used.ru_maxrss / 1024
                    row = rows.setdefault((side, workload, threads), dict(calls=[], peak_mib=0.0))
                    row["calls"] += calls
                    row["peak_mib"] = max(row["peak_mib"], peak)
                    print(f"round {number + 1}, {threads} threads, {workload}, {side}: "
                          f"{speed(calls, 'seconds'):.1f} tokens a second, {speed(calls, 'processor_seconds'):.1f} of "
                          f"processor time, {peak:.0f} MiB", file=sys.stderr, flush=True)
    keys = ["side", "workload", "threads"]
    return dict(about=dict(about, load=max(loads)),
                rows=[dict(zip(keys, key), **row) for key, row in rows.items()])


def speed(calls, clock):
    """Tokens a second of the fastest call."""
    return max(call["tokens"] / call[clock] for call in calls)


def tokenizer_child(args):
    from transformers import AutoTokenizer
    print(json.dumps(AutoTokenizer.from_pretrained(args.model)(PROMPT)["input_ids"]))


def timed(call, tokens):
    """Says what a call takes, after one that is not counted."""
    call()
    start, used = time.perf_counter(), time.process_time()
    call()
    print(json.dumps(dict(seconds=time.perf_counter() - start, processor_seconds=time.process_time() - used,
                          tokens=tokens)))


def transformers_child(args, dtype, requests, _):
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, dtype)).eval()
    asked = json.loads(Path(requests).read_text())
    prompts, samples, tokens = asked["prompts"], asked["samples"], asked["tokens"]
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])

    def call():
        with torch.no_grad():
            out = model.generate(input_ids=ids, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0,
                                 top_p=1.0, num_return_sequences=samples, min_new_tokens=tokens,
                                 max_new_tokens=tokens, pad_token_id=0)
        assert out.shape == (len(prompts) * samples, width + tokens), out.shape
    timed(call, len(prompts) * samples * tokens)


def llama_child(args, file, requests, _):
    """llama.cpp by its own functions: one batch of all samples, each a sequence that has its prompt's cache."""
    import llama_cpp
    threads = int(os.environ["OMP_NUM_THREADS"])
    asked = json.loads(Path(requests).read_text())
    prompts, samples, tokens = asked["prompts"], asked["samples"], asked["tokens"]
    count = len(prompts) * samples
    llama_cpp.llama_backend_init()
    settings = llama_cpp.llama_model_default_params()
    settings.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(file.encode(), settings)
    longest = max(map(len, prompts))
    how = llama_cpp.llama_context_default_params()
    how.n_ctx = sum(map(len, prompts)) + count * (tokens + 1) + 64
    how.n_batch = how.n_ubatch = max(512, longest)
    how.n_seq_max = count
    how.n_threads = how.n_threads_batch = threads
    how.kv_unified = True
    context = llama_cpp.llama_init_from_model(model, how)
    batch = llama_cpp.llama_batch_init(max(longest, count), 0, 1)
    chains = []
    for seed in range(count):
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_dist(seed))
        chains.append(chain)

    def decode(entries):
        for at, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[at], batch.pos[at], batch.logits[at] = token, position, wanted
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, sequence
        batch.n_tokens = len(entries)
        if llama_cpp.llama_decode(context, batch) != 0:
            sys.exit("llama_decode failed")

    def call():
        memory = llama_cpp.llama_get_memory(context)
        llama_cpp.llama_memory_clear(memory, False)
        last = []
        for number, prompt in enumerate(prompts):
            first = number * samples
            end = len(prompt) - 1
            decode([(token, position, first, position == end) for position, token in enumerate(prompt)])
            for sample in range(samples):
                if sample:
                    llama_cpp.llama_memory_seq_cp(memory, first, first + sample, -1, -1)
                last.append([llama_cpp.llama_sampler_sample(chains[first + sample], context, end), len(prompt)])
        for _ in range(tokens - 1):
            decode([(token, position, sequence, True) for sequence, (token, position) in enumerate(last)])
            for sequence, state in enumerate(last):
                state[0] = llama_cpp.llama_sampler_sample(chains[sequence], context, sequence)
                state[1] += 1
    timed(call, count * tokens)


def markdown(args, found):
    about, rows = found["about"], found["rows"]
    versions = ", ".join(f"{name.replace('_', '-')} {about[name]}" for name in ["transformers", "torch", "llama_cpp_python"]
                         if about[name])
    lines = [f"{about['processor']}; {versions}; {Path(args.model).name}, a prompt of {about['prompt_tokens']} "
             f"tokens, {about['tokens']} drawn a sample; load average up to {about['load']:.1f}. Tokens a second, in brackets a "
             "second of processor time, and peak memory."]
    for threads in args.threads:
        own = [row for row in rows if row["threads"] == threads]
        names = list(dict.fromkeys(row["side"] for row in own))
        lines += ["", f"{threads} thread{'s' * (threads > 1)}:", "", f"| | {' | '.join(names)} |",
                  "|---" * (len(names) + 1) + "|"]
        for workload in dict.fromkeys(row["workload"] for row in own):
            cells = []
            for name in names:
                row = next(row for row in own if (row["side"], row["workload"]) == (name, workload))
                cells.append(f"{speed(row['calls'], 'seconds'):.0f} ({speed(row['calls'], 'processor_seconds'):.0f}), "
                             f"{row['peak_mib']:.0f} MiB")
            lines.append(f"| {workload} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

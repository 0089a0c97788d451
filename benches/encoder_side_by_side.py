"""bestof beside PyTorch: prediction and multi-task fine-tuning with MiniLM-L6's shape.

Run it with a Python that has torch and transformers:

    cargo xtask bench encoder-side-by-side --python PYTHON [--threads 2] [--rounds 3]

Both sides take turns on the same machine, in f32 with the same number of threads: sixteen reviews
of 128 tokens, and sixteen of 23 to 128, which PyTorch pads to the longest. A step is forward,
backward and AdamW on every weight, with dropout. Times are medians over all rounds, by the clock
and by the processor time used, which other work on the machine disturbs less.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

CLASSES = (4, 3, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bestof", help="the example `encoder` of bestof-benches")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--torch-child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch_child:
        return torch_child(args)
    if not args.bestof:
        parser.error("--bestof names the built example")
    compare(args)


def compare(args):
    env = dict(os.environ, RAYON_NUM_THREADS=str(args.threads), OMP_NUM_THREADS=str(args.threads))
    sides = {
        "bestof": [args.bestof, str(args.repetitions)],
        "PyTorch": [sys.executable, __file__, "--torch-child", "--threads", str(args.threads),
                    "--repetitions", str(args.repetitions)],
    }
    times = {}
    for number in range(args.rounds):
        for side, command in sides.items():
            print(f"round {number + 1}: {side}, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
            out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
            for line in map(json.loads, out.splitlines()):
                key = (line["work"], line["batch"], len(line["lengths"]))
                found = times.setdefault(key, {}).setdefault(side, {"seconds": [], "processor_seconds": []})
                for clock, values in found.items():
                    values.extend(line[clock])
    rows = []
    for (work, batch, count), found in times.items():
        row = dict(work=work, batch=batch, threads=args.threads)
        for clock in ["seconds", "processor_seconds"]:
            speed = {side: count / statistics.median(values[clock]) for side, values in found.items()}
            row[clock] = dict(**speed, ratio=speed["bestof"] / speed["PyTorch"])
            print(f"{work:9} {batch:16} {args.threads} threads, {clock:17}: bestof {speed['bestof']:7.2f} reviews/s, "
                  f"PyTorch {speed['PyTorch']:7.2f}, ratio {row[clock]['ratio']:.2f}", flush=True)
        rows.append(row)
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")


def torch_child(args):
    import torch
    from transformers import BertConfig, BertModel

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12,
                        intermediate_size=1536)

    class MultiTask(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.bert = BertModel(config, add_pooling_layer=False)
            self.heads = torch.nn.ModuleList(torch.nn.Linear(384, c) for c in CLASSES)

        def forward(self, ids, mask):
            hidden = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
            kept = mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * kept).sum(1) / kept.sum(1)
            return [head(mean) for head in self.heads]

    model = MultiTask()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5, weight_decay=0.01)
    batches = {"128 tokens": [128] * 16, "23 to 128 tokens": [23 + 7 * i for i in range(16)]}

    def timed(run):
        run()
        seconds, processor = [], []
        for _ in range(args.repetitions):
            start, used = time.perf_counter(), time.process_time()
            run()
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        return dict(seconds=seconds, processor_seconds=processor)

    for name, lengths in batches.items():
        longest = max(lengths)
        ids = torch.randint(1000, config.vocab_size, (len(lengths), longest))
        mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
        labels = [torch.arange(len(lengths)) % c for c in CLASSES]

        def predict():
            with torch.no_grad():
                return [logits.tolist() for logits in model(ids, mask)]

        def step():
            optimizer.zero_grad(set_to_none=True)
            losses = zip(model(ids, mask), labels)
            loss = sum(torch.nn.functional.cross_entropy(logits, y) for logits, y in losses)
            loss.backward()
            optimizer.step()
            return loss.item()

        for work, run, training in [("predict", predict, False), ("fine-tune", step, True)]:
            model.train(training)
            print(json.dumps(dict(work=work, batch=name, lengths=lengths, **timed(run))), flush=True)


if __name__ == "__main__":
    main()

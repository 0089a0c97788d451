"""Real sentences: bestof's models beside scikit-learn and a fine-tune with transformers, by cross-validation.

Run it with a Python that has torch, transformers and scikit-learn:

    python benches/sentences.py --bestof BIN --data FILE.tsv --encoder models/minilm-l6-v2 --out FOLDER

FILE.tsv has a sentence, a tab and 0 or 1 on each line, such as those of "From Group to Individual Labels
using Deep Features" (Kotzias et al. 2015). Sentences are dealt to five folds, each with its share of both
classes. A fold is the test of models of the others, of which every twentieth row is the validation part,
which a prepared folder must have and nothing reads. Each model answers every sentence once.

scikit-learn is fitted on the matrix that `bestof sentiment features` writes, with the settings of
classical_reference.py. transformers fine-tunes the same encoder with the same pooler and head, epochs,
learning rates, warm-up, batch size, longest text, dropout and clipping; batches are drawn from another
stream of random numbers. Pairs of models are compared by McNemar's exact test on all answers, with Holm's
correction over the pairs. FOLDER gets sentences.md and sentences.json.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from classical_reference import KINDS, read, reference
from paired import exact_mcnemar, holm, wilson
from processes import processor

PARTS = ["train", "validation", "test"]
NEURAL = ["cnn", "han", "bert"]
# Of fine-tuning; those of the configuration of bestof's BERT models.
WARMUP, HEAD_FACTOR, DROPOUT, CLIP = 0.1, 10.0, 0.1, 1.0


def main():
    args = parse()
    rows = sentences(args.data)
    folds = deal(rows, args.folds, args.seed)
    answers = {}
    for fold in range(args.folds):
        start = time.monotonic()
        one_fold(args, rows, folds, fold, answers)
        print(f"fold {fold + 1} of {args.folds}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    found = judged(rows, answers)
    found.update(about=about(), sentences=len(rows), folds=args.folds, epochs=args.epochs,
                 learning_rate=args.learning_rate, batch=args.batch, max_length=args.max_length, seed=args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "sentences.json").write_text(json.dumps(found, indent=1) + "\n")
    (args.out / "sentences.md").write_text(markdown(found) + "\n")
    print(markdown(found))


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bestof", required=True, help="the built program")
    parser.add_argument("--data", type=Path, required=True, help="a sentence, a tab and 0 or 1 on each line")
    parser.add_argument("--encoder", type=Path, required=True, help="the encoder's folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--skip-neural", action="store_true", help="classical models only")
    args = parser.parse_args()
    for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]:
        os.environ[name] = str(args.threads)
    return args


def about():
    import sklearn
    import torch
    import transformers
    return dict(processor=processor(), sklearn=sklearn.__version__,
                torch=torch.__version__, transformers=transformers.__version__)


def sentences(path):
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text, tab, label = line.rpartition("\t")
        if not tab or label not in ("0", "1") or not text.strip():
            sys.exit(f"{path}, line {number}: found {line[:60]!r}, expected a sentence, a tab and 0 or 1")
        rows.append((text, int(label)))
    return rows


def deal(rows, folds, seed):
    """The fold of each row: the rows of each class in random order, one fold after the other."""
    draw, fold_of, turn = random.Random(seed), [0] * len(rows), 0
    for label in (0, 1):
        own = [index for index, row in enumerate(rows) if row[1] == label]
        draw.shuffle(own)
        for index in own:
            fold_of[index], turn = turn % folds, turn + 1
    return fold_of


def one_fold(args, rows, folds, fold, answers):
    """Trains every model without a fold and adds its answers to the fold's rows."""
    folder = args.out / f"fold-{fold}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {part: [] for part in PARTS}
    others = [index for index in range(len(rows)) if folds[index] != fold]
    for position, index in enumerate(others):
        parts["validation" if position % 20 == 19 else "train"].append(index)
    parts["test"] = [index for index in range(len(rows)) if folds[index] == fold]
    table = folder / "sentences.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["id", "text", "label", "part"])
        for part in PARTS:
            out.writerows([index, *rows[index], part] for index in parts[part])
    test = folder / "test.csv"
    with test.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["id", "text"])
        out.writerows([index, rows[index][0]] for index in parts["test"])
    data = folder / "prepared"
    told = bestof(args, "prepare", "--csv", table, "--split", "part", "--features", "", "--out", data, "--json")
    kept = json.loads(told)["kept"]
    if kept != len(rows):
        sys.exit(f"{table}: {kept} of {len(rows)} sentences can be used")

    def ours(name, *flags):
        model, answered = folder / name, folder / f"{name}.jsonl"
        bestof(args, "train", "--model", name, "--data", data, "--out", model, "--labels", "binary",
               "--seed", args.seed, *flags, "--json")
        bestof(args, "predict", "--model", model, "--input", test, "--out", answered)
        for line in answered.read_text().splitlines():
            row = json.loads(line)
            answers.setdefault(("bestof", name), {})[int(row["id"])] = int(row["positive"])

    for kind in KINDS:
        ours(kind, "--inputs", "text")
    features = folder / "features"
    bestof(args, "features", "--data", data, "--model", folder / "logistic", "--out", features, "--json")
    columns = len((features / "columns.txt").read_text().splitlines())
    for kind in KINDS:
        model = reference(kind, 2, args.seed)
        (x, y), (asked, _) = (read(features, part, columns, kind) for part in ["train", "test"])
        found = silently(lambda: model.fit(x, y).predict_proba(asked)[:, 1] >= 0.5)
        answers.setdefault(("scikit-learn", kind), {}).update(zip(parts["test"], map(int, found)))
    if args.skip_neural:
        return
    for kind in NEURAL:
        flags = []
        if kind == "bert":
            flags = ["--encoder", args.encoder, "--epochs", args.epochs, "--learning-rate", args.learning_rate,
                     "--batch", args.batch, "--max-length", args.max_length, "--device", "cpu"]
        ours(kind, *flags)
    found = fine_tuned(args, [rows[index] for index in parts["train"]],
                       [rows[index][0] for index in parts["test"]])
    answers.setdefault(("transformers", "bert"), {}).update(zip(parts["test"], found))


def bestof(args, *words):
    command = [args.bestof, "--quiet", "sentiment", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def silently(work):
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


def fine_tuned(args, train, asked):
    """The answers of the encoder after a fine-tune with torch and transformers."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, get_linear_schedule_with_warmup

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.encoder)
    model = AutoModelForSequenceClassification.from_pretrained(args.encoder, num_labels=2,
                                                               classifier_dropout=DROPOUT)
    # bestof's initial deviation of a head.
    torch.nn.init.normal_(model.classifier.weight, std=model.config.hidden_size ** -0.5)
    torch.nn.init.zeros_(model.classifier.bias)
    head = list(model.classifier.parameters())
    encoder = [p for name, p in model.named_parameters() if not name.startswith("classifier.")]
    optimizer = torch.optim.AdamW([dict(params=encoder, lr=args.learning_rate),
                                   dict(params=head, lr=args.learning_rate * HEAD_FACTOR)], weight_decay=0.0)
    steps = args.epochs * -(-len(train) // args.batch)
    schedule = get_linear_schedule_with_warmup(optimizer, -int(-WARMUP * steps // 1), steps)

    def encoded(texts):
        return tokenizer(texts, padding=True, truncation=True, max_length=args.max_length, return_tensors="pt")

    model.train()
    for _ in range(args.epochs):
        order = torch.randperm(len(train)).tolist()
        for start in range(0, len(order), args.batch):
            batch = [train[index] for index in order[start:start + args.batch]]
            labels = torch.tensor([label for _, label in batch])
            loss = model(**encoded([text for text, _ in batch]), labels=labels).loss
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
    model.eval()
    answers = []
    with torch.no_grad():
        for start in range(0, len(asked), args.batch):
            p = model(**encoded(asked[start:start + args.batch])).logits.softmax(-1)[:, 1]
            answers += [int(value >= 0.5) for value in p.tolist()]
    return answers


def judged(rows, answers):
    right = {}
    for name, own in answers.items():
        if len(own) != len(rows):
            sys.exit(f"{' '.join(name)} answered {len(own)} of {len(rows)} sentences")
        right[name] = [own[index] == label for index, (_, label) in enumerate(rows)]
    models, pairs = [], []
    for (side, kind), own in right.items():
        hits = sum(own)
        low, high = wilson(hits, len(rows))
        models.append(dict(side=side, kind=kind, right=hits, accuracy=hits / len(rows), low=low, high=high))
        peer = right.get(("transformers" if kind == "bert" else "scikit-learn", kind))
        if side == "bestof" and peer:
            first = sum(a and not b for a, b in zip(own, peer))
            second = sum(b and not a for a, b in zip(own, peer))
            pairs.append(dict(kind=kind, only_bestof=first, only_reference=second,
                              p=exact_mcnemar(first, second)))
    for pair, p in zip(pairs, holm([pair["p"] for pair in pairs])):
        pair["p_holm"] = p
    positive = sum(label for _, label in rows)
    return dict(majority=max(positive, len(rows) - positive) / len(rows), models=models, pairs=pairs)


def markdown(found):
    about, by = found["about"], {(row["side"], row["kind"]): row for row in found["models"]}
    versions = f"scikit-learn {about['sklearn']}, torch {about['torch']}, transformers {about['transformers']}"
    lines = [f"{found['sentences']} sentences, {found['folds']} folds, majority {found['majority'] * 100:.1f} %; "
             f"{about['processor']}; {versions}.", "",
             "| model | bestof, % right | reference, % right | only bestof right | only the reference | p | Holm |",
             "|---|---|---|---|---|---|---|"]
    pairs = {pair["kind"]: pair for pair in found["pairs"]}

    def share(row):
        return f"{row['accuracy'] * 100:.1f} ({row['low'] * 100:.1f} to {row['high'] * 100:.1f})"

    for (side, kind), row in by.items():
        if side != "bestof":
            continue
        pair, name = pairs.get(kind), "MiniLM, fine-tuned" if kind == "bert" else kind.replace("-", " ")
        cells = [name.upper() if kind in ("cnn", "han") else name, share(row)]
        if pair:
            peer = by["transformers" if kind == "bert" else "scikit-learn", kind]
            cells += [share(peer), str(pair["only_bestof"]), str(pair["only_reference"]), f"{pair['p']:.3f}",
                      f"{pair['p_holm']:.3f}"]
        else:
            cells += [""] * 5
        lines.append(f"| {' | '.join(cells)} |")
    beyond = [pair["kind"] for pair in found["pairs"] if pair["p_holm"] < 0.05]
    verdict = f"differs beyond noise: {', '.join(beyond)}" if beyond else "no pair differs beyond noise"
    lines += ["", f"By McNemar's exact test with Holm's correction over {len(found['pairs'])} pairs, {verdict} "
              "(5 %)."]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

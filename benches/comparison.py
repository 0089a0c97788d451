"""What the comparing scripts beside it have in common: arguments, and where figures go."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path


def numbers(text):
    """Whole numbers, separated by commas, as an argument."""
    return [int(number) for number in text.split(",") if number]


def names_of(known):
    """Some of the known names, separated by commas, as an argument."""
    def names(text):
        found = text.split(",")
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not known; known are {', '.join(known)}")
        return found
    return names


def model_folder(text):
    """A model's folder, as an argument."""
    if not (Path(text) / "config.json").is_file():
        raise argparse.ArgumentTypeError(
            f"{text} holds no model; `cargo xtask fetch smollm2-135m-instruct` downloads one into models/")
    return text


def arguments(doc, model=True, threads=True, rounds=1):
    """A parser with what most scripts take; a script that starts itself adds what `--child` is."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--bestof", help="what was built, as `cargo xtask bench` passes it")
    if model:
        parser.add_argument("--model", type=model_folder, required=True, help="a model folder")
    if threads:
        parser.add_argument("--threads", type=int, default=os.cpu_count())
    if rounds:
        parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--out", type=Path, help="also write the table, and the figures as JSON, into this folder")
    return parser


def report(args, name, compare, markdown):
    """Compares, prints the table, and writes both files of this name where they are asked for."""
    if not args.bestof:
        sys.exit("--bestof names what was built; `cargo xtask bench` passes it")
    with tempfile.TemporaryDirectory() as scratch:
        found = compare(args, Path(scratch))
    text = markdown(args, found)
    print(text)
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / f"{name}.md").write_text(text + "\n")
        (args.out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")

"""Processes that are measured, shared by the scripts beside it."""

import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

THREADS = ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def with_threads(threads):
    """The environment of a process that computes with so many."""
    return dict(os.environ, TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1",
                **{name: str(threads) for name in THREADS})


def measured(command, threads=1, most_seconds=None):
    """The lines that a command prints, with what the system says of its process: `ru_maxrss` is its peak in KiB;
    None if it needs more processor time than `most_seconds`. Another failure ends the script with what was said."""
    def limit():
        if most_seconds:
            resource.setrlimit(resource.RLIMIT_CPU, (most_seconds, most_seconds + 1))
    command = list(map(str, command))
    with tempfile.TemporaryFile(mode="w+") as said:
        # A process counts with what this one held when it started it, which therefore imports little.
        process = subprocess.Popen(command, env=with_threads(threads), stdout=subprocess.PIPE, stderr=said, text=True,
                                   preexec_fn=limit)
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        if most_seconds and os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
            return None
        if status:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{said.read()}")
    return out.splitlines(), used

"""machine.py - what the figures were measured on."""

import os
import platform
import re
import subprocess
import time
from statistics import median

from servers import BUILD, ROOT

FSYNC_ROUNDS = 500
FSYNC_BYTES = 8192


def describe(folder):
    """`folder`: where the data lies."""
    return {"cpu": found_in("/proc/cpuinfo", r"^model name\s*:\s*(.+)$") or platform.machine(),
            "cores": os.cpu_count(),
            "memory": "%.0f GiB" % (int(found_in("/proc/meminfo", r"^MemTotal:\s*(\d+)") or 0)
                                    / 1048576),
            "kernel": platform.release(), "filesystem": filesystem(folder),
            "fdatasync_us": fdatasync_us(folder)}


def found_in(path, pattern):
    with open(path) as lines:
        found = re.search(pattern, lines.read(), re.MULTILINE)
    return found[1].strip() if found else None


def filesystem(folder):
    """The type of the mount that holds it."""
    best = ("", "?")
    with open("/proc/mounts") as mounts:
        for line in mounts:
            _, at, kind = line.split()[:3]
            if os.path.commonpath([at, folder]) == at and len(at) >= len(best[0]):
                best = (at, kind)
    return best[1]


def fdatasync_us(folder):
    """The median time to write 8 KiB over what is there and have it on the disk."""
    path = os.path.join(folder, "fdatasync")
    times = []
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(fd, bytes(FSYNC_BYTES), 0)
        os.fsync(fd)
        for _ in range(FSYNC_ROUNDS):
            os.pwrite(fd, bytes(FSYNC_BYTES), 0)
            begin = time.perf_counter_ns()
            os.fdatasync(fd)
            times.append((time.perf_counter_ns() - begin) / 1000)
    finally:
        os.close(fd)
        os.unlink(path)
    return round(median(times), 1)


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except OSError:
        return None
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout else None


def versions(postgres):
    redis = re.search(r"v=(\S+)", first_line("redis-server", "--version") or "")
    return {"myqueue": first_line(os.path.join(BUILD, "myqueue-broker"), "--version"),
            "commit": first_line("git", "describe", "--always", "--dirty"),
            "postgres": postgres.sql("SHOW server_version"),
            "redis": redis[1] if redis else None,
            "libmicrohttpd": first_line("pkg-config", "--modversion", "libmicrohttpd"),
            "compiler": first_line("gcc", "--version")}

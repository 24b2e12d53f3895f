#!/usr/bin/env python3
"""bench_watch: what watching costs, beside nvtop on the same simulated driver in the same run.

bench_watch.py DUALGPUOPT SIM_LIBRARY [SECONDS]: CPU from schedstat over all threads, memory from VmRSS, in a terminal of
160 x 50. Lines that begin with = are ratios or shares of a limit; below 1 is good.
"""
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

program, library = sys.argv[1], sys.argv[2]
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 20
folder = tempfile.mkdtemp(prefix="dualgpuopt-bench-")
env = dict(os.environ, DUALGPUOPT_NVML_PATH=library, LD_LIBRARY_PATH=os.path.dirname(library), TERM="xterm-256color",
           DUALGPUOPT_SIM_STATE=os.path.join(folder, "world"), DUALGPUOPT_SIM_SCENARIO="octo", HOME=folder,
           XDG_CONFIG_HOME=folder)


def cpu_ns(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        except OSError:
            pass
    return total


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def measure(words):
    """CPU in microseconds per second and resident KiB of a program in a terminal, after three seconds."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, env)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))

    def drain():
        try:
            while os.read(fd, 65536):
                pass
        except OSError:
            pass

    threading.Thread(target=drain, daemon=True).start()
    time.sleep(3)
    start, began = cpu_ns(pid), time.monotonic()
    time.sleep(seconds)
    used, rss = (cpu_ns(pid) - start) / (time.monotonic() - began) / 1e3, rss_kib(pid)
    os.kill(pid, signal.SIGTERM)
    time.sleep(0.3)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
    os.close(fd)
    return used, rss


def show(name, used, rss):
    print(f"  {name:34s} {used / 1e4:7.3f} % of a core {rss / 1024:7.1f} MiB", flush=True)


print(f"watching eight simulated GPUs with sixteen processes, {seconds:.0f} s each")
top = measure([program, "top", "--interval", "1"])
show("dualgpuopt top, 1 Hz", *top)
nvtop = shutil.which("nvtop")
if nvtop:
    theirs = measure([nvtop, "-d", "10"])
    show("nvtop, 1 Hz", *theirs)
    print(f"= CPU of top beside nvtop     {top[0] / theirs[0]:.2f}")
    print(f"= memory of top beside nvtop  {top[1] / theirs[1]:.2f}")
else:
    print("  nvtop is not here: no pair")
for interval, limit, name in (("1", 0.05, "1 Hz"), ("0.02", 5.0, "50 Hz")):
    used, rss = measure([program, "record", os.path.join(folder, "trace" + interval), "--interval", interval])
    show(f"dualgpuopt record, {name}", used, rss)
    print(f"= CPU of {name} beside its limit of {limit} %   {used / 1e4 / limit:.2f}")
shutil.rmtree(folder, ignore_errors=True)

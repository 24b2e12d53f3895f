"""engine: the real llama.cpp programs: finds them, starts them, reads what they print, ends them."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

MIB = 1 << 20
SKIPPED = 77
START_SECONDS = 60


def find(*names):
    """The first of these programs in DUALGPUOPT_TEST_ENGINE (a folder, or a program in one) or on PATH."""
    place = os.environ.get("DUALGPUOPT_TEST_ENGINE")
    if place:
        folder = place if os.path.isdir(place) else os.path.dirname(place)
        names = [os.path.join(os.path.abspath(folder), name) for name in names]
    return next((path for path in map(shutil.which, names) if path), None)


def environment():
    """Ours without settings for the engine; a crash of the engine calls no debugger."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LLAMA_ARG_")}
    return {**kept, "GGML_NO_BACKTRACE": "1"}


def run(program, arguments, seconds=120):
    return subprocess.run([program, *arguments], capture_output=True, text=True, errors="replace",
                          env=environment(), timeout=seconds, stdin=subprocess.DEVNULL)


def version():
    program = find("llama-server", "llama-fit-params")
    said = run(program, ["--version"])
    found = re.search(r"version: (.*)", said.stdout + said.stderr)
    return found.group(1) if found else "unknown"


def without_mmap():
    """Arguments that make llama-server read weights into its own memory: then its host sizes are exact."""
    new = "--load-mode" in run(find("llama-server"), ["--help"]).stdout
    return ["--load-mode", "none"] if new else ["--no-mmap"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class Device:
    name: str       # the engine's: CUDA0, RPC0
    endpoint: str   # HOST:PORT of a remote one, else None
    total_mib: int
    free_mib: int

    def as_gpu(self):
        """As --gpus takes it."""
        if self.endpoint:
            return f"rpc://{self.endpoint}:{self.total_mib}MiB:free={self.free_mib}MiB"
        return f"{self.total_mib}MiB:free={self.free_mib}MiB"


class Remotes:
    """Servers of ggml on free ports of this machine: devices for an engine without a GPU."""

    def __init__(self, count):
        self.endpoints, self.processes = [], []
        program = find("ggml-rpc-server", "rpc-server", "llama-rpc-server")
        for _ in range(count if program else 0):
            self._start(program)

    def _start(self, program):
        port = free_port()
        self.processes.append(subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", str(port)], env=environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        end_at = time.monotonic() + START_SECONDS
        while time.monotonic() < end_at and self.processes[-1].poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                self.endpoints.append(f"127.0.0.1:{port}")
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{program} does not listen on port {port}")

    def close(self):
        for process in self.processes:
            end(process)


def devices(endpoints):
    """The devices an engine finds when it is told of these remote ones."""
    said = run(find("llama-fit-params"), [*rpc(endpoints), "--list-devices"]).stdout
    rows = re.findall(r"^\s*(\w+): (.*) \((\d+) MiB, (\d+) MiB free\)", said, re.MULTILINE)
    return [Device(name, what if what in endpoints else None, int(total), int(free))
            for name, what, total, free in rows]


def rpc(endpoints):
    return ["--rpc", ",".join(endpoints)] if endpoints else []


def choose(chosen):
    """Arguments that make the engine use exactly these devices."""
    remote = [d.endpoint for d in chosen if d.endpoint]
    return [*rpc(remote), "-dev", ",".join(d.name for d in chosen) or "none"]


def fit_print(arguments):
    """What llama-fit-params -fitp on prints: {device: [weights, KV, compute]} in whole MiB. None: it refused."""
    done = run(find("llama-fit-params"), [*arguments, "-fitp", "on"])
    if done.returncode:
        return None
    rows = re.findall(r"^(\w+) (\d+) (\d+) (\d+) *$", done.stdout, re.MULTILINE)
    return {name: [int(v) for v in values] for name, *values in rows}


class Server:
    """A llama-server that has loaded its model, for a `with`; the sizes it logged are sums in MiB."""
    LINE = re.compile(r"(\S+) +(model|KV|RS|compute) buffer size = +([\d.]+) MiB")

    def __init__(self, command, folder):
        self.log = tempfile.NamedTemporaryFile("w+", errors="replace", dir=folder, suffix=".log")
        self.process = subprocess.Popen(
            [find("llama-server"), *command, "-lv", "4"], stdin=subprocess.DEVNULL,
            env=environment(), stdout=self.log, stderr=subprocess.STDOUT)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def text(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()

    def _wait(self):
        end_at = time.monotonic() + START_SECONDS
        while "listening on" not in self.text():
            if self.process.poll() is not None or time.monotonic() > end_at:
                raise RuntimeError("llama-server did not start:\n" + self.text()[-2000:])
            time.sleep(0.05)

    def settled(self):
        """The log without the compute buffers of a draft context that the engine then reserved again."""
        before, mark, after = self.text().partition("adding speculative implementation")
        begin = before.rfind("common_speculative_init_result")
        if begin < 0 or "compute buffer size" not in after:
            return before + after
        return before[:begin] + before[begin:].replace("compute buffer size", "") + after

    def buffers(self, gpus):
        """{(device, CPU_REPACK or Host, weights|kv|compute): (MiB, lines it stood on)}"""
        # A remote device is called RPC0[ENDPOINT] here, whatever its number.
        names = {f"RPC0[{d.endpoint}]": d.name for d in gpus}
        whats = {"model": "weights", "KV": "kv", "RS": "kv", "compute": "compute"}
        sums = {}
        for buffer, what, mib in self.LINE.findall(self.settled()):
            host = buffer in ("CPU", "CPU_Mapped") or buffer.endswith("_Host")
            key = ("Host" if host else names.get(buffer, buffer), whats[what])
            total, lines = sums.get(key, (0.0, 0))
            sums[key] = (total + float(mib), lines + 1)
        return sums

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        end(self.process)
        self.log.close()

"""ours: this build's programs, run as a user runs them, and what every test here needs."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import engine

PROGRAM = os.environ["DUALGPUOPT_PROGRAM"]
MAKE_SAMPLE = os.environ["DUALGPUOPT_MAKE_SAMPLE"]
SIZES = ("weights", "kv", "compute")


def make_model(ref, folder, vocabulary=False):
    """A built-in model as a file: its true header, holes for its tensors. Takes next to no disk."""
    path = os.path.join(folder, ref.replace(":", "-") + ".gguf")
    subprocess.run([MAKE_SAMPLE, ref, path, *([] if vocabulary else ["--no-vocabulary"])], check=True)
    return path


def run(arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True,
                          env=engine.environment(), stdin=subprocess.DEVNULL)


def plan(gpus, arguments):
    """The document, a plan or an error, for --gpus (engine.Device each; none: CPU only)."""
    text = ",".join(d.as_gpu() for d in gpus) or "none"
    done = run(["plan", "--json", "--gpus", text, *arguments])
    if not done.stdout:
        raise AssertionError(f"{arguments}: {done.stderr}")
    return json.loads(done.stdout)


def sizes(document, gpus):
    """{device or Host: {weights, kv, compute}} in bytes, under the engine's names of the devices."""
    rows = dict(zip((d.name for d in gpus), document["devices"]))
    rows["Host"] = document["host"]
    return {name: {what: row[what + "_bytes"] for what in SIZES} for name, row in rows.items()}


class RealEngine(unittest.TestCase):
    """A folder for models below the build, remote devices, and the devices of the engine itself."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="real-", dir=os.environ.get("DUALGPUOPT_TEST_FOLDER"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        remotes = engine.Remotes(2)
        cls.addClassCleanup(remotes.close)
        found = engine.devices(remotes.endpoints)
        cls.remote = [d for d in found if d.endpoint]
        cls.own = [d for d in found if d.name.startswith("CUDA")]

    def device_sets(self, most):
        """Lists of one to `most` devices of a kind: remote ones, and CUDA cards where there are some."""
        kinds = [kind for kind in (self.remote, self.own) if kind]
        if not kinds:
            self.skipTest("this engine has neither CUDA cards nor ggml-rpc-server")
        return [kind[:n] for kind in kinds for n in range(1, most + 1) if len(kind) >= n]


def main():
    """Run the tests of the calling file; 77 where there is no engine."""
    if not engine.find("llama-fit-params") or not engine.find("llama-server"):
        place = os.environ.get("DUALGPUOPT_TEST_ENGINE")
        if place:
            sys.exit(f"no llama-server and llama-fit-params in DUALGPUOPT_TEST_ENGINE={place}")
        print("skipped: no llama-server and llama-fit-params on PATH; DUALGPUOPT_TEST_ENGINE=FOLDER names them")
        sys.exit(engine.SKIPPED)
    print(f"llama.cpp {engine.version()}: {engine.find('llama-fit-params')}", flush=True)
    unittest.main(verbosity=2)

"""test_server: plans equal what a real llama-server reserves when it starts, compute on every device too."""
import os
import shlex

import engine
import ours

# small enough to be loaded really: a dense one, and one with recurrent state
MODELS = ["qwen3-0.6b:Q4_K_M", "lfm2-350m:Q4_K_M"]
HOST_SETTINGS = ["-c 4096", "-c 8192 -np 2 -ub 256 -fa off -ctk q8_0"]
DEVICE_SETTINGS = ["-c 4096", "-c 8192 -np 2 -ub 256 -fa off", "-c 2048 -ngl 9"]


class ServerStart(ours.RealEngine):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.paths = [ours.make_model(ref, cls.folder, vocabulary=True) for ref in MODELS]

    def check(self, server, document, gpus):
        """Every size the server logged, to the last digit it prints; a sum of lines rounds per line."""
        planned = ours.sizes(document, gpus)
        planned["CPU_REPACK"] = {"weights": document["host"]["repack_bytes"]}
        logged = server.buffers(gpus)
        self.assertIn(("Host", "compute"), logged)
        for (name, what), (mib, lines) in sorted(logged.items()):
            with self.subTest(device=name, what=what):
                self.assertAlmostEqual(planned[name][what] / engine.MIB, mib, delta=0.005 * lines + 1e-6)
        for name, row in planned.items():
            for what in row:
                self.assertTrue((name, what) in logged or row[what] == 0, f"{name} {what}: only planned")

    def compare(self, path, gpus, settings):
        command = ["-m", path, *settings.split(), *engine.choose(gpus), *engine.without_mmap(),
                   "-fit", "off", "--port", str(engine.free_port())]
        document = ours.plan(gpus, ["--", "llama-server", *command])
        self.assertEqual(document["kind"], "plan", document)
        with engine.Server(command, self.folder) as server:
            self.check(server, document, gpus)

    def test_processor_only(self):
        for path in self.paths:
            for settings in HOST_SETTINGS:
                with self.subTest(model=os.path.basename(path), settings=settings):
                    self.compare(path, [], settings)

    def test_devices(self):
        for path in self.paths:
            for gpus in self.device_sets(2):
                names, split = [d.name for d in gpus], " -ts 3,2" if len(gpus) == 2 else ""
                for settings in (each + split for each in DEVICE_SETTINGS):
                    with self.subTest(model=os.path.basename(path), settings=settings, devices=names):
                        self.compare(path, gpus, settings)

    def test_emitted_command_starts_and_takes_what_was_planned(self):
        for path in self.paths:
            for gpus in [[], *self.device_sets(2)]:
                wanted = [path, "-c", "4096", "--allow-cpu", "--spread"]
                with self.subTest(model=os.path.basename(path), devices=[d.name for d in gpus]):
                    document = ours.plan(gpus, wanted)
                    self.assertEqual(document["kind"], "plan", document)
                    text = ",".join(d.as_gpu() for d in gpus) or "none"
                    words = shlex.split(ours.run(["plan", "--gpus", text, "-o", "args", *wanted]).stdout)
                    self.assertEqual(words, document["command"]["argv"])
                    words[words.index("--port") + 1] = str(engine.free_port())
                    with engine.Server([*words[1:], *engine.without_mmap()], self.folder) as server:
                        self.check(server, document, gpus)


    def with_draft(self, document, logged_settings, gpus):
        """The document with each device's draft bytes, as the engine logs the sums of both models."""
        command = [*document["command"]["argv"][1:], *engine.without_mmap()]
        command[command.index("--port") + 1] = str(engine.free_port())
        names = [d.name for d in gpus]
        with engine.Server(command, self.folder) as server:
            sums = {}
            for (name, _), (mib, lines) in server.buffers(gpus).items():
                total, count = sums.get(name, (0.0, 0))
                sums[name] = (total + mib, count + lines)
        for name, row in zip(names, document["devices"]):
            planned = sum(row[what] for what in ("weights_bytes", "kv_bytes", "compute_bytes", "draft_bytes"))
            mib, lines = sums.get(name, (0.0, 0))
            with self.subTest(device=name, settings=logged_settings):
                self.assertAlmostEqual(planned / engine.MIB, mib, delta=0.005 * lines + 1e-6)
        host = document["host"]
        for name, planned in (("Host", sum(host[what + "_bytes"] for what in ours.SIZES)),
                              ("CPU_REPACK", host["repack_bytes"])):
            mib, lines = sums.get(name, (0.0, 0))
            with self.subTest(device=name, settings=logged_settings):
                self.assertAlmostEqual(planned / engine.MIB, mib, delta=0.005 * lines + 1e-6)

    def test_draft_model_takes_what_was_planned(self):
        """Chosen places, and commands as they stand: one that drafts, and one that only loads the draft model."""
        path = self.paths[0]
        for gpus in [[], *self.device_sets(2)]:
            text = ",".join(d.as_gpu() for d in gpus) or "none"
            chosen = [path, "-c", "4096", "-np", "2", "--allow-cpu", "--spread", "--model-draft", path]
            cases = [[*chosen, "--spec-draft-n-max", "5"], [*chosen, "-devd", "none"]]
            if not gpus:  # ggml-rpc-server's processor copies no coarse cache to f16, as a card would
                cases.append([*chosen, "-ctk", "q8_0", "-ctv", "q8_0"])
            given = ["llama-server", "-m", path, "-c", "2048", "-md", path, *engine.rpc([d.endpoint for d in gpus if d.endpoint])]
            if len(gpus) == 2:
                given += ["-ts", "3,2"]
                cases.append([*chosen, "-devd", ",".join(d.name for d in gpus), "-ngld", "9"])
                cases.append(["--", *given, "--spec-type", "draft-simple", "-devd", gpus[1].name, "-ctkd", "q8_0"])
            cases.append(["--", *given])
            cases.append(["--", *given, "--spec-type", "draft-simple", "-ngld", "5"])
            for case in cases:
                if not gpus and "--" in case:
                    case = [*case, "-dev", "none"]
                document = ours.plan(gpus, case)
                self.assertEqual(document["kind"], "plan", document)
                again = ours.plan(gpus, ["--", *document["command"]["argv"]])
                self.assertEqual(again["devices"], document["devices"], text)
                self.assertEqual(again["command"], document["command"])
                self.with_draft(document, case, gpus)

    def test_blocks_of_the_model_that_draft(self):
        """Caches and compute of both contexts; the weights are a map of a file far larger than memory."""
        if os.environ.get("DUALGPUOPT_TEST_MODELS") != "all":
            self.skipTest("takes a minute a start; DUALGPUOPT_TEST_MODELS=all runs it")
        path = ours.make_model("glm-4.5-air:Q4_K_M", self.folder, vocabulary=True)
        for more in (["-np", "2", "-ctkd", "q8_0"], ["-np", "1", "--spec-draft-n-max", "1"]):
            command = ["-m", path, "-c", "2048", "--spec-type", "draft-mtp", "-dev", "none", "--no-repack", "--no-warmup", *more]
            document = ours.plan([], ["--", "llama-server", *command])
            self.assertEqual(document["draft"]["type"], "draft-mtp", document)
            with engine.Server([*command, "-fit", "off", "--port", str(engine.free_port())], self.folder) as server:
                logged = server.buffers([])
            for what in ("kv", "compute"):
                mib, lines = logged["Host", what]
                with self.subTest(what=what, settings=more):
                    self.assertAlmostEqual(document["host"][what + "_bytes"] / engine.MIB, mib, delta=0.005 * lines + 1e-6)

    def test_one_remote_device_of_two(self):
        gpus = self.remote
        if len(gpus) < 2:
            self.skipTest("this engine has no ggml-rpc-server")
        command = ["llama-server", "-m", self.paths[0], "-c", "2048", *engine.rpc([d.endpoint for d in gpus]),
                   "-dev", gpus[1].name, *engine.without_mmap(), "--port", str(engine.free_port())]
        document = ours.plan(gpus, ["--", *command])
        self.assertEqual(document["devices"][0]["weights_bytes"], 0)
        with engine.Server(document["command"]["argv"][1:], self.folder) as server:
            self.check(server, document, gpus)


class Command(ours.RealEngine):
    """The engine must know every flag we emit: --version behind them ends it before it loads anything."""
    SETTINGS = [
        "-c 8192 -np 2 -b 1024 -ub 256 -ctk q8_0 -ctv q8_0 -fa on -ngl 20 -sm layer -ts 3,1 -ncmoe 2",
        "-c 4096 -np 1 -sm none -mg 1 -nkvo --swa-full --no-repack -cmoe",
        "-np 3 -ot ffn_down=CPU --no-op-offload -lv 4",
    ]

    def test_every_emitted_flag_is_known(self):
        path = ours.make_model("qwen3-30b-a3b:Q4_K_M", self.folder)
        cards = "24000MiB,16000MiB"
        for name, more in (("llama-server", " -kvu --jinja"), ("llama-fit-params", "")):
            for settings in self.SETTINGS:
                with self.subTest(program=name, settings=settings):
                    command = [name, "-m", path, *(settings + more).split()]
                    told = ours.run(["plan", "--gpus", cards, "-o", "args", "--", *command])
                    words = shlex.split(told.stdout)
                    self.assertEqual(words[:1], [name], told.stderr)
                    done = engine.run(engine.find(name), [*words[1:], "--version"])
                    self.assertEqual(done.returncode, 0, done.stderr[-500:])
                    self.assertIn("version: ", done.stdout + done.stderr)

    def test_probe_reads_version_and_settings(self):
        told = ours.run(["engine", "probe", engine.find("llama-server"), "--json"])
        self.assertEqual(told.returncode, 0, told.stderr)
        document = ours.json.loads(told.stdout)
        self.assertEqual(document["version"], engine.version())
        self.assertTrue(document["settings"]["-c"] and document["settings"]["-ts"])


if __name__ == "__main__":
    ours.main()

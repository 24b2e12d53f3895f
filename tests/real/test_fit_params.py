"""test_fit_params: plans equal what llama-fit-params -fitp on prints, in whole MiB."""
import os

import engine
import ours

# ten architectures: dense, MoE, sliding window, latent attention, hybrid, recurrent; 3 to 400 GB
MODELS = ["llama-3.3-70b:Q4_K_M", "qwen2.5-7b:Q5_K_M", "qwen3-30b-a3b:Q4_K_M", "gemma-3-4b:Q8_0",
          "phi-4-14b:Q4_K_M", "command-r7b:F16", "deepseek-v3:Q4_K_M", "gpt-oss-20b",
          "granite-4.0-h-tiny:Q6_K", "mamba-2.8b:F16"]
DEVICE_SETTINGS = ["-c 8192", "-c 16384 -np 4 -ub 256 -fa off", "-c 4096 -ngl 10"]
SPLIT_SETTINGS = [" -ts 1,1", " -ts 3,1", " -nkvo -np 3 -ts 2,3"]
# A processor keeps no half precision copy of a quantised cache as a card does: not for remote ones.
CARD_SETTINGS = ["-c 8192 -ctk q8_0 -ctv q8_0"]
HOST_SETTINGS = [*DEVICE_SETTINGS[:2], "-c 8192 -ctk q8_0 -ctv q8_0", "-c 1000 -b 256 --no-repack"]


def models():
    """The ten, or with DUALGPUOPT_TEST_MODELS=all every built-in one (or those it lists)."""
    asked = os.environ.get("DUALGPUOPT_TEST_MODELS")
    if asked == "all":
        listed = ours.run(["--plain", "model", "ls"]).stdout.splitlines()
        return [name for name in (line.split("\t")[0] for line in listed) if name and "/" not in name]
    return asked.split(",") if asked else MODELS


class FitParams(ours.RealEngine):
    def compare(self, ref, path, gpus, settings, whats):
        """Number of values compared; None: both refuse. A difference fails, the other cases still run."""
        command = ["-m", path, *settings.split(), *engine.choose(gpus)]
        printed = engine.fit_print(command)
        document = ours.plan(gpus, ["--", "llama-fit-params", *command])
        if not printed:
            self.assertEqual(document["kind"], "error", "the engine refuses this, the plan does not")
            return None
        self.assertEqual(document["kind"], "plan", document)
        planned = ours.sizes(document, gpus)
        self.assertEqual(sorted(printed), sorted(planned), "the devices differ")
        wrong = [f"{name} {what}: engine {mib}, plan {planned[name][what] / engine.MIB:.3f} MiB"
                 for name, row in printed.items() for what, mib in zip(ours.SIZES, row)
                 if what in whats and not self.same(ref, name, what, mib, planned[name][what])]
        self.assertFalse(wrong)
        return len(printed) * len(whats)

    def same(self, ref, name, what, mib, planned):
        # A card pads rows of quantised weights, a processor behind RPC does not: the ten models are
        # chosen such that no whole MiB hangs on it.
        more = planned // engine.MIB - mib
        padded = ref not in MODELS and name.startswith("RPC") and what == "weights"
        return more == 0 or (padded and more == 1)

    def compare_all(self, cases):
        """cases(path): tuples of devices, settings and what to compare."""
        count = refused = 0
        for ref in models():
            path = ours.make_model(ref, self.folder)
            for gpus, settings, whats in cases():
                with self.subTest(model=ref, settings=settings, devices=[d.name for d in gpus]):
                    values = self.compare(ref, path, gpus, settings, whats)
                    count += values or 0
                    refused += values is None
            os.unlink(path)
        print(f"\n  {len(models())} models, {count} values equal in whole MiB, "
              f"{refused} commands refused by both: ", end="", flush=True)

    def settings_for(self, gpus):
        return DEVICE_SETTINGS if gpus[0].endpoint else DEVICE_SETTINGS + CARD_SETTINGS

    def splits_for(self, gpus):
        # Without -ts the free memory decides, and that of a real card changes from start to start.
        return SPLIT_SETTINGS + [""] if gpus[0].endpoint else SPLIT_SETTINGS

    def test_one_device_weights_kv_compute(self):
        self.compare_all(lambda: [(gpus, settings, ours.SIZES) for gpus in self.device_sets(1)
                                  for settings in self.settings_for(gpus)])

    def test_several_devices_weights_kv(self):
        # Not compute: the tool prints its dry run, which takes more than a start on every device but
        # the first. test_server compares compute on several devices with a real start.
        self.compare_all(lambda: [(gpus, settings + split, ours.SIZES[:2])
                                  for gpus in self.device_sets(2) if len(gpus) == 2
                                  for settings in self.settings_for(gpus)
                                  for split in self.splits_for(gpus)])

    def test_processor_only(self):
        # The tool's Host line has the weights as the file has them, without what is repacked.
        self.compare_all(lambda: [([], settings, ours.SIZES) for settings in HOST_SETTINGS])


if __name__ == "__main__":
    ours.main()

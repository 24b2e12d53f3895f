#!/usr/bin/env python3
"""Turns scenario files into C texts: embed.py OUT.c IN.yaml ..."""
import os
import sys

out, *inputs = sys.argv[1:]
with open(out, "w", encoding="utf-8") as f:
    f.write('/* Made from sim/scenarios by embed.py. */\n#include "sim/shipped.h"\n\n#include <stddef.h>\n\n')
    f.write("const struct shipped shipped_scenarios[] = {\n")
    for path in sorted(inputs):
        name = os.path.splitext(os.path.basename(path))[0]
        f.write('    {"%s",\n' % name)
        for line in open(path, encoding="utf-8").read().splitlines():
            f.write('     "%s\\n"\n' % line.replace("\\", "\\\\").replace('"', '\\"'))
        f.write("    },\n")
    f.write("    {NULL, NULL},\n};\n")

#!/usr/bin/env python3
"""Turns the profile texts into one C string: embed.py OUT.c IN.txt ..."""
import sys

out, *inputs = sys.argv[1:]
text = "\n".join(open(path, encoding="utf-8").read() for path in inputs)
with open(out, "w", encoding="utf-8") as f:
    f.write('/* Made from data/profiles by embed.py. */\n#include "model/profile.h"\n\n')
    f.write("const char profile_text[] =\n")
    for line in text.split("\n"):
        if line and not line.startswith("#"):
            f.write('    "%s\\n"\n' % line.replace("\\", "\\\\").replace('"', '\\"'))
    f.write("    ;\n")

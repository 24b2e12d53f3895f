#!/bin/sh
# test-clients LIBRARY PROGRAM: other people's clients start on the simulated driver and show its numbers; those that
# are not installed are left out, 77 when none is there.
set -eu
library=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export DUALGPUOPT_SIM_STATE="$dir/world" DUALGPUOPT_SIM_SCENARIO=dual-basic
LD_LIBRARY_PATH=$(dirname "$library")
export LD_LIBRARY_PATH
seen=''
if grep -q -E '__(asan|tsan)_init' "$library"; then
    echo "a library with sanitizers is not loaded by programs without them"
    exit 77
fi

# look NAME WANTED...: what the client wrote has every one of these
look() {
    name=$1
    shift
    for wanted in "$@"; do
        grep -q "$wanted" "$dir/$name" || { echo "FAILED: $name does not show $wanted"; cat "$dir/$name"; exit 1; }
    done
    seen="$seen $name"
}

if command -v nvtop >/dev/null && nvtop --help 2>&1 | grep -q -- '--snapshot'; then
    nvtop -s >"$dir/nvtop" 2>&1
    look nvtop 'RTX 4090' 'RTX 4080' '60C' '50%'
elif command -v nvtop >/dev/null && command -v tmux >/dev/null; then
    tmux -L "sim$$" -f /dev/null new-session -d -x 160 -y 40 nvtop
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        sleep 0.5
        tmux -L "sim$$" capture-pane -p >"$dir/nvtop" || true
        if grep -q 'RTX 4080' "$dir/nvtop"; then break; fi
    done
    tmux -L "sim$$" kill-server
    look nvtop 'RTX 4090' 'RTX 4080' 'TEMP  60' 'POW 200'
fi
if command -v nvitop >/dev/null; then
    nvitop -1 --ascii >"$dir/nvitop" 2>&1
    look nvitop 'RTX 4090' '60C' '200W' '5000MiB'
fi
if command -v gpustat >/dev/null; then
    gpustat --no-color >"$dir/gpustat" 2>&1
    look gpustat 'RTX 4090 | 60' '5000 / 24576 MB' '3000 / 16384 MB'
fi
if [ -z "$seen" ]; then
    echo "none of nvtop, nvitop and gpustat is installed"
    exit 77
fi
echo "seen:$seen"

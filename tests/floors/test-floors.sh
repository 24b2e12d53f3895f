#!/bin/sh
# test-floors ROOT: the tree keeps its floors, and trees that do not are told so.
set -eu
check=$(cd "$(dirname "$0")" && pwd)/check-floors.sh
root=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

sh "$check" "$root" || { echo "FAILED: the floors of the source tree"; exit 1; }

# case NAME WANTED: the tree in $dir breaks one rule, and the message names it
fails() {
    if sh "$check" "$dir" >"$dir/said"; then
        echo "FAILED: $1 went through"
        exit 1
    fi
    grep -q "$2" "$dir/said" || { echo "FAILED: $1:"; cat "$dir/said"; exit 1; }
}
plant() {
    rm -rf "$dir/src"
    mkdir -p "$dir/src/low" "$dir/src/left" "$dir/src/right"
    printf '# a table\n1 left right # two of them\n0 low\n' >"$dir/src/FLOORS"
    printf '/* low: the ground. */\n#include "low/low.h"\n' >"$dir/src/low/low.c"
    printf '/* low: the ground. */\n' >"$dir/src/low/low.h"
    printf '/* left: stands on low. */\n#include <stdio.h>\n#include "low/low.h"\n' >"$dir/src/left/left.c"
    printf '/* right: a neighbour. */\n' >"$dir/src/right/right.h"
}

plant && sh "$check" "$dir"
plant && echo '#include "right/right.h"' >>"$dir/src/left/left.c"
fails 'a neighbour' 'left/left.c (floor 1) includes "right/right.h"'
plant && echo '#  include "right/right.h"' >>"$dir/src/low/low.c"
fails 'a higher floor' 'low/low.c (floor 0)'
plant && mkdir "$dir/src/shed"
fails 'a room without a floor' 'src/shed'
plant && echo '2 attic' >>"$dir/src/FLOORS"
fails 'a floor without a room' 'no src/attic'
plant && echo '#include "../low/low.h"' >>"$dir/src/left/left.c"
fails 'a path' 'does not name its room'
plant && echo '#include "low.h"' >>"$dir/src/low/low.c"
fails 'a bare name' 'does not name its room'
plant && echo 'int x;' >"$dir/src/right/x.c"
fails 'no first sentence' 'right/x.c: does not begin'

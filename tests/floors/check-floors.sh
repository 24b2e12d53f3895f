#!/bin/sh
# check-floors ROOT: says which files of ROOT/src break the floors of ROOT/src/FLOORS; fails if any does.
set -eu
cd "$1/src"

{
    sed 's/#.*//' FLOORS | awk 'NF > 1 {for (i = 2; i <= NF; i++) print "floor", $1, $i}'
    find . -mindepth 1 -maxdepth 1 -type d | sed 's|^\./|room |'
    if [ -d ../sim ]; then echo room sim; fi
    {
        find . -mindepth 2 -type f -name '*.[ch]' -o -mindepth 2 -type f -name '*.def'
        if [ -d ../sim ]; then find ../sim -type f -name '*.[ch]' -o -type f -name '*.def'; fi
    } | sort | while read -r file; do
        echo "file $file" | sed 's|^file \.\.*/|file |'
        printf 'first %s\n' "$(sed 2q "$file" | tr '\n' ' ')"
        sed -n 's/^[ \t]*#[ \t]*include[ \t]*"\([^"]*\)".*/include \1/p' "$file"
    done
} | awk '
function bad(text) { print text; failed = 1 }
$1 == "floor" {
    if ($3 in floor) bad("FLOORS: " $3 " stands there twice")
    floor[$3] = $2
}
$1 == "room" {
    there[$2] = 1
    if (!($2 in floor)) bad("src/" $2 ": the room is not in FLOORS")
}
$1 == "file" { file = $2; split($2, part, "/"); own = part[1] }
$1 == "first" && $0 !~ /^first \/\* .*[.] / {
    bad("src/" file ": does not begin with a comment that is a sentence")
}
$1 == "include" {
    n = split($2, part, "/")
    other = part[1]
    if (n < 2 || other == "..")
        bad("src/" file ": \"" $2 "\" does not name its room")
    else if (!(other in floor))
        bad("src/" file ": \"" $2 "\" is of no room in FLOORS")
    else if (other != own && floor[other] + 0 >= floor[own] + 0)
        bad("src/" file " (floor " floor[own] ") includes \"" $2 "\" (floor " floor[other] ")")
}
END {
    for (room in floor) if (!(room in there)) bad("FLOORS: there is no src/" room)
    exit failed
}'

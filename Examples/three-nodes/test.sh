#!/usr/bin/env bash
# Runs the program, and looks for what it must say.
#
#     swift build && ./test.sh .build/debug/three-nodes
set -u
program=$(realpath "${1:-.build/debug/three-nodes}")
output=$("$program") || { echo "FAILED  three-nodes ended with $?"; exit 1; }
echo "$output"
failures=0
while read -r wanted; do
    grep -q "^$wanted\$" <<<"$output" && continue
    echo "FAILED  three-nodes does not say: $wanted"
    failures=$((failures + 1))
done <<'END'
member [123] leads
member [123] is cut off
member [123] leads now
cut off, it has \["one", "two", "three"\]
back again, it has \["one", "two", "three", "four"\]
END
echo "three-nodes: $((5 - failures)) passed, $failures failed"
exit $((failures > 0))

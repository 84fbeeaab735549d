#!/usr/bin/env bash
# The right machine survives, the wrong one does not, and a seed is the same play in every process.
#
#     swift build && ./test.sh .build/debug/simulated-counter
set -u
program=$(realpath "${1:-.build/debug/simulated-counter}")
[ -x "$program" ] || { echo "test.sh: there is no program at $program" >&2; exit 2; }
passed=0
failed=0

expect() { # what it is about, text, pattern
    if grep -Eq "$3" <<<"$2"; then
        echo "ok      $1: $(grep -Em1 "$3" <<<"$2")"
        passed=$((passed + 1))
    else
        echo "FAILED  $1: no '$3' in '$2'"
        failed=$((failed + 1))
    fi
}

output=$("$program")
expect "the right till" "$output" '^the right till: 50 seeds passed: '
expect "the wrong till" "$output" '^the wrong till: seed [0-9]+ failed: .*(differ|answers)'
expect "its schedule" "$output" 'of its [0-9]+ faults are enough|no fault is needed'
first=$("$program" 7)
expect "seed 7" "$first" '^seed 7 passed: .* digest [0-9a-f]+$'
expect "seed 7 again" "$([ "$first" = "$("$program" 7)" ] && echo "the same")" '^the same$'

echo "simulated-counter: $passed passed, $failed failed"
[ "$failed" -eq 0 ]

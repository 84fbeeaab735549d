#!/usr/bin/env bash
# Three counters, each with its keyboard in a pipe.
#
#     swift build && ./test.sh .build/debug/counter
#
# They use the ports 7001 to 7003.
set -u
program=$(realpath "${1:-.build/debug/counter}")
[ -x "$program" ] || { echo "test.sh: there is no program at $program" >&2; exit 2; }
for port in 7001 7002 7003; do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null &&
        { echo "test.sh: somebody listens on port $port, which is needed here" >&2; exit 2; }
done
work=$(mktemp -d)
cd "$work" || exit 2
declare -A pids keyboards
passed=0
failures=()

cleanup() {
    # The shell has a word on everything that is killed.
    exec 2>/dev/null
    kill -9 "${pids[@]}"
    wait
    cd /
    rm -rf "$work"
}
trap cleanup EXIT

start() { # id
    local keyboard
    [ -p "keyboard-$1" ] || mkfifo "keyboard-$1"
    # A pipe would keep the output back until there is much of it. And nobody else may hold a keyboard, or its end is
    # never seen.
    (
        for keyboard in "${keyboards[@]}"; do eval "exec $keyboard>&-"; done
        exec stdbuf -oL "$program" "$1" <"keyboard-$1" >"output-$1" 2>&1
    ) &
    pids[$1]=$!
    exec {keyboard}>"keyboard-$1"
    keyboards[$1]=$keyboard
}

expect() { # id, what is typed, how the answer begins
    local before answer
    before=$(wc -l <"output-$1")
    echo "$2" >&"${keyboards[$1]}"
    for _ in $(seq 300); do
        [ "$(wc -l <"output-$1")" -gt "$before" ] && break
        sleep 0.1
    done
    answer=$(sed -n "$((before + 1))p" "output-$1")
    if [[ "$answer" == "$3"* ]]; then
        echo "ok      member $1, '$2': $answer"
        passed=$((passed + 1))
    else
        echo "FAILED  member $1, '$2': wanted '$3', got '$answer'"
        failures+=("member $1, '$2': wanted '$3', got '$answer'")
    fi
}

for id in 1 2 3; do start $id; done
for id in 1 2 3; do
    for _ in $(seq 300); do grep -q "two of the three" "output-$id" && break; sleep 0.1; done
done
expect 1 5 "sum 5, leader "
expect 2 37 "sum 42, leader "
expect 3 "" "sum 42, leader "
expect 3 word "rejected by the state machine: no number"
{ kill -9 "${pids[3]}" && wait "${pids[3]}"; } 2>/dev/null
eval "exec ${keyboards[3]}>&-"
unset "keyboards[3]"
# A read is asked again until somebody answers it. A command that is passed on to a leader just killed is not: nobody
# knows whether it took effect.
expect 1 "" "sum 42, leader "
expect 1 -2 "sum 40"
for id in 1 2; do
    eval "exec ${keyboards[$id]}>&-"
    unset "keyboards[$id]"
    wait "${pids[$id]}"
    status=$?
    [ $status -eq 0 ] || failures+=("member $id ended with $status")
done
for id in 1 2 3; do start $id; done
for id in 1 2 3; do
    for _ in $(seq 300); do grep -q "two of the three" "output-$id" && break; sleep 0.1; done
done
expect 3 "" "sum 40, leader "

echo "counter: $passed passed, ${#failures[@]} failed"
if [ ${#failures[@]} -gt 0 ]; then
    tail -n 5 output-*
    printf 'FAILED  %s\n' "${failures[@]}"
    exit 1
fi

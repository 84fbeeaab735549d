#!/usr/bin/env bash
# Runs the README's command lines against a built raftexample, in a directory of its own.
#
#     swift build -c release && ./test.sh .build/release/raftexample
set -u
program=$(realpath "${1:-.build/release/raftexample}")
work=$(mktemp -d)
cd "$work" || exit 1
declare -A pids
failures=0
members=http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379

cleanup() {
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    cd /
    rm -rf "$work"
}
trap cleanup EXIT

start() { # id, then the rest of the command line
    local id=$1
    shift
    "$program" --id "$id" "$@" >"node-$id.log" 2>&1 &
    pids[$id]=$!
}

expect() { # what, wanted, got
    if [ "$2" == "$3" ]; then
        echo "ok      $1"
    else
        echo "FAILED  $1: wanted '$2', got '$3'"
        failures=$((failures + 1))
    fi
}

status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
body() { curl -sL "$@"; }

ready() { # ports: waits until each of them answers a write
    for port in "$@"; do
        for _ in $(seq 100); do
            [ "$(status -L "http://127.0.0.1:$port/ready-$port" -XPUT -d yes)" == 204 ] && break
            sleep 0.1
        done
    done
}

value_at() { # port, key, wanted: a member that starts needs a moment
    for _ in $(seq 100); do
        [ "$(body "http://127.0.0.1:$1/$2")" == "$3" ] && break
        sleep 0.1
    done
    body "http://127.0.0.1:$1/$2"
}

echo "# one node (X3)"
start 1 --cluster http://127.0.0.1:12379 --port 12380
ready 12380
expect "PUT (X10)" 204 "$(status -L http://127.0.0.1:12380/my-key -XPUT -d hello)"
expect "PUT has no body" "" "$(body http://127.0.0.1:12380/my-key -XPUT -d hello)"
expect "GET (X11)" hello "$(body http://127.0.0.1:12380/my-key)"
expect "GET is 200" 200 "$(status http://127.0.0.1:12380/my-key)"
expect "GET of nothing is 404 (X11)" 404 "$(status http://127.0.0.1:12380/nothing)"
expect "GET of nothing says so" "Failed to GET" "$(body http://127.0.0.1:12380/nothing)"
expect "PUT (X12)" 204 "$(status -L http://127.0.0.1:12380/key -XPUT -d value)"
expect "the key is the whole URI" 204 "$(status 'http://127.0.0.1:12380/key?a=b' -XPUT -d other)"
expect "the key is the whole URI" other "$(body 'http://127.0.0.1:12380/key?a=b')"
expect "the key without the query" value "$(body http://127.0.0.1:12380/key)"
expect "POST of no number (X15)" 400 "$(status http://127.0.0.1:12380/four -XPOST -d http://127.0.0.1:42379)"
expect "DELETE of no number (X15)" 400 "$(status http://127.0.0.1:12380/four -XDELETE)"
expect "it says so" "Failed on DELETE" "$(body http://127.0.0.1:12380/four -XDELETE)"
expect "another method (X17)" 405 "$(status http://127.0.0.1:12380/key -XPATCH)"
expect "its Allow headers (X17)" "PUT GET POST DELETE" \
    "$(curl -s -D - -o /dev/null http://127.0.0.1:12380/key -XPATCH | tr -d '\r' | sed -n 's/^Allow: //Ip' | xargs)"
head -c 3000000 /dev/urandom >blob
expect "a large binary value" 204 "$(status http://127.0.0.1:12380/blob -T blob)"
body http://127.0.0.1:12380/blob | cmp -s - blob
expect "comes back as it was" 0 $?
kill -9 "${pids[1]}"
wait "${pids[1]}" 2>/dev/null
start 1 --cluster http://127.0.0.1:12379 --port 12380
ready 12380
expect "restart from its directory" hello "$(body http://127.0.0.1:12380/my-key)"
kill "${pids[1]}"
wait "${pids[1]}"
expect "SIGTERM ends it in order" 0 $?
rm -rf raftexample-1

echo "# three nodes (X1, X2)"
start 1 --cluster $members --port 12380
start 2 --cluster $members --port 22380
start 3 --cluster $members --port 32380
ready 12380 22380 32380
expect "PUT on one (X10)" 204 "$(status -L http://127.0.0.1:12380/my-key -XPUT -d hello)"
expect "GET from each of the others (X19)" "hello hello" \
    "$(body http://127.0.0.1:22380/my-key) $(body http://127.0.0.1:32380/my-key)"
expect "PUT on another (X19)" 204 "$(status -L http://127.0.0.1:32380/my-key -XPUT -d there)"
expect "GET from the first (X19)" there "$(body http://127.0.0.1:12380/my-key)"
wrong=0
for ((i = 1; i <= 150; i++)); do # X18
    uuid=$(cat /proc/sys/kernel/random/uuid)
    [ "$(status -L "http://127.0.0.1:12380/$uuid" -XPUT -d "$uuid-hello")" == 204 ] || wrong=$((wrong + 1))
    [ "$(body "http://127.0.0.1:22380/$uuid")" == "$uuid-hello" ] || wrong=$((wrong + 1))
done
expect "150 keys, each read on another node (X18)" 0 $wrong

echo "# a node is lost and comes back (X20)"
kill -9 "${pids[2]}"
wait "${pids[2]}" 2>/dev/null
expect "PUT with two of three" 204 "$(status -L http://127.0.0.1:12380/foo -XPUT -d bar)"
expect "GET from another" bar "$(body http://127.0.0.1:32380/foo)"
start 2 --cluster $members --port 22380
expect "GET from the one that is back" bar "$(value_at 22380 foo bar)"

leader() { # the id that a node's log names last
    grep -o 'leader is [0-9]*' "node-$1.log" | tail -1 | grep -o '[0-9]*'
}
sleep 0.3
lead=$(leader 1)
kill -9 "${pids[$lead]}"
wait "${pids[$lead]}" 2>/dev/null
others=()
for id in 1 2 3; do [ "$id" == "$lead" ] || others+=("$id"); done
expect "PUT while the leader, $lead, is gone" 204 \
    "$(status -L "http://127.0.0.1:${others[0]}2380/foo" -XPUT -d again)"
expect "GET from the other" again "$(body "http://127.0.0.1:${others[1]}2380/foo")"
start "$lead" --cluster $members --port "${lead}2380"
expect "GET from the old leader" again "$(value_at "${lead}2380" foo again)"
ready 12380 22380 32380
status -L http://127.0.0.1:12380/foo -XPUT -d bar >/dev/null

echo "# a fourth node joins (X4, X14), the third is removed (X16)"
expect "POST" 204 "$(status -L http://127.0.0.1:12380/4 -XPOST -d http://127.0.0.1:42379)"
start 4 --port 42380 --join --cluster $members,http://127.0.0.1:42379
expect "it gets what is there" bar "$(value_at 42380 foo bar)"
ready 42380
expect "PUT on it" 204 "$(status -L http://127.0.0.1:42380/four -XPUT -d 4)"
expect "GET elsewhere" 4 "$(body http://127.0.0.1:12380/four)"
expect "DELETE" 204 "$(status -L http://127.0.0.1:12380/3 -XDELETE)"
for _ in $(seq 100); do kill -0 "${pids[3]}" 2>/dev/null || break; sleep 0.1; done
kill -0 "${pids[3]}" 2>/dev/null
expect "the removed node has ended" 1 $?
expect "it says why" 1 "$(grep -c "I've been removed from the cluster! Shutting down." node-3.log)"
expect "DELETE of one that is not there" 204 "$(status -L http://127.0.0.1:12380/0x3 -XDELETE)"
expect "the others go on" 204 "$(status -L http://127.0.0.1:22380/foo -XPUT -d baz)"
expect "on the new one too" baz "$(body http://127.0.0.1:42380/foo)"
kill -9 "${pids[4]}" "${pids[2]}"
wait "${pids[4]}" "${pids[2]}" 2>/dev/null
start 4 --port 42380 --join --cluster $members,http://127.0.0.1:42379
expect "the new one restarts from its directory" baz "$(value_at 42380 foo baz)"

echo
[ $failures -eq 0 ] && echo "all as it should be" || { echo "$failures failed"; tail -n 20 node-*.log; }
exit $((failures > 0))

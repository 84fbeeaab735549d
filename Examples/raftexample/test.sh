#!/usr/bin/env bash
# Runs the README's command lines against a built raftexample, in a directory of its own. X1 to X20 are the lines and
# answers of etcd's raftexample that this one keeps to; each step says which it covers.
#
#     swift build -c release && ./test.sh .build/release/raftexample        (that it builds is X8)
#
# The command lines name their ports, so those must be free: scripts/test-examples runs this in a network namespace of
# its own, where they are.
set -u
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:-.build/release/raftexample}")
[ -x "$program" ] || { echo "test.sh: there is no program at $program" >&2; exit 2; }
members=http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379
# Answers may take as long as an election and a request's deadline.
curl=(curl -s --max-time 30)

is_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
for port in 9021 9121 12379 12380 22379 22380 32379 32380 42379 42380; do
    is_open $port && { echo "test.sh: somebody listens on port $port, which is needed here" >&2; exit 2; }
done

work=$(mktemp -d)
cd "$work" || exit 2
declare -A pids
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

start() { # id, then the rest of the command line
    local id=$1
    shift
    "$program" --id "$id" "$@" >>"node-$id.log" 2>&1 &
    pids[$id]=$!
}

end() { # signal, id: the status is the node's
    local status
    # Without the shell's word on it.
    { kill "-$1" "${pids[$2]}" && wait "${pids[$2]}"; } 2>/dev/null
    status=$?
    unset "pids[$2]"
    return $status
}

expect() { # what, wanted, got
    if [ "$2" == "$3" ]; then
        echo "ok      $1"
        passed=$((passed + 1))
    else
        echo "FAILED  $1: wanted '$2', got '$3'"
        failures+=("$1: wanted '$2', got '$3'")
    fi
}

status() { "${curl[@]}" -o /dev/null -w '%{http_code}' "$@"; }
body() { "${curl[@]}" -L "$@"; }

ready() { # ports: waits until each of them answers a write
    for port in "$@"; do
        for _ in $(seq 150); do
            [ "$(status -L "http://127.0.0.1:$port/ready-$port" -XPUT -d yes)" == 204 ] && break
            sleep 0.1
        done
    done
}

value_at() { # port, key, wanted: a member that starts needs a moment
    for _ in $(seq 150); do
        [ "$(body "http://127.0.0.1:$1/$2")" == "$3" ] && break
        sleep 0.1
    done
    body "http://127.0.0.1:$1/$2"
}

echo "# without arguments: one node, with the defaults (X5)"
"$program" >node-default.log 2>&1 &
pids[default]=$!
ready 9121
expect "it serves on port 9121 (X5)" 204 "$(status -L http://127.0.0.1:9121/my-key -XPUT -d hello)"
is_open 9021
expect "and is a member on 9021 (X5)" 0 $?
expect "it is node 1 (X5)" raftexample-1 "$(echo raftexample-*)"
end TERM default
rm -rf raftexample-1
"$program" --id 4 --cluster $members --port 42380 >refused.log 2>&1
expect "an id that is no place in --cluster is refused (X6)" 2 $?

echo "# one node (X3)"
start 1 --cluster http://127.0.0.1:12379 --port 12380
ready 12380
expect "PUT (X10)" 204 "$(status -L http://127.0.0.1:12380/my-key -XPUT -d hello)"
expect "PUT has no body (X10)" "" "$(body http://127.0.0.1:12380/my-key -XPUT -d hello)"
expect "GET (X11)" hello "$(body http://127.0.0.1:12380/my-key)"
expect "GET is 200 (X11)" 200 "$(status -L http://127.0.0.1:12380/my-key)"
expect "GET of nothing is 404 (X11)" 404 "$(status -L http://127.0.0.1:12380/nothing)"
expect "GET of nothing says so (X11)" "Failed to GET" "$(body http://127.0.0.1:12380/nothing)"
expect "PUT (X12)" 204 "$(status -L http://127.0.0.1:12380/key -XPUT -d value)"
expect "the key is the whole URI" 204 "$(status -L 'http://127.0.0.1:12380/key?a=b' -XPUT -d other)"
expect "GET with the query" other "$(body 'http://127.0.0.1:12380/key?a=b')"
expect "GET without the query" value "$(body http://127.0.0.1:12380/key)"
# A body that ends in the middle of a chunk's length.
exec 3<>/dev/tcp/127.0.0.1/12380
printf 'PUT /key HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nno length\r\n' >&3
answer=$(timeout 30 cat <&3 | tr -d '\r')
exec 3>&-
expect "PUT whose body cannot be read is 400 (X13)" "HTTP/1.1 400 Bad Request" "$(head -n 1 <<<"$answer")"
expect "it says so (X13)" "Failed on PUT" "$(tail -n 1 <<<"$answer")"
expect "PUT of more than 64 MiB is 400 (X13)" "Failed on PUT400" \
    "$(head -c 68000000 /dev/zero | "${curl[@]}" -w '%{http_code}' http://127.0.0.1:12380/key -T - | tr -d '\n')"
expect "neither has changed anything (X13)" value "$(body http://127.0.0.1:12380/key)"
expect "POST of no number (X15)" 400 "$(status -L http://127.0.0.1:12380/four -XPOST -d http://127.0.0.1:42379)"
expect "it says so (X15)" "Failed on POST" "$(body http://127.0.0.1:12380/four -XPOST -d http://127.0.0.1:42379)"
expect "DELETE of no number (X15)" 400 "$(status -L http://127.0.0.1:12380/four -XDELETE)"
expect "it says so (X15)" "Failed on DELETE" "$(body http://127.0.0.1:12380/four -XDELETE)"
expect "another method (X17)" 405 "$(status http://127.0.0.1:12380/key -XPATCH)"
expect "its four Allow headers (X17)" "PUT GET POST DELETE" \
    "$("${curl[@]}" -D - -o /dev/null http://127.0.0.1:12380/key -XPATCH | tr -d '\r' | sed -n 's/^Allow: //Ip' |
        xargs)"
head -c 3000000 /dev/urandom >blob
expect "a large binary value" 204 "$(status http://127.0.0.1:12380/blob -T blob)"
body http://127.0.0.1:12380/blob | cmp -s - blob
expect "comes back as it was" 0 $?
end KILL 1
start 1 --cluster http://127.0.0.1:12379 --port 12380
ready 12380
expect "restart from its directory" hello "$(body http://127.0.0.1:12380/my-key)"
end TERM 1
expect "SIGTERM ends it in order" 0 $?
rm -rf raftexample-1

echo "# three nodes (X1, X2)"
start 1 --cluster $members --port 12380
start 2 --cluster $members --port 22380
start 3 --cluster $members --port 32380
ready 12380 22380 32380
for port in 12379 22379 32379; do
    is_open $port
    expect "a node for each place in --cluster: $port (X6)" 0 $?
done
expect "PUT on one (X10)" 204 "$(status -L http://127.0.0.1:12380/my-key -XPUT -d hello)"
expect "GET from each of the others (X19)" "hello hello" \
    "$(body http://127.0.0.1:22380/my-key) $(body http://127.0.0.1:32380/my-key)"
expect "PUT on another (X19)" 204 "$(status -L http://127.0.0.1:32380/my-key -XPUT -d there)"
expect "GET from the first (X19)" there "$(body http://127.0.0.1:12380/my-key)"
# As it is written down, but for the file that its output goes to.
command -v uuidgen >/dev/null || uuidgen() { cat /proc/sys/kernel/random/uuid; }
for ((i=1; i<=150; i ++)); do
    uuid=`uuidgen`; echo "curl -L http://127.0.0.1:12380/${uuid} -XPUT -d '${uuid}-hello'"
done >load
bash load >load.log 2>&1
expect "150 keys are written (X18)" 0 $?
wrong=0
while read -r uuid; do
    [ "$(body "http://127.0.0.1:22380/$uuid")" == "$uuid-hello" ] || wrong=$((wrong + 1))
done < <(grep -o '[0-9a-f-]\{36\} ' load | tr -d ' ')
expect "150 there are" 150 "$(grep -c 12380 load)"
expect "each is read on another node (X18)" 0 $wrong
for id in 1 2 3; do end TERM $id; done

echo "# what a process manager does: goreman start (X7)"
mkdir -p .build/release
ln -s "$program" .build/release/raftexample
# goreman runs each line of the Procfile by a shell, and ends it by a signal.
run_start() { # name
    sh -c "exec $(sed -n "s/^$1: //p" "$here/Procfile")" >>"node-${1#raftexample}.log" 2>&1 &
    pids[${1#raftexample}]=$!
}
for name in raftexample1 raftexample2 raftexample3; do run_start $name; done
ready 12380 22380 32380
expect "started, with what was written before (X7)" there "$(body http://127.0.0.1:22380/my-key)"

echo "# a node is stopped and comes back (X20): goreman run stop raftexample2 (X7)"
end TERM 2
expect "it stops in order (X7)" 0 $?
is_open 22379
expect "it is gone" 1 $?
expect "PUT with two of three (X20)" 204 "$(status -L http://127.0.0.1:12380/foo -XPUT -d bar)"
expect "GET from another (X20)" bar "$(body http://127.0.0.1:32380/foo)"
run_start raftexample2 # goreman run start raftexample2
expect "GET from the one that is back (X20)" bar "$(value_at 22380 foo bar)"

echo "# nodes are killed"
end KILL 2
expect "PUT with two of three" 204 "$(status -L http://127.0.0.1:12380/foo -XPUT -d killed)"
run_start raftexample2
expect "GET from the one that is back" killed "$(value_at 22380 foo killed)"
leader() { # the id that a node's log names last
    grep -o 'leader is [0-9]*' "node-$1.log" | tail -n 1 | grep -o '[0-9]*'
}
ready 12380 22380 32380
lead=$(leader 1)
end KILL "$lead"
others=()
for id in 1 2 3; do [ "$id" == "$lead" ] || others+=("$id"); done
expect "PUT while the leader, $lead, is gone" 204 \
    "$(status -L "http://127.0.0.1:${others[0]}2380/foo" -XPUT -d again)"
expect "GET from the other" again "$(body "http://127.0.0.1:${others[1]}2380/foo")"
run_start "raftexample$lead"
expect "GET from the old leader" again "$(value_at "${lead}2380" foo again)"
ready 12380 22380 32380
status -L http://127.0.0.1:12380/foo -XPUT -d bar >/dev/null

echo "# a fourth node joins (X4, X14), the third is removed (X16)"
expect "POST (X14)" 204 "$(status -L http://127.0.0.1:12380/4 -XPOST -d http://127.0.0.1:42379)"
start 4 --port 42380 --join --cluster $members,http://127.0.0.1:42379
expect "it gets what is there (X4)" bar "$(value_at 42380 foo bar)"
ready 42380
expect "PUT on it (X4)" 204 "$(status -L http://127.0.0.1:42380/four -XPUT -d 4)"
expect "GET elsewhere (X4)" 4 "$(body http://127.0.0.1:12380/four)"
expect "POST of what is there, in another base (X15)" 204 \
    "$(status -L http://127.0.0.1:12380/0x4 -XPOST -d http://127.0.0.1:42379)"
expect "DELETE (X16)" 204 "$(status -L http://127.0.0.1:12380/3 -XDELETE)"
for _ in $(seq 150); do kill -0 "${pids[3]}" 2>/dev/null || break; sleep 0.1; done
kill -0 "${pids[3]}" 2>/dev/null
expect "the removed node has ended (X16)" 1 $?
expect "it says why (X16)" 1 "$(grep -c "I've been removed from the cluster! Shutting down." node-3.log)"
expect "DELETE of one that is not there (X15)" 204 "$(status -L http://127.0.0.1:12380/0x3 -XDELETE)"
expect "the others go on" 204 "$(status -L http://127.0.0.1:22380/foo -XPUT -d baz)"
expect "on the new one too" baz "$(body http://127.0.0.1:42380/foo)"
end KILL 4
end KILL 2
start 4 --port 42380 --join --cluster $members,http://127.0.0.1:42379
expect "the new one restarts from its directory (X4)" baz "$(value_at 42380 foo baz)"

echo
echo "raftexample: $passed passed, ${#failures[@]} failed"
if [ ${#failures[@]} -gt 0 ]; then
    tail -n 15 node-*.log
    printf 'FAILED  %s\n' "${failures[@]}"
    exit 1
fi

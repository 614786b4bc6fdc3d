#!/usr/bin/env bash
# `static-macvlan-cni install`, the static program: from its start to an answer on /healthz, with the
# programs there already and with nothing there, and the memory that it has once all is done.
# BENCH_ROUNDS (3) rounds, the best of each.
set -euo pipefail

here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
program=$(dirname "${FLATNET_STATIC:?names the static programs}")/static-macvlan-cni
rounds=${BENCH_ROUNDS:-3}
# shellcheck source=tests/bench/bench.bash
. "$here/bench.bash"
# shellcheck source=tests/lab/lab.bash
. "$here/../lab/lab.bash"

lab_init "$$"
net=flatnet-b$$
cleanup() {
    lab_cleanup
    ip netns del "$net"
}
trap cleanup EXIT
ip netns add "$net"
ip -n "$net" link set lo up
cd "$LAB_DIR"
mkdir account
printf token >account/token
printf default >account/namespace
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out account/ca.crt -subj /CN=ca -days 2 2>/dev/null

# asks PATH: until it is answered with 200; fails when the daemon is gone. One curl asks again and
# again, so that no other process has to start for it.
asks() {
    nsenter --net="/run/netns/$net" curl -sf -o /dev/null --retry 1000 --retry-delay 0 --retry-max-time 30 --retry-all-errors \
        "http://127.0.0.1:9479$1"
}

in_net() { nsenter --net="/run/netns/$net" "$@"; }

# The clock starts in the shell that becomes the program.
start() {
    in_net python3 "$here/install_start.py" "$LAB_DIR/install.log" "$LAB_DIR/install.pid" "$program" install \
        --conf-dir conf --bin-dir bin --service-account account --run-dir run --listen 127.0.0.1:9479
}

field() { awk -v f="$1:" '$1 == f { printf "%.3f", $2 / 1024 }' "/proc/$(cat install.pid)/status"; }

ends() {
    local pid
    pid=$(cat install.pid)
    kill "$pid"
    lab_wait 15 test ! -e "/proc/$pid"
}

export KUBERNETES_SERVICE_HOST=10.43.0.1 KUBERNETES_SERVICE_PORT=443
printf 'load before: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
for _ in $(seq "$rounds"); do
    rm -rf bin conf
    start >>cold
    asks /readyz
    ends
    start >>warm
    asks /readyz
    field RssAnon >>anon && printf '\n' >>anon
    field VmHWM >>peak && printf '\n' >>peak
    ends
done
lowest() { sort -g "$1" | head -n 1; }
verdict 'install: start until healthy, nothing there' "$(lowest cold)" '<' 100 ms
verdict 'install: start until healthy, programs there' "$(lowest warm)" '<' 100 ms
verdict 'install: anonymous memory' "$(sort -g anon | tail -n 1)" '<' 2 MiB
verdict 'install: peak resident memory' "$(sort -g peak | tail -n 1)" '<' 12 MiB
verdict 'install: size of the program' "$(ratio "$(stat -c %s "$program")" 1048576)" '<' 8 MiB
printf 'load after: %s\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
[ "$misses" -eq 0 ] || printf '%d of the limits were missed on this machine\n' "$misses"

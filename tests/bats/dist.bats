#!/usr/bin/env bats
# The release build: one static program that needs nothing of its host but a CA file, and takes
# nothing else from it. The network of these tests is a namespace of its own, so that a DNS server
# can have port 53.
# timeout: 900

load helper

setup_file() {
    STATIC=${FLATNET_STATIC:-$REPO_ROOT/dist/linux-amd64/flatnet}
    FLATNET_BUILD=${FLATNET_BUILD:-$REPO_ROOT/build}
    export STATIC FLATNET_BUILD
    start_lab
    lab_spawn net unshare --net sh -c 'ip link set lo up && exec sleep 100000'
    lab_ready net 60 loopback_is_up
    in_net bash -e <<'SH'
        . "$REPO_ROOT/tests/lab/lab.bash"
        lab_registry registry tls
        lab_image_push "$(lab_registry_addr registry)" test/image:1
SH
    lab_spawn dns nsenter --net="/proc/$(lab_pid net)/ns/net" python3 \
        "$REPO_ROOT/tests/tools/dns-server.py" 127.0.0.1 "$LAB_DIR/dns.queries" registry.example=127.0.0.1
    lab_ready dns 60 test -e "$LAB_DIR/dns.queries"
}

teardown_file() {
    lab_cleanup
}

setup() {
    common_setup
    need strace objdump
    empty_root "$T/root"
}

in_net() {
    nsenter --net="/proc/$(lab_pid net)/ns/net" "$@"
}

loopback_is_up() {
    in_net ip link show lo | grep -q LOWER_UP
}

# A folder with the program, a CA file, a list, and the settings of a hostile host. There is no
# /dev, /proc, /tmp or /lib.
empty_root() {
    local port
    port=$(lab_registry_addr registry)
    port=${port##*:}
    mkdir -p "$1/etc/ssl" "$1/out" "$1/usr/lib/ssl"
    cp "$STATIC" "$1/flatnet"
    cp "$LAB_DIR/ca.crt" "$1/ca.crt"
    printf 'registry.example:%s/test/image:1\n' "$port" >"$1/list"
    printf 'nameserver 127.0.0.1\n' >"$1/etc/resolv.conf"
    printf '%s: hostile [SUCCESS=return NOTFOUND=return UNAVAIL=return]\n' \
        hosts passwd group services networks >"$1/etc/nsswitch.conf"
    printf 'order nothing\nmulti off\n' >"$1/etc/host.conf"
    printf 'openssl_conf = hostile\nconfig_diagnostics = 1\n[hostile]\nproviders = nothing\n' \
        >"$1/usr/lib/ssl/openssl.cnf"
}

# Runs the static program in the empty root, within the test's network; strace leaves its record in
# $T/trace. The environment is empty but for a hostile setting.
run_in_root() {
    FLATNET=$BATS_TEST_TMPDIR/run-in-root
    cat >"$FLATNET" <<SH
#!/bin/sh
exec nsenter --net=/proc/$(lab_pid net)/ns/net env -i OPENSSL_CONF=/usr/lib/ssl/openssl.cnf \\
    strace -f -qq -e trace=%file,openat2,socket,connect -o '$T/trace' ${LAUNCHER:-} \\
    /usr/sbin/chroot '$T/root' /flatnet "\$@"
SH
    chmod +x "$FLATNET"
    run_flatnet "$@"
}

# What the program in the root opened, one path a line.
opened() {
    sed -n '1,/chroot(/d; s/.*open\(at\)\?2\?([^"]*"\([^"]*\)".*/\2/p' "$T/trace" | sort -u
}

programs() {
    printf '%s\n' "$(dirname "$STATIC")"/*
}

@test "the programs are static: no interpreter, no needed libraries, no symbols" {
    local program
    [ "$(programs | wc -l)" -ge 2 ]
    while read -r program; do
        objdump -p "$program" >"$T/headers"
        refute grep -E 'INTERP|NEEDED|RPATH|RUNPATH' "$T/headers"
        assert_contains 'RELRO' "$T/headers"
        refute grep -E 'STACK.*x$' "$T/headers"
        objdump -h "$program" >"$T/sections"
        refute grep -E '\.symtab|\.debug|\.note\.gnu\.build-id' "$T/sections"
    done < <(programs)
}

@test "each program is smaller than 10 MB" {
    local program
    while read -r program; do
        [ "$(stat -c %s "$program")" -lt 10000000 ]
    done < <(programs)
}

@test "they run in an empty folder" {
    run_in_root version
    assert_status 0
    assert_contains 'flatnet '
    cp "$(dirname "$STATIC")/network-controller" "$T/root/"
    chroot "$T/root" /network-controller --version | grep -q '^network-controller '
}

answers() {
    local port
    port=$(sed -n 's/.*listening port=//p' "$LAB_DIR/install.log")
    in_net curl -sf "http://$1:$port/healthz" >"$T/said"
}

# libevent asks for the peer's name at each connection.
@test "health is served in an empty folder, over both families" {
    cp "$(dirname "$STATIC")/static-macvlan-cni" "$T/root/"
    lab_spawn install nsenter --net="/proc/$(lab_pid net)/ns/net" chroot "$T/root" /static-macvlan-cni install \
        --conf-dir /out --bin-dir /out --listen :0
    lab_ready install 30 grep -q 'listening port=' "$LAB_DIR/install.log"
    for address in 127.0.0.1 '[::1]'; do
        lab_wait 30 answers "$address"
        assert_equal "$(<"$T/said")" ok
    done
    lab_stop install
}

@test "it resolves a name, speaks TLS and writes a bundle there, whatever the host's settings say" {
    run_in_root bundle create -f /list --ca-file /ca.crt -o /out/out.tar
    assert_status 0
    grep -qx '1 registry.example' "$LAB_DIR/dns.queries"
    run_in_root bundle verify /out/out.tar
    assert_status 0
}

@test "it opens only what was named, resolver and registry settings, and the time zone" {
    run_in_root bundle create -f /list --ca-file /ca.crt -o /out/out.tar
    assert_status 0
    opened >"$T/opened"
    assert_contains /etc/resolv.conf "$T/opened"
    assert_contains /ca.crt "$T/opened"
    local named='/ca\.crt|/list|/flatnet|/out(/.*)?'
    local settings='/etc/(resolv\.conf|hosts|localtime)|/etc/(containers|docker)/certs\.d/.*|.*/auth\.json|/root/\.docker.*'
    refute grep -vE "^($named|$settings|/proc/.*|/sys/.*|/dev/.*|/)\$" "$T/opened"
    # nor does it ask a name-service daemon
    refute grep AF_UNIX "$T/trace"
}

@test "without the CA file the same registry is refused" {
    run_in_root bundle create -f /list -o /out/out.tar
    assert_status 5
    assert_contains certificate stderr
    assert_no_leftovers "$T/root/out" out.tar.failed
}

@test "it extracts below a folder where the kernel has no openat2" {
    run_in_root bundle create -f /list --ca-file /ca.crt --program /flatnet -o /out/out.tar
    assert_status 0
    LAUNCHER=$FLATNET_BUILD/tests/tools/no_openat2 run_in_root bundle extract /out/out.tar -o /out/files
    assert_status 0
    grep -q 'openat2(.*ENOSYS' "$T/trace"
    run find "$T/root/out/files" -type f -name flatnet -exec cmp "$STATIC" {} \; -print
    assert_contains files/ <(printf '%s' "$output")
}

# shellcheck shell=bash
# Guests of the lab: machines with a kernel, a disk and a network card of their own, as User-mode
# Linux processes. Source it after lab.bash; lab_cleanup and the watchdog stop guests as they stop
# everything else.
#
#   lab_guest NAME SCRIPT [OPTION...] [-- ARG...]    boot, run SCRIPT, print its output, return its status
#   lab_guest_start NAME SCRIPT ...                  the same without waiting for it
#   lab_guest_wait NAME                              wait, print, return
#   lab_guest_share NAME -> folder                   is /run/lab in the guest, both may write there
#   lab_guest_program NAME PROGRAM [AS]              /run/lab/AS with the libraries that it needs
#   lab_switch NAME                                  an Ethernet switch for guests
#   lab_guest_root -> folder                         a small Debian with systemd, made once and kept
#
# OPTION:
#   --root DIR       the root's lower layer; default: this machine's own /
#   --systemd        systemd is the first process, and the script runs when it has come up
#   --switch NAME    eth0 is a port of that switch; without it there is no eth0
#   --memory SIZE    128M
#   --seconds N      a guest that takes longer, in the sense of lab_patience, is ended and has failed (120)
#
# The root is an overlay: its lower layer is never written, its upper one is on the guest's disk
# (/dev/ubda, ext4, mounted at /disk). The disk stays from one start of a guest to the next, which is
# then a reboot. SCRIPT is run by bash as root; it may do anything, even crash its kernel: a guest
# without a verdict has failed. A boot costs one to two seconds of processor time.

LAB_GUEST_DISK_SIZE=1G

# lab_switch NAME: a bridge in a network namespace of its own, which lives as long as a process.
lab_switch() {
    local pid
    lab_spawn "$1" unshare -n sleep infinity
    lab_ready "$1" 5 lab_has_own_network "$1" || return 1
    pid=$(lab_pid "$1")
    nsenter -t "$pid" -n ip link add sw0 type bridge &&
        nsenter -t "$pid" -n ip link set sw0 up
}

lab_has_own_network() {
    [ "$(readlink "/proc/$(lab_pid "$1")/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# lab_switch_port SWITCH TAP: one more port, for a guest.
lab_switch_port() {
    local pid
    pid=$(lab_pid "$1") || lab_fail "switch '$1' does not run" || return 1
    nsenter -t "$pid" -n ip link show "$2" >/dev/null 2>&1 ||
        nsenter -t "$pid" -n ip tuntap add "$2" mode tap &&
        nsenter -t "$pid" -n ip link set "$2" master sw0 up
}

lab_guest_share() {
    mkdir -p "$LAB_DIR/$1.guest/share"
    printf '%s\n' "$LAB_DIR/$1.guest/share"
}

# lab_guest_program NAME PROGRAM [AS]: the guest's root need not have our libraries. What is put there is
# a script that starts the program with its own.
lab_guest_program() {
    local share name=${3:-${2##*/}} libraries start=
    share=$(lab_guest_share "$1")
    mkdir -p "$share/lib"
    cp "$2" "$share/lib/$name.bin"
    if libraries=$(ldd "$2" 2>/dev/null | grep -oE '/[^ ]+'); then
        xargs cp -L -t "$share/lib" <<<"$libraries"
        start='/run/lab/lib/ld-linux-x86-64.so.2 --library-path /run/lab/lib '
    fi
    printf '#!/bin/sh\nexec %s/run/lab/lib/%s.bin "$@"\n' "$start" "$name" >"$share/$name"
    chmod 755 "$share/$name"
}

# lab_guest_start NAME SCRIPT [OPTION...] [-- ARG...]
lab_guest_start() {
    local name=$1 script=$2 dir=$LAB_DIR/$1.guest root=/ init=script memory=128M seconds=120 number
    local -a network=() card=()
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
            --root) root=$2 && shift ;;
            --systemd) init=systemd ;;
            --switch)
                number=$(grep -c . "$LAB_DIR/run/started")
                lab_switch_port "$2" "tap-$name" || return 1
                network=(nsenter -t "$(lab_pid "$2")" -n)
                card=("eth0=tuntap,tap-$name,02:00:00:00:00:$(printf %02x $((number % 256)))")
                shift
                ;;
            --memory) memory=$2 && shift ;;
            --seconds) seconds=$2 && shift ;;
            --) shift && break ;;
            *) lab_fail "guest '$name': unknown option '$1'" || return 2 ;;
        esac
        shift
    done
    lab_guest_share "$name" >/dev/null
    rm -f "$dir/share/verdict" "$dir/share/output"
    cp "$script" "$dir/share/script"
    lab_guest_command "$@" >"$dir/share/start"
    [ -e "$dir/disk" ] || lab_guest_disk "$dir/disk" || return 1
    lab_guest_ptrace || return 1
    [ -e "$dir/cpu" ] || lab_guest_cpu >"$dir/cpu"
    : >"$LAB_DIR/$name.log"
    # The kernel's own start would spend most of its time on measuring checksums and on making
    # hundreds of terminals. A process namespace takes all of the guest's processes with it.
    lab_spawn "$name" taskset -c "$(cat "$dir/cpu")" timeout -k 0.2 "$(lab_patience "$seconds")" "${network[@]}" \
        unshare --fork --pid --kill-child sh -c '"$@"; exit' guest \
        env "LD_PRELOAD=$LAB_DIR/uml-ptrace.so" linux.uml "mem=$memory" "umid=$name" "uml_dir=$dir/uml" \
        "ubd0=$dir/disk" "${card[@]}" con=null con0=null,fd:1 pty.legacy_count=0 net.ifnames=0 \
        initcall_blacklist=raid6_select_algo,calibrate_xor_blocks,init_btrfs_fs,ssl_init \
        rootfstype=hostfs ro quiet "init=$LAB_HOME/guest-init.sh" \
        "lab_share=$dir/share" "lab_root=$root" "lab_init=$init"
}

# lab_guest_cpu: print the processor for one more guest. A guest has one, and its kernel and its processes take
# turns at each of their system calls: on one processor of ours that costs half of what it does on two. Those
# that this machine lets us use are taken in turn, where labs begin at different ones.
lab_guest_cpu() {
    local -a processors=()
    local range guests
    for range in $(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status | tr , ' '); do
        mapfile -t -O "${#processors[@]}" processors <<<"$(seq "${range%-*}" "${range#*-}")"
    done
    guests=$(find "$LAB_DIR" -maxdepth 2 -path '*.guest/cpu' | wc -l)
    printf '%s\n' "${processors[($(stat -c %i "$LAB_DIR") + guests) % ${#processors[@]}]}"
}

# On some processors linux.uml needs what uml-ptrace.c says.
lab_guest_ptrace() {
    local library=$LAB_DIR/uml-ptrace.so
    [ -e "$library" ] ||
        { cc -O2 -shared -fPIC -o "$library.$BASHPID" "$LAB_HOME/uml-ptrace.c" && mv "$library.$BASHPID" "$library"; }
}

# lab_guest_command ARG...: print what the guest runs: the script, its verdict, the end.
lab_guest_command() {
    printf '/bin/bash /run/lab/script'
    [ $# -eq 0 ] || printf ' %q' "$@"
    cat <<'SH'
 >/run/lab/output 2>&1 </dev/null
echo "$?" >/run/lab/verdict
sync
echo o >/proc/sysrq-trigger
sleep 10
SH
}

lab_guest_disk() {
    truncate -s "$LAB_GUEST_DISK_SIZE" "$1.new" &&
        mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=1 "$1.new" && mv "$1.new" "$1"
}

# lab_guest_wait NAME: wait until the guest is off, print what its script said, return its status.
lab_guest_wait() {
    local share=$LAB_DIR/$1.guest/share verdict
    lab_wait 3600 lab_is_gone "$1"
    cat "$share/output" 2>/dev/null || true
    if ! verdict=$(cat "$share/verdict" 2>/dev/null); then
        tail -n 30 "$LAB_DIR/$1.log" >&2
        lab_fail "guest '$1' ended without a verdict"
        return 125
    fi
    return "$verdict"
}

lab_guest() {
    lab_guest_start "$@" && lab_guest_wait "$1"
}

# lab_guest_root: print the folder. It comes from the archive that this machine's apt uses, and is
# kept in $LAB_CACHE.
lab_guest_root() {
    local cache=${FLATNET_LAB_CACHE:-$HOME/.cache/flatnet-lab} root
    root=$cache/guest-root-2
    mkdir -p "$cache"
    exec {lock}>"$cache/guest-root.lock"
    flock "$lock"
    [ -d "$root" ] || lab_make_guest_root "$root" >&2 || return 1
    exec {lock}>&-
    printf '%s\n' "$root"
}

lab_make_guest_root() {
    local suite mirror
    suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        awk -v suite="$suite" '$2 == suite && !found { print $1; found = 1 }')
    rm -rf "$1.new"
    debootstrap --variant=minbase --include=systemd-sysv,udev,kmod,iproute2,dbus,libpam-systemd,network-manager "$suite" "$1.new" \
        "$mirror" >"$1.log" 2>&1 || { tail -n 20 "$1.log" && return 1; }
    rm -rf "$1.new"/var/cache/apt/archives/*.deb
    mv "$1.new" "$1"
}

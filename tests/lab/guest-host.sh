#!/bin/bash
# What the guests of host_guest.bats run, as root of a machine of their own that is made to be a host
# which is not ready for a cluster. What it finds goes to /run/lab, where the test outside looks.
#
#   guest-host.sh flow | promisc | kill-prepare FIRST LAST | kill-restore
set -euo pipefail
cd /run/lab
flatnet=/run/lab/flatnet
prepare=("$flatnet" host prepare --yes)

fail() {
    echo "failed: $*"
    exit 1
}

# The root below is the test machine's: what that has of clusters and settings is put out of sight.
make_host() {
    hostname node-1
    rm -rf /etc/{hosts,resolv.conf,kubernetes,cni,modules,modules-load.d,sysctl.conf,sysctl.d,fstab,rc.local} \
        /var/lib/{etcd,kubelet,cni,flatnet,rancher} /etc/systemd/system /etc/NetworkManager
    mkdir -p /etc/modules-load.d /etc/sysctl.d /etc/systemd/system
    printf '127.0.0.1 localhost\n10.0.0.5 node-1\n' >/etc/hosts
    echo 'nameserver 10.0.0.2' >/etc/resolv.conf
    # This one can never be unloaded, and bridge would bring it.
    modprobe ipv6
    ip link set lo up
    ip link set eth0 up
    ip addr add 10.0.0.5/24 dev eth0
    ip route add default via 10.0.0.1
    echo 0 >/proc/sys/net/ipv4/ip_forward
    make_swap
}

# One area with a priority and a flag of its own, one as the kernel likes; a table with everything
# that a file can have.
make_swap() {
    local file
    for file in "/disk/swap one" /disk/swap2; do
        fallocate -l 8M "$file"
        chmod 600 "$file"
        mkswap "$file" >/dev/null
    done
    # The table may know an area by another name than the kernel does.
    ln -s 'swap one' '/disk/the alias'
    cat >/etc/fstab <<'TABLE'
# swap: this is no row
/dev/ubda	/disk ext4	defaults,x-swap	0 1
/disk/the\040alias none swap sw,pri=5,discard=once 0 0
  /disk/swap2	swap	swap	defaults
tmpfs /swap tmpfs noauto,size=1m 0 0
TABLE
    chown 12:34 /etc/fstab
    chmod 640 /etc/fstab
    setfattr -n user.note -v 'of the site' /etc/fstab
    touch -d '2019-05-27 12:00:00.123456789' /etc/fstab
    swapon -p 5 --discard=once '/disk/swap one'
    swapon /disk/swap2
}

# state [lasting]: files as they are on the disk below the root, and what the kernel does with them;
# with an argument without what is of the moment: the journal, and when files were written. A guest
# pays dearly for each process, so that few are started here.
state() {
    local stamp='%s %T@' name type size priority flags value
    [ $# -eq 0 ] || stamp=
    {
        cd /disk/upper
        find . -type d -printf '%p %m %U %G\n' -o ${1:+! -name host.journal} -printf "%p %y %m %U %G $stamp %l\n" \
            -type f -exec sha256sum {} +
        getfattr -Rhd -m '^user' .
        cd /run/lab
        while read -r name type size _ priority; do
            echo "swap $name $type $size $priority"
        done </proc/swaps
        while read -r name _; do
            echo "module $name"
        done </proc/modules
        read -r flags </sys/class/net/eth0/flags
        ((!(flags & 0x100))) || echo PROMISC
        read -r value </proc/sys/net/ipv4/ip_forward
        echo "forward $value"
        # A setting that goes with its module is none.
        [ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] ||
            echo "bridged $(</proc/sys/net/bridge/bridge-nf-call-iptables)"
    } | sort
}

# same WHAT EXPECTED GOT: both are files.
same() {
    [[ $(<"$2") == "$(<"$3")" ]] || fail "$1: $(diff "$2" "$3")"
}

restored() {
    "$flatnet" host restore >log 2>&1 || fail "$1: $(cat log)"
    state >now
    same "$1" before now
}

prepared() {
    "${prepare[@]}" >log 2>&1 || fail "$1: $(cat log)"
    state lasting >now
    same "$1" after now
}

# The kernel says with which flags an area was switched on.
swap_flags() {
    dmesg | grep -E 'Adding .* swap on' | sed 's/^\[[^]]*\] //' | tail -n 2 | sort
}

flow() {
    state >before
    swap_flags >flags.before
    "$flatnet" host check --format json >check.before || [ $? -eq 3 ]
    "${prepare[@]}" --dry-run >plan
    state >now
    same 'a dry run' before now
    "${prepare[@]}" >first.out 2>first.err
    # No systemd here, so that one thing is left to the operator: as the warning says.
    printf '#!/bin/sh\nip link set eth0 promisc on\n' >/etc/rc.local
    "$flatnet" host check --ignore docker --format json >check.after || fail 'it is not ready'
    "$flatnet" host status --format json >status.after
    state lasting >after
    "${prepare[@]}" >second.out 2>second.err
    state lasting >now
    same 'a second run' after now
    rm /etc/rc.local
    "$flatnet" host restore --format json >undone
    state >now
    same 'restored' before now
    swap_flags >flags.after
    same 'flags of swap' flags.before flags.after
}

promisc() {
    ip link set eth0 promisc on
    "${prepare[@]}" --only promisc,sysctl >log 2>&1 || fail "$(cat log)"
    "$flatnet" host restore >>log 2>&1
    state >now
    grep -qx PROMISC now || fail 'it is not promiscuous any more'
}

# killed CALL COUNT ARG...: flatnet is killed as it makes that call for that time.
killed() {
    local call=$1 count=$2 status=0
    shift 2
    strace -qq -o /dev/null -e "trace=$call" -e "inject=$call:signal=KILL:when=$count" "$@" >/dev/null 2>&1 ||
        status=$?
    [ "$status" -eq 137 ] || fail "'$*' was not killed at $call $count: status $status"
}

prepared_once() {
    state >before
    "${prepare[@]}" >log 2>&1
    sed -n 's/ changes made.*//p' log >steps
    state lasting >after
    restored 'the first round'
}

# Each change's line in the journal ends with a call of fdatasync, then the change is made. So the
# kill before change N is the one after change N-1 too; the last call is that of the final line.
kill_prepare() {
    local i
    prepared_once
    for ((i = $1; i <= ($2 ? $2 : $(cat steps) + 1); i++)); do
        killed fdatasync "$i" "${prepare[@]}"
        prepared "prepare after a kill at step $i"
        restored "restore after prepare after a kill at step $i"
        killed fdatasync "$i" "${prepare[@]}"
        restored "restore after a kill at step $i"
    done
}

# And in the middle of changes, and while they are undone.
kill_restore() {
    local call
    prepared_once
    for call in 'swapoff 1' 'swapoff 2' 'renameat 1' 'renameat 3'; do
        # shellcheck disable=SC2086
        killed $call "${prepare[@]}"
        restored "restore after a kill at $call"
    done
    for call in 'renameat 1' 'swapon 1' 'swapon 2' 'unlinkat 3' 'delete_module 1' 'delete_module 4'; do
        prepared "prepare before $call"
        # shellcheck disable=SC2086
        killed $call "$flatnet" host restore
        restored "restore after a restore that was killed at $call"
    done
}

test=$1
shift
make_host
"${test//-/_}" "$@"

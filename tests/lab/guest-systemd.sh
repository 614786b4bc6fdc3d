#!/bin/bash
# What the guest of host_systemd.bats runs, in a small Debian: one stage after each of its starts. What
# it finds goes to /run/lab, where the test outside looks.
#
#   guest-systemd.sh setup | prepare | restore | last
#   guest-systemd.sh nm_setup | nm_prepare | nm_restore
set -euo pipefail
cd /run/lab
flatnet=/run/lab/flatnet

# A host that swaps at boot, from its table and from a unit of its own, and whose NIC is networkd's.
setup() {
    local file
    echo node-1 >/etc/hostname
    printf '127.0.0.1 localhost\n10.0.0.5 node-1\n' >/etc/hosts
    for file in /disk/swap1 /disk/swap2; do
        fallocate -l 8M "$file"
        chmod 600 "$file"
        mkswap "$file" >/dev/null
    done
    printf '# table\n/disk/swap1\tnone\tswap\tsw,pri=5\t0 0\n' >/etc/fstab
    touch -d '2019-05-27 12:00:00' /etc/fstab
    mkdir -p /etc/systemd/system/{swap.target,sysinit.target}.wants
    printf '[Swap]\nWhat=/disk/swap2\nPriority=7\n' >/etc/systemd/system/disk-swap2.swap
    ln -s ../disk-swap2.swap /etc/systemd/system/swap.target.wants/
    printf '[Match]\nName=eth0\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\nIPv6AcceptRA=no\n' \
        >/etc/systemd/network/10-eth0.network
    ln -s /lib/systemd/system/systemd-networkd.service /etc/systemd/system/sysinit.target.wants/
    # It can never be unloaded, so it must not be what bridge brings.
    echo ipv6 >/etc/modules-load.d/ipv6.conf
}

is_up() {
    ip -4 route show default | grep -q eth0 && [ -z "$(systemctl list-jobs --no-legend)" ] &&
        ! systemctl is-system-running | grep -q starting
}

come_up() {
    until is_up; do
        sleep 0.2
    done
}

# boot_state: what systemd made of the files.
boot_state() {
    awk '{ print $1, $3, $NF }' /proc/swaps | sort
    cut -d ' ' -f 1 /proc/modules | sort
    cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || true
    grep -o PROMISC <(ip link show eth0) || true
    systemctl list-units --no-legend --plain --all 'flatnet*' '*.swap' | cut -d ' ' -f 1-5
    systemctl --failed --no-legend
}

# files: with their times, and folders without.
files() {
    find /etc -type d -printf '%p %m\n' -o -printf '%p %m %s %T@ %l\n' | sort
}

prepare() {
    boot_state >before
    files >files.before
    "$flatnet" host check --format json >check.before || [ $? -eq 3 ]
    "$flatnet" host prepare --yes >prepare.out 2>prepare.err
    "$flatnet" host check --ignore docker --format json >check.now
}

restore() {
    boot_state >prepared
    systemd-analyze verify --man=no flatnet-promisc@eth0.service >verified 2>&1
    networkctl --version >version
    "$flatnet" host check --ignore docker --format json >check.prepared
    "$flatnet" host prepare --yes >second.out 2>&1
    "$flatnet" host restore >restore.out 2>restore.err
    files >files.restored
}

last() {
    boot_state >restored
}

# A NIC that is NetworkManager's, by a profile that switches promiscuous mode off.
nm_setup() {
    local profile=/etc/NetworkManager/system-connections/lan.nmconnection
    echo node-1 >/etc/hostname
    printf '127.0.0.1 localhost\n10.0.0.5 node-1\n' >/etc/hosts
    printf '[connection]\nid=lan\ntype=ethernet\ninterface-name=eth0\n[ethernet]\naccept-all-mac-addresses=0\n' >"$profile"
    printf '[ipv4]\nmethod=manual\naddress1=10.0.0.5/24,10.0.0.1\n[ipv6]\nmethod=disabled\n' >>"$profile"
    chmod 600 "$profile"
}

# The profile comes up anew, and the dispatcher has done what it has to do.
nm_up() {
    nmcli connection up lan
    until [ -z "$(systemctl list-jobs --no-legend)" ] &&
        ! systemctl is-active --quiet NetworkManager-dispatcher.service; do
        sleep 0.2
    done
    grep -o PROMISC <(ip link show eth0) || echo 'not promiscuous'
}

nm_prepare() {
    nm_up >nm.before
    files >nm.files.before
    "$flatnet" host prepare --yes --master eth0 >nm.prepare.out 2>nm.prepare.err
    nm_up >nm.now
}

nm_restore() {
    nm_up >nm.prepared
    "$flatnet" host prepare --yes --master eth0 >nm.second 2>&1
    "$flatnet" host restore >nm.restore 2>&1
    files >nm.files.restored
    nm_up >nm.restored
}

case $1 in
    *setup) "$1" ;;
    nm_*)
        systemctl start NetworkManager.service
        come_up
        "$1"
        ;;
    *)
        come_up
        "$1"
        ;;
esac

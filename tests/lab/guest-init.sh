#!/bin/busybox sh
# shellcheck shell=dash
# The first process of a guest (guest.bash): makes the root, and hands over to the script or to
# systemd. lab_share, lab_root and lab_init come from the kernel's command line. Starting a process
# is what costs most in a guest, so this is one static program with its own commands.
: "${lab_share:?}" "${lab_root:?}" "${lab_init:?}"
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8

# A guest whose first process ends would only panic.
off() {
    echo "guest-init: $*"
    sync
    echo o >/proc/sysrq-trigger
    sleep 10
}

make_root() {
    modules=/usr/lib/uml/modules lower=/
    insmod "$modules/$(uname -r)/kernel/fs/overlayfs/overlay.ko" &&
        mount -t tmpfs lab /run && mkdir /run/disk /run/lower /run/root &&
        mount -t ext4 /dev/ubda /run/disk && mkdir -p /run/disk/upper /run/disk/work || return 1
    if [ "$lab_root" != / ]; then
        lower=/run/lower
        mount -t hostfs -o "$lab_root" lab "$lower" || return 1
    fi
    mount -t overlay -o "lowerdir=$lower,upperdir=/run/disk/upper,workdir=/run/disk/work" root /run/root &&
        mkdir -p /run/root/disk /run/root/lib/modules &&
        mount -o move /run/disk /run/root/disk &&
        mount -t hostfs -o "$modules" lab /run/root/lib/modules &&
        mount -t tmpfs -o mode=755 run /run/root/run && mkdir /run/root/run/lab /run/root/run/old &&
        mount -t hostfs -o "$lab_share" lab /run/root/run/lab
}

enter_root() {
    cd /run/root && mount -t proc proc proc && pivot_root . run/old && cd / &&
        mount -t devtmpfs dev /dev && mount -t sysfs sys /sys &&
        umount -l /run/old && rmdir /run/old
}

# What systemd shall come up to: all that is done early at boot, and the script. What only costs time
# here is left out.
make_service() {
    mkdir -p /run/systemd/system && cd /run/systemd/system || return 1
    cat >default.target <<UNIT
[Unit]
Requires=sysinit.target lab-script.service
After=sysinit.target
UNIT
    cat >lab-script.service <<UNIT
[Unit]
DefaultDependencies=no
After=sysinit.target
[Service]
ExecStart=/bin/bash /run/lab/start
UNIT
    for unit in systemd-journal-flush systemd-random-seed systemd-sysusers systemd-update-utmp \
        systemd-hwdb-update modprobe@fuse modprobe@loop modprobe@efi_pstore; do
        ln -s /dev/null "$unit.service"
    done
}

# Its own commands are found by way of /proc.
/bin/busybox mount -t proc proc /proc
make_root || off 'no root'
enter_root || off 'the root cannot be entered'
if [ "$lab_init" = systemd ]; then
    make_service || off 'no service'
    cd /
    umount /sys
    umount /proc
    exec /sbin/init
fi
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
bash /run/lab/start

#!/bin/bash
# Installs the Debian 12 packages that the named groups need. Says nothing and is quick when they
# are all there.
#
#   tests/lab/packages.sh GROUP...     build, check, demo, kube, dist, cross, lint, fuzz, cover
set -euo pipefail

declare -A groups=(
    [build]="build-essential pkg-config libarchive-dev libcurl4-openssl-dev libyaml-dev
        libcjson-dev libssl-dev libzstd-dev zlib1g-dev libnl-3-dev libnl-route-3-dev libevent-dev uthash-dev libbsd-dev"
    [lab]="docker.io containerd runc iptables docker-registry skopeo umoci apache2-utils
        busybox-static jq curl socat openssl ca-certificates python3 xz-utils zstd iproute2"
    [kube]="etcd-server dpkg-dev debian-archive-keyring make rsync jq gcc libc6-dev"
    [guest]="user-mode-linux kmod debootstrap debian-archive-keyring busybox-static e2fsprogs attr iproute2 jq tcpdump"
    [check]="libcmocka-dev bats perl strace containernetworking-plugins podman libxml2-utils dnsmasq-base"
    [dist]="dpkg-dev xz-utils libc-ares-dev libnghttp2-dev liblzma-dev libbz2-dev"
    [cross]="gcc-aarch64-linux-gnu qemu-user"
    [lint]="clang clang-format shellcheck cppcheck mandoc"
    [fuzz]="clang libclang-rt-14-dev"
    [cover]="gcovr"
)
# The lab is what both the demo and the whole-program tests start; those have a Kubernetes too.
declare -A also=([check]="lab kube guest cross" [demo]="lab")

wanted=()
for group in "$@"; do
    if [ -z "${groups[$group]:-}${also[$group]:-}" ]; then
        echo "packages.sh: unknown group '$group'" >&2
        exit 2
    fi
    for name in "$group" ${also[$group]:-}; do
        read -r -d '' -a packages <<<"${groups[$name]:-}" || true
        wanted+=("${packages[@]}")
    done
done

# One at a time: make starts several.
exec 8<"$0"
flock 8
missing=()
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p')
for package in "${wanted[@]}"; do
    grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "packages are missing; run this as root:" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
{
    apt-get -qq update
    apt-get -qq install -y --no-install-recommends "${missing[@]}"
} >&2 8<&-

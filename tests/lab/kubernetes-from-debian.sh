#!/bin/bash
# Prints the folder that has kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy
# and kubectl 1.20.2. The first call builds them from Debian 12's source package, which takes two cores
# some 8 to 15 minutes and about 4 GB of disk in TMPDIR while it lasts; later calls only print. Where some
# of them are there, only the others are built. Of several callers at once, one builds and the others wait
# for it.
#
#   FLATNET_LAB_CACHE    where they are kept (~/.cache/flatnet-lab)
#   KUBEBUILDER_ASSETS   a folder that has such programs already, as controller-runtime's tests
#                        use it: nothing is built
#
# The compiler is the one of Debian 11, Go 1.15, as it was upstream. Debian 12's Go 1.19 builds this
# release as well, but that kube-apiserver crashes (an old reflect2 walks maps by the runtime's inner
# structures), and takes empty strings in custom resources for null. kubectl is Debian's own, only
# unpacked: where a machine has another one, the package cannot be installed. One period of the kubelet is
# shorter than in the release, see mend_kubelet.
set -euo pipefail

version=1.20.2
source_version=1.20.5+really1.20.2-1.1+deb12u1
built=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
here=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
cache=${FLATNET_LAB_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/flatnet-lab}
home=$cache/kubernetes-$version

# missing PROGRAM...: prints those that are not there, as they are made now.
missing() {
    local program
    for program; do
        [ -x "$home/bin/$program" ] && { [ "$program" != kubelet ] || [ -e "$home/kubelet.mended" ]; } ||
            printf '%s\n' "$program"
    done
}

die() {
    printf 'kubernetes-from-debian.sh: %s\n' "$*" >&2
    exit 1
}

# apt-get with sources and folders of its own, so that the machine's stay as they are. The archive is
# the one that the machine itself uses.
own_apt() {
    apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root "$@"
}

write_sources() {
    local archive keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016
    archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | sed -n 1p)
    [ -n "$archive" ] || die "apt knows no archive of Debian 12; run 'apt-get update' first"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    printf '%s\n' "deb-src [signed-by=$keyring] $archive bookworm main" \
        "deb [signed-by=$keyring] $archive bookworm main" \
        "deb [signed-by=$keyring check-valid-until=no] $archive bullseye main" >"$work/sources.list"
}

fetch_source() {
    local package
    own_apt source --download-only "kubernetes=$source_version"
    dpkg-source --no-check -x kubernetes_*.dsc src
    own_apt download golang-1.15-go golang-1.15-src
    for package in golang-*.deb; do
        dpkg -x "$package" root
    done
}

# The tree has to stand in a GOPATH; its own Makefile does the rest.
build() {
    local gopath=$work/gopath
    fetch_source
    mkdir -p "$gopath/src/k8s.io"
    mv src "$gopath/src/k8s.io/kubernetes"
    cd "$gopath/src/k8s.io/kubernetes"
    export GOROOT=$work/root/usr/lib/go-1.15 GOPATH=$gopath GOCACHE=$work/gocache GOFLAGS=-mod=vendor CGO_ENABLED=0
    export PATH=$GOROOT/bin:$PATH KUBE_GIT_VERSION=v$version
    mend_kubelet
    make WHAT="${*/#/cmd/}"
    keep "${@/#/_output/bin/}"
    : >"$home/kubelet.mended"
}

# The first releases of 1.20, and only they, keep a pod that was deleted until the sandboxes are swept, which
# is once a minute (kubernetes issue 97288). A test that waits for twenty minutes of that shows nothing.
mend_kubelet() {
    sed -i 's/ContainerGCPeriod = time.Minute$/ContainerGCPeriod = 2 * time.Second/' pkg/kubelet/kubelet.go
    grep -q 'ContainerGCPeriod = 2 \* time.Second' pkg/kubelet/kubelet.go || die 'pkg/kubelet/kubelet.go has no ContainerGCPeriod'
}

fetch_kubectl() {
    own_apt download "kubernetes-client=$source_version"
    dpkg -x kubernetes-client_*.deb client
    keep client/usr/bin/kubectl
}

# A program gets its name when it is whole.
keep() {
    local program
    mkdir -p "$home/bin"
    for program; do
        install -m 755 "$program" "$home/bin/${program##*/}.new"
        mv "$home/bin/${program##*/}"{.new,}
    done
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    [ -x "$KUBEBUILDER_ASSETS/kube-apiserver" ] || die "KUBEBUILDER_ASSETS: no kube-apiserver in '$KUBEBUILDER_ASSETS'"
    printf '%s\n' "$KUBEBUILDER_ASSETS"
    exit 0
fi
if [ -n "$(missing "${built[@]}" kubectl)" ]; then
    "$here/packages.sh" kube
    mkdir -p "$cache"
    exec {lock}>"$home.lock"
    flock "$lock"
    mapfile -t programs < <(missing "${built[@]}")
    if [ -n "$(missing "${built[@]}" kubectl)" ]; then
        work=$(mktemp -d "${TMPDIR:-/tmp}/kubernetes.XXXXXX")
        trap 'rm -rf "$work"' EXIT
        (
            cd "$work"
            write_sources
            own_apt update
            [ -z "$(missing kubectl)" ] || fetch_kubectl
            [ "${#programs[@]}" -eq 0 ] || build "${programs[@]}"
        ) >&2 {lock}>&-
    fi
fi
printf '%s\n' "$home/bin"

#!/bin/bash
# What the guests of cni_hosts.bats run: a node that has the plugin, and does what the test outside wants.
#
#   guest-plugin.sh ADDRESS     eth0's own, in the network of the API server
#
# /run/lab: `plugin` is the program, `config` its kubeconfig. A file `do` is run by bash; what it says,
# and its status, are in `done`. The guest ends when there is a file `end`.
set -euo pipefail
cd /run/lab

# call COMMAND POD [CONTAINER]: as a kubelet would, for the pod shop/POD, in the namespace of that name. A
# hundred of them at once take a slow machine longer than the 30 seconds that the plugin takes for one.
call() {
    CNI_COMMAND=$1 CNI_CONTAINERID=${3:-$2} CNI_NETNS=/run/netns/$2 CNI_IFNAME=eth1 CNI_PATH=/opt/cni/bin \
        CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=$2;K8S_POD_INFRA_CONTAINER_ID=${3:-$2}" \
        $plugin <<<'{"cniVersion":"0.3.1","name":"net","type":"static-macvlan-cni","kubeconfig":"/run/lab/config","timeout":300}'
}

# state: what rounds of ADD and DEL must leave as it was. Links without their numbers; of files all that
# was ever written here.
state() {
    ip -o -d link | sed 's/^[0-9]*: //'
    ip -4 route show table all
    ip -6 route show table all
    ip neigh show | sed 's/ [A-Z]*$//'
    find /run /disk/upper -xdev | sort
    find /proc/self/fd -type l | wc -l
    find /proc -maxdepth 2 -name exe -lname '/*' -printf x 2>/dev/null || true
    grep -h '^sockets' /proc/net/sockstat
}
export -f call state
# A program without libraries is not read over the host's file system again and again.
export plugin=/run/lab/plugin
if [ -e lib/plugin.bin ] && ! grep -q library-path plugin; then
    cp lib/plugin.bin /run/plugin
    plugin=/run/plugin
fi

ip link set lo up
ip link set eth0 up
ip addr add "$1/24" dev eth0
# What is read from it never comes: a way to wait that starts no process.
mkfifo /run/never
exec 7<>/run/never
: >ready
until [ -e end ]; do
    if [ -e ./do ]; then
        mv ./do doing
        bash doing >done.new 2>&1 && echo 'status 0' >>done.new || echo 'status 1' >>done.new
        mv done.new ./done
    fi
    read -rt 0.1 -u 7 || true
done

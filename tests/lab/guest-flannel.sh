#!/bin/bash
# flannel 0.10 in a guest of a cluster (cluster.bash): what its vxlan backend and its kube-subnet-mgr do,
# with --ip-masq. The link flannel.1, /run/flannel/subnet.env, what this node says of itself in its Node
# object, and for each other node route, neighbour and forwarding entry, as it is said in theirs, as long
# as it runs. As flannel does it, a link that is right stays, and one that is not is made anew, with
# another MAC; entries for a MAC that a node had before are left. One that is started ends the one before.
#
#   guest-flannel.sh NODE NUMBER LINK
#
# Behind /run/lab/kubeconfig is the API server. /run/lab/flannel says what this node knows of which: lines
# "NODE MAC ADDRESS", its own first.
set -euo pipefail
shopt -s lastpipe
node=$1 number=$2 link=$3
network=10.42.0.0/16 prefix=flannel.alpha.coreos.com
declare -A known=()

own_address() {
    ip -4 -o addr show dev "$link" | sed -n '1s|.* inet \([0-9.]*\)/.*|\1|p'
}

# The kernel gives it the MTU of the link below less 50, and a MAC.
make_link() {
    if ! ip -d link show flannel.1 2>/dev/null | grep -q " local $address dev $link "; then
        ip link del flannel.1 2>/dev/null || true
        ip link add flannel.1 type vxlan id 1 dev "$link" local "$address" dstport 8472 nolearning
    fi
    ip addr replace "10.42.$number.0/32" dev flannel.1
    ip link set flannel.1 up
    mac=$(</sys/class/net/flannel.1/address)
}

write_env() {
    printf '%s\n' "FLANNEL_NETWORK=$network" "FLANNEL_SUBNET=10.42.$number.1/24" \
        "FLANNEL_MTU=$(</sys/class/net/flannel.1/mtu)" FLANNEL_IPMASQ=true >/run/flannel/subnet.env
}

masquerade() {
    iptables -w -t nat -C POSTROUTING -s "$network" -d "$network" -j RETURN 2>/dev/null || iptables-restore -w --noflush <<RULES
*filter
-A FORWARD -s $network -j ACCEPT
-A FORWARD -d $network -j ACCEPT
COMMIT
*nat
-A POSTROUTING -s $network -d $network -j RETURN
-A POSTROUTING -s $network ! -d 224.0.0.0/4 -j MASQUERADE
-A POSTROUTING ! -s $network -d 10.42.$number.0/24 -j RETURN
-A POSTROUTING ! -s $network -d $network -j MASQUERADE
COMMIT
RULES
}

# api PATH ARG...
api() {
    curl -sSf --cacert /run/flannel/ca.crt -H "Authorization: Bearer $token" "$server/api/v1/nodes$1" "${@:2}"
}

find_api() {
    until [ -e /run/lab/kubeconfig ]; do
        busybox sleep 0.1
    done
    server=$(sed -n 's/.*server: "\([^"]*\)".*/\1/p' /run/lab/kubeconfig)
    token=$(sed -n 's/.*token: \([^}]*\)}.*/\1/p' /run/lab/kubeconfig)
    sed -n 's/.*certificate-authority-data: \([^}]*\)}.*/\1/p' /run/lab/kubeconfig | base64 -d >/run/flannel/ca.crt
}

say() {
    jq -n --arg prefix "$prefix" --arg mac "$mac" --arg address "$address" '{metadata: {annotations: {
        ($prefix + "/backend-type"): "vxlan", ($prefix + "/backend-data"): ({VtepMAC: $mac} | tojson),
        ($prefix + "/kube-subnet-manager"): "true", ($prefix + "/public-ip"): $address}}}' >/run/flannel/patch
    until api "/$node/status" -X PATCH -H 'Content-Type: application/merge-patch+json' -d @/run/flannel/patch -o /run/flannel/said; do
        busybox sleep 1
    done
}

# Lines "TYPE NODE PODS ADDRESS MAC" of what becomes of the other nodes.
watch() {
    api '?watch=1' -N | jq --unbuffered -r --arg prefix "$prefix" --arg node "$node" '
        select(.type != "ERROR" and .object.metadata.name != $node) |
        .type as $type | .object | .metadata.name as $name | .spec.podCIDR as $pods |
        .metadata.annotations // {} | select(.[$prefix + "/kube-subnet-manager"] == "true") |
        "\($type) \($name) \($pods) \(.[$prefix + "/public-ip"]) \(.[$prefix + "/backend-data"] | fromjson.VtepMAC)"'
}

add() {
    local vtep=${1%/*}
    ip neigh replace "$vtep" lladdr "$3" dev flannel.1 nud permanent
    bridge fdb replace "$3" dev flannel.1 dst "$2" self permanent
    ip route replace "$1" via "$vtep" dev flannel.1 onlink
}

remove() {
    local vtep=${1%/*}
    ip neigh del "$vtep" dev flannel.1 || true
    bridge fdb del "$3" dev flannel.1 dst "$2" self || true
    ip route del "$1" || true
}

tell() {
    local name
    {
        printf '%s %s %s\n' "$node" "$mac" "$address"
        for name in "${!known[@]}"; do
            read -r _ there vtep <<<"${known[$name]}"
            printf '%s %s %s\n' "$name" "$vtep" "$there"
        done
    } >/run/lab/flannel.new
    mv /run/lab/flannel{.new,}
}

follow() {
    local type name rest
    while read -r type name rest; do
        if [ "$type" = DELETED ] && [ -n "${known[$name]:-}" ]; then
            # shellcheck disable=SC2086
            remove ${known[$name]}
            unset "known[$name]"
        elif [ "$type" != DELETED ] && [ "${known[$name]:-}" != "$rest" ]; then
            # shellcheck disable=SC2086
            add $rest
            known[$name]=$rest
        else
            continue
        fi
        tell
    done
}

mkdir -p /run/flannel
[ ! -e /run/flannel/pid ] || kill "$(</run/flannel/pid)" || true
echo "$$" >/run/flannel/pid
find_api
address=$(own_address)
make_link
write_env
masquerade
say
tell
# A watch ends after half an hour at the latest; a new one begins with all that there is.
while :; do
    watch | follow || true
    busybox sleep 1
done

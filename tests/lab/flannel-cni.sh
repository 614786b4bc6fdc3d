#!/bin/bash
# Does what flannel's CNI plugin does, which Debian does not have: it hands the pod to the bridge plugin,
# with the range that flannel has for the node. What an ADD was called with is kept for its DEL.
set -euo pipefail

env=/run/flannel/subnet.env kept=/var/lib/cni/flannel/${CNI_CONTAINERID:-none}

# refuse CODE TEXT: as every plugin says it.
refuse() {
    jq -n --argjson code "$1" --arg msg "$2" '{cniVersion: "0.3.1", code: $code, msg: $msg}'
    exit 1
}

case ${CNI_COMMAND:-} in
    VERSION)
        printf '%s\n' '{"cniVersion": "0.4.0", "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0"]}'
        exit
        ;;
    ADD)
        [ -e "$env" ] || refuse 11 "open $env: no such file or directory"
        # shellcheck disable=SC1090
        . "$env"
        mkdir -p "${kept%/*}"
        jq --arg network "$FLANNEL_NETWORK" --arg subnet "${FLANNEL_SUBNET%.*/*}.0/${FLANNEL_SUBNET#*/}" \
            --argjson mtu "$FLANNEL_MTU" '
            {cniVersion, name, type: "bridge", mtu: $mtu, isGateway: true, ipMasq: false} + .delegate +
            {ipam: {type: "host-local", subnet: $subnet, routes: [{dst: $network}]}}' >"$kept.new"
        sync "$kept.new"
        mv "$kept.new" "$kept"
        ;;
esac
# Of two DELs at a time, both have done it.
conf=$(cat "$kept" 2>/dev/null) || exit 0
"${CNI_PATH%%:*}/bridge" <<<"$conf"
[ "$CNI_COMMAND" != DEL ] || rm -f "$kept"

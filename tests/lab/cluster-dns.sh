#!/bin/bash
# The names of a cluster's services (cluster.bash), for dnsmasq: NAME.NAMESPACE.svc.cluster.local is the
# address of a service, or those of its endpoints where it has none of its own.
#
#   cluster-dns.sh KUBECONFIG FOLDER ADDRESS
#
# It watches services and endpoints, keeps FOLDER/hosts, and has dnsmasq read that again; dnsmasq answers
# at ADDRESS and ends with this.
set -euo pipefail
config=$1 folder=$2 address=$3
declare -A services=() endpoints=()

server=$(sed -n 's/.*server: "\([^"]*\)".*/\1/p' "$config")
token=$(sed -n 's/.*token: \([^}]*\)}.*/\1/p' "$config")
sed -n 's/.*certificate-authority-data: \([^}]*\)}.*/\1/p' "$config" | base64 -d >"$folder/ca.crt"

# watch KIND: lines "KIND TYPE NAME.NAMESPACE ADDRESS..." A watch ends after half an hour or more, and a new
# one begins with all that there is.
watch() {
    while :; do
        # shellcheck disable=SC2016
        curl -sSfN --cacert "$folder/ca.crt" -H "Authorization: Bearer $token" "$server/api/v1/$1?watch=1" |
            jq --unbuffered -r --arg kind "$1" 'select(.type != "ERROR") | .type as $type | .object |
                [$kind, $type, "\(.metadata.name).\(.metadata.namespace)", .spec.clusterIP // .subsets[]?.addresses[]?.ip] |
                join(" ")' || true
        sleep 1
    done
}

watch_all() {
    # shellcheck disable=SC2046
    trap 'kill $(jobs -p); exit 0' TERM
    watch services &
    watch endpoints &
    wait
}

write_hosts() {
    local name ip
    for name in "${!services[@]}"; do
        for ip in ${services[$name]/None/${endpoints[$name]:-}}; do
            printf '%s %s.svc.cluster.local\n' "$ip" "$name"
        done
    done >"$folder/hosts.new"
    cmp -s "$folder/hosts.new" "$folder/hosts" && return
    mv "$folder/hosts.new" "$folder/hosts"
    kill -s HUP "$dnsmasq"
}

take() {
    local kind type name words
    while read -r kind type name words; do
        if [ "$type" = DELETED ]; then
            unset "${kind}[$name]"
        elif [ "$kind" = services ]; then
            services[$name]=$words
        else
            endpoints[$name]=$words
        fi
        write_hosts
    done
}

: >"$folder/hosts"
dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --log-facility=- --no-hosts --no-resolv \
    --listen-address="$address" --bind-interfaces --local=/cluster.local/ --addn-hosts="$folder/hosts" &
dnsmasq=$!
exec {lines}< <(watch_all)
watchers=$!
trap 'kill "$dnsmasq" "$watchers"' EXIT
trap 'exit 0' TERM
take <&"$lines"

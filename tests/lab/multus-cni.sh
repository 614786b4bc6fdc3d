#!/bin/bash
# Does what the CNI plugin of multus 3.2 does, which Debian does not have: eth0 by the first delegate of its
# configuration, then each network that the pod's annotation names, and what came of it into networks-status.
# What an ADD has run is kept for its DEL.
set -euo pipefail

kept=/var/lib/cni/multus/${CNI_CONTAINERID:-none}
conf=$(cat)
ca=$(mktemp)
trap 'rm -f "$ca"' EXIT

# refuse CODE TEXT: as every plugin says it.
refuse() {
    jq -n --argjson code "$1" --arg msg "$2" '{cniVersion: "0.3.1", code: $code, msg: $msg}'
    exit 1
}

# argument NAME: of CNI_ARGS.
argument() {
    tr ';' '\n' <<<"$CNI_ARGS" | sed -n "s/^$1=//p"
}

# api METHOD PATH [ARG...]
api() {
    local config
    config=$(jq -r .kubeconfig <<<"$conf")
    sed -n 's/^ *certificate-authority-data: //p' "$config" | base64 -d >"$ca"
    curl -sf --max-time 30 -X "$1" -H "Authorization: Bearer $(sed -n 's/^ *token: //p' "$config")" \
        --cacert "$ca" "${@:3}" "$(sed -n 's/^ *server: //p' "$config")$2"
}

# --- what is to be run: lines {ifname, network, conf}, one for each plugin ---

# The lab's pods have no ports of the host, so that there is no runtimeConfig to hand on.
of_the_cluster() {
    jq -c '.delegates[0] as $list | $list.plugins[] |
        {ifname: "eth0", network: $list.name, conf: (. + ($list | {cniVersion, name}))}' <<<"$conf"
}

# of_the_pod POD: of the two forms that its annotation may have, the list of objects.
of_the_pod() {
    local namespace name ifname nad
    jq -r '.metadata.namespace as $own | .metadata.annotations["k8s.v1.cni.cncf.io/networks"] // "[]" | fromjson | to_entries[] |
        "\(.value.namespace // $own) \(.value.name) \(.value.interface // "net\(.key + 1)")"' <<<"$1" |
        while read -r namespace name ifname; do
            nad=$(api GET "/apis/k8s.cni.cncf.io/v1/namespaces/$namespace/network-attachment-definitions/$name") || return 1
            jq -c --arg ifname "$ifname" '.metadata.name as $name |
                {$ifname, network: $name, conf: ({$name} + (.spec.config | fromjson))}' <<<"$nad"
        done
}

# --- the calls ---

# run COMMAND LINE [PREVIOUS-RESULT]
run() {
    local type
    type=$(jq -r .conf.type <<<"$2")
    jq -c --argjson prev "${3:-null}" '.conf + if $prev then {prevResult: $prev} else {} end' <<<"$2" |
        CNI_COMMAND=$1 CNI_IFNAME=$(jq -r .ifname <<<"$2") "${CNI_PATH%%:*}/$type"
}

# Prints what the last plugin of eth0 said. A line is kept before it is run.
add() {
    local line ifname result='' last='' said=''
    mkdir -p "${kept%/*}"
    rm -f "$kept" "$kept.results"
    while read -r line; do
        ifname=$(jq -r .ifname <<<"$line")
        [ "$ifname" = "$last" ] || result=
        last=$ifname
        printf '%s\n' "$line" >>"$kept"
        result=$(run ADD "$line" "$result") || {
            del >/dev/null
            printf '%s\n' "$result"
            return 1
        }
        jq -c --argjson line "$line" '{line: $line, result: .}' <<<"$result" >>"$kept.results"
        [ "$ifname" != eth0 ] || said=$result
    done
    printf '%s\n' "$said"
}

# Backwards, and all of them.
del() {
    local i status=0
    local -a steps
    [ -e "$kept" ] || return 0
    mapfile -t steps <"$kept"
    for ((i = ${#steps[@]} - 1; i >= 0; i--)); do
        run DEL "${steps[i]}" || status=1
    done
    [ "$status" -ne 0 ] || rm -f "$kept"
    return "$status"
}

# tell_status PATH: others may write the pod's status, too.
tell_status() {
    local pod status
    status=$(jq -cs 'group_by(.line.ifname) | map(last | .line as $line | .result |
        {name: $line.network, interface: $line.ifname, ips: [.ips[].address | split("/")[0]],
        mac: ([.interfaces[]? | select((.sandbox // "") != "")][0].mac), default: ($line.ifname == "eth0"), dns: {}})' "$kept.results")
    rm "$kept.results"
    for _ in 1 2 3 4 5; do
        pod=$(api GET "$1") || return 1
        pod=$(jq -c --arg status "$status" '.metadata.annotations["k8s.v1.cni.cncf.io/networks-status"] = $status' <<<"$pod")
        api PUT "$1/status" -H 'Content-Type: application/json' --data-binary "$pod" >/dev/null && return 0
    done
    return 1
}

case ${CNI_COMMAND:-} in
    VERSION) printf '%s\n' '{"cniVersion": "0.3.1", "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1"]}' ;;
    ADD)
        namespace=$(argument K8S_POD_NAMESPACE)
        path=/api/v1/namespaces/$namespace/pods/$(argument K8S_POD_NAME)
        lines=$(of_the_cluster)
        # Its default for systemNamespaces.
        if [ "$namespace" != kube-system ]; then
            pod=$(api GET "$path") || refuse 11 "Multus: Err in getting k8s pod"
            lines+=$'\n'$(of_the_pod "$pod") || refuse 11 "Multus: Err in getting k8s network from pod"
        fi
        said=$(grep . <<<"$lines" | add) || {
            printf '%s\n' "$said"
            exit 1
        }
        [ "$namespace" = kube-system ] || tell_status "$path" || refuse 11 "Multus: Err set the networks status"
        printf '%s\n' "$said"
        ;;
    DEL) del ;;
esac

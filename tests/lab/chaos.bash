# shellcheck shell=bash
# Two replicas of network-controller under everything that can go wrong around them. Sourced after
# lab.bash and kube.bash.
#
#   chaos_start CONTROLLER TOOLS PODS   control plane `k`, subnets, and what stands between them and
#                                       the replicas `one` and `two`; TOOLS is the folder of ctl_*
#   chaos_round KIND SECONDS SEED       pods come and go under faults of this kind; then there is
#                                       peace, and all must be right. 1 and what is wrong, otherwise
#   chaos_kinds                         print the kinds
#
# ctl_churn.c makes the pods, ctl_checker.c watches for addresses that two of them have, and
# chaos-state.jq says what must be true at the end. Both speak to the API server itself; only the
# replicas go through api-proxy.py, which makes the faults. As a kubelet would, we start a replica
# again when it has ended.

chaos_kinds() {
    printf '%s\n' kill freeze answers slow watches compact server etcd all
}

chaos_start() {
    local dir
    CHAOS_CONTROLLER=$1 CHAOS_TOOLS=$2 CHAOS_PODS=$3
    export LAB_KUBE_COMPACT=2s
    lab_kube k || return 1
    dir=$LAB_DIR/addons
    "$FLATNET" addons render --mode multus --kube-version 1.20 -o "$dir" >/dev/null || return 1
    lab_kubectl k apply -f "$dir/macvlan-network.yml" >/dev/null || return 1
    lab_kubectl k wait --for condition=established crd --all --timeout "$(lab_patience 120)s" >/dev/null || return 1
    chaos_subnets | lab_kubectl k apply -f - >/dev/null || return 1
    lab_kubectl k create namespace chaos >/dev/null || return 1
    lab_kube_collector k || return 1
    chaos_faults '{}'
    lab_spawn proxy "$LAB_HOME/api-proxy.py" --addr-file "$LAB_DIR/proxy.addr" --faults "$LAB_DIR/faults" \
        --log "$LAB_DIR/proxy.faults" --upstream "127.0.0.1:$(cat "$LAB_DIR/k.port")" --ca "$LAB_DIR/ca.crt" \
        --tls-cert "$LAB_DIR/server.crt" --tls-key "$LAB_DIR/server.key" --seed "${SEED:-1}"
    lab_ready proxy 30 test -s "$LAB_DIR/proxy.addr" || return 1
    sed -e "s/token: .*}/token: $(lab_kube_token k kube-system network-controller)}}/" \
        -e "s|$(lab_kube_url k)|https://$(cat "$LAB_DIR/proxy.addr")|" "$(lab_kube_config k)" >"$LAB_DIR/chaos.config"
}

# As many addresses as there can be pods that want one, so that each that is lost is missed.
chaos_subnets() {
    local units=$(((CHAOS_PODS + 19) / 20))
    chaos_subnet c-auto 80 10.80.0.2 "10.80.0.$((3 + 7 * units))"
    chaos_subnet c-other 81 10.80.0.2 "10.80.0.$((3 + 4 * units))"
    chaos_subnet c-rest 80 10.80.1.2 "10.80.1.$((3 + 4 * units))" 'ipDelayReuse: 2'
    chaos_subnet c-fix 80 10.80.2.10 10.80.2.250
}

chaos_subnet() {
    cat <<YAML
apiVersion: macvlan.cluster.cattle.io/v1
kind: MacvlanSubnet
metadata: {name: $1, namespace: kube-system}
spec:
  master: eth0
  vlan: $2
  cidr: 10.80.0.0/16
  ranges: [{rangeStart: $3, rangeEnd: $4}]
  ${5:-}
---
YAML
}

# --- replicas ---

# Starts what does not run. Never the same lease for long: 3 s, so that much happens.
chaos_tend() {
    local name
    for name in one two; do
        if lab_is_gone "$name"; then
            printf -- '--- start\n' >>"$LAB_DIR/$name.log"
            lab_spawn "$name" "$CHAOS_CONTROLLER" --kubeconfig "$LAB_DIR/chaos.config" --listen 127.0.0.1:0 \
                --leader-elect-lease-duration 3 --leader-elect-renew-deadline 2 --leader-elect-retry-period 1
        fi
    done
}

chaos_stop_replicas() {
    lab_stop one
    lab_stop two
}

chaos_leads() {
    awk '/^--- start/ { leads = 0 } /^note: leading/ { leads = 1 } END { exit !leads }' "$LAB_DIR/$1.log"
}

# Print the replica that says that it leads, or 1.
chaos_leader() {
    local name
    for name in one two; do
        if chaos_leads "$name" && ! lab_is_gone "$name"; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    return 1
}

chaos_has_leader() {
    chaos_tend
    chaos_leader >/dev/null
}

chaos_signal() {
    local pid
    pid=$(lab_pid "$1") && kill -s "$2" "$pid"
}

# chaos_pause LIMIT: sleep up to LIMIT tenths of a second.
chaos_pause() {
    local tenths=$((RANDOM % ($1 + 1)))
    sleep "$((tenths / 10)).$((tenths % 10))"
}

# --- faults ---

chaos_faults() {
    lab_put "$LAB_DIR/faults" "$1"
}

# Each is called again and again until the pods rest; what it leaves behind, chaos_peace mends.

chaos_kill() {
    lab_wait 8 chaos_has_leader || return 0
    chaos_pause "${CHAOS_PAUSE:-10}"
    lab_stop "$(chaos_leader || printf one)" KILL
    # Now and then both, so that a new process must stand by for its whole time.
    [ $((RANDOM % 4)) -ne 0 ] || { lab_stop one KILL; lab_stop two KILL; }
    chaos_tend
}

chaos_freeze() {
    local leader
    lab_wait 8 chaos_has_leader || return 0
    chaos_pause "${CHAOS_PAUSE:-10}"
    leader=$(chaos_leader) || return 0
    chaos_signal "$leader" STOP || return 0
    CHAOS_FROZEN=$leader
    lab_wait 15 chaos_other_leads "$leader" || true
    chaos_pause 5
    chaos_signal "$leader" CONT || true
    CHAOS_FROZEN=
}

chaos_other_leads() {
    local other=one
    [ "$1" = two ] || other=two
    chaos_tend
    chaos_leads "$other"
}

chaos_answers() {
    chaos_faults '{"refuse": {"409": 0.04, "429": 0.04, "500": 0.04, "503": 0.04},
        "lose": {"409": 0.04, "500": 0.04, "503": 0.04}, "hang_up": 0.03, "forget": 0.04, "cut": 0.04}'
    chaos_doze 2
}

chaos_slow() {
    chaos_faults '{"late": 0.2, "slow": 0.2}'
    chaos_doze 2
}

# Cut, or away for a while and then too old: what came and went meanwhile is never seen.
chaos_watches() {
    chaos_faults '{"watch_s": 2, "expire": 0.2}'
    chaos_doze 2
    chaos_faults '{"no_watch": true}'
    chaos_doze 2
    chaos_faults '{"expire": 1}'
    chaos_doze 1
}

# The server forgets, too, and etcd does after two seconds: it is the server that says 410.
chaos_compact() {
    chaos_faults '{"no_watch": "hang_up"}'
    chaos_doze 2
    lab_kube_restart k
    chaos_faults '{}'
    chaos_doze 2
}

chaos_server() {
    chaos_doze 3
    lab_kube_restart k
}

chaos_etcd() {
    chaos_doze 3
    lab_etcd_restart k-etcd
}

# Late and lost answers all the time, and one of the others after the other.
chaos_all() {
    local -a each=(kill freeze kill freeze server etcd)
    local CHAOS_PAUSE=40
    chaos_faults '{"refuse": {"409": 0.02, "429": 0.02, "500": 0.02, "503": 0.02},
        "lose": {"500": 0.03, "503": 0.02}, "hang_up": 0.02, "forget": 0.03, "cut": 0.03,
        "late": 0.1, "slow": 0.1, "watch_s": 20, "expire": 0.05}'
    "chaos_${each[RANDOM % ${#each[@]}]}"
}

# chaos_doze SECONDS: let the pods come and go, and the replicas with them.
chaos_doze() {
    local end=$((SECONDS + $1))
    while [ "$SECONDS" -lt "$end" ] && ! lab_is_gone churn; do
        chaos_tend
        sleep 0.1
    done
}

chaos_peace() {
    chaos_faults '{}'
    [ -z "${CHAOS_FROZEN:-}" ] || chaos_signal "$CHAOS_FROZEN" CONT
    chaos_tend
}

# --- a round ---

chaos_round() {
    local kind=$1 seconds=$2 seed=$3 status=0
    RANDOM=$seed
    rm -f "$LAB_DIR/churn.log" "$LAB_DIR/checker.log"
    lab_spawn checker "$CHAOS_TOOLS/ctl_checker" "$(lab_kube_config k)"
    chaos_tend
    lab_spawn churn "$CHAOS_TOOLS/ctl_churn" "$(lab_kube_config k)" chaos "$seconds" "$CHAOS_PODS" "${CHAOS_RATE:-40}" "$seed"
    while ! lab_is_gone churn; do
        "chaos_$kind"
    done
    chaos_peace
    lab_wait 120 chaos_is_right || status=1
    chaos_stop_checker || status=1
    [ "$status" -eq 0 ] || chaos_tell "$kind" "$seed" || true
    chaos_empty || status=1
    return "$status"
}

# What the state is, as chaos-state.jq wants it.
chaos_state() {
    local kind
    for kind in pods macvlanips macvlansubnets statefulsets; do
        lab_kubectl k get "$kind" -A -o json >"$LAB_DIR/state.$kind" || return 1
    done
    jq -n --slurpfile pods "$LAB_DIR/state.pods" --slurpfile ips "$LAB_DIR/state.macvlanips" \
        --slurpfile subnets "$LAB_DIR/state.macvlansubnets" --slurpfile sets "$LAB_DIR/state.statefulsets" \
        '{pods: $pods[0].items, ips: $ips[0].items, subnets: $subnets[0].items, sets: $sets[0].items}'
}

# chaos_problems: print what is wrong now.
chaos_problems() {
    chaos_state >"$LAB_DIR/state" && jq -r -f "$LAB_HOME/chaos-state.jq" "$LAB_DIR/state"
}

chaos_is_right() {
    chaos_tend
    chaos_problems >"$LAB_DIR/problems" 2>&1 && ! [ -s "$LAB_DIR/problems" ]
}

# Its judgement: 1 when there was a violation, or none could be said.
chaos_stop_checker() {
    chaos_signal checker TERM || return 1
    lab_wait 60 lab_is_gone checker
    grep -q '^checked: .* 0 violations$' "$LAB_DIR/checker.log"
}

# The pods and sets go, and all addresses with them.
chaos_empty() {
    chaos_clear || return 1
    lab_wait 60 chaos_is_empty || chaos_tell empty -
}

chaos_clear() {
    lab_kubectl k delete --raw '/apis/apps/v1/namespaces/chaos/statefulsets' >/dev/null &&
        lab_kubectl k delete --raw '/api/v1/namespaces/chaos/pods?gracePeriodSeconds=0' >/dev/null
}

chaos_is_empty() {
    chaos_is_right && jq -e '.ips == [] and all(.subnets[]; .status.used == 0)' "$LAB_DIR/state" >/dev/null
}

chaos_tell() {
    cp "$LAB_DIR/checker.log" "$LAB_DIR/checker.$1.$2.log"
    {
        printf -- '--- round of %s, seed %s\n' "$1" "$2"
        cat "$LAB_DIR/churn.log" "$LAB_DIR/problems"
        grep -A 3 -E '^(violation|checked)' "$LAB_DIR/checker.log" | head -n 60
        tail -n 15 "$LAB_DIR/one.log" "$LAB_DIR/two.log"
    } >&2
    return 1
}

# chaos_figures: one line about the last round.
chaos_figures() {
    cat "$LAB_DIR/churn.log"
    grep -E '^checked:' "$LAB_DIR/checker.log"
}

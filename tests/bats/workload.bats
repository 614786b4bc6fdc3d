#!/usr/bin/env bats
# flatnet workload before a real API server, with kube-controller-manager and network-controller.
# timeout: 900
# shellcheck disable=SC2154

load helper
load controller

ASK=macvlan.pandaria.cattle.io

setup_file() {
    controller_setup_file controllers
}

teardown_file() {
    lab_cleanup
}

setup() {
    controller_setup
    KUBECONFIG=$(lab_kube_config k)
    export KUBECONFIG
}

# begin N: a subnet wN of its own, 10.N.0.0/24.
begin() {
    net=w$1
    "$FLATNET" subnet create "$net" --master eth0 --vlan "$1" --cidr "10.$1.0.0/24" >/dev/null
}

teardown() {
    lab_stop one
}

# workload KIND NAME [FIELD...]: with one replica, and FIELDs of its spec. A CronJob's API is $cron.
workload() {
    local template='metadata: {labels: {app: '"$2"'}}
    spec: {containers: [{name: c, image: x}]}'
    printf 'metadata: {name: %s, namespace: %s}\nkind: %s\n' "$2" "$ns" "$1"
    case $1 in
    CronJob)
        printf 'apiVersion: %s\nspec:\n  schedule: "0 0 1 1 *"\n  jobTemplate:\n    spec:\n      template:\n        %s\n' \
            "${cron:-batch/v1beta1}" "$(sed 's/^    /        /; s/spec: {/spec: {restartPolicy: Never, /' <<<"$template")"
        ;;
    Job) printf 'apiVersion: batch/v1\nspec:\n  template:\n    %s\n' "${template/spec: \{/spec: \{restartPolicy: Never, }" ;;
    *) printf 'apiVersion: apps/v1\nspec:\n  selector: {matchLabels: {app: %s}}\n  template:\n    %s\n' "$2" "$template" ;;
    esac
    [ "$1" != StatefulSet ] || printf '  serviceName: x\n'
    [ $# -lt 3 ] || printf '  %s\n' "${@:3}"
    printf -- '---\n'
}

# asked RESOURCE [PATH]: the annotations of its template, sorted.
asked() {
    kubectl get -n "$ns" "$1" -o json | jq -Sc "${2:-.spec.template}.metadata.annotations"
}

enable() {
    run_flatnet workload enable "$@" -n "$ns"
}

@test "enable and disable a Deployment: all that the form sets, and nothing of it is left" {
    begin 1
    workload Deployment web 'replicas: 2' | kubectl apply -f - >/dev/null
    kubectl get -n "$ns" deployment web -o json | jq -S '.spec' >before
    enable deploy/web --subnet "$net" --ip 10.1.0.10,10.1.0.11 --mac 0a:00:00:00:00:01,0a:00:00:00:00:02 --dry-run
    assert_status 0
    diff "$stdout_file" - <<'END'
+ metadata.labels[macvlan.panda.io/macvlanIpType]: "specific"
+ metadata.labels[macvlan.pandaria.cattle.io/subnet]: "w1"
+ metadata.annotations[macvlan.panda.io/strategyBefore]: "{\"maxSurge\":\"25%\",\"maxUnavailable\":\"25%\"}"
+ spec.template.metadata.annotations[macvlan.pandaria.cattle.io/ip]: "10.1.0.10-10.1.0.11"
+ spec.template.metadata.annotations[macvlan.pandaria.cattle.io/subnet]: "w1"
+ spec.template.metadata.annotations[macvlan.pandaria.cattle.io/mac]: "0a:00:00:00:00:01-0a:00:00:00:00:02"
+ spec.template.metadata.annotations[k8s.v1.cni.cncf.io/networks]: "[{\"name\":\"static-macvlan-cni-attach\",\"interface\":\"eth1\"}]"
- spec.strategy.rollingUpdate.maxSurge: "25%"
+ spec.strategy.rollingUpdate.maxSurge: 0
END
    kubectl get -n "$ns" deployment web -o json | jq -S '.spec' | diff before -
    enable deploy/web --subnet "$net" --ip 10.1.0.10,10.1.0.11 --mac 0a:00:00:00:00:01,0a:00:00:00:00:02
    assert_status 0
    assert_equal "$output" 'deployment/web enabled'
    assert_equal "$(asked deployment/web)" "$(jq -Sc . <<JSON
{"$ASK/ip": "10.1.0.10-10.1.0.11", "$ASK/subnet": "w1", "$ASK/mac": "0a:00:00:00:00:01-0a:00:00:00:00:02",
 "k8s.v1.cni.cncf.io/networks": "[{\"name\":\"static-macvlan-cni-attach\",\"interface\":\"eth1\"}]"}
JSON
)"
    kubectl get -n "$ns" deployment web -o json | jq -e '.spec.strategy.rollingUpdate == {maxSurge: 0, maxUnavailable: "25%"} and
        .metadata.labels == {"macvlan.panda.io/macvlanIpType": "specific", "macvlan.pandaria.cattle.io/subnet": "w1"}'
    enable deployment web --subnet "$net" --ip 10.1.0.10,10.1.0.11 --mac 0a:00:00:00:00:01,0a:00:00:00:00:02
    assert_status 0
    assert_equal "$output" 'deployment/web unchanged'
    # The pods get what was asked for. Nothing makes pods ready here, so that a rollout would stand still.
    kubectl scale -n "$ns" deployment web --replicas 0
    start_patient one
    kubectl scale -n "$ns" deployment web --replicas 2
    wait_two() {
        [ "$(ips | cut -d ' ' -f 2 | sort | paste -sd ' ')" = '10.1.0.10/24 10.1.0.11/24' ]
    }
    lab_wait 60 wait_two || fail "$(ips)"
    # Automatic ones need no such strategy.
    enable deployment/web --subnet "$net" --format json
    assert_json '.schemaVersion == 1 and .changed and .kind == "Deployment" and .patch.spec.strategy.rollingUpdate.maxSurge == "25%"'
    kubectl get -n "$ns" deployment web -o json | jq -e '.spec.strategy.rollingUpdate.maxSurge == "25%" and .metadata.labels["macvlan.panda.io/macvlanIpType"] == "auto"'
    enable deployment/web --subnet "$net" --ip 10.1.0.10-10.1.0.11
    run_flatnet workload disable deployment/web -n "$ns"
    assert_status 0
    assert_equal "$output" 'deployment/web disabled'
    kubectl get -n "$ns" deployment web -o json | jq -S '.spec' | jq 'del(.template.metadata.annotations | select(. == {}))' | diff before -
    kubectl get -n "$ns" deployment web -o json | jq -e '.metadata | (.labels // {}) == {} and .annotations["macvlan.panda.io/strategyBefore"] == null'
    run_flatnet workload disable deployment/web -n "$ns"
    assert_status 0
    assert_equal "$output" 'deployment/web unchanged'
}

@test "what somebody else has set stays: networks, a strategy chosen later" {
    begin 2
    workload Deployment web 'replicas: 0' 'strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}' | kubectl apply -f - >/dev/null
    kubectl patch -n "$ns" deployment web --type merge -p '{"spec": {"template": {"metadata": {"annotations": {
        "k8s.v1.cni.cncf.io/networks": "storage@net7", "mine": "x"}}}}}'
    enable deploy/web --subnet "$net" --ip 10.2.0.9
    assert_status 0
    assert_equal "$(asked deployment/web | jq -r '.["k8s.v1.cni.cncf.io/networks"]')" \
        '[{"name":"storage","interface":"net7"},{"name":"static-macvlan-cni-attach","interface":"eth1"}]'
    kubectl get -n "$ns" deployment web -o json | jq -e '.spec.strategy.rollingUpdate == {maxSurge: 0, maxUnavailable: 1}'
    kubectl patch -n "$ns" deployment web --type merge -p '{"spec": {"strategy": {"rollingUpdate": {"maxSurge": 2}}}}'
    run_flatnet workload disable deploy/web -n "$ns"
    assert_equal "$(asked deployment/web)" '{"k8s.v1.cni.cncf.io/networks":"[{\"name\":\"storage\",\"interface\":\"net7\"}]","mine":"x"}'
    kubectl get -n "$ns" deployment web -o json | jq -e '.spec.strategy.rollingUpdate == {maxSurge: 2, maxUnavailable: 1}'
    kubectl patch -n "$ns" deployment web --type merge -p '{"spec": {"template": {"metadata": {"annotations": {
        "k8s.v1.cni.cncf.io/networks": "[{"}}}}}'
    enable deploy/web --subnet "$net"
    assert_status 2
    assert_contains "annotation 'k8s.v1.cni.cncf.io/networks' of the pod template cannot be read; mend it first" stderr
    # In chained mode there is none.
    enable deploy/web --subnet "$net" --mode chained
    assert_status 0
    assert_equal "$(asked deployment/web | jq -c 'del(.["k8s.v1.cni.cncf.io/networks"])')" "{\"$ASK/ip\":\"auto\",\"$ASK/subnet\":\"w2\",\"mine\":\"x\"}"
}

@test "every kind, by every name, and a Job that cannot be changed" {
    begin 3
    { workload StatefulSet db; workload DaemonSet each; workload CronJob night; workload Job once; } |
        kubectl apply -f - >/dev/null
    enable sts/db --subnet "$net" --ip 10.3.0.10
    assert_status 0
    assert_equal "$(asked statefulset/db | jq -r ".[\"$ASK/ip\"]")" 10.3.0.10
    enable DaemonSet each --subnet "$net" --ip 10.3.0.20
    assert_status 0
    assert_contains 'a DaemonSet has a pod on each node' stderr
    enable cronjobs.batch/night --subnet "$net" --ip 10.3.0.30
    assert_status 0
    assert_contains 'set concurrencyPolicy to Forbid or Replace' stderr
    assert_equal "$(asked cronjob/night .spec.jobTemplate.spec.template | jq -r ".[\"$ASK/ip\"]")" 10.3.0.30
    enable cj/night --subnet "$net"
    assert_equal "$(asked cronjob/night .spec.jobTemplate.spec.template | jq -r ".[\"$ASK/ip\"]")" auto
    run_flatnet workload disable cj night -n "$ns"
    assert_equal "$(asked cronjob/night .spec.jobTemplate.spec.template)" null
    enable job/once --subnet "$net"
    assert_status 1
    assert_contains 'the pod template of a Job can never be changed; delete the Job' stderr
    # A server that has CronJobs under the one version only was asked for both above.
    enable sts/none --subnet "$net"
    assert_status 1
    assert_contains "there is no statefulset 'none' in namespace '$ns'; '-n' names another one" stderr
    enable cj/none --subnet "$net"
    assert_status 1
    assert_contains "there is no cronjob 'none'" stderr
}

@test "what cannot work is refused before anything is written" {
    begin 4
    refused() {
        local want=$1 text=$2
        shift 2
        enable "$@"
        assert_status "$want"
        assert_contains "$text" stderr
    }
    start_patient one
    { workload Deployment web 'replicas: 2'; workload Deployment other 'replicas: 0'; } | kubectl apply -f - >/dev/null
    "$FLATNET" workload enable deploy/other -n "$ns" --subnet "$net" --ip 10.4.0.40
    pod single 10.4.0.50 "$net" 0a:00:00:00:00:09 | kubectl apply -f - >/dev/null
    lab_wait 20 has_address single 10.4.0.50/24
    refused 2 "'--subnet' is missing" deploy/web
    refused 2 'name one workload' deploy
    refused 2 'name one workload' deploy/web web --subnet "$net"
    refused 2 "'replicaset' is no kind of workload" replicaset/web --subnet "$net"
    refused 2 "'We b' cannot be the name" 'deploy/We b' --subnet "$net"
    refused 2 "'--mode' takes multus or chained" deploy/web --subnet "$net" --mode x
    refused 1 "--subnet: there is no subnet 'w99'" deploy/web --subnet w99
    refused 2 "--subnet: subnet name 'W_' is not valid" deploy/web --subnet W_
    refused 2 '--ip: invalid annotation ip list: 10.4.0.300' deploy/web --subnet "$net" --ip 10.4.0.300
    refused 2 '--ip: ip duplicate in list: 10.4.0.5' deploy/web --subnet "$net" --ip 10.4.0.5,10.4.0.5
    refused 2 '--ip: count of IP and Mac not equal: 2 1' deploy/web --subnet "$net" --ip 10.4.0.5,10.4.0.6 --mac 0a:00:00:00:00:01
    refused 2 '--mac: parse single mac address error' deploy/web --subnet "$net" --ip 10.4.0.5 --mac 0a:00
    refused 2 '--mac: mac duplicate' deploy/web --subnet "$net" --mac 0a:00:00:00:00:01,0a:00:00:00:00:01
    refused 2 '--mac: deployment/web has 2 pods, but only 1 MAC is named' deploy/web --subnet "$net" --mac 0a:00:00:00:00:01
    refused 2 '--ip: deployment/web has 2 pods, but only 1 address is named; name 1 more' deploy/web --subnet "$net" --ip 10.4.0.5
    refused 2 "--ip: '10.5.0.5' is not in the network and ranges of subnet '$net'" deploy/web --subnet "$net" --ip 10.4.0.5,10.5.0.5
    refused 2 "--ip: '10.4.0.1' is the gateway of" deploy/web --subnet "$net" --ip 10.4.0.5,10.4.0.1
    refused 2 "--ip: '10.4.0.255' is the broadcast address of" deploy/web --subnet "$net" --ip 10.4.0.5,10.4.0.255
    refused 1 "--ip: '10.4.0.50' is used by '$ns/single'" deploy/web --subnet "$net" --ip 10.4.0.5,10.4.0.50
    refused 1 "--ip: '10.4.0.40' is reserved by '$ns/deployment/other'" deploy/web --subnet "$net" --ip 10.4.0.5,10.4.0.40
    refused 1 "--mac: '0a:00:00:00:00:09' has pod '$ns/single'" deploy/web --subnet "$net" --mac 0a:00:00:00:00:01,0a:00:00:00:00:09
    kubectl annotate namespace "$ns" field.cattle.io/projectId=c-a:p-b
    kubectl label macvlansubnet -n kube-system "$net" --overwrite project=c-a-p-c
    refused 2 '--subnet: web(c-a-p-b) is not own by c-a-p-c' deploy/web --subnet "$net"
    assert_equal "$(asked deployment/web)" null
    # More than the pods are.
    kubectl label macvlansubnet -n kube-system "$net" --overwrite project=
    kubectl scale -n "$ns" deployment web --replicas 0
    enable deploy/web --subnet "$net" --ip 10.4.0.5,10.4.0.6,10.4.0.7
    assert_status 0
    kubectl scale -n "$ns" deployment web --replicas 2
    # Its own addresses are not in its way.
    wait_ips 3
    enable deploy/web --subnet "$net" --ip 10.4.0.7,10.4.0.6,10.4.0.5
    assert_status 0
}

@test "the patch holds for the version of the workload that was looked at, and for no other" {
    begin 5
    workload Deployment web 'replicas: 0' | kubectl apply -f - >/dev/null
    enable deploy/web --subnet "$net" --ip 10.5.0.9 --dry-run --format json
    assert_status 0
    assert_json '.dryRun and .changed'
    jq -c .patch "$stdout_file" >patch.json
    kubectl annotate -n "$ns" deployment web somebody=else
    run kubectl patch -n "$ns" deployment web --type merge -p "$(cat patch.json)"
    [[ $status -ne 0 && $output == *'the object has been modified'* ]]
}

@test "show: what is asked for, what each pod has, and why one waits" {
    begin 6
    start_patient one
    workload Deployment web 'replicas: 0' | kubectl apply -f - >/dev/null
    enable deploy/web --subnet "$net" --ip 10.6.0.10,10.6.0.11
    kubectl scale -n "$ns" deployment web --replicas 2
    wait_ips 2
    # One pod more than addresses.
    kubectl scale -n "$ns" deployment web --replicas 3
    is_waiting() {
        run_flatnet workload show deploy/web -n "$ns" --format json
        jq -e '[.pods[] | select(.waits)] | length == 1 and (.[0].waits | test("No enough ip resouce in subnet"))' "$stdout_file"
    }
    lab_wait 30 is_waiting || fail "$output"
    assert_json '.schemaVersion == 1 and .subnet == "w6" and .ip == "10.6.0.10-10.6.0.11" and
        ([.pods[].cidr | select(.)] | sort) == ["10.6.0.10/24", "10.6.0.11/24"] and all(.pods[]; .ready == false)'
    run_flatnet workload show deployment web -n "$ns"
    assert_status 0
    assert_contains 'subnet:      w6'
    assert_equal "$(grep -c '^web-.* 10.6.0.1[01]/24  02:.* no     Pending$' "$stdout_file")" 2
    assert_equal "$(grep -c '^web-.* waits: No enough ip resouce in subnet' "$stdout_file")" 1
    workload StatefulSet half 'replicas: 0' | kubectl apply -f - >/dev/null
    kubectl patch -n "$ns" sts half --type merge -p '{"spec": {"template": {"metadata": {"annotations": {"'$ASK'/ip": "auto"}}}}}'
    run_flatnet workload show sts/half -n "$ns"
    assert_status 0
    assert_contains "warning:     the pod gets no macvlan address, since it has no annotation '$ASK/subnet'"
    assert_contains 'no pods'
    run_flatnet workload show sts/none -n "$ns"
    assert_status 1
}

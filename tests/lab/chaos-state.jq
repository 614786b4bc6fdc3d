# What is wrong with the state at rest: one line each, nothing when all is well. Input: {pods, ips,
# subnets, sets}, each a list of objects. One function for each part of the controller, listed at the
# end; endpoints of services get theirs there.

def name: "\(.metadata.namespace)/\(.metadata.name)";
def address: .spec.cidr | split("/")[0];
def segment: "\(.spec.network.master) \(.spec.network.vlan)";
def annotation($key): .metadata.annotations["macvlan.pandaria.cattle.io/" + $key];
def is_ours: annotation("ip") and annotation("subnet");
def lives: .status.phase | . != "Succeeded" and . != "Failed";

# Every living pod has exactly one MacvlanIP, the right one, and says so in its labels.
def check_pods:
    .ips as $ips | .pods[] | select(is_ours and lives) | . as $pod
    | [$ips[] | select(.spec.podId == $pod.metadata.uid)] as $own
    | if ($own | length) != 1 then "\(name): \($own | length) MacvlanIPs with its UID"
      else $own[0]
        | if name != ($pod | name) then "\($pod | name): its MacvlanIP is called \(name)" else empty end,
          if .spec.subnet != ($pod | annotation("subnet")) then "\(name): subnet \(.spec.subnet)" else empty end,
          if .metadata.deletionTimestamp then "\(name): its MacvlanIP is being deleted" else empty end,
          if ($pod | annotation("ip")) != "auto" and (address as $a | $pod | annotation("ip") | split("-") | index($a) | not)
          then "\(name): \(address) is none of \($pod | annotation("ip"))" else empty end,
          if ($pod | annotation("mac") | . != null and . != "" and . != ($own[0].spec.mac))
          then "\(name): MAC \(.spec.mac), not \($pod | annotation("mac"))" else empty end,
          if $pod.metadata.labels["macvlan.pandaria.cattle.io/selectedIp"] != address
          then "\(name): label \($pod.metadata.labels["macvlan.pandaria.cattle.io/selectedIp"]), address \(address)"
          else empty end
      end;

# Every MacvlanIP belongs to a living pod, or to a StatefulSet that is there.
def check_orphans:
    ([.pods[] | select(lives) | .metadata.uid] + [.sets[].metadata.uid]) as $there
    | .ips[] | select([.spec.podId, (.metadata.ownerReferences // [] | .[] | select(.kind == "StatefulSet") | .uid)]
                      | any(. as $uid | $there | index($uid)) | not)
    | "\(name): an orphan, of pod \(.spec.podId)";

def check_shared:
    (.ips | group_by([segment, address])[] | select(length > 1)
     | "\(map(name) | join(", ")): all have \(.[0] | address) in \(.[0] | segment)"),
    ([.ips[] | select(.spec.mac != "")] | group_by([segment, .spec.mac])[] | select(length > 1)
     | "\(map(name) | join(", ")): all have \(.[0].spec.mac) in \(.[0] | segment)");

def check_counts:
    .ips as $ips | .subnets[] | .metadata.name as $name
    | ([$ips[] | select(.spec.subnet == $name) | address] | unique | length) as $used
    | .status
    | if .used != $used then "\($name): used \(.used), and there are \($used)" else empty end,
      if .total != .used - .outside + .free + .reserved + .cooling
      then "\($name): the counts do not add up: \(del(.intents) | tojson)" else empty end,
      if .cooling != 0 then "\($name): \(.cooling) cooling" else empty end,
      if .intents != [] then "\($name): \(.intents | length) intents are left" else empty end;

check_pods, check_orphans, check_shared, check_counts

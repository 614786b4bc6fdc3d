#!/usr/bin/python3
"""What scheduler and kubelets say about pods, for a control plane without them.

  pod-status.py --server URL --ca FILE --token TOKEN --faults FILE

Pods get a node (that of their affinity, else the first) and become Ready; pods that are being deleted go;
nodes stay Ready. No container runs. The faults file is a JSON object that may change at any time: a key is a
part of an image's name, the value what happens to the containers of such images: "ImagePullBackOff", or
"crash N" (exit status N, CrashLoopBackOff), or "hold" (pods are not touched, also when they are to go).
"""
import argparse
import json
import ssl
import time
import urllib.error
import urllib.request

NOW = "%Y-%m-%dT%H:%M:%SZ"


class Api:
    def __init__(self, server: str, ca: str, token: str) -> None:
        self.server, self.token = server, token
        self.context = ssl.create_default_context(cafile=ca)

    def do(self, method: str, path: str, body=None, content: str = "application/json"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data, method=method, headers={
            "Authorization": f"Bearer {self.token}", "Content-Type": content})
        with urllib.request.urlopen(request, context=self.context, timeout=30) as answer:
            return json.load(answer)


def node_status() -> dict:
    now = time.strftime(NOW, time.gmtime())
    return {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Lab", "message": "",
                                       "lastHeartbeatTime": now, "lastTransitionTime": now}]}}


def wanted_node(pod: dict, nodes: list) -> str:
    terms = (pod["spec"].get("affinity", {}).get("nodeAffinity", {})
             .get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", []))
    for term in terms:
        for field in term.get("matchFields", []):
            return field["values"][0]
    return nodes[0]


def container_status(container: dict, fault: str, is_init: bool) -> dict:
    now = time.strftime(NOW, time.gmtime())
    status = {"name": container["name"], "image": container["image"], "imageID": "", "restartCount": 0,
              "ready": not fault}
    if fault.startswith("crash "):
        ended = {"exitCode": int(fault[6:]), "reason": "Error", "startedAt": now, "finishedAt": now}
        status.update(state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                      lastState={"terminated": ended})
    elif fault:
        status["state"] = {"waiting": {"reason": fault, "message": f"Back-off pulling image \"{container['image']}\""}}
    elif is_init:
        status["state"] = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    else:
        status["state"] = {"running": {"startedAt": now}}
    return status


def pod_status(pod: dict, faults: dict) -> dict:
    def fault_of(container: dict) -> str:
        return next((fault for part, fault in faults.items() if part in container["image"]), "")
    now = time.strftime(NOW, time.gmtime())
    spec = pod["spec"]
    init = [container_status(c, fault_of(c), True) for c in spec.get("initContainers", [])]
    main = [container_status(c, fault_of(c), False) for c in spec["containers"]]
    ready = "True" if all(c["ready"] for c in init + main) else "False"
    conditions = [{"type": t, "status": s, "lastTransitionTime": now} for t, s in
                  (("PodScheduled", "True"), ("Initialized", ready), ("ContainersReady", ready), ("Ready", ready))]
    return {"status": {"phase": "Running" if ready == "True" else "Pending", "conditions": conditions,
                       "initContainerStatuses": init, "containerStatuses": main, "startTime": now}}


def essence(status: dict):
    return [[c["name"], sorted(c["state"]), c["state"].get("waiting", {}).get("reason"), c["image"]]
            for c in status.get("containerStatuses", [])]


def look_at(api: Api, pod: dict, nodes: list, faults: dict) -> None:
    meta = pod["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
    if any(faults.get(part) == "hold" for c in pod["spec"]["containers"] for part in faults if part in c["image"]):
        return
    if meta.get("deletionTimestamp"):
        api.do("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
    elif not pod["spec"].get("nodeName"):
        api.do("POST", path + "/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]},
                                           "target": {"kind": "Node", "name": wanted_node(pod, nodes)}})
    else:
        status = pod_status(pod, faults)
        if essence(status["status"]) != essence(pod.get("status", {})):
            api.do("PATCH", path + "/status", status, "application/strategic-merge-patch+json")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("server", "ca", "token", "faults"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    api, beat = Api(args.server, args.ca, args.token), 0.0
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
        try:
            with open(args.faults, encoding="utf-8") as file:
                faults = json.load(file)
            nodes = [n["metadata"]["name"] for n in api.do("GET", "/api/v1/nodes")["items"]]
            if time.monotonic() - beat > 5:
                beat = time.monotonic()
                for node in nodes:
                    api.do("PATCH", f"/api/v1/nodes/{node}/status", node_status(),
                           "application/strategic-merge-patch+json")
            pods = api.do("GET", "/api/v1/pods")["items"] if nodes else []
        except (OSError, ValueError) as error:
            print(error, flush=True)
            continue
        for pod in pods:
            try:
                look_at(api, pod, nodes, faults)
            except (OSError, urllib.error.HTTPError) as error:
                print(pod["metadata"]["name"], error, flush=True)


main()

#!/bin/sh
# What the entrypoint of multus' image 3.2 does: the plugin, its configuration and its kubeconfig onto the
# host, once.
set -eu
account=/var/run/secrets/kubernetes.io/serviceaccount host=/host/etc/cni/net.d
busybox cp -f /usr/src/multus-cni/bin/multus /host/opt/cni/bin/multus
busybox mkdir -p "$host/multus.d"
umask 077
cat >"$host/multus.d/multus.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT
    certificate-authority-data: $(busybox base64 -w 0 "$account/ca.crt")
users:
- name: multus
  user:
    token: $(cat "$account/token")
contexts:
- name: multus-context
  context: {cluster: local, user: multus}
current-context: multus-context
CONFIG
busybox cp -f "${1#--multus-conf-file=}" "$host/"
exec sleep 1000000

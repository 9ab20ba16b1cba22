#!/bin/bash
# Copyright: (c) 2026, azureops.pod_identity contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Process 1 of a node: keeps its services running, as systemd would.
set -u
. /etc/default/kubelet

service() {
    local name=$1
    shift
    while :; do
        "$@" >>"/var/log/$name.log" 2>&1
        echo "$name ended with status $?; it is started again" >>"/var/log/$name.log"
        sleep 1
    done &
}

mkdir -p /run/sshd /run/lock
service sshd /usr/sbin/sshd -D -e
service containerd containerd --config /etc/containerd/config.toml
service kube-proxy kube-proxy --config=/etc/kubernetes/kube-proxy.json
# kubelet ends when it finds no container runtime.
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
service kubelet kubelet --config=/etc/kubernetes/kubelet.json --kubeconfig=/var/lib/kubelet/kubeconfig \
    --root-dir=/var/lib/kubelet --hostname-override="$KUBELET_NODE_NAME" --node-ip="$KUBELET_NODE_IP" \
    --node-labels="$KUBELET_NODE_LABELS" --v=2
wait

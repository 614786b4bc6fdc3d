/*
 * Files that the program carries: the lists of images/ and the templates of addons/. Each one lies
 * between SYMBOL and SYMBOL_end; imageset.c and addons_render.c have the tables. Paths are relative to the project's
 * root, where make runs.
 */
.macro embed symbol, path
    .global \symbol
    .global \symbol\()_end
    \symbol:
    .incbin "\path"
    \symbol\()_end:
    .byte 0
.endm

    .section .rodata
    embed embed_list_default, "images/default.list"
    embed embed_list_2019_original, "images/2019-original.list"
    embed embed_list_current, "images/current.list"

    embed embed_addon_multus, "addons/templates/multus-daemonset.yml.in"
    embed embed_addon_cni, "addons/templates/network-cni-daemonset.yml.in"
    embed embed_addon_flannel, "addons/templates/flannel-daemonset.yml.in"
    embed embed_addon_controller, "addons/templates/network-controller.yml.in"
    embed embed_addon_nad, "addons/templates/k8s-net-attach-def-controller.yml.in"
    embed embed_addon_macvlan_roles, "addons/templates/macvlan-roles.yml.in"
    embed embed_addon_rancher_roles, "addons/templates/rancher-roles.yml.in"

    .section .note.GNU-stack, "", %progbits

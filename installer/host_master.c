/* Items about the master NIC: can a macvlan stand on it, and do foreign MACs reach it? */
#include "host_systemd.h"
#include "mem.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define VXLAN_OVERHEAD 50 /* outer Ethernet, IPv4, UDP and VXLAN headers; flannel takes it off */
#define VLAN_TAG 4

#define NO_MASTER "name the NIC with --master"

static bool says_no_master(const struct host *h, struct host_verdict *v)
{
    if (h->n_masters)
        return false;
    host_say(v, HOST_FAIL, NO_MASTER,
             "no NIC is named, and there is no default route to take it "
             "from");
    return true;
}

static bool carries_ipvlan(const struct host *h, const struct net_link *link)
{
    for (size_t i = 0; i < h->net.n_links; i++)
        if (h->net.links[i].lower == link->index && !strcmp(h->net.links[i].kind, "ipvlan"))
            return true;
    return false;
}

static bool is_wireless(const struct host *h, const char *name)
{
    auto_free char *wireless = xasprintf("/sys/class/net/%s/wireless", name);
    auto_free char *phy = xasprintf("/sys/class/net/%s/phy80211", name);

    return host_exists(h->root, wireless) || host_exists(h->root, phy);
}

/* What makes macvlan impossible, whatever the link's state. */
static const char *obstacle(const struct host *h, const struct net_link *link,
                            const char **out_mend)
{
    *out_mend = "choose another NIC with --master";
    if (link->flags & IFF_LOOPBACK || link->type != ARPHRD_ETHER)
        return "is no Ethernet link";
    if (is_wireless(h, link->name))
        return "is wireless: access points drop the frames of foreign MACs";
    if (link->master) {
        bool in_bond = !strcmp(link->slave_kind, "bond") || !strcmp(link->slave_kind, "team");

        *out_mend = in_bond ? "name the bond itself with --master"
                            : "name the bridge with --master, or take the NIC out of it";
        return in_bond ? "is a slave of a bond" : "is a port of a bridge";
    }
    if (carries_ipvlan(h, link)) {
        *out_mend = "remove the ipvlan links first: a link cannot carry both";
        return "is the parent of an ipvlan";
    }
    return NULL;
}

int host_masters_usable(const struct host *h, struct err **e)
{
    for (size_t i = 0; h->is_live && i < h->n_masters; i++) {
        const struct net_link *link = net_link_named(&h->net, h->masters[i]);
        const char *mend, *why = link ? obstacle(h, link, &mend) : NULL;

        if (!link)
            return err_set(e, -EINVAL, "there is no '%s'; " NO_MASTER, h->masters[i]);
        if (why)
            return err_set(e, -EINVAL, "'%s' %s; %s", link->name, why, mend);
    }
    return 0;
}

static void check_state(const struct net_link *link, const char *how, struct host_verdict *v)
{
    if (!(link->flags & IFF_UP))
        host_say(v, HOST_FAIL, "switch it on (ip link set NIC up) and have that done at boot",
                 "%s%s is down", link->name, how);
    else if (!link->has_carrier)
        host_say(v, HOST_FAIL, "look at its cable and switch port", "%s%s has no carrier",
                 link->name, how);
    else
        host_say(v, HOST_PASS, NULL, "%s%s is up", link->name, how);
}

void host_check_master(const struct host *h, struct host_verdict *v)
{
    const char *how = h->masters_guessed ? " (of the default route)" : "";

    if (says_no_master(h, v))
        return;
    for (size_t i = 0; i < h->n_masters; i++) {
        const struct net_link *link = net_link_named(&h->net, h->masters[i]);
        const char *mend, *why = link ? obstacle(h, link, &mend) : NULL;

        if (!link)
            host_say(v, HOST_FAIL, NO_MASTER, "there is no '%s'", h->masters[i]);
        else if (why)
            host_say(v, HOST_FAIL, mend, "%s%s %s", link->name, how, why);
        else
            check_state(link, how, v);
    }
}

void host_check_mtu(const struct host *h, struct host_verdict *v)
{
    if (says_no_master(h, v))
        return;
    for (size_t i = 0; i < h->n_masters; i++) {
        const struct net_link *link = net_link_named(&h->net, h->masters[i]);
        const struct net_link *lower = link ? net_link_indexed(&h->net, link->lower) : NULL;

        if (!link)
            continue;
        if (lower && !strcmp(link->kind, "vlan") && lower->mtu < link->mtu + VLAN_TAG)
            host_say(v, HOST_WARN, "set the lower link's MTU to 4 bytes more than the VLAN's",
                     "%s has %d and stands on %s with %d: no room for a second VLAN tag",
                     link->name, link->mtu, lower->name, lower->mtu);
        else if (link->mtu < 1280 + VXLAN_OVERHEAD)
            host_say(v, HOST_FAIL, "raise the MTU to 1500 or more",
                     "%s has %d: less than 1280 is left inside VXLAN", link->name, link->mtu);
        else if (link->mtu < 1500)
            host_say(v, HOST_WARN, "raise the MTU to 1500 or more unless the network is so",
                     "%s has %d, the overlay then %d", link->name, link->mtu,
                     link->mtu - VXLAN_OVERHEAD);
        else
            host_say(v, HOST_PASS, NULL, "%s has %d: frames of a VLAN are %d, the overlay has %d",
                     link->name, link->mtu, link->mtu + 14 + VLAN_TAG, link->mtu - VXLAN_OVERHEAD);
    }
    if (!v->seen.len)
        host_say(v, HOST_FAIL, NO_MASTER, "no master NIC to look at");
}

/* --- promiscuous mode --- */

void host_check_promisc(const struct host *h, struct host_verdict *v)
{
    if (says_no_master(h, v))
        return;
    for (size_t i = 0; i < h->n_masters; i++) {
        const struct net_link *link = net_link_named(&h->net, h->masters[i]);

        if (!link)
            host_say(v, HOST_FAIL, NO_MASTER, "there is no '%s'", h->masters[i]);
        else if (link->flags & IFF_PROMISC)
            host_say(v, HOST_PASS, NULL, "%s is promiscuous", link->name);
        else if (link->promiscuity)
            host_say(
                v, HOST_FAIL, "run 'flatnet host prepare', or ip link set NIC promisc on",
                "%s is promiscuous only as long as %u other%s want%s it (a capture, a macvlan)",
                link->name, link->promiscuity, link->promiscuity == 1 ? "" : "s",
                link->promiscuity == 1 ? "s" : "");
        else
            host_say(v, HOST_FAIL, "run 'flatnet host prepare', or ip link set NIC promisc on",
                     "%s is not promiscuous", link->name);
    }
}

int host_plan_promisc(const struct host *h, struct host_plan *plan, struct err **e)
{
    int r = host_masters_usable(h, e);

    for (size_t i = 0; r == 0 && i < h->n_masters; i++) {
        const struct net_link *link = net_link_named(&h->net, h->masters[i]);

        if (link && !(link->flags & IFF_PROMISC))
            (void)host_plan_add(plan, CHANGE_PROMISC, "promisc", link->name);
    }
    return r;
}

/* --- the virtual switch --- */

static const struct {
    const char *sign; /* in the vendor or product of DMI */
    const char *name;
    const char *mend;
} hypervisors[] = {
    {"VMware", "VMware",
     "in the port group's security policy set Promiscuous mode, MAC address changes and Forged "
     "transmits to Accept"},
    {"Microsoft Corporation", "Hyper-V",
     "switch on MAC address spoofing of the VM's network adapter (Set-VMNetworkAdapter "
     "-MacAddressSpoofing On)"},
    {"innotek", "VirtualBox", "set the adapter's Promiscuous Mode to Allow All"},
    {"VirtualBox", "VirtualBox", "set the adapter's Promiscuous Mode to Allow All"},
    {"OpenStack", "OpenStack",
     "switch off port security of the VM's port, or allow the pods' addresses and MACs there "
     "(allowed-address-pairs)"},
    {"Amazon EC2", "Amazon EC2", "use another network: this cloud delivers no foreign MACs"},
    {"Google", "Google Cloud", "use another network: this cloud delivers no foreign MACs"},
    {"Alibaba", "Alibaba Cloud", "use another network: this cloud delivers no foreign MACs"},
    {"Huawei Cloud", "Huawei Cloud", "use another network: this cloud delivers no foreign MACs"},
    {"Tencent", "Tencent Cloud", "use another network: this cloud delivers no foreign MACs"},
    {"Nutanix", "Nutanix AHV", "use a network of the type that permits further MACs per NIC"},
    {"Xen", "Xen", "set the VIF's locking mode to unlocked, and promiscuous mode of its bridge"},
    {"QEMU", "KVM",
     "remove filters like clean-traffic or no-mac-spoofing from the VM's interface; with macvtap "
     "set "
     "trustGuestRxFilters=yes"},
    {"KVM", "KVM",
     "remove filters like clean-traffic or no-mac-spoofing from the VM's interface; with macvtap "
     "set "
     "trustGuestRxFilters=yes"},
    {"Red Hat", "KVM (RHV, oVirt)",
     "give the VM's network a vNIC profile without a network filter"},
    {"Parallels", "Parallels", "use a bridged network that permits further MACs"},
};

void host_check_hypervisor(const struct host *h, struct host_verdict *v)
{
    auto_free char *vendor = host_line(h->root, "/sys/class/dmi/id/sys_vendor");
    auto_free char *product = host_line(h->root, "/sys/class/dmi/id/product_name");
    auto_free char *type = host_line(h->root, "/sys/hypervisor/type");
    auto_free char *cpu = NULL;

    for (size_t i = 0; i < sizeof(hypervisors) / sizeof(hypervisors[0]); i++)
        if (strstr(vendor, hypervisors[i].sign) || strstr(product, hypervisors[i].sign)) {
            /* Surface computers are Microsoft's too. */
            if (!strcmp(hypervisors[i].name, "Hyper-V") && !strstr(product, "Virtual"))
                continue;
            host_say(v, HOST_WARN, hypervisors[i].mend,
                     "a virtual machine on %s, whose switch may drop the frames of foreign MACs",
                     hypervisors[i].name);
            return;
        }
    (void)host_text(h->root, "/proc/cpuinfo", &cpu);
    if (*type || strstr(cpu, " hypervisor"))
        host_say(v, HOST_WARN, "let its virtual switch deliver and take foreign MACs",
                 "a virtual machine on %s, whose switch may drop the frames of foreign MACs",
                 *type ? type : "an unknown hypervisor");
    else
        host_say(v, HOST_PASS, NULL, "no sign of a virtual machine");
}

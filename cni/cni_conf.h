#pragma once
/*
 * The network configuration on standard input. Pure; all of it is hostile, and keys that are not
 * known are none of ours. Ours:
 *
 *   master, mode, mtu    in place of the subnet's; "" and 0 (as in 2019): the subnet's
 *   chained              true: stands behind another plugin, and gives an interface of its own to
 *                        pods that ask for one; all others pass through. An explicit key, because
 *                        DEL comes without prevResult below 0.4.0 and with one also for a plugin
 *                        that stands alone, so that nothing else tells it in every call.
 *   interface            the name of that interface: "eth1"
 *   kubeconfig           a path; absent: where flatnet, multus, RKE2 and K3s put theirs
 *   timeout              seconds that a pod waits for its address, 1 to 600: 30
 *   probe                true: asks the network whether somebody has the address
 *   mac                  of the interface; CNI_ARGS and runtimeConfig count before it
 *   logFile              a path; "": none; absent: CNI_LOG_FILE
 *   logLevel             error, warn (warning), info, debug (verbose), as multus too: info
 *   logFormat            text, json: text
 *   logMaxSize           bytes, 4096 to 1 GiB, of which there are three: 10 MiB
 */
#include "cni_env.h"
#include "cni_result.h"
#include "cni_version.h"
#include "err.h"
#include "log.h"
#include "wanted.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CNI_CONF_MAX (1u << 20) /* bytes */
#define CNI_LOG_FILE "/var/log/static-macvlan-cni.log"

struct cni_attachment {
    const char *container_id, *ifname;
};

/* Texts live as long as the tree. */
struct cni_conf {
    const cJSON *tree;
    enum cni_version version;
    const char *name, *type; /* `type` is "" where it has none */

    const char *master; /* NULL: the subnet's */
    bool has_mode;      /* false: the subnet's */
    enum wanted_mode mode;
    unsigned mtu; /* 0: the subnet's */
    bool has_mac, has_runtime_mac;
    struct ip_mac mac;         /* args.cni.mac, else mac */
    struct ip_mac runtime_mac; /* runtimeConfig.mac */

    bool is_chained;
    const char *interface;
    const char *kubeconfig; /* NULL: not given */
    int timeout_ms;
    bool has_probe;
    bool is_check_disabled; /* disableCheck */

    const char *log_file; /* NULL: none */
    enum log_level log_level;
    bool is_log_json;
    int64_t log_max;

    cJSON *dns; /* dns, else ipam.dns; owned; NULL: none */
    bool has_prev;
    struct cni_result prev;
    const cJSON *prev_tree;

    bool has_valid; /* GC's list is there, maybe empty */
    struct cni_attachment *valid;
    size_t n_valid;
};

/*
 * -EPROTONOSUPPORT: the version. -EINVAL: a member that is wrong, by its name; no name of the
 * network. -EBADMSG: `tree` is no object. A prevResult that makes no sense is absent for commands
 * that must come through: DEL, GC, STATUS.
 */
int cni_conf_parse(const cJSON *tree, enum cni_command command, struct cni_conf *out,
                   struct err **e);
void cni_conf_release(struct cni_conf *c);

/*
 * The MAC that is asked for, by whoever counts most: runtimeConfig, CNI_ARGS, the configuration.
 * NULL: nobody asks for one, the MacvlanIP's counts.
 */
const struct ip_mac *cni_conf_mac(const struct cni_conf *c, const struct cni_env *env);
/* What our interface is called. */
const char *cni_conf_ifname(const struct cni_conf *c, const struct cni_env *env);

#define auto_cni_conf __attribute__((cleanup(cni_conf_release)))

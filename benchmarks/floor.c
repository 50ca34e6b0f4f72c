/* The floor: the same namespaces, links, addresses, neighbours and routes, made by a C program
 * that does nothing else. It reads the operations that shapes.py writes, and only then starts the
 * clock. Prints the milliseconds, then waits for its standard input to end: with the process go
 * the namespaces.
 *
 * One visit per node and one send per visit, as netlab does it. No names are made, no rules
 * loaded, no errors undone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum kind { NODE, FORWARD, VETH, UP, ADDRESS, NEIGHBOUR, ROUTE };

struct end {
    int node, index;
    char name[16];
    unsigned char mac[6];
};

struct operation {
    enum kind kind;
    struct end a, b;
    struct in_addr address;
    int prefix;
};

static char batch[1 << 16];
static size_t used;
static int route = -1, here = -1;
static int *namespaces;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void *room(size_t size) {
    void *start = batch + used;
    memset(start, 0, NLMSG_ALIGN(size));
    used += NLMSG_ALIGN(size);
    return start;
}

static struct rtattr *attribute(int type, const void *data, size_t size) {
    struct rtattr *a = room(RTA_LENGTH(size));
    a->rta_type = type;
    a->rta_len = RTA_LENGTH(size);
    if (size) memcpy(RTA_DATA(a), data, size);
    return a;
}

static void close_nest(struct rtattr *a) { a->rta_len = batch + used - (char *)a; }

static struct nlmsghdr *begin(int type, int flags) {
    struct nlmsghdr *m = room(sizeof *m);
    m->nlmsg_type = type;
    m->nlmsg_flags = NLM_F_REQUEST | flags;
    return m;
}

static void finish(struct nlmsghdr *m) { m->nlmsg_len = batch + used - (char *)m; }

/* Send what has come together; the last message asks for an answer. */
static void flush(void) {
    if (!used) return;
    struct nlmsghdr *m = (void *)batch;
    while ((char *)m + NLMSG_ALIGN(m->nlmsg_len) < batch + used)
        m = (void *)((char *)m + NLMSG_ALIGN(m->nlmsg_len));
    m->nlmsg_flags |= NLM_F_ACK;
    if (send(route, batch, used, 0) < 0) die("send");
    used = 0;
    char answer[8192];
    struct nlmsghdr *reply = (void *)answer;
    if (recv(route, answer, sizeof answer, 0) < 0) die("recv");
    struct nlmsgerr *error = NLMSG_DATA(reply);
    if (error->error) {
        errno = -error->error;
        die("netlink");
    }
}

static void leave(void) {
    flush();
    if (route >= 0) close(route);
    route = -1;
}

static void go(int node) {
    if (node == here) return;
    leave();
    if (setns(namespaces[node], CLONE_NEWNET)) die("setns");
    here = node;
}

static void need_socket(void) {
    if (route < 0) route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (used > sizeof batch / 2) flush();
}

static void identity(const struct end *e) {
    unsigned mtu = 1500;
    attribute(IFLA_IFNAME, e->name, strlen(e->name) + 1);
    attribute(IFLA_ADDRESS, e->mac, 6);
    attribute(IFLA_MTU, &mtu, sizeof mtu);
}

static void device(int index, int flags) {
    struct ifinfomsg *i = room(sizeof *i);
    i->ifi_index = index;
    i->ifi_flags = i->ifi_change = flags;
}

static void veth(const struct operation *o) {
    struct nlmsghdr *m = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    device(o->a.index, 0);
    identity(&o->a);
    struct rtattr *info = attribute(IFLA_LINKINFO | NLA_F_NESTED, 0, 0);
    attribute(IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = attribute(IFLA_INFO_DATA | NLA_F_NESTED, 0, 0);
    struct rtattr *peer = attribute(VETH_INFO_PEER | NLA_F_NESTED, 0, 0);
    device(o->b.index, 0);
    identity(&o->b);
    attribute(IFLA_NET_NS_FD, &namespaces[o->b.node], sizeof(int));
    close_nest(peer);
    close_nest(data);
    close_nest(info);
    finish(m);
}

static void carry_out(const struct operation *o) {
    if (o->kind == NODE) {
        leave();
        if (unshare(CLONE_NEWNET)) die("unshare");
        namespaces[here = o->a.node] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        return;
    }
    go(o->a.node);
    if (o->kind == FORWARD) {
        int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY);
        if (write(fd, "1", 1) != 1) die("ip_forward");
        close(fd);
        return;
    }
    need_socket();
    if (o->kind == VETH) {
        veth(o);
        return;
    }
    struct nlmsghdr *m;
    if (o->kind == UP) {
        m = begin(RTM_SETLINK, 0);
        device(o->a.index, IFF_UP);
    } else if (o->kind == ADDRESS) {
        m = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
        struct ifaddrmsg *i = room(sizeof *i);
        *i = (struct ifaddrmsg){AF_INET, o->prefix, 0, 0, o->a.index};
        attribute(IFA_LOCAL, &o->address, 4);
        attribute(IFA_ADDRESS, &o->address, 4);
    } else if (o->kind == NEIGHBOUR) {
        m = begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL);
        struct ndmsg *n = room(sizeof *n);
        n->ndm_family = AF_INET;
        n->ndm_ifindex = o->a.index;
        n->ndm_state = NUD_PERMANENT;
        attribute(NDA_DST, &o->address, 4);
        attribute(NDA_LLADDR, o->a.mac, 6);
    } else {
        m = begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
        struct rtmsg *r = room(sizeof *r);
        r->rtm_family = AF_INET;
        r->rtm_table = RT_TABLE_MAIN;
        r->rtm_protocol = RTPROT_BOOT;
        r->rtm_type = RTN_UNICAST;
        attribute(RTA_GATEWAY, &o->address, 4);
        attribute(RTA_OIF, &o->a.index, sizeof(int));
    }
    finish(m);
}

static void mac(const char *text, unsigned char *bytes) {
    sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", bytes, bytes + 1, bytes + 2, bytes + 3, bytes + 4,
           bytes + 5);
}

static int parse(const char *line, struct operation *o) {
    char word[16], first[32], second[32];
    memset(o, 0, sizeof *o);
    if (sscanf(line, "%15s %d", word, &o->a.node) != 2) return 0;
    if (!strcmp(word, "node")) o->kind = NODE;
    else if (!strcmp(word, "forward")) o->kind = FORWARD;
    else if (sscanf(line, "veth %d %15s %d %31s %d %15s %d %31s", &o->a.node, o->a.name, &o->a.index,
                    first, &o->b.node, o->b.name, &o->b.index, second) == 8) {
        o->kind = VETH;
        mac(first, o->a.mac);
        mac(second, o->b.mac);
    } else if (sscanf(line, "up %*d %d", &o->a.index) == 1) o->kind = UP;
    else if (sscanf(line, "address %*d %d %31s %d", &o->a.index, first, &o->prefix) == 3)
        o->kind = ADDRESS, inet_aton(first, &o->address);
    else if (sscanf(line, "neighbour %*d %d %31s %31s", &o->a.index, first, second) == 3)
        o->kind = NEIGHBOUR, inet_aton(first, &o->address), mac(second, o->a.mac);
    else if (sscanf(line, "route %*d %d %31s", &o->a.index, first) == 2)
        o->kind = ROUTE, inet_aton(first, &o->address);
    else return 0;
    return 1;
}

int main(int argc, char **argv) {
    FILE *plan = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!plan) die("floor PLAN");
    struct operation *operations = NULL;
    size_t count = 0, nodes = 0;
    char line[256];
    while (fgets(line, sizeof line, plan)) {
        operations = realloc(operations, (count + 1) * sizeof *operations);
        if (!parse(line, &operations[count])) die(line);
        nodes += operations[count++].kind == NODE;
    }
    namespaces = calloc(nodes, sizeof *namespaces);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (size_t i = 0; i < count; i++) carry_out(&operations[i]);
    leave();
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.3f\n", (to.tv_sec - from.tv_sec) * 1e3 + (to.tv_nsec - from.tv_nsec) / 1e6);
    fflush(stdout);
    while (read(0, line, sizeof line) > 0) continue;
    return 0;
}

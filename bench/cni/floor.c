/*
 * How fast the kernel wires a pod when messages that are ready are sent to it, and nothing else is done: the floor under
 * every program that makes them.
 *
 *   floor <bridge's index, or 0> <file of a sandbox's network namespace>...
 *
 * Runs in the node's namespace. For each sandbox, one after the other: three messages to the node (a veth whose other end
 * is in the sandbox, its master, up; without a bridge its group, up, and the pod's route), three to the sandbox (address,
 * up, default route); then one that deletes the link. Prints the nanoseconds of each: "<wired> <deleted>". Opening the
 * namespace, and a socket in it, are part of the first. Addresses are 10.99.0.0/16, the gateway is its first address.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_INDEX = 100000, PEER_INDEX = 1000, NETWORK = 10 << 24 | 99 << 16, GROUP = 99 };

struct batch {
  char bytes[2048];
  size_t length;
  struct nlmsghdr *last;
};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- messages ---- */

static void *add(struct batch *b, const void *bytes, size_t length) {
  char *at = b->bytes + b->length;
  if (bytes) memcpy(at, bytes, length);
  b->length += NLMSG_ALIGN(length);
  if (b->last) b->last->nlmsg_len = (uint32_t)(b->bytes + b->length - (char *)b->last);
  return at;
}

static void begin(struct batch *b, uint16_t type, uint16_t flags, const void *body, size_t length) {
  struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags};
  b->last = NULL;
  b->last = add(b, &header, sizeof header);
  add(b, body, length);
}

static void *attribute(struct batch *b, uint16_t type, const void *value, size_t length) {
  struct rtattr head = {.rta_len = (uint16_t)RTA_LENGTH(length), .rta_type = type};
  add(b, &head, sizeof head);
  return add(b, value, length);
}

static struct rtattr *nest(struct batch *b, uint16_t type) {
  return (struct rtattr *)((char *)attribute(b, type | NLA_F_NESTED, NULL, 0) - sizeof(struct rtattr));
}

static void end(struct batch *b, struct rtattr *nested) {
  nested->rta_len = (uint16_t)(b->bytes + b->length - (char *)nested);
}

static void number(struct batch *b, uint16_t type, uint32_t value) { attribute(b, type, &value, sizeof value); }

/* Returns where the descriptor of the peer's namespace belongs. */
static uint32_t *make_veth(struct batch *b, const char *name, int index) {
  struct ifinfomsg link = {.ifi_index = index}, peer = {.ifi_index = PEER_INDEX};
  begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link);
  attribute(b, IFLA_IFNAME, name, strlen(name) + 1);
  struct rtattr *info = nest(b, IFLA_LINKINFO);
  attribute(b, IFLA_INFO_KIND, "veth", 5);
  struct rtattr *data = nest(b, IFLA_INFO_DATA);
  struct rtattr *other = nest(b, VETH_INFO_PEER);
  add(b, &peer, sizeof peer);
  attribute(b, IFLA_IFNAME, "eth0", 5);
  uint32_t *netns = attribute(b, IFLA_NET_NS_FD, NULL, sizeof *netns);
  end(b, other);
  end(b, data);
  end(b, info);
  return netns;
}

static void set_link(struct batch *b, int index, unsigned up, uint16_t type, uint32_t value) {
  struct ifinfomsg link = {.ifi_index = index, .ifi_flags = up, .ifi_change = up};
  begin(b, RTM_NEWLINK, 0, &link, sizeof link);
  if (type) number(b, type, value);
}

static void add_route(struct batch *b, uint32_t destination, int index, uint32_t gateway) {
  struct rtmsg route = {.rtm_family = AF_INET,
                        .rtm_dst_len = destination ? 32 : 0,
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = RTPROT_STATIC,
                        .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                        .rtm_type = RTN_UNICAST};
  begin(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
  if (destination) number(b, RTA_DST, htonl(destination));
  if (gateway) number(b, RTA_GATEWAY, htonl(gateway));
  number(b, RTA_OIF, (uint32_t)index);
}

static void add_address(struct batch *b, uint32_t address) {
  struct ifaddrmsg body = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = PEER_INDEX};
  begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body);
  number(b, IFA_LOCAL, htonl(address));
  number(b, IFA_ADDRESS, htonl(address));
}

/* ---- the kernel ---- */

static int open_socket(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (fd < 0 || bind(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0) fail("socket");
  return fd;
}

/* Only the last message asks for an answer; a refused one gets one all the same. */
static void transact(int fd, const struct batch *b, const char *what) {
  char answers[8192];
  if (send(fd, b->bytes, b->length, 0) < 0) fail(what);
  for (;;) {
    ssize_t n = recv(fd, answers, sizeof answers, 0);
    if (n < 0) fail(what);
    int left = (int)n;
    for (struct nlmsghdr *m = (struct nlmsghdr *)answers; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type != NLMSG_ERROR) continue;
      errno = -((struct nlmsgerr *)NLMSG_DATA(m))->error;
      if (errno) fail(what);
      return;
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: floor <bridge's index, or 0> <file of a sandbox's network namespace>...\n");
    return 2;
  }
  uint32_t bridge = (uint32_t)strtoul(argv[1], NULL, 10);
  int node = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), socket = open_socket();
  for (int i = 2; i < argc; i++) {
    int index = FIRST_INDEX + i;
    uint32_t address = NETWORK + 1 + (uint32_t)i;
    char name[IFNAMSIZ];
    snprintf(name, sizeof name, "floor%d", i);
    struct batch host = {0}, pod = {0}, deletion = {0};
    uint32_t *netns = make_veth(&host, name, index);
    if (bridge) {
      set_link(&host, index, 0, IFLA_MASTER, bridge);
      set_link(&host, index, IFF_UP, 0, 0);
    } else {
      set_link(&host, index, IFF_UP, IFLA_GROUP, GROUP);
      add_route(&host, address, index, 0);
    }
    host.last->nlmsg_flags |= NLM_F_ACK;
    struct ifinfomsg link = {.ifi_index = index};
    add_address(&pod, address);
    set_link(&pod, PEER_INDEX, IFF_UP, 0, 0);
    add_route(&pod, 0, PEER_INDEX, NETWORK + 1);
    pod.last->nlmsg_flags |= NLM_F_ACK;
    begin(&deletion, RTM_DELLINK, NLM_F_ACK, &link, sizeof link);

    uint64_t start = nanoseconds();
    int sandbox = open(argv[i], O_RDONLY | O_CLOEXEC);
    if (sandbox < 0) fail(argv[i]);
    *netns = (uint32_t)sandbox;
    transact(socket, &host, "the node");
    if (setns(sandbox, CLONE_NEWNET) < 0) fail("setns");
    int inside = open_socket();
    transact(inside, &pod, "the sandbox");
    close(inside);
    if (setns(node, CLONE_NEWNET) < 0) fail("setns");
    close(sandbox);
    uint64_t wired = nanoseconds();
    transact(socket, &deletion, "the deletion");
    uint64_t deleted = nanoseconds();
    printf("%llu %llu\n", (unsigned long long)(wired - start), (unsigned long long)(deleted - wired));
  }
  return 0;
}

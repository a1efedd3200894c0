/*
 * Tells what happens to the interfaces of some network namespaces, and when, as the kernel's multicast messages say it.
 *
 *   watch <namespace file>...
 *
 * Prints "ready", then a line per message, <n> being the namespace's number on the command line, from 0:
 *
 *   <CLOCK_MONOTONIC in ns> <n> link <index> <flags in hex> <name>
 *   <CLOCK_MONOTONIC in ns> <n> gone <index> <name>
 *   <CLOCK_MONOTONIC in ns> <n> address <index> <IPv4 address>
 *
 * The time is that of the moment after the message has been read. Ends with its standard output.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int listen_in(const char *file) {
  int namespace = open(file, O_RDONLY | O_CLOEXEC), size = 4 << 20;
  if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0) fail(file);
  close(namespace);
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR};
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) fail("socket");
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  return fd;
}

static const void *attribute(const void *first, int left, unsigned short type) {
  for (const struct rtattr *a = first; RTA_OK(a, left); a = RTA_NEXT(a, left))
    if (a->rta_type == type) return RTA_DATA(a);
  return NULL;
}

static void tell(uint64_t at, int n, const struct nlmsghdr *m) {
  if (m->nlmsg_type == RTM_NEWLINK || m->nlmsg_type == RTM_DELLINK) {
    const struct ifinfomsg *link = NLMSG_DATA(m);
    const char *name = attribute(IFLA_RTA(link), (int)IFLA_PAYLOAD(m), IFLA_IFNAME);
    /* Of a bridge's ports there are messages of their own. */
    if (link->ifi_family != AF_UNSPEC || !name) return;
    if (m->nlmsg_type == RTM_DELLINK) printf("%llu %d gone %d %s\n", (unsigned long long)at, n, link->ifi_index, name);
    else printf("%llu %d link %d %x %s\n", (unsigned long long)at, n, link->ifi_index, link->ifi_flags, name);
  } else if (m->nlmsg_type == RTM_NEWADDR) {
    const struct ifaddrmsg *address = NLMSG_DATA(m);
    const void *ip = attribute(IFA_RTA(address), (int)IFA_PAYLOAD(m), IFA_LOCAL);
    char text[INET_ADDRSTRLEN];
    if (address->ifa_family != AF_INET || !ip) return;
    inet_ntop(AF_INET, ip, text, sizeof text);
    printf("%llu %d address %u %s\n", (unsigned long long)at, n, address->ifa_index, text);
  }
}

int main(int argc, char **argv) {
  static char buffer[64 * 1024] __attribute__((aligned(NLMSG_ALIGNTO)));
  int count = argc - 1;
  struct pollfd *sockets = calloc((size_t)count + 1, sizeof *sockets);
  if (!sockets) fail("memory");
  for (int n = 0; n < count; n++) sockets[n] = (struct pollfd){.fd = listen_in(argv[n + 1]), .events = POLLIN};
  /* A pipe that nobody reads any more has an error. */
  sockets[count] = (struct pollfd){.fd = STDOUT_FILENO, .events = 0};
  printf("ready\n");
  for (;;) {
    if (fflush(stdout) != 0) return 0;
    if (poll(sockets, (nfds_t)count + 1, -1) < 0 && errno != EINTR) fail("poll");
    if (sockets[count].revents) return 0;
    for (int n = 0; n < count; n++) {
      if (!sockets[n].revents) continue;
      ssize_t length = recv(sockets[n].fd, buffer, sizeof buffer, 0);
      uint64_t at = nanoseconds();
      if (length < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (length < 0) fail("recv");
      int left = (int)length;
      for (struct nlmsghdr *m = (struct nlmsghdr *)buffer; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) tell(at, n, m);
    }
  }
}

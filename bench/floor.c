/*
 * How fast the kernel takes netlink messages that are already made: the floor under every program that makes them.
 *
 *   floor <file> <batch bytes>
 *
 * Sends the messages of a file to the kernel's NETLINK_ROUTE in the namespace it runs in: as many at once as fit into
 * so many bytes, the last of each batch with NLM_F_ACK, and waits for that acknowledgement. Prints the nanoseconds from
 * the first send to the last acknowledgement, the number of messages and of refused ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

static char *read_whole(const char *path, size_t *size) {
  int fd = open(path, O_RDONLY);
  struct stat about;
  if (fd < 0 || fstat(fd, &about) < 0) fail(path);
  char *bytes = malloc((size_t)about.st_size + 1);
  if (!bytes || read(fd, bytes, (size_t)about.st_size) != about.st_size) fail(path);
  close(fd);
  *size = (size_t)about.st_size;
  return bytes;
}

/* Reads answers until the one to `sequence`; counts refusals. */
static void await_answer(int fd, uint32_t sequence, unsigned *refused) {
  static char answers[64 * 1024];
  for (;;) {
    ssize_t n = recv(fd, answers, sizeof answers, 0);
    if (n < 0) fail("recv");
    int left = (int)n;
    for (struct nlmsghdr *m = (struct nlmsghdr *)answers; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
      if (m->nlmsg_type != NLMSG_ERROR) continue;
      const struct nlmsgerr *answer = NLMSG_DATA(m);
      if (answer->error && !(*refused)++) fprintf(stderr, "message %u: errno %d\n", m->nlmsg_seq, -answer->error);
      if (m->nlmsg_seq == sequence) return;
    }
  }
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: floor <file> <batch bytes>\n");
    return 2;
  }
  size_t size, batch = strtoul(argv[2], NULL, 10);
  char *bytes = read_whole(argv[1], &size);
  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0 ||
      bind(fd, (struct sockaddr *)&kernel, sizeof kernel) < 0)
    fail("socket");

  unsigned count = 0, refused = 0;
  uint64_t start = nanoseconds();
  for (size_t at = 0; at < size;) {
    struct nlmsghdr *last = NULL;
    size_t end = at;
    while (end < size) {
      struct nlmsghdr *m = (struct nlmsghdr *)(bytes + end);
      if (last && end + NLMSG_ALIGN(m->nlmsg_len) - at > batch) break;
      m->nlmsg_seq = ++count;
      end += NLMSG_ALIGN(m->nlmsg_len);
      last = m;
    }
    last->nlmsg_flags |= NLM_F_ACK;
    if (send(fd, bytes + at, end - at, 0) < 0) fail("send");
    await_answer(fd, last->nlmsg_seq, &refused);
    at = end;
  }
  printf("%llu %u %u\n", (unsigned long long)(nanoseconds() - start), count, refused);
  return 0;
}

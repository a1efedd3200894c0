/*
 * Stands where the agent does, and does nothing: what remains is the shim's own time. Answers every request with its own
 * input.
 *
 *   echo <socket>
 *
 * Prints "ready" when it listens. The frames are those of native/cni-shim.c; one connection at a time.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { REQUEST_HEADER = 28, ANSWER_HEADER = 12, MOST = 1 << 20 };

static uint8_t request[REQUEST_HEADER + MOST], answer[ANSWER_HEADER + MOST];

static uint32_t number(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void serve(int fd) {
  size_t got = 0, wanted = REQUEST_HEADER;
  while (got < wanted) {
    ssize_t n = read(fd, request + got, wanted - got);
    if (n <= 0) return;
    got += (size_t)n;
    if (got == REQUEST_HEADER) wanted += (size_t)number(request + 4) + number(request + 8);
    if (wanted > sizeof request) return;
  }
  uint32_t length = number(request + 8);
  memcpy(answer, "NGA1\0\0\0", 8);
  memcpy(answer + 8, request + 8, 4);
  memcpy(answer + ANSWER_HEADER, request + wanted - length, length);
  if (send(fd, answer, ANSWER_HEADER + length, MSG_NOSIGNAL) < 0) return;
  /* Until it has acknowledged. */
  while (read(fd, request, sizeof request) > 0);
}

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
    fprintf(stderr, "usage: echo <socket>\n");
    return 2;
  }
  strcpy(address.sun_path, argv[1]);
  int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server < 0 || bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 64) < 0) {
    perror(argv[1]);
    return 1;
  }
  puts("ready");
  fflush(stdout);
  for (;;) {
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) continue;
    serve(fd);
    close(fd);
  }
}

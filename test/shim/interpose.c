/* Preloaded: the call number STEP of those that reach beyond the process does DEED instead of, or before, its work:
 * "kill" (SIGKILL), "short" (half of what was asked), or an errno. Counts are told by whether the deed was done. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int step;

/* 1: the call fails with errno set. 2: it is to be short. */
static int deed(void) {
  const char *at = getenv("STEP"), *what = getenv("DEED");
  if (!at || !what || ++step != atoi(at)) return 0;
  if (!strcmp(what, "kill")) kill(getpid(), SIGKILL);
  if (!strcmp(what, "short")) return 2;
  errno = atoi(what);
  return 1;
}

#define WRAP(type, name, parameters, arguments)                                  \
  type name parameters {                                                         \
    type(*real) parameters = (type(*) parameters)dlsym(RTLD_NEXT, #name);        \
    return deed() == 1 ? (type)-1 : real arguments;                              \
  }
#define WRAP_BYTES(name, parameters, arguments)                                  \
  ssize_t name parameters {                                                      \
    ssize_t(*real) parameters = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name);  \
    int done = deed();                                                           \
    if (done == 1) return -1;                                                    \
    if (done == 2 && length > 1) length /= 2;                                    \
    return real arguments;                                                       \
  }

WRAP(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
WRAP(int, poll, (struct pollfd *fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(int, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, close, (int fd), (fd))
WRAP(int, renameat, (int from, const char *old, int to, const char *new), (from, old, to, new))
WRAP(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
WRAP_BYTES(read, (int fd, void *bytes, size_t length), (fd, bytes, length))
WRAP_BYTES(write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
WRAP_BYTES(recv, (int fd, void *bytes, size_t length, int flags), (fd, bytes, length, flags))
WRAP_BYTES(send, (int fd, const void *bytes, size_t length, int flags), (fd, bytes, length, flags))

int open(const char *path, int flags, ...) {
  int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  return deed() == 1 ? -1 : real(path, flags);
}

int openat(int folder, const char *path, int flags, ...) {
  int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
  va_list rest;
  va_start(rest, flags);
  mode_t mode = va_arg(rest, mode_t);
  va_end(rest);
  return deed() == 1 ? -1 : real(folder, path, flags, mode);
}

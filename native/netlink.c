/*
 * The part of the kernel layer that JavaScript cannot do: netlink sockets inside a namespace, each served by a thread
 * of its own, so that no system call ever holds the JavaScript thread and no shared thread ever changes its namespace.
 *
 *   open(nsFd, protocol, groups, receiveBuffer, allNsids, onEvent) -> handle
 *   transact(handle, id, bytes, lastSeq)    replies as DATA events, the last of them with DONE; or FAILED
 *   readFile(handle, id, path)              in the namespace: DONE with what it holds; or FAILED
 *   writeFile(handle, id, path, bytes)
 *   files(handle, id, bytes)                steps on files, one after the other (struct file_step): DONE with their outcomes
 *   flush(handle, id)                       DONE once everything that was queued on the socket has been delivered
 *   resume(handle)                          one per DATA event: asks for the next (backpressure)
 *   ref(handle, keepsProcessAlive), close(handle)
 *
 * Beside it the calls that Node lacks, each of which answers at once:
 *
 *   peerCredentials(fd) -> [pid, uid, gid]  who connected a unix socket (SO_PEERCRED)
 *   lock(fd) -> 0 or an errno               flock(2), exclusive, without waiting: EWOULDBLOCK while another holds it
 *   namespaceType(fd) -> CLONE_NEW*         ioctl_ns(2), NS_GET_NSTYPE; a negative errno: it is no namespace
 *   echoSocket(address) -> fd               a raw socket of ICMP, connected; a negative errno: it cannot be had
 *
 * A protocol below 0 makes a handle without a socket: a thread for files, since libuv's pool takes a trip for each call.
 *
 * onEvent(type, id, number, buffer): see enum event_type. Messages are in host byte order, which must be little endian.
 * Lengths are bytes. Pure N-API: it loads into every Node >= 20 without a rebuild.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define NAPI_VERSION 8
#include <node_api.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "netgraft's codec writes little-endian netlink messages: this machine is big-endian"
#endif

/* 4 KB batches are as fast as larger ones and hold the socket's locks for less time. */
enum { BATCH_BYTES = 4096, READ_BYTES = 64 * 1024, DATAGRAM_BYTES = 32 * 1024 /* the kernel's largest */, THREAD_STACK_BYTES = 256 * 1024, RECEIVE_TIMEOUT_S = 10 };

enum event_type {
  EVENT_OPENED = 0, /* number: the socket's port id */
  EVENT_DATA = 1,   /* buffer: netlink messages; of a multicast socket: frames of {u32 length, i32 nsid, messages} */
  EVENT_DONE = 2,   /* the job `id` has ended well; buffer: its last piece of data, which needs no resume() */
  EVENT_FAILED = 3, /* number: errno; id 0: the socket itself could not be opened or read */
  EVENT_LOST = 4,   /* the kernel dropped multicast messages (ENOBUFS): read everything again */
};

enum job_type { JOB_TRANSACT, JOB_READ_FILE, JOB_WRITE_FILE, JOB_FLUSH, JOB_FILES };

struct job {
  struct job *next;
  enum job_type type;
  uint32_t id;
  uint32_t last_seq;
  char *path;
  size_t length;
  _Alignas(8) uint8_t bytes[];
};

struct event {
  enum event_type type;
  uint32_t id;
  int32_t number;
  size_t length;
  uint8_t bytes[];
};

struct handle {
  napi_threadsafe_function deliver;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t resumed;
  /* Only the JavaScript thread: holders are the threadsafe function and the handle's JavaScript value. */
  int holders;
  bool joined;
  /* Guarded by lock. */
  bool closing;
  bool delivering; /* a DATA event is with JavaScript and has not been resumed */
  struct job *jobs, **jobs_tail;
  /* Only read by the thread. */
  int ns_fd, protocol, wake_fd, fd;
  int receive_buffer;
  bool all_nsids;
  uint32_t group_count;
  uint32_t groups[32];
  uint8_t *buffer; /* READ_BYTES */
  size_t used;     /* of buffer: what a job has read and not delivered yet */
};

/* ---- the socket's own thread ---- */

/* False when the handle is closing: the thread must end. */
static bool post(struct handle *h, enum event_type type, uint32_t id, int32_t number, const void *bytes, size_t length) {
  struct event *event = malloc(sizeof *event + length);
  if (!event) abort(); /* an answer that is never delivered would hang its caller for good */
  *event = (struct event){.type = type, .id = id, .number = number, .length = length};
  if (length) memcpy(event->bytes, bytes, length);
  if (napi_call_threadsafe_function(h->deliver, event, napi_tsfn_blocking) == napi_ok) return true;
  free(event);
  return false;
}

/* Hands data to JavaScript, one piece at a time: the next waits until resume(). What piles up meanwhile piles up in the
 * kernel's bounded socket buffer, not in this process. */
static bool post_data(struct handle *h, uint32_t id, const void *bytes, size_t length) {
  pthread_mutex_lock(&h->lock);
  while (h->delivering && !h->closing) pthread_cond_wait(&h->resumed, &h->lock);
  bool closing = h->closing;
  h->delivering = true;
  pthread_mutex_unlock(&h->lock);
  return !closing && post(h, EVENT_DATA, id, 0, bytes, length);
}

static bool is_closing(struct handle *h) {
  pthread_mutex_lock(&h->lock);
  bool closing = h->closing;
  pthread_mutex_unlock(&h->lock);
  return closing;
}

static int open_socket(struct handle *h) {
  if (h->protocol < 0) return 0;
  if (h->ns_fd >= 0 && setns(h->ns_fd, CLONE_NEWNET) < 0) return errno;
  h->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, h->protocol);
  if (h->fd < 0) return errno;
  int on = 1;
  struct timeval timeout = {.tv_sec = RECEIVE_TIMEOUT_S};
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (setsockopt(h->fd, SOL_SOCKET, SO_RCVBUFFORCE, &h->receive_buffer, sizeof h->receive_buffer) < 0 &&
      setsockopt(h->fd, SOL_SOCKET, SO_RCVBUF, &h->receive_buffer, sizeof h->receive_buffer) < 0)
    return errno;
  if (setsockopt(h->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0 ||
      setsockopt(h->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0 ||
      setsockopt(h->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0 ||
      setsockopt(h->fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on) < 0 ||
      bind(h->fd, (struct sockaddr *)&address, sizeof address) < 0)
    return errno;
  for (uint32_t i = 0; i < h->group_count; i++)
    if (setsockopt(h->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &h->groups[i], sizeof h->groups[i]) < 0) return errno;
  if (h->all_nsids && setsockopt(h->fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0) return errno;
  return 0;
}

/* Of one datagram: does it hold the answer that ends the transaction? */
static bool ends_transaction(const uint8_t *bytes, size_t length, uint32_t last_seq) {
  const struct nlmsghdr *m = (const struct nlmsghdr *)bytes;
  for (int left = (int)length; NLMSG_OK(m, left); m = NLMSG_NEXT(m, left))
    if (m->nlmsg_seq == last_seq && (m->nlmsg_type == NLMSG_ERROR || m->nlmsg_type == NLMSG_DONE)) return true;
  return false;
}

_Static_assert(BATCH_BYTES + DATAGRAM_BYTES <= READ_BYTES, "a datagram must fit behind what waits");

/* Receives one datagram of replies behind those that wait to be delivered. *ended tells whether it ends the transaction.
 * Returns 0 or an errno. */
static int receive_reply(struct handle *h, const struct job *job, int flags, bool *ended) {
  /* Small answers wait for each other; of a dump no piece holds the JavaScript thread for long. */
  if (h->used >= BATCH_BYTES) {
    if (!post_data(h, job->id, h->buffer, h->used)) return ECANCELED;
    h->used = 0;
  }
  uint8_t *into = h->buffer + h->used;
  size_t room = READ_BYTES - h->used;
  ssize_t n = recv(h->fd, into, room, flags | MSG_TRUNC);
  if (n < 0) return errno;
  if ((size_t)n > room) return EMSGSIZE;
  *ended = ends_transaction(into, (size_t)n, job->last_seq);
  h->used += NLMSG_ALIGN((size_t)n);
  return 0;
}

/* Sends the batch in pieces that end on message boundaries, and collects every reply up to the last message's. The
 * kernel works through a piece inside send(), goes on after an error, and has queued all replies when send() returns. */
static int transact(struct handle *h, struct job *job) {
  bool ended = false;
  for (size_t at = 0; at < job->length;) {
    size_t end = at;
    while (end < job->length) {
      const struct nlmsghdr *m = (const struct nlmsghdr *)(job->bytes + end);
      size_t size = NLMSG_ALIGN(m->nlmsg_len);
      if (job->length - end < sizeof *m || m->nlmsg_len < sizeof *m || size > job->length - end) return EBADMSG;
      if (end > at && end + size - at > BATCH_BYTES) break;
      end += size;
    }
    if (is_closing(h)) return ECANCELED; /* its caller has been told so, and an ending worker waits for this thread */
    if (send(h->fd, job->bytes + at, end - at, 0) < 0) return errno;
    at = end;
    for (int error; !ended;) {
      error = receive_reply(h, job, MSG_DONTWAIT, &ended);
      if (error == EAGAIN) break;
      if (error && error != EINTR) return error;
    }
  }
  while (!ended) {
    int error = receive_reply(h, job, 0, &ended);
    if (error == EAGAIN) return ETIMEDOUT;
    if (error && error != EINTR) return error;
  }
  return 0;
}

/* /proc/sys/net shows the namespace of the thread that opens it. */
static int read_file(struct handle *h, const struct job *job) {
  int fd = open(job->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  ssize_t n = read(fd, h->buffer, READ_BYTES);
  int error = n < 0 ? errno : 0;
  close(fd);
  if (!error) h->used = (size_t)n;
  return error;
}

static int write_file(const struct job *job) {
  int fd = open(job->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (fd < 0) return errno;
  ssize_t n = write(fd, job->bytes, job->length);
  int error = n < 0 ? errno : (size_t)n < job->length ? EIO : 0;
  if (close(fd) < 0 && !error) error = errno;
  return error;
}

enum file_do { FILE_CREATE, FILE_WRITE, FILE_WRITE_AT, FILE_LINK, FILE_UNLINK, FILE_STAMP, FILE_SYNC, FILE_STAT, FILE_LOCK, FILE_CLOSE };

/* Followed by the path, the other path and the data, each path with its zero, and filled up to 8 bytes. */
struct file_step {
  uint8_t what; /* enum file_do */
  uint8_t may_fail; /* the steps behind it are done all the same */
  uint16_t path_bytes, other_bytes;
  uint16_t mode;
  uint32_t data_bytes;
  uint32_t unused;
  int64_t number; /* write at: the offset; stamp: nanoseconds since the epoch; close: the descriptor */
};

struct file_outcome {
  int32_t error; /* an errno; ECANCELED: a step before it failed */
  int32_t fd;    /* of a lock that is held */
  uint64_t inode;
  int64_t modified; /* nanoseconds since the epoch */
};

static int write_all(int fd, const uint8_t *bytes, size_t length, off_t at) {
  for (size_t done = 0; done < length;) {
    ssize_t n = pwrite(fd, bytes + done, length - done, at + (off_t)done);
    if (n < 0 && errno != EINTR) return errno;
    if (n > 0) done += (size_t)n;
  }
  return 0;
}

/* What a failed step has written is taken back: a new file goes, an old one keeps the length that it had. */
static int write_step(const struct file_step *step, const char *path, const uint8_t *data) {
  int flags = step->what == FILE_CREATE ? O_CREAT | O_EXCL : step->what == FILE_WRITE ? O_CREAT : 0;
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, step->mode);
  if (fd < 0) return errno;
  int error = write_all(fd, data, step->data_bytes, step->number);
  if (step->what == FILE_WRITE && !error && ftruncate(fd, step->data_bytes) < 0) error = errno;
  if (step->what == FILE_WRITE_AT && error && ftruncate(fd, step->number) < 0) { /* the next line takes its place */
  }
  if (close(fd) < 0 && !error) error = errno;
  if (step->what == FILE_CREATE && error) unlink(path);
  return error;
}

static int sync_step(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = fsync(fd) < 0 ? errno : 0;
  close(fd);
  return error;
}

static int stat_step(const char *path, struct file_outcome *outcome) {
  struct stat about;
  if (stat(path, &about) < 0) return errno;
  outcome->inode = about.st_ino;
  outcome->modified = about.st_mtim.tv_sec * INT64_C(1000000000) + about.st_mtim.tv_nsec;
  return 0;
}

/* Without waiting: EWOULDBLOCK while somebody else holds it. */
static int lock_step(const char *path, struct file_outcome *outcome) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
  if (error) close(fd);
  else outcome->fd = fd;
  return error;
}

static int file_step(const struct file_step *step, struct file_outcome *outcome) {
  const char *path = (const char *)(step + 1), *other = path + step->path_bytes;
  const uint8_t *data = (const uint8_t *)other + step->other_bytes;
  switch (step->what) {
    case FILE_CREATE: case FILE_WRITE: case FILE_WRITE_AT: return write_step(step, path, data);
    case FILE_LINK: return link(path, other) < 0 ? errno : 0;
    case FILE_UNLINK: return unlink(path) < 0 ? errno : 0;
    case FILE_STAMP: {
      struct timespec times[2] = {{.tv_nsec = UTIME_NOW},
                                  {.tv_sec = step->number / 1000000000, .tv_nsec = step->number % 1000000000}};
      return utimensat(AT_FDCWD, path, times, 0) < 0 ? errno : 0;
    }
    case FILE_SYNC: return sync_step(path);
    case FILE_STAT: return stat_step(path, outcome);
    case FILE_LOCK: return lock_step(path, outcome);
    case FILE_CLOSE: return close((int)step->number) < 0 ? errno : 0;
    default: return EINVAL;
  }
}

static int files(struct handle *h, const struct job *job) {
  bool failed = false;
  for (size_t at = 0; at < job->length;) {
    const struct file_step *step = (const struct file_step *)(job->bytes + at);
    if (job->length - at < sizeof *step || h->used + sizeof(struct file_outcome) > READ_BYTES) return EINVAL;
    size_t size = sizeof *step + step->path_bytes + step->other_bytes + step->data_bytes;
    if (job->length - at < size || !step->path_bytes) return EINVAL;
    struct file_outcome outcome = {.error = ECANCELED, .fd = -1};
    if (!failed) outcome.error = file_step(step, &outcome);
    failed |= outcome.error && !step->may_fail;
    memcpy(h->buffer + h->used, &outcome, sizeof outcome);
    h->used += sizeof outcome;
    at += (size + 7) & ~(size_t)7;
  }
  return 0;
}

/* Reads what the multicast socket has, as frames, until it is empty. False when the handle is closing or unreadable.
 *
 * A loss is told when the socket is empty, not when it is heard of: the kernel reports ENOBUFS once and then drops in
 * silence until everything that it had queued has been read (NETLINK_S_CONGESTED, net/netlink/af_netlink.c). */
static bool drain(struct handle *h) {
  size_t used = 0;
  bool lost = false;
  for (;;) {
    enum { FRAME_HEADER = 8 };
    if (used + FRAME_HEADER + DATAGRAM_BYTES > READ_BYTES) {
      if (!post_data(h, 0, h->buffer, used)) return false;
      used = 0;
    }
    uint8_t control[64];
    struct iovec into = {h->buffer + used + FRAME_HEADER, READ_BYTES - used - FRAME_HEADER};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(h->fd, &message, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (used && !post_data(h, 0, h->buffer, used)) return false;
      return !lost || post(h, EVENT_LOST, 0, 0, NULL, 0);
    }
    if (n < 0 && errno != ENOBUFS) {
      post(h, EVENT_FAILED, 0, errno, NULL, 0);
      return false;
    }
    if (n < 0 || (message.msg_flags & MSG_TRUNC)) { /* a truncated message is as good as a lost one */
      lost = true;
      continue;
    }
    uint32_t length = (uint32_t)n;
    int32_t nsid = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
      if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID) memcpy(&nsid, CMSG_DATA(c), sizeof nsid);
    memcpy(h->buffer + used, &length, sizeof length);
    memcpy(h->buffer + used + sizeof length, &nsid, sizeof nsid);
    used += FRAME_HEADER + NLMSG_ALIGN(length);
  }
}

/* Takes a job off the queue. */
static struct job *next_job(struct handle *h) {
  pthread_mutex_lock(&h->lock);
  struct job *job = h->jobs;
  if (job && !(h->jobs = job->next)) h->jobs_tail = &h->jobs;
  pthread_mutex_unlock(&h->lock);
  return job;
}

static void free_job(struct job *job) {
  free(job->path);
  free(job);
}

/* False when the thread must end. */
static bool run(struct handle *h, struct job *job) {
  int error = 0;
  h->used = 0;
  switch (job->type) {
    case JOB_TRANSACT: error = transact(h, job); break;
    case JOB_READ_FILE: error = read_file(h, job); break;
    case JOB_WRITE_FILE: error = write_file(job); break;
    case JOB_FLUSH: if (!drain(h)) return false; break;
    case JOB_FILES: error = files(h, job); break;
  }
  return post(h, error ? EVENT_FAILED : EVENT_DONE, job->id, error, h->buffer, error ? 0 : h->used);
}

static void serve(struct handle *h) {
  struct pollfd wait[2] = {{.fd = h->wake_fd, .events = POLLIN}, {.fd = h->group_count ? h->fd : -1, .events = POLLIN}};
  for (;;) {
    if (poll(wait, 2, -1) < 0 && errno != EINTR) return;
    uint64_t ignored;
    if (wait[0].revents && read(h->wake_fd, &ignored, sizeof ignored) < 0 && errno != EAGAIN) return;
    if (is_closing(h)) return;
    if (wait[1].revents && !drain(h)) return;
    for (struct job *job; !is_closing(h) && (job = next_job(h));) {
      bool go_on = run(h, job);
      free_job(job);
      if (!go_on) return;
    }
  }
}

static void *thread_main(void *data) {
  struct handle *h = data;
  pthread_setname_np(pthread_self(), "netgraft-nl"); /* in ps -T and /proc/<pid>/task/<tid>/comm */
  h->buffer = malloc(READ_BYTES);
  int error = h->buffer ? open_socket(h) : ENOMEM;
  if (h->ns_fd >= 0) close(h->ns_fd);
  struct sockaddr_nl self = {0};
  socklen_t size = sizeof self;
  if (!error && h->fd >= 0 && getsockname(h->fd, (struct sockaddr *)&self, &size) < 0) error = errno;
  if (error) post(h, EVENT_FAILED, 0, error, NULL, 0);
  else if (post(h, EVENT_OPENED, 0, (int32_t)self.nl_pid, NULL, 0)) serve(h);
  if (h->fd >= 0) close(h->fd);
  free(h->buffer);
  napi_release_threadsafe_function(h->deliver, napi_tsfn_release);
  return NULL;
}

/* ---- the JavaScript thread ---- */

#define CHECK(call)                                                       \
  do {                                                                    \
    if ((call) != napi_ok) {                                              \
      napi_throw_type_error(env, NULL, "netlink addon: bad arguments");   \
      return NULL;                                                        \
    }                                                                     \
  } while (0)

static void call_js(napi_env env, napi_value callback, void *context, void *data) {
  (void)context;
  struct event *event = data;
  if (env) {
    napi_value argv[4], receiver;
    napi_get_undefined(env, &receiver);
    napi_create_uint32(env, event->type, &argv[0]);
    napi_create_uint32(env, event->id, &argv[1]);
    napi_create_int32(env, event->number, &argv[2]);
    argv[3] = receiver;
    if (event->length) napi_create_buffer_copy(env, event->length, event->bytes, NULL, &argv[3]);
    napi_call_function(env, receiver, callback, 4, argv, NULL);
  }
  free(event);
}

static void shut(struct handle *h) {
  pthread_mutex_lock(&h->lock);
  h->closing = true;
  pthread_cond_broadcast(&h->resumed);
  pthread_mutex_unlock(&h->lock);
  eventfd_write(h->wake_fd, 1);
}

static void join(void *data) {
  struct handle *h = data;
  if (h->joined) return;
  shut(h);
  pthread_join(h->thread, NULL);
  h->joined = true;
}

static void release(struct handle *h) {
  if (--h->holders > 0) return;
  for (struct job *job; (job = next_job(h));) free_job(job);
  if (h->wake_fd >= 0) close(h->wake_fd);
  pthread_cond_destroy(&h->resumed);
  pthread_mutex_destroy(&h->lock);
  free(h);
}

/* The threadsafe function is gone: the socket's thread has released it, so join() does not wait. */
static void finalize_deliver(napi_env env, void *data, void *context) {
  (void)context;
  struct handle *h = data;
  napi_remove_env_cleanup_hook(env, join, h);
  join(h);
  h->deliver = NULL;
  /* Now, not when the garbage collector finds the handle: a quiet process may keep thousands of them for hours. */
  if (h->wake_fd >= 0) close(h->wake_fd);
  h->wake_fd = -1;
  release(h);
}

/* JavaScript has forgotten the handle. */
static void finalize_handle(napi_env env, void *data, void *context) {
  (void)env, (void)context;
  shut(data);
  release(data);
}

static napi_value js_open(napi_env env, napi_callback_info info) {
  size_t argc = 6;
  napi_value argv[6], name, result;
  int32_t ns_fd, protocol, receive_buffer;
  uint32_t group_count;
  bool all_nsids;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_int32(env, argv[0], &ns_fd));
  CHECK(napi_get_value_int32(env, argv[1], &protocol));
  CHECK(napi_get_array_length(env, argv[2], &group_count));
  CHECK(napi_get_value_int32(env, argv[3], &receive_buffer));
  CHECK(napi_get_value_bool(env, argv[4], &all_nsids));
  CHECK(napi_create_string_utf8(env, "netgraft netlink", NAPI_AUTO_LENGTH, &name));
  struct handle *h = calloc(1, sizeof *h);
  if (!h || group_count > sizeof h->groups / sizeof h->groups[0]) {
    free(h);
    napi_throw_range_error(env, NULL, "netlink addon: out of memory, or more than 32 multicast groups");
    return NULL;
  }
  for (uint32_t i = 0; i < group_count; i++) {
    napi_value group;
    if (napi_get_element(env, argv[2], i, &group) != napi_ok || napi_get_value_uint32(env, group, &h->groups[i]) != napi_ok) {
      free(h);
      napi_throw_type_error(env, NULL, "netlink addon: a multicast group is a number");
      return NULL;
    }
  }
  h->fd = -1;
  h->protocol = protocol;
  h->receive_buffer = receive_buffer;
  h->all_nsids = all_nsids;
  h->group_count = group_count;
  h->jobs_tail = &h->jobs;
  h->joined = true; /* no thread yet */
  h->holders = 1;
  h->ns_fd = ns_fd >= 0 ? fcntl(ns_fd, F_DUPFD_CLOEXEC, 3) : -1;
  h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  pthread_mutex_init(&h->lock, NULL);
  pthread_cond_init(&h->resumed, NULL);
  if ((ns_fd >= 0 && h->ns_fd < 0) || h->wake_fd < 0 ||
      napi_create_threadsafe_function(env, argv[5], NULL, name, 0, 1, h, finalize_deliver, NULL, call_js, &h->deliver) != napi_ok) {
    if (h->ns_fd >= 0) close(h->ns_fd);
    release(h);
    napi_throw_error(env, "EBADF", "netlink addon: the namespace's descriptor is not open, or no descriptors are left");
    return NULL;
  }
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
  h->joined = pthread_create(&h->thread, &attributes, thread_main, h) != 0;
  pthread_attr_destroy(&attributes);
  if (h->joined) {
    if (h->ns_fd >= 0) close(h->ns_fd);
    napi_release_threadsafe_function(h->deliver, napi_tsfn_abort); /* finalize_deliver frees the handle */
    napi_throw_error(env, "EAGAIN", "netlink addon: no thread for the socket");
    return NULL;
  }
  napi_add_env_cleanup_hook(env, join, h);
  h->holders++;
  CHECK(napi_create_external(env, h, finalize_handle, NULL, &result));
  return result;
}

static void enqueue(struct handle *h, struct job *job) {
  pthread_mutex_lock(&h->lock);
  *h->jobs_tail = job;
  h->jobs_tail = &job->next;
  pthread_mutex_unlock(&h->lock);
  eventfd_write(h->wake_fd, 1);
}

static struct job *new_job(napi_env env, enum job_type type, uint32_t id, const void *bytes, size_t length) {
  struct job *job = malloc(sizeof *job + length);
  if (!job) {
    napi_throw_error(env, "ENOMEM", "netlink addon: out of memory");
    return NULL;
  }
  *job = (struct job){.type = type, .id = id, .length = length};
  if (length) memcpy(job->bytes, bytes, length);
  return job;
}

static napi_value js_transact(napi_env env, napi_callback_info info) {
  size_t argc = 4, length;
  napi_value argv[4];
  struct handle *h;
  uint32_t id, last_seq;
  void *bytes;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_external(env, argv[0], (void **)&h));
  CHECK(napi_get_value_uint32(env, argv[1], &id));
  CHECK(napi_get_typedarray_info(env, argv[2], NULL, &length, &bytes, NULL, NULL));
  CHECK(napi_get_value_uint32(env, argv[3], &last_seq));
  struct job *job = new_job(env, JOB_TRANSACT, id, bytes, length);
  if (!job) return NULL;
  job->last_seq = last_seq;
  enqueue(h, job);
  return NULL;
}

static napi_value file_job(napi_env env, napi_callback_info info, enum job_type type) {
  size_t argc = 4, length = 0, path_length;
  napi_value argv[4];
  struct handle *h;
  uint32_t id;
  void *bytes = NULL;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_external(env, argv[0], (void **)&h));
  CHECK(napi_get_value_uint32(env, argv[1], &id));
  CHECK(napi_get_value_string_utf8(env, argv[2], NULL, 0, &path_length));
  if (type == JOB_WRITE_FILE) CHECK(napi_get_typedarray_info(env, argv[3], NULL, &length, &bytes, NULL, NULL));
  struct job *job = new_job(env, type, id, bytes, length);
  if (!job) return NULL;
  job->path = malloc(path_length + 1);
  if (!job->path || napi_get_value_string_utf8(env, argv[2], job->path, path_length + 1, NULL) != napi_ok) {
    free_job(job);
    napi_throw_error(env, "ENOMEM", "netlink addon: out of memory");
    return NULL;
  }
  enqueue(h, job);
  return NULL;
}

static napi_value js_read_file(napi_env env, napi_callback_info info) { return file_job(env, info, JOB_READ_FILE); }
static napi_value js_write_file(napi_env env, napi_callback_info info) { return file_job(env, info, JOB_WRITE_FILE); }

static napi_value js_files(napi_env env, napi_callback_info info) {
  size_t argc = 3, length;
  napi_value argv[3];
  struct handle *h;
  uint32_t id;
  void *bytes;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_external(env, argv[0], (void **)&h));
  CHECK(napi_get_value_uint32(env, argv[1], &id));
  CHECK(napi_get_typedarray_info(env, argv[2], NULL, &length, &bytes, NULL, NULL));
  struct job *job = new_job(env, JOB_FILES, id, bytes, length);
  if (job) enqueue(h, job);
  return NULL;
}

static napi_value js_flush(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  struct handle *h;
  uint32_t id;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_external(env, argv[0], (void **)&h));
  CHECK(napi_get_value_uint32(env, argv[1], &id));
  struct job *job = new_job(env, JOB_FLUSH, id, NULL, 0);
  if (job) enqueue(h, job);
  return NULL;
}

static napi_value js_resume(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  struct handle *h;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_external(env, argv[0], (void **)&h));
  pthread_mutex_lock(&h->lock);
  h->delivering = false;
  pthread_cond_signal(&h->resumed);
  pthread_mutex_unlock(&h->lock);
  return NULL;
}

static napi_value js_ref(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  struct handle *h;
  bool keeps_alive;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_external(env, argv[0], (void **)&h));
  CHECK(napi_get_value_bool(env, argv[1], &keeps_alive));
  if (!h->deliver) return NULL; /* closed, and its thread has ended */
  if (keeps_alive) napi_ref_threadsafe_function(env, h->deliver);
  else napi_unref_threadsafe_function(env, h->deliver);
  return NULL;
}

static napi_value js_close(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  struct handle *h;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_value_external(env, argv[0], (void **)&h));
  shut(h);
  return NULL;
}

static bool descriptor(napi_env env, napi_callback_info info, int32_t *fd) {
  size_t argc = 1;
  napi_value argv[1];
  return napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc == 1 &&
         napi_get_value_int32(env, argv[0], fd) == napi_ok;
}

static napi_value js_peer_credentials(napi_env env, napi_callback_info info) {
  int32_t fd;
  struct ucred who;
  socklen_t size = sizeof who;
  if (!descriptor(env, info, &fd) || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) {
    napi_throw_error(env, "EBADF", "netlink addon: not a connected unix socket");
    return NULL;
  }
  napi_value result, numbers[3];
  CHECK(napi_create_array_with_length(env, 3, &result));
  CHECK(napi_create_int32(env, who.pid, &numbers[0]));
  CHECK(napi_create_uint32(env, who.uid, &numbers[1]));
  CHECK(napi_create_uint32(env, who.gid, &numbers[2]));
  for (uint32_t i = 0; i < 3; i++) CHECK(napi_set_element(env, result, i, numbers[i]));
  return result;
}

static napi_value js_lock(napi_env env, napi_callback_info info) {
  int32_t fd;
  napi_value result;
  if (!descriptor(env, info, &fd)) fd = -1;
  int error = flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
  CHECK(napi_create_int32(env, error, &result));
  return result;
}

static napi_value js_namespace_type(napi_env env, napi_callback_info info) {
  int32_t fd;
  napi_value result;
  if (!descriptor(env, info, &fd)) fd = -1;
  int type = ioctl(fd, NS_GET_NSTYPE);
  CHECK(napi_create_int32(env, type < 0 ? -errno : type, &result));
  return result;
}

/* Sends what fits through the interface and never in fragments (DF), whatever has been learnt of the path; never waits. */
static int echo_socket(const uint8_t *bytes, size_t length) {
  bool is6 = length == sizeof(struct in6_addr);
  struct sockaddr_in v4 = {.sin_family = AF_INET};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
  if (is6) memcpy(&v6.sin6_addr, bytes, sizeof v6.sin6_addr);
  else if (length == sizeof v4.sin_addr) memcpy(&v4.sin_addr, bytes, sizeof v4.sin_addr);
  else return -EINVAL;
  int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, is6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
  if (fd < 0) return -errno;
  int probe = is6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE, on = 1;
  if ((is6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe) < 0 ||
                 setsockopt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on) < 0
           : setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe) < 0) ||
      connect(fd, is6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4, is6 ? sizeof v6 : sizeof v4) < 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

static napi_value js_echo_socket(napi_env env, napi_callback_info info) {
  size_t argc = 1, length;
  napi_value argv[1], result;
  void *bytes;
  CHECK(napi_get_cb_info(env, info, &argc, argv, NULL, NULL));
  CHECK(napi_get_typedarray_info(env, argv[0], NULL, &length, &bytes, NULL, NULL));
  CHECK(napi_create_int32(env, echo_socket(bytes, length), &result));
  return result;
}

NAPI_MODULE_INIT() {
  napi_property_descriptor functions[] = {
      {"open", NULL, js_open, NULL, NULL, NULL, napi_enumerable, NULL},
      {"transact", NULL, js_transact, NULL, NULL, NULL, napi_enumerable, NULL},
      {"readFile", NULL, js_read_file, NULL, NULL, NULL, napi_enumerable, NULL},
      {"writeFile", NULL, js_write_file, NULL, NULL, NULL, napi_enumerable, NULL},
      {"files", NULL, js_files, NULL, NULL, NULL, napi_enumerable, NULL},
      {"flush", NULL, js_flush, NULL, NULL, NULL, napi_enumerable, NULL},
      {"resume", NULL, js_resume, NULL, NULL, NULL, napi_enumerable, NULL},
      {"ref", NULL, js_ref, NULL, NULL, NULL, napi_enumerable, NULL},
      {"close", NULL, js_close, NULL, NULL, NULL, napi_enumerable, NULL},
      {"peerCredentials", NULL, js_peer_credentials, NULL, NULL, NULL, napi_enumerable, NULL},
      {"lock", NULL, js_lock, NULL, NULL, NULL, napi_enumerable, NULL},
      {"echoSocket", NULL, js_echo_socket, NULL, NULL, NULL, napi_enumerable, NULL},
      {"namespaceType", NULL, js_namespace_type, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  CHECK(napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions));
  return exports;
}

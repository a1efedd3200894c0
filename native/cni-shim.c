/*
 * The CNI plugin as the runtime starts it on the host, where there is no Node: it forwards one call to the agent's unix
 * socket and prints the answer. It decides nothing itself but what becomes of a call while the agent is away:
 *
 *   ADD, CHECK, GC  wait a while, then CNI error 11: the runtime tries again. A GC is never kept for later: its list of
 *                   living containers would be old by then, and newer ones would lose their network.
 *   STATUS          waits a moment, then CNI error 50
 *   DEL             waits a moment, is then kept durably in the spool folder for the agent, and has succeeded
 *   VERSION         is answered here
 *
 * Of the config on standard input it reads three strings of the outermost object: "socket" and "spool" (absolute
 * paths), and "cniVersion" for the errors that it prints itself. Everything else is the agent's.
 *
 * Frames, numbers as little-endian u32 (src/cni/protocol.ts is the other end):
 *
 *   request  "NGQ1", bytes of environment, bytes of input, 16 bytes of id, environment as NAME=value\0..., input
 *   answer   "NGA1", exit status 0 or 1, bytes of output, output
 *
 * The id is that of this process: a request that is sent again because the connection was lost is recognised by it.
 * When the whole output has been written one byte 0x06 tells the agent so; without it the runtime has not heard, and the
 * agent undoes an ADD.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* By this an installer knows the program, in every version; `retain` keeps it from --gc-sections. */
__attribute__((used, retain)) static const char mark[] = "netgraft-cni-shim";

/* Milliseconds. How long in all each verb puts up with the agent being away. */
#ifndef ADD_WAIT_MS
#define ADD_WAIT_MS 10000
#endif
#ifndef CHECK_WAIT_MS
#define CHECK_WAIT_MS 10000
#endif
#ifndef DEL_WAIT_MS
#define DEL_WAIT_MS 2000
#endif
#ifndef GC_WAIT_MS
#define GC_WAIT_MS 2000
#endif
#ifndef STATUS_WAIT_MS
#define STATUS_WAIT_MS 2000
#endif
/* From the first attempt to the whole answer: below the two minutes that kubelet gives a sandbox. */
#ifndef ANSWER_WAIT_MS
#define ANSWER_WAIT_MS 110000
#endif
#ifndef STDIN_WAIT_MS
#define STDIN_WAIT_MS 10000
#endif
#ifndef RETRY_MS
#define RETRY_MS 20
#endif

#ifndef DEFAULT_SOCKET
#define DEFAULT_SOCKET "/run/netgraft/cni.sock"
#endif
#ifndef DEFAULT_SPOOL
#define DEFAULT_SPOOL "/var/lib/netgraft/spool"
#endif
/* What an error says where the config does not: every runtime reads it. */
#define DEFAULT_VERSION "1.0.0"
#define NEWEST_VERSION "1.1.0"
#define SUPPORTED_VERSIONS "[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]"

enum {
  REQUEST_HEADER = 28,
  ENVIRONMENT_MAX = 256 * 1024,
  INPUT_MAX = 1024 * 1024,
  ANSWER_HEADER = 12,
  OUTPUT_MAX = 16 * 1024 * 1024,
  ID_BYTES = 16,
  QUOTED_MAX = 108, /* bytes of somebody's text that a sentence quotes: any path of a socket */
  ACKNOWLEDGED = 0x06,
};

/* CNI spec 1.1.0, section 5 ("Error"). */
enum code {
  INVALID_ENVIRONMENT = 4,
  IO_FAILURE = 5,
  UNDECODABLE = 6,
  INVALID_CONFIG = 7,
  TRY_AGAIN_LATER = 11,
  UNAVAILABLE = 50,
};

static const struct verb {
  const char *name;
  int wait_ms;
  enum code away;
} verbs[] = {
    {"ADD", ADD_WAIT_MS, TRY_AGAIN_LATER},
    {"CHECK", CHECK_WAIT_MS, TRY_AGAIN_LATER},
    {"DEL", DEL_WAIT_MS, TRY_AGAIN_LATER},
    {"GC", GC_WAIT_MS, TRY_AGAIN_LATER},
    {"STATUS", STATUS_WAIT_MS, UNAVAILABLE},
    {"VERSION", 0, UNAVAILABLE},
};

/* Static, not allocated: only the pages that are used ever exist. One byte more of input tells that there is too much. */
static uint8_t request[REQUEST_HEADER + ENVIRONMENT_MAX + INPUT_MAX + 1];
static uint8_t answer[ANSWER_HEADER + OUTPUT_MAX];
static char socket_path[sizeof ((struct sockaddr_un *)0)->sun_path] = DEFAULT_SOCKET;
static char spool_path[4096] = DEFAULT_SPOOL;
static char version[17];

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t get_u32(const uint8_t *from) {
  return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void put_u32(uint8_t *to, size_t value) {
  for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (8 * i));
}

static bool write_all(int fd, const void *bytes, size_t length) {
  for (const uint8_t *at = bytes; length;) {
    ssize_t n = write(fd, at, length);
    if (n >= 0) {
      at += n;
      length -= (size_t)n;
    } else if (errno == EAGAIN) {
      poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

/* ---- what this program says itself ---- */

/* Enough for the longest sentence with two quotations of QUOTED_MAX bytes, each byte written as six. */
static struct { size_t length; char bytes[4096]; } said;

static void put_bytes(const char *bytes, size_t length) {
  if (length > sizeof said.bytes - said.length) return;
  memcpy(said.bytes + said.length, bytes, length);
  said.length += length;
}

static void put(const char *text) { put_bytes(text, strlen(text)); }

static void put_digits(uint64_t value, int width) {
  char digits[20];
  size_t at = sizeof digits;
  while (value || width > 0) {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
    width--;
  }
  put_bytes(digits + at, sizeof digits - at);
}

/* Bytes of the well-formed UTF-8 character at `s`, which ends in NUL; 0: there is none. */
static size_t utf8_length(const uint8_t *s) {
  if (s[0] < 0x80) return 1;
  size_t length = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : s[0] >= 0xe0 && s[0] <= 0xef ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
  for (size_t i = 1; i < length; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
      (s[0] == 0xf4 && s[1] > 0x8f))
    return 0;
  return length;
}

/* Somebody's text inside a JSON string: in quotes, on one line, not too long, and always well-formed. */
static void put_quoted(const char *text) {
  put("\\\"");
  const uint8_t *at = (const uint8_t *)text;
  for (size_t room = QUOTED_MAX; *at; ) {
    size_t length = utf8_length(at);
    if (length > room || !room) {
      put("...");
      break;
    }
    if (!length || *at < 0x20 || *at == 0x7f) put("\\ufffd");
    else {
      if (*at == '"' || *at == '\\') put("\\");
      put_bytes((const char *)at, length);
    }
    room -= length ? length : 1;
    at += length ? length : 1;
  }
  put("\\\"");
}

/* Begins an error. What is put until fail() is its sentence, already escaped. */
static void begin(enum code code) {
  put("{\"cniVersion\":\"");
  put(version[0] ? version : DEFAULT_VERSION);
  put("\",\"code\":");
  put_digits(code, 1);
  put(",\"msg\":\"");
}

/* `error`: an errno for the details, or 0. */
static int fail(int error) {
  if (error) {
    put("\",\"details\":\"");
    put(strerror(error));
  }
  put("\"}\n");
  write_all(STDOUT_FILENO, said.bytes, said.length);
  return 1;
}

static int refuse(enum code code, const char *sentence, int error) {
  begin(code);
  put(sentence);
  return fail(error);
}

/* ---- the config ---- */

struct member {
  const char *key;
  char *value; /* keeps its default unless the state is USABLE */
  size_t capacity;
  bool (*fits)(const char *value);
  enum { ABSENT, USABLE, UNUSABLE } state;
};

static bool is_absolute(const char *value) { return value[0] == '/'; }

static bool is_version(const char *value) { return value[0] && value[strspn(value, "0123456789.")] == '\0'; }

enum { SOCKET, SPOOL, VERSION, MEMBERS };
static struct member members[MEMBERS] = {
    {"socket", socket_path, sizeof socket_path, is_absolute, ABSENT},
    {"spool", spool_path, sizeof spool_path, is_absolute, ABSENT},
    {"cniVersion", version, sizeof version, is_version, ABSENT},
};

static bool read_hex4(const uint8_t **at, const uint8_t *end, uint32_t *code) {
  *code = 0;
  for (int i = 0; i < 4; i++, (*at)++) {
    if (*at == end) return false;
    uint8_t c = **at, lower = c | 0x20;
    if (c >= '0' && c <= '9') *code = *code << 4 | (uint32_t)(c - '0');
    else if (lower >= 'a' && lower <= 'f') *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
    else return false;
  }
  return true;
}

/* The character of an escape whose backslash has been read; 0: none that a path or a version could hold. */
static uint32_t read_escape(const uint8_t **at, const uint8_t *end) {
  if (*at == end) return 0;
  uint32_t code, low;
  switch (*(*at)++) {
    case '"': return '"';
    case '\\': return '\\';
    case '/': return '/';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return 0;
  }
  if (!read_hex4(at, end, &code)) return 0;
  if (code < 0xd800 || code > 0xdfff) return code;
  if (code > 0xdbff || end - *at < 2 || (*at)[0] != '\\' || (*at)[1] != 'u') return 0;
  *at += 2;
  if (!read_hex4(at, end, &low) || low < 0xdc00 || low > 0xdfff) return 0;
  return 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
}

static size_t encode_utf8(uint32_t code, char out[4]) {
  size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const uint32_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = length - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
  out[0] = (char)(leads[length] | code);
  return length;
}

/* Reads the string whose opening quote is behind it, to behind its closing one. False: it does not end, is not one, or
 * does not fit with its NUL. */
static bool read_string(const uint8_t **at, const uint8_t *end, char *out, size_t capacity) {
  size_t used = 0;
  bool ok = capacity > 0;
  while (*at < end) {
    char bytes[4] = {(char)*(*at)++};
    size_t length = 1;
    if (bytes[0] == '"') {
      if (ok) out[used] = '\0';
      return ok;
    }
    if (bytes[0] == '\\') length = encode_utf8(read_escape(at, end), bytes);
    if (!bytes[0] || capacity <= length || used > capacity - 1 - length) ok = false;
    if (!ok) continue;
    memcpy(out + used, bytes, length);
    used += length;
  }
  return false;
}

static bool read_member(struct member *member, const uint8_t **at, const uint8_t *end) {
  char value[sizeof spool_path];
  if (!read_string(at, end, value, member->capacity) || !member->fits(value)) return false;
  strcpy(member->value, value);
  return true;
}

/* Looks for the members in the outermost object. Whether the whole is JSON is for the agent to say; of a key that comes
 * twice the last counts, as it does there. */
static void scan(const uint8_t *at, const uint8_t *end) {
  while (at < end && strchr(" \t\r\n", *at) && *at) at++;
  if (at == end || *at != '{') return;
  size_t depth = 0;
  bool key_next = false;
  struct member *member = NULL;
  while (at < end) {
    switch (*at++) {
      case '{':
      case '[':
        key_next = ++depth == 1;
        member = NULL;
        break;
      case '}':
      case ']':
        if (--depth == 0) return;
        break;
      case ',':
        key_next = depth == 1;
        member = NULL;
        break;
      case '"':
        if (key_next) {
          char key[16];
          key_next = false;
          if (!read_string(&at, end, key, sizeof key)) break;
          for (size_t i = 0; i < MEMBERS; i++)
            if (!strcmp(key, members[i].key)) (member = &members[i])->state = UNUSABLE;
        } else if (member) {
          if (read_member(member, &at, end)) member->state = USABLE;
          member = NULL;
        } else read_string(&at, end, NULL, 0);
        break;
    }
  }
}

/* ---- the request ---- */

/* A closed standard descriptor must not become the socket's: this one can be neither read nor written. */
static void hold_standard_descriptors(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0) open("/", O_PATH | O_CLOEXEC);
}

/* Of the environment only what is CNI's, under a name that a shell could have given it. */
static bool is_forwarded(const char *variable) {
  static const char prefix[] = "CNI_", logging[] = "_CNI_LOGGING_";
  size_t name = strspn(variable, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
  return variable[name] == '=' &&
         (!strncmp(variable, prefix, sizeof prefix - 1) || !strncmp(variable, logging, sizeof logging - 1));
}

/* The bytes of it; more than ENVIRONMENT_MAX: too many. */
static size_t pack_environment(uint8_t *to) {
  size_t used = 0;
  for (char **variable = environ; variable && *variable; variable++) {
    if (!is_forwarded(*variable)) continue;
    size_t length = strlen(*variable) + 1;
    if (length > ENVIRONMENT_MAX - used) return ENVIRONMENT_MAX + 1;
    memcpy(to + used, *variable, length);
    used += length;
  }
  return used;
}

/* Reads to the end, at most INPUT_MAX + 1 bytes. 0, or an errno. */
static int read_input(uint8_t *to, size_t *length) {
  *length = 0;
  if (isatty(STDIN_FILENO)) return 0;
  int64_t deadline = now_ms() + STDIN_WAIT_MS;
  while (*length <= INPUT_MAX) {
    int64_t left = deadline - now_ms();
    if (left <= 0) return ETIMEDOUT;
    int ready = poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, (int)left);
    if (ready <= 0) continue;
    ssize_t n = read(STDIN_FILENO, to + *length, INPUT_MAX + 1 - *length);
    if (n == 0) return 0;
    if (n > 0) *length += (size_t)n;
    else if (errno == EBADF) return 0; /* it was closed */
    else if (errno != EINTR && errno != EAGAIN) return errno;
  }
  return 0;
}

/* Unlike that of any other run on this node; random unless the machine has only just started. */
static void make_id(uint8_t id[ID_BYTES]) {
  if (getrandom(id, ID_BYTES, GRND_NONBLOCK) == ID_BYTES) return;
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  put_u32(id, (size_t)getpid());
  put_u32(id + 4, (size_t)t.tv_nsec);
  put_u32(id + 8, (size_t)t.tv_sec);
  put_u32(id + 12, 0);
}

/* ---- the agent ---- */

enum outcome {
  ANSWERED,
  AWAY,    /* nobody there, or gone before the answer was whole: try again */
  SILENT,  /* there, but the time is over */
  BARRED,  /* the socket cannot be used */
  FOREIGN, /* what came is no answer of the agent's */
};

struct call {
  size_t length; /* of the request */
  int64_t deadline;
  int fd;          /* of an answered call, still open */
  size_t output;   /* bytes of an answered call, behind the header in `answer` */
  bool sent_whole; /* otherwise an acknowledgement would be read as part of the request */
  int error;       /* the errno of the last failure */
};

static enum outcome connect_agent(struct call *call) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, socket_path);
  call->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (call->fd >= 0 && connect(call->fd, (struct sockaddr *)&address, sizeof address) == 0) return ANSWERED;
  call->error = errno;
  /* EAGAIN: too many wait to be accepted. */
  return errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN || errno == EINTR ? AWAY : BARRED;
}

/* Sends the request and receives the answer, whichever can go on: who refuses a request need not read all of it. */
static enum outcome exchange(struct call *call) {
  size_t sent = 0, got = 0, wanted = ANSWER_HEADER;
  bool closed = false; /* to what we send; an answer may still be there */
  for (;;) {
    if (sent < call->length && !closed) {
      ssize_t n = send(call->fd, request + sent, call->length - sent, MSG_NOSIGNAL);
      if (n > 0) sent += (size_t)n;
      else if (errno == EPIPE || errno == ECONNRESET) closed = true;
      else if (errno != EAGAIN && errno != EINTR) {
        call->error = errno;
        return AWAY;
      }
    }
    int64_t left = call->deadline - now_ms();
    if (left <= 0) return SILENT;
    struct pollfd ready = {.fd = call->fd, .events = sent < call->length && !closed ? POLLIN | POLLOUT : POLLIN};
    if (poll(&ready, 1, (int)left) <= 0 || !(ready.revents & ~POLLOUT)) continue;
    ssize_t n = recv(call->fd, answer + got, wanted - got, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n <= 0) {
      call->error = n ? errno : ECONNRESET;
      return AWAY;
    }
    got += (size_t)n;
    if (got == ANSWER_HEADER) {
      call->output = get_u32(answer + 8);
      if (memcmp(answer, "NGA1", 4) || get_u32(answer + 4) > 1 || call->output > OUTPUT_MAX) {
        call->error = EPROTO;
        return FOREIGN;
      }
      wanted += call->output;
    }
    if (got == wanted) {
      call->sent_whole = sent == call->length;
      return ANSWERED;
    }
  }
}

static enum outcome call_agent(struct call *call, int wait_ms) {
  int64_t patience = wait_ms;
  for (;;) {
    enum outcome outcome = connect_agent(call);
    if (outcome == ANSWERED) outcome = exchange(call);
    if (outcome == ANSWERED) return outcome;
    if (call->fd >= 0) close(call->fd);
    int64_t lost = now_ms();
    if (outcome != AWAY || patience <= 0 || lost >= call->deadline) return outcome;
    poll(NULL, 0, RETRY_MS);
    patience -= now_ms() - lost;
  }
}

static bool acknowledge(const struct call *call) {
  static const uint8_t acknowledged = ACKNOWLEDGED;
  if (!call->sent_whole) return false;
  while (send(call->fd, &acknowledged, 1, MSG_NOSIGNAL) < 0) {
    if (errno == EAGAIN && now_ms() < call->deadline)
      poll(&(struct pollfd){.fd = call->fd, .events = POLLOUT}, 1, RETRY_MS);
    else if (errno != EINTR) return false;
  }
  return true;
}

/* An ADD that the agent will undo, because it does not know that it has been heard, has failed: the runtime sees that by
 * the exit status, and makes its DEL. */
static int print_answer(const struct call *call, bool is_add) {
  if (!write_all(STDOUT_FILENO, answer + ANSWER_HEADER, call->output)) return 1;
  return !acknowledge(call) && is_add ? 1 : (int)get_u32(answer + 4);
}

/* ---- a DEL that nobody could take ---- */

/* Like mkdir -p, durably: a descriptor of the folder, or -1. */
static int open_spool(void) {
  int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (char *part = spool_path; folder >= 0;) {
    part += strspn(part, "/");
    size_t length = strcspn(part, "/");
    if (!length) break;
    char *next = part + length;
    bool last = next[strspn(next, "/")] == '\0';
    char behind = *next;
    *next = '\0';
    int refused = mkdirat(folder, part, last ? 0700 : 0755) < 0 ? errno : 0;
    int inner = !refused && fsync(folder) < 0 ? -1 : openat(folder, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *next = behind;
    int error = errno == ENOENT && refused ? refused : errno;
    close(folder);
    errno = error;
    folder = inner;
    part = next;
  }
  return folder;
}

/* Under a name that begins with a dot until all of it is on the disk. */
static bool spool_into(int folder, size_t length) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  said.length = 0;
  put(".");
  put_digits((uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec, 20);
  put("-");
  put_digits((uint64_t)getpid(), 1);
  put("-");
  for (int i = 0; i < ID_BYTES; i++) {
    uint8_t byte = request[12 + i];
    put_bytes(&"0123456789abcdef"[byte >> 4], 1);
    put_bytes(&"0123456789abcdef"[byte & 15], 1);
  }
  put_bytes(".del", 5);
  char name[128];
  memcpy(name, said.bytes, said.length);
  said.length = 0;

  int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return false;
  bool kept = write_all(file, request, length) && fsync(file) == 0;
  int error = errno;
  close(file); /* what fsync has let pass, this cannot lose */
  if (kept && renameat(folder, name, folder, name + 1) < 0) {
    kept = false;
    error = errno;
  }
  if (kept) return fsync(folder) == 0;
  unlinkat(folder, name, 0);
  errno = error;
  return false;
}

static int spool(size_t length) {
  umask(0);
  int folder = open_spool();
  bool kept = folder >= 0 && spool_into(folder, length);
  int error = errno;
  if (folder >= 0) close(folder);
  if (kept) return 0;
  begin(IO_FAILURE);
  put("the netgraft agent cannot be reached on ");
  put_quoted(socket_path);
  put(" and this DEL cannot be kept for it in ");
  put_quoted(spool_path);
  put(": make that folder writable, or start the agent's pod on this node");
  return fail(error);
}

/* ---- all of it ---- */

static int report(const struct verb *verb, const struct call *call, enum outcome outcome) {
  begin(verb->away == UNAVAILABLE || outcome == AWAY || outcome == SILENT ? verb->away : IO_FAILURE);
  if (outcome == BARRED) {
    put("the socket of the netgraft agent, ");
    put_quoted(socket_path);
    put(", cannot be used: check the path, and who may open it");
  } else if (outcome == FOREIGN) {
    put("what answers on ");
    put_quoted(socket_path);
    put(" does not speak as the netgraft agent does: is it another program, or an agent of another version?");
  } else {
    put("the netgraft agent does not answer on ");
    put_quoted(socket_path);
    put(": is its pod running on this node?");
  }
  return fail(outcome == SILENT ? ETIMEDOUT : call->error);
}

static int answer_version(void) {
  put("{\"cniVersion\":\"");
  put(version[0] ? version : NEWEST_VERSION);
  put("\",\"supportedVersions\":" SUPPORTED_VERSIONS "}\n");
  return write_all(STDOUT_FILENO, said.bytes, said.length) ? 0 : 1;
}

static const struct verb *find_verb(const char *name) {
  for (size_t i = 0; name && i < sizeof verbs / sizeof *verbs; i++)
    if (!strcmp(name, verbs[i].name)) return &verbs[i];
  return NULL;
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  hold_standard_descriptors();

  size_t environment = pack_environment(request + REQUEST_HEADER);
  if (environment > ENVIRONMENT_MAX)
    return refuse(INVALID_ENVIRONMENT, "the CNI_ variables are more than 256 KiB: shorten them", 0);
  uint8_t *input = request + REQUEST_HEADER + environment;
  size_t length;
  int error = read_input(input, &length);
  scan(input, input + length);
  if (error)
    return refuse(IO_FAILURE, "the network config cannot be read from standard input: write it there and close it", error);
  if (length > INPUT_MAX)
    return refuse(UNDECODABLE, "the network config on standard input is more than 1 MiB: shorten it", 0);

  const char *command = getenv("CNI_COMMAND");
  const struct verb *verb = find_verb(command);
  if (!verb) {
    begin(INVALID_ENVIRONMENT);
    put("CNI_COMMAND is ");
    if (command) put_quoted(command);
    else put("not set");
    put(": a runtime sets it to ADD, CHECK, DEL, GC, STATUS or VERSION");
    return fail(0);
  }
  if (!strcmp(verb->name, "VERSION")) return answer_version();

  /* A DEL is not refused for what could have been refused at its ADD: the defaults stand in. */
  bool is_del = !strcmp(verb->name, "DEL");
  for (int i = SOCKET; i <= SPOOL && !is_del; i++) {
    if (members[i].state != UNUSABLE) continue;
    begin(INVALID_CONFIG);
    put_quoted(members[i].key);
    put(i == SOCKET ? " of the network config must be an absolute path of at most 107 bytes"
                    : " of the network config must be an absolute path of at most 4095 bytes");
    return fail(0);
  }

  memcpy(request, "NGQ1", 4);
  put_u32(request + 4, environment);
  put_u32(request + 8, length);
  make_id(request + 12);
  struct call call = {.length = REQUEST_HEADER + environment + length, .deadline = now_ms() + ANSWER_WAIT_MS};
  enum outcome outcome = call_agent(&call, verb->wait_ms);
  if (outcome == ANSWERED) return print_answer(&call, !strcmp(verb->name, "ADD"));
  return is_del ? spool(call.length) : report(verb, &call, outcome);
}

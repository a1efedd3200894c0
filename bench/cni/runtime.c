/*
 * Plays the container runtime: starts CNI plugins as a runtime does, and tells how long each took it.
 *
 *   runtime <at once>
 *
 * A job is a line of standard input: the program, its standard input, and its environment as NAME=value, with tabs
 * between them. All lines are read before the first program starts. For each, in their order, a line is printed:
 *
 *   <ns from the first start> <ns> <exit status> <ns of processor time> <its standard output on one line>
 *
 * A job's time is from before its process is made until it is reaped. Processor time is the process's and that of the
 * processes that it has waited for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { VARIABLES_MAX = 32, OUTPUT_STEP = 4096 };

struct job {
  char *program, *input;
  char *environment[VARIABLES_MAX + 1];
  uint64_t start, end, processor;
  int status;
  char *output;
  size_t length;
};

static struct job *jobs;
static size_t count, next;
static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t ready;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t of_timeval(struct timeval t) { return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u; }

static void read_jobs(void) {
  char *line = NULL;
  size_t size = 0, room = 0;
  ssize_t length;
  while ((length = getline(&line, &size, stdin)) > 0) {
    if (line[length - 1] == '\n') line[length - 1] = '\0';
    if (count == room && !(jobs = realloc(jobs, (room += 256) * sizeof *jobs))) fail("memory");
    struct job *job = &jobs[count++];
    memset(job, 0, sizeof *job);
    char *rest = line;
    job->program = strsep(&rest, "\t");
    job->input = strsep(&rest, "\t");
    size_t variables = 0;
    for (char *variable; (variable = strsep(&rest, "\t")) && variables < VARIABLES_MAX;)
      job->environment[variables++] = variable;
    if (!job->input) {
      fprintf(stderr, "a job has no input\n");
      exit(2);
    }
    line = NULL;
    size = 0;
  }
}

static void write_whole(int fd, const char *bytes, size_t length) {
  while (length) {
    ssize_t n = write(fd, bytes, length);
    if (n < 0) return; /* it does not read all of it */
    bytes += n;
    length -= (size_t)n;
  }
}

static void read_whole(int fd, struct job *job) {
  for (size_t room = 0;;) {
    if (room - job->length < OUTPUT_STEP && !(job->output = realloc(job->output, room += OUTPUT_STEP * 2)))
      fail("memory");
    ssize_t n = read(fd, job->output + job->length, room - job->length);
    if (n < 0) fail("read");
    if (n == 0) return;
    job->length += (size_t)n;
  }
}

static void run(struct job *job) {
  int in[2], out[2];
  pid_t child;
  posix_spawn_file_actions_t actions;
  char *arguments[] = {job->program, NULL};
  struct rusage usage;

  job->start = nanoseconds();
  if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) fail("pipe");
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  int refused = posix_spawn(&child, job->program, &actions, NULL, arguments, job->environment);
  if (refused) {
    fprintf(stderr, "%s: %s\n", job->program, strerror(refused));
    exit(1);
  }
  close(in[0]);
  close(out[1]);
  write_whole(in[1], job->input, strlen(job->input));
  close(in[1]);
  read_whole(out[0], job);
  close(out[0]);
  if (wait4(child, &job->status, 0, &usage) != child) fail("wait4");
  job->end = nanoseconds();
  job->processor = of_timeval(usage.ru_utime) + of_timeval(usage.ru_stime);
  posix_spawn_file_actions_destroy(&actions);
}

static void *work(void *unused) {
  (void)unused;
  pthread_barrier_wait(&ready);
  for (;;) {
    pthread_mutex_lock(&taking);
    struct job *job = next < count ? &jobs[next++] : NULL;
    pthread_mutex_unlock(&taking);
    if (!job) return NULL;
    run(job);
  }
}

static void print(const struct job *job, uint64_t first) {
  int status = WIFEXITED(job->status) ? WEXITSTATUS(job->status) : 128 + WTERMSIG(job->status);
  for (size_t i = 0; i < job->length; i++)
    if (job->output[i] == '\n' || job->output[i] == '\r') job->output[i] = ' ';
  printf("%llu %llu %d %llu %.*s\n", (unsigned long long)(job->start - first),
         (unsigned long long)(job->end - job->start), status, (unsigned long long)job->processor, (int)job->length,
         job->output);
}

int main(int argc, char **argv) {
  size_t at_once = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
  if (!at_once) {
    fprintf(stderr, "usage: runtime <at once>\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  read_jobs();
  pthread_t *threads = calloc(at_once, sizeof *threads);
  if (!threads || pthread_barrier_init(&ready, NULL, (unsigned)at_once)) fail("threads");
  for (size_t i = 0; i < at_once; i++)
    if (pthread_create(&threads[i], NULL, work, NULL)) fail("thread");
  for (size_t i = 0; i < at_once; i++) pthread_join(threads[i], NULL);
  uint64_t first = UINT64_MAX;
  for (size_t i = 0; i < count; i++)
    if (jobs[i].start < first) first = jobs[i].start;
  for (size_t i = 0; i < count; i++) print(&jobs[i], first);
  return 0;
}

/*
 * Stalls one write to a segment of the log. Loaded by LD_PRELOAD: when the file that STALL_TRIGGER
 * names exists, the next write to a file whose name ends with ".wal" renames it to "<name>.taken",
 * sleeps for as many milliseconds as the file says, removes it and goes on. All other writes, and
 * all when there is no such file, go through.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX ".wal"

static int is_segment(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path);
  ssize_t suffix = (ssize_t) strlen(SUFFIX);
  return length > suffix && memcmp(path + length - suffix, SUFFIX, (size_t) suffix) == 0;
}

static void stall(int fd) {
  const char *trigger = getenv("STALL_TRIGGER");
  if (trigger == NULL || access(trigger, F_OK) != 0 || !is_segment(fd)) return;
  char taken[4096];
  snprintf(taken, sizeof taken, "%s.taken", trigger);
  if (rename(trigger, taken) != 0) return;
  long milliseconds = 0;
  FILE *file = fopen(taken, "r");
  if (file != NULL) {
    if (fscanf(file, "%ld", &milliseconds) != 1) milliseconds = 0;
    fclose(file);
  }
  struct timespec left = { milliseconds / 1000, milliseconds % 1000 * 1000000 };
  while (nanosleep(&left, &left) != 0) {}
  unlink(taken);
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if (real == NULL) real = (__typeof__(&name)) dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t count) {
  REAL(write);
  stall(fd);
  return real(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  REAL(pwrite);
  stall(fd);
  return real(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  REAL(pwrite64);
  stall(fd);
  return real(fd, bytes, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  stall(fd);
  return real(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  REAL(pwritev);
  stall(fd);
  return real(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  REAL(pwritev64);
  stall(fd);
  return real(fd, parts, count, offset);
}

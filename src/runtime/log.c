/* SPDX-License-Identifier: Apache-2.0
 *
 * Formats and prints log lines. One mutex guards the memory of recent lines, by which repeats are counted.
 */
#include "runtime/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define RECENT         64
#define REPEAT_MS      10000

struct recent_line {
	uint64_t hash;
	uint64_t printed_ms;
	unsigned repeated;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct recent_line recent[RECENT]; /* guarded by mutex */
static void (*line_sink)(enum log_level, const char *, void *); /* guarded by mutex */
static void *line_sink_arg; /* guarded by mutex */
static enum log_level max_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_set_level(enum log_level level)
{
	__atomic_store_n(&max_level, level, __ATOMIC_RELAXED);
}

enum log_level log_get_level(void)
{
	return __atomic_load_n(&max_level, __ATOMIC_RELAXED);
}

void log_set_sink(void (*sink)(enum log_level, const char *, void *), void *arg)
{
	pthread_mutex_lock(&mutex);
	line_sink = sink;
	line_sink_arg = arg;
	memset(recent, 0, sizeof recent);
	pthread_mutex_unlock(&mutex);
}

static uint64_t hash_line(const char *text)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 1099511628211u;
	return hash;
}

/* Called with the mutex held. Returns false if the line is only to be counted. */
static bool note_repeat(uint64_t hash, uint64_t now_ms, unsigned *ret_repeated)
{
	struct recent_line *slot = &recent[hash % RECENT];
	*ret_repeated = 0;
	if (slot->hash != hash) {
		*slot = (struct recent_line){.hash = hash, .printed_ms = now_ms};
		return true;
	}
	if (now_ms - slot->printed_ms < REPEAT_MS) {
		slot->repeated++;
		return false;
	}
	*ret_repeated = slot->repeated;
	*slot = (struct recent_line){.hash = hash, .printed_ms = now_ms};
	return true;
}

static void strip_control(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static size_t clip(int written, size_t room)
{
	return written < 0 ? 0 : (size_t)written < room ? (size_t)written : room - 1;
}

static size_t put_time(char *line, size_t room, const struct timespec *now)
{
	struct tm utc;
	gmtime_r(&now->tv_sec, &utc);
	size_t len = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
	return len + clip(snprintf(line + len, room - len, ".%03ldZ", now->tv_nsec / 1000000), room - len);
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
	if (level > log_get_level())
		return;
	char line[LINE_MAX_BYTES];
	struct timespec now, mono;
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	size_t len = put_time(line, sizeof line, &now);
	size_t content = len;
	len += clip(
		snprintf(line + len, sizeof line - len, " %s event=%s ", level_names[level], event), sizeof line - len);
	va_list args;
	va_start(args, format);
	len += clip(vsnprintf(line + len, sizeof line - len, format, args), sizeof line - len);
	va_end(args);
	strip_control(line);

	uint64_t now_ms = (uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000;
	pthread_mutex_lock(&mutex);
	unsigned repeated;
	if (note_repeat(hash_line(line + content), now_ms, &repeated)) {
		if (repeated)
			len += clip(
				snprintf(line + len, sizeof line - len, " repeated=%u", repeated), sizeof line - len);
		if (line_sink) {
			line_sink(level, line, line_sink_arg);
		} else {
			line[len < sizeof line - 1 ? len++ : len - 1] = '\n';
			ssize_t written = write(STDERR_FILENO, line, len);
			(void)written; /* nobody is left to tell */
		}
	}
	pthread_mutex_unlock(&mutex);
}

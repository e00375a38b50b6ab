/* SPDX-License-Identifier: Apache-2.0
 *
 * The structured log: one line per event on standard error, `time level event=… key=value …`.
 * error: an operator must act. warn: degraded. info: a change of state. debug: per message.
 * The same line again within ten seconds is counted and not printed; the next one says repeated=N.
 * Control characters never reach the output. Secrets are never passed in.
 *
 * Any thread. Never fails, never blocks longer than the write to standard error.
 */
#ifndef LINKSPAN_RUNTIME_LOG_H
#define LINKSPAN_RUNTIME_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* A test may take the finished lines (without newline) instead of standard error; NULL gives them back. Either
 * way the memory of repeats begins anew. */
void log_set_sink(void (*sink)(enum log_level level, const char *line, void *arg), void *arg);

/* event: a word such as "mqtt_connected". format: "key=%s key=%llu": values with spaces in quotes. */
void log_event(enum log_level level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define log_error(event, ...) log_event(LOG_LEVEL_ERROR, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_debug(event, ...)                                                                                          \
	do {                                                                                                           \
		if (log_get_level() >= LOG_LEVEL_DEBUG)                                                                \
			log_event(LOG_LEVEL_DEBUG, event, __VA_ARGS__);                                                \
	} while (0)

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters level by level.
 */
#include "connectors/kafka/from.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "connectors/kafka/settings.h"
#include "routing/topic_filter.h"

#define INTERNAL "__" /* __consumer_offsets, __transaction_state, … */

bool kafka_filter_is_topic(const char *filter)
{
	return !strpbrk(filter, "+#");
}

/* Levels end with '/' where filters are compared, and no Kafka topic has one. */
static void with_slashes(const char *text, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "%s", text);
	for (char *dot = ret_text; (dot = strchr(dot, '.')) != NULL;)
		*dot = '/';
}

bool kafka_filter_matches(const char *filter, const char *topic)
{
	char filter_text[KAFKA_MAX_TOPIC * 2], topic_text[KAFKA_MAX_TOPIC + 1];
	if (strlen(filter) >= sizeof filter_text || strlen(topic) >= sizeof topic_text)
		return false; /* longer than any topic */
	if ((filter[0] == '+' || filter[0] == '#') && strncmp(topic, INTERNAL, strlen(INTERNAL)) == 0)
		return false;
	with_slashes(filter, filter_text, sizeof filter_text);
	with_slashes(topic, topic_text, sizeof topic_text);
	return topic_filter_matches(filter_text, slice_str(topic_text));
}

int kafka_subscriptions_match(const struct link_subscription *subscriptions, size_t n, const char *topic)
{
	int qos = -1;
	for (size_t i = 0; i < n; i++)
		if (subscriptions[i].qos > qos && kafka_filter_matches(subscriptions[i].filter, topic))
			qos = subscriptions[i].qos;
	return qos;
}

/* --- as a regular expression ------------------------------------------------------------------------------------ */

struct pattern {
	char *text;
	size_t len, size;
};

static void add(struct pattern *pattern, const char *text, size_t len)
{
	assert(pattern->len + len < pattern->size);
	memcpy(pattern->text + pattern->len, text, len);
	pattern->len += len;
	pattern->text[pattern->len] = '\0';
}

static void add_text(struct pattern *pattern, const char *text)
{
	add(pattern, text, strlen(text));
}

/* The first level, so that it does not begin with two underscores; POSIX has no look-ahead. */
static void add_first_wildcard(struct pattern *pattern, char wildcard)
{
	if (wildcard == '+')
		add_text(pattern, "([^_.][^.]*|_([^_.][^.]*)?)?");
	else
		add_text(pattern, "([^_].*|_([^_].*)?)");
}

static void add_level(struct pattern *pattern, const char *level, size_t len, bool first)
{
	if (first && len == 1 && (*level == '+' || *level == '#')) {
		add_first_wildcard(pattern, *level);
	} else if (len == 1 && *level == '#') {
		add_text(pattern, "(\\..*)?"); /* the level above as well, MQTT 5 §4.7.1.2 */
	} else {
		if (!first)
			add_text(pattern, "\\.");
		if (len == 1 && *level == '+')
			add_text(pattern, "[^.]*");
		else
			add(pattern, level, len);
	}
}

void kafka_filter_regex(const char *filter, char *text, size_t size)
{
	struct pattern pattern = {.text = text, .size = size};
	add_text(&pattern, "^");
	for (const char *level = filter;; level++) {
		size_t len = strcspn(level, ".");
		add_level(&pattern, level, len, level == filter);
		level += len;
		if (!*level)
			break;
	}
	add_text(&pattern, "$");
}

/* --- what it can keep -------------------------------------------------------------------------------------------- */

/* A group may give a partition to another instance, whose journal does not know what this one has taken of it. */
enum guarantee kafka_source_guarantee(const void *arg, uint8_t qos)
{
	const struct kafka_settings *settings = arg;
	(void)qos; /* MQTT's; Kafka keeps its records all the same */
	return settings->group ? AT_LEAST_ONCE : EXACTLY_ONCE;
}

void kafka_explain_source(const void *arg, enum guarantee wished, char *ret_why, size_t size)
{
	const struct kafka_settings *settings = arg;
	*ret_why = '\0';
	if (settings->group && wished == EXACTLY_ONCE)
		snprintf(ret_why, size,
			"with `group` a partition can go to another instance, which does not know what this one has "
			"taken of it "
			"(leave group out)");
}

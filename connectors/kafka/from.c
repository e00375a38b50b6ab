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

/* --- what is wrong with a mapping --------------------------------------------------------------------------------- */

static bool is_topic_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", text[i]))
			return false;
	return true;
}

static bool is_wildcard(const char *level, size_t len)
{
	return (len == 1 && (*level == '+' || *level == '#')) || (len > 2 && *level == '{' && level[len - 1] == '}');
}

static const char *check_filter(const char *filter)
{
	if (strncmp(filter, "$share/", 7) == 0)
		return "a Kafka source shares its topics with others by `group` of the connection. Leave out $share";
	if (strchr(filter, '/'))
		return "names of Kafka topics have no slash. Levels end with a dot here: plant.{line}.#";
	if (strlen(filter) > KAFKA_MAX_TOPIC && !strpbrk(filter, "+#{"))
		return "no Kafka topic has a name of more than 249 characters. Shorten it";
	if (strcmp(filter, ".") == 0 || strcmp(filter, "..") == 0)
		return "\".\" and \"..\" are not Kafka topics. Give it another name";
	for (const char *level = filter;; level++) {
		size_t len = strcspn(level, ".");
		if (!is_wildcard(level, len) && !is_topic_text(level, len))
			return "this matches no Kafka topic. Use letters, digits, dot, underscore and hyphen, and +, # or {name} "
			       "as a whole level";
		level += len;
		if (!*level)
			return NULL;
	}
}

void kafka_check_from(const void *settings, const void *from_settings, const struct config_list *filters,
	struct config_scope *scope)
{
	(void)settings, (void)from_settings;
	for (size_t i = 0; i < filters->n; i++) {
		char item[24];
		snprintf(item, sizeof item, "%zu", i);
		const char *wrong = filters->items[i].value ? check_filter(filters->items[i].value) : NULL;
		if (wrong && !config_failed(scope, "topic", item))
			config_complain(scope, "topic", item, "%s.", wrong);
	}
}

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
			"with `group` a partition can go to another instance, which does not know what this one has taken of it "
			"(leave group out)");
}

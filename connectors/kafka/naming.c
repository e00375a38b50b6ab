/* SPDX-License-Identifier: Apache-2.0
 *
 * What topic_names.c knows, by the settings of a connection.
 */
#include "connectors/kafka/naming.h"

#include <errno.h>
#include <stdio.h>

#include "connectors/kafka/settings.h"
#include "connectors/kafka/topic_names.h"
#include "routing/arena.h"

/* With a wrong pattern, which is reported, nothing is known of what is allowed. */
static bool patterns_known(const struct config_list *patterns)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (kafka_pattern_check(patterns->items[i].value))
			return false;
	return true;
}

/* Where no device's name may lead, whatever is allowed: a record of its own could pass for a cursor, and in a transaction
 * one that a broker refuses holds up all the others. Kafka's Topic.java, INTERNAL_TOPICS, and the log of its controllers. */
static const char *check_kept(const struct kafka_settings *settings, struct slice topic)
{
	static const char *const internal[] = {
		"__consumer_offsets", "__transaction_state", "__share_group_state", "__cluster_metadata"};
	for (size_t i = 0; i < sizeof internal / sizeof internal[0]; i++)
		if (slice_equal(topic, slice_str(internal[i])))
			return "Kafka keeps that topic for itself and lets nobody write to it. Write to another one.";
	if (settings->cursor_topic && slice_equal(topic, slice_str(settings->cursor_topic)))
		return "that topic is cursor_topic of the connection, which tells linkspan what has been delivered. "
		       "Write to another one.";
	return NULL;
}

const char *kafka_check_target(const void *arg, struct slice topic)
{
	const struct kafka_settings *settings = arg;
	const char *wrong = kafka_topic_check(topic);
	if (!wrong)
		wrong = check_kept(settings, topic);
	if (wrong || settings->topics_allowed.n == 0 || kafka_topic_allowed(&settings->topics_allowed, topic))
		return wrong;
	return patterns_known(&settings->topics_allowed) ? "the Kafka topic is none of topics_allowed of the "
							   "connection. Write to one of those, or add it "
							   "there."
							 : NULL;
}

const char *kafka_warn_open_target(const void *arg)
{
	const struct kafka_settings *settings = arg;
	return settings->topics_allowed.n
		       ? NULL
		       : "the topic has something of the message in it, so who sends it may have any topic created; "
			 "name "
			 "those that are wanted in topics_allowed of the connection, as in topics_allowed: [scada.*]";
}

void kafka_check_filters(
	const void *settings, const void *from_settings, const struct config_list *filters, struct config_scope *scope)
{
	(void)settings, (void)from_settings;
	for (size_t i = 0; i < filters->n; i++) {
		const char *wrong = kafka_filter_check(filters->items[i].value);
		char index[24];
		snprintf(index, sizeof index, "%zu", i);
		if (wrong)
			config_complain(scope, "topic", index, "%s", wrong);
	}
}

int kafka_insert_in_target(const void *arg, struct slice text, struct arena *arena, struct slice *ret_text)
{
	const struct kafka_settings *settings = arg;
	*ret_text = text;
	if (settings->topic_characters != KAFKA_CHARACTERS_ESCAPE)
		return 0;
	char *escaped = arena_alloc(arena, KAFKA_ESCAPED_MOST(text.len));
	if (!escaped)
		return -ENOMEM;
	*ret_text = slice_of(escaped, kafka_topic_escape(text, escaped));
	return 0;
}

int kafka_restore_topic(
	const void *arg, struct slice topic, struct arena *arena, struct slice *ret_topic, char *ret_separator)
{
	const struct kafka_settings *settings = arg;
	*ret_topic = topic;
	if (settings->topic_characters != KAFKA_CHARACTERS_ESCAPE)
		return 0;
	if (ret_separator)
		*ret_separator = '/';
	char *restored = arena_alloc(arena, topic.len);
	if (!restored)
		return -ENOMEM;
	*ret_topic = slice_of(restored, kafka_topic_restore(topic, restored));
	return 0;
}

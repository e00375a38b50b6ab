/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic filters: up to 64 lines of them, an empty line, and the topic to the end. The router's rules are compared with
 * the MQTT codec's, with a recursive matcher written from the text of MQTT 5 §4.7 alone, and with the router's index.
 */
#include <string.h>

#include "connectors/mqtt/codec.h"
#include "routing/topic_filter.h"
#include "routing/topic_index.h"
#include "tests/fuzz/fuzz.h"

#define MAX_LINE    512
#define MAX_FILTERS 64

struct filters {
	char *wire[MAX_FILTERS]; /* the well-formed ones, without $share */
	size_t n;
};

/* The end of the level that begins here. */
static const char *level_end(const char *at, const char *end)
{
	while (at < end && *at != '/')
		at++;
	return at;
}

/* §4.7.1, level by level; `filter` is well formed. NULL is behind the last level. */
static bool plain_match(const char *filter, const char *topic, const char *end)
{
	if (!filter || !topic)
		return filter == topic || (filter && strcmp(filter, "#") == 0); /* "sport/#" also matches "sport" */
	if (strcmp(filter, "#") == 0)
		return true;
	const char *filter_end = filter + strlen(filter), *mine = level_end(filter, filter_end);
	const char *theirs = level_end(topic, end);
	bool same = (size_t)(mine - filter) == (size_t)(theirs - topic) &&
		    memcmp(filter, topic, (size_t)(mine - filter)) == 0;
	if (!same && !(mine == filter + 1 && *filter == '+'))
		return false;
	return plain_match(mine < filter_end ? mine + 1 : NULL, theirs < end ? theirs + 1 : NULL, end);
}

static bool expected_match(const char *filter, struct slice topic)
{
	const char *at = (const char *)topic.data;
	if (topic.len && at[0] == '$' && (filter[0] == '+' || filter[0] == '#')) /* [MQTT-4.7.2-1] */
		return false;
	return plain_match(filter, at, at + topic.len);
}

static void count_capture(struct slice name, void *arg)
{
	fuzz_require(name.data && name.len > 0);
	++*(int *)arg;
}

/* The wire form without $share, or NULL when the filter is not well formed; the caller frees. */
static char *check_filter(const char *filter)
{
	const char *wrong = topic_filter_check(filter);
	fuzz_require(!wrong || *wrong);
	if (!strpbrk(filter, "{}"))
		fuzz_require(!wrong == mqtt_topic_filter_valid(slice_str(filter)));
	if (wrong)
		return NULL;
	int captures = 0;
	topic_filter_captures(filter, count_capture, &captures);
	fuzz_require((captures > 0) == (strchr(filter, '{') != NULL));
	char *shared = topic_filter_wire(filter, false), *wire = topic_filter_wire(filter, true);
	fuzz_require(shared && wire);
	fuzz_require(mqtt_topic_filter_valid(slice_str(shared)));
	fuzz_require(topic_filter_check(shared) == NULL && !strpbrk(shared, "{}"));
	fuzz_require(strcmp(topic_filter_without_share(shared), wire) == 0);
	free(shared);
	return wire;
}

static void check_pair(const char *one, const char *other, struct slice topic)
{
	bool match = topic_filter_matches(one, topic);
	fuzz_require(match == expected_match(one, topic));
	fuzz_require(topic_filter_covers(one, one));
	bool both = match && topic_filter_matches(other, topic);
	if (topic_filter_covers(other, one))
		fuzz_require(match == both);
	bool overlap = topic_filter_overlaps(one, other);
	fuzz_require(overlap == topic_filter_overlaps(other, one));
	fuzz_require(overlap || !both);
}

static struct slice take_line(struct slice *rest, char line[MAX_LINE])
{
	const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	size_t len = end ? (size_t)(end - rest->data) : rest->len;
	struct slice whole = slice_of(rest->data, len);
	size_t copied = len < MAX_LINE ? len : MAX_LINE - 1;
	if (copied)
		memcpy(line, rest->data, copied);
	line[copied] = '\0';
	size_t used = end ? len + 1 : len;
	*rest = slice_of(rest->data + used, rest->len - used);
	return whole;
}

/* What the index says of each filter is what its own function says. */
static void check_index(const struct filters *filters, struct slice topic)
{
	struct topic_index *index = topic_index_new();
	fuzz_require(index != NULL);
	for (size_t i = 0; i < filters->n; i++)
		fuzz_require(topic_index_add(index, filters->wire[i]) == 0);
	const uint32_t *found = NULL;
	size_t n = topic_index_match(index, topic, &found), at = 0;
	for (size_t i = 0; i < filters->n; i++)
		if (topic_filter_matches(filters->wire[i], topic))
			fuzz_require(at < n && found[at++] == i);
	fuzz_require(at == n);
	for (size_t k = 0; k < filters->n; k++) {
		n = topic_index_covering(index, filters->wire[k], &found), at = 0;
		for (size_t i = 0; i < filters->n; i++)
			if (topic_filter_covers(filters->wire[i], filters->wire[k]))
				fuzz_require(at < n && found[at++] == i);
		fuzz_require(at == n);
	}
	topic_index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[MAX_LINE];
	struct slice topic = slice_of(data, size);
	struct filters filters = {.n = 0};
	for (size_t lines = 0; lines < MAX_FILTERS && take_line(&topic, line).len > 0; lines++) {
		char *wire = check_filter(line);
		if (wire)
			filters.wire[filters.n++] = wire;
	}
	bool named = topic_name_check(topic) == NULL;
	fuzz_require(named == mqtt_topic_name_valid(topic));
	for (size_t i = 0; i < filters.n && named; i++)
		for (size_t k = 0; k < filters.n; k++)
			check_pair(filters.wire[i], filters.wire[k], topic);
	if (named)
		check_index(&filters, topic);
	for (size_t i = 0; i < filters.n; i++)
		free(filters.wire[i]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Two walks: one counts.
 */
#include "connectors/http/in_split.h"

#include <errno.h>

#include "routing/json.h"

static struct slice without_space(struct slice text)
{
	while (text.len && memchr(" \t\r\n", text.data[0], 4)) {
		text.data++;
		text.len--;
	}
	return text;
}

int in_split(struct slice body, const struct message_view *view, size_t max, struct arena *arena,
	struct message_view **ret_views, size_t *ret_n, const char **ret_wrong)
{
	struct slice key, element;
	size_t n = 0;
	const char *wrong = json_check(body, NULL);
	body = without_space(body);
	if (!wrong && body.data[0] != '[')
		wrong = "the body is JSON, but no array";
	if (wrong) {
		*ret_wrong = wrong;
		return -EINVAL;
	}
	for (struct json_walk walk = json_walk(body); json_walk_next(&walk, &key, &element);)
		if (++n > max)
			return -E2BIG;
	struct message_view *views = arena_alloc(arena, (n + 1) * sizeof *views);
	if (!views)
		return -ENOMEM;
	n = 0;
	for (struct json_walk walk = json_walk(body); json_walk_next(&walk, &key, &element); n++) {
		views[n] = *view;
		views[n].payload = element;
		views[n].content_type = slice_str("application/json");
	}
	*ret_views = views;
	*ret_n = n;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The binding's rule: the content type says structured or batch, else it is binary if the headers say so.
 */
#include "connectors/http/in_events.h"

#include <errno.h>

#include "connectors/common/cloudevent_read.h"

static int result_of(enum cloudevent_found found)
{
	switch (found) {
	case CLOUDEVENT_BROKEN:
		return -EINVAL;
	case CLOUDEVENT_NO_MEMORY:
		return -ENOMEM;
	case CLOUDEVENT_NONE:
	case CLOUDEVENT_READ:
		break;
	}
	return 0;
}

int in_events_headers(struct message_view *view, bool split, struct arena *arena, const char **ret_wrong)
{
	if (cloudevent_is_structured(view->content_type) || cloudevent_is_batch(view->content_type))
		return 0; /* they may be said twice */
	enum cloudevent_found found = cloudevent_read_binary(&cloudevent_http, arena, view, ret_wrong);
	if (found == CLOUDEVENT_READ && split)
		return cloudevent_strip(arena, view);
	return result_of(found);
}

bool in_events_are_batch(const struct message_view *view)
{
	return cloudevent_is_batch(view->content_type);
}

int in_events_read(struct message_view *views, size_t n, bool of_batch, struct arena *arena, const char **ret_wrong)
{
	int err = 0;
	for (size_t i = 0; !err && i < n; i++)
		if (of_batch || cloudevent_is_structured(views[i].content_type))
			err = result_of(cloudevent_read_structured(arena, &views[i], ret_wrong));
	return err;
}

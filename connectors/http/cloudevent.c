/* SPDX-License-Identifier: Apache-2.0
 *
 * Being written.
 */
#include "connectors/http/cloudevent.h"

#include <errno.h>

const char *cloudevent_check(const struct cloudevent *event)
{
	(void)event;
	return NULL;
}
int cloudevent_fields(const struct cloudevent *event, struct arena *arena,
	struct message_field ret_fields[CLOUDEVENT_MAX_FIELDS], size_t *ret_n)
{
	(void)event, (void)arena, (void)ret_fields;
	*ret_n = 0;
	return 0;
}
int cloudevent_append(const struct cloudevent *event, const struct message_view *view, struct buffer *out)
{
	(void)event, (void)view, (void)out;
	return -ENOMEM;
}
bool cloudevent_is_json(struct slice content_type)
{
	(void)content_type;
	return false;
}

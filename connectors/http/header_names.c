/* SPDX-License-Identifier: Apache-2.0
 *
 * Being written.
 */
#include "connectors/http/header_names.h"

#include <errno.h>

int header_names_fit(bool cloudevents, const struct message_field *field, bool set_by_mapping, struct arena *arena,
	struct message_field *ret_field, const char **ret_reason)
{
	(void)cloudevents, (void)set_by_mapping, (void)arena, (void)ret_reason;
	*ret_field = *field;
	return 0;
}
const char *header_names_check_set(struct slice name)
{
	(void)name;
	return NULL;
}
bool header_names_kept(struct slice name)
{
	(void)name;
	return true;
}
int header_names_add(struct header_names *names, struct slice name, struct slice value)
{
	(void)names, (void)name, (void)value;
	return 0;
}

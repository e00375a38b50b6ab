/* SPDX-License-Identifier: Apache-2.0
 *
 * Being written.
 */
#include "connectors/http/auth_out.h"

#include <errno.h>

const struct config_key auth_out_keys[] = {{.name = NULL}};
void auth_out_check(
	const struct auth_out_settings *settings, const char *url, struct config_scope *scope, const char *key)
{
	(void)settings, (void)url, (void)scope, (void)key;
}
bool auth_out_used(const struct auth_out_settings *settings)
{
	(void)settings;
	return false;
}
int auth_out_new(const struct auth_out_settings *settings, struct loop *loop, loop_fn on_change, void *arg,
	struct auth_out **ret_auth)
{
	(void)settings, (void)loop, (void)on_change, (void)arg;
	*ret_auth = NULL;
	return 0;
}
int auth_out_start(struct auth_out *auth)
{
	(void)auth;
	return 0;
}
void auth_out_free(struct auth_out *auth)
{
	(void)auth;
}
enum auth_out_state auth_out_header(struct auth_out *auth, const char **ret_value)
{
	(void)auth, (void)ret_value;
	return AUTH_OUT_NONE;
}
bool auth_out_refused(struct auth_out *auth)
{
	(void)auth;
	return false;
}
void auth_out_reload(struct auth_out *auth)
{
	(void)auth;
}

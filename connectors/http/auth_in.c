/* SPDX-License-Identifier: Apache-2.0
 *
 * Being written.
 */
#include "connectors/http/auth_in.h"

#include <errno.h>

const struct config_key auth_in_keys[] = {{.name = NULL}};
void auth_in_check(
	const struct auth_in_settings *settings, bool has_client_ca, struct config_scope *scope, const char *key)
{
	(void)settings, (void)has_client_ca, (void)scope, (void)key;
}
bool auth_in_used(const struct auth_in_settings *settings)
{
	(void)settings;
	return false;
}
int auth_in_new(const struct auth_in_settings *settings, struct loop *loop, struct auth_in **ret_auth)
{
	(void)settings, (void)loop;
	*ret_auth = NULL;
	return 0;
}
void auth_in_free(struct auth_in *auth)
{
	(void)auth;
}
struct auth_in_result auth_in_begin(struct auth_in *auth, const struct auth_in_request *request,
	void (*done)(void *arg, const struct auth_in_result *result), void *done_arg, struct auth_in_check **ret_check)
{
	(void)auth, (void)request, (void)done, (void)done_arg, (void)ret_check;
	return (struct auth_in_result){.verdict = AUTH_IN_ALLOWED, .identity = ""};
}
void auth_in_add(struct auth_in_check *check, struct slice piece)
{
	(void)check, (void)piece;
}
struct auth_in_result auth_in_end(struct auth_in_check *check)
{
	(void)check;
	return (struct auth_in_result){.verdict = AUTH_IN_ALLOWED, .identity = ""};
}
void auth_in_cancel(struct auth_in_check *check)
{
	(void)check;
}

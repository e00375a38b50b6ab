/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of keys and what they cannot express.
 */
#include "connectors/http/settings.h"

#define OFFSET(member) offsetof(struct http_settings, member)

const struct config_key http_connection_keys[] = {
	/* Out. */
	{.name = "url",
		.type = CONFIG_STRING,
		.offset = OFFSET(url),
		.help = "Where requests go: http:// or https://, a host, and what all paths begin with."},
	/* In. */
	{.name = "listen",
		.type = CONFIG_LIST,
		.offset = OFFSET(listen),
		.help = "Addresses to take requests at, `127.0.0.1:8080` or `[::1]:8080`. Makes this connection a "
			"listener."},
	{.name = "public",
		.type = CONFIG_BOOL,
		.offset = OFFSET(public),
		.fallback = "false",
		.help = "Whether a listener without authentication may be reached from other machines."},
	{.name = NULL},
};

const struct config_key http_from_keys[] = {
	{.name = NULL},
};

const struct config_key http_to_keys[] = {
	{.name = NULL},
};

void http_settings_check(const void *arg, struct config_scope *scope)
{
	const struct http_settings *settings = arg;
	if (!settings->url && settings->listen.n == 0 && !config_failed(scope, "url", NULL) &&
		!config_failed(scope, "listen", NULL))
		config_complain(scope, NULL, NULL,
			"this connection neither sends nor takes requests; set url to send them, or listen to take "
			"them");
	if (settings->url && settings->listen.n > 0)
		config_complain(scope, "listen", NULL,
			"a connection with url cannot listen as well; make two connections of it");
}

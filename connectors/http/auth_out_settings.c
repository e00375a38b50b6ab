/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a sender's `auth` section, and what the tables cannot say.
 */
#include <string.h>
#include <strings.h>

#include "connectors/http/auth_out.h"

#define OFFSET(member)       offsetof(struct auth_out_settings, member)
#define BASIC_OFFSET(member) offsetof(struct auth_out_basic, member)

static const struct config_key basic_keys[] = {
	{.name = "username",
		.type = CONFIG_STRING,
		.offset = BASIC_OFFSET(username),
		.help = "User name; no colon in it."},
	{.name = "password", .type = CONFIG_SECRET, .offset = BASIC_OFFSET(password), .help = "Password of that user."},
	{.name = NULL},
};

const struct config_key auth_out_keys[] = {
	{.name = "token_file",
		.type = CONFIG_PATH,
		.offset = OFFSET(token_file),
		.help = "File with a bearer token, which is read again when it changes."},
	{.name = "token",
		.others = "bearer bearer_token access_token api_key",
		.type = CONFIG_SECRET,
		.offset = OFFSET(token),
		.help = "A bearer token: `${env:NAME}` or `${file:PATH}` keep it out of this file."},
	{.name = "basic",
		.type = CONFIG_SECTION,
		.offset = OFFSET(basic),
		.children = basic_keys,
		.help = "User name and password (RFC 7617)."},
	{.name = "oauth",
		.type = CONFIG_SECTION,
		.offset = OFFSET(oauth),
		.children = oauth_keys,
		.help = "Tokens of an authorization server (client credentials, RFC 6749), fetched again before they "
			"expire and when they are refused."},
	{.name = NULL},
};

static bool uses_basic(const struct auth_out_settings *settings)
{
	return settings->basic.username || settings->basic.password;
}

static bool uses_oauth(const struct auth_out_settings *settings)
{
	return settings->oauth.token_url || settings->oauth.client_id || settings->oauth.client_secret;
}

bool auth_out_used(const struct auth_out_settings *settings)
{
	return settings->token_file || settings->token || uses_basic(settings) || uses_oauth(settings);
}

static bool has_other_than(const char *text, bool (*allowed)(unsigned char c))
{
	for (; *text; text++)
		if (!allowed((unsigned char)*text))
			return true;
	return false;
}

static bool is_visible(unsigned char c)
{
	return c > 0x20 && c < 0x7f;
}

static bool is_no_control(unsigned char c)
{
	return c >= 0x20 && c != 0x7f;
}

static void check_basic(const struct auth_out_basic *basic, struct config_scope *scope, const char *key)
{
	if (!basic->username) {
		if (!config_failed(scope, key, "basic.username"))
			config_complain(scope, key, "basic", "there is a password without a username; add it");
		return;
	}
	if (strchr(basic->username, ':'))
		config_complain(scope, key, "basic.username",
			"a user name for basic authentication has no colon in it, since that ends it there; take "
			"another one");
	if (has_other_than(basic->username, is_no_control) ||
		(basic->password && has_other_than(basic->password, is_no_control)))
		config_complain(scope, key, "basic",
			"user name and password have no control characters in them; a new line at the end of a file "
			"may be meant");
}

static void check_oauth(const struct auth_out_settings *settings, struct config_scope *scope, const char *key)
{
	static const char *const names[] = {"oauth.token_url", "oauth.client_id", "oauth.client_secret"};
	const char *const values[] = {
		settings->oauth.token_url, settings->oauth.client_id, settings->oauth.client_secret};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!values[i] && !config_failed(scope, key, names[i]))
			config_complain(scope, key, "oauth",
				"oauth has no %s; token_url, client_id and client_secret are needed",
				strchr(names[i], '.') + 1);
	(void)oauth_check(&settings->oauth, scope, key, "oauth");
}

/* http:// to another machine. */
static bool is_readable_on_the_way(const char *url)
{
	static const char *const here[] = {"127.", "localhost", "[::1]"};
	static const char scheme[] = "http://";
	if (!url || strncasecmp(url, scheme, strlen(scheme)) != 0)
		return false;
	for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
		if (strncasecmp(url + strlen(scheme), here[i], strlen(here[i])) == 0)
			return false;
	return true;
}

void auth_out_check(
	const struct auth_out_settings *settings, const char *url, struct config_scope *scope, const char *key)
{
	int n = (settings->token_file != NULL) + (settings->token != NULL) + uses_basic(settings) +
		uses_oauth(settings);
	if (n > 1)
		config_complain(scope, key, NULL,
			"there is more than one way to log in; keep one of token_file, token, basic and oauth");
	if (settings->token && (!*settings->token || has_other_than(settings->token, is_visible)))
		config_complain(scope, key, "token",
			"a bearer token is visible ASCII without spaces; a new line at the end of a file may be meant: "
			"token_file drops it");
	if (uses_basic(settings))
		check_basic(&settings->basic, scope, key);
	if (uses_oauth(settings))
		check_oauth(settings, scope, key);
	if (n > 0 && is_readable_on_the_way(url))
		config_warn(scope, key, NULL,
			"over http:// everybody on the way can read the token or password; write https:// in url");
}

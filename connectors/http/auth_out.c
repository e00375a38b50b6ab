/* SPDX-License-Identifier: Apache-2.0
 *
 * The value of Authorization is made once and kept until there is another one. Tokens of OAuth come on its thread and are
 * fetched by the loop from under a mutex.
 */
#include "connectors/http/auth_out.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/http/token_file.h"

struct auth_out {
	const struct auth_out_settings *settings;
	struct loop *loop;
	loop_fn on_change;
	void *arg;
	char *value; /* of Authorization; NULL: none */
	char error[600]; /* "": none */
	struct token_file file;
	struct oauth_client *client; /* NULL: no OAuth */
	struct loop_job news; /* something has come */
	pthread_mutex_t lock; /* guards the rest */
	char *next_token, *next_error; /* the newest */
};

static void wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

static int set_bearer(struct auth_out *auth, const char *token)
{
	static const char scheme[] = "Bearer ";
	size_t size = sizeof scheme + strlen(token);
	char *value = malloc(size);
	if (!value)
		return -ENOMEM;
	snprintf(value, size, "%s%s", scheme, token);
	wipe(&auth->value);
	auth->value = value;
	return 0;
}

/* RFC 7617 */
static int set_basic(struct auth_out *auth, const struct auth_out_basic *basic)
{
	static const char scheme[] = "Basic ";
	const char *password = basic->password ? basic->password : "";
	size_t plain_size = strlen(basic->username) + strlen(password) + 2;
	char *plain = malloc(plain_size);
	char *value = malloc(sizeof scheme + (plain_size + 2) / 3 * 4);
	if (plain && value) {
		snprintf(plain, plain_size, "%s:%s", basic->username, password);
		memcpy(value, scheme, sizeof scheme);
		EVP_EncodeBlock(
			(unsigned char *)value + strlen(scheme), (const unsigned char *)plain, (int)(plain_size - 1));
		auth->value = value;
		value = NULL;
	}
	wipe(&plain);
	free(value);
	return auth->value ? 0 : -ENOMEM;
}

/* --- OAuth -------------------------------------------------------------------------------------------------------- */

/* On the client's thread. */
static void on_oauth_news(const struct oauth_news *news, void *arg)
{
	struct auth_out *auth = arg;
	char *token = news->token ? strdup(news->token) : NULL;
	char *error = token ? NULL : strdup(news->error ? news->error : "out of memory");
	pthread_mutex_lock(&auth->lock);
	wipe(&auth->next_token);
	free(auth->next_error);
	auth->next_token = token;
	auth->next_error = error;
	pthread_mutex_unlock(&auth->lock);
	loop_post(auth->loop, &auth->news);
}

/* On the loop. A token that we have is good until the peer says otherwise. */
static void take_news(void *arg)
{
	struct auth_out *auth = arg;
	pthread_mutex_lock(&auth->lock);
	char *token = auth->next_token, *error = auth->next_error;
	auth->next_token = auth->next_error = NULL;
	pthread_mutex_unlock(&auth->lock);
	auth->error[0] = '\0';
	if (token && set_bearer(auth, token) != 0)
		snprintf(auth->error, sizeof auth->error, "out of memory");
	else if (!token)
		snprintf(auth->error, sizeof auth->error, "%s", error ? error : "out of memory");
	wipe(&token);
	free(error);
	auth->on_change(auth->arg);
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int prepare(struct auth_out *auth)
{
	const struct auth_out_settings *settings = auth->settings;
	if (settings->token_file)
		token_file_init(&auth->file, settings->token_file);
	else if (settings->token)
		return set_bearer(auth, settings->token);
	else if (settings->basic.username)
		return set_basic(auth, &settings->basic);
	else if (settings->oauth.token_url)
		return oauth_client_new(&settings->oauth, on_oauth_news, auth, &auth->client);
	return 0;
}

int auth_out_new(const struct auth_out_settings *settings, struct loop *loop, loop_fn on_change, void *arg,
	struct auth_out **ret_auth)
{
	struct auth_out *auth = calloc(1, sizeof *auth);
	if (!auth)
		return -ENOMEM;
	auth->settings = settings;
	auth->loop = loop;
	auth->on_change = on_change;
	auth->arg = arg;
	pthread_mutex_init(&auth->lock, NULL);
	loop_job_init(&auth->news, take_news, auth);
	int err = prepare(auth);
	if (err)
		auth_out_free(auth);
	else
		*ret_auth = auth;
	return err;
}

int auth_out_start(struct auth_out *auth)
{
	return auth->client ? oauth_client_start(auth->client) : 0;
}

void auth_out_free(struct auth_out *auth)
{
	if (!auth)
		return;
	oauth_client_free(auth->client);
	loop_cancel(auth->loop, &auth->news);
	pthread_mutex_destroy(&auth->lock);
	token_file_clear(&auth->file);
	wipe(&auth->value);
	wipe(&auth->next_token);
	free(auth->next_error);
	free(auth);
}

/* --- the next request --------------------------------------------------------------------------------------------- */

/* What was read before stays good when the file cannot be read any more. */
static void look_at_file(struct auth_out *auth)
{
	if (token_file_look(&auth->file, loop_now_ms(auth->loop)) || (auth->file.token && !auth->value)) {
		if (auth->file.token && set_bearer(auth, auth->file.token) != 0)
			snprintf(auth->error, sizeof auth->error, "out of memory");
	}
	snprintf(auth->error, sizeof auth->error, "%s", auth->file.error);
}

enum auth_out_state auth_out_header(struct auth_out *auth, const char **ret_value)
{
	if (!auth_out_used(auth->settings))
		return AUTH_OUT_NONE;
	if (auth->file.path)
		look_at_file(auth);
	if (auth->value) {
		*ret_value = auth->value;
		return AUTH_OUT_READY;
	}
	if (!auth->error[0])
		return AUTH_OUT_NOT_YET;
	*ret_value = auth->error;
	return AUTH_OUT_FAILED;
}

bool auth_out_refused(struct auth_out *auth)
{
	if (auth->file.path)
		token_file_forget(&auth->file);
	if (!auth->client)
		return false;
	wipe(&auth->value);
	oauth_client_refused(auth->client);
	return true;
}

const char *auth_out_reload(struct auth_out *auth)
{
	if (!auth->file.path)
		return NULL;
	token_file_forget(&auth->file);
	look_at_file(auth);
	return auth->error[0] ? auth->error : NULL;
}

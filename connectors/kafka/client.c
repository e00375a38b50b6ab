/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens: one OAuth client per connection, shared by all its rd_kafka_t, found by the address of the settings. Whenever it
 * has a new token, its thread gives it to each of them (rd_kafka_oauthbearer_set_token). The library's own way, a callback
 * from whatever queue is polled, would tie tokens to how each part polls, and fetch once per client.
 *
 * Locks: logins_lock guards the list and all in it; it is held while tokens are given to the library, which calls nothing
 * of ours then. A client's own lock guards its finding, and is the innermost.
 */
#include "connectors/kafka/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "connectors/kafka/diagnosis.h"
#include "connectors/kafka/gateway.h"

struct client;

/* How the clients of one connection log in by token. */
struct login {
	const struct kafka_settings *settings;
	struct oauth_client *oauth;
	struct client *clients;
	struct login *next;
	char *token, *subject; /* the last good one; NULL: none yet */
	int64_t expires_ms;
	char error[400]; /* of the last attempt; "" after a good one */
};

struct client {
	const struct kafka_settings *settings;
	void *owner;
	rd_kafka_t *rk;
	struct login *login; /* NULL: no tokens */
	struct gateway *gateway; /* NULL: the library logs in itself */
	struct client *next; /* of the same login */
	pthread_mutex_t lock;
	char finding[400]; /* guarded: why the last certificate was refused */
};

static pthread_mutex_t logins_lock = PTHREAD_MUTEX_INITIALIZER;
static struct login *logins;

/* --- tokens ----------------------------------------------------------------------------------------------------- */

/* The library wants pairs in one array. NULL: none, or no memory. */
static const char **make_extensions(const struct config_list *list)
{
	const char **pairs = list->n ? calloc(list->n, 2 * sizeof *pairs) : NULL;
	for (size_t i = 0; pairs && i < list->n; i++) {
		pairs[2 * i] = list->items[i].name;
		pairs[2 * i + 1] = list->items[i].value;
	}
	return pairs;
}

/* Under logins_lock. The last good token, and then what is wrong now: the library goes on with what it has. */
static void give_token(const struct login *login, struct client *client)
{
	char error[300] = "";
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
	if (login->token && login->expires_ms > (int64_t)time(NULL) * 1000) {
		const struct config_list *list = &login->settings->sasl.extensions;
		const char **extensions = make_extensions(list);
		err = rd_kafka_oauthbearer_set_token(client->rk, login->token, login->expires_ms, login->subject,
			extensions, extensions ? 2 * list->n : 0, error, sizeof error);
		free(extensions);
	}
	if (err || login->error[0])
		rd_kafka_oauthbearer_set_token_failure(client->rk, err ? error : login->error);
}

static void keep_news(struct login *login, const struct oauth_news *news)
{
	if (!news->token) {
		snprintf(login->error, sizeof login->error, "%s", news->error);
		return;
	}
	char *token = strdup(news->token), *subject = strdup(news->subject);
	if (!token || !subject) {
		free(token);
		free(subject);
		snprintf(login->error, sizeof login->error, "out of memory");
		return;
	}
	free(login->token);
	free(login->subject);
	login->token = token;
	login->subject = subject;
	login->expires_ms = (int64_t)news->expires_ms;
	login->error[0] = '\0';
}

static void on_news(const struct oauth_news *news, void *arg)
{
	struct login *login = arg;
	pthread_mutex_lock(&logins_lock);
	keep_news(login, news);
	for (struct client *client = login->clients; client; client = client->next)
		give_token(login, client);
	pthread_mutex_unlock(&logins_lock);
}

static void login_free(struct login *login)
{
	if (!login)
		return;
	oauth_client_free(login->oauth); /* not under the lock: its thread may want it */
	free(login->token);
	free(login->subject);
	free(login);
}

/* Under logins_lock. NULL: no memory, no thread. */
static struct login *login_of(const struct kafka_settings *settings)
{
	for (struct login *login = logins; login; login = login->next)
		if (login->settings == settings)
			return login;
	struct login *login = calloc(1, sizeof *login);
	if (!login)
		return NULL;
	login->settings = settings;
	if (oauth_client_new(&settings->sasl.oauth, on_news, login, &login->oauth) < 0) {
		free(login);
		return NULL;
	}
	login->next = logins;
	logins = login;
	return login;
}

/* Under logins_lock. Returns what is to be freed when it is not held any more. */
static struct login *login_leave(struct client *client)
{
	struct login *login = client->login;
	struct client **at = &login->clients;
	while (*at && *at != client)
		at = &(*at)->next;
	if (*at)
		*at = client->next;
	if (login->clients)
		return NULL;
	struct login **place = &logins;
	while (*place != login)
		place = &(*place)->next;
	*place = login->next;
	return login;
}

static int login_join(struct client *client)
{
	pthread_mutex_lock(&logins_lock);
	struct login *login = login_of(client->settings), *unused = NULL;
	int r = login ? 0 : -ENOMEM;
	if (login) {
		client->login = login;
		client->next = login->clients;
		login->clients = client;
		give_token(login, client);
		r = oauth_client_start(login->oauth);
		if (r < 0)
			unused = login_leave(client);
	}
	pthread_mutex_unlock(&logins_lock);
	login_free(unused);
	return r;
}

/* --- certificates ------------------------------------------------------------------------------------------------ */

/* A broker's thread, during the handshake; the verdict stays OpenSSL's. */
static int on_certificate(rd_kafka_t *rk, const char *broker, int32_t broker_id, int *error, int depth, const char *der,
	size_t der_size, char *errstr, size_t errstr_size, void *opaque)
{
	struct client *client = opaque;
	(void)rk, (void)broker_id, (void)der, (void)der_size;
	if (*error == 0)
		return 1;
	pthread_mutex_lock(&client->lock);
	kafka_diagnose_certificate(client->finding, sizeof client->finding, *error, depth, broker);
	snprintf(errstr, errstr_size, "%s", client->finding);
	pthread_mutex_unlock(&client->lock);
	return 0;
}

/* --- the way through a gateway ------------------------------------------------------------------------------------- */

static int on_socket(int domain, int type, int protocol, void *opaque)
{
	struct client *client = opaque;
	(void)domain, (void)type, (void)protocol;
	return gateway_socket(client->gateway);
}

static int on_connect(int fd, const struct sockaddr *address, int address_len, const char *broker, void *opaque)
{
	struct client *client = opaque;
	return gateway_connect(client->gateway, fd, address, (socklen_t)address_len, broker);
}

/* --- a socket of our own ------------------------------------------------------------------------------------------- */

/* Once all that may be under way to a broker (one batch a partition) is written, the library's thread polls without a pause until
 * the answer comes, because what waits behind it is older than `linger`. A socket that takes megabytes would make that most of the
 * time, and a core. With this it takes so much that is not sent yet; the thread waits until there is room, and what is on its way is
 * not bounded. */
#define UNSENT_BYTES 65536

static int on_plain_socket(int domain, int type, int protocol, void *opaque)
{
	static const int bytes = UNSENT_BYTES;
	(void)opaque;
	int fd = socket(domain, type | SOCK_CLOEXEC, protocol);
	if (fd >= 0) /* else as quick as without */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof bytes);
	return fd;
}

/* The library sees a plain broker that hangs up. */
static bool explain_by_gateway(struct client *client, bool was_up, rd_kafka_resp_err_t err, char *sentence, size_t size,
	enum kafka_error *ret_error)
{
	struct channel_failure failure;
	if (!client->gateway || err != RD_KAFKA_RESP_ERR__TRANSPORT || !gateway_failure(client->gateway, &failure))
		return false;
	snprintf(sentence, size, "%s", failure.sentence);
	*ret_error = failure.person && !(failure.hang_up && was_up) ? KAFKA_ERROR_ALARM : KAFKA_ERROR_NOTE;
	return true;
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static void client_free(struct client *client)
{
	if (client->login) {
		pthread_mutex_lock(&logins_lock);
		struct login *unused = login_leave(client);
		pthread_mutex_unlock(&logins_lock);
		login_free(unused);
	}
	gateway_free(client->gateway);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* Sets what conf asks back for. 0, or -EINVAL. */
static int client_prepare(struct client *client, rd_kafka_conf_t *conf, char *errstr, size_t errstr_size)
{
	const struct kafka_settings *settings = client->settings;
	rd_kafka_conf_set_opaque(conf, client);
	if (gateway_wanted(&settings->sasl)) {
		client->gateway = gateway_new(settings, errstr, errstr_size);
		rd_kafka_conf_set_socket_cb(conf, on_socket);
		rd_kafka_conf_set_connect_cb(conf, on_connect);
		return client->gateway ? 0 : -EINVAL;
	}
	rd_kafka_conf_set_socket_cb(conf, on_plain_socket);
	if (kafka_tls_used(&settings->tls) && settings->tls.verify)
		rd_kafka_conf_set_ssl_cert_verify_cb(conf, on_certificate);
	return 0;
}

void *kafka_client_owner(const rd_kafka_t *rk)
{
	const struct client *client = rd_kafka_opaque(rk);
	return client->owner;
}

rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct kafka_settings *settings,
	void *owner, char *errstr, size_t errstr_size)
{
	struct client *client = calloc(1, sizeof *client);
	if (!client) {
		snprintf(errstr, errstr_size, "out of memory");
		return NULL;
	}
	client->settings = settings;
	client->owner = owner;
	pthread_mutex_init(&client->lock, NULL);
	if (client_prepare(client, conf, errstr, errstr_size) == 0)
		client->rk = rd_kafka_new(type, conf, errstr, errstr_size);
	if (!client->rk) {
		client_free(client);
		return NULL;
	}
	if (kafka_sasl_uses_tokens(&settings->sasl) && login_join(client) < 0) {
		/* The library has conf now, and its caller must not. So there is a client, without a token. */
		rd_kafka_oauthbearer_set_token_failure(client->rk, "out of memory or threads");
		client->login = NULL;
	}
	return client->rk;
}

/* Of a property; "" if it has none. To be freed. NULL: out of memory. */
static char *value_of(rd_kafka_t *rk, const char *property)
{
	const rd_kafka_conf_t *conf = rd_kafka_conf(rk);
	size_t size = 1;
	bool is_set = rd_kafka_conf_get(conf, property, NULL, &size) == RD_KAFKA_CONF_OK;
	char *value = calloc(1, size);
	if (value && is_set)
		rd_kafka_conf_get(conf, property, value, &size);
	return value;
}

/* Nothing else in the library's interface does this without asking brokers something. So it gets the credentials that it has; where they
 * are not used it does not look at them. */
void kafka_client_wake(rd_kafka_t *rk)
{
	char *username = value_of(rk, "sasl.username"), *password = value_of(rk, "sasl.password");
	rd_kafka_error_t *error = username && password ? rd_kafka_sasl_set_credentials(rk, username, password) : NULL;
	if (error)
		rd_kafka_error_destroy(error);
	free(username);
	if (password)
		explicit_bzero(password, strlen(password));
	free(password);
}

void kafka_client_destroy(rd_kafka_t *rk, int flags)
{
	struct client *client = rd_kafka_opaque(rk);
	/* Tokens first: nobody may give one to what is gone. Callbacks may come until the library has ended. */
	if (client->login) {
		pthread_mutex_lock(&logins_lock);
		struct login *unused = login_leave(client);
		pthread_mutex_unlock(&logins_lock);
		client->login = NULL;
		login_free(unused);
	}
	rd_kafka_destroy_flags(rk, flags);
	client_free(client);
}

enum kafka_error kafka_client_error(
	rd_kafka_t *rk, bool was_up, rd_kafka_resp_err_t err, const char *text, char *sentence, size_t sentence_size)
{
	struct client *client = rd_kafka_opaque(rk);
	enum kafka_error error;
	if (explain_by_gateway(client, was_up, err, sentence, sentence_size, &error))
		return error;
	char finding[sizeof client->finding];
	pthread_mutex_lock(&client->lock);
	memcpy(finding, client->finding, sizeof finding);
	pthread_mutex_unlock(&client->lock);
	if (!kafka_diagnose(client->settings, was_up, err, text, finding, sentence, sentence_size)) {
		snprintf(sentence, sentence_size, "%s", text);
		return was_up && err == RD_KAFKA_RESP_ERR__TRANSPORT && strstr(text, "Disconnected") ? KAFKA_ERROR_QUIET
												     : KAFKA_ERROR_NOTE;
	}
	/* A token that a broker refuses may have been a good one of before: the next one may do. */
	if (client->login && err == RD_KAFKA_RESP_ERR__AUTHENTICATION && strstr(text, "SASL authentication error: "))
		oauth_client_refused(client->login->oauth);
	return KAFKA_ERROR_ALARM;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Non-blocking sockets and OpenSSL over them; waiting is poll's.
 */
#include "connectors/kafka/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "connectors/common/trust.h"
#include "connectors/kafka/diagnosis.h"

#define HOST_SIZE 256

struct channel {
	int fd;
	SSL *ssl; /* NULL: no TLS */
	int closed_fd, stop_fd;
	uint64_t deadline_ms;
	bool has_certificate;
	unsigned long tls_error; /* of the last call that failed */
	int depth; /* of the certificate that was refused */
};

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- the context ------------------------------------------------------------------------------------------------------ */

static int on_password(char *buf, int size, int writing, void *arg)
{
	const char *password = arg;
	(void)writing;
	if (!password || strlen(password) > (size_t)size)
		return -1;
	memcpy(buf, password, strlen(password));
	return (int)strlen(password);
}

struct ssl_ctx_st *channel_tls_new(const struct kafka_tls *tls, char *error, size_t error_size)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	const char *wrong = NULL;
	if (!ctx) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(
		ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_default_passwd_cb(ctx, on_password);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, tls->key_password);
	if (trust_add(tls->ca, SSL_CTX_get_cert_store(ctx)) < 0)
		wrong = "tls.ca holds no usable certificate";
	else if (tls->cert && SSL_CTX_use_certificate_chain_file(ctx, tls->cert) != 1)
		wrong = "tls.cert holds no usable certificate";
	else if (tls->key && (SSL_CTX_use_PrivateKey_file(ctx, tls->key, SSL_FILETYPE_PEM) != 1 ||
				     SSL_CTX_check_private_key(ctx) != 1))
		wrong = "tls.key is not the key of tls.cert";
	ERR_clear_error();
	if (!wrong)
		return ctx;
	snprintf(error, error_size, "%s", wrong);
	SSL_CTX_free(ctx);
	return NULL;
}

void channel_tls_free(struct ssl_ctx_st *ctx)
{
	SSL_CTX_free(ctx);
}

/* --- waiting ------------------------------------------------------------------------------------------------------------ */

/* 0: what was waited for may have come. */
static int wait_for(struct channel *channel, short events)
{
	for (;;) {
		uint64_t now = now_ms();
		if (now >= channel->deadline_ms)
			return -ETIMEDOUT;
		struct pollfd fds[] = {
			{.fd = channel->fd, .events = events},
			{.fd = channel->closed_fd, .events = 0},
			{.fd = channel->stop_fd, .events = POLLIN},
		};
		int n = poll(fds, 3, (int)(channel->deadline_ms - now));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents || fds[2].revents)
			return -ECANCELED;
		if (fds[0].revents)
			return 0;
	}
}

static ssize_t tls_result(struct channel *channel, int n, short *ret_events)
{
	switch (SSL_get_error(channel->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		*ret_events = POLLIN;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*ret_events = POLLOUT;
		return -EAGAIN;
	default:
		channel->tls_error = ERR_peek_last_error();
		ERR_clear_error();
		return -EPIPE;
	}
}

static ssize_t socket_result(ssize_t n, short events, short *ret_events)
{
	if (n >= 0)
		return n;
	*ret_events = events;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
}

ssize_t channel_try_write(struct channel *channel, const void *data, size_t len, short *ret_events)
{
	if (!channel->ssl)
		return socket_result(send(channel->fd, data, len, MSG_NOSIGNAL), POLLOUT, ret_events);
	ERR_clear_error();
	int n = SSL_write(channel->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
	return n > 0 ? n : tls_result(channel, n, ret_events);
}

ssize_t channel_try_read(struct channel *channel, void *data, size_t len, short *ret_events)
{
	ssize_t n;
	if (channel->ssl) {
		ERR_clear_error();
		int read = SSL_read(channel->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
		return read > 0 ? read : tls_result(channel, read, ret_events);
	}
	n = socket_result(recv(channel->fd, data, len, 0), POLLIN, ret_events);
	return n == 0 ? -EPIPE : n;
}

int channel_write_all(struct channel *channel, const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len > 0) {
		short events = 0;
		ssize_t n = channel_try_write(channel, at, len, &events);
		int r = n == -EAGAIN ? wait_for(channel, events) : n < 0 ? (int)n : 0;
		if (r < 0)
			return r;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int channel_read_all(struct channel *channel, void *data, size_t len)
{
	uint8_t *at = data;
	while (len > 0) {
		short events = 0;
		ssize_t n = channel_try_read(channel, at, len, &events);
		int r = n == -EAGAIN ? wait_for(channel, events) : n < 0 ? (int)n : 0;
		if (r < 0)
			return r;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int channel_fd(const struct channel *channel)
{
	return channel->fd;
}

/* --- opening ------------------------------------------------------------------------------------------------------------ */

/* "host:port" or "[v6]:port". */
static void copy_host(char *host, const char *broker)
{
	const char *colon = strrchr(broker, ':');
	size_t len = colon ? (size_t)(colon - broker) : strlen(broker);
	if (len > 2 && broker[0] == '[' && broker[len - 1] == ']') {
		broker++;
		len -= 2;
	}
	snprintf(host, HOST_SIZE, "%.*s", (int)len, broker);
}

static int on_verified(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct channel *channel = SSL_get_app_data(ssl);
	if (!good)
		channel->depth = X509_STORE_CTX_get_error_depth(store);
	return good;
}

static int set_peer(struct channel *channel, const struct channel_options *options)
{
	char host[HOST_SIZE];
	uint8_t address[16];
	copy_host(host, options->broker);
	bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	SSL_set_app_data(channel->ssl, channel);
	SSL_set_verify(channel->ssl, options->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
		options->verify ? on_verified : NULL);
	if (!is_address && SSL_ctrl(channel->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host) != 1)
		return -EINVAL;
	if (!options->verify)
		return 0;
	int ok = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(channel->ssl), host)
			    : SSL_set1_host(channel->ssl, host);
	return ok == 1 ? 0 : -EINVAL;
}

bool channel_refusal(const struct channel *channel, struct channel_failure *ret_failure)
{
	const char *reason = channel->tls_error ? ERR_reason_error_string(channel->tls_error) : NULL;
	if (!reason || !strstr(reason, "alert"))
		return false;
	ret_failure->person = true;
	if (!kafka_diagnose_alert(
		    channel->has_certificate, reason, ret_failure->sentence, sizeof ret_failure->sentence))
		snprintf(ret_failure->sentence, sizeof ret_failure->sentence,
			"the broker refuses the TLS connection: %s", reason);
	return true;
}

static void describe_handshake(struct channel *channel, const char *broker, struct channel_failure *failure)
{
	long verify = SSL_get_verify_result(channel->ssl);
	failure->person = true;
	if (ERR_GET_REASON(channel->tls_error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		kafka_diagnose_certificate(
			failure->sentence, sizeof failure->sentence, (int)verify, channel->depth, broker);
	else if (!channel_refusal(channel, failure)) {
		failure->hang_up = true;
		snprintf(failure->sentence, sizeof failure->sentence, "%s", kafka_hint_not_tls);
	}
}

static int shake_hands(struct channel *channel, const struct channel_options *options, struct channel_failure *failure)
{
	channel->ssl = SSL_new(options->ctx);
	if (!channel->ssl || SSL_set_fd(channel->ssl, channel->fd) != 1 || set_peer(channel, options) < 0)
		return -ENOMEM;
	SSL_set_connect_state(channel->ssl);
	for (;;) {
		short events = 0;
		ERR_clear_error();
		int n = SSL_do_handshake(channel->ssl);
		if (n == 1)
			return 0;
		ssize_t what = tls_result(channel, n, &events);
		int r = what == -EAGAIN ? wait_for(channel, events) : (int)what;
		if (r == -EPIPE)
			describe_handshake(channel, options->broker, failure);
		if (r < 0)
			return r;
	}
}

static int reach(struct channel *channel, const struct channel_options *options)
{
	int on = 1, error = 0;
	socklen_t size = sizeof error;
	channel->fd = socket(options->address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (channel->fd < 0)
		return -errno;
	setsockopt(channel->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(channel->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	if (connect(channel->fd, options->address, options->address_len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	int r = wait_for(channel, POLLOUT);
	if (r == 0 && getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return r < 0 ? r : -error;
}

int channel_open(
	const struct channel_options *options, struct channel **ret_channel, struct channel_failure *ret_failure)
{
	struct channel *channel = calloc(1, sizeof *channel);
	int r = channel ? 0 : -ENOMEM;
	*ret_failure = (struct channel_failure){.person = false};
	if (channel) {
		channel->closed_fd = options->closed_fd;
		channel->stop_fd = options->stop_fd;
		channel->has_certificate = options->has_certificate;
		channel->deadline_ms = now_ms() + options->timeout_ms;
		r = reach(channel, options);
	}
	if (r == 0 && options->ctx)
		r = shake_hands(channel, options, ret_failure);
	if (r == 0) {
		*ret_channel = channel;
		return 0;
	}
	channel_close(channel);
	if (!ret_failure->sentence[0])
		snprintf(ret_failure->sentence, sizeof ret_failure->sentence, "%s: cannot be reached: %s",
			options->broker, strerror(-r));
	return r;
}

void channel_close(struct channel *channel)
{
	if (!channel)
		return;
	SSL_free(channel->ssl);
	if (channel->fd >= 0)
		close(channel->fd);
	free(channel);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * Many sensors with DTLS: coap_swarm PORT PATH CLIENTS SECONDS SIZE RATE KEY. Client N is the identity sensor-N with the cipher suite
 * that constrained devices have (PSK-AES128-CCM8, RFC 7925), each from a port of its own. Prints `connected SECONDS` when all
 * have shaken hands, at most 64 at a time; at a line of input sends confirmable POSTs, RATE of them a second in all, one under way at each client, and prints
 * requests a second, p50 and p99 in microseconds from when each was due, and how many were sent again. It keeps its sessions until its input ends.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/coap_request.h"
#include "tests/bench/pace.h"

#define MAX_CLIENTS 16384u
#define MAX_SHAKING 64u
#define EVENTS      256

struct client {
	SSL *ssl;
	size_t number;
	bool connected;
	struct coap_request request;
};

static struct client *clients;
static size_t n_clients, n_begun, n_connected;
static const char *path, *key;
static size_t size;
static int epoll_fd;
static struct coap_samples samples;
static unsigned long n_again;

static void refused(const char *what)
{
	fprintf(stderr, "coap_swarm: %s: %s\n", what, ERR_reason_error_string(ERR_peek_error()));
	exit(1);
}

/* --- sessions ----------------------------------------------------------------------------------------------------- */

static unsigned on_psk(
	SSL *ssl, const char *hint, char *identity, unsigned max_identity, unsigned char *psk, unsigned max_psk)
{
	const struct client *client = SSL_get_app_data(ssl);
	size_t len = strlen(key);
	(void)hint;
	if (len > max_psk)
		return 0;
	snprintf(identity, max_identity, "sensor-%zu", client->number);
	memcpy(psk, key, len);
	return (unsigned)len;
}

static SSL_CTX *new_settings(void)
{
	SSL_CTX *settings = SSL_CTX_new(DTLS_client_method());
	if (!settings || !SSL_CTX_set_min_proto_version(settings, DTLS1_2_VERSION) ||
		!SSL_CTX_set_cipher_list(settings, "PSK-AES128-CCM8@SECLEVEL=0"))
		refused("settings");
	SSL_CTX_set_psk_client_callback(settings, on_psk);
	return settings;
}

static void shake(struct client *client)
{
	ERR_clear_error();
	int r = SSL_connect(client->ssl);
	if (r == 1) {
		client->connected = true;
		n_connected++;
		return;
	}
	int why = SSL_get_error(client->ssl, r);
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		refused("handshake");
}

static void begin(SSL_CTX *settings, uint16_t port)
{
	struct client *client = &clients[n_begun];
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer;
	int fd = coap_wire_connect(port);
	BIO *bio = fd < 0 ? NULL : BIO_new_dgram(fd, BIO_CLOSE);
	client->number = n_begun++;
	coap_request_init(&client->request);
	client->ssl = SSL_new(settings);
	if (!bio || !client->ssl || getpeername(fd, (struct sockaddr *)&peer, &len) < 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		coap_wire_die("coap_swarm: socket");
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &peer);
	SSL_set_bio(client->ssl, bio, bio);
	SSL_set_app_data(client->ssl, client);
	shake(client);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void write_datagram(struct client *client, const uint8_t *data, size_t len)
{
	ERR_clear_error();
	if (SSL_write(client->ssl, data, (int)len) <= 0)
		refused("send");
}

static void transmit(struct client *client)
{
	write_datagram(client, client->request.sent, client->request.len);
	coap_request_goes_out(&client->request);
}

static void send_one(struct client *client, uint64_t due_us)
{
	coap_request_write(&client->request, path, size, due_us);
	transmit(client);
}

static void acknowledge(struct client *client, uint16_t id)
{
	uint8_t out[COAP_WIRE_MAX];
	struct coap_wire msg = {.type = COAP_WIRE_ACK, .id = id};
	write_datagram(client, out, coap_wire_write(&msg, out));
}

static void take(struct client *client, const struct coap_wire *msg)
{
	if (msg->type == COAP_WIRE_CON)
		acknowledge(client, msg->id);
	(void)coap_request_take(&client->request, msg, &samples);
}

static void receive(struct client *client)
{
	uint8_t in[COAP_WIRE_MAX];
	int n;
	if (!client->connected)
		shake(client);
	if (!client->connected)
		return;
	ERR_clear_error();
	while ((n = SSL_read(client->ssl, in, sizeof in)) > 0) {
		struct coap_wire msg;
		if (!coap_wire_read(in, (size_t)n, &msg))
			refused("not an answer");
		take(client, &msg);
	}
	if (SSL_get_error(client->ssl, n) != SSL_ERROR_WANT_READ)
		refused("the session has ended");
}

/* Flights of handshakes, and requests that got no answer. */
static void send_again(void)
{
	uint64_t now_us;
	if (!coap_request_time_to_look(&now_us))
		return;
	for (size_t i = 0; i < n_begun; i++) {
		struct client *client = &clients[i];
		if (!client->connected && DTLSv1_handle_timeout(client->ssl) < 0)
			refused("handshake");
		if (coap_request_is_to_be_sent_again(&client->request, now_us)) {
			n_again++;
			transmit(client);
		}
	}
}

static void turn(const struct pace *pace, bool held_up)
{
	struct epoll_event events[EVENTS];
	int n = pace_wait(pace, held_up, epoll_fd, events, EVENTS);
	for (int i = 0; i < n; i++)
		receive(events[i].data.ptr);
	send_again();
}

static struct client *free_client(void)
{
	static size_t next;
	for (size_t i = 0; i < n_clients; i++) {
		struct client *client = &clients[next++ % n_clients];
		if (!client->request.busy)
			return client;
	}
	return NULL;
}

static void run(struct pace *pace)
{
	struct client *client;
	while (!pace_is_over(pace, samples.n)) {
		bool due;
		while ((due = pace_is_due(pace)) && (client = free_client()) != NULL)
			send_one(client, pace_take(pace));
		turn(pace, due);
	}
}

static void connect_all(SSL_CTX *settings, uint16_t port)
{
	struct pace none;
	pace_begin(&none, 0, 0);
	while (n_connected < n_clients) {
		while (n_begun < n_clients && n_begun - n_connected < MAX_SHAKING)
			begin(settings, port);
		turn(&none, false);
	}
	printf("connected %.3f\n", (double)(coap_wire_now_us() - none.began_us) / 1e6);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		fprintf(stderr, "usage: coap_swarm PORT PATH CLIENTS SECONDS SIZE RATE KEY\n");
		return 2;
	}
	uint64_t seconds = strtoull(argv[4], NULL, 10);
	struct pace pace;
	path = argv[2];
	n_clients = strtoul(argv[3], NULL, 10);
	size = strtoul(argv[5], NULL, 10);
	key = argv[7];
	epoll_fd = epoll_create1(0);
	clients = calloc(n_clients, sizeof *clients);
	if (epoll_fd < 0 || !clients || n_clients == 0 || n_clients > MAX_CLIENTS)
		coap_wire_die("coap_swarm: start");
	connect_all(new_settings(), (uint16_t)strtoul(argv[1], NULL, 10));
	if (getchar() == EOF)
		return 0;
	pace_begin(&pace, strtod(argv[6], NULL), seconds);
	run(&pace);
	double per_second = pace_per_second(&pace, samples.n);
	printf("%.0f %u %u %lu\n", per_second, coap_samples_percentile(&samples, 50),
		coap_samples_percentile(&samples, 99), n_again);
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

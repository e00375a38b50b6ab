/* SPDX-License-Identifier: Apache-2.0
 *
 * The other side of the MQTT benchmarks, as plain as it can be: blocking sockets, our codec, no disk.
 *   mqtt_load session PORT ID FILTER QOS         makes a session that queues what FILTER matches, and leaves
 *   mqtt_load publish PORT TOPIC COUNT SIZE QOS  publishes at QoS 1 or 2; # in TOPIC becomes a number from 0 to 99
 *   mqtt_load drain PORT ID COUNT                takes COUNT messages from the session, acknowledging at once and
 *                                                discarding; prints seconds and CPU seconds between the first and the
 *                                                last tenth
 *   mqtt_load round PORT TOPIC BACK RATE COUNT   publishes at QoS 1, that many a second, and waits for them on BACK;
 *                                                prints the median and the 99th percentile in microseconds
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "connectors/mqtt/codec.h"

#define RECEIVE_MAXIMUM 256u
#define PUBLISH_WINDOW  200u /* below the max_inflight_messages that the benchmarks give mosquitto */
#define INPUT_BYTES     (256u * 1024)

struct client {
	int fd;
	struct buffer out;
	uint8_t in[INPUT_BYTES];
	size_t in_len, in_used;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static void flush(struct client *c)
{
	struct slice bytes = buffer_slice(&c->out);
	while (bytes.len) {
		ssize_t n = send(c->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
		if (n <= 0)
			die("send");
		bytes.data += n;
		bytes.len -= (size_t)n;
	}
	buffer_clear(&c->out);
}

static void put(struct client *c, const struct mqtt_packet *packet)
{
	if (mqtt_encode(&c->out, MQTT_5_0, MQTT_MAX_PACKET, packet) < 0)
		die("encode");
}

/* The next whole packet's bytes; waits for them if allowed, else an absent slice. */
static struct slice next_packet(struct client *c, bool wait)
{
	for (;;) {
		struct mqtt_error error;
		size_t len;
		struct slice rest = slice_of(c->in + c->in_used, c->in_len - c->in_used);
		enum mqtt_frame_state state = mqtt_frame(rest, INPUT_BYTES / 2, &len, &error);
		if (state == MQTT_FRAME_WHOLE) {
			c->in_used += len;
			return slice_of(rest.data, len);
		}
		if (state == MQTT_FRAME_BAD)
			die(error.text);
		if (!wait)
			return (struct slice){NULL, 0};
		memmove(c->in, rest.data, rest.len);
		c->in_len = rest.len;
		c->in_used = 0;
		ssize_t n = recv(c->fd, c->in + c->in_len, INPUT_BYTES - c->in_len, 0);
		if (n <= 0)
			die("recv");
		c->in_len += (size_t)n;
	}
}

static struct client *connect_as(const char *port, const char *id)
{
	struct client *c = calloc(1, sizeof *c);
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (!c || (c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0 ||
		connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0)
		die("connect");
	int on = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	buffer_init(&c->out, 64u << 20);
	struct mqtt_packet hello = {
		.type = MQTT_CONNECT, .connect = {.version = MQTT_5_0, .keep_alive = 600, .client_id = slice_str(id)}};
	mqtt_set_number(&hello.props, MQTT_SESSION_EXPIRY_INTERVAL, 3600);
	mqtt_set_number(&hello.props, MQTT_RECEIVE_MAXIMUM, RECEIVE_MAXIMUM);
	put(c, &hello);
	flush(c);
	struct slice answer = next_packet(c, true);
	if (answer.data[0] >> 4 != MQTT_CONNACK || answer.data[3] != 0)
		die("refused");
	return c;
}

static void subscribe(struct client *c, const char *filter, uint8_t qos)
{
	struct mqtt_subscription entry = {.filter = slice_str(filter), .qos = qos};
	struct mqtt_packet packet = {.type = MQTT_SUBSCRIBE, .subscribe = {1, &entry, 1}};
	put(c, &packet);
	flush(c);
	while (next_packet(c, true).data[0] >> 4 != MQTT_SUBACK)
		;
}

static int session(char **args)
{
	struct client *c = connect_as(args[0], args[1]);
	subscribe(c, args[2], (uint8_t)strtoul(args[3], NULL, 10));
	put(c, &(struct mqtt_packet){.type = MQTT_DISCONNECT});
	flush(c);
	return 0;
}

static void topic_of(char *out, size_t room, const char *pattern, unsigned long i)
{
	const char *mark = strchr(pattern, '#');
	if (mark)
		snprintf(out, room, "%.*s%lu%s", (int)(mark - pattern), pattern, i % 100, mark + 1);
	else
		snprintf(out, room, "%s", pattern);
}

/* Answers a PUBREC by a PUBREL. Returns whether the exchange has ended. */
static bool publish_answered(struct client *c, struct slice answer)
{
	uint8_t type = answer.data[0] >> 4;
	uint16_t id = (uint16_t)(answer.data[2] << 8 | answer.data[3]);
	if (type == MQTT_PUBREC && mqtt_encode_acks(&c->out, MQTT_PUBREL, &id, 1) < 0)
		die("encode");
	return type == MQTT_PUBACK || type == MQTT_PUBCOMP;
}

static int publish(char **args)
{
	static uint8_t payload[65536];
	struct client *c = connect_as(args[0], "bench-publisher");
	unsigned long count = strtoul(args[2], NULL, 10), size = strtoul(args[3], NULL, 10), acked = 0, sent = 0;
	uint8_t qos = (uint8_t)strtoul(args[4], NULL, 10);
	char topic[256];
	memset(payload, 'x', sizeof payload);
	while (acked < count) {
		while (sent < count && sent - acked < PUBLISH_WINDOW) {
			topic_of(topic, sizeof topic, args[1], sent);
			memcpy(payload, &sent, sizeof sent);
			struct mqtt_packet packet = {.type = MQTT_PUBLISH,
				.publish = {.qos = qos,
					.packet_id = (uint16_t)(1 + sent % 60000),
					.topic = slice_str(topic),
					.payload = slice_of(payload, size < sizeof payload ? size : sizeof payload)}};
			put(c, &packet);
			sent++;
		}
		flush(c);
		for (struct slice p = next_packet(c, true); p.data; p = next_packet(c, false))
			acked += publish_answered(c, p);
	}
	put(c, &(struct mqtt_packet){.type = MQTT_DISCONNECT});
	flush(c);
	return 0;
}

/* Acknowledges what is there. Returns how many PUBLISHes that were. */
static size_t drain_some(struct client *c, struct mqtt_decoder *decoder)
{
	static uint16_t ids[3][65536]; /* of PUBACKs, PUBRECs and PUBCOMPs to be sent */
	static const enum mqtt_type types[] = {MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBCOMP};
	size_t n[3] = {0};
	for (struct slice bytes = next_packet(c, true); bytes.data; bytes = next_packet(c, false)) {
		struct mqtt_packet packet;
		struct mqtt_error error;
		if (mqtt_decode(decoder, bytes, &packet, &error) < 0)
			die(error.text);
		if (packet.type == MQTT_PUBLISH && packet.publish.qos > 0)
			ids[packet.publish.qos - 1][n[packet.publish.qos - 1]++] = packet.publish.packet_id;
		if (packet.type == MQTT_PUBREL)
			ids[2][n[2]++] = packet.ack.packet_id;
	}
	for (unsigned i = 0; i < 3; i++)
		if (n[i] > 0 && mqtt_encode_acks(&c->out, types[i], ids[i], n[i]) < 0)
			die("encode");
	flush(c);
	return n[0] + n[1];
}

static int drain(char **args)
{
	static struct mqtt_decoder decoder;
	mqtt_decoder_init(&decoder, MQTT_5_0, MQTT_SERVER);
	struct client *c = connect_as(args[0], args[1]);
	unsigned long count = strtoul(args[2], NULL, 10), taken = 0;
	double began = 0, began_cpu = 0, ended = 0, ended_cpu = 0;
	while (taken < count) {
		taken += drain_some(c, &decoder);
		if (!began && taken >= count / 10)
			began = now_s(), began_cpu = cpu_s();
		if (!ended && taken >= count - count / 10)
			ended = now_s(), ended_cpu = cpu_s();
	}
	printf("%.6f %.6f\n", ended - began, ended_cpu - began_cpu);
	put(c, &(struct mqtt_packet){.type = MQTT_DISCONNECT});
	flush(c);
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Takes what has come back; the payload is the time at which it was to be sent. */
static size_t round_take(struct client *back, struct mqtt_decoder *decoder, double *took_s)
{
	size_t n = 0, n_ids = 0;
	static uint16_t ids[65536];
	for (struct slice bytes = next_packet(back, true); bytes.data; bytes = next_packet(back, false)) {
		struct mqtt_packet packet;
		struct mqtt_error error;
		double sent;
		if (mqtt_decode(decoder, bytes, &packet, &error) < 0)
			die(error.text);
		if (packet.type != MQTT_PUBLISH || packet.publish.payload.len != sizeof sent)
			continue;
		memcpy(&sent, packet.publish.payload.data, sizeof sent);
		took_s[n++] = now_s() - sent;
		ids[n_ids++] = packet.publish.packet_id;
	}
	if (n_ids > 0 && mqtt_encode_acks(&back->out, MQTT_PUBACK, ids, n_ids) < 0)
		die("encode");
	flush(back);
	return n;
}

static int round_trip(char **args)
{
	static struct mqtt_decoder decoder;
	mqtt_decoder_init(&decoder, MQTT_5_0, MQTT_SERVER);
	struct client *out = connect_as(args[0], "bench-round-out"), *back = connect_as(args[0], "bench-round-back");
	subscribe(back, args[2], 1);
	double rate = strtod(args[3], NULL), began = now_s() + 0.1;
	size_t count = strtoul(args[4], NULL, 10), sent = 0, came = 0;
	double *took_s = calloc(count + 65536, sizeof *took_s);
	if (!took_s)
		die("memory");
	while (came < count) {
		for (double due; sent < count && (due = began + (double)sent / rate) <= now_s(); sent++) {
			struct mqtt_packet packet = {.type = MQTT_PUBLISH,
				.publish = {.qos = 1,
					.packet_id = (uint16_t)(1 + sent % 60000),
					.topic = slice_str(args[1]),
					.payload = slice_of(&due, sizeof due)}};
			put(out, &packet);
			flush(out);
		}
		double left_s = sent < count ? began + (double)sent / rate - now_s() : 1;
		/* Not by looking again and again: what is measured needs the cores. */
		struct timespec wait = {.tv_sec = left_s >= 1};
		if (left_s > 0 && left_s < 1)
			wait.tv_nsec = (long)(left_s * 1e9);
		struct pollfd fds[] = {{.fd = out->fd, .events = POLLIN}, {.fd = back->fd, .events = POLLIN}};
		if (ppoll(fds, 2, &wait, NULL) <= 0)
			continue;
		if (fds[0].revents)
			for (struct slice p = next_packet(out, true); p.data; p = next_packet(out, false))
				;
		if (fds[1].revents)
			came += round_take(back, &decoder, took_s + came);
	}
	qsort(took_s, came, sizeof *took_s, compare);
	printf("%.1f %.1f\n", took_s[came / 2] * 1e6, took_s[came - 1 - came / 100] * 1e6);
	free(took_s);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int n_args;
		int (*run)(char **args);
	} commands[] = {
		{"session", 4, session}, {"publish", 5, publish}, {"drain", 3, drain}, {"round", 5, round_trip}};
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (argc == 2 + commands[i].n_args && strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: mqtt_load session PORT ID FILTER QOS | publish PORT TOPIC COUNT SIZE QOS | "
			"drain PORT ID COUNT | round PORT TOPIC BACK RATE COUNT\n");
	return 2;
}

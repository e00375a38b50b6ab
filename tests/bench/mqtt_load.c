/* SPDX-License-Identifier: Apache-2.0
 *
 * The other side of the MQTT benchmarks, as plain as it can be: blocking sockets, our codec, no disk.
 *   mqtt_load session PORT ID FILTER         makes a session that queues what FILTER matches, and leaves
 *   mqtt_load publish PORT TOPIC COUNT SIZE  publishes at QoS 1; # in TOPIC becomes a number from 0 to 99
 *   mqtt_load drain PORT ID COUNT            takes COUNT messages from the session, acknowledging at once and discarding;
 *                                            prints seconds and CPU seconds between the first and the last tenth
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "connectors/mqtt/codec.h"

#define RECEIVE_MAXIMUM 256u
#define PUBLISH_WINDOW  1000u
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

static int session(char **args)
{
	struct client *c = connect_as(args[0], args[1]);
	struct mqtt_subscription entry = {.filter = slice_str(args[2]), .qos = 1};
	struct mqtt_packet packet = {.type = MQTT_SUBSCRIBE, .subscribe = {1, &entry, 1}};
	put(c, &packet);
	flush(c);
	while (next_packet(c, true).data[0] >> 4 != MQTT_SUBACK)
		;
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

static int publish(char **args)
{
	static uint8_t payload[65536];
	struct client *c = connect_as(args[0], "bench-publisher");
	unsigned long count = strtoul(args[2], NULL, 10), size = strtoul(args[3], NULL, 10), acked = 0, sent = 0;
	char topic[256];
	memset(payload, 'x', sizeof payload);
	while (acked < count) {
		while (sent < count && sent - acked < PUBLISH_WINDOW) {
			topic_of(topic, sizeof topic, args[1], sent);
			memcpy(payload, &sent, sizeof sent);
			struct mqtt_packet packet = {.type = MQTT_PUBLISH,
				.publish = {.qos = 1,
					.packet_id = (uint16_t)(1 + sent % 60000),
					.topic = slice_str(topic),
					.payload = slice_of(payload, size < sizeof payload ? size : sizeof payload)}};
			put(c, &packet);
			sent++;
		}
		flush(c);
		for (struct slice p = next_packet(c, true); p.data; p = next_packet(c, false))
			acked += p.data[0] >> 4 == MQTT_PUBACK;
	}
	put(c, &(struct mqtt_packet){.type = MQTT_DISCONNECT});
	flush(c);
	return 0;
}

static int drain(char **args)
{
	static struct mqtt_decoder decoder;
	static uint16_t ids[65536];
	mqtt_decoder_init(&decoder, MQTT_5_0, MQTT_SERVER);
	struct client *c = connect_as(args[0], args[1]);
	unsigned long count = strtoul(args[2], NULL, 10), taken = 0;
	double began = 0, began_cpu = 0, ended = 0, ended_cpu = 0;
	while (taken < count) {
		size_t n = 0;
		for (struct slice bytes = next_packet(c, true); bytes.data; bytes = next_packet(c, false)) {
			struct mqtt_packet packet;
			struct mqtt_error error;
			if (mqtt_decode(&decoder, bytes, &packet, &error) < 0)
				die(error.text);
			if (packet.type == MQTT_PUBLISH)
				ids[n++] = packet.publish.packet_id;
		}
		if (mqtt_encode_acks(&c->out, MQTT_PUBACK, ids, n) < 0)
			die("encode");
		flush(c);
		taken += n;
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

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "session") == 0)
		return session(argv + 2);
	if (argc == 6 && strcmp(argv[1], "publish") == 0)
		return publish(argv + 2);
	if (argc == 5 && strcmp(argv[1], "drain") == 0)
		return drain(argv + 2);
	fprintf(stderr,
		"usage: mqtt_load session PORT ID FILTER | publish PORT TOPIC COUNT SIZE | drain PORT ID COUNT\n");
	return 2;
}

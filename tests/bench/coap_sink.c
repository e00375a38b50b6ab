/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices that answer every request with 2.04 at once: coap_sink DEVICES. Each has a port of its own; prints them in one line. At each line of
 * input prints how many requests it has answered, how many of them had a message id that its port had seen among the last few, and the 99th
 * percentile in milliseconds of the age of those with bodies of 8 bytes (mqtt_load, round), all since the line before. Ends
 * with its input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/coap_wire.h"

#define MAX_DEVICES   1024u
#define REMEMBERED    16u
#define RECEIVE_BYTES (1 << 20)
#define EVENTS        64

struct device {
	int fd;
	uint32_t seen[REMEMBERED]; /* message ids + 1 */
	unsigned next;
};

static struct device devices[MAX_DEVICES];
static unsigned long n_answered, n_repeated;
static struct coap_samples ages;

static void open_device(struct device *device, int epoll_fd)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = device};
	int bytes = RECEIVE_BYTES;
	device->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (device->fd < 0 || bind(device->fd, (struct sockaddr *)&at, sizeof at) < 0 ||
		getsockname(device->fd, (struct sockaddr *)&at, &len) < 0 ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, device->fd, &event) < 0)
		coap_wire_die("coap_sink: socket");
	setsockopt(device->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	printf("%s%u", device == devices ? "" : " ", ntohs(at.sin_port));
}

static void note(struct device *device, const struct coap_wire *msg)
{
	double sent_s;
	bool repeated = false;
	for (unsigned i = 0; i < REMEMBERED; i++)
		repeated = repeated || device->seen[i] == msg->id + 1u;
	device->seen[device->next++ % REMEMBERED] = msg->id + 1u;
	n_answered++;
	n_repeated += repeated;
	if (msg->payload_len != sizeof sent_s || repeated)
		return;
	memcpy(&sent_s, msg->payload, sizeof sent_s);
	coap_samples_add(&ages, coap_wire_now_us() - (uint64_t)(sent_s * 1e6));
}

static void serve(struct device *device)
{
	uint8_t in[2 * COAP_WIRE_MAX], out[COAP_WIRE_MAX];
	struct sockaddr_storage from;
	for (;;) {
		socklen_t from_len = sizeof from;
		struct coap_wire msg;
		ssize_t n = recvfrom(device->fd, in, sizeof in, 0, (struct sockaddr *)&from, &from_len);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			coap_wire_die("coap_sink: receive");
		if (!coap_wire_read(in, (size_t)n, &msg) || msg.type != COAP_WIRE_CON)
			continue;
		struct coap_wire answer = {.type = COAP_WIRE_ACK,
			.code = COAP_WIRE_CODE(2, 4),
			.id = msg.id,
			.token = msg.token,
			.token_len = msg.token_len};
		if (msg.code == COAP_WIRE_EMPTY)
			answer = (struct coap_wire){.type = COAP_WIRE_RST, .id = msg.id};
		else
			note(device, &msg);
		size_t len = coap_wire_write(&answer, out);
		if (sendto(device->fd, out, len, 0, (struct sockaddr *)&from, from_len) < 0 && errno != EAGAIN)
			coap_wire_die("coap_sink: send");
	}
}

/* False: the input has ended. */
static bool report(void)
{
	char line[64];
	if (read(STDIN_FILENO, line, sizeof line) <= 0)
		return false;
	printf("%lu %lu %.3f\n", n_answered, n_repeated, coap_samples_percentile(&ages, 99) / 1e3);
	fflush(stdout);
	n_answered = n_repeated = ages.n = 0;
	return true;
}

int main(int argc, char **argv)
{
	size_t n_devices = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	int epoll_fd = epoll_create1(0);
	struct epoll_event events[EVENTS], input = {.events = EPOLLIN};
	if (epoll_fd < 0 || n_devices == 0 || n_devices > MAX_DEVICES) {
		fprintf(stderr, "usage: coap_sink DEVICES\n");
		return 2;
	}
	for (size_t i = 0; i < n_devices; i++)
		open_device(&devices[i], epoll_fd);
	printf("\n");
	fflush(stdout);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input) < 0)
		coap_wire_die("coap_sink: input");
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve(events[i].data.ptr);
			else if (!report())
				return 0;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The peer of the MQTT connector: a real mosquitto on a free port, behind a proxy that can cut and stall. What arrives is
 * collected by mosquitto_sub, what is read is published by mosquitto_pub, both beside the proxy and with the QoS and the
 * version of the connector under test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connectors/mqtt/mqtt.h"
#include "connectors/mqtt/settings.h"
#include "tests/conformance/mqtt_peer.h"
#include "tests/conformance/proxy.h"
#include "tests/unit/tap.h"

#define USER        "plant"
#define PASSWORD    "right"
#define MAX_PAYLOAD 2000000

extern char **environ;

static struct {
	char host[16], port[16], url[64];
	char client_port[16]; /* which the connector under test is led to; may be `port` */
	pid_t broker, collector;
	int collected; /* the collector's output */
	char *line; /* what of it is not used yet */
	size_t line_len;
	struct arrivals arrivals;
	struct proxy *proxy;
} rig;

static struct config_text url = {.value = rig.url};
static struct mqtt_settings settings;
static const struct mqtt_peer_options *options;
static const char *qos_text; /* of options, for the clients */
static const char *version_text;

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

static const char *find_program(const char *name)
{
	static char path[256];
	static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"};
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

static const char *mqtt_unavailable(void)
{
	static const char *const programs[] = {"mosquitto", "mosquitto_sub", "mosquitto_pub", "mosquitto_passwd"};
	for (size_t i = 0; i < 4; i++)
		if (!find_program(programs[i]))
			return "mosquitto and mosquitto-clients are not installed";
	return NULL;
}

/* in, out: descriptors for its standard input and output, -1: /dev/null. */
static pid_t run(const char *const *argv, int in, int out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		posix_spawn_file_actions_adddup2(&actions, in, 0);
	else
		posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&actions, out, 1);
	else
		posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	const char *path = find_program(argv[0]);
	if (!path || (errno = posix_spawn(&pid, path, &actions, NULL, (char *const *)(uintptr_t)argv, environ)) != 0)
		bail(argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bail("waitpid");
	return status;
}

/* Not by SIGTERM, which mosquitto_sub now and then outlives. */
static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	wait_for(pid);
}

/* --- broker --------------------------------------------------------------------------------------------------- */

static void write_config(const char *folder, char *path, size_t size)
{
	char passwords[512];
	snprintf(passwords, sizeof passwords, "%s/passwords", folder);
	FILE *file = fopen(passwords, "w");
	if (!file || fclose(file) != 0)
		bail(passwords);
	const char *const argv[] = {"mosquitto_passwd", "-b", passwords, USER, PASSWORD, NULL};
	if (wait_for(run(argv, -1, -1)) != 0)
		bail("mosquitto_passwd");
	snprintf(path, size, "%s/mosquitto.conf", folder);
	file = fopen(path, "w");
	if (!file)
		bail(path);
	fprintf(file,
		"listener %s %s\nallow_anonymous false\npassword_file %s\npersistence false\nmax_queued_messages 0\n"
		"max_inflight_messages 100\nset_tcp_nodelay true\n",
		rig.port, rig.host, passwords);
	if (options->websocket)
		fprintf(file, "listener %s %s\nprotocol websockets\n", rig.client_port, rig.host);
	if (geteuid() == 0)
		fprintf(file, "user root\n"); /* else it may not read the temporary folder */
	if (fclose(file) != 0)
		bail(path);
}

/* The broker gives no sign when it listens, and on a loaded machine it takes its time. */
static void wait_for_port(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (unsigned tries = 0; tries < 10000 && waitpid(rig.broker, NULL, WNOHANG) == 0; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int r = connect(fd, (struct sockaddr *)&address, sizeof address);
		close(fd);
		if (r == 0)
			return;
		poll(NULL, 0, 10);
	}
	bail("mosquitto does not listen");
}

/* --- collector ------------------------------------------------------------------------------------------------ */

static uint8_t hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
}

/* ">" and the payload in hexadecimal; other lines are mosquitto_sub's own talk. */
static void take_line(char *line, size_t len)
{
	if (len == 0 || line[0] != '>')
		return;
	size_t size = (len - 1) / 2;
	uint8_t *bytes = (uint8_t *)line; /* in place: two digits become one byte before them */
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(hex_digit(line[1 + 2 * i]) << 4 | hex_digit(line[2 + 2 * i]));
	struct message_view view = {.topic = slice_str("t"), .payload = slice_of(bytes, size)};
	struct message **items = realloc(rig.arrivals.items, (rig.arrivals.n + 1) * sizeof *items);
	struct message *msg = message_new(&view);
	if (!items || !msg)
		bail("collector");
	rig.arrivals.items = items;
	rig.arrivals.items[rig.arrivals.n++] = msg;
}

/* Reads what is there; returns whether a line that begins with `sign` was among it. */
static bool collect(const char *sign)
{
	char buffer[65536];
	ssize_t n;
	bool seen = false;
	while ((n = read(rig.collected, buffer, sizeof buffer)) > 0) {
		char *all = realloc(rig.line, rig.line_len + (size_t)n);
		if (!all)
			bail("collector");
		memcpy(all + rig.line_len, buffer, (size_t)n);
		rig.line = all;
		rig.line_len += (size_t)n;
		char *end;
		size_t used = 0;
		while ((end = memchr(rig.line + used, '\n', rig.line_len - used)) != NULL) {
			size_t len = (size_t)(end - (rig.line + used));
			seen |= sign && len >= strlen(sign) && memcmp(rig.line + used, sign, strlen(sign)) == 0;
			take_line(rig.line + used, len);
			used += len + 1;
		}
		memmove(rig.line, rig.line + used, rig.line_len - used);
		rig.line_len -= used;
	}
	return seen;
}

static void start_collector(void)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		bail("pipe");
	/* Into a pipe it would keep its lines to itself. */
	const char *const argv[] = {"stdbuf", "-oL", "mosquitto_sub", "-h", rig.host, "-p", rig.port, "-u", USER, "-P",
		PASSWORD, "-V", version_text, "-q", qos_text, "-d", "-t", "out/#", "-F", ">%x",
		/* mosquitto_sub 2.0.11 stops for ever at the 20 of its own default with QoS 2. */
		options->version == 0 ? "-D" : NULL, "connect", "receive-maximum", "65535", NULL};
	rig.collector = run(argv, -1, fds[1]);
	close(fds[1]);
	rig.collected = fds[0];
	fcntl(rig.collected, F_SETFL, O_NONBLOCK);
	struct pollfd ready = {.fd = rig.collected, .events = POLLIN};
	do
		poll(&ready, 1, -1);
	while (!collect("Subscribed"));
}

/* --- the peer ------------------------------------------------------------------------------------------------- */

static void mqtt_begin(void)
{
	memset(&rig, 0, sizeof rig);
	int port = tap_free_port();
	snprintf(rig.host, sizeof rig.host, "127.0.0.1");
	snprintf(rig.port, sizeof rig.port, "%d", port);
	int client_port = options->websocket ? tap_free_port() : port;
	snprintf(rig.client_port, sizeof rig.client_port, "%d", client_port);
	char config[512];
	write_config(tap_tempdir(), config, sizeof config);
	const char *const argv[] = {"mosquitto", "-c", config, NULL};
	rig.broker = run(argv, -1, -1);
	wait_for_port(port);
	wait_for_port(client_port);
	rig.proxy = proxy_new(client_port);
	snprintf(rig.url, sizeof rig.url, "%s://127.0.0.1:%d", options->websocket ? "ws" : "mqtt",
		proxy_port(rig.proxy));
	start_collector();
	settings = (struct mqtt_settings){
		.client = options->client,
		.version = options->version,
		.urls = {&url, 1},
		.client_id = text("conformance"),
		.username = text(USER),
		.password = text(PASSWORD),
		.session_expiry_ms = 3600000,
		.keep_alive_ms = 30000,
		.connect_timeout_ms = 10000,
		.ack_timeout_ms = 30000,
		.reconnect_min_ms = 10,
		.reconnect_max_ms = 100,
		.receive_maximum = 256,
		.topic_alias_maximum = 32,
		.topic_aliases = 64,
		.hold_bytes = 4u << 20,
		.tls = {.verify = true},
	};
}

static void mqtt_end(void)
{
	end_process(rig.collector);
	end_process(rig.broker);
	proxy_free(rig.proxy);
	close(rig.collected);
	for (size_t i = 0; i < rig.arrivals.n; i++)
		message_unref(rig.arrivals.items[i]);
	free(rig.arrivals.items);
	free(rig.line);
}

static const void *mqtt_settings(void)
{
	return &settings;
}

static const void *mqtt_wrong_credentials(void)
{
	settings.password = text("wrong");
	return &settings;
}

static void mqtt_lose(void)
{
	proxy_cut(rig.proxy);
}

static void mqtt_find(void)
{
	proxy_pass(rig.proxy);
}

static void mqtt_slow(void)
{
	proxy_stall(rig.proxy);
}

static const struct arrivals *mqtt_arrived(void)
{
	collect(NULL);
	return &rig.arrivals;
}

/* A program that never ends would take all others of `make check` with it. Whether the message is there, the case finds out. */
static int wait_for_publisher(pid_t pid)
{
	int status;
	for (unsigned tries = 0; tries < 60000; tries++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		poll(NULL, 0, 1);
	}
	printf("# mosquitto_pub does not end\n");
	end_process(pid);
	return 0;
}

static void mqtt_publish(struct slice payload)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		bail("pipe");
	const char *const argv[] = {"mosquitto_pub", "-h", rig.host, "-p", rig.port, "-u", USER, "-P", PASSWORD, "-V",
		version_text, "-q", qos_text, "-t", "in/line/1", "-s", NULL};
	const char *const empty[] = {"mosquitto_pub", "-h", rig.host, "-p", rig.port, "-u", USER, "-P", PASSWORD, "-V",
		version_text, "-q", qos_text, "-t", "in/line/1", "-n", NULL};
	pid_t pid = run(payload.len ? argv : empty, fds[0], -1);
	close(fds[0]);
	for (size_t done = 0; done < payload.len;) {
		ssize_t n = write(fds[1], payload.data + done, payload.len - done);
		if (n < 0)
			bail("mosquitto_pub");
		done += (size_t)n;
	}
	close(fds[1]);
	if (wait_for_publisher(pid) != 0)
		bail("mosquitto_pub has failed");
}

int mqtt_peer_main(const struct mqtt_peer_options *how)
{
	bool uses_paho = how->client == MQTT_CLIENT_PAHO || how->websocket;
	const struct link_subscription subscription = {.filter = "in/#", .qos = how->qos};
	const struct peer peer = {
		.name = how->name,
		.connector = &mqtt_connector,
		.unavailable = mqtt_unavailable,
		.begin = mqtt_begin,
		.end = mqtt_end,
		.settings = mqtt_settings,
		.wrong_credentials = mqtt_wrong_credentials,
		.lose = mqtt_lose,
		.find = mqtt_find,
		.slow = mqtt_slow,
		.target = "out/line/1",
		.max_payload = MAX_PAYLOAD,
		.qos = how->qos,
		.arrived = mqtt_arrived,
		.subscription = &subscription,
		.ready_event = "event=mqtt_subscribed",
		.publish = mqtt_publish,
		/* Paho hands over one message at a time, and waits for its acknowledgement. */
		.open_offers = uses_paho ? 1 : 0,
		.down_while_paused = uses_paho,
		.repeats = true,
		.exactly_once = how->qos == 2,
	};
	options = how;
	qos_text = how->qos == 2 ? "2" : "1";
	version_text = how->version == 0 ? "5" : "311";
	return conformance_main(&peer);
}

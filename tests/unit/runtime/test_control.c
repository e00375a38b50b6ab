/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket with a real loop, journal and sockets; the clients run in a thread of their own and block. Lines in
 * pieces, garbage, what is too long, clients that go away or never read.
 */
#define _GNU_SOURCE /* memmem */
#include "runtime/control.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal/frame.h"
#include "runtime/bridge.h"
#include "runtime/log.h"
#include "tests/unit/tap.h"

static struct {
	char folder[300];
	struct disk *disk;
	struct loop *loop;
	struct journal *journal;
	struct queue_service *service;
	struct control *control;
	unsigned faults; /* the clients' */
	unsigned number;
} scene;

#define REQUIRE(condition)                                                                                             \
	((condition) ? (void)0                                                                                         \
		     : (printf("# %s:%d: not so: %s\n", __FILE__, __LINE__, #condition), (void)scene.faults++))

static bool reloads; /* there is somebody who does */
static int on_reload(void *ctx, const struct reload_order *order);

static void on_durable(void *ctx, uint64_t lsn)
{
	(void)ctx;
	queue_service_durable(scene.service, lsn);
}

static void ignore_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

static void open_scene(void)
{
	log_set_sink(ignore_log, NULL);
	snprintf(scene.folder, sizeof scene.folder, "%s/data-%u", tap_tempdir(), ++scene.number);
	scene.disk = disk_posix_new(scene.folder);
	scene.loop = loop_new();
	CU_ASSERT_FATAL(scene.disk && scene.loop);
	struct journal_options options = {
		.disk = scene.disk, .loop = scene.loop, .segment_bytes = 8u << 20, .on_durable = on_durable};
	CU_ASSERT_EQUAL_FATAL(journal_open(&options, &scene.journal), 0);
	CU_ASSERT_FATAL(journal_destination(scene.journal, "lake") >= 0);
	struct queue_service_options queue = {.journal = scene.journal, .loop = scene.loop};
	if (reloads) {
		queue.reload = on_reload;
		queue.ctx = &scene;
	}
	scene.service = queue_service_new(&queue);
	scene.control = control_new(scene.loop, scene.service);
	CU_ASSERT_FATAL(scene.service && scene.control);
}

static void close_scene(void)
{
	control_free(scene.control);
	queue_service_free(scene.service);
	CU_ASSERT_EQUAL(journal_close(scene.journal), 0);
	loop_free(scene.loop);
	disk_posix_free(scene.disk);
	log_set_sink(NULL, NULL);
}

static void *run_clients(void *arg)
{
	void (*clients)(void);
	memcpy(&clients, arg, sizeof clients);
	clients();
	loop_stop(scene.loop);
	return NULL;
}

/* Serves what the function asks, until it returns. */
static void serve(void (*clients)(void))
{
	pthread_t thread;
	open_scene();
	scene.faults = 0;
	CU_ASSERT_EQUAL_FATAL(control_listen(scene.control, scene.folder), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_clients, &clients), 0);
	loop_run(scene.loop);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(scene.faults, 0);
	close_scene();
}

/* --- clients ------------------------------------------------------------------------------------------------------------ */

static int dial(void)
{
	int fd = control_connect(scene.folder);
	REQUIRE(fd >= 0);
	struct timeval limit = {.tv_sec = 20};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	return fd;
}

static void say_bytes(int fd, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* it has been cut off: the answer says why */
		at += (size_t)n;
	}
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* All that comes until the end, with a NUL behind it. */
static char *hear(int fd, size_t *ret_len)
{
	size_t len = 0, capacity = 1 << 16;
	char *text = malloc(capacity);
	for (;;) {
		if (capacity - len < 1 << 15) {
			char *more = realloc(text, capacity *= 2);
			CU_ASSERT_PTR_NOT_NULL_FATAL(more);
			text = more;
		}
		ssize_t n = read(fd, text + len, (1 << 15) - 1);
		if (n < 0 && errno == ECONNRESET)
			break;
		REQUIRE(n >= 0);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	*ret_len = len;
	close(fd);
	return text;
}

static bool hears(int fd, const char *wanted)
{
	size_t len;
	char *text = hear(fd, &len);
	bool found = strstr(text, wanted) != NULL;
	if (!found)
		printf("# not heard: %s\n# but: %.300s\n", wanted, text);
	free(text);
	return found;
}

static uint64_t waiting(void)
{
	int fd = dial();
	size_t len;
	say(fd, "{\"op\":\"ls\"}\n");
	char *text = hear(fd, &len);
	const char *found = strstr(text, "\"waiting\": ");
	uint64_t n = found ? strtoull(found + 11, NULL, 10) : UINT64_MAX;
	free(text);
	return n;
}

static size_t make_frame(uint8_t *room, struct slice payload)
{
	struct message_view view = {
		.topic = slice_str("t"), .order_key = slice_str("t"), .payload = payload, .origin_ms = 1};
	struct frame frame = {
		.type = FRAME_MSG, .name = slice_str("lake"), .body = {NULL, message_encoded_size(&view)}};
	message_encode(&view, frame_encode(&frame, room));
	frame_seal(room, 0);
	return frame_size(&frame);
}

static void say_message(int fd, struct slice payload)
{
	uint8_t *room = malloc(payload.len + 200);
	char head[40];
	size_t len = make_frame(room, payload);
	snprintf(head, sizeof head, "{\"bytes\":%zu}\n", len);
	say(fd, head);
	say_bytes(fd, room, len);
	free(room);
}

/* --- tests ---------------------------------------------------------------------------------------------------------------- */

static int on_reload(void *ctx, const struct reload_order *order)
{
	static const struct reload_result refused = {.text = "a:1:2: \"wrong\"\n", .summary = "nothing has changed"};
	static const struct reload_result done = {.applied = true, .text = "", .summary = "2 kept"};
	REQUIRE(ctx == &scene);
	bool names = order->drop[0] && strcmp(order->drop[0], "lake") == 0 && strcmp(order->drop[1], "\u00e4") == 0 &&
		     !order->drop[2] && !order->drain;
	order->done(order->ctx, names ? &done : &refused);
	return 0;
}

static void reload_clients(void)
{
	static const char *const refused[] = {"{\"op\":\"reload\",\"drop\":1}\n", "{\"op\":\"reload\",\"drain\":[1]}\n",
		"{\"op\":\"reload\",\"drop\":[\"a\\u0000b\"]}\n", "{\"op\":\"reload\",\"drop\":[\"a\",{}]}\n"};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		int fd = dial();
		say(fd, refused[i]);
		REQUIRE(hears(fd, "lists of names"));
	}
	int fd = dial();
	say(fd, "{\"op\":\"reload\",\"drop\":[\"lake\",\"\\u00e4\"]}\n");
	REQUIRE(hears(fd, "{\"text\": \"2 kept\"}\n{\"end\": true,\"messages\": 0,\"kept\": 0}\n"));
	fd = dial();
	say(fd, "{\"op\":\"reload\",\"drop\":[]}\n");
	REQUIRE(hears(fd, "{\"text\": \"a:1:2: \\\"wrong\\\"\\u000a\"}"));
	fd = dial();
	say(fd, "{\"op\":\"reload\",\"drop\":[\"x\"]}\n");
	REQUIRE(hears(fd, "\"error\": \"nothing has changed\""));
}

static void test_reload(void)
{
	reloads = true;
	serve(reload_clients);
	reloads = false;
}

static void nobody_reloads(void)
{
	int fd = dial();
	say(fd, "{\"op\":\"reload\"}\n");
	REQUIRE(hears(fd, "linkspan does not run"));
}

static void test_no_reload(void)
{
	serve(nobody_reloads);
}

static void in_pieces(void)
{
	static const char line[] = "{\"op\":\"ls\"}\n";
	int fd = dial();
	for (size_t i = 0; i < sizeof line - 1; i++)
		say_bytes(fd, line + i, 1);
	REQUIRE(hears(fd, "{\"end\": true"));
	char path[400];
	struct stat st;
	snprintf(path, sizeof path, "%s/control", scene.folder);
	REQUIRE(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
}

static void test_pieces(void)
{
	serve(in_pieces);
}

static void garbage(void)
{
	int fd = dial();
	say(fd, "GET / HTTP/1.1\r\n\r\n");
	REQUIRE(hears(fd, "is not understood"));
	fd = dial();
	say_bytes(fd, "\0\xff\0\n", 4);
	REQUIRE(hears(fd, "is not understood"));
	fd = dial();
	char *much = malloc(1 << 20);
	memset(much, 'x', 1 << 20);
	say_bytes(fd, much, 1 << 20); /* no end of line */
	REQUIRE(hears(fd, "the request is too long"));
	fd = dial();
	say(fd, "{\"op\":\"import\"}\nGET / HTTP/1.1\r\n");
	REQUIRE(hears(fd, "neither a message nor the end"));
	fd = dial();
	say(fd, "{\"op\":\"import\"}\n");
	say_bytes(fd, much, 1000);
	REQUIRE(hears(fd, "neither a message nor the end"));
	fd = dial();
	say(fd, "{\"op\":\"import\"}\n{\"bytes\":99999999999}\n");
	REQUIRE(hears(fd, "neither a message nor the end"));
	fd = dial();
	say(fd, "{\"op\":\"import\"}\n{\"bytes\":5}\nhello");
	REQUIRE(hears(fd, "message 1 is not readable"));
	free(much);
	REQUIRE(waiting() == 0);
}

static void test_garbage(void)
{
	serve(garbage);
}

static void imports(void)
{
	int fd = dial();
	say(fd, "{\"op\":\"import\"}\n");
	for (unsigned i = 0; i < 1000; i++)
		say_message(fd, slice_str("hello"));
	say(fd, "{\"end\":true}\n");
	REQUIRE(hears(fd, "{\"end\": true,\"messages\": 1000,\"kept\": 0}"));
	REQUIRE(waiting() == 1000);
	/* It goes away in the middle of a message: what was not reported may be missing. */
	fd = dial();
	say(fd, "{\"op\":\"import\"}\n");
	say_message(fd, slice_str("hello"));
	say(fd, "{\"bytes\":400}\nhalf");
	close(fd);
	REQUIRE(waiting() == 1000);
	/* And with everything in the smallest of pieces. */
	uint8_t room[300];
	char head[40];
	fd = dial();
	say(fd, "{\"op\":\"import\"}\n");
	size_t len = make_frame(room, slice_str("x"));
	snprintf(head, sizeof head, "{\"bytes\":%zu}\n", len);
	for (size_t i = 0; i < strlen(head); i++)
		say_bytes(fd, head + i, 1);
	for (size_t i = 0; i < len; i++)
		say_bytes(fd, room + i, 1);
	say(fd, "{\"end\":true}\n");
	REQUIRE(hears(fd, "{\"end\": true,\"messages\": 1,\"kept\": 0}"));
}

static void test_import(void)
{
	serve(imports);
}

static void large_message(void)
{
	struct slice payload = {NULL, 5u << 20};
	uint8_t *bytes = malloc(payload.len), *expected = malloc(payload.len + 300);
	for (size_t i = 0; i < payload.len; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 24);
	payload.data = bytes;
	int fd = dial();
	say(fd, "{\"op\":\"import\"}\n");
	for (unsigned i = 0; i < 4; i++)
		say_message(fd, payload);
	say(fd, "{\"end\":true}\n");
	REQUIRE(hears(fd, "{\"end\": true,\"messages\": 4,"));
	fd = dial();
	say(fd, "{\"op\":\"export\",\"destination\":\"lake\"}\n");
	size_t len, found = 0;
	char *text = hear(fd, &len);
	for (char *at = text; (at = memmem(at, len - (size_t)(at - text), bytes, payload.len)); at++)
		found++;
	REQUIRE(found == 4);
	free(text);
	free(bytes);
	free(expected);
}

static void test_large(void)
{
	serve(large_message);
}

static void many(void)
{
	int fds[CONTROL_MAX_CLIENTS];
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		fds[i] = dial();
		say(fds[i], "{\"op\":\"import\"}\n");
	}
	int fd = dial();
	REQUIRE(hears(fd, "four clients at a time"));
	/* One goes, and is heard to have gone. */
	say(fds[0], "{\"end\":true}\n");
	REQUIRE(hears(fds[0], "{\"end\": true"));
	REQUIRE(waiting() == 0);
	for (int i = 1; i < CONTROL_MAX_CLIENTS; i++)
		close(fds[i]);
}

static void test_many(void)
{
	serve(many);
}

static pthread_barrier_t gate; /* the loop comes to it twice, and is busy in between */

static void pass_gate_twice(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
}

/* Four hang up and another one comes while the loop is busy, so that it hears of all that in one turn. */
static void many_gone(void)
{
	int fds[CONTROL_MAX_CLIENTS];
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		fds[i] = dial();
		say(fds[i], "{\"op\":\"import\"}\n");
	}
	REQUIRE(hears(dial(), "four clients at a time"));
	struct loop_job busy;
	loop_job_init(&busy, pass_gate_twice, NULL);
	pthread_barrier_init(&gate, NULL, 2);
	loop_post(scene.loop, &busy);
	pthread_barrier_wait(&gate);
	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++)
		close(fds[i]);
	int fd = dial();
	say(fd, "{\"op\":\"import\"}\n{\"end\":true}\n");
	pthread_barrier_wait(&gate);
	REQUIRE(hears(fd, "{\"end\": true"));
	pthread_barrier_destroy(&gate);
}

static void test_many_gone(void)
{
	serve(many_gone);
}

/* A client that asks for much and reads nothing disturbs nobody, and is gone when it goes. */
static void slow(void)
{
	static uint8_t payload[10000];
	int fd = dial();
	say(fd, "{\"op\":\"import\"}\n");
	for (unsigned i = 0; i < 2000; i++)
		say_message(fd, slice_of(payload, sizeof payload));
	say(fd, "{\"end\":true}\n");
	REQUIRE(hears(fd, "{\"end\": true,\"messages\": 2000,"));
	int lazy[3];
	for (unsigned i = 0; i < 3; i++) {
		lazy[i] = dial();
		say(lazy[i], "{\"op\":\"export\",\"destination\":\"lake\"}\n");
	}
	for (unsigned i = 0; i < 20; i++)
		REQUIRE(waiting() == 2000);
	for (unsigned i = 0; i < 2; i++)
		close(lazy[i]);
	REQUIRE(hears(lazy[2], "{\"bytes\":")); /* now it reads: all of it comes */
}

static void test_slow(void)
{
	serve(slow);
}

static void test_socket(void)
{
	char path[400];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	open_scene();
	snprintf(path, sizeof path, "%s/control", scene.folder);
	/* One that was left over. */
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CU_ASSERT_FATAL(strlen(path) < sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path));
	CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	close(fd);
	CU_ASSERT_EQUAL(control_connect(scene.folder), -ECONNREFUSED);
	CU_ASSERT_EQUAL(control_listen(scene.control, scene.folder), 0);
	close_scene();
	CU_ASSERT(access(path, F_OK) < 0); /* it goes with the daemon */
	/* Something that is no socket is left alone. */
	open_scene();
	snprintf(path, sizeof path, "%s/control", scene.folder);
	FILE *file = fopen(path, "w");
	fputs("mine", file);
	fclose(file);
	CU_ASSERT_EQUAL(control_listen(scene.control, scene.folder), -EEXIST);
	close_scene();
	CU_ASSERT(access(path, F_OK) == 0);
}

static const struct tap_test tests[] = {
	{"a request byte by byte; the socket is its owner's", test_pieces},
	{"garbage, and what is too long", test_garbage},
	{"import", test_import},
	{"large messages there and back", test_large},
	{"more clients than are served", test_many},
	{"clients that are gone by the time another one comes", test_many_gone},
	{"clients that never read", test_slow},
	{"the socket itself", test_socket},
	{"reload: lists of names, and what has become of it", test_reload},
	{"reload: nobody is there who could", test_no_reload},
	{NULL, NULL},
};

int main(void)
{
	return tap_main("control socket", tests);
}

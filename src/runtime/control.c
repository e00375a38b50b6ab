/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's life: REQUEST (its line comes) → WORKING (a job of the queue service answers; import: its messages come) →
 * CLOSING (what is left is written). What a job says is gathered and written once a turn, one write at a time.
 */
#define _GNU_SOURCE /* struct ucred */
#include "runtime/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "message/buffer.h"
#include "routing/json.h"
#include "runtime/log.h"
#include "runtime/queue_request.h"

#define SOCKET_NAME  "control"
#define FRAME_MAX    (MESSAGE_MAX_ENCODED + 4096u) /* of one message that comes in */
#define ENOUGH_OUT   (96u * 1024) /* more is not asked of a job before some is written */
#define READ_BYTES   (64u * 1024)
#define REQUEST_MS   10000u /* for a client to say what it wants */
#define IDLE_BUFFERS (256u * 1024)
#define HEAD_MAX     256u /* of the line before a message */

enum client_state { CLIENT_REQUEST, CLIENT_WORKING, CLIENT_CLOSING };

struct client {
	struct queue_listener listener; /* first */
	uv_pipe_t pipe;
	uv_write_t write;
	struct control *control; /* NULL: freed */
	enum client_state state;
	struct queue_job *job;
	struct loop *loop;
	struct loop_job flush_job;
	struct loop_timer *timer;
	struct buffer in;
	size_t in_at; /* what stands before it has been taken */
	size_t frame_bytes; /* of the message that is coming; 0: a line comes */
	struct buffer out, writing;
	bool write_underway, reading, in_use;
	void (*on_gone)(void *arg);
	void *gone_arg;
};

struct control {
	struct loop *loop;
	struct queue_service *service;
	struct client clients[CONTROL_MAX_CLIENTS];
	uv_pipe_t listener;
	bool listens, freed;
	bool waiting; /* a connection that there was no place for has not been accepted yet */
	struct loop_job full_job;
	unsigned open_handles;
	int folder; /* -1: does not listen */
};

static void read_more(struct client *client);
static void flush(struct client *client);
static void admit(struct control *control);

/* --- the end ------------------------------------------------------------------------------------------------------------- */

static void free_if_unused(struct control *control)
{
	if (control->freed && control->open_handles == 0)
		free(control);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct control *control = client->control;
	buffer_free(&client->in);
	buffer_free(&client->out);
	buffer_free(&client->writing);
	client->in_use = false;
	control->open_handles--;
	if (client->on_gone)
		client->on_gone(client->gone_arg);
	if (control->waiting && !control->freed)
		admit(control);
	free_if_unused(control);
}

static void close_client(struct client *client)
{
	if (uv_is_closing((uv_handle_t *)&client->pipe))
		return;
	if (client->job)
		queue_job_cancel(client->job);
	client->job = NULL;
	client->state = CLIENT_CLOSING;
	loop_cancel(client->loop, &client->flush_job);
	loop_timer_free(client->timer);
	client->timer = NULL;
	uv_close((uv_handle_t *)&client->pipe, on_client_closed);
}

/* --- out ------------------------------------------------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status)
{
	struct client *client = write->data;
	client->write_underway = false;
	if (status < 0) {
		close_client(client);
		return;
	}
	buffer_clear(&client->writing);
	if (client->writing.capacity > IDLE_BUFFERS)
		buffer_free(&client->writing);
	flush(client);
	if (client->job && client->listener.can_send(&client->listener))
		queue_job_go_on(client->job);
}

static void flush(struct client *client)
{
	if (client->write_underway || uv_is_closing((uv_handle_t *)&client->pipe))
		return;
	if (client->out.len == 0) {
		if (client->state == CLIENT_CLOSING)
			close_client(client);
		return;
	}
	struct buffer full = client->out;
	client->out = client->writing;
	client->writing = full;
	client->write_underway = true;
	client->write.data = client;
	uv_buf_t bytes = uv_buf_init((char *)full.data, (unsigned)full.len);
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &bytes, 1, on_written) < 0) {
		client->write_underway = false;
		close_client(client);
	}
}

static void on_flush(void *arg)
{
	flush(arg);
}

static uint8_t *client_send(struct queue_listener *listener, size_t bytes)
{
	struct client *client = (struct client *)listener;
	if (uv_is_closing((uv_handle_t *)&client->pipe))
		return NULL;
	loop_post(client->loop, &client->flush_job);
	if (buffer_reserve(&client->out, bytes) < 0) {
		/* An answer with a hole in it would be worse than one without an end. */
		log_warn("control_client_dropped", "what=\"out of memory\"");
		client->state = CLIENT_CLOSING;
		buffer_free(&client->out);
		return NULL;
	}
	client->out.len += bytes;
	return client->out.data + client->out.len - bytes;
}

static bool client_can_send(struct queue_listener *listener)
{
	const struct client *client = (const struct client *)listener;
	return client->out.len + (client->write_underway ? client->writing.len : 0) < ENOUGH_OUT;
}

static void client_ended(struct queue_listener *listener)
{
	struct client *client = (struct client *)listener;
	client->job = NULL;
	client->state = CLIENT_CLOSING;
	flush(client);
}

static void refuse(struct client *client, const char *why)
{
	static const char format[] = "{\"end\":true,\"messages\":0,\"kept\":0,\"error\":\"%s\"}\n";
	char text[256];
	int len = snprintf(text, sizeof text, format, why);
	uint8_t *out = client_send(&client->listener, (size_t)len);
	if (out)
		memcpy(out, text, (size_t)len);
	client->state = CLIENT_CLOSING;
}

/* --- in ---------------------------------------------------------------------------------------------------------------------- */

static struct slice rest_of(const struct client *client)
{
	bool empty = client->in.len == client->in_at; /* and perhaps there is no buffer */
	return empty ? slice_str("") : slice_of(client->in.data + client->in_at, client->in.len - client->in_at);
}

/* Takes a line off the input. False: it has not come whole. */
static bool take_line(struct client *client, struct slice *ret_line)
{
	struct slice rest = rest_of(client);
	const uint8_t *end = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
	if (!end)
		return false;
	*ret_line = slice_of(rest.data, (size_t)(end - rest.data));
	client->in_at += ret_line->len + 1;
	return true;
}

static void begin_job(struct client *client)
{
	struct slice line;
	if (!take_line(client, &line)) {
		if (client->in.len > QUEUE_REQUEST_MAX)
			refuse(client, "the request is too long");
		return;
	}
	if (line.len > QUEUE_REQUEST_MAX) {
		refuse(client, "the request is too long");
		return;
	}
	loop_timer_stop(client->timer);
	client->state = CLIENT_WORKING;
	client->job = queue_job_start(client->control->service, line, &client->listener);
	if (!client->job)
		refuse(client, "out of memory");
}

/* {"bytes":N}, or 0 for {"end":true}; false: neither. */
static bool parse_head(struct slice line, size_t *ret_bytes)
{
	struct json_step bytes = {.key = slice_str("bytes")}, end = {.key = slice_str("end")};
	if (json_check(line, NULL) || json_kind(json_find(line, NULL, 0)) != JSON_OBJECT)
		return false;
	struct slice value = json_find(line, &bytes, 1);
	*ret_bytes = 0;
	if (!value.data) {
		value = json_find(line, &end, 1);
		return value.data && json_kind(value) == JSON_TRUE;
	}
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9' || *ret_bytes > FRAME_MAX)
			return false;
		*ret_bytes = *ret_bytes * 10 + (size_t)(value.data[i] - '0');
	}
	return *ret_bytes > 0 && *ret_bytes <= FRAME_MAX;
}

static void take_head(struct client *client, struct slice line)
{
	size_t bytes;
	if (!parse_head(line, &bytes)) {
		queue_job_cancel(client->job);
		client->job = NULL;
		refuse(client, "what came is neither a message nor the end");
	} else if (bytes == 0) {
		queue_job_input_end(client->job);
		client->reading = false;
	} else {
		client->frame_bytes = bytes;
		/* At once what it will need; if there is no memory, reading says so. */
		int r = buffer_reserve(&client->in, bytes);
		(void)r;
	}
}

/* Messages to import. */
static void take_input(struct client *client)
{
	struct slice line;
	while (client->state == CLIENT_WORKING && client->reading) {
		struct slice rest = rest_of(client);
		if (client->frame_bytes == 0) {
			bool whole = take_line(client, &line);
			if (!whole && rest.len <= HEAD_MAX)
				return;
			take_head(client, whole ? line : rest);
			continue;
		}
		if (rest.len < client->frame_bytes)
			return;
		client->in_at += client->frame_bytes;
		client->reading = queue_job_input(client->job, slice_of(rest.data, client->frame_bytes));
		client->frame_bytes = 0;
	}
}

static void forget_taken(struct client *client)
{
	buffer_consume(&client->in, client->in_at);
	client->in_at = 0;
	if (client->in.len == 0 && client->in.capacity > IDLE_BUFFERS)
		buffer_free(&client->in);
}

static void take(struct client *client)
{
	client->reading = true;
	if (client->state == CLIENT_REQUEST)
		begin_job(client);
	if (client->state == CLIENT_WORKING && client->job && queue_job_takes_input(client->job))
		take_input(client);
	else if (client->state != CLIENT_REQUEST)
		client->in_at = client->in.len; /* nothing more is expected of it but that it stays */
	forget_taken(client);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct client *client = handle->data;
	(void)suggested;
	size_t room = client->in.capacity - client->in.len;
	if (room < READ_BYTES && buffer_reserve(&client->in, room = READ_BYTES) < 0)
		*buf = uv_buf_init(NULL, 0);
	else
		*buf = uv_buf_init((char *)client->in.data + client->in.len, (unsigned)room);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *client = stream->data;
	(void)buf;
	if (n == UV_EOF && client->state == CLIENT_CLOSING)
		uv_read_stop(stream); /* it may have said all that it has to say: the answer is written */
	else if (n < 0)
		close_client(client);
	if (n <= 0)
		return;
	client->in.len += (size_t)n;
	if (client->state == CLIENT_CLOSING)
		buffer_clear(&client->in);
	else
		take(client);
	if (!client->reading && !uv_is_closing((uv_handle_t *)stream))
		uv_read_stop(stream);
}

static void read_more(struct client *client)
{
	if (uv_is_closing((uv_handle_t *)&client->pipe) || client->state == CLIENT_CLOSING)
		return;
	take(client); /* of what has come already */
	if (client->reading)
		uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read);
}

static void client_want_input(struct queue_listener *listener)
{
	read_more((struct client *)listener);
}

/* --- clients ------------------------------------------------------------------------------------------------------------------- */

static void on_timer(void *arg)
{
	close_client(arg);
}

static struct client *free_slot(struct control *control)
{
	for (size_t i = 0; i < CONTROL_MAX_CLIENTS; i++)
		if (!control->clients[i].in_use)
			return &control->clients[i];
	return NULL;
}

static int init_client(struct client *client, struct control *control)
{
	*client = (struct client){
		.listener = {client_send, client_can_send, client_want_input, client_ended},
		.control = control,
		.loop = control->loop,
		.reading = true,
	};
	client->timer = loop_timer_new(control->loop, on_timer, client);
	if (!client->timer)
		return -ENOMEM;
	buffer_init(&client->in, FRAME_MAX + QUEUE_REQUEST_MAX + 2 * READ_BYTES);
	buffer_init(&client->out, (size_t)2 * FRAME_MAX + QUEUE_REQUEST_MAX);
	buffer_init(&client->writing, (size_t)2 * FRAME_MAX + QUEUE_REQUEST_MAX);
	loop_job_init(&client->flush_job, on_flush, client);
	int r = uv_pipe_init(loop_uv(control->loop), &client->pipe, 0);
	if (r < 0) {
		loop_timer_free(client->timer);
		return r;
	}
	client->pipe.data = client;
	client->in_use = true;
	control->open_handles++;
	return 0;
}

static void serve(struct client *client)
{
	loop_timer_start(client->timer, REQUEST_MS);
	uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read);
}

/* The mode of the socket says so already; a data folder on a file system without modes does not. */
static bool is_ours(const uv_pipe_t *pipe)
{
	struct ucred peer;
	socklen_t len = sizeof peer;
	uv_os_fd_t fd;
	if (uv_fileno((const uv_handle_t *)pipe, &fd) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}

/* Takes the connection and closes it: with none taken the socket would be ready for ever. */
static void on_refused_closed(uv_handle_t *handle)
{
	struct control *control = handle->data;
	free(handle);
	control->open_handles--;
	free_if_unused(control);
}

static void turn_away(struct control *control)
{
	static char text[] =
		"{\"end\":true,\"messages\":0,\"kept\":0,\"error\":\"linkspan serves four clients at a time; "
		"try again when one is done\"}\n";
	uv_pipe_t *pipe = malloc(sizeof *pipe);
	if (!pipe)
		abort(); /* some hundred bytes */
	uv_pipe_init(loop_uv(control->loop), pipe, 0);
	pipe->data = control;
	control->open_handles++;
	uv_buf_t bytes = uv_buf_init(text, sizeof text - 1);
	if (uv_accept((uv_stream_t *)&control->listener, (uv_stream_t *)pipe) == 0)
		uv_try_write((uv_stream_t *)pipe, &bytes, 1);
	uv_close((uv_handle_t *)pipe, on_refused_closed);
}

/* There is a place. */
static void admit(struct control *control)
{
	struct client *client = free_slot(control);
	control->waiting = false;
	if (init_client(client, control) < 0) {
		turn_away(control);
		return;
	}
	if (uv_accept((uv_stream_t *)&control->listener, (uv_stream_t *)&client->pipe) < 0 || !is_ours(&client->pipe))
		close_client(client);
	else
		serve(client);
}

static bool one_is_leaving(const struct control *control)
{
	for (size_t i = 0; i < CONTROL_MAX_CLIENTS; i++)
		if (control->clients[i].in_use && uv_is_closing((const uv_handle_t *)&control->clients[i].pipe))
			return true;
	return false;
}

static void on_full(void *arg)
{
	struct control *control = arg;
	if (!control->waiting || one_is_leaving(control)) /* then on_client_closed goes on */
		return;
	control->waiting = false;
	turn_away(control);
}

/* Whoever had hung up before this one came may be heard of only in the same turn, and has its place until the end of that:
 * so it is the next turn that decides. Meanwhile libuv listens no more. */
static void on_connection(uv_stream_t *listener, int status)
{
	struct control *control = listener->data;
	if (status < 0)
		return;
	if (free_slot(control)) {
		admit(control);
		return;
	}
	control->waiting = true;
	loop_post(control->loop, &control->full_job);
}

/* --- the socket ------------------------------------------------------------------------------------------------------------------ */

struct control *control_new(struct loop *loop, struct queue_service *service)
{
	struct control *control = calloc(1, sizeof *control);
	if (!control)
		return NULL;
	*control = (struct control){.loop = loop, .service = service, .folder = -1};
	loop_job_init(&control->full_job, on_full, control);
	return control;
}

/* By the open folder: the name of a data folder may be longer than an address can be. */
static void make_address(int folder, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/" SOCKET_NAME, folder);
}

static int remove_stale(int folder)
{
	struct stat st;
	if (fstatat(folder, SOCKET_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	return unlinkat(folder, SOCKET_NAME, 0) < 0 ? -errno : 0;
}

static int bind_socket(int folder)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	make_address(folder, &address);
	/* For the moment before the chmod. Not 0177: another thread may be making a folder. */
	mode_t before = umask(0077);
	int r = bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
	umask(before);
	if (r == 0 && fchmodat(folder, SOCKET_NAME, 0600, 0) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int open_folder(const char *data_dir)
{
	int folder = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		folder = -errno;
	return folder;
}

int control_listen(struct control *control, const char *data_dir)
{
	int folder = open_folder(data_dir);
	if (folder < 0)
		return folder;
	int fd = remove_stale(folder);
	if (fd == 0)
		fd = bind_socket(folder);
	if (fd < 0) {
		close(folder);
		return fd;
	}
	control->folder = folder;
	uv_pipe_init(loop_uv(control->loop), &control->listener, 0);
	control->listener.data = control;
	control->open_handles++;
	control->listens = true;
	int r = uv_pipe_open(&control->listener, fd);
	if (r < 0)
		close(fd);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&control->listener, CONTROL_MAX_CLIENTS, on_connection);
	return r;
}

int control_attach(struct control *control, int fd, void (*on_gone)(void *arg), void *arg)
{
	struct client *client = free_slot(control);
	int r = client ? init_client(client, control) : -EBUSY;
	if (r < 0)
		return r;
	r = uv_pipe_open(&client->pipe, fd);
	if (r < 0) {
		close_client(client);
		return r;
	}
	client->on_gone = on_gone;
	client->gone_arg = arg;
	serve(client);
	return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct control *control = handle->data;
	control->open_handles--;
	free_if_unused(control);
}

void control_free(struct control *control)
{
	if (!control)
		return;
	for (size_t i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		control->clients[i].on_gone = NULL;
		if (control->clients[i].in_use)
			close_client(&control->clients[i]);
	}
	if (control->folder >= 0) {
		unlinkat(control->folder, SOCKET_NAME, 0);
		close(control->folder);
	}
	loop_cancel(control->loop, &control->full_job);
	if (control->listens)
		uv_close((uv_handle_t *)&control->listener, on_listener_closed);
	control->freed = true;
	free_if_unused(control);
}

int control_connect(const char *data_dir)
{
	struct sockaddr_un address;
	int folder = open_folder(data_dir);
	if (folder < 0)
		return folder;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	make_address(folder, &address);
	int r = fd < 0 ? -errno : 0;
	if (r == 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		r = -errno;
	close(folder);
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

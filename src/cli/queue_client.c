/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon is there when its socket takes the connection. If not, a child process serves the files over a socket pair:
 * forked before anything else, so that it may have threads of its own. It goes on when this process is interrupted, until
 * what it had begun is whole.
 */
#include "cli/queue_client.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal/frame.h"
#include "routing/json.h"
#include "runtime/control.h"

#define BLOCK_MAX (2u * MESSAGE_MAX_ENCODED)
#define OUT_BYTES (64u * 1024)

static void tell(struct queue_client *client, const char *what)
{
	if (!client->told)
		fprintf(stderr, "%s: %s\n", client->title, what);
	client->told = true;
}

static int fork_server(const struct queue_folder *folder, struct queue_client *client)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	fflush(NULL);
	client->child = fork();
	if (client->child < 0) {
		int r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (client->child == 0) {
		signal(SIGINT, SIG_IGN);
		close(fds[0]);
		_exit(queue_offline_serve(folder, fds[1]));
	}
	close(fds[1]);
	client->fd = fds[0];
	return 0;
}

static int begin(const char *title, const char *data_dir, struct queue_client *client)
{
	*client = (struct queue_client){.title = title, .fd = control_connect(data_dir)};
	signal(SIGPIPE, SIG_IGN);
	buffer_init(&client->in, BLOCK_MAX);
	buffer_init(&client->out, BLOCK_MAX);
	return client->fd;
}

static void tell_unreachable(const char *title, const char *data_dir, int error)
{
	const char *why = strerror(-error);
	if (error == -ENOENT || error == -ECONNREFUSED)
		why = "no linkspan runs on this data folder: start it with linkspan run";
	else if (error == -EACCES)
		why = "permission denied: run it as the user that linkspan runs as";
	fprintf(stderr, "%s: %s/control: %s\n", title, data_dir, why);
}

int queue_client_connect(const char *title, const char *data_dir, struct queue_client *ret_client)
{
	int r = begin(title, data_dir, ret_client);
	if (r < 0)
		tell_unreachable(title, data_dir, r);
	return r < 0 ? r : 0;
}

int queue_client_open(const struct queue_folder *folder, struct queue_client *ret_client)
{
	struct queue_client client;
	int r = begin("linkspan queue", folder->path, &client);
	if (r == -ENOENT || r == -ECONNREFUSED)
		r = fork_server(folder, &client);
	if (r < 0) {
		tell_unreachable(client.title, folder->path, r);
		return r;
	}
	*ret_client = client;
	return 0;
}

int queue_client_close(struct queue_client *client)
{
	int status = 0;
	close(client->fd);
	buffer_free(&client->in);
	buffer_free(&client->out);
	if (client->child == 0)
		return 0;
	while (waitpid(client->child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fprintf(stderr, "linkspan queue: the process that had the files was ended by signal %d\n",
			WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* --- out ----------------------------------------------------------------------------------------------------------------- */

int queue_client_flush(struct queue_client *client)
{
	size_t at = 0;
	while (at < client->out.len) {
		ssize_t n = write(client->fd, client->out.data + at, client->out.len - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += (size_t)n;
	}
	buffer_clear(&client->out);
	return 0;
}

int queue_client_send(struct queue_client *client, struct slice bytes)
{
	if (buffer_append(&client->out, bytes) < 0)
		return -1;
	return client->out.len >= OUT_BYTES ? queue_client_flush(client) : 0;
}

int queue_client_send_message(struct queue_client *client, const struct message_view *view, const char *destination)
{
	struct frame frame = {.type = FRAME_MSG,
		.name = *destination ? slice_str(destination) : (struct slice){NULL, 0},
		.body = {NULL, message_encoded_size(view)}};
	size_t size = frame_size(&frame);
	char head[40];
	int len = snprintf(head, sizeof head, "{\"bytes\":%zu}\n", size);
	if (buffer_append(&client->out, slice_of(head, (size_t)len)) < 0 || buffer_reserve(&client->out, size) < 0)
		return -1;
	uint8_t *bytes = client->out.data + client->out.len;
	message_encode(view, frame_encode(&frame, bytes));
	frame_seal(bytes, 0);
	client->out.len += size;
	return client->out.len >= OUT_BYTES ? queue_client_flush(client) : 0;
}

/* --- in ------------------------------------------------------------------------------------------------------------------ */

/* Reads some more. False: that was all, or it cannot be had. */
static bool fill(struct queue_client *client)
{
	buffer_consume(&client->in, client->at);
	client->at = 0;
	if (buffer_reserve(&client->in, OUT_BYTES) < 0)
		return false;
	ssize_t n;
	do
		n = read(client->fd, client->in.data + client->in.len, OUT_BYTES);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		client->in.len += (size_t)n;
	return n > 0;
}

static bool take_line(struct queue_client *client, struct slice *ret_line)
{
	for (;;) {
		size_t len = client->in.len - client->at;
		const uint8_t *from = len ? client->in.data + client->at : NULL;
		const uint8_t *end = len ? memchr(from, '\n', len) : NULL;
		if (end) {
			*ret_line = slice_of(from, (size_t)(end - from));
			client->at += ret_line->len + 1;
			return true;
		}
		if (!fill(client))
			return false;
	}
}

static struct slice member(struct slice line, const char *name)
{
	struct json_step step = {.key = slice_str(name)};
	return json_find(line, &step, 1);
}

static uint64_t number(struct slice line, const char *name)
{
	struct slice raw = member(line, name);
	uint64_t value = 0;
	for (size_t i = 0; i < raw.len && raw.data[i] >= '0' && raw.data[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(raw.data[i] - '0');
	return value;
}

static int take_message(struct queue_client *client, size_t bytes, struct queue_answer *answer)
{
	struct frame frame;
	while (client->in.len - client->at < bytes)
		if (bytes > BLOCK_MAX || !fill(client))
			return -1;
	const uint8_t *at = client->in.data + client->at;
	client->at += bytes;
	if (!frame_check(at, bytes, 0) || frame_decode(at, bytes, &frame) < 0 ||
		(frame.type != FRAME_MSG && frame.type != FRAME_DEAD) || frame.name.len > 255 ||
		message_decode(frame.body, &answer->msg) < 0)
		return -1;
	answer->kind = ANSWER_MESSAGE;
	answer->about.seq = frame.seq;
	answer->about.dead = frame.type == FRAME_DEAD;
	if (frame.name.len)
		memcpy(answer->about.dead ? answer->about.reason : answer->about.destination, frame.name.data,
			frame.name.len);
	if (answer->about.dead) {
		answer->about.died_ms = frame.time_ms;
		answer->about.attempts = frame.count;
	}
	return 0;
}

static int take_end(struct slice line, struct queue_answer *answer)
{
	struct slice error = member(line, "error");
	answer->kind = ANSWER_END;
	answer->messages = number(line, "messages");
	answer->kept = number(line, "kept");
	if (error.data && json_kind(error) == JSON_STRING && error.len < sizeof answer->error)
		json_unescape(error, (uint8_t *)answer->error);
	return 0;
}

int queue_client_next(struct queue_client *client, struct queue_answer *ret_answer)
{
	struct slice line;
	*ret_answer = (struct queue_answer){.kind = ANSWER_LINE};
	if (!take_line(client, &line)) {
		/* A child has told why it ends. */
		client->told |= client->child != 0;
		tell(client, "linkspan ended before it had answered");
		return -1;
	}
	if (json_check(line, NULL) || json_kind(json_find(line, NULL, 0)) != JSON_OBJECT) {
		tell(client, "the answer is not understood: is the daemon of the same version?");
		return -1;
	}
	ret_answer->line = line;
	if (member(line, "end").data)
		return take_end(line, ret_answer);
	uint64_t bytes = number(line, "bytes");
	if (bytes && take_message(client, bytes, ret_answer) < 0) {
		tell(client, "the answer is not understood: is the daemon of the same version?");
		return -1;
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * The played network.
 */
#include "tests/fuzz/session/wire.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

struct transport {
	struct loop *loop;
	const struct transport_events *events;
	void *ctx;
	unsigned number;
	bool connected, ended; /* failed or closing: no further event but closed */
	struct buffer input, output;
	size_t consumed;
	uint64_t handed, written; /* bytes flushed; of these, taken by the kernel */
	struct loop_job close_job;
};

static struct {
	wire_sent_fn sent;
	struct transport *current; /* not closing; NULL: none */
	unsigned opened, left;
	uint64_t room;
} wire;

void wire_init(wire_sent_fn sent)
{
	memset(&wire, 0, sizeof wire);
	wire.sent = sent;
	wire.room = UINT64_MAX;
}

unsigned wire_open(void)
{
	return wire.current ? wire.current->number : 0;
}

bool wire_connected(void)
{
	return wire.current && wire.current->connected && !wire.current->ended;
}

unsigned wire_left(void)
{
	return wire.left;
}

/* --- what the network does ---------------------------------------------------------------------------------------- */

void wire_connect(void)
{
	struct transport *t = wire.current;
	if (!t || t->connected || t->ended)
		return;
	t->connected = true;
	t->events->connected(t->ctx);
}

void wire_fail(bool lasts)
{
	struct transport *t = wire.current;
	if (!t || t->ended)
		return;
	t->ended = true;
	t->events->failed(t->ctx, "the played network says so", lasts);
}

void wire_feed(struct slice bytes)
{
	struct transport *t = wire.current;
	if (!wire_connected() || bytes.len == 0)
		return;
	buffer_consume(&t->input, t->consumed);
	t->consumed = 0;
	fuzz_require(buffer_append(&t->input, bytes) == 0);
	t->events->readable(t->ctx);
}

static bool wire_take(struct transport *t)
{
	uint64_t waiting = t->handed - t->written, n = waiting < wire.room ? waiting : wire.room;
	t->written += n;
	if (wire.room != UINT64_MAX)
		wire.room -= n;
	return n > 0;
}

void wire_let(uint64_t bytes)
{
	wire.room = bytes;
	if (wire_connected() && wire_take(wire.current))
		wire.current->events->written(wire.current->ctx);
}

/* --- what the engine asks for, see transport.h ---------------------------------------------------------------------- */

static void transport_on_close_job(void *arg)
{
	struct transport *t = arg;
	t->events->closed(t->ctx);
	wire.left--;
	buffer_free(&t->input);
	buffer_free(&t->output);
	free(t);
}

int transport_open(
	const struct transport_options *options, struct transport **ret_transport, char *error, size_t error_size)
{
	(void)error, (void)error_size;
	fuzz_require(!wire.current); /* one connection at a time */
	struct transport *t = calloc(1, sizeof *t);
	fuzz_require(t != NULL);
	t->loop = options->loop;
	t->events = options->events;
	t->ctx = options->ctx;
	t->number = ++wire.opened;
	buffer_init(&t->input, SIZE_MAX / 2);
	buffer_init(&t->output, options->output_limit);
	loop_job_init(&t->close_job, transport_on_close_job, t);
	wire.current = t;
	wire.left++;
	*ret_transport = t;
	return 0;
}

void transport_close(struct transport *t, uint64_t linger_ms)
{
	fuzz_require(wire.current == t);
	if (linger_ms > 0 && wire_connected())
		transport_flush(t);
	t->ended = true;
	wire.current = NULL;
	loop_post(t->loop, &t->close_job);
}

struct slice transport_input(const struct transport *t)
{
	return t->input.len ? slice_of(t->input.data + t->consumed, t->input.len - t->consumed) : slice_of(NULL, 0);
}

void transport_consume(struct transport *t, size_t count)
{
	fuzz_require(count <= t->input.len - t->consumed);
	t->consumed += count;
}

int transport_expect(struct transport *t, size_t bytes)
{
	(void)t, (void)bytes; /* room is made as bytes come */
	return 0;
}

struct buffer *transport_output(struct transport *t)
{
	fuzz_require(t->connected);
	return &t->output;
}

void transport_flush(struct transport *t)
{
	if (!t->connected || t->ended || t->output.len == 0)
		return;
	t->handed += t->output.len;
	wire.sent(t->number, slice_of(t->output.data, t->output.len));
	buffer_clear(&t->output);
	wire_take(t);
}

uint64_t transport_appended(const struct transport *t)
{
	return t->handed + t->output.len;
}

uint64_t transport_written(const struct transport *t)
{
	return t->written;
}

/* Only a relay holds its transport. */
void transport_hold(struct transport *t, bool hold)
{
	(void)t, (void)hold;
	abort();
}

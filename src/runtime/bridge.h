/* SPDX-License-Identifier: Apache-2.0
 *
 * The bridge: wires one configuration together. It owns the journal, the router, and per connection an endpoint (link,
 * courier, receipts), and moves each message along its life (ARCHITECTURE.md): offer → route → append → durable →
 * receipt and courier. It decides on back-pressure (which source pauses) and on the order of a clean stop; nothing else.
 *
 * Threads: the loop only. bridge_open and bridge_close block on the disk and run before and after the loop.
 */
#ifndef LINKSPAN_RUNTIME_BRIDGE_H
#define LINKSPAN_RUNTIME_BRIDGE_H

#include "config/config.h"
#include "journal/disk.h"
#include "runtime/loop.h"

struct bridge;

struct queue_watched; /* runtime/queue_watch.h */

/* Who is told what passes, as those are who watch a running daemon. From the loop; everything is borrowed, and nothing may be
 * called from inside. */
struct bridge_observer {
	void (*taken)(void *ctx, const struct queue_watched *message);
	/* A message has left its outbox and was not delivered: what, "expired", "dropped" or "dead letter". */
	void (*dropped)(void *ctx, const char *destination, uint64_t seq, const char *what, const char *reason);
	void *ctx;
};

struct bridge_options {
	const struct config *config; /* borrowed for the bridge's life */
	struct loop *loop; /* borrowed */
	struct disk *disk; /* borrowed */
	/* Destinations that the configuration no longer writes to and that have messages waiting: */
	const char *const *drop; /* NULL-terminated names whose messages may be thrown away; NULL: none */
	bool drain; /* deliver what waits, as long as the connection still exists */
	/* The file that the configuration was read from, for bridge_reload; NULL: only what settings name by path is read
	 * again. */
	const char *config_path;
	/* Another configuration holds now. From the loop; it lives until the next one does. May be NULL. */
	void (*on_reloaded)(void *ctx, const struct config *config);
	/* Everything has stopped, after bridge_stop or because the journal failed. From the loop, once. */
	void (*on_stopped)(void *ctx);
	void *ctx;
	bool manual; /* simulations: the journal has no threads, bridge_step does what they would do */
	const struct bridge_observer *observer; /* borrowed; NULL: nobody */
};

/* Opens the journal and makes every link and courier; starts nothing. 0 or a negative errno, logged with what to do.
 * -EEXIST: a destination that the configuration does not name has messages waiting. */
int bridge_open(const struct bridge_options *options, struct bridge **ret_bridge) __attribute__((warn_unused_result));

/* Connects everything. */
void bridge_start(struct bridge *bridge);

/* options.manual only: one unit of the journal's work. False: there was nothing to do. What comes of it comes by the loop. */
bool bridge_step(struct bridge *bridge);

/* Clean stop: no more intake; what is in flight ends and links close, for at most shutdown_timeout (and a second, for
 * links that are told only then); then on_stopped, possibly from inside. May be called again (nothing happens). */
void bridge_stop(struct bridge *bridge);

/* What has become of a reload: it holds, or nothing has changed. */
struct reload_result {
	bool applied;
	const char *text; /* lines, each with its newline: what is wrong and where; warnings; borrowed */
	const char *summary; /* one line, without newline */
};
struct reload_order {
	/* NULL-terminated names, copied; NULL: none. What waits for such a destination, that nothing writes to any more, is
	 * thrown away; or it goes on until all of it is delivered. */
	const char *const *drop, *const *drain;
	void (*done)(void *ctx,
		const struct reload_result *result); /* from the loop, once, never from inside; may be NULL */
	void *ctx;
};

/* Links read again what their settings name by path (certificates, keys, tokens), whatever comes of the rest. Then the file
 * is read and checked on a worker thread, and what differs is applied in one turn of the loop (ARCHITECTURE.md, Reload). An
 * order that comes while another is being carried out waits for it. -ENOMEM, or -ESHUTDOWN: the bridge does not run. */
int bridge_reload(struct bridge *bridge, const struct reload_order *order) __attribute__((warn_unused_result));
/* done is not called for orders with that ctx. */
void bridge_reload_forget(struct bridge *bridge, const void *ctx);

/* Logs event=status per destination: waiting, in flight, delivered, state of the link. */
void bridge_log_status(struct bridge *bridge);

/* After on_stopped (or without bridge_start): makes the journal durable and frees everything. 0, or the negative errno for
 * which the journal failed: the process must then exit non-zero. */
int bridge_close(struct bridge *bridge);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A daemon of libmicrohttpd without threads in the loop: its epoll descriptor is polled, and a timer stands for what it
 * wants to do without an event. And sockets to listen on.
 *
 * Traps of 0.9.75: MHD_run does a part of the work, and MHD_get_timeout says 0 as long as there is more; a daemon that has
 * all the connections it may have does not watch its socket, and begins again only when it is next run; a connection that
 * is resumed goes on with the next MHD_run, of which nothing reminds the loop.
 *
 * Threads: the loop's.
 */
#ifndef LINKSPAN_RUNTIME_MHD_LOOP_H
#define LINKSPAN_RUNTIME_MHD_LOOP_H

#include <microhttpd.h>

#include "config/listen.h"
#include "runtime/loop.h"

struct mhd_loop;

/* Watches a daemon that was started with MHD_USE_EPOLL and no thread, and that may have that many connections. 0, or a
 * negative errno: the daemon is still the caller's. Else it is stopped by mhd_loop_free. */
int mhd_loop_new(struct loop *loop, struct MHD_Daemon *daemon, unsigned max_connections, struct mhd_loop **ret_watch)
	__attribute__((warn_unused_result));
struct MHD_Daemon *mhd_loop_daemon(const struct mhd_loop *watch);
unsigned mhd_loop_connections(const struct mhd_loop *watch);
/* MHD_run, and what belongs to it. Not from inside one of the daemon's callbacks. */
void mhd_loop_run(struct mhd_loop *watch);
/* Stops the daemon, of which no connection may be suspended. NULL is allowed. */
void mhd_loop_free(struct mhd_loop *watch);

/* A socket that listens there, or a negative errno. */
int mhd_loop_listen(const struct listen_address *address, int max_pending) __attribute__((warn_unused_result));
/* Logs where it listens: `event connection=… address=…`; with name NULL without the connection. */
void mhd_loop_log_address(const char *event, const char *name, int fd);
/* What a person can do about an error of mhd_loop_listen; NULL: nothing in particular. */
const char *mhd_loop_explain(int error);

#endif

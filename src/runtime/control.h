/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket, data_dir/control: a Unix socket on which a running daemon answers `linkspan queue`. Mode 0600, and
 * only processes of the same user (or root) are served. It owns the sockets and their buffers and speaks the protocol
 * (doc/control-protocol.md); what is asked for is the queue service's.
 *
 * At most CONTROL_MAX_CLIENTS at a time; for each about 256 KiB (or one message) are buffered, whether it reads or not. A
 * client that goes away ends what it asked for. One connection, one request.
 *
 * Threads: the loop only. control_listen blocks for some system calls.
 */
#ifndef LINKSPAN_RUNTIME_CONTROL_H
#define LINKSPAN_RUNTIME_CONTROL_H

#include "runtime/loop.h"
#include "runtime/queue_service.h"

#define CONTROL_MAX_CLIENTS 4

struct control;

struct control *control_new(struct loop *loop, struct queue_service *service) __attribute__((warn_unused_result));
/* Replaces a socket that an earlier process left. The caller holds the folder's lock. 0 or a negative errno. */
int control_listen(struct control *control, const char *data_dir) __attribute__((warn_unused_result));
/* Serves one client on a connected socket, which it takes; on_gone when that is closed. 0 or a negative errno (the socket
 * is then still the caller's). */
int control_attach(struct control *control, int fd, void (*on_gone)(void *arg), void *arg)
	__attribute__((warn_unused_result));
/* Cuts everybody off and removes the socket. What is left of it goes when the loop runs, at latest in loop_free. NULL is
 * allowed. */
void control_free(struct control *control);

/* A connection to the socket of a data folder: a file descriptor or a negative errno. Any thread; blocks. */
int control_connect(const char *data_dir) __attribute__((warn_unused_result));

#endif

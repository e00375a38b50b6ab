/* SPDX-License-Identifier: Apache-2.0
 *
 * An eventfd in the loop: other threads write to the descriptor, and on_wake runs on the loop. It frees
 * itself once libuv has let go of it, so that its owner need not wait for that.
 *
 * Threads: the loop; the descriptor may be written to from any thread until kafka_wake_close.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_WAKE_H
#define LINKSPAN_CONNECTORS_KAFKA_WAKE_H

#include "runtime/loop.h"

struct kafka_wake;

/* 0, or a negative errno (-ENOTSUP on a simulated loop). */
int kafka_wake_open(struct loop *loop, loop_fn on_wake, void *arg, struct kafka_wake **ret_wake)
	__attribute__((warn_unused_result));
int kafka_wake_fd(const struct kafka_wake *wake);
void kafka_wake_close(struct kafka_wake *wake); /* on_wake is not called again; NULL is allowed */

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin listener: HTTP on the addresses of the section `admin:`, for Prometheus and whoever watches over the process.
 * It shows and changes nothing. It has no authentication and no TLS; the configuration refuses other addresses than
 * loopback unless told that it is meant.
 *
 * A peer cannot hold up the loop: requests are read and answered as far as sockets go, connections, their memory and their
 * time are bounded, and /metrics is written at most ten times a second, however often it is asked for.
 *
 * Threads: the loop only.
 */
#ifndef LINKSPAN_ADMIN_ADMIN_H
#define LINKSPAN_ADMIN_ADMIN_H

#include "config/config.h"
#include "journal/disk.h"
#include "runtime/bridge.h"
#include "runtime/loop.h"

struct admin;

/* Listens; answers once the loop runs. 0 with NULL when the configuration has no listener; a negative errno, logged with
 * what to do. All parameters are borrowed. */
int admin_open(struct loop *loop, const struct config *config, const struct disk *disk, struct admin **ret_admin)
	__attribute__((warn_unused_result));

/* There is something to show from now on. Before this it is healthy and not ready. */
void admin_show(struct admin *admin, const struct bridge *bridge); /* admin NULL: nothing */

/* Before the bridge and the loop go. NULL is allowed. */
void admin_close(struct admin *admin);

#endif

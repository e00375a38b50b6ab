/* SPDX-License-Identifier: Apache-2.0
 *
 * Compares passwords with hashes of crypt(5), which take as long as they are made to, on a thread of their own. A few may
 * wait; a flood of guesses is turned away and does not hold up the loop.
 *
 * Threads: all functions on the loop's.
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_PASSWORD_WORKER_H
#define LINKSPAN_CONNECTORS_HTTP_PASSWORD_WORKER_H

#include "message/slice.h"
#include "runtime/loop.h"

#define PASSWORD_WORKER_MOST 32 /* that are waiting or being worked out */
#define PASSWORD_MAX_BYTES   511u /* crypt(3) */

struct password_worker;
struct password_job;

/* 0 or a negative errno. */
int password_worker_new(struct loop *loop, struct password_worker **ret_worker) __attribute__((warn_unused_result));
/* Waits for the one that is being worked out, and forgets the others. NULL is allowed. */
void password_worker_free(struct password_worker *worker);

/* done runs on the loop, later. hash lives until then. 0; -EBUSY: too many; -EINVAL: no password of crypt(3), so it is
 * wrong; -ENOMEM. */
int password_worker_begin(struct password_worker *worker, struct slice password, const char *hash,
	void (*done)(void *arg, bool right), void *arg, struct password_job **ret_job)
	__attribute__((warn_unused_result));
/* done will not run; the work may go on. */
void password_worker_cancel(struct password_job *job);

/* Is that a hash that can be compared with: $y$, $6$, $2b$ and so on? */
bool password_hash_valid(const char *hash);

#endif

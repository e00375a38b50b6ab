/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel says of this process, by the names that every Prometheus client library uses. Reads /proc, which does
 * not block. Any thread.
 */
#ifndef LINKSPAN_ADMIN_PROCESS_H
#define LINKSPAN_ADMIN_PROCESS_H

struct process_figures { /* NAN: not known */
	double cpu_s, resident_bytes, virtual_bytes, open_fds, max_fds;
	double started_s; /* since the epoch; the caller's */
};

/* Fills in all but started_s. */
void process_read(struct process_figures *ret_figures);

#endif

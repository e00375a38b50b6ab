/* SPDX-License-Identifier: Apache-2.0
 *
 * Named points at which a test can kill the process (SIGKILL to itself), as a power cut would. In the shipped
 * binary they cost one branch on a static flag. LINKSPAN_FAILPOINT=name[:n] in the environment arms the n-th pass
 * (default 1) of one point; `linkspan run` warns when it is set. Every name is listed in failpoint.c, so that the
 * crash campaign walks them all.
 */
#ifndef LINKSPAN_RUNTIME_FAILPOINT_H
#define LINKSPAN_RUNTIME_FAILPOINT_H

#include <stdbool.h>
#include <stddef.h>

extern bool failpoint_armed;

void failpoint_init(void); /* reads the environment, once, before threads start */
void failpoint_hit(const char *name); /* any thread */
const char *const *failpoint_names(size_t *ret_n);

#define FAILPOINT(name)                                                                                                \
	do {                                                                                                           \
		if (__builtin_expect(failpoint_armed, 0))                                                              \
			failpoint_hit(name);                                                                           \
	} while (0)

#endif

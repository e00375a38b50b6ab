/* SPDX-License-Identifier: Apache-2.0
 *
 * Where two JSON texts differ, as JSON: white space, the order of an object's keys, and how a number or a string is written make
 * no difference. Numbers are compared by their digits, whatever a double would make of them.
 *
 * Pure functions, any thread.
 */
#ifndef LINKSPAN_SIMULATION_JSON_DIFFERENCE_H
#define LINKSPAN_SIMULATION_JSON_DIFFERENCE_H

#include "message/slice.h"

/* Calls fn for each place that differs: its path as jq writes it (`.`, `.a.b[0]`, `.["a b"]`), and the values as written,
 * absent where there is none. Both texts must be well formed (json_check). Returns how many there are. -1: no memory. */
long json_difference(struct slice want, struct slice got,
	void (*fn)(const char *path, struct slice want, struct slice got, void *arg), void *arg);

#endif

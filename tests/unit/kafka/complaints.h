/* SPDX-License-Identifier: Apache-2.0
 *
 * A config_scope of the tests' own: keeps what a connector's check complains about. Takes the place of src/config in a
 * test program.
 */
#ifndef LINKSPAN_TESTS_UNIT_KAFKA_COMPLAINTS_H
#define LINKSPAN_TESTS_UNIT_KAFKA_COMPLAINTS_H

#include "config/schema.h"

#define MAX_COMPLAINTS 16

struct config_scope {
	unsigned n;
	struct {
		char key[64], item[64], text[600]; /* "" for NULL */
	} complaints[MAX_COMPLAINTS];
	unsigned n_warnings;
	char warning[600]; /* the last one */
};

#endif

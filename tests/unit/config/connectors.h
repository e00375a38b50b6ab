/* SPDX-License-Identifier: Apache-2.0
 *
 * Connectors that exist only as tables, so that the tests of the configuration do not change with the real ones:
 * `mqtt` reads and writes at qos 0 and 1 (2 when version is 5), `kafka` is written to, `feed` is only read from.
 */
#ifndef LINKSPAN_TESTS_UNIT_CONFIG_CONNECTORS_H
#define LINKSPAN_TESTS_UNIT_CONFIG_CONNECTORS_H

#include "connectors/connector.h"

struct test_mqtt {
	char *url;
	int version; /* index of 5, 3.1.1 */
	char *client_id;
	char *username, *password;
	bool clean_start;
	uint64_t keepalive_ms;
	struct {
		char *ca, *cert;
	} tls;
};

struct test_kafka {
	struct config_list brokers;
	struct config_list properties;
	int64_t partitions;
	uint64_t batch_bytes;
	bool transactions;
};

extern const struct connector *const test_connectors[];
extern const struct connector *const file_connectors[]; /* and those of which there are files in broken/ */

#endif

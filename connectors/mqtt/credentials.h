/* SPDX-License-Identifier: Apache-2.0
 *
 * User name and password for one CONNECT: those of the configuration, or what the files that it names hold at this
 * moment, so that tokens can rotate while linkspan runs. What was read is wiped before its memory is given back, and
 * no message tells any of it. Any thread; reads files.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_CREDENTIALS_H
#define LINKSPAN_CONNECTORS_MQTT_CREDENTIALS_H

#include "connectors/mqtt/settings.h"

struct credentials {
	struct slice user_name, password; /* absent: none */
	char *owned[2]; /* what was read from files */
};

/* 0, -EINVAL (a file cannot be used; `error` then says why and what to do, behind
 * the key and a colon) or -ENOMEM. */
int credentials_read(const struct mqtt_settings *settings, struct credentials *ret_credentials, char *error,
	size_t error_size) __attribute__((warn_unused_result));
void credentials_wipe(struct credentials *credentials);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * To which of a connection's addresses to connect next. They are tried in the order of the configuration; once all have
 * failed, a round is over and the next one begins with the first. No clock and no I/O; the session tells it what
 * happened.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_ADDRESSES_H
#define LINKSPAN_CONNECTORS_MQTT_ADDRESSES_H

#include "connectors/mqtt/settings.h"

struct addresses {
	struct mqtt_url *items; /* owned */
	size_t n, current;
	bool failed; /* one has failed in this round */
	bool round_slow; /* all that failed in this round need a person */
};

/* 0, -EINVAL (a url is wrong, or there is none; *ret_wrong says what) or -ENOMEM. */
int addresses_init(struct addresses *list, const struct mqtt_settings *settings, const char **ret_wrong)
	__attribute__((warn_unused_result));
void addresses_free(struct addresses *list);

/* Until the next call but this one. */
const struct mqtt_url *addresses_current(const struct addresses *list);

/* The attempt at the current address, or the connection to it, has failed. sound: the connection had been up for long
 * enough to say that the address is a good one; so the next round begins. slow: waiting does not mend it. Returns
 * whether a round is over, so that it is time to back off; *ret_slow: until a person comes. */
bool addresses_failed(struct addresses *list, bool sound, bool slow, bool *ret_slow);

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * To which of a connection's addresses to connect next. They are tried in the order of the configuration; once all have
 * failed, a round is over and the next one begins with the first. A broker may refer to another server (MQTT 5 §4.11):
 * for the next connection alone, or until the end of the process, when that server comes before all others. No clock and
 * no I/O; the session tells it what happened.
 */
#ifndef LINKSPAN_CONNECTORS_MQTT_ADDRESSES_H
#define LINKSPAN_CONNECTORS_MQTT_ADDRESSES_H

#include "connectors/mqtt/settings.h"
#include "connectors/mqtt/url.h"

/* A reference that leads to a reference, and so on, without a sound connection between: so many and no more. */
#define ADDRESSES_MOST_REFERENCES 5

struct addresses {
	struct mqtt_url *items; /* owned: the configured ones from 1 to n; where the broker has moved at 0 */
	size_t n, current;
	size_t first; /* 0 once it has moved, else 1 */
	struct mqtt_url other; /* for one connection */
	bool at_other;
	unsigned references; /* followed in a row */
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

/* The broker at the current address refers to others, which are tried next; of several the first that is understood. The
 * texts are taken as they come: host, host:port, [address]:port; the scheme is that of the current address. moved: until
 * the end of the process. sound: as above. 0, -EINVAL (there is none that is understood) or -ELOOP (too many in a row: the
 * caller is to back off; from then on they count anew). */
int addresses_follow(struct addresses *list, struct slice reference, bool moved, bool sound)
	__attribute__((warn_unused_result));

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * Which implementation carries a session.
 */
#include "connectors/mqtt/session.h"

#include <errno.h>

#include "runtime/log.h"

int mqtt_session_new(const struct mqtt_session_options *options, struct mqtt_session **ret_session)
{
	if (!mqtt_settings_use_paho(options->settings))
		return engine_new(options, ret_session);
#ifdef HAVE_PAHO
	return paho_new(options, ret_session);
#else
	log_error("mqtt_no_paho", "connection=%s what=\"this linkspan is built without Paho\"", options->name);
	return -ENOTSUP;
#endif
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * One event word for all that the library says (library_log.h).
 */
#include "connectors/kafka/library_log.h"

#include <string.h>

#include "runtime/log.h"

void kafka_library_log(const char *connection, int level, const char *facility, const char *text)
{
	/* The first two come as errors as well; the third says that a consumer was given a producer's property. */
	if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "SSLCERTVRFY") == 0 || strcmp(facility, "CONFWARN") == 0)
		return;
	enum log_level our_level = level <= 4 ? LOG_LEVEL_WARN : level <= 6 ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
	if (log_get_level() >= our_level)
		log_event(our_level, "kafka_library", "connection=%s facility=%s text=\"%s\"", connection, facility,
			text);
}

/* SPDX-License-Identifier: Apache-2.0
 *
 * What librdkafka says, into our log, by our levels. Any thread.
 */
#ifndef LINKSPAN_CONNECTORS_KAFKA_LIBRARY_LOG_H
#define LINKSPAN_CONNECTORS_KAFKA_LIBRARY_LOG_H

#include <librdkafka/rdkafka.h>

/* level: that of syslog. */
void kafka_library_log(const char *connection, int level, const char *facility, const char *text);

#endif

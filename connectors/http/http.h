/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP connector: webhooks out (out.h) and, with `listen`, webhooks in and last values to GET (in.h).
 */
#ifndef LINKSPAN_CONNECTORS_HTTP_HTTP_H
#define LINKSPAN_CONNECTORS_HTTP_HTTP_H

#include "connectors/connector.h"

extern const struct connector http_connector;

#endif

/* SPDX-License-Identifier: Apache-2.0
 *
 * A snapshot written in one of two formats: Prometheus' text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/) and OpenMetrics 1.0
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/). Any thread.
 */
#ifndef LINKSPAN_ADMIN_EXPOSITION_H
#define LINKSPAN_ADMIN_EXPOSITION_H

#include "admin/metric.h"
#include "admin/snapshot.h"
#include "message/buffer.h"

enum exposition_format { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS };

const char *exposition_content_type(enum exposition_format format);

/* The format that a request wants by its Accept header (RFC 9110 §12.5.1; NULL: it has none): OpenMetrics when it is
 * asked for by name, in a version 1, and not less than the text format; else the text format, whatever it says. */
enum exposition_format exposition_negotiate(const char *accept);

/* Appends all of `table` (metrics, but for tests). 0, -ENOMEM or -ENOBUFS. */
int exposition_write(enum exposition_format format, const struct metric *table, const struct snapshot *snapshot,
	struct buffer *out) __attribute__((warn_unused_result));

#endif
